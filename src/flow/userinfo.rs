//! The userinfo endpoint (OIDC Core §5.3): who the person of an access token is, as they are now.

use crate::clients::Client;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::App;
use crate::flow::bearer::{self, Live};
use crate::jose::Expiry;
use crate::protocol::bearer::invalid_token;
use crate::store::StoreError;
use crate::tokens::claims::{self, UserinfoClaims};
use std::sync::Arc;

/// The answer, and the client whose token it was.
#[derive(Debug)]
pub struct Userinfo {
    /// What is told.
    pub claims: UserinfoClaims,
    /// Whose pages may read it.
    pub client: Arc<Client>,
}

/// Answers with the claims that the token's scope lets through.
///
/// # Errors
/// `invalid_token` (401): it does not hold, is not for us (`userinfo.audience`), or what it stands on was
/// taken away (`token.revoked`). `insufficient_scope` (403): it has not the scope `openid`.
pub async fn userinfo(app: &App, token: &str) -> Result<Userinfo, Failure> {
    let snapshot = app.now();
    let verified = bearer::verify(&snapshot, token, app.context.now(), Expiry::Enforced)?;
    if !verified.claims.scope.contains("openid") {
        return Err(Failure::new(
            OAuthCode::InsufficientScope,
            "userinfo.scope",
            UserMessage::AppMisconfigured,
            "the token has not the scope openid",
        ));
    }
    if !verified.claims.aud.contains(snapshot.settings.issuer.as_str()) {
        return Err(invalid_token("userinfo.audience", "the token is for somebody else"));
    }
    let (scope, client) = (verified.claims.scope.clone(), verified.client.clone());
    let live =
        app.store.read(move |tx| -> Result<_, StoreError> { bearer::live(tx, &verified, &snapshot) }).await?;
    match live {
        Some(Live::Person(standing)) => {
            let person = &standing.person;
            Ok(Userinfo { claims: claims::userinfo(&person.account, &scope, &person.access), client })
        }
        Some(Live::Client) => Err(invalid_token("userinfo.subject", "a client's own token has no person")),
        None => Err(invalid_token("token.revoked", "the token, or what it stands on, was revoked")),
    }
}
