//! Values that several keys share: each checks itself while it is deserialized.

use crate::accounts::email::canonical_domain;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// A set of internet domains in their canonical form (lower-case A-labels).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains(pub BTreeSet<String>);

impl<'de> Deserialize<'de> for Domains {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Domain(String);
        impl<'de> Deserialize<'de> for Domain {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                canonical_domain(&text)
                    .map(Domain)
                    .ok_or_else(|| de::Error::custom(format_args!("`{text}` is not a valid internet domain")))
            }
        }
        let list = Vec::<Domain>::deserialize(deserializer)?;
        Ok(Self(list.into_iter().map(|domain| domain.0).collect()))
    }
}

/// Where a secret is kept. The secret itself never stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; surrounding white space is not part of the secret.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            // the value may be the secret itself: it must not reach the error
            _ => Err(de::Error::custom("a secret is given by reference: \"env:NAME\" or \"file:PATH\"")),
        }
    }
}

/// An absolute http or https address without user name or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    written: String,
}

impl Endpoint {
    /// Checks and takes an address.
    ///
    /// # Errors
    /// A sentence that says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url =
            Url::parse(text).map_err(|_| "must be an absolute address such as https://id.example/token")?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err("must be an https address (http only on this machine, with `allow_loopback`)");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no user name or password");
        }
        if url.fragment().is_some() {
            return Err("must have no fragment");
        }
        Ok(Self { url, written: text.to_owned() })
    }
    /// As a URL.
    pub fn url(&self) -> &Url {
        &self.url
    }
    /// As it was written, which may be another text for the same address.
    pub fn as_written(&self) -> &str {
        &self.written
    }
    /// `scheme://host[:port]`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
    /// Whether it needs `allow_loopback`.
    pub fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http"
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|rule| de::Error::custom(format_args!("`{text}` {rule}")))
    }
}

/// How a provider is told the person's language, where that is not `ui_locales` (OIDC Core §3.1.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageParam {
    /// The parameter's name.
    pub name: String,
    /// How the language is written.
    #[serde(default)]
    pub form: LanguageForm,
}

/// How a language is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LanguageForm {
    /// As the tag of BCP 47 that it is: `de-CH`.
    #[default]
    Tag,
    /// In small letters: `de-ch`.
    SmallTag,
}

impl LanguageParam {
    /// The parameter for a person who reads these languages, the best first.
    pub fn of(&self, ui_locales: &[String]) -> Option<(String, String)> {
        let tag = ui_locales.iter().find(|tag| is_language_tag(tag))?;
        let value = match self.form {
            LanguageForm::Tag => tag.clone(),
            LanguageForm::SmallTag => tag.to_ascii_lowercase(),
        };
        Some((self.name.clone(), value))
    }
}

/// The characters and the length of a language tag (RFC 5646 §2.1, §4.4.1).
pub(in crate::upstream) fn is_language_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= 35 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// How we authenticate to the token endpoint (OIDC Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Header, form-encoded before base64 (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// Body.
    ClientSecretPost,
    /// An assertion under our secret (OIDC Core §9).
    ClientSecretJwt,
    /// An assertion that our private key signed (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// Body, where the secret is a token that our private key signed (Apple).
    SignedSecret,
    /// Not at all: a public client.
    None,
}

impl ClientAuth {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::SignedSecret => "signed_secret",
            Self::None => "none",
        }
    }
}

/// Durations written as `500ms`, `5s`, `10m`, `2h`, `30d`.
pub(in crate::upstream) mod span {
    use serde::{Deserialize as _, Deserializer, de};
    use std::time::Duration;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!("`{text}` is not a duration such as \"500ms\", \"5s\" or \"10m\""))
        })
    }

    fn parse(text: &str) -> Option<Duration> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let factor = match unit {
            "ms" => return Some(Duration::from_millis(number)),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return None,
        };
        number.checked_mul(factor).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, Deserialize)]
    struct One<T> {
        value: T,
    }

    fn read<T: for<'de> Deserialize<'de>>(value: &str) -> Result<T, String> {
        let one: Result<One<T>, _> = toml::from_str(&format!("value = {value}"));
        one.map(|one| one.value).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_endpoint_is_a_plain_web_address() {
        for good in ["https://id.example/token", "http://localhost:8081/", "https://id.example/t?a=b"] {
            assert_eq!(Endpoint::parse(good).unwrap().url().as_str(), good);
        }
        for (bad, rule) in [
            ("", "absolute"),
            ("/token", "absolute"),
            ("id.example/token", "absolute"),
            ("ftp://id.example/token", "https"),
            ("data:text/html,x", "https"),
            ("https://user@id.example/", "user name"),
            ("https://:password@id.example/", "user name"),
            ("https://id.example/#part", "fragment"),
            ("https://id.example/#", "fragment"),
        ] {
            let said = Endpoint::parse(bad).unwrap_err();
            assert!(said.contains(rule), "{bad}: {said}");
            assert!(read::<Endpoint>(&format!("{bad:?}")).unwrap_err().contains(rule));
        }
        let endpoint: Endpoint = read("'https://ID.example:443/token'").unwrap();
        assert_eq!(endpoint.origin(), "https://id.example");
        assert!(!endpoint.is_plain_http());
        assert!(Endpoint::parse("http://localhost").unwrap().is_plain_http());
    }

    #[test]
    fn a_secret_is_a_reference_and_is_shown_as_one() {
        for (text, reference) in [
            ("env:NAME", SecretRef::Env("NAME".to_owned())),
            ("file:/run/secret", SecretRef::File("/run/secret".into())),
            ("file:a:b", SecretRef::File("a:b".into())),
        ] {
            let found: SecretRef = read(&format!("{text:?}")).unwrap();
            assert_eq!(found.to_string(), text);
            assert_eq!(found, reference);
        }
        for bad in ["", "hunter2", "env:", "file:", "vault:hunter2", "ENV:NAME"] {
            let said = read::<SecretRef>(&format!("{bad:?}")).unwrap_err();
            assert!(said.contains("by reference") && !said.contains("hunter2"), "{bad}: {said}");
        }
    }

    #[test]
    fn domains_are_canonical() {
        let found: Domains = read("['B\u{fc}cher.Example', 'a.example', 'A.example']").unwrap();
        let expected = ["a.example", "xn--bcher-kva.example"].map(str::to_owned);
        assert_eq!(found.0, BTreeSet::from(expected));
        for bad in ["['globex']", "['a..example']", "['']", "'a.example'"] {
            assert!(read::<Domains>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        #[derive(Debug, Deserialize)]
        struct Span(#[serde(with = "span")] Duration);
        let found = |text: &str| read::<Span>(&format!("{text:?}")).map(|span| span.0);
        for (text, millis) in [
            ("500ms", 500),
            ("0s", 0),
            ("5s", 5000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(found(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        let huge = format!("{}d", u64::MAX);
        for bad in ["", "5", "s", "5 s", "5S", "-5s", "1.5s", "5y", "18446744073709551616s", &huge] {
            assert!(found(bad).unwrap_err().contains("not a duration"), "{bad}");
        }
    }
}
