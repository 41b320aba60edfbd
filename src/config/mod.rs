//! The configuration: `countersign.toml` and `providers.toml`, read into [`Settings`].
//!
//! Every value is read by hand with its place, so that all mistakes are reported at once, each with file,
//! line, column and a suggestion ([`report`]). [`load::load`] is the way in.

pub mod load;
pub mod providers;
pub mod read;
pub mod report;
pub mod settings;
pub mod values;
pub mod watch;

mod client_keys;
mod client_logout;
mod client_requests;
mod clients;
mod directory;
mod people;
mod registration;
mod server;
mod shapes;
mod tls;

pub use load::{Inputs, Loaded, load};
pub use providers::Providers;
pub use report::Report;
pub use settings::Settings;

#[cfg(test)]
mod tests;
