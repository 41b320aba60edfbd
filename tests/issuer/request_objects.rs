//! Request objects (RFC 9101, OIDC Core §6): by value, by reference, and pushed.

use crate::assertions::{self, by_value, keyed, sign};
use crate::house::{Answer, CALLBACK, House, SignedIn, encode};
use crate::publisher::{Document, Publisher};
use crate::standin::{Canary, Key, b64, hs256};
use countersign::context::Clock as _;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::HashMap;
use std::time::Duration;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The claims of a valid object with all that a request needs.
fn object(house: &House) -> Value {
    let now = house.clock.now().secs();
    json!({
        "iss": "portal", "aud": house.issuer, "iat": now, "nbf": now, "exp": now + 300,
        "client_id": "portal", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid",
        "state": "inside", "nonce": "n1", "prompt": "none",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    })
}

fn with(house: &House, changes: Value) -> Value {
    let mut claims = object(house);
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

async fn ask(house: &House, person: &SignedIn, pairs: &[(&str, &str)]) -> Answer {
    house.get(&format!("/authorize?{}", encode(pairs)), &[("cookie", &person.cookie)]).await
}

/// Sends an object by value, with what OAuth and OpenID Connect want outside.
async fn by_object(house: &House, person: &SignedIn, object: &str) -> Answer {
    let pairs = [
        ("client_id", "portal"),
        ("response_type", "code"),
        ("scope", "openid"),
        ("redirect_uri", CALLBACK),
        ("request", object),
    ];
    ask(house, person, &pairs).await
}

async fn told(house: &House, person: &SignedIn, object: &str) -> HashMap<String, String> {
    by_object(house, person, object).await.redirect(CALLBACK)
}

async fn last_reason(house: &House) -> String {
    let newest = house.write(|tx| tx.refusals(1)).await;
    newest.first().map(|kept| kept.refusal.reason.clone()).unwrap_or_default()
}

async fn open(key: &Key, more: &str) -> (House, SignedIn) {
    let house = House::with(&keyed("portal", &format!("{}\n{more}", by_value(&[key])))).await;
    let alice = house.sign_in("alice").await;
    (house, alice)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_object_is_the_request() {
    let (rsa, ec) = (Key::rsa(0, "r"), Key::ec("e"));
    let house = House::with(&keyed("portal", &by_value(&[&rsa, &ec]))).await;
    let alice = house.sign_in("alice").await;
    for key in [&rsa, &ec] {
        let told = told(&house, &alice, &sign(key, &object(&house))).await;
        assert_eq!(told["state"], "inside");
        assert_eq!(told["iss"], house.issuer);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", told["code"].as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", crate::house::VERIFIER),
        ];
        let assertion = assertions::fresh(&house, key, "portal");
        let tokens = assertions::post(&house, "/token", &assertion, &form).await;
        assert_eq!(crate::house::claims(&tokens.text("id_token"))["nonce"], "n1");
    }
    let metadata = house.get("/.well-known/openid-configuration", &[]).await.json();
    for (name, value) in [
        ("request_parameter_supported", true),
        ("request_uri_parameter_supported", true),
        ("require_request_uri_registration", true),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    let algs = metadata["request_object_signing_alg_values_supported"].to_string();
    assert!(algs.contains("RS256") && !algs.contains("none") && !algs.contains("HS"), "{algs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_031_an_object_that_does_not_hold() {
    let key = Key::ec("e");
    let (house, alice) = open(&key, "").await;
    let claims = object(&house);
    let header = |header: Value| key.token(&header.to_string(), &claims.to_string());
    let good = sign(&key, &claims);
    let none = |alg: &str| format!("{}.{}.", b64(json!({"alg": alg}).to_string()), b64(claims.to_string()));
    // Another character in the midst of the signature.
    let (head, tail) = good.split_at(good.len() - 20);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    let changed = format!("{head}{other}{}", &tail[1..]);
    let refused = |name: &str, value: Value| sign(&key, &with(&house, json!({ name: value })));
    let cases = [
        ("none", none("none"), "jose.alg"),
        ("nOnE", none("nOnE"), "jose.alg"),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0), "jose.signature"),
        ("changed", changed, "jose.signature"),
        ("hmac", hs256(r#"{"alg":"HS256","kid":"e"}"#, &claims.to_string(), &key.public_der()), "jose.alg"),
        ("another key", sign(&Key::ec("e"), &claims), "jose.signature"),
        ("an unknown key", sign(&Key::ec("x"), &claims), "jose.kid"),
        ("no token", "x".to_owned(), "jose.format"),
        ("iss", refused("iss", json!("web")), "request_object.iss"),
        ("no iss", refused("iss", Value::Null), "request_object.iss"),
        ("aud", refused("aud", json!("https://other.test")), "request_object.aud"),
        ("no aud", refused("aud", Value::Null), "request_object.aud"),
        ("exp", refused("exp", json!(house.clock.now().secs() - 61)), "request_object.time"),
        ("nbf", refused("nbf", json!(house.clock.now().secs() + 61)), "request_object.time"),
        ("client_id", refused("client_id", json!("web")), "request_object.mismatch"),
        ("response_type", refused("response_type", json!("token")), "request_object.mismatch"),
        ("request", refused("request", json!(good)), "request_object.nested"),
        ("request_uri", refused("request_uri", json!("https://rp.test/r")), "request_object.nested"),
        ("prompt", refused("prompt", json!(["none"])), "request_object.parameter"),
        ("at+jwt", header(json!({"alg": "ES256", "kid": "e", "typ": "at+jwt"})), "request_object.typ"),
        ("crit", header(json!({"alg": "ES256", "kid": "e", "crit": ["x"], "x": 1})), "jose.crit"),
        // A client assertion of the same client, for us, in its time.
        ("assertion", assertions::fresh(&house, &key, "portal"), "request_object.typ"),
    ];
    for (name, bad, reason) in cases {
        let told = told(&house, &alice, &bad).await;
        assert_eq!(told["error"], "invalid_request_object", "{name}: {told:?}");
        assert!(!told.contains_key("code") && !told.contains_key("state"), "{name}: {told:?}");
        assert!(told["error_description"].contains(&format!("({reason})")), "{name}: {told:?}");
    }
    // Parameters inside are held to the rules of all parameters; what is wrong with them is told by them.
    let bad = sign(&key, &with(&house, json!({"code_challenge_method": "plain"})));
    let inside = told(&house, &alice, &bad).await;
    assert_eq!((inside["error"].as_str(), inside["state"].as_str()), ("invalid_request", "inside"));
    for typ in ["oauth-authz-req+jwt", "JWT", "application/oauth-authz-req+jwt"] {
        let good = header(json!({"alg": "ES256", "kid": "e", "typ": typ}));
        assert!(told(&house, &alice, &good).await.contains_key("code"), "{typ}");
    }
    assert!(told(&house, &alice, &good).await.contains_key("code"), "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_ensure_request_object_with_redirect_uri() {
    let key = Key::rsa(0, "r");
    let (house, alice) = open(&key, "").await;
    let pairs = |object| {
        [
            ("client_id", "portal"),
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", "http://evil.test/cb"),
            ("request", object),
        ]
    };
    let good = sign(&key, &object(&house));
    assert!(ask(&house, &alice, &pairs(&good)).await.redirect(CALLBACK).contains_key("code"));
    // An object that does not hold moves nobody anywhere.
    let forged = sign(&Key::rsa(1, "r"), &object(&house));
    let page = ask(&house, &alice, &pairs(&forged)).await;
    assert_eq!(page.status, 400);
    assert!(page.header("location").is_none());
    let elsewhere = sign(&key, &with(&house, json!({"redirect_uri": "http://evil.test/cb"})));
    assert_eq!(ask(&house, &alice, &pairs(&elsewhere)).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_inside_goes_before_and_may_have_to_stand_alone() {
    let key = Key::ec("e");
    let (house, alice) = open(&key, "").await;
    let claims = with(&house, json!({"state": null, "max_age": 10_000}));
    let sent = |object| {
        [
            ("client_id", "portal"),
            ("response_type", "code"),
            ("scope", "openid roles"),
            ("redirect_uri", CALLBACK),
            ("state", "outside"),
            ("request", object),
        ]
    };
    let plain = sign(&key, &claims);
    let told = ask(&house, &alice, &sent(&plain)).await.redirect(CALLBACK);
    assert_eq!(told["state"], "outside", "OIDC Core §6.1: both count, and what is inside goes before");
    let typed = key.token(
        &json!({"alg": "ES256", "kid": "e", "typ": "oauth-authz-req+jwt"}).to_string(),
        &claims.to_string(),
    );
    let told = ask(&house, &alice, &sent(&typed)).await.redirect(CALLBACK);
    assert!(told.contains_key("code") && !told.contains_key("state"), "RFC 9101 §6.3: {told:?}");

    let (strict, bob) = open(&key, "require_signed_request_object = true").await;
    let told = ask(&strict, &bob, &sent(&sign(&key, &with(&strict, json!({"state": null}))))).await;
    let told = told.redirect(CALLBACK);
    assert!(told.contains_key("code") && !told.contains_key("state"), "{told:?}");
    let unsigned = [
        ("client_id", "portal"),
        ("response_type", "code"),
        ("scope", "openid"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(ask(&strict, &bob, &unsigned).await.redirect(CALLBACK)["error"], "invalid_request");
    assert_eq!(last_reason(&strict).await, "authorize.signed_only");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_that_was_registered_is_the_only_one() {
    let (rsa, ec) = (Key::rsa(0, "r"), Key::ec("e"));
    let more = format!("{}\nrequest_object_signing_alg = \"ES256\"", by_value(&[&rsa, &ec]));
    let house = House::with(&keyed("portal", &more)).await;
    let alice = house.sign_in("alice").await;
    assert!(told(&house, &alice, &sign(&ec, &object(&house))).await.contains_key("code"));
    let refused = told(&house, &alice, &sign(&rsa, &object(&house))).await;
    assert_eq!(refused["error"], "invalid_request_object");
    assert_eq!(last_reason(&house).await, "jose.alg");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_keys_signs_nothing() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let object = sign(&Key::ec("e"), &json!({"iss": "web", "aud": house.issuer}));
    let pairs =
        [("client_id", "web"), ("redirect_uri", CALLBACK), ("response_type", "code"), ("request", &object)];
    assert_eq!(ask(&house, &alice, &pairs).await.redirect(CALLBACK)["error"], "invalid_request_object");
    assert_eq!(last_reason(&house).await, "client.keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_where_the_client_publishes_them() {
    let (old, new) = (Key::ec("old"), Key::ec("new"));
    let publisher = Publisher::start();
    let address = publisher.json("/jwks", &assertions::set(&[&old]));
    let house = House::with(&keyed("portal", &format!("jwks_uri = \"{address}\""))).await;
    let alice = house.sign_in("alice").await;
    assert!(told(&house, &alice, &sign(&old, &object(&house))).await.contains_key("code"));
    publisher.json("/jwks", &assertions::set(&[&new]));
    house.clock.advance(Duration::from_secs(60));
    assert!(told(&house, &alice, &sign(&new, &object(&house))).await.contains_key("code"), "rotated");
    assert_eq!(told(&house, &alice, &sign(&old, &object(&house))).await["error"], "invalid_request_object");
}

async fn by_reference(house: &House, person: &SignedIn, uri: &str) -> Answer {
    let pairs = [
        ("client_id", "portal"),
        ("response_type", "code"),
        ("scope", "openid"),
        ("redirect_uri", CALLBACK),
        ("request_uri", uri),
    ];
    ask(house, person, &pairs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_request_uri_signed_rs256() {
    let key = Key::rsa(0, "r");
    let publisher = Publisher::start();
    let address = format!("{}/request", publisher.origin);
    // As the suite does it: a fragment that is the hash of something else, and an object without times.
    let fragment = b64(sha2::Sha256::digest(b"something else"));
    let (house, alice) = open(&key, &format!("request_uris = [\"{address}#{fragment}\"]")).await;
    let timeless = with(&house, json!({"exp": null, "nbf": null, "iat": null}));
    publisher.put("/request", Document::Json(sign(&key, &timeless)));
    for count in 1..3 {
        let told = by_reference(&house, &alice, &format!("{address}#{fragment}")).await.redirect(CALLBACK);
        assert!(told.contains_key("code"), "{told:?}");
        assert_eq!(publisher.asked("/request"), count, "a fragment that is no hash of it keeps nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_address_has_its_hash_is_fetched_once() {
    let key = Key::ec("e");
    let publisher = Publisher::start();
    let address = format!("{}/request", publisher.origin);
    let (house, alice) = open(&key, &format!("request_uris = [\"{address}\"]")).await;
    let first = sign(&key, &with(&house, json!({"exp": null})));
    publisher.put("/request", Document::Json(first.clone()));
    let hashed = format!("{address}#{}", b64(sha2::Sha256::digest(first.as_bytes())));
    for _ in 0..3 {
        assert!(by_reference(&house, &alice, &hashed).await.redirect(CALLBACK).contains_key("code"));
    }
    assert_eq!(publisher.asked("/request"), 1);
    let second = sign(&key, &with(&house, json!({"exp": null, "state": "second"})));
    publisher.put("/request", Document::Json(second.clone()));
    let other = format!("{address}#{}", b64(sha2::Sha256::digest(second.as_bytes())));
    assert_eq!(by_reference(&house, &alice, &other).await.redirect(CALLBACK)["state"], "second");
    assert_eq!(by_reference(&house, &alice, &address).await.redirect(CALLBACK)["state"], "second");
    assert_eq!(publisher.asked("/request"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_033_nothing_is_fetched_from_where_a_stranger_points() {
    let key = Key::ec("e");
    let (publisher, canary) = (Publisher::start(), Canary::start());
    let address = format!("{}/request", publisher.origin);
    let (house, alice) = open(&key, &format!("request_uris = [\"{address}\", \"https://10.0.0.1/r\"]")).await;
    publisher.put("/request", Document::Json(sign(&key, &object(&house))));
    let strangers = [
        "http://169.254.169.254/",
        "http://[::1]/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        &format!("{}/x", canary.origin),
        &format!("{address}/../x"),
        &format!("{address}?x"),
        &address.replace("http://", "http://u@"),
        &address.to_uppercase(),
        "urn:example:x",
        "request",
    ];
    for uri in strangers {
        let told = by_reference(&house, &alice, uri).await.redirect(CALLBACK);
        assert_eq!(told["error"], "invalid_request_uri", "{uri}");
        assert_eq!(last_reason(&house).await, "request_uri.unregistered", "{uri}");
    }
    assert_eq!((canary.touched(), publisher.asked("/request")), (0, 0));
    // An address of another client is none of this one's.
    let pairs = [("client_id", "web"), ("redirect_uri", CALLBACK), ("request_uri", &address)];
    assert_eq!(ask(&house, &alice, &pairs).await.redirect(CALLBACK)["error"], "invalid_request_uri");
    // Registered, but within a private network.
    let told = by_reference(&house, &alice, "https://10.0.0.1/r").await.redirect(CALLBACK);
    assert_eq!(told["error"], "invalid_request_uri");
    assert_eq!(last_reason(&house).await, "request_uri.unreachable");
    assert!(
        by_reference(&house, &alice, &address).await.redirect(CALLBACK).contains_key("code"),
        "the valid twin"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_at_an_address_may_be_useless() {
    let key = Key::ec("e");
    let (publisher, canary) = (Publisher::start(), Canary::start());
    let address = format!("{}/request", publisher.origin);
    let (house, alice) = open(&key, &format!("request_uris = [\"{address}\"]")).await;
    for (document, error) in [
        (Document::Status(404), "invalid_request_uri"),
        (Document::Status(500), "invalid_request_uri"),
        (Document::Redirect(format!("{}/x", canary.origin)), "invalid_request_uri"),
        (Document::Json("x".repeat(17 * 1024)), "invalid_request_uri"),
        (Document::Json(String::new()), "invalid_request_object"),
        (Document::Json("<html>".to_owned()), "invalid_request_object"),
        (Document::Json(sign(&Key::ec("e"), &object(&house))), "invalid_request_object"),
    ] {
        publisher.put("/request", document);
        let told = by_reference(&house, &alice, &address).await.redirect(CALLBACK);
        assert_eq!(told["error"], error, "{}", last_reason(&house).await);
    }
    assert_eq!(canary.touched(), 0, "no redirect is followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_by_value_and_by_reference_at_once() {
    let key = Key::ec("e");
    let (house, alice) = open(&key, "").await;
    let object = sign(&key, &object(&house));
    let pairs = [
        ("client_id", "portal"),
        ("redirect_uri", CALLBACK),
        ("request", &*object),
        ("request_uri", "https://rp.test/r"),
    ];
    assert_eq!(ask(&house, &alice, &pairs).await.redirect(CALLBACK)["error"], "invalid_request");
    let twice =
        [("client_id", "portal"), ("redirect_uri", CALLBACK), ("request", &*object), ("request", &*object)];
    assert_eq!(ask(&house, &alice, &twice).await.redirect(CALLBACK)["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_pushed_and_stands_alone() {
    let key = Key::ec("e");
    let (house, alice) =
        open(&key, "require_signed_request_object = true\nrequire_pushed_authorization_requests = true")
            .await;
    let push = async |object: &str, more: &[(&str, &str)]| {
        let mut form = vec![("request", object)];
        form.extend(more);
        assertions::post(&house, "/par", &assertions::fresh(&house, &key, "portal"), &form).await
    };
    let pushed = push(&sign(&key, &object(&house)), &[("state", "outside"), ("scope", "openid roles")]).await;
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let uri = pushed.text("request_uri");
    let back =
        ask(&house, &alice, &[("client_id", "portal"), ("request_uri", &uri)]).await.redirect(CALLBACK);
    assert_eq!(back["state"], "inside");
    // RFC 9126 §3: what is outside is no part of the request.
    let lacking =
        push(&sign(&key, &with(&house, json!({"redirect_uri": null}))), &[("redirect_uri", CALLBACK)]).await;
    assert_eq!(lacking.error(), (400, "invalid_request".to_owned()));
    let other = push(&sign(&key, &with(&house, json!({"client_id": "web"}))), &[]).await;
    assert_eq!(other.error(), (400, "invalid_request_object".to_owned()));
    let forged = push(&sign(&Key::ec("e"), &object(&house)), &[]).await;
    assert_eq!(forged.error(), (400, "invalid_request_object".to_owned()));
    // By value, but not pushed; and pushed, but not signed.
    let told = told(&house, &alice, &sign(&key, &object(&house))).await;
    assert_eq!(told["error"], "invalid_request");
    let plain = [
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let unsigned = assertions::post(&house, "/par", &assertions::fresh(&house, &key, "portal"), &plain).await;
    assert_eq!(unsigned.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_does_not_travel_on() {
    let key = Key::rsa(0, "r");
    let (house, alice) = open(&key, "").await;
    let large = sign(&key, &with(&house, json!({"unknown": "x".repeat(4000), "prompt": null})));
    let answer = by_object(&house, &alice, &large).await;
    assert!(answer.redirect(CALLBACK).contains_key("code"));
}
