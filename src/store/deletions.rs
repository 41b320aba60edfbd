//! Receipts of deletions that people asked for at a provider.

use super::error::StoreError;
use super::read::parse;
use super::schema::deletions;
use super::tx::{Tx, on};
use crate::accounts::{Deletion, DeletionOutcome};
use crate::context::Timestamp;
use crate::tokens::handle::Digest;
use diesel::prelude::*;

#[derive(Queryable, Selectable)]
#[diesel(table_name = deletions)]
struct Row {
    provider: String,
    outcome: String,
    done_at: i64,
    expires_at: i64,
}

impl Tx<'_> {
    /// Begins a receipt under the digest of its code. True for exactly one of those who try.
    pub fn insert_deletion(&mut self, digest: &Digest, deletion: &Deletion) -> Result<bool, StoreError> {
        let added = on!(self, c => diesel::insert_into(deletions::table)
            .values((
                deletions::digest.eq(digest.as_str()),
                deletions::provider.eq(deletion.provider.as_str()),
                deletions::outcome.eq(deletion.outcome.as_str()),
                deletions::done_at.eq(deletion.done_at.0),
                deletions::expires_at.eq(deletion.expires_at.0),
            ))
            .on_conflict(deletions::digest)
            .do_nothing()
            .execute(c))?;
        Ok(added == 1)
    }

    /// Writes on a receipt what became of the request; false if there is none.
    pub fn settle_deletion(&mut self, digest: &Digest, outcome: DeletionOutcome) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(deletions::table.find(digest.as_str()))
            .set(deletions::outcome.eq(outcome.as_str()))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// The receipt of this code, unless its time is over.
    pub fn deletion(&mut self, digest: &Digest, now: Timestamp) -> Result<Option<Deletion>, StoreError> {
        let row: Option<Row> = on!(self, c => deletions::table
            .find(digest.as_str())
            .filter(deletions::expires_at.gt(now.0))
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(|row| {
            Ok(Deletion {
                provider: parse(&row.provider, "deletions.provider")?,
                outcome: parse(&row.outcome, "deletions.outcome")?,
                done_at: Timestamp(row.done_at),
                expires_at: Timestamp(row.expires_at),
            })
        })
        .transpose()
    }
}
