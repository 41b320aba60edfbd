//! Grants (the roots of codes and tokens), consents, and single tokens that were revoked.

use super::error::StoreError;
use super::read::{at_opt, json, parse, scope, to_json};
use super::schema::{accounts, consents, grants, revoked_tokens};
use super::tx::{Tx, on};
use crate::accounts::AccountStatus;
use crate::clients::{Consent, Grant};
use crate::context::Timestamp;
use crate::ids::{AccountId, ClientId, GrantId, SessionId};
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = grants)]
struct Row {
    id: String,
    account: String,
    client: String,
    session: String,
    scope: String,
    resources: String,
    auth_time: i64,
    created_at: i64,
    revoked_at: Option<i64>,
    details: String,
}

impl Row {
    fn new(grant: &Grant) -> Result<Self, StoreError> {
        Ok(Self {
            id: grant.id.as_str().to_owned(),
            account: grant.account.as_str().to_owned(),
            client: grant.client.as_str().to_owned(),
            session: grant.session.as_str().to_owned(),
            scope: grant.scope.to_string(),
            resources: to_json(&grant.resources, "grants.resources")?,
            auth_time: grant.auth_time.0,
            created_at: grant.created_at.0,
            revoked_at: grant.revoked_at.map(|at| at.0),
            details: to_json(&grant.details, "grants.details")?,
        })
    }
    fn domain(self) -> Result<Grant, StoreError> {
        Ok(Grant {
            id: parse(&self.id, "grants.id")?,
            account: parse(&self.account, "grants.account")?,
            client: parse(&self.client, "grants.client")?,
            session: parse(&self.session, "grants.session")?,
            scope: scope(&self.scope, "grants.scope")?,
            resources: json(&self.resources, "grants.resources")?,
            auth_time: Timestamp(self.auth_time),
            created_at: Timestamp(self.created_at),
            revoked_at: at_opt(self.revoked_at),
            details: json(&self.details, "grants.details")?,
        })
    }
}

impl Tx<'_> {
    /// Adds a grant.
    ///
    /// # Errors
    /// `Conflict("grant")` if the id is in use; `Conflict("reference")` if there is no such account.
    pub fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        let row = Row::new(grant)?;
        let added = on!(self, c => diesel::insert_into(grants::table)
            .values(&row)
            .on_conflict(grants::id)
            .do_nothing()
            .execute(c))?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("grant")) }
    }

    /// The grant, revoked or not.
    pub fn grant(&mut self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let row: Option<Row> = on!(self, c => grants::table
            .find(id.as_str())
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// All grants of the account that are not revoked, the newest first.
    pub fn grants_of(&mut self, account: &AccountId) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<Row> = on!(self, c => grants::table
            .filter(grants::account.eq(account.as_str()))
            .filter(grants::revoked_at.is_null())
            .order((grants::created_at.desc(), grants::id.asc()))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// The clients to which something is granted in a session.
    pub fn clients_in(&mut self, session: &SessionId) -> Result<Vec<ClientId>, StoreError> {
        let clients: Vec<String> = on!(self, c => grants::table
            .filter(grants::session.eq(session.as_str()))
            .filter(grants::revoked_at.is_null())
            .select(grants::client)
            .distinct()
            .order(grants::client.asc())
            .load(c))?;
        clients.iter().map(|client| parse(client, "grants.client")).collect()
    }

    /// Whether what the grant gave may be used: it exists, is not revoked, and its account is active.
    pub fn grant_live(&mut self, id: &GrantId) -> Result<bool, StoreError> {
        let found: Option<String> = on!(self, c => grants::table
            .inner_join(accounts::table)
            .filter(grants::id.eq(id.as_str()))
            .filter(grants::revoked_at.is_null())
            .filter(accounts::status.eq(AccountStatus::Active.as_str()))
            .select(grants::id)
            .first(c)
            .optional())?;
        Ok(found.is_some())
    }

    /// Revokes the grant; false if it was revoked before or never was.
    pub fn revoke_grant(&mut self, id: &GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(grants::table.find(id.as_str()))
            .filter(grants::revoked_at.is_null())
            .set(grants::revoked_at.eq(now.0))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Revokes all grants of the account and says how many.
    pub fn revoke_grants_of_account(
        &mut self,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        on!(self, c => diesel::update(grants::table)
            .filter(grants::account.eq(account.as_str()))
            .filter(grants::revoked_at.is_null())
            .set(grants::revoked_at.eq(now.0))
            .execute(c))
    }

    /// Revokes all grants to the client and says how many.
    pub fn revoke_grants_of_client(
        &mut self,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        on!(self, c => diesel::update(grants::table)
            .filter(grants::client.eq(client.as_str()))
            .filter(grants::revoked_at.is_null())
            .set(grants::revoked_at.eq(now.0))
            .execute(c))
    }

    /// Makes one access token inactive, remembered until `expires_at`. True if it was not so already.
    pub fn revoke_jti(&mut self, jti: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
        let added = on!(self, c => diesel::insert_into(revoked_tokens::table)
            .values((revoked_tokens::jti.eq(jti), revoked_tokens::expires_at.eq(expires_at.0)))
            .on_conflict(revoked_tokens::jti)
            .do_nothing()
            .execute(c))?;
        Ok(added == 1)
    }

    /// Whether the access token was revoked by itself.
    pub fn is_jti_revoked(&mut self, jti: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = on!(self, c => revoked_tokens::table
            .find(jti)
            .select(revoked_tokens::expires_at)
            .first(c)
            .optional())?;
        Ok(found.is_some())
    }

    /// What the person agreed to for the client.
    pub fn consent(&mut self, account: &AccountId, client: &ClientId) -> Result<Option<Consent>, StoreError> {
        let row: Option<(String, String, i64)> = on!(self, c => consents::table
            .find((account.as_str(), client.as_str()))
            .select((consents::scope, consents::claims, consents::given_at))
            .first(c)
            .optional())?;
        let Some((text, claims, given_at)) = row else { return Ok(None) };
        Ok(Some(Consent {
            account: account.clone(),
            client: client.clone(),
            scope: scope(&text, "consents.scope")?,
            claims: json(&claims, "consents.claims")?,
            given_at: Timestamp(given_at),
        }))
    }

    /// Remembers a consent in place of what was remembered before.
    ///
    /// # Errors
    /// `Conflict("reference")` if there is no such account.
    pub fn put_consent(&mut self, consent: &Consent) -> Result<(), StoreError> {
        let text = consent.scope.to_string();
        let claims = to_json(&consent.claims, "consents.claims")?;
        on!(self, c => diesel::insert_into(consents::table)
            .values((
                consents::account.eq(consent.account.as_str()),
                consents::client.eq(consent.client.as_str()),
                consents::scope.eq(&text),
                consents::claims.eq(&claims),
                consents::given_at.eq(consent.given_at.0),
            ))
            .on_conflict((consents::account, consents::client))
            .do_update()
            .set((
                consents::scope.eq(&text),
                consents::claims.eq(&claims),
                consents::given_at.eq(consent.given_at.0),
            ))
            .execute(c))?;
        Ok(())
    }

    /// Forgets a consent; false if there was none.
    pub fn delete_consent(&mut self, account: &AccountId, client: &ClientId) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(
            consents::table.find((account.as_str(), client.as_str()))
        )
        .execute(c))?;
        Ok(gone == 1)
    }
}
