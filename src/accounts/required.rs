//! What the configuration wants to know of everybody, what of it nobody has told yet, and what an account is with
//! what its person told.

use crate::accounts::reconcile::MAX_EMAILS;
use crate::accounts::{AccountEmail, EmailAddress, EmailProof, Profile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization as _;

/// Something that the configuration wants to know of everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Required {
    /// An address: as the provider says it, proved or not, or with proof.
    Email,
    /// An address that the person holds with proof.
    VerifiedEmail,
    /// A full name for display.
    Name,
}

impl Required {
    /// All of them, by their words in the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("email", Self::Email), ("verified_email", Self::VerifiedEmail), ("name", Self::Name)];
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::VerifiedEmail => "verified_email",
            Self::Name => "name",
        }
    }
}

/// Whether an address is among them: a person who tells one proves it.
pub fn has_email(what: &BTreeSet<Required>) -> bool {
    what.contains(&Required::Email) || what.contains(&Required::VerifiedEmail)
}

/// What a person told us themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PersonName>,
    /// An address from which they brought back a code that we had sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
}

/// A name as somebody may write their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonName(String);

/// The text is no name: empty, without a letter, longer than [`PersonName::LONGEST`], or with characters that
/// cannot be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text cannot be a person's name")]
pub struct InvalidName;

impl PersonName {
    /// The longest, in characters.
    pub const LONGEST: usize = 100;
    /// Takes a name: NFC, one space for each gap. It must have a letter, and nothing that cannot be seen or that
    /// turns the direction of what stands beside it.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        // Bounded before it is worked on.
        if text.len() > 4 * Self::LONGEST {
            return Err(InvalidName);
        }
        let name: String = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
        let odd = |c: char| {
            c.is_control()
                || matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        let legal = name.chars().count() <= Self::LONGEST
            && name.chars().any(char::is_alphabetic)
            && !name.chars().any(odd);
        if legal { Ok(Self(name)) } else { Err(InvalidName) }
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

/// What is required and not known. A name of blanks is none.
pub fn missing(
    required: &BTreeSet<Required>,
    profile: &Profile,
    emails: &[AccountEmail],
) -> BTreeSet<Required> {
    let known = |what: &Required| match what {
        Required::Email => !emails.is_empty(),
        Required::VerifiedEmail => emails.iter().any(|email| email.proof.is_some()),
        Required::Name => profile.name.as_deref().is_some_and(|name| !name.trim().is_empty()),
    };
    required.iter().filter(|what| !known(what)).copied().collect()
}

/// The account with what its person told, as far as that is required and was not known. Where an address with proof
/// is required, one that has it is the primary one.
pub fn completed(
    required: &BTreeSet<Required>,
    mut profile: Profile,
    mut emails: Vec<AccountEmail>,
    given: &Given,
) -> (Profile, Vec<AccountEmail>) {
    let missing = missing(required, &profile, &emails);
    if let Some(name) = given.name.as_ref().filter(|_| missing.contains(&Required::Name)) {
        profile.name = Some(name.as_str().to_owned());
        profile.name_by_person = true;
    }
    if let Some(address) = given.email.as_ref().filter(|_| has_email(&missing)) {
        let proof = Some(EmailProof::Code);
        match emails.iter_mut().find(|held| held.address.canonical() == address.canonical()) {
            Some(held) => {
                *held = AccountEmail { address: address.clone(), proof, lapsed: None, primary: held.primary };
            }
            None => {
                // None of them has a proof, or nothing were missing: any may give way.
                emails.truncate(MAX_EMAILS.saturating_sub(1));
                emails.push(AccountEmail { address: address.clone(), proof, lapsed: None, primary: false });
            }
        }
    }
    if required.contains(&Required::VerifiedEmail) || emails.iter().all(|email| !email.primary) {
        let proved = |email: &AccountEmail| email.proof.is_some();
        let primary = emails.iter().position(|email| email.primary && proved(email));
        if let Some(primary) = primary.or_else(|| emails.iter().position(proved)) {
            for (i, email) in emails.iter_mut().enumerate() {
                email.primary = i == primary;
            }
        }
    }
    (profile, emails)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProviderId;
    use proptest::prelude::*;

    fn address(name: &str) -> EmailAddress {
        EmailAddress::parse(&format!("{name}@x.test")).unwrap()
    }
    fn emails() -> impl Strategy<Value = Vec<AccountEmail>> {
        prop::collection::btree_map("[a-l]", 0u8..3, 0..=MAX_EMAILS).prop_map(|held| {
            held.into_iter()
                .enumerate()
                .map(|(i, (name, proof))| AccountEmail {
                    address: address(&name),
                    proof: match proof {
                        0 => None,
                        1 => Some(EmailProof::Code),
                        _ => Some(EmailProof::Provider(ProviderId::new("p1").unwrap())),
                    },
                    lapsed: None,
                    primary: i == 0,
                })
                .collect()
        })
    }
    fn profile() -> impl Strategy<Value = Profile> {
        prop::option::of(prop_oneof![Just(String::new()), Just(" ".to_owned()), Just("Ann".to_owned())])
            .prop_map(|name| Profile { name, ..Profile::default() })
    }
    fn required() -> impl Strategy<Value = BTreeSet<Required>> {
        let one = prop::sample::select(Required::WORDS).prop_map(|(_, what)| what);
        prop::collection::btree_set(one, 0..=3)
    }
    fn given() -> impl Strategy<Value = Given> {
        (prop::option::of(Just("Bea")), prop::option::of("[a-n]")).prop_map(|(name, email)| Given {
            name: name.map(|name| PersonName::parse(name).unwrap()),
            email: email.map(|name| address(&name)),
        })
    }

    proptest! {
        /// Laws of what is missing: only what is required; an address without proof does not count; whoever gives
        /// all that is missing has nothing missing.
        #[test]
        fn missing_is_what_is_required_and_unknown(
            required in required(), profile in profile(), emails in emails(), given in given(),
        ) {
            let open = missing(&required, &profile, &emails);
            prop_assert!(open.is_subset(&required));
            let proved = emails.iter().any(|email| email.proof.is_some());
            let wanted = required.contains(&Required::VerifiedEmail);
            prop_assert_eq!(open.contains(&Required::VerifiedEmail), wanted && !proved);
            let wanted = required.contains(&Required::Email);
            prop_assert_eq!(open.contains(&Required::Email), wanted && emails.is_empty());
            let (after, held) = completed(&required, profile, emails, &given);
            let left = missing(&required, &after, &held);
            prop_assert!(left.is_subset(&open));
            prop_assert_eq!(has_email(&left), has_email(&open) && given.email.is_none());
            prop_assert_eq!(
                left.contains(&Required::Name), open.contains(&Required::Name) && given.name.is_none()
            );
        }

        /// Laws of what is taken: nothing that was known is unsaid, no proof is lost, only what was missing is
        /// taken, one address is primary, and a second time changes nothing.
        #[test]
        fn what_is_given_fills_and_never_replaces(
            required in required(), profile in profile(), emails in emails(), given in given(),
        ) {
            let open = missing(&required, &profile, &emails);
            let (after, held) = completed(&required, profile.clone(), emails.clone(), &given);
            if !open.contains(&Required::Name) {
                prop_assert_eq!(&after, &profile);
            }
            if !has_email(&open) {
                let plain = |list: &[AccountEmail]| -> Vec<_> {
                    list.iter().map(|e| (e.address.clone(), e.proof.clone())).collect()
                };
                prop_assert_eq!(plain(&held), plain(&emails));
            }
            for email in emails.iter().filter(|email| email.proof.is_some()) {
                prop_assert!(held.iter().any(|e| e.address == email.address && e.proof == email.proof));
            }
            for email in held.iter().filter(|email| email.proof == Some(EmailProof::Code)) {
                let before = emails.iter().any(|e| e == email || (e.address == email.address && e.proof == email.proof));
                prop_assert!(before || given.email.as_ref() == Some(&email.address));
            }
            prop_assert!(held.len() <= MAX_EMAILS);
            prop_assert_eq!(held.iter().filter(|e| e.primary).count(), usize::from(!held.is_empty()));
            let any_proved = held.iter().any(|e| e.proof.is_some());
            if required.contains(&Required::VerifiedEmail) && any_proved {
                prop_assert!(held.iter().any(|e| e.primary && e.proof.is_some()));
            }
            prop_assert_eq!(completed(&required, after.clone(), held.clone(), &given), (after, held));
        }
    }

    #[test]
    fn a_name_is_what_people_can_see() {
        let name = |text: &str| PersonName::parse(text).ok().map(String::from);
        assert_eq!(name("  Ann\t O'Neill "), Some("Ann O'Neill".to_owned()));
        assert_eq!(name("Zoe\u{301}"), Some("Zo\u{e9}".to_owned()));
        assert_eq!(name("<b>X</b>"), Some("<b>X</b>".to_owned()), "escaped where it is shown, not here");
        assert_eq!(name(&"x".repeat(100)).map(|n| n.len()), Some(100));
        for bad in
            ["", "  ", "123", "-", "a\u{202e}b", "a\u{200b}b", "a\0b", &"x".repeat(101), &"x".repeat(9999)]
        {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }
}
