//! From the bytes of a message to what was signed in it.

use super::aside::aside;
use super::encryption::{self, DecryptionKeys};
use super::signature::{self, Verified};
use super::{ns, shape, xml};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::upstream::Trace;
use crate::upstream::checks::{Checks, refused};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// A certificate of a provider: only its key counts. Its validity is watched and never refuses by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// DER.
    pub der: Arc<[u8]>,
}

/// Which signatures a provider must make, at least one, or has made. Whatever is signed beside what must be must verify too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed {
    /// The assertion itself.
    pub assertion: bool,
    /// The response.
    pub response: bool,
}

impl Signed {
    /// In words, where none of both means that either will do.
    pub fn required(self) -> &'static str {
        match (self.response, self.assertion) {
            (false, false) => "the response or the assertion",
            _ => self.made(),
        }
    }

    /// In words, where it says what was found.
    pub fn made(self) -> &'static str {
        match (self.response, self.assertion) {
            (true, true) => "the response and the assertion",
            (true, false) => "the response",
            (false, true) => "the assertion",
            (false, false) => "nothing",
        }
    }
}

/// What a message is opened with. All of it comes from the configuration of the pending sign-in's provider.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// Certificates that may have signed; never empty, and [`super::certificate::MOST`] at most.
    pub certificates: Arc<Vec<Certificate>>,
    /// Signature algorithms by URI; always of the allow-list, [`signature::algorithm::Algorithm::ALL`].
    pub algorithms: BTreeSet<&'static str>,
    /// What must be signed.
    pub signed: Signed,
    /// The folder in which messages are kept on which the verifiers disagree, sixteen at most; none keeps none.
    pub keep: Option<Arc<Path>>,
}

/// What a provider answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// It vouches for somebody; whether that holds is for the profile to say.
    Opened(Opened),
    /// It does not: a status other than success, and no assertion. Signed or not, it can only end the sign-in.
    Declined(Envelope),
}

/// A response whose signatures hold. Texts are the canonical bytes that were digested.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// What of it is signed.
    pub signed: Signed,
    /// The one assertion, as it was signed (by itself or as part of the response), decrypted where it came encrypted.
    /// Its own signature is not in it.
    pub assertion: String,
    /// Whether it came encrypted.
    pub encrypted: bool,
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
    /// `Format` of the `Issuer`.
    pub issuer_format: Option<String>,
    /// The top status code, and the second one.
    pub status: Vec<String>,
    /// `StatusMessage`
    pub status_message: Option<String>,
}

/// Opens a response: reads it strictly, verifies every signature in it, and decrypts its assertion where it is
/// encrypted. Gives what held, step by step, up to what did not.
///
/// # Errors
/// Those of [`xml::parse`], [`shape::response`], [`signature::verify`] and [`encryption::decrypt`];
/// `saml.sig.missing`, `saml.sig.assertion_required`, `saml.sig.response_required`.
pub(super) async fn open(
    bytes: Vec<u8>,
    trust: Trust,
    keys: DecryptionKeys,
) -> (Trace, Result<Answer, Failure>) {
    let outcome = aside(move || {
        let mut steps = Trace::default();
        let answer = open_noting(&bytes, &trust, &keys, &mut Checks::new(&mut steps));
        Ok((steps, answer))
    });
    outcome.await.unwrap_or_else(|failure| (Trace::default(), Err(failure)))
}

/// As [`open`], here and now; for tests and fuzzers, which have no async.
///
/// # Errors
/// As [`open`].
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn open_now(bytes: &[u8], trust: &Trust, keys: &DecryptionKeys) -> Result<Answer, Failure> {
    open_noting(bytes, trust, keys, &mut Checks::new(&mut Trace::default()))
}

/// As [`open`], here and now. A failure is for the caller to note.
fn open_noting(
    bytes: &[u8],
    trust: &Trust,
    keys: &DecryptionKeys,
    checks: &mut Checks<'_>,
) -> Result<Answer, Failure> {
    let text = &*xml::normal(xml::decode(bytes, &xml::MESSAGE)?, &xml::MESSAGE)?;
    let seen = look(text, trust, checks)?;
    let signatures: Vec<_> = seen.own.iter().chain(&seen.inner).collect();
    let verified =
        if signatures.is_empty() { Vec::new() } else { signature::verify(text, &signatures, trust)? };
    for (signature, verified) in signatures.iter().zip(&verified) {
        let of = if seen.own.as_ref() == Some(*signature) { "the response" } else { "the assertion" };
        made(of, signature, verified, trust, checks);
    }
    let mut verified = verified.into_iter().map(|verified| verified.text);
    // Where the response is signed, nothing is read but what its signature covers.
    let covered = match seen.own {
        Some(_) => Some(verified.next().ok_or_else(unsigned)?),
        None => None,
    };
    let read = covered.as_deref().unwrap_or(text);
    let mut signed = Signed { response: covered.is_some(), assertion: seen.inner.is_some() };
    let envelope = envelope(xml::parse_canonical(read)?.root_element(), signed.response)?;
    let assertion = match (&seen.holds, covered.as_deref()) {
        (Holds::Nothing, _) => return Ok(Answer::Declined(envelope)),
        (Holds::Plain, Some(covered)) => signature::assertion_of(covered)?,
        (Holds::Plain, None) => verified.next().ok_or_else(unsigned)?,
        (Holds::Encrypted, _) => {
            let inside = {
                let document = xml::parse_canonical(read)?;
                let node = xml::only_child(document.root_element(), ns::ASSERTION, "EncryptedAssertion")?;
                encryption::decrypt(node, signed.response, keys, checks)?
            };
            let (assertion, by_itself) = decrypted(&inside, signed.response, trust, checks)?;
            signed.assertion = by_itself;
            assertion
        }
    };
    let encrypted = seen.holds == Holds::Encrypted;
    Ok(Answer::Opened(Opened { assertion, signed, encrypted, response: envelope }))
}

/// Notes how a signature that holds was made, and by which of the certificates.
fn made(of: &str, signature: &shape::Signature, verified: &Verified, trust: &Trust, checks: &mut Checks<'_>) {
    let how = format!("{}, digest {}", short(signature.algorithm.uri()), short(signature.digest.uri()));
    held(of, how, verified.by, trust, checks);
}

/// As [`made`], for a signature of whatever kind.
pub(super) fn held(of: &str, how: String, by: usize, trust: &Trust, checks: &mut Checks<'_>) {
    let allowed = trust.algorithms.iter().map(|uri| short(uri)).collect::<Vec<_>>().join(", ");
    checks.note("saml.alg", format!("{of} by {allowed}"), how);
    let by = trust.certificates.get(by).map(Certificate::fingerprint).unwrap_or_default();
    checks.note("saml.key", format!("{of} by a key that is trusted"), format!("SHA-256 {by}"));
}

/// The last part of an algorithm's identifier.
pub(super) fn short(uri: &str) -> &str {
    uri.rsplit_once('#').map_or(uri, |(_, name)| name)
}

/// What the shape says of a response: nothing of its tree, so that this is gone before the verifiers grow theirs.
struct Seen {
    /// The response's signature.
    own: Option<shape::Signature>,
    /// That of its assertion, where it stands in clear.
    inner: Option<shape::Signature>,
    holds: Holds,
}

#[derive(PartialEq)]
enum Holds {
    Nothing,
    Plain,
    Encrypted,
}

/// Looks at the shape, and whether enough is signed.
fn look(text: &str, trust: &Trust, checks: &mut Checks<'_>) -> Result<Seen, Failure> {
    let document = xml::parse(text)?;
    checks.note("saml.text", "plain, bounded XML", format!("{} bytes", text.len()));
    let response = shape::response(&document, trust)?;
    let holds = match response.assertion {
        None => "a Response without one, which says that nobody signed in",
        Some(shape::Assertion::Plain(_)) => "a Response with an Assertion",
        Some(shape::Assertion::Encrypted) => "a Response with an EncryptedAssertion",
    };
    checks.note("saml.shape", "one Response with one assertion", holds);
    required(trust.signed, &response)?;
    let (inner, holds) = match response.assertion {
        None => (None, Holds::Nothing),
        Some(shape::Assertion::Plain(signature)) => (signature, Holds::Plain),
        Some(shape::Assertion::Encrypted) => (None, Holds::Encrypted),
    };
    Ok(Seen { own: response.signature, inner, holds })
}

/// The policy for signatures that can be seen before anything is decrypted.
fn required(signed: Signed, response: &shape::Response) -> Result<(), Failure> {
    let own = response.signature.is_some();
    if response.assertion.is_none() {
        // Providers sign errors or not; either way the sign-in ends.
        return Ok(());
    }
    let inner = match &response.assertion {
        Some(shape::Assertion::Plain(signature)) => Some(signature.is_some()),
        _ => None,
    };
    if !own && inner == Some(false) {
        return Err(
            refused("saml.sig.missing", "nothing in the response is signed").expected("a signature", "none")
        );
    }
    if signed.response && !own {
        return Err(refused("saml.sig.response_required", "the response is not signed")
            .expected("a signed response", "none"));
    }
    if signed.assertion && inner == Some(false) {
        return Err(refused("saml.sig.assertion_required", "the assertion is not signed")
            .expected("a signed assertion", "none"));
    }
    Ok(())
}

/// An assertion that came encrypted, in canonical form, and whether it is signed by itself.
fn decrypted(
    text: &str,
    response_signed: bool,
    trust: &Trust,
    checks: &mut Checks<'_>,
) -> Result<(String, bool), Failure> {
    let text = &*xml::normal(text, &xml::MESSAGE).map_err(encryption::inside)?;
    // as in `look`, the tree is gone before the verifiers grow theirs
    let signature = {
        let document = xml::parse(text).map_err(encryption::inside)?;
        shape::decrypted(&document, trust)?
    };
    match signature {
        Some(signature) => {
            let mut verified = signature::verify(text, &[&signature], trust)?.into_iter();
            let verified = verified.next().ok_or_else(unsigned)?;
            made("the assertion", &signature, &verified, trust, checks);
            Ok((verified.text, true))
        }
        None if trust.signed.assertion || !response_signed => {
            Err(refused("saml.sig.assertion_required", "the assertion within the encryption is not signed")
                .expected("a signed assertion", "none"))
        }
        None => Ok((signature::assertion_of(text)?, false)),
    }
}

/// Verifies a message, or metadata, that is signed as a whole. Gives its canonical text without the signature.
///
/// # Errors
/// `saml.sig.missing`; `saml.message.type`; those of [`xml::parse_within`] and [`signature::verify`].
pub(super) fn verify_root_now(
    bytes: &[u8],
    limits: &xml::Limits,
    expected: (&str, &str),
    trust: &Trust,
) -> Result<String, Failure> {
    verify_root(bytes, limits, expected, trust, &mut Checks::new(&mut Trace::default()))
}

/// As [`verify_root_now`], and notes how it was signed.
///
/// # Errors
/// As [`verify_root_now`].
pub(super) fn verify_root(
    bytes: &[u8],
    limits: &xml::Limits,
    (namespace, name): (&str, &str),
    trust: &Trust,
    checks: &mut Checks<'_>,
) -> Result<String, Failure> {
    let text = &*xml::normal(xml::decode(bytes, limits)?, limits)?;
    let document = xml::parse_within(text, limits)?;
    let signature = shape::message(&document, namespace, name, trust)?.ok_or_else(unsigned)?;
    let mut verified = signature::verify(text, &[&signature], trust)?.into_iter();
    let verified = verified.next().ok_or_else(unsigned)?;
    made(name, &signature, &verified, trust, checks);
    Ok(verified.text)
}

fn unsigned() -> Failure {
    refused("saml.sig.missing", "nothing that would be read is signed").expected("a signature", "none")
}

/// What a response says of itself.
fn envelope(root: Node<'_, '_>, signed: bool) -> Result<Envelope, Failure> {
    let own = |name| xml::attribute(root, name).map(str::to_owned);
    let status = xml::child(root, ns::PROTOCOL, "Status")?;
    let said = match status {
        Some(status) => xml::child(status, ns::PROTOCOL, "StatusMessage")?.map(xml::text).transpose()?,
        None => None,
    };
    let issuer = xml::child(root, ns::ASSERTION, "Issuer")?;
    Ok(Envelope {
        signed,
        id: own("ID").unwrap_or_default(),
        version: own("Version"),
        issue_instant: own("IssueInstant"),
        destination: own("Destination"),
        in_response_to: own("InResponseTo"),
        issuer: issuer.map(xml::text).transpose()?.map(str::to_owned),
        issuer_format: issuer.and_then(|node| xml::attribute(node, "Format")).map(str::to_owned),
        status: shape::status(root)?.into_iter().take(2).map(str::to_owned).collect(),
        status_message: said.map(str::to_owned),
    })
}

fn unreadable(note: &'static str) -> Failure {
    refused("saml.encoding", note)
}

/// The message of a form (SAML Bindings §3.5.4): base64, in which white space is tolerated and nothing else.
///
/// # Errors
/// `saml.encoding`; `saml.xml.limits`
pub(super) fn decode_form(value: &str) -> Result<Vec<u8>, Failure> {
    let most = xml::MESSAGE.bytes.div_ceil(3) * 4 + 16 * 1024;
    if value.len() > most {
        return Err(refused("saml.xml.limits", "the message is too long")
            .expected(format!("{most} characters at most"), value.len().to_string()));
    }
    let text: String = value.chars().filter(|c| !xml::SPACES.contains(c)).collect();
    STANDARD.decode(text).map_err(|_| unreadable("the message is not base64"))
}

/// The message of a redirect (SAML Bindings §3.4.4.1): base64 of DEFLATE (RFC 1951), which must end where the text ends.
///
/// # Errors
/// `saml.encoding`; `saml.xml.limits`, with the status 413, for a text that would be too long
pub(super) fn inflate(value: &str) -> Result<Vec<u8>, Failure> {
    let deflated = decode_form(value)?;
    let most = xml::MESSAGE.bytes;
    let mut decoder = flate2::bufread::DeflateDecoder::new(deflated.as_slice());
    let mut text = Vec::new();
    let read = decoder
        .by_ref()
        .take(u64::try_from(most).unwrap_or(u64::MAX) + 1)
        .read_to_end(&mut text)
        .map_err(|_| unreadable("the message is not deflated"))?;
    if read > most {
        return Err(Failure::new(
            OAuthCode::AccessDenied,
            "saml.xml.limits",
            UserMessage::ProviderAnswerRefused,
            "the message inflates to more than a message may be",
        )
        .expected(format!("at most {most} bytes"), "more"));
    }
    if !decoder.into_inner().is_empty() {
        return Err(unreadable("something stands behind the deflated message"));
    }
    Ok(text)
}

/// Deflates a message of ours for a redirect, and gives its base64.
///
/// # Errors
/// `saml.internal`
pub(super) fn deflate(text: &str) -> Result<String, Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| {
        Failure::internal("saml.internal", "a message was not deflated").caused_by(error)
    };
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    Ok(STANDARD.encode(encoder.finish().map_err(failed)?))
}
