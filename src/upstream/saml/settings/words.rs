//! Values of the settings: each checks itself while it is deserialized.

use crate::upstream::saml::open::Signed;
use crate::upstream::saml::profile::{EMAIL_ADDRESS, PERSISTENT, TRANSIENT, UNSPECIFIED};
use crate::upstream::settings::SecretRef;
use serde::{Deserialize, de};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How a message of ours travels through the browser (SAML Bindings §3.4, §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// In the query of a redirect.
    Redirect,
    /// In a form that posts itself.
    Post,
}

impl Binding {
    /// Its identifier.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Redirect => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
            Self::Post => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        }
    }
}

/// What must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The assertion.
    #[default]
    Assertion,
    /// The response, and the assertion as its part.
    Response,
    /// Both, each by itself.
    Both,
    /// At least one of the two.
    Either,
}

impl Policy {
    /// What must be signed by itself.
    pub(in crate::upstream::saml) fn signed(self) -> Signed {
        let (assertion, response) = match self {
            Self::Assertion => (true, false),
            Self::Response => (false, true),
            Self::Both => (true, true),
            Self::Either => (false, false),
        };
        Signed { assertion, response }
    }
}

/// A signature algorithm (XML Signature 1.1 §6.4, RFC 9231 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum SignatureAlgorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "rsa-sha256")]
    RsaSha256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    #[serde(rename = "rsa-sha384")]
    RsaSha384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    #[serde(rename = "rsa-sha512")]
    RsaSha512,
    /// ECDSA with SHA-256.
    #[serde(rename = "ecdsa-sha256")]
    EcdsaSha256,
    /// ECDSA with SHA-384.
    #[serde(rename = "ecdsa-sha384")]
    EcdsaSha384,
    /// ECDSA with SHA-512.
    #[serde(rename = "ecdsa-sha512")]
    EcdsaSha512,
}

impl SignatureAlgorithm {
    /// All of them.
    pub fn usual() -> BTreeSet<Self> {
        BTreeSet::from([
            Self::RsaSha256,
            Self::RsaSha384,
            Self::RsaSha512,
            Self::EcdsaSha256,
            Self::EcdsaSha384,
            Self::EcdsaSha512,
        ])
    }
    /// Its identifier.
    pub fn uri(self) -> &'static str {
        match self {
            Self::RsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Self::RsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            Self::RsaSha512 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            Self::EcdsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Self::EcdsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            Self::EcdsaSha512 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        }
    }
}

/// Whether assertions come encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// None is decrypted.
    Off,
    /// As the provider likes.
    Optional,
    /// One that is not encrypted is refused.
    Required,
}

/// A NameID format: its identifier (SAML Core §8.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameIdFormat(String);

/// The words for the formats of SAML Core §8.3.
const FORMATS: &[(&str, &str)] = &[
    ("persistent", PERSISTENT),
    ("transient", TRANSIENT),
    ("email", EMAIL_ADDRESS),
    ("unspecified", UNSPECIFIED),
    ("x509", "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"),
    ("windows", "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"),
    ("kerberos", "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"),
];

impl NameIdFormat {
    /// All that have a word here but the transient one.
    pub fn usual() -> BTreeSet<Self> {
        let all = FORMATS.iter().map(|(_, uri)| Self((*uri).to_owned()));
        all.filter(|format| !format.is_transient()).collect()
    }
    /// Its identifier.
    pub fn uri(&self) -> &str {
        &self.0
    }
    /// Whether it leaves the choice to the provider (SAML Core §3.4.1.1, §8.3.1).
    pub fn is_unspecified(&self) -> bool {
        self.0 == UNSPECIFIED
    }
    /// Whether it names a person for one session only (SAML Core §8.3.8).
    pub fn is_transient(&self) -> bool {
        self.0 == TRANSIENT
    }
}

impl<'de> Deserialize<'de> for NameIdFormat {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some((_, uri)) = FORMATS.iter().find(|(word, _)| *word == text) {
            return Ok(Self((*uri).to_owned()));
        }
        if text.contains(':') && !text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Ok(Self(text));
        }
        let words: Vec<&str> = FORMATS.iter().map(|(word, _)| *word).collect();
        Err(de::Error::custom(format_args!(
            "`{text}` is no NameID format: write one of {}, or a URI",
            words.join(", ")
        )))
    }
}

/// How the provider compares authentication contexts (SAML Core §3.3.2.2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// One of those named.
    #[default]
    Exact,
    /// At least as strong as one of them.
    Minimum,
    /// Stronger than each.
    Better,
    /// As strong as possible without being stronger than one of them.
    Maximum,
}

/// Something an application may wish of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// An address or name to fill in, as the request's Subject.
    LoginHint,
    /// `login` and `none`, as ForceAuthn and IsPassive.
    Prompt,
    /// The greatest age of the proof. SAML can only ask for a new one.
    MaxAge,
    /// Authentication contexts that `acr_map` knows.
    AcrValues,
}

impl Wish {
    /// All but the hint, which tells one party what the person typed at another.
    pub fn usual() -> BTreeSet<Self> {
        BTreeSet::from([Self::Prompt, Self::MaxAge, Self::AcrValues])
    }
}

/// Certificates in PEM form: in the file itself, or by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pem {
    /// As written.
    Inline(String),
    /// Elsewhere.
    Reference(SecretRef),
}

impl Pem {
    /// Where it is, unless it stands here.
    pub fn reference(&self) -> Option<&SecretRef> {
        match self {
            Self::Inline(_) => None,
            Self::Reference(reference) => Some(reference),
        }
    }
}

impl<'de> Deserialize<'de> for Pem {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains("PRIVATE KEY") {
            // hidden wherever the line would be shown
            return Err(de::Error::custom("a secret is given by reference: \"env:NAME\" or \"file:PATH\""));
        }
        if text.trim_start().starts_with("-----BEGIN") {
            return Ok(Self::Inline(text));
        }
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Reference(SecretRef::Env(name.to_owned()))),
            Some(("file", path)) if !path.is_empty() => {
                Ok(Self::Reference(SecretRef::File(PathBuf::from(path))))
            }
            _ => Err(de::Error::custom(
                "a certificate is given as \"file:PATH\", \"env:NAME\", or itself in PEM form (-----BEGIN CERTIFICATE-----)",
            )),
        }
    }
}

/// The path of a file whose text is read with the settings, and again when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile(pub SecretRef);

impl<'de> Deserialize<'de> for TextFile {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let path = text.strip_prefix("file:").unwrap_or(&text);
        if path.is_empty() || path.contains('\0') {
            return Err(de::Error::custom("a path is missing"));
        }
        Ok(Self(SecretRef::File(PathBuf::from(path))))
    }
}
