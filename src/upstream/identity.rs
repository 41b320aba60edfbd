//! 3 — What a provider vouched for. [`ExternalIdentity`] and [`VerifiedEmail`] can be built only inside
//! `upstream`, so nothing else in the house can make up a person or a proof.

use crate::accounts::{EmailAddress, IdentityKey, Profile, Target};
use crate::context::Timestamp;
use crate::ids::ProviderId;
use crate::sessions::UpstreamName;
use serde::{Deserialize, Serialize};
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
    said_at: Option<Timestamp>,
}

/// What the provider said about the act of signing in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// An identity that was vouched for, in the form in which it waits while its person is asked something. It may be
/// written only where we seal, and read only from what we sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waiting {
    key: IdentityKey,
    email: Option<(EmailAddress, bool)>,
    profile: Profile,
    assignments: Vec<(Target, String)>,
    authentication: Authentication,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said_at: Option<Timestamp>,
}

impl Waiting {
    /// Puts an identity away.
    pub fn of(identity: &ExternalIdentity) -> Self {
        let verified = identity.verified_email().is_some();
        Self {
            key: identity.key.clone(),
            email: identity.email.as_ref().map(|email| (email.address().clone(), verified)),
            profile: identity.profile.clone(),
            assignments: identity.assignments.clone().into_iter().collect(),
            authentication: identity.authentication.clone(),
            said_at: identity.said_at,
        }
    }
    /// The identity again, as it was.
    pub fn identity(&self) -> ExternalIdentity {
        let email = self.email.clone().map(|(address, verified)| {
            if verified {
                AssertedEmail::Verified(VerifiedEmail::new(address, self.key.provider.clone()))
            } else {
                AssertedEmail::Claimed(address)
            }
        });
        ExternalIdentity {
            key: self.key.clone(),
            email,
            profile: self.profile.clone(),
            assignments: self.assignments.iter().cloned().collect(),
            authentication: self.authentication.clone(),
            said_at: self.said_at,
        }
    }
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
        Self { key, email, profile, assignments, authentication, said_at: None }
    }
    /// With the moment at which the provider said so, at the earliest.
    pub(in crate::upstream) fn said_at(self, moment: Timestamp) -> Self {
        Self { said_at: Some(moment), ..self }
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
    /// When the provider said so, at the earliest, by the clock by which its logouts are told: its own (SAML), or ours,
    /// when the person left for it (OpenID Connect, OAuth).
    pub fn when_said(&self) -> Option<Timestamp> {
        self.said_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::GroupName;

    #[test]
    fn an_identity_that_waited_is_as_it_was() {
        let provider = ProviderId::new("globex").unwrap();
        let address = EmailAddress::parse("Alice@globex.example").unwrap();
        let verified = AssertedEmail::Verified(VerifiedEmail::new(address.clone(), provider.clone()));
        for email in [None, Some(AssertedEmail::Claimed(address)), Some(verified)] {
            let identity = ExternalIdentity::new(
                IdentityKey {
                    provider: provider.clone(),
                    issuer: "https://globex.example".to_owned(),
                    subject: "1".to_owned(),
                    format: "f".to_owned(),
                },
                email,
                Profile { nickname: Some("al".to_owned()), ..Profile::default() },
                BTreeMap::from([(Target::Group(GroupName::new("staff").unwrap()), "rule".to_owned())]),
                Authentication {
                    auth_time: Some(Timestamp(5)),
                    acr: Some("gold".to_owned()),
                    amr: vec!["pwd".to_owned()],
                    upstream_session: Some("s".to_owned()),
                    upstream_name: Some(UpstreamName { key: "k".to_owned(), written: "w".to_owned() }),
                    session_ends: Some(Timestamp(9)),
                },
            )
            .said_at(Timestamp(7));
            assert_eq!(identity.when_said(), Some(Timestamp(7)));
            let written = serde_json::to_string(&Waiting::of(&identity)).unwrap();
            let read: Waiting = serde_json::from_str(&written).unwrap();
            assert_eq!(read.identity(), identity);
        }
    }
}
