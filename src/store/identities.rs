//! External identities and the accounts to which they lead.

use super::error::StoreError;
use super::read::{json, parse, storable, to_json};
use super::schema::identities;
use super::tx::{Tx, on};
use crate::accounts::said::Said;
use crate::accounts::{Identity, IdentityKey};
use crate::context::Timestamp;
use crate::ids::{AccountId, IdentityId};
use diesel::prelude::*;
use std::collections::BTreeSet;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = identities)]
struct Row {
    id: String,
    account: String,
    provider: String,
    issuer: String,
    subject: String,
    format: String,
    label: Option<String>,
    linked_at: i64,
    last_used_at: i64,
}

impl Row {
    fn new(identity: &Identity) -> Self {
        Self {
            id: identity.id.as_str().to_owned(),
            account: identity.account.as_str().to_owned(),
            provider: identity.key.provider.as_str().to_owned(),
            issuer: identity.key.issuer.clone(),
            subject: identity.key.subject.clone(),
            format: identity.key.format.clone(),
            label: identity.label.as_deref().map(storable),
            linked_at: identity.linked_at.0,
            last_used_at: identity.last_used_at.0,
        }
    }
    fn domain(self) -> Result<Identity, StoreError> {
        Ok(Identity {
            id: parse(&self.id, "identities.id")?,
            account: parse(&self.account, "identities.account")?,
            key: IdentityKey {
                provider: parse(&self.provider, "identities.provider")?,
                issuer: self.issuer,
                subject: self.subject,
                format: self.format,
            },
            label: self.label,
            linked_at: Timestamp(self.linked_at),
            last_used_at: Timestamp(self.last_used_at),
        })
    }
}

/// What the index of PostgreSQL can take for the key's parts together, in bytes, with room to spare.
const KEY: usize = 2048;

/// Whether both databases can store the key; neither has one that they cannot.
fn storable_key(key: &IdentityKey) -> bool {
    let parts = [key.provider.as_str(), &key.issuer, &key.subject, &key.format];
    parts.iter().map(|part| part.len()).sum::<usize>() <= KEY && parts.iter().all(|part| !part.contains('\0'))
}

impl Tx<'_> {
    /// The link of this external identity.
    pub fn identity(&mut self, key: &IdentityKey) -> Result<Option<Identity>, StoreError> {
        if !storable_key(key) {
            return Ok(None);
        }
        let row: Option<Row> = on!(self, c => identities::table
            .filter(identities::provider.eq(key.provider.as_str()))
            .filter(identities::issuer.eq(&key.issuer))
            .filter(identities::subject.eq(&key.subject))
            .filter(identities::format.eq(&key.format))
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// All identities that lead to the account, the oldest first.
    pub fn identities_of(&mut self, account: &AccountId) -> Result<Vec<Identity>, StoreError> {
        let rows: Vec<Row> = on!(self, c => identities::table
            .filter(identities::account.eq(account.as_str()))
            .order((identities::linked_at.asc(), identities::id.asc()))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// Links an external identity to an account.
    ///
    /// # Errors
    /// `Conflict("identity")` if it is linked already, to whomever; `Conflict("reference")` if there is no
    /// such account; `Conflict("identity_key")` if the key is longer than 2048 bytes or has a NUL.
    pub fn insert_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        if !storable_key(&identity.key) {
            return Err(StoreError::Conflict("identity_key"));
        }
        let row = Row::new(identity);
        let added = on!(self, c => diesel::insert_into(identities::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(c))?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("identity")) }
    }

    /// Notes that the identity has signed in, and what people recognise it by now.
    pub fn touch_identity(
        &mut self,
        id: &IdentityId,
        label: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let label = label.map(storable);
        let changed = on!(self, c => diesel::update(identities::table.find(id.as_str()))
            .set((identities::label.eq(&label), identities::last_used_at.eq(now.0)))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// What of the account's profile each of its identities stands behind.
    pub fn said_of(&mut self, account: &AccountId) -> Result<Said, StoreError> {
        let rows: Vec<(String, String)> = on!(self, c => identities::table
            .filter(identities::account.eq(account.as_str()))
            .select((identities::id, identities::said))
            .load(c))?;
        rows.iter()
            .map(|(id, said)| Ok((parse(id, "identities.id")?, json(said, "identities.said")?)))
            .collect()
    }

    /// Notes what of its account's profile the identity stands behind; false if there is no such identity.
    pub fn put_said(&mut self, id: &IdentityId, said: &BTreeSet<String>) -> Result<bool, StoreError> {
        let text = to_json(said, "identities.said")?;
        let changed = on!(self, c => diesel::update(identities::table.find(id.as_str()))
            .set(identities::said.eq(&text))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Forgets all of the link but its key, so that whom it leads to is still known; false if there was none.
    pub fn bare_identity(&mut self, id: &IdentityId) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(identities::table.find(id.as_str()))
            .set((identities::label.eq(None::<String>), identities::said.eq("[]")))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Takes the link away; false if there was none.
    pub fn delete_identity(&mut self, id: &IdentityId) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(identities::table.find(id.as_str())).execute(c))?;
        Ok(gone == 1)
    }
}
