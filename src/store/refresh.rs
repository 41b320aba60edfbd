//! Refresh tokens, each rotated once.

use super::error::StoreError;
use super::read::{at_opt, digest_opt, json, parse, scope, to_json};
use super::schema::refresh_tokens;
use super::tx::{Tx, on};
use crate::context::Timestamp;
use crate::tokens::RefreshRecord;
use crate::tokens::handle::Digest;
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_tokens)]
struct Row {
    digest: String,
    grant_id: String,
    client: String,
    scope: String,
    resources: String,
    issued_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
    successor: Option<String>,
    sealed_successor: Option<Vec<u8>>,
}

impl Row {
    fn new(token: &RefreshRecord) -> Result<Self, StoreError> {
        Ok(Self {
            digest: token.digest.as_str().to_owned(),
            grant_id: token.grant.as_str().to_owned(),
            client: token.client.as_str().to_owned(),
            scope: token.scope.to_string(),
            resources: to_json(&token.resources, "refresh_tokens.resources")?,
            issued_at: token.issued_at.0,
            expires_at: token.expires_at.0,
            used_at: token.used_at.map(|at| at.0),
            successor: token.successor.as_ref().map(|d| d.as_str().to_owned()),
            sealed_successor: token.sealed_successor.clone(),
        })
    }
    fn domain(self) -> Result<RefreshRecord, StoreError> {
        Ok(RefreshRecord {
            digest: Digest::from_stored(self.digest),
            grant: parse(&self.grant_id, "refresh_tokens.grant_id")?,
            client: parse(&self.client, "refresh_tokens.client")?,
            scope: scope(&self.scope, "refresh_tokens.scope")?,
            resources: json(&self.resources, "refresh_tokens.resources")?,
            issued_at: Timestamp(self.issued_at),
            expires_at: Timestamp(self.expires_at),
            used_at: at_opt(self.used_at),
            successor: digest_opt(self.successor),
            sealed_successor: self.sealed_successor,
        })
    }
}

impl Tx<'_> {
    /// Adds a refresh token.
    ///
    /// # Errors
    /// `Conflict("refresh")` if its digest is in use; `Conflict("reference")` if there is no such grant.
    pub fn insert_refresh(&mut self, token: &RefreshRecord) -> Result<(), StoreError> {
        let row = Row::new(token)?;
        let added = on!(self, c => diesel::insert_into(refresh_tokens::table)
            .values(&row)
            .on_conflict(refresh_tokens::digest)
            .do_nothing()
            .execute(c))?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("refresh")) }
    }

    /// The refresh token, used or not.
    pub fn refresh(&mut self, digest: &Digest) -> Result<Option<RefreshRecord>, StoreError> {
        let row: Option<Row> = on!(self, c => refresh_tokens::table
            .find(digest.as_str())
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// Marks the token as used and names its one successor, whose text may be kept sealed. True for exactly
    /// one of those who try, if its transaction is committed; false for a token that has expired.
    pub fn rotate_refresh(
        &mut self,
        digest: &Digest,
        successor: &Digest,
        sealed: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(refresh_tokens::table.find(digest.as_str()))
            .filter(refresh_tokens::used_at.is_null())
            .filter(refresh_tokens::expires_at.gt(now.0))
            .set((
                refresh_tokens::used_at.eq(now.0),
                refresh_tokens::successor.eq(successor.as_str()),
                refresh_tokens::sealed_successor.eq(sealed),
            ))
            .execute(c))?;
        Ok(changed == 1)
    }
}
