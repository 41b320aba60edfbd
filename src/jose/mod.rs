//! The one place that signs and verifies JOSE. Compact serialisation only (RFC 7515 §7.1).
//!
//! - [`Keyring`]: our own keys; signs our tokens, verifies them when they come back, publishes the JWKS.
//! - [`verify_foreign`]: what an upstream signed, against the [`JwkSet`] that it published.
//! - [`verify_shared`]: what an upstream signed with our client secret, where it signs in no other way.
//! - [`SigningKey::token`], [`sign_shared`]: what we sign towards an upstream, by a key or secret that it knows us by.
//! - [`json`]: strict JSON, without repeated members, for everything that a stranger signs or sends.
//!
//! Signing and verifying go through aws-lc keys that were parsed once. `jsonwebtoken` parses an RSA key
//! again for every signature, and cannot check a curve point before it is used; it makes our JWKs and
//! thumbprints, and cross-checks every signature in the tests.

mod alg;
mod foreign;
pub mod json;
mod jwk;
mod jws;
mod key;
mod keyring;
mod shared;
mod weak;
#[cfg(test)]
mod wycheproof;

pub use alg::Alg;
pub use foreign::{VerifiedJws, verify_foreign};
pub use jwk::{JwkSet, SkippedKey};
pub use jws::{Header, MAX_TOKEN};
pub use key::SigningKey;
pub use keyring::{Expected, Expiry, Keyring, KeyringKey, TokenType};
pub use shared::{MIN_SECRET, SharedJws, sign_shared, verify_shared};

use std::borrow::Cow;

/// Why a token was refused. Its reason is the stable word of the audit and of the tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {note}")]
pub struct JoseError {
    reason: &'static str,
    note: Cow<'static, str>,
}

impl JoseError {
    pub(crate) fn new(reason: &'static str, note: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, note: note.into() }
    }
    pub(crate) fn format(note: impl Into<Cow<'static, str>>) -> Self {
        Self::new("jose.format", note)
    }
    pub(crate) fn key(note: impl Into<Cow<'static, str>>) -> Self {
        Self::new("jose.key", note)
    }
    /// One of `jose.format`, `jose.alg`, `jose.kid`, `jose.key`, `jose.crit`, `jose.signature`, and for our
    /// own tokens `jose.typ`, `jose.iss`, `jose.exp`, `jose.nbf`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
    /// A sentence for the operator; it holds no secret and nothing of the token but names.
    pub fn note(&self) -> &str {
        &self.note
    }
    /// Whether the issuer may have changed its keys since we fetched them: fetch again, then try once more.
    pub fn may_be_stale_keys(&self) -> bool {
        // A key may have been replaced under its old name, or under none.
        matches!(self.reason, "jose.kid" | "jose.signature")
    }
}
