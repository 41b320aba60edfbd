//! RP-initiated logout. Tests named `oidcc_…` keep what the module of that name in OpenID's conformance suite
//! looks at.

use crate::house::{Answer, BYE, CALLBACK, House, SignedIn, encode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

/// Whether a silent request still finds the session: each module ends by asking that.
async fn is_still_here(house: &House, person: &SignedIn) -> bool {
    let query = encode(&[
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s1"),
        ("prompt", "none"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]);
    let told = house.get(&format!("/authorize?{query}"), &[("cookie", &person.cookie)]).await;
    let told = told.redirect(CALLBACK);
    assert!(told.contains_key("code") || told["error"] == "login_required", "{told:?}");
    told.contains_key("code")
}

/// Presses *Sign out* on the page that asks, sending all that it holds.
async fn confirm(house: &House, person: &SignedIn, page: &Answer) -> Answer {
    let mut form = Vec::new();
    for name in ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "csrf"] {
        form.extend(field(&page.body, name).map(|value| (name, value)));
    }
    let form: Vec<(&str, String)> =
        form.into_iter().map(|(name, value)| (name, value.replace("&#38;", "&"))).collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let headers = [("cookie", person.cookie.as_str()), ("origin", house.issuer.as_str())];
    house.post("/logout", &headers, &form).await
}

/// A request that must be answered by a page which asks: with the sentence, if any, that says what is wrong.
/// Pressing the button signs out and leads nowhere.
async fn asks_and_leads_nowhere(
    house: &House,
    person: &SignedIn,
    pairs: &[(&str, &str)],
    says: Option<&str>,
) {
    let page = ask(house, person, pairs).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.header("location").is_none() && page.header("set-cookie").is_none(), "{page:?}");
    match says {
        Some(says) => {
            assert!(page.body.contains("is not valid") && page.body.contains(says), "{}", page.body);
            assert!(page.body.contains("Reference"), "an operator can look it up");
        }
        None => assert!(!page.body.contains("role=\"alert\""), "{}", page.body),
    }
    assert!(is_still_here(house, person).await);
    let done = confirm(house, person, &page).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert!(done.body.contains("You are signed out"));
    assert!(!done.body.contains("http-equiv") && !done.body.contains("localhost:9/bye"), "{}", done.body);
    assert!(!is_still_here(house, person).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let state = "~}|{zyx!\"#$%&'()*,-./0123456789:<=>?@[\\]^_`abc";
    let pairs = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", state)];
    let told = ask(&house, &alice, &pairs).await.redirect(BYE);
    assert_eq!(told, [("state".to_owned(), state.to_owned())].into(), "and nothing else");
    assert!(!is_still_here(&house, &alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_no_state() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let told = ask(&house, &alice, &[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert!(told.redirect(BYE).is_empty());
    assert!(!is_still_here(&house, &alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_no_params() {
    let house = House::open().await;
    let (alice, _) = begun(&house).await;
    asks_and_leads_nowhere(&house, &alice, &[], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_only_state() {
    let house = House::open().await;
    let (alice, _) = begun(&house).await;
    asks_and_leads_nowhere(&house, &alice, &[("state", "xyz")], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let done = ask(&house, &alice, &[("id_token_hint", &hint), ("state", "xyz")]).await;
    assert_eq!(done.status, 200);
    assert!(done.body.contains("You are signed out") && done.header("location").is_none());
    assert!(!is_still_here(&house, &alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let bad = "http://localhost:9/bye/foo";
    let pairs = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", bad), ("state", "x")];
    asks_and_leads_nowhere(&house, &alice, &pairs, Some("post_logout_redirect_uri")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let bad = format!("{BYE}?foo=bar");
    let pairs = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", &bad), ("state", "x")];
    asks_and_leads_nowhere(&house, &alice, &pairs, Some("post_logout_redirect_uri")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_modified_id_token_hint() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), hint.split('.').nth(1).unwrap());
    let pairs = [("id_token_hint", unsigned.as_str()), ("post_logout_redirect_uri", BYE), ("state", "x")];
    asks_and_leads_nowhere(&house, &alice, &pairs, Some("id_token_hint")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_bad_id_token_hint() {
    let house = House::open().await;
    let (alice, _) = begun(&house).await;
    // Signed by somebody else, in our name.
    let other = House::open().await;
    let theirs = other.tokens(&other.sign_in("alice").await, "web", "openid").await.text("id_token");
    let pairs = [("id_token_hint", theirs.as_str()), ("post_logout_redirect_uri", BYE), ("state", "x")];
    asks_and_leads_nowhere(&house, &alice, &pairs, Some("id_token_hint")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_rp_initiated_logout_no_id_token_hint() {
    let house = House::open().await;
    let (alice, _) = begun(&house).await;
    let pairs = [("post_logout_redirect_uri", BYE), ("state", "x")];
    asks_and_leads_nowhere(&house, &alice, &pairs, Some("id_token_hint")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_client_leads_back_after_the_person_s_own_button() {
    let house = House::open().await;
    let (alice, _) = begun(&house).await;
    let pairs = [("client_id", "web"), ("post_logout_redirect_uri", BYE), ("state", "a b&c")];
    let nobody = house.get(&format!("/logout?{}", encode(&pairs)), &[]).await;
    assert_eq!(nobody.status, 200, "nobody vouches for the link: it carries nobody away");
    assert!(
        nobody.body.contains("Back to Web")
            && nobody.body.contains(BYE)
            && !nobody.body.contains("http-equiv")
    );
    let page = ask(&house, &alice, &pairs).await;
    assert!(page.body.contains("You then continue to Web at localhost"), "{}", page.body);
    assert!(is_still_here(&house, &alice).await);
    let done = confirm(&house, &alice, &page).await;
    assert_eq!(done.redirect(BYE)["state"], "a b&c");
    assert!(!is_still_here(&house, &alice).await);
    for (client, says) in [("nobody", "an app that we know"), ("service", "is not registered for the app")] {
        let person = house.sign_in(client).await;
        let pairs = [("client_id", client), ("post_logout_redirect_uri", BYE)];
        asks_and_leads_nowhere(&house, &person, &pairs, Some(says)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wrong_is_kept_for_the_operator() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    ask(&house, &alice, &[("id_token_hint", &hint), ("post_logout_redirect_uri", "https://evil.test/")])
        .await;
    let kept = house.write(|tx| tx.refusals(10)).await;
    let refusal = &kept[0].refusal;
    assert_eq!(refusal.reason, "client.post_logout_redirect_uri");
    assert_eq!(refusal.client.as_ref().map(|id| id.as_str()), Some("web"));
    assert_eq!(refusal.received.as_deref(), Some("https://evil.test/"));
    assert_eq!(refusal.expected.as_deref(), Some(BYE));
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_about_the_person_and_languages_are_taken() {
    let house = House::open().await;
    let (alice, tokens) = begun(&house).await;
    let hint = tokens.text("id_token");
    let pairs = [
        ("id_token_hint", hint.as_str()),
        ("client_id", "web"),
        ("post_logout_redirect_uri", BYE),
        ("logout_hint", "alice@globex.example"),
        ("ui_locales", "de fr"),
    ];
    assert!(ask(&house, &alice, &pairs).await.redirect(BYE).is_empty());
    assert!(!is_still_here(&house, &alice).await);
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
