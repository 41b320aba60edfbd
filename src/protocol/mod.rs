//! Downstream requests, parsed once into types.

pub mod scope;
pub use scope::Scope;
