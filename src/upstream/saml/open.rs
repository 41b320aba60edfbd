//! From the bytes of a message to what was signed in it.

use std::collections::BTreeSet;
use std::sync::Arc;

/// A certificate of a provider: only its key counts. Its validity is watched and never refuses by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// DER.
    pub der: Arc<[u8]>,
}

/// Which signatures a provider must make; at least one. Whatever is signed beside that must verify too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed {
    /// The assertion itself.
    pub assertion: bool,
    /// The response.
    pub response: bool,
}

/// What a message is opened with. All of it comes from the configuration of the pending sign-in's provider.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// Certificates that may have signed; never empty.
    pub certificates: Arc<Vec<Certificate>>,
    /// Signature algorithms by URI; always of the allow-list.
    pub algorithms: BTreeSet<&'static str>,
    /// What must be signed.
    pub signed: Signed,
}

/// A response whose signatures hold. Texts are the canonical bytes that were digested.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// The one assertion, as it was signed (by itself or as part of the response), decrypted where it came encrypted.
    pub assertion: String,
    /// The response's own statements.
    pub response: Envelope,
}

/// What stands on a response beside its assertion. Where the response is not signed, it is worth nothing but must
/// not contradict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Whether a signature covers it.
    pub signed: bool,
    /// `ID`
    pub id: String,
    /// `Version`
    pub version: Option<String>,
    /// `IssueInstant`
    pub issue_instant: Option<String>,
    /// `Destination`
    pub destination: Option<String>,
    /// `InResponseTo`
    pub in_response_to: Option<String>,
    /// `Issuer`
    pub issuer: Option<String>,
    /// The top status code, and the second one.
    pub status: Vec<String>,
    /// `StatusMessage`
    pub status_message: Option<String>,
}
