//! From columns to domain types. What does not fit is [`StoreError::Corrupt`], with the column's name.

use super::error::StoreError;
use crate::context::Timestamp;
use crate::protocol::Scope;
use crate::tokens::handle::Digest;
use serde::{Serialize, de::DeserializeOwned};
use std::str::FromStr;

/// Anything that parses from text: ids, statuses, proofs.
pub(super) fn parse<T: FromStr>(text: &str, column: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::corrupt(column))
}

pub(super) fn parse_opt<T: FromStr>(
    text: Option<&str>,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(text, column)).transpose()
}

pub(super) fn json<T: DeserializeOwned>(text: &str, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(column))
}

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T, column: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::corrupt(column))
}

pub(super) fn scope(text: &str, column: &'static str) -> Result<Scope, StoreError> {
    Scope::parse(text).map_err(|_| StoreError::corrupt(column))
}

pub(super) fn digest_opt(text: Option<String>) -> Option<Digest> {
    text.map(Digest::from_stored)
}

pub(super) fn at_opt(at: Option<i64>) -> Option<Timestamp> {
    at.map(Timestamp)
}

/// Free text without NUL, which PostgreSQL cannot store.
pub(super) fn storable(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').collect()
}
