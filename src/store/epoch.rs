//! The end of everything that was given out.

use super::error::StoreError;
use super::schema::{codes, grants, invitations, pending, pushed_requests, sessions, signing_keys};
use super::tx::{Conn, Tx, on};
use crate::context::Timestamp;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

/// How much was ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions.
    pub sessions: usize,
    /// Grants, with their codes, access tokens and refresh tokens.
    pub grants: usize,
    /// Invitations that nobody had used.
    pub invitations: usize,
    /// Signing keys.
    pub keys: usize,
}

impl Tx<'_> {
    /// Ends all sessions, grants, codes, invitations, pushed requests and sign-ins in progress, and removes all signing keys, so
    /// that no token verifies.
    pub fn end_everything(&mut self, now: Timestamp) -> Result<Ended, StoreError> {
        if let Conn::Postgres(c) = &mut self.conn {
            // Large tables may take their time, and nobody should come between.
            let set = c.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0");
            self.settle(set, false)?;
        }
        self.hold_keys()?;
        self.part_everybody(now)?;
        let sessions = on!(self, c => diesel::update(sessions::table)
            .filter(sessions::revoked_at.is_null())
            .set(sessions::revoked_at.eq(now.0))
            .execute(c))?;
        let grants = on!(self, c => diesel::update(grants::table)
            .filter(grants::revoked_at.is_null())
            .set(grants::revoked_at.eq(now.0))
            .execute(c))?;
        on!(self, c => diesel::delete(codes::table).execute(c))?;
        on!(self, c => diesel::delete(pending::table).execute(c))?;
        on!(self, c => diesel::delete(pushed_requests::table).execute(c))?;
        let invitations = on!(self, c => diesel::update(invitations::table)
            .filter(invitations::used_at.is_null())
            .filter(invitations::expires_at.gt(now.0))
            .set(invitations::used_at.eq(now.0))
            .execute(c))?;
        let keys = on!(self, c => diesel::delete(signing_keys::table).execute(c))?;
        self.bump_config_version()?;
        Ok(Ended { sessions, grants, invitations, keys })
    }
}
