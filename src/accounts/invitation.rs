//! An invitation lets one person in whom a provider's policy would not.

use crate::accounts::EmailAddress;
use crate::context::Timestamp;
use crate::ids::{GroupName, ProviderId};
use crate::tokens::handle::Digest;
use std::collections::BTreeSet;

/// An invitation as stored. Only its digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Digest of the invitation.
    pub digest: Digest,
    /// The provider by which the person must come; `None` means by any.
    pub provider: Option<ProviderId>,
    /// The address that the person must hold with proof; `None` means whoever brings it.
    pub email: Option<EmailAddress>,
    /// Groups that the new account gets, by the one who invited.
    pub groups: BTreeSet<GroupName>,
    /// The administrator who invited, by name.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl Invitation {
    /// Whether it can still be used.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }
    /// Whether it lets in a person who comes by `provider` and holds `proved` with proof.
    pub fn admits(&self, provider: &ProviderId, proved: Option<&EmailAddress>, now: Timestamp) -> bool {
        let by = self.provider.as_ref().is_none_or(|wanted| wanted == provider);
        let holds = self
            .email
            .as_ref()
            .is_none_or(|wanted| proved.is_some_and(|address| address.canonical() == wanted.canonical()));
        self.is_open(now) && by && holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_039_an_invitation_is_bound_to_address_provider_and_time() {
        let globex = ProviderId::new("globex").unwrap();
        let alice = EmailAddress::parse("alice@globex.example").unwrap();
        let mallory = EmailAddress::parse("mallory@globex.example").unwrap();
        let bound = Invitation {
            digest: Digest::of("x"),
            provider: Some(globex.clone()),
            email: Some(alice.clone()),
            groups: BTreeSet::new(),
            created_by: "root".to_owned(),
            created_at: Timestamp(0),
            expires_at: Timestamp(10),
            used_at: None,
        };
        assert!(bound.admits(&globex, Some(&alice), Timestamp(9)));
        assert!(!bound.admits(&globex, Some(&mallory), Timestamp(9)));
        assert!(!bound.admits(&globex, None, Timestamp(9)), "an address that was merely said is none");
        assert!(!bound.admits(&ProviderId::new("other").unwrap(), Some(&alice), Timestamp(9)));
        assert!(!bound.admits(&globex, Some(&alice), Timestamp(10)));
        let used = Invitation { used_at: Some(Timestamp(1)), ..bound.clone() };
        assert!(!used.admits(&globex, Some(&alice), Timestamp(9)));
        let open = Invitation { provider: None, email: None, ..bound };
        assert!(open.admits(&globex, None, Timestamp(9)));
    }
}
