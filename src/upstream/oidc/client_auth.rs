//! How we authenticate by what we sign (OIDC Core §9, RFC 7523 §2.2), and how we do at the endpoint for pushed
//! requests, where it is the same as at the token endpoint (RFC 9126 §2). At the latter the `oauth2` crate does it.

use super::Oidc;
use super::metadata::Discovered;
use super::settings::Audience;
use crate::context::Context;
use crate::failure::Failure;
use crate::jose::{JoseError, sign_shared};
use crate::outbound::Request;
use crate::upstream::settings::ClientAuth;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use std::time::Duration;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// RFC 7523 §2.2.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long what we sign for one request counts.
const LIFETIME: Duration = Duration::from_secs(300);

/// The endpoint at which we authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// For tokens.
    Token,
    /// For pushed requests.
    Pushed,
}

/// What we sign to authenticate (RFC 7523 §3; Apple, "Creating a client secret").
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

impl Oidc {
    /// Whom an assertion is meant for: the issuer, which the settings name, or the very endpoint to which it goes. Never
    /// the token endpoint where it goes elsewhere: a discovery document that is not sound could name another provider's,
    /// and would get an assertion that it can use there.
    fn audience<'a>(&'a self, discovered: &'a Discovered, at: At) -> &'a str {
        match (self.settings.assertion_audience, &discovered.push, at) {
            (Some(Audience::Issuer), ..) | (None, Some(_), _) => &self.settings.issuer.text,
            (_, Some(endpoint), At::Pushed) => endpoint.as_str(),
            (_, _, At::Token) => discovered.token_endpoint.as_str(),
            (_, None, At::Pushed) => &self.settings.issuer.text,
        }
    }

    /// What authenticates us by our key, signed anew for each request, so that none can run out; none where we do not
    /// authenticate that way.
    pub(super) fn assertion(
        &self,
        context: &Context,
        discovered: &Discovered,
        at: At,
    ) -> Result<Option<Zeroizing<String>>, Failure> {
        let (client, now) = (self.settings.client_id.as_str(), context.now());
        let auth = self.settings.auth();
        let secret = auth == ClientAuth::SignedSecret;
        let audience = if secret { &self.settings.issuer.text } else { self.audience(discovered, at) };
        let claims = Assertion {
            iss: self.settings.team_id.as_deref().filter(|_| secret).unwrap_or(client),
            sub: client,
            aud: audience,
            iat: now.secs(),
            exp: now.plus(LIFETIME).secs(),
            jti: (!secret).then(|| context.secret_text()),
        };
        let signed: Result<String, JoseError> = match (auth, &self.key, &self.secret) {
            (ClientAuth::PrivateKeyJwt | ClientAuth::SignedSecret, Some(key), _) => {
                key.token(discovered.assertion_alg, "JWT", self.settings.key_id.as_deref(), &claims)
            }
            (ClientAuth::ClientSecretJwt, _, Some(secret)) => {
                sign_shared(&claims, secret.expose_secret().as_bytes())
            }
            _ => return Ok(None),
        };
        signed.map(|token| Some(Zeroizing::new(token))).map_err(|error| {
            Failure::internal("oidc.request", "our authentication could not be signed").caused_by(error)
        })
    }

    /// Adds to a request with a form what authenticates us.
    pub(super) fn authenticate(
        &self,
        context: &Context,
        discovered: &Discovered,
        request: Request,
        form: &mut Vec<(String, Zeroizing<String>)>,
    ) -> Result<Request, Failure> {
        let secret = self.secret.as_ref().map(|secret| secret.expose_secret()).unwrap_or_default();
        let mut add = |name: &str, value: Zeroizing<String>| form.push((name.to_owned(), value));
        let assertion = self.assertion(context, discovered, At::Pushed)?;
        match (self.settings.auth(), assertion) {
            (ClientAuth::ClientSecretBasic, _) => {
                // form-encoded before base64 (RFC 6749 §2.3.1)
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(&self.settings.client_id), encoded(secret));
                return Ok(request.header("authorization", format!("Basic {}", STANDARD.encode(pair))));
            }
            (ClientAuth::ClientSecretPost, _) => add("client_secret", Zeroizing::new(secret.to_owned())),
            (ClientAuth::SignedSecret, Some(assertion)) => add("client_secret", assertion),
            (_, Some(assertion)) => {
                add("client_assertion_type", Zeroizing::new(ASSERTION_TYPE.to_owned()));
                add("client_assertion", assertion);
            }
            (_, None) => {}
        }
        Ok(request)
    }
}
