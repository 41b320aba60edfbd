//! Pushed authorization requests: rows that strangers cannot make grow beyond their bounds.

use super::error::StoreError;
use super::read::{parse, storable};
use super::schema::pushed_requests;
use super::tx::{Tx, on};
use crate::context::Timestamp;
use crate::tokens::PushedRecord;
use crate::tokens::handle::Digest;
use diesel::prelude::*;

/// How many requests may wait at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of one client.
    pub client: u32,
    /// From one source.
    pub source: u32,
}

/// What became of a request that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is kept.
    Kept,
    /// The client has as many waiting as it may.
    ClientFull,
    /// The source has.
    SourceFull,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = pushed_requests)]
struct Row {
    digest: String,
    client: String,
    source: String,
    sealed: Vec<u8>,
    expires_at: i64,
}

impl Row {
    fn domain(self) -> Result<PushedRecord, StoreError> {
        Ok(PushedRecord {
            digest: Digest::from_stored(self.digest),
            client: parse(&self.client, "pushed_requests.client")?,
            source: self.source,
            sealed: self.sealed,
            expires_at: Timestamp(self.expires_at),
        })
    }
}

impl Tx<'_> {
    /// Keeps a pushed request within the bounds; those that are over do not count. On PostgreSQL requests that
    /// come at the very same moment may go beyond a bound, by the number of connections at most.
    ///
    /// # Errors
    /// `Conflict("pushed")` if its digest is in use.
    pub fn insert_pushed(
        &mut self,
        record: &PushedRecord,
        bounds: Bounds,
        now: Timestamp,
    ) -> Result<Pushed, StoreError> {
        let source = storable(&record.source);
        let of_client: i64 = on!(self, c => pushed_requests::table
            .filter(pushed_requests::client.eq(record.client.as_str()))
            .filter(pushed_requests::expires_at.gt(now.0))
            .count()
            .get_result(c))?;
        if of_client >= i64::from(bounds.client) {
            return Ok(Pushed::ClientFull);
        }
        let of_source: i64 = on!(self, c => pushed_requests::table
            .filter(pushed_requests::source.eq(&source))
            .filter(pushed_requests::expires_at.gt(now.0))
            .count()
            .get_result(c))?;
        if of_source >= i64::from(bounds.source) {
            return Ok(Pushed::SourceFull);
        }
        let added = on!(self, c => diesel::insert_into(pushed_requests::table)
            .values((
                pushed_requests::digest.eq(record.digest.as_str()),
                pushed_requests::client.eq(record.client.as_str()),
                pushed_requests::source.eq(&source),
                pushed_requests::sealed.eq(&record.sealed),
                pushed_requests::expires_at.eq(record.expires_at.0),
            ))
            .on_conflict(pushed_requests::digest)
            .do_nothing()
            .execute(c))?;
        if added == 1 { Ok(Pushed::Kept) } else { Err(StoreError::Conflict("pushed")) }
    }

    /// The pushed request, unless it is over or used. Reading it changes nothing, so a page may be loaded again.
    pub fn pushed(&mut self, digest: &Digest, now: Timestamp) -> Result<Option<PushedRecord>, StoreError> {
        let row: Option<Row> = on!(self, c => pushed_requests::table
            .find(digest.as_str())
            .filter(pushed_requests::expires_at.gt(now.0))
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// Uses a pushed request up. True for exactly one of those who try, if its transaction is committed; also
    /// once it is over, for a sign-in that began in its time may end later. `until` must lie past the end of
    /// every such sign-in.
    pub fn consume_pushed(&mut self, digest: &Digest, until: Timestamp) -> Result<bool, StoreError> {
        let first = self.use_once("pushed", digest, until)?;
        if first {
            on!(self, c => diesel::delete(pushed_requests::table.find(digest.as_str())).execute(c))?;
        }
        Ok(first)
    }
}
