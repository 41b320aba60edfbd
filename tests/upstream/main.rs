//! The upstream side against a stand-in provider: every refusal is made from a valid, freshly signed answer
//! by one named mutation, next to its valid twin.
#![allow(clippy::type_complexity, reason = "tables of cases with their mutations")]

mod bench;
mod id_token;
mod jose;
mod network;
mod oauth2;
mod people;
mod presets;
mod pushed;
mod response;
#[path = "../support/standin.rs"]
mod standin;
