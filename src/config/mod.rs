//! The configuration: `countersign.toml` and `providers.toml`, read into [`Settings`].

pub mod settings;

pub use settings::Settings;
