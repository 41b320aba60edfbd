//! Accounts and their addresses.

use super::error::StoreError;
use super::read::{json, parse, parse_opt, storable, to_json};
use super::schema::{account_emails, accounts, assignments, consents, grants, identities, sessions};
use super::tx::{Conn, Tx, attempt, on};
use crate::accounts::{Account, AccountEmail, AccountStatus, EmailAddress, Profile};
use crate::context::Timestamp;
use crate::ids::AccountId;
use diesel::prelude::*;

diesel::define_sql_function! {
    /// Lower case.
    fn lower(x: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = accounts)]
struct AccountRow {
    id: String,
    status: String,
    profile: String,
    search: String,
    created_at: i64,
    updated_at: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = account_emails)]
struct EmailRow {
    account: String,
    canonical: String,
    written: String,
    proof: Option<String>,
    is_primary: bool,
    lapsed: Option<String>,
}

impl AccountRow {
    fn new(account: &Account) -> Result<Self, StoreError> {
        Ok(Self {
            id: account.id.as_str().to_owned(),
            status: account.status.as_str().to_owned(),
            profile: to_json(&account.profile, "accounts.profile")?,
            search: search(&account.profile),
            created_at: account.created_at.0,
            updated_at: account.updated_at.0,
        })
    }
    fn domain(self, emails: Vec<AccountEmail>) -> Result<Account, StoreError> {
        Ok(Account {
            id: parse(&self.id, "accounts.id")?,
            status: parse(&self.status, "accounts.status")?,
            profile: json(&self.profile, "accounts.profile")?,
            emails,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

impl EmailRow {
    fn new(account: &AccountId, email: &AccountEmail) -> Self {
        Self {
            account: account.as_str().to_owned(),
            canonical: email.address.canonical().to_owned(),
            written: email.address.as_str().to_owned(),
            proof: email.proof.as_ref().map(ToString::to_string),
            is_primary: email.primary,
            lapsed: email.lapsed.as_ref().map(ToString::to_string),
        }
    }
    fn domain(self) -> Result<AccountEmail, StoreError> {
        let address =
            EmailAddress::parse(&self.written).map_err(|_| StoreError::corrupt("account_emails.written"))?;
        Ok(AccountEmail {
            address,
            proof: parse_opt(self.proof.as_deref(), "account_emails.proof")?,
            lapsed: parse_opt(self.lapsed.as_deref(), "account_emails.lapsed")?,
            primary: self.is_primary,
        })
    }
}

/// What `list_accounts` looks through besides addresses and ids: the names, in lower case.
fn search(profile: &Profile) -> String {
    let names = [
        &profile.name,
        &profile.given_name,
        &profile.family_name,
        &profile.nickname,
        &profile.preferred_username,
    ];
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    storable(&names.join("\n").to_lowercase())
}

/// A rule on addresses: the only unique one besides the key is that of proof.
fn proved(error: StoreError) -> StoreError {
    match error {
        StoreError::Conflict("unique") => StoreError::Conflict("email_proved"),
        other => other,
    }
}

impl Tx<'_> {
    /// Adds an account with its addresses.
    ///
    /// # Errors
    /// `Conflict("account")` if the id was ever used; `Conflict("email_proved")` if another account holds
    /// one of its proved addresses as proved.
    pub fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let row = AccountRow::new(account)?;
        let emails: Vec<EmailRow> = account.emails.iter().map(|e| EmailRow::new(&account.id, e)).collect();
        let added = attempt!(self, c => {
            let added = diesel::insert_into(accounts::table)
                .values(&row)
                .on_conflict(accounts::id)
                .do_nothing()
                .execute(c)?;
            // Row by row: for several at once diesel would begin a transaction of its own on SQLite.
            for email in emails.iter().take_while(|_| added == 1) {
                diesel::insert_into(account_emails::table).values(email).execute(c)?;
            }
            Ok(added)
        })
        .map_err(proved)?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("account")) }
    }

    /// The account with its addresses, whatever its status.
    pub fn account(&mut self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let rows: Vec<(AccountRow, Option<EmailRow>)> = on!(self, c => accounts::table
            .left_join(account_emails::table)
            .filter(accounts::id.eq(id.as_str()))
            .order((account_emails::is_primary.desc(), account_emails::canonical.asc()))
            .select((AccountRow::as_select(), Option::<EmailRow>::as_select()))
            .load(c))?;
        Ok(gather(rows)?.pop())
    }

    /// The account's status, held against change by others until this transaction ends. A transaction that
    /// starts a session or grant calls this, so that it cannot cross a suspension or removal.
    pub fn hold_account(&mut self, id: &AccountId) -> Result<Option<AccountStatus>, StoreError> {
        self.usable()?;
        let status = accounts::table.find(id.as_str()).select(accounts::status);
        let result = match &mut self.conn {
            // There is one writer, and this is its transaction.
            Conn::Sqlite(conn) => status.first::<String>(*conn).optional(),
            Conn::Postgres(conn) => status.for_no_key_update().first::<String>(*conn).optional(),
        };
        parse_opt(self.settle(result, false)?.as_deref(), "accounts.status")
    }

    /// Replaces the profile; false if there is no such account, or only its tombstone.
    pub fn update_profile(
        &mut self,
        id: &AccountId,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let text = to_json(profile, "accounts.profile")?;
        let search = search(profile);
        let changed = on!(self, c => diesel::update(accounts::table.find(id.as_str()))
            .filter(accounts::status.ne(AccountStatus::Deleted.as_str()))
            .set((
                accounts::profile.eq(&text),
                accounts::search.eq(&search),
                accounts::updated_at.eq(now.0),
            ))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Sets the status; false if it was that already, or the account does not exist or was removed.
    ///
    /// `Deleted` is final: the row stays as a tombstone without profile, and everything that hung on the account is
    /// gone: addresses, identities, assignments, consents, sessions, grants with their codes and refresh tokens.
    /// Audit events name it by its id alone. What clients must be told of the end of its sessions is queued.
    /// `Suspended` revokes nothing by itself: sessions and
    /// grants are refused by status and live again afterwards unless they are revoked too.
    pub fn set_account_status(
        &mut self,
        id: &AccountId,
        status: AccountStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(accounts::table.find(id.as_str()))
            .filter(accounts::status.ne_all([status.as_str(), AccountStatus::Deleted.as_str()]))
            .set((accounts::status.eq(status.as_str()), accounts::updated_at.eq(now.0)))
            .execute(c))?;
        if changed == 1 && status == AccountStatus::Deleted {
            self.empty_account(id, now)?;
        }
        Ok(changed == 1)
    }

    fn empty_account(&mut self, id: &AccountId, now: Timestamp) -> Result<(), StoreError> {
        self.end_sessions_of(id, now)?;
        let id = id.as_str();
        on!(self, c => {
            diesel::update(accounts::table.find(id))
                .set((accounts::profile.eq("{}"), accounts::search.eq("")))
                .execute(c)?;
            diesel::delete(account_emails::table.filter(account_emails::account.eq(id))).execute(c)?;
            diesel::delete(identities::table.filter(identities::account.eq(id))).execute(c)?;
            diesel::delete(assignments::table.filter(assignments::account.eq(id))).execute(c)?;
            diesel::delete(consents::table.filter(consents::account.eq(id))).execute(c)?;
            // Codes and refresh tokens go with their grants.
            diesel::delete(grants::table.filter(grants::account.eq(id))).execute(c)?;
            diesel::delete(sessions::table.filter(sessions::account.eq(id))).execute(c)
        })?;
        Ok(())
    }

    /// Accounts in the order of their ids, beginning behind `after`. A filter that is not empty keeps those
    /// whose id, names or addresses contain it, whatever its case. Tombstones are left out.
    pub fn list_accounts(
        &mut self,
        filter: &str,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<Account>, StoreError> {
        if filter.contains('\0') {
            return Ok(Vec::new());
        }
        let after = after.map_or("", AccountId::as_str);
        let pattern = contains(&filter.to_lowercase());
        let limit = i64::from(limit);
        let rows: Vec<AccountRow> = on!(self, c => {
            let with_email = account_emails::table
                .filter(account_emails::canonical.like(&pattern).escape('\\'))
                .select(account_emails::account);
            accounts::table
                .filter(accounts::status.ne(AccountStatus::Deleted.as_str()))
                .filter(accounts::id.gt(after))
                .filter(
                    accounts::search
                        .like(&pattern)
                        .escape('\\')
                        .or(lower(accounts::id).like(&pattern).escape('\\'))
                        .or(accounts::id.eq_any(with_email)),
                )
                .order(accounts::id.asc())
                .limit(limit)
                .select(AccountRow::as_select())
                .load(c)
        })?;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let emails: Vec<EmailRow> = on!(self, c => account_emails::table
            .filter(account_emails::account.eq_any(&ids))
            .order((account_emails::is_primary.desc(), account_emails::canonical.asc()))
            .select(EmailRow::as_select())
            .load(c))?;
        let mut by_account = std::collections::HashMap::<String, Vec<AccountEmail>>::new();
        for row in emails {
            by_account.entry(row.account.clone()).or_default().push(row.domain()?);
        }
        rows.into_iter()
            .map(|row| {
                let emails = by_account.remove(&row.id).unwrap_or_default();
                row.domain(emails)
            })
            .collect()
    }

    /// The account that holds the address (canonical form) as proved: at most one.
    pub fn accounts_by_proved_email(&mut self, canonical: &str) -> Result<Vec<AccountId>, StoreError> {
        let ids: Vec<String> = on!(self, c => account_emails::table
            .filter(account_emails::canonical.eq(canonical))
            .filter(account_emails::proof.is_not_null())
            .select(account_emails::account)
            .load(c))?;
        ids.iter().map(|id| parse(id, "account_emails.account")).collect()
    }

    /// Who holds the address (canonical form), and how: whoever has proved it or once did, then up to `claims` of those
    /// who only say so.
    pub fn holders_of_email(
        &mut self,
        canonical: &str,
        claims: i64,
    ) -> Result<Vec<(AccountId, AccountEmail)>, StoreError> {
        let known = account_emails::proof.is_not_null().or(account_emails::lapsed.is_not_null());
        let mut rows: Vec<EmailRow> = on!(self, c => account_emails::table
            .filter(account_emails::canonical.eq(canonical))
            .filter(known)
            .order(account_emails::account.asc())
            .select(EmailRow::as_select())
            .load(c))?;
        let said = account_emails::proof.is_null().and(account_emails::lapsed.is_null());
        let claims: Vec<EmailRow> = on!(self, c => account_emails::table
            .filter(account_emails::canonical.eq(canonical))
            .filter(said)
            .order(account_emails::account.asc())
            .limit(claims)
            .select(EmailRow::as_select())
            .load(c))?;
        rows.extend(claims);
        rows.into_iter()
            .map(|row| Ok((parse(&row.account, "account_emails.account")?, row.domain()?)))
            .collect()
    }

    /// All accounts that hold the address (canonical form), each with whether it is proved.
    pub fn accounts_by_email(&mut self, canonical: &str) -> Result<Vec<(AccountId, bool)>, StoreError> {
        let rows: Vec<(String, Option<String>)> = on!(self, c => account_emails::table
            .filter(account_emails::canonical.eq(canonical))
            .order(account_emails::account.asc())
            .select((account_emails::account, account_emails::proof))
            .load(c))?;
        rows.iter().map(|(id, proof)| Ok((parse(id, "account_emails.account")?, proof.is_some()))).collect()
    }

    /// Adds the address to the account, or replaces what was known of it. A new primary address takes the
    /// place of the old one.
    ///
    /// # Errors
    /// `Conflict("email_proved")` if it is proved and another account holds it as proved;
    /// `Conflict("reference")` if there is no such account. Nothing has changed then.
    pub fn put_email(&mut self, id: &AccountId, email: &AccountEmail) -> Result<(), StoreError> {
        let row = EmailRow::new(id, email);
        attempt!(self, c => {
            if row.is_primary {
                diesel::update(account_emails::table.filter(account_emails::account.eq(&row.account)))
                    .set(account_emails::is_primary.eq(false))
                    .execute(c)?;
            }
            diesel::insert_into(account_emails::table)
                .values(&row)
                .on_conflict((account_emails::account, account_emails::canonical))
                .do_update()
                .set((
                    account_emails::written.eq(&row.written),
                    account_emails::proof.eq(&row.proof),
                    account_emails::is_primary.eq(row.is_primary),
                    account_emails::lapsed.eq(&row.lapsed),
                ))
                .execute(c)
        })
        .map_err(proved)?;
        Ok(())
    }

    /// Replaces all addresses of the account.
    ///
    /// # Errors
    /// As for [`Tx::put_email`].
    pub fn replace_emails(&mut self, id: &AccountId, emails: &[AccountEmail]) -> Result<(), StoreError> {
        let rows: Vec<EmailRow> = emails.iter().map(|e| EmailRow::new(id, e)).collect();
        attempt!(self, c => {
            let old = account_emails::table.filter(account_emails::account.eq(id.as_str()));
            diesel::delete(old).execute(c)?;
            for row in &rows {
                diesel::insert_into(account_emails::table).values(row).execute(c)?;
            }
            Ok(())
        })
        .map_err(proved)
    }
}

/// Puts the rows of a join back together; rows of one account stand together.
fn gather(rows: Vec<(AccountRow, Option<EmailRow>)>) -> Result<Vec<Account>, StoreError> {
    let mut accounts: Vec<Account> = Vec::new();
    for (row, email) in rows {
        let email = email.map(EmailRow::domain).transpose()?;
        match accounts.last_mut() {
            Some(last) if last.id.as_str() == row.id => last.emails.extend(email),
            _ => accounts.push(row.domain(email.into_iter().collect())?),
        }
    }
    Ok(accounts)
}

/// A LIKE pattern for texts that contain this one.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
