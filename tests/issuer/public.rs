//! An app in the browser: public, on another origin, and people are asked for consent.

use crate::house::{Answer, House, SignedIn, VERIFIER, encode};

const CALLBACK: &str = "http://127.0.0.1:5173/callback";
const ORIGIN: &str = "http://127.0.0.1:5173";

fn request() -> String {
    encode(&[
        ("client_id", "spa"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile offline_access"),
        ("prompt", "consent"),
        ("state", "s1"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ])
}

fn field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

/// The cookies that a browser has after an answer.
fn cookies(before: &str, answer: &Answer) -> String {
    let new = answer.headers.get_all("set-cookie").iter();
    let new = new.map(|line| line.to_str().unwrap().split(';').next().unwrap());
    std::iter::once(before).chain(new).collect::<Vec<_>>().join("; ")
}

/// Answers the consent page, and gives the address to which that leads.
async fn decide(house: &House, person: &SignedIn, decision: &str) -> Answer {
    let asked = house.get(&format!("/authorize?{}", request()), &[("cookie", &person.cookie)]).await;
    let path = asked.header("location").unwrap().strip_prefix(&house.issuer).unwrap().to_owned();
    assert!(path.starts_with("/consent?"), "{path}");
    let cookie = cookies(&person.cookie, &asked);
    let page = house.get(&path, &[("cookie", &cookie)]).await;
    assert_eq!(page.status, 200, "{page:?}");
    let (flow, csrf) = (field(&page.body, "flow"), field(&page.body, "csrf"));
    let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", decision)];
    let headers = [("cookie", cookie.as_str()), ("origin", house.issuer.as_str())];
    let mut answer = house.post("/consent", &headers, &form).await;
    if let Some(path) = answer.header("location").and_then(|to| to.strip_prefix(&house.issuer)) {
        let cookie = cookies(&person.cookie, &answer);
        let path = path.to_owned();
        answer = house.get(&path, &[("cookie", &cookie)]).await;
    }
    answer
}

async fn post(house: &House, form: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_id", "spa")];
    all.extend(form);
    house.post("/token", &[("origin", ORIGIN)], &all).await
}

async fn redeem(house: &House, code: &str, verifier: Option<&str>) -> Answer {
    let mut form = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    post(house, &form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_gets_tokens_that_its_page_can_read() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = decide(&house, &alice, "allow").await.redirect(CALLBACK)["code"].clone();
    let tokens = redeem(&house, &code, Some(VERIFIER)).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert_eq!(tokens.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(tokens.text("scope"), "offline_access openid profile");
    let refresh = tokens.text("refresh_token");
    let next = post(&house, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert_eq!(house.userinfo(&next.text("access_token")).await.json()["name"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_038_a_public_client_without_its_verifier() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = decide(&house, &alice, "allow").await.redirect(CALLBACK)["code"].clone();
    assert_eq!(redeem(&house, &code, None).await.error(), (400, "invalid_grant".to_owned()));
    let without = request().replace("code_challenge=", "x=").replace("code_challenge_method=", "y=");
    let answer = house.get(&format!("/authorize?{without}"), &[("cookie", &alice.cookie)]).await;
    assert_eq!(answer.redirect(CALLBACK)["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_gives_nothing() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let told = decide(&house, &alice, "deny").await.redirect(CALLBACK);
    assert_eq!(told["error"], "access_denied");
    assert_eq!(told["state"], "s1");
    assert!(!told.contains_key("code"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_067_a_consent_that_was_taken_back_ends_refreshing() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = decide(&house, &alice, "allow").await.redirect(CALLBACK)["code"].clone();
    let token = redeem(&house, &code, Some(VERIFIER)).await.text("refresh_token");
    let refresh =
        async |token: &str| post(&house, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    let token = refresh(&token).await.text("refresh_token");
    let (account, client) = (alice.account.clone(), "spa".parse().unwrap());
    assert!(house.write(move |tx| tx.delete_consent(&account, &client)).await);
    assert_eq!(refresh(&token).await.error(), (400, "invalid_grant".to_owned()));
}
