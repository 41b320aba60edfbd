//! Which proof of a session counts: for the application, for its provider's logout, and for how long.

use crate::epoch::{is_active, redeem, refresh, text};
use crate::house::*;
use crate::saml::{Message, NameId, Request, Script, instant};
use crate::saml_logout::Acme;
use countersign::accounts::Identity;
use countersign::store::StoreError;
use countersign::upstream::Departure;
use serde_json::{Value, json};
use std::time::Duration;

/// Friendbook knows the person of the only account, too.
async fn joins_friendbook(house: &House) {
    let account = house.accounts().await.remove(0).id;
    // Whom it speaks of is seen from an account of theirs, which loses it again.
    again(house, &mut Visitor::new(), "friendbook", &[]).await;
    let other = house.accounts().await.into_iter().map(|one| one.id).find(|id| *id != account).unwrap();
    let id = other.clone();
    let found = house.app.store.read::<_, StoreError, _>(move |tx| tx.identities_of(&id)).await.unwrap();
    let [theirs] = &found[..] else { panic!("one identity") };
    house.desk().unlink(other.as_str(), &theirs.id, true).await.unwrap();
    let identity = Identity { id: house.app.context.identity_id(), account, ..theirs.clone() };
    house.app.store.write::<_, StoreError, _>(move |tx| tx.insert_identity(&identity)).await.unwrap();
}

/// Another sign-in in the same browser.
async fn again(house: &House, visitor: &mut Visitor, provider: &str, more: &[(&str, &str)]) -> url::Url {
    let mut named = vec![("idp_hint", provider)];
    named.extend(more);
    sign_in(house, visitor, provider, &authorize(house, "first", &named)).await
}

/// What the application finds in its ID token.
async fn told(house: &House, back: &url::Url) -> Value {
    crate::claims::id_token(house, &mut Visitor::new(), back).await.0
}

const SELECT: (&str, &str) = ("prompt", "select_account");
const SILENT: (&str, &str) = ("prompt", "none");

/// Business apps name the one provider at which their people must prove themselves.
#[tokio::test]
async fn a_session_by_another_provider_does_not_open_an_app_that_names_its_own() {
    let mut house = House::with(|config, providers| {
        let list = "providers = [\"globex\"]\nfirst_party = true\n";
        (config.replacen("first_party = true\n", list, 1), providers)
    })
    .await;
    let url = |more: &[(&str, &str)]| authorize(&house, "first", more);
    let [loud, silent] = [url(&[]), url(&[SILENT])];
    let mut mallory = Visitor::new();
    let request = depart(&house, &mut mallory, "friendbook", &authorize(&house, "third", &[])).await;
    assert_eq!(mallory.get(&approval(&house, &request)).await.location().path(), "/continue");
    assert!(mallory.session().is_some(), "she is signed in, and not for that app");
    let to = mallory.get(&silent).await.location();
    assert_eq!(parameter(&to, "error").as_deref(), Some("login_required"), "{to}");
    let to = mallory.get(&loud).await.location();
    assert!(to.as_str().starts_with(house.globex.origin()), "{to}");
    // Whoever proves themselves there comes in, and the next time at once.
    let back = mallory.get(&approval(&house, &to)).await.location();
    let back = mallory.get(back.as_str()).await.location();
    assert!(parameter(&back, "code").is_some(), "the valid twin: {back}");
    let to = mallory.get(&silent).await.location();
    assert!(parameter(&to, "code").is_some(), "the valid twin: {to}");
    // A list that is narrowed counts for the sessions that there are.
    house.reload(|config, providers| (config.replace("[\"globex\"]", "[\"friendbook\"]"), providers)).await;
    let to = mallory.get(&silent).await.location();
    assert_eq!(parameter(&to, "error").as_deref(), Some("login_required"), "{to}");
}

#[tokio::test]
async fn what_an_app_holds_is_worth_nothing_once_its_list_leaves_the_provider_out() {
    let mut house = House::open().await;
    let url = authorize(&house, "first", &[("scope", "openid offline_access")]);
    let mut held = Vec::new();
    for provider in ["globex", "friendbook"] {
        let back = sign_in(&house, &mut Visitor::new(), provider, &url).await;
        let tokens = redeem(&house, &back).await.1;
        held.push((text(&tokens, "access_token"), text(&tokens, "refresh_token")));
    }
    house
        .reload(|config, providers| {
            let list = "providers = [\"globex\"]\nfirst_party = true\n";
            (config.replacen("first_party = true\n", list, 1), providers)
        })
        .await;
    let [(by_globex, globex), (by_friendbook, friendbook)] = &held[..] else { panic!("two") };
    let (status, answer) = refresh(&house, friendbook).await;
    assert_eq!((status, answer["error"].as_str()), (400, Some("invalid_grant")), "{answer}");
    assert!(!is_active(&house, by_friendbook).await);
    assert_eq!(house.refusals().await[0].refusal.reason, "grant.provider");
    assert!(is_active(&house, by_globex).await, "the valid twin");
    assert_eq!(refresh(&house, globex).await.0, 200, "the valid twin");
    // It was not revoked: the list may have been wrong.
    house.reload(|config, providers| (config.replace("[\"globex\"]", "[]"), providers)).await;
    assert_eq!(refresh(&house, friendbook).await.0, 200);
}

#[tokio::test]
async fn a_session_by_a_provider_that_was_switched_off_opens_nothing() {
    let mut house = House::open().await;
    let mut alice = Visitor::new();
    let silent = authorize(&house, "first", &[SILENT]);
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    assert!(parameter(&alice.get(&silent).await.location(), "code").is_some(), "the valid twin");
    joins_friendbook(&house).await;
    let off =
        |providers: String| providers.replacen("id = \"globex\"", "id = \"globex\"\nenabled = false", 1);
    house.reload(|config, providers| (config, off(providers))).await;
    let to = alice.get(&silent).await.location();
    assert_eq!(parameter(&to, "error").as_deref(), Some("login_required"), "{to}");
    // By another way in it is the same person's session, which goes on, and the app is told of that one.
    again(&house, &mut alice, "friendbook", &[]).await;
    assert!(parameter(&alice.get(&silent).await.location(), "code").is_some());
    house
        .reload(|config, providers| (config, providers.replacen("enabled = false", "enabled = true", 1)))
        .await;
    assert!(parameter(&alice.get(&silent).await.location(), "code").is_some());
}

#[tokio::test]
async fn an_app_is_told_of_the_proof_that_it_demanded() {
    let house = House::with(|config, providers| {
        let graded = "acr_map = { \"urn:globex:2fa\" = \"mfa\" }\n\n[[provider.map]]";
        let providers = providers.replacen("[[provider.map]]", graded, 1);
        (config, providers.replacen("subject = \"id\"", "subject = \"id\"\nfreshness = \"trusted\"", 1))
    })
    .await;
    let first = house.now().secs();
    house.globex.script().claims = Box::new(move |claims| {
        claims["acr"] = json!("urn:globex:2fa");
        claims["auth_time"] = json!(first);
    });
    let mut alice = Visitor::new();
    let claims =
        told(&house, &sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await).await;
    assert_eq!((&claims["acr"], &claims["auth_time"]), (&json!("mfa"), &json!(first)));
    joins_friendbook(&house).await;
    house.wait(Duration::from_secs(45));
    // Friendbook shows no time and no context: then none is told, rather than those of Globex.
    let back = again(&house, &mut alice, "friendbook", &[("prompt", "login"), ("max_age", "10")]).await;
    let claims = told(&house, &back).await;
    assert_eq!((claims.get("acr"), claims.get("auth_time")), (None, None), "{claims}");
    // The latest that meets the demand: here any, there only the earlier one.
    let silent = |more| authorize(&house, "first", &[SILENT, more]);
    let claims = told(&house, &alice.get(&silent(("state", "x"))).await.location()).await;
    assert_eq!(claims.get("acr"), None, "{claims}");
    let claims = told(&house, &alice.get(&silent(("max_age", "300"))).await.location()).await;
    assert_eq!((&claims["acr"], &claims["auth_time"]), (&json!("mfa"), &json!(first)));
    let essential = json!({ "id_token": { "acr": { "essential": true, "value": "mfa" } } }).to_string();
    let claims = told(&house, &alice.get(&silent(("claims", &essential))).await.location()).await;
    assert_eq!(claims["acr"], json!("mfa"));
    // What was proved for the request does not reach it, whatever an earlier proof had shown.
    house.globex.script().claims = Box::new(|_| {});
    let back = again(&house, &mut alice, "globex", &[("prompt", "login"), ("claims", &essential)]).await;
    assert_eq!(parameter(&back, "error").as_deref(), Some("unmet_authentication_requirements"), "{back}");
}

/// Acme's answer to the browser's request, changed.
async fn by_acme(acme: &Acme, visitor: &mut Visitor, change: impl FnOnce(&mut Script)) {
    let url = authorize(&acme.house, "first", &[("idp_hint", "acme"), SELECT]);
    let asked = Request::of(&Departure::RedirectTo(depart(&acme.house, visitor, "acme", &url).await));
    let mut script = acme.idp.script(acme.house.now(), &asked, &acme.callback());
    script.assertion.name_id = Some(NameId::persistent("alice"));
    change(&mut script);
    let message = Message::new(script.xml(), asked.relay_state.as_deref().unwrap());
    let back = acme.send(visitor, &acme.callback(), &message.form()).await.location();
    assert_eq!(back.path(), "/continue");
    assert!(parameter(&visitor.get(back.as_str()).await.location(), "code").is_some());
}

/// Somebody whom Acme knows has signed in by Friendbook, in a session of its own.
async fn in_by_friendbook() -> (Acme, Visitor) {
    let acme = Acme::open("").await;
    acme.sign_in(&mut Visitor::new(), "alice", "_s1").await;
    joins_friendbook(&acme.house).await;
    let mut alice = Visitor::new();
    again(&acme.house, &mut alice, "friendbook", &[]).await;
    (acme, alice)
}

/// The provider still knew the person, and says when they proved themselves: long before the session's other proof.
#[tokio::test]
async fn a_logout_means_the_session_whose_last_proof_came_from_there_however_old_it_is() {
    let (acme, mut alice) = in_by_friendbook().await;
    acme.house.wait(Duration::from_secs(5));
    let now = acme.house.now();
    by_acme(&acme, &mut alice, |script| {
        script.assertion.authn[0].instant = Some(instant(now, -1800));
        script.assertion.authn[0].session_index = Some("_s2".to_owned());
    })
    .await;
    assert!(acme.is_in(&alice).await);
    acme.house.wait(Duration::from_secs(1));
    let other = acme.request("alice", &["_another"]);
    assert_eq!(Visitor::new().get(&acme.link(&other, None)).await.status, 303);
    assert!(acme.is_in(&alice).await, "the valid twin");
    let request = acme.request("alice", &["_s2"]);
    assert_eq!(Visitor::new().get(&acme.link(&request, None)).await.status, 303);
    assert!(!acme.is_in(&alice).await);
}

/// Each proof of a session opens applications by itself, so a provider's logout means those too that did not come last.
#[tokio::test]
async fn a_logout_means_the_session_whichever_of_its_proofs_came_last() {
    for sessions in [&["_s2"][..], &[]] {
        let (acme, _) = in_by_friendbook().await;
        let mut alice = Visitor::new();
        by_acme(&acme, &mut alice, |script| {
            script.assertion.authn[0].session_index = Some("_s2".to_owned());
        })
        .await;
        acme.house.wait(Duration::from_secs(5));
        again(&acme.house, &mut alice, "friendbook", &[SELECT]).await;
        acme.house.wait(Duration::from_secs(1));
        let other = acme.request("alice", &["_another"]);
        assert_eq!(Visitor::new().get(&acme.link(&other, None)).await.status, 303);
        assert!(acme.is_in(&alice).await, "the valid twin");
        let request = acme.request("alice", sessions);
        assert_eq!(Visitor::new().get(&acme.link(&request, None)).await.status, 303);
        assert!(!acme.is_in(&alice).await, "{sessions:?}");
    }
}

/// SAML Core §2.7.2: `SessionNotOnOrAfter`.
#[tokio::test]
async fn a_session_that_goes_on_by_a_provider_ends_with_the_providers_own() {
    let (acme, mut alice) = in_by_friendbook().await;
    let mut twin = Visitor::new();
    again(&acme.house, &mut twin, "friendbook", &[]).await;
    let now = acme.house.now();
    by_acme(&acme, &mut alice, |script| {
        script.assertion.authn[0].session_not_on_or_after = Some(instant(now, 600));
    })
    .await;
    acme.house.wait(Duration::from_secs(9 * 60));
    assert!(acme.is_in(&alice).await);
    acme.house.wait(Duration::from_secs(3 * 60));
    assert!(!acme.is_in(&alice).await);
    assert!(acme.is_in(&twin).await, "the valid twin");
    // Whoever signs in anew by another way is in for as long as is usual.
    again(&acme.house, &mut alice, "friendbook", &[]).await;
    acme.house.wait(Duration::from_secs(3600));
    assert!(acme.is_in(&alice).await);
}

/// Another issuer took the place of the one whose person has the session: what opens for its people opens for nobody else.
#[tokio::test]
async fn link_037_a_session_by_the_issuer_that_was_there_before_opens_nothing_any_more() {
    for list in ["", "providers = [\"globex\"]\n"] {
        let with = |config: String, providers: String| {
            (config.replacen("first_party = true\n", &format!("{list}first_party = true\n"), 1), providers)
        };
        let mut house = House::with(with).await;
        let mut alice = Visitor::new();
        let url = authorize(&house, "first", &[("scope", "openid offline_access"), ("prompt", "consent")]);
        let to = sign_in(&house, &mut alice, "globex", &url).await;
        let page = alice.get(to.as_str()).await;
        let (flow, csrf) = (page.field("flow"), page.field("csrf"));
        let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", "allow")];
        let back = alice.post(&house.at("/consent"), &form).await.location();
        let tokens = crate::epoch::redeem(&house, &back).await.1;
        let (old, new) = (house.globex.origin().to_owned(), house.friendbook.origin().to_owned());
        let silent = authorize(&house, "first", &[("prompt", "none")]);
        let asked = async |alice: &mut Visitor| {
            let to = alice.get(&silent).await.location();
            parameter(&to, "error")
        };
        house.point(&old, &new).await;
        assert_eq!(asked(&mut alice).await.as_deref(), Some("login_required"));
        let (status, answer) = crate::epoch::refresh(&house, tokens["refresh_token"].as_str().unwrap()).await;
        // Where the app names no providers, it was granted to the person, whoever vouched.
        assert_eq!(status, if list.is_empty() { 200 } else { 400 }, "{answer}");
        house.point(&new, &old).await;
        assert_eq!(asked(&mut alice).await, None, "the valid twin");
    }
}
