//! A new epoch: everything that was given out is over at once. For a database that came back from a backup,
//! which knows nothing of what was ended since; for a time in which the clock was wrong; for a secret that got
//! out.
//!
//! Sessions, grants with their codes and refresh tokens, unused invitations and sign-ins in progress end;
//! signing keys are removed and made anew, so that access tokens end everywhere, also where an API checks them
//! by itself; whatever one-time thing was made before (a state, a client's assertion) is refused by its age.

use super::{AdminError, Desk};
use crate::audit::AuditKind;
use crate::flow::lineage::{self, EPOCH, Mark};
use crate::store::Ended;
use serde_json::json;

impl Desk {
    /// Begins a new epoch, and names its cause in the audit.
    ///
    /// # Errors
    /// Of the store; then nothing was ended.
    pub async fn new_epoch(&self, cause: &str) -> Result<Ended, AdminError> {
        let now = self.context.now();
        let mark = Mark { lineage: self.context.token_id(), seen_at: now };
        let (stored, event, cause) = (mark.clone(), self.event(AuditKind::EpochBegun), cause.to_owned());
        let ended = self
            .change(move |tx| {
                let ended = tx.end_everything(now)?;
                tx.put_meta(EPOCH, &now.0.to_string())?;
                stored.put(tx)?;
                tx.append_audit(&event.data(json!({
                    "cause": cause, "sessions": ended.sessions, "grants": ended.grants,
                    "invitations": ended.invitations, "keys": ended.keys,
                })))?;
                Ok(ended)
            })
            .await?;
        // If this fails, the next start refuses the database by its name, and this can be done again.
        if let Some(file) = lineage::file_of(&self.settings.database) {
            mark.write(&file).map_err(|error| {
                AdminError::Refused(format!("{} cannot be written: {error}", file.display()))
            })?;
        }
        Ok(ended)
    }
}
