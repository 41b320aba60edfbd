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
//! | 5 | `request`, `request_uri`, `registration`: not offered, nothing is fetched | their own codes |
//! | 6 | the client may use the code grant | `unauthorized_client` |
//! | 7 | `response_type` is `code` | `unsupported_response_type` |
//! | 8 | `response_mode` is `query` | `invalid_request` |
//! | 9 | `scope` is well-formed; narrowed | `invalid_scope` |
//! | 10 | PKCE: S256, and present where it is demanded | `invalid_request` |
//! | 11 | `prompt`, `max_age`, the hints | `invalid_request` |
//! | 12 | `resource` is allowed | `invalid_target` |

use crate::clients::entitlement::{Offer, resource_indicator};
use crate::clients::redirect::ValidatedRedirect;
use crate::clients::{Client, GrantType};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::ClientId;
use crate::protocol::{Challenge, Parameters, Prompt, Scope};
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
    /// How old the person's last proof may be.
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
    /// Wanted authentication contexts, most wanted first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
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

/// Runs the checks in the order of the table above.
///
/// # Errors
/// [`Refusal`], with the reasons of the checks.
pub fn parse(
    parameters: &Parameters<'_>,
    find: impl FnOnce(&str) -> Option<Arc<Client>>,
    offer: &Offer,
) -> Result<Validated, Refusal> {
    let (client, redirect) = client_and_redirect(parameters, find).map_err(Refusal::Page)?;
    match request_of(parameters, &client, offer) {
        Ok(request) => Ok(Validated { client, request, redirect }),
        Err(failure) => Err(Refusal::Redirect(failure, redirect)),
    }
}

fn client_and_redirect(
    parameters: &Parameters<'_>,
    find: impl FnOnce(&str) -> Option<Arc<Client>>,
) -> Result<(Arc<Client>, ValidatedRedirect), Failure> {
    let client_id = parameters.sound("client_id")?;
    let redirect_uri = parameters.sound("redirect_uri")?;
    let unknown = |reason, note: &'static str| {
        Failure::new(OAuthCode::InvalidRequest, reason, UserMessage::UnknownApp, note)
    };
    let client_id = client_id.ok_or_else(|| unknown("client.missing", "the request names no client"))?;
    let client = find(client_id).ok_or_else(|| unknown("client.unknown", "no client of this id"))?;
    if client.disabled {
        return Err(unknown("client.disabled", "the client is switched off"));
    }
    let openid = parameters.get("scope").is_some_and(|scope| scope.split(' ').any(|token| token == "openid"));
    let redirect =
        ValidatedRedirect::for_authorization(&client, redirect_uri, openid, parameters.get("state"))?;
    Ok((client, redirect))
}

fn request_of(
    parameters: &Parameters<'_>,
    client: &Client,
    offer: &Offer,
) -> Result<AuthorizationRequest, Failure> {
    parameters.check()?;
    nothing_by_reference(parameters)?;
    if !client.grant_types.contains(&GrantType::AuthorizationCode) {
        return Err(refusal(OAuthCode::UnauthorizedClient, "client.grant_type", "not registered for codes"));
    }
    response_type(parameters.get("response_type"))?;
    response_mode(parameters.get("response_mode"))?;
    let prompt = Prompt::parse(parameters.get("prompt"))?;
    let scope = scope(parameters.get("scope"), client, offer, prompt)?;
    let challenge = Challenge::parse(parameters)?;
    if challenge.is_none() && (client.require_pkce || client.is_public()) {
        // RFC 9700 §2.1.1
        return Err(Failure::invalid_request("pkce.missing", "this client must send a code challenge"));
    }
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        redirect_uri: parameters.get("redirect_uri").map(str::to_owned),
        scope,
        resources: resources(parameters, client, offer)?,
        state: parameters.get("state").map(str::to_owned),
        nonce: parameters.get("nonce").map(str::to_owned),
        challenge,
        prompt,
        max_age: max_age(parameters.get("max_age"))?,
        login_hint: parameters.get("login_hint").map(|hint| hint.chars().take(320).collect()),
        id_token_hint: parameters.get("id_token_hint").map(str::to_owned),
        ui_locales: words(parameters.get("ui_locales")),
        acr_values: words(parameters.get("acr_values")),
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
    }
}

/// OIDC Core §6 and §7.2.1: request objects and self-issued registration are not offered. A `request_uri` is
/// never fetched.
fn nothing_by_reference(parameters: &Parameters<'_>) -> Result<(), Failure> {
    let not_offered = [
        ("request", OAuthCode::RequestNotSupported),
        ("request_uri", OAuthCode::RequestUriNotSupported),
        ("registration", OAuthCode::RegistrationNotSupported),
    ];
    match not_offered.iter().find(|(name, _)| parameters.has(name)) {
        Some((_, code)) => Err(refusal(*code, "authorize.not_offered", "a parameter that is not offered")),
        None => Ok(()),
    }
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

fn response_mode(sent: Option<&str>) -> Result<(), Failure> {
    match sent {
        None | Some("query") => Ok(()),
        Some(_) => Err(Failure::invalid_request("authorize.response_mode", "only the mode query is offered")),
    }
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

fn max_age(sent: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = sent else { return Ok(None) };
    let digits = text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(seconds) if digits => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Failure::invalid_request("authorize.max_age", "max_age is no number of seconds")),
    }
}

fn resources(
    parameters: &Parameters<'_>,
    client: &Client,
    offer: &Offer,
) -> Result<BTreeSet<String>, Failure> {
    let named = parameters.all("resource").map(resource_indicator).collect::<Result<BTreeSet<_>, _>>()?;
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
#[path = "authorization_tests.rs"]
mod tests;
