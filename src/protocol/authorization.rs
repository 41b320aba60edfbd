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
//! | 12 | `claims` is well-formed; narrowed | `invalid_request` |
//! | 13 | `resource` is allowed | `invalid_target` |

use crate::clients::entitlement::{Offer, resource_indicator};
use crate::clients::redirect::ValidatedRedirect;
use crate::clients::{Client, GrantType};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::ClientId;
use crate::protocol::{Challenge, ClaimsRequest, Parameters, Prompt, Scope};
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
    let claims = claims(parameters.get("claims"), client, &scope)?;
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
mod tests {
    use super::*;
    use crate::clients::AuthMethod;
    use crate::clients::tests::{client, resource_server};
    use proptest::prelude::*;

    const CB: &str = "https://rp.test/cb";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn app() -> Client {
        let mut app = client("app");
        app.redirect_uris = [CB.to_owned()].into();
        app.scope = Scope::parse("openid profile offline_access groups").unwrap();
        app.grant_types = [GrantType::AuthorizationCode, GrantType::RefreshToken].into();
        app.auth_methods = [AuthMethod::ClientSecretBasic].into();
        app.require_pkce = false;
        app.first_party = false;
        app
    }

    fn valid() -> Vec<(&'static str, &'static str)> {
        vec![
            ("client_id", "app"),
            ("redirect_uri", CB),
            ("response_type", "code"),
            ("scope", "openid profile"),
            ("state", "s1"),
            ("nonce", "n1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
    }

    fn encode(pairs: &[(&str, &str)]) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn run_with(pairs: &[(&str, &str)], app: Client) -> Result<Validated, Refusal> {
        let mut api = resource_server("api", "urn:api");
        api.default_audience = true;
        let offer = Offer::new([], &[api]);
        let query = encode(pairs);
        let parameters = Parameters::decode(&query).map_err(Refusal::Page)?;
        parse(&parameters, |id| (id == app.id.as_str()).then(|| Arc::new(app.clone())), &offer)
    }

    /// The valid request with one parameter replaced, or left out if the value is empty.
    fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        let mut pairs: Vec<_> = valid().into_iter().filter(|(n, _)| *n != name).collect();
        pairs.push((name, value));
        pairs
    }

    fn told(result: Result<Validated, Refusal>) -> (&'static str, &'static str, &'static str) {
        match result {
            Ok(_) => ("ok", "", ""),
            Err(Refusal::Page(f)) => ("page", f.code.as_str(), f.reason),
            Err(Refusal::Redirect(f, to)) => {
                assert_eq!(to.uri(), CB);
                ("redirect", f.code.as_str(), f.reason)
            }
        }
    }

    fn run(pairs: &[(&str, &str)]) -> (&'static str, &'static str, &'static str) {
        told(run_with(pairs, app()))
    }

    #[test]
    fn the_valid_twin_is_accepted_whole() {
        let found = run_with(&valid(), app()).unwrap();
        let request = &found.request;
        assert_eq!(request.scope.to_string(), "openid profile");
        assert_eq!(request.state.as_deref(), Some("s1"));
        assert_eq!(request.nonce.as_deref(), Some("n1"));
        assert_eq!(request.challenge.as_ref().unwrap().as_str(), CHALLENGE);
        assert_eq!(found.redirect, request.redirect(&found.client).unwrap());
        let sealed = serde_json::to_string(request).unwrap();
        assert_eq!(&serde_json::from_str::<AuthorizationRequest>(&sealed).unwrap(), request);
    }

    #[test]
    fn oauth_015_nothing_is_redirected_before_client_and_redirect_uri_hold() {
        let bad_everything =
            [("client_id", "app"), ("redirect_uri", "https://evil.test/"), ("response_type", "token")];
        assert_eq!(run(&bad_everything), ("page", "invalid_request", "client.redirect_uri"));
        assert_eq!(run(&with("client_id", "nobody")), ("page", "invalid_request", "client.unknown"));
        assert_eq!(run(&with("client_id", "")), ("page", "invalid_request", "client.missing"));
        let mut off = app();
        off.disabled = true;
        assert_eq!(told(run_with(&valid(), off)), ("page", "invalid_request", "client.disabled"));
        for name in ["client_id", "redirect_uri"] {
            let mut twice = valid();
            twice.push((name, "https://evil.test/"));
            assert_eq!(run(&twice), ("page", "invalid_request", "request.duplicate_parameter"), "{name}");
        }
    }

    #[test]
    fn a_registration_that_changed_meanwhile_is_noticed() {
        let found = run_with(&valid(), app()).unwrap();
        let mut later = app();
        later.redirect_uris = ["https://rp.test/new".to_owned()].into();
        assert!(found.request.redirect(&later).is_err());
    }

    #[test]
    fn oauth_018_implicit_and_hybrid_are_refused() {
        for bad in ["token", "id_token", "code id_token", "id_token token", "none", "Code", "code code"] {
            let verdict = run(&with("response_type", bad));
            assert_eq!(
                verdict,
                ("redirect", "unsupported_response_type", "authorize.response_type"),
                "{bad}"
            );
        }
    }

    #[test]
    fn oauth_019_unknown_response_modes_are_refused() {
        for bad in ["foo", "web_message", "form_post.jwt", "fragment", "Query"] {
            assert_eq!(
                run(&with("response_mode", bad)),
                ("redirect", "invalid_request", "authorize.response_mode")
            );
        }
        assert_eq!(run(&with("response_mode", "query")).0, "ok");
    }

    #[test]
    fn oauth_021_an_empty_redirect_uri_or_scope_counts_as_omitted() {
        assert_eq!(
            run(&with("redirect_uri", "")),
            ("page", "invalid_request", "client.redirect_uri_missing")
        );
        assert_eq!(run(&with("scope", "")).0, "ok");
    }

    #[test]
    fn oauth_022_a_control_character_in_state_is_refused_and_not_echoed() {
        match run_with(&with("state", "x\r\nSet-Cookie: a"), app()) {
            Err(Refusal::Redirect(failure, to)) => {
                assert_eq!(failure.reason, "request.control_character");
                let location = to.with_error("https://id.test", &failure, None);
                assert!(!location.as_str().contains("state="), "{location:?}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(run(&with("redirect_uri", "https://rp.test/cb\r\n")).0, "page");
    }

    #[test]
    fn oauth_025_a_missing_response_type_is_told_to_the_client() {
        assert_eq!(
            run(&with("response_type", "")),
            ("redirect", "invalid_request", "authorize.response_type")
        );
    }

    #[test]
    fn oauth_033_nothing_by_reference() {
        for (name, value, code) in [
            ("request", "e30.e30.", "request_not_supported"),
            ("request_uri", "http://169.254.169.254/", "request_uri_not_supported"),
            ("registration", "{}", "registration_not_supported"),
        ] {
            assert_eq!(run(&with(name, value)), ("redirect", code, "authorize.not_offered"));
        }
    }

    #[test]
    fn oauth_038_pkce_is_demanded_of_public_clients_and_where_registered() {
        let without: Vec<_> = valid().into_iter().filter(|(n, _)| !n.starts_with("code_challenge")).collect();
        assert_eq!(run(&without).0, "ok", "a confidential client that is registered without");
        let mut demanding = app();
        demanding.require_pkce = true;
        assert_eq!(told(run_with(&without, demanding)), ("redirect", "invalid_request", "pkce.missing"));
        let mut public = app();
        public.auth_methods = [AuthMethod::None].into();
        assert_eq!(told(run_with(&without, public.clone())), ("redirect", "invalid_request", "pkce.missing"));
        assert_eq!(told(run_with(&valid(), public)).0, "ok");
        assert_eq!(run(&with("code_challenge_method", "plain")).2, "pkce.method");
    }

    #[test]
    fn offline_access_needs_a_refresh_grant_and_consent() {
        let scope = |pairs: &[(&str, &str)], app| run_with(pairs, app).unwrap().request.scope.to_string();
        let asked = with("scope", "openid offline_access");
        assert_eq!(scope(&asked, app()), "openid");
        let mut consent = asked.clone();
        consent.push(("prompt", "consent"));
        assert_eq!(scope(&consent, app()), "offline_access openid");
        let mut first_party = app();
        first_party.first_party = true;
        assert_eq!(scope(&asked, first_party.clone()), "offline_access openid");
        first_party.grant_types.remove(&GrantType::RefreshToken);
        assert_eq!(scope(&consent, first_party), "openid");
    }

    #[test]
    fn unknown_parameters_and_unknown_scopes_are_ignored() {
        assert_eq!(run(&with("extra", "1")).0, "ok");
        let found = run_with(&with("scope", "openid what ever"), app()).unwrap();
        assert_eq!(found.request.scope.to_string(), "openid");
        assert_eq!(run(&with("scope", "openid \u{e9}")), ("redirect", "invalid_scope", "authorize.scope"));
    }

    #[test]
    fn single_claims_are_asked_for_within_the_clients_scopes() {
        const WANTED: &str = r#"{"userinfo": {"name": null, "email": null, "groups": {"essential": true}}}"#;
        let asked = |pairs: &[(&str, &str)]| run_with(pairs, app()).unwrap().request.claims;
        let claims = asked(&with("claims", WANTED));
        assert_eq!(claims.personal(), ["groups", "name"].into(), "the client may not ask for e-mail");
        let mut plain = with("claims", WANTED);
        plain.retain(|(name, _)| *name != "scope");
        assert!(asked(&plain).is_empty(), "without openid there is nobody to ask about");
        assert_eq!(run(&with("claims", "{")), ("redirect", "invalid_request", "authorize.claims"));
    }

    #[test]
    fn max_age_and_lists_are_bounded() {
        let age = |text| run_with(&with("max_age", text), app()).map(|v| v.request.max_age);
        assert_eq!(age("0").unwrap(), Some(Duration::ZERO));
        assert_eq!(age("10000").unwrap(), Some(Duration::from_secs(10_000)));
        for bad in ["-1", "1.5", "x", "+1", "99999999999"] {
            assert_eq!(told(run_with(&with("max_age", bad), app())).2, "authorize.max_age", "{bad}");
        }
        let found = run_with(&with("ui_locales", "de  en-GB fr"), app()).unwrap();
        assert_eq!(found.request.ui_locales, ["de", "en-GB", "fr"]);
    }

    #[test]
    fn resources_must_be_allowed() {
        assert_eq!(run(&with("resource", "urn:api")).0, "ok");
        assert_eq!(
            run(&with("resource", "urn:other")),
            ("redirect", "invalid_target", "resource.not_allowed")
        );
        assert_eq!(run(&with("resource", "urn:api#x")), ("redirect", "invalid_target", "resource.format"));
    }

    #[test]
    fn a_client_without_the_code_grant_is_refused() {
        let mut service = app();
        service.grant_types = [GrantType::ClientCredentials].into();
        assert_eq!(
            told(run_with(&valid(), service)),
            ("redirect", "unauthorized_client", "client.grant_type")
        );
    }

    proptest! {
        /// Laws: no request panics; what is accepted is never wider than the client; a redirect goes only to a
        /// registered address.
        #[test]
        fn any_request_is_decided_and_never_widened(
            pairs in prop::collection::vec((
                prop::sample::select(vec!["client_id", "redirect_uri", "response_type", "scope", "state", "nonce",
                    "prompt", "max_age", "resource", "code_challenge", "code_challenge_method", "request_uri"]),
                prop::sample::select(vec!["app", CB, "code", "openid profile admin", "none", "S256", CHALLENGE,
                    "urn:api", "https://evil.test/", "10", "\r\n", ""]),
            ), 0..10),
        ) {
            match run_with(&pairs, app()) {
                Ok(found) => {
                    prop_assert!(found.request.scope.is_subset(&app().scope));
                    prop_assert_eq!(found.redirect.uri(), CB);
                }
                Err(Refusal::Redirect(_, to)) => prop_assert_eq!(to.uri(), CB),
                Err(Refusal::Page(failure)) => prop_assert_eq!(failure.code.status(), 400),
            }
        }
    }
}
