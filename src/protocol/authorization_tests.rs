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
        assert_eq!(verdict, ("redirect", "unsupported_response_type", "authorize.response_type"), "{bad}");
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
    assert_eq!(run(&with("redirect_uri", "")), ("page", "invalid_request", "client.redirect_uri_missing"));
    assert_eq!(run(&with("scope", "")).0, "ok");
}

#[test]
fn oauth_022_a_control_character_in_state_is_refused_and_not_echoed() {
    match run_with(&with("state", "x\r\nSet-Cookie: a"), app()) {
        Err(Refusal::Redirect(failure, to)) => {
            assert_eq!(failure.reason, "request.control_character");
            let location = to.with_error("https://id.test", &failure);
            assert!(!location.as_str().contains("state="), "{location:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(run(&with("redirect_uri", "https://rp.test/cb\r\n")).0, "page");
}

#[test]
fn oauth_025_a_missing_response_type_is_told_to_the_client() {
    assert_eq!(run(&with("response_type", "")), ("redirect", "invalid_request", "authorize.response_type"));
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
    assert_eq!(run(&with("resource", "urn:other")), ("redirect", "invalid_target", "resource.not_allowed"));
    assert_eq!(run(&with("resource", "urn:api#x")), ("redirect", "invalid_target", "resource.format"));
}

#[test]
fn a_client_without_the_code_grant_is_refused() {
    let mut service = app();
    service.grant_types = [GrantType::ClientCredentials].into();
    assert_eq!(told(run_with(&valid(), service)), ("redirect", "unauthorized_client", "client.grant_type"));
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
