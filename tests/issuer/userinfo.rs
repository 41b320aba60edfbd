//! The userinfo endpoint (OIDC Core §5.3): how the token comes, and how the answer does.

use crate::house::{House, claims};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_userinfo_get_post_header_post_body() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let token = house.tokens(&alice, "everything", "openid email").await.text("access_token");
    let bearer = format!("Bearer {token}");
    let by_get = house.get("/userinfo", &[("authorization", &bearer)]).await;
    let by_header = house.post("/userinfo", &[("authorization", &bearer)], &[]).await;
    let by_body = house.post("/userinfo", &[], &[("access_token", &token)]).await;
    for answer in [&by_get, &by_header, &by_body] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.json()["email"], "alice@globex.example");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_075_a_token_in_the_address_or_in_two_places_is_refused() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let token = house.tokens(&alice, "everything", "openid").await.text("access_token");
    let bearer = format!("Bearer {token}");
    let path = format!("/userinfo?access_token={token}");
    let in_address = [
        house.get(&path, &[]).await,
        house.get(&path, &[("authorization", &bearer)]).await,
        house.post(&path, &[], &[("x", "y")]).await,
        house.post("/userinfo", &[("authorization", &bearer)], &[("access_token", &token)]).await,
    ];
    for answer in in_address {
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_request\""),
            "{challenge}"
        );
    }
    for (headers, error) in [
        (vec![], None),
        (vec![("authorization", "Basic eDp5")], None),
        (vec![("authorization", "Bearer nonsense")], Some("error=\"invalid_token\"")),
    ] {
        let answer = house.get("/userinfo", &headers).await;
        assert_eq!(answer.status, 401);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer realm="), "{challenge}");
        assert_eq!(challenge.contains("error="), error.is_some(), "RFC 6750 §3.1: {challenge}");
    }
    let few = house.tokens(&alice, "everything", "groups").await.text("access_token");
    let answer = house.userinfo(&few).await;
    assert_eq!(answer.error(), (403, "insufficient_scope".to_owned()));
    assert!(answer.header("www-authenticate").unwrap().contains("scope=\"openid\""));
    assert_eq!(house.userinfo(&token).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_userinfo_rs256_and_oidc_037() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "shaped", "openid groups").await;
    let (access, id_token) = (tokens.text("access_token"), tokens.text("id_token"));
    let bearer = format!("Bearer {access}");
    for accept in ["application/jwt", "application/json", "*/*"] {
        let answer = house.get("/userinfo", &[("authorization", &bearer), ("accept", accept)]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/jwt"), "whatever `Accept` says");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let info = claims(&answer.body);
        assert_eq!((&info["iss"], &info["aud"]), (&json!(house.issuer), &json!("shaped")));
        assert_eq!(info["sub"], claims(&id_token)["sub"]);
        let header = header(&answer.body);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("userinfo+jwt")));
        let jwks = house.get("/jwks", &[]).await.json();
        let keys = jwks["keys"].as_array().unwrap().clone();
        let key = keys.iter().find(|key| key["kid"] == header["kid"]).expect("a published key");
        let key = jsonwebtoken::DecodingKey::from_rsa_components(
            key["n"].as_str().unwrap(),
            key["e"].as_str().unwrap(),
        )
        .unwrap();
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        validation.set_audience(&["shaped"]);
        validation.set_issuer(&[&house.issuer]);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        jsonwebtoken::decode::<serde_json::Value>(&answer.body, &key, &validation)
            .expect("its signature holds");
        // it has issuer, subject and audience as an ID token has, and is none
        let query = crate::house::encode(&[("id_token_hint", answer.body.as_str())]);
        let page = house.get(&format!("/logout?{query}"), &[("cookie", &alice.cookie)]).await;
        assert_eq!(page.status, 200, "nobody vouches for this logout, so it asks");
        assert_eq!(house.userinfo(&answer.body).await.status, 401, "nor is it an access token");
    }
    let error = house.get("/userinfo", &[("authorization", "Bearer x"), ("accept", "application/jwt")]).await;
    assert_eq!(error.error(), (401, "invalid_token".to_owned()), "errors are JSON");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_idtoken_rs256_and_the_clients_own_algorithm() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    for (client, alg) in [("everything", "RS256"), ("shaped", "ES256")] {
        let token = house.tokens(&alice, client, "openid").await.text("id_token");
        let header = header(&token);
        assert_eq!((&header["alg"], &header["typ"]), (&json!(alg), &json!("JWT")));
        assert!(header["kid"].is_string());
    }
}

fn header(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let part = token.split('.').next().unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
