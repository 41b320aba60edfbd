//! Sign-ins that a logout at the provider overtakes, and logouts of another provider, through the whole broker.

use crate::Watch;
use crate::house::{Answer, House, Visitor, approval, authorize, depart, sign_in};
use crate::saml;
use crate::saml::{Idp, Key, LogoutRequest, NameId, redirect};
use crate::saml_logout::Acme;
use crate::standin::Standin;
use countersign::store::StoreError;
use countersign::upstream::Departure;
use serde_json::json;
use std::time::Duration;

/// What the provider does not tell, so that each sign-in is held at the page that asks for it.
const ASKS: &str = "[accounts]\nrequire = [\"name\"]\n";

/// Somebody is back from the provider, and asked for their name: the page.
async fn held(acme: &Acme, visitor: &mut Visitor) -> Answer {
    let to = visitor.get(&authorize(&acme.house, "first", &[("idp_hint", "acme")])).await.location();
    let message = acme.idp.answer(acme.house.now(), &Departure::RedirectTo(to));
    let answer = acme.send(visitor, &acme.callback(), &message.form()).await;
    let to = answer.location();
    assert_eq!(to.path(), "/details");
    let page = visitor.get(to.as_str()).await;
    assert_eq!(page.status, 200, "{page:#?}");
    page
}

/// Tells it.
async fn told(acme: &Acme, visitor: &mut Visitor, page: &Answer) -> Answer {
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("action", "details"), ("name", "Alice")];
    visitor.post(&acme.house.at("/details"), &form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_its_person_is_asked_is_over() {
    let acme = Acme::open_with("", ASKS).await;
    for (minutes, refused) in [(11, true), (5, false)] {
        let mut alice = Visitor::new();
        let to = alice.get(&authorize(&acme.house, "first", &[("idp_hint", "acme")])).await.location();
        let asked = saml::Request::of(&Departure::RedirectTo(to));
        let mut script = acme.idp.script(acme.house.now(), &asked, &acme.callback());
        for statement in &mut script.assertion.authn {
            statement.session_not_on_or_after = Some(saml::instant(acme.house.now(), 9 * 60));
        }
        let message = saml::Message::new(script.xml(), asked.relay_state.as_deref().unwrap());
        let to = acme.send(&mut alice, &acme.callback(), &message.form()).await.location();
        let page = alice.get(to.as_str()).await;
        acme.house.wait(Duration::from_secs(minutes * 60));
        let watch = Watch::begin(&acme.house, "upstream.session_ended").await;
        let answer = told(&acme, &mut alice, &page).await;
        assert_eq!(answer.status, if refused { 400 } else { 303 }, "{answer:#?}");
        assert_eq!(alice.session().is_none(), refused);
        if refused {
            watch.refused_once(&acme.house).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_counts_for_a_sign_in_that_waits_for_its_person() {
    let cases: [(Option<&[&str]>, bool); 4] =
        [(Some(&["_session-1"]), true), (Some(&[]), true), (Some(&["_another"]), false), (None, false)];
    for (ended, refused) in cases {
        let acme = Acme::open_with("", ASKS).await;
        let mut alice = Visitor::new();
        let page = held(&acme, &mut alice).await;
        acme.house.wait(Duration::from_secs(10));
        if let Some(sessions) = ended {
            let request = acme.request("alice-persistent", sessions);
            assert_eq!(Visitor::new().get(&acme.link(&request, None)).await.status, 303);
        }
        // longer than the message of the logout could pass
        acme.house.wait(Duration::from_secs(7 * 60));
        let watch = Watch::begin(&acme.house, "upstream.session_ended").await;
        let answer = told(&acme, &mut alice, &page).await;
        if refused {
            assert_eq!(answer.status, 400, "{ended:?} {answer:#?}");
            assert!(alice.session().is_none());
            watch.refused_once(&acme.house).await;
        } else {
            assert_eq!(answer.status, 303, "the valid twin {ended:?}: {answer:#?}");
            assert!(alice.session().is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_anew_after_a_logout_of_all_is_let_in_at_once() {
    let acme = Acme::open("").await;
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    let all = |acme: &Acme| acme.link(&acme.request("alice", &[]), None);
    assert_eq!(alice.get(&all(&acme)).await.status, 303);
    assert!(!acme.is_in(&alice).await);
    // What is said in the moment of the logout may have been said before it.
    let to = alice.get(&authorize(&acme.house, "first", &[("idp_hint", "acme")])).await.location();
    let asked = saml::Request::of(&Departure::RedirectTo(to));
    let mut script = acme.idp.script(acme.house.now(), &asked, &acme.callback());
    script.assertion.name_id = Some(NameId::persistent("alice"));
    let message = saml::Message::new(script.xml(), asked.relay_state.as_deref().unwrap());
    let watch = Watch::begin(&acme.house, "upstream.session_ended").await;
    assert_eq!(acme.send(&mut alice, &acme.callback(), &message.form()).await.status, 400);
    watch.refused_once(&acme.house).await;
    // A later one is of none of those sessions that ended, and its proof may be older; and others are not meant.
    acme.house.wait(Duration::from_secs(1));
    acme.sign_in(&mut alice, "alice", "_s2").await;
    assert!(acme.is_in(&alice).await);
    assert_eq!(alice.get(&all(&acme)).await.status, 303);
    let mut bob = Visitor::new();
    acme.sign_in(&mut bob, "bob", "_s3").await;
    assert!(acme.is_in(&bob).await && !acme.is_in(&alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_110_another_provider_ends_nothing_of_this_one() {
    const BETA: &str = "https://id.beta.example/metadata";
    let own = format!("{}{}", Key::service().private_pem(), Key::service().pem());
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("own.pem");
    std::fs::write(&key, own).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let beta = format!(
        "\n[[provider]]\nid = \"beta\"\nkind = \"saml\"\nname = \"Beta\"\nprovisioning = \"open\"\n\
         entity_id = \"{BETA}\"\nsso_url = \"https://id.beta.example/sso\"\n\
         slo_url = \"https://id.beta.example/slo\"\ncertificates = [\"\"\"{}\"\"\"]\nkey = \"file:{}\"\n",
        Key::rsa_next().pem(),
        key.display()
    );
    let acme = Acme::open(&beta).await;
    let idp = Idp::new(BETA, "https://id.beta.example", Key::rsa_next());
    let address = acme.house.at("/upstream/beta/logout");
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    let link = |request: &LogoutRequest| {
        format!("{address}?{}", redirect("SAMLRequest", &request.xml(), None, Some(&Key::rsa_next())))
    };
    // Sound in all that it says, at its own address: it knows nobody of that name, which is no error.
    for sessions in [&["_s1"] as &[&str], &[]] {
        let request = idp.logout(acme.house.now(), &address, NameId::persistent("alice"), sessions);
        for browser in [&mut alice.clone(), &mut Visitor::new()] {
            let rows = acme.house.rows().await;
            let mut request = request.clone();
            request.id = Some(saml::new_id());
            let to = browser.get(&link(&request)).await.location();
            assert_eq!(to.host_str(), Some("id.beta.example"));
            assert_eq!(acme.house.rows().await, rows, "nothing ended");
            assert!(acme.is_in(&alice).await);
        }
    }
    // The valid twin: Acme's own word.
    let request = acme.request("alice", &["_s1"]);
    assert_eq!(Visitor::new().get(&acme.link(&request, None)).await.status, 303);
    assert!(!acme.is_in(&alice).await);
}

/// Globex's server says that somebody's sessions there have ended.
async fn tells(house: &House, iat: i64, whom: &[(&str, &str)]) {
    says(house, &house.globex, iat, whom).await;
}

/// The server at Globex's place says so (OIDC Back-Channel Logout 1.0 §2.4).
async fn says(house: &House, server: &Standin, iat: i64, whom: &[(&str, &str)]) {
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let mut claims = json!({
        "iss": server.origin(), "aud": "countersign", "iat": iat, "exp": house.now().secs() + 120,
        "jti": saml::new_id(), "events": { event: {} },
    });
    for (name, value) in whom {
        claims[*name] = json!(value);
    }
    let key = server.script().signer.clone();
    let header = json!({ "alg": key.alg(), "kid": key.kid, "typ": "logout+jwt" });
    let token = key.token(&header.to_string(), &claims.to_string());
    let to = house.at("/upstream/globex/logout");
    let answer = Visitor::new().post_from(&to, &[("logout_token", token.as_str())], None, None).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
}

async fn with_sessions() -> House {
    let house = House::open().await;
    house.globex.script().claims = Box::new(|claims| claims["sid"] = json!("their-session"));
    house
}

/// By the session, by the person, by both; and what is said once the code is redeemed is no later word of the
/// provider about the sign-in, for the token is made only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_token_that_overtakes_the_sign_in_counts() {
    const ALICE: (&str, &str) = ("sub", "alice-subject");
    const BOB: (&str, &str) = ("sub", "bob-subject");
    const THEIRS: (&str, &str) = ("sid", "their-session");
    const ANOTHER: (&str, &str) = ("sid", "another-session");
    let cases: [(&[(&str, &str)], bool); 8] = [
        (&[THEIRS], true),
        (&[ALICE], true),
        (&[ALICE, THEIRS], true),
        (&[ANOTHER], false),
        (&[BOB], false),
        (&[ALICE, ANOTHER], false),
        (&[BOB, THEIRS], false),
        (&[], false),
    ];
    let house = with_sessions().await;
    for (whom, refused) in cases {
        let mut alice = Visitor::new();
        let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
        house.wait(Duration::from_secs(10));
        let callback = approval(&house, &request);
        if !whom.is_empty() {
            tells(&house, house.now().secs(), whom).await;
        }
        // longer than the token could be sent again
        house.wait(Duration::from_secs(7 * 60));
        let watch = Watch::begin(&house, "upstream.session_ended").await;
        let answer = alice.get(&callback).await;
        if refused {
            assert_eq!(answer.status, 400, "{whom:?} {answer:#?}");
            assert!(alice.session().is_none());
            watch.refused_once(&house).await;
        } else {
            assert_eq!(answer.location().path(), "/continue", "the valid twin {whom:?}: {answer:#?}");
            assert!(alice.session().is_some());
        }
        // Whoever departs after it is let in, even if the provider goes on with a session of that name.
        sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[("prompt", "select_account")]))
            .await;
        assert!(alice.session().is_some(), "{whom:?}");
    }
}

/// A provider may be slow to tell, or tell again: what it says is of the moment at which the token was made.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_token_that_comes_late_stops_only_what_began_before_it_was_made() {
    let house = with_sessions().await;
    for (age, refused) in [(300, false), (100, true)] {
        let mut alice = Visitor::new();
        let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
        house.wait(Duration::from_secs(150));
        tells(&house, house.now().secs() - age, &[("sub", "alice-subject")]).await;
        let answer = alice.get(&approval(&house, &request)).await;
        assert_eq!(answer.status == 400, refused, "{age}: {answer:#?}");
        assert_eq!(alice.session().is_none(), refused);
    }
}

/// As long as a token may be that is read at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_logout_token_ends_what_it_names() {
    let house = with_sessions().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.wait(Duration::from_secs(10));
    tells(&house, house.now().secs(), &[("sub", "alice-subject"), ("more", &"x".repeat(3000))]).await;
    let to = alice.get(&authorize(&house, "first", &[("prompt", "none")])).await.location();
    assert_eq!(crate::house::parameter(&to, "error").as_deref(), Some("login_required"));
}

/// Whoever hangs up in the middle stops nothing that others wait for: here the keys, which the provider has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_hangs_up_cannot_keep_a_logout_from_being_heard() {
    use crate::standin::{Key, Pace};
    use tokio::io::AsyncWriteExt as _;
    let house = with_sessions().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    house.wait(Duration::from_secs(10));
    {
        let mut script = house.globex.script();
        let key = Key::ec("turned");
        script.keys = vec![key.clone()];
        script.signer = key;
        script.jwks = Box::new(|reply| reply.pace = Pace::Late(Duration::from_millis(400)));
    }
    let published = || house.globex.seen().iter().filter(|seen| seen.path.contains("jwks")).count();
    let before = published();
    let forged = Key::ec("turned").token(r#"{"alg":"ES256","kid":"turned","typ":"logout+jwt"}"#, "{}");
    let body = format!("logout_token={forged}");
    let port = house.origin.rsplit_once(':').unwrap().1;
    let mut stranger = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    stranger.set_zero_linger().unwrap();
    let request = format!(
        "POST /upstream/globex/logout HTTP/1.1\r\nHost: localhost:{port}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stranger.write_all(request.as_bytes()).await.unwrap();
    while published() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // by a reset, which the server sees at once
    drop(stranger);
    tokio::time::sleep(Duration::from_millis(50)).await;
    tells(&house, house.now().secs(), &[("sub", "alice-subject")]).await;
    let to = alice.get(&authorize(&house, "first", &[("prompt", "none")])).await.location();
    assert_eq!(crate::house::parameter(&to, "error").as_deref(), Some("login_required"));
    assert_eq!(published(), before + 1, "one fetch for both");
}

/// A provider that named no session at the sign-in cannot mean by one that it names at the logout any other than theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_of_a_session_and_its_person_ends_what_was_proved_without_a_session() {
    let house = House::open().await;
    let url = authorize(&house, "first", &[]);
    for (whom, ends) in [
        (&[("sub", "alice-subject"), ("sid", "unheard-of")][..], true),
        (&[("sub", "bob-subject"), ("sid", "unheard-of")], false),
        (&[("sid", "unheard-of")], false),
    ] {
        let mut alice = Visitor::new();
        sign_in(&house, &mut alice, "globex", &url).await;
        // And one that is on its way.
        let mut late = Visitor::new();
        let request = depart(&house, &mut late, "globex", &url).await;
        house.wait(Duration::from_secs(10));
        tells(&house, house.now().secs(), whom).await;
        let to = alice.get(&authorize(&house, "first", &[("prompt", "none")])).await.location();
        let error = crate::house::parameter(&to, "error");
        assert_eq!(error.as_deref(), ends.then_some("login_required"), "{whom:?}");
        assert_eq!(late.get(&approval(&house, &request)).await.status, if ends { 400 } else { 303 });
        house.wait(Duration::from_secs(10));
    }
}

/// Two issuers, one after the other at the same place of the configuration, may give a session the same name.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_of_another_issuers_session_of_the_same_name_ends_nothing() {
    let mut house = with_sessions().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    let is_in = async |house: &House, alice: &Visitor| {
        let to = alice.clone().get(&authorize(house, "first", &[("prompt", "none")])).await.location();
        crate::house::parameter(&to, "code").is_some()
    };
    assert!(is_in(&house, &alice).await);
    let (old, new) = (house.globex.origin().to_owned(), house.friendbook.origin().to_owned());
    house.wait(Duration::from_secs(10));
    house.point(&old, &new).await;
    house.warm().await;
    says(&house, &house.friendbook, house.now().secs(), &[("sid", "their-session")]).await;
    house.point(&new, &old).await;
    house.warm().await;
    assert!(is_in(&house, &alice).await);
    // The valid twin: its own issuer's word.
    house.wait(Duration::from_secs(10));
    tells(&house, house.now().secs(), &[("sid", "their-session")]).await;
    let to = alice.get(&authorize(&house, "first", &[("prompt", "none")])).await.location();
    assert_eq!(crate::house::parameter(&to, "error").as_deref(), Some("login_required"));
}

/// A sign-in and a logout of its person at once: whichever comes first, nobody is left signed in.
#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_crosses_a_logout() {
    let mut houses = vec![House::open().await];
    houses.extend(House::on_postgres(|config, providers| (config, providers)).await);
    for house in houses {
        house.globex.script().claims = Box::new(|claims| claims["sid"] = json!("their-session"));
        let whom: [&[(&str, &str)]; 2] = [&[("sub", "alice-subject")], &[("sid", "their-session")]];
        for round in 0..24 {
            let mut alice = Visitor::new();
            let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
            let callback = approval(&house, &request);
            tokio::join!(alice.get(&callback), async {
                tokio::time::sleep(Duration::from_millis(round / 2)).await;
                tells(&house, house.now().secs(), whom[usize::from(round % 2 == 1)]).await;
            });
            for account in house.accounts().await {
                let sessions =
                    house.app.store.read::<_, StoreError, _>(move |tx| tx.sessions_of(&account.id));
                let live = sessions.await.unwrap().into_iter().filter(|session| session.revoked_at.is_none());
                assert_eq!(live.count(), 0, "round {round}: signed in after the logout");
            }
            house.wait(Duration::from_secs(1));
        }
    }
}
