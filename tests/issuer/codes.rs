//! Codes at the token endpoint.

use crate::house::{CALLBACK, House, VERIFIER, claims, secret_of};
use std::time::Duration;

fn form<'a>(code: &'a str, redirect_uri: &'a str, verifier: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("grant_type", "authorization_code"), ("code", code)];
    if !redirect_uri.is_empty() {
        form.push(("redirect_uri", redirect_uri));
    }
    if !verifier.is_empty() {
        form.push(("code_verifier", verifier));
    }
    form
}

fn refused() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_tokens_with_what_was_asked_for() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let answer =
        house.tokens(&alice, "web", "openid profile groups roles permissions offline_access nonsense").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.text("scope"), "groups offline_access openid permissions profile roles");
    let access = claims(&answer.text("access_token"));
    assert_eq!(access["iss"], house.issuer);
    assert_eq!(access["sub"], alice.account.as_str());
    assert_eq!(access["client_id"], "web");
    assert_eq!(access["aud"], serde_json::json!(["urn:api", house.issuer]));
    assert_eq!(access["groups"], serde_json::json!(["engineers"]));
    assert_eq!(access["roles"], serde_json::json!(["editor"]));
    assert_eq!(access["permissions"], serde_json::json!(["notes:write"]));
    assert!(access.get("email").is_none() && access.get("name").is_none());
    let id = claims(&answer.text("id_token"));
    assert_eq!(id["aud"], "web");
    assert_eq!(id["nonce"], "n1");
    assert_eq!(id["sid"], alice.session.as_str());
    assert_eq!(id["auth_time"], 1_800_000_000);
    assert!(id.get("groups").is_none() && id.get("name").is_none(), "they are for userinfo: {id}");
    assert!(answer.text("refresh_token").starts_with("csrt_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_openid_or_offline_access_there_is_only_an_access_token() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let answer = house.tokens(&alice, "web", "groups").await;
    assert!(answer.json().get("id_token").is_none() && answer.json().get("refresh_token").is_none());
    assert_eq!(claims(&answer.text("access_token"))["aud"], "urn:api");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_014_another_redirect_uri_at_the_token_endpoint() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    for bad in ["http://localhost:9/other", "", "http://localhost:9/cb/"] {
        let code = house.code(&alice, "web", "openid").await;
        assert_eq!(house.token("web", &form(&code, bad, VERIFIER)).await.error(), refused(), "{bad:?}");
        let again = house.token("web", &form(&code, CALLBACK, VERIFIER)).await;
        assert_eq!(again.error(), refused(), "it was used up");
    }
    let code = house.code(&alice, "web", "openid").await;
    assert_eq!(house.token("web", &form(&code, CALLBACK, VERIFIER)).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_039_pkce_downgrade() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid").await;
    assert_eq!(house.token("web", &form(&code, CALLBACK, "")).await.error(), refused(), "verifier left out");
    let legacy = |code: String, verifier: &'static str| {
        let house = &house;
        async move {
            let secret = secret_of("legacy");
            let mut form = form(&code, CALLBACK, verifier);
            form.extend([("client_id", "legacy"), ("client_secret", secret.as_str())]);
            house.post("/token", &[], &form).await
        }
    };
    let code = house.code(&alice, "legacy", "openid").await;
    assert_eq!(legacy(code, VERIFIER).await.error(), refused(), "a verifier without a challenge");
    let code = house.code(&alice, "legacy", "openid").await;
    assert_eq!(legacy(code, "").await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_042_wrong_verifier() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let (short, long) = ("a".repeat(42), "a".repeat(129));
    let wrong = "B".repeat(43);
    for bad in [short.as_str(), &long, &wrong, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX+"] {
        let code = house.code(&alice, "web", "openid").await;
        assert_eq!(house.token("web", &form(&code, CALLBACK, bad)).await.error(), refused(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_043_a_code_used_twice_revokes_what_it_gave() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid offline_access").await;
    let first = house.redeem("web", &code).await;
    let (access, refresh) = (first.text("access_token"), first.text("refresh_token"));
    let bystander = house.tokens(&alice, "web", "openid offline_access").await;
    assert!(house.is_active("api", &access).await);
    assert_eq!(house.redeem("web", &code).await.error(), refused());
    assert!(!house.is_active("api", &access).await);
    assert!(!house.is_active("web", &refresh).await);
    assert_eq!(house.userinfo(&access).await.status, 401);
    assert_eq!(house.refresh("web", &refresh).await.error(), refused());
    let other = bystander.text("refresh_token");
    assert_eq!(house.refresh("web", &other).await.status, 200, "the grants of other codes go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_045_a_code_of_another_client() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid").await;
    assert_eq!(house.redeem("other", &code).await.error(), refused());
    let mut edited = code.clone();
    edited.replace_range(10..11, if &code[10..11] == "A" { "B" } else { "A" });
    assert_eq!(house.redeem("web", &edited).await.error(), refused());
    let first = house.redeem("web", &code).await;
    assert_eq!(first.status, 200, "the right client is not harmed: {first:?}");
    assert_eq!(house.redeem("other", &code).await.error(), refused());
    assert!(house.is_active("api", &first.text("access_token")).await, "nor by a late try");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_046_an_expired_code() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid").await;
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(house.redeem("web", &code).await.error(), refused());
    let code = house.code(&alice, "web", "openid").await;
    assert_eq!(house.redeem("web", &code).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_047_a_code_is_nothing_else() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid offline_access").await;
    assert_eq!(house.refresh("web", &code).await.error(), refused());
    assert!(!house.is_active("web", &code).await);
    assert_eq!(house.userinfo(&code).await.status, 401);
    let tokens = house.redeem("web", &code).await;
    let refresh = tokens.text("refresh_token");
    assert_eq!(house.redeem("web", &refresh).await.error(), refused());
    assert_eq!(house.userinfo(&refresh).await.status, 401);
    let cookie = format!("cs_session={code}");
    let answer = house.get("/authorize?client_id=web&response_type=code&scope=openid&prompt=none&redirect_uri=http%3A%2F%2Flocalhost%3A9%2Fcb&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256", &[("cookie", &cookie)]).await;
    assert_eq!(answer.redirect(CALLBACK)["error"], "login_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_and_an_ended_session_redeem_nothing() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid").await;
    let (id, now) = (alice.account.clone(), house.app.context.now());
    let suspended = countersign::accounts::AccountStatus::Suspended;
    house.write(move |tx| tx.set_account_status(&id, suspended, now)).await;
    assert_eq!(house.redeem("web", &code).await.error(), refused());
    let bob = house.sign_in("bob").await;
    let code = house.code(&bob, "web", "openid").await;
    let session = bob.session.clone();
    house.write(move |tx| tx.end_session(&session, now)).await;
    assert_eq!(house.redeem("web", &code).await.error(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_can_be_for_one_resource_of_those_allowed() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let redeem = async |resource: &str| {
        let code = house.code(&alice, "web", "groups").await;
        let mut form = form(&code, CALLBACK, VERIFIER);
        form.push(("resource", resource));
        house.token("web", &form).await
    };
    assert_eq!(claims(&redeem("urn:pay").await.text("access_token"))["aud"], "urn:pay");
    assert_eq!(redeem("urn:unknown").await.error(), (400, "invalid_target".to_owned()));
    assert_eq!(redeem("urn:pay#x").await.error(), (400, "invalid_target".to_owned()));
    // What was named in the authorization request bounds the token request (RFC 8707 §2.2).
    let code = house.code_with(&alice, "web", "groups", &[("resource", "urn:pay")]).await;
    let mut narrow = form(&code, CALLBACK, VERIFIER);
    narrow.push(("resource", "urn:api"));
    assert_eq!(house.token("web", &narrow).await.error(), (400, "invalid_target".to_owned()));
}
