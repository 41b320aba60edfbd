//! Two brokers with the same clients and people: what one gave out is worth nothing at the other.

use crate::house::{CALLBACK, House, encode};
use std::collections::HashMap;

/// What the app is told when it asks, without a page, for whoever is signed in.
async fn silently(house: &House, cookie: &str) -> HashMap<String, String> {
    let query = encode(&[
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("prompt", "none"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]);
    house.get(&format!("/authorize?{query}"), &[("cookie", cookie)]).await.redirect(CALLBACK)
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_107_what_another_issuer_gave_out() {
    // Issuers with a path of their own, so that only the path and the port tell them apart.
    let (a, b) = (House::at("/a").await, House::at("/b").await);
    let (at_a, at_b) = (a.sign_in("alice").await, b.sign_in("alice").await);
    let scope = "openid profile offline_access";
    let tokens = a.tokens(&at_a, "web", scope).await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let code = a.code(&at_a, "web", scope).await;

    let refused = b.userinfo(&access).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(refused.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{refused:?}");
    assert!(!b.is_active("api", &access).await);
    assert!(!b.is_active("api", &refresh).await);
    assert_eq!(b.refresh("web", &refresh).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(b.redeem("web", &code).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(silently(&b, &at_a.cookie).await["error"], "login_required", "nor is a session");

    // The valid twins: at home, all of it works, and nothing was used up.
    assert_eq!(a.userinfo(&access).await.json()["name"], "alice");
    assert!(a.is_active("api", &access).await);
    assert_eq!(a.refresh("web", &refresh).await.status, 200);
    assert!(silently(&a, &at_a.cookie).await.contains_key("code"));
    assert_eq!(a.redeem("web", &code).await.status, 200);
    let theirs = b.tokens(&at_b, "web", scope).await;
    assert_eq!(b.userinfo(&theirs.text("access_token")).await.json()["name"], "alice");
}
