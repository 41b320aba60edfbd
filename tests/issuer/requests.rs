//! Parameters of the authorization request, as the conformance suite tries them, and as nobody should send them.
//! Names that begin with `oidcc` are those of its modules.

use crate::house::{CALLBACK, House, SignedIn, claims, encode};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::HashMap;
use std::time::Duration;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn request<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s1"),
        ("nonce", "n1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    pairs
}

async fn ask(house: &House, person: &SignedIn, more: &[(&str, &str)]) -> HashMap<String, String> {
    let path = format!("/authorize?{}", encode(&request(more)));
    house.get(&path, &[("cookie", &person.cookie)]).await.redirect(CALLBACK)
}

/// The claims of the ID token that a request gives.
async fn id_token(house: &House, person: &SignedIn, more: &[(&str, &str)]) -> serde_json::Value {
    let told = ask(house, person, more).await;
    let code = told.get("code").unwrap_or_else(|| panic!("{more:?}: {told:?}"));
    claims(&house.redeem("web", code).await.text("id_token"))
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_prompt_none_logged_in() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let first = id_token(&house, &alice, &[]).await;
    house.clock.advance(Duration::from_secs(60));
    let second = id_token(&house, &alice, &[("prompt", "none")]).await;
    assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_prompt_none_not_logged_in() {
    let house = House::open().await;
    let path = format!("/authorize?{}", encode(&request(&[("prompt", "none")])));
    let told = house.get(&path, &[]).await.redirect(CALLBACK);
    assert_eq!((told["error"].as_str(), told["state"].as_str()), ("login_required", "s1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_max_age_10000() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    house.clock.advance(Duration::from_secs(2));
    let first = id_token(&house, &alice, &[]).await;
    let aged = id_token(&house, &alice, &[("prompt", "none"), ("max_age", "10000")]).await;
    assert_eq!(first["auth_time"], aged["auth_time"]);
    assert!(aged["auth_time"].is_i64(), "{aged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_wish_is_never_an_error() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    for (module, name, value) in [
        ("oidcc-display-page", "display", "page"),
        ("oidcc-display-popup", "display", "popup"),
        ("display", "display", "touch"),
        ("display", "display", "wap"),
        ("an unknown display", "display", "hologram"),
        ("oidcc-login-hint", "login_hint", "buffy@globex.example"),
        ("oidcc-ui-locales", "ui_locales", "se de-CH"),
        ("oidcc-claims-locales", "claims_locales", "se"),
        ("oidcc-ensure-request-with-acr-values-succeeds", "acr_values", "1 2"),
        ("oidcc-ensure-request-with-unknown-parameter-succeeds", "extra", "foobar"),
        ("oidcc-ensure-request-without-nonce-succeeds-for-code-flow", "nonce", ""),
        ("response_mode", "response_mode", "query"),
    ] {
        let told = ask(&house, &alice, &[(name, value)]).await;
        assert!(told.contains_key("code"), "{module}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_id_token_hint() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "web", "openid").await.text("id_token");
    house.clock.advance(Duration::from_secs(3600));
    let told = id_token(&house, &alice, &[("prompt", "none"), ("id_token_hint", &hint)]).await;
    assert_eq!(told["sub"], claims(&hint)["sub"], "though it has expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_response_type_missing() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let told = ask(&house, &alice, &[("response_type", "")]).await;
    assert_eq!(told["error"], "invalid_request");
    assert_eq!(told["state"], "s1");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_ensure_registered_redirect_uri() {
    let house = House::open().await;
    let path = format!("/authorize?{}", encode(&request(&[("redirect_uri", "http://localhost:9/cb/x")])));
    let answer = house.get(&path, &[]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.header("location").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_ensure_post_request_succeeds() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let cookie = [("cookie", alice.cookie.as_str())];
    let told = house.post("/authorize", &cookie, &request(&[])).await.redirect(CALLBACK);
    assert_eq!(house.redeem("web", &told["code"]).await.status, 200);
    let by_form = house.post("/authorize", &cookie, &request(&[("response_mode", "form_post")])).await;
    assert_eq!(by_form.status, 200);
    assert!(by_form.body.contains("name=\"code\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_from_another_site_is_sent_on_by_get_which_brings_the_cookies() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let form = request(&[("state", "a b&é#")]);
    let foreign: [&[(&str, &str)]; 3] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://web.test")],
        &[("sec-fetch-site", "same-site")],
        // Browsers that know no Fetch Metadata still say where a POST comes from.
        &[("origin", "https://web.test")],
    ];
    for headers in foreign {
        let onward = house.post("/authorize", headers, &form).await;
        assert_eq!(onward.status, 303, "{onward:?}");
        assert!(onward.header("set-cookie").is_none());
        let path = onward.header("location").unwrap().strip_prefix(&house.issuer).unwrap().to_owned();
        let told = house.get(&path, &[("cookie", &alice.cookie)]).await.redirect(CALLBACK);
        assert!(told.contains_key("code"), "{told:?}");
        assert_eq!(told["state"], "a b&é#");
    }
    // Whatever is wrong is still told by the rules: a page until the address holds.
    let bad = request(&[("redirect_uri", "http://evil.test/")]);
    let onward = house.post("/authorize", foreign[0], &bad).await;
    let path = onward.header("location").unwrap().strip_prefix(&house.issuer).unwrap().to_owned();
    assert_eq!(house.get(&path, &[]).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_has_its_parameters_in_a_form_alone() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let cookie = ("cookie", alice.cookie.as_str());
    let mixed = house.post("/authorize?state=other", &[cookie], &request(&[])).await;
    assert_eq!(mixed.status, 400);
    assert!(mixed.header("location").is_none());
    for media_type in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let answer = house.post("/authorize", &[cookie, ("content-type", media_type)], &request(&[])).await;
        assert!(matches!(answer.status, 400 | 415), "{media_type}: {}", answer.status);
        assert!(answer.header("location").is_none());
    }
    let charset = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    let put = house.post("/authorize", &[cookie, charset], &request(&[])).await;
    assert!(put.redirect(CALLBACK).contains_key("code"), "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_026_every_combination_of_prompts() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let words = ["none", "login", "consent", "select_account"];
    for mask in 1..16_u32 {
        let chosen: Vec<&str> =
            words.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, word)| *word).collect();
        let prompt = chosen.join(" ");
        let path = format!("/authorize?{}", encode(&request(&[("prompt", &prompt)])));
        let answer = house.get(&path, &[("cookie", &alice.cookie)]).await;
        match (mask & 1 == 1, chosen.len()) {
            (true, 1) => assert!(answer.redirect(CALLBACK).contains_key("code")),
            (true, _) => assert_eq!(answer.redirect(CALLBACK)["error"], "invalid_request", "{prompt}"),
            // A session alone is enough where only consent is asked for.
            (false, _) if prompt == "consent" => assert_eq!(answer.status, 303),
            // This house has no provider: whoever must prove themselves anew cannot.
            (false, _) => assert!(!answer.body.contains("code=") && answer.status >= 300, "{prompt}"),
        }
    }
    for bad in ["create", "NONE", "login create"] {
        assert_eq!(ask(&house, &alice, &[("prompt", bad)]).await["error"], "invalid_request", "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn audience_is_read_as_resource() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    for name in ["resource", "audience"] {
        let told = ask(&house, &alice, &[(name, "urn:pay")]).await;
        let token = house.redeem("web", &told["code"]).await.text("access_token");
        let audience = &claims(&token)["aud"];
        assert!(audience.to_string().contains("urn:pay"), "{name}: {audience}");
        assert!(!audience.to_string().contains("urn:api"), "{name}: {audience}");
        assert_eq!(ask(&house, &alice, &[(name, "urn:unknown")]).await["error"], "invalid_target");
    }
    let mut both = request(&[("resource", "urn:pay")]);
    both.extend([("audience", "urn:api"), ("resource", "urn:pay")]);
    let path = format!("/authorize?{}", encode(&both));
    let told = house.get(&path, &[("cookie", &alice.cookie)]).await.redirect(CALLBACK);
    assert!(told.contains_key("code"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_usual_age_and_may_demand_a_time() {
    const CLIENT: &str = "\n[[client]]\nid = \"aged\"\nsecret = \"env:SECRET_AGED\"\n\
        redirect_uris = [\"http://localhost:9/cb\"]\nfirst_party = true\ndefault_max_age = \"10s\"\n\
        require_auth_time = true\ndefault_acr_values = [\"urn:a\", \"urn:b\"]\n";
    let house = House::with(CLIENT).await;
    let alice = house.sign_in("alice").await;
    let aged = [("client_id", "aged"), ("prompt", "none")];
    assert!(ask(&house, &alice, &aged).await.contains_key("code"));
    house.clock.advance(Duration::from_secs(11));
    assert_eq!(ask(&house, &alice, &aged).await["error"], "login_required");
    let more = [("client_id", "aged"), ("prompt", "none"), ("max_age", "60")];
    assert!(ask(&house, &alice, &more).await.contains_key("code"), "what is asked for goes before");
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_says_what_a_request_may_have() {
    let house = House::open().await;
    let metadata = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(metadata["response_modes_supported"], serde_json::json!(["query", "form_post"]));
    assert_eq!(metadata["display_values_supported"], serde_json::json!(["page", "popup", "touch", "wap"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["require_pushed_authorization_requests"], false);
}

/// Whatever is sent, shuffled, repeated, cut or blown up: a proper answer, and never an error of ours.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_an_error_of_ours() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let names = prop::sample::select(vec![
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "prompt",
        "max_age",
        "display",
        "ui_locales",
        "claims_locales",
        "id_token_hint",
        "login_hint",
        "acr_values",
        "claims",
        "registration",
        "request",
        "request_uri",
        "resource",
        "audience",
        "code_challenge",
        "code_challenge_method",
        "idp_hint",
        "client_secret",
        "client_assertion",
        "",
        "x",
    ]);
    let values = prop_oneof![
        prop::sample::select(vec![
            "web",
            "spa",
            CALLBACK,
            "code",
            "openid",
            "none",
            "login",
            "S256",
            CHALLENGE,
            "form_post",
            "urn:api",
            "10",
            "-1",
            "99999999999999999999",
            "\r\n",
            "\0",
            "é漢🎉",
            "{}",
            "{\"userinfo\":{}}",
            "e30.e30.",
            "eyJhbGciOiJub25lIn0.e30.",
            "https://evil.test/",
            "http://169.254.169.254/",
            "urn:ietf:params:oauth:request_uri:x",
            "%",
            "&",
            "=",
            " ",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
        (1_usize..9000).prop_map(|length| "x".repeat(length)),
    ];
    let strategy = (
        prop::collection::vec((names, values), 0..12),
        any::<bool>(),
        prop::option::of("[%&=+a-f0-9]{0,40}"),
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..400 {
        let (mut extra, base, raw) = strategy.new_tree(&mut runner).unwrap().current();
        if base {
            extra.extend(request(&[]).into_iter().map(|(n, v)| (n.to_owned().leak() as &str, v.to_owned())));
        }
        let pairs: Vec<(&str, &str)> = extra.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let query = encode(&pairs) + raw.as_deref().unwrap_or_default();
        let shown: String = query.chars().take(300).collect();
        let cookie = [("cookie", alice.cookie.as_str())];
        if query.len() < 40_000 {
            let answer = house.get(&format!("/authorize?{query}"), &cookie).await;
            assert!(matches!(answer.status, 200 | 303 | 400 | 413 | 414 | 431), "{}: {shown}", answer.status);
            if let Some(location) = answer.header("location") {
                let ours = [CALLBACK, house.issuer.as_str(), "http://127.0.0.1"];
                assert!(ours.iter().any(|start| location.starts_with(start)), "{location}");
            }
        }
        let answer = house.post_raw("/authorize", &cookie, &query).await;
        assert!(matches!(answer.status, 200 | 303 | 400 | 413 | 414), "{}: {shown}", answer.status);
        let auth = [("authorization", &*crate::house::basic("web"))];
        let answer = house.post_raw("/par", &auth, &query).await;
        assert!(matches!(answer.status, 201 | 400 | 401 | 413 | 414), "{}: {shown}", answer.status);
        assert!(answer.status == 201 || answer.json()["error"].is_string(), "{answer:?}");
    }
}
