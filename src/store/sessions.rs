//! SSO sessions. The cookie's secret is stored as its digest. How they end stands in `logouts.rs`.

use super::error::StoreError;
use super::logouts::upstream_key;
use super::read::{at_opt, json, parse, to_json};
use super::schema::{session_proofs, sessions};
use super::tx::{Tx, on};
use crate::context::Timestamp;
use crate::ids::{AccountId, SessionId};
use crate::sessions::{Proof, Session};
use crate::tokens::handle::Digest;
use diesel::prelude::*;
use std::collections::BTreeSet;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct Row {
    id: String,
    account: String,
    proofs: String,
    created_at: i64,
    last_seen_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    browser: Option<String>,
}

impl Row {
    fn domain(self) -> Result<Session, StoreError> {
        Ok(Session {
            id: parse(&self.id, "sessions.id")?,
            account: parse(&self.account, "sessions.account")?,
            proofs: json(&self.proofs, "sessions.proofs")?,
            created_at: Timestamp(self.created_at),
            last_seen_at: Timestamp(self.last_seen_at),
            expires_at: Timestamp(self.expires_at),
            revoked_at: at_opt(self.revoked_at),
            browser: self.browser.map(Digest::from_stored),
        })
    }
}

/// What a provider knows behind a proof.
pub(super) const OWN_SESSION: &str = "session";
/// The same: its name for the person.
pub(super) const OWN_NAME: &str = "name";

/// What providers know behind proofs, by which their logouts find the session; each once.
fn known_there(proofs: &[Proof]) -> BTreeSet<(&'static str, String)> {
    let mut known = BTreeSet::new();
    for proof in proofs {
        let key = |text: &str| upstream_key(&proof.provider, text);
        known.extend(proof.upstream_session.as_deref().map(|own| (OWN_SESSION, key(own))));
        known.extend(proof.upstream_name.as_ref().map(|name| (OWN_NAME, key(&name.key))));
    }
    known
}

impl Tx<'_> {
    /// Adds a session under the digest of its cookie's secret.
    ///
    /// # Errors
    /// `Conflict("session")` if id or digest are in use; `Conflict("reference")` if there is no such account.
    pub fn insert_session(&mut self, session: &Session, secret: &Digest) -> Result<(), StoreError> {
        let proofs = to_json(&session.proofs, "sessions.proofs")?;
        let added = on!(self, c => diesel::insert_into(sessions::table)
            .values((
                sessions::id.eq(session.id.as_str()),
                sessions::secret.eq(secret.as_str()),
                sessions::account.eq(session.account.as_str()),
                sessions::proofs.eq(&proofs),
                sessions::created_at.eq(session.created_at.0),
                sessions::last_seen_at.eq(session.last_seen_at.0),
                sessions::expires_at.eq(session.expires_at.0),
                sessions::revoked_at.eq(session.revoked_at.map(|at| at.0)),
                sessions::browser.eq(session.browser.as_ref().map(Digest::as_str)),
            ))
            .on_conflict_do_nothing()
            .execute(c))?;
        if added != 1 {
            return Err(StoreError::Conflict("session"));
        }
        self.note_proofs(&session.id, &session.proofs)
    }

    /// Notes what providers know behind a session's proofs, in place of what was noted before.
    fn note_proofs(&mut self, id: &SessionId, proofs: &[Proof]) -> Result<(), StoreError> {
        on!(self, c => diesel::delete(session_proofs::table.filter(session_proofs::session.eq(id.as_str())))
            .execute(c))?;
        for (kind, key) in known_there(proofs) {
            on!(self, c => diesel::insert_into(session_proofs::table)
                .values((
                    session_proofs::kind.eq(kind),
                    session_proofs::key.eq(&key),
                    session_proofs::session.eq(id.as_str()),
                ))
                .execute(c))?;
        }
        Ok(())
    }

    /// The session whose cookie this is, live or not.
    pub fn session_by_secret(&mut self, secret: &Digest) -> Result<Option<Session>, StoreError> {
        let row: Option<Row> = on!(self, c => sessions::table
            .filter(sessions::secret.eq(secret.as_str()))
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// The sessions in this browser that nobody has ended, live or run out, the one that was used last first.
    pub fn sessions_in_browser(&mut self, browser: &Digest) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<Row> = on!(self, c => sessions::table
            .filter(sessions::browser.eq(browser.as_str()))
            .filter(sessions::revoked_at.is_null())
            .order((sessions::last_seen_at.desc(), sessions::created_at.desc(), sessions::id.asc()))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// Notes in which browser a session is.
    pub fn place_session(&mut self, id: &SessionId, browser: &Digest) -> Result<(), StoreError> {
        on!(self, c => diesel::update(sessions::table.find(id.as_str()))
            .set(sessions::browser.eq(browser.as_str()))
            .execute(c))?;
        Ok(())
    }

    /// The session of this public name, live or not.
    pub fn session(&mut self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let row: Option<Row> = on!(self, c => sessions::table
            .find(id.as_str())
            .select(Row::as_select())
            .first(c)
            .optional())?;
        row.map(Row::domain).transpose()
    }

    /// The digest of the session's present secret.
    pub fn session_secret(&mut self, id: &SessionId) -> Result<Option<Digest>, StoreError> {
        let secret: Option<String> = on!(self, c => sessions::table
            .find(id.as_str())
            .select(sessions::secret)
            .first(c)
            .optional())?;
        Ok(secret.map(Digest::from_stored))
    }

    /// All sessions of the account, live or not, the newest first.
    pub fn sessions_of(&mut self, account: &AccountId) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<Row> = on!(self, c => sessions::table
            .filter(sessions::account.eq(account.as_str()))
            .order((sessions::created_at.desc(), sessions::id.asc()))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// Notes that the session was used; false if it is gone or revoked. Never moves back in time.
    pub fn touch_session(&mut self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(sessions::table.find(id.as_str()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::last_seen_at.lt(now.0))
            .set(sessions::last_seen_at.eq(now.0))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Gives the session a new secret and the proofs of a new sign-in, and another end. True for exactly one of those who try
    /// with the same `current` secret, and never for a session that is revoked or has expired.
    pub fn renew_session(
        &mut self,
        id: &SessionId,
        current: &Digest,
        renewed: &Digest,
        proofs: &[Proof],
        ends: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let text = to_json(proofs, "sessions.proofs")?;
        let changed = on!(self, c => diesel::update(sessions::table.find(id.as_str()))
            .filter(sessions::secret.eq(current.as_str()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(now.0))
            .set((
                sessions::secret.eq(renewed.as_str()),
                sessions::proofs.eq(&text),
                sessions::expires_at.eq(ends.0),
                sessions::last_seen_at.eq(now.0),
            ))
            .execute(c))?;
        if changed == 1 {
            self.note_proofs(id, proofs)?;
        }
        Ok(changed == 1)
    }

    /// Forgets a session that has ended, with what was proved in it; false if it goes on or never was.
    pub fn forget_session(&mut self, id: &SessionId) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(sessions::table.find(id.as_str()))
            .filter(sessions::revoked_at.is_not_null())
            .execute(c))?;
        Ok(gone == 1)
    }
}
