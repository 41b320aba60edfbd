//! What a sign-in changes of an account. Groups and roles: exactly those that the same provider gave and
//! gives no more. Addresses: what the provider asserts now replaces what it asserted before.

use crate::accounts::{AccountEmail, Assignment, EmailAddress, EmailProof, Provenance, Target};
use crate::ids::ProviderId;
use std::collections::{BTreeMap, BTreeSet};

/// The difference between what is and what should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be added.
    pub add: BTreeSet<Assignment>,
    /// To be removed.
    pub remove: BTreeSet<Assignment>,
}

impl Changes {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// Compares the assignments an account has with what `provider`'s mapping gives now (each target with its
/// rule). Only assignments of that provider's own provenance are ever removed.
pub fn reconcile(
    current: &BTreeSet<Assignment>,
    provider: &ProviderId,
    mapped: &BTreeMap<Target, String>,
) -> Changes {
    let wanted: BTreeSet<Assignment> = mapped
        .iter()
        .map(|(target, rule)| Assignment {
            target: target.clone(),
            provenance: Provenance::Provider { provider: provider.clone(), rule: rule.clone() },
        })
        .collect();
    let own = |a: &&Assignment| match &a.provenance {
        Provenance::Provider { provider: of, .. } => of == provider,
        Provenance::Configuration | Provenance::Admin(_) => false,
    };
    Changes {
        add: wanted.difference(current).cloned().collect(),
        remove: current.iter().filter(own).filter(|a| !wanted.contains(*a)).cloned().collect(),
    }
}

/// The most addresses that one account holds.
pub const MAX_EMAILS: usize = 10;

/// What a provider says of an address, as far as an account's own list is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asserted<'a> {
    /// The address.
    pub address: &'a EmailAddress,
    /// Whether the provider's word is proof **and** no other account holds the address with proof.
    pub proved: bool,
    /// Whether the provider does not speak for the address's domain (any more).
    pub foreign: bool,
}

/// The addresses that an account holds after a sign-in by `provider`.
///
/// An address that this provider proved earlier and asserts no more goes; so does, for a person with one
/// identity only, one that was merely said. Addresses proved otherwise stay. Where the domain is no longer the
/// provider's, what it proved is no proof any more, but remembered ([`AccountEmail::lapsed`]). Only one is primary: the
/// one that was, while it stays; else a proved one before an unproved one.
pub fn reconcile_emails(
    current: &[AccountEmail],
    provider: &ProviderId,
    asserted: Option<Asserted<'_>>,
    only_identity: bool,
) -> Vec<AccountEmail> {
    let Some(asserted) = asserted else { return current.to_vec() };
    let is_asserted = |e: &AccountEmail| e.address.canonical() == asserted.address.canonical();
    let mut emails: Vec<AccountEmail> = current
        .iter()
        .filter(|e| {
            is_asserted(e)
                || match (&e.proof, &e.lapsed) {
                    (Some(EmailProof::Provider(of)), _) | (None, Some(of)) => of != provider,
                    (Some(EmailProof::Code), _) => true,
                    (None, None) => !only_identity,
                }
        })
        .cloned()
        .collect();
    let room = emails.len() < MAX_EMAILS;
    match emails.iter_mut().find(|e| is_asserted(e)) {
        Some(held) => {
            held.address = asserted.address.clone();
            let before = (held.proof.take(), held.lapsed.take());
            held.lapsed = match &before {
                // It takes back its own word; nobody else's.
                (None, Some(of)) if !asserted.proved && (of != provider || asserted.foreign) => {
                    Some(of.clone())
                }
                (Some(EmailProof::Provider(of)), _)
                    if of == provider && !asserted.proved && asserted.foreign =>
                {
                    Some(of.clone())
                }
                _ => None,
            };
            held.proof = match before.0 {
                // A code came back from there; a provider cannot unsay that.
                Some(EmailProof::Code) => Some(EmailProof::Code),
                // Whoever speaks for the domain now takes the place of whoever did before.
                Some(EmailProof::Provider(of)) if of != *provider && !asserted.proved => {
                    Some(EmailProof::Provider(of))
                }
                _ => asserted.proved.then(|| EmailProof::Provider(provider.clone())),
            };
        }
        None if room => emails.push(AccountEmail {
            address: asserted.address.clone(),
            proof: asserted.proved.then(|| EmailProof::Provider(provider.clone())),
            lapsed: None,
            primary: false,
        }),
        None => {}
    }
    one_primary(&mut emails);
    emails
}

/// Makes one address the primary one: that which was; else a proved one before an unproved one.
pub(super) fn one_primary(emails: &mut [AccountEmail]) {
    let primary = emails
        .iter()
        .position(|e| e.primary)
        .or_else(|| emails.iter().position(|e| e.proof.is_some()))
        .unwrap_or(0);
    for (i, email) in emails.iter_mut().enumerate() {
        email.primary = i == primary;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupName, RoleName};
    use proptest::prelude::*;

    fn provider(name: &str) -> ProviderId {
        ProviderId::new(name).unwrap()
    }

    fn target() -> impl Strategy<Value = Target> {
        prop_oneof![
            "[ab]".prop_map(|n| Target::Group(GroupName::new(n).unwrap())),
            "[ab]".prop_map(|n| Target::Role(RoleName::new(n).unwrap())),
        ]
    }
    fn provenance() -> impl Strategy<Value = Provenance> {
        prop_oneof![
            ("p[12]", "r[12]").prop_map(|(p, rule)| Provenance::Provider { provider: provider(&p), rule }),
            Just(Provenance::Configuration),
            "[xy]".prop_map(Provenance::Admin),
        ]
    }
    fn assignments() -> impl Strategy<Value = BTreeSet<Assignment>> {
        prop::collection::btree_set(
            (target(), provenance()).prop_map(|(target, provenance)| Assignment { target, provenance }),
            0..12,
        )
    }
    fn mapped() -> impl Strategy<Value = BTreeMap<Target, String>> {
        prop::collection::btree_map(target(), "r[12]", 0..4)
    }
    fn apply(mut current: BTreeSet<Assignment>, changes: &Changes) -> BTreeSet<Assignment> {
        for gone in &changes.remove {
            assert!(current.remove(gone), "removes only what is there");
        }
        for new in &changes.add {
            assert!(current.insert(new.clone()), "adds only what is not there");
        }
        current
    }

    proptest! {
        /// Law: a second sign-in with the same claims changes nothing.
        #[test]
        fn idempotent(current in assignments(), mapped in mapped()) {
            let p1 = provider("p1");
            let after = apply(current.clone(), &reconcile(&current, &p1, &mapped));
            prop_assert!(reconcile(&after, &p1, &mapped).is_empty());
        }

        /// Law: what others gave stays, letter for letter; what this provider gave equals the mapping.
        #[test]
        fn touches_only_its_own(current in assignments(), mapped in mapped()) {
            let p1 = provider("p1");
            let is_own = |a: &Assignment| {
                matches!(&a.provenance, Provenance::Provider { provider, .. } if *provider == p1)
            };
            let after = apply(current.clone(), &reconcile(&current, &p1, &mapped));
            let others = |set: &BTreeSet<Assignment>| -> Vec<Assignment> {
                set.iter().filter(|a| !is_own(a)).cloned().collect()
            };
            prop_assert_eq!(others(&current), others(&after));
            let own: BTreeSet<Target> =
                after.iter().filter(|a| is_own(a)).map(|a| a.target.clone()).collect();
            prop_assert_eq!(own, mapped.keys().cloned().collect::<BTreeSet<_>>());
        }

        /// Laws of addresses: never two primaries, no address twice, proofs of others untouched, an address
        /// without the provider's proof never becomes proved, what lapses was that provider's proof of a domain that is
        /// not its own, and a second time changes nothing.
        #[test]
        fn addresses(
            current in prop::collection::btree_map("[abc]", 0u8..6, 0..3),
            asserted in prop::option::of(("[abcd]", 0u8..3)),
            only_identity: bool,
        ) {
            let p1 = provider("p1");
            let address = |name: &str| EmailAddress::parse(&format!("{name}@x.test")).unwrap();
            let current: Vec<AccountEmail> = current
                .iter()
                .enumerate()
                .map(|(i, (name, how))| AccountEmail {
                    address: address(name),
                    proof: match how {
                        1 => Some(EmailProof::Code),
                        2 => Some(EmailProof::Provider(p1.clone())),
                        3 => Some(EmailProof::Provider(provider("p2"))),
                        _ => None,
                    },
                    lapsed: match how {
                        4 => Some(p1.clone()),
                        5 => Some(provider("p2")),
                        _ => None,
                    },
                    primary: i == 0,
                })
                .collect();
            let said = asserted.map(|(name, how)| (address(&name), how == 1, how == 2));
            let said = said.as_ref().map(|(address, proved, foreign)| Asserted {
                address,
                proved: *proved,
                foreign: *foreign,
            });
            let after = reconcile_emails(&current, &p1, said, only_identity);
            prop_assert!(after.iter().filter(|e| e.primary).count() == usize::from(!after.is_empty()));
            let distinct: BTreeSet<&str> = after.iter().map(|e| e.address.canonical()).collect();
            prop_assert_eq!(distinct.len(), after.len());
            for before in &current {
                let foreign = match &before.proof {
                    Some(EmailProof::Code) => true,
                    Some(EmailProof::Provider(of)) => *of != p1,
                    None => false,
                };
                if foreign {
                    // Only this provider's own word of the same address takes the place of another one's.
                    let retold = said.filter(|said| {
                        said.proved
                            && said.address == &before.address
                            && before.proof != Some(EmailProof::Code)
                    });
                    let proof = match retold {
                        Some(_) => Some(EmailProof::Provider(p1.clone())),
                        None => before.proof.clone(),
                    };
                    prop_assert!(after.iter().any(|e| e.address == before.address && e.proof == proof));
                }
            }
            for email in &after {
                let was = current.iter().find(|e| e.address == email.address);
                let told = said.filter(|said| said.address == &email.address);
                let lapses = told.is_some_and(|said| said.foreign)
                    && was.is_some_and(|was| was.proof == Some(EmailProof::Provider(p1.clone())));
                let expected = match was.and_then(|was| was.lapsed.clone()) {
                    // Its own word the provider may take back; a new one takes the place of all.
                    Some(of) => told
                        .is_none_or(|said| !said.proved && (of != p1 || said.foreign))
                        .then_some(of),
                    None => lapses.then(|| p1.clone()),
                };
                prop_assert_eq!(&email.lapsed, &expected);
                prop_assert!(email.lapsed.is_none() || email.proof.is_none());
            }
            for before in current.iter().filter(|e| e.lapsed == Some(provider("p2"))) {
                prop_assert!(after.iter().any(|e| e.address == before.address), "another one's word stays");
            }
            if let Some(said) = said {
                for email in &after {
                    let was_proved = current.iter().any(|e| {
                        e.address.canonical() == email.address.canonical() && e.proof.is_some()
                    });
                    let is_said = email.address.canonical() == said.address.canonical();
                    prop_assert!(email.proof.is_none() || was_proved || (is_said && said.proved));
                }
            }
            prop_assert_eq!(reconcile_emails(&after, &p1, said, only_identity), after.clone());
        }
    }

    #[test]
    fn link_011_an_address_changed_at_the_provider_replaces_the_old_one() {
        let p1 = provider("p1");
        let old = EmailAddress::parse("old@x.test").unwrap();
        let new = EmailAddress::parse("new@x.test").unwrap();
        let held = vec![AccountEmail {
            address: old,
            proof: Some(EmailProof::Provider(p1.clone())),
            lapsed: None,
            primary: true,
        }];
        // Another account has proved the new address: ours is held without proof.
        let after = reconcile_emails(
            &held,
            &p1,
            Some(Asserted { address: &new, proved: false, foreign: false }),
            true,
        );
        assert_eq!(after, [AccountEmail { address: new.clone(), proof: None, lapsed: None, primary: true }]);
        let after = reconcile_emails(
            &held,
            &p1,
            Some(Asserted { address: &new, proved: true, foreign: false }),
            true,
        );
        assert_eq!(
            after,
            [AccountEmail {
                address: new,
                proof: Some(EmailProof::Provider(p1)),
                lapsed: None,
                primary: true
            }]
        );
    }
}
