//! 3 — What a provider vouched for. [`ExternalIdentity`] and [`VerifiedEmail`] can be built only inside
//! `upstream`, so nothing else in the house can make up a person or a proof.

use crate::accounts::{EmailAddress, IdentityKey, Profile, Target};
use crate::context::Timestamp;
use crate::ids::ProviderId;
use crate::sessions::UpstreamName;
use std::collections::{BTreeMap, BTreeSet};

/// An address that the provider asserted as verified **and** whose domain the configuration declares the
/// provider authoritative for. Linking can take no other kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEmail {
    address: EmailAddress,
    provider: ProviderId,
}

impl VerifiedEmail {
    /// Only for the kinds, by way of [`vouch_email`].
    fn new(address: EmailAddress, provider: ProviderId) -> Self {
        Self { address, provider }
    }
    /// The address.
    pub fn address(&self) -> &EmailAddress {
        &self.address
    }
    /// The provider that vouched.
    pub fn provider(&self) -> &ProviderId {
        &self.provider
    }
    /// For unit tests of the decisions.
    #[cfg(test)]
    pub(crate) fn for_tests(address: EmailAddress, provider: ProviderId) -> Self {
        Self::new(address, provider)
    }
}

/// What a provider said about an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssertedEmail {
    /// Verified by a provider that is authoritative for the domain.
    Verified(VerifiedEmail),
    /// Merely said. A hint for people, never a key.
    Claimed(EmailAddress),
}

impl AssertedEmail {
    /// The address, proved or not.
    pub fn address(&self) -> &EmailAddress {
        match self {
            Self::Verified(verified) => verified.address(),
            Self::Claimed(address) => address,
        }
    }
}

/// Decides what an asserted address is worth: `verified` is the provider's own strict boolean, `domains`
/// the canonical domains that the configuration declares it authoritative for.
pub(in crate::upstream) fn vouch_email(
    provider: &ProviderId,
    address: EmailAddress,
    verified: bool,
    domains: &BTreeSet<String>,
) -> AssertedEmail {
    if verified && domains.contains(address.domain()) {
        AssertedEmail::Verified(VerifiedEmail::new(address, provider.clone()))
    } else {
        AssertedEmail::Claimed(address)
    }
}

/// A person as one provider knows them, after every check and after mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    key: IdentityKey,
    email: Option<AssertedEmail>,
    profile: Profile,
    assignments: BTreeMap<Target, String>,
    authentication: Authentication,
}

/// What the provider said about the act of signing in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The provider's own time of the proof.
    pub auth_time: Option<Timestamp>,
    /// Its context class.
    pub acr: Option<String>,
    /// Its methods.
    pub amr: Vec<String>,
    /// Its session (`sid`, SessionIndex).
    pub upstream_session: Option<String>,
    /// By what name it knows the person in that session, where a logout needs it.
    pub upstream_name: Option<UpstreamName>,
    /// When the provider ends its own session (SessionNotOnOrAfter); one of ours that begins with it ends no later.
    pub session_ends: Option<Timestamp>,
}

impl ExternalIdentity {
    /// Only for the kinds. `assignments` maps each local group or role to the rule that gave it.
    pub(in crate::upstream) fn new(
        key: IdentityKey,
        email: Option<AssertedEmail>,
        profile: Profile,
        assignments: BTreeMap<Target, String>,
        authentication: Authentication,
    ) -> Self {
        Self { key, email, profile, assignments, authentication }
    }
    /// Who it is.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }
    /// The provider that vouched.
    pub fn provider(&self) -> &ProviderId {
        &self.key.provider
    }
    /// The address, with what it is worth.
    pub fn email(&self) -> Option<&AssertedEmail> {
        self.email.as_ref()
    }
    /// The address, only if linking may use it.
    pub fn verified_email(&self) -> Option<&VerifiedEmail> {
        match &self.email {
            Some(AssertedEmail::Verified(verified)) => Some(verified),
            _ => None,
        }
    }
    /// Mapped profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
    /// Local groups and roles that the mapping gives, each with its rule.
    pub fn assignments(&self) -> &BTreeMap<Target, String> {
        &self.assignments
    }
    /// What the provider said about the act of signing in.
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }
}
