//! Pushed authorization requests (RFC 9126).

use crate::house::{Answer, CALLBACK, House, SignedIn, basic, encode};
use std::sync::Arc;
use std::time::Duration;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn form<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s1"),
        ("nonce", "n1"),
        ("prompt", "none"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend(more);
    pairs
}

async fn push(house: &House, client: &str, more: &[(&str, &str)]) -> Answer {
    house.call("/par", client, &form(more)).await
}

/// The request URI of a request that is accepted.
async fn pushed(house: &House, client: &str, more: &[(&str, &str)]) -> String {
    let answer = push(house, client, more).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["expires_in"], 90);
    let uri = answer.text("request_uri");
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:cspr_"), "{uri}");
    uri
}

async fn go(house: &House, client: &str, uri: &str, person: Option<&SignedIn>) -> Answer {
    let path = format!("/authorize?{}", encode(&[("client_id", client), ("request_uri", uri)]));
    let cookie = person.map(|person| person.cookie.as_str()).unwrap_or_default();
    house.get(&path, &[("cookie", cookie)]).await
}

fn is_page(answer: &Answer) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.header("location").is_none());
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
}

async fn last_reason(house: &House) -> String {
    let read = house.app.store.read::<_, countersign::store::StoreError, _>(|tx| tx.refusals(1));
    read.await.unwrap()[0].refusal.reason.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_request_gives_a_code() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let uri = pushed(&house, "web", &[]).await;
    let told = go(&house, "web", &uri, Some(&alice)).await.redirect(CALLBACK);
    assert_eq!((told["state"].as_str(), &told["iss"]), ("s1", &house.issuer));
    assert_eq!(house.redeem("web", &told["code"]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn fapi2_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds() {
    let house = House::open().await;
    let uri = pushed(&house, "web", &[]).await;
    for _ in 0..3 {
        let told = go(&house, "web", &uri, None).await.redirect(CALLBACK);
        assert_eq!(told["error"], "login_required");
    }
    let alice = house.sign_in("alice").await;
    assert!(go(&house, "web", &uri, Some(&alice)).await.redirect(CALLBACK).contains_key("code"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_034_a_request_uri_is_used_once_in_its_time_by_its_client() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let uri = pushed(&house, "web", &[]).await;
    // Its only redirect URI is known without being named (RFC 6749 §3.1.2.3).
    let told = go(&house, "other", &uri, Some(&alice)).await.redirect(CALLBACK);
    assert_eq!(told["error"], "invalid_request_uri");
    assert_eq!(last_reason(&house).await, "pushed.client");
    house.clock.advance(Duration::from_secs(89));
    assert!(go(&house, "web", &uri, Some(&alice)).await.redirect(CALLBACK).contains_key("code"));
    is_page(&go(&house, "web", &uri, Some(&alice)).await);
    assert_eq!(last_reason(&house).await, "pushed.unknown");

    let late = pushed(&house, "web", &[]).await;
    house.clock.advance(Duration::from_secs(90));
    is_page(&go(&house, "web", &late, Some(&alice)).await);
    for made_up in ["cspr_x", "csac_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "a b"] {
        let uri = format!("urn:ietf:params:oauth:request_uri:{made_up}");
        is_page(&go(&house, "web", &uri, Some(&alice)).await);
    }
    // Where the request outside names one of its redirect URIs, the application is told.
    let query =
        encode(&[("client_id", "web"), ("request_uri", &late), ("redirect_uri", CALLBACK), ("state", "x")]);
    let told = house.get(&format!("/authorize?{query}"), &[]).await.redirect(CALLBACK);
    assert_eq!((told["error"].as_str(), told["state"].as_str()), ("invalid_request_uri", "x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_035_a_request_uri_cannot_be_pushed() {
    let house = House::open().await;
    let uri = pushed(&house, "web", &[]).await;
    for bad in [uri.as_str(), "https://rp.test/request", "http://169.254.169.254/"] {
        assert_eq!(
            push(&house, "web", &[("request_uri", bad)]).await.error(),
            (400, "invalid_request".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_037_a_client_or_a_house_may_demand_that_requests_are_pushed() {
    const PUSHER: &str = "\n[[client]]\nid = \"service2\"\nsecret = \"env:SECRET_SERVICE2\"\n\
        redirect_uris = [\"http://localhost:9/cb\"]\nfirst_party = true\n\
        require_pushed_authorization_requests = true\n";
    let house = House::with(PUSHER).await;
    let alice = house.sign_in("alice").await;
    let plain = async |house: &House, client: &str, cookie: &str| {
        let mut pairs = form(&[]);
        pairs.push(("client_id", client));
        house.get(&format!("/authorize?{}", encode(&pairs)), &[("cookie", cookie)]).await.redirect(CALLBACK)
    };
    let told = plain(&house, "service2", &alice.cookie).await;
    assert_eq!(told["error"], "invalid_request");
    assert!(told["error_description"].contains("authorize.pushed_only"), "{told:?}");
    let uri = pushed(&house, "service2", &[]).await;
    assert!(go(&house, "service2", &uri, Some(&alice)).await.redirect(CALLBACK).contains_key("code"));
    assert!(plain(&house, "web", &alice.cookie).await.contains_key("code"), "others may go on");

    let strict = House::with("\n[sign_in]\npushed_only = true\n").await;
    let alice = strict.sign_in("alice").await;
    assert_eq!(plain(&strict, "web", &alice.cookie).await["error"], "invalid_request");
    let uri = pushed(&strict, "web", &[]).await;
    assert!(go(&strict, "web", &uri, Some(&alice)).await.redirect(CALLBACK).contains_key("code"));
    let metadata = strict.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    assert_eq!(metadata["pushed_authorization_request_endpoint"], format!("{}/par", strict.issuer));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_later_is_refused_at_once_as_json() {
    let house = House::open().await;
    for (name, value, code) in [
        ("redirect_uri", "http://evil.test/cb", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "openid \u{e9}", "invalid_scope"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "x", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("resource", "urn:unknown", "invalid_target"),
        ("registration", "{}", "registration_not_supported"),
        ("id_token_hint", "x.y.z", "invalid_request"),
        ("state", "a\r\n", "invalid_request"),
    ] {
        let answer = push(&house, "web", &[(name, value)]).await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{name}={value}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    }
    let mut twice = form(&[]);
    twice.push(("state", "s1"));
    assert_eq!(house.call("/par", "web", &twice).await.error().1, "invalid_request");
    let mut several = form(&[("resource", "urn:api")]);
    several.push(("resource", "urn:pay"));
    assert_eq!(house.call("/par", "web", &several).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_proves_itself_as_at_the_token_endpoint() {
    let house = House::open().await;
    let none = house.post("/par", &[], &form(&[])).await;
    assert_eq!(none.error(), (401, "invalid_client".to_owned()));
    let unproved = house.post("/par", &[], &form(&[("client_id", "web")])).await;
    assert_eq!(unproved.error(), (401, "invalid_client".to_owned()));
    assert!(unproved.header("www-authenticate").is_some());
    let other_id = house.call("/par", "web", &form(&[("client_id", "other")])).await;
    assert_eq!(other_id.error(), (400, "invalid_request".to_owned()));
    let service = house.call("/par", "service", &form(&[])).await;
    assert_eq!(service.status, 400, "{service:?}");
    let in_query = house.post("/par?client_secret=x", &[("authorization", &basic("web"))], &form(&[])).await;
    assert_eq!(in_query.error(), (400, "invalid_request".to_owned()));
    // A public client has nothing to show, and what it pushes is its own all the same.
    let spa = [("client_id", "spa"), ("redirect_uri", "http://127.0.0.1:7777/callback")];
    let answer = house.post("/par", &[], &form(&spa)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let told = go(&house, "spa", &answer.text("request_uri"), None).await;
    assert_eq!(told.redirect("http://127.0.0.1:7777/callback?")["error"], "login_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn fapi2_par_attempt_invalid_http_method() {
    let house = House::open().await;
    let answer = house.get("/par", &[]).await;
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").unwrap().contains("POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_023_a_huge_request_is_not_kept() {
    let house = House::open().await;
    let huge = "x".repeat(1024 * 1024);
    let answer = push(&house, "web", &[("login_hint", &huge)]).await;
    assert_eq!(answer.error(), (413, "invalid_request".to_owned()));
    let long = "x".repeat(17 * 1024);
    assert_eq!(push(&house, "web", &[("login_hint", &long)]).await.status, 413);
    assert_eq!(push(&house, "web", &[("login_hint", &"x".repeat(3000))]).await.status, 400);
    assert_eq!(
        push(&house, "web", &[("login_hint", &"x".repeat(300))]).await.status,
        201,
        "the bounded twin"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_outside_does_not_count() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let uri = pushed(&house, "web", &[]).await;
    let query = encode(&[
        ("client_id", "web"),
        ("request_uri", &uri),
        ("state", "outside"),
        ("scope", "openid profile email"),
        ("redirect_uri", "http://localhost:9/other"),
        ("response_mode", "form_post"),
    ]);
    let told =
        house.get(&format!("/authorize?{query}"), &[("cookie", &alice.cookie)]).await.redirect(CALLBACK);
    assert_eq!(told["state"], "s1");
    assert_eq!(house.redeem("web", &told["code"]).await.json()["scope"], "openid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_that_was_pushed_is_kept_to() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let uri = pushed(&house, "web", &[("response_mode", "form_post")]).await;
    let answer = go(&house, "web", &uri, Some(&alice)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("name=\"code\"") && answer.body.contains("data-autopost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn few_requests_of_a_client_and_from_an_address_wait_at_once() {
    let bounds = |client: u32, address: u32| {
        format!(
            "\n[sign_in]\npushed_lifetime = \"60s\"\n[limits]\nrate_limit = false\npushed_per_client = {client}\npushed_per_address = {address}\n"
        )
    };
    for (client, address, reason) in [(3, 100, "pushed.client_full"), (100, 3, "pushed.address_full")] {
        let house = House::with(&bounds(client, address)).await;
        for _ in 0..3 {
            let answer = push(&house, "web", &[]).await;
            assert_eq!((answer.status, answer.json()["expires_in"].as_u64()), (201, Some(60)));
        }
        assert_eq!(push(&house, "web", &[]).await.error(), (429, "slow_down".to_owned()));
        assert_eq!(last_reason(&house).await, reason);
        let others = push(&house, "other", &[]).await.status;
        assert_eq!(others, if reason == "pushed.client_full" { 201 } else { 429 });
        house.clock.advance(Duration::from_secs(60));
        assert_eq!(push(&house, "web", &[]).await.status, 201, "those that are over make room");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_clients_origins_may_push() {
    let house = House::open().await;
    let headers = [("authorization", &*basic("web")), ("origin", "https://web.test")];
    let answer = house.post("/par", &headers, &form(&[])).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://web.test"));
    let headers = [("authorization", &*basic("web")), ("origin", "https://evil.test")];
    let answer = house.post("/par", &headers, &form(&[])).await;
    assert!(answer.header("access-control-allow-origin").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_not_stored_in_the_clear() {
    let house = House::open().await;
    let uri = pushed(&house, "web", &[("state", "a-state-to-look-for")]).await;
    let handle = uri.rsplit(':').next().unwrap();
    let file = house.database();
    for path in [file.clone(), file.with_extension("sqlite3-wal")] {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for secret in ["a-state-to-look-for", handle] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", path.display());
        }
    }
}

/// One of fifty, on both databases.
async fn one_of_fifty_gets_the_code_of_a_pushed_request(house: House) {
    let house = Arc::new(house);
    let alice = house.sign_in("alice").await;
    let uri = pushed(&house, "web", &[]).await;
    let tries: Vec<_> = (0..50)
        .map(|_| {
            let (house, uri, alice) = (house.clone(), uri.clone(), alice.clone());
            tokio::spawn(async move { go(&house, "web", &uri, Some(&alice)).await })
        })
        .collect();
    let mut codes = Vec::new();
    for one in tries {
        let answer = one.await.unwrap();
        match answer.status {
            303 => codes.push(answer.redirect(CALLBACK)["code"].clone()),
            _ => is_page(&answer),
        }
    }
    assert_eq!(codes.len(), 1);
    assert_eq!(house.redeem("web", &codes[0]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_034_one_of_fifty_on_sqlite() {
    one_of_fifty_gets_the_code_of_a_pushed_request(House::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_034_one_of_fifty_on_postgresql() {
    if let Some(house) = House::on_postgres("").await {
        one_of_fifty_gets_the_code_of_a_pushed_request(house).await;
    }
}
