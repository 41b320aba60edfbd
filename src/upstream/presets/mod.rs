//! Presets: what a well-known provider needs, so that its table says only who we are there. A preset is data, a
//! TOML file in `data/` that is read by the same code as `providers.toml`; whatever the table says itself comes
//! first, key by key.
//!
//! ```toml
//! about = "…"                      # one line
//! docs = ["https://…"]             # the provider's own pages
//! register = "https://…"           # where a client is registered
//! notes = ["…"]                    # what an operator should know
//!
//! [parameters.domain]              # a key of the provider's table that only this preset knows
//! about = "…"
//! example = "example.okta.com"
//! form = "host"                    # or word, choice (with words = […]), uuid, version, base_url
//! begins = "{realm}_"              # what it begins with, where another parameter says so
//!
//! [[deviation]]                    # where the provider leaves the specification, and what we do instead
//! rule = "OIDC Core §5.1"
//! theirs = "…"
//! ours = "…"
//!
//! [provider]                       # keys of the provider's table; `{domain}` is the parameter's value
//! kind = "oidc"
//! issuer = "https://{domain}"
//!
//! [with.domains]                   # keys that count only if the table says `domains`
//! domain_claim = "claims.hd"
//! ```

mod expand;
#[cfg(test)]
mod tests;

pub(in crate::upstream) use expand::{expand, is_tenant, known};

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// The presets' files, by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("data/", $name, ".toml")))),*];
        /// Their names, as `preset = "…"` says them.
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

files! {
    "adfs",
    "amazon",
    "apple",
    "auth0",
    "auth0-saml",
    "bitbucket",
    "cognito",
    "discord",
    "entra-external-id",
    "entra-saml",
    "facebook",
    "github",
    "github-enterprise",
    "gitlab",
    "google",
    "google-workspace",
    "jumpcloud",
    "kakao",
    "keycloak",
    "keycloak-saml",
    "line",
    "linkedin",
    "microsoft",
    "microsoft-multitenant",
    "naver",
    "oauth2",
    "oidc",
    "okta",
    "okta-saml",
    "onelogin",
    "paypal",
    "pingfederate",
    "shibboleth",
    "slack",
    "twitch",
    "x",
    "yahoo",
}

/// One preset.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name.
    #[serde(skip)]
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: String,
    /// The provider's own pages.
    pub docs: Vec<String>,
    /// Where a client is registered.
    pub register: String,
    /// What an operator should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Keys that only this preset knows.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Where the provider leaves the specification.
    #[serde(default, rename = "deviation")]
    pub deviations: Vec<Deviation>,
    /// The keys it sets.
    #[serde(skip)]
    table: DeTable<'static>,
    /// Keys that it sets where the table has another.
    #[serde(skip)]
    with: Vec<(String, DeTable<'static>)>,
}

/// A key of the provider's table that only one preset knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it is.
    pub about: String,
    /// How one looks.
    pub example: String,
    /// What may stand there.
    pub form: Form,
    /// The words of a choice.
    #[serde(default)]
    pub words: Vec<String>,
    /// What it begins with; another parameter may stand in it.
    #[serde(default)]
    pub begins: Option<String>,
    /// What counts without it; none if it is required.
    #[serde(default)]
    pub default: Option<String>,
}

/// What may stand in a parameter: it becomes part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A host name.
    Host,
    /// Letters, digits, `-`, `.` and `_`.
    Word,
    /// One of a few words.
    Choice,
    /// An id such as Microsoft's of tenants and applications.
    Uuid,
    /// A version such as Facebook's: `v23.0`.
    Version,
    /// An https address without a slash at its end.
    BaseUrl,
}

/// Where a provider leaves a specification, and what we do instead.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The rule.
    pub rule: String,
    /// What the provider does.
    pub theirs: String,
    /// What we do.
    pub ours: String,
}

static ALL: LazyLock<Vec<Preset>> =
    LazyLock::new(|| FILES.iter().filter_map(|(name, text)| Preset::read(name, text).ok()).collect());

/// All presets, by name.
pub fn all() -> &'static [Preset] {
    &ALL
}

/// The preset of this name.
pub fn named(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

/// The preset that a provider's table names.
pub fn of(table: &DeTable<'_>) -> Option<&'static Preset> {
    named(table.get("preset")?.get_ref().as_str()?)
}

impl Preset {
    /// Reads a preset's file. A test reads them all, so that none fails where it matters.
    fn read(name: &'static str, text: &'static str) -> Result<Self, toml::de::Error> {
        let root = DeTable::parse(text)?;
        let span = root.span();
        let mut root = root.into_inner();
        let mut take = |key: &str| match root.remove(key).map(Spanned::into_inner) {
            Some(DeValue::Table(table)) => table,
            _ => DeTable::new(),
        };
        let (table, with) = (take("provider"), take("with"));
        let with = with.into_iter().filter_map(|(key, value)| match value.into_inner() {
            DeValue::Table(table) => Some((key.into_inner().into_owned(), table)),
            _ => None,
        });
        let with = with.collect();
        let rest = ValueDeserializer::from(Spanned::new(span, DeValue::Table(root)));
        Ok(Self { name, table, with, ..Self::deserialize(rest)? })
    }

    /// The kind of provider.
    pub fn kind(&self) -> &str {
        self.table.get("kind").and_then(|kind| kind.get_ref().as_str()).unwrap_or_default()
    }

    /// Where a provider's table takes another address than the one that this preset's proof is about, and does not say
    /// where the proof of that one is.
    pub fn unproved_address(&self, table: &DeTable<'_>) -> Option<std::ops::Range<usize>> {
        if table.contains_key("email_verified") || !self.table.contains_key("email_verified") {
            return None;
        }
        let usual = self.table.get("profile").and_then(|profile| profile.get_ref().get("email"));
        let usual = usual.and_then(|email| email.get_ref().as_str()).unwrap_or("claims.email");
        let own = table.get("profile")?.get_ref().get("email")?;
        // An empty one says that no address is taken.
        let another = own.get_ref().as_str().is_some_and(|text| !text.is_empty() && text != usual);
        another.then(|| own.span())
    }

    /// The keys it sets, each with its value as TOML.
    pub fn sets(&self) -> Vec<(String, String)> {
        let lines = |table: &DeTable<'static>| -> Vec<(String, String)> {
            table
                .iter()
                .map(|(key, value)| (key.get_ref().clone().into_owned(), shown(value.get_ref())))
                .collect()
        };
        let mut all = lines(&self.table);
        for (key, table) in &self.with {
            all.extend(
                lines(table).into_iter().map(|(name, value)| (name, format!("{value}    # with `{key}`"))),
            );
        }
        all
    }
}

/// A value as TOML, on one line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => toml::Value::String(text.clone().into_owned()).to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| shown(value.get_ref())).collect();
            format!("[{}]", values.join(", "))
        }
        DeValue::Table(table) => {
            let entries: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{} = {}", bare(key.get_ref()), shown(value.get_ref())))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A key as TOML.
fn bare(key: &str) -> String {
    if !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        key.to_owned()
    } else {
        toml::Value::String(key.to_owned()).to_string()
    }
}
