//! 8 — HTTP: what strangers reach.

pub mod assets;
pub mod pages;
