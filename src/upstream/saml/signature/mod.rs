//! Two verifiers of XML signatures that must agree.
//!
//! The pure-Rust one comes first, and says which of the configured certificates made each signature. Only what it
//! accepts reaches the other one (libxmlsec1 with libxml2, by the feature `xmlsec`), so no stranger's message meets a
//! parser that is not memory-safe. Both must accept, and the canonical bytes of what each took for signed must be
//! the same; these bytes are all that is read afterwards.

pub(super) mod algorithm;
mod certificate;
#[cfg(feature = "xmlsec")]
mod cut_off;
mod disagreement;
mod pure;
pub(super) mod query;
pub(super) mod sign;
#[cfg(feature = "xmlsec")]
mod xmlsec;

pub(super) use certificate::PublicKey;
pub(super) use pure::assertion_of;

use super::open::{Certificate, Trust};
use super::shape::Signature;
use super::{ns, xml};
use crate::failure::Failure;
use crate::upstream::checks::refused;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::collections::BTreeSet;

/// What a signature covers, in canonical form without the signature, and the certificate whose key made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verified {
    /// The canonical text.
    pub text: String,
    /// The certificate's place among those that are trusted.
    pub by: usize,
}

/// Verifies signatures of a text, all that are in it, in the order of the text. Gives what each covers, and by which
/// certificate.
///
/// Blocks, for about a millisecond.
///
/// # Errors
/// `saml.sig.invalid`; `saml.sig.disagreement`
pub(super) fn verify(text: &str, signatures: &[&Signature], trust: &Trust) -> Result<Vec<Verified>, Failure> {
    verify_all(text, signatures, trust).map_err(|failure| compared(failure, trust, certificate_in(text)))
}

fn verify_all(text: &str, signatures: &[&Signature], trust: &Trust) -> Result<Vec<Verified>, Failure> {
    let certificates = &trust.certificates;
    let first = pure::verify(text, signatures, certificates)?;
    let kinds: BTreeSet<_> =
        signatures.iter().map(|s| matches!(s.algorithm, algorithm::Algorithm::Rsa(_))).collect();
    if kinds.len() > 1 {
        // The second verifier gives up at the first key that does not fit a signature, and no provider does this.
        return Err(invalid("the response and its assertion are signed by keys of different kinds"));
    }
    #[cfg(feature = "xmlsec")]
    if let Err(how) = xmlsec::agree(text, signatures, &first, certificates) {
        return Err(disagreement::keep(text, how, trust));
    }
    Ok(first)
}

/// The one failure of all signatures. What is told to the browser does not say which step it was.
fn invalid(note: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    refused("saml.sig.invalid", note)
}

/// Tells the operator which certificates are trusted and which one the message brought along, as whoever looks into a
/// change of keys needs both. What it brought is shown, and counts for nothing.
fn compared(failure: Failure, trust: &Trust, brought: Option<Certificate>) -> Failure {
    if failure.reason != "saml.sig.invalid" {
        return failure;
    }
    let trusted: Vec<String> = trust.certificates.iter().map(Certificate::fingerprint).collect();
    let received = match brought.map(|certificate| certificate.fingerprint()) {
        Some(own) if trusted.contains(&own) => format!("it names SHA-256 {own}, which is trusted"),
        Some(own) => format!("it names SHA-256 {own}, not trusted"),
        None => "it names no certificate".to_owned(),
    };
    failure.expected(format!("by a certificate of SHA-256 {}", trusted.join(", ")), received)
}

/// The first certificate beside a signature of the text, as it came: nobody has looked whether it is one.
fn certificate_in(text: &str) -> Option<Certificate> {
    let document = xml::parse_within(text, &xml::METADATA).ok()?;
    let path = ["X509Certificate", "X509Data", "KeyInfo", "Signature"];
    let beside = |node: &Node<'_, '_>| {
        let mut up = node.ancestors();
        path.iter().all(|name| up.next().is_some_and(|node| xml::is(node, ns::SIGNATURE, name)))
    };
    let node = document.descendants().find(beside)?;
    let text: String = xml::text(node).ok()?.chars().filter(|c| !xml::SPACES.contains(c)).collect();
    let der = STANDARD.decode(text).ok()?;
    (!der.is_empty()).then(|| Certificate { der: der.into() })
}

#[cfg(test)]
mod tests;
