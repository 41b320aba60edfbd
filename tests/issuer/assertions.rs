//! Clients that prove themselves by keys (RFC 7523 §3, OIDC Core §9 `private_key_jwt`), and where the keys are found.

use crate::house::{Answer, House, basic, secret_of};
use crate::publisher::{Document, Publisher};
use crate::standin::{Key, b64, hs256};
use countersign::context::Clock as _;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MACHINE: (&str, &str) = ("grant_type", "client_credentials");

/// The lines of a client whose keys are found where `keys` says.
pub fn keyed(id: &str, keys: &str) -> String {
    format!(
        "\n[[client]]\nid = \"{id}\"\n{keys}\ngrant_types = [\"client_credentials\", \"authorization_code\", \"refresh_token\"]\nredirect_uris = [\"http://localhost:9/cb\"]\nscopes = [\"openid\", \"offline_access\", \"roles\"]\nfirst_party = true\n"
    )
}

pub fn set(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

pub fn by_value(keys: &[&Key]) -> String {
    format!("jwks = '{}'", set(keys))
}

/// The claims of a fresh, valid assertion.
pub fn claims(house: &House, client: &str) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = house.clock.now().secs();
    let jti = format!("jti-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    json!({"iss": client, "sub": client, "aud": house.issuer, "iat": now, "exp": now + 60, "jti": jti})
}

pub fn sign(key: &Key, claims: &Value) -> String {
    let header = json!({"alg": key.alg(), "kid": key.kid});
    key.token(&header.to_string(), &claims.to_string())
}

pub fn fresh(house: &House, key: &Key, client: &str) -> String {
    sign(key, &claims(house, client))
}

/// Posts a form with an assertion.
pub async fn post(house: &House, path: &str, assertion: &str, form: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_assertion_type", TYPE), ("client_assertion", assertion)];
    all.extend(form);
    house.post(path, &[], &all).await
}

async fn machine(house: &House, assertion: &str) -> Answer {
    post(house, "/token", assertion, &[MACHINE]).await
}

fn refused() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

/// The reason of the newest refusal.
async fn reason(house: &House) -> String {
    let newest = house.write(|tx| tx.refusals(1)).await;
    newest.first().map(|kept| kept.refusal.reason.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_proves_itself_by_its_key_at_each_endpoint() {
    let (rsa, ec) = (Key::rsa(0, "r"), Key::ec("e"));
    let house = House::with(&keyed("portal", &by_value(&[&rsa, &ec]))).await;
    for key in [&rsa, &ec] {
        let answer = machine(&house, &fresh(&house, key, "portal")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let named =
        post(&house, "/token", &fresh(&house, &ec, "portal"), &[MACHINE, ("client_id", "portal")]).await;
    assert_eq!(named.status, 200, "client_id may stand beside it");
    let token = named.text("access_token");
    let seen = post(&house, "/introspect", &fresh(&house, &ec, "portal"), &[("token", &token)]).await;
    assert_eq!(seen.json()["active"], true);
    let gone = post(&house, "/revoke", &fresh(&house, &ec, "portal"), &[("token", &token)]).await;
    assert_eq!(gone.status, 200);
    let seen = post(&house, "/introspect", &fresh(&house, &ec, "portal"), &[("token", &token)]).await;
    assert_eq!(seen.json()["active"], false);
    let discovery = house.get("/.well-known/openid-configuration", &[]).await.json();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = discovery[format!("{endpoint}_endpoint_auth_methods_supported")].to_string();
        assert!(methods.contains("private_key_jwt"), "{methods}");
        let algs = discovery[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")].to_string();
        assert!(algs.contains("PS256") && !algs.contains("none") && !algs.contains("HS256"), "{algs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_and_a_refresh_token_are_redeemed_by_an_assertion() {
    let key = Key::ec("e");
    let house = House::with(&keyed("portal", &by_value(&[&key]))).await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "portal", "openid offline_access").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::house::CALLBACK),
        ("code_verifier", crate::house::VERIFIER),
    ];
    let tokens = post(&house, "/token", &fresh(&house, &key, "portal"), &form).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let refresh = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(post(&house, "/token", &fresh(&house, &key, "portal"), &form).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_051_an_assertion_beside_another_method() {
    let key = Key::ec("e");
    let both = "auth_methods = [\"private_key_jwt\", \"client_secret_basic\", \"client_secret_post\"]\nsecret = \"env:SECRET_PORTAL\"\n";
    let house = House::with(&keyed("portal", &format!("{both}{}", by_value(&[&key])))).await;
    let assertion = fresh(&house, &key, "portal");
    let secret = secret_of("portal");
    let form = [MACHINE, ("client_secret", secret.as_str()), ("client_id", "portal")];
    assert_eq!(post(&house, "/token", &assertion, &form).await.error().0, 400);
    let form = [MACHINE, ("client_assertion_type", TYPE), ("client_assertion", assertion.as_str())];
    let answer = house.post("/token", &[("authorization", &basic("portal"))], &form).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    assert_eq!(machine(&house, &assertion).await.status, 200, "the valid twin: nothing was used up");
    assert_eq!(house.token("portal", &[MACHINE]).await.status, 200, "and the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_053_oauth_054_a_keyed_client_by_its_name_alone_or_in_the_query() {
    let key = Key::ec("e");
    let house = House::with(&keyed("portal", &by_value(&[&key]))).await;
    let answer = house.post("/token", &[], &[MACHINE, ("client_id", "portal")]).await;
    assert_eq!(answer.error(), refused());
    let assertion = fresh(&house, &key, "portal");
    let path = format!("/token?client_assertion_type={TYPE}&client_assertion={assertion}");
    assert_eq!(house.post(&path, &[], &[MACHINE]).await.error(), (400, "invalid_request".to_owned()));
    assert_eq!(machine(&house, &assertion).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_055_client_assertion_jti_replay() {
    let key = Key::ec("e");
    let more = keyed("portal", &by_value(&[&key])) + &keyed("twin", &by_value(&[&key]));
    let house = House::with(&more).await;
    let mut said = claims(&house, "portal");
    let assertion = sign(&key, &said);
    assert_eq!(machine(&house, &assertion).await.status, 200);
    assert_eq!(machine(&house, &assertion).await.error(), refused());
    assert_eq!(reason(&house).await, "client.assertion_replayed");
    let elsewhere = post(&house, "/revoke", &assertion, &[("token", "x")]).await;
    assert_eq!(elsewhere.error(), refused(), "nor at another endpoint");
    // the same id again within the leeway after its end, and in another assertion
    house.clock.advance(Duration::from_secs(100));
    house.write(|tx| tx.sweep(countersign::context::Timestamp(1_800_000_100_000), 100)).await;
    assert_eq!(machine(&house, &assertion).await.error(), refused());
    said["exp"] = json!(house.clock.now().secs() + 60);
    assert_eq!(machine(&house, &sign(&key, &said)).await.error(), refused());
    // the twins: another id, and another client with the same id
    let mut twin = said.clone();
    twin["jti"] = json!("another");
    assert_eq!(machine(&house, &sign(&key, &twin)).await.status, 200);
    said["iss"] = json!("twin");
    said["sub"] = json!("twin");
    assert_eq!(machine(&house, &sign(&key, &said)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_057_client_assertion_claims_and_algorithms() {
    let (rsa, ec) = (Key::rsa(0, "r"), Key::ec("e"));
    let only = format!("assertion_alg = \"PS256\"\n{}", by_value(&[&rsa]));
    let house = House::with(&(keyed("portal", &by_value(&[&rsa, &ec])) + &keyed("strict", &only))).await;
    let now = house.clock.now().secs();
    for (name, value) in [
        ("exp", json!(now - 300)),
        ("exp", json!(now + 86_400)),
        ("exp", Value::Null),
        ("nbf", json!(now + 120)),
        ("iat", json!(now + 120)),
        ("sub", json!("web")),
        ("sub", Value::Null),
        ("iss", json!("web")),
        ("aud", json!("https://evil.test")),
        ("jti", Value::Null),
    ] {
        let mut said = claims(&house, "portal");
        if value.is_null() {
            said.as_object_mut().unwrap().remove(name);
        } else {
            said[name] = value.clone();
        }
        assert_eq!(machine(&house, &sign(&ec, &said)).await.error(), refused(), "{name} {value}");
    }
    let said = claims(&house, "portal").to_string();
    for none in ["none", "None", "NONE"] {
        let unsigned = format!("{}.{}.", b64(format!("{{\"alg\":\"{none}\"}}")), b64(&said));
        assert_eq!(machine(&house, &unsigned).await.error(), refused(), "{none}");
    }
    for secret in [rsa.public_der(), rsa.jwk().to_string().into_bytes()] {
        let forged = hs256(r#"{"alg":"HS256","kid":"r"}"#, &said, &secret);
        assert_eq!(machine(&house, &forged).await.error(), refused());
        assert_eq!(reason(&house).await, "jose.alg");
    }
    assert_eq!(machine(&house, &fresh(&house, &rsa, "strict")).await.error(), refused(), "RS256 where PS256");
    assert_eq!(reason(&house).await, "jose.alg");
    assert_eq!(machine(&house, &fresh(&house, &rsa, "portal")).await.status, 200, "the valid twin");
    let mut skewed = claims(&house, "portal");
    skewed["nbf"] = json!(now + 8);
    assert_eq!(machine(&house, &sign(&ec, &skewed)).await.status, 200, "clocks may differ by seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_058_an_assertion_signed_by_another_clients_key() {
    let (own, other) = (Key::ec("k"), Key::ec("k"));
    let house =
        House::with(&(keyed("portal", &by_value(&[&own])) + &keyed("rival", &by_value(&[&other])))).await;
    assert_eq!(machine(&house, &fresh(&house, &other, "portal")).await.error(), refused());
    assert_eq!(reason(&house).await, "jose.signature");
    // nor may the header bring the key along
    let said = claims(&house, "portal").to_string();
    let header = json!({"alg": "ES256", "kid": "k", "jwk": other.jwk(), "jku": "https://evil.test/jwks"});
    assert_eq!(machine(&house, &other.token(&header.to_string(), &said)).await.error(), refused());
    assert_eq!(machine(&house, &fresh(&house, &own, "portal")).await.status, 200, "the valid twin");
    assert_eq!(machine(&house, &fresh(&house, &other, "rival")).await.status, 200, "and the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_keys_or_a_public_one_cannot_assert() {
    let key = Key::ec("e");
    let house = House::open().await;
    for client in ["web", "spa", "service", "api", "nobody"] {
        assert_eq!(machine(&house, &fresh(&house, &key, client)).await.error(), refused(), "{client}");
    }
    let asked = post(&house, "/introspect", &fresh(&house, &key, "api"), &[("token", "x")]).await;
    assert_eq!(asked.error(), refused(), "resource servers have no keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_ensure_client_assertion_with_iss_aud_succeeds() {
    let key = Key::ec("e");
    let strict = format!("strict_assertions = true\n{}", by_value(&[&key]));
    let loose = format!("strict_assertions = false\n{}", by_value(&[&key]));
    let plain = by_value(&[&key]);
    let clients = keyed("strict", &strict) + &keyed("loose", &loose) + &keyed("plain", &plain);
    for (all_strict, plain_is_strict) in [("", false), ("\n[tokens]\nstrict_assertions = true\n", true)] {
        let house = House::with(&(clients.clone() + all_strict)).await;
        let token = format!("{}/token", house.issuer);
        for (client, is_strict) in [("strict", true), ("loose", false), ("plain", plain_is_strict)] {
            for (aud, only_loose) in [
                (json!(house.issuer), false),
                (json!([house.issuer]), true),
                (json!(token), true),
                (json!([token]), true),
            ] {
                let mut said = claims(&house, client);
                said["aud"] = aud.clone();
                let status = machine(&house, &sign(&key, &said)).await.status;
                assert_eq!(status, if is_strict && only_loose { 401 } else { 200 }, "{client} {aud}");
            }
        }
        // the address of one endpoint at another
        let mut said = claims(&house, "loose");
        said["aud"] = json!(format!("{}/revoke", house.issuer));
        assert_eq!(machine(&house, &sign(&key, &said)).await.error(), refused());
        said["jti"] = json!("at its own");
        assert_eq!(post(&house, "/revoke", &sign(&key, &said), &[("token", "x")]).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_refresh_token_rp_key_rotation() {
    let (old, new) = (Key::ec("old"), Key::ec("new"));
    let publisher = Publisher::start();
    let at = publisher.json("/jwks", &set(&[&old]));
    let house = House::with(&keyed("portal", &format!("jwks_uri = \"{at}\""))).await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "portal", "openid offline_access").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::house::CALLBACK),
        ("code_verifier", crate::house::VERIFIER),
    ];
    let tokens = post(&house, "/token", &fresh(&house, &old, "portal"), &form).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let refresh = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let unpublished = post(&house, "/token", &fresh(&house, &new, "portal"), &form).await;
    assert_eq!(unpublished.error(), refused());
    house.clock.advance(Duration::from_secs(31));
    publisher.json("/jwks", &set(&[&new]));
    let rotated = post(&house, "/token", &fresh(&house, &new, "portal"), &form).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_eq!(
        machine(&house, &fresh(&house, &old, "portal")).await.error(),
        refused(),
        "the old one is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_looked_for_once_in_a_while() {
    let (known, unknown) = (Key::ec("known"), Key::ec("unknown"));
    let publisher = Publisher::start();
    let at = publisher.json("/jwks", &set(&[&known]));
    let house = House::with(&keyed("portal", &format!("jwks_uri = \"{at}\""))).await;
    assert_eq!(machine(&house, &fresh(&house, &known, "portal")).await.status, 200);
    assert_eq!(publisher.asked("/jwks"), 1);
    for _ in 0..10 {
        assert_eq!(machine(&house, &fresh(&house, &unknown, "portal")).await.error(), refused());
    }
    assert_eq!(publisher.asked("/jwks"), 2, "once, however often somebody tries");
    for garbage in ["a.b.c", "e30.e30.", &hs256(r#"{"alg":"HS256"}"#, r#"{"sub":"portal"}"#, b"x")] {
        house.clock.advance(Duration::from_secs(31));
        assert_eq!(machine(&house, garbage).await.error(), refused());
    }
    assert_eq!(publisher.asked("/jwks"), 2, "what no key could make good is not worth a request");
    for _ in 0..10 {
        assert_eq!(machine(&house, &fresh(&house, &known, "portal")).await.status, 200);
    }
    assert_eq!(publisher.asked("/jwks"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_used_on_while_the_client_is_away_and_no_longer_when_they_are_removed() {
    let (first, second) = (Key::ec("first"), Key::ec("second"));
    let publisher = Publisher::start();
    let at = publisher.json("/jwks", &set(&[&first, &second]));
    let house = House::with(&keyed("portal", &format!("jwks_uri = \"{at}\""))).await;
    assert_eq!(machine(&house, &fresh(&house, &first, "portal")).await.status, 200);
    publisher.put("/jwks", Document::Status(500));
    house.clock.advance(Duration::from_secs(3600));
    assert_eq!(machine(&house, &fresh(&house, &first, "portal")).await.status, 200, "an hour");
    publisher.json("/jwks", &set(&[&second]));
    house.clock.advance(Duration::from_secs(3600));
    assert_eq!(machine(&house, &fresh(&house, &first, "portal")).await.error(), refused(), "removed");
    assert_eq!(machine(&house, &fresh(&house, &second, "portal")).await.status, 200);
    publisher.put("/jwks", Document::Status(500));
    house.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(machine(&house, &fresh(&house, &second, "portal")).await.error(), refused(), "not for ever");
    assert_eq!(reason(&house).await, "client.keys_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_under_its_name_is_found() {
    let (old, new) = (Key::ec("k"), Key::ec("k"));
    let publisher = Publisher::start();
    let at = publisher.json("/jwks", &set(&[&old]));
    let house = House::with(&keyed("portal", &format!("jwks_uri = \"{at}\""))).await;
    assert_eq!(machine(&house, &fresh(&house, &old, "portal")).await.status, 200);
    publisher.json("/jwks", &set(&[&new]));
    assert_eq!(machine(&house, &fresh(&house, &new, "portal")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_where_we_must_not_go_or_that_are_none() {
    let key = Key::ec("e");
    let publisher = Publisher::start();
    let good = publisher.json("/jwks", &set(&[&key]));
    let large = publisher.json("/large", &json!({"keys": [], "x": "x".repeat(300 * 1024)}));
    let addresses = [
        publisher.put("/moved", Document::Redirect(good.clone())),
        publisher.put("/gone", Document::Status(404)),
        publisher.put("/html", Document::Json("<html>".to_owned())),
        large,
        "https://10.0.0.1/jwks".to_owned(),
        "https://192.168.1.1/jwks".to_owned(),
    ];
    let mut more = keyed("good", &format!("jwks_uri = \"{good}\""));
    for (at, address) in addresses.iter().enumerate() {
        more += &keyed(&format!("bad{at}"), &format!("jwks_uri = \"{address}\""));
    }
    let house = House::with(&more).await;
    for (at, address) in addresses.iter().enumerate() {
        let answer = machine(&house, &fresh(&house, &key, &format!("bad{at}"))).await;
        assert_eq!(answer.error(), refused(), "{address}");
        assert_eq!(reason(&house).await, "client.keys_unavailable", "{address}");
    }
    assert_eq!(machine(&house, &fresh(&house, &key, "good")).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_server_hangs_holds_up_nobody_else() {
    let key = Key::ec("e");
    let publisher = Publisher::start();
    let good = publisher.json("/jwks", &set(&[&key]));
    let hangs = publisher.put("/hangs", Document::Hang);
    let more =
        keyed("good", &format!("jwks_uri = \"{good}\"")) + &keyed("slow", &format!("jwks_uri = \"{hangs}\""));
    let house = std::sync::Arc::new(House::with(&more).await);
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let (house, assertion) = (house.clone(), fresh(&house, &key, "slow"));
            tokio::spawn(async move { machine(&house, &assertion).await.status })
        })
        .collect();
    while publisher.asked("/hangs") == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        assert_eq!(machine(&house, &fresh(&house, &key, "good")).await.status, 200);
    }
    for one in waiting {
        assert_eq!(one.await.unwrap(), 401);
    }
    assert!(publisher.asked("/hangs") < 5, "they shared requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_033_an_assertion_that_may_have_been_used_before_a_backup_came_back_is_refused() {
    let key = Key::ec("e");
    let house = House::with(&keyed("portal", &by_value(&[&key]))).await;
    let dated = claims(&house, "portal");
    let mut undated = claims(&house, "portal");
    undated.as_object_mut().unwrap().remove("iat");
    house.clock.advance(Duration::from_secs(5));
    let epoch = house.clock.now().0.to_string();
    house
        .write(move |tx| {
            tx.put_meta(countersign::flow::lineage::EPOCH, &epoch)?;
            tx.bump_config_version()
        })
        .await;
    house.app.rebuild().await.unwrap();
    for claims in [dated, undated] {
        assert_eq!(machine(&house, &sign(&key, &claims)).await.error(), refused(), "{claims}");
        assert_eq!(reason(&house).await, "client.assertion_epoch");
    }
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(machine(&house, &fresh(&house, &key, "portal")).await.status, 200, "the valid twin");
}
