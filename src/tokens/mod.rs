//! 7 — Codes and tokens: their records, claims and rotation.

pub mod claims;
pub mod handle;
pub mod logout;
pub mod rotation;
pub mod seal;
pub mod subject;

use crate::clients::SigningAlg;
use crate::context::Timestamp;
use crate::ids::{ClientId, GrantId, KeyId};
use crate::protocol::Scope;
use handle::Digest;
use std::collections::BTreeSet;
use std::time::Duration;

/// An authorization code as stored (RFC 6749 §4.1.2). Only its digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRecord {
    /// Digest of the code.
    pub digest: Digest,
    /// What it leads to.
    pub grant: GrantId,
    /// The client that may redeem it.
    pub client: ClientId,
    /// The redirect URI as it was sent; `None` if the request had none (RFC 6749 §4.1.3).
    pub redirect_uri: Option<String>,
    /// PKCE S256 challenge (RFC 7636 §4.2).
    pub challenge: Option<String>,
    /// OIDC nonce.
    pub nonce: Option<String>,
    /// What was granted.
    pub scope: Scope,
    /// The resources that were asked for (RFC 8707).
    pub resources: BTreeSet<String>,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was redeemed.
    pub used_at: Option<Timestamp>,
}

/// A pushed authorization request as stored (RFC 9126 §2.2). Only the digest of its handle is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRecord {
    /// Digest of the handle in its request URI.
    pub digest: Digest,
    /// The client that pushed it and alone may use it.
    pub client: ClientId,
    /// The prefix of the address that it came from.
    pub source: String,
    /// The request, sealed and bound to the handle.
    pub sealed: Vec<u8>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A refresh token as stored. All tokens of one grant are one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRecord {
    /// Digest of the token.
    pub digest: Digest,
    /// Its family.
    pub grant: GrantId,
    /// The client it is bound to.
    pub client: ClientId,
    /// What it can give at most.
    pub scope: Scope,
    /// The resources it can give tokens for.
    pub resources: BTreeSet<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was rotated.
    pub used_at: Option<Timestamp>,
    /// The one successor's digest.
    pub successor: Option<Digest>,
    /// The successor's text, sealed, while a grace period is configured: the same client may get it again.
    pub sealed_successor: Option<Vec<u8>>,
}

/// What a signing key is used for at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Signs. There is exactly one of each algorithm.
    Active,
    /// Published, so that applications know it before it signs. There is at most one of each algorithm.
    Next,
    /// Signs no more; verifies until the last token it signed has expired.
    Retired,
}

impl KeyState {
    /// The word in storage and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for KeyState {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "active" => Ok(Self::Active),
            "next" => Ok(Self::Next),
            "retired" => Ok(Self::Retired),
            _ => Err(()),
        }
    }
}

/// A signing key as stored. Storage lets at most one key of an algorithm be active, and at most one be next.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its `kid`: the RFC 7638 thumbprint of its public half.
    pub id: KeyId,
    /// What it signs with.
    pub alg: SigningAlg,
    /// The issuer for which it was made; it must never sign for another.
    pub issuer: String,
    /// What it is used for.
    pub state: KeyState,
    /// Sealed under the master key, so that nobody who can merely write to the database can add a key: the
    /// private half as PKCS#8, or, once the key is retired, only the public half as a JWK.
    pub sealed: Vec<u8>,
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// For a next key: when it begins to sign at the latest, if that was ordered by command. For others: when
    /// it began.
    pub activates_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// The longest life of a token that it may have signed; it only grows.
    pub longest_token: Duration,
}

impl std::fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("alg", &self.alg)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
