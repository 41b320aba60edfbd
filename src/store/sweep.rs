//! Removes what has expired and need not be remembered any longer.

use super::error::StoreError;
use super::logouts::LOGOUTS_KEPT;
use super::schema::{
    allowances, codes, deletions, email_codes, grants, invitations, logout_deliveries, pending,
    pushed_requests, refresh_tokens, registered_clients, registration_tokens, revoked_tokens, sessions,
    used_once,
};
use super::tx::{Tx, on};
use crate::context::Timestamp;
use diesel::prelude::*;
use std::time::Duration;

/// Codes, refresh tokens and invitations are remembered this long past their end, so that a second use is
/// told from an invention.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// A grant from which no code or refresh token is left is kept this long after it was made. Access tokens
/// must not live longer than this less [`REMEMBERED`]: without its grant a token is inactive.
pub const GRANT_KEPT: Duration = Duration::from_secs(48 * 3600);

/// That a registration was removed is remembered this long, so that every node that was away hears of it; one that
/// was away for longer reads them all.
pub const REMOVAL_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows in all.
    pub rows: usize,
    /// Whether some table had as many as the batch allowed: sweep again.
    pub more: bool,
}

macro_rules! delete_expired {
    ($tx:expr, $swept:expr, $batch:expr, $table:ident, $key:ident, $when:expr) => {{
        let keys: Vec<String> = on!($tx, c => $table::table
            .filter($when)
            .order($table::$key.asc())
            .select($table::$key)
            .limit(i64::from($batch))
            .load(c))?;
        if !keys.is_empty() {
            // The condition again: on PostgreSQL a row may have changed since it was read.
            let gone = on!($tx, c => diesel::delete(
                $table::table.filter($table::$key.eq_any(&keys)).filter($when)
            )
            .execute(c))?;
            $swept.rows += gone;
            $swept.more |= u32::try_from(keys.len()).is_ok_and(|found| found >= $batch);
        }
    }};
}

impl Tx<'_> {
    /// Removes at most `batch` rows of each kind that have served their time. Nothing that could still be
    /// used, or that must still be refused by name, is touched; accounts and audit events never are.
    pub fn sweep(&mut self, now: Timestamp, batch: u32) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let remembered = now.minus(REMEMBERED).0;
        let removed = now.minus(REMOVAL_KEPT).0;
        let kept = now.minus(GRANT_KEPT).0;
        let reported = now.minus(LOGOUTS_KEPT).0;
        let now = now.0;
        delete_expired!(self, swept, batch, used_once, key, used_once::expires_at.le(now));
        delete_expired!(self, swept, batch, pending, digest, pending::expires_at.le(now));
        delete_expired!(self, swept, batch, email_codes, sign_in, email_codes::expires_at.le(now));
        delete_expired!(self, swept, batch, allowances, key, allowances::expires_at.le(now));
        delete_expired!(self, swept, batch, pushed_requests, digest, pushed_requests::expires_at.le(now));
        delete_expired!(self, swept, batch, revoked_tokens, jti, revoked_tokens::expires_at.le(now));
        delete_expired!(self, swept, batch, deletions, digest, deletions::expires_at.le(now));
        delete_expired!(self, swept, batch, codes, digest, codes::expires_at.le(remembered));
        delete_expired!(
            self,
            swept,
            batch,
            refresh_tokens,
            digest,
            refresh_tokens::expires_at.le(remembered)
        );
        delete_expired!(self, swept, batch, invitations, digest, invitations::expires_at.le(remembered));
        delete_expired!(self, swept, batch, logout_deliveries, id, logout_deliveries::queued_at.le(reported));
        delete_expired!(
            self,
            swept,
            batch,
            registration_tokens,
            id,
            registration_tokens::expires_at.le(removed)
        );
        delete_expired!(
            self,
            swept,
            batch,
            registered_clients,
            id,
            registered_clients::removed_at.is_not_null().and(registered_clients::removed_at.le(removed))
        );
        delete_expired!(
            self,
            swept,
            batch,
            grants,
            id,
            grants::created_at
                .le(kept)
                .and(diesel::dsl::not(diesel::dsl::exists(
                    codes::table.filter(codes::grant_id.eq(grants::id))
                )))
                .and(diesel::dsl::not(diesel::dsl::exists(
                    refresh_tokens::table.filter(refresh_tokens::grant_id.eq(grants::id))
                )))
        );
        // Offline access outlives its session; whoever ends that later, by whatever door, must still find what it granted.
        delete_expired!(
            self,
            swept,
            batch,
            sessions,
            id,
            sessions::expires_at.le(remembered).and(diesel::dsl::not(diesel::dsl::exists(
                grants::table.filter(grants::session.eq(sessions::id)).filter(grants::revoked_at.is_null())
            )))
        );
        Ok(swept)
    }
}
