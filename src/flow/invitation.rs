//! An invitation, before the person signs in. Looking at it changes nothing; it is used up when its account is
//! made (`flow::vouching`).

use crate::accounts::Invitation;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::App;
use crate::store::StoreError;
use crate::tokens::handle::{self, Handle};

/// The invitation of a text, if it can still be used.
///
/// # Errors
/// `invitation.over` where it is malformed, unknown, used or expired: a stranger cannot tell which.
pub async fn look(
    app: &App,
    text: Option<&str>,
) -> Result<(Handle<handle::Invitation>, Invitation), Failure> {
    let over = || {
        Failure::new(
            OAuthCode::InvalidRequest,
            "invitation.over",
            UserMessage::InvitationOver,
            "the invitation is malformed, unknown, used or expired",
        )
    };
    let handle = text.and_then(Handle::<handle::Invitation>::parse).ok_or_else(over)?;
    let digest = handle.digest();
    let found = app.store.read::<_, StoreError, _>(move |tx| tx.invitation(&digest)).await?;
    let now = app.context.now();
    match found {
        Some(invitation) if invitation.is_open(now) => Ok((handle, invitation)),
        _ => Err(over()),
    }
}
