//! What ends tokens is told to the audit, once, with its reason.

use crate::house::{House, SignedIn, encode};
use countersign::audit::{Actor, AuditKind};

/// The events that concern a person, oldest first.
async fn told(house: &House, person: &SignedIn) -> Vec<(AuditKind, String, Actor)> {
    let account = person.account.clone();
    let records = house.write(move |tx| tx.audit_of(&account, None, 100)).await;
    let facts =
        |event: countersign::audit::AuditEvent| (event.kind, event.reason.unwrap_or_default(), event.actor);
    records.into_iter().rev().map(|record| facts(record.event)).collect()
}

fn by_web(kind: AuditKind, reason: &str) -> (AuditKind, String, Actor) {
    (kind, reason.to_owned(), Actor::Client("web".parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_022_each_end_of_a_grant_is_one_event() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid offline_access").await;
    house.redeem("web", &code).await;
    for _ in 0..3 {
        house.redeem("web", &code).await;
    }
    let mut expected = vec![by_web(AuditKind::CodeReplayed, "code.replayed")];
    assert_eq!(told(&house, &alice).await, expected);

    let token = house.tokens(&alice, "web", "openid offline_access").await.text("refresh_token");
    for _ in 0..4 {
        house.refresh("web", &token).await;
    }
    expected.push(by_web(AuditKind::RefreshReused, "refresh.reused"));
    assert_eq!(told(&house, &alice).await, expected);

    let tokens = house.tokens(&alice, "web", "openid offline_access").await;
    for name in ["access_token", "access_token", "refresh_token", "refresh_token"] {
        house.call("/revoke", "web", &[("token", &tokens.text(name))]).await;
    }
    expected.push(by_web(AuditKind::TokenRevoked, "client.revoked"));
    expected.push(by_web(AuditKind::GrantRevoked, "client.revoked"));
    assert_eq!(told(&house, &alice).await, expected);

    let hint = house.tokens(&alice, "web", "openid").await.text("id_token");
    let path = format!("/logout?{}", encode(&[("id_token_hint", &hint)]));
    for _ in 0..2 {
        house.get(&path, &[("cookie", &alice.cookie)]).await;
    }
    let person = Actor::Person(alice.account.clone());
    expected.push((AuditKind::SessionEnded, "logout".to_owned(), person));
    assert_eq!(told(&house, &alice).await, expected);
}
