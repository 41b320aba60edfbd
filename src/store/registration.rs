//! Clients that registered themselves, and the tokens that allow it. They are apart from the clients made by command:
//! there may be many, and each change is told to other nodes by itself (`revision`).

use super::error::StoreError;
use super::read::{at_opt, json, parse, storable, to_json};
use super::schema::{counters, registered_clients, registration_tokens};
use super::tx::{Tx, on};
use crate::clients::dynamic::{Registered, RegistrationToken};
use crate::context::Timestamp;
use crate::ids::ClientId;
use crate::tokens::handle::Digest;
use diesel::prelude::*;

/// A stored registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRecord {
    /// What is in force.
    pub registered: Registered,
    /// The digest of the token that manages it.
    pub access: Digest,
    /// Where it came from: an address as far as it says where somebody is.
    pub source: String,
    /// The initial access token that allowed it.
    pub token: Option<String>,
    /// When it first got tokens.
    pub used_at: Option<Timestamp>,
}

/// What became of a registration: it stands, or it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationChange {
    /// The client.
    pub id: ClientId,
    /// What is in force; none if it was removed.
    pub record: Option<RegistrationRecord>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = registered_clients)]
struct Row {
    id: String,
    body: Option<String>,
    access: String,
    source: String,
    token: Option<String>,
    created_at: i64,
    used_at: Option<i64>,
    removed_at: Option<i64>,
    revision: i64,
}

impl Row {
    fn record(self) -> Result<Option<RegistrationRecord>, StoreError> {
        let Some(body) = self.body else { return Ok(None) };
        Ok(Some(RegistrationRecord {
            registered: json(&body, "registered_clients.body")?,
            access: Digest::from_stored(self.access),
            source: self.source,
            token: self.token,
            used_at: at_opt(self.used_at),
        }))
    }
    fn change(self) -> Result<RegistrationChange, StoreError> {
        Ok(RegistrationChange { id: parse(&self.id, "registered_clients.id")?, record: self.record()? })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = registration_tokens)]
struct TokenRow {
    id: String,
    digest: String,
    note: String,
    narrowing: String,
    uses_left: Option<i64>,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
}

impl TokenRow {
    fn domain(self) -> Result<RegistrationToken, StoreError> {
        let uses = self.uses_left.map(u32::try_from).transpose();
        Ok(RegistrationToken {
            id: self.id,
            note: self.note,
            narrowing: json(&self.narrowing, "registration_tokens.narrowing")?,
            uses_left: uses.map_err(|_| StoreError::corrupt("registration_tokens.uses_left"))?,
            created_by: self.created_by,
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
            revoked_at: at_opt(self.revoked_at),
        })
    }
}

impl Tx<'_> {
    /// The number of the latest change to registrations.
    pub fn registered_version(&mut self) -> Result<u64, StoreError> {
        let value: Option<i64> = on!(self, c => counters::table
            .find("registered")
            .select(counters::value)
            .first(c)
            .optional())?;
        u64::try_from(value.unwrap_or(0)).map_err(|_| StoreError::corrupt("counters.value"))
    }

    /// Takes the number of the next change. Its row is held to the end of the transaction, so changes become
    /// visible in the order of their numbers, and counts that are made after it hold.
    pub fn next_registered_version(&mut self) -> Result<u64, StoreError> {
        on!(self, c => diesel::insert_into(counters::table)
            .values((counters::name.eq("registered"), counters::value.eq(1)))
            .on_conflict(counters::name)
            .do_update()
            .set(counters::value.eq(counters::value + 1))
            .execute(c))?;
        self.registered_version()
    }

    /// What changed after the change of this number.
    pub fn registered_changes(&mut self, after: u64) -> Result<Vec<RegistrationChange>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows: Vec<Row> = on!(self, c => registered_clients::table
            .filter(registered_clients::revision.gt(after))
            .order(registered_clients::revision.asc())
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::change).collect()
    }

    /// All registrations that stand, in the order of their ids.
    pub fn registrations(&mut self) -> Result<Vec<RegistrationRecord>, StoreError> {
        let rows: Vec<Row> = on!(self, c => registered_clients::table
            .filter(registered_clients::removed_at.is_null())
            .order(registered_clients::id.asc())
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().filter_map(|row| row.record().transpose()).collect()
    }

    /// One registration, if it stands.
    pub fn registration(&mut self, id: &ClientId) -> Result<Option<RegistrationRecord>, StoreError> {
        let row: Option<Row> = on!(self, c => registered_clients::table
            .find(id.as_str())
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map_or(Ok(None), Row::record)
    }

    /// How many stand.
    pub fn count_registrations(&mut self) -> Result<u64, StoreError> {
        let count: i64 = on!(self, c => registered_clients::table
            .filter(registered_clients::removed_at.is_null())
            .count()
            .get_result(c))?;
        u64::try_from(count).map_err(|_| StoreError::corrupt("registered_clients"))
    }

    /// How many came from one source since then, whether they stand or not.
    pub fn count_registrations_from(&mut self, source: &str, since: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = on!(self, c => registered_clients::table
            .filter(registered_clients::source.eq(source).and(registered_clients::created_at.gt(since.0)))
            .count()
            .get_result(c))?;
        u64::try_from(count).map_err(|_| StoreError::corrupt("registered_clients"))
    }

    /// Adds a registration under a number of [`Tx::next_registered_version`].
    ///
    /// # Errors
    /// `Conflict("client")` if its id is in use.
    pub fn insert_registration(
        &mut self,
        record: &RegistrationRecord,
        version: u64,
    ) -> Result<(), StoreError> {
        let registered = &record.registered;
        let row = Row {
            id: registered.client.id.to_string(),
            body: Some(to_json(registered, "registered_clients.body")?),
            access: record.access.as_str().to_owned(),
            source: storable(&record.source),
            token: record.token.clone(),
            created_at: registered.issued_at.0,
            used_at: record.used_at.map(|at| at.0),
            removed_at: None,
            revision: i64::try_from(version).unwrap_or(i64::MAX),
        };
        let added = on!(self, c => diesel::insert_into(registered_clients::table)
            .values(&row)
            .on_conflict(registered_clients::id)
            .do_nothing()
            .execute(c))?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("client")) }
    }

    /// Replaces what is in force; false if the registration does not stand any more.
    pub fn put_registration(&mut self, registered: &Registered, version: u64) -> Result<bool, StoreError> {
        let body = to_json(registered, "registered_clients.body")?;
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let changed = on!(self, c => diesel::update(registered_clients::table.find(registered.client.id.as_str()))
            .filter(registered_clients::removed_at.is_null())
            .set((registered_clients::body.eq(&body), registered_clients::revision.eq(version)))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Removes a registration; false if it did not stand. Its grants are for the caller to revoke.
    pub fn remove_registration(
        &mut self,
        id: &ClientId,
        now: Timestamp,
        version: u64,
    ) -> Result<bool, StoreError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let changed = on!(self, c => diesel::update(registered_clients::table.find(id.as_str()))
            .filter(registered_clients::removed_at.is_null())
            .set((
                registered_clients::body.eq(None::<String>),
                registered_clients::removed_at.eq(now.0),
                registered_clients::revision.eq(version),
            ))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Notes that a client got tokens for the first time.
    pub fn mark_registration_used(&mut self, id: &ClientId, now: Timestamp) -> Result<(), StoreError> {
        on!(self, c => diesel::update(registered_clients::table.find(id.as_str()))
            .filter(registered_clients::used_at.is_null())
            .set(registered_clients::used_at.eq(now.0))
            .execute(c))?;
        Ok(())
    }

    /// Some of those that were made before then and never got tokens.
    pub fn unused_registrations(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<ClientId>, StoreError> {
        let ids: Vec<String> = on!(self, c => registered_clients::table
            .filter(registered_clients::used_at.is_null())
            .filter(registered_clients::removed_at.is_null())
            .filter(registered_clients::created_at.le(before.0))
            .order(registered_clients::created_at.asc())
            .select(registered_clients::id)
            .limit(i64::from(most))
            .load(c))?;
        ids.iter().map(|id| parse(id, "registered_clients.id")).collect()
    }

    /// Adds an initial access token.
    pub fn insert_registration_token(
        &mut self,
        token: &RegistrationToken,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let row = TokenRow {
            id: token.id.clone(),
            digest: digest.as_str().to_owned(),
            note: storable(&token.note),
            narrowing: to_json(&token.narrowing, "registration_tokens.narrowing")?,
            uses_left: token.uses_left.map(i64::from),
            created_by: storable(&token.created_by),
            created_at: token.created_at.0,
            expires_at: token.expires_at.0,
            revoked_at: token.revoked_at.map(|at| at.0),
        };
        on!(self, c => diesel::insert_into(registration_tokens::table).values(&row).execute(c))?;
        Ok(())
    }

    /// All of them, the newest first.
    pub fn registration_tokens(&mut self) -> Result<Vec<RegistrationToken>, StoreError> {
        let rows: Vec<TokenRow> = on!(self, c => registration_tokens::table
            .order((registration_tokens::created_at.desc(), registration_tokens::id.asc()))
            .select(TokenRow::as_select())
            .load(c))?;
        rows.into_iter().map(TokenRow::domain).collect()
    }

    /// The token of this digest, whether it can be used or not.
    pub fn registration_token(&mut self, digest: &Digest) -> Result<Option<RegistrationToken>, StoreError> {
        let row: Option<TokenRow> = on!(self, c => registration_tokens::table
            .filter(registration_tokens::digest.eq(digest.as_str()))
            .select(TokenRow::as_select())
            .first(c)
            .optional())?;
        row.map(TokenRow::domain).transpose()
    }

    /// Takes one use of a token. True for as many of those who try as it has uses, if their transactions are
    /// committed.
    pub fn use_registration_token(&mut self, digest: &Digest, now: Timestamp) -> Result<bool, StoreError> {
        let taken = on!(self, c => diesel::update(
                registration_tokens::table.filter(registration_tokens::digest.eq(digest.as_str()))
            )
            .filter(registration_tokens::revoked_at.is_null())
            .filter(registration_tokens::expires_at.gt(now.0))
            .filter(registration_tokens::uses_left.is_null().or(registration_tokens::uses_left.gt(0)))
            .set(registration_tokens::uses_left.eq(registration_tokens::uses_left - 1))
            .execute(c))?;
        Ok(taken == 1)
    }

    /// Ends a token; false if there is none of that id that could still be used.
    pub fn revoke_registration_token(&mut self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let ended = on!(self, c => diesel::update(registration_tokens::table.find(id))
            .filter(registration_tokens::revoked_at.is_null())
            .set(registration_tokens::revoked_at.eq(now.0))
            .execute(c))?;
        Ok(ended == 1)
    }
}
