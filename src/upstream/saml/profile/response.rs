//! What stands on the response and on the assertion themselves.

use super::element::Element;
use super::{Expected, instant};
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::upstream::checks::{Checks, clean, refused};
use crate::upstream::saml::open::Envelope;

/// The top status of an answer that carries an assertion (SAML Core §3.2.2.2).
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
/// What all status codes of the standard begin with.
const STATUS: &str = "urn:oasis:names:tc:SAML:2.0:status:";
/// The only format that an issuer may have (SAML Core §2.2.5, Profiles §4.1.4.2).
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";

/// The response's own statements. Where no signature covers them they can refuse, and do nothing else.
pub(super) fn check(
    response: &Envelope,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    version("Response", response.version.as_deref(), checks)?;
    status(response, checks)?;
    issued("Response", response.issue_instant.as_deref(), expected, checks)?;
    destination(response, expected, checks)?;
    let answers = response.in_response_to.as_deref();
    in_response_to("Response", answers, expected, checks)?;
    // Profiles §4.1.4.2, E17: must be there where the response is signed, and must be the provider wherever it is
    match response.issuer.as_deref() {
        Some(issuer) => is_issuer("Response", issuer, response.issuer_format.as_deref(), expected, checks),
        None => checks.require("saml.issuer", !response.signed, "the provider, or none", "Response: absent"),
    }
}

/// `Version`, `IssueInstant`, `ID` and `Issuer` of the assertion (SAML Core §2.3.3). Gives its
/// `IssueInstant`.
pub(super) fn assertion(
    assertion: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Timestamp, Failure> {
    version("Assertion", assertion.attribute("Version"), checks)?;
    let issued = issued("Assertion", assertion.attribute("IssueInstant"), expected, checks)?;
    let id = assertion.attribute("ID").is_some_and(|id| !id.trim().is_empty() && id.len() <= 255);
    checks.require(
        "saml.assertion.id",
        id,
        "an ID of 1 to 255 characters",
        show(assertion.attribute("ID")),
    )?;
    match assertion.only("Issuer") {
        Some(issuer) => {
            let text = issuer.text().unwrap_or_default();
            is_issuer("Assertion", text, issuer.attribute("Format"), expected, checks)?;
        }
        None => checks.require("saml.issuer", false, expected.issuer, "Assertion: none, or several")?,
    }
    Ok(issued)
}

fn version(of: &str, version: Option<&str>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let received = format!("{of}: {}", show(version));
    checks.require("saml.version", version == Some("2.0"), "2.0", received)
}

/// The provider's own word about how it went (SAML Core §3.2.2).
///
/// # Errors
/// `saml.status`, with the code and sentence that go with what the provider says.
fn status(response: &Envelope, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let top = response.status.first().map(String::as_str);
    let second = response.status.get(1).and_then(|code| code.strip_prefix(STATUS));
    let short = |code: &str| code.strip_prefix(STATUS).unwrap_or(code).to_owned();
    let mut received = response.status.iter().take(3).map(|code| short(code)).collect::<Vec<_>>().join(" / ");
    if received.is_empty() {
        received.push_str("none");
    }
    if top == Some(SUCCESS) {
        checks.note("saml.status", "Success", received);
        return Ok(());
    }
    if let Some(message) = &response.status_message {
        received.push_str(&format!(": {}", clean(message)));
    }
    let (code, user) = match second {
        // Core §3.2.2.2: it could not sign the person in without showing a page
        Some("NoPassive") => (OAuthCode::LoginRequired, UserMessage::StartAgain),
        // both are what providers send when somebody cancels, gives up, or is not let in
        Some("AuthnFailed" | "RequestDenied") => (OAuthCode::AccessDenied, UserMessage::ProviderDenied),
        Some("NoAuthnContext") => (OAuthCode::UnmetAuthenticationRequirements, UserMessage::ProviderDenied),
        Some("UnknownPrincipal") => (OAuthCode::AccessDenied, UserMessage::ProviderDenied),
        _ => (OAuthCode::TemporarilyUnavailable, UserMessage::ProviderUnavailable),
    };
    let failure =
        Failure::new(code, "saml.status", user, "the provider answered that it did not sign the person in");
    Err(checks.fail(failure.expected("Success", received)))
}

/// Refuses an answer without an assertion.
pub(in crate::upstream::saml) fn declined(response: &Envelope, checks: &mut Checks<'_>) -> Failure {
    match status(response, checks) {
        Err(failure) => failure,
        Ok(()) => {
            checks.fail(refused("saml.status", "the provider says that it succeeded, and vouches for nobody"))
        }
    }
}

/// `IssueInstant`: a time, not ahead, not long ago.
fn issued(
    of: &str,
    at: Option<&str>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Timestamp, Failure> {
    let oldest = expected.now.minus(expected.max_age);
    let issued = at
        .and_then(instant::parse)
        .filter(|at| *at <= expected.now.plus(expected.skew) && *at >= oldest.minus(expected.skew));
    let oldest = oldest.minus(expected.skew);
    let wanted = format!("between {} and {}", oldest.rfc3339(), expected.late().rfc3339());
    checks.require("saml.issue_instant", issued.is_some(), wanted, format!("{of}: {}", show(at)))?;
    Ok(issued.unwrap_or(expected.now))
}

/// SAML Bindings §3.5.5.2: must be there when the message is signed, and must be the place where it arrived.
fn destination(response: &Envelope, expected: &Expected<'_>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let passed = match response.destination.as_deref() {
        Some(destination) => destination == expected.acs && !destination.is_empty(),
        None => !response.signed,
    };
    checks.require("saml.destination", passed, expected.acs, show(response.destination.as_deref()))
}

/// SAML Core §3.2.2, Profiles §4.1.4.3: the answer names the request that it answers.
pub(super) fn in_response_to(
    of: &str,
    id: Option<&str>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let received = format!("{of}: {}", show(id));
    checks.require("saml.unsolicited", id.is_some(), "an answer to a request of ours", received.clone())?;
    let same = id == Some(expected.request_id) && !expected.request_id.is_empty();
    checks.require("saml.in_response_to", same, expected.request_id, received)
}

fn is_issuer(
    of: &str,
    issuer: &str,
    format: Option<&str>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let passed =
        issuer == expected.issuer && !issuer.is_empty() && format.is_none_or(|format| format == ENTITY);
    let format = format.map(|format| format!(" of format {format}")).unwrap_or_default();
    checks.require("saml.issuer", passed, expected.issuer, format!("{of}: {issuer}{format}"))
}

/// What came, in a few words.
pub(super) fn show(value: Option<&str>) -> String {
    value.map_or_else(|| "absent".to_owned(), clean)
}
