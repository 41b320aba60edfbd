//! What reaches an app of what a provider said: the person, and how they signed in.

use crate::house::*;
use serde_json::{Value, json};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The `claims` parameter.
fn claims(request: Value) -> String {
    request.to_string()
}

/// Redeems the code that an app got, and reads its ID token.
pub async fn id_token(house: &House, visitor: &mut Visitor, back: &url::Url) -> (Value, String) {
    let code = parameter(back, "code").unwrap_or_else(|| panic!("{back}"));
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://localhost:8084/callback"),
        ("code_verifier", VERIFIER),
        ("client_id", "first"),
        ("client_secret", "first-secret-of-the-tests-0123456789"),
    ];
    let answer = visitor.post(&house.at("/token"), &form).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let token = body["id_token"].as_str().unwrap();
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    (serde_json::from_slice(&payload).unwrap(), body["access_token"].as_str().unwrap().to_owned())
}

/// Globex says how people sign in there, and the broker is told what that is worth.
async fn graded() -> House {
    let map = "acr_map = { \"urn:globex:2fa\" = \"mfa\", \"urn:globex:pw\" = \"pwd\" }\n\n[[provider.map]]";
    House::with(|config, providers| (config, providers.replacen("[[provider.map]]", map, 1))).await
}

fn says(house: &House, acr: &'static str) {
    house.globex.script().claims = Box::new(move |claims: &mut Value| {
        claims["acr"] = json!(acr);
        claims["amr"] = json!(["pwd", "otp", "ngcmfa", "pwd"]);
    });
}

#[tokio::test]
async fn an_essential_context_is_demanded_at_the_provider_and_reached_or_unmet() {
    let house = graded().await;
    let must = claims(json!({"id_token": {"acr": {"essential": true, "values": ["mfa"]}}}));
    let request = authorize(&house, "first", &[("claims", &must)]);
    let mut alice = Visitor::new();
    says(&house, "urn:globex:pw");
    let away = depart(&house, &mut alice, "globex", &request).await;
    assert_eq!(parameter(&away, "acr_values").as_deref(), Some("urn:globex:2fa"), "in its own words");
    let back = alice.get(&approval(&house, &away)).await.location();
    let back = alice.get(back.as_str()).await.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("unmet_authentication_requirements"), "{back}");
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-app's-state"));

    // the session that is there does not do, and nothing may be shown
    let silent = alice.get(&authorize(&house, "first", &[("claims", &must), ("prompt", "none")])).await;
    assert_eq!(parameter(&silent.location(), "error").as_deref(), Some("login_required"));
    let lesser = claims(json!({"id_token": {"acr": {"essential": true, "value": "pwd"}}}));
    let enough =
        alice.get(&authorize(&house, "first", &[("claims", &lesser), ("prompt", "none")])).await.location();
    assert_eq!(id_token(&house, &mut alice, &enough).await.0["acr"], "pwd");

    // a better proof does
    says(&house, "urn:globex:2fa");
    let back = sign_in(&house, &mut alice, "globex", &request).await;
    let (id, _) = id_token(&house, &mut alice, &back).await;
    assert_eq!(
        (&id["acr"], &id["amr"]),
        (&json!("mfa"), &json!(["otp", "pwd"])),
        "methods that are registered"
    );
    let document: Value =
        serde_json::from_str(&alice.get(&house.at("/.well-known/openid-configuration")).await.body).unwrap();
    assert_eq!(document["acr_values_supported"], json!(["mfa", "pwd"]));
}

#[tokio::test]
async fn oidcc_ensure_request_with_acr_values_succeeds() {
    let house = graded().await;
    says(&house, "urn:globex:pw");
    let mut alice = Visitor::new();
    let request = authorize(&house, "first", &[("acr_values", "gold mfa")]);
    let back = sign_in(&house, &mut alice, "globex", &request).await;
    let (id, _) = id_token(&house, &mut alice, &back).await;
    assert_eq!(id["acr"], "pwd", "a wish is no demand, and the truth is told");
    says(&house, "urn:globex:unheard-of");
    let back = sign_in(&house, &mut Visitor::new(), "globex", &request).await;
    let (id, _) = id_token(&house, &mut alice, &back).await;
    assert!(id.get("acr").is_none(), "a word that the configuration does not know is not passed on");
}

#[tokio::test]
async fn a_context_that_is_not_declared_is_not_told() {
    let house = House::open().await;
    says(&house, "mfa");
    let mut alice = Visitor::new();
    let back = sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let (id, _) = id_token(&house, &mut alice, &back).await;
    assert!(id.get("acr").is_none());
    let must = claims(json!({"id_token": {"acr": {"essential": true, "values": ["mfa"]}}}));
    let unmet = alice.get(&authorize(&house, "first", &[("claims", &must)])).await.location();
    assert_eq!(parameter(&unmet, "error").as_deref(), Some("unmet_authentication_requirements"));
}

#[tokio::test]
async fn oidc_070_a_time_that_nobody_vouched_for_is_never_told() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let back = sign_in(&house, &mut alice, "friendbook", &authorize(&house, "first", &[])).await;
    let (id, _) = id_token(&house, &mut alice, &back).await;
    assert!(id.get("auth_time").is_none(), "plain OAuth says none: {id}");
    let voluntary =
        [json!({"id_token": {"auth_time": null}}), json!({"userinfo": {"auth_time": {"essential": true}}})];
    for wish in voluntary {
        let back = alice.get(&authorize(&house, "first", &[("claims", &claims(wish))])).await.location();
        assert!(id_token(&house, &mut alice, &back).await.0.get("auth_time").is_none());
    }
    // where it is demanded, the person goes where it is said
    let must = claims(json!({"id_token": {"auth_time": {"essential": true}}}));
    let silent = alice.get(&authorize(&house, "first", &[("claims", &must), ("prompt", "none")])).await;
    assert_eq!(parameter(&silent.location(), "error").as_deref(), Some("login_required"));
    let away = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[("claims", &must)])).await;
    assert!(away.as_str().starts_with(house.globex.origin()), "the only one that is open: {away}");
    let back =
        sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[("claims", &must)]))
            .await;
    assert!(id_token(&house, &mut alice, &back).await.0["auth_time"].is_i64());
}

#[tokio::test]
async fn link_043_address_and_number_come_from_the_provider_and_their_proof_does_not() {
    let scopes =
        ("scopes = [\"openid\", \"profile\"", "scopes = [\"openid\", \"address\", \"phone\", \"profile\"");
    let house = House::with(|config, providers| (config.replacen(scopes.0, scopes.1, 1), providers)).await;
    {
        let mut script = house.globex.script();
        script.person["address"] = json!({"locality": "Bonn", "country": "DE", "admin": true});
        script.person["phone_number"] = json!("+49 228 1234567");
        script.person["phone_number_verified"] = json!(true);
        script.person["birthdate"] = json!("1986-04-12");
        script.in_id_token.extend(["address", "phone_number", "phone_number_verified", "birthdate"]);
    }
    let mut alice = Visitor::new();
    let request = authorize(&house, "first", &[("scope", "openid profile address phone")]);
    let back = sign_in(&house, &mut alice, "globex", &request).await;
    let (_, token) = id_token(&house, &mut alice, &back).await;
    let info = alice.post(&house.at("/userinfo"), &[("access_token", token.as_str())]).await;
    let info: Value = serde_json::from_str(&info.body).unwrap();
    assert_eq!(info["address"], json!({"locality": "Bonn", "country": "DE"}));
    assert_eq!(
        (&info["phone_number"], &info["birthdate"]),
        (&json!("+49 228 1234567"), &json!("1986-04-12"))
    );
    assert_eq!(info["phone_number_verified"], json!(false));
}
