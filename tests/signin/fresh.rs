//! A fresh sign-in is a real one: demanded of the provider, and shown by it.

use crate::Watch;
use crate::house::*;
use serde_json::json;
use std::time::Duration;

/// The provider says from now on that the person proved themselves at this second.
fn says(house: &House, at: i64) {
    house.globex.script().claims = Box::new(move |claims| claims["auth_time"] = at.into());
}

/// A first sign-in, with the second at which it was proved.
async fn signed_in(house: &House, visitor: &mut Visitor) -> i64 {
    let at = house.now().secs();
    says(house, at);
    let back = sign_in(house, visitor, "globex", &authorize(house, "first", &[])).await;
    assert!(parameter(&back, "code").is_some());
    at
}

/// Whether the provider's answer to this request is let through.
async fn comes_back(house: &House, visitor: &mut Visitor, more: &[(&str, &str)]) -> bool {
    let mut named = vec![("idp_hint", "globex")];
    named.extend(more);
    let request = depart(house, visitor, "globex", &authorize(house, "first", &named)).await;
    let answer = visitor.get(&approval(house, &request)).await;
    if answer.status != 303 {
        return false;
    }
    let to_app = visitor.get(answer.location().as_str()).await.location();
    assert!(parameter(&to_app, "code").is_some(), "{to_app}");
    true
}

#[tokio::test]
async fn oidc_070_an_old_proof_is_not_made_new_by_what_is_allowed_for_clocks() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let first = signed_in(&house, &mut alice).await;
    // Well within the minute that is allowed for clocks.
    house.wait(Duration::from_secs(20));
    for demand in [("prompt", "login"), ("max_age", "0"), ("max_age", "1"), ("max_age", "19")] {
        says(&house, first);
        let watch = Watch::begin(&house, "oidc.auth_time").await;
        assert!(!comes_back(&house, &mut alice.clone(), &[demand]).await, "{demand:?}");
        watch.refused_once(&house).await;
        says(&house, first - 30);
        assert!(!comes_back(&house, &mut alice.clone(), &[demand]).await, "{demand:?}: older still");
    }
    for demand in [("prompt", "login"), ("max_age", "0"), ("max_age", "1")] {
        says(&house, house.now().secs());
        let mut twin = alice.clone();
        assert!(comes_back(&house, &mut twin, &[demand]).await, "{demand:?}");
        house.wait(Duration::from_secs(5));
        alice = twin;
    }
}

#[tokio::test]
async fn oidc_070_what_is_no_time_meets_no_demand() {
    let house = House::open().await;
    let now = house.now().secs();
    for demand in [("prompt", "login"), ("max_age", "600")] {
        for shown in [
            None,
            Some(json!(null)),
            Some(json!("now")),
            Some(json!(now.to_string())),
            Some(json!(now - 700)),
        ] {
            let said = format!("{demand:?} {shown:?}");
            house.globex.script().claims = Box::new(move |claims| match &shown {
                Some(value) => claims["auth_time"] = value.clone(),
                None => drop(claims.as_object_mut().unwrap().remove("auth_time")),
            });
            let mut visitor = Visitor::new();
            let watch = Watch::begin(&house, "oidc.auth_time").await;
            assert!(!comes_back(&house, &mut visitor, &[demand]).await, "{said}");
            watch.refused_once(&house).await;
            assert!(visitor.session().is_none(), "{said}");
            // the valid twin, in the same browser
            says(&house, now);
            assert!(comes_back(&house, &mut visitor, &[demand]).await, "{said}");
        }
    }
}

#[tokio::test]
async fn oidcc_prompt_login() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let first = signed_in(&house, &mut alice).await;
    house.wait(Duration::from_secs(2));
    let second = house.now().secs();
    says(&house, second);
    let url = authorize(&house, "first", &[("prompt", "login"), ("idp_hint", "globex")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(parameter(&request, "prompt").as_deref(), Some("login"), "it is demanded there");
    assert_eq!(parameter(&request, "max_age").as_deref(), Some("0"), "and to be shown");
    let back = alice.get(&approval(&house, &request)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
    assert!(second > first);
}

#[tokio::test]
async fn oidcc_max_age_1() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    signed_in(&house, &mut alice).await;
    house.wait(Duration::from_secs(2));
    says(&house, house.now().secs());
    let url = authorize(&house, "first", &[("max_age", "1"), ("idp_hint", "globex")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(parameter(&request, "max_age").as_deref(), Some("1"));
    let back = alice.get(&approval(&house, &request)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
    // Within its second, the session does.
    let again = alice.get(&url).await.location();
    assert!(parameter(&again, "code").is_some());
}

#[tokio::test]
async fn a_provider_is_asked_for_what_the_app_wishes_and_no_more() {
    let house = House::with(|config, providers| {
        let pass = "kind = \"oidc\"\npass = [\"login_hint\", \"prompt\", \"max_age\", \"acr_values\", \"ui_locales\"]";
        (config, providers.replacen("kind = \"oidc\"", pass, 1))
    })
    .await;
    let url = authorize(
        &house,
        "first",
        &[
            ("idp_hint", "globex"),
            ("prompt", "select_account consent"),
            ("acr_values", "urn:mfa urn:pwd"),
            ("ui_locales", "de en"),
            ("claims_locales", "de"),
            ("display", "popup"),
            ("login_hint", "somebody@elsewhere.example"),
        ],
    );
    let request = depart(&house, &mut Visitor::new(), "globex", &url).await;
    assert_eq!(parameter(&request, "prompt").as_deref(), Some("select_account"), "consent is our own affair");
    assert_eq!(parameter(&request, "acr_values").as_deref(), Some("urn:mfa urn:pwd"));
    assert_eq!(parameter(&request, "ui_locales").as_deref(), Some("de en"));
    for name in ["claims_locales", "display", "login_hint", "idp_hint", "max_age"] {
        assert_eq!(parameter(&request, name), None, "{name}: {request}");
    }
}

#[tokio::test]
async fn whoever_is_to_choose_an_account_is_given_a_choice() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    signed_in(&house, &mut alice).await;
    let wanted =
        |provider| authorize(&house, "first", &[("prompt", "select_account"), ("idp_hint", provider)]);
    let to = alice.get(&wanted("friendbook")).await.location();
    assert_eq!(to.path(), "/sign-in", "Friendbook cannot be asked, so the list is the choice");
    assert_eq!(alice.get(to.as_str()).await.status, 200);
    let to = alice.get(&wanted("globex")).await.location();
    assert_eq!(parameter(&to, "prompt").as_deref(), Some("select_account"));
    let plain = authorize(&house, "first", &[("idp_hint", "friendbook")]);
    let to = Visitor::new().get(&plain).await.location();
    assert!(to.as_str().starts_with(house.friendbook.origin()), "the valid twin");
}

#[tokio::test]
async fn a_client_that_needs_a_time_is_sent_to_providers_that_can_say_one() {
    let house = House::with(|config, providers| {
        (config.replacen("first_party = true", "first_party = true\nrequire_auth_time = true", 1), providers)
    })
    .await;
    let mut alice = Visitor::new();
    let url = authorize(&house, "first", &[("idp_hint", "friendbook")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert!(request.as_str().starts_with(house.globex.origin()), "Friendbook cannot");
    assert!(parameter(&request, "max_age").is_some(), "so that it says when");
    house.globex.script().claims =
        Box::new(|claims| drop(claims.as_object_mut().unwrap().remove("auth_time")));
    assert_eq!(alice.clone().get(&approval(&house, &request)).await.status, 400, "it did not say");
    house.globex.behave();
    let request = depart(&house, &mut alice, "globex", &url).await;
    let back = alice.get(&approval(&house, &request)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
}
