//! RP-initiated logout.

use crate::house::{Answer, BYE, House, SignedIn, encode};

async fn begun(house: &House) -> (SignedIn, Answer) {
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "web", "openid offline_access").await;
    (alice, tokens)
}

async fn ask(house: &House, person: &SignedIn, pairs: &[(&str, &str)]) -> Answer {
    house.get(&format!("/logout?{}", encode(pairs)), &[("cookie", &person.cookie)]).await
}

async fn signed_in(house: &House, tokens: &Answer) -> bool {
    house.is_active("api", &tokens.text("access_token")).await
}

fn field(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_with_a_hint_ends_session_and_tokens_and_goes_back() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let id_token = tokens.text("id_token");
    house.clock.advance(std::time::Duration::from_secs(3600 * 2)); // the ID token has expired
    let again = house.refresh("web", &tokens.text("refresh_token")).await;
    let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s 1")];
    let answer = ask(&house, &alice, &pairs).await;
    assert_eq!(answer.redirect(BYE)["state"], "s 1");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("cs_session=;") && cookie.contains("Max-Age=0"), "{cookie}");
    assert!(!signed_in(&house, &again).await);
    assert_eq!(house.refresh("web", &again.text("refresh_token")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_017_a_logout_that_nobody_vouches_for_asks_first() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let bob = house.sign_in("bob").await;
    let of_bob = house.tokens(&bob, "web", "openid").await.text("id_token");
    let hint = tokens.text("id_token");
    let access = tokens.text("access_token");
    let mut tampered = hint.clone();
    tampered.replace_range(
        hint.len() - 20..hint.len() - 19,
        if hint.as_bytes()[hint.len() - 20] == b'A' { "B" } else { "A" },
    );
    let foreign = House::open().await;
    let carol = foreign.sign_in("carol").await;
    let foreign_hint = foreign.tokens(&carol, "web", "openid").await.text("id_token");
    let cases: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("state", "x")],
        vec![("post_logout_redirect_uri", BYE)],
        vec![("client_id", "web"), ("post_logout_redirect_uri", BYE)],
        vec![("id_token_hint", &of_bob), ("post_logout_redirect_uri", BYE)],
        vec![("id_token_hint", &tampered), ("post_logout_redirect_uri", BYE)],
        vec![("id_token_hint", &foreign_hint)],
        vec![("id_token_hint", &access)],
        vec![("id_token_hint", &hint), ("client_id", "other")],
        vec![("id_token_hint", &hint), ("post_logout_redirect_uri", "https://evil.test/")],
        vec![("id_token_hint", &hint), ("post_logout_redirect_uri", "http://localhost:9/bye?x=1")],
    ];
    for pairs in cases {
        let answer = ask(&house, &alice, &pairs).await;
        assert_eq!(answer.status, 200, "{pairs:?}: {answer:?}");
        assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none(), "{pairs:?}");
        assert!(field(&answer.body, "csrf").is_some(), "{pairs:?}: {}", answer.body);
        assert!(signed_in(&house, &tokens).await, "{pairs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_099_the_confirmation_is_a_form_of_ours() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let page = ask(&house, &alice, &[]).await;
    let csrf = field(&page.body, "csrf").unwrap();
    let post = async |headers: &[(&str, &str)], csrf: &str| {
        let mut all = vec![("cookie", alice.cookie.as_str())];
        all.extend(headers);
        house.post("/logout", &all, &[("csrf", csrf)]).await
    };
    let ours = ("origin", house.issuer.as_str());
    assert_eq!(post(&[("origin", "https://evil.test")], &csrf).await.status, 403);
    assert_eq!(post(&[("sec-fetch-site", "cross-site")], &csrf).await.status, 403);
    assert_eq!(post(&[ours], "AAAA").await.status, 403);
    let bob = house.sign_in("bob").await;
    let of_bob = field(&ask(&house, &bob, &[]).await.body, "csrf").unwrap();
    assert_eq!(post(&[ours], &of_bob).await.status, 403, "another session's");
    assert!(signed_in(&house, &tokens).await);
    let done = post(&[ours], &csrf).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert!(done.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(!signed_in(&house, &tokens).await, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_by_post_from_an_application_is_sent_on_by_get() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    // From another site: the browser leaves our cookie out.
    let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "é&")];
    let answer = house.post("/logout", &[("origin", "https://rp.test")], &form).await;
    assert_eq!(answer.status, 303);
    assert!(signed_in(&house, &tokens).await, "not by the POST alone");
    let next = answer.header("location").unwrap().strip_prefix(&house.issuer).unwrap().to_owned();
    let done = house.get(&next, &[("cookie", &alice.cookie)]).await;
    assert_eq!(done.redirect(BYE)["state"], "é&");
    assert!(!signed_in(&house, &tokens).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_there_is_nothing_to_ask() {
    let house = House::open().await;
    let answer = house.get("/logout", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(field(&answer.body, "csrf").is_none());
    let evil = house.get("/logout?post_logout_redirect_uri=https%3A%2F%2Fevil.test%2F", &[]).await;
    assert_eq!(evil.status, 200);
    assert!(evil.header("location").is_none() && !evil.body.contains("evil.test"));
}
