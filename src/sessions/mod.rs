//! 6 — The SSO session: facts about what was proved and when, and its lifetimes. Levels (`acr`, `amr`) are
//! computed from the facts when asked, so that policy can change without signing anyone out.

pub mod notice;

use crate::context::Timestamp;
use crate::ids::{AccountId, IdentityId, ProviderId, SessionId};
use crate::tokens::handle::Digest;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an upstream proved about one sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Which provider vouched.
    pub provider: ProviderId,
    /// In whose name: another issuer may stand under the same provider id later. Empty for a proof of an earlier version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// By which identity.
    pub identity: IdentityId,
    /// When the person proved themselves there: the provider's own time where it said one.
    pub auth_time: Timestamp,
    /// Whether the provider said that time itself.
    pub auth_time_asserted: bool,
    /// The provider's own `acr` or AuthnContext, as it said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The provider's own `amr` values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The provider's session, for logout from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_session: Option<String>,
    /// By what name the provider knows the person in that session, where a logout needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_name: Option<UpstreamName>,
}

/// A provider's name for a person (SAML's NameID with its format and qualifiers), in the writing of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamName {
    /// The same for all writings of one name: by this a logout that begins there is matched.
    pub key: String,
    /// As it was written: so it is sent back.
    pub written: String,
}

/// An SSO session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its public name (`sid`).
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// What was proved, in the order in which we learnt it; never empty. A provider may say of a later one that the
    /// person proved themselves longer ago.
    pub proofs: Vec<Proof>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used (written at most once a minute).
    pub last_seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
    /// In which browser it is: digest of the name that the browser brings.
    pub browser: Option<Digest>,
}

impl Session {
    /// The latest proof, on which the session stands.
    pub fn latest(&self) -> Option<&Proof> {
        self.proofs.last()
    }
    /// Whether it may be used at `now`, given how long it may idle.
    pub fn is_live(&self, now: Timestamp, idle: Duration) -> bool {
        self.revoked_at.is_none() && now < self.expires_at && now < self.last_seen_at.plus(idle)
    }
}
