//! The modules in which the suite plays the provider: what we refuse from a provider, and what we accept.

use crate::house::{Visitor, authorize, depart};
use crate::standin::{Key, b64};
use crate::suite::{Landing, Suite};
use serde_json::{Value, json};

/// A sign-in with the provider as it is scripted; whether the person got in, and else the reason.
async fn outcome(suite: &mut Suite) -> Result<(), String> {
    match suite.authorize("suite", &[]).await {
        landing @ Landing::App(_) => {
            landing.code();
            Ok(())
        }
        Landing::Page(_) => {
            let refusals = suite.house.refusals().await;
            Err(refusals.first().expect("a refusal is recorded").refusal.reason.clone())
        }
    }
}

/// The provider does one thing wrong: refused for that reason, nobody is let in, and the valid twin is.
async fn refused(reason: &str, spoil: impl FnOnce(&mut crate::standin::Script)) {
    let mut suite = Suite::open().await;
    let before = suite.house.rows().await;
    spoil(&mut suite.house.globex.script());
    assert_eq!(outcome(&mut suite).await, Err(reason.to_owned()));
    assert_eq!(suite.house.rows().await, before, "nothing is stored");
    suite.house.globex.behave();
    suite.person = Visitor::new();
    assert_eq!(outcome(&mut suite).await, Ok(()));
}

/// The same for a claim of the ID token; `None` takes it away.
async fn refused_claim(reason: &str, name: &'static str, value: Option<Value>) {
    refused(reason, |script| {
        script.claims = Box::new(move |claims| match &value {
            Some(value) => claims[name] = value.clone(),
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        });
    })
    .await;
}

#[tokio::test]
async fn oidcc_client_test() {
    let mut suite = Suite::open().await;
    assert_eq!(outcome(&mut suite).await, Ok(()));
}

#[tokio::test]
async fn oidcc_client_test_invalid_iss() {
    refused_claim("oidc.id_token.iss", "iss", Some(json!("https://another.example"))).await;
}

#[tokio::test]
async fn oidcc_client_test_missing_sub() {
    refused_claim("oidc.id_token.sub", "sub", None).await;
}

#[tokio::test]
async fn oidcc_client_test_invalid_aud() {
    refused_claim("oidc.id_token.aud", "aud", Some(json!("countersign1"))).await;
}

#[tokio::test]
async fn oidcc_client_test_missing_iat() {
    refused_claim("oidc.id_token.time", "iat", None).await;
}

#[tokio::test]
async fn oidcc_client_test_nonce_invalid() {
    refused_claim("oidc.id_token.nonce", "nonce", Some(json!("another"))).await;
}

#[tokio::test]
async fn oidcc_client_test_kid_absent_single_jwks() {
    let mut suite = Suite::open().await;
    suite.house.globex.script().header =
        Box::new(|header| drop(header.as_object_mut().unwrap().remove("kid")));
    assert_eq!(outcome(&mut suite).await, Ok(()));
}

#[tokio::test]
async fn oidcc_client_test_kid_absent_multiple_jwks() {
    // The module lets a client refuse, or try the keys that fit; we try them.
    let mut suite = Suite::open().await;
    {
        let mut script = suite.house.globex.script();
        script.keys.push(Key::rsa(1, "rsa-2"));
        script.header = Box::new(|header| drop(header.as_object_mut().unwrap().remove("kid")));
    }
    assert_eq!(outcome(&mut suite).await, Ok(()));
}

#[tokio::test]
async fn oidcc_client_test_idtoken_sig_rs256() {
    let mut suite = Suite::open().await;
    assert_eq!(suite.house.globex.script().signer.alg(), "RS256");
    assert_eq!(outcome(&mut suite).await, Ok(()));
}

#[tokio::test]
async fn oidcc_client_test_idtoken_sig_none() {
    refused("jose.alg", |script| {
        script.id_token = Box::new(|token| {
            let payload = token.split('.').nth(1).unwrap();
            *token = format!("{}.{payload}.", b64(r#"{"alg":"none"}"#));
        });
    })
    .await;
}

#[tokio::test]
async fn oidcc_client_test_invalid_sig_rs256() {
    refused("jose.signature", |script| {
        script.id_token = Box::new(|token| {
            let (signed, _) = token.rsplit_once('.').unwrap();
            *token = format!("{signed}.{}", b64([1; 256]));
        });
    })
    .await;
}

/// Userinfo is asked for, because the ID token does not say enough.
fn ask_userinfo(script: &mut crate::standin::Script) {
    script.in_id_token = vec![];
}

#[tokio::test]
async fn oidcc_client_test_userinfo_bearer_header() {
    let mut suite = Suite::open().await;
    ask_userinfo(&mut suite.house.globex.script());
    assert_eq!(outcome(&mut suite).await, Ok(()));
    let seen = suite.house.globex.seen();
    let request = seen.iter().find(|seen| seen.path == "/userinfo").expect("userinfo was asked");
    assert!(request.headers["authorization"].starts_with("Bearer "));
    assert!(!request.query.contains_key("access_token"), "never in an address");
}

#[tokio::test]
async fn oidcc_client_test_userinfo_bearer_body() {
    // The module is for clients that send the token in the body. We send it in the header, which every provider
    // must accept (RFC 6750 §2.1), and so never twice.
    let mut suite = Suite::open().await;
    ask_userinfo(&mut suite.house.globex.script());
    assert_eq!(outcome(&mut suite).await, Ok(()));
    let seen = suite.house.globex.seen();
    let request = seen.iter().find(|seen| seen.path == "/userinfo").expect("userinfo was asked");
    assert!(!request.form.contains_key("access_token"));
}

#[tokio::test]
async fn oidcc_client_test_userinfo_invalid_sub() {
    refused("oidc.userinfo.sub", |script| {
        ask_userinfo(script);
        script.userinfo = Box::new(|reply| reply.edit(|body| body["sub"] = json!("another-person")));
    })
    .await;
}

#[tokio::test]
async fn oidcc_client_test_scope_userinfo_claims() {
    let mut suite = Suite::open().await;
    ask_userinfo(&mut suite.house.globex.script());
    let tokens = suite.sign_in(&[("scope", "openid profile email")]).await;
    let request = &suite.house.globex.seen();
    let scope = &request.iter().find(|seen| seen.path == "/token").expect("a code was redeemed").form;
    assert_eq!(scope["grant_type"], "authorization_code");
    // what userinfo said reaches the app
    let said = suite.userinfo(&tokens.access).await;
    assert_eq!((&said["name"], &said["email"]), (&json!("Alice Adams"), &json!("alice@globex.example")));
}

#[tokio::test]
async fn oidcc_client_test_client_secret_basic() {
    let mut suite = Suite::open().await;
    assert_eq!(outcome(&mut suite).await, Ok(()));
    let seen = suite.house.globex.seen();
    let request = seen.iter().find(|seen| seen.path == "/token").expect("a code was redeemed");
    assert!(request.headers["authorization"].starts_with("Basic "));
    assert!(!request.form.contains_key("client_secret"));
}

#[tokio::test]
async fn oidcc_client_test_discovery_openid_config() {
    let suite = Suite::open().await;
    assert!(suite.house.globex.count("/.well-known/openid-configuration") > 0);
    // what it says is what is used
    let url = authorize(&suite.house, "first", &[]);
    let request = depart(&suite.house, &mut Visitor::new(), "globex", &url).await;
    assert_eq!(request.path(), "/authorize");
}

#[tokio::test]
async fn oidcc_client_test_discovery_jwks_uri_keys() {
    let mut suite = Suite::open().await;
    assert_eq!(outcome(&mut suite).await, Ok(()));
    assert!(suite.house.globex.count("/jwks") > 0);
}

#[tokio::test]
async fn oidcc_client_test_discovery_issuer_mismatch() {
    let mut suite = Suite::open().await;
    suite.house.globex.script().discovery =
        Box::new(|reply| reply.edit(|body| body["issuer"] = json!("https://another.example")));
    // a provider that was never reached before, as far as its settings tell
    suite
        .house
        .reload(|config, providers| {
            (config, providers.replacen("kind = \"oidc\"", "kind = \"oidc\"\nskew = \"31s\"", 1))
        })
        .await;
    assert_eq!(outcome(&mut suite).await, Err("oidc.discovery.issuer".to_owned()));
}

#[tokio::test]
async fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    let mut suite = Suite::open().await;
    {
        let mut script = suite.house.globex.script();
        let key = Key::rsa(1, "rsa-new");
        (script.keys, script.signer) = (vec![key.clone()], key);
    }
    assert_eq!(outcome(&mut suite).await, Ok(()));
}

#[tokio::test]
async fn oidcc_client_test_signing_key_rotation() {
    let mut suite = Suite::open().await;
    assert_eq!(outcome(&mut suite).await, Ok(()));
    {
        let mut script = suite.house.globex.script();
        let key = Key::rsa(1, "rsa-new");
        (script.keys, script.signer) = (vec![key.clone()], key);
    }
    suite.person = Visitor::new();
    assert_eq!(outcome(&mut suite).await, Ok(()));
}
