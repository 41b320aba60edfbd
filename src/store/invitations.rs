//! Invitations, each used once.

use super::error::StoreError;
use super::read::{at_opt, json, parse_opt, storable, to_json};
use super::schema::invitations;
use super::tx::{Tx, on};
use crate::accounts::{EmailAddress, Invitation};
use crate::context::Timestamp;
use crate::tokens::handle::Digest;
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = invitations)]
struct Row {
    digest: String,
    provider: Option<String>,
    email: Option<String>,
    groups: String,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
}

impl Row {
    fn new(invitation: &Invitation) -> Result<Self, StoreError> {
        Ok(Self {
            digest: invitation.digest.as_str().to_owned(),
            provider: invitation.provider.as_ref().map(ToString::to_string),
            email: invitation.email.as_ref().map(ToString::to_string),
            groups: to_json(&invitation.groups, "invitations.groups")?,
            created_by: storable(&invitation.created_by),
            created_at: invitation.created_at.0,
            expires_at: invitation.expires_at.0,
            used_at: invitation.used_at.map(|at| at.0),
        })
    }
    fn domain(self) -> Result<Invitation, StoreError> {
        let email = self.email.as_deref().map(EmailAddress::parse).transpose();
        Ok(Invitation {
            digest: Digest::from_stored(self.digest),
            provider: parse_opt(self.provider.as_deref(), "invitations.provider")?,
            email: email.map_err(|_| StoreError::corrupt("invitations.email"))?,
            groups: json(&self.groups, "invitations.groups")?,
            created_by: self.created_by,
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
            used_at: at_opt(self.used_at),
        })
    }
}

impl Tx<'_> {
    /// Adds an invitation.
    ///
    /// # Errors
    /// `Conflict("invitation")` if its digest is in use.
    pub fn insert_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        let row = Row::new(invitation)?;
        let added = on!(self, c => diesel::insert_into(invitations::table)
            .values(&row)
            .on_conflict(invitations::digest)
            .do_nothing()
            .execute(c))?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict("invitation")) }
    }

    /// The invitation, used or not.
    pub fn invitation(&mut self, digest: &Digest) -> Result<Option<Invitation>, StoreError> {
        let row: Option<Row> = on!(self, c => invitations::table
            .find(digest.as_str())
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// Uses an invitation up. Answered to exactly one of those who try, if its transaction is committed.
    pub fn consume_invitation(
        &mut self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        let row: Option<Row> = on!(self, c => diesel::update(invitations::table.find(digest.as_str()))
            .filter(invitations::used_at.is_null())
            .filter(invitations::expires_at.gt(now.0))
            .set(invitations::used_at.eq(now.0))
            .returning(Row::as_returning())
            .get_result(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }
}
