//! Dynamic registration (RFC 7591, OIDC Dynamic Registration 1.0) and management (RFC 7592), from outside.

use crate::assertions::{claims as assertion_claims, set, sign};
use crate::house::{Answer, CALLBACK, House, SignedIn, VERIFIER, encode};
use crate::publisher::{Document, Publisher};
use crate::standin::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::clients::dynamic::Narrowing;
use countersign::context::Clock as _;
use countersign::flow::App;
use countersign::flow::admin::Desk;
use countersign::flow::admin::registration::NewToken;
use countersign::ids::ClientId;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OPEN: &str = "\n[registration]\nmode = \"open\"\n";
const BY_TOKEN: &str = "\n[registration]\nmode = \"token\"\n";

fn desk(house: &House) -> Desk {
    let now = house.app.now();
    Desk {
        context: house.app.context.clone(),
        store: house.app.store.clone(),
        settings: now.settings.clone(),
        providers: Default::default(),
        admin: "test".to_owned(),
    }
}

/// An initial access token.
async fn token(house: &House, uses: Option<u32>, narrowing: Narrowing) -> String {
    let lifetime = Duration::from_secs(3600);
    let new = NewToken { note: "test".to_owned(), narrowing, uses, lifetime };
    desk(house).add_registration_token(new).await.unwrap().1.expose().to_owned()
}

async fn register(house: &House, token: Option<&str>, document: &Value) -> Answer {
    house.json("POST", "/register", token, Some(document)).await
}

/// Registers what must be registrable.
async fn registered(house: &House, document: &Value) -> Value {
    let answer = register(house, None, document).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

fn web() -> Value {
    json!({"redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"]})
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}"))
}

fn basic(client: &Value) -> String {
    let plain = format!("{}:{}", text(client, "client_id"), text(client, "client_secret"));
    format!("Basic {}", STANDARD.encode(plain))
}

/// Somebody new who is signed in.
async fn person(house: &House) -> SignedIn {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    house.sign_in(&format!("person{}", COUNT.fetch_add(1, Ordering::SeqCst))).await
}

/// Whether a person is sent on with a code for the client, or refused.
async fn authorize(house: &House, client: &str, redirect_uri: &str) -> Answer {
    let alice = person(house).await;
    let query = [
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("scope", "openid"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    house.get(&format!("/authorize?{}", encode(&query)), &[("cookie", &alice.cookie)]).await
}

/// Tokens for a person who has consented.
async fn tokens(house: &House, client: &Value) -> Answer {
    let alice = person(house).await;
    let id: ClientId = text(client, "client_id").parse().unwrap();
    let consent = countersign::clients::Consent {
        account: alice.account.clone(),
        client: id.clone(),
        scope: countersign::protocol::Scope::parse("openid profile email offline_access").unwrap(),
        claims: Default::default(),
        given_at: house.clock.now(),
    };
    house.write(move |tx| tx.put_consent(&consent)).await;
    let code = house.code(&alice, id.as_str(), "openid").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    house.post("/token", &[("authorization", &basic(client))], &form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_109_registration_without_a_token() {
    let house = House::open().await;
    let given = token(&house, None, Narrowing::default()).await;
    for token in [None, Some(given.as_str()), Some("csit_x"), Some("")] {
        let answer = register(&house, token, &web()).await;
        assert_eq!(answer.error(), (401, "invalid_token".to_owned()), "closed by default");
    }
    let discovery = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert!(discovery.get("registration_endpoint").is_none());

    let house = House::with(BY_TOKEN).await;
    let discovery = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(discovery["registration_endpoint"], format!("{}/register", house.issuer));
    let answer = register(&house, None, &web()).await;
    assert_eq!(answer.error(), (401, "invalid_token".to_owned()));
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
    let invented = format!("csit_{}", "A".repeat(43));
    assert_eq!(register(&house, Some(&invented), &web()).await.status, 401);
    let good = token(&house, None, Narrowing::default()).await;
    assert_eq!(register(&house, Some(&good), &web()).await.status, 201, "the valid twin");
    assert!(
        house
            .options("/register", &[("origin", "https://web.test")])
            .await
            .header("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_initial_access_token_has_uses_an_end_and_bounds() {
    let house = House::with(BY_TOKEN).await;
    let once = token(&house, Some(1), Narrowing::default()).await;
    let refused = register(&house, Some(&once), &json!({"redirect_uris": ["https://rp.test/#x"]})).await;
    assert_eq!(refused.error(), (400, "invalid_redirect_uri".to_owned()), "a refusal uses nothing up");
    assert_eq!(register(&house, Some(&once), &web()).await.status, 201);
    assert_eq!(register(&house, Some(&once), &web()).await.status, 401);
    let narrow = Narrowing { redirect_hosts: ["shop.test".parse().unwrap()].into(), ..Narrowing::default() };
    let narrow = token(&house, None, narrow).await;
    assert_eq!(
        register(&house, Some(&narrow), &web()).await.error(),
        (400, "invalid_redirect_uri".to_owned())
    );
    let shop = json!({"redirect_uris": ["https://shop.test/cb"]});
    let made = register(&house, Some(&narrow), &shop).await.json();
    let (uri, access) = (text(&made, "registration_client_uri"), text(&made, "registration_access_token"));
    let mut moved = made.clone();
    moved["redirect_uris"] = json!(["https://elsewhere.test/cb"]);
    let answer = house.json("PUT", uri, Some(access), Some(&moved)).await;
    assert_eq!(answer.error(), (400, "invalid_redirect_uri".to_owned()), "its bounds hold for updates too");
    let list = desk(&house).registration_tokens().await.unwrap();
    assert_eq!(list.len(), 2);
    let id = &list.iter().find(|token| !token.narrowing.redirect_hosts.is_empty()).unwrap().id;
    desk(&house).revoke_registration_token(id).await.unwrap();
    assert!(desk(&house).revoke_registration_token(id).await.is_err());
    assert_eq!(register(&house, Some(&narrow), &shop).await.status, 401, "revoked");
    let old = token(&house, None, Narrowing::default()).await;
    house.clock.advance(Duration::from_secs(3600));
    assert_eq!(register(&house, Some(&old), &web()).await.status, 401, "over");
    assert!(house.json("GET", uri, Some(access), None).await.status == 200, "clients stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_client_signs_people_in_at_once() {
    let house = House::with(OPEN).await;
    let client = registered(&house, &web()).await;
    assert_eq!(text(&client, "token_endpoint_auth_method"), "client_secret_basic");
    assert_eq!(client["client_secret_expires_at"], 0);
    assert!(text(&client, "client_secret").len() > 40);
    let answer = tokens(&house, &client).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // there is a consent page: it is not one of ours
    let other = registered(&house, &web()).await;
    let answer = authorize(&house, text(&other, "client_id"), CALLBACK).await;
    assert!(answer.header("location").unwrap().contains("/consent?"), "{answer:?}");
    assert_ne!(client["client_id"], other["client_id"]);
    assert_ne!(client["client_secret"], other["client_secret"]);
    // what strangers could read
    let database = std::fs::read(house.database()).unwrap();
    let wal = std::fs::read(house.database().with_extension("sqlite3-wal")).unwrap_or_default();
    for secret in ["client_secret", "registration_access_token"] {
        let secret = text(&client, secret).as_bytes();
        let found =
            database.windows(secret.len()).chain(wal.windows(secret.len())).any(|part| part == secret);
        assert!(!found, "a secret is in the database");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_read_replaced_and_removed() {
    let house = House::with(OPEN).await;
    let client = registered(&house, &web()).await;
    let (uri, access) =
        (text(&client, "registration_client_uri"), text(&client, "registration_access_token"));
    let read = house.json("GET", uri, Some(access), None).await;
    assert_eq!(read.status, 200);
    let mut shown = client.clone();
    shown.as_object_mut().unwrap().retain(|member, _| !member.starts_with("client_secret"));
    assert_eq!(read.json(), shown, "all but the secret, which is kept as a digest");
    let same = house.json("PUT", uri, Some(access), Some(&read.json())).await;
    assert_eq!((same.status, same.json()), (200, shown.clone()), "what is shown can be sent back");
    assert_eq!(tokens(&house, &client).await.status, 200, "and the secret still counts");

    let mut changed = shown.clone();
    changed["client_name"] = json!("Another name");
    changed["redirect_uris"] = json!(["http://localhost:9/moved"]);
    changed["client_secret"] = client["client_secret"].clone();
    let answer = house.json("PUT", uri, Some(access), Some(&changed)).await;
    assert_eq!(answer.text("client_name"), "Another name");
    let id = text(&client, "client_id");
    assert_eq!(authorize(&house, id, CALLBACK).await.status, 400, "the old address is gone");
    assert_eq!(authorize(&house, id, "http://localhost:9/moved").await.status, 303);
    for (member, value) in
        [("client_id", json!("web")), ("client_id", Value::Null), ("client_secret", json!("x"))]
    {
        let mut wrong = changed.clone();
        wrong[member] = value;
        let answer = house.json("PUT", uri, Some(access), Some(&wrong)).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".to_owned()), "{member}");
    }
    assert_eq!(house.json("DELETE", uri, Some("x"), None).await.status, 401);
    let gone = house.json("DELETE", uri, Some(access), None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(house.json("GET", uri, Some(access), None).await.error(), (401, "invalid_token".to_owned()));
    assert_eq!(authorize(&house, id, "http://localhost:9/moved").await.status, 400);
    let kinds = house.write(|tx| tx.audit(None, 100)).await;
    for kind in ["client.registered", "client.changed", "client.removed"] {
        assert!(kinds.iter().any(|record| record.event.kind.as_str() == kind), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_token_manages_nothing() {
    let house = House::with(OPEN).await;
    let (one, two) = (registered(&house, &web()).await, registered(&house, &web()).await);
    let uri = text(&one, "registration_client_uri");
    let others = text(&two, "registration_access_token").to_owned();
    let answer = tokens(&house, &one).await;
    let access_token = answer.text("access_token");
    for token in
        [None, Some(others.as_str()), Some(&access_token), Some(""), Some(text(&one, "client_secret"))]
    {
        for method in ["GET", "PUT", "DELETE"] {
            let body = (method == "PUT").then_some(&one);
            let answer = house.json(method, uri, token, body).await;
            assert_eq!(answer.status, 401, "{method} {token:?}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
        }
    }
    let declared = house.json("GET", "/register/web", Some(&others), None).await;
    assert_eq!(declared.status, 401, "nor one that was declared");
    let own = house.json("GET", uri, Some(text(&one, "registration_access_token")), None).await;
    assert_eq!(own.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_110_registration_policy_by_update() {
    let policy = "\n[registration]\nmode = \"open\"\ngrant_types = [\"authorization_code\"]\nscopes = [\"openid\"]\nredirect_hosts = [\"localhost\"]\n";
    let house = House::with(policy).await;
    let public = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let client = registered(&house, &public).await;
    assert!(client.get("client_secret").is_none());
    let (uri, access) =
        (text(&client, "registration_client_uri"), text(&client, "registration_access_token"));
    for (member, value) in [
        ("grant_types", json!(["client_credentials"])),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("scope", json!("roles")),
        ("redirect_uris", json!(["https://evil.test/cb"])),
        ("redirect_uris", json!(["http://localhost:9/cb#x"])),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
    ] {
        let mut wish = client.clone();
        wish[member] = value.clone();
        let answer = house.json("PUT", uri, Some(access), Some(&wish)).await;
        assert_eq!(answer.status, 400, "{member} {value}: {answer:?}");
    }
    let mut wish = client.clone();
    wish["first_party"] = json!(true);
    wish["require_pkce"] = json!(false);
    wish["token_endpoint_auth_method"] = json!("client_secret_post");
    let answer = house.json("PUT", uri, Some(access), Some(&wish)).await;
    assert_eq!(answer.status, 200, "the valid twin: {answer:?}");
    assert!(answer.text("client_secret").len() > 40, "it is confidential now, so it gets a secret");
    let stored = house.app.now().find(text(&client, "client_id")).unwrap();
    assert!(!stored.first_party, "never by registration");
    // back to a public client: the secret goes, and PKCE is demanded again
    let answer = house.json("PUT", uri, Some(access), Some(&client)).await;
    assert!(answer.json().get("client_secret").is_none());
    let stored = house.app.now().find(text(&client, "client_id")).unwrap();
    assert!(stored.require_pkce && stored.secret_hashes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_redirect_uri_regfrag() {
    let house = House::with(OPEN).await;
    for member in ["redirect_uris", "post_logout_redirect_uris"] {
        let mut document = web();
        document[member] = json!(["https://rp.test/cb#fragment"]);
        let answer = register(&house, None, &document).await;
        assert_eq!(answer.error(), (400, "invalid_redirect_uri".to_owned()));
        assert!(answer.text("error_description").contains(member), "{answer:?}");
    }
    assert_eq!(register(&house, None, &web()).await.status, 201, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_redirect_uri_query_ok_mismatch_added() {
    let house = House::with(OPEN).await;
    let client = registered(&house, &json!({"redirect_uris": ["http://localhost:9/cb?foo=bar"]})).await;
    let id = text(&client, "client_id");
    assert_eq!(authorize(&house, id, "http://localhost:9/cb?foo=bar").await.status, 303);
    for bad in ["http://localhost:9/cb?foo=baz", "http://localhost:9/cb", "http://localhost:9/cb?foo=bar&x=1"]
    {
        assert_eq!(authorize(&house, id, bad).await.status, 400, "{bad}");
    }
    let plain = registered(&house, &web()).await;
    let added = format!("{CALLBACK}?foo=bar");
    assert_eq!(authorize(&house, text(&plain, "client_id"), &added).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_registration_jwks_uri() {
    let house = House::with(OPEN).await;
    let key = Key::ec("k");
    let publisher = Publisher::start();
    let at = publisher.json("/jwks", &set(&[&key]));
    let mut document = web();
    document["jwks_uri"] = json!(at);
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    let client = registered(&house, &document).await;
    assert!(client.get("client_secret").is_none(), "it proves itself by its keys");
    let id = text(&client, "client_id");
    let assertion = sign(&key, &assertion_claims(&house, id));
    let seen = crate::assertions::post(&house, "/introspect", &assertion, &[("token", "x")]).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    // by value, and what must not be in it
    document.as_object_mut().unwrap().remove("jwks_uri");
    document["jwks"] = set(&[&key]);
    assert_eq!(register(&house, None, &document).await.status, 201);
    for bad in [
        json!({"keys": [{"kty": "oct", "k": "AAAA"}]}),
        json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}),
        json!({"keys": [{"kty": "EC", "crv": "P-256", "d": "AA"}]}),
        json!({"keys": []}),
        json!({}),
    ] {
        document["jwks"] = bad.clone();
        let answer = register(&house, None, &document).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".to_owned()), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_registration_sector_uri_and_sector_bad() {
    let house = House::with(OPEN).await;
    let publisher = Publisher::start();
    let good = publisher.json("/good", &json!([CALLBACK, "https://other.test/cb"]));
    let mut document = web();
    document["sector_identifier_uri"] = json!(good);
    let client = registered(&house, &document).await;
    assert_eq!(text(&client, "sector_identifier_uri"), good);
    let mut pairwise = document.clone();
    pairwise["subject_type"] = json!("pairwise");
    assert_eq!(register(&house, None, &pairwise).await.status, 400, "OIDC Core §8.1 wants https");
    pairwise.as_object_mut().unwrap().remove("sector_identifier_uri");
    assert_eq!(text(&registered(&house, &pairwise).await, "subject_type"), "pairwise");
    let bad = [
        publisher.json("/lacks", &json!(["https://other.test/cb"])),
        publisher.json("/object", &json!({"redirect_uris": [CALLBACK]})),
        publisher.put("/gone", Document::Status(404)),
        publisher.put("/moved", Document::Redirect(good)),
        publisher.put("/large", Document::Json(format!("[\"{}\"]", "x".repeat(70_000)))),
        "https://10.0.0.1/sector".to_owned(),
        "http://rp.test/sector".to_owned(),
    ];
    for bad in bad {
        document["sector_identifier_uri"] = json!(bad);
        let answer = register(&house, None, &document).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".to_owned()), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_registration_logo_uri_policy_uri_tos_uri() {
    let house = House::with(OPEN).await;
    let mut document = web();
    document["client_name"] = json!("<b>Evil & Sons</b>");
    document["logo_uri"] = json!("https://rp.test/logo.png");
    document["policy_uri"] = json!("https://rp.test/policy?a=1&b=\"2");
    assert_eq!(register(&house, None, &document).await.status, 400, "a quotation mark in an address");
    document["policy_uri"] = json!("https://rp.test/policy?a=1&b=2");
    document["tos_uri"] = json!("https://rp.test/tos");
    document["client_uri"] = json!("https://rp.test/");
    let client = registered(&house, &document).await;
    for member in ["logo_uri", "policy_uri", "tos_uri", "client_uri"] {
        assert_eq!(client[member], document[member]);
    }
    let alice = house.sign_in("alice").await;
    let query = [
        ("client_id", text(&client, "client_id")),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
    ];
    let answer = house.get(&format!("/authorize?{}", encode(&query)), &[("cookie", &alice.cookie)]).await;
    let cookies: Vec<&str> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .chain([alice.cookie.as_str()])
        .collect();
    let page = house.fetch_with(answer.header("location").unwrap(), &[("cookie", &cookies.join("; "))]).await;
    assert_eq!(page.status, 200, "{page:?}");
    for address in ["https://rp.test/policy?a=1&amp;b=2", "https://rp.test/tos", "https://rp.test/"] {
        let spelt = [address.to_owned(), address.replace("&amp;", "&#38;")];
        assert!(
            spelt.iter().any(|address| page.body.contains(&format!("href=\"{address}\""))),
            "{address}: {page:?}"
        );
    }
    assert!(page.body.contains("rel=\"noopener noreferrer\""));
    assert!(!page.body.contains("logo.png"), "nothing is loaded from elsewhere");
    assert!(!page.body.contains("<b>Evil"), "oauth_105: markup is text");
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_bounded_by_source_and_in_all() {
    let house = House::with("\n[registration]\nmode = \"open\"\nmax_per_source = 3\n").await;
    let first = registered(&house, &web()).await;
    for _ in 0..2 {
        registered(&house, &web()).await;
    }
    let uri = text(&first, "registration_client_uri");
    house.json("DELETE", uri, Some(text(&first, "registration_access_token")), None).await;
    let answer = register(&house, None, &web()).await;
    assert_eq!(answer.error(), (403, "access_denied".to_owned()), "removing gives no more");
    house.clock.advance(Duration::from_secs(86_401));
    registered(&house, &web()).await;

    let house = House::with("\n[registration]\nmode = \"open\"\nmax_clients = 2\n").await;
    let first = registered(&house, &web()).await;
    registered(&house, &web()).await;
    assert_eq!(register(&house, None, &web()).await.error(), (403, "access_denied".to_owned()));
    let uri = text(&first, "registration_client_uri");
    house.json("DELETE", uri, Some(text(&first, "registration_access_token")), None).await;
    registered(&house, &web()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_never_used_are_removed() {
    let house = House::with("\n[registration]\nmode = \"open\"\nunused_lifetime = \"1d\"\n").await;
    let (used, unused) = (registered(&house, &web()).await, registered(&house, &web()).await);
    assert_eq!(tokens(&house, &used).await.status, 200);
    house.clock.advance(Duration::from_secs(86_000));
    assert_eq!(countersign::flow::registration::remove_unused(&house.app).await.unwrap(), 0);
    house.clock.advance(Duration::from_secs(401));
    assert_eq!(countersign::flow::registration::remove_unused(&house.app).await.unwrap(), 1);
    assert!(house.app.now().find(text(&used, "client_id")).is_some());
    assert!(house.app.now().find(text(&unused, "client_id")).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_follows_and_administrators_see_and_remove() {
    let house = House::with(OPEN).await;
    let before = house.app.now();
    let other = App::start(
        house.app.context.clone(),
        house.app.store.clone(),
        before.settings.clone(),
        before.upstreams.clone(),
    )
    .await
    .unwrap();
    let client = registered(&house, &web()).await;
    let id: ClientId = text(&client, "client_id").parse().unwrap();
    assert!(Arc::ptr_eq(&before, &house.app.now()), "no snapshot was made anew");
    assert!(house.app.now().find(id.as_str()).is_some());
    assert!(other.now().find(id.as_str()).is_none());
    assert!(!other.refresh().await.unwrap(), "nothing was changed by command");
    assert_eq!(other.now().find(id.as_str()), house.app.now().find(id.as_str()));
    let desk = desk(&house);
    let listed = desk.clients().await.unwrap().remove(&id).unwrap();
    assert_eq!(listed.origin.as_str(), "registered");
    let record = desk.registration(&id).await.unwrap().unwrap();
    assert_eq!(record.source, "127.0.0.0/24");
    let fresh = desk.rotate_secret(&id, false).await.unwrap();
    other.refresh().await.unwrap();
    assert_eq!(other.now().find(id.as_str()).unwrap().secret_hashes, fresh.client.secret_hashes);
    desk.remove_client(&id).await.unwrap();
    for node in [&house.app, &other] {
        node.refresh().await.unwrap();
        assert!(node.now().find(id.as_str()).is_none());
    }
    // a node that was away for long reads everything
    let second = registered(&house, &web()).await;
    house.clock.advance(Duration::from_secs(30 * 86_400));
    other.refresh().await.unwrap();
    assert_eq!(other.registered.len(), 1);
    assert!(other.now().find(text(&second, "client_id")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_page_may_read_answers_and_no_longer_when_it_is_gone() {
    let house = House::with(OPEN).await;
    let document = json!({"redirect_uris": ["https://spa.test/cb"], "token_endpoint_auth_method": "none"});
    let origin = [("origin", "https://spa.test")];
    let allowed = async || {
        house.options("/token", &origin).await.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed().await, None);
    let client = registered(&house, &document).await;
    assert_eq!(allowed().await.as_deref(), Some("https://spa.test"));
    let uri = text(&client, "registration_client_uri");
    house.json("DELETE", uri, Some(text(&client, "registration_access_token")), None).await;
    assert_eq!(allowed().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_refused_properly() {
    let house = House::with(OPEN).await;
    let headers = [("content-type", "application/json")];
    for body in [
        "",
        "x",
        "[]",
        "null",
        "{}",
        "{\"redirect_uris\":[\"https://a.test\"],\"redirect_uris\":[]}",
        "{\"a\":",
    ] {
        let answer = house.post_raw("/register", &headers, body).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".to_owned()), "{body}");
    }
    let deep = format!("{{\"jwks\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(house.post_raw("/register", &headers, &deep).await.status, 400);
    let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(house.post_raw("/register", &headers, &huge).await.status, 413);
    let form = house.post("/register", &[], &[("redirect_uris", "https://a.test")]).await;
    assert_eq!(form.status, 415);
    assert_eq!(house.get("/register", &[]).await.status, 405);
    for id in ["nobody", "%00", "%ff", "a%2Fb", &"x".repeat(300)] {
        let answer = house
            .json("GET", &format!("/register/{id}"), Some(&format!("csra_{}", "A".repeat(43))), None)
            .await;
        assert!(matches!(answer.status, 401 | 404 | 400), "{id}: {answer:?}");
    }
    assert_eq!(house.app.registered.len(), 0);
}
