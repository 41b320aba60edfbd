//! Metadata at the edges of what is taken, and what is told of it ahead of time.

use super::metadata::{AT, PINNED, TRUSTED, refused_with, refuses, remote, sound};
use super::{BY_HAND, Bench, build, files, idp};
use crate::publisher::Document;
use crate::saml::{Key, KeyDescriptor, NameId, Request, Signature, instant, uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::failure::{OAuthCode, UserMessage};
use countersign::upstream::{CallbackMethod, Departure, Health, LogoutMessage, LogoutWish, Trace};

/// Metadata with this in place of `from`.
fn edited(from: &str, to: &str) -> String {
    let xml = sound().xml();
    assert!(xml.contains(from), "nothing to change: {from}");
    xml.replacen(from, to, 1)
}

#[track_caller]
fn taken(xml: &str) {
    assert_eq!(refused_with(xml, ""), None);
}

#[track_caller]
fn refused(reason: &str, xml: &str) {
    let message = refused_with(xml, "").unwrap_or_else(|| panic!("taken: {xml}"));
    assert!(message.contains(&format!("({reason})")), "{message}");
}

#[test]
fn a_provider_has_sixteen_keys_at_most_each_with_one_certificate() {
    let key = |nth: i64| KeyDescriptor::signing(&Key::p256().certified(0, 4_000_000_000 + nth));
    let with = |count: i64| {
        let mut metadata = sound();
        metadata.keys = (0..count).map(key).collect();
        metadata.xml()
    };
    taken(&with(16));
    refused("saml.metadata.keys", &with(17));
    // one that stands again and again is one
    let mut again = sound();
    again.keys = vec![key(0); 40];
    taken(&again.xml());
    let certificate = format!("<ds:X509Certificate>{}</ds:X509Certificate>", Key::rsa().b64());
    refused("saml.metadata.keys", &edited(&certificate, &certificate.repeat(2)));
    // one that has none, and one whose data says something else, count for nothing
    let nameless = "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo></md:KeyDescriptor>";
    taken(&edited("<md:KeyDescriptor", &format!("{nameless}<md:KeyDescriptor")));
    let info = format!("<ds:KeyInfo><ds:X509Data>{certificate}</ds:X509Data></ds:KeyInfo>");
    refused("saml.metadata.keys", &edited(&certificate, "<ds:X509SubjectName>x</ds:X509SubjectName>"));
    refused("saml.metadata", &edited(&info, ""));
    refused("saml.metadata", &edited(&info, &info.repeat(2)));
    refused("saml.metadata", &edited(&certificate, "<ds:X509Certificate><x/></ds:X509Certificate>"));
    // beside keys that the settings name, what cannot be read is no matter
    assert_eq!(
        refused_with(&edited(&certificate, "<ds:X509Certificate>!</ds:X509Certificate>"), PINNED),
        None
    );
}

#[test]
fn what_the_schema_does_not_allow_is_refused() {
    let role = "<md:IDPSSODescriptor ";
    for (flag, good) in
        [("true", true), ("false", true), ("1", true), ("0", true), ("TRUE", false), ("", false)]
    {
        let xml = edited(role, &format!("{role}WantAuthnRequestsSigned=\"{flag}\" "));
        let message = refused_with(&xml, "");
        assert_eq!(message.is_none(), good, "{flag}: {message:?}");
    }
    // two roles of one kind, one of which is for another protocol, are one
    let whole = sound().xml();
    let (_, rest) = whole.split_once(role).unwrap();
    let (one, _) = rest.split_once("</md:IDPSSODescriptor>").unwrap();
    let one = format!("{role}{one}</md:IDPSSODescriptor>");
    refused("saml.metadata.role", &edited(role, &format!("{one}{role}")));
    let older = one.replace(uri::PROTOCOL, "urn:oasis:names:tc:SAML:1.1:protocol");
    taken(&edited(role, &format!("{older}{role}")));
    let both = format!("urn:oasis:names:tc:SAML:1.1:protocol {}", uri::PROTOCOL);
    refuses("saml.metadata.role", |m| m.protocols.clear());
    taken(&edited(&format!("\"{}\">", uri::PROTOCOL), &format!("\"{both}\">")));

    let service = format!(
        "<md:SingleSignOnService Binding=\"{}\" Location=\"https://id.acme.example/sso\"/>",
        uri::REDIRECT
    );
    for bad in [
        service.replace(&format!(" Binding=\"{}\"", uri::REDIRECT), ""),
        service.replace(" Location=\"https://id.acme.example/sso\"", ""),
        service.replace("/sso\"", "/sso#x\""),
        service.replace("/>", " ResponseLocation=\"x\"/>"),
    ] {
        assert_ne!(bad, service);
        refused("saml.metadata", &edited(&service, &bad));
    }
    taken(&edited(&service, &service.replace("/>", " ResponseLocation=\"https://id.acme.example/back\"/>")));
    let artifact = service.replace("HTTP-Redirect", "HTTP-Artifact");
    taken(&edited(&service, &format!("{artifact}{service}")));
    for (name, bad) in
        [("validUntil", "soon"), ("cacheDuration", "1h"), ("validUntil", ""), ("cacheDuration", "")]
    {
        refused("saml.metadata", &edited(role, &format!("{role}{name}=\"{bad}\" ")));
    }
}

#[test]
fn who_it_is_instead_is_told() {
    let told = |xml: &str| refused_with(xml, "").unwrap();
    let other = |nth: usize| {
        sound()
            .xml()
            .replace(super::ENTITY, &format!("https://other{nth}.example"))
            .replace("ID=\"_", &format!("ID=\"_{nth}"))
    };
    let message = told(&other(1));
    assert!(message.contains("https://other1.example") && !message.contains("more"), "{message}");
    let message = told(&super::metadata::aggregate(&[other(1), other(2), other(3)]));
    assert!(message.contains("https://other1.example and 2 more"), "{message}");
    let message = told(&sound().xml().replace(&format!(" entityID=\"{}\"", super::ENTITY), ""));
    assert!(message.contains("none"), "{message}");
    let message = told(&sound().xml().replace("IDPSSODescriptor", "PDPDescriptor"));
    assert!(message.contains("PDPDescriptor"), "{message}");
}

/// The sooner of what an aggregate and its entity say counts (SAML Metadata §4.3).
#[tokio::test]
async fn of_two_ends_the_sooner_counts() {
    let probe = Bench::new(BY_HAND);
    let at = |seconds| instant(probe.now(), seconds);
    for (outer, inner) in [(100, 5000), (5000, 100)] {
        let mut metadata = sound();
        metadata.valid_until = Some(at(inner));
        let until = format!("EntitiesDescriptor validUntil=\"{}\" ", at(outer));
        let xml = super::metadata::aggregate(&[metadata.xml()]).replacen("EntitiesDescriptor ", &until, 1);
        let mut files = files();
        files.insert("file:acme.xml".to_owned(), xml);
        let bench = build("metadata_file = \"acme.xml\"", &files).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        // by the provider's clock, from which ours may differ by a minute
        bench.clock.advance(std::time::Duration::from_secs(160));
        assert!(bench.begin(|_| {}).await.is_ok(), "{outer} {inner}");
        bench.clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(bench.begin(|_| {}).await.unwrap_err().reason, "saml.metadata.expired");
    }
    for (outer, inner) in [("PT10M", "PT2H"), ("PT2H", "PT10M")] {
        let mut metadata = sound();
        metadata.cache_duration = Some(inner.to_owned());
        let lasts = format!("EntitiesDescriptor cacheDuration=\"{outer}\" ");
        let xml = super::metadata::aggregate(&[metadata.xml()]).replacen("EntitiesDescriptor ", &lasts, 1);
        let remote = remote(&xml, TRUSTED);
        remote.accepts(Key::rsa()).await.unwrap();
        remote.later(601);
        remote.look().await;
        assert_eq!(remote.publisher.asked(AT), 2, "{outer} {inner}");
    }
}

#[tokio::test]
async fn it_is_kept_for_five_minutes_at_least_and_a_day_at_most() {
    for (said, fresh, due) in [("PT1S", 239, 240), ("P30D", 69_119, 69_120)] {
        let mut metadata = sound();
        metadata.cache_duration = Some(said.to_owned());
        let remote = remote(&metadata.xml(), TRUSTED);
        remote.accepts(Key::rsa()).await.unwrap();
        remote.later(fresh);
        remote.look().await;
        assert_eq!(remote.publisher.asked(AT), 1, "{said} after {fresh} s");
        remote.later(due - fresh);
        remote.look().await;
        assert_eq!(remote.publisher.asked(AT), 2, "{said} after {due} s");
    }
    // and never beyond its own end
    let mut metadata = sound();
    let probe = remote(&metadata.xml(), TRUSTED);
    metadata.valid_until = Some(instant(probe.bench.now(), 60));
    probe.publish(&metadata);
    probe.accepts(Key::rsa()).await.unwrap();
    probe.later(61);
    probe.look().await;
    assert_eq!(probe.publisher.asked(AT), 2);
    assert!(matches!(probe.health(), Health::Down(_)), "what came is over");
}

#[tokio::test]
async fn what_is_no_metadata_of_the_address_lets_nobody_in() {
    let over = {
        let mut metadata = sound();
        let probe = Bench::new(BY_HAND);
        metadata.valid_until = Some(instant(probe.now(), 0));
        metadata.xml()
    };
    let long = format!("{}{}", sound().xml(), " ".repeat(4 << 20));
    for (body, reason) in
        [(over, "saml.metadata.expired"), ("x".to_owned(), "saml.xml.malformed"), (long, "net.size")]
    {
        let remote = remote(&body, TRUSTED);
        assert_eq!(remote.accepts(Key::rsa()).await, Err(reason));
        // nobody who wants to sign in has done anything wrong, and they can only wait
        let failure = remote.bench.begin(|_| {}).await.map(drop).unwrap_err();
        assert_eq!(failure.code, OAuthCode::TemporarilyUnavailable, "{failure:?}");
        assert_eq!(failure.user, UserMessage::ProviderUnavailable, "{failure:?}");
        assert!(matches!(remote.health(), Health::Down(_)));
        // the twin: what is there later is taken
        remote.publish(&sound());
        remote.later(3600);
        assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
        assert_eq!(remote.health(), Health::Up);
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_once() {
    let mut metadata = sound();
    metadata.keys.clear();
    let mut files = files();
    files.insert("file:acme.xml".to_owned(), metadata.xml());
    let more = "metadata_file = \"acme.xml\"\ncertificates = [\"file:nonsense.pem\"]";
    let problems = build(more, &files).err().unwrap();
    assert_eq!(problems.iter().map(|problem| problem.key).collect::<Vec<_>>(), ["certificates"]);
}

#[tokio::test]
async fn a_sign_in_has_what_will_be_too_old_fetched_without_waiting() {
    let remote = remote(&sound().xml(), TRUSTED);
    remote.accepts(Key::rsa()).await.unwrap();
    remote.later(3500);
    remote.bench.begin(|_| {}).await.unwrap();
    for _ in 0..500 {
        if remote.publisher.asked(AT) == 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("asked {} times", remote.publisher.asked(AT));
}

#[tokio::test]
async fn a_provider_that_cannot_be_known_is_told_of_when_the_house_opens() {
    let remote = remote(&sound().xml(), TRUSTED);
    remote.publisher.put(AT, Document::Status(503));
    let upstream = &remote.bench.entry.upstream;
    assert_eq!(upstream.warm(&remote.bench.context).await.unwrap_err().reason, "net.status");
    remote.publish(&sound());
    remote.later(60);
    assert!(upstream.warm(&remote.bench.context).await.is_ok());
    assert_eq!(remote.health(), Health::Up);
}

#[tokio::test]
async fn a_provider_that_is_known_from_a_file_is_asked_for_nothing() {
    let mut files = files();
    files.insert("file:acme.xml".to_owned(), sound().xml());
    let bench = build("metadata_file = \"acme.xml\"", &files).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert_eq!(bench.entry.upstream.form_targets(), ["https://id.acme.example"]);
    let begun = bench.begin(|_| {}).await.unwrap();
    let mut other = idp();
    other.keys = vec![Key::rsa_next()];
    let (outcome, _) = bench.finish(&begun, &other.answer(bench.now(), &begun.departure)).await;
    assert_eq!(outcome.map(drop).unwrap_err().reason, "saml.sig.invalid", "nowhere to look for newer keys");
    bench.entry.upstream.warm(&bench.context).await.unwrap();
    bench.entry.upstream.tend(&bench.context).await;
    assert_eq!(bench.entry.upstream.health(), Health::Up);
}

#[tokio::test]
async fn the_answer_to_a_logout_goes_where_the_metadata_says() {
    let mut metadata = sound();
    metadata.slo.clear();
    metadata.more = String::new();
    let slo = format!(
        "<md:SingleLogoutService Binding=\"{}\" Location=\"https://id.acme.example/slo\" ResponseLocation=\"https://ID.acme.example:443/back\"/><md:NameIDFormat>",
        uri::POST
    );
    let xml = metadata.xml().replacen("<md:NameIDFormat>", &slo, 1);
    let mut files = files();
    files.insert("file:acme.xml".to_owned(), xml);
    // it takes logouts by form alone, whatever the settings would rather have
    let more = "metadata_file = \"acme.xml\"\nkey = \"file:own.pem\"\nrequest_binding = \"redirect\"";
    let bench = build(more, &files).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let reply = br#"{"in_response_to":"_l1","relay_state":null,"address":"https://login.example/upstream/acme/logout"}"#;
    let outcome = countersign::upstream::LogoutOutcome::Complete;
    let departure = bench.entry.upstream.answer_logout(&bench.context, reply, outcome).await.unwrap();
    let Departure::PostForm { action, .. } = &departure else { panic!("{departure:?}") };
    assert_eq!(action.as_str(), "https://id.acme.example/back");
    let answer = Request::of(&departure);
    // as it is written there
    assert_eq!(answer.attribute("Destination").as_deref(), Some("https://ID.acme.example:443/back"));
    assert_eq!(answer.relay_state, None);
}

#[tokio::test]
async fn who_signs_out_is_sent_there_only_where_that_is_wanted() {
    let wish = LogoutWish {
        state: "csst_state".to_owned(),
        address: "https://login.example/upstream/acme/logout".to_owned(),
        session: None,
        name: Some(r#"{"value":"alice"}"#.to_owned()),
    };
    let mut files = files();
    let (slo, written) = ("https://id.acme.example/slo", "https://ID.acme.example:443/slo");
    let xml = sound().xml();
    assert!(xml.contains(slo));
    files.insert("file:acme.xml".to_owned(), xml.replace(slo, written));
    for (more, sent) in [
        ("key = \"file:own.pem\"", true),
        ("key = \"file:own.pem\"\nsingle_logout = false", false),
        ("", false),
    ] {
        let bench = build(&format!("metadata_file = \"acme.xml\"\n{more}"), &files);
        let bench = bench.unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let begun = bench.entry.upstream.begin_logout(&bench.context, &wish).await.unwrap();
        assert_eq!(begun.is_some(), sent, "{more}");
        if let Some(begun) = begun {
            let Departure::RedirectTo(url) = &begun.departure else { panic!("{:?}", begun.departure) };
            assert!(url.as_str().starts_with(slo), "{url}");
            let request = Request::of(&begun.departure);
            assert_eq!(request.attribute("Destination").as_deref(), Some(written));
        }
    }
}

#[tokio::test]
async fn a_logout_by_a_new_key_has_the_metadata_asked_for_again() {
    let remote = remote(&sound().xml(), &format!("{TRUSTED}\nkey = \"file:own.pem\""));
    remote.accepts(Key::rsa()).await.unwrap();
    let mut rolled = idp();
    rolled.keys = vec![Key::rsa_next()];
    remote.publish(&rolled.metadata());
    let address = "https://login.example/upstream/acme/logout";
    let heard = async |xml: String| {
        let message = LogoutMessage {
            method: CallbackMethod::Post,
            query: String::new(),
            parameters: [("SAMLRequest".to_owned(), STANDARD.encode(xml))].into(),
            address: address.to_owned(),
            pending: None,
        };
        let mut trace = Trace::default();
        let upstream = &remote.bench.entry.upstream;
        let heard = upstream.inbound_logout(&remote.bench.context, &message, &mut trace).await;
        heard.map(drop).map_err(|failure| failure.reason)
    };
    let request = || idp().logout(remote.bench.now(), address, NameId::persistent("alice"), &["_s1"]);
    // what nobody signed gives no cause to ask
    assert_eq!(heard(request().xml()).await, Err("saml.sig.missing"));
    assert_eq!(remote.publisher.asked(AT), 1);
    assert_eq!(heard(request().signed(&Signature::by(Key::rsa_next()))).await, Ok(()));
    assert_eq!(remote.publisher.asked(AT), 2);
    assert_eq!(heard(request().signed(&Signature::by(Key::attacker()))).await, Err("saml.sig.invalid"));
    assert_eq!(remote.publisher.asked(AT), 2);
}

/// Whether health warns, and of what.
async fn warned(bench: &Bench) -> Option<String> {
    bench.entry.upstream.tend(&bench.context).await;
    match bench.entry.upstream.health() {
        Health::Warned(why) => Some(why),
        Health::Up => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everything_that_runs_out_is_told_by_name() {
    const NOW: i64 = 1_800_000_000;
    let days = |days: i64| (NOW - 86_400, NOW + days * 86_400);
    let with = |name: &str, text: String, more: &str| {
        let mut files = files();
        files.insert(format!("file:{name}"), text);
        build(more, &files).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    };
    let own =
        |key: &Key, (from, to): (i64, i64)| format!("{}{}", key.private_pem(), key.certified(from, to).pem());
    let key = format!("{BY_HAND}key = \"file:ending.pem\"");
    let next = format!("{BY_HAND}key = \"file:own.pem\"\nnext_key = \"file:ending.pem\"");
    let file = |until: i64| {
        let mut metadata = sound();
        metadata.valid_until = Some(instant(countersign::context::Timestamp::from_secs(NOW), until));
        metadata.xml()
    };
    let signer = |ends: i64| {
        let (from, to) = days(ends);
        let mut metadata = sound();
        metadata.sign = Some(Signature::by(Key::p256()));
        let mut files = files();
        files.insert("file:acme.xml".to_owned(), metadata.xml());
        files.insert("file:ending.pem".to_owned(), Key::p256().certified(from, to).pem());
        let more = "metadata_file = \"acme.xml\"\nmetadata_certificates = [\"file:ending.pem\"]";
        build(more, &files).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    };
    let cases: [(&str, Box<dyn Fn(i64) -> Bench + '_>); 5] = [
        ("our own certificate", Box::new(|ends| with("ending.pem", own(&Key::service(), days(ends)), &key))),
        (
            "our own next certificate",
            Box::new(|ends| with("ending.pem", own(&Key::rsa_next(), days(ends)), &next)),
        ),
        (
            "its metadata",
            Box::new(|ends| with("acme.xml", file(ends * 86_400), "metadata_file = \"acme.xml\"")),
        ),
        ("the last certificate of whoever signs its metadata", Box::new(signer)),
        (
            "its last signing certificate",
            Box::new(|ends| {
                let (from, to) = days(ends);
                with("idp.pem", Key::rsa().certified(from, to).pem(), BY_HAND)
            }),
        ),
    ];
    for (what, bench) in cases {
        assert_eq!(warned(&bench(31)).await, None, "{what}");
        let (bench, words) = (bench(9), format!("{what} ends on 2027-01-24"));
        assert_eq!(warned(&bench).await.as_ref(), Some(&words));
        // and nothing else as it comes near
        bench.clock.advance(std::time::Duration::from_secs(8 * 86_400));
        assert_eq!(warned(&bench).await.as_ref(), Some(&words));
    }
}
