//! The token endpoint (RFC 6749 §3.2): the client proves itself, then one of three grants gives tokens.

mod code;
mod machine;
mod mint;
mod refresh;

use crate::clients::Origin;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::discovery::paths;
use crate::flow::{App, authentication};
use crate::ids::ClientId;
use crate::protocol::{Parameters, Scope, TokenRequest};
use crate::store::StoreError;
use serde::Serialize;

pub(super) use mint::cannot_sign;

/// A successful answer (RFC 6749 §5.1, OIDC Core §3.1.3.3).
#[derive(Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    /// What was granted, which may be less than what was asked for.
    scope: Scope,
}

impl std::fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenAnswer({})", self.scope)
    }
}

/// Answers a token request.
///
/// # Errors
/// The codes of RFC 6749 §5.2 and RFC 8707 §2; `temporarily_unavailable` when the store fails, and then
/// nothing was used up.
pub async fn token(
    app: &App,
    authorization: Option<&str>,
    form: &Parameters<'_>,
) -> Result<TokenAnswer, Failure> {
    let snapshot = app.now();
    let client = authentication::client(app, &snapshot, authorization, form, paths::TOKEN).await?;
    let request = TokenRequest::parse(form)?;
    if !client.grant_types.contains(&request.grant_type()) {
        return Err(Failure::new(
            OAuthCode::UnauthorizedClient,
            "client.grant_type",
            UserMessage::AppMisconfigured,
            "the client is not registered for this grant type",
        ));
    }
    let registered = (client.origin == Origin::Registered).then(|| client.id.clone());
    let (answer, grant) = match request {
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier, resources } => {
            let request = code::Redemption { code, redirect_uri, verifier, resources };
            (code::redeem(app, snapshot, client, request).await?, "authorization_code")
        }
        TokenRequest::RefreshToken { token, scope, resources } => {
            let request = refresh::Request { token, scope, resources };
            (refresh::refresh(app, snapshot, client, request).await?, "refresh_token")
        }
        TokenRequest::ClientCredentials { scope, resources } => {
            (machine::issue(app, &snapshot, &client, scope.as_ref(), &resources)?, "client_credentials")
        }
    };
    metrics::counter!("countersign_tokens_issued_total", "grant" => grant).increment(1);
    if let Some(id) = registered.filter(|id| app.registered.is_first_use(id)) {
        note_use(app, id).await;
    }
    Ok(answer)
}

/// Notes that a client that registered itself got tokens, so that it is not removed as one that is never used.
async fn note_use(app: &App, id: ClientId) {
    let now = app.context.now();
    let noted: Result<(), StoreError> = app.store.write(move |tx| tx.mark_registration_used(&id, now)).await;
    if let Err(error) = noted {
        // after the next start it is noted at its next use
        tracing::warn!(%error, "the first use of a registered client is not noted");
    }
}

/// The refusal of a code or refresh token.
fn invalid_grant(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidGrant, reason, UserMessage::StartAgain, note)
}

/// What a transaction of this endpoint decides. An `Err` of the transaction itself undoes what was used up;
/// a [`Verdict::Refused`] keeps it.
enum Verdict<T> {
    Granted(T),
    Refused(Failure),
}

impl<T> Verdict<T> {
    fn into_result(self) -> Result<T, Failure> {
        match self {
            Self::Granted(granted) => Ok(granted),
            Self::Refused(failure) => Err(failure),
        }
    }
}
