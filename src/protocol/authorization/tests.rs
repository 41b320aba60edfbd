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

/// A request with every parameter that we know.
fn full() -> Vec<(&'static str, &'static str)> {
    let mut pairs = valid();
    pairs.extend([
        ("response_mode", "form_post"),
        ("prompt", "login consent"),
        ("max_age", "60"),
        ("display", "popup"),
        ("login_hint", "ann@globex.example"),
        ("ui_locales", "de en"),
        ("claims_locales", "de"),
        ("acr_values", "a b"),
        ("idp_hint", "globex"),
        ("resource", "urn:api"),
        ("audience", "urn:api"),
        ("unknown", "x"),
    ]);
    pairs
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
    let find = |id: &str| (id == app.id.as_str()).then(|| Arc::new(app.clone()));
    parse(&parameters, Arrival::default(), find, &offer)
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
    assert_eq!(run(&with("response_mode", "form_post")).0, "ok");
}

#[test]
fn the_way_of_answering_goes_with_the_request_and_its_refusals() {
    let found = run_with(&with("response_mode", "form_post"), app()).unwrap();
    assert_eq!(found.request.response_mode, ResponseMode::FormPost);
    assert_eq!(found.redirect.mode(), ResponseMode::FormPost);
    assert_eq!(found.request.redirect(&found.client).unwrap().mode(), ResponseMode::FormPost);
    let mut bad = with("response_mode", "form_post");
    bad.push(("prompt", "none login"));
    match run_with(&bad, app()) {
        Err(Refusal::Redirect(_, to)) => assert_eq!(to.mode(), ResponseMode::FormPost),
        other => panic!("{other:?}"),
    }
    let mut native = app();
    native.redirect_uris = ["com.example.app:/cb".to_owned()].into();
    native.auth_methods = [AuthMethod::None].into();
    let to_app = |mode: &'static str| {
        let mut pairs = with("redirect_uri", "com.example.app:/cb");
        pairs.push(("response_mode", mode));
        run_with(&pairs, native.clone())
    };
    match to_app("form_post") {
        Err(Refusal::Redirect(failure, to)) => {
            assert_eq!((failure.reason, to.mode()), ("authorize.response_mode", ResponseMode::Query));
        }
        other => panic!("{other:?}"),
    }
    assert!(to_app("query").is_ok());
}

#[test]
fn oauth_037_what_must_be_pushed_or_signed_is_refused_otherwise() {
    let told_with = |arrival: Arrival, app: Client| {
        let query = encode(&valid());
        let parameters = Parameters::decode(&query).unwrap();
        told(parse(&parameters, arrival, |_| Some(Arc::new(app)), &Offer::default())).2
    };
    let (plain, pushed) = (Arrival::default(), Arrival { pushed: true, ..Arrival::default() });
    let signed = Arrival { signed: true, ..Arrival::default() };
    let mut pusher = app();
    pusher.requests.pushed_only = true;
    assert_eq!(told_with(plain, pusher.clone()), "authorize.pushed_only");
    assert_eq!(told_with(signed, pusher.clone()), "authorize.pushed_only");
    assert_eq!(told_with(pushed, pusher), "");
    assert_eq!(told_with(Arrival { pushed_demanded: true, ..plain }, app()), "authorize.pushed_only");
    assert_eq!(told_with(Arrival { pushed_demanded: true, ..pushed }, app()), "");
    let mut signer = app();
    signer.requests.signed_only = true;
    assert_eq!(told_with(pushed, signer.clone()), "authorize.signed_only");
    assert_eq!(told_with(signed, signer), "");
}

#[test]
fn what_a_client_registered_fills_what_it_does_not_say() {
    let mut app = app();
    app.sign_in.default_max_age = Some(Duration::from_secs(600));
    app.sign_in.default_acr_values = vec!["urn:mfa".to_owned()];
    let found = run_with(&valid(), app.clone()).unwrap().request;
    assert_eq!(found.max_age, Some(Duration::from_secs(600)));
    assert_eq!(found.acr_values, ["urn:mfa"]);
    let mut said = with("max_age", "5");
    said.push(("acr_values", "urn:pwd"));
    let found = run_with(&said, app.clone()).unwrap().request;
    assert_eq!((found.max_age, found.acr_values), (Some(Duration::from_secs(5)), vec!["urn:pwd".to_owned()]));
    app.sign_in.default_max_age = None;
    app.sign_in.require_auth_time = true;
    assert_eq!(run_with(&valid(), app).unwrap().request.max_age, Some(ANY_AGE));
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
            let location = to.with_error("https://id.test", &failure, None).location();
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
fn registration_in_the_request_is_not_offered() {
    let told = ("redirect", "registration_not_supported", "authorize.not_offered");
    assert_eq!(run(&with("registration", "{}")), told);
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
    assert_eq!(run(&with("resource", "urn:other")), ("redirect", "invalid_target", "resource.not_allowed"));
    assert_eq!(run(&with("resource", "urn:api#x")), ("redirect", "invalid_target", "resource.format"));
    // The synonym of some libraries is read in the same way.
    let named = |name| run_with(&with(name, "urn:api"), app()).unwrap().request.resources;
    assert_eq!(named("audience"), named("resource"));
    assert_eq!(run(&with("audience", "urn:other")).2, "resource.not_allowed");
}

#[test]
fn a_request_object_can_say_all_that_a_request_can() {
    let mut claims = serde_json::Map::new();
    for (name, value) in full() {
        claims.insert(name.to_owned(), value.into());
    }
    claims.insert("max_age".to_owned(), 60.into());
    let inside = crate::protocol::request_object::parameters(&claims).unwrap();
    let pairs: Vec<(&str, &str)> =
        inside.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs.len(), full().len() - 1, "all but the unknown one");
    assert_eq!(run_with(&pairs, app()).unwrap().request, run_with(&full(), app()).unwrap().request);
}

#[test]
fn a_client_without_the_code_grant_is_refused() {
    let mut service = app();
    service.grant_types = [GrantType::ClientCredentials].into();
    assert_eq!(told(run_with(&valid(), service)), ("redirect", "unauthorized_client", "client.grant_type"));
}

proptest! {
    /// Law: the order of the parameters means nothing.
    #[test]
    fn any_order_is_the_same_request(shuffled in Just(full()).prop_shuffle()) {
        let ordered = run_with(&full(), app()).unwrap();
        let found = run_with(&shuffled, app()).unwrap();
        prop_assert_eq!(found.request, ordered.request);
        prop_assert_eq!(found.redirect, ordered.redirect);
    }

    /// Law: whatever is sent twice is refused, even with the same value; but for `resource` and `audience`.
    #[test]
    fn any_duplicate_is_refused(which in 0usize..64, at in 0usize..64, same: bool) {
        let mut pairs = full();
        let (name, value) = pairs[which % pairs.len()];
        pairs.insert(at % (pairs.len() + 1), (name, if same { value } else { "urn:api" }));
        let several = ["resource", "audience"].contains(&name);
        match run_with(&pairs, app()) {
            Ok(_) => prop_assert!(several, "{}", name),
            Err(refusal) => {
                prop_assert!(!several, "{}", name);
                prop_assert_eq!(refusal.failure().reason, "request.duplicate_parameter");
            }
        }
    }

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
