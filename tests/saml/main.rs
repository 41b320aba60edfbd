//! The SAML upstream against a stand-in identity provider: every refusal is made from a valid, freshly signed message
//! by a named mutation, next to its valid twin.
#![allow(clippy::type_complexity, reason = "tables of cases with their mutations")]

mod generator;
mod presets;
mod provider;
#[path = "../support/publisher.rs"]
mod publisher;
#[path = "../support/saml/mod.rs"]
mod saml;
