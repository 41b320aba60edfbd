//! Strict JSON for what strangers send: one value to the last byte, no member named twice.
//!
//! `serde_json` keeps the last of repeated members; another parser may keep the first, and so two readers
//! see two different tokens (RFC 7515 §4, RFC 7519 §4).

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A JSON object.
pub type Object = Map<String, Value>;

/// Why a text is not JSON that we accept.
#[derive(Debug, thiserror::Error)]
#[error("not acceptable JSON: {0}")]
pub struct InvalidJson(#[from] serde_json::Error);

/// Parses one object. Nesting is limited to 128 levels.
///
/// # Errors
/// [`InvalidJson`] on anything but one object with distinct members on every level.
pub fn object(bytes: &[u8]) -> Result<Object, InvalidJson> {
    match value(bytes)? {
        Value::Object(object) => Ok(object),
        _ => Err(InvalidJson(serde_json::Error::custom("it is not an object"))),
    }
}

/// Parses one value. Nesting is limited to 128 levels.
///
/// # Errors
/// [`InvalidJson`] on anything but one value with distinct members on every level.
pub fn value(bytes: &[u8]) -> Result<Value, InvalidJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Builds a [`Value`] like `serde_json` does, except that it refuses repeated members.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Strict)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// Reads a typed value out of an object that was parsed strictly.
pub(super) fn typed<T: for<'de> Deserialize<'de>>(object: Object) -> Result<T, InvalidJson> {
    Ok(T::deserialize(Value::Object(object))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn oidc_027_repeated_members_are_refused_on_every_level() {
        assert!(object(br#"{"a":1,"b":{"c":[{"d":null}]}}"#).is_ok());
        for bad in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"s\u0075b":"a","sub":"b"}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[[{"b":1,"b":2}]]}"#,
        ] {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_one_whole_object_is_accepted() {
        for bad in
            ["", "null", "[]", "\"a\"", "1", "{}{}", "{} x", "{", "{\"a\":1,}", "\u{feff}{}", "{'a':1}"]
        {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
        assert!(object(" {\n} ".as_bytes()).is_ok());
    }

    #[test]
    fn a_tower_of_brackets_is_refused_and_does_not_overflow() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(object(deep.as_bytes()).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e9..1.0e9f64).prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Law: where nothing is repeated, the strict parser sees what `serde_json` sees.
        #[test]
        fn it_agrees_with_serde_json_on_honest_input(json in any_json()) {
            let text = serde_json::to_vec(&json).unwrap();
            let plain: Value = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(value(&text).unwrap(), plain);
        }

        /// Law: it refuses whatever `serde_json` refuses, and never panics.
        #[test]
        fn it_accepts_no_more_than_serde_json(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if value(&bytes).is_ok() {
                prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
            }
        }
    }
}
