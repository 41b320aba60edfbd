//! Single faults, each with the reason that it must give.

use super::*;

/// Changes of the assertion's text, with the reason that each must give.
pub(super) fn faults() -> Vec<(&'static str, String, String, &'static str)> {
    let one = |name, from: &str, to: &str, reason| (name, from.to_owned(), to.to_owned(), reason);
    let data = format!(
        r#"<saml:SubjectConfirmationData NotOnOrAfter="{}" Recipient="{ACS}" InResponseTo="_r1"/>"#,
        at(240)
    );
    let audience = format!("<saml:Audience>{SP}</saml:Audience>");
    let restriction = format!("<saml:AudienceRestriction>{audience}</saml:AudienceRestriction>");
    let conditions = format!(
        r#"<saml:Conditions NotBefore="{}" NotOnOrAfter="{}">{restriction}</saml:Conditions>"#,
        at(-60),
        at(300)
    );
    let name_id = format!(r#"<saml:NameID Format="{PERSISTENT}">alice</saml:NameID>"#);
    let class = format!("<saml:AuthnContextClassRef>{PASSWORD}</saml:AuthnContextClassRef>");
    let context = format!("<saml:AuthnContext>{class}</saml:AuthnContext>");
    let statement = format!(
        r#"<saml:AuthnStatement AuthnInstant="{}" SessionIndex="_s1" SessionNotOnOrAfter="{}">{context}</saml:AuthnStatement>"#,
        at(-10),
        at(3600)
    );
    let condition = |more: &str| format!("{restriction}{more}");
    vec![
        one("no version", r#" Version="2.0""#, "", "saml.version"),
        one("another version", r#" Version="2.0""#, r#" Version="1.1""#, "saml.version"),
        one("no id", r#" ID="_a1""#, "", "saml.assertion.id"),
        one("an empty id", r#" ID="_a1""#, r#" ID=" ""#, "saml.assertion.id"),
        one("no issue instant", &format!(r#" IssueInstant="{}""#, at(0)), "", "saml.issue_instant"),
        one("a local issue instant", &at(0), "2027-01-15T08:00:00", "saml.issue_instant"),
        one("an offset", &at(0), "2027-01-15T08:00:00+00:00", "saml.issue_instant"),
        one("issued ahead", &at(0), &at(SKEW + 1), "saml.issue_instant"),
        one("issued long ago", &at(0), &at(-600 - SKEW - 1), "saml.issue_instant"),
        one("no issuer", &format!("<saml:Issuer>{IDP}</saml:Issuer>"), "", "saml.issuer"),
        one("another issuer", IDP, "https://evil.test/metadata", "saml.issuer"),
        one("an issuer in another case", IDP, "https://IDP.test/metadata", "saml.issuer"),
        one("an issuer with space", IDP, "https://idp.test/metadata ", "saml.issuer"),
        one("an empty issuer", IDP, "", "saml.issuer"),
        one(
            "a format of the issuer",
            "<saml:Issuer>",
            &format!(r#"<saml:Issuer Format="{PERSISTENT}">"#),
            "saml.issuer",
        ),
        one(
            "two issuers",
            "<saml:Subject>",
            &format!("<saml:Issuer>{IDP}</saml:Issuer><saml:Subject>"),
            "saml.issuer",
        ),
        one("no name", &name_id, "", "saml.subject"),
        one("two names", &name_id, &name_id.repeat(2), "saml.subject"),
        one("a base id", &name_id, "<saml:BaseID/>", "saml.subject"),
        one("an encrypted id beside it", &name_id, &format!("{name_id}<saml:EncryptedID/>"), "saml.subject"),
        one("two subjects", "<saml:Conditions", "<saml:Subject/><saml:Conditions", "saml.subject"),
        one("an empty name", ">alice<", "><", "saml.nameid.value"),
        one("a blank name", ">alice<", ">  <", "saml.nameid.value"),
        one("a name with space", ">alice<", "> alice<", "saml.nameid.value"),
        one("a name with a break", ">alice<", ">alice&#10;admin<", "saml.nameid.value"),
        one("a long name", ">alice<", &format!(">{}<", "a".repeat(257)), "saml.nameid.value"),
        one("a name for nothing", ">alice<", ">null<", "saml.nameid.value"),
        one("a name that nobody sees", ">alice<", ">\u{200b}<", "saml.nameid.value"),
        one("a name that is turned around", ">alice<", ">\u{202e}ecila<", "saml.nameid.value"),
        one("a name with elements", ">alice<", ">al<saml:i/>ice<", "saml.nameid.value"),
        one("a transient name", PERSISTENT, TRANSIENT, "saml.nameid.format"),
        one("an address for a name", PERSISTENT, EMAIL_ADDRESS, "saml.nameid.format"),
        one("a name without format", &format!(r#" Format="{PERSISTENT}""#), "", "saml.nameid.format"),
        one(
            "no confirmation",
            &format!(
                r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">{data}</saml:SubjectConfirmation>"#
            ),
            "",
            "saml.subject_confirmation",
        ),
        one("another method", "cm:bearer", "cm:holder-of-key", "saml.subject_confirmation"),
        one(
            "no method",
            r#" Method="urn:oasis:names:tc:SAML:2.0:cm:bearer""#,
            "",
            "saml.subject_confirmation",
        ),
        one("no data", &data, "", "saml.subject_confirmation"),
        one("data twice", &data, &data.repeat(2), "saml.subject_confirmation"),
        one("a confirmation for another", &data, &format!("{name_id}{data}"), "saml.subject_confirmation"),
        one("no recipient", &format!(r#" Recipient="{ACS}""#), "", "saml.recipient"),
        one("another recipient", ACS, "https://us.test/upstream/other/callback", "saml.recipient"),
        one("a recipient that begins like ours", ACS, &format!("{ACS}/"), "saml.recipient"),
        one("no end of the confirmation", &format!(r#" NotOnOrAfter="{}""#, at(240)), "", "saml.expired"),
        one("a confirmation that is over", &at(240), &at(-SKEW - 1), "saml.expired"),
        one("an odd end", &at(240), "tomorrow", "saml.expired"),
        one("a confirmation of a year", &at(240), &at(31_536_000), "saml.lifetime"),
        one(
            "a beginning of the confirmation",
            " Recipient=",
            &format!(r#" NotBefore="{}" Recipient="#, at(-60)),
            "saml.not_yet_valid",
        ),
        one("no request", r#" InResponseTo="_r1""#, "", "saml.unsolicited"),
        one("another request", "_r1", "_r2", "saml.in_response_to"),
        one("an empty request", "_r1", "", "saml.in_response_to"),
        one("no conditions", &conditions, "", "saml.conditions"),
        one("conditions twice", &conditions, &conditions.repeat(2), "saml.conditions"),
        one("not yet", &at(-60), &at(SKEW + 1), "saml.not_yet_valid"),
        one("an odd beginning", &at(-60), "", "saml.not_yet_valid"),
        one("over", &at(300), &at(-SKEW - 1), "saml.expired"),
        one("an odd end of the conditions", &at(300), "0", "saml.expired"),
        one("a year", &at(300), &at(31_536_000), "saml.lifetime"),
        one("no audience restriction", &restriction, "", "saml.audience"),
        one("an empty restriction", &audience, "", "saml.audience"),
        one("another audience", SP, "https://other.test", "saml.audience"),
        one("an audience that begins like us", SP, &format!("{SP}/x"), "saml.audience"),
        one("an empty audience", SP, "", "saml.audience"),
        one(
            "another restriction too",
            &restriction,
            &condition(
                "<saml:AudienceRestriction><saml:Audience>https://other.test</saml:Audience></saml:AudienceRestriction>",
            ),
            "saml.audience",
        ),
        one("an unknown condition", &restriction, &condition("<saml:Condition/>"), "saml.condition"),
        one(
            "a foreign condition",
            &restriction,
            &condition(r#"<x:OneTimeUse xmlns:x="urn:x"/>"#),
            "saml.condition",
        ),
        one("one time twice", &restriction, &condition(&"<saml:OneTimeUse/>".repeat(2)), "saml.condition"),
        one(
            "two proxy restrictions",
            &restriction,
            &condition(&r#"<saml:ProxyRestriction Count="2"/>"#.repeat(2)),
            "saml.condition",
        ),
        one(
            "no proxying",
            &restriction,
            &condition(r#"<saml:ProxyRestriction Count="0"/>"#),
            "saml.proxy_restriction",
        ),
        one(
            "an odd count",
            &restriction,
            &condition(r#"<saml:ProxyRestriction Count="+1"/>"#),
            "saml.proxy_restriction",
        ),
        one(
            "an empty count",
            &restriction,
            &condition(r#"<saml:ProxyRestriction Count=""/>"#),
            "saml.proxy_restriction",
        ),
        one(
            "proxying to some",
            &restriction,
            &condition(
                "<saml:ProxyRestriction><saml:Audience>https://x.test</saml:Audience></saml:ProxyRestriction>",
            ),
            "saml.proxy_restriction",
        ),
        one("no statement", &statement, "", "saml.authn_statement"),
        one("no instant", &format!(r#" AuthnInstant="{}""#, at(-10)), "", "saml.authn_statement"),
        one("an odd instant", &at(-10), "now", "saml.authn_statement"),
        one("a proof ahead", &at(-10), &at(SKEW + 1), "saml.authn_instant"),
        one("an empty session", "_s1", "", "saml.authn_statement"),
        one("a long session", "_s1", &"s".repeat(256), "saml.authn_statement"),
        one("a session that is over", &at(3600), &at(-SKEW - 1), "saml.expired"),
        one("an odd session end", &at(3600), "never", "saml.expired"),
        one("no context", &context, "", "saml.authn_context"),
        one("two contexts", &context, &context.repeat(2), "saml.authn_context"),
        one("two classes", &class, &class.repeat(2), "saml.authn_context"),
        one("an empty class", PASSWORD, "", "saml.authn_context"),
        one(
            "two latest statements",
            &statement,
            &format!("{statement}{}", statement.replace("_s1", "_s2")),
            "saml.authn_statement",
        ),
        one("an attribute without name", r#" Name="mail""#, "", "saml.attributes"),
        one("no assertion", "saml:Assertion", "saml:Evidence", "saml.xml.malformed"),
    ]
}

pub(super) type Change = fn(&mut Envelope);

pub(super) fn envelope_faults() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        ("no version", |r| r.version = None, "saml.version"),
        ("another version", |r| r.version = Some("2.1".to_owned()), "saml.version"),
        ("no status", |r| r.status.clear(), "saml.status"),
        ("a status of somebody's own", |r| r.status = vec!["Success".to_owned()], "saml.status"),
        ("no issue instant", |r| r.issue_instant = None, "saml.issue_instant"),
        ("issued ahead", |r| r.issue_instant = Some(at(SKEW + 1)), "saml.issue_instant"),
        ("issued long ago", |r| r.issue_instant = Some(at(-600 - SKEW - 1)), "saml.issue_instant"),
        (
            "another destination",
            |r| r.destination = Some("https://other.test".to_owned()),
            "saml.destination",
        ),
        ("an empty destination", |r| r.destination = Some(String::new()), "saml.destination"),
        ("no request", |r| r.in_response_to = None, "saml.unsolicited"),
        ("another request", |r| r.in_response_to = Some("_r2".to_owned()), "saml.in_response_to"),
        ("another issuer", |r| r.issuer = Some("https://evil.test".to_owned()), "saml.issuer"),
        ("an empty issuer", |r| r.issuer = Some(String::new()), "saml.issuer"),
        ("a format of the issuer", |r| r.issuer_format = Some(PERSISTENT.to_owned()), "saml.issuer"),
    ]
}
