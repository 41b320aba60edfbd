//! Consent.

use crate::house::*;
use url::Url;

/// To the consent page of the third-party app.
async fn asked(house: &House, visitor: &mut Visitor, more: &[(&str, &str)]) -> Answer {
    let to = sign_in(house, visitor, "globex", &authorize(house, "third", more)).await;
    assert_eq!(to.path(), "/consent", "{to}");
    let page = visitor.get(to.as_str()).await;
    assert_eq!(page.status, 200);
    page
}

async fn decide(house: &House, visitor: &mut Visitor, page: &Answer, decision: &str) -> Url {
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", decision)];
    visitor.post(&house.at("/consent"), &form).await.location()
}

#[tokio::test]
async fn consent_is_asked_once_and_remembered_by_scope() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let page = asked(&house, &mut alice, &[]).await;
    assert!(page.body.contains("alice@globex.example"));
    let back = decide(&house, &mut alice, &page, "allow").await;
    assert!(parameter(&back, "code").is_some());
    let again = alice.get(&authorize(&house, "third", &[])).await.location();
    assert!(parameter(&again, "code").is_some(), "remembered");
    let narrower = alice.get(&authorize(&house, "third", &[("scope", "openid")])).await.location();
    assert!(parameter(&narrower, "code").is_some());
    let wider = alice.get(&authorize(&house, "third", &[("scope", "openid email groups")])).await.location();
    assert_eq!(wider.path(), "/consent", "more than was agreed to");
    let always = alice.get(&authorize(&house, "third", &[("prompt", "consent")])).await.location();
    assert_eq!(always.path(), "/consent");
    let ours = alice.get(&authorize(&house, "first", &[])).await.location();
    assert!(parameter(&ours, "code").is_some(), "an app of ours does not ask");
}

#[tokio::test]
async fn no_is_told_to_the_app_and_gives_nothing() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let page = asked(&house, &mut alice, &[]).await;
    let before = house.rows().await;
    let back = decide(&house, &mut alice, &page, "deny").await;
    assert!(back.as_str().starts_with("http://127.0.0.1:7777/callback?"));
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-app's-state"));
    assert_eq!(house.rows().await, before);
    assert_eq!(house.refusals().await[0].refusal.reason, "consent.denied");
}

#[tokio::test]
async fn prompt_consent_is_answered_within_its_flow() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let page = asked(&house, &mut alice, &[("prompt", "consent"), ("scope", "openid offline_access")]).await;
    let back = decide(&house, &mut alice, &page, "allow").await;
    assert!(parameter(&back, "code").is_some());
}

#[tokio::test]
async fn oauth_099_consent_needs_its_own_form() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let page = asked(&house, &mut alice, &[]).await;
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let url = house.at("/consent");
    let before = house.rows().await;
    let without = [("flow", flow.as_str()), ("decision", "allow")];
    assert_eq!(alice.clone().post(&url, &without).await.status, 403, "no token");
    let wrong = [("flow", flow.as_str()), ("csrf", "AAAA"), ("decision", "allow")];
    assert_eq!(alice.clone().post(&url, &wrong).await.status, 403, "a made-up token");
    let right = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", "allow")];
    for (origin, site) in [
        (Some("https://evil.test"), Some("cross-site")),
        (Some("null"), Some("cross-site")),
        (Some("null"), None),
        (Some("https://evil.test"), None),
        (None, Some("same-site")),
    ] {
        let answer = alice.clone().post_from(&url, &right, origin, site).await;
        assert_eq!(answer.status, 403, "{origin:?} {site:?}");
    }
    assert_eq!(house.rows().await, before);
    // By GET nothing is agreed to.
    let by_get = alice.clone().get(&format!("{url}?flow={flow}&csrf={csrf}&decision=allow")).await;
    assert_eq!(by_get.status, 200);
    assert_eq!(house.rows().await, before);
    assert!(parameter(&decide(&house, &mut alice, &page, "allow").await, "code").is_some(), "the valid twin");
}

#[tokio::test]
async fn oauth_105_a_clients_name_is_text() {
    let house = House::open().await;
    let page = asked(&house, &mut Visitor::new(), &[]).await;
    assert!(!page.body.contains("Third <b>party</b>"));
    assert!(page.body.contains("party"));
}

#[tokio::test]
async fn single_claims_are_named_and_agreed_to_one_by_one() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let wanted = |names: &[&str]| {
        let wishes: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), serde_json::Value::Null)).collect();
        serde_json::json!({"userinfo": wishes, "id_token": {"acr": null}}).to_string()
    };
    let (name, more) = (wanted(&["name", "phone_number"]), wanted(&["name", "birthdate", "email_verified"]));
    let page = asked(&house, &mut alice, &[("scope", "openid"), ("claims", &name)]).await;
    assert!(page.body.contains("see your name"), "{}", page.body);
    assert!(!page.body.contains("see your profile"), "not more than what is asked for");
    assert!(
        !page.body.contains("telephone"),
        "the app may not have that scope, so it does not get the claim"
    );
    assert!(parameter(&decide(&house, &mut alice, &page, "allow").await, "code").is_some());

    let again =
        alice.get(&authorize(&house, "third", &[("scope", "openid"), ("claims", &name)])).await.location();
    assert!(parameter(&again, "code").is_some(), "remembered");
    let whole = alice.get(&authorize(&house, "third", &[("scope", "openid profile")])).await.location();
    assert_eq!(whole.path(), "/consent", "one claim is not its whole scope");
    let wider =
        alice.get(&authorize(&house, "third", &[("scope", "openid"), ("claims", &more)])).await.location();
    assert_eq!(wider.path(), "/consent", "more than was agreed to");
    let page = alice.get(wider.as_str()).await;
    assert!(page.body.contains("see your date of birth") && page.body.contains("see your e-mail address"));
    assert!(parameter(&decide(&house, &mut alice, &page, "deny").await, "error").is_some());
    let silent = [("scope", "openid"), ("claims", more.as_str()), ("prompt", "none")];
    let silent = alice.get(&authorize(&house, "third", &silent)).await.location();
    assert_eq!(parameter(&silent, "error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn a_refresh_ends_when_a_single_claim_is_taken_back() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let claims = r#"{"userinfo": {"name": null}}"#;
    let more = [("scope", "openid offline_access"), ("prompt", "consent"), ("claims", claims)];
    let page = asked(&house, &mut alice, &more).await;
    let back = decide(&house, &mut alice, &page, "allow").await;
    let code = parameter(&back, "code").unwrap();
    let mut call = async |form: &[(&str, &str)]| {
        let form: Vec<_> = form.iter().copied().chain([("client_id", "third")]).collect();
        let answer = alice.post(&house.at("/token"), &form).await;
        (answer.status, serde_json::from_str::<serde_json::Value>(&answer.body).unwrap())
    };
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://127.0.0.1:7777/callback"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let (_, tokens) = call(&form).await;
    let refresh = tokens["refresh_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
    let (status, tokens) = call(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(status, 200, "the valid twin: {tokens}");
    let account = house.accounts().await[0].id.clone();
    let client: countersign::ids::ClientId = "third".parse().unwrap();
    let narrowed = house.app.store.write::<_, countersign::store::StoreError, _>(move |tx| {
        let mut consent = tx.consent(&account, &client)?.expect("it is remembered");
        assert_eq!(consent.claims, ["name".to_owned()].into());
        consent.claims.clear();
        tx.put_consent(&consent)
    });
    narrowed.await.unwrap();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, body) = call(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_grant")));
}

#[tokio::test]
async fn a_scope_that_was_agreed_to_covers_its_claims() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let page = asked(&house, &mut alice, &[("scope", "openid profile email")]).await;
    decide(&house, &mut alice, &page, "allow").await;
    let claims = r#"{"userinfo": {"name": {"essential": true}, "email": null}}"#;
    let back =
        alice.get(&authorize(&house, "third", &[("scope", "openid"), ("claims", claims)])).await.location();
    assert!(parameter(&back, "code").is_some());
}
