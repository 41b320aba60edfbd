//! The upstream half of the house by path, without database, web server and command line.
#![deny(unsafe_code)]
#![allow(dead_code, reason = "the other half is not here to use it")]

// Support of the tests speaks of the library by its name.
#[cfg(test)]
extern crate self as countersign;

#[path = "../../src/accounts/mod.rs"]
pub mod accounts;
#[path = "../../src/assurance/mod.rs"]
pub mod assurance;
#[path = "../../src/clients/mod.rs"]
pub mod clients;
#[path = "../../src/failure.rs"]
pub mod failure;
#[path = "../../src/ids.rs"]
pub mod ids;
#[path = "../../src/jose/mod.rs"]
pub mod jose;
#[path = "../../src/protocol/mod.rs"]
pub mod protocol;
#[path = "../../src/sessions/mod.rs"]
pub mod sessions;
#[path = "../../src/tokens/mod.rs"]
pub mod tokens;
#[path = "../../src/upstream/mod.rs"]
pub mod upstream;

/// Those that have a folder beside their file: by way of their folder, or the compiler looks in the wrong place.
#[path = "../../src"]
mod src {
    pub mod context;
    pub mod outbound;
}
pub use src::{context, outbound};
