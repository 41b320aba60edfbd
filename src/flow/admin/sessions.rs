//! Sessions as administrators see and end them.

use super::accounts::find;
use super::{AdminError, Desk};
use crate::audit::AuditKind;
use crate::flow::said;
use crate::ids::{IdentityId, SessionId};
use crate::sessions::Session;
use serde_json::json;

impl Desk {
    /// The live sessions of an account, the newest first.
    ///
    /// # Errors
    /// As [`Desk::find_account`].
    pub async fn sessions(&self, account: &str) -> Result<Vec<Session>, AdminError> {
        let (wanted, now, idle) = (account.to_owned(), self.context.now(), self.settings.sessions.idle);
        self.store
            .read(move |tx| {
                let id = find(tx, &wanted)?;
                Ok(tx.sessions_of(&id)?.into_iter().filter(|session| session.is_live(now, idle)).collect())
            })
            .await
    }

    /// Ends one session: its tokens stop working at once, and its clients are told. False if it had ended
    /// before.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub async fn end_session(&self, id: &SessionId) -> Result<bool, AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::SessionEnded));
        let id = id.clone();
        self.change(move |tx| {
            let session = tx.session(&id)?.ok_or_else(|| AdminError::not_found("session", &id))?;
            let ended = tx.end_session(&id, now)?.is_some();
            if ended {
                tx.append_audit(&event.account(&session.account).reason("session.ended_by_admin"))?;
            }
            Ok(ended)
        })
        .await
    }

    /// Ends all sessions of an account, as [`Desk::end_session`] does, with every grant, those of offline
    /// access included. How many sessions ended. The account may sign in again at once.
    ///
    /// # Errors
    /// As [`Desk::find_account`].
    pub async fn sign_out(&self, account: &str) -> Result<usize, AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::SessionEnded));
        let wanted = account.to_owned();
        self.change(move |tx| {
            let id = find(tx, &wanted)?;
            tx.hold_account(&id)?;
            let sessions = tx.end_sessions_of(&id, now)?;
            let grants = tx.revoke_grants_of_account(&id, now)?;
            if sessions + grants > 0 {
                let data = json!({ "sessions_ended": sessions, "grants_revoked": grants });
                tx.append_audit(&event.account(&id).reason("session.ended_by_admin").data(data))?;
            }
            Ok(sessions)
        })
        .await
    }

    /// Takes a way in away from an account, the last one only where `even_last` says so. Every session in which it was
    /// used ends, and so does what was granted in it, at once and for good. How many sessions ended.
    ///
    /// # Errors
    /// As [`Desk::find_account`]; [`AdminError::NotFound`] for the identity; [`AdminError::Refused`] if it is
    /// the only way in.
    pub async fn unlink(
        &self,
        account: &str,
        identity: &IdentityId,
        even_last: bool,
    ) -> Result<usize, AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::IdentityUnlinked));
        let (wanted, identity) = (account.to_owned(), identity.clone());
        self.change(move |tx| {
            let id = find(tx, &wanted)?;
            tx.hold_account(&id)?;
            let all = tx.identities_of(&id)?;
            let Some(gone) = all.iter().find(|linked| linked.id == identity) else {
                return Err(AdminError::not_found("identity", &identity));
            };
            if all.len() == 1 && !even_last {
                let message =
                    "it is the only way in; suspend or remove the account, or say `--even-last`".to_owned();
                return Err(AdminError::Refused(message));
            }
            // Of an account without a way in it stays who it was, for the next one; what the provider let them do does not.
            match tx.account(&id)? {
                Some(account) if all.len() > 1 => said::take_out(tx, &account, gone, &all, now)?,
                _ => said::take_assignments(tx, &id, gone)?,
            }
            tx.delete_identity(&identity)?;
            let mut ended = 0;
            for session in tx.sessions_of(&id)? {
                let by_it = session.proofs.iter().any(|proof| proof.identity == identity);
                if by_it && tx.end_session(&session.id, now)?.is_some() {
                    ended += 1;
                }
            }
            let event = event.account(&id).provider(&gone.key.provider);
            tx.append_audit(&event.data(json!({ "sessions_ended": ended })))?;
            Ok(ended)
        })
        .await
    }
}
