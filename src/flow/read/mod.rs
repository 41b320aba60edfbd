//! Lists and views: reading that decides nothing.

pub mod health;
