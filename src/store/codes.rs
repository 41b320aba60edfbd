//! Authorization codes, each redeemed once.

use super::error::StoreError;
use super::read::{at_opt, json, parse, scope, to_json};
use super::schema::codes;
use super::tx::{Tx, on};
use crate::context::Timestamp;
use crate::tokens::CodeRecord;
use crate::tokens::handle::Digest;
use diesel::prelude::*;

/// What became of an attempt to redeem a code (RFC 6749 §4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeOutcome {
    /// No such code, or forgotten long ago.
    Unknown,
    /// It was never redeemed in its time.
    Expired(CodeRecord),
    /// It was redeemed before: what it gave is to be revoked.
    Replayed(CodeRecord),
    /// It is redeemed by this very transaction.
    Fresh(CodeRecord),
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = codes)]
struct Row {
    digest: String,
    grant_id: String,
    client: String,
    redirect_uri: Option<String>,
    challenge: Option<String>,
    nonce: Option<String>,
    scope: String,
    resources: String,
    expires_at: i64,
    used_at: Option<i64>,
}

impl Row {
    fn new(code: &CodeRecord) -> Result<Self, StoreError> {
        Ok(Self {
            digest: code.digest.as_str().to_owned(),
            grant_id: code.grant.as_str().to_owned(),
            client: code.client.as_str().to_owned(),
            redirect_uri: code.redirect_uri.clone(),
            challenge: code.challenge.clone(),
            nonce: code.nonce.clone(),
            scope: code.scope.to_string(),
            resources: to_json(&code.resources, "codes.resources")?,
            expires_at: code.expires_at.0,
            used_at: code.used_at.map(|at| at.0),
        })
    }
    fn domain(self) -> Result<CodeRecord, StoreError> {
        Ok(CodeRecord {
            digest: Digest::from_stored(self.digest),
            grant: parse(&self.grant_id, "codes.grant_id")?,
            client: parse(&self.client, "codes.client")?,
            redirect_uri: self.redirect_uri,
            challenge: self.challenge,
            nonce: self.nonce,
            scope: scope(&self.scope, "codes.scope")?,
            resources: json(&self.resources, "codes.resources")?,
            expires_at: Timestamp(self.expires_at),
            used_at: at_opt(self.used_at),
        })
    }
}

impl Tx<'_> {
    /// Adds a code.
    ///
    /// # Errors
    /// `Conflict("code")` if its digest is in use; `Conflict("reference")` if there is no such grant.
    pub fn insert_code(&mut self, code: &CodeRecord) -> Result<(), StoreError> {
        let row = Row::new(code)?;
        let added = on!(self, c => diesel::insert_into(codes::table)
            .values(&row)
            .on_conflict(codes::digest)
            .do_nothing()
            .execute(c))?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("code")) }
    }

    /// Redeems a code. `Fresh` for exactly one of those who try, if its transaction is committed.
    pub fn consume_code(&mut self, digest: &Digest, now: Timestamp) -> Result<CodeOutcome, StoreError> {
        let fresh: Option<Row> = on!(self, c => diesel::update(codes::table.find(digest.as_str()))
            .filter(codes::used_at.is_null())
            .filter(codes::expires_at.gt(now.0))
            .set(codes::used_at.eq(now.0))
            .returning(Row::as_returning())
            .get_result(c)
            .optional())?;
        if let Some(row) = fresh {
            return Ok(CodeOutcome::Fresh(row.domain()?));
        }
        let row: Option<Row> = on!(self, c => codes::table
            .find(digest.as_str())
            .select(Row::as_select())
            .first(c)
            .optional())?;
        Ok(match row.map(Row::domain).transpose()? {
            None => CodeOutcome::Unknown,
            Some(code) if code.used_at.is_some() => CodeOutcome::Replayed(code),
            Some(code) => CodeOutcome::Expired(code),
        })
    }
}
