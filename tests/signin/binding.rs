//! A sign-in ends in the browser and at the provider where it began, once.

use crate::Watch;
use crate::house::*;
use crate::saml_mutations::refusals;
use std::time::Duration;

#[tokio::test]
async fn oidc_046_an_answer_without_a_sound_state_is_refused() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let good = approval(&house, &request);
    let state = parameter(&request, "state").unwrap();
    for bad in [
        good.replace(&format!("&state={state}"), ""),
        good.replace(&state, "random"),
        good.replace(&state, "csac_x"),
    ] {
        assert_ne!(bad, good);
        let watch = Watch::begin(&house, "oidc.state").await;
        assert_eq!(alice.get(&bad).await.status, 400);
        watch.refused_once(&house).await;
        assert!(alice.session().is_none());
    }
    // The same departure with another secret half: as if from an earlier one.
    let other = format!("{}{}", &state[..22], "A".repeat(state.len() - 22));
    let watch = Watch::begin(&house, "oidc.state").await;
    assert_eq!(alice.get(&good.replace(&state, &other)).await.status, 400);
    watch.refused_once(&house).await;
    assert_eq!(house.globex.count("/token"), 0, "no code was redeemed");
    assert_eq!(alice.get(&good).await.status, 303, "nothing was used up");
}

#[tokio::test]
async fn oidc_047_a_state_of_another_browser_is_refused_and_not_used_up() {
    let house = House::open().await;
    let (mut mallory, mut victim) = (Visitor::new(), Visitor::new());
    let request = depart(&house, &mut mallory, "globex", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    let watch = Watch::begin(&house, "browser_binding").await;
    let page = victim.get(&callback).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("began in another browser"));
    assert!(victim.session().is_none());
    watch.refused_once(&house).await;
    assert_eq!(house.globex.count("/token"), 0, "the code was not redeemed");
    assert_eq!(mallory.get(&callback).await.location().path(), "/continue", "the valid twin");
}

#[tokio::test]
async fn oidc_047_a_victim_with_a_sign_in_of_their_own_is_no_better() {
    let house = House::open().await;
    let (mut mallory, mut victim) = (Visitor::new(), Visitor::new());
    let request = depart(&house, &mut mallory, "globex", &authorize(&house, "first", &[])).await;
    let own = depart(&house, &mut victim, "globex", &authorize(&house, "first", &[])).await;
    let watch = Watch::begin(&house, "browser_binding").await;
    assert_eq!(victim.get(&approval(&house, &request)).await.status, 400);
    watch.refused_once(&house).await;
    // Mallory's code under the victim's state: PKCE and nonce belong to the victim's departure.
    let mixed = approval(&house, &request)
        .replace(&parameter(&request, "state").unwrap(), &parameter(&own, "state").unwrap());
    let page = victim.get(&mixed).await;
    assert_eq!(page.status, 400);
    assert!(victim.session().is_none());
    assert_eq!(house.rows().await.accounts, 0);
}

#[tokio::test]
async fn oidc_049_a_planted_flow_cookie_does_not_bind_a_victim_to_the_attackers_sign_in() {
    let house = House::open().await;
    let mut mallory = Visitor::new();
    let request = depart(&house, &mut mallory, "globex", &authorize(&house, "first", &[])).await;
    // Mallory plants the cookie under the name of another flow: the seal is bound to its own.
    let mut victim = Visitor::new();
    let own = depart(&house, &mut victim, "globex", &authorize(&house, "first", &[])).await;
    let (name, value) = (victim.flows()[0].clone(), mallory.cookies.values().next().unwrap().clone());
    let kept = victim.cookies.insert(name.clone(), value).unwrap();
    let watch = Watch::begin(&house, "browser_binding").await;
    assert_eq!(victim.get(&approval(&house, &own)).await.status, 400);
    watch.refused_once(&house).await;
    // With the planted cookie under its own name, the victim signs in for Mallory's request; but the code
    // goes to the victim's browser, and what Mallory still holds is of no use.
    victim.cookies.insert(name, kept);
    let old = mallory.clone();
    victim.cookies.extend(old.cookies.clone());
    let back = victim.get(&approval(&house, &request)).await.location();
    assert!(victim.session().is_some());
    assert!(parameter(&victim.get(back.as_str()).await.location(), "code").is_some());
    let page = mallory.get(back.as_str()).await;
    assert_eq!(
        page.header("location").map(|to| to.contains("code=")),
        page.header("location").map(|_| false)
    );
    assert!(mallory.session().is_none());
}

#[tokio::test]
async fn oidc_050_a_handle_of_one_step_is_none_of_another() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let flow = parameter(&list, "flow").unwrap();
    let page = alice.get(list.as_str()).await;
    let request = choose(&house, &mut alice, &page, "globex").await.location();
    let state = parameter(&request, "state").unwrap();
    assert_ne!(state, flow);
    // The flow's own handle is no provider's state, and the state is no handle for our pages.
    let watch = Watch::begin(&house, "oidc.state").await;
    let answer = approval(&house, &request);
    assert_eq!(alice.get(&answer.replace(&state, &flow)).await.status, 400);
    watch.refused_once(&house).await;
    for path in ["sign-in", "continue", "consent"] {
        let watch = Watch::begin(&house, "browser_binding").await;
        assert_eq!(alice.get(&house.at(&format!("/{path}?flow={state}"))).await.status, 400, "{path}");
        watch.refused_once(&house).await;
    }
    assert_eq!(alice.get(&answer).await.status, 303, "the valid twin");
}

#[tokio::test]
async fn oidc_003_an_answer_to_another_providers_callback_is_refused() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let good = approval(&house, &request);
    let watch = Watch::begin(&house, "provider.mismatch").await;
    let page = alice.get(&good.replace("/upstream/globex/", "/upstream/friendbook/")).await;
    assert_eq!(page.status, 400);
    watch.refused_once(&house).await;
    assert!(house.friendbook.seen().is_empty(), "the code went nowhere");
    assert_eq!(alice.get(&good).await.status, 303, "nothing was used up");
}

#[tokio::test]
async fn oidc_073_an_answer_is_taken_once() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    let before = alice.clone();
    let next = alice.get(&callback).await.location();
    let watch = Watch::begin(&house, "oidc.state").await;
    let again = alice.get(&callback).await;
    assert_eq!(again.status, 400);
    assert!(again.body.contains("no longer open"), "start again");
    assert!(!again.body.contains("csac_"));
    watch.refused_once(&house).await;
    assert!(parameter(&alice.get(next.as_str()).await.location(), "code").is_some());
    // The old cookie put back: the state is used up in the database too.
    let mut replay = before;
    house.globex.forget();
    let (rows, times) = (house.rows().await, refusals(&house).await);
    assert_eq!(replay.get(&callback).await.status, 400);
    assert!(replay.session().is_none());
    assert_eq!(house.rows().await, rows);
    assert_eq!(refusals(&house).await, times + 1, "recorded once");
}

#[tokio::test]
async fn one_flow_gives_one_code() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let next = alice.get(&approval(&house, &request)).await.location();
    let copies: Vec<Visitor> = (0..50).map(|_| alice.clone()).collect();
    let tries = copies.into_iter().map(|mut copy| {
        let next = next.clone();
        async move { copy.get(next.as_str()).await }
    });
    let answers = futures_util::future::join_all(tries).await;
    let codes =
        answers.iter().filter(|a| a.header("location").is_some_and(|to| to.contains("code="))).count();
    assert_eq!(codes, 1);
    assert!(answers.iter().all(|a| a.status == 303 || a.status == 400));
    assert_eq!(house.rows().await.grants, 1);
}

#[tokio::test]
async fn oidc_073_of_many_answers_at_once_one_is_taken() {
    let house = House::open().await;
    // A provider that redeems a code again and again: then only our own memory is left.
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "friendbook", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    let answers: Vec<String> = (0..50)
        .map(|_| {
            let code = parameter(&callback.parse().unwrap(), "code").unwrap();
            let fresh = parameter(&approval(&house, &request).parse().unwrap(), "code").unwrap();
            callback.replace(&code, &fresh)
        })
        .collect();
    let tries = answers.iter().map(|callback| {
        let mut copy = alice.clone();
        async move { copy.get(callback).await }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|a| a.status == 303).count(), 1);
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.sessions), (1, 1));
}

#[tokio::test]
async fn oauth_049_a_browser_swap_gives_the_attacker_no_code() {
    let house = House::open().await;
    let (mut mallory, mut victim) = (Visitor::new(), Visitor::new());
    // The attacker begins and sends the victim each address in turn.
    let list = mallory.get(&authorize(&house, "first", &[])).await.location();
    for address in [list.to_string(), list.as_str().replace("/sign-in", "/continue")] {
        let watch = Watch::begin(&house, "browser_binding").await;
        assert_eq!(victim.get(&address).await.status, 400);
        watch.refused_once(&house).await;
    }
    let page = mallory.get(list.as_str()).await;
    let request = choose(&house, &mut mallory, &page, "globex").await.location();
    assert_eq!(victim.get(&approval(&house, &request)).await.status, 400);
    // The attacker learns nothing by going on: nobody is signed in there.
    let on = mallory.get(&list.as_str().replace("/sign-in", "/continue")).await.location();
    assert_eq!(on.path(), "/sign-in");
    assert_eq!(house.rows().await.grants, 0);
}

#[tokio::test]
async fn oauth_050_the_consent_steps_handle_is_bound_to_the_browser() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let asked = sign_in(&house, &mut alice, "globex", &authorize(&house, "third", &[])).await;
    assert_eq!(asked.path(), "/consent");
    let page = alice.get(asked.as_str()).await;
    assert_eq!(page.status, 200);
    let mut mallory = Visitor::new();
    let form = [("flow", page.field("flow")), ("csrf", page.field("csrf")), ("decision", "allow".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let watch = Watch::begin(&house, "browser_binding").await;
    assert_eq!(mallory.get(asked.as_str()).await.status, 400);
    watch.refused_once(&house).await;
    let watch = Watch::begin(&house, "browser_binding").await;
    assert_eq!(mallory.post(&house.at("/consent"), &form).await.status, 400);
    watch.refused_once(&house).await;
    let back = alice.post(&house.at("/consent"), &form).await.location();
    assert!(parameter(&back, "code").is_some(), "the valid twin");
}

#[tokio::test]
async fn who_comes_too_late_is_led_back_to_the_app() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    house.wait(Duration::from_secs(2 * 3600));
    let watch = Watch::begin(&house, "flow.expired").await;
    let page = alice.get(&callback).await;
    assert_eq!(page.status, 400);
    watch.refused_once(&house).await;
    assert!(page.body.contains("href=\"http://localhost:8084/\""), "{}", page.body);
    let start = page.body.split("href=\"").find(|rest| rest.starts_with("/authorize?")).unwrap();
    let start = start.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let back = sign_in(&house, &mut alice, "globex", &house.at(&start)).await;
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-app's-state"), "the same request, anew");
    assert!(parameter(&back, "code").is_some());
}

#[tokio::test]
async fn back_and_another_provider_work_within_one_sign_in() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let page = alice.get(list.as_str()).await;
    let abandoned = choose(&house, &mut alice, &page, "friendbook").await.location();
    let page = alice.get(list.as_str()).await;
    assert_eq!(page.status, 200, "Back shows the list again");
    let request = choose(&house, &mut alice, &page, "globex").await.location();
    // The answer of the abandoned departure comes late.
    let watch = Watch::begin(&house, "oidc.state").await;
    assert_eq!(alice.get(&approval(&house, &abandoned)).await.status, 400);
    watch.refused_once(&house).await;
    assert_eq!(alice.get(&approval(&house, &request)).await.location().path(), "/continue");
}
