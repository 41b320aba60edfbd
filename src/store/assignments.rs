//! Groups and roles of accounts, with their provenance.

use super::error::StoreError;
use super::read::parse;
use super::schema::assignments;
use super::tx::{Tx, on};
use crate::accounts::{Assignment, Provenance, Target};
use crate::context::Timestamp;
use crate::ids::AccountId;
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = assignments)]
struct Row {
    account: String,
    kind: String,
    name: String,
    origin: String,
    source: String,
    rule: String,
    assigned_at: i64,
}

impl Row {
    fn new(account: &AccountId, assignment: &Assignment, now: Timestamp) -> Self {
        let (origin, source, rule) = match &assignment.provenance {
            Provenance::Provider { provider, rule } => ("provider", provider.as_str(), rule.as_str()),
            Provenance::Configuration => ("configuration", "", ""),
            Provenance::Admin(name) => ("admin", name.as_str(), ""),
        };
        Self {
            account: account.as_str().to_owned(),
            kind: assignment.target.kind().to_owned(),
            name: assignment.target.name().to_owned(),
            origin: origin.to_owned(),
            source: source.to_owned(),
            rule: rule.to_owned(),
            assigned_at: now.0,
        }
    }
    fn domain(self) -> Result<Assignment, StoreError> {
        let target = match self.kind.as_str() {
            "group" => Target::Group(parse(&self.name, "assignments.name")?),
            "role" => Target::Role(parse(&self.name, "assignments.name")?),
            _ => return Err(StoreError::corrupt("assignments.kind")),
        };
        let provenance = match self.origin.as_str() {
            "provider" => {
                Provenance::Provider { provider: parse(&self.source, "assignments.source")?, rule: self.rule }
            }
            "configuration" => Provenance::Configuration,
            "admin" => Provenance::Admin(self.source),
            _ => return Err(StoreError::corrupt("assignments.origin")),
        };
        Ok(Assignment { target, provenance })
    }
}

impl Tx<'_> {
    /// All assignments of the account, in order.
    pub fn assignments_of(&mut self, account: &AccountId) -> Result<Vec<Assignment>, StoreError> {
        let rows: Vec<Row> = on!(self, c => assignments::table
            .filter(assignments::account.eq(account.as_str()))
            .select(Row::as_select())
            .load(c))?;
        let mut all: Vec<Assignment> = rows.into_iter().map(Row::domain).collect::<Result<_, _>>()?;
        all.sort();
        Ok(all)
    }

    /// Adds an assignment; false if it was there already.
    ///
    /// # Errors
    /// `Conflict("reference")` if there is no such account.
    pub fn add_assignment(
        &mut self,
        account: &AccountId,
        assignment: &Assignment,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = Row::new(account, assignment, now);
        let added = on!(self, c => diesel::insert_into(assignments::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(c))?;
        Ok(added == 1)
    }

    /// Takes the group or role away from everyone, whoever gave it; how many had it.
    pub fn remove_assignments_of(&mut self, target: &Target) -> Result<usize, StoreError> {
        on!(self, c => diesel::delete(
            assignments::table
                .filter(assignments::kind.eq(target.kind()))
                .filter(assignments::name.eq(target.name()))
        )
        .execute(c))
    }

    /// Takes away this very assignment, provenance included; false if it was not there.
    pub fn remove_assignment(
        &mut self,
        account: &AccountId,
        assignment: &Assignment,
    ) -> Result<bool, StoreError> {
        let row = Row::new(account, assignment, Timestamp(0));
        let gone = on!(self, c => diesel::delete(
            assignments::table
                .filter(assignments::account.eq(&row.account))
                .filter(assignments::kind.eq(&row.kind))
                .filter(assignments::name.eq(&row.name))
                .filter(assignments::origin.eq(&row.origin))
                .filter(assignments::source.eq(&row.source))
                .filter(assignments::rule.eq(&row.rule))
        )
        .execute(c))?;
        Ok(gone == 1)
    }
}
