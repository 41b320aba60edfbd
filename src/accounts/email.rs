//! One canonical form of an address for matching; the form that was written for sending and showing.

use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// Why a text is not an address that we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Longer than RFC 5321 §4.5.3.1 allows.
    #[error("the address is too long")]
    TooLong,
    /// Not exactly one `@` between two parts.
    #[error("the address does not have one '@' between a local part and a domain")]
    Shape,
    /// Comments, quotes, spaces, control characters: legal in places, never met honestly.
    #[error("the local part has a character that we do not accept")]
    LocalPart,
    /// The domain is not a valid name (IDNA 2008, non-transitional).
    #[error("the domain is not a valid internet name")]
    Domain,
}

/// An e-mail address: as written (NFC), and in its canonical form for matching.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress {
    written: String,
    canonical: String,
}

impl EmailAddress {
    /// Parses an address. The domain becomes lower-case A-labels without a trailing dot (RFC 5891); the
    /// local part is compared NFC and without case (RFC 5321 §2.4 leaves case to the host, and two people
    /// who differ by case alone are an attack, not a custom). Plus-addresses stay distinct.
    ///
    /// # Errors
    /// [`InvalidEmail`] says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        if text.len() > 320 {
            return Err(InvalidEmail::TooLong);
        }
        let text: String = text.nfc().collect();
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail::Shape)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(InvalidEmail::Shape);
        }
        let odd = |c: char| {
            c.is_control()
                || c.is_whitespace()
                || matches!(c, '"' | '(' | ')' | '<' | '>' | ',' | ';' | ':' | '\\' | '[' | ']' | '@')
                // invisible and direction-changing characters make two addresses look like one
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        if local.chars().any(odd) || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(InvalidEmail::LocalPart);
        }
        let domain = canonical_domain(domain).ok_or(InvalidEmail::Domain)?;
        if local.len() > 64 || domain.len() > 253 {
            return Err(InvalidEmail::TooLong);
        }
        let folded: String = local.to_lowercase().nfc().collect();
        Ok(Self { written: format!("{local}@{domain}"), canonical: format!("{folded}@{domain}") })
    }
    /// The form for sending and showing.
    pub fn as_str(&self) -> &str {
        &self.written
    }
    /// The form for matching.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
    /// Whether every mail server can be given it: no letters beyond ASCII before the `@` (RFC 6531 needs both
    /// ends to agree). Letters that merely look like others cannot stand there either.
    pub fn is_plain(&self) -> bool {
        self.written.is_ascii()
    }
    /// The domain, lower-case A-labels.
    pub fn domain(&self) -> &str {
        self.canonical.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// The canonical form of a domain, or `None` if it is not a valid one.
pub fn canonical_domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let ascii = idna::domain_to_ascii_strict(text).ok()?;
    let well_formed = !ascii.is_empty()
        && ascii.len() <= 253
        && ascii.contains('.')
        && ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        // an address literal or a bare number is no domain
        && !ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    well_formed.then_some(ascii)
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> Option<String> {
        EmailAddress::parse(text).ok().map(|e| e.canonical().to_owned())
    }

    #[test]
    fn link_015_case_is_folded_for_matching_and_kept_for_sending() {
        let address = EmailAddress::parse("Victim@X.Test").unwrap();
        assert_eq!(address.as_str(), "Victim@x.test");
        assert_eq!(address.canonical(), "victim@x.test");
    }

    #[test]
    fn link_017_a_domain_has_one_form() {
        assert_eq!(canonical("a@bücher.test"), canonical("a@xn--bcher-kva.test"));
        assert_ne!(canonical("a@straße.test"), canonical("a@strasse.test"));
        assert_eq!(canonical("a@xn--example-.test"), None);
    }

    #[test]
    fn link_018_normal_forms_match_and_plus_addresses_differ() {
        assert_eq!(canonical("caf\u{e9}@x.test"), canonical("cafe\u{301}@x.test"));
        assert_eq!(canonical("a@x.test."), canonical("a@x.test"));
        assert_ne!(canonical("a+b@x.test"), canonical("a@x.test"));
        for bad in ["a(x)@y.test", "\"a\"@y.test", "a @y.test"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }

    #[test]
    fn link_019_headers_lists_and_nul_are_refused() {
        for bad in [
            "a@x.test\r\nBcc: b@y.test",
            "a@x.test,b@x.test",
            "a\0@x.test",
            "a@b@x.test",
            "a@",
            "@x.test",
            "a@1.2.3.4",
            "a@localhost",
        ] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_a_fixed_point(text in "\\PC{1,20}@[a-zA-Zäöüß.-]{1,20}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                let again = EmailAddress::parse(address.canonical()).unwrap();
                prop_assert_eq!(again.canonical(), address.canonical());
                let written = EmailAddress::parse(address.as_str()).unwrap();
                prop_assert_eq!(written.canonical(), address.canonical());
            }
        }
    }
}
