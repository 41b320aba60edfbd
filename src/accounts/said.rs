//! What of an account's profile and addresses each of its identities stands behind, so that it can go with the
//! identity: what another one says too stays, and so does what a person said or proved themselves.

use crate::accounts::reconcile::one_primary;
use crate::accounts::{AccountEmail, EmailProof, Profile};
use crate::ids::{IdentityId, ProviderId};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// For each identity, the fields of the profile (by their claims' names), and the address as `email:` and its
/// canonical form.
pub type Said = BTreeMap<IdentityId, BTreeSet<String>>;

/// What a sign-in brought.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// By which identity.
    pub by: &'a IdentityId,
    /// The profile as the provider told it.
    pub profile: &'a Profile,
    /// The address that it told, in canonical form.
    pub email: Option<&'a str>,
}

/// Notes a sign-in after which the account's profile, `before`, is `after`, and holds these addresses. Those whose sets
/// changed. What an identity told stays its own as long as it stands, even if it says nothing of it any more.
pub fn note(
    said: &mut Said,
    told: Told<'_>,
    before: &Profile,
    after: &Profile,
    emails: &[AccountEmail],
) -> BTreeSet<IdentityId> {
    let (own, before, after) = (fields(told.profile), fields(before), fields(after));
    let old = said.clone();
    let mut now: BTreeSet<String> =
        own.iter().filter(|(name, value)| after.get(*name) == Some(*value)).map(|(n, _)| n.clone()).collect();
    now.extend(told.email.map(address));
    let held: BTreeSet<String> = emails.iter().map(|email| address(email.address.canonical())).collect();
    for names in said.values_mut() {
        // What changed is no longer what they had said.
        names.retain(|name| match name.starts_with(EMAIL) {
            true => held.contains(name),
            false => before.get(name) == after.get(name),
        });
    }
    said.entry(told.by.clone()).or_default().append(&mut now);
    said.iter()
        .filter(|(id, names)| old.get(*id).unwrap_or(&BTreeSet::new()) != *names)
        .map(|(id, _)| id.clone())
        .collect()
}

/// An identity that goes.
#[derive(Debug, Clone, Copy)]
pub struct Going<'a> {
    /// Which.
    pub id: &'a IdentityId,
    /// Its provider.
    pub provider: &'a ProviderId,
    /// The other identities of that provider that lead to the account.
    pub beside: &'a BTreeSet<IdentityId>,
}

/// Profile and addresses without what the identity alone stood behind.
pub fn without(
    said: &Said,
    going: Going<'_>,
    profile: &Profile,
    emails: &[AccountEmail],
) -> (Profile, Vec<AccountEmail>) {
    let nothing = BTreeSet::new();
    let own = said.get(going.id).unwrap_or(&nothing);
    let others: BTreeSet<&String> =
        said.iter().filter(|(id, _)| *id != going.id).flat_map(|(_, names)| names).collect();
    let kept = fields(profile).into_iter().filter(|(name, _)| !own.contains(name) || others.contains(name));
    // What was read from a profile reads as one again.
    let kept = serde_json::from_value(Value::Object(kept.collect())).unwrap_or_default();
    let mut left: Vec<AccountEmail> = emails
        .iter()
        .filter_map(|email| {
            let name = address(email.address.canonical());
            let beside = going.beside.iter().any(|id| said.get(id).is_some_and(|says| says.contains(&name)));
            // Where another identity of the provider has its word of the address too, that stands.
            let is_gone = |by: &ProviderId| {
                by == going.provider && (going.beside.is_empty() || own.contains(&name) && !beside)
            };
            let proof = match &email.proof {
                Some(EmailProof::Code) => return Some(email.clone()),
                Some(EmailProof::Provider(by)) if is_gone(by) => None,
                proof => proof.clone(),
            };
            let lapsed = email.lapsed.clone().filter(|by| !is_gone(by));
            let taken_back = (&proof, &lapsed) != (&email.proof, &email.lapsed);
            let known = proof.is_some() || lapsed.is_some();
            let gone = !known && (own.contains(&name) || taken_back) && !others.contains(&name);
            (!gone).then(|| AccountEmail { proof, lapsed, ..email.clone() })
        })
        .collect();
    one_primary(&mut left);
    (kept, left)
}

const EMAIL: &str = "email:";

fn address(canonical: &str) -> String {
    format!("{EMAIL}{canonical}")
}

fn fields(profile: &Profile) -> Map<String, Value> {
    match serde_json::to_value(profile) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::EmailAddress;
    use proptest::prelude::*;

    fn id(n: u8) -> IdentityId {
        IdentityId::new(format!("identity-{n}")).unwrap()
    }
    fn provider(n: u8) -> ProviderId {
        ProviderId::new(format!("p{n}")).unwrap()
    }
    fn profile(name: Option<u8>, nickname: Option<u8>) -> Profile {
        let text = |n: u8| format!("value {n}");
        Profile { name: name.map(text), nickname: nickname.map(text), ..Profile::default() }
    }
    fn email(text: &str, proof: Option<EmailProof>, primary: bool) -> AccountEmail {
        AccountEmail { address: EmailAddress::parse(text).unwrap(), proof, lapsed: None, primary }
    }

    #[test]
    fn what_another_identity_says_too_stays() {
        let (one, two) = (profile(Some(1), Some(1)), profile(Some(1), None));
        let mut said = Said::new();
        note(
            &mut said,
            Told { by: &id(1), profile: &one, email: Some("a@x.test") },
            &Profile::default(),
            &one,
            &[email("a@x.test", None, true)],
        );
        let after = two.clone().or(&one);
        let emails = [
            email("a@x.test", Some(EmailProof::Provider(provider(1))), true),
            email("b@y.test", None, false),
            email("c@z.test", Some(EmailProof::Code), false),
        ];
        let told = Told { by: &id(2), profile: &two, email: Some("b@y.test") };
        assert_eq!(note(&mut said, told, &one, &after, &emails), [id(2)].into());
        let none = BTreeSet::new();
        let going = Going { id: &id(1), provider: &provider(1), beside: &none };
        let (left, addresses) = without(&said, going, &after, &emails);
        assert_eq!(left, profile(Some(1), None), "the nickname was told by one alone");
        assert_eq!(
            addresses,
            [email("b@y.test", None, false), email("c@z.test", Some(EmailProof::Code), true)],
            "a proved one is primary now"
        );
    }

    #[test]
    fn what_nobody_noted_is_the_persons_own() {
        let own = Profile { website: Some("https://me.test".to_owned()), ..profile(Some(1), None) };
        let mut said = Said::new();
        let told = profile(Some(1), None);
        note(&mut said, Told { by: &id(1), profile: &told, email: None }, &own, &own, &[]);
        let emails = [email("me@z.test", None, true)];
        let none = BTreeSet::new();
        let going = Going { id: &id(1), provider: &provider(1), beside: &none };
        let (left, addresses) = without(&said, going, &own, &emails);
        assert_eq!(left, Profile { website: own.website, ..Profile::default() });
        assert_eq!(addresses, emails);
    }

    #[test]
    fn a_proof_goes_with_the_last_identity_of_its_provider() {
        let said = Said::from([
            (id(1), BTreeSet::from(["email:a@x.test".to_owned()])),
            (id(2), BTreeSet::from(["email:a@x.test".to_owned()])),
        ]);
        let emails = [email("a@x.test", Some(EmailProof::Provider(provider(1))), true)];
        let without = |beside: &[u8]| {
            let beside = beside.iter().map(|n| id(*n)).collect();
            let going = Going { id: &id(1), provider: &provider(1), beside: &beside };
            super::without(&said, going, &Profile::default(), &emails).1
        };
        assert_eq!(
            without(&[]),
            [email("a@x.test", None, true)],
            "the other one says it, and proves nothing"
        );
        assert_eq!(without(&[2]), emails, "the other one has the provider's word, too");
        assert_eq!(without(&[3]), [email("a@x.test", None, true)], "that one never had");
    }

    #[test]
    fn what_was_a_proof_once_goes_with_the_last_identity_of_its_provider() {
        let lapsed = |by| AccountEmail { lapsed: by, ..email("a@x.test", None, true) };
        let without = |said: &Said, going_by| {
            let emails = [lapsed(Some(provider(1)))];
            let none = BTreeSet::new();
            let going = Going { id: &id(1), provider: &provider(going_by), beside: &none };
            super::without(said, going, &Profile::default(), &emails).1
        };
        let told = |n| (id(n), BTreeSet::from(["email:a@x.test".to_owned()]));
        assert_eq!(without(&Said::from([told(1)]), 1), []);
        assert_eq!(without(&Said::from([told(1), told(2)]), 1), [lapsed(None)], "the other one says it too");
        assert_eq!(without(&Said::new(), 2), [lapsed(Some(provider(1)))], "another provider's");
    }

    proptest! {
        /// Law over any history of sign-ins by two identities: a field goes with one of them exactly if it told the
        /// value that stands, and the other did not, since that value came. Falling silent changes nothing of that.
        #[test]
        fn what_one_alone_told_goes_and_nothing_else(
            history in prop::collection::vec((1u8..=2, prop::option::of(1u8..=2)), 0..10),
            gone in 1u8..=2,
        ) {
            let (mut said, mut now) = (Said::new(), Profile::default());
            let mut behind = BTreeSet::new();
            for (by, name) in history {
                let told = profile(name, None);
                let after = told.clone().or(&now);
                let changed = note(&mut said, Told { by: &id(by), profile: &told, email: None }, &now, &after, &[]);
                prop_assert!(changed.iter().all(|id| said.contains_key(id)));
                if after != now {
                    behind.clear();
                }
                if name.is_some() {
                    behind.insert(by);
                }
                now = after;
            }
            let by = provider(gone);
            let none = BTreeSet::new();
            let going = Going { id: &id(gone), provider: &by, beside: &none };
            let (left, _) = without(&said, going, &now, &[]);
            let goes = behind == BTreeSet::from([gone]);
            prop_assert_eq!(left, if goes { Profile::default() } else { now });
        }
    }
}
