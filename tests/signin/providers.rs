//! Providers that cancel, err, hang, are down, or are switched off.

use crate::Watch;
use crate::house::*;
use crate::saml_mutations::refusals;
use crate::standin::Pace;
use std::collections::BTreeMap;

/// Microsoft explains its errors on several lines, and at length.
#[tokio::test]
async fn what_a_provider_writes_to_explain_an_error_hides_no_error() {
    let microsofts = "AADSTS65004: User declined to consent to access the app.\r\nTrace ID: 0a1b2c3d-0000-0000-0000-\
                      000000000000\r\nTimestamp: 2026-01-01 00:00:00Z";
    for explanation in [microsofts.to_owned(), "x".repeat(3000)] {
        let house = House::open().await;
        let mut alice = Visitor::new();
        let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
        let told = explanation.clone();
        house.globex.script().response = Box::new(move |answer: &mut BTreeMap<String, String>| {
            answer.remove("code");
            answer.insert("error".to_owned(), "access_denied".to_owned());
            answer.insert("error_description".to_owned(), told.clone());
            answer.insert("error_uri".to_owned(), "https://login.example/error?code=65004\r\n".to_owned());
        });
        let page = alice.get(&approval(&house, &request)).await;
        assert_eq!(page.status, 400);
        assert!(page.body.contains("You cancelled"), "{}", page.body);
        assert!(!page.body.contains("AADSTS") && !page.body.contains("xxx"), "for operators alone");
        let refusal = house.refusals().await.remove(0).refusal;
        assert_eq!(refusal.reason, "oidc.cancelled");
        let received = refusal.received.unwrap();
        let start: String = explanation.chars().take(50).collect();
        assert!(received.starts_with(&format!("access_denied: {start}")), "{received}");
        assert!(!received.chars().any(char::is_control) && received.chars().count() <= 501, "{received}");
        assert!(refusal.steps.iter().any(|step| step.received.contains(&start)), "{:?}", refusal.steps);
        // what decisions stand on stays strict
        let to = house.at("/upstream/globex/callback");
        let state = parameter(&request, "state").unwrap();
        let odd = alice.clone().get(&format!("{to}?state={state}&error=access_denied%0D%0A")).await;
        assert_eq!(odd.status, 400);
        assert_eq!(house.refusals().await[0].refusal.reason, "request.control_character");
    }
}

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

/// The provider answers nobody until the test lets it; what others do must be over before that.
#[tokio::test(flavor = "multi_thread")]
async fn oidc_061_a_provider_that_hangs_holds_up_nobody_else() {
    let mut house = House::open().await;
    let url = authorize(&house, "first", &[("idp_hint", "globex")]);
    // More than there are workers, and more than may be under way to one provider at once.
    let (waiting, at_once) = (36, 32);
    let mut slow = Vec::new();
    for _ in 0..waiting {
        let mut visitor = Visitor::new();
        let request = visitor.get(&url).await.location();
        slow.push((visitor, approval(&house, &request)));
    }
    house.globex.script().token = Box::new(|reply| reply.pace = Pace::Held);
    let rows = house.rows().await;
    let slow = hanging(slow);
    reached(&house, "/token", at_once).await;
    let back = sign_in(&house, &mut Visitor::new(), "friendbook", &authorize(&house, "first", &[])).await;
    assert!(parameter(&back, "code").is_some());
    assert!(slow.iter().all(|one| !one.is_finished()), "it was over before the other sign-in was");
    house.globex.let_go();
    for answer in futures_util::future::join_all(slow).await {
        let (answer, visitor) = answer.unwrap();
        assert!(answer.status >= 400 && visitor.session().is_none(), "{answer:#?}");
    }
    let after = house.rows().await;
    assert_eq!(
        (after.accounts, after.sessions),
        (rows.accounts + 1, rows.sessions + 1),
        "Friendbook's person"
    );

    // The same where not even its addresses are known yet.
    house.globex = crate::standin::Standin::start(house.clock.clone());
    let (old, new) = (url_of(&house), house.globex.origin().to_owned());
    house.globex.script().discovery = Box::new(|reply| reply.pace = Pace::Held);
    house.reload(|config, providers| (config, providers.replace(&old, &new))).await;
    let slow = tokio::spawn({
        let url = url.clone();
        async move { Visitor::new().get(&url).await }
    });
    reached(&house, "/.well-known/openid-configuration", 1).await;
    let back = sign_in(&house, &mut Visitor::new(), "friendbook", &authorize(&house, "first", &[])).await;
    assert!(parameter(&back, "code").is_some());
    assert!(!slow.is_finished(), "it was over before the other sign-in was");
    house.globex.let_go();
    assert!(slow.await.unwrap().status >= 400);
    // The valid twin: it answers again.
    house.globex.behave();
    house.wait(std::time::Duration::from_secs(60));
    house.warm().await;
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
}

/// The issuer of Globex, as the settings have it.
fn url_of(house: &House) -> String {
    let providers = std::fs::read_to_string(house.folder.path().join("providers.toml")).unwrap();
    providers.split("issuer = \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Sends all of them on at once.
fn hanging(visitors: Vec<(Visitor, String)>) -> Vec<tokio::task::JoinHandle<(Answer, Visitor)>> {
    let go = |(mut visitor, url): (Visitor, String)| async move { (visitor.get(&url).await, visitor) };
    visitors.into_iter().map(|one| tokio::spawn(go(one))).collect()
}

/// Waits until so many requests have come to Globex.
async fn reached(house: &House, path: &str, count: usize) {
    while house.globex.count(path) < count {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// OIDC Core §12.2: nobody refreshes at a provider here, so no refreshed token can name somebody else.
#[tokio::test]
async fn oidc_065_what_a_provider_gives_to_refresh_with_is_neither_kept_nor_used() {
    let house = House::open().await;
    house.globex.script().token = Box::new(|reply| {
        reply.edit(|answer| answer["refresh_token"] = "the-refresh-token-of-globex".into());
    });
    let mut alice = Visitor::new();
    let url = authorize(&house, "first", &[("scope", "openid email offline_access")]);
    let back = sign_in(&house, &mut alice, "globex", &url).await;
    let form = |grant: &'static [(&'static str, &'static str)], name: &'static str, value: String| {
        let mut form: Vec<(String, String)> = grant.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        form.push((name.to_owned(), value));
        form.push(("client_id".to_owned(), "first".to_owned()));
        form.push(("client_secret".to_owned(), "first-secret-of-the-tests-0123456789".to_owned()));
        form
    };
    let redeemed = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://localhost:8084/callback"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let redeemed: &'static [_] = Box::leak(Box::new(redeemed));
    let (status, tokens) = post(&house, &form(redeemed, "code", parameter(&back, "code").unwrap())).await;
    assert_eq!(status, 200, "{tokens}");
    // Our own refresh token is of our own making; Globex is asked for nothing, whatever it would answer now.
    house.globex.script().person["sub"] = "somebody-else".into();
    let ours = tokens["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(ours, "the-refresh-token-of-globex");
    house.wait(std::time::Duration::from_secs(3600));
    let (status, again) =
        post(&house, &form(&[("grant_type", "refresh_token")], "refresh_token", ours)).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(house.globex.count("/token"), 1);
    let seen = house.globex.seen();
    assert!(seen.iter().all(|one| one.form.get("grant_type").is_none_or(|kind| kind != "refresh_token")));
    for entry in std::fs::read_dir(house.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let needle = b"the-refresh-token-of-globex";
        assert!(!bytes.windows(needle.len()).any(|part| part == needle), "kept in {}", path.display());
    }
}

/// A provider's token is no grant here, whether the provider is switched on or off.
#[tokio::test]
async fn oidc_071_a_providers_token_is_no_grant() {
    let mut house = House::open().await;
    let key = house.globex.script().signer.clone();
    let claims = serde_json::json!({"iss": house.globex.origin(), "aud": "countersign", "sub": "alice"});
    let header = serde_json::json!({"alg": key.alg(), "kid": key.kid}).to_string();
    let token = key.token(&header, &claims.to_string());
    for switched_off in [false, true] {
        if switched_off {
            house
                .reload(|config, providers| {
                    (config, providers.replacen("kind = \"oidc\"", "kind = \"oidc\"\nenabled = false", 1))
                })
                .await;
        }
        for (grant, name) in [
            ("urn:ietf:params:oauth:grant-type:token-exchange", "subject_token"),
            ("urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion"),
            ("urn:ietf:params:oauth:grant-type:saml2-bearer", "assertion"),
            ("refresh_token", "refresh_token"),
            ("authorization_code", "code"),
        ] {
            let (rows, times) = (house.rows().await, refusals(&house).await);
            let form = [
                ("grant_type", grant),
                (name, token.as_str()),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
                ("redirect_uri", "http://localhost:8084/callback"),
                ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                ("client_id", "first"),
                ("client_secret", "first-secret-of-the-tests-0123456789"),
            ];
            let form: Vec<(String, String)> =
                form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let (status, answer) = post(&house, &form).await;
            assert_eq!(status, 400, "{grant}: {answer}");
            let error = answer["error"].as_str().unwrap();
            assert!(["invalid_grant", "unsupported_grant_type"].contains(&error), "{grant}: {answer}");
            assert_eq!(house.rows().await, rows, "{grant}");
            assert_eq!(refusals(&house).await, times + 1, "{grant}: recorded once");
        }
    }
    // The valid twin: the way in through the broker, once it is switched on again.
    house.reload(|config, providers| (config, providers.replacen("\nenabled = false", "", 1))).await;
    house.warm().await;
    let url = authorize(&house, "first", &[]);
    assert!(parameter(&sign_in(&house, &mut Visitor::new(), "globex", &url).await, "code").is_some());
}

async fn post(house: &House, form: &[(String, String)]) -> (u16, serde_json::Value) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = reqwest::Client::new()
        .post(house.at("/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
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

/// What a provider publishes is kept when settings change that have nothing to do with it.
#[tokio::test]
async fn an_edit_of_a_providers_name_while_it_is_away_stops_nobody() {
    let mut house = House::open().await;
    house.warm().await;
    let published = |house: &House| {
        house.globex.seen().iter().filter(|seen| seen.path.ends_with("openid-configuration")).count()
    };
    let before = published(&house);
    let mut alice = Visitor::new();
    house.reload(|config, providers| (config, providers.replace("\"Globex\"", "\"Globex Limited\""))).await;
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(published(&house), before, "nothing was fetched anew");
    assert_eq!(alice.get(&approval(&house, &request)).await.status, 303);
    // The valid twin: what its kind says decides what is fetched, and how it is read.
    house
        .reload(|config, providers| {
            (
                config,
                providers.replace("id = \"globex\"\n", "id = \"globex\"\nrequire_iss_parameter = true\n"),
            )
        })
        .await;
    depart(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[("idp_hint", "globex")]))
        .await;
    assert_eq!(published(&house), before + 1);
}
