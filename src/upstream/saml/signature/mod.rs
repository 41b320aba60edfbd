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

use super::open::Trust;
use super::shape::Signature;
use crate::failure::Failure;
use crate::upstream::checks::refused;
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

#[cfg(test)]
mod tests;
