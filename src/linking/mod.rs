//! 4 — To which account an external identity leads: one it is linked with, one it may be joined to, a new
//! one, or none.
//!
//! An address joins an identity to an account under one rule only: the provider is authoritative for the
//! address's domain and asserted it as verified (that is a [`VerifiedEmail`]), and exactly one account, an
//! active one, holds it by such a proof too and knows nobody of that provider yet. A code that we sent joins nobody,
//! neither the one who brings it nor an account that was made with it, since it shows only who read the mail that day;
//! nor does an address that the provider gave to another subject before (a domain or a mailbox that has a new owner);
//! nor one that another provider proved whose people still come, since it may have spoken of somebody else.
//! What a provider proved before the domain left it counts for this alone, until somebody has proved the address.
//! Then the account's owner is asked to sign in the old way first.

use crate::accounts::{AccountStatus, EmailAddress, EmailProof};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::AccountId;
use crate::upstream::identity::VerifiedEmail;

/// An account that an identity is linked with, or that holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountId,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// By which proof it holds the address, if by any; for a linked account this says nothing.
    pub proof: Option<EmailProof>,
    /// Whether it has no proof, but once had the word of a provider that the domain has left since; for a linked account
    /// this says nothing.
    pub lapsed: bool,
    /// Whether somebody of the same provider is linked with it already, under another subject or issuer; for a linked
    /// account this says nothing.
    pub other_subject: bool,
    /// Whether the proof is or was the word of another provider, and its person can still come by that one, or by a third;
    /// for a linked account this says nothing.
    pub proved_elsewhere: bool,
}

/// What the provider said about the person's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailFact<'a> {
    /// Nothing.
    None,
    /// An address without proof, of a domain for which the provider is authoritative.
    Unverified,
    /// An address of a domain for which the provider is not authoritative, whatever it says about it.
    ForeignDomain,
    /// An address with proof.
    Verified(&'a VerifiedEmail),
    /// The provider gave no proof of any; the person brought back a code that we had sent to this one.
    ByCode(&'a EmailAddress),
}

/// What the provider's policy says about a person who has no account yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Let in.
    Open,
    /// Let in because an invitation was shown; it must be consumed.
    Invited,
    /// Not let in, for this stable reason (`provider.*`).
    Closed(&'static str),
}

/// Everything the decision looks at.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The account that the identity's key is linked with.
    pub known: Option<&'a Holder>,
    /// What the provider said about the address.
    pub email: EmailFact<'a>,
    /// All accounts that hold that address, with proof or without.
    pub holders: &'a [Holder],
    /// Whether this provider's identities may be joined to accounts silently.
    pub joins_silently: bool,
    /// What the provider's policy says about newcomers.
    pub admission: Admission,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Signs in to the account it is linked with.
    Existing(AccountId),
    /// Is linked with this account from now on.
    Link(AccountId),
    /// Gets an account of its own.
    Create {
        /// Whether the new account holds the address with proof.
        proved: bool,
        /// Why it was not joined to an account that says it holds the same address, or why the address is
        /// no proof; for the audit record.
        declined: Option<&'static str>,
        /// Whether an invitation is used up.
        invited: bool,
    },
    /// An account exists; its owner must sign in the old way first.
    AskForProof {
        /// Why, for the record.
        reason: &'static str,
        /// The account, if it is one only.
        owner: Option<AccountId>,
    },
    /// Is not let in.
    Refuse(Refusal),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The account is suspended or deleted.
    NotActive,
    /// Newcomers are not let in, for this reason.
    NotAdmitted(&'static str),
}

/// Decides.
pub fn decide(facts: &Facts<'_>) -> Decision {
    // The key alone decides for those we know: no address, no policy for newcomers (OIDC Core §5.7).
    if let Some(known) = facts.known {
        return match known.status {
            AccountStatus::Active => Decision::Existing(known.account.clone()),
            AccountStatus::Suspended | AccountStatus::Deleted => Decision::Refuse(Refusal::NotActive),
        };
    }
    let mut declined = None;
    match facts.email {
        EmailFact::Verified(_) | EmailFact::ByCode(_) => {
            // A code shows who reads the mail today. It joins nobody by itself: the owner comes the old way.
            let joins_silently = facts.joins_silently && matches!(facts.email, EmailFact::Verified(_));
            match owners(facts) {
                (Some(owner), None) if owner.status == AccountStatus::Active => {
                    let account = owner.account.clone();
                    let ask = |reason| Decision::AskForProof { reason, owner: Some(account.clone()) };
                    return if owner.other_subject {
                        // One provider says of two subjects that they have this address: the older keeps the account.
                        ask("link.other_subject")
                    } else if !joins_silently {
                        ask("link.proof_needed")
                    } else if owner.proof == Some(EmailProof::Code) {
                        // Whoever read the mail then need not be the one of whom the provider speaks now.
                        ask("link.proved_by_code")
                    } else if owner.proved_elsewhere {
                        // The domain was the other provider's. Of whom it spoke, only its person can show.
                        ask("link.proved_elsewhere")
                    } else {
                        Decision::Link(account)
                    };
                }
                // The owner of the address is suspended: another provider must be no way around that.
                (Some(_), None) => return Decision::Refuse(Refusal::NotActive),
                // The store keeps two from having proved it; should it happen, nobody is joined.
                (Some(_), Some(_)) => {
                    return Decision::AskForProof { reason: "link.ambiguous", owner: None };
                }
                (None, _) => {}
            }
            if facts.holders.iter().any(|h| h.status != AccountStatus::Deleted) {
                declined = Some("link.local_unverified");
            }
        }
        EmailFact::Unverified => declined = Some("link.email_unverified"),
        EmailFact::ForeignDomain => declined = Some("link.domain_authority"),
        EmailFact::None => {}
    }
    let invited = match facts.admission {
        Admission::Open => false,
        Admission::Invited => true,
        Admission::Closed(reason) => return Decision::Refuse(Refusal::NotAdmitted(reason)),
    };
    let proved = matches!(facts.email, EmailFact::Verified(_) | EmailFact::ByCode(_));
    Decision::Create { proved, declined, invited }
}

/// Whose address it is, and somebody else whose it is too. Who has proved it; else who had, if it is one alone and the
/// provider speaks for the domain: who proved it at the domain's earlier provider is not a stranger at its next one.
fn owners<'a>(facts: &Facts<'a>) -> (Option<&'a Holder>, Option<&'a Holder>) {
    let there = || facts.holders.iter().filter(|h| h.status != AccountStatus::Deleted);
    let mut proved = there().filter(|h| h.proof.is_some());
    let mut lapsed =
        there().filter(|h| h.lapsed && h.proof.is_none() && matches!(facts.email, EmailFact::Verified(_)));
    match (proved.next(), proved.next()) {
        (None, _) => match (lapsed.next(), lapsed.next()) {
            (Some(alone), None) => (Some(alone), None),
            _ => (None, None),
        },
        owners => owners,
    }
}

impl Refusal {
    /// As a failure for the person and the record.
    pub fn failure(self) -> Failure {
        match self {
            Self::NotActive => Failure::new(
                OAuthCode::AccessDenied,
                "user.disabled",
                UserMessage::AccountNotActive,
                "the account is suspended or deleted",
            ),
            Self::NotAdmitted(reason) => Failure::new(
                OAuthCode::AccessDenied,
                reason,
                UserMessage::NotInvited,
                "the provider's policy does not let this person have an account",
            ),
        }
    }
}

/// The failure of a person who must sign in the old way first.
pub fn proof_needed(reason: &'static str) -> Failure {
    Failure::new(
        OAuthCode::AccessDenied,
        reason,
        UserMessage::ProofNeeded,
        "an account holds this address; its owner must sign in the way they did before",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProviderId;
    use proptest::prelude::*;

    fn holder(name: &str, status: AccountStatus, proved: bool) -> Holder {
        let proof = proved.then(|| EmailProof::Provider(ProviderId::new("initech").unwrap()));
        Holder {
            account: AccountId::new(name).unwrap(),
            status,
            proof,
            lapsed: false,
            other_subject: false,
            proved_elsewhere: false,
        }
    }
    fn verified() -> VerifiedEmail {
        VerifiedEmail::for_tests(
            EmailAddress::parse("alice@globex.example").unwrap(),
            ProviderId::new("globex").unwrap(),
        )
    }
    fn facts<'a>(email: EmailFact<'a>, holders: &'a [Holder]) -> Facts<'a> {
        Facts { known: None, email, holders, joins_silently: true, admission: Admission::Open }
    }
    fn created(proved: bool, declined: Option<&'static str>) -> Decision {
        Decision::Create { proved, declined, invited: false }
    }
    use AccountStatus::{Active, Deleted, Suspended};

    #[test]
    fn the_one_rule_joins() {
        let email = verified();
        let owner = [holder("victim-0", Active, true)];
        let decision = decide(&facts(EmailFact::Verified(&email), &owner));
        assert_eq!(decision, Decision::Link(owner[0].account.clone()));
        let asked = Facts { joins_silently: false, ..facts(EmailFact::Verified(&email), &owner) };
        let ask =
            Decision::AskForProof { reason: "link.proof_needed", owner: Some(owner[0].account.clone()) };
        assert_eq!(decide(&asked), ask);
    }

    #[test]
    fn oidc_045_link_010_another_subject_of_the_same_provider_is_another_person() {
        let email = verified();
        let owner = [Holder { other_subject: true, ..holder("victim-0", Active, true) }];
        let ask =
            Decision::AskForProof { reason: "link.other_subject", owner: Some(owner[0].account.clone()) };
        let facts = facts(EmailFact::Verified(&email), &owner);
        assert_eq!(decide(&facts), ask);
        assert_eq!(decide(&Facts { joins_silently: false, ..facts }), ask);
    }

    #[test]
    fn link_003_an_account_that_was_made_with_a_code_is_joined_by_nobody() {
        let email = verified();
        let owner = [Holder { proof: Some(EmailProof::Code), ..holder("planted-0", Active, true) }];
        let ask =
            Decision::AskForProof { reason: "link.proved_by_code", owner: Some(owner[0].account.clone()) };
        assert_eq!(decide(&facts(EmailFact::Verified(&email), &owner)), ask);
    }

    #[test]
    fn link_009_an_account_of_another_providers_people_is_joined_once_nobody_comes_by_it() {
        let email = verified();
        let owner = [Holder { proved_elsewhere: true, ..holder("planted-0", Active, true) }];
        let ask =
            Decision::AskForProof { reason: "link.proved_elsewhere", owner: Some(owner[0].account.clone()) };
        assert_eq!(decide(&facts(EmailFact::Verified(&email), &owner)), ask);
        let gone = [Holder { proved_elsewhere: false, ..owner[0].clone() }];
        let joined = Decision::Link(gone[0].account.clone());
        assert_eq!(decide(&facts(EmailFact::Verified(&email), &gone)), joined, "the valid twin");
    }

    #[test]
    fn link_009_whose_proof_lapsed_with_the_domain_is_no_stranger_at_its_next_provider() {
        let email = verified();
        let lapsed = |name| Holder { proof: None, lapsed: true, ..holder(name, Active, true) };
        let told = |email, holders: &[Holder]| decide(&facts(email, holders));
        let there = Holder { proved_elsewhere: true, ..lapsed("moved-00") };
        let ask =
            Decision::AskForProof { reason: "link.proved_elsewhere", owner: Some(there.account.clone()) };
        assert_eq!(told(EmailFact::Verified(&email), std::slice::from_ref(&there)), ask);
        let gone = lapsed("moved-00");
        let joined = Decision::Link(gone.account.clone());
        assert_eq!(told(EmailFact::Verified(&email), std::slice::from_ref(&gone)), joined);
        let suspended = Holder { status: Suspended, ..lapsed("moved-00") };
        let refused = Decision::Refuse(Refusal::NotActive);
        assert_eq!(told(EmailFact::Verified(&email), &[suspended]), refused);
        // It is no proof: who has one is the owner, and to anybody but the domain's provider it says nothing.
        let owner = holder("owner-00", Active, true);
        let joined = Decision::Link(owner.account.clone());
        assert_eq!(told(EmailFact::Verified(&email), &[there.clone(), owner]), joined);
        let declined = created(true, Some("link.local_unverified"));
        assert_eq!(told(EmailFact::ByCode(email.address()), std::slice::from_ref(&there)), declined);
        assert_eq!(told(EmailFact::Verified(&email), &[there, lapsed("moved-01")]), declined);
    }

    #[test]
    fn link_001_a_code_from_the_owners_mailbox_joins_nobody_by_itself() {
        let address = EmailAddress::parse("alice@globex.example").unwrap();
        let owner = [holder("victim-0", Active, true)];
        let ask =
            Decision::AskForProof { reason: "link.proof_needed", owner: Some(owner[0].account.clone()) };
        assert_eq!(decide(&facts(EmailFact::ByCode(&address), &owner)), ask);
        let gone = [holder("victim-0", Suspended, true)];
        let refused = Decision::Refuse(Refusal::NotActive);
        assert_eq!(decide(&facts(EmailFact::ByCode(&address), &gone)), refused);
        let squatter = [holder("squatter", Active, false)];
        let declined = created(true, Some("link.local_unverified"));
        assert_eq!(decide(&facts(EmailFact::ByCode(&address), &squatter)), declined);
        assert_eq!(decide(&facts(EmailFact::ByCode(&address), &[])), created(true, None));
    }

    #[test]
    fn link_001_link_007_an_account_whose_address_was_never_proved_is_not_joined() {
        let email = verified();
        let squatter = [holder("squatter", Active, false)];
        let decision = decide(&facts(EmailFact::Verified(&email), &squatter));
        assert_eq!(decision, created(true, Some("link.local_unverified")));
    }

    #[test]
    fn link_005_link_006_an_unverified_address_is_no_key() {
        let owner = [holder("victim-0", Active, true)];
        let decision = decide(&facts(EmailFact::Unverified, &owner));
        assert_eq!(decision, created(false, Some("link.email_unverified")));
    }

    #[test]
    fn link_009_a_provider_speaks_for_its_domains_only() {
        let owner = [holder("victim-0", Active, true)];
        let decision = decide(&facts(EmailFact::ForeignDomain, &owner));
        assert_eq!(decision, created(false, Some("link.domain_authority")));
    }

    #[test]
    fn link_010_link_011_a_known_identity_stays_with_its_account() {
        let email = verified();
        let known = holder("first-00", Active, false);
        let other = [holder("victim-0", Active, true)];
        let facts = Facts { known: Some(&known), ..facts(EmailFact::Verified(&email), &other) };
        assert_eq!(decide(&facts), Decision::Existing(known.account.clone()));
    }

    #[test]
    fn link_014_a_deleted_account_gives_nothing_back() {
        let email = verified();
        let gone = [holder("gone-000", Deleted, true)];
        assert_eq!(decide(&facts(EmailFact::Verified(&email), &gone)), created(true, None));
    }

    #[test]
    fn a_suspended_owner_cannot_come_in_by_another_provider() {
        let email = verified();
        let owner = [holder("owner-00", Suspended, true)];
        let decision = decide(&facts(EmailFact::Verified(&email), &owner));
        assert_eq!(decision, Decision::Refuse(Refusal::NotActive));
        assert_eq!(Refusal::NotActive.failure().reason, "user.disabled");
    }

    #[test]
    fn a_closed_provider_lets_known_people_in_and_joins_but_does_not_create() {
        let email = verified();
        let closed = Admission::Closed("provider.provisioning");
        let none = Facts { admission: closed, ..facts(EmailFact::Verified(&email), &[]) };
        assert_eq!(decide(&none), Decision::Refuse(Refusal::NotAdmitted("provider.provisioning")));
        let owner = [holder("owner-00", Active, true)];
        let join = Facts { admission: closed, ..facts(EmailFact::Verified(&email), &owner) };
        assert_eq!(decide(&join), Decision::Link(owner[0].account.clone()));
    }

    fn status() -> impl Strategy<Value = AccountStatus> {
        prop_oneof![Just(Active), Just(Suspended), Just(Deleted)]
    }
    fn holders() -> impl Strategy<Value = Vec<Holder>> {
        prop::collection::vec(
            ("h[0-9]{7}", status(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
                |(name, status, proved, code, other_subject, lapsed)| {
                    let holder = holder(&name, status, proved);
                    let proof = holder.proof.clone().map(|by| if code { EmailProof::Code } else { by });
                    Holder { other_subject, lapsed: lapsed && proof.is_none(), proof, ..holder }
                },
            ),
            0..4,
        )
    }

    proptest! {
        #[test]
        fn laws(
            known in prop::option::of(("k[0-9]{7}", status())),
            which in 0u8..5,
            holders in holders(),
            joins_silently: bool,
            admission in prop_oneof![
                Just(Admission::Open), Just(Admission::Invited), Just(Admission::Closed("provider.never")),
            ],
        ) {
            let email = verified();
            let known = known.map(|(name, status)| holder(&name, status, false));
            let email = match which {
                0 => EmailFact::None,
                1 => EmailFact::Unverified,
                2 => EmailFact::ForeignDomain,
                3 => EmailFact::ByCode(email.address()),
                _ => EmailFact::Verified(&email),
            };
            let facts = Facts { known: known.as_ref(), email, holders: &holders, joins_silently, admission };
            let decision = decide(&facts);
            let is_verified = matches!(email, EmailFact::Verified(_));
            let is_proved = matches!(email, EmailFact::Verified(_) | EmailFact::ByCode(_));

            // Law: for a known identity the key alone decides.
            if let Some(known) = &known {
                let alone = Facts { email: EmailFact::None, holders: &[], ..facts.clone() };
                prop_assert_eq!(&decision, &decide(&alone));
                // Law: nobody but the active comes in.
                prop_assert_eq!(matches!(decision, Decision::Existing(_)), known.status == Active);
            }
            match &decision {
                // Law: an unverified address never links, and no link leads to an account that is not
                // active, has not proved the address or knows somebody else of the provider.
                Decision::Link(to) => {
                    prop_assert!(is_verified && joins_silently && known.is_none());
                    let there = || holders.iter().filter(|h| h.status != Deleted);
                    let mut owners: Vec<_> = there().filter(|h| h.proof.is_some()).collect();
                    if owners.is_empty() {
                        owners = there().filter(|h| h.lapsed).collect();
                    }
                    prop_assert_eq!(owners.len(), 1);
                    prop_assert!(owners[0].account == *to && owners[0].status == Active);
                    prop_assert!(!owners[0].other_subject && owners[0].proof != Some(EmailProof::Code));
                }
                // Law: an address becomes proved only by a proof, and only while nobody else has proved it.
                Decision::Create { proved, invited, .. } => {
                    prop_assert_eq!(*proved, is_proved);
                    prop_assert!(!proved || !holders.iter().any(|h| h.proof.is_some() && h.status != Deleted));
                    prop_assert_eq!(*invited, admission == Admission::Invited);
                    prop_assert!(!matches!(admission, Admission::Closed(_)));
                }
                Decision::Existing(id) => prop_assert!(known.is_some_and(|k| k.account == *id)),
                // Law: whoever is asked for proof is an active account that has proved the address, or had.
                Decision::AskForProof { owner, .. } => {
                    prop_assert!(is_proved && known.is_none());
                    if let Some(owner) = owner {
                        prop_assert!(
                            holders.iter().any(|h| h.account == *owner
                                && (h.proof.is_some() || h.lapsed && is_verified)
                                && h.status == Active)
                        );
                    }
                }
                Decision::Refuse(_) => {}
            }
        }
    }
}
