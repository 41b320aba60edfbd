//! The SAML upstream against a stand-in identity provider: every refusal is made from a valid, freshly signed message
//! by a named mutation, next to its valid twin.
#![allow(clippy::type_complexity, reason = "tables of cases with their mutations")]

mod aside;
mod bench;
mod combinations;
mod encrypted;
mod generator;
mod logout;
mod others;
mod outside;
mod people;
mod presets;
mod profile;
mod provider;
#[path = "../support/publisher.rs"]
mod publisher;
mod reading;
#[path = "../support/saml/mod.rs"]
mod saml;
mod second_opinions;
mod signing;
#[path = "../support/standin.rs"]
mod standin;
mod steps;
mod times;
mod wrapping;
