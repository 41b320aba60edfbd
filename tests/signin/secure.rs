//! With an https issuer: TLS is ended before us, as by a proxy, or by us.

use crate::house::*;
use crate::tls::{Certificates, connect, over_tls};
use serde_json::json;

async fn secure() -> House {
    secure_with(|providers| providers).await
}

async fn secure_with(change: impl FnOnce(String) -> String) -> House {
    House::with(|config, providers| {
        (
            config.replace("issuer = \"http://localhost", "issuer = \"https://localhost"),
            change(providers.replacen(
                "kind = \"oidc\"",
                "kind = \"oidc\"\nresponse_mode = \"form_post\"",
                1,
            )),
        )
    })
    .await
}

/// The provider's page posts its answer to our callback: from another site, so only cookies with
/// `SameSite=None` come along.
async fn posted(house: &House, visitor: &mut Visitor, request: &url::Url) -> Answer {
    posted_with(house, visitor, request, &["__Host-cs_flow_", "__Host-cs_browser"]).await
}

/// The same with those of these beginnings.
async fn posted_with(house: &House, visitor: &mut Visitor, request: &url::Url, come: &[&str]) -> Answer {
    let callback: url::Url = approval(house, request).parse().unwrap();
    let form: Vec<(String, String)> = callback.query_pairs().into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let address = callback.as_str().split('?').next().unwrap();
    let mut kept = visitor.cookies.clone();
    visitor.cookies.retain(|name, _| come.iter().any(|one| name.starts_with(one)));
    let flows = visitor.cookies.clone();
    let answer = visitor.post_from(address, &form, Some("http://provider.test"), Some("cross-site")).await;
    // Those that stayed at home are there again, but for what the answer forgot or set anew.
    kept.retain(|name, _| {
        !flows.contains_key(name)
            && !answer.all("set-cookie").any(|line| line.starts_with(&format!("{name}=")))
    });
    kept.extend(std::mem::take(&mut visitor.cookies));
    visitor.cookies = kept;
    answer
}

#[tokio::test]
async fn cookies_are_bound_to_our_host_and_an_answer_by_post_finds_its_own() {
    let house = secure().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await;
    let page = alice.get(list.location().as_str()).await;
    assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
    let leaving = choose(&house, &mut alice, &page, "globex").await;
    let flow = leaving.all("set-cookie").find(|line| line.starts_with("__Host-cs_flow_")).unwrap();
    assert!(
        flow.contains("SameSite=None") && flow.contains("; Secure") && flow.contains("HttpOnly"),
        "{flow}"
    );
    assert_eq!(parameter(&leaving.location(), "response_mode").as_deref(), Some("form_post"));
    let back = posted(&house, &mut alice, &leaving.location()).await;
    let session = back.all("set-cookie").find(|line| line.starts_with("__Host-cs_session=")).unwrap();
    assert!(session.contains("SameSite=Lax") && session.contains("; Secure"), "{session}");
    let flow = back.all("set-cookie").find(|line| line.starts_with("__Host-cs_flow_")).unwrap();
    assert!(flow.contains("SameSite=Lax"), "closed to other sites again: {flow}");
    let back = alice.get(back.location().as_str()).await.location();
    assert!(parameter(&back, "code").is_some());
    // Another person signs in. The old session's cookie does not come with the answer, yet the session ends.
    house.globex.script().person =
        json!({"sub": "bob", "email": "bob@globex.example", "email_verified": true});
    let url = authorize(&house, "first", &[("prompt", "select_account")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(posted(&house, &mut alice, &request).await.status, 303);
    assert_eq!((house.rows().await.accounts, house.rows().await.sessions), (2, 1));
}

/// The session that the browser got since it left is found by the browser's name, which opens nothing: no session is left
/// behind that nobody can sign out of.
#[tokio::test]
async fn two_sign_ins_that_left_one_browser_before_anybody_was_there_end_in_one_session() {
    let house = secure().await;
    let url = authorize(&house, "first", &[]);
    let mut alice = Visitor::new();
    let one = depart(&house, &mut alice, "globex", &url).await;
    let other = depart(&house, &mut alice, "globex", &url).await;
    let third = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(posted(&house, &mut alice, &one).await.status, 303);
    let named = alice.set.iter().find(|line| line.starts_with("__Host-cs_browser=")).unwrap();
    assert!(named.contains("SameSite=None; Secure") && named.contains("HttpOnly"), "{named}");
    assert!(!named.contains("Max-Age"), "it ends with the browser: {named}");
    let value = named.split(['=', ';']).nth(1).unwrap().to_owned();
    for name in ["__Host-cs_session", "__Host-cs_browser"] {
        let mut thief = Visitor::new();
        thief.cookies.insert(name.to_owned(), value.clone());
        assert_eq!(thief.get(&url).await.location().path(), "/sign-in", "it is no session");
    }
    assert_eq!(posted(&house, &mut alice, &other).await.status, 303);
    assert_eq!((house.rows().await.accounts, house.rows().await.sessions), (1, 1));
    assert!(parameter(&alice.get(&url).await.location(), "code").is_some());
    // Another person's takes its place.
    house.globex.script().person =
        json!({"sub": "bob", "email": "bob@globex.example", "email_verified": true});
    assert_eq!(posted(&house, &mut alice, &third).await.status, 303);
    assert_eq!((house.rows().await.accounts, house.rows().await.sessions), (2, 1));
    let replaced = ("session.ended".to_owned(), Some("session.replaced".to_owned()));
    assert!(house.events().await.contains(&replaced));
    // Both cookies go when the person signs out.
    let page = alice.get(&house.at("/logout")).await;
    assert_eq!(alice.post(&house.at("/logout"), &[("csrf", &page.field("csrf"))]).await.status, 200);
    let left = |name: &str| alice.cookies.keys().any(|cookie| cookie.contains(name));
    assert!(!left("session") && !left("browser"), "{:?}", alice.cookies);
}

/// A list that was open before somebody signed in beside it.
#[tokio::test]
async fn a_provider_that_is_chosen_after_a_sign_in_beside_it_goes_on_with_that_session() {
    let house = secure().await;
    let url = authorize(&house, "first", &[("prompt", "select_account")]);
    let mut alice = Visitor::new();
    let list = alice.get(&url).await.location();
    let page = alice.get(list.as_str()).await;
    let beside = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(posted(&house, &mut alice, &beside).await.status, 303);
    let left = choose(&house, &mut alice, &page, "globex").await.location();
    assert_eq!(posted(&house, &mut alice, &left).await.status, 303);
    assert_eq!(house.rows().await.sessions, 1);
}

#[tokio::test]
async fn oauth_097_on_https_a_cookie_without_the_prefix_is_not_ours() {
    let house = secure().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "friendbook", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    let mut tossed = Visitor::new();
    for (name, value) in &alice.cookies {
        tossed.cookies.insert(name.replace("__Host-", ""), value.clone());
    }
    assert_eq!(tossed.get(&callback).await.status, 400);
    assert_eq!(house.refusals().await[0].refusal.reason, "browser_binding");
    assert_eq!(alice.get(&callback).await.status, 303, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_our_own_tls_every_cookie_is_bound_to_our_host() {
    let certificates = Certificates::make();
    let house = over_tls(&certificates).await;
    let mut alice = Visitor::new();
    alice.trusts = Some(certificates.chain());
    let back = sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    assert!(parameter(&back, "code").is_some());
    // Another one, by consent, and the end of it.
    let back = sign_in(
        &house,
        &mut alice,
        "friendbook",
        &authorize(&house, "first", &[("prompt", "select_account")]),
    )
    .await;
    assert!(parameter(&back, "code").is_some());
    let page = alice.get(&house.at("/logout")).await;
    assert_eq!(alice.post(&house.at("/logout"), &[("csrf", &page.field("csrf"))]).await.status, 200);

    let named = |name: &str| alice.set.iter().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    assert!(named("__Host-cs_session=").len() >= 3, "set, renewed, ended: {:#?}", alice.set);
    assert!(!named("__Host-cs_flow_").is_empty() && !named("__Host-cs_last=").is_empty());
    for line in &alice.set {
        let (pair, attributes) = line.split_once("; ").unwrap();
        let attributes: Vec<&str> = attributes.split("; ").collect();
        // RFC 6265bis §4.1.3.2: the prefix holds only with Secure, Path=/ and no Domain.
        assert!(pair.starts_with("__Host-cs_"), "{line}");
        for wanted in ["Secure", "HttpOnly", "Path=/"] {
            assert!(attributes.contains(&wanted), "{wanted}: {line}");
        }
        assert!(!line.to_ascii_lowercase().contains("domain"), "{line}");
        let same_site: Vec<&&str> = attributes.iter().filter(|a| a.starts_with("SameSite=")).collect();
        let expected = if line.contains("cs_browser=") { "SameSite=None" } else { "SameSite=Lax" };
        assert_eq!(same_site, [&expected], "{line}");
        let known = ["Secure", "HttpOnly", "Path=/", expected];
        assert!(attributes.iter().all(|a| known.contains(a) || a.starts_with("Max-Age=")), "{line}");
    }
    for line in named("__Host-cs_session=") {
        let (value, ended) = (line.split(['=', ';']).nth(1).unwrap(), line.contains("Max-Age=0"));
        assert!(ended || !line.contains("Max-Age"), "it ends with the browser: {line}");
        assert!(ended == value.is_empty() && (ended || value.len() >= 43), "{line}");
    }
}

/// Whoever opens a connection and says nothing does not keep it.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_never_made_ends() {
    use std::io::{Read as _, Write as _};
    let certificates = Certificates::make();
    let house = over_tls(&certificates).await;
    let address = house.origin.replace("https://localhost", "127.0.0.1");
    let mut held: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    // The first says nothing, the second begins a hello, the third sends what is none, byte by byte.
    held[1].write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).unwrap();
    held[2].write_all(b"G").unwrap();
    for socket in &mut held {
        socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let mut rest = Vec::new();
        let ended = socket.read_to_end(&mut rest);
        let reset = ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(ended.is_ok() || reset, "{ended:?}");
    }
    connect(&house, &certificates, &[]).expect("the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_comes_into_force_and_a_bad_one_does_not() {
    let (first, second) = (Certificates::make(), Certificates::make());
    let copy = Certificates::make();
    first.replace(&copy);
    let mut house = over_tls(&copy).await;
    let open = connect(&house, &first, &[]).unwrap();
    assert!(connect(&house, &second, &[]).is_err(), "this one is not in force yet");

    second.replace(&copy);
    house.reload(|config, providers| (config, providers)).await;
    assert!(connect(&house, &second, &[]).is_ok());
    assert!(connect(&house, &first, &[]).is_err(), "the old one is gone");
    assert!(!open.conn.is_handshaking(), "connections that are open stay so");

    for (chain, key, complaint) in [
        (first.chain(), second.key(), "do not serve together"),
        (second.key(), second.key(), "has no certificate in PEM form"),
        (second.chain(), second.chain(), "has no private key in PEM form"),
        (std::path::PathBuf::from("/nonexistent"), second.key(), "cannot be read"),
    ] {
        let (chain, key) = (chain.display().to_string(), key.display().to_string());
        let report = house.try_files(|config, providers| {
            let old = copy.chain().display().to_string();
            (config.replace(&old, &chain).replace(&copy.key().display().to_string(), &key), providers)
        });
        let report = report.expect_err(complaint);
        assert!(report.contains(complaint) && report.contains("countersign.toml:"), "{report}");
        assert!(connect(&house, &second, &[]).is_ok(), "the one in force stays");
    }
}

/// The invitation's cookie does not come along either: the flow remembers it.
#[tokio::test]
async fn an_invitation_is_known_when_the_answer_comes_by_post_from_another_site() {
    let closed =
        |providers: String| providers.replacen("provisioning = \"open\"", "provisioning = \"invitation\"", 1);
    let house = secure_with(closed).await;
    let mut stranger = Visitor::new();
    let request = depart(&house, &mut stranger, "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(posted(&house, &mut stranger, &request).await.status, 403);
    let token = crate::invitation::invite(&house, |_| {}).await;
    let mut alice = Visitor::new();
    crate::invitation::accept(&house, &mut alice, &token).await;
    assert!(alice.cookies.contains_key("__Host-cs_invitation"));
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(posted(&house, &mut alice, &request).await.location().path(), "/continue");
    assert!(!alice.cookies.contains_key("__Host-cs_invitation"), "used up");
    // Used once: whoever had left with it as well is told.
    house.globex.script().person =
        json!({"sub": "bob", "email": "bob@globex.example", "email_verified": true});
    let mut bob = Visitor::new();
    bob.cookies.insert("__Host-cs_invitation".to_owned(), token);
    let request = depart(&house, &mut bob, "globex", &authorize(&house, "first", &[])).await;
    assert_eq!(posted(&house, &mut bob, &request).await.status, 403);
}
