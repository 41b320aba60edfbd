//! The authorization endpoint: who is told of what.

use crate::house::{Answer, CALLBACK, House, encode};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn valid() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s1"),
        ("prompt", "none"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn with(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut pairs: Vec<_> = valid().into_iter().filter(|(n, _)| *n != name).collect();
    if !value.is_empty() {
        pairs.push((Box::leak(name.to_owned().into_boxed_str()), value));
    }
    pairs
}

async fn ask(house: &House, pairs: &[(&str, &str)]) -> Answer {
    house.get(&format!("/authorize?{}", encode(pairs)), &[]).await
}

fn is_page(answer: &Answer) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.header("location").is_none());
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(answer.headers.get_all("set-cookie").iter().next().is_none(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_001_an_unregistered_redirect_uri_is_a_page() {
    let house = House::open().await;
    for bad in [
        "http://localhost:9/cbx",
        "http://localhost:10/cb",
        "https://localhost:9/cb",
        "http://evil.test/cb",
        "http://localhost:9/cb/../evil",
        "http://localhost:9/cb%2f..",
        "http://localhost:9@evil.test/cb",
        "HTTP://localhost:9/cb",
        "http://localhost:9/cb?x=1",
        "http://localhost:9/cb#x",
        "javascript:alert(1)",
        "",
    ] {
        is_page(&ask(&house, &with("redirect_uri", bad)).await);
    }
    let twin = ask(&house, &valid()).await.redirect(CALLBACK);
    assert_eq!(twin["error"], "login_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_015_errors_are_redirected_only_after_client_and_redirect_uri_hold() {
    let house = House::open().await;
    is_page(&ask(&house, &with("client_id", "nobody")).await);
    is_page(&ask(&house, &with("client_id", "")).await);
    let mut twice = valid();
    twice.push(("redirect_uri", "http://localhost:9/other"));
    is_page(&ask(&house, &twice).await);
    let mut state_twice = valid();
    state_twice.push(("state", "s2"));
    let told = ask(&house, &state_twice).await.redirect(CALLBACK);
    assert_eq!(told["error"], "invalid_request");
    assert!(!told.contains_key("state"), "neither of the two is echoed");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_state_and_issuer_and_nothing_of_ours() {
    let house = House::open().await;
    for (name, value, code) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "web_message", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("request", "e30.", "invalid_request_object"),
        ("request_uri", "http://169.254.169.254/", "invalid_request_uri"),
        ("registration", "{}", "registration_not_supported"),
        ("resource", "urn:unknown", "invalid_target"),
        ("max_age", "-1", "invalid_request"),
        ("id_token_hint", "x.y.z", "invalid_request"),
    ] {
        let told = ask(&house, &with(name, value)).await.redirect(CALLBACK);
        assert_eq!(told["error"], code, "{name}={value}");
        assert_eq!(told["state"], "s1");
        assert_eq!(told["iss"], house.issuer);
        let known = ["error", "error_description", "state", "iss"];
        assert!(told.keys().all(|key| known.contains(&key.as_str())), "{told:?}");
        let reference = told["error_description"].split("; reference ").nth(1).expect("for `trace`");
        assert_eq!(reference.len(), "7K2M-9QXD-41RT".len(), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_027_prompt_none_never_shows_a_page() {
    let house = House::open().await;
    assert_eq!(ask(&house, &valid()).await.redirect(CALLBACK)["error"], "login_required");
    let alice = house.sign_in("alice").await;
    let spa: Vec<_> = with("client_id", "spa")
        .into_iter()
        .map(|(n, v)| if n == "redirect_uri" { (n, "http://127.0.0.1:7777/callback") } else { (n, v) })
        .collect();
    let path = format!("/authorize?{}", encode(&spa));
    let told =
        house.get(&path, &[("cookie", &alice.cookie)]).await.redirect("http://127.0.0.1:7777/callback?");
    assert_eq!(told["error"], "consent_required");
    let path = format!("/authorize?{}", encode(&valid()));
    let told = house.get(&path, &[("cookie", &alice.cookie)]).await.redirect(CALLBACK);
    assert!(told.contains_key("code"), "the valid twin: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_029_max_age_is_kept() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    house.clock.advance(std::time::Duration::from_secs(2));
    let told = async |age| {
        let path = format!("/authorize?{}", encode(&with("max_age", age)));
        house.get(&path, &[("cookie", &alice.cookie)]).await.redirect(CALLBACK)
    };
    assert_eq!(told("1").await["error"], "login_required");
    assert!(told("10000").await.contains_key("code"), "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_030_a_hint_of_another_person() {
    let house = House::open().await;
    let (alice, bob) = (house.sign_in("alice").await, house.sign_in("bob").await);
    let hint = async |person| house.tokens(person, "web", "openid").await.text("id_token");
    let (of_alice, of_bob) = (hint(&alice).await, hint(&bob).await);
    let told = async |hint: &str| {
        let mut pairs = valid();
        pairs.push(("id_token_hint", hint));
        let path = format!("/authorize?{}", encode(&pairs));
        house.get(&path, &[("cookie", &alice.cookie)]).await.redirect(CALLBACK)
    };
    assert_eq!(told(&of_bob).await["error"], "login_required");
    assert!(told(&of_alice).await.contains_key("code"), "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_023_huge_requests_are_refused() {
    let house = House::open().await;
    let huge = "x".repeat(1024 * 1024);
    let mut pairs = valid();
    pairs.push(("login_hint", &huge));
    let answer = house.post("/authorize", &[], &pairs).await;
    assert!(matches!(answer.status, 400 | 413 | 414 | 431), "{}", answer.status);
    assert!(answer.header("location").is_none());
    let many = "a ".repeat(1500);
    let mut pairs: Vec<_> = valid().into_iter().filter(|(n, _)| *n != "scope").collect();
    pairs.push(("scope", &many));
    assert_eq!(ask(&house, &pairs).await.redirect(CALLBACK)["error"], "login_required", "the bounded twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_022_no_header_can_be_injected() {
    let house = House::open().await;
    let query = encode(&with("state", "")) + "&state=%0d%0aSet-Cookie:%20a=b";
    let answer = house.get(&format!("/authorize?{query}"), &[]).await;
    assert_eq!(answer.redirect(CALLBACK)["error"], "invalid_request");
    assert!(answer.header("set-cookie").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_by_post_is_the_same() {
    let house = House::open().await;
    let told = house.post("/authorize", &[], &valid()).await.redirect(CALLBACK);
    assert_eq!(told["error"], "login_required");
}
