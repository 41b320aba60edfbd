//! The code for tokens (OIDC Core §3.1.3), by the `oauth2` crate over our own way out.

use super::Oidc;
use super::begin::Remembered;
use super::client_auth::{ASSERTION_TYPE, At};
use super::metadata::Discovered;
use crate::context::Context;
use crate::failure::Failure;
use crate::outbound::{MAX_BODY, Method, Outbound, Request};
use crate::upstream::answers::{Carried, Leniency, TokenReasons, token_response};
use crate::upstream::checks::{Checks, refused};
use crate::upstream::settings::ClientAuth;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthorizationCode, Client, ClientId, ClientSecret, ExtraTokenFields, HttpRequest, HttpResponse,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, StandardRevocableToken, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use zeroize::Zeroizing;

const REASONS: TokenReasons = TokenReasons { error: "oidc.token_error", response: "oidc.token_response" };

/// What an OpenID provider adds to a token response (OIDC Core §3.1.3.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct IdTokenField {
    /// Kept as text: it is `jose` that reads it.
    id_token: String,
}
impl ExtraTokenFields for IdTokenField {}

type Answer = StandardTokenResponse<IdTokenField, BasicTokenType>;
type TokenClient<U> = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    U,
>;

/// The tokens that are needed to go on. Both are wiped when dropped; neither is ever kept.
pub(super) struct Tokens {
    pub access_token: Zeroizing<String>,
    pub id_token: Zeroizing<String>,
}

impl Oidc {
    pub(super) async fn exchange(
        &self,
        context: &Context,
        discovered: &Discovered,
        code: &str,
        callback: &str,
        remembered: &Remembered,
        checks: &mut Checks<'_>,
    ) -> Result<Tokens, Failure> {
        let redirect = RedirectUrl::new(callback.to_owned()).map_err(|error| {
            Failure::internal("oidc.request", "our callback is no address").caused_by(error)
        })?;
        let client: TokenClient<oauth2::EndpointNotSet> =
            Client::new(ClientId::new(self.settings.client_id.clone()));
        let mut client = client.set_token_uri(TokenUrl::from_url(discovered.token_endpoint.clone()));
        let auth = self.settings.auth();
        client = client.set_auth_type(match auth {
            ClientAuth::ClientSecretBasic => AuthType::BasicAuth,
            _ => AuthType::RequestBody,
        });
        let assertion = self.assertion(context, discovered, At::Token)?;
        match (auth, &self.secret, &assertion) {
            (ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost, Some(secret), _) => {
                client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
            }
            (ClientAuth::SignedSecret, _, Some(assertion)) => {
                client = client.set_client_secret(ClientSecret::new(assertion.to_string()));
            }
            _ => {}
        }
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_redirect_uri(Cow::Owned(redirect));
        if let Some(assertion) = assertion.filter(|_| auth != ClientAuth::SignedSecret) {
            request = request
                .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                .add_extra_param("client_assertion", assertion.to_string());
        }
        if let Some(verifier) = &remembered.verifier {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.clone()));
        }
        let leniency = if self.settings.errors_under_200 { Leniency::Errors } else { Leniency::None };
        let http = |request: HttpRequest| send(self.redeeming.clone(), request, leniency);
        let answer = request.request_async(&http).await.map_err(|error| {
            checks.fail(match error {
                RequestTokenError::Request(Carried(failure)) => failure,
                // the strict gate let it through, yet the library cannot use it
                other => refused(REASONS.response, "the token endpoint's answer is not a token response")
                    .expected("a token response", other.to_string()),
            })
        })?;
        checks.note(REASONS.error, "no error", "none");
        let id_token = answer.extra_fields().id_token.clone();
        checks.require(REASONS.response, !id_token.is_empty(), "a token response with id_token", "one")?;
        Ok(Tokens {
            access_token: Zeroizing::new(answer.access_token().secret().clone()),
            id_token: Zeroizing::new(id_token),
        })
    }
}

/// The library's HTTP client: our way out, and a strict look at the answer before the library parses it.
async fn send(outbound: Outbound, request: HttpRequest, leniency: Leniency) -> Result<HttpResponse, Carried> {
    let (parts, body) = request.into_parts();
    let url = url::Url::parse(&parts.uri.to_string()).map_err(|error| {
        Carried(Failure::internal("oidc.request", "the token endpoint is no address").caused_by(error))
    })?;
    let mut out = Request { method: Method::Post, url, headers: Vec::new(), body };
    for (name, value) in &parts.headers {
        out = out.header(name.as_str(), value.to_str().unwrap_or_default());
    }
    let answer = outbound.send(out, MAX_BODY).await.map_err(|fault| Carried(fault.into()))?;
    let object = token_response(&answer, REASONS, leniency).map_err(Carried)?;
    let body = serde_json::to_vec(&object).map_err(|error| {
        Carried(Failure::internal("oidc.request", "the answer cannot be written").caused_by(error))
    })?;
    Ok(HttpResponse::new(body))
}
