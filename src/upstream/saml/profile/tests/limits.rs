//! Where limits lie, to the character; expectations of nobody; and several proofs of one moment.

use super::*;

/// The valid assertion's statement of the act.
fn statement() -> String {
    let whole = assertion();
    let (_, rest) = whole.split_once("<saml:AuthnStatement").unwrap();
    let (inner, _) = rest.split_once("<saml:AttributeStatement>").unwrap();
    format!("<saml:AuthnStatement{inner}")
}

/// Three bytes each: a limit is one of characters where its words say so.
fn letters(count: usize) -> String {
    "語".repeat(count)
}

#[test]
fn a_length_is_taken_to_the_last_character_and_no_further() {
    let attribute = |case: Case| Case {
        subject: SubjectPolicy {
            formats: [PERSISTENT.to_owned()].into(),
            attribute: Some("mail".to_owned()),
        },
        ..case
    };
    let cases: [(&str, String, String, String, &str); 5] = [
        ("ID", "_a1".to_owned(), "a".repeat(255), "a".repeat(256), "saml.assertion.id"),
        ("NameID", ">alice<".to_owned(), letters(256), letters(257), "saml.nameid.value"),
        ("SessionIndex", "_s1".to_owned(), letters(255), letters(256), "saml.authn_statement"),
        ("AuthnContextClassRef", PASSWORD.to_owned(), letters(255), letters(256), "saml.authn_context"),
        (
            "subject_attribute",
            ">alice@acme.test<".to_owned(),
            letters(256),
            letters(257),
            "saml.subject_attribute",
        ),
    ];
    for (what, from, longest, longer, reason) in cases {
        let with = |text: &str| {
            let text = if from.starts_with('>') { format!(">{text}<") } else { text.to_owned() };
            let case = Case::edited(&from, &text);
            if what == "subject_attribute" { attribute(case) } else { case }
        };
        let said = with(&longest).said();
        let all = format!("{said:?}");
        assert!(all.contains(&longest), "{what} is kept whole: {all}");
        assert_eq!(with(&longer).reason(), Err(reason), "{what}");
    }
}

#[test]
fn where_nothing_is_expected_nothing_fits() {
    let unsigned = |mut case: Case| {
        case.response.signed = false;
        (case.response.issuer, case.response.destination) = (None, None);
        case
    };
    let issuer = format!("<saml:Issuer>{IDP}</saml:Issuer>");
    let mut envelope = Case { issuer: "", ..Case::edited(&issuer, "<saml:Issuer></saml:Issuer>") };
    envelope.response.issuer = Some(String::new());
    assert_eq!(envelope.reason(), Err("saml.issuer"), "on the response");
    assert_eq!(unsigned(envelope).reason(), Err("saml.issuer"), "on the assertion");

    let audience = format!("<saml:Audience>{SP}</saml:Audience>");
    for said in ["<saml:Audience></saml:Audience>", "<saml:Audience/>", ""] {
        let case = Case { entity_id: "", ..Case::edited(&audience, said) };
        assert_eq!(case.reason(), Err("saml.audience"), "{said}");
    }

    let mut request = Case { request_id: "", ..Case::edited(r#"InResponseTo="_r1""#, r#"InResponseTo="""#) };
    request.response.in_response_to = Some(String::new());
    assert_eq!(request.reason(), Err("saml.in_response_to"));

    let mut address = Case { acs: "", ..Case::edited(ACS, "") };
    address.response.destination = Some(String::new());
    assert_eq!(address.reason(), Err("saml.destination"));
    assert_eq!(unsigned(address).reason(), Err("saml.recipient"));
    assert_eq!(unsigned(Case::valid()).reason(), Ok(()), "what does not stand on the response is not needed");
}

#[test]
fn of_two_latest_proofs_neither_may_differ_in_what_it_tells() {
    let one = statement();
    let class = format!("<saml:AuthnContextClassRef>{PASSWORD}</saml:AuthnContextClassRef>");
    let with = |others: &[String]| Case::edited(&one, &others.concat());
    let earlier = one.replace(&at(-10), &at(-11)).replace(PASSWORD, MFA);
    for (what, other) in [
        ("another session", one.replace("_s1", "_s2")),
        ("no session", one.replace(r#" SessionIndex="_s1""#, "")),
        ("another class", one.replace(PASSWORD, MFA)),
        ("no class", one.replace(&class, "")),
        // the same instant, written otherwise
        (
            "another way to write it",
            one.replace(&at(-10), &at(-10).replace('Z', ".000Z")).replace("_s1", "_s2"),
        ),
    ] {
        assert_ne!(other, one);
        for both in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
            assert_eq!(with(&both).reason(), Err("saml.authn_statement"), "{what}");
            let [first, second] = both;
            let three = [first, earlier.clone(), second];
            assert_eq!(with(&three).reason(), Err("saml.authn_statement"), "{what}, and an earlier one");
        }
    }
    // a millisecond tells them apart, and an end of the session is not about the act
    let later = one.replace(&at(-10), &at(-10).replace('Z', ".001Z"));
    let strong = later.replace(PASSWORD, MFA);
    assert_eq!(with(&[one.clone(), strong]).said().authentication.acr.as_deref(), Some(MFA));
    // A session is one, whichever of them name it: a logout may name any (Core §3.7.1).
    for other in [&earlier, &later] {
        for both in [[one.clone(), other.replace("_s1", "_s2")], [other.replace("_s1", "_s2"), one.clone()]] {
            assert_eq!(with(&both).reason(), Err("saml.authn_statement"));
        }
        let bare = other.replace(r#" SessionIndex="_s1""#, "");
        for both in [[one.clone(), bare.clone()], [bare.clone(), one.clone()]] {
            assert_eq!(with(&both).said().authentication.upstream_session.as_deref(), Some("_s1"));
        }
    }
    let sooner = one.replace(&at(3600), &at(60));
    for both in [[one.clone(), sooner.clone()], [sooner, one.clone()]] {
        let said = with(&both).said();
        assert_eq!(said.authentication.session_ends, Some(Timestamp::from_secs(NOW + 60)));
        assert_eq!(said.authentication.upstream_session.as_deref(), Some("_s1"));
    }
    // three of which the earlier two differ from each other alone
    let others = [earlier.clone(), earlier.replace(MFA, PASSWORD), one.clone()];
    assert_eq!(with(&others).said().authentication.upstream_session.as_deref(), Some("_s1"));
}

/// An operator reads in the trace what came, cleaned of what a terminal would obey.
#[test]
fn the_trace_shows_what_came_in_place_of_what_was_expected() {
    for (from, to, received) in [
        (r#" Version="2.0""#.to_owned(), r#" Version="1.1""#.to_owned(), "Assertion: 1.1"),
        (r#" Version="2.0""#.to_owned(), String::new(), "Assertion: absent"),
        (ACS.to_owned(), "https://x.test/&#x202e;acs".to_owned(), "https://x.test/"),
        (format!(r#" Recipient="{ACS}""#), String::new(), "absent"),
        ("_r1".to_owned(), "_r2".to_owned(), "SubjectConfirmationData: _r2"),
        (at(300), "soon".to_owned(), "Conditions: soon"),
        (SP.to_owned(), "https://x.test".to_owned(), "https://x.test"),
        ("<saml:AudienceRestriction>".to_owned(), "<saml:Odd/><saml:AudienceRestriction>".to_owned(), "Odd"),
        ("cm:bearer".to_owned(), "cm:sender-vouches".to_owned(), "cm:sender-vouches"),
        ("<saml:Conditions".to_owned(), "<saml:Subject/><saml:Conditions".to_owned(), "2 Subject elements"),
    ] {
        let (outcome, trace) = Case::edited(&from, &to).run();
        assert!(outcome.is_err(), "{to}");
        let last = trace.steps().last().unwrap().received.clone();
        assert!(last.contains(received) && !last.contains('\u{202e}'), "{last}, wanted {received}");
    }
}
