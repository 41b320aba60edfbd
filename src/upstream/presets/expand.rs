//! A provider's table together with its preset. Every value keeps the place of what caused it, so that an error
//! in a parameter points at the parameter.

use super::{Form, NAMES, Parameter, Preset, named};
use crate::upstream::settings::Endpoint;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error, ValueDeserializer};

/// Tables in which a preset's entries and the provider's own stand together. An empty text takes a preset's entry
/// out of all but `profile`, where it has a meaning of its own.
const MERGED: &[&str] = &[
    "authorize_params",
    "userinfo_params",
    "userinfo_headers",
    "reauthenticate_params",
    "profile",
    "acr_map",
    "attributes",
];

/// Keys of a preset that stay out where the table says another that takes their place.
const INSTEAD: &[(&str, &[&str])] = &[
    ("metadata_url", &["metadata_file", "sso_url"]),
    // whoever names another place for the metadata, or keys, says anew what is trusted
    (
        "trust_metadata_url",
        &["metadata_url", "metadata_file", "sso_url", "metadata_certificates", "certificates"],
    ),
    ("nameid_format", &["nameid_formats", "subject_attribute"]),
    ("nameid_formats", &["nameid_format", "subject_attribute"]),
    ("subject_attribute", &["nameid_format", "nameid_formats"]),
];

/// Whether the table says what takes the place of this key of a preset.
fn replaced(table: &DeTable<'_>, key: &str) -> bool {
    let instead = INSTEAD.iter().find(|(one, _)| *one == key).map(|(_, others)| *others).unwrap_or_default();
    instead.iter().any(|other| table.contains_key(*other))
}

/// The name of a preset that exists.
pub(in crate::upstream) fn known<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = <String as de::Deserialize>::deserialize(deserializer)?;
    if NAMES.contains(&name.as_str()) {
        Ok(Some(name))
    } else {
        Err(de::Error::unknown_variant(&name, NAMES))
    }
}

/// The table with what its preset sets. One without a preset, or with one that does not exist, stays as it is.
///
/// # Errors
/// What is wrong with the preset's parameters, all of it; the table then has what could be set.
pub(in crate::upstream) fn expand<'a>(
    mut table: DeTable<'a>,
    header: &Range<usize>,
) -> (DeTable<'a>, Vec<Error>) {
    let said = table.get("preset");
    let Some((preset, place)) = said.and_then(|said| Some((named(said.get_ref().as_str()?)?, said.span())))
    else {
        return (table, Vec::new());
    };
    let (mut given, mut places, mut errors) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    // those first by which others begin
    let (then, first): (Vec<_>, Vec<_>) =
        preset.parameters.iter().partition(|(_, parameter)| parameter.begins.is_some());
    let names = first.into_iter().chain(then).map(|(name, _)| name.as_str());
    for name in names.chain(["kind"]) {
        let Some((key, value)) = table.remove_entry(name) else { continue };
        places.insert(name.to_owned(), value.span());
        // each by itself, so that one mistake hides no other
        let alone = DeValue::Table(std::iter::once((key, value)).collect());
        let source = ValueDeserializer::from(Spanned::new(header.clone(), alone));
        match (Parameters { preset, given: &given }).deserialize(source) {
            Ok(read) => given.extend(read),
            Err(error) => errors.push(error),
        }
    }
    let missing = needed(preset, &table).into_iter().filter(|name| !places.contains_key(name));
    errors.extend(missing.map(|name| de::Error::custom(format_args!("missing field `{name}`"))));
    for (name, parameter) in &preset.parameters {
        if let Some(usual) = &parameter.default {
            given.entry(name.clone()).or_insert_with(|| usual.clone());
        }
    }
    let fill = Fill { given, places, place };
    let present = |table: &DeTable<'_>, key: &str| table.contains_key(key);
    let with: Vec<&DeTable<'static>> =
        preset.with.iter().filter(|(key, _)| present(&table, key)).map(|(_, table)| table).collect();
    let stays = |key: &str| !replaced(&table, key);
    let sets: Vec<_> = with
        .into_iter()
        .flatten()
        .chain(&preset.table)
        .filter(|(key, _)| stays(key.get_ref().as_ref()))
        .collect();
    for (key, value) in sets {
        let name = key.get_ref();
        let spanned = || Spanned::new(fill.place.clone(), name.clone());
        match table.get_mut(name.as_ref()) {
            None => {
                if errors.is_empty() || !fill.lacks(value.get_ref()) {
                    table.insert(spanned(), fill.value(value.get_ref()));
                }
            }
            Some(said) if MERGED.contains(&name.as_ref()) => {
                let span = said.span();
                let (DeValue::Table(mine), DeValue::Table(preset)) = (said.get_ref(), value.get_ref()) else {
                    continue;
                };
                let mut both = mine.clone();
                for (key, value) in preset {
                    if !both.contains_key(key.get_ref().as_ref()) {
                        both.insert(
                            Spanned::new(fill.place.clone(), key.get_ref().clone()),
                            fill.value(value.get_ref()),
                        );
                    }
                }
                if name != "profile" {
                    both =
                        both.into_iter().filter(|(_, value)| value.get_ref().as_str() != Some("")).collect();
                }
                *said = Spanned::new(span, DeValue::Table(both));
            }
            // An empty text says that it is not wanted.
            Some(said) if said.get_ref().as_str() == Some("") => {
                table.remove(name.as_ref());
            }
            Some(_) => {}
        }
    }
    (table, errors)
}

/// The parameters without a default that stand in what the table does not say itself.
fn needed(preset: &Preset, table: &DeTable<'_>) -> Vec<String> {
    let used = |name: &str| {
        let mark = format!("{{{name}}}");
        preset
            .table
            .iter()
            .filter(|(key, _)| {
                let key = key.get_ref().as_ref();
                MERGED.contains(&key) || !(table.contains_key(key) || replaced(table, key))
            })
            .any(|(_, value)| mentions(value.get_ref(), &mark))
    };
    let required = preset.parameters.iter().filter(|(_, parameter)| parameter.default.is_none());
    required.map(|(name, _)| name).filter(|name| used(name)).cloned().collect()
}

fn mentions(value: &DeValue<'_>, mark: &str) -> bool {
    match value {
        DeValue::String(text) => text.contains(mark),
        DeValue::Array(values) => values.iter().any(|value| mentions(value.get_ref(), mark)),
        DeValue::Table(table) => table.iter().any(|(_, value)| mentions(value.get_ref(), mark)),
        _ => false,
    }
}

/// Puts parameters into a preset's values.
struct Fill {
    given: BTreeMap<String, String>,
    /// Where the parameters stand.
    places: BTreeMap<String, Range<usize>>,
    /// Where the preset is named.
    place: Range<usize>,
}

impl Fill {
    /// The text, and where the first parameter in it stands: of an address, that is what leads to the host.
    fn text(&self, text: &str) -> (String, Range<usize>) {
        let mut filled = text.to_owned();
        let mut first: Option<(usize, &Range<usize>)> = None;
        for (name, value) in &self.given {
            let mark = format!("{{{name}}}");
            let Some(at) = text.find(&mark) else { continue };
            filled = filled.replace(&mark, value);
            if let Some(place) = self.places.get(name).filter(|_| first.is_none_or(|(other, _)| at < other)) {
                first = Some((at, place));
            }
        }
        (filled, first.map_or(&self.place, |(_, place)| place).clone())
    }

    fn value<'a>(&self, value: &DeValue<'static>) -> Spanned<DeValue<'a>> {
        let here = |value| Spanned::new(self.place.clone(), value);
        match value {
            DeValue::String(text) => {
                let (text, place) = self.text(text);
                Spanned::new(place, DeValue::String(Cow::Owned(text)))
            }
            DeValue::Array(values) => {
                let values: DeArray<'a> = values.iter().map(|value| self.value(value.get_ref())).collect();
                here(DeValue::Array(values))
            }
            DeValue::Table(table) => {
                let entry = |(key, value): (&Spanned<Cow<'static, str>>, &Spanned<DeValue<'static>>)| {
                    (Spanned::new(self.place.clone(), key.get_ref().clone()), self.value(value.get_ref()))
                };
                here(DeValue::Table(table.iter().map(entry).collect()))
            }
            other => here(other.clone()),
        }
    }

    /// Whether a parameter is missing in the value: after an error there is no sense in half an address.
    fn lacks(&self, value: &DeValue<'static>) -> bool {
        match value {
            DeValue::String(text) => self.text(text).0.contains('{'),
            DeValue::Array(values) => values.iter().any(|value| self.lacks(value.get_ref())),
            DeValue::Table(table) => table.iter().any(|(_, value)| self.lacks(value.get_ref())),
            _ => false,
        }
    }
}

/// Reads parameters by their forms, so that each error has the place of its value.
struct Parameters<'p> {
    preset: &'p Preset,
    /// What was read before.
    given: &'p BTreeMap<String, String>,
}

impl<'de> DeserializeSeed<'de> for Parameters<'_> {
    type Value = BTreeMap<String, String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Parameters<'_> {
    type Value = BTreeMap<String, String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut given = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(One(self.preset.parameters.get(&name), self.given))?;
            given.insert(name, value);
        }
        Ok(given)
    }
}

/// One parameter, and those that were read before; without one it is `kind`, which has no place beside `preset`.
struct One<'p>(Option<&'p Parameter>, &'p BTreeMap<String, String>);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let text = <String as de::Deserialize>::deserialize(deserializer)?;
        let Some(parameter) = self.0 else {
            return Err(de::Error::custom(
                "`preset` says already of what kind the provider is; remove `kind`",
            ));
        };
        if parameter.form == Form::Choice && !parameter.words.contains(&text) {
            let words: Vec<String> = parameter.words.iter().map(|word| format!("`{word}`")).collect();
            let words = words.join(", ");
            return Err(de::Error::custom(format_args!("unknown variant `{text}`, expected one of {words}")));
        }
        if let Some(start) = parameter.start(self.1)
            && !text.starts_with(&start)
        {
            return Err(de::Error::custom(format_args!("`{text}` does not begin with `{start}`")));
        }
        parameter.form.read(&text).map_err(|rule| de::Error::custom(format_args!("`{text}` {rule}")))
    }
}

impl Parameter {
    /// What it begins with, where the parameters are known that say so.
    fn start(&self, given: &BTreeMap<String, String>) -> Option<String> {
        let mut start = self.begins.clone()?;
        for (name, value) in given {
            start = start.replace(&format!("{{{name}}}"), value);
        }
        (!start.contains('{')).then_some(start)
    }
}

impl Form {
    /// The value, if it has this form.
    fn read(self, text: &str) -> Result<String, &'static str> {
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 128
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        match self {
            Self::Word if word(text) => Ok(text.to_owned()),
            Self::Word => Err("may have letters, digits, `-`, `.` and `_`"),
            Self::Host => {
                let host = word(text) && text.contains('.') && !text.starts_with('.') && !text.contains("..");
                if host {
                    Ok(text.to_ascii_lowercase())
                } else {
                    Err("must be a host name such as id.example.com")
                }
            }
            Self::Choice => Ok(text.to_owned()),
            Self::Uuid if is_tenant(text) => Ok(text.to_ascii_lowercase()),
            Self::Uuid => Err("is not a UUID"),
            Self::Version => {
                let number =
                    |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
                let parts = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
                if parts.is_some_and(|(major, minor)| number(major) && number(minor)) {
                    Ok(text.to_owned())
                } else {
                    Err("is not a version such as v24.0")
                }
            }
            Self::BaseUrl => {
                let endpoint = Endpoint::parse(text)?;
                if endpoint.url().query().is_some() {
                    return Err("must have no query");
                }
                Ok(text.trim_end_matches('/').to_owned())
            }
        }
    }
}

/// A UUID as Microsoft writes its tenants.
pub(in crate::upstream) fn is_tenant(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> DeValue<'static> {
        DeTable::parse(text).unwrap().into_inner().get("x").unwrap().get_ref().clone()
    }

    #[test]
    fn a_parameter_is_found_wherever_it_stands() {
        let fill = Fill { given: BTreeMap::new(), places: BTreeMap::new(), place: 0..0 };
        for (text, there) in [
            ("x = 'https://{host}/a'", true),
            ("x = ['a', 'https://{host}']", true),
            ("x = { a = 'b', c = ['{host}'] }", true),
            ("x = 'https://host/a'", false),
            ("x = ['a', 'b']", false),
            ("x = { a = 'b' }", false),
            ("x = []", false),
            ("x = {}", false),
            ("x = 7", false),
        ] {
            assert_eq!(mentions(&value(text), "{host}"), there, "{text}");
            assert_eq!(fill.lacks(&value(text)), there, "{text}");
        }
        assert!(!mentions(&value("x = 'https://{host}'"), "{tenant}"));
        let given = Fill { given: BTreeMap::from([("host".to_owned(), "a".to_owned())]), ..fill };
        assert!(!given.lacks(&value("x = { a = ['{host}'] }")));
    }
}
