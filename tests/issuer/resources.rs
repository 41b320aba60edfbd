//! Access tokens at userinfo, introspection and revocation.

use crate::house::{Answer, House, secret_of};

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn begun(house: &House) -> Answer {
    let alice = house.sign_in("alice").await;
    house.tokens(&alice, "web", "openid profile email groups offline_access").await
}

#[tokio::test(flavor = "multi_thread")]
async fn userinfo_answers_with_what_the_scope_lets_through() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let token = tokens.text("access_token");
    let answer = house.userinfo(&token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["name"], "alice");
    assert_eq!(body["email"], "alice@globex.example");
    assert_eq!(body["email_verified"], true);
    assert_eq!(body["groups"], serde_json::json!(["engineers"]));
    assert!(body.get("roles").is_none(), "not asked for");
    let bearer = format!("Bearer {token}");
    let by_header = house.post("/userinfo", &[("authorization", &bearer)], &[]).await;
    assert_eq!(by_header.json(), body);
    let by_form = house.post("/userinfo", &[], &[("access_token", &token)]).await;
    assert_eq!(by_form.json(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_075_userinfo_with_a_wrong_token() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let token = tokens.text("access_token");
    for bad in [tokens.text("id_token"), tokens.text("refresh_token"), format!("{token}x"), String::new()] {
        let answer = house.userinfo(&bad).await;
        assert_eq!(answer.error(), error(401, "invalid_token"), "{bad}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "), "{answer:?}");
    }
    let machine = house.token("service", &[("grant_type", "client_credentials")]).await;
    let answer = house.userinfo(&machine.text("access_token")).await;
    assert_eq!(answer.error(), error(403, "insufficient_scope"));
    assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"));
    let in_query = house.get(&format!("/userinfo?access_token={token}"), &[]).await;
    assert_eq!(in_query.error(), error(400, "invalid_request"));
    let none = house.get("/userinfo", &[]).await;
    assert_eq!(none.status, 401);
    assert!(!none.header("www-authenticate").unwrap().contains("error"), "RFC 6750 §3.1");
    assert_eq!(house.userinfo(&token).await.status, 200, "the valid twin");
    house.clock.advance(house.app.now().settings.tokens.access);
    assert_eq!(house.userinfo(&token).await.error(), error(401, "invalid_token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_071_introspection_by_the_wrong_client() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let no_auth = house.post("/introspect", &[], &[("token", &access)]).await;
    assert_eq!(no_auth.error(), error(401, "invalid_client"));
    let public = house.post("/introspect", &[], &[("token", &access), ("client_id", "spa")]).await;
    assert_eq!(public.error(), error(401, "invalid_client"));
    assert!(house.is_active("api", &access).await, "the valid twin: its audience");
    assert!(house.is_active("web", &access).await, "the valid twin: its client");
    assert!(!house.is_active("pay", &access).await);
    assert!(!house.is_active("other", &access).await);
    assert!(house.is_active("web", &refresh).await);
    assert!(!house.is_active("api", &refresh).await);
    assert!(!house.is_active("other", &refresh).await);
    let missing = house.call("/introspect", "api", &[]).await;
    assert_eq!(missing.error(), error(400, "invalid_request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_groups_as_they_are_now() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let ask =
        async || house.call("/introspect", "api", &[("token", &tokens.text("access_token"))]).await.json();
    let before = ask().await;
    assert_eq!(before["groups"], serde_json::json!(["engineers"]));
    assert_eq!(before["token_type"], "Bearer");
    assert_eq!(before["client_id"], "web");
    let id: countersign::ids::AccountId = before["sub"].as_str().unwrap().parse().unwrap();
    house
        .write(move |tx| {
            for assignment in tx.assignments_of(&id)? {
                tx.remove_assignment(&id, &assignment)?;
            }
            Ok(())
        })
        .await;
    assert_eq!(ask().await["groups"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_073_revocation_of_another_clients_token() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    for name in ["access_token", "refresh_token"] {
        let answer = house.call("/revoke", "other", &[("token", &tokens.text(name))]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    assert!(house.is_active("api", &tokens.text("access_token")).await);
    assert!(house.is_active("web", &tokens.text("refresh_token")).await);
    assert_eq!(house.call("/revoke", "web", &[("token", "unknown")]).await.status, 200);
    let wrong = [("token", "x"), ("client_id", "web"), ("client_secret", "x")];
    assert_eq!(house.post("/revoke", &[], &wrong).await.error(), error(401, "invalid_client"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_access_token_is_inactive_at_once_and_alone() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let access = tokens.text("access_token");
    let answer =
        house.call("/revoke", "web", &[("token", &access), ("token_type_hint", "refresh_token")]).await;
    assert_eq!(answer.status, 200);
    assert!(!house.is_active("api", &access).await);
    assert_eq!(house.userinfo(&access).await.error(), error(401, "invalid_token"));
    assert_eq!(house.refresh("web", &tokens.text("refresh_token")).await.status, 200);
    let machine = house.token("service", &[("grant_type", "client_credentials")]).await.text("access_token");
    assert_eq!(house.call("/revoke", "service", &[("token", &machine)]).await.status, 200);
    assert!(!house.is_active("api", &machine).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_refresh_token_ends_its_grant() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let refresh = tokens.text("refresh_token");
    let secret = secret_of("web");
    let form = [("token", refresh.as_str()), ("client_id", "web"), ("client_secret", secret.as_str())];
    assert_eq!(house.post("/revoke", &[], &form).await.status, 200);
    assert_eq!(house.refresh("web", &refresh).await.error(), error(400, "invalid_grant"));
    assert!(!house.is_active("api", &tokens.text("access_token")).await);
    assert_eq!(house.userinfo(&tokens.text("access_token")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_074_revocation_does_not_report_success_on_failure() {
    let house = House::open().await;
    let tokens = begun(&house).await;
    let access = tokens.text("access_token");
    break_table(&house, "ALTER TABLE revoked_tokens RENAME TO away");
    let answer = house.call("/revoke", "web", &[("token", &access)]).await;
    assert_eq!(answer.error(), error(503, "temporarily_unavailable"));
    break_table(&house, "ALTER TABLE away RENAME TO revoked_tokens");
    assert!(house.is_active("api", &access).await, "it is still known as live");
    assert_eq!(house.call("/revoke", "web", &[("token", &access)]).await.status, 200, "the valid twin");
    assert!(!house.is_active("api", &access).await);
}

/// Changes the schema under the running broker, so that a write fails, and back.
fn break_table(house: &House, statement: &str) {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;
    let file = house.database();
    let mut connection = diesel::SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    connection.batch_execute(statement).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_113_a_token_of_a_key_that_is_not_ours() {
    let (house, elsewhere) = (House::open().await, House::open().await);
    let foreign = begun(&elsewhere).await.text("access_token");
    assert_eq!(house.userinfo(&foreign).await.error(), error(401, "invalid_token"));
    assert!(!house.is_active("api", &foreign).await);
    assert_eq!(elsewhere.userinfo(&foreign).await.status, 200, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_to_userinfo_the_challenge_says_so() {
    let house = House::open().await;
    let person = house.sign_in("ann").await;
    let token = house.tokens(&person, "web", "openid").await.text("access_token");
    let bearer = format!("Bearer {token}");
    let challenge = |answer: &Answer| answer.header("www-authenticate").unwrap_or_default().to_owned();
    let good = house.get("/userinfo", &[("authorization", &bearer)]).await;
    assert_eq!((good.status, challenge(&good).as_str()), (200, ""));
    let twice = house.get("/userinfo", &[("authorization", &bearer), ("authorization", &bearer)]).await;
    let both = house.post("/userinfo", &[("authorization", &bearer)], &[("access_token", &token)]).await;
    for answer in [twice, both] {
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
        assert_eq!(challenge(&answer), "Bearer realm=\"countersign\", error=\"invalid_request\"");
    }
}
