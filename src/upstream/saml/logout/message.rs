//! Messages of single logout (SAML Core §3.7): what they must say, and ours. Pure, on the injected clock, on text
//! whose signature holds. Whatever is absent or malformed fails like what is wrong.

use crate::context::Timestamp;
use crate::failure::Failure;
use crate::sessions::UpstreamName;
use crate::upstream::LogoutOutcome;
use crate::upstream::checks::{Checks, clean, refused};
use crate::upstream::saml::profile::{NameId, UNSPECIFIED, instant};
use crate::upstream::saml::{ns, shape, xml};
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use roxmltree::Node;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// The greatest age of a message, and how long ours hold.
pub(super) const MAX_AGE: Duration = Duration::from_secs(300);
/// Sessions that one message may name.
const MOST_SESSIONS: usize = 64;
/// Characters of a SessionIndex.
const MAX_SESSION: usize = 255;
/// Characters of a name, and of its format and qualifiers (SAML Core §8.3.6, §8.3.7).
const MAX_NAME: usize = 256;
const MAX_URI: usize = 1024;
/// Bytes of a name in our own writing.
const MAX_WRITTEN: usize = 4096;
/// The only format that an issuer may have (SAML Core §2.2.5, Profiles §4.4.4.1).
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
/// What all status codes of the standard begin with (SAML Core §3.2.2.2).
const STATUS: &str = "urn:oasis:names:tc:SAML:2.0:status:";

/// What a message must be about; all of it from our configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The provider's entity id.
    pub issuer: &'a str,
    /// Our logout address for it.
    pub address: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How far its clock may differ from ours.
    pub skew: Duration,
}

/// What a LogoutRequest asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// `ID`
    pub id: String,
    /// Whom it means.
    pub name: NameId,
    /// The provider's sessions; all of the person's if empty.
    pub sessions: Vec<String>,
    /// When it was made, by the provider's clock.
    pub issued: Timestamp,
    /// `NotOnOrAfter`
    pub ends: Option<Timestamp>,
    /// Until when this very message could pass.
    pub until: Timestamp,
}

/// Whom a message says it comes from. Only good for telling whoever sent it to the wrong address.
pub(super) fn claimed_issuer(root: Node<'_, '_>) -> Option<String> {
    let issuer = xml::child(root, ns::ASSERTION, "Issuer").ok()??;
    Some(xml::text(issuer).ok()?.to_owned())
}

/// Checks a LogoutRequest (SAML Core §3.7.1, Profiles §4.4.4.1).
pub(super) fn request(
    root: Node<'_, '_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Asked, Failure> {
    let (id, issued) = common(root, expected, checks)?;
    children(
        root,
        &[
            (ns::ASSERTION, "Issuer", 1),
            (ns::PROTOCOL, "Extensions", 1),
            (ns::ASSERTION, "NameID", 1),
            (ns::PROTOCOL, "SessionIndex", MOST_SESSIONS),
        ],
        checks,
    )?;
    let mut ends = None;
    if let Some(text) = xml::attribute(root, "NotOnOrAfter") {
        ends = instant::parse(text);
        let passed = ends.is_some_and(|ends| expected.now < ends.plus(expected.skew));
        let wanted = format!("NotOnOrAfter after {}", expected.now.minus(expected.skew).rfc3339());
        checks.require("saml.expired", passed, wanted, clean(text))?;
    }
    let found = xml::child(root, ns::ASSERTION, "NameID").map_err(|failure| checks.fail(failure))?;
    let name = found.and_then(name_id);
    checks.require(
        "saml.nameid.value",
        name.is_some(),
        format!("one NameID of 1 to {MAX_NAME} characters"),
        if found.is_some() { "another one" } else { "none" },
    )?;
    let mut sessions = Vec::new();
    for node in xml::children(root, ns::PROTOCOL, "SessionIndex") {
        let text = xml::text(node).map_err(|failure| checks.fail(failure))?;
        let length = text.chars().count();
        checks.require(
            "saml.session_index",
            (1..=MAX_SESSION).contains(&length) && !text.chars().any(char::is_control),
            format!("a text of 1 to {MAX_SESSION} characters"),
            format!("{length} characters"),
        )?;
        sessions.push(text.to_owned());
    }
    let name = name.ok_or_else(|| refused("saml.nameid.value", "there is no NameID"))?;
    let until = issued.plus(MAX_AGE).plus(expected.skew);
    Ok(Asked { id, name, sessions, issued, ends, until })
}

/// Checks a LogoutResponse to the request of this `ID` (SAML Core §3.7.2, §3.2.2).
pub(super) fn response(
    root: Node<'_, '_>,
    request_id: &str,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<LogoutOutcome, Failure> {
    common(root, expected, checks)?;
    children(
        root,
        &[(ns::ASSERTION, "Issuer", 1), (ns::PROTOCOL, "Extensions", 1), (ns::PROTOCOL, "Status", 1)],
        checks,
    )?;
    let answers = xml::attribute(root, "InResponseTo");
    let passed = answers == Some(request_id) && !request_id.is_empty();
    checks.require("saml.in_response_to", passed, request_id, show(answers))?;
    let codes = shape::status(root).map_err(|failure| checks.fail(failure))?;
    let short: Vec<&str> =
        codes.iter().take(3).map(|code| code.strip_prefix(STATUS).unwrap_or(code)).collect();
    let received = if short.is_empty() { "none".to_owned() } else { clean(&short.join(" / ")) };
    // Core §3.2.2.2 lists PartialLogout with the second codes; some send it as the first, or below a failure.
    let partial = short.contains(&"PartialLogout");
    let passed = partial || short.first() == Some(&"Success");
    checks.require("saml.logout.status", passed, "Success", received)?;
    Ok(if partial { LogoutOutcome::Partial } else { LogoutOutcome::Complete })
}

/// What all messages say of themselves; the ID and when it was made.
fn common(
    root: Node<'_, '_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<(String, Timestamp), Failure> {
    let attribute = |name: &str| xml::attribute(root, name);
    checks.require("saml.version", attribute("Version") == Some("2.0"), "2.0", show(attribute("Version")))?;

    let id = attribute("ID").filter(|id| !id.trim().is_empty() && id.len() <= 255);
    checks.require("saml.message.id", id.is_some(), "an ID of 1 to 255 characters", show(attribute("ID")))?;

    let text = attribute("IssueInstant");
    let oldest = expected.now.minus(MAX_AGE);
    let issued = text
        .and_then(instant::parse)
        .filter(|at| *at <= expected.now.plus(expected.skew) && *at >= oldest.minus(expected.skew));
    let (oldest, latest) = (oldest.minus(expected.skew), expected.now.plus(expected.skew));
    let wanted = format!("between {} and {}", oldest.rfc3339(), latest.rfc3339());
    checks.require("saml.issue_instant", issued.is_some(), wanted, show(text))?;

    // Bindings §3.4.5.2, §3.5.5.2: a signed message says where it goes
    let destination = attribute("Destination");
    let passed = destination == Some(expected.address) && !expected.address.is_empty();
    checks.require("saml.destination", passed, expected.address, show(destination))?;

    let issuer = xml::child(root, ns::ASSERTION, "Issuer").map_err(|failure| checks.fail(failure))?;
    let said = issuer.map(xml::text).transpose().map_err(|failure| checks.fail(failure))?;
    let format = issuer.and_then(|issuer| xml::attribute(issuer, "Format"));
    let passed = said == Some(expected.issuer)
        && !expected.issuer.is_empty()
        && format.is_none_or(|format| format == ENTITY);
    checks.require("saml.issuer", passed, expected.issuer, show(said))?;
    Ok((id.unwrap_or_default().to_owned(), issued.unwrap_or(expected.now)))
}

/// Elements in the order of the schema, each as often as it may stand; the signature was taken out before.
fn children(
    root: Node<'_, '_>,
    allowed: &[(&str, &str, usize)],
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let mut rest = allowed.iter();
    let mut at: Option<(&(&str, &str, usize), usize)> = None;
    for node in xml::elements(root) {
        let here =
            at.filter(|((namespace, name, most), count)| xml::is(node, namespace, name) && count < most);
        at = match here {
            Some((entry, count)) => Some((entry, count + 1)),
            None => rest.find(|(namespace, name, _)| xml::is(node, namespace, name)).map(|entry| (entry, 1)),
        };
        if at.is_none() {
            let names: Vec<&str> = allowed.iter().map(|(_, name, _)| *name).collect();
            let failure = refused("saml.message.shape", "an element stands where it may not")
                .expected(names.join(", "), clean(node.tag_name().name()));
            return Err(checks.fail(failure));
        }
    }
    let passed = xml::only_elements(root);
    checks.require("saml.message.shape", passed, "elements, and white space", "text between elements")
}

fn show(value: Option<&str>) -> String {
    value.map_or_else(|| "absent".to_owned(), clean)
}

/// A NameID that can be somebody's name.
fn name_id(node: Node<'_, '_>) -> Option<NameId> {
    let value = xml::text(node).ok()?;
    let sound = |text: &str, most: usize| {
        !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
    };
    let attribute = |name: &str| match xml::attribute(node, name) {
        // an empty one says what an absent one does
        None | Some("") => Ok(None),
        Some(text) if sound(text, MAX_URI) => Ok(Some(text.to_owned())),
        Some(_) => Err(()),
    };
    if !sound(value, MAX_NAME) {
        return None;
    }
    Some(NameId {
        value: value.to_owned(),
        format: attribute("Format").ok()?,
        name_qualifier: attribute("NameQualifier").ok()?,
        sp_name_qualifier: attribute("SPNameQualifier").ok()?,
    })
}

/// A name as it is kept with a session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_qualifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp_name_qualifier: Option<String>,
}

impl From<&NameId> for Written {
    fn from(name: &NameId) -> Self {
        Self {
            value: name.value.clone(),
            format: name.format.clone(),
            name_qualifier: name.name_qualifier.clone(),
            sp_name_qualifier: name.sp_name_qualifier.clone(),
        }
    }
}

/// By what one name is found again, however it is written: no format is the unspecified one (Core §8.3.1), and a
/// qualifier that names the provider, or us, says what goes without saying between the two (Core §8.3.7). One that is empty
/// says nothing.
pub(super) fn key(name: &NameId, issuer: &str, entity_id: &str) -> String {
    let other =
        |said: &Option<String>, usual: &str| said.clone().filter(|said| !said.is_empty() && said != usual);
    let written = Written {
        value: name.value.clone(),
        format: other(&name.format, UNSPECIFIED),
        name_qualifier: other(&name.name_qualifier, issuer),
        sp_name_qualifier: other(&name.sp_name_qualifier, entity_id),
    };
    serde_json::to_string(&written).unwrap_or_default()
}

/// What a session remembers of a name, for logouts in both directions; none of one that is too long to keep.
pub(super) fn remembered(name: &NameId, issuer: &str, entity_id: &str) -> Option<UpstreamName> {
    let written =
        serde_json::to_string(&Written::from(name)).ok().filter(|text| text.len() <= MAX_WRITTEN)?;
    Some(UpstreamName { key: key(name, issuer, entity_id), written })
}

/// Reads what [`remembered`] wrote.
pub(super) fn written(text: &str) -> Option<NameId> {
    let Written { value, format, name_qualifier, sp_name_qualifier } = serde_json::from_str(text).ok()?;
    Some(NameId { value, format, name_qualifier, sp_name_qualifier })
}

/// The head of a message of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// `ID`
    pub id: &'a str,
    /// `IssueInstant`
    pub now: Timestamp,
    /// `Destination`
    pub destination: &'a str,
    /// Our entity id.
    pub issuer: &'a str,
}

/// Our LogoutRequest (SAML Core §3.7.1).
pub(super) fn write_request(head: Head<'_>, name: &NameId, session: Option<&str>) -> io::Result<String> {
    let ends = head.now.plus(MAX_AGE).rfc3339();
    write(head, "LogoutRequest", &[("NotOnOrAfter", &ends)], |out| {
        let mut start = BytesStart::new("saml:NameID");
        let attributes = [
            ("Format", &name.format),
            ("NameQualifier", &name.name_qualifier),
            ("SPNameQualifier", &name.sp_name_qualifier),
        ];
        for (key, value) in attributes {
            if let Some(value) = value {
                start.push_attribute((key, value.as_str()));
            }
        }
        text(out, start, &name.value)?;
        match session {
            Some(session) => text(out, BytesStart::new("samlp:SessionIndex"), session),
            None => Ok(()),
        }
    })
}

/// Our LogoutResponse (SAML Core §3.7.2). Not everyone told is a success with a second code (§3.2.2.2).
pub(super) fn write_response(
    head: Head<'_>,
    in_response_to: &str,
    outcome: LogoutOutcome,
) -> io::Result<String> {
    let (first, second) = match outcome {
        LogoutOutcome::Complete => ("Success", None),
        LogoutOutcome::Partial => ("Success", Some("PartialLogout")),
        LogoutOutcome::Failed => ("Responder", None),
    };
    write(head, "LogoutResponse", &[("InResponseTo", in_response_to)], |out| {
        out.write_event(Event::Start(BytesStart::new("samlp:Status")))?;
        let mut code = BytesStart::new("samlp:StatusCode");
        code.push_attribute(("Value", format!("{STATUS}{first}").as_str()));
        match second {
            None => out.write_event(Event::Empty(code))?,
            Some(second) => {
                out.write_event(Event::Start(code))?;
                let mut code = BytesStart::new("samlp:StatusCode");
                code.push_attribute(("Value", format!("{STATUS}{second}").as_str()));
                out.write_event(Event::Empty(code))?;
                out.write_event(Event::End(BytesEnd::new("samlp:StatusCode")))?;
            }
        }
        out.write_event(Event::End(BytesEnd::new("samlp:Status")))
    })
}

fn write(
    head: Head<'_>,
    name: &str,
    more: &[(&str, &str)],
    body: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>,
) -> io::Result<String> {
    let mut out = Writer::new(Vec::new());
    let element = format!("samlp:{name}");
    let mut root = BytesStart::new(element.as_str());
    root.push_attribute(("xmlns:samlp", ns::PROTOCOL));
    root.push_attribute(("xmlns:saml", ns::ASSERTION));
    root.push_attribute(("ID", head.id));
    root.push_attribute(("Version", "2.0"));
    root.push_attribute(("IssueInstant", head.now.rfc3339().as_str()));
    root.push_attribute(("Destination", head.destination));
    for attribute in more {
        root.push_attribute(*attribute);
    }
    out.write_event(Event::Start(root))?;
    text(&mut out, BytesStart::new("saml:Issuer"), head.issuer)?;
    body(&mut out)?;
    out.write_event(Event::End(BytesEnd::new(element.as_str())))?;
    String::from_utf8(out.into_inner()).map_err(io::Error::other)
}

fn text(out: &mut Writer<Vec<u8>>, start: BytesStart<'_>, text: &str) -> io::Result<()> {
    let end = start.to_end().into_owned();
    out.write_event(Event::Start(start.clone()))?;
    out.write_event(Event::Text(BytesText::new(text)))?;
    out.write_event(Event::End(end))
}
