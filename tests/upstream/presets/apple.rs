//! <https://developer.apple.com/documentation/signinwithapplerestapi/authenticating-users-with-sign-in-with-apple>,
//! <https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret>,
//! <https://developer.apple.com/documentation/signinwithapple/incorporating-sign-in-with-apple-into-other-platforms>

use super::*;
use crate::bench::{PEM, RSA_PEM};
use crate::standin::{Reply, Seen};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::context::Context;
use countersign::jose::{Alg, JwkSet, SigningKey, verify_foreign};
use countersign::upstream::settings::SecretRef;
use countersign::upstream::{CallbackMethod, ProfileRefresh, Registry};
use secrecy::SecretString;
use serde_json::json;

const KEYS: &str = "private_key = \"env:KEY\"\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n";

/// The client secret, verified as Apple verifies it.
fn secret_holds(seen: &Seen) -> bool {
    let Some(secret) = seen.form.get("client_secret") else { return false };
    let key = SigningKey::from_pem(&PEM).unwrap();
    let mut jwk: Value = serde_json::from_str(key.public_jwk()).unwrap();
    jwk["kid"] = json!("ABC123DEFG");
    let keys = JwkSet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    let Ok(verified) = verify_foreign(secret, &keys, &[Alg::ES256]) else { return false };
    let claims = &verified.claims;
    let span = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    claims["iss"] == "DEF123GHIJ"
        && claims["sub"] == "countersign"
        && claims["aud"].as_str().is_some_and(|aud| aud.starts_with("http://127.0.0.1:"))
        && (1..=15_777_000).contains(&span)
        && seen.form["client_id"] == "countersign"
        && !seen.headers.contains_key("authorization")
}

fn script(script: &mut Script) {
    script.person = json!({
        "sub": "001473.fe6f83bf4b8e4590aacbabdcb8598bd0.2039", "email": "dpdcnf87nu@privaterelay.appleid.com",
        "email_verified": "true", "is_private_email": "true",
    });
    script.in_id_token = vec!["email", "email_verified", "is_private_email"];
    script.claims = Box::new(|claims| claims["nonce_supported"] = json!(true));
    script.authenticates = Some(Box::new(secret_holds));
    script.discovery = body(|document| {
        let document = document.as_object_mut().unwrap();
        document.remove("userinfo_endpoint");
        document.remove("authorization_response_iss_parameter_supported");
    });
    script.response = Box::new(|answer| drop(answer.remove("iss")));
}

fn posted(callback: &mut Callback) {
    callback.method = CallbackMethod::Post;
}

fn first(callback: &mut Callback) {
    posted(callback);
    let user =
        json!({"name": {"firstName": "Jane", "lastName": "Appleseed"}, "email": "admin@globex.example"});
    callback.parameters.insert("user".to_owned(), user.to_string());
}

fn contract() -> Contract {
    let more = format!("{KEYS}authoritative_for = [\"privaterelay.appleid.com\", \"globex.example\"]");
    Contract::oidc("apple", &more, script).with_callback(posted)
}

#[tokio::test]
async fn what_apple_is_set_to() {
    let provider = fixed("apple", KEYS);
    assert_eq!(provider.common.profile_refresh, ProfileRefresh::Keep);
    assert_eq!(fixed_oidc("apple", KEYS).issuer.text, "https://appleid.apple.com");
    assert!(Contract::oidc("apple", KEYS, script).bench.entry.upstream.answers_by_post());
}

/// Apple signs its own tokens by RS256 and takes ours by ES256 alone.
#[test]
fn apple_takes_no_key_of_another_kind() {
    let built = |key: &str| {
        let list = vec![fixed("apple", &KEYS.replace("env:KEY", key))];
        let pem = |reference: &SecretRef| match reference.to_string().as_str() {
            "env:RSA_KEY" => Ok(SecretString::from(RSA_PEM.clone())),
            _ => Ok(SecretString::from(PEM.clone())),
        };
        let registry = Registry::build(list, &pem, &Context::system(), None);
        registry.map(drop).map_err(|errors| (errors[0].problem.key, errors[0].problem.message.clone()))
    };
    assert_eq!(built("env:KEY"), Ok(()));
    let said = "the private key cannot sign by ES256".to_owned();
    assert_eq!(built("env:RSA_KEY"), Err(("signing_alg", said)));
}

#[tokio::test]
async fn the_first_sign_in_at_apple_brings_a_name() {
    let contract = contract().with_callback(first);
    let vouched = contract.signs_in().await;
    let issuer = contract.bench.standin.origin();
    assert_eq!(key(&vouched), (issuer, "001473.fe6f83bf4b8e4590aacbabdcb8598bd0.2039", ""));
    // the relay's address, by the token; not the one that the browser brought
    assert_eq!(email(&vouched), Some(("dpdcnf87nu@privaterelay.appleid.com", true)));
    let profile = vouched.identity.profile();
    assert_eq!(profile.name.as_deref(), Some("Jane Appleseed"));
    assert_eq!(
        (profile.given_name.as_deref(), profile.family_name.as_deref()),
        (Some("Jane"), Some("Appleseed"))
    );
    assert_eq!(contract.asks("response_mode").await.as_deref(), Some("form_post"));
    assert_eq!(contract.asks("scope").await.as_deref(), Some("openid name email"));
}

#[tokio::test]
async fn later_ones_bring_none() {
    let vouched = contract().signs_in().await;
    assert_eq!(name(&vouched), None);
    assert_eq!(email(&vouched), Some(("dpdcnf87nu@privaterelay.appleid.com", true)));
}

#[tokio::test]
async fn what_the_browser_brings_proves_nothing() {
    let contract = contract();
    for user in [
        "",
        "[]",
        "{\"name\":",
        "{\"name\":1}",
        "{\"name\":{\"firstName\":[\"x\"]}}",
        "{\"name\":{},\"name\":{}}",
        &format!("{{\"x\":\"{}\"}}", "x".repeat(5000)),
    ] {
        script(&mut contract.bench.standin.script());
        let open = contract.departs().await;
        let (outcome, _) = contract
            .bench
            .finish(&open, |callback| {
                posted(callback);
                callback.parameters.insert("user".to_owned(), user.to_owned());
            })
            .await;
        let vouched = outcome.unwrap();
        assert_eq!(name(&vouched), None, "{user}");
        assert_eq!(email(&vouched), Some(("dpdcnf87nu@privaterelay.appleid.com", true)));
    }
    // a claim of the token does not pass for it
    let vouched = contract
        .signs_in_with(|script| {
            script.claims =
                Box::new(|claims| claims["user"] = json!({"name": {"firstName": "E", "lastName": "V"}}));
        })
        .await;
    assert_eq!(name(&vouched), None);
}

#[tokio::test]
async fn no_rule_and_no_address_may_read_what_the_browser_brings() {
    for more in [
        "[[map]]\nrule = \"x\"\ngroup = \"staff\"\nwhen = \"claims.user.name.firstName == 'Jane'\"",
        "[profile]\nemail = \"claims.user.email\"",
        "email_verified_text = false\nemail_verified = \"claims.user.verified\"",
    ] {
        let table = format!("preset = \"apple\"\n{TABLE}{KEYS}{more}");
        let problems = provider(&table).check();
        assert!(problems.iter().any(|problem| problem.key == "response_claims"), "{more}: {problems:?}");
    }
}

#[tokio::test]
async fn texts_that_are_not_true_prove_no_address() {
    let contract = contract();
    for value in [json!("false"), json!("True"), json!("1"), json!(1), json!(null), json!(["true"])] {
        let vouched = contract
            .signs_in_with(|script| {
                script.claims = Box::new(move |claims| claims["email_verified"] = value.clone());
            })
            .await;
        assert_eq!(email(&vouched), Some(("dpdcnf87nu@privaterelay.appleid.com", false)));
    }
}

#[tokio::test]
async fn the_secret_is_signed_anew_for_each_request() {
    let contract = contract();
    let mut ends = Vec::new();
    for _ in 0..2 {
        contract.signs_in().await;
        let secret = contract.last("/token").form["client_secret"].clone();
        let payload = URL_SAFE_NO_PAD.decode(secret.split('.').nth(1).unwrap()).unwrap();
        ends.push(serde_json::from_slice::<Value>(&payload).unwrap()["exp"].as_i64().unwrap());
        // long past the six months that Apple allows
        contract.bench.clock.advance(std::time::Duration::from_secs(200 * 86_400));
    }
    assert_eq!(ends[1] - ends[0], 200 * 86_400);
}

#[tokio::test]
async fn what_apple_refuses() {
    let contract = contract();
    contract.declined("oidc.cancelled", &[("error", "user_cancelled_authorize")]).await;
    contract
        .refuses("oidc.token_error", |script| {
            script.token = Box::new(|reply| *reply = Reply::json(400, &json!({"error": "invalid_client"})));
        })
        .await;
    // by GET it is not the answer that was asked for
    script(&mut contract.bench.standin.script());
    let open = contract.departs().await;
    let (outcome, trace) = contract.bench.finish(&open, |_| {}).await;
    refused(outcome, &trace, "oidc.response_mode");
}
