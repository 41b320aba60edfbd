//! Refusals: a ring that strangers cannot make grow. It is bounded in all and for each source, and repeats
//! within a minute are counted in one row.

use super::error::StoreError;
use super::read::{json, parse, parse_opt, storable, to_json};
use super::schema::refusals;
use super::tx::{Tx, on};
use crate::audit::{KeptRefusal, Refusal};
use crate::context::Timestamp;
use crate::ids::ReferenceId;
use crate::tokens::handle::Digest;
use diesel::prelude::*;
use std::time::Duration;

/// Repeats within this time are one row.
const COALESCED: Duration = Duration::from_secs(60);
/// One source may fill this part of the ring.
const SHARE: u32 = 16;

#[derive(Queryable, Selectable)]
#[diesel(table_name = refusals)]
struct Row {
    reference: String,
    at: i64,
    last_at: i64,
    times: i64,
    source: String,
    reason: String,
    provider: Option<String>,
    client: Option<String>,
    expected: Option<String>,
    received: Option<String>,
    steps: String,
    note: String,
}

impl Row {
    fn domain(self) -> Result<KeptRefusal, StoreError> {
        Ok(KeptRefusal {
            refusal: Refusal {
                reference: parse(&self.reference, "refusals.reference")?,
                at: Timestamp(self.at),
                source: self.source,
                reason: self.reason,
                provider: parse_opt(self.provider.as_deref(), "refusals.provider")?,
                client: parse_opt(self.client.as_deref(), "refusals.client")?,
                expected: self.expected,
                received: self.received,
                steps: json(&self.steps, "refusals.steps")?,
                note: self.note,
            },
            times: u64::try_from(self.times).map_err(|_| StoreError::corrupt("refusals.times"))?,
            last_at: Timestamp(self.last_at),
        })
    }
}

impl Tx<'_> {
    /// Keeps a refusal, at most `keep` in all and a sixteenth of that from one source; the oldest give way.
    ///
    /// Answers the reference to show to the person: that of the refusal, or, if the same source was refused
    /// for the same reason (same provider, same client, same findings) within the last minute, that of the
    /// row in which this one is counted. So whatever a row tells is true of all that it counts.
    pub fn put_refusal(&mut self, refusal: &Refusal, keep: u32) -> Result<ReferenceId, StoreError> {
        let source = storable(&refusal.source);
        let reason = storable(&refusal.reason);
        let provider = refusal.provider.as_ref().map(|id| id.as_str());
        let client = refusal.client.as_ref().map(|id| id.as_str());
        let steps = to_json(&refusal.steps, "refusals.steps")?;
        let facts = to_json(
            &(&reason, provider, client, &refusal.note, &refusal.expected, &refusal.received, &steps),
            "refusals.alike",
        )?;
        let alike = Digest::of(&facts).as_str().to_owned();
        let since = refusal.at.minus(COALESCED).0;
        let same: Option<(i64, String)> = on!(self, c => refusals::table
            .filter(refusals::source.eq(&source))
            .filter(refusals::alike.eq(&alike))
            .filter(refusals::at.gt(since))
            .order(refusals::seq.desc())
            .select((refusals::seq, refusals::reference))
            .first(c)
            .optional())?;
        if let Some((seq, reference)) = same {
            on!(self, c => diesel::update(refusals::table.find(seq))
                .set((refusals::times.eq(refusals::times + 1), refusals::last_at.eq(refusal.at.0)))
                .execute(c))?;
            return parse(&reference, "refusals.reference");
        }
        let seq: i64 = on!(self, c => diesel::insert_into(refusals::table)
            .values((
                refusals::reference.eq(refusal.reference.as_str()),
                refusals::at.eq(refusal.at.0),
                refusals::last_at.eq(refusal.at.0),
                refusals::times.eq(1),
                refusals::source.eq(&source),
                refusals::alike.eq(&alike),
                refusals::reason.eq(&reason),
                refusals::provider.eq(provider),
                refusals::client.eq(client),
                refusals::expected.eq(refusal.expected.as_deref().map(storable)),
                refusals::received.eq(refusal.received.as_deref().map(storable)),
                refusals::steps.eq(&steps),
                refusals::note.eq(storable(&refusal.note)),
            ))
            .returning(refusals::seq)
            .get_result(c))?;
        self.trim_refusals(&source, seq, keep)?;
        Ok(refusal.reference.clone())
    }

    fn trim_refusals(&mut self, source: &str, seq: i64, keep: u32) -> Result<(), StoreError> {
        let share = i64::from((keep / SHARE).max(1));
        let oldest: Option<i64> = on!(self, c => refusals::table
            .filter(refusals::source.eq(source))
            .order(refusals::seq.desc())
            .offset(share)
            .select(refusals::seq)
            .first(c)
            .optional())?;
        if let Some(oldest) = oldest {
            on!(self, c => diesel::delete(
                refusals::table.filter(refusals::source.eq(source)).filter(refusals::seq.le(oldest))
            )
            .execute(c))?;
        }
        // Counting the whole ring costs; every now and then makes room for all that come until the next time.
        let slack = i64::from((keep / 64).max(1));
        if seq % slack == 0 || slack == 1 {
            let room = i64::from(keep).saturating_sub(slack).max(1);
            let oldest: Option<i64> = on!(self, c => refusals::table
                .order(refusals::seq.desc())
                .offset(room)
                .select(refusals::seq)
                .first(c)
                .optional())?;
            if let Some(oldest) = oldest {
                on!(self, c => diesel::delete(refusals::table.filter(refusals::seq.le(oldest))).execute(c))?;
            }
        }
        Ok(())
    }

    /// The refusal of this reference, if the ring still has it.
    pub fn refusal(&mut self, reference: &ReferenceId) -> Result<Option<KeptRefusal>, StoreError> {
        let row: Option<Row> = on!(self, c => refusals::table
            .filter(refusals::reference.eq(reference.as_str()))
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// The refusals kept, the newest first.
    pub fn refusals(&mut self, limit: u32) -> Result<Vec<KeptRefusal>, StoreError> {
        let rows: Vec<Row> = on!(self, c => refusals::table
            .order(refusals::seq.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }
}
