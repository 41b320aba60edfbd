//! The authorization request and the exchange of the code, by the `oauth2` crate over our own way out.

use super::settings::ScopeSeparator;
use super::{OAuth2, Remembered};
use crate::failure::Failure;
use crate::outbound::{MAX_BODY, Method, Outbound, Request};
use crate::upstream::answers::{Carried, Leniency, TokenReasons, token_response};
use crate::upstream::checks::{Checks, refused};
use crate::upstream::settings::ClientAuth;
use crate::upstream::{BeginRequest, Callback};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use secrecy::ExposeSecret as _;
use std::borrow::Cow;
use url::Url;
use zeroize::Zeroizing;

const REASONS: TokenReasons = TokenReasons { error: "oauth2.token_error", response: "oauth2.token_response" };

fn redirect(callback: &str) -> Result<RedirectUrl, Failure> {
    RedirectUrl::new(callback.to_owned())
        .map_err(|error| Failure::internal("oauth2.request", "our callback is no address").caused_by(error))
}

impl OAuth2 {
    /// RFC 6749 §4.1.1, with PKCE (RFC 7636 §4.3).
    pub(super) fn authorize_url(
        &self,
        request: &BeginRequest,
        remembered: &Remembered,
    ) -> Result<Url, Failure> {
        let client = BasicClient::new(ClientId::new(self.settings.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.settings.authorize_url.url().clone()));
        let state = request.state.clone();
        let mut wanted = client
            .authorize_url(move || CsrfToken::new(state))
            .set_redirect_uri(Cow::Owned(redirect(&request.callback)?));
        let scopes = &self.settings.scopes;
        wanted = match self.settings.scope_separator {
            ScopeSeparator::Space => wanted.add_scopes(scopes.iter().cloned().map(Scope::new)),
            ScopeSeparator::Comma => wanted.add_scope(Scope::new(scopes.join(","))),
        };
        if let Some(verifier) = &remembered.verifier {
            let verifier = PkceCodeVerifier::new(verifier.clone());
            wanted = wanted.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        // Where both would set one parameter, the new proof is what counts; no parameter is ever sent twice.
        let mut params = self.settings.authorize_params.clone();
        if request.select_account {
            params.extend(self.settings.select_account_params.clone());
        }
        if request.force_authentication {
            params.extend(self.settings.reauthenticate_params.clone());
        }
        let language = self.settings.language_param.as_ref();
        params.extend(language.and_then(|own| own.of(&request.ui_locales)));
        for (name, value) in params {
            wanted = wanted.add_extra_param(name, value);
        }
        Ok(wanted.url().0)
    }

    /// RFC 6749 §4.1.3. The token is wiped when dropped, and never kept.
    pub(super) async fn exchange(
        &self,
        code: &str,
        callback: &Callback,
        remembered: &Remembered,
        checks: &mut Checks<'_>,
    ) -> Result<Zeroizing<String>, Failure> {
        let auth = self.settings.auth();
        let mut client = BasicClient::new(ClientId::new(self.settings.client_id.clone()))
            .set_token_uri(TokenUrl::from_url(self.settings.token_url.url().clone()))
            .set_auth_type(match auth {
                ClientAuth::ClientSecretBasic => AuthType::BasicAuth,
                _ => AuthType::RequestBody,
            });
        if let Some(secret) = self.secret.as_ref().filter(|_| auth != ClientAuth::None) {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_redirect_uri(Cow::Owned(redirect(&callback.callback)?));
        if let Some(verifier) = &remembered.verifier {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.clone()));
        }
        if let Some(state) = callback.parameters.get("state").filter(|_| self.settings.token_state) {
            request = request.add_extra_param("state", state.clone());
        }
        let http = |request: HttpRequest| send(self.outbound.clone(), request);
        let answer = request.request_async(&http).await.map_err(|error| {
            checks.fail(match error {
                RequestTokenError::Request(Carried(failure)) => failure,
                // the strict gate let it through, yet the library cannot use it
                other => refused(REASONS.response, "the token endpoint's answer is not a token response")
                    .expected("a token response", other.to_string()),
            })
        })?;
        checks.note(REASONS.error, "no error", "none");
        checks.note(REASONS.response, "a token response", "one");
        Ok(Zeroizing::new(answer.access_token().secret().clone()))
    }
}

/// The library's HTTP client: our way out, and a strict look at the answer before the library parses it.
async fn send(outbound: Outbound, request: HttpRequest) -> Result<HttpResponse, Carried> {
    let wrong = |note: &'static str| Failure::internal("oauth2.request", note);
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string())
        .map_err(|error| Carried(wrong("the token endpoint is no address").caused_by(error)))?;
    let mut out = Request { method: Method::Post, url, headers: Vec::new(), body };
    for (name, value) in &parts.headers {
        out = out.header(name.as_str(), value.to_str().unwrap_or_default());
    }
    let answer = outbound.send(out, MAX_BODY).await.map_err(|fault| Carried(fault.into()))?;
    let object = token_response(&answer, REASONS, Leniency::Form).map_err(Carried)?;
    let body = serde_json::to_vec(&object)
        .map_err(|error| Carried(wrong("the answer cannot be written").caused_by(error)))?;
    Ok(HttpResponse::new(body))
}
