//! Receipts of deletions that people asked for at a provider. A receipt leads to nobody: it says what became of
//! one request, to whoever has its confirmation code.

use crate::context::Timestamp;
use crate::ids::ProviderId;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a receipt is kept.
pub const RECEIPT_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeletionOutcome {
    /// Nothing of the person was stored.
    Nothing,
    /// The link and what came by it; the account has other ways in.
    Link,
    /// The account, with everything.
    Account,
    /// Everything but the provider's bare id of the person: the account is suspended, and stays it.
    Suspended,
}

impl DeletionOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Link, Self::Account, Self::Suspended];
    /// The word in storage and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Link => "link",
            Self::Account => "account",
            Self::Suspended => "suspended",
        }
    }
}

impl FromStr for DeletionOutcome {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(())
    }
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The provider at which the person asked.
    pub provider: ProviderId,
    /// What became of it.
    pub outcome: DeletionOutcome,
    /// When it was done.
    pub done_at: Timestamp,
    /// When the receipt goes.
    pub expires_at: Timestamp,
}

/// Crockford's alphabet: nothing in it is mistaken for something else.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 characters of five bits hold 128 bits.
const LENGTH: usize = 26;

/// The code by which a person finds their receipt: 26 letters and digits, unguessable.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfirmationCode(String);

impl ConfirmationCode {
    /// From 128 bits that nobody else can compute.
    pub fn new(bits: [u8; 16]) -> Self {
        let mut rest = u128::from_be_bytes(bits);
        let mut code = [b'0'; LENGTH];
        for place in code.iter_mut().rev() {
            let index = usize::try_from(rest & 31).unwrap_or_default();
            *place = ALPHABET.get(index).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        Self(code.iter().copied().map(char::from).collect())
    }
    /// As somebody typed it: case, spaces and hyphens do not matter, nor whether `o` was written for zero.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = String::with_capacity(LENGTH);
        for c in text.chars().take(4 * LENGTH).filter(|c| !c.is_whitespace() && *c != '-') {
            let c = match c.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                c => c,
            };
            let known = u8::try_from(c).is_ok_and(|byte| ALPHABET.contains(&byte));
            if !known || code.len() == LENGTH {
                return None;
            }
            code.push(c);
        }
        (code.len() == LENGTH && text.len() <= 4 * LENGTH).then_some(Self(code))
    }
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConfirmationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmationCode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn outcomes_read_back() {
        for outcome in DeletionOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
        assert_eq!("".parse::<DeletionOutcome>(), Err(()));
    }

    #[test]
    fn a_code_is_what_it_always_was() {
        assert_eq!(ConfirmationCode::new([0; 16]).as_str(), "0".repeat(26));
        assert_eq!(ConfirmationCode::new([255; 16]).as_str(), format!("7{}", "z".repeat(25)));
    }

    proptest! {
        /// Laws: no two codes are written the same; each reads back, however it was typed; it is alphanumeric.
        #[test]
        fn a_code_reads_back(one in any::<[u8; 16]>(), two in any::<[u8; 16]>()) {
            let code = ConfirmationCode::new(one);
            prop_assert_eq!(code == ConfirmationCode::new(two), one == two);
            prop_assert!(code.as_str().len() == 26 && code.as_str().chars().all(|c| c.is_ascii_alphanumeric()));
            let (first, rest) = code.as_str().split_at(9);
            for typed in [
                code.as_str().to_owned(),
                format!(" {}-{} ", first.to_uppercase(), rest.replace('0', "O").replace('1', "l")),
            ] {
                prop_assert_eq!(ConfirmationCode::parse(&typed), Some(code.clone()));
            }
            prop_assert_eq!(ConfirmationCode::parse(first), None);
            prop_assert_eq!(ConfirmationCode::parse(&format!("{}0", code.as_str())), None);
        }

        #[test]
        fn whatever_is_typed_nothing_panics(text in "\\PC{0,120}") {
            if let Some(code) = ConfirmationCode::parse(&text) {
                prop_assert_eq!(code.as_str().len(), 26);
            }
        }
    }
}
