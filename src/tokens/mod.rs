//! 7 — Codes and tokens: their records, claims and rotation.

pub mod handle;

use crate::context::Timestamp;
use crate::ids::{ClientId, GrantId};
use crate::protocol::Scope;
use handle::Digest;
use std::collections::BTreeSet;

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
