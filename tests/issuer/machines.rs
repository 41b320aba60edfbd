//! Client authentication, client credentials, and what is refused of every token request.

use crate::house::{House, basic, claims, secret_of};
use std::sync::Arc;

const MACHINE: &[(&str, &str)] = &[("grant_type", "client_credentials")];

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_acts_for_itself_with_roles_of_its_own() {
    let house = House::open().await;
    let answer = house.token("service", MACHINE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("scope"), "groups permissions roles");
    assert!(answer.json().get("refresh_token").is_none() && answer.json().get("id_token").is_none());
    let token = answer.text("access_token");
    let access = claims(&token);
    assert_eq!(access["sub"], "service");
    assert_eq!(access["aud"], "urn:api");
    assert_eq!(access["roles"], serde_json::json!(["reporter"]));
    assert_eq!(access["permissions"], serde_json::json!(["notes:read"]));
    assert!(house.is_active("api", &token).await);
    assert!(!house.is_active("pay", &token).await, "another API");
    let narrow = house.token("service", &[MACHINE[0], ("scope", "roles openid offline_access what")]).await;
    assert_eq!(narrow.text("scope"), "roles");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_write_nothing() {
    let house = House::open().await;
    let wal = house.database().with_extension("sqlite3-wal");
    house.token("service", MACHINE).await;
    let size = || std::fs::metadata(&wal).map(|meta| (meta.len(), meta.modified().unwrap())).unwrap();
    let before = size();
    for _ in 0..5 {
        assert_eq!(house.token("service", MACHINE).await.status, 200);
    }
    assert_eq!(size(), before);
    let alice = house.sign_in("alice").await;
    assert_ne!(size(), before, "the measure works: {alice:?}", alice = alice.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_the_client_is_not_registered_for_is_refused() {
    let house = House::open().await;
    assert_eq!(house.token("web", MACHINE).await.error(), error(400, "unauthorized_client"));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    assert_eq!(house.token("service", &refresh).await.error(), error(400, "unauthorized_client"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_018_the_password_grant_is_unsupported() {
    let house = House::open().await;
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "x")];
    assert_eq!(house.token("web", &form).await.error(), error(400, "unsupported_grant_type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_051_two_client_authentication_methods() {
    let house = House::open().await;
    let secret = secret_of("service");
    let both = [MACHINE[0], ("client_id", "service"), ("client_secret", secret.as_str())];
    assert_eq!(house.token("service", &both).await.error(), error(400, "invalid_request"));
    let headers = [("authorization", basic("service")), ("authorization", basic("service"))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(house.post("/token", &headers, MACHINE).await.error(), error(400, "invalid_request"));
    assert_eq!(house.post("/token", &[], &both).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_053_a_confidential_client_without_secret() {
    let house = House::open().await;
    let named = [MACHINE[0], ("client_id", "service")];
    let answer = house.post("/token", &[], &named).await;
    assert_eq!(answer.error(), error(401, "invalid_client"));
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let wrong = [MACHINE[0], ("client_id", "service"), ("client_secret", "x")];
    assert_eq!(house.post("/token", &[], &wrong).await.error(), error(401, "invalid_client"));
    assert_eq!(house.post("/token", &[], MACHINE).await.error(), error(401, "invalid_client"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_054_a_secret_in_the_query() {
    let house = House::open().await;
    let path = format!("/token?client_id=service&client_secret={}", secret_of("service"));
    assert_eq!(house.post(&path, &[], MACHINE).await.error(), error(400, "invalid_request"));
    let twin = house.post("/token?x=1", &[("authorization", &basic("service"))], MACHINE).await;
    assert_eq!(twin.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_061_unknown_and_known_clients_are_refused_in_the_same_words() {
    let house = House::open().await;
    let wrong = |client: &'static str| vec![MACHINE[0], ("client_id", client), ("client_secret", "x")];
    let (known, unknown) = (
        house.post("/token", &[], &wrong("service")).await,
        house.post("/token", &[], &wrong("nobody")).await,
    );
    assert_eq!((known.status, known.body), (unknown.status, unknown.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_062_basic_is_form_decoded() {
    let house = House::open().await;
    use base64::Engine as _;
    let header = |secret: &str| {
        let plain = format!("service:{secret}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
    };
    let encoded = secret_of("service").replace('-', "%2D");
    let ask = async |header: &str| house.post("/token", &[("authorization", header)], MACHINE).await.status;
    assert_eq!(ask(&header(&encoded)).await, 200);
    assert_eq!(ask(&header(&encoded.replace('%', "%25"))).await, 401, "decoded once, not twice");
    assert_eq!(ask(&header(&secret_of("service").replace('-', "+"))).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_021_a_client_that_is_switched_off_gets_nothing() {
    let house = House::open().await;
    let token = house.token("service", MACHINE).await.text("access_token");
    let mut settings = (*house.app.now().settings).clone();
    settings.clients.get_mut("service").unwrap().disabled = true;
    let upstreams = house.app.now().upstreams.clone();
    house.app.reload(Arc::new(settings), upstreams).await.unwrap();
    assert_eq!(house.token("service", MACHINE).await.error(), error(401, "invalid_client"));
    assert!(!house.is_active("api", &token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_forms_are_read_and_parameters_come_once() {
    let house = House::open().await;
    let auth = basic("service");
    let twice = [MACHINE[0], MACHINE[0]];
    assert_eq!(house.token("service", &twice).await.error(), error(400, "invalid_request"));
    let get = house.get("/token", &[("authorization", &auth)]).await;
    assert_eq!(get.status, 405);
    let huge = "x".repeat(40_000);
    assert_eq!(house.token("service", &[MACHINE[0], ("scope", &huge)]).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_059_a_certificate_in_a_header_proves_nothing() {
    let house = House::open().await;
    let named = [MACHINE[0], ("client_id", "service")];
    for header in ["x-ssl-cert", "ssl-client-cert", "x-forwarded-client-cert", "x-client-dn"] {
        let answer = house.post("/token", &[(header, "CN=service")], &named).await;
        assert_eq!(answer.error(), error(401, "invalid_client"), "{header}");
    }
    let twin = [("x-ssl-cert", "CN=other"), ("authorization", &basic("service"))];
    assert_eq!(house.post("/token", &twin, MACHINE).await.status, 200, "ignored");
}
