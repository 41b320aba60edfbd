//! The upstream side against a stand-in provider: every refusal is made from a valid, freshly signed answer
//! by one named mutation, next to its valid twin.
#![allow(clippy::type_complexity, reason = "tables of cases with their mutations")]

mod bench;
mod edges;
mod id_token;
mod jose;
mod logout;
mod network;
mod oauth2;
#[path = "../support/oidc/mod.rs"]
mod oidc;
mod outbound;
mod people;
mod presets;
mod pushed;
mod registry;
mod response;
mod settings;
#[path = "../support/standin.rs"]
mod standin;
