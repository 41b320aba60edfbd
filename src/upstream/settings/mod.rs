//! What `providers.toml` says about one provider, typed. Reading the file, resolving secrets and showing
//! errors with their place is the work of `config`; every type here checks its own value while it is
//! deserialized, so that an error keeps the place of the value that caused it.
//!
//! ```toml
//! [[provider]]
//! id = "globex"                             # names the provider in addresses and logs; never changes
//! kind = "oidc"
//! name = "Globex"                           # what people read on the button
//! issuer = "http://localhost:8081"          # exactly as the provider writes it
//! client_id = "countersign"
//! client_secret = "env:GLOBEX_SECRET"       # env:NAME or file:PATH, never the secret itself
//! authoritative_for = ["globex.example"]    # its word about these addresses is proof
//! provisioning = "open"                     # or { domains = ["globex.example"] }, { filter = "claims.staff" },
//!                                           # "invitation", "never"
//! allow_loopback = true                     # development only: http to this very machine
//!
//! [[provider.map]]
//! rule = "engineering"                      # names the rule in the account's history
//! group = "engineers"                       # or role = "editor"
//! when = "'engineering' in claims.groups"   # true, and nothing but true, assigns
//!
//! [provider.profile]
//! nickname = "claims.login"
//!
//! [[provider]]
//! id = "friendbook"
//! kind = "oauth2"
//! name = "Friendbook"
//! authorize_url = "http://localhost:8082/dialog/oauth"
//! token_url = "http://localhost:8082/oauth/access_token"
//! userinfo_url = "http://localhost:8082/me"
//! userinfo_params = { fields = "id,name,email" }
//! client_id = "countersign"
//! client_secret = "env:FRIENDBOOK_SECRET"
//! client_auth = "client_secret_post"
//! scopes = ["public_profile", "email"]
//! subject = "id"
//! appsecret_proof = true
//! provisioning = "open"
//! allow_loopback = true
//! ```

mod contradictions;
#[cfg(test)]
mod tests;
mod values;

use crate::accounts::Required;
use crate::assurance::AcrMap;
use crate::ids::ProviderId;
use crate::upstream::kinds::{self, KindSettings};
use crate::upstream::mapping::{Expression, Field, Mapping, ProfileSource, Rule};
use crate::upstream::presets;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

pub(in crate::upstream) use contradictions::{
    PROTOCOL_PARAMETERS, check_client_auth, check_language, check_parameters, check_plain_http, check_reach,
};
pub use values::{ClientAuth, Domains, Endpoint, LanguageForm, LanguageParam, SecretRef};
pub(in crate::upstream) use values::{is_language_tag, span};

/// One `[[provider]]` table: what all kinds share, and the kind's own part.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// What all kinds share.
    pub common: Common,
    /// The kind's own settings.
    pub kind: KindSettings,
}

impl Provider {
    /// Reads one `[[provider]]` table. Every value is checked; errors have the place of theirs.
    ///
    /// # Errors
    /// All of the preset's parameters, one of the common keys, one of the kind's.
    pub fn from_table(table: Spanned<DeTable<'_>>) -> Result<Self, Vec<toml::de::Error>> {
        let span = table.span();
        let (table, unset) = presets::expand(table.into_inner(), &span);
        let (common, own): (Vec<_>, Vec<_>) =
            table.into_iter().partition(|(key, _)| COMMON_KEYS.contains(&key.get_ref().as_ref()));
        let part = |entries: Vec<_>| {
            let table = DeValue::Table(entries.into_iter().collect());
            ValueDeserializer::from(Spanned::new(span.clone(), table))
        };
        let kind = common.iter().find(|(key, _)| key.get_ref() == "kind").and_then(|(_, value)| {
            value.get_ref().as_str().filter(|kind| kinds::keys(kind).is_some()).map(str::to_owned)
        });
        let common = Common::deserialize(part(common));
        // without a known kind nothing can be said about its keys; `kind` itself has the error
        let own = kind.map(|kind| kinds::parse(&kind, part(own))).transpose();
        match (common, own) {
            (Ok(common), Ok(Some(kind))) if unset.is_empty() => Ok(Self { common, kind }),
            (common, own) => {
                // what only a missing parameter would have set is missing by the same mistake
                let all = unset.is_empty();
                let said = |error: &toml::de::Error| all || !error.message().starts_with("missing field");
                let others = common.err().into_iter().chain(own.err()).filter(said);
                Err(unset.into_iter().chain(others).collect())
            }
        }
    }

    /// Where the values of a table stand. Of those that its preset sets, what caused them: a parameter, or else
    /// `preset` itself.
    pub fn places(table: Spanned<DeTable<'_>>) -> Vec<(String, Range<usize>)> {
        let span = table.span();
        let parameters: Vec<_> = presets::of(table.get_ref())
            .into_iter()
            .flat_map(|preset| preset.parameters.keys())
            .filter_map(|name| Some((name.clone(), table.get_ref().get(name.as_str())?.span())))
            .collect();
        let (table, _) = presets::expand(table.into_inner(), &span);
        let values = table.iter().map(|(key, value)| (key.get_ref().clone().into_owned(), value.span()));
        values.chain(parameters).collect()
    }

    /// Contradictions between several keys: each with the key to point at, and a sentence.
    pub fn check(&self) -> Vec<Contradiction> {
        let mut found = self.common.check();
        found.extend(self.kind.check(&self.common));
        found
    }
}

/// Two settings of one table that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The key to point at.
    pub key: &'static str,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What to do, where we know.
    pub help: Option<String>,
}

impl Contradiction {
    /// With help.
    pub fn new(key: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { key, message: message.into(), help: Some(help.into()) }
    }
}

/// The keys of a `[[provider]]` table that all kinds share. The other keys belong to the kind.
pub const COMMON_KEYS: &[&str] = &[
    "id",
    "kind",
    "preset",
    "name",
    "icon",
    "order",
    "hidden",
    "enabled",
    "authoritative_for",
    "provisioning",
    "linking",
    "domains",
    "domain_claim",
    "acr_map",
    "map",
    "profile",
    "profile_refresh",
    "require",
    "freshness",
    "data_deletion",
    "allow_loopback",
    "allow_private_network",
    "ca_file",
    "timeout",
];

/// The icons that can be named. A brand that lets nobody draw its mark is among them, and has its first letter.
pub const ICONS: &[&str] = &[
    "key",
    "link",
    "building",
    "people",
    "oidc",
    "oauth2",
    "amazon",
    "apple",
    "auth0",
    "bitbucket",
    "discord",
    "facebook",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "line",
    "linkedin",
    "microsoft",
    "naver",
    "okta",
    "openid",
    "paypal",
    "slack",
    "twitch",
    "x",
    "yahoo",
];

/// What all kinds share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// Its id: part of our callback's address and of every identity's key.
    pub id: ProviderId,
    /// The kind, such as `oidc`.
    #[serde(deserialize_with = "known_kind")]
    pub kind: String,
    /// The preset that sets what the table does not.
    #[serde(default, deserialize_with = "presets::known")]
    pub preset: Option<String>,
    /// What people read.
    pub name: String,
    /// The name of a bundled icon.
    #[serde(default, deserialize_with = "known_icon")]
    pub icon: Option<String>,
    /// Place in the chooser; smaller comes first, equal ones by name.
    #[serde(default)]
    pub order: i32,
    /// Not shown in the chooser; reachable when an application names it.
    #[serde(default)]
    pub hidden: bool,
    /// Switched on. A provider that is off ends sign-ins in progress with `provider.disabled`.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Domains for which its `email_verified` is proof. No two providers may name the same one.
    #[serde(default)]
    pub authoritative_for: Domains,
    /// Who gets an account at the first sign-in. There is no default: it must be said.
    pub provisioning: Provisioning,
    /// Whether a verified address may lead to an account that exists.
    #[serde(default)]
    pub linking: Linking,
    /// If not empty, only people of these domains may sign in at all, every time.
    #[serde(default)]
    pub domains: Domains,
    /// Where the person's domain is found for `domains`, such as `claims.hd`. Without it, the domain of the
    /// verified address counts.
    #[serde(default)]
    pub domain_claim: Option<Expression>,
    /// Which of its authentication contexts counts as which of ours.
    #[serde(default)]
    pub acr_map: AcrMap,
    /// Rules that assign local groups and roles.
    #[serde(default, rename = "map")]
    pub rules: Vec<Rule>,
    /// Profile fields that do not come from the claim of the same name. An empty text switches one off.
    #[serde(default)]
    pub profile: BTreeMap<Field, ProfileSource>,
    /// What later sign-ins change in the profile.
    #[serde(default)]
    pub profile_refresh: ProfileRefresh,
    /// What its people are asked for if nobody told it, in place of what the house requires.
    #[serde(default)]
    pub require: Option<BTreeSet<Required>>,
    /// What counts as a fresh proof, where an application demands one.
    #[serde(default)]
    pub freshness: Freshness,
    /// What is deleted when the provider says that a person wants that.
    #[serde(default)]
    pub data_deletion: DataDeletion,
    /// Development only: plain http, and only to this very machine.
    #[serde(default)]
    pub allow_loopback: bool,
    /// Addresses of private networks, for a provider inside the house. Link-local stays refused.
    #[serde(default)]
    pub allow_private_network: bool,
    /// Certificate authorities (PEM) that are trusted for this provider in place of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long one request to it may take; at most 5 s.
    #[serde(default = "five_seconds", with = "span")]
    pub timeout: Duration,
}

impl Common {
    fn check(&self) -> Vec<Contradiction> {
        let mut found = Vec::new();
        if self.name.trim().is_empty() {
            found.push(Contradiction::new(
                "name",
                "the name is empty",
                "say what people should read on the button",
            ));
        }
        if self.timeout.is_zero() || self.timeout > five_seconds() {
            found.push(Contradiction::new(
                "timeout",
                "the timeout must be between 1ms and 5s",
                "leave it out for 5s",
            ));
        }
        if self.domain_claim.is_some() && self.domains.0.is_empty() {
            found.push(Contradiction::new(
                "domain_claim",
                "`domain_claim` does nothing without `domains`",
                "add `domains = [\"…\"]`",
            ));
        }
        if let Provisioning::Domains(domains) = &self.provisioning
            && let Some(domain) = domains.iter().find(|domain| !self.authoritative_for.0.contains(*domain))
        {
            found.push(Contradiction::new(
                "provisioning",
                format!("nobody of {domain} gets an account: only verified addresses count, and of that domain none is"),
                format!("add `authoritative_for = [\"{domain}\"]` if the provider may speak for it"),
            ));
        }
        let mut names = BTreeSet::new();
        for rule in &self.rules {
            if !names.insert(&rule.rule) {
                found.push(Contradiction::new(
                    "map",
                    format!("two rules are named `{}`", rule.rule),
                    "give each rule a name of its own: it is what an account's history shows",
                ));
            }
        }
        found
    }
    /// How it looks in the chooser.
    pub fn display(&self) -> ProviderDisplay {
        ProviderDisplay {
            name: self.name.clone(),
            icon: self.icon.clone(),
            order: self.order,
            hidden: self.hidden,
        }
    }
    /// All that its claims are read for.
    pub fn mapping(&self) -> Mapping {
        let filter = match &self.provisioning {
            Provisioning::ClaimFilter(filter) => Some(filter.clone()),
            _ => None,
        };
        Mapping {
            rules: self.rules.clone(),
            profile: self.profile.clone(),
            filter,
            domain: self.domain_claim.clone(),
            email_verified: None,
        }
    }
    /// What it may do here.
    pub fn policy(&self) -> ProviderPolicy {
        ProviderPolicy {
            enabled: self.enabled,
            provisioning: self.provisioning.clone(),
            linking: self.linking,
            authoritative_for: self.authoritative_for.0.clone(),
            acr_map: self.acr_map.clone(),
            profile_refresh: self.profile_refresh,
            data_deletion: self.data_deletion,
            require: self.require.clone(),
        }
    }
}

/// How a provider looks in the chooser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderDisplay {
    /// What people read.
    pub name: String,
    /// The name of a bundled icon.
    pub icon: Option<String>,
    /// Smaller comes first; equal ones by name.
    pub order: i32,
    /// Not shown in the chooser; reachable when an application names it.
    pub hidden: bool,
}

/// What a provider may do here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPolicy {
    /// Switched on.
    pub enabled: bool,
    /// Who gets an account at the first sign-in.
    pub provisioning: Provisioning,
    /// Whether a verified address may lead to an account that exists.
    pub linking: Linking,
    /// Canonical domains for which its `email_verified` is proof.
    pub authoritative_for: BTreeSet<String>,
    /// What its authentication contexts are worth here.
    pub acr_map: AcrMap,
    /// What later sign-ins change in the profile.
    pub profile_refresh: ProfileRefresh,
    /// What is deleted when the provider says that a person wants that.
    pub data_deletion: DataDeletion,
    /// What must be known of its people, if that is not what the house requires.
    pub require: Option<BTreeSet<Required>>,
}

/// What a sign-in changes in the profile of an account that exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileRefresh {
    /// The profile is what the provider says now; what it says no more is gone, unless another provider said it.
    #[default]
    Always,
    /// What the provider says now counts; what it does not say stays (Apple names people once).
    Keep,
    /// Nothing: the profile stays as the first sign-in made it.
    Once,
    /// Nothing, and the first sign-in takes none either.
    Never,
}

/// What is deleted when a provider says that a person wants what it told us deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataDeletion {
    /// The link and what came by it; the account too if no other identity leads to it.
    #[default]
    Link,
    /// The account, whatever else leads to it.
    Account,
}

/// What counts as a fresh proof, where an application demands one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// The provider must show when the person proved themselves. One that cannot is not offered.
    #[default]
    Proved,
    /// The demand goes to the provider, and where its answer shows no time, that it answered is enough. The trace
    /// says so.
    Trusted,
}

/// Who gets an account at the first sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioning {
    /// Anyone whom the provider vouches for.
    Open,
    /// Whoever has a *verified* address in one of these canonical domains.
    Domains(BTreeSet<String>),
    /// Whoever's claims make this expression true; the outcome is in `Vouched::passes_filter`.
    ClaimFilter(Expression),
    /// Whoever holds an invitation.
    Invitation,
    /// Nobody: accounts are made elsewhere.
    Never,
}

impl<'de> Deserialize<'de> for Provisioning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Policy;
        impl<'de> Visitor<'de> for Policy {
            type Value = Provisioning;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "\"open\", \"invitation\", \"never\", { domains = [\"…\"] } or { filter = \"…\" }",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Provisioning, E> {
                match text {
                    "open" => Ok(Provisioning::Open),
                    "invitation" => Ok(Provisioning::Invitation),
                    "never" => Ok(Provisioning::Never),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Provisioning, A::Error> {
                let policy = match map.next_key::<String>()?.as_deref() {
                    Some("domains") => {
                        let domains: Domains = map.next_value()?;
                        if domains.0.is_empty() {
                            return Err(de::Error::custom("an empty list lets nobody in; say \"never\""));
                        }
                        Provisioning::Domains(domains.0)
                    }
                    Some("filter") => Provisioning::ClaimFilter(map.next_value()?),
                    Some(other) => return Err(de::Error::unknown_field(other, &["domains", "filter"])),
                    None => return Err(de::Error::invalid_value(de::Unexpected::Map, &self)),
                };
                match map.next_key::<String>()? {
                    None => Ok(policy),
                    Some(_) => Err(de::Error::custom("one policy only: either `domains` or `filter`")),
                }
            }
        }
        deserializer.deserialize_any(Policy)
    }
}

/// Whether a verified address may lead to an account that exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linking {
    /// If the address is verified and the provider is authoritative for its domain.
    #[default]
    VerifiedEmail,
    /// Never by itself; people may still link by hand.
    Never,
}

fn known_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let kind = String::deserialize(deserializer)?;
    if kinds::keys(&kind).is_some() { Ok(kind) } else { Err(de::Error::unknown_variant(&kind, kinds::NAMES)) }
}

fn known_icon<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let icon = String::deserialize(deserializer)?;
    if ICONS.contains(&icon.as_str()) {
        Ok(Some(icon))
    } else {
        Err(de::Error::unknown_variant(&icon, ICONS))
    }
}

fn yes() -> bool {
    true
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
