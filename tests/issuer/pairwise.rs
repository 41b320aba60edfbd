//! Pairwise subjects (OIDC Core §8.1) at every place where a `sub` stands.

use crate::house::{BYE, CALLBACK, House, SignedIn, claims, encode};
use serde_json::Value;

async fn sub(house: &House, person: &SignedIn, client: &str) -> String {
    let tokens = house.tokens(person, client, "openid").await;
    claims(&tokens.text("id_token"))["sub"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sector_knows_one_subject_and_no_other_sector_knows_it() {
    let house = House::open().await;
    let (alice, bob) = (house.sign_in("alice").await, house.sign_in("bob").await);
    let own = sub(&house, &alice, "private").await;
    assert_eq!(own.len(), 43);
    assert_eq!(sub(&house, &alice, "private").await, own, "it is stable");
    assert_eq!(sub(&house, &alice, "neighbour").await, own, "clients of one sector know the same one");
    let others = [
        sub(&house, &alice, "stranger").await,
        sub(&house, &alice, "web").await,
        sub(&house, &bob, "private").await,
    ];
    for other in &others {
        assert_ne!(*other, own);
    }
    assert_eq!(others[1], alice.account.as_str(), "a public subject is the account");
    let elsewhere = House::open().await;
    let copy = elsewhere.sign_in("alice").await;
    assert_ne!(sub(&elsewhere, &copy, "private").await, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subject_is_the_same_wherever_the_client_looks() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "private", "openid offline_access").await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let id = claims(&tokens.text("id_token"));
    let own = id["sub"].clone();
    assert_eq!(claims(&access)["sub"], own);
    assert_eq!(house.userinfo(&access).await.json()["sub"], own);
    for (asker, token) in [("api", &access), ("private", &access), ("private", &refresh)] {
        let seen = house.call("/introspect", asker, &[("token", token)]).await.json();
        assert_eq!((&seen["active"], &seen["sub"]), (&Value::Bool(true), &own), "{asker}");
    }
    let again = house.refresh("private", &refresh).await;
    assert_eq!(claims(&again.text("id_token"))["sub"], own);
    assert_eq!(house.userinfo(&again.text("access_token")).await.json()["sub"], own);
    let everything = format!("{tokens:?}{again:?}{id}");
    assert!(!everything.contains(alice.account.as_str()), "nothing ties it to another app's subject");
    assert!(!everything.contains(alice.session.as_str()), "nor does the session");
    let stranger = claims(&house.tokens(&alice, "stranger", "openid").await.text("id_token"));
    assert_ne!(stranger["sid"], id["sid"]);
    assert_eq!(claims(&again.text("id_token"))["sid"], id["sid"], "and it stays the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_030_a_hint_means_its_person_and_nobody_else() {
    let house = House::open().await;
    let (alice, bob) = (house.sign_in("alice").await, house.sign_in("bob").await);
    let hint = house.tokens(&alice, "private", "openid").await.text("id_token");
    let own = claims(&hint)["sub"].as_str().unwrap().to_owned();
    let ask = |person: SignedIn, more: Vec<(&'static str, String)>| {
        let house = &house;
        async move {
            let mut query = vec![
                ("client_id", "private"),
                ("redirect_uri", CALLBACK),
                ("response_type", "code"),
                ("scope", "openid"),
                ("prompt", "none"),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
            ];
            query.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
            let answer =
                house.get(&format!("/authorize?{}", encode(&query)), &[("cookie", &person.cookie)]).await;
            answer.redirect(CALLBACK)
        }
    };
    let wish = |sub: &str| serde_json::json!({"id_token": {"sub": {"value": sub}}}).to_string();
    for more in [vec![("id_token_hint", hint.clone())], vec![("claims", wish(&own))]] {
        assert!(ask(alice.clone(), more.clone()).await.contains_key("code"), "the valid twin");
        assert_eq!(ask(bob.clone(), more).await["error"], "login_required");
    }
    let raw = ask(alice.clone(), vec![("claims", wish(alice.account.as_str()))]).await;
    assert_eq!(raw["error"], "login_required", "the account's own id is nobody to this client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_hint_with_a_pairwise_subject_is_understood() {
    let house = House::open().await;
    let (alice, bob) = (house.sign_in("alice").await, house.sign_in("bob").await);
    let tokens = house.tokens(&alice, "private", "openid").await;
    let query = encode(&[("id_token_hint", &tokens.text("id_token")), ("post_logout_redirect_uri", BYE)]);
    let other = house.get(&format!("/logout?{query}"), &[("cookie", &bob.cookie)]).await;
    assert_eq!(other.status, 200, "another person is asked: {other:?}");
    assert!(house.is_active("api", &tokens.text("access_token")).await);
    house.get(&format!("/logout?{query}"), &[("cookie", &alice.cookie)]).await.redirect(BYE);
    assert!(!house.is_active("api", &tokens.text("access_token")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_pairwise_token_is_noted_under_its_person() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let access = house.tokens(&alice, "private", "openid").await.text("access_token");
    assert_eq!(house.call("/revoke", "private", &[("token", &access)]).await.status, 200);
    assert!(!house.is_active("api", &access).await);
    let account = alice.account.clone();
    let events = house.write(move |tx| tx.audit_of(&account, None, 10)).await;
    assert!(events.iter().any(|event| event.event.kind == countersign::audit::AuditKind::TokenRevoked));
}
