//! Identifiers as types, so that one kind can never be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {rule}")]
pub struct InvalidId {
    /// The kind of identifier, as an operator would call it.
    pub kind: &'static str,
    /// The rule that the text breaks, as the end of a sentence.
    pub rule: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Accepts the text if it keeps the rule of this kind.
            ///
            /// # Errors
            /// [`InvalidId`] with the rule that was broken.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId { kind: $kind, rule: $rule }) }
            }
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

fn slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
}

fn name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/'))
}

/// RFC 6749 appendix A.1: client identifiers are visible ASCII. We leave out what would need quoting.
fn visible(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>'))
}

fn opaque(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

text_id!(
    /// A local account. Random and stable; it is the `sub` that applications see (OIDC Core §2).
    AccountId, "an account id", "8 to 64 letters, digits, '-' or '_'", opaque
);
text_id!(
    /// The link between an account and one external identity.
    IdentityId, "an identity id", "8 to 64 letters, digits, '-' or '_'", opaque
);
text_id!(
    /// What one person (or one client on its own behalf) allowed one client: the root of codes and tokens.
    GrantId, "a grant id", "8 to 64 letters, digits, '-' or '_'", opaque
);
text_id!(
    /// An SSO session as others may name it (the `sid` claim). It is not the cookie's secret.
    SessionId, "a session id", "8 to 64 letters, digits, '-' or '_'", opaque
);
text_id!(
    /// A relying party or resource server (RFC 6749 §2.2).
    ClientId, "a client id", "1 to 255 visible ASCII characters without quotes, '\\\\', '<' or '>'", visible
);
text_id!(
    /// An upstream identity provider, as named in `providers.toml`.
    ProviderId, "a provider id", "1 to 64 lower-case letters, digits or '-', not starting with '-'", slug
);
text_id!(
    /// A local group.
    GroupName, "a group name", "1 to 128 letters, digits, '-', '_', '.', ':' or '/'", name
);
text_id!(
    /// A local role.
    RoleName, "a role name", "1 to 128 letters, digits, '-', '_', '.', ':' or '/'", name
);
text_id!(
    /// A local permission.
    PermissionName, "a permission name", "1 to 128 letters, digits, '-', '_', '.', ':' or '/'", name
);
text_id!(
    /// A signing key (the `kid` of RFC 7517 §4.5).
    KeyId, "a key id", "8 to 64 letters, digits, '-' or '_'", opaque
);
text_id!(
    /// The reference that a person reads out and an operator looks up: `countersign trace ID`.
    ReferenceId, "a reference id", "8 to 64 letters, digits, '-' or '_'", opaque
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_id_is_a_slug() {
        assert!(ProviderId::new("globex").is_ok());
        for bad in ["", "-x", "Globex", "a/b", "a b", &"x".repeat(65)] {
            assert!(ProviderId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_client_id_cannot_carry_markup_or_control_characters() {
        assert!(ClientId::new("https://rp.test/app").is_ok());
        for bad in ["", "a b", "a\nb", "<script>", "a\"b", "é"] {
            assert!(ClientId::new(bad).is_err(), "{bad:?}");
        }
    }
}
