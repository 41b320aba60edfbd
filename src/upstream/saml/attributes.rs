//! The attributes of an assertion (SAML Core §2.7.3) as claims that the mapping reads.
//!
//! Attributes keep their long names under `claims.attributes`, by `Name`, and `claims.friendly`, by `FriendlyName`;
//! short names, such as `claims.email`, come from the preset and the configuration. A name that stands several
//! times has the values of all its attributes, each once, so no reader can take the first for the whole: one value
//! is a text, and any other number is a list, which is nobody's address or name.

use super::profile::{Element, NameId, UNSPECIFIED};
use crate::failure::Failure;
use crate::jose::json::Object;
use crate::upstream::checks::{Checks, clean, refused};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Attributes of one assertion.
const MAX_ATTRIBUTES: usize = 1_000;
/// Values of all attributes together. The mapping's own limit is above three times this.
const MAX_VALUES: usize = 3_000;
/// Bytes of a name.
const MAX_NAME: usize = 1_024;
/// Bytes of a value; an attribute with a longer one (a picture, a certificate) is left out.
const MAX_VALUE: usize = 8 * 1_024;
/// XML Schema Part 1 §2.6
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Names in the claims that are not short names of attributes.
const RESERVED: [&str; 4] = ["attributes", "friendly", "name_id", "name_id_format"];
/// Short names that one provider may have.
const MAX_SHORT: usize = 64;
/// Places that one short name may come from.
const MAX_SOURCES: usize = 16;

/// Where the values of a short name come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The attribute with this `Name`.
    Name(String),
    /// The attribute with this `FriendlyName`: convenient, but Core §2.7.3.1 promises nothing about it.
    FriendlyName(String),
    /// The NameID, where it has this format.
    NameId(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "attribute {name}"),
            Self::FriendlyName(name) => write!(f, "friendly name {name}"),
            Self::NameId(format) => write!(f, "NameID of format {format}"),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            #[serde(default)]
            friendly_name: Option<String>,
            #[serde(default)]
            name_id: Option<String>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Source;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute's name, { friendly_name = \"…\" } or { name_id = \"<format>\" }")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Source, E> {
                named(name).map(Source::Name)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match (table.friendly_name, table.name_id) {
                    (Some(name), None) => named(&name).map(Source::FriendlyName),
                    (None, Some(format)) => named(&format).map(Source::NameId),
                    _ => Err(de::Error::invalid_value(de::Unexpected::Map, &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn named<E: de::Error>(name: &str) -> Result<String, E> {
    if name.trim().is_empty() || name.trim() != name || name.len() > MAX_NAME {
        return Err(E::custom(format_args!("a name has 1 to {MAX_NAME} characters and no space around it")));
    }
    Ok(name.to_owned())
}

/// Short names, each with the places it may come from; the first that has values gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names(pub BTreeMap<String, Vec<Source>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "an attribute's name, { friendly_name = \"…\" }, { name_id = \"<format>\" }, or a list of them"
        )]
        enum Several {
            One(Source),
            Many(Vec<Source>),
        }
        let table: BTreeMap<String, Several> = BTreeMap::deserialize(deserializer)?;
        if table.len() > MAX_SHORT {
            return Err(de::Error::custom(format_args!("at most {MAX_SHORT} short names")));
        }
        let mut names = BTreeMap::new();
        for (short, sources) in table {
            let plain = short.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !plain || short.is_empty() || short.len() > 64 {
                let rule = "a short name has 1 to 64 of the characters a-z, 0-9 and _";
                return Err(de::Error::custom(format_args!("`{short}`: {rule}")));
            }
            if RESERVED.contains(&short.as_str()) {
                return Err(de::Error::custom(format_args!(
                    "`{short}` has a meaning of its own; choose another name"
                )));
            }
            let sources = match sources {
                Several::One(source) => vec![source],
                Several::Many(sources) => sources,
            };
            if sources.len() > MAX_SOURCES {
                return Err(de::Error::custom(format_args!("`{short}`: at most {MAX_SOURCES} attributes")));
            }
            names.insert(short, sources);
        }
        Ok(Self(names))
    }
}

/// What the attribute statements say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Read {
    by_name: BTreeMap<String, Vec<String>>,
    by_friendly_name: BTreeMap<String, Vec<String>>,
}

impl Read {
    /// The values of the attribute with this `Name`, each once, in the order of the document.
    pub fn named(&self, name: &str) -> &[String] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn of(&self, source: &Source, name_id: &NameId) -> Vec<String> {
        match source {
            Source::Name(name) => self.named(name).to_vec(),
            Source::FriendlyName(name) => self.by_friendly_name.get(name).cloned().unwrap_or_default(),
            Source::NameId(format) => {
                let said = name_id.format.as_deref().unwrap_or(UNSPECIFIED);
                (said == format).then(|| name_id.value.clone()).into_iter().collect()
            }
        }
    }
}

/// Reads the attributes of all statements.
///
/// # Errors
/// `saml.attributes` for an attribute without a name, or for more than the bounds above.
pub(super) fn read(assertion: Element<'_>, checks: &mut Checks<'_>) -> Result<Read, Failure> {
    let mut read = Read::default();
    let (mut attributes, mut values) = (0_usize, 0_usize);
    let mut left_out = Vec::new();
    for element in
        assertion.all("AttributeStatement").flat_map(|statement| statement.elements().collect::<Vec<_>>())
    {
        attributes += 1;
        if !element.is("Attribute") {
            left_out.push(element.name().to_owned());
            continue;
        }
        let name = element.attribute("Name").filter(|name| !name.trim().is_empty() && name.len() <= MAX_NAME);
        let friendly =
            element.attribute("FriendlyName").filter(|name| !name.is_empty() && name.len() <= MAX_NAME);
        let Some(name) = name else {
            let received = element.attribute("Name").map_or("none", |_| "an empty one, or too long");
            let failure = refused("saml.attributes", "an attribute has no usable name");
            return Err(checks.fail(failure.expected("a Name", received)));
        };
        values += element.elements().count();
        if attributes > MAX_ATTRIBUTES || values > MAX_VALUES {
            let failure = refused("saml.attributes", "the assertion says more than any provider should");
            let received = format!("{attributes} attributes with {values} values, or more");
            let most = format!("at most {MAX_ATTRIBUTES} attributes with {MAX_VALUES} values");
            return Err(checks.fail(failure.expected(most, received)));
        }
        let texts: Option<Vec<String>> =
            element.elements().filter(|value| !is_nil(*value)).map(value).collect();
        let Some(texts) = texts else {
            left_out.push(clean(name));
            continue;
        };
        merge(read.by_name.entry(name.to_owned()).or_default(), &texts);
        if let Some(friendly) = friendly {
            merge(read.by_friendly_name.entry(friendly.to_owned()).or_default(), &texts);
        }
    }
    let left_out =
        if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
    checks.note(
        "saml.attributes",
        "attributes of texts",
        format!("{attributes} with {values} values{left_out}"),
    );
    Ok(read)
}

fn merge(into: &mut Vec<String>, texts: &[String]) {
    for text in texts {
        if !into.contains(text) {
            into.push(text.clone());
        }
    }
}

fn is_nil(value: Element<'_>) -> bool {
    matches!(value.node().attribute((XSI, "nil")), Some("true" | "1"))
}

/// A value as a text, whatever type it claims (`xsi:type` is a hint that providers give wrongly). A NameID, as in
/// eduPersonTargetedID, is written as Shibboleth writes it: `NameQualifier!SPNameQualifier!value`.
fn value(value: Element<'_>) -> Option<String> {
    if !value.is("AttributeValue") {
        return None;
    }
    let mut inner = value.elements();
    let text = match (inner.next(), inner.next()) {
        (None, _) => value.text().map(str::to_owned),
        (Some(name_id), None) if name_id.is("NameID") => name_id.text().map(|text| {
            let qualifier = |name: &str| name_id.attribute(name).unwrap_or_default();
            format!("{}!{}!{text}", qualifier("NameQualifier"), qualifier("SPNameQualifier"))
        }),
        _ => None,
    };
    text.filter(|text| text.len() <= MAX_VALUE)
}

/// The claims: short names, and everything by its long name.
pub(super) fn claims(read: &Read, names: &Names, name_id: &NameId) -> Object {
    let mut claims = Object::new();
    for (short, sources) in &names.0 {
        let values = sources.iter().map(|source| read.of(source, name_id)).find(|values| !values.is_empty());
        if let Some(values) = values {
            claims.insert(short.clone(), json(&values));
        }
    }
    let all = |values: &BTreeMap<String, Vec<String>>| {
        Value::Object(values.iter().map(|(name, values)| (name.clone(), json(values))).collect())
    };
    claims.insert("attributes".to_owned(), all(&read.by_name));
    claims.insert("friendly".to_owned(), all(&read.by_friendly_name));
    claims.insert("name_id".to_owned(), Value::from(name_id.value.clone()));
    let format = name_id.format.as_deref().unwrap_or(UNSPECIFIED);
    claims.insert("name_id_format".to_owned(), Value::from(format));
    claims
}

/// One value as a text, any other number as a list.
fn json(values: &[String]) -> Value {
    match values {
        [one] => Value::from(one.as_str()),
        several => Value::from(several.to_vec()),
    }
}
