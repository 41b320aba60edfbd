//! From the app's request to its code.

use crate::Watch;
use crate::house::*;
use std::time::Duration;

#[tokio::test]
async fn a_person_signs_in_and_the_app_gets_a_code() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let back = sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    assert!(back.as_str().starts_with("http://localhost:8084/callback?"));
    assert!(parameter(&back, "code").unwrap().starts_with("csac_"));
    assert_eq!(parameter(&back, "state").unwrap(), "the-app's-state");
    assert_eq!(parameter(&back, "iss").unwrap(), house.origin, "RFC 9207");
    let [account] = &house.accounts().await[..] else { panic!("one account") };
    let email = account.primary_email().unwrap();
    assert_eq!(email.address.as_str(), "alice@globex.example");
    assert!(email.proof.is_some(), "Globex is authoritative for the domain");
    assert_eq!(account.profile.name.as_deref(), Some("Alice Adams"));
    let rows = house.rows().await;
    assert_eq!((rows.identities, rows.sessions, rows.grants), (1, 1, 1));
    let events = house.events().await;
    assert_eq!(events, [("account.created".to_owned(), None), ("session.started".to_owned(), None)]);
}

#[tokio::test]
async fn a_session_answers_the_next_app_without_a_provider() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.globex.forget();
    let back = alice.get(&authorize(&house, "first", &[("state", "second")])).await.location();
    assert!(parameter(&back, "code").is_some());
    assert_eq!(parameter(&back, "state").unwrap(), "second");
    assert_eq!(house.globex.seen().len(), 0);
    assert_eq!(house.rows().await.accounts, 1);
}

#[tokio::test]
async fn the_same_person_comes_back_to_the_same_account() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    let first = house.accounts().await;
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(house.accounts().await, first);
}

#[tokio::test]
async fn groups_follow_what_the_provider_says() {
    let house = House::open().await;
    let assigned = async |house: &House| {
        let id = house.accounts().await[0].id.clone();
        let read =
            house.app.store.read::<_, countersign::store::StoreError, _>(move |tx| tx.assignments_of(&id));
        read.await.unwrap().into_iter().map(|a| a.target.name().to_owned()).collect::<Vec<_>>()
    };
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(assigned(&house).await, ["engineers"]);
    house.globex.script().person["groups"] = serde_json::json!(["all"]);
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    assert!(assigned(&house).await.is_empty());
}

#[tokio::test]
async fn a_domain_or_a_hint_leads_straight_to_its_provider() {
    let house = House::with(|config, providers| {
        (
            config,
            providers.replacen("kind = \"oidc\"", "kind = \"oidc\"\npass = [\"login_hint\", \"prompt\"]", 1),
        )
    })
    .await;
    let to = async |url: String| Visitor::new().get(&url).await.location();
    let globex = to(authorize(&house, "first", &[("login_hint", "bob@globex.example")])).await;
    assert!(globex.as_str().starts_with(house.globex.origin()));
    assert_eq!(parameter(&globex, "login_hint").as_deref(), Some("bob@globex.example"));
    let friendbook = to(authorize(&house, "first", &[("idp_hint", "friendbook")])).await;
    assert!(friendbook.as_str().starts_with(house.friendbook.origin()));
    let list =
        to(authorize(&house, "first", &[("idp_hint", "evil"), ("login_hint", "bob@elsewhere.example")]))
            .await;
    assert_eq!(list.path(), "/sign-in");
}

#[tokio::test]
async fn oidc_069_hints_and_prompts_reach_a_provider_by_allow_list_only() {
    let house = House::open().await;
    let url = authorize(
        &house,
        "first",
        &[
            ("idp_hint", "friendbook"),
            ("login_hint", "bob@globex.example"),
            ("hd", "evil.example"),
            ("display", "touch"),
        ],
    );
    let request = Visitor::new().get(&url).await.location();
    for name in ["login_hint", "hd", "display", "idp_hint", "nonce"] {
        assert_eq!(parameter(&request, name), None, "{name} reached Friendbook: {request}");
    }
}

#[tokio::test]
async fn oauth_027_silence_shows_nothing() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let silent = |client| authorize(&house, client, &[("prompt", "none")]);
    let before = house.rows().await;
    let back = alice.get(&silent("first")).await.location();
    assert!(back.as_str().starts_with("http://localhost:8084/callback?"));
    assert_eq!(parameter(&back, "error").as_deref(), Some("login_required"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-app's-state"));
    assert_eq!(parameter(&back, "iss").unwrap(), house.origin);
    assert_eq!(house.rows().await, before);
    assert!(alice.cookies.is_empty(), "{:?}", alice.cookies);
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let back = alice.get(&silent("first")).await.location();
    assert!(parameter(&back, "code").is_some(), "the valid twin");
    let back = alice.get(&silent("third")).await.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn oauth_029_an_old_proof_is_renewed() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.wait(Duration::from_secs(30));
    let young = alice.get(&authorize(&house, "first", &[("max_age", "3600")])).await.location();
    assert!(parameter(&young, "code").is_some());
    let silent =
        alice.get(&authorize(&house, "first", &[("max_age", "10"), ("prompt", "none")])).await.location();
    assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"));
    let url = authorize(&house, "first", &[("max_age", "10")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(parameter(&request, "max_age").as_deref(), Some("10"), "the provider is told");
    let back = alice.get(&approval(&house, &request)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
    assert_eq!(house.rows().await.sessions, 1, "the same session, renewed");
}

#[tokio::test]
async fn oauth_030_a_hint_names_the_only_person_who_will_do() {
    use countersign::clients::SigningAlg;
    use countersign::jose::TokenType;
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let own = house.accounts().await[0].id.to_string();
    let hint = |subject: &str, audience: &str| {
        let claims = serde_json::json!({
            "iss": house.origin, "aud": audience, "sub": subject, "iat": 1, "exp": 2,
        });
        house.app.now().keyring.sign(SigningAlg::RS256, TokenType::Id, &claims).unwrap()
    };
    let silent = async |hint: String| {
        let url = authorize(&house, "first", &[("prompt", "none"), ("id_token_hint", &hint)]);
        alice.clone().get(&url).await.location()
    };
    assert!(
        parameter(&silent(hint(&own, "first")).await, "code").is_some(),
        "the valid twin, though expired"
    );
    let other = silent(hint("somebody-else-0", "first")).await;
    assert_eq!(parameter(&other, "error").as_deref(), Some("login_required"));
    for bad in [hint(&own, "third"), "x.y.z".to_owned(), hint(&own, "first").replace("eyJ", "eyK")] {
        let refused = silent(bad).await;
        assert_eq!(parameter(&refused, "error").as_deref(), Some("invalid_request"));
    }
    // When asked, another person signs in all the same: the app is told, and gets no code.
    let wanted = hint("somebody-else-0", "first");
    let back =
        sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[("id_token_hint", &wanted)]))
            .await;
    assert_eq!(parameter(&back, "error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn a_client_switched_off_in_mid_flow_gets_nothing() {
    let mut house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    house
        .reload(|config, providers| {
            (config.replacen("first_party = true", "first_party = true\ndisabled = true", 1), providers)
        })
        .await;
    let watch = Watch::begin(&house, "client.disabled").await;
    let page = alice.get(&callback).await;
    assert_eq!(page.status, 400);
    assert!(page.header("location").is_none());
    watch.refused_once(&house).await;
    house
        .reload(|config, providers| (config.replace("disabled = true", "disabled = false"), providers))
        .await;
    assert_eq!(alice.get(&callback).await.location().path(), "/continue", "the valid twin");
}

#[tokio::test]
async fn a_request_by_post_from_the_apps_site_finds_the_session() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let url = url::Url::parse(&authorize(&house, "first", &[])).unwrap();
    let form: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    // A browser leaves the SameSite=Lax cookies out of this …
    let mut bare = Visitor::new();
    let on =
        bare.post_from(&house.at("/authorize"), &form, Some("http://app.test"), Some("cross-site")).await;
    // … and sends them with the GET that follows.
    let back = alice.get(on.location().as_str()).await.location();
    assert!(parameter(&back, "code").is_some());
    let direct = alice.post_from(&house.at("/authorize"), &form, None, None).await.location();
    assert!(parameter(&direct, "code").is_some(), "a program needs no detour");
}

#[tokio::test]
async fn oidc_070_a_provider_that_cannot_say_when_meets_no_max_age() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "friendbook", &authorize(&house, "first", &[])).await;
    let aged = authorize(&house, "first", &[("max_age", "100000"), ("prompt", "none")]);
    assert_eq!(parameter(&alice.get(&aged).await.location(), "error").as_deref(), Some("login_required"));
    // It is not offered where its answer could never do, not even when it is named.
    for demand in [("max_age", "100000"), ("prompt", "login")] {
        let aged = authorize(&house, "first", &[demand, ("idp_hint", "friendbook")]);
        let on = alice.get(&aged).await.location();
        assert!(on.as_str().starts_with(house.globex.origin()), "{on}");
    }
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[("max_age", "100000")]))
        .await;
}

#[tokio::test]
async fn an_app_whose_providers_cannot_show_a_fresh_proof_is_told() {
    let house = House::with(|config, providers| {
        (
            config.replacen("first_party = true", "first_party = true\nproviders = [\"friendbook\"]", 1),
            providers,
        )
    })
    .await;
    let demanding = authorize(&house, "first", &[("prompt", "login")]);
    let back = Visitor::new().get(&demanding).await.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("unmet_authentication_requirements"));
    sign_in(&house, &mut Visitor::new(), "friendbook", &authorize(&house, "first", &[])).await;
}

#[tokio::test]
async fn prompt_login_demands_a_new_proof_and_takes_no_old_one() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.wait(Duration::from_secs(60));
    let url = authorize(&house, "first", &[("prompt", "login"), ("idp_hint", "globex")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(parameter(&request, "prompt").as_deref(), Some("login"));
    // The provider is content with its own old session: its `auth_time` gives it away.
    let now = house.now().secs();
    house.globex.script().claims = Box::new(move |claims| claims["auth_time"] = (now - 3600).into());
    let watch = Watch::begin(&house, "oidc.auth_time").await;
    let refused = alice.get(&approval(&house, &request)).await;
    assert_eq!(refused.status, 400, "{refused:#?}");
    watch.refused_once(&house).await;
    house.globex.behave();
    let request = depart(&house, &mut alice, "globex", &url).await;
    // A sound provider's proof is as new as the request.
    house.globex.script().claims = Box::new(move |claims| claims["auth_time"] = now.into());
    let back = alice.get(&approval(&house, &request)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
}

#[tokio::test]
async fn oauth_015_a_bad_client_or_address_stays_on_a_page() {
    let house = House::open().await;
    for (name, value, reason) in [
        ("client_id", "nobody", "client.unknown"),
        ("redirect_uri", "https://evil.test/cb", "client.redirect_uri"),
    ] {
        let watch = Watch::begin(&house, reason).await;
        let page = Visitor::new().get(&authorize(&house, "first", &[(name, value)])).await;
        assert_eq!(page.status, 400);
        assert!(page.header("location").is_none());
        assert!(page.body.contains(house.refusals().await[0].refusal.reference.as_str()));
        watch.refused_once(&house).await;
    }
}

#[tokio::test]
async fn a_repeated_parameter_is_refused_everywhere() {
    let house = House::open().await;
    let url = format!("{}&scope=openid", authorize(&house, "first", &[]));
    let back = Visitor::new().get(&url).await.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_request"));
    let twice = format!("{}&client_id=first", authorize(&house, "first", &[]));
    assert_eq!(Visitor::new().get(&twice).await.status, 400);
    for path in
        ["/sign-in?flow=a&flow=b", "/continue?flow=a&flow=b", "/upstream/globex/callback?state=a&state=b"]
    {
        let page = Visitor::new().get(&house.at(path)).await;
        assert_eq!(page.status, 400, "{path}");
        assert_eq!(house.refusals().await[0].refusal.reason, "request.duplicate_parameter", "{path}");
    }
}

#[tokio::test]
async fn a_request_too_large_for_a_cookie_waits_in_a_row() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let state = "s".repeat(2000);
    let nonce = "n".repeat(1500);
    let url = authorize(&house, "first", &[("state", &state), ("nonce", &nonce)]);
    let back = sign_in(&house, &mut alice, "globex", &url).await;
    assert_eq!(parameter(&back, "state").unwrap(), state);
    assert!(alice.cookies.values().all(|value| value.len() <= 3 * 1024));
}

/// Rows are bounded for each address, in an hour; what fits a cookie is not held up, nor a sign-in that has its row.
#[tokio::test]
async fn one_address_makes_only_so_many_rows() {
    let house = House::with(|config, providers| {
        (config.replacen("[limits]", "[limits]\nlarge_per_address = 3", 1), providers)
    })
    .await;
    let (state, nonce) = ("s".repeat(2000), "n".repeat(1500));
    let large = authorize(&house, "first", &[("state", &state), ("nonce", &nonce)]);
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &large).await;
    for _ in 0..2 {
        assert_eq!(Visitor::new().get(&large).await.location().path(), "/sign-in");
    }
    let watch = Watch::begin(&house, "flow.address_full").await;
    let mut late = Visitor::new();
    let refused = late.get(&large).await;
    assert!(refused.status == 429 || parameter(&refused.location(), "error").is_some(), "{refused:#?}");
    assert!(late.flows().is_empty());
    watch.refused_once(&house).await;
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(alice.get(&approval(&house, &request)).await.location().path(), "/continue");
    assert!(alice.session().is_some());
    house.wait(Duration::from_secs(3600));
    let back = sign_in(&house, &mut late, "globex", &large).await;
    assert_eq!(parameter(&back, "state").unwrap(), state);
}

#[tokio::test]
async fn a_browser_keeps_few_sign_ins_and_the_oldest_gives_way() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let mut addresses = Vec::new();
    for _ in 0..7 {
        addresses.push(alice.get(&authorize(&house, "first", &[])).await.location());
        house.wait(Duration::from_secs(1));
    }
    assert_eq!(alice.flows().len(), 5);
    assert_eq!(alice.get(addresses[6].as_str()).await.status, 200);
    assert_eq!(alice.get(addresses[2].as_str()).await.status, 200);
    assert_eq!(alice.get(addresses[1].as_str()).await.status, 400, "gave way");
}
