//! The authorization request (RFC 6749 §4.1.1, OIDC Core §3.1.2.1), parsed once.
//!
//! The order of the checks decides who is told. Until client and redirect URI hold, a failure is a page of
//! ours; from then on it goes to the client (RFC 6749 §4.1.2.1):
//!
//! | # | check | refusal |
//! |---|---|---|
//! | 1 | `client_id`, `redirect_uri`: once, clean | page |
//! | 2 | the client is known and not switched off | page |
//! | 3 | the redirect URI is one of its own | page |
//! | 4 | every parameter: once, clean, not too long | `invalid_request` |
//! | 5 | it was pushed, or signed, where that is demanded | `invalid_request` |
//! | 6 | `registration`: not offered | `registration_not_supported` |
//! | 7 | the client may use the code grant | `unauthorized_client` |
//! | 8 | `response_type` is `code` | `unsupported_response_type` |
//! | 9 | `response_mode` is `query`, or `form_post` where a form can be posted | `invalid_request` |
//! | 10 | `scope` is well-formed; narrowed | `invalid_scope` |
//! | 11 | PKCE: S256, and present where it is demanded | `invalid_request` |
//! | 12 | `prompt`, `max_age`, the hints | `invalid_request` |
//! | 13 | `claims` is well-formed; narrowed | `invalid_request` |
//! | 14 | `resource`, and `audience`, which means the same, is allowed | `invalid_target` |
//!
//! A request object or a request URI is resolved before; what arrives here are the parameters that count.
//! `display` and `claims_locales` are accepted and change nothing: our pages fit every window, and a person's
//! names have one form.

use crate::clients::entitlement::{Offer, resource_indicator};
use crate::clients::redirect::ValidatedRedirect;
use crate::clients::{Client, GrantType};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::ClientId;
use crate::protocol::{Challenge, ClaimsRequest, Parameters, Prompt, ResponseMode, Scope};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A request that passed every check. It can be sealed and read back while the person signs in; the redirect
/// is then found again by [`AuthorizationRequest::redirect`], against the client as it is by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client.
    pub client: ClientId,
    /// The redirect URI as it was sent; the token request must repeat it (RFC 6749 §4.1.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Narrowed to what is offered and allowed.
    #[serde(default, skip_serializing_if = "Scope::is_empty")]
    pub scope: Scope,
    /// The resources that were named (RFC 8707); empty means the default audience.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// How it is answered.
    #[serde(default, skip_serializing_if = "ResponseMode::is_query")]
    pub response_mode: ResponseMode,
    /// To be returned untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// To be put into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The PKCE challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// What the person is to be asked.
    #[serde(default)]
    pub prompt: Prompt,
    /// How old the person's last proof may be; by the client's registration where the request says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// Who will probably sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// An ID token of ours; not verified yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_hint: Option<String>,
    /// Languages the person reads, most wanted first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ui_locales: Vec<String>,
    /// Wanted authentication contexts, most wanted first: a wish, which goes on to the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// Single claims, those that the client may not have left out; none without `openid`.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
}

/// What the checks found: the request, its client, and where it may be answered.
#[derive(Debug, Clone)]
pub struct Validated {
    /// The client.
    pub client: Arc<Client>,
    /// The request.
    pub request: AuthorizationRequest,
    /// Where it is answered.
    pub redirect: ValidatedRedirect,
}

/// Who is told of a refusal.
#[derive(Debug)]
pub enum Refusal {
    /// Only the person: client or redirect URI do not hold.
    Page(Failure),
    /// The client, at its redirect URI.
    Redirect(Failure, ValidatedRedirect),
}

impl Refusal {
    /// The refusal itself.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Page(failure) | Self::Redirect(failure, _) => failure,
        }
    }
}

/// How a request came, and what is demanded of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival {
    /// It was pushed (RFC 9126).
    pub pushed: bool,
    /// It was a signed request object (RFC 9101).
    pub signed: bool,
    /// Every request must be pushed, whatever its client's own rules say.
    pub pushed_demanded: bool,
}

/// Runs the checks in the order of the table above.
///
/// # Errors
/// [`Refusal`], with the reasons of the checks.
pub fn parse(
    parameters: &Parameters<'_>,
    arrival: Arrival,
    find: impl FnOnce(&str) -> Option<Arc<Client>>,
    offer: &Offer,
) -> Result<Validated, Refusal> {
    let (client, redirect) = client_and_redirect(parameters, find).map_err(Refusal::Page)?;
    match request_of(parameters, arrival, &client, &redirect, offer) {
        Ok(request) => Ok(Validated { client, request, redirect }),
        Err(failure) => Err(Refusal::Redirect(failure, redirect)),
    }
}

/// The client and where it is answered: checks 1 to 3.
///
/// # Errors
/// `client.missing`, `client.unknown`, `client.disabled`, `client.redirect_uri`,
/// `client.redirect_uri_missing`, and the defects of both parameters: for a page, never for a redirect.
pub fn client_and_redirect(
    parameters: &Parameters<'_>,
    find: impl FnOnce(&str) -> Option<Arc<Client>>,
) -> Result<(Arc<Client>, ValidatedRedirect), Failure> {
    let client = client(parameters, find)?;
    let redirect_uri = parameters.sound("redirect_uri")?;
    let openid = parameters.get("scope").is_some_and(|scope| scope.split(' ').any(|token| token == "openid"));
    let redirect =
        ValidatedRedirect::for_authorization(&client, redirect_uri, openid, parameters.get("state"))?;
    // A mode that is not offered is told by the query.
    let mode = ResponseMode::parse(parameters.get("response_mode")).unwrap_or_default();
    Ok((client, redirect.by(mode)))
}

/// The client that a request names, if it may sign people in at present.
///
/// # Errors
/// `client.missing`, `client.unknown`, `client.disabled`, and the defects of the parameter.
pub fn client(
    parameters: &Parameters<'_>,
    find: impl FnOnce(&str) -> Option<Arc<Client>>,
) -> Result<Arc<Client>, Failure> {
    let client_id = parameters.sound("client_id")?;
    let unknown = |reason, note: &'static str| {
        Failure::new(OAuthCode::InvalidRequest, reason, UserMessage::UnknownApp, note)
    };
    let client_id = client_id.ok_or_else(|| unknown("client.missing", "the request names no client"))?;
    let client = find(client_id).ok_or_else(|| unknown("client.unknown", "no client of this id"))?;
    if client.disabled {
        return Err(unknown("client.disabled", "the client is switched off"));
    }
    Ok(client)
}

fn request_of(
    parameters: &Parameters<'_>,
    arrival: Arrival,
    client: &Client,
    redirect: &ValidatedRedirect,
    offer: &Offer,
) -> Result<AuthorizationRequest, Failure> {
    parameters.check()?;
    arrived(arrival, client)?;
    if parameters.has("registration") {
        // OIDC Core §7.2.1
        let note = "registration in the request is not offered";
        return Err(refusal(OAuthCode::RegistrationNotSupported, "authorize.not_offered", note));
    }
    if !client.grant_types.contains(&GrantType::AuthorizationCode) {
        return Err(refusal(OAuthCode::UnauthorizedClient, "client.grant_type", "not registered for codes"));
    }
    response_type(parameters.get("response_type"))?;
    let response_mode = response_mode(parameters.get("response_mode"), redirect)?;
    let prompt = Prompt::parse(parameters.get("prompt"))?;
    let scope = scope(parameters.get("scope"), client, offer, prompt)?;
    let challenge = Challenge::parse(parameters)?;
    if challenge.is_none() && (client.require_pkce || client.is_public()) {
        // RFC 9700 §2.1.1
        return Err(Failure::invalid_request("pkce.missing", "this client must send a code challenge"));
    }
    let claims = claims(parameters.get("claims"), client, &scope)?;
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        redirect_uri: parameters.get("redirect_uri").map(str::to_owned),
        scope,
        resources: resources(parameters, client, offer)?,
        response_mode,
        state: parameters.get("state").map(str::to_owned),
        nonce: parameters.get("nonce").map(str::to_owned),
        challenge,
        prompt,
        max_age: max_age(parameters.get("max_age"))?.or_else(|| usual_age(client, &claims)),
        login_hint: parameters.get("login_hint").map(|hint| hint.chars().take(320).collect()),
        id_token_hint: parameters.get("id_token_hint").map(str::to_owned),
        ui_locales: words(parameters.get("ui_locales")),
        acr_values: acr_values(parameters.get("acr_values"), client),
        claims,
    })
}

impl AuthorizationRequest {
    /// Finds the redirect again, against the client as it is now.
    ///
    /// # Errors
    /// `client.redirect_uri`, `client.redirect_uri_missing` where the registration changed meanwhile.
    pub fn redirect(&self, client: &Client) -> Result<ValidatedRedirect, Failure> {
        ValidatedRedirect::for_authorization(
            client,
            self.redirect_uri.as_deref(),
            self.scope.contains("openid"),
            self.state.as_deref(),
        )
        .map(|redirect| redirect.by(self.response_mode))
    }
}

/// RFC 9126 §5, RFC 9101 §10.5: a client for which one way is demanded may not use another.
fn arrived(arrival: Arrival, client: &Client) -> Result<(), Failure> {
    if (client.requests.pushed_only || arrival.pushed_demanded) && !arrival.pushed {
        return Err(Failure::invalid_request("authorize.pushed_only", "the request must be pushed"));
    }
    if client.requests.signed_only && !arrival.signed {
        return Err(Failure::invalid_request("authorize.signed_only", "the request must be a signed object"));
    }
    Ok(())
}

fn response_type(sent: Option<&str>) -> Result<(), Failure> {
    match sent {
        Some("code") => Ok(()),
        None => Err(Failure::invalid_request("authorize.response_type", "response_type is missing")),
        // RFC 9700 §2.1.2: tokens never travel through the browser's address bar
        Some(_) => Err(refusal(
            OAuthCode::UnsupportedResponseType,
            "authorize.response_type",
            "only the response type code is offered",
        )),
    }
}

fn response_mode(sent: Option<&str>, redirect: &ValidatedRedirect) -> Result<ResponseMode, Failure> {
    let mode = ResponseMode::parse(sent)?;
    if mode == ResponseMode::FormPost && !redirect.takes_forms() {
        let note = "no browser posts a form to an app's own scheme";
        return Err(Failure::invalid_request("authorize.response_mode", note));
    }
    Ok(mode)
}

/// Narrows the scope. `offline_access` is ignored where no refresh token may follow, and, but for clients of
/// ours, without `prompt=consent` (OIDC Core §11).
fn scope(sent: Option<&str>, client: &Client, offer: &Offer, prompt: Prompt) -> Result<Scope, Failure> {
    let requested = Scope::parse(sent.unwrap_or_default())
        .map_err(|_| refusal(OAuthCode::InvalidScope, "authorize.scope", "the scope is malformed"))?;
    let offline = client.grant_types.contains(&GrantType::RefreshToken)
        && (client.first_party || prompt.consent)
        && requested.contains("openid");
    Ok(offer.narrow(&requested, client).filtered(|token| token != "offline_access" || offline))
}

/// Single claims (OIDC Core §5.5), as far as the client may have the scopes that stand for them.
fn claims(sent: Option<&str>, client: &Client, scope: &Scope) -> Result<ClaimsRequest, Failure> {
    let Some(text) = sent else { return Ok(ClaimsRequest::default()) };
    let request = ClaimsRequest::parse(text, |name| client.shapes.usual_name(name))?;
    if !scope.contains("openid") {
        return Ok(ClaimsRequest::default());
    }
    Ok(request.narrowed(|behind| client.scope.contains(behind)))
}

fn max_age(sent: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = sent else { return Ok(None) };
    let digits = text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(seconds) if digits => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Failure::invalid_request("authorize.max_age", "max_age is no number of seconds")),
    }
}

/// As old as no proof is: with it the provider must say when the person proved themselves, and that is all.
const ANY_AGE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What the client registered (OIDC Registration §2): `default_max_age`, or for `require_auth_time` any age. An
/// essential `auth_time` says the same as the latter (OIDC Core §2, §5.5.1).
fn usual_age(client: &Client, claims: &ClaimsRequest) -> Option<Duration> {
    let time_demanded = client.sign_in.require_auth_time || claims.demands_auth_time();
    client.sign_in.default_max_age.or_else(|| time_demanded.then_some(ANY_AGE))
}

/// What was asked for, or else what the client registered (OIDC Registration §2 `default_acr_values`).
fn acr_values(sent: Option<&str>, client: &Client) -> Vec<String> {
    let wanted = words(sent);
    if wanted.is_empty() { client.sign_in.default_acr_values.clone() } else { wanted }
}

fn resources(
    parameters: &Parameters<'_>,
    client: &Client,
    offer: &Offer,
) -> Result<BTreeSet<String>, Failure> {
    // Some libraries say `audience` where RFC 8707 says `resource`.
    let named = parameters.all("resource").chain(parameters.all("audience"));
    let named = named.map(resource_indicator).collect::<Result<BTreeSet<_>, _>>()?;
    if named.is_empty() { Ok(named) } else { offer.audience(&named, &offer.allowed(client)) }
}

/// The values of a list divided by spaces: at most ten, of at most 100 characters each.
fn words(sent: Option<&str>) -> Vec<String> {
    let words = sent.unwrap_or_default().split(' ').filter(|word| !word.is_empty() && word.len() <= 100);
    words.take(10).map(str::to_owned).collect()
}

fn refusal(code: OAuthCode, reason: &'static str, note: &'static str) -> Failure {
    Failure::new(code, reason, UserMessage::AppMisconfigured, note)
}

#[cfg(test)]
mod tests;
