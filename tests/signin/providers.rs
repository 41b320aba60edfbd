//! Providers that cancel, err, hang, are down, or are switched off.

use crate::Watch;
use crate::house::*;
use crate::standin::Pace;
use std::collections::BTreeMap;

#[tokio::test]
async fn who_cancels_sees_the_other_ways_and_can_go_on() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.globex.script().response = Box::new(|answer: &mut BTreeMap<String, String>| {
        answer.remove("code");
        answer.insert("error".to_owned(), "access_denied".to_owned());
    });
    let before = house.rows().await;
    let page = alice.get(&approval(&house, &request)).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("You cancelled"), "{}", page.body);
    assert_eq!(house.rows().await, before);
    let [kept] = &house.refusals().await[..] else { panic!("one refusal") };
    assert!(page.has_reference(kept.refusal.reference.as_str()));
    assert_eq!(kept.refusal.provider.as_ref().unwrap().as_str(), "globex");
    assert!(!kept.refusal.steps.is_empty(), "its trace is kept");
    let way = choose(&house, &mut alice, &page, "friendbook").await.location();
    let back = alice.get(&approval(&house, &way)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
}

#[tokio::test]
async fn oidc_054_a_providers_text_is_no_markup() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.globex.script().response = Box::new(|answer: &mut BTreeMap<String, String>| {
        answer.remove("code");
        answer.insert("error".to_owned(), "<script>alert(1)</script>".to_owned());
        answer.insert("error_description".to_owned(), "<script>alert(2)</script>".repeat(40));
    });
    let page = alice.get(&approval(&house, &request)).await;
    assert!(page.status >= 400);
    assert!(!page.body.contains("<script"));
    assert!(!page.body.contains("alert("));
}

#[tokio::test]
async fn a_malformed_answer_is_blamed_on_the_provider_and_leads_on() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let answer = approval(&house, &request);
    let page = alice.get(&format!("{answer}&code=another")).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("We could not accept the provider"), "{}", page.body);
    assert_eq!(house.refusals().await[0].refusal.reason, "request.duplicate_parameter");
    let way = choose(&house, &mut alice, &page, "friendbook").await.location();
    assert!(way.as_str().starts_with(house.friendbook.origin()), "{way}");
    let sound = alice.get(&answer).await;
    assert_eq!(sound.status, 400, "the person went on elsewhere");
}

#[tokio::test]
async fn a_provider_that_is_down_is_a_page_with_the_other_ways() {
    let house = House::with(|config, providers| {
        (config, providers.replace("issuer = \"{globex}\"", "issuer = \"http://127.0.0.1:9\""))
    })
    .await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let page = alice.get(list.as_str()).await;
    let before = house.rows().await;
    let down = choose(&house, &mut alice, &page, "globex").await;
    assert!(down.status >= 400, "{down:#?}");
    assert_eq!(house.rows().await, before);
    let way = choose(&house, &mut alice, &down, "friendbook").await.location();
    let back = alice.get(&approval(&house, &way)).await.location();
    assert_eq!(back.path(), "/continue");
}

#[tokio::test]
async fn a_provider_whose_address_was_not_known_is_left_for_by_a_page() {
    let house = House::with(|config, providers| {
        // Nothing answers there until the stand-in is found by the reload below.
        (config, providers.replace("issuer = \"{globex}\"", "issuer = \"http://127.0.0.1:9\""))
    })
    .await;
    let mut house = house;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let page = alice.get(list.as_str()).await;
    let policy = page.header("content-security-policy").unwrap().to_owned();
    let globex = house.globex.origin().to_owned();
    assert!(!policy.contains(&globex));
    house.reload(|config, providers| (config, providers.replace("http://127.0.0.1:9", &globex))).await;
    // The form's policy does not name Globex, so a browser would not follow a redirect there.
    let leaving = choose(&house, &mut alice, &page, "globex").await;
    assert_eq!(leaving.status, 200, "{leaving:#?}");
    assert!(leaving.body.contains(&format!("{globex}/authorize?")));
}

#[tokio::test]
async fn oidc_061_a_provider_that_hangs_holds_up_nobody_else() {
    let house = House::with(|config, providers| {
        (config, providers.replacen("kind = \"oidc\"", "kind = \"oidc\"\ntimeout = \"1s\"", 1))
    })
    .await;
    let mut slow = Visitor::new();
    let request = depart(&house, &mut slow, "globex", &authorize(&house, "first", &[])).await;
    house.globex.script().token = Box::new(|reply| reply.pace = Pace::Hang);
    let callback = approval(&house, &request);
    let (hung, others) = tokio::join!(slow.get(&callback), async {
        let mut done = 0;
        for _ in 0..3 {
            let mut other = Visitor::new();
            sign_in(&house, &mut other, "friendbook", &authorize(&house, "first", &[])).await;
            done += 1;
        }
        done
    });
    assert_eq!(others, 3);
    assert!(hung.status >= 400);
    assert!(slow.session().is_none());
}

#[tokio::test]
async fn a_provider_switched_off_in_mid_flow_lets_nobody_in() {
    let mut house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    house
        .reload(|config, providers| {
            (config, providers.replacen("kind = \"oidc\"", "kind = \"oidc\"\nenabled = false", 1))
        })
        .await;
    let watch = Watch::begin(&house, "provider.disabled").await;
    let page = alice.get(&callback).await;
    assert_eq!(page.status, 403);
    watch.refused_once(&house).await;
    assert_eq!(house.globex.count("/token"), 0);
    house.reload(|config, providers| (config, providers.replace("enabled = false", "enabled = true"))).await;
    assert_eq!(alice.get(&callback).await.status, 303, "the valid twin; nothing was used up");
}

#[tokio::test]
async fn only_one_provider_needs_no_list_but_its_failure_shows_one() {
    let house = House::with(|config, providers| {
        (config.replacen("first_party = true", "first_party = true\nproviders = [\"globex\"]", 1), providers)
    })
    .await;
    let mut alice = Visitor::new();
    let request = alice.get(&authorize(&house, "first", &[])).await.location();
    assert!(request.as_str().starts_with(house.globex.origin()));
    house.globex.script().token = Box::new(|reply| reply.status = 500);
    let page = alice.get(&approval(&house, &request)).await;
    assert!(page.status >= 400);
    house.globex.behave();
    let request = choose(&house, &mut alice, &page, "globex").await.location();
    assert_eq!(alice.get(&approval(&house, &request)).await.status, 303);
    // The app does not offer Friendbook, whatever the form says.
    let page = Visitor::new();
    let mut page = page;
    let request = page.get(&authorize(&house, "first", &[("idp_hint", "friendbook")])).await.location();
    assert!(request.as_str().starts_with(house.globex.origin()));
}

#[tokio::test]
async fn oidc_074_no_secret_of_ours_reaches_the_browser() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let callback = alice.get(&approval(&house, &request)).await;
    let back = callback.location();
    let last = alice.get(back.as_str()).await;
    let seen = format!("{request} {callback:?} {last:?}");
    for secret in [crate::standin::CLIENT_SECRET, "access-", "eyJ"] {
        assert!(!seen.contains(secret), "{secret}");
    }
    let encoded: String =
        url::form_urlencoded::byte_serialize(crate::standin::CLIENT_SECRET.as_bytes()).collect();
    assert!(!seen.contains(&encoded));
}

#[tokio::test]
async fn among_thousands_people_find_their_provider_by_name_and_by_work_address() {
    let house = House::with(|config, providers| {
        // first on the list, whatever its name
        let mut providers = providers.replacen("name = \"Globex\"", "name = \"Globex\"\norder = -1", 1);
        for at in 0..200 {
            providers.push_str(&format!(
                "\n[[provider]]\nid = \"company-{at}\"\nkind = \"oidc\"\nname = \"Company {at:03}\"\n\
                 issuer = \"https://id.company-{at}.example\"\nclient_id = \"us\"\nprovisioning = \"open\"\n\
                 authoritative_for = [\"company-{at}.example\"]\nclient_auth = \"none\"\n"
            ));
        }
        (config, providers)
    })
    .await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let page = alice.get(list.as_str()).await.body;
    assert!(page.contains("Find your organisation"));
    assert!(page.contains("Company 000") && !page.contains("Company 199"), "a page of them, not all");
    for query in ["199", "COMPANY 199", "ada@company-199.example", "company-199.example"] {
        let mut search = list.clone();
        search.query_pairs_mut().append_pair("q", query);
        let page = alice.get(search.as_str()).await.body;
        assert!(page.contains("Company 199") && !page.contains("Company 000"), "{query}: {page}");
    }
    let mut nothing = list.clone();
    nothing.query_pairs_mut().append_pair("q", "<script>no such company");
    let page = alice.get(nothing.as_str()).await.body;
    assert!(page.contains("Nothing was found") && !page.contains("<script>no"), "{page}");
    // Whoever does not search can still go where the list leads.
    let back = sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    assert!(parameter(&back, "code").is_some());
}
