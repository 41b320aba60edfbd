//! Countersign, an identity broker: people sign in with the account they have, applications trust one
//! OpenID Connect issuer.
//!
//! The modules stand in the order in which a sign-in meets them:
//!
//! ```text
//!  app ──► http ──► protocol        the request, parsed once into types
//!                     │
//!                  chooser          1  reuse a session, go to a provider, or show the list
//!                     │
//!                  upstream         2  begin ──► the provider ──► finish
//!                     │             3  ExternalIdentity, mapped to profile, groups, roles
//!                  linking          4  existing account, a new one, ask for proof, or refuse
//!                     │
//!                  accounts         5  grants with provenance, reconciled
//!                     │
//!             sessions, assurance   6  what was proved, and when
//!                     │
//!              clients, tokens      7  consent, claims, codes, tokens
//!                     │
//!  app ◄── http ◄── flow            8  one file per transition: load facts → decide → one transaction
//! ```
#![deny(unsafe_code)]
// Nothing that a stranger sends may end a thread: what cannot fail says so by its type.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

// Support of the tests speaks of the library by its name.
#[cfg(test)]
extern crate self as countersign;

pub mod config;
pub mod context;
pub mod failure;
pub mod ids;
pub mod mail;
pub mod outbound;

pub mod jose;
pub mod protocol;

pub mod chooser;
pub mod upstream;

pub mod linking;

pub mod accounts;
pub mod assurance;
pub mod audit;
pub mod clients;
pub mod sessions;
pub mod store;
pub mod tokens;

pub mod cli;
pub mod flow;
pub mod http;
