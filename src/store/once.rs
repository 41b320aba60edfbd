//! What works once, and rows that wait for somebody to come back.

use super::error::StoreError;
use super::schema::{pending, used_once};
use super::tx::{Conn, Tx, on};
use crate::context::Timestamp;
use crate::tokens::handle::Digest;
use diesel::prelude::*;
use diesel::sql_types::{Array, Text};

/// Who else may be at a mark meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nobody: it is about to be set.
    Alone,
    /// Others who look, and nobody who sets it.
    Together,
}

impl Tx<'_> {
    /// Waits for its turn at these marks and keeps it to the end of the transaction, so that whoever sets one comes wholly
    /// before or wholly after those who look for it, whether it is there yet or not. Before the first look at any of them.
    pub fn take_turn(&mut self, marks: &[Digest], turn: Turn) -> Result<(), StoreError> {
        self.usable()?;
        let result = match &mut self.conn {
            // There is one writer, and this is its transaction.
            Conn::Sqlite(_) => Ok(0),
            Conn::Postgres(conn) => {
                // In one order for everybody, or two could wait for each other.
                let mut marks: Vec<&str> = marks.iter().map(Digest::as_str).collect();
                marks.sort_unstable();
                let locks = match turn {
                    Turn::Alone => {
                        "SELECT pg_advisory_xact_lock(hashtextextended(mark, 0)) FROM unnest($1) AS mark"
                    }
                    Turn::Together => {
                        "SELECT pg_advisory_xact_lock_shared(hashtextextended(mark, 0)) FROM unnest($1) AS mark"
                    }
                };
                diesel::sql_query(locks).bind::<Array<Text>, _>(marks).execute(*conn)
            }
        };
        self.settle(result, false).map(drop)
    }

    /// Uses up a thing of this purpose. True for exactly one of those who try, if its transaction is
    /// committed. It is remembered until `expires_at`, which must lie past the end of the thing's own life
    /// by the leeway that is given to clocks.
    pub fn use_once(
        &mut self,
        purpose: &str,
        digest: &Digest,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = format!("{purpose}:{}", digest.as_str());
        let added = on!(self, c => diesel::insert_into(used_once::table)
            .values((used_once::key.eq(&key), used_once::expires_at.eq(expires_at.0)))
            .on_conflict(used_once::key)
            .do_nothing()
            .execute(c))?;
        Ok(added == 1)
    }

    /// Whether a thing of this purpose was used up and is still remembered.
    pub fn is_used(&mut self, purpose: &str, digest: &Digest, now: Timestamp) -> Result<bool, StoreError> {
        let key = format!("{purpose}:{}", digest.as_str());
        let found: Option<String> = on!(self, c => used_once::table
            .find(&key)
            .filter(used_once::expires_at.gt(now.0))
            .select(used_once::key)
            .first(c)
            .optional())?;
        Ok(found.is_some())
    }

    /// Remembers a thing of this purpose until then, or longer if it is remembered for longer already.
    pub fn remember_until(
        &mut self,
        purpose: &str,
        digest: &Digest,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let key = format!("{purpose}:{}", digest.as_str());
        // One statement, which compares with the row that it waited for: another may be writing it.
        on!(self, c => {
            let kept = diesel::insert_into(used_once::table)
                .values((used_once::key.eq(&key), used_once::expires_at.eq(expires_at.0)))
                .on_conflict(used_once::key)
                .do_update()
                .set(used_once::expires_at.eq(expires_at.0));
            diesel::query_dsl::methods::FilterDsl::filter(kept, used_once::expires_at.lt(expires_at.0)).execute(c)
        })?;
        Ok(())
    }

    /// Until when a thing of this purpose is remembered, if it still is.
    pub fn remembered_until(
        &mut self,
        purpose: &str,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = format!("{purpose}:{}", digest.as_str());
        let found: Option<i64> = on!(self, c => used_once::table
            .find(&key)
            .filter(used_once::expires_at.gt(now.0))
            .select(used_once::expires_at)
            .first(c)
            .optional())?;
        Ok(found.map(Timestamp))
    }

    /// Keeps a sealed blob under the digest of its handle, in place of what was there.
    pub fn put_pending(
        &mut self,
        digest: &Digest,
        sealed: &[u8],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        on!(self, c => diesel::insert_into(pending::table)
            .values((
                pending::digest.eq(digest.as_str()),
                pending::sealed.eq(sealed),
                pending::expires_at.eq(expires_at.0),
            ))
            .on_conflict(pending::digest)
            .do_update()
            .set((pending::sealed.eq(sealed), pending::expires_at.eq(expires_at.0)))
            .execute(c))?;
        Ok(())
    }

    /// The sealed blob, unless it has expired.
    pub fn pending(&mut self, digest: &Digest, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        on!(self, c => pending::table
            .find(digest.as_str())
            .filter(pending::expires_at.gt(now.0))
            .select(pending::sealed)
            .first(c)
            .optional())
    }

    /// Removes it; false if it was not there.
    pub fn delete_pending(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(pending::table.find(digest.as_str())).execute(c))?;
        Ok(gone == 1)
    }
}
