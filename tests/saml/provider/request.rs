//! The request as the provider gets it.

use super::{BY_HAND, Bench, CALLBACK, OURS};
use crate::saml::{Key, Request, attribute, inner, uri};
use countersign::upstream::{BeginRequest, Departure};
use std::time::Duration;

const SIGNED: &str = "key = \"file:own.pem\"\n";

async fn request(more: &str, change: impl FnOnce(&mut BeginRequest)) -> Request {
    let bench = Bench::new(&format!("{BY_HAND}{more}"));
    Request::of(&bench.begin(change).await.unwrap().departure)
}

fn own(request: &Request, name: &str) -> Option<String> {
    attribute(&request.xml, "AuthnRequest", name)
}

#[tokio::test]
async fn it_says_who_asks_and_where_the_answer_goes() {
    let bench = Bench::new(BY_HAND);
    let first = Request::of(&bench.begin(|_| {}).await.unwrap().departure);
    assert!(first.redirect);
    assert_eq!(first.issuer, OURS);
    assert_eq!(first.acs.as_deref(), Some(CALLBACK));
    assert_eq!(first.destination.as_deref(), Some("https://id.acme.example/sso"));
    assert_eq!(first.relay_state.as_deref(), Some("csst_state"));
    assert_eq!(own(&first, "Version").as_deref(), Some("2.0"));
    assert_eq!(own(&first, "ProtocolBinding").as_deref(), Some(uri::POST));
    assert_eq!(own(&first, "ForceAuthn"), None);
    assert_eq!(own(&first, "IsPassive"), None);
    assert!(own(&first, "IssueInstant").unwrap().ends_with('Z'));
    // SAML Core §1.3.4: never the same, and beyond guessing; an xs:ID begins with no digit
    let second = Request::of(&bench.begin(|_| {}).await.unwrap().departure);
    assert_ne!(first.id, second.id);
    assert!(first.id.starts_with('_') && first.id.len() == 41, "{}", first.id);
}

#[tokio::test]
async fn a_redirect_is_signed_over_its_very_bytes() {
    let signed = request(SIGNED, |_| {}).await;
    assert!(signed.signed_by(Key::service().der()), "{}", signed.query);
    assert!(!signed.signed_by(Key::attacker().der()));
    // SAML Bindings §3.4.4.1: in this order
    let names: Vec<&str> = signed.query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    assert_eq!(names, ["SAMLRequest", "RelayState", "SigAlg", "Signature"]);
    // and no signature within the message
    assert!(!signed.xml.contains("Signature"));
    let bare = request(&format!("{SIGNED}sign_requests = false"), |_| {}).await;
    assert!(!bare.parameters.contains_key("Signature"));
}

/// The provider compares with its own text, letter by letter (SAML Bindings §3.4.5.2, §3.5.5.2).
#[tokio::test]
async fn the_destination_is_the_address_as_the_provider_writes_it() {
    const WRITTEN: &str = "https://ID.acme.example:443/a/../sso";
    const PARSED: &str = "https://id.acme.example/sso";
    let by_hand = format!("sso_url = \"{WRITTEN}\"\ncertificates = [\"file:idp.pem\"]\n");
    let odd = by_hand.replace("/a/../sso", " /sso").replace(":443 /", ":443/a b/../");
    let metadata = |text: &str| {
        let mut files = super::files();
        let xml = super::metadata::sound().xml();
        assert!(xml.contains(PARSED), "{xml}");
        files.insert("file:acme.xml".to_owned(), xml.replace(PARSED, text));
        let more = "metadata_file = \"acme.xml\"\n";
        super::build(more, &files).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    };
    for binding in ["redirect", "post"] {
        let binding = format!("request_binding = \"{binding}\"\n");
        for (bench, destination) in [
            (Bench::new(&format!("{by_hand}{binding}")), WRITTEN),
            // what readers of addresses pass over cannot stand in a message as it is
            (Bench::new(&format!("{odd}{binding}")), PARSED),
            (metadata(WRITTEN), WRITTEN),
            (metadata(&format!(" {WRITTEN} ")), WRITTEN),
        ] {
            let departure = bench.begin(|_| {}).await.unwrap().departure;
            let to = match &departure {
                Departure::RedirectTo(url) => url.as_str().split('?').next().unwrap_or_default().to_owned(),
                Departure::PostForm { action, .. } => action.to_string(),
            };
            assert_eq!(to, PARSED, "the browser knows one way");
            assert_eq!(Request::of(&departure).destination.as_deref(), Some(destination));
        }
    }
}

#[tokio::test]
async fn what_stands_in_the_address_stays_there() {
    let sso = "sso_url = \"https://id.acme.example/sso?tenant=a%20b\"\ncertificates = [\"file:idp.pem\"]\n";
    let bench = Bench::new(&format!("{sso}{SIGNED}"));
    let departure = bench.begin(|_| {}).await.unwrap().departure;
    let Departure::RedirectTo(url) = &departure else { panic!("{departure:?}") };
    assert!(url.as_str().starts_with("https://id.acme.example/sso?tenant=a%20b&SAMLRequest="), "{url}");
}

#[tokio::test]
async fn a_form_carries_a_signed_document() {
    let post = request(&format!("{SIGNED}request_binding = \"post\""), |_| {}).await;
    assert!(!post.redirect);
    assert!(post.signed_by(Key::service().der()), "{}", post.xml);
    assert!(!post.signed_by(Key::attacker().der()));
    assert_eq!(post.relay_state.as_deref(), Some("csst_state"));
    let bare = request("request_binding = \"post\"", |_| {}).await;
    assert!(!bare.xml.contains("Signature"));
}

#[tokio::test]
async fn wishes_go_on_as_the_settings_let_them() {
    let wish = |request: &mut BeginRequest| {
        request.force_authentication = true;
        request.silent = true;
        request.login_hint = Some("alice&bob@acme.example".to_owned());
    };
    let usual = request("", wish).await;
    assert_eq!(own(&usual, "ForceAuthn").as_deref(), Some("true"));
    assert_eq!(own(&usual, "IsPassive").as_deref(), Some("true"));
    assert!(!usual.xml.contains("Subject"), "{}", usual.xml);

    let hint = request("pass = [\"login_hint\"]", wish).await;
    assert_eq!(own(&hint, "ForceAuthn"), None);
    assert_eq!(own(&hint, "IsPassive"), None);
    assert_eq!(
        inner(&hint.xml, "AuthnRequest/Subject/NameID").as_deref(),
        Some("alice&amp;bob@acme.example")
    );

    let aged = request("", |request| request.max_age = Some(Duration::from_secs(60))).await;
    assert_eq!(own(&aged, "ForceAuthn").as_deref(), Some("true"));
    let always = request("force_authn = true", |_| {}).await;
    assert_eq!(own(&always, "ForceAuthn").as_deref(), Some("true"));
}

#[tokio::test]
async fn contexts_are_asked_for_by_configuration_or_as_the_map_translates_them() {
    let class = "AuthnRequest/RequestedAuthnContext/AuthnContextClassRef";
    let ask = |request: &mut BeginRequest| request.acr_values = vec!["urn:acme:mfa".to_owned()];
    let unknown = request("", ask).await;
    assert_eq!(inner(&unknown.xml, class), None, "nobody said that these are the provider's words");
    let known = request("[acr_map]\n\"urn:acme:mfa\" = \"mfa\"\n", ask).await;
    assert_eq!(inner(&known.xml, class).as_deref(), Some("urn:acme:mfa"));
    let fixed = request(
        "authn_context = [\"urn:a\"]\nauthn_context_comparison = \"minimum\"\nauthn_context_accepted = [\"urn:b\"]",
        ask,
    )
    .await;
    assert_eq!(inner(&fixed.xml, class).as_deref(), Some("urn:a"));
    assert_eq!(
        attribute(&fixed.xml, "AuthnRequest/RequestedAuthnContext", "Comparison").as_deref(),
        Some("minimum")
    );
    assert!(!fixed.xml.contains("urn:b"));
}

#[tokio::test]
async fn no_more_contexts_are_asked_for_than_fit_and_none_that_are_no_words() {
    const MAP: &str = "[acr_map]\n\"urn:acme:mfa\" = \"mfa\"\n";
    let class = |nth: usize| format!("AuthnRequest/RequestedAuthnContext/AuthnContextClassRef[{nth}]");
    let asked = async |more: &str, values: Vec<String>| {
        let request = request(more, |request| request.acr_values = values).await;
        (1..20).map_while(|nth| inner(&request.xml, &class(nth))).collect::<Vec<_>>()
    };
    let ten: Vec<String> = (0..10).map(|nth| format!("urn:{nth}")).collect();
    assert_eq!(asked(MAP, ten.clone()).await, ten[..8]);
    let (longest, longer) = ("x".repeat(255), "x".repeat(256));
    let odd = ["", &longer, "urn:\u{7}", &longest].map(str::to_owned).to_vec();
    assert_eq!(asked(MAP, odd).await, [longest]);
    assert!(
        asked(&format!("pass = [\"prompt\"]\n{MAP}"), ten).await.is_empty(),
        "the settings keep them here"
    );
}

#[tokio::test]
async fn a_comparison_goes_out_by_its_name() {
    for (word, accepted) in [
        ("exact", ""),
        ("minimum", "authn_context_accepted = [\"urn:b\"]"),
        ("better", "authn_context_accepted = [\"urn:b\"]"),
        ("maximum", "authn_context_accepted = [\"urn:b\"]"),
    ] {
        let more = format!("authn_context = [\"urn:a\"]\nauthn_context_comparison = \"{word}\"\n{accepted}");
        let asked = request(&more, |_| {}).await;
        let said = attribute(&asked.xml, "AuthnRequest/RequestedAuthnContext", "Comparison");
        assert_eq!(said.as_deref(), Some(word));
    }
}

#[tokio::test]
async fn a_hint_is_passed_on_where_it_can_be_somebody() {
    let hinted = async |more: &str, hint: &str| {
        let request = request(&format!("pass = [\"login_hint\"]\n{more}"), |request| {
            request.login_hint = Some(hint.to_owned());
        })
        .await;
        let name = "AuthnRequest/Subject/NameID";
        (inner(&request.xml, name), attribute(&request.xml, name, "Format"))
    };
    let longest = "x".repeat(255);
    assert_eq!(hinted("", &longest).await, (Some(longest.clone()), None));
    // it has its own format, whatever is asked of the answer
    let own = |hint: &str, format: Option<&str>| (Some(hint.to_owned()), format.map(str::to_owned));
    for more in
        ["", "nameid_format = \"persistent\"", "nameid_format = \"email\"", "nameid_format = \"windows\""]
    {
        assert_eq!(hinted(more, "alice").await, own("alice", None), "{more}");
        let address = "alice@acme.example";
        assert_eq!(hinted(more, address).await, own(address, Some(uri::EMAIL)), "{more}");
        assert_eq!(hinted(more, "alice@").await, own("alice@", None), "{more}");
    }
    for odd in ["", &format!("{longest}x"), "alice\u{7}"] {
        assert_eq!(hinted("", odd).await, (None, None), "{odd:.10}");
    }
}

#[tokio::test]
async fn a_wish_that_the_settings_keep_here_is_not_passed_on() {
    let aged = |request: &mut BeginRequest| request.max_age = Some(Duration::from_secs(60));
    assert_eq!(own(&request("pass = [\"max_age\"]", aged).await, "ForceAuthn").as_deref(), Some("true"));
    assert_eq!(own(&request("pass = [\"prompt\"]", aged).await, "ForceAuthn"), None);
    let forced = |request: &mut BeginRequest| request.force_authentication = true;
    assert_eq!(own(&request("pass = [\"prompt\"]", forced).await, "ForceAuthn").as_deref(), Some("true"));
    assert_eq!(own(&request("pass = [\"max_age\"]", forced).await, "ForceAuthn"), None);
    assert_eq!(own(&request("pass = [\"prompt\"]", |_| {}).await, "IsPassive"), None);
}

#[tokio::test]
async fn what_is_empty_is_not_sent() {
    let sso = "sso_url = \"https://id.acme.example/sso?\"\ncertificates = [\"file:idp.pem\"]\n";
    for (more, redirect) in [("", true), (SIGNED, true), ("request_binding = \"post\"", false)] {
        let bench = Bench::new(&format!("{sso}{more}"));
        let departure = bench.begin(|request| request.state.clear()).await.unwrap().departure;
        if let Departure::RedirectTo(url) = &departure {
            assert!(url.as_str().starts_with("https://id.acme.example/sso?SAMLRequest="), "{url}");
        }
        let sent = Request::of(&departure);
        assert_eq!((sent.redirect, sent.relay_state), (redirect, None));
    }
}

#[tokio::test]
async fn a_format_is_asked_for_where_it_is_configured() {
    let policy = "AuthnRequest/NameIDPolicy";
    let free = request("", |_| {}).await;
    assert_eq!(attribute(&free.xml, policy, "Format"), None);
    assert_eq!(attribute(&free.xml, policy, "AllowCreate").as_deref(), Some("true"));
    let asked = request("nameid_format = \"persistent\"", |_| {}).await;
    assert_eq!(attribute(&asked.xml, policy, "Format").as_deref(), Some(uri::PERSISTENT));
}

#[tokio::test]
async fn text_from_the_settings_cannot_become_markup() {
    let ours = "our_entity_id = \"urn:x:&<>'\\\"\"\nauthn_context = [\"urn:<&>\"]";
    let odd = request(ours, |_| {}).await;
    assert_eq!(odd.issuer, "urn:x:&amp;&lt;&gt;&apos;&quot;");
    assert!(odd.xml.contains("urn:&lt;&amp;&gt;"), "{}", odd.xml);
}

#[tokio::test]
async fn a_handle_that_is_no_relay_state_is_not_sent() {
    let bench = Bench::new(BY_HAND);
    assert!(bench.begin(|request| request.state = "x".repeat(80)).await.is_ok());
    let failure = bench.begin(|request| request.state = "x".repeat(81)).await.unwrap_err();
    assert_eq!(failure.reason, "saml.request");
}
