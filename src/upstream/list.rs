//! The macro that makes a list of kinds into modules, one enum of their settings, and the functions that
//! read, check and build a provider of any kind.

/// Everything that follows from the list of kinds. Each word is a folder here with a type `Settings`
/// (`Deserialize`, `KEYS`, `check`, `secrets`, `documents`, `starts`, `acquaintance`, `relate`) and a function `build`.
macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        $(pub mod $kind;)*

        /// The kinds, and what can be done with any of them.
        pub mod kinds {
            use crate::ids::ClientId;
            use crate::upstream::{Parts, Upstream};
            use crate::upstream::settings::{Common, Contradiction, SecretRef};
            use serde::de::{Deserialize, Deserializer, Error};
            use std::sync::Arc;

            /// Their names, as `kind = "…"` says them.
            pub const NAMES: &[&str] = &[$(stringify!($kind)),*];

            /// The settings of one provider of some kind.
            #[derive(Debug, Clone, PartialEq)]
            #[allow(non_camel_case_types)] // the variant is the word in the list
            pub enum KindSettings {
                $(#[doc = concat!("`kind = \"", stringify!($kind), "\"`")]
                $kind(Box<super::$kind::Settings>),)*
            }

            /// The keys that a kind has beside the common ones; `None` if there is no such kind.
            pub fn keys(kind: &str) -> Option<&'static [&'static str]> {
                match kind {
                    $(stringify!($kind) => Some(super::$kind::Settings::KEYS),)*
                    _ => None,
                }
            }

            /// Reads the kind's own keys (without the common ones).
            ///
            /// # Errors
            /// The deserializer's own, with the place it knows; or that there is no such kind.
            pub fn parse<'de, D: Deserializer<'de>>(kind: &str, table: D) -> Result<KindSettings, D::Error> {
                match kind {
                    $(stringify!($kind) => {
                        super::$kind::Settings::deserialize(table).map(Box::new).map(KindSettings::$kind)
                    })*
                    other => Err(D::Error::unknown_variant(other, NAMES)),
                }
            }

            impl KindSettings {
                /// The kind's name.
                pub fn kind(&self) -> &'static str {
                    match self { $(Self::$kind(_) => stringify!($kind),)* }
                }
                /// Contradictions between the kind's keys, and with the common ones.
                pub fn check(&self, common: &Common) -> Vec<Contradiction> {
                    match self { $(Self::$kind(settings) => settings.check(common),)* }
                }
                /// The secrets it refers to, each with its key.
                pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
                    match self { $(Self::$kind(settings) => settings.secrets(),)* }
                }
                /// The documents that are no secrets (certificates, metadata) and that it refers to, each with its key.
                pub fn documents(&self) -> Vec<(&'static str, &SecretRef)> {
                    match self { $(Self::$kind(settings) => settings.documents(),)* }
                }
                /// The issuer in the identities of its people; `None` where there is one for each tenant.
                pub fn issuer(&self) -> Option<String> {
                    match self { $(Self::$kind(settings) => settings.sole_issuer(),)* }
                }
                /// The issuer as the settings write it, for all tenants alike.
                pub fn issuer_text(&self) -> String {
                    match self { $(Self::$kind(settings) => settings.issuer_text(),)* }
                }
                /// Whether identities of its people can have this issuer.
                pub fn may_be_issuer(&self, issuer: &str) -> bool {
                    match self { $(Self::$kind(settings) => settings.may_be_issuer(issuer),)* }
                }
                /// Whether a demand for a fresh proof reaches the person at the provider.
                pub fn asks_for_proof(&self) -> bool {
                    match self { $(Self::$kind(settings) => settings.asks_for_proof(),)* }
                }
                /// Whether its answers show when the person proved themselves.
                pub fn shows_when_proved(&self) -> bool {
                    match self { $(Self::$kind(settings) => settings.shows_when_proved(),)* }
                }
                /// The client that its answers may start, with the key that says so.
                pub fn starts(&self) -> Option<(&'static str, &ClientId)> {
                    match self { $(Self::$kind(settings) => settings.starts(),)* }
                }
                /// By what we and the provider know each other, where somebody said both, with the key of our name.
                pub fn acquaintance(&self) -> Option<(&'static str, [&str; 2])> {
                    match self { $(Self::$kind(settings) => settings.acquaintance(),)* }
                }
                /// Relates the paths in it to the folder of the file in which they stand.
                pub fn relate(&mut self, base: &std::path::Path) {
                    match self { $(Self::$kind(settings) => settings.relate(base),)* }
                }
                /// Builds the provider.
                ///
                /// # Errors
                /// What is wrong with the secrets and documents.
                pub(in crate::upstream) fn build(&self, parts: Parts) -> Result<Arc<dyn Upstream>, Vec<Contradiction>> {
                    match self { $(Self::$kind(settings) => super::$kind::build(settings, parts),)* }
                }
            }
        }
    };
}
