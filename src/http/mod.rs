//! 8 — HTTP: what strangers reach.

pub mod assets;
pub mod cookies;
pub mod csrf;
pub mod pages;
