//! Initial access tokens: what lets programs register clients (RFC 7591 §3).

use super::{AdminError, Desk};
use crate::audit::AuditKind;
use crate::clients::dynamic::{Narrowing, RegistrationToken};
use crate::store::StoreError;
use crate::tokens::handle::{self, Handle};
use serde_json::json;
use std::time::Duration;

/// What a new token is for.
pub struct NewToken {
    /// In the administrator's words.
    pub note: String,
    /// What it allows.
    pub narrowing: Narrowing,
    /// How many clients it may register; none means any number.
    pub uses: Option<u32>,
    /// For how long.
    pub lifetime: Duration,
}

impl Desk {
    /// Makes a token. Its text is shown once and never again.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn add_registration_token(
        &self,
        new: NewToken,
    ) -> Result<(RegistrationToken, Handle<handle::RegistrationToken>), AdminError> {
        let handle = Handle::<handle::RegistrationToken>::new(&self.context);
        let now = self.context.now();
        let random = self.context.secret_text();
        let token = RegistrationToken {
            id: random.get(..10).unwrap_or_default().to_owned(),
            note: new.note,
            narrowing: new.narrowing,
            uses_left: new.uses,
            created_by: self.admin.clone(),
            created_at: now,
            expires_at: now.plus(new.lifetime),
            revoked_at: None,
        };
        let event = self
            .event(AuditKind::RegistrationTokenCreated)
            .data(json!({ "token": token.id, "note": token.note, "uses": token.uses_left }));
        let (stored, digest) = (token.clone(), handle.digest());
        self.store
            .write(move |tx| -> Result<(), AdminError> {
                tx.insert_registration_token(&stored, &digest)?;
                Ok(tx.append_audit(&event)?)
            })
            .await?;
        Ok((token, handle))
    }

    /// All tokens, the newest first; those that ended stay listed for a week.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, AdminError> {
        Ok(self.store.read(|tx| -> Result<_, StoreError> { tx.registration_tokens() }).await?)
    }

    /// Ends a token. Clients that it registered stay.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for one that was ended before.
    pub async fn revoke_registration_token(&self, id: &str) -> Result<(), AdminError> {
        let now = self.context.now();
        let event = self.event(AuditKind::RegistrationTokenRevoked).data(json!({ "token": id }));
        let id = id.to_owned();
        self.store
            .write(move |tx| -> Result<(), AdminError> {
                if !tx.revoke_registration_token(&id, now)? {
                    return Err(AdminError::not_found("registration token", &id));
                }
                Ok(tx.append_audit(&event)?)
            })
            .await
    }
}
