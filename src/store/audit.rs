//! Audit events, in the order in which they were written.

use super::error::StoreError;
use super::read::{json, parse, parse_opt, storable, to_json};
use super::schema::audit_events;
use super::tx::{Tx, on};
use crate::audit::{Actor, AuditEvent};
use crate::context::Timestamp;
use crate::ids::{AccountId, ReferenceId};
use diesel::prelude::*;

/// An event with its place in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Grows from event to event, with gaps.
    pub seq: i64,
    /// What happened.
    pub event: AuditEvent,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
struct Row {
    seq: i64,
    at: i64,
    kind: String,
    actor_kind: String,
    actor: String,
    account: Option<String>,
    client: Option<String>,
    provider: Option<String>,
    reason: Option<String>,
    reference: Option<String>,
    data: String,
}

impl Row {
    fn domain(self) -> Result<AuditRecord, StoreError> {
        let actor = Actor::from_parts(&self.actor_kind, &self.actor)
            .map_err(|_| StoreError::corrupt("audit_events.actor"))?;
        let event = AuditEvent {
            at: Timestamp(self.at),
            kind: parse(&self.kind, "audit_events.kind")?,
            actor,
            account: parse_opt(self.account.as_deref(), "audit_events.account")?,
            client: parse_opt(self.client.as_deref(), "audit_events.client")?,
            provider: parse_opt(self.provider.as_deref(), "audit_events.provider")?,
            reason: self.reason,
            reference: parse_opt(self.reference.as_deref(), "audit_events.reference")?,
            data: json(&self.data, "audit_events.data")?,
        };
        Ok(AuditRecord { seq: self.seq, event })
    }
}

impl Tx<'_> {
    /// Writes an event; it is committed with the change that it tells of.
    pub fn append_audit(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        let data = to_json(&event.data, "audit_events.data")?;
        on!(self, c => diesel::insert_into(audit_events::table)
            .values((
                audit_events::at.eq(event.at.0),
                audit_events::kind.eq(event.kind.as_str()),
                audit_events::actor_kind.eq(event.actor.kind()),
                audit_events::actor.eq(storable(event.actor.name())),
                audit_events::account.eq(event.account.as_ref().map(|id| id.as_str())),
                audit_events::client.eq(event.client.as_ref().map(|id| id.as_str())),
                audit_events::provider.eq(event.provider.as_ref().map(|id| id.as_str())),
                audit_events::reason.eq(event.reason.as_deref().map(storable)),
                audit_events::reference.eq(event.reference.as_ref().map(|id| id.as_str())),
                audit_events::data.eq(&data),
            ))
            .execute(c))?;
        Ok(())
    }

    /// Events that concern the account, the newest first, those before `before` if it is given.
    pub fn audit_of(
        &mut self,
        account: &AccountId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let rows: Vec<Row> = on!(self, c => audit_events::table
            .filter(audit_events::account.eq(account.as_str()))
            .filter(audit_events::seq.lt(before.unwrap_or(i64::MAX)))
            .order(audit_events::seq.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// All events, the newest first, those before `before` if it is given.
    pub fn audit(&mut self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows: Vec<Row> = on!(self, c => audit_events::table
            .filter(audit_events::seq.lt(before.unwrap_or(i64::MAX)))
            .order(audit_events::seq.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// Events that carry the reference, the oldest first.
    pub fn audit_by_reference(&mut self, reference: &ReferenceId) -> Result<Vec<AuditRecord>, StoreError> {
        let rows: Vec<Row> = on!(self, c => audit_events::table
            .filter(audit_events::reference.eq(reference.as_str()))
            .order(audit_events::seq.asc())
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }
}
