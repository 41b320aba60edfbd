//! Refresh tokens: rotation, reuse, grace, and everything that ends a family.

use crate::house::{Answer, House, SignedIn, claims};
use countersign::accounts::AccountStatus;
use std::sync::Arc;
use std::time::Duration;

fn refused() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

async fn begun(house: &House) -> (SignedIn, Answer) {
    let alice = house.sign_in("alice").await;
    let answer = house.tokens(&alice, "web", "openid groups roles offline_access").await;
    (alice, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_gives_a_successor_and_fresh_claims() {
    let house = House::open().await;
    let (alice, first) = begun(&house).await;
    let id = alice.account.clone();
    house
        .write(move |tx| {
            for assignment in tx.assignments_of(&id)? {
                tx.remove_assignment(&id, &assignment)?;
            }
            Ok(())
        })
        .await;
    house.clock.advance(Duration::from_secs(60));
    let second = house.refresh("web", &first.text("refresh_token")).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert_eq!(second.text("scope"), first.text("scope"));
    assert_eq!(claims(&first.text("access_token"))["groups"], serde_json::json!(["engineers"]));
    assert_eq!(claims(&second.text("access_token"))["groups"], serde_json::json!([]));
    let id = claims(&second.text("id_token"));
    assert_eq!(id["auth_time"], 1_800_000_000, "the time of the sign-in, not of the refresh");
    assert!(id.get("nonce").is_none());
    assert_eq!(house.refresh("web", &second.text("refresh_token")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_063_reuse_revokes_the_family() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    let stolen = first.text("refresh_token");
    let second = house.refresh("web", &stolen).await;
    assert!(house.is_active("api", &second.text("access_token")).await);
    assert_eq!(house.refresh("web", &stolen).await.error(), refused());
    assert_eq!(house.refresh("web", &second.text("refresh_token")).await.error(), refused());
    for token in [first.text("access_token"), second.text("access_token")] {
        assert!(!house.is_active("api", &token).await);
        assert_eq!(house.userinfo(&token).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_grace_the_same_client_gets_the_one_successor_again() {
    let house = House::with("\n[tokens]\nrefresh_grace = \"30s\"\n").await;
    let (_, first) = begun(&house).await;
    let token = first.text("refresh_token");
    let second = house.refresh("web", &token).await;
    let again = house.refresh("web", &token).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.text("refresh_token"), second.text("refresh_token"), "never a second successor");
    assert_eq!(house.refresh("other", &token).await.error(), refused(), "another client");
    let third = house.refresh("web", &second.text("refresh_token")).await;
    assert_eq!(third.status, 200);
    assert_eq!(house.refresh("web", &token).await.error(), refused(), "the successor was used");
    assert_eq!(house.refresh("web", &third.text("refresh_token")).await.error(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_grace_a_second_use_is_reuse() {
    let house = House::with("\n[tokens]\nrefresh_grace = \"30s\"\n").await;
    let (_, first) = begun(&house).await;
    let token = first.text("refresh_token");
    let second = house.refresh("web", &token).await;
    house.clock.advance(Duration::from_secs(31));
    assert_eq!(house.refresh("web", &token).await.error(), refused());
    assert_eq!(house.refresh("web", &second.text("refresh_token")).await.error(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_065_a_refresh_token_of_another_client() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    let token = first.text("refresh_token");
    assert_eq!(house.refresh("other", &token).await.error(), refused());
    let second = house.refresh("web", &token).await;
    assert_eq!(second.status, 200, "it is unharmed");
    assert_eq!(house.refresh("other", &token).await.error(), refused(), "used, and another's");
    assert_eq!(house.refresh("web", &second.text("refresh_token")).await.status, 200, "still unharmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_066_scope_escalation_on_refresh() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    let mut token = first.text("refresh_token");
    let ask = async |token: &str, scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        house.token("web", &form).await
    };
    for wider in ["openid permissions", "openid admin"] {
        let answer = ask(&token, wider).await;
        assert_eq!(answer.error(), (400, "invalid_scope".to_owned()), "{wider}");
    }
    let narrow = ask(&token, "openid groups").await;
    assert_eq!(narrow.text("scope"), "groups openid", "and nothing was used up");
    assert!(claims(&narrow.text("access_token")).get("roles").is_none());
    token = narrow.text("refresh_token");
    let full = house.refresh("web", &token).await;
    assert_eq!(full.text("scope"), first.text("scope"), "the family keeps its scope (RFC 6749 §6)");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_067_consent_or_offline_access_withdrawn() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    let mut settings = (*house.app.now().settings).clone();
    let web = settings.clients.get_mut("web").unwrap();
    let scope = web.scope.clone();
    web.scope = scope.filtered(|token| token != "offline_access");
    let upstreams = house.app.now().upstreams.clone();
    house.app.reload(Arc::new(settings.clone()), upstreams.clone()).await.unwrap();
    let token = first.text("refresh_token");
    assert_eq!(house.refresh("web", &token).await.error(), refused());
    let web = settings.clients.get_mut("web").unwrap();
    web.scope = scope;
    web.first_party = false;
    house.app.reload(Arc::new(settings.clone()), upstreams.clone()).await.unwrap();
    assert_eq!(house.refresh("web", &token).await.error(), refused(), "nobody consented");
    settings.clients.get_mut("web").unwrap().first_party = true;
    house.app.reload(Arc::new(settings), upstreams).await.unwrap();
    assert_eq!(house.refresh("web", &token).await.status, 200, "the valid twin; nothing was used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_069_refresh_of_a_client_that_was_switched_off() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    let mut settings = (*house.app.now().settings).clone();
    settings.clients.get_mut("web").unwrap().disabled = true;
    let upstreams = house.app.now().upstreams.clone();
    house.app.reload(Arc::new(settings), upstreams).await.unwrap();
    let answer = house.refresh("web", &first.text("refresh_token")).await;
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
    assert!(!house.is_active("api", &first.text("access_token")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_069_refresh_for_an_audience_that_was_switched_off() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let pay = [("resource", "urn:pay")];
    let code = house.code_with(&alice, "web", "openid offline_access", &pay).await;
    let token = house.redeem("web", &code).await.text("refresh_token");
    let token = house.refresh("web", &token).await.text("refresh_token");
    let (before, upstreams) = (house.app.now().settings.clone(), house.app.now().upstreams.clone());
    let mut off = (*before).clone();
    off.resource_servers.get_mut("pay").unwrap().disabled = true;
    let mut taken_away = (*before).clone();
    taken_away.clients.get_mut("web").unwrap().resources.remove("urn:pay");
    for changed in [off, taken_away] {
        house.app.reload(Arc::new(changed), upstreams.clone()).await.unwrap();
        assert_eq!(house.refresh("web", &token).await.error(), (400, "invalid_target".to_owned()));
    }
    house.app.reload(before, upstreams).await.unwrap();
    assert_eq!(house.refresh("web", &token).await.status, 200, "the valid twin; nothing was used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_070_hidden_parameters_are_ignored() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    let token = first.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("client_session_host", "evil.test"),
        ("sub", "mallory"),
    ];
    let second = house.token("web", &form).await;
    let claim = |answer: &Answer| claims(&answer.text("access_token"))["sub"].clone();
    assert_eq!(claim(&second), claim(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_ends_with_its_person_its_session_and_its_time() {
    let house = House::open().await;
    let (alice, first) = begun(&house).await;
    let now = house.app.context.now();
    let id = alice.account.clone();
    house.write(move |tx| tx.set_account_status(&id, AccountStatus::Suspended, now)).await;
    assert_eq!(house.refresh("web", &first.text("refresh_token")).await.error(), refused());
    assert!(!house.is_active("api", &first.text("access_token")).await);
    assert_eq!(house.userinfo(&first.text("access_token")).await.status, 401);

    let bob = house.sign_in("bob").await;
    let tokens = house.tokens(&bob, "web", "openid offline_access").await;
    let session = bob.session.clone();
    house.write(move |tx| tx.end_session(&session, now)).await;
    assert_eq!(house.refresh("web", &tokens.text("refresh_token")).await.error(), refused());
    assert!(!house.is_active("api", &tokens.text("access_token")).await);

    let carol = house.sign_in("carol").await;
    let tokens = house.tokens(&carol, "web", "openid offline_access").await;
    let idle = house.app.now().settings.tokens.refresh_idle;
    house.clock.advance(idle + Duration::from_secs(1));
    assert_eq!(house.refresh("web", &tokens.text("refresh_token")).await.error(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_access_outlives_a_session_that_ran_out() {
    let house = House::open().await;
    let (_, first) = begun(&house).await;
    house.clock.advance(Duration::from_secs(3600 * 13));
    assert_eq!(house.refresh("web", &first.text("refresh_token")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_never_outlives_its_absolute_end() {
    let house = House::with("\n[tokens]\nrefresh_idle = \"10m\"\nrefresh_absolute = \"25m\"\n").await;
    let (_, first) = begun(&house).await;
    let mut token = first.text("refresh_token");
    for _ in 0..3 {
        house.clock.advance(Duration::from_secs(8 * 60));
        token = house.refresh("web", &token).await.text("refresh_token");
    }
    house.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(house.refresh("web", &token).await.error(), refused());
}
