//! Whom an assertion is about, and whether whoever brings it is that person (SAML Core §2.4, Profiles §4.1.4.3).

use super::Expected;
use super::conditions::not_over;
use super::element::Element;
use super::response::{in_response_to, show};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::upstream::Trace;
use crate::upstream::checks::{Checks, clean, is_nothing, refused};
use crate::upstream::saml::attributes::Read;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use url::form_urlencoded;

/// SAML Profiles §3.3
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// SAML Core §8.3.1: what a format is that is not said.
pub(in crate::upstream::saml) const UNSPECIFIED: &str =
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
/// SAML Core §8.3.7
pub(in crate::upstream::saml) const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
/// SAML Core §8.3.8
pub(in crate::upstream::saml) const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
/// SAML Core §8.3.2
pub(in crate::upstream::saml) const EMAIL_ADDRESS: &str =
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

/// Characters of a name identifier (SAML Core §8.3.7).
const MAX_NAME: usize = 256;

/// What may be the key of a person of this provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) struct SubjectPolicy {
    /// Formats of a NameID that may be the key. Never transient: Core §8.3.8 has it new at each sign-in.
    pub formats: BTreeSet<String>,
    /// The `Name` of the attribute that is the key in place of the NameID. It must have one value.
    pub attribute: Option<String>,
}

impl SubjectPolicy {
    /// Whether answers may have keys of this format, which `key` wrote. Qualifiers do not count: whoever carries an
    /// unsigned request can ask for others (Core §3.4.1.1).
    pub fn gives(&self, format: &str) -> bool {
        match &self.attribute {
            Some(name) => format == attribute_format(name),
            None => {
                let (bare, _) = format.split_once(' ').unwrap_or((format, ""));
                self.formats.contains(bare)
            }
        }
    }
}

/// A name identifier, as it was written (SAML Core §2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) struct NameId {
    /// The text.
    pub value: String,
    /// `Format`
    pub format: Option<String>,
    /// `NameQualifier`
    pub name_qualifier: Option<String>,
    /// `SPNameQualifier`
    pub sp_name_qualifier: Option<String>,
}

/// What the subject proves.
pub(super) struct Identified {
    pub name_id: NameId,
    /// The latest end of a confirmation that holds.
    pub ends: Timestamp,
}

/// One subject, with one NameID, and a bearer confirmation that holds.
pub(super) fn check(
    assertion: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Identified, Failure> {
    let subject = assertion.only("Subject");
    let received = format!("{} Subject elements", assertion.all("Subject").count());
    checks.require("saml.subject", subject.is_some(), "one Subject", received)?;
    let subject = subject.unwrap_or(assertion);

    // A BaseID is abstract, and an EncryptedID is a name that nobody here can read.
    let ids: Vec<_> = subject.elements().filter(|child| !child.is("SubjectConfirmation")).collect();
    let names = ids.iter().map(|id| id.name()).collect::<Vec<_>>().join(", ");
    let one = ids.len() == 1 && ids.iter().all(|id| id.is("NameID"));
    checks.require("saml.subject", one, "one NameID, and only confirmations beside it", names)?;
    let name_id = ids.first().and_then(|id| name_id(*id)).filter(|id| is_name(&id.value));
    let Some(name_id) = name_id else {
        let written = ids.first().and_then(|id| id.text());
        let length = written.map_or(0, |text| text.chars().count());
        let received = format!("{length} characters: {}", show(written));
        return Err(checks.fail(
            refused("saml.nameid.value", "the NameID can be nobody's name")
                .expected(format!("a printable text of 1 to {MAX_NAME} characters"), received),
        ));
    };
    checks.note("saml.nameid.value", "a name", format!("{} characters", name_id.value.chars().count()));
    let ends = confirmation(subject, expected, checks)?;
    Ok(Identified { name_id, ends })
}

/// A NameID; `None` if there are elements in it.
pub(in crate::upstream::saml) fn name_id(element: Element<'_>) -> Option<NameId> {
    let attribute = |name: &str| element.attribute(name).map(str::to_owned);
    Some(NameId {
        value: element.text()?.to_owned(),
        format: attribute("Format"),
        name_qualifier: attribute("NameQualifier"),
        sp_name_qualifier: attribute("SPNameQualifier"),
    })
}

/// A text that can be somebody's name: whole, visible, not too long, and not what programs write for "nothing".
/// Space around it is refused, not cut off: `" alice"` must not become `"alice"`.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= MAX_NAME
        && !text.chars().any(|c| c.is_control() || is_invisible(c))
        && !is_nothing(text)
}

/// Characters that nobody sees, that turn around what is seen, or that look different everywhere, so that two names would
/// look alike: `Default_Ignorable_Code_Point` (Unicode 16, DerivedCoreProperties.txt), then what else is of the general
/// categories Cf, Zl and Zp, and private use (UnicodeData.txt).
fn is_invisible(c: char) -> bool {
    const IGNORED: [RangeInclusive<char>; 17] = [
        '\u{ad}'..='\u{ad}',
        '\u{34f}'..='\u{34f}',
        '\u{61c}'..='\u{61c}',
        '\u{115f}'..='\u{1160}',
        '\u{17b4}'..='\u{17b5}',
        '\u{180b}'..='\u{180f}',
        '\u{200b}'..='\u{200f}',
        '\u{202a}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{3164}'..='\u{3164}',
        '\u{fe00}'..='\u{fe0f}',
        '\u{feff}'..='\u{feff}',
        '\u{ffa0}'..='\u{ffa0}',
        '\u{fff0}'..='\u{fff8}',
        '\u{1bca0}'..='\u{1bca3}',
        '\u{1d173}'..='\u{1d17a}',
        '\u{e0000}'..='\u{e0fff}',
    ];
    const OTHER: [RangeInclusive<char>; 13] = [
        '\u{600}'..='\u{605}',
        '\u{6dd}'..='\u{6dd}',
        '\u{70f}'..='\u{70f}',
        '\u{890}'..='\u{891}',
        '\u{8e2}'..='\u{8e2}',
        '\u{2028}'..='\u{2029}',
        '\u{e000}'..='\u{f8ff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{110bd}'..='\u{110bd}',
        '\u{110cd}'..='\u{110cd}',
        '\u{13430}'..='\u{1343f}',
        '\u{f0000}'..='\u{ffffd}',
        '\u{100000}'..='\u{10fffd}',
    ];
    IGNORED.iter().chain(&OTHER).any(|range| range.contains(&c))
}

/// Profiles §4.1.4.3: at least one bearer confirmation for which everything holds.
fn confirmation(
    subject: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Timestamp, Failure> {
    let mut first_failure = None;
    let mut latest: Option<Timestamp> = None;
    let mut methods = Vec::new();
    for confirmation in subject.all("SubjectConfirmation") {
        let method = confirmation.attribute("Method");
        if method != Some(BEARER) {
            methods.push(show(method));
            continue;
        }
        // One that holds is enough, so the steps of one that does not are kept only where none does.
        let mut steps = Trace::default();
        match bearer(confirmation, expected, &mut Checks::new(&mut steps)) {
            Ok(ends) => {
                checks.append(&steps);
                latest = Some(latest.map_or(ends, |latest| latest.max(ends)));
            }
            Err(failure) => {
                first_failure.get_or_insert((failure, steps));
            }
        }
    }
    match (latest, first_failure) {
        (Some(latest), _) => Ok(latest),
        (None, Some((failure, steps))) => {
            checks.append(&steps);
            Err(failure)
        }
        (None, None) => {
            let received = if methods.is_empty() { "none".to_owned() } else { methods.join(", ") };
            let failure = refused("saml.subject_confirmation", "nothing lets the bearer use the assertion");
            Err(checks.fail(failure.expected(BEARER, clean(&received))))
        }
    }
}

/// One bearer confirmation; gives its end. `Address` is not looked at: proxies, and networks of two families,
/// make it say nothing (it is optional in Profiles §4.1.4.2).
fn bearer(
    confirmation: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Timestamp, Failure> {
    // Core §2.4.1.1: an identifier here names another party that may use the assertion, which we cannot check
    let others = confirmation.elements().any(|child| !child.is("SubjectConfirmationData"));
    let data = confirmation.only("SubjectConfirmationData").filter(|_| !others);
    let received = confirmation.elements().map(Element::name).collect::<Vec<_>>().join(", ");
    checks.require(
        "saml.subject_confirmation",
        data.is_some(),
        "one SubjectConfirmationData alone",
        received,
    )?;
    let attribute = |name: &str| data.and_then(|data| data.attribute(name));

    let recipient = attribute("Recipient");
    let ours = recipient == Some(expected.acs) && !expected.acs.is_empty();
    checks.require("saml.recipient", ours, expected.acs, show(recipient))?;
    let ends = not_over("SubjectConfirmationData", attribute("NotOnOrAfter"), expected, checks)?;
    // Profiles §4.1.4.2: a bearer confirmation has no beginning
    let from = attribute("NotBefore");
    checks.require(
        "saml.not_yet_valid",
        from.is_none(),
        "no NotBefore in a bearer confirmation",
        show(from),
    )?;
    in_response_to("SubjectConfirmationData", attribute("InResponseTo"), expected, checks)?;
    Ok(ends)
}

/// The subject and its format for the identity's key.
pub(super) fn key(
    name_id: &NameId,
    read: &Read,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<(String, String), Failure> {
    let Some(name) = &expected.subject.attribute else {
        let format = name_id.format.as_deref().unwrap_or(UNSPECIFIED);
        let passed = expected.subject.formats.contains(format) && format != TRANSIENT;
        let wanted = expected.subject.formats.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
        checks.require("saml.nameid.format", passed, wanted, format)?;
        return Ok((name_id.value.clone(), key_format(name_id, expected)));
    };
    let values = read.named(name);
    let value = match values {
        [one] => Some(one.as_str()).filter(|text| is_name(text)),
        _ => None,
    };
    let received = match values {
        [one] => clean(one),
        several => format!("{} values", several.len()),
    };
    checks.require("saml.subject_attribute", value.is_some(), format!("one name in {name}"), received)?;
    Ok((value.unwrap_or_default().to_owned(), attribute_format(name)))
}

/// The format of a key that is no NameID.
fn attribute_format(name: &str) -> String {
    format!("attribute:{name}")
}

/// The format with its qualifiers, so that names which different parties gave never meet. Core §8.3.7: a
/// persistent name without qualifiers is the same as one with the provider's and our own entity id. An empty qualifier is kept
/// apart from an absent one: people are known by keys that were written so.
fn key_format(name_id: &NameId, expected: &Expected<'_>) -> String {
    let format = name_id.format.as_deref().unwrap_or(UNSPECIFIED);
    let said = |qualifier: &Option<String>, usual: &str| {
        qualifier.clone().filter(|said| format != PERSISTENT || said != usual)
    };
    let by = said(&name_id.name_qualifier, expected.issuer);
    let for_whom = said(&name_id.sp_name_qualifier, expected.entity_id);
    let mut qualifiers = form_urlencoded::Serializer::new(String::new());
    if let Some(by) = &by {
        qualifiers.append_pair("name_qualifier", by);
    }
    if let Some(for_whom) = &for_whom {
        qualifiers.append_pair("sp_name_qualifier", for_whom);
    }
    let qualifiers = qualifiers.finish();
    // formats are known URIs without spaces, so this is read in one way only
    if qualifiers.is_empty() { format.to_owned() } else { format!("{format} {qualifiers}") }
}
