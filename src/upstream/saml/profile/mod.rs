//! The checks of the web browser SSO profile (SAML Profiles §4.1.4): total, pure, on the injected clock.
//!
//! Signatures say who wrote the message; these checks say that it was written for us, for this sign-in, and now.
//! Whatever is absent or malformed fails like what is wrong. A value outside the signature (the envelope of a
//! response of which only the assertion is signed) can refuse a sign-in, and is never used for anything else.

mod authn;
mod conditions;
mod element;
pub(super) mod instant;
mod response;
mod subject;
#[cfg(test)]
mod tests;

pub(super) use element::Element;
pub(super) use response::declined;
pub(super) use subject::{EMAIL_ADDRESS, NameId, PERSISTENT, SubjectPolicy, TRANSIENT, UNSPECIFIED};

use super::attributes::{self, Names};
use super::open::Opened;
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::jose::json::Object;
use crate::upstream::Demanded;
use crate::upstream::checks::Checks;
use crate::upstream::identity::Authentication;
use std::time::Duration;

/// What the answer must be about. All of it comes from our configuration and our own pending request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Our entity id at this provider.
    pub entity_id: &'a str,
    /// The provider's entity id, as configured.
    pub issuer: &'a str,
    /// Our assertion consumer service, as it stood in the request.
    pub acs: &'a str,
    /// `ID` of the pending AuthnRequest.
    pub request_id: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How far the provider's clock may differ from ours.
    pub skew: Duration,
    /// How far ahead the end of an assertion may lie.
    pub max_lifetime: Duration,
    /// The greatest age of a message since its `IssueInstant`.
    pub max_age: Duration,
    /// What may be somebody's key.
    pub subject: &'a SubjectPolicy,
    /// Authentication contexts that the configuration demands; one of them must be reached, where there are any.
    pub contexts: &'a [String],
    /// Short names of attributes.
    pub names: &'a Names,
    /// What this sign-in demands beside that.
    pub demanded: &'a Demanded,
}

impl Expected<'_> {
    /// What ended by then has ended, whatever clocks are allowed.
    fn early(&self) -> Timestamp {
        self.now.minus(self.skew)
    }
    /// What begins after it has not begun, whatever clocks are allowed.
    fn late(&self) -> Timestamp {
        self.now.plus(self.skew)
    }
}

/// What an answer that passed every check says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// The subject, for the identity's key.
    pub subject: String,
    /// The subject's format with its qualifiers, for the identity's key: subjects of different formats never meet.
    pub format: String,
    /// The name identifier as it stands in the assertion: single logout names the person by it.
    pub name_id: NameId,
    /// What the mapping reads.
    pub claims: Object,
    /// About the act of signing in.
    pub authentication: Authentication,
    /// `IssueInstant` of the assertion.
    pub issued: Timestamp,
    /// What must never be accepted twice from this provider, until when.
    pub replay: (String, Timestamp),
}

/// Makes every check in order; the first that fails ends it.
///
/// # Errors
/// The failing check's reason, which is also the last step of the trace.
pub(super) fn check(
    opened: &Opened,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Said, Failure> {
    response::check(&opened.response, expected, checks)?;

    let document = element::parse(&opened.assertion, checks)?;
    let assertion = Element::root(&document);
    let issued = response::assertion(assertion, expected, checks)?;
    let identified = subject::check(assertion, expected, checks)?;
    let ends = conditions::check(assertion, expected, checks)?;
    let authenticated = authn::check(assertion, expected, checks)?;
    let read = attributes::read(assertion, checks)?;
    let (subject, format) = subject::key(&identified.name_id, &read, expected, checks)?;

    // The last moment at which this very message could pass the checks above.
    let until = ends.map_or(identified.ends, |ends| ends.min(identified.ends)).plus(expected.skew);
    let id = assertion.attribute("ID").unwrap_or_default();
    let claims = attributes::claims(&read, expected.names, &identified.name_id);
    Ok(Said {
        subject,
        format,
        name_id: identified.name_id,
        claims,
        authentication: authenticated.authentication,
        issued,
        replay: (format!("assertion:{id}:{}", expected.issuer), until),
    })
}
