//! The HTTP Redirect binding's signature, over the octets of the address (SAML Bindings §3.4.4.1).

use super::algorithm::Algorithm;
use super::sign::SigningKey;
use crate::failure::Failure;
use crate::upstream::checks::refused;
use crate::upstream::saml::open::{Certificate, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

/// Which message a query carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream::saml) enum Kind {
    /// `SAMLRequest`
    Request,
    /// `SAMLResponse`
    Response,
}

impl Kind {
    /// The parameter's name.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// A query whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) struct Query {
    /// The message: base64 of DEFLATE, decoded from the address; [`super::super::open::inflate`] reads it.
    pub message: String,
    /// `RelayState`
    pub relay_state: Option<String>,
    /// How it was signed.
    pub algorithm: Algorithm,
    /// The certificate's place among those that are trusted.
    pub by: usize,
}

/// The one encoding there is (SAML Bindings §3.4.4).
const DEFLATE: &str = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE";

/// Characters of a query at most.
const LONGEST: usize = 64 * 1024;

/// The query of a redirect, signed: `message` is the base64 of the deflated text.
///
/// # Errors
/// `saml.sign`
pub(in crate::upstream::saml) fn sign(
    kind: Kind,
    message: &str,
    relay_state: Option<&str>,
    key: &SigningKey,
) -> Result<String, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(kind.parameter(), message);
    if let Some(state) = relay_state {
        query.append_pair("RelayState", state);
    }
    query.append_pair("SigAlg", key.algorithm().uri());
    let signed = query.finish();
    let signature = STANDARD.encode(key.sign(signed.as_bytes())?);
    let mut query = form_urlencoded::Serializer::new(signed);
    query.append_pair("Signature", &signature);
    Ok(query.finish())
}

/// Verifies the raw query of a redirect, exactly as it was received, and gives what it carries.
///
/// # Errors
/// `saml.sig.missing`, `saml.sig.invalid`, `saml.alg`; `saml.encoding` for a parameter twice, or none.
pub(in crate::upstream::saml) fn verify(kind: Kind, raw: &str, trust: &Trust) -> Result<Query, Failure> {
    if raw.len() > LONGEST {
        return Err(refused("saml.xml.limits", "the query is too long")
            .expected(format!("{LONGEST} characters at most"), raw.len().to_string()));
    }
    let message = only(raw, kind.parameter())?.ok_or_else(|| {
        refused("saml.encoding", "the query carries no message").expected(kind.parameter(), "none")
    })?;
    let relay_state = only(raw, "RelayState")?;
    if let Some(encoding) = only(raw, "SAMLEncoding")?.map(decoded).transpose()?
        && encoding != DEFLATE
    {
        return Err(
            refused("saml.encoding", "the message is encoded in another way").expected(DEFLATE, encoding)
        );
    }
    let (Some(algorithm), Some(signature)) = (only(raw, "SigAlg")?, only(raw, "Signature")?) else {
        return Err(
            refused("saml.sig.missing", "the query is not signed").expected("SigAlg and Signature", "none")
        );
    };
    // As they came, not decoded and encoded again: senders escape in different ways.
    let mut signed = format!("{}={message}", kind.parameter());
    if let Some(state) = relay_state {
        signed.push_str("&RelayState=");
        signed.push_str(state);
    }
    signed.push_str("&SigAlg=");
    signed.push_str(algorithm);
    let uri = decoded(algorithm)?;
    let algorithm =
        Algorithm::by_uri(&uri).filter(|a| trust.algorithms.contains(a.uri())).ok_or_else(|| {
            refused("saml.alg", "the signature algorithm is not allowed")
                .expected("an algorithm that is allowed", uri)
        })?;
    let invalid = || {
        let failure = refused("saml.sig.invalid", "the signature of the query does not hold");
        super::compared(failure, trust, None)
    };
    let text: String = decoded(signature)?.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let signature = STANDARD.decode(text).map_err(|_| invalid())?;
    let holds = |certificate: &Certificate| {
        certificate.key().is_ok_and(|key| key.verifies(algorithm, signed.as_bytes(), &signature))
    };
    let by = trust.certificates.iter().position(holds).ok_or_else(invalid)?;
    let relay_state = relay_state.map(decoded).transpose()?;
    Ok(Query { message: decoded(message)?, relay_state, algorithm, by })
}

/// The raw value of a parameter that may come once.
fn only<'a>(raw: &'a str, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut found = raw.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut parsed = form_urlencoded::parse(key.as_bytes());
        parsed.next().is_some_and(|(key, _)| key == name).then_some((key, value))
    });
    let first = found.next();
    if found.next().is_some() || first.is_some_and(|(key, _)| key != name) {
        return Err(refused("saml.encoding", "a parameter comes twice, or its name is escaped")
            .expected(format!("{name} once"), "more"));
    }
    Ok(first.map(|(_, value)| value))
}

/// A value with its escapes resolved; `+` is a space, as forms have it.
fn decoded(raw: &str) -> Result<String, Failure> {
    let bad = || refused("saml.encoding", "a parameter is not UTF-8");
    let spaced = raw.replace('+', " ");
    let mut out = Vec::with_capacity(spaced.len());
    let mut bytes = spaced.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let hex = [bytes.next().ok_or_else(bad)?, bytes.next().ok_or_else(bad)?];
        let hex = std::str::from_utf8(&hex).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        out.push(hex.and_then(|h| u8::from_str_radix(h, 16).ok()).ok_or_else(bad)?);
    }
    String::from_utf8(out).map_err(|_| bad())
}
