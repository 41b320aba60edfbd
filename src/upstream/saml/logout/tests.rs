//! What a message must say: laws over any of its parts, and our own messages as our own reader takes them.

use super::message::{self, Expected, Head};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::upstream::checks::Checks;
use crate::upstream::saml::profile::{NameId, PERSISTENT, UNSPECIFIED};
use crate::upstream::saml::xml;
use crate::upstream::{LogoutOutcome, Trace};
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ISSUER: &str = "https://id.acme.example/metadata";
const OURS: &str = "https://login.example/upstream/acme/metadata";
const ADDRESS: &str = "https://login.example/upstream/acme/logout";

fn expected() -> Expected<'static> {
    let skew = Duration::from_secs(60);
    Expected { issuer: ISSUER, address: ADDRESS, now: NOW, skew }
}

fn name(value: &str) -> NameId {
    NameId {
        value: value.to_owned(),
        format: Some(PERSISTENT.to_owned()),
        name_qualifier: None,
        sp_name_qualifier: None,
    }
}

/// A request of the provider's, each part of which can be changed.
#[derive(Debug, Clone)]
struct Parts {
    version: Option<String>,
    id: Option<String>,
    issued: Option<String>,
    ends: Option<String>,
    destination: Option<String>,
    issuer: Option<String>,
    inside: String,
}

fn sound() -> Parts {
    Parts {
        version: Some("2.0".to_owned()),
        id: Some("_l1".to_owned()),
        issued: Some(NOW.rfc3339()),
        ends: Some(NOW.plus(Duration::from_secs(60)).rfc3339()),
        destination: Some(ADDRESS.to_owned()),
        issuer: Some(ISSUER.to_owned()),
        inside: "<saml:NameID>alice</saml:NameID><samlp:SessionIndex>s1</samlp:SessionIndex>".to_owned(),
    }
}

impl Parts {
    fn xml(&self, element: &str, more: &str) -> String {
        let attributes = [
            ("Version", &self.version),
            ("ID", &self.id),
            ("IssueInstant", &self.issued),
            ("NotOnOrAfter", &self.ends),
            ("Destination", &self.destination),
        ];
        let attributes: String = attributes
            .iter()
            .filter_map(|(name, value)| {
                Some(format!(" {name}=\"{}\"", quick_xml::escape::escape(value.as_ref()?)))
            })
            .collect();
        let issuer = self.issuer.as_ref().map_or_else(String::new, |issuer| {
            format!("<saml:Issuer>{}</saml:Issuer>", quick_xml::escape::escape(issuer))
        });
        format!(
            "<samlp:{element} xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"{attributes}{more}>{issuer}{}</samlp:{element}>",
            self.inside
        )
    }
}

fn asked(text: &str) -> Result<message::Asked, Failure> {
    let document = xml::parse(text)?;
    let mut trace = Trace::default();
    let outcome = message::request(document.root_element(), &expected(), &mut Checks::new(&mut trace));
    if let Err(failure) = &outcome {
        let last = trace.steps().last().map(|step| (step.check.clone(), step.passed));
        assert_eq!(last, Some((failure.reason.to_owned(), false)), "the failing check is the last step");
    }
    outcome
}

fn answered(text: &str, request: &str) -> Result<LogoutOutcome, Failure> {
    let document = xml::parse(text)?;
    let mut trace = Trace::default();
    message::response(document.root_element(), request, &expected(), &mut Checks::new(&mut trace))
}

#[test]
fn a_sound_request_says_whom_it_means() {
    let asked = asked(&sound().xml("LogoutRequest", "")).unwrap();
    assert_eq!((asked.id.as_str(), asked.name.value.as_str()), ("_l1", "alice"));
    assert_eq!(asked.sessions, ["s1"]);
    assert_eq!(asked.until, NOW.plus(Duration::from_secs(360)));
    let mut all = sound();
    all.inside = "<samlp:Extensions><x/></samlp:Extensions><saml:NameID>alice</saml:NameID>".to_owned();
    all.ends = None;
    assert!(self::asked(&all.xml("LogoutRequest", "")).unwrap().sessions.is_empty());
    let many = "<samlp:SessionIndex>s</samlp:SessionIndex>".repeat(64);
    all.inside = format!("<saml:NameID>alice</saml:NameID>{many}");
    assert_eq!(self::asked(&all.xml("LogoutRequest", "")).unwrap().sessions.len(), 64);
}

#[test]
fn every_part_of_a_request_is_checked() {
    let later = |by: i64| Some(Timestamp(NOW.0 + by * 1000).rfc3339());
    type Change = Box<dyn Fn(&mut Parts)>;
    let inside = |text: &str| -> Change {
        let text = text.to_owned();
        Box::new(move |p: &mut Parts| p.inside.clone_from(&text))
    };
    let cases: Vec<(&str, &str, Change)> = vec![
        ("no version", "saml.version", Box::new(|p| p.version = None)),
        ("another version", "saml.version", Box::new(|p| p.version = Some("1.1".to_owned()))),
        ("no id", "saml.message.id", Box::new(|p| p.id = None)),
        ("an empty id", "saml.message.id", Box::new(|p| p.id = Some(String::new()))),
        ("a long id", "saml.message.id", Box::new(|p| p.id = Some("x".repeat(256)))),
        ("no instant", "saml.issue_instant", Box::new(|p| p.issued = None)),
        ("a broken instant", "saml.issue_instant", Box::new(|p| p.issued = Some("today".to_owned()))),
        ("the future", "saml.issue_instant", Box::new(move |p| p.issued = later(61))),
        ("the past", "saml.issue_instant", Box::new(move |p| p.issued = later(-361))),
        ("over", "saml.expired", Box::new(move |p| p.ends = later(-60))),
        ("a broken end", "saml.expired", Box::new(|p| p.ends = Some(String::new()))),
        ("no destination", "saml.destination", Box::new(|p| p.destination = None)),
        (
            "a destination below",
            "saml.destination",
            Box::new(|p| p.destination = Some(format!("{ADDRESS}/x"))),
        ),
        ("no issuer", "saml.issuer", Box::new(|p| p.issuer = None)),
        ("a longer issuer", "saml.issuer", Box::new(|p| p.issuer = Some(format!("{ISSUER}x")))),
        ("nobody", "saml.nameid.value", inside("<samlp:SessionIndex>s1</samlp:SessionIndex>")),
        ("an empty name", "saml.nameid.value", inside("<saml:NameID></saml:NameID>")),
        (
            "a long name",
            "saml.nameid.value",
            inside(&format!("<saml:NameID>{}</saml:NameID>", "x".repeat(257))),
        ),
        (
            "two names",
            "saml.message.shape",
            inside("<saml:NameID>alice</saml:NameID><saml:NameID>bob</saml:NameID>"),
        ),
        ("a BaseID", "saml.message.shape", inside("<saml:BaseID>alice</saml:BaseID>")),
        (
            "a session before its person",
            "saml.message.shape",
            inside("<samlp:SessionIndex>s1</samlp:SessionIndex><saml:NameID>alice</saml:NameID>"),
        ),
        (
            "too many sessions",
            "saml.message.shape",
            inside(&format!(
                "<saml:NameID>alice</saml:NameID>{}",
                "<samlp:SessionIndex>s</samlp:SessionIndex>".repeat(65)
            )),
        ),
        (
            "an empty session",
            "saml.session_index",
            inside("<saml:NameID>alice</saml:NameID><samlp:SessionIndex></samlp:SessionIndex>"),
        ),
        ("text between", "saml.message.shape", inside("<saml:NameID>alice</saml:NameID>text")),
    ];
    for (what, reason, change) in cases {
        let mut parts = sound();
        change(&mut parts);
        assert_eq!(asked(&parts.xml("LogoutRequest", "")).map_err(|f| f.reason), Err(reason), "{what}");
    }
    // at the edges
    for (issued, ends) in [(60, 60), (-360, -59)] {
        let parts = Parts { issued: later(issued), ends: later(ends), ..sound() };
        assert!(asked(&parts.xml("LogoutRequest", "")).is_ok(), "{issued} {ends}");
    }
}

/// The last length that is taken, and the first that is not; characters, of three bytes each.
#[test]
fn lengths_and_forms_are_exact() {
    let reason = |change: &dyn Fn(&mut Parts)| {
        let mut parts = sound();
        change(&mut parts);
        asked(&parts.xml("LogoutRequest", "")).map(drop).map_err(|failure| failure.reason)
    };
    let inside = |text: String| reason(&move |p: &mut Parts| p.inside.clone_from(&text));
    let named =
        |attributes: &str, name: &str| inside(format!("<saml:NameID{attributes}>{name}</saml:NameID>"));
    let session = |text: &str| {
        inside(format!("<saml:NameID>alice</saml:NameID><samlp:SessionIndex>{text}</samlp:SessionIndex>"))
    };
    let letters = |count: usize| "語".repeat(count);
    assert_eq!(reason(&|p| p.id = Some("x".repeat(255))), Ok(()));
    assert_eq!(reason(&|p| p.id = Some(" ".to_owned())), Err("saml.message.id"));
    assert_eq!(named("", &letters(256)), Ok(()));
    assert_eq!(named("", &letters(257)), Err("saml.nameid.value"));
    assert_eq!(named("", "al&#10;ice"), Err("saml.nameid.value"));
    assert_eq!(named("", "al<x/>ice"), Err("saml.nameid.value"));
    for attribute in ["Format", "NameQualifier", "SPNameQualifier"] {
        let with = |value: &str| named(&format!(" {attribute}=\"{value}\""), "alice");
        assert_eq!(with(&letters(1024)), Ok(()), "{attribute}");
        assert_eq!(with(&letters(1025)), Err("saml.nameid.value"), "{attribute}");
        assert_eq!(with(""), Ok(()), "{attribute}");
        assert_eq!(with(" "), Ok(()), "{attribute}");
        assert_eq!(with("a&#10;b"), Err("saml.nameid.value"), "{attribute}");
    }
    assert_eq!(session(&letters(255)), Ok(()));
    assert_eq!(session(&letters(256)), Err("saml.session_index"));
    assert_eq!(session("s&#10;1"), Err("saml.session_index"));
    assert_eq!(session("s<x/>"), Err("saml.message.shape"));
    let format = |format: &str| {
        let whole = sound().xml("LogoutRequest", "");
        let text = whole.replace("<saml:Issuer>", &format!("<saml:Issuer Format=\"{format}\">"));
        asked(&text).map(drop).map_err(|failure| failure.reason)
    };
    assert_eq!(format("urn:oasis:names:tc:SAML:2.0:nameid-format:entity"), Ok(()));
    assert_eq!(format(PERSISTENT), Err("saml.issuer"));
    assert_eq!(format(""), Err("saml.issuer"));
}

#[test]
fn where_nothing_is_expected_nothing_fits() {
    let text = Parts { issuer: Some(String::new()), ..sound() }.xml("LogoutRequest", "");
    let text = text.replace(&format!("Destination=\"{ADDRESS}\""), "Destination=\"\"");
    let reason = |expected: Expected<'_>, text: &str| {
        let document = xml::parse(text).unwrap();
        let mut trace = Trace::default();
        let outcome = message::request(document.root_element(), &expected, &mut Checks::new(&mut trace));
        outcome.map(drop).map_err(|failure| failure.reason)
    };
    assert_eq!(reason(Expected { address: "", ..expected() }, &text), Err("saml.destination"));
    let sent = text.replace("Destination=\"\"", &format!("Destination=\"{ADDRESS}\""));
    assert_eq!(reason(Expected { issuer: "", ..expected() }, &sent), Err("saml.issuer"));
    assert_eq!(reason(expected(), &sound().xml("LogoutRequest", "")), Ok(()));
}

#[test]
fn the_trace_shows_what_came() {
    let received = |parts: &Parts| {
        let text = parts.xml("LogoutRequest", "");
        let document = xml::parse(&text).unwrap();
        let mut trace = Trace::default();
        assert!(
            message::request(document.root_element(), &expected(), &mut Checks::new(&mut trace)).is_err()
        );
        trace.steps().last().unwrap().received.clone()
    };
    assert_eq!(received(&Parts { version: Some("1.1".to_owned()), ..sound() }), "1.1");
    assert_eq!(received(&Parts { version: None, ..sound() }), "absent");
    let issuer = "https://x.test/\u{202e}y".to_owned();
    let shown = received(&Parts { issuer: Some(issuer), ..sound() });
    assert!(shown.starts_with("https://x.test/") && !shown.contains('\u{202e}'), "{shown}");
}

#[test]
fn a_name_that_is_too_long_to_keep_is_not_kept() {
    let with = |length: usize| NameId { format: None, ..name(&"x".repeat(length)) };
    let around = r#"{"value":""}"#.len();
    let longest = message::remembered(&with(4096 - around), ISSUER, OURS).unwrap();
    assert_eq!(longest.written.len(), 4096);
    assert_eq!(message::written(&longest.written), Some(with(4096 - around)));
    assert!(message::remembered(&with(4097 - around), ISSUER, OURS).is_none());
    for odd in ["", "{}", r#"{"value":"a","more":"b"}"#, r#"{"value":1}"#] {
        assert_eq!(message::written(odd), None, "{odd}");
    }
}

#[test]
fn an_answer_names_our_request_and_a_success() {
    let status = |codes: &str| Parts {
        inside: format!("<samlp:Status>{codes}</samlp:Status>"),
        ends: None,
        ..sound()
    };
    let code = |value: &str, inner: &str| {
        format!(
            "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:{value}\">{inner}</samlp:StatusCode>"
        )
    };
    let run = |codes: &str, to: &str| {
        answered(&status(codes).xml("LogoutResponse", &format!(" InResponseTo=\"{to}\"")), "_r1")
            .map_err(|f| f.reason)
    };
    assert_eq!(run(&code("Success", ""), "_r1"), Ok(LogoutOutcome::Complete));
    let partial = code("PartialLogout", "");
    for codes in [code("Success", &partial), code("Responder", &partial), partial.clone()] {
        assert_eq!(run(&codes, "_r1"), Ok(LogoutOutcome::Partial), "{codes}");
    }
    for codes in [code("Responder", ""), code("Requester", &code("Success", "")), String::new(), code("", "")]
    {
        assert_eq!(run(&codes, "_r1"), Err("saml.logout.status"), "{codes}");
    }
    assert_eq!(run(&code("Success", ""), "_r2"), Err("saml.in_response_to"));
    for more in ["<saml:NameID>alice</saml:NameID>", "<samlp:Status/>", "text"] {
        let mut parts = status(&code("Success", ""));
        parts.inside.push_str(more);
        let text = parts.xml("LogoutResponse", " InResponseTo=\"_r1\"");
        assert_eq!(answered(&text, "_r1").map_err(|f| f.reason), Err("saml.message.shape"), "{more}");
    }
    let without = status(&code("Success", "")).xml("LogoutResponse", "");
    assert_eq!(answered(&without, "_r1").map_err(|f| f.reason), Err("saml.in_response_to"));
    assert_eq!(
        answered(&without, "").map_err(|f| f.reason),
        Err("saml.in_response_to"),
        "none is no answer to none"
    );
}

#[test]
fn one_name_has_one_key_however_it_is_written() {
    let key = |change: &dyn Fn(&mut NameId)| {
        let mut name = name("alice");
        change(&mut name);
        message::key(&name, ISSUER, OURS)
    };
    let plain = key(&|_| {});
    assert_eq!(plain, key(&|n| n.name_qualifier = Some(ISSUER.to_owned())));
    assert_eq!(plain, key(&|n| n.sp_name_qualifier = Some(OURS.to_owned())));
    assert_eq!(key(&|n| n.format = None), key(&|n| n.format = Some(UNSPECIFIED.to_owned())));
    // an empty qualifier says what none does
    assert_eq!(plain, key(&|n| n.name_qualifier = Some(String::new())));
    assert_eq!(plain, key(&|n| n.sp_name_qualifier = Some(String::new())));
    assert_eq!(key(&|n| n.format = None), key(&|n| n.format = Some(String::new())));
    for other in [
        key(&|n| n.value = "Alice".to_owned()),
        key(&|n| n.format = None),
        key(&|n| n.name_qualifier = Some(OURS.to_owned())),
        key(&|n| n.sp_name_qualifier = Some(ISSUER.to_owned())),
    ] {
        assert_ne!(plain, other);
    }
}

fn head() -> Head<'static> {
    Head { id: "_r1", now: NOW, destination: ADDRESS, issuer: ISSUER }
}

proptest! {
    /// Law: what we write says what was meant, whatever stands in it, and passes the checks that we make of others.
    #[test]
    fn what_we_write_is_read_as_it_was_meant(
        value in "\\PC{1,40}", qualifier in proptest::option::of("\\PC{1,20}"),
        session in proptest::option::of("\\PC{1,40}"), partial in any::<bool>(),
    ) {
        let name = NameId { value, format: None, name_qualifier: qualifier, sp_name_qualifier: None };
        let text = message::write_request(head(), &name, session.as_deref()).unwrap();
        let read = asked(&text).unwrap();
        prop_assert_eq!(&read.name, &name);
        prop_assert_eq!(read.sessions.first(), session.as_ref());
        let kept = message::remembered(&name, ISSUER, OURS).unwrap();
        let written = message::written(&kept.written).unwrap();
        prop_assert_eq!(&written, &name);
        prop_assert_eq!(kept.key, message::key(&read.name, ISSUER, OURS));
        let outcome = if partial { LogoutOutcome::Partial } else { LogoutOutcome::Complete };
        let text = message::write_response(head(), "_q1", outcome).unwrap();
        prop_assert_eq!(answered(&text, "_q1").unwrap(), outcome);
        let text = message::write_response(head(), "_q1", LogoutOutcome::Failed).unwrap();
        prop_assert_eq!(answered(&text, "_q1").unwrap_err().reason, "saml.logout.status");
    }

    /// Law: a message passes only if each of its parts is the expected one; nothing panics on any.
    #[test]
    fn only_what_fits_in_every_part_passes(
        version in prop::sample::select(vec![Some("2.0"), Some("2"), None]),
        issued in -500_i64..200, ends in proptest::option::of(-200_i64..200),
        destination in prop::sample::select(vec![Some(ADDRESS), Some(OURS), None]),
        issuer in prop::sample::select(vec![Some(ISSUER), Some(OURS), None]),
        inside in prop_oneof![
            Just("<saml:NameID>alice</saml:NameID>".to_owned()),
            "[a-z<>/&; ]{0,40}",
        ],
    ) {
        let at = |seconds: i64| Timestamp(NOW.0 + seconds * 1000).rfc3339();
        let parts = Parts {
            version: version.map(str::to_owned),
            issued: Some(at(issued)),
            ends: ends.map(at),
            destination: destination.map(str::to_owned),
            issuer: issuer.map(str::to_owned),
            inside: inside.clone(),
            ..sound()
        };
        let fits = version == Some("2.0") && (-360..=60).contains(&issued) && ends.is_none_or(|ends| ends > -60)
            && destination == Some(ADDRESS) && issuer == Some(ISSUER) && inside.starts_with("<saml:NameID>");
        let outcome = asked(&parts.xml("LogoutRequest", ""));
        prop_assert_eq!(outcome.is_ok(), fits, "{:?}", outcome.err());
    }
}
