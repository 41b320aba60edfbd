//! Back-channel logout: whatever ends a session, each of its clients is told, once, and none holds up another.

use crate::ear::{Answer, Ear, until};
use crate::house::{BYE, CALLBACK, House, SignedIn, claims, encode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::accounts::{Identity, IdentityKey};
use countersign::audit::AuditKind;
use countersign::clients::Client;
use countersign::flow::admin::Desk;
use countersign::flow::logout_delivery;
use countersign::flow::sessions::{self, AtProvider};
use countersign::ids::ClientId;
use countersign::jose::{Expected, Expiry, TokenType};
use countersign::sessions::Proof;
use countersign::sessions::notice::{ATTEMPTS, DeliveryState};
use countersign::store::LogoutReport;
use countersign::tokens::handle::{Handle, SessionSecret};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// A client that is told at this address.
fn told_at(id: &str, uri: &str) -> String {
    let variable = id.to_uppercase();
    format!(
        r#"
[[client]]
id = "{id}"
name = "Told {id}"
secret = "env:SECRET_{variable}"
redirect_uris = ["http://localhost:9/cb"]
post_logout_redirect_uris = ["http://localhost:9/bye"]
scopes = ["openid", "offline_access"]
first_party = true
id_token_alg = "ES256"
backchannel_logout_uri = "{uri}"
backchannel_logout_session_required = true
"#
    )
}

fn desk(house: &House) -> Desk {
    Desk {
        context: house.app.context.clone(),
        store: house.app.store.clone(),
        settings: house.app.now().settings.clone(),
        providers: BTreeSet::new(),
        admin: "olga".to_owned(),
    }
}

async fn report(house: &House, client: &str) -> LogoutReport {
    let id = ClientId::new(client).unwrap();
    house.write(move |tx| tx.logout_report(&id, 100)).await
}

/// Waits until the report of a client is as wanted.
async fn until_report(
    house: &House,
    client: &str,
    wanted: impl Fn(&LogoutReport) -> bool,
    what: &str,
) -> LogoutReport {
    for _ in 0..3000 {
        let found = report(house, client).await;
        if wanted(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: {:?}", report(house, client).await);
}

fn count(report: &LogoutReport, state: DeliveryState) -> u64 {
    report.counts.get(&state).copied().unwrap_or(0)
}

/// The claims of a logout token that was posted, verified as a client would.
fn token(house: &House, body: &str) -> Value {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let [(name, token)] = form.as_slice() else { panic!("{form:?}") };
    assert_eq!(name, "logout_token");
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&"logout+jwt".into(), &"ES256".into()));
    let expected =
        Expected { typ: TokenType::Logout, expiry: Expiry::Enforced, now: house.app.context.now() };
    house.app.now().keyring.verify(token, &expected).expect("the signature holds")
}

async fn sign_out(house: &House, person: &SignedIn, hint: &str) {
    let query = encode(&[("id_token_hint", hint), ("post_logout_redirect_uri", BYE), ("state", "x")]);
    let answer = house.get(&format!("/logout?{query}"), &[("cookie", &person.cookie)]).await;
    assert_eq!(answer.redirect(BYE)["state"], "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_backchannel_rp_initiated_logout() {
    let ear = Ear::kind();
    let house = House::with(&told_at("back", &ear.at("/backchannel_logout?tenant=a"))).await;
    let document = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(document["backchannel_logout_supported"], true);
    assert_eq!(document["backchannel_logout_session_supported"], true);
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "back", "openid").await;
    let id_token = tokens.text("id_token");
    sign_out(&house, &alice, &id_token).await;

    let heard = ear.hears(1).await;
    let head = heard[0].head.to_lowercase();
    assert!(head.starts_with("post /backchannel_logout?tenant=a http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    assert!(!head.contains("cookie:") && !head.contains("authorization:"), "{head}");
    let (said, known) = (token(&house, &heard[0].body), claims(&id_token));
    assert_eq!(said["iss"], house.issuer);
    assert_eq!(said["aud"], "back");
    assert_eq!((&said["sub"], &said["sid"]), (&known["sub"], &known["sid"]));
    let (iat, exp) = (said["iat"].as_i64().unwrap(), said["exp"].as_i64().unwrap());
    assert!(iat == house.app.context.now().secs() && exp > iat && exp <= iat + 120, "{said}");
    assert!(said["jti"].as_str().is_some_and(|jti| jti.len() > 20) && said.get("nonce").is_none(), "{said}");
    assert_eq!(
        said["events"],
        serde_json::json!({ "http://schemas.openid.net/event/backchannel-logout": {} })
    );
    let answer = house.get("/authorize?client_id=back&prompt=none&response_type=code&scope=openid&state=s&redirect_uri=http://localhost:9/cb&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", &[("cookie", &alice.cookie)]).await;
    assert_eq!(answer.redirect(CALLBACK)["error"], "login_required");
    until_report(&house, "back", |r| count(r, DeliveryState::Delivered) == 1, "it is written down").await;
    assert_eq!(ear.heard().len(), 1, "once");
}

/// A client that knows people and sessions by names of its own is told in them.
#[tokio::test(flavor = "multi_thread")]
async fn a_pairwise_client_is_told_in_its_own_names() {
    let ear = Ear::kind();
    let house = House::with(&(told_at("back", &ear.at("/out")) + "subject_type = \"pairwise\"\n")).await;
    let alice = house.sign_in("alice").await;
    let id_token = house.tokens(&alice, "back", "openid").await.text("id_token");
    let known = claims(&id_token);
    assert_ne!(known["sub"], alice.account.as_str());
    assert_ne!(known["sid"], alice.session.as_str());
    sign_out(&house, &alice, &id_token).await;
    let said = token(&house, &ear.hears(1).await[0].body);
    assert_eq!((&said["sub"], &said["sid"]), (&known["sub"], &known["sid"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_got_nothing_in_a_session_is_not_told() {
    let (ear, other) = (Ear::kind(), Ear::kind());
    let house =
        House::with(&(told_at("back", &ear.at("/out")) + &told_at("second", &other.at("/out")))).await;
    let (alice, bob) = (house.sign_in("alice").await, house.sign_in("bob").await);
    let of_alice = house.tokens(&alice, "back", "openid").await.text("id_token");
    house.tokens(&bob, "second", "openid").await;
    sign_out(&house, &alice, &of_alice).await;
    ear.hears(1).await;
    until_report(&house, "back", |r| count(r, DeliveryState::Delivered) == 1, "told").await;
    assert_eq!(other.touched(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_tells_the_client_and_ends_tokens() {
    let ear = Ear::kind();
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    let desk = desk(&house);
    type Door = fn(Desk, SignedIn) -> futures_util::future::BoxFuture<'static, ()>;
    let doors: [(&str, Door); 5] = [
        ("suspend", |desk, who| {
            Box::pin(async move { assert!(desk.suspend(who.account.as_str()).await.unwrap()) })
        }),
        ("remove", |desk, who| {
            Box::pin(async move { desk.remove_account(who.account.as_str()).await.unwrap() })
        }),
        ("sign-out", |desk, who| {
            Box::pin(async move { assert_eq!(desk.sign_out(who.account.as_str()).await.unwrap(), 1) })
        }),
        ("session end", |desk, who| {
            Box::pin(async move { assert!(desk.end_session(&who.session).await.unwrap()) })
        }),
        ("client sign-out", |desk, _| {
            Box::pin(async move {
                let id = ClientId::new("back").unwrap();
                assert_eq!(desk.sign_out_of_client(&id).await.unwrap(), (1, 1));
            })
        }),
    ];
    for (told, (door, open)) in doors.into_iter().enumerate() {
        let person = house.sign_in(&format!("person{told}")).await;
        let tokens = house.tokens(&person, "back", "openid offline_access").await;
        open(desk.clone(), person.clone()).await;
        let heard = ear.hears(told + 1).await;
        let said = token(&house, &heard[told].body);
        assert_eq!(said["sid"], person.session.as_str(), "{door}");
        assert_eq!(said["sub"], person.account.as_str(), "{door}");
        let refused = house.refresh("back", &tokens.text("refresh_token")).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()), "{door}: offline access ends too");
        assert_eq!(house.userinfo(&tokens.text("access_token")).await.status, 401, "{door}");
    }
    assert!(desk.sign_out("nobody@globex.example").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_removed_is_told_where_it_was() {
    let ear = Ear::kind();
    let house = House::open().await;
    let desk = desk(&house);
    let mut client: Client = (*house.app.now().clients[&ClientId::new("web").unwrap()]).clone();
    client.id = ClientId::new("made").unwrap();
    client.resources.clear();
    client.require_pkce = true;
    client.auth_methods = [countersign::clients::AuthMethod::None].into();
    client.grant_types.remove(&countersign::clients::GrantType::ClientCredentials);
    client.id_token_alg = countersign::clients::SigningAlg::ES256;
    client.logout.backchannel_uri = Some(ear.at("/out"));
    desk.add_client(client.clone()).await.unwrap();
    house.app.rebuild().await.unwrap();
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "made", "openid").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", crate::house::VERIFIER),
        ("client_id", "made"),
    ];
    assert_eq!(house.post("/token", &[], &form).await.status, 200);
    desk.remove_client(&client.id).await.unwrap();
    let heard = ear.hears(1).await;
    let said = token(&house, &heard[0].body);
    assert_eq!((&said["aud"], &said["sid"]), (&"made".into(), &alice.session.as_str().into()));
    let report = desk.logout_report(&client.id).await.unwrap();
    assert!(!report.counts.is_empty(), "its report outlives it");
    assert!(desk.logout_report(&ClientId::new("nobody").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_111_a_client_that_hangs_holds_up_nobody() {
    let (hanging, kind) = (Ear::open(Answer::Hang), Ear::kind());
    let house =
        House::with(&(told_at("hang", &hanging.at("/out")) + &told_at("kind", &kind.at("/out")))).await;
    // More than are sent to one client at a time.
    for i in 0..6 {
        let person = house.sign_in(&format!("person{i}")).await;
        house.tokens(&person, "hang", "openid").await;
        let hint = house.tokens(&person, "kind", "openid").await.text("id_token");
        sign_out(&house, &person, &hint).await;
    }
    kind.hears(6).await;
    let delivered =
        until_report(&house, "kind", |r| count(r, DeliveryState::Delivered) == 6, "all are told").await;
    assert!(delivered.troubles.is_empty());
    let stuck = report(&house, "hang").await;
    assert_eq!(count(&stuck, DeliveryState::Waiting), 6, "{stuck:?}");
    let in_time = |r: &LogoutReport| {
        r.troubles.iter().any(|d| d.answer.as_deref().is_some_and(|a| a.starts_with("net.timeout")))
    };
    until_report(&house, "hang", in_time, "it is given up for now").await;
    // It comes back.
    hanging.answer(Answer::Say(204, String::new()));
    let mut left = 40;
    while count(&report(&house, "hang").await, DeliveryState::Delivered) < 6 {
        house.clock.advance(Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(700)).await;
        left -= 1;
        assert!(left > 0, "{:?}", report(&house, "hang").await);
    }
    let sids: BTreeSet<String> = hanging
        .heard()
        .iter()
        .map(|heard| {
            let form = url::form_urlencoded::parse(heard.body.as_bytes()).into_owned().next().unwrap();
            claims(&form.1)["sid"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(sids.len(), 6, "every session was told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_111_an_internal_address_is_never_spoken_to() {
    let ear = Ear::kind();
    let house = House::strict(&told_at("back", &ear.at("/out"))).await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "back", "openid").await.text("id_token");
    sign_out(&house, &alice, &hint).await;
    let tried =
        until_report(&house, "back", |r| r.troubles.iter().any(|d| d.attempts == 1), "it is tried").await;
    assert!(tried.troubles[0].answer.as_deref().unwrap().starts_with("net.address"), "{tried:?}");
    assert_eq!(ear.touched(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_111_no_redirect_is_followed() {
    let inner = Ear::kind();
    let ear = Ear::open(Answer::Redirect(inner.at("/admin")));
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "back", "openid").await.text("id_token");
    sign_out(&house, &alice, &hint).await;
    let tried =
        until_report(&house, "back", |r| r.troubles.iter().any(|d| d.attempts == 1), "it is tried").await;
    assert!(tried.troubles[0].answer.as_deref().unwrap().starts_with("net.redirect"), "{tried:?}");
    assert_eq!(inner.touched(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_answers_is_reported_and_a_refusal_is_final() {
    let ear = Ear::open(Answer::Say(
        400,
        r#"{"error":"invalid_request","error_description":"no such session"}"#.to_owned(),
    ));
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "back", "openid").await.text("id_token");
    sign_out(&house, &alice, &hint).await;
    let refused =
        until_report(&house, "back", |r| count(r, DeliveryState::Refused) == 1, "it is refused").await;
    assert_eq!(refused.troubles[0].answer.as_deref(), Some("HTTP 400: invalid_request: no such session"));
    let account = alice.account.clone();
    let events = house.write(move |tx| tx.audit_of(&account, None, 10)).await;
    let event = events.iter().find(|r| r.event.kind == AuditKind::LogoutUndelivered).expect("an event");
    assert_eq!(event.event.client.as_ref().map(|id| id.as_str()), Some("back"));
    house.clock.advance(Duration::from_secs(24 * 3600));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(ear.heard().len(), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_away_is_asked_again_and_given_up_in_the_end() {
    let ear = Ear::open(Answer::Say(503, String::new()));
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "back", "openid").await.text("id_token");
    sign_out(&house, &alice, &hint).await;
    for _ in 0..1000 {
        let found = report(&house, "back").await;
        if count(&found, DeliveryState::GivenUp) == 1 {
            break;
        }
        house.clock.advance(Duration::from_secs(3600));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = report(&house, "back").await;
    assert_eq!(found.troubles[0].state, DeliveryState::GivenUp, "{found:?}");
    assert_eq!(found.troubles[0].attempts, ATTEMPTS);
    assert_eq!(found.troubles[0].answer.as_deref(), Some("HTTP 503"));
    let jtis: BTreeSet<String> = ear
        .heard()
        .iter()
        .map(|heard| claims(heard.body.strip_prefix("logout_token=").unwrap())["jti"].to_string())
        .collect();
    assert_eq!(jtis.len(), usize::try_from(ATTEMPTS).unwrap(), "each try has a token of its own");
}

/// Two nodes at one database send each token once.
async fn nodes_share_the_work(house: House, ear: Ear) {
    let second = house.app.clone();
    let node = tokio::spawn(async move { logout_delivery::run(&second).await });
    let mut people = Vec::new();
    for i in 0..50 {
        let person = house.sign_in(&format!("person{i}")).await;
        house.tokens(&person, "back", "openid").await;
        people.push(person);
    }
    let desk = desk(&house);
    for person in &people {
        desk.sign_out(person.account.as_str()).await.unwrap();
    }
    until_report(&house, "back", |r| count(r, DeliveryState::Delivered) == 50, "all are told").await;
    let heard = ear.heard();
    let sids: BTreeSet<String> = heard.iter().map(|h| token(&house, &h.body)["sid"].to_string()).collect();
    assert_eq!((heard.len(), sids.len()), (50, 50));
    node.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_work_on_sqlite() {
    let ear = Ear::kind();
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    nodes_share_the_work(house, ear).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_work_on_postgres() {
    let ear = Ear::kind();
    if let Some(house) = House::on_postgres(&told_at("back", &ear.at("/out"))).await {
        nodes_share_the_work(house, ear).await;
    }
}

/// Fifty tabs, clicks and commands end one session at once: one token for each client.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_ends_at_once_each_client_hears_once() {
    let (one, two) = (Ear::kind(), Ear::kind());
    let house = House::with(&(told_at("one", &one.at("/out")) + &told_at("two", &two.at("/out")))).await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "one", "openid").await.text("id_token");
    house.tokens(&alice, "two", "openid").await;
    let desk = desk(&house);
    let ends = (0..50).map(|i| {
        let (house, alice, hint, desk) = (&house, &alice, &hint, &desk);
        async move {
            if i % 2 == 0 {
                let query = encode(&[("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)]);
                house.get(&format!("/logout?{query}"), &[("cookie", &alice.cookie)]).await.redirect(BYE);
            } else {
                desk.sign_out(alice.account.as_str()).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(ends).await;
    for (client, ear) in [("one", &one), ("two", &two)] {
        until_report(&house, client, |r| count(r, DeliveryState::Delivered) == 1, "it is told").await;
        until(|| ear.heard().len() == 1, "it hears").await;
        assert_eq!(report(&house, client).await.counts.values().sum::<u64>(), 1);
    }
}

/// Another live session of the person, by another identity.
async fn second_session(house: &House, person: &SignedIn, change: impl FnOnce(&mut Proof)) -> SignedIn {
    let (context, now) = (&house.app.context, house.app.context.now());
    let secret = Handle::<SessionSecret>::new(context);
    let id = person.session.clone();
    let mut session = house.write(move |tx| tx.session(&id)).await.unwrap();
    session.id = context.session_id();
    session.proofs[0].identity = context.identity_id();
    change(&mut session.proofs[0]);
    session.last_seen_at = now;
    let found = SignedIn {
        account: person.account.clone(),
        session: session.id.clone(),
        cookie: format!("cs_session={}", secret.expose()),
    };
    let digest = secret.digest();
    house.write(move |tx| tx.insert_session(&session, &digest)).await;
    found
}

/// The identity behind a session, linked to its account.
async fn linked(house: &House, person: &SignedIn, provider: &str) -> Identity {
    let id = person.session.clone();
    let session = house.write(move |tx| tx.session(&id)).await.unwrap();
    let identity = Identity {
        id: session.proofs[0].identity.clone(),
        account: person.account.clone(),
        key: IdentityKey {
            provider: provider.parse().unwrap(),
            issuer: format!("https://{provider}.test"),
            subject: session.proofs[0].identity.to_string(),
            format: String::new(),
        },
        label: None,
        linked_at: house.app.context.now(),
        last_used_at: house.app.context.now(),
    };
    let copy = identity.clone();
    house.write(move |tx| tx.insert_identity(&copy)).await;
    identity
}

#[tokio::test(flavor = "multi_thread")]
async fn link_035_unlinking_ends_what_came_by_it() {
    let ear = Ear::kind();
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    let alice = house.sign_in("alice").await;
    let gone = linked(&house, &alice, "globex").await;
    let other = second_session(&house, &alice, |proof| proof.provider = "friendbook".parse().unwrap()).await;
    linked(&house, &other, "friendbook").await;
    let tokens = house.tokens(&alice, "back", "openid offline_access").await;
    let kept = house.tokens(&other, "back", "openid offline_access").await;
    let desk = desk(&house);
    assert!(desk.unlink(alice.account.as_str(), &house.app.context.identity_id(), false).await.is_err());
    assert_eq!(desk.unlink(alice.account.as_str(), &gone.id, false).await.unwrap(), 1);
    let refused = house.refresh("back", &tokens.text("refresh_token")).await;
    assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(house.userinfo(&tokens.text("access_token")).await.status, 401);
    let said = token(&house, &ear.hears(1).await[0].body);
    assert_eq!(said["sid"], alice.session.as_str());
    assert_eq!(house.refresh("back", &kept.text("refresh_token")).await.status, 200, "the valid twin");
    let key = gone.key.clone();
    assert!(house.write(move |tx| tx.identity(&key)).await.is_none());
    let only = house.write({
        let account = alice.account.clone();
        move |tx| tx.identities_of(&account)
    });
    let only = only.await.remove(0);
    assert!(desk.unlink(alice.account.as_str(), &only.id, false).await.is_err(), "the last way in stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_ends_the_sessions_that_stand_on_its_own() {
    let ear = Ear::kind();
    let house = House::with(&told_at("back", &ear.at("/out"))).await;
    let alice = house.sign_in("alice").await;
    let by_sid =
        second_session(&house, &alice, |proof| proof.upstream_session = Some("their-sid".to_owned())).await;
    let by_sub = second_session(&house, &alice, |_| {}).await;
    let elsewhere = second_session(&house, &alice, |proof| {
        proof.provider = "friendbook".parse().unwrap();
        proof.upstream_session = Some("their-sid".to_owned());
    })
    .await;
    let identity = linked(&house, &by_sub, "globex").await;
    house.tokens(&by_sid, "back", "openid").await;
    let now = house.app.context.now();
    let issuer = identity.key.issuer.clone();
    let end = async |sid: Option<&'static str>, identity: Option<Identity>| {
        let issuer = issuer.clone();
        let ended = house.write(move |tx| {
            let globex = "globex".parse().unwrap();
            let sessions: Vec<String> = sid.map(str::to_owned).into_iter().collect();
            let at = AtProvider {
                provider: &globex,
                issuer: &issuer,
                sessions: &sessions,
                identity: identity.as_ref(),
                name: None,
            };
            sessions::end_upstream(tx, &at, now)
        });
        ended.await.into_iter().map(|ended| ended.session).collect::<Vec<_>>()
    };
    assert_eq!(end(None, None).await, [], "nothing is meant");
    assert_eq!(end(Some("another"), None).await, []);
    // The session is another person's; of this one's sign-in the provider named none, so it may mean that.
    let meant = end(Some("their-sid"), Some(identity.clone())).await;
    assert_eq!(meant, std::slice::from_ref(&by_sub.session));
    assert_eq!(end(Some("their-sid"), None).await, std::slice::from_ref(&by_sid.session));
    assert_eq!(token(&house, &ear.hears(1).await[0].body)["sid"], by_sid.session.as_str());
    let whole = second_session(&house, &alice, |proof| proof.identity = identity.id.clone()).await;
    assert_eq!(end(None, Some(identity.clone())).await, std::slice::from_ref(&whole.session));
    assert_eq!(end(None, Some(identity)).await, [], "once");
    for live in [&alice, &elsewhere] {
        let id = live.session.clone();
        assert_eq!(house.write(move |tx| tx.session(&id)).await.unwrap().revoked_at, None);
    }
    let account = alice.account.clone();
    let events = house.write(move |tx| tx.audit_of(&account, None, 10)).await;
    let ended = events.iter().filter(|r| r.event.reason.as_deref() == Some("upstream.logout"));
    assert_eq!(ended.count(), 3);
}
