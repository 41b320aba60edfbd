//! The modules in which the suite, as the provider, tells that the person signed out there (OIDC Back-Channel
//! Logout 1.0), and the attacks on that.

use crate::house::{Answer, Visitor};
use crate::standin::{Key, b64, hs256};
use crate::suite::{Landing, Suite, oauth_error};
use serde_json::{Value, json};
use std::time::Duration;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Who leaves for the provider in the very moment of a logout may have left before it.
const LATER: Duration = Duration::from_millis(1);

/// Somebody who signed in while the provider had the session `their-session`.
async fn signed_in() -> Suite {
    let mut suite = Suite::with(None, |config, providers| {
        let algorithms = "provisioning = \"open\"\nalgorithms = [\"RS256\"]";
        (config, providers.replacen("provisioning = \"open\"", algorithms, 1))
    })
    .await;
    suite.house.globex.script().claims = Box::new(|claims| claims["sid"] = json!("their-session"));
    suite.sign_in(&[]).await;
    suite
}

/// The claims of a logout token that holds.
fn claims(suite: &Suite, jti: &str) -> Value {
    let now = suite.house.now().secs();
    json!({
        "iss": suite.house.globex.origin(), "aud": "countersign", "iat": now, "exp": now + 120, "jti": jti,
        "sub": "alice-subject", "sid": "their-session", "events": { EVENT: {} },
    })
}

/// Signed as the provider signs ID tokens.
fn signed(suite: &Suite, claims: &Value) -> String {
    let key = suite.house.globex.script().signer.clone();
    let header = json!({ "alg": key.alg(), "kid": key.kid, "typ": "logout+jwt" });
    key.token(&header.to_string(), &claims.to_string())
}

/// The provider's server tells.
async fn tell(suite: &Suite, token: &str) -> Answer {
    let to = suite.house.at("/upstream/globex/logout");
    let answer = Visitor::new().post_from(&to, &[("logout_token", token)], None, None).await;
    // §2.8
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:#?}");
    answer
}

/// Whether the person's session goes on: an app gets an answer without a question.
async fn lives_on(suite: &mut Suite) -> bool {
    match suite.authorize("suite", &[("prompt", "none")]).await {
        Landing::App(answer) => answer.contains_key("code"),
        Landing::Page(page) => panic!("{page:#?}"),
    }
}

/// A word that does not hold is refused for that reason and ends nothing; its valid twin ends the session.
async fn refused(suite: &mut Suite, reason: &str, token: &str) {
    let before = suite.house.rows().await;
    assert_eq!(oauth_error(&tell(suite, token).await), (400, "invalid_request".to_owned()), "{reason}");
    assert_eq!(suite.house.refusals().await[0].refusal.reason, reason);
    assert_eq!(suite.house.rows().await, before, "nothing is stored");
    assert!(lives_on(suite).await, "{reason}");
}

async fn twin_ends_it(suite: &mut Suite) {
    let token = signed(suite, &claims(suite, "twin"));
    assert_eq!(tell(suite, &token).await.status, 200);
    assert!(!lives_on(suite).await);
}

/// One claim is changed; `None` takes it away.
async fn refused_claim(reason: &str, name: &str, value: Option<Value>) {
    let mut suite = signed_in().await;
    let mut spoiled = claims(&suite, "spoiled");
    match value {
        Some(value) => spoiled[name] = value,
        None => drop(spoiled.as_object_mut().unwrap().remove(name)),
    }
    let token = signed(&suite, &spoiled);
    refused(&mut suite, reason, &token).await;
    twin_ends_it(&mut suite).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout() {
    let mut suite = signed_in().await;
    assert!(lives_on(&mut suite).await);
    twin_ends_it(&mut suite).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_alg_none() {
    let mut suite = signed_in().await;
    let token = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims(&suite, "none").to_string()));
    refused(&mut suite, "jose.alg", &token).await;
    twin_ends_it(&mut suite).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_alg() {
    // A key of the provider's own, but not the algorithm that was agreed upon.
    let mut suite = signed_in().await;
    let key = Key::ec("ec-1");
    suite.house.globex.script().keys.push(key.clone());
    let header = json!({ "alg": "ES256", "kid": "ec-1" });
    let token = key.token(&header.to_string(), &claims(&suite, "alg").to_string());
    refused(&mut suite, "jose.alg", &token).await;
    twin_ends_it(&mut suite).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_no_event() {
    refused_claim("oidc.logout_token.events", "events", None).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_event() {
    let other = json!({ "http://schemas.openid.net/event/other": {} });
    refused_claim("oidc.logout_token.events", "events", Some(other)).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_with_nonce() {
    refused_claim("oidc.logout_token.nonce", "nonce", Some(json!("n"))).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_aud() {
    refused_claim("oidc.logout_token.aud", "aud", Some(json!("somebody-else"))).await;
}

#[tokio::test]
async fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_iss() {
    refused_claim("oidc.logout_token.iss", "iss", Some(json!("https://another.example"))).await;
}

#[tokio::test]
async fn oidc_066_a_logout_token_that_nobody_signed_ends_nothing() {
    let mut suite = signed_in().await;
    let payload = claims(&suite, "forged").to_string();
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None","typ":"logout+jwt"}"#, r#"{"typ":"logout+jwt"}"#] {
        let token = format!("{}.{}.", b64(header), b64(&payload));
        assert_eq!(tell(&suite, &token).await.status, 400, "{header}");
    }
    // by a secret that the provider and everybody who knows its public key share
    let public = suite.house.globex.script().signer.public_der();
    let token = hs256(r#"{"alg":"HS256","kid":"rsa-1"}"#, &payload, &public);
    refused(&mut suite, "jose.alg", &token).await;
    // by somebody else
    let stranger = Key::rsa(1, "rsa-1");
    let token = stranger.token(r#"{"alg":"RS256","kid":"rsa-1"}"#, &payload);
    refused(&mut suite, "jose.signature", &token).await;
    twin_ends_it(&mut suite).await;
}

#[tokio::test]
async fn oidc_067_a_logout_token_that_does_not_hold_ends_nothing() {
    let mut suite = signed_in().await;
    let mut nobody = claims(&suite, "nobody");
    nobody.as_object_mut().unwrap().retain(|name, _| name != "sub" && name != "sid");
    let token = signed(&suite, &nobody);
    refused(&mut suite, "oidc.logout_token.who", &token).await;
    let mut old = claims(&suite, "old");
    old["exp"] = json!(suite.house.now().secs() - 3600);
    let token = signed(&suite, &old);
    refused(&mut suite, "oidc.logout_token.time", &token).await;
    // an ID token of the same keys is no logout token
    let id_token = json!({ "iss": old["iss"], "aud": "countersign", "sub": "alice-subject", "nonce": "n",
        "iat": old["iat"], "exp": suite.house.now().secs() + 120 });
    let token = signed(&suite, &id_token);
    refused(&mut suite, "oidc.logout_token.events", &token).await;
    // nor is it one at another provider's address
    let token = signed(&suite, &claims(&suite, "elsewhere"));
    for (path, reason) in [("friendbook", "upstream.logout_request"), ("nobody", "upstream.logout_request")] {
        let to = suite.house.at(&format!("/upstream/{path}/logout"));
        let answer = Visitor::new().post_from(&to, &[("logout_token", &token)], None, None).await;
        assert_eq!(answer.status, 400);
        assert_eq!(suite.house.refusals().await[0].refusal.reason, reason);
    }
    assert!(lives_on(&mut suite).await);
    twin_ends_it(&mut suite).await;
    // what was accepted once is not accepted again, although the person has signed in anew meanwhile
    suite.house.wait(LATER);
    suite.sign_in(&[]).await;
    let token = signed(&suite, &claims(&suite, "twin"));
    refused(&mut suite, "upstream.replay", &token).await;
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_what_stood_on_it_and_nothing_else() {
    let mut suite = signed_in().await;
    // another person, and another session of the provider's
    let told = |name: &str, value: &str, jti: &str, suite: &Suite| {
        let mut claims = claims(suite, jti);
        claims.as_object_mut().unwrap().retain(|name, _| name != "sub" && name != "sid");
        claims[name] = json!(value);
        signed(suite, &claims)
    };
    for (name, value) in [("sub", "bob-subject"), ("sid", "another-session")] {
        let token = told(name, value, value, &suite);
        assert_eq!(tell(&suite, &token).await.status, 200, "nobody is signed in by it, which is as good");
        assert!(lives_on(&mut suite).await);
    }
    // a session that is not this person's
    let mut crossed = claims(&suite, "crossed");
    crossed["sub"] = json!("bob-subject");
    assert_eq!(tell(&suite, &signed(&suite, &crossed)).await.status, 200);
    assert!(lives_on(&mut suite).await);
    // by the person alone, and by the session alone
    for (name, value) in [("sub", "alice-subject"), ("sid", "their-session")] {
        let token = told(name, value, name, &suite);
        assert_eq!(tell(&suite, &token).await.status, 200);
        assert!(!lives_on(&mut suite).await, "{name}");
        suite.house.wait(LATER);
        suite.sign_in(&[]).await;
    }
    let events = suite.house.events().await;
    let by_it = events
        .iter()
        .filter(|(kind, reason)| kind == "session.ended" && reason.as_deref() == Some("upstream.logout"));
    assert_eq!(by_it.count(), 2);
}
