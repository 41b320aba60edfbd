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
pub enum Source {
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
pub struct Names(pub BTreeMap<String, Vec<Source>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table: BTreeMap<String, Sources> = BTreeMap::deserialize(deserializer)?;
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
            let Sources(sources) = sources;
            if sources.len() > MAX_SOURCES {
                return Err(de::Error::custom(format_args!("`{short}`: at most {MAX_SOURCES} attributes")));
            }
            names.insert(short, sources);
        }
        Ok(Self(names))
    }
}

/// One place, or a list of them.
struct Sources(Vec<Source>);

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Sources;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an attribute's name, { friendly_name = \"…\" }, { name_id = \"<format>\" }, or a list of them",
                )
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Sources, E> {
                named(name).map(|name| Sources(vec![Source::Name(name)]))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Sources, A::Error> {
                Source::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| Sources(vec![one]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Sources, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = list.next_element()? {
                    sources.push(source);
                }
                Ok(Sources(sources))
            }
        }
        deserializer.deserialize_any(Visitor)
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
    if !left_out.is_empty() {
        checks.remarked("saml.attributes", "some left out: encrypted, or no text");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Trace;
    use crate::upstream::mapping::Mapping;
    use crate::upstream::saml::xml;
    use proptest::prelude::*;
    use serde_json::json;

    fn statement(inner: &str) -> String {
        format!(
            r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xsi="{XSI}"><saml:AttributeStatement>{inner}</saml:AttributeStatement></saml:Assertion>"#
        )
    }

    fn try_read(inner: &str) -> Result<Read, &'static str> {
        let text = statement(inner);
        let document = xml::parse(&text).unwrap();
        let mut trace = Trace::default();
        read(Element::root(&document), &mut Checks::new(&mut trace)).map_err(|failure| {
            assert_eq!(trace.steps().last().map(|step| step.check.as_str()), Some(failure.reason));
            failure.reason
        })
    }

    fn one(name: &str, values: &[&str]) -> String {
        let values: String = values
            .iter()
            .map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>"))
            .collect();
        format!(r#"<saml:Attribute Name="{name}">{values}</saml:Attribute>"#)
    }

    fn name_id() -> NameId {
        NameId {
            value: "alice@acme.test".to_owned(),
            format: None,
            name_qualifier: None,
            sp_name_qualifier: None,
        }
    }

    fn claims_of(inner: &str, names: &str) -> Value {
        Value::Object(claims(&try_read(inner).unwrap(), &toml::from_str(names).unwrap(), &name_id()))
    }

    #[test]
    fn one_value_is_a_text_and_any_other_number_a_list() {
        let inner = one("a", &["x"]) + &one("b", &["x", "y"]) + &one("c", &[]) + &one("d", &[""]);
        let claims = claims_of(&inner, "short = 'a'\nmany = 'b'");
        assert_eq!(claims["attributes"], json!({"a": "x", "b": ["x", "y"], "c": [], "d": ""}));
        assert_eq!((&claims["short"], &claims["many"]), (&json!("x"), &json!(["x", "y"])));
        assert_eq!(claims["name_id"], "alice@acme.test");
        assert_eq!(claims["name_id_format"], UNSPECIFIED);
    }

    #[test]
    fn a_name_that_stands_twice_has_the_values_of_both_and_none_wins() {
        for inner in [
            one("mail", &["a@x.test"]) + &one("mail", &["b@x.test"]),
            one("mail", &["a@x.test", "b@x.test"]),
            one("mail", &["a@x.test"]) + &one("other", &[]) + &one("mail", &["b@x.test", "a@x.test"]),
            one("mail", &["a@x.test"])
                + "</saml:AttributeStatement><saml:AttributeStatement>"
                + &one("mail", &["b@x.test"]),
            one("mail", &["a@x.test"]).replace("Name=", r#"NameFormat="urn:a" Name="#)
                + &one("mail", &["b@x.test"]),
        ] {
            let claims = claims_of(&inner, "email = 'mail'");
            assert_eq!(claims["email"], json!(["a@x.test", "b@x.test"]));
            let Value::Object(claims) = claims else { panic!("an object") };
            assert_eq!(Mapping::default().apply(&claims).unwrap().email, None, "two addresses are none");
        }
        assert_eq!(claims_of(&one("mail", &["a@x.test"]).repeat(2), "email = 'mail'")["email"], "a@x.test");
    }

    #[test]
    fn friendly_names_are_kept_apart_from_names() {
        let friendly = one("urn:oid:1", &["x"]).replace("Name=", r#"FriendlyName="mail" Name="#);
        let claims =
            claims_of(&(friendly + &one("mail", &["y"])), "a = 'mail'\nb = { friendly_name = 'mail' }");
        assert_eq!((&claims["a"], &claims["b"]), (&json!("y"), &json!("x")));
        assert_eq!(claims["friendly"], json!({"mail": "x"}));
    }

    #[test]
    fn the_first_source_that_has_values_gives_them() {
        let names = "email = ['none', 'empty', 'mail', { name_id = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified' }]";
        let inner = one("empty", &[]) + &one("mail", &["a@x.test"]);
        assert_eq!(claims_of(&inner, names)["email"], "a@x.test");
        assert_eq!(claims_of(&one("empty", &[]), names)["email"], "alice@acme.test");
        let other = names.replace("unspecified", "emailAddress");
        assert_eq!(claims_of("", &other).get("email"), None, "the NameID has another format");
    }

    #[test]
    fn types_are_not_believed_and_nil_is_nothing() {
        let nil = r#"<saml:Attribute Name="a"><saml:AttributeValue xsi:nil="true"/><saml:AttributeValue xsi:nil="1">x</saml:AttributeValue></saml:Attribute>"#;
        assert_eq!(claims_of(nil, "")["attributes"], json!({"a": []}));
        let typed = one("a", &["007"])
            .replace("<saml:AttributeValue>", r#"<saml:AttributeValue xsi:type="xs:integer">"#);
        assert_eq!(claims_of(&typed, "")["attributes"], json!({"a": "007"}));
        let not_nil =
            one("a", &["x"]).replace("<saml:AttributeValue>", r#"<saml:AttributeValue xsi:nil="false">"#);
        assert_eq!(claims_of(&not_nil, "")["attributes"], json!({"a": "x"}));
    }

    #[test]
    fn what_is_no_text_is_left_out_with_all_its_attribute() {
        let named = r#"<saml:NameID NameQualifier="https://idp.test" SPNameQualifier="https://us.test">p1</saml:NameID>"#;
        assert_eq!(
            claims_of(&one("t", &[named]), "")["attributes"],
            json!({"t": "https://idp.test!https://us.test!p1"})
        );
        assert_eq!(
            claims_of(&one("t", &["<saml:NameID>p1</saml:NameID>"]), "")["attributes"],
            json!({"t": "!!p1"})
        );
        for odd in [
            "<x/>",
            "a<x/>b",
            "<saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID>",
            "<saml:NameID>a<x/></saml:NameID>",
            &"x".repeat(MAX_VALUE + 1),
        ] {
            assert_eq!(claims_of(&one("a", &["y", odd]), "")["attributes"], json!({}), "{odd:.40}");
        }
        assert_eq!(claims_of("<saml:EncryptedAttribute/>", "")["attributes"], json!({}));
        assert_eq!(
            claims_of(r#"<saml:Attribute Name="a"><x>y</x></saml:Attribute>"#, "")["attributes"],
            json!({})
        );
    }

    #[test]
    fn what_is_left_out_is_remarked() {
        let remarks = |inner: &str| {
            let text = statement(inner);
            let document = xml::parse(&text).unwrap();
            let mut trace = Trace::default();
            read(Element::root(&document), &mut Checks::new(&mut trace)).map(drop).unwrap();
            trace.remarks().clone()
        };
        assert_eq!(remarks(&one("a", &["x"])), [].into());
        let said = "saml.attributes: some left out: encrypted, or no text".to_owned();
        assert_eq!(remarks(r#"<saml:Attribute Name="a"><x>y</x></saml:Attribute>"#), [said].into());
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        let refused = Err("saml.attributes");
        assert_eq!(try_read("<saml:Attribute/>").map(drop), refused);
        assert_eq!(try_read(&one(" ", &[])).map(drop), refused);
        assert_eq!(try_read(&one(&"n".repeat(MAX_NAME + 1), &[])).map(drop), refused);
        assert_eq!(try_read(&one(&"n".repeat(MAX_NAME), &[])).map(drop), Ok(()));
        let longest = "x".repeat(MAX_VALUE);
        assert_eq!(claims_of(&one("a", &[&longest]), "")["attributes"]["a"], longest.as_str());
        // a friendly name that is none is left out, and the attribute stays
        for (friendly, count) in
            [(String::new(), 0), ("f".repeat(MAX_NAME), 1), ("f".repeat(MAX_NAME + 1), 0)]
        {
            let inner = one("a", &["x"]).replace("Name=", &format!(r#"FriendlyName="{friendly}" Name="#));
            let claims = claims_of(&inner, "");
            assert_eq!(
                claims["friendly"].as_object().map(serde_json::Map::len),
                Some(count),
                "{friendly:.5}"
            );
            assert_eq!(claims["attributes"], json!({"a": "x"}));
        }
        assert_eq!(try_read(&one("a", &[]).repeat(MAX_ATTRIBUTES)).map(drop), Ok(()));
        assert_eq!(try_read(&one("a", &[]).repeat(MAX_ATTRIBUTES + 1)).map(drop), refused);
        assert_eq!(try_read(&one("a", &["x"; MAX_VALUES])).map(drop), Ok(()));
        assert_eq!(try_read(&one("a", &["x"; MAX_VALUES + 1])).map(drop), refused);
    }

    #[test]
    fn as_many_values_as_are_read_can_be_mapped() {
        let values: Vec<String> = (0..MAX_VALUES).map(|number| format!("g{number}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let inner = one("groups", &values).replace("Name=", r#"FriendlyName="groups" Name="#);
        let Value::Object(claims) = claims_of(&inner, "groups = 'groups'") else { panic!("an object") };
        assert!(Mapping::default().apply(&claims).is_ok());
    }

    #[test]
    fn short_names_are_checked_where_they_stand() {
        let parse = |text: &str| toml::from_str::<Names>(text).map_err(|error| error.message().to_owned());
        let good =
            "email = 'urn:oid:0.9.2342.19200300.100.1.3'\ngroups = ['a', { friendly_name = 'b' }]\nnone = []";
        assert_eq!(parse(good).unwrap().0.len(), 3);
        for (text, word) in [
            ("attributes = 'a'", "meaning of its own"),
            ("Email = 'a'", "a-z"),
            ("email = ''", "1 to 1024"),
            ("email = ' a'", "no space"),
            ("email = 7", "an attribute's name"),
            ("email = { friendly_name = 'a', name_id = 'b' }", "an attribute's name"),
            ("email = { freindly_name = 'a' }", "unknown field"),
            ("email = [7]", "an attribute's name"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        // the last that is taken, and the first that is not
        let names = |count: usize| (0..count).map(|nth| format!("a{nth} = 'x'\n")).collect::<String>();
        let list = |count: usize| format!("a = [{}]", vec!["'x'"; count].join(", "));
        let short = |length: usize| format!("{} = 'x'", "a".repeat(length));
        let long = |length: usize| format!("a = '{}'", "x".repeat(length));
        for (good, bad, word) in [
            (names(MAX_SHORT), names(MAX_SHORT + 1), "at most 64 short names"),
            (list(MAX_SOURCES), list(MAX_SOURCES + 1), "at most 16 attributes"),
            (short(64), short(65), "1 to 64"),
            (short(1), "'' = 'x'".to_owned(), "1 to 64"),
            (long(MAX_NAME), long(MAX_NAME + 1), "1 to 1024"),
            ("a_1 = 'x'".to_owned(), "a-1 = 'x'".to_owned(), "a-z"),
            ("a = 'x'".to_owned(), "a = 'x '".to_owned(), "no space"),
            ("a = { name_id = 'x' }".to_owned(), "a = { name_id = '' }".to_owned(), "1 to 1024"),
            ("a = [{ name_id = 'x' }]".to_owned(), "a = [{}]".to_owned(), "an attribute's name"),
        ] {
            assert!(parse(&good).is_ok(), "{good:.40}: {:?}", parse(&good));
            let error = parse(&bad).unwrap_err();
            assert!(error.contains(word), "{bad:.40}: {error}");
        }
    }

    #[test]
    fn a_source_says_where_it_is() {
        let names: Names = toml::from_str("a = ['x', { friendly_name = 'y' }, { name_id = 'z' }]").unwrap();
        let told: Vec<String> = names.0["a"].iter().map(ToString::to_string).collect();
        assert_eq!(told, ["attribute x", "friendly name y", "NameID of format z"]);
    }

    proptest! {
        /// Law: reading is total, and the order of attributes and values changes nothing but the order of lists.
        #[test]
        fn the_order_chooses_nothing(parts in proptest::collection::vec(("[ab]", proptest::collection::vec("[xyz]", 0..3)), 0..5)) {
            let write = |parts: &[(String, Vec<String>)]| -> String {
                parts.iter().map(|(name, values)| one(name, &values.iter().map(String::as_str).collect::<Vec<_>>())).collect()
            };
            let mut turned = parts.clone();
            turned.reverse();
            turned.iter_mut().for_each(|(_, values)| values.reverse());
            let sorted = |inner: &str| {
                let mut read = try_read(inner).unwrap();
                read.by_name.values_mut().for_each(|values| values.sort());
                read.by_name
            };
            prop_assert_eq!(sorted(&write(&parts)), sorted(&write(&turned)));
        }
    }
}
