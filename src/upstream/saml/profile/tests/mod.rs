//! The checks of the profile: each fact alone, every pair of faults, and changes at random.

mod faults;
mod limits;

use super::*;
use crate::failure::{OAuthCode, UserMessage};
use crate::upstream::Trace;
use crate::upstream::saml::open::{Envelope, Signed};
use faults::{envelope_faults, faults};
use proptest::prelude::*;

/// 2027-01-15T08:00:00Z
const NOW: i64 = 1_800_000_000;
const SKEW: i64 = 30;
const IDP: &str = "https://idp.test/metadata";
const SP: &str = "https://us.test/upstream/acme/metadata";
const ACS: &str = "https://us.test/upstream/acme/callback";
const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
const MFA: &str = "https://refeds.org/profile/mfa";

fn at(offset: i64) -> String {
    Timestamp::from_secs(NOW + offset).rfc3339()
}

fn assertion() -> String {
    format!(
        r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a1" IssueInstant="{now}" Version="2.0"><saml:Issuer>{IDP}</saml:Issuer><saml:Subject><saml:NameID Format="{PERSISTENT}">alice</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{confirmed}" Recipient="{ACS}" InResponseTo="_r1"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{from}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{proved}" SessionIndex="_s1" SessionNotOnOrAfter="{session}"><saml:AuthnContext><saml:AuthnContextClassRef>{PASSWORD}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="mail"><saml:AttributeValue>alice@acme.test</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"#,
        now = at(0),
        confirmed = at(240),
        from = at(-60),
        until = at(300),
        proved = at(-10),
        session = at(3600),
    )
}

fn envelope() -> Envelope {
    Envelope {
        signed: true,
        id: "_m1".to_owned(),
        version: Some("2.0".to_owned()),
        issue_instant: Some(at(0)),
        destination: Some(ACS.to_owned()),
        in_response_to: Some("_r1".to_owned()),
        issuer: Some(IDP.to_owned()),
        issuer_format: None,
        status: vec!["urn:oasis:names:tc:SAML:2.0:status:Success".to_owned()],
        status_message: None,
    }
}

/// What a case can change.
struct Case {
    entity_id: &'static str,
    issuer: &'static str,
    acs: &'static str,
    request_id: &'static str,
    assertion: String,
    response: Envelope,
    subject: SubjectPolicy,
    contexts: Vec<String>,
    demanded: Demanded,
    now: Timestamp,
}

impl Case {
    fn valid() -> Self {
        Self {
            entity_id: SP,
            issuer: IDP,
            acs: ACS,
            request_id: "_r1",
            assertion: assertion(),
            response: envelope(),
            subject: SubjectPolicy { formats: [PERSISTENT.to_owned()].into(), attribute: None },
            contexts: Vec::new(),
            demanded: Demanded { begun_at: Some(Timestamp::from_secs(NOW - 20)), ..Demanded::default() },
            now: Timestamp::from_secs(NOW),
        }
    }

    fn edited(from: &str, to: &str) -> Self {
        Self::valid().edit(from, to)
    }

    fn edit(mut self, from: &str, to: &str) -> Self {
        assert!(self.assertion.contains(from), "nothing to change: {from}");
        self.assertion = self.assertion.replacen(from, to, 1);
        self
    }

    fn run(&self) -> (Result<Said, Failure>, Trace) {
        let names: Names = toml::from_str("email = 'mail'").unwrap();
        let expected = Expected {
            entity_id: self.entity_id,
            issuer: self.issuer,
            acs: self.acs,
            request_id: self.request_id,
            now: self.now,
            skew: Duration::from_secs(SKEW.unsigned_abs()),
            max_lifetime: Duration::from_secs(7200),
            max_age: Duration::from_secs(600),
            subject: &self.subject,
            contexts: &self.contexts,
            names: &names,
            demanded: &self.demanded,
        };
        let opened = Opened {
            assertion: self.assertion.clone(),
            signed: Signed { assertion: true, response: self.response.signed },
            encrypted: false,
            response: self.response.clone(),
        };
        let mut trace = Trace::default();
        let outcome = check(&opened, &expected, &mut Checks::new(&mut trace));
        // what fails is the trace's last step, and nothing before it failed
        match &outcome {
            Ok(_) => assert!(trace.steps().iter().all(|step| step.passed), "{trace:?}"),
            Err(failure) => {
                let (last, before) = trace.steps().split_last().expect("a step");
                assert_eq!((last.check.as_str(), last.passed), (failure.reason, false));
                assert!(before.iter().all(|step| step.passed), "{trace:?}");
            }
        }
        (outcome, trace)
    }

    fn reason(&self) -> Result<(), &'static str> {
        self.run().0.map(drop).map_err(|failure| failure.reason)
    }

    fn said(&self) -> Said {
        self.run().0.unwrap_or_else(|failure| panic!("{}", failure.for_operator()))
    }
}

#[test]
fn a_valid_answer_says_who_it_is() {
    let said = Case::valid().said();
    assert_eq!((said.subject.as_str(), said.format.as_str()), ("alice", PERSISTENT));
    assert_eq!(said.claims["email"], "alice@acme.test");
    assert_eq!(said.claims["attributes"]["mail"], "alice@acme.test");
    assert_eq!(said.authentication.auth_time, Some(Timestamp::from_secs(NOW - 10)));
    assert_eq!(said.authentication.acr.as_deref(), Some(PASSWORD));
    assert_eq!(said.authentication.upstream_session.as_deref(), Some("_s1"));
    assert_eq!(said.authentication.session_ends, Some(Timestamp::from_secs(NOW + 3600)));
    assert_eq!(said.issued, Timestamp::from_secs(NOW));
    // remembered as long as it could pass: to the end of its confirmation, which is before that of its conditions
    assert_eq!(said.replay, (format!("assertion:_a1:{IDP}"), Timestamp::from_secs(NOW + 240 + SKEW)));
}

#[test]
fn every_fact_that_is_missing_or_wrong_refuses_with_its_reason() {
    assert_eq!(Case::valid().reason(), Ok(()));
    for (name, from, to, reason) in faults() {
        assert_eq!(Case::edited(&from, &to).reason(), Err(reason), "{name}");
    }
}

/// What samael does not look at, or only where it is there (the findings, 6): each is among the faults that refuse.
#[test]
fn what_the_library_passes_over_is_a_fault_here() {
    let faults: Vec<&str> = faults()
        .into_iter()
        .map(|(name, ..)| name)
        .chain(envelope_faults().into_iter().map(|(name, ..)| name))
        .collect();
    for passed_over in [
        "no conditions",
        "no audience restriction",
        "another restriction too",
        "no end of the confirmation",
        "issued ahead",
        "one time twice",
        "a session that is over",
        "no context",
        "no version",
        "no issuer",
        "no request",
        "no status",
    ] {
        assert!(faults.contains(&passed_over), "{passed_over} is not among {faults:?}");
    }
}

#[test]
fn something_else_than_an_assertion_is_none() {
    let case = Case { assertion: assertion().replace("saml:Assertion", "saml:Evidence"), ..Case::valid() };
    assert_eq!(case.reason(), Err("saml.assertion.type"));
    let namespace = "urn:oasis:names:tc:SAML:2.0:assertion";
    assert_eq!(
        Case::edited(namespace, "urn:oasis:names:tc:SAML:1.0:assertion").reason(),
        Err("saml.assertion.type")
    );
}

#[test]
fn what_the_standard_allows_is_allowed() {
    let restriction =
        format!("<saml:AudienceRestriction><saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction>");
    let confirmation = assertion()
        .split_once("<saml:SubjectConfirmation ")
        .unwrap()
        .1
        .split_once("</saml:Subject>")
        .unwrap()
        .0
        .to_owned();
    let confirmation = format!("<saml:SubjectConfirmation {confirmation}");
    let key = confirmation.replace("cm:bearer", "cm:holder-of-key");
    let elsewhere = confirmation.replace(ACS, "https://other.test/acs");
    for (from, to) in [
        (
            "<saml:Issuer>".to_owned(),
            r#"<saml:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity">"#.to_owned(),
        ),
        (" Recipient=".to_owned(), r#" Address="203.0.113.9" Recipient="#.to_owned()),
        (restriction.clone(), format!("{restriction}<saml:OneTimeUse/>")),
        (restriction.clone(), format!(r#"{restriction}<saml:ProxyRestriction Count="1"/>"#)),
        (restriction.clone(), format!("{restriction}{restriction}")),
        (
            format!("<saml:Audience>{SP}"),
            format!("<saml:Audience>https://other.test</saml:Audience><saml:Audience>{SP}"),
        ),
        (format!(r#" NotBefore="{}""#, at(-60)), String::new()),
        (format!(r#" NotOnOrAfter="{}""#, at(300)), String::new()),
        (format!(r#" SessionNotOnOrAfter="{}""#, at(3600)), String::new()),
        (r#" SessionIndex="_s1""#.to_owned(), String::new()),
        (at(0), at(0).replace('Z', ".1234567Z")),
        (confirmation.clone(), format!("{key}{elsewhere}{confirmation}")),
        (confirmation.clone(), format!("{confirmation}{elsewhere}{key}")),
    ] {
        assert_eq!(Case::edited(&from, &to).reason(), Ok(()), "{to}");
    }
}

#[test]
fn two_statements_give_the_later_proof_and_the_earlier_end() {
    let whole = assertion();
    let statement = whole
        .split_once("<saml:AuthnStatement")
        .unwrap()
        .1
        .split_once("<saml:AttributeStatement>")
        .unwrap()
        .0;
    let statement = format!("<saml:AuthnStatement{statement}");
    let earlier = statement.replace(&at(-10), &at(-500)).replace(PASSWORD, MFA).replace(&at(3600), &at(60));
    for both in [format!("{earlier}{statement}"), format!("{statement}{earlier}")] {
        let said = Case::edited(&statement, &both).said();
        assert_eq!(said.authentication.upstream_session.as_deref(), Some("_s1"));
        assert_eq!(said.authentication.acr.as_deref(), Some(PASSWORD));
        assert_eq!(said.authentication.session_ends, Some(Timestamp::from_secs(NOW + 60)));
    }
    assert_eq!(Case::edited(&statement, &statement.repeat(2)).reason(), Ok(()), "the same twice is one");
}

#[test]
fn saml_070_what_is_allowed_for_clocks_is_exact() {
    let edges = [
        // (the time, the last offset that holds, the first that does not, the reason)
        (at(240), -SKEW + 1, -SKEW, "saml.expired"),
        (at(300), -SKEW + 1, -SKEW, "saml.expired"),
        (at(3600), -SKEW + 1, -SKEW, "saml.expired"),
        (at(240), 7200 + SKEW, 7200 + SKEW + 1, "saml.lifetime"),
        (at(300), 7200 + SKEW, 7200 + SKEW + 1, "saml.lifetime"),
        (at(-60), SKEW, SKEW + 1, "saml.not_yet_valid"),
        (at(0), SKEW, SKEW + 1, "saml.issue_instant"),
        (at(0), -600 - SKEW, -600 - SKEW - 1, "saml.issue_instant"),
        (at(-10), SKEW, SKEW + 1, "saml.authn_instant"),
    ];
    for (time, holds, fails, reason) in edges {
        // of the two ends of validity the other one must not be the first to fail
        let near = if time == at(300) { Case::valid() } else { Case::edited(&at(300), &at(900)) };
        let time = if time == at(300) { at(300) } else { time };
        let with = |offset: i64| {
            let case = Case { assertion: near.assertion.clone(), ..Case::valid() };
            let case = if time == at(-60) { case.edit(&at(900), &at(1800)) } else { case };
            case.edit(&time, &at(offset)).reason()
        };
        assert_eq!(with(holds), Ok(()), "{reason} at {holds}");
        assert_eq!(with(fails), Err(reason), "{reason} at {fails}");
    }
}

#[test]
fn conditions_that_end_before_they_begin_hold_at_no_time() {
    let case = Case::edited(&at(-60), &at(20)).edit(&at(300), &at(20));
    assert_eq!(case.reason(), Err("saml.conditions"));
    assert_eq!(Case::edited(&at(-60), &at(20)).edit(&at(300), &at(21)).reason(), Ok(()));
}

#[test]
fn what_stands_on_the_response_refuses_whether_it_is_signed_or_not() {
    for signed in [true, false] {
        for (name, change, reason) in envelope_faults() {
            let mut case = Case::valid();
            case.response.signed = signed;
            change(&mut case.response);
            assert_eq!(case.reason(), Err(reason), "{name}, signed: {signed}");
        }
        let mut case = Case::valid();
        case.response.signed = signed;
        case.response.destination = None;
        assert_eq!(case.reason(), if signed { Err("saml.destination") } else { Ok(()) });
        let mut case = Case::valid();
        case.response.signed = signed;
        case.response.issuer = None;
        assert_eq!(case.reason(), if signed { Err("saml.issuer") } else { Ok(()) });
    }
}

#[test]
fn nothing_that_is_not_signed_helps() {
    // whatever the envelope says, the assertion alone decides who it is, for whom, and for how long
    for (name, from, to, reason) in faults() {
        let mut case = Case::edited(&from, &to);
        case.response.signed = false;
        assert_eq!(case.reason(), Err(reason), "{name}");
    }
}

#[test]
fn what_the_provider_says_went_wrong_is_told_in_fitting_words() {
    let told = |codes: &[&str], message: Option<&str>| {
        let response = Envelope {
            status: codes.iter().map(|code| format!("urn:oasis:names:tc:SAML:2.0:status:{code}")).collect(),
            status_message: message.map(str::to_owned),
            ..envelope()
        };
        let mut trace = Trace::default();
        let failure = declined(&response, &mut Checks::new(&mut trace));
        assert_eq!(failure.reason, "saml.status");
        let last = trace.steps().last().unwrap().clone();
        assert!(!last.passed);
        (failure.code, failure.user, last.received)
    };
    let quiet = told(&["Responder", "NoPassive"], None);
    assert_eq!(
        quiet,
        (OAuthCode::LoginRequired, UserMessage::StartAgain, "Responder / NoPassive".to_owned())
    );
    for no in ["AuthnFailed", "RequestDenied", "UnknownPrincipal"] {
        let (code, user, _) = told(&["Responder", no], None);
        assert_eq!((code, user), (OAuthCode::AccessDenied, UserMessage::ProviderDenied));
    }
    let (code, user, _) = told(&["Responder", "NoAuthnContext"], None);
    assert_eq!((code, user), (OAuthCode::UnmetAuthenticationRequirements, UserMessage::ProviderDenied));
    for codes in [&["Requester"][..], &["Requester", "InvalidNameIDPolicy"], &["VersionMismatch"], &[]] {
        let (code, user, _) = told(codes, None);
        assert_eq!((code, user), (OAuthCode::TemporarilyUnavailable, UserMessage::ProviderUnavailable));
    }
    let (_, _, received) = told(&["Responder"], Some("\u{1b}[31mno\u{202e}<b>"));
    assert!(received.starts_with("Responder: ") && !received.contains(['\u{1b}', '\u{202e}']), "{received}");
    let (_, user, _) = told(&["Success"], None);
    assert_eq!(user, UserMessage::ProviderAnswerRefused, "success without anybody is none");
}

fn unmet(case: &Case) -> Result<(), (&'static str, OAuthCode)> {
    case.run().0.map(drop).map_err(|failure| (failure.reason, failure.code))
}

#[test]
fn saml_090_a_context_that_was_demanded_must_be_reached() {
    let refused = Err(("saml.authn_context", OAuthCode::UnmetAuthenticationRequirements));
    let with = |contexts: &[&str], demanded: &[&str]| {
        let mut case = Case::valid();
        case.contexts = contexts.iter().map(|class| (*class).to_owned()).collect();
        case.demanded.acr_values = demanded.iter().map(|class| (*class).to_owned()).collect();
        case
    };
    assert_eq!(unmet(&with(&[MFA, PASSWORD], &[PASSWORD])), Ok(()));
    assert_eq!(unmet(&with(&[MFA], &[])), refused);
    assert_eq!(unmet(&with(&[], &[MFA])), refused);
    assert_eq!(
        unmet(&with(&[MFA], &[PASSWORD])),
        refused,
        "the app does not lower what the configuration demands"
    );
    let class = format!("<saml:AuthnContextClassRef>{PASSWORD}</saml:AuthnContextClassRef>");
    assert_eq!(unmet(&with(&[], &[]).edit(&class, "")), Ok(()));
    assert_eq!(unmet(&with(&[PASSWORD], &[]).edit(&class, "")), refused);
}

#[test]
fn a_fresh_proof_that_was_demanded_must_be_shown() {
    let refused = Err(("saml.authn_instant", OAuthCode::UnmetAuthenticationRequirements));
    let told = |proved: i64, change: fn(&mut Demanded)| {
        let mut case = Case::edited(&at(-10), &at(proved));
        change(&mut case.demanded);
        unmet(&case)
    };
    // it began 20 s ago, and 30 s are allowed for clocks
    assert_eq!(told(-50, |d| d.force_authentication = true), Ok(()));
    assert_eq!(told(-51, |d| d.force_authentication = true), refused);
    assert_eq!(told(-51, |_| ()), Ok(()));
    assert_eq!(told(-90, |d| d.max_age = Some(Duration::from_secs(60))), Ok(()));
    assert_eq!(told(-91, |d| d.max_age = Some(Duration::from_secs(60))), refused);
    assert_eq!(
        told(-10, |d| {
            d.force_authentication = true;
            d.begun_at = None;
        }),
        refused,
        "without a beginning nothing is shown to be after it"
    );
    // the proof that was known before is no new one, whatever is allowed for clocks
    assert_eq!(told(-10, |d| d.later_than = Some(Timestamp::from_secs(NOW - 11))), Ok(()));
    assert_eq!(told(-10, |d| d.later_than = Some(Timestamp::from_secs(NOW - 10))), refused);
    assert_eq!(
        told(-20, |d| d.later_than = Some(Timestamp::from_secs(NOW - 20))),
        Ok(()),
        "who leaves, signs in and leaves again within a second"
    );
}

#[test]
fn saml_094_a_transient_name_is_nobodys_key_unless_an_attribute_is() {
    let mut case = Case::edited(PERSISTENT, TRANSIENT);
    case.subject.formats.insert(TRANSIENT.to_owned());
    assert_eq!(case.reason(), Err("saml.nameid.format"), "not even where the configuration lists it");
    case.subject.attribute = Some("mail".to_owned());
    let said = case.said();
    assert_eq!((said.subject.as_str(), said.format.as_str()), ("alice@acme.test", "attribute:mail"));
    assert_eq!(said.name_id.value, "alice", "logout names the person as the provider did");
    for values in [
        "",
        "<saml:AttributeValue/>",
        "<saml:AttributeValue>a</saml:AttributeValue><saml:AttributeValue>b</saml:AttributeValue>",
    ] {
        let case = Case { subject: case.subject.clone(), ..Case::valid() };
        let case = case.edit("<saml:AttributeValue>alice@acme.test</saml:AttributeValue>", values);
        assert_eq!(case.reason(), Err("saml.subject_attribute"), "{values}");
    }
    let case = Case { subject: case.subject, ..Case::valid() }.edit(r#"Name="mail""#, r#"Name="other""#);
    assert_eq!(case.reason(), Err("saml.subject_attribute"));
}

#[test]
fn saml_087_names_of_different_formats_and_qualifiers_never_meet() {
    let key = |attributes: &str| {
        let mut case = Case::edited(&format!(r#" Format="{PERSISTENT}""#), attributes);
        case.subject.formats.extend([UNSPECIFIED.to_owned(), EMAIL_ADDRESS.to_owned()]);
        case.said().format
    };
    let persistent = format!(r#" Format="{PERSISTENT}""#);
    let plain = key(&persistent);
    // SAML Core §8.3.7: these mean the same
    assert_eq!(key(&format!(r#"{persistent} NameQualifier="{IDP}" SPNameQualifier="{SP}""#)), plain);
    let all = [
        plain,
        key(""),
        key(&format!(r#" Format="{EMAIL_ADDRESS}""#)),
        key(&format!(r#"{persistent} NameQualifier="x""#)),
        key(&format!(r#"{persistent} SPNameQualifier="x""#)),
        key(&format!(r#"{persistent} NameQualifier="x&amp;sp_name_qualifier=y""#)),
        key(&format!(r#"{persistent} NameQualifier="x" SPNameQualifier="y""#)),
        key(&format!(r#"{persistent} NameQualifier="""#)),
        key(&format!(r#" NameQualifier="{IDP}""#)),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:#?}");
    assert_eq!(key(&format!(r#" Format="{UNSPECIFIED}""#)), key(""), "no format is the unspecified one");
}

#[test]
fn a_replay_is_remembered_until_nothing_could_pass() {
    let data = format!(r#"<saml:SubjectConfirmationData NotOnOrAfter="{}""#, at(240));
    let confirmation = assertion()
        .split_once("<saml:SubjectConfirmation ")
        .unwrap()
        .1
        .split_once("</saml:Subject>")
        .unwrap()
        .0
        .to_owned();
    let later = format!("<saml:SubjectConfirmation {confirmation}").replace(&at(240), &at(280));
    let case = Case::edited("</saml:Subject>", &format!("{later}</saml:Subject>"));
    assert_eq!(case.said().replay.1, Timestamp::from_secs(NOW + 280 + SKEW), "the later of two that hold");
    let short = Case::edited(&at(300), &at(100));
    assert_eq!(short.said().replay.1, Timestamp::from_secs(NOW + 100 + SKEW));
    let mut after = Case::edited(&data, &data);
    after.now = Timestamp::from_secs(NOW + 240 + SKEW);
    assert_eq!(after.reason(), Err("saml.expired"), "and at that moment it passes no more");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Law: an answer passes exactly if nothing in it is at fault; with two faults the reason is one of theirs.
    #[test]
    fn two_faults_refuse_with_the_reason_of_one(first in 0..80_usize, second in 0..14_usize, signed: bool) {
        let faults = faults();
        let (_, from, to, reason) = &faults[first % faults.len()];
        let all = envelope_faults();
        let (_, change, other) = &all[second % all.len()];
        let mut case = Case::edited(from, to);
        case.response.signed = signed;
        change(&mut case.response);
        let outcome = case.reason();
        prop_assert!(outcome == Err(*reason) || outcome == Err(*other), "{:?}", outcome);
    }

    /// Law: a change of one character in what is held to a value of ours refuses.
    #[test]
    fn one_changed_character_refuses(which in 0..7_usize, at in 0..200_usize, to in "[ -~&&[^<&\"]]") {
        let values = [IDP, SP, ACS, "_r1", "2.0", "urn:oasis:names:tc:SAML:2.0:cm:bearer", PERSISTENT];
        let value = values[which];
        let at = at % value.len();
        let changed = format!("{}{to}{}", &value[..at], &value[at + 1..]);
        prop_assume!(changed != value);
        // the version stands behind what else holds "2.0"
        let (from, into) = match value {
            "2.0" => (r#"Version="2.0""#.to_owned(), format!(r#"Version="{changed}""#)),
            other => (other.to_owned(), changed),
        };
        prop_assert!(Case::edited(&from, &into).reason().is_err());
    }

    /// Law: reading is total, whatever stands there.
    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,200}", cut in 0..3000_usize, status in "\\PC{0,40}") {
        let whole = assertion();
        let cut = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        for assertion in [text.clone(), format!("{}{text}", &whole[..cut]), format!("{}{text}{}", &whole[..cut], &whole[cut..])] {
            let mut case = Case::valid();
            case.assertion = assertion;
            let _ = case.reason();
            case.response.status = vec![status.clone()];
            prop_assert_eq!(case.reason(), Err("saml.status"));
        }
    }
}
