//! The SSO session.

use crate::Watch;
use crate::house::*;
use countersign::accounts::AccountStatus;
use countersign::store::StoreError;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn oauth_093_a_session_gets_a_new_secret_at_every_sign_in() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    // A secret that was planted before.
    let planted = format!("cssn_{}", "A".repeat(43));
    alice.cookies.insert("cs_session".to_owned(), planted.clone());
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let first = alice.session().unwrap().clone();
    assert_ne!(first, planted);
    let mut thief = Visitor::new();
    thief.cookies.insert("cs_session".to_owned(), planted);
    assert_eq!(thief.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");
    // Signing in again renews it, and the old secret is worth nothing.
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[("prompt", "select_account")])).await;
    assert_ne!(*alice.session().unwrap(), first);
    assert_eq!(house.rows().await.sessions, 1);
    let mut thief = Visitor::new();
    thief.cookies.insert("cs_session".to_owned(), first);
    assert_eq!(thief.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");
}

#[tokio::test]
async fn oauth_095_a_cookie_built_by_hand_is_nobody() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    let id = house.accounts().await[0].id.to_string();
    for forged in [id.clone(), format!("cssn_{}", "B".repeat(43)), "cssn_".to_owned(), "1".to_owned()] {
        let mut mallory = Visitor::new();
        mallory.cookies.insert("cs_session".to_owned(), forged);
        let to = mallory.get(&authorize(&house, "first", &[])).await.location();
        assert_eq!(to.path(), "/sign-in");
        let page = mallory.get(to.as_str()).await;
        assert!(!page.body.contains("alice") && !page.body.contains(&id));
    }
    // A flow's cookie cannot be built either.
    let mut mallory = Visitor::new();
    mallory
        .cookies
        .insert("cs_flow_AAAAAAAAAAAAAAAA".to_owned(), "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let watch = Watch::begin(&house, "browser_binding").await;
    let handle = format!("csst_{}", "A".repeat(43));
    assert_eq!(mallory.get(&house.at(&format!("/continue?flow={handle}"))).await.status, 400);
    watch.refused_once(&house).await;
}

#[tokio::test]
async fn oauth_097_a_cookie_that_came_twice_is_refused() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let url = authorize(&house, "first", &[]);
    assert!(parameter(&alice.clone().get(&url).await.location(), "code").is_some(), "the valid twin");
    let mut tossed = alice.clone();
    let secret = tossed.cookies.remove("cs_session").unwrap();
    tossed.cookies.insert("cs_session".to_owned(), format!("{secret}; cs_session={secret}"));
    let watch = Watch::begin(&house, "request.duplicate_cookie").await;
    assert_eq!(tossed.get(&url).await.status, 400);
    watch.refused_once(&house).await;
}

#[tokio::test]
async fn oauth_098_two_people_in_one_browser_share_nothing() {
    let house = House::open().await;
    let mut browser = Visitor::new();
    sign_in(&house, &mut browser, "globex", &authorize(&house, "first", &[])).await;
    let alices = browser.session().unwrap().clone();
    house.globex.script().person = json!({
        "sub": "bob-subject", "name": "Bob", "email": "bob@globex.example", "email_verified": true,
    });
    let url = authorize(&house, "first", &[("prompt", "select_account")]);
    sign_in(&house, &mut browser, "globex", &url).await;
    assert_eq!(house.accounts().await.len(), 2);
    assert_ne!(*browser.session().unwrap(), alices);
    assert_eq!(house.rows().await.sessions, 1, "Alice's session ended");
    assert!(
        house.events().await.contains(&("session.ended".to_owned(), Some("session.replaced".to_owned())))
    );
    let mut old = Visitor::new();
    old.cookies.insert("cs_session".to_owned(), alices);
    assert_eq!(old.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");
    let grants = house
        .app
        .store
        .read::<_, StoreError, _>(|tx| {
            let mut all = Vec::new();
            for account in tx.list_accounts("", None, 10)? {
                all.push((account.profile.name.clone(), tx.grants_of(&account.id)?.len()));
            }
            Ok(all)
        })
        .await
        .unwrap();
    let of = |name: &str| grants.iter().find(|(n, _)| n.as_deref() == Some(name)).unwrap().1;
    assert_eq!((of("Alice Adams"), of("Bob")), (0, 1), "what Alice's session had granted ended with it");
}

/// An answer that comes by POST from another site brings no session cookie: the flow, which only this browser
/// has, knows the session. The same person's goes on, so no app is told of an end that is none.
#[tokio::test]
async fn an_answer_without_the_session_cookie_renews_the_same_person_s_session() {
    let house = House::open().await;
    let mut browser = Visitor::new();
    sign_in(&house, &mut browser, "globex", &authorize(&house, "first", &[])).await;
    let url = authorize(&house, "first", &[("prompt", "select_account")]);
    let session = async || {
        let account = house.accounts().await[0].id.clone();
        let sessions = house.app.store.read::<_, StoreError, _>(move |tx| tx.sessions_of(&account)).await;
        sessions.unwrap().into_iter().filter(|s| s.revoked_at.is_none()).map(|s| s.id).collect::<Vec<_>>()
    };
    let before = session().await;
    let request = depart(&house, &mut browser, "globex", &url).await;
    let old = browser.cookies.remove("cs_session").unwrap();
    browser.get(&approval(&house, &request)).await.location();
    assert_eq!(session().await, before, "the same one goes on");
    assert_ne!(*browser.session().unwrap(), old, "with a new secret (CWE-384)");
    let mut thief = Visitor::new();
    thief.cookies.insert("cs_session".to_owned(), old);
    assert_eq!(thief.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");

    // Another person's takes its place.
    house.globex.script().person = json!({
        "sub": "bob-subject", "name": "Bob", "email": "bob@globex.example", "email_verified": true,
    });
    let request = depart(&house, &mut browser, "globex", &url).await;
    browser.cookies.remove("cs_session").unwrap();
    browser.get(&approval(&house, &request)).await.location();
    assert!(
        house.events().await.contains(&("session.ended".to_owned(), Some("session.replaced".to_owned())))
    );
    assert_eq!(house.rows().await.sessions, 1);
}

#[tokio::test]
async fn a_session_idles_out_and_ends() {
    let house = House::open().await;
    let settings = house.app.now().settings.clone();
    let url = authorize(&house, "first", &[]);
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &url).await;
    house.wait(settings.sessions.idle - Duration::from_secs(1));
    assert!(parameter(&alice.get(&url).await.location(), "code").is_some());
    house.wait(settings.sessions.idle - Duration::from_secs(1));
    assert!(parameter(&alice.get(&url).await.location(), "code").is_some(), "use keeps it");
    house.wait(settings.sessions.idle);
    assert_eq!(alice.get(&url).await.location().path(), "/sign-in");
}

/// Offline access goes on after a session ran out, until its person signs out.
#[tokio::test]
async fn who_signs_out_of_a_session_that_ran_out_ends_what_was_granted_in_it() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let tokens = offline(&house, &mut alice).await;
    house.wait(house.app.now().settings.sessions.idle);
    assert_eq!(alice.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");
    let tokens = goes_on(&house, &tokens).await;
    signs_out(&house, &mut alice).await;
    is_over(&house, &tokens).await;
    assert!(alice.session().is_none());
}

/// Signs in, with offline access: the tokens.
async fn offline(house: &House, alice: &mut Visitor) -> Value {
    let url = authorize(house, "first", &[("scope", "openid offline_access"), ("prompt", "consent")]);
    let to = sign_in(house, alice, "globex", &url).await;
    let page = alice.get(to.as_str()).await;
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", "allow")];
    let back = alice.post(&house.at("/consent"), &form).await.location();
    crate::epoch::redeem(house, &back).await.1
}

/// The access goes on: the newer tokens.
async fn goes_on(house: &House, tokens: &Value) -> Value {
    let (status, tokens) = crate::epoch::refresh(house, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn is_over(house: &House, tokens: &Value) {
    let (status, answer) = crate::epoch::refresh(house, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!((status, answer["error"].as_str()), (400, Some("invalid_grant")), "{answer}");
}

async fn signs_out(house: &House, alice: &mut Visitor) {
    let page = alice.get(&house.at("/logout")).await;
    assert_eq!(alice.post(&house.at("/logout"), &[("csrf", &page.field("csrf"))]).await.status, 200);
}

/// A tab that was closed, or a connection that broke, before the answer with the new secret came.
#[tokio::test]
async fn a_session_whose_new_secret_never_came_can_be_signed_out_of() {
    let house = House::open().await;
    for again in [false, true] {
        let mut alice = Visitor::new();
        let tokens = offline(&house, &mut alice).await;
        house.wait(Duration::from_secs(10));
        let url = authorize(&house, "first", &[("prompt", "login")]);
        let request = depart(&house, &mut alice, "globex", &url).await;
        let mut lost = alice.clone();
        lost.get(&approval(&house, &request)).await.location();
        let page = alice.get(&house.at("/logout")).await;
        assert!(page.body.contains("csrf"), "it is still asked: {}", page.body);
        assert_eq!(alice.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");
        let tokens = goes_on(&house, &tokens).await;
        if again {
            // Whoever signs in again has the same session.
            sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
            assert_eq!(house.rows().await.sessions, 1);
        }
        signs_out(&house, &mut alice).await;
        is_over(&house, &tokens).await;
        assert_eq!(house.rows().await.sessions, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_at_once_make_one_session() {
    let mut houses = vec![House::open().await];
    houses.extend(House::on_postgres(|config, providers| (config, providers)).await);
    for house in houses {
        for _ in 0..4 {
            let mut alice = Visitor::new();
            let mut ready = Vec::new();
            for _ in 0..4 {
                let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
                ready.push(approval(&house, &request));
            }
            // Each tab brings what the browser had when all left.
            let tries = ready.into_iter().map(|callback| {
                let mut tab = alice.clone();
                async move {
                    let to = tab.get(&callback).await.location();
                    (parameter(&tab.get(to.as_str()).await.location(), "code").is_some(), tab)
                }
            });
            let mut tabs = futures_util::future::join_all(tries).await;
            assert!(tabs.iter().all(|(in_time, _)| *in_time), "each app gets its code");
            assert_eq!(house.rows().await.sessions, 1);
            // Whichever answer the browser kept last, the person can sign out.
            signs_out(&house, &mut tabs[0].1).await;
            assert_eq!(house.rows().await.sessions, 0);
        }
    }
}

/// What was granted in a session that ran out is ended by signing out of the next one in the same browser, too; what somebody
/// else was granted there is their own.
#[tokio::test]
async fn who_signs_out_ends_what_they_were_granted_before_in_the_same_browser() {
    let house = House::open().await;
    let mut browser = Visitor::new();
    let tokens = offline(&house, &mut browser).await;
    house.wait(house.app.now().settings.sessions.idle);
    let url = authorize(&house, "first", &[]);
    house.globex.script().person =
        json!({"sub": "bob", "email": "bob@globex.example", "email_verified": true});
    sign_in(&house, &mut browser, "globex", &url).await;
    signs_out(&house, &mut browser).await;
    let tokens = goes_on(&house, &tokens).await;
    house.globex.behave();
    let mut browser = Visitor::new();
    let more = offline(&house, &mut browser).await;
    house.wait(house.app.now().settings.sessions.idle);
    sign_in(&house, &mut browser, "globex", &url).await;
    let more = goes_on(&house, &more).await;
    signs_out(&house, &mut browser).await;
    is_over(&house, &more).await;
    goes_on(&house, &tokens).await;
}

/// Another site can have the address of signing out loaded, and send the name of the browser along.
#[tokio::test]
async fn the_name_of_a_browser_opens_nothing_and_ends_nothing_unasked() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let mut image = alice.clone();
    image.cookies.retain(|name, _| name == "cs_browser");
    assert!(!image.get(&house.at("/logout")).await.body.contains("alice"), "nor does it show who is there");
    assert_eq!(image.get(&authorize(&house, "first", &[])).await.location().path(), "/sign-in");
    let answer = image.get(&house.at("/logout")).await;
    assert!(answer.all("set-cookie").all(|line| !line.contains("Max-Age=0")), "{answer:#?}");
    let answer = Visitor::new().get(&house.at("/logout")).await;
    assert!(answer.all("set-cookie").all(|line| !line.contains("Max-Age=0")), "{answer:#?}");
    // An app knows an ID token, and has the address loaded within a page of its own.
    let code = alice.get(&authorize(&house, "first", &[])).await.location();
    let token = crate::epoch::redeem(&house, &code).await.1;
    let query = format!("/logout?id_token_hint={}", token["id_token"].as_str().unwrap());
    let loaded = async |dest: &str| {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let cookie = format!("cs_browser={}", image.cookies["cs_browser"]);
        let request = client.get(house.at(&query)).header("cookie", cookie).header("sec-fetch-dest", dest);
        request.header("sec-fetch-site", "cross-site").send().await.unwrap().status().as_u16()
    };
    let sessions = house.rows().await.sessions;
    for dest in ["image", "iframe", "empty"] {
        assert_eq!(loaded(dest).await, 200);
        assert_eq!(house.rows().await.sessions, sessions, "{dest}");
    }
    assert!(parameter(&alice.get(&authorize(&house, "first", &[])).await.location(), "code").is_some());
    // The valid twin: the person goes there.
    assert_eq!(loaded("document").await, 200);
    assert_eq!(house.rows().await.sessions, sessions - 1);
}

#[tokio::test]
async fn a_suspended_account_cannot_sign_in() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let url = authorize(&house, "first", &[]);
    sign_in(&house, &mut alice, "globex", &url).await;
    let id = house.accounts().await[0].id.clone();
    let now = house.now();
    let set = |status: AccountStatus| {
        let id = id.clone();
        house.app.store.write::<_, StoreError, _>(move |tx| tx.set_account_status(&id, status, now))
    };
    set(AccountStatus::Suspended).await.unwrap();
    let request = depart(&house, &mut alice, "globex", &url).await;
    let watch = Watch::begin(&house, "user.disabled").await;
    let page = alice.get(&approval(&house, &request)).await;
    assert_eq!(page.status, 403);
    watch.refused_once(&house).await;
    set(AccountStatus::Active).await.unwrap();
    sign_in(&house, &mut Visitor::new(), "globex", &url).await;
}

/// An old browser that says nothing of where a form comes from, and another site that knows a form of its own browser's.
#[tokio::test]
async fn oauth_099_a_form_for_signing_out_is_of_one_browser() {
    let house = House::open().await;
    let url = authorize(&house, "first", &[]);
    let (mut mallory, mut alice) = (Visitor::new(), Visitor::new());
    for visitor in [&mut mallory, &mut alice] {
        sign_in(&house, visitor, "globex", &url).await;
        visitor.cookies.remove("cs_session");
    }
    let own = mallory.get(&house.at("/logout")).await.field("csrf");
    let sent = alice.clone().post_from(&house.at("/logout"), &[("csrf", &own)], None, None).await;
    assert_eq!(sent.status, 403, "{sent:#?}");
    assert_eq!(house.rows().await.sessions, 2);
    let own = alice.get(&house.at("/logout")).await.field("csrf");
    assert_eq!(alice.post_from(&house.at("/logout"), &[("csrf", &own)], None, None).await.status, 200);
    assert_eq!(house.rows().await.sessions, 1, "the valid twin");
}

/// Who was there before, and ran out, is nobody of whom the next one hears or whom they end, and the other way round.
#[tokio::test]
async fn what_ends_of_somebody_before_in_the_same_browser_is_not_the_end_of_who_is_there() {
    let house = House::open().await;
    house.globex.script().claims = Box::new(|claims| claims["sid"] = json!("their-session"));
    let mut browser = Visitor::new();
    let old = offline(&house, &mut browser).await;
    house.wait(house.app.now().settings.sessions.idle);
    // Somebody else comes by the other provider.
    let url = authorize(&house, "first", &[]);
    sign_in(&house, &mut browser, "friendbook", &url).await;
    let session = async |account: &str| {
        let sessions = house.desk().sessions(account).await.unwrap();
        sessions.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    let mut bob = String::new();
    for account in house.accounts().await {
        if !session(account.id.as_str()).await.is_empty() {
            bob = account.id.to_string();
        }
    }
    // Whose session was ended elsewhere is asked of nobody else's.
    let ended = session(&bob).await.remove(0);
    assert!(house.desk().end_session(&ended).await.unwrap());
    let page = browser.get(&house.at("/logout")).await;
    assert!(!page.body.contains("name=\"csrf\""), "{}", page.body);
    goes_on(&house, &old).await;
}
