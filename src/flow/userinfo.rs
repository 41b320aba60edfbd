//! The userinfo endpoint (OIDC Core §5.3): who the person of an access token is, as they are now.

use crate::clients::Client;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::App;
use crate::flow::bearer::{self, Live};
use crate::flow::token::cannot_sign;
use crate::jose::{Expiry, TokenType};
use crate::protocol::bearer::invalid_token;
use crate::store::StoreError;
use crate::tokens::claims::{self, SignedUserinfoClaims, UserinfoClaims};
use std::sync::Arc;

/// How it is told.
#[derive(Debug)]
pub enum UserinfoBody {
    /// As JSON.
    Plain(Box<UserinfoClaims>),
    /// As a signed JWT.
    Signed(String),
}

/// The answer, and the client whose token it was.
#[derive(Debug)]
pub struct Userinfo {
    /// What is told.
    pub body: UserinfoBody,
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
    let (scope, client, facts) = (verified.claims.scope.clone(), verified.client.clone(), snapshot.clone());
    let live =
        app.store.read(move |tx| -> Result<_, StoreError> { bearer::live(tx, &verified, &facts) }).await?;
    match live {
        Some(Live::Person(standing)) => {
            let person = &standing.person;
            let sub = snapshot.subjects.of(&client, &person.account.id)?;
            let asked = &standing.grant.details.claims;
            let claims = claims::userinfo(&person.account, &sub, &client, &scope, asked, &person.access);
            let body = match client.userinfo_alg {
                None => UserinfoBody::Plain(Box::new(claims)),
                // OIDC Core §5.3.2: who registered for it gets it signed, whatever `Accept` says
                Some(alg) => {
                    let (iss, aud) = (snapshot.settings.issuer.as_str(), client.id.as_str());
                    let signed = SignedUserinfoClaims { iss, aud, claims: &claims };
                    UserinfoBody::Signed(
                        snapshot.keyring.sign(alg, TokenType::Userinfo, &signed).map_err(cannot_sign)?,
                    )
                }
            };
            Ok(Userinfo { body, client })
        }
        Some(Live::Client) => Err(invalid_token("userinfo.subject", "a client's own token has no person")),
        None => Err(invalid_token("token.revoked", "the token, or what it stands on, was revoked")),
    }
}
