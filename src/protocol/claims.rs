//! The `claims` parameter (OIDC Core §5.5): which single claims the application wants, and where.
//!
//! It is parsed once, into what we know how to answer; the rest is checked for its form and forgotten, so that
//! nobody can make us keep what we never use.

use crate::failure::Failure;
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// The longest parameter, in bytes.
const MAX_LENGTH: usize = 4096;
/// The most members of one of its objects.
const MAX_MEMBERS: usize = 64;
/// The most values that are asked for of one claim.
const MAX_VALUES: usize = 16;
/// How deep it may nest; the deepest that has a meaning is a value that is an address.
const MAX_DEPTH: usize = 6;

/// The claims about a person that can be asked for, each with the scope that stands for it: OIDC Core §5.4, and
/// ours. Whoever may not have the scope may not have the claim either.
pub const PERSONAL: &[(&str, &str)] = &[
    ("name", "profile"),
    ("given_name", "profile"),
    ("family_name", "profile"),
    ("middle_name", "profile"),
    ("nickname", "profile"),
    ("preferred_username", "profile"),
    ("profile", "profile"),
    ("picture", "profile"),
    ("website", "profile"),
    ("gender", "profile"),
    ("birthdate", "profile"),
    ("zoneinfo", "profile"),
    ("locale", "profile"),
    ("updated_at", "profile"),
    ("email", "email"),
    ("email_verified", "email"),
    ("address", "address"),
    ("phone_number", "phone"),
    ("phone_number_verified", "phone"),
    ("groups", "groups"),
    ("roles", "roles"),
    ("permissions", "permissions"),
];

/// The claims about the sign-in that are weighed when they are asked for (OIDC Core §5.5.1).
const ABOUT_THE_SIGN_IN: &[&str] = &["sub", "auth_time", "acr"];

/// The scope that stands for a claim about a person; none for any other claim.
pub fn scope_of(claim: &str) -> Option<&'static str> {
    PERSONAL.iter().find(|(name, _)| *name == claim).map(|(_, scope)| *scope)
}

/// How much one claim is wanted (OIDC Core §5.5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Whether the application says that it cannot do without.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The values that it takes; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl Wish {
    /// Whether a value is one that was asked for.
    pub fn takes(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
    /// The values that are texts.
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter_map(Value::as_str)
    }
}

/// Wishes by claim.
pub type Wishes = BTreeMap<String, Wish>;

/// A parsed `claims` parameter. Names are the usual ones, whatever they are called in a client's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    /// For the ID token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: Wishes,
    /// For the userinfo endpoint.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: Wishes,
}

impl ClaimsRequest {
    /// Parses the parameter. `usual` says how we call a claim that the client's tokens call otherwise.
    ///
    /// # Errors
    /// `authorize.claims`: not JSON, not the objects of §5.5, a member named twice, or out of bounds.
    pub fn parse(text: &str, usual: impl Fn(&str) -> Option<&'static str>) -> Result<Self, Failure> {
        let malformed = |note: &'static str| Failure::invalid_request("authorize.claims", note);
        if text.len() > MAX_LENGTH || depth(text) > MAX_DEPTH {
            return Err(malformed("the claims request is too long or too deep"));
        }
        let raw: RawRequest = serde_json::from_str(text)
            .map_err(|error| malformed("the claims request is malformed").caused_by(error))?;
        let known = |section: Option<Members<Option<RawWish>>>| -> Wishes {
            let Members(members) = section.unwrap_or_default();
            let named = members.into_iter().filter_map(|(name, wish)| {
                let name = usual(&name).or_else(|| known_name(&name))?;
                Some((name.to_owned(), wish.map(|wish| wish.0).unwrap_or_default()))
            });
            named.collect()
        };
        Ok(Self { id_token: known(raw.id_token), userinfo: known(raw.userinfo) })
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }

    /// The claims about a person, wherever they are wanted.
    pub fn personal(&self) -> BTreeSet<&str> {
        let names = self.id_token.keys().chain(self.userinfo.keys());
        names.map(String::as_str).filter(|name| scope_of(name).is_some()).collect()
    }

    /// Leaves out the claims about a person whose scope the test does not let through.
    #[must_use]
    pub fn narrowed(mut self, may: impl Fn(&str) -> bool) -> Self {
        let keep = |name: &String, _: &mut Wish| scope_of(name).is_none_or(&may);
        self.id_token.retain(keep);
        self.userinfo.retain(keep);
        self
    }

    /// The only persons that will do, as the client knows them; none if anybody will (OIDC Core §3.1.2.2: a
    /// `sub` that is asked for with a value). Empty where nobody can be all that was asked for.
    pub fn subjects(&self) -> Option<BTreeSet<String>> {
        let asked = [&self.id_token, &self.userinfo].into_iter().filter_map(|section| section.get("sub"));
        let sets = asked.filter(|wish| !wish.values.is_empty());
        let sets = sets.map(|wish| wish.texts().map(str::to_owned).collect::<BTreeSet<String>>());
        sets.reduce(|a, b| a.intersection(&b).cloned().collect())
    }

    /// The authentication contexts of which one must be reached (OIDC Core §5.5.1.1); none if it is no must.
    pub fn demanded_acr(&self) -> Option<BTreeSet<String>> {
        let wish = self.id_token.get("acr").filter(|wish| wish.essential && !wish.values.is_empty())?;
        Some(wish.texts().map(str::to_owned).collect())
    }

    /// The authentication contexts that are wanted, most wanted first, whether they must be or not.
    pub fn wanted_acr(&self) -> impl Iterator<Item = &str> {
        self.id_token.get("acr").into_iter().flat_map(Wish::texts)
    }

    /// Whether the ID token must have `auth_time` (OIDC Core §2).
    pub fn demands_auth_time(&self) -> bool {
        self.id_token.get("auth_time").is_some_and(|wish| wish.essential)
    }
}

fn known_name(name: &str) -> Option<&'static str> {
    let personal = PERSONAL.iter().map(|(name, _)| *name);
    personal.chain(ABOUT_THE_SIGN_IN.iter().copied()).find(|known| *known == name)
}

/// How deep the brackets of a JSON text nest, those in strings aside.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The members of an object, none of them named twice: another reader might keep the other one.
struct Members<T>(Vec<(String, T)>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Members<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
                let mut members: Vec<(String, T)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if members.len() == MAX_MEMBERS || members.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(de::Error::custom("too many members, or one that is named twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// What may stand in the parameter: members that are not understood are ignored (§5.5).
#[derive(Default)]
struct RawRequest {
    id_token: Option<Members<Option<RawWish>>>,
    userinfo: Option<Members<Option<RawWish>>>,
}

enum Section {
    Wishes(Option<Members<Option<RawWish>>>),
    Other,
}

impl<'de> Deserialize<'de> for RawRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = RawRequest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawRequest, A::Error> {
                let mut request = RawRequest::default();
                let mut seen = BTreeSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    let section = match name.as_str() {
                        "id_token" | "userinfo" => Section::Wishes(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            Section::Other
                        }
                    };
                    match (section, name.as_str()) {
                        (Section::Wishes(wishes), "id_token") => request.id_token = wishes,
                        (Section::Wishes(wishes), _) => request.userinfo = wishes,
                        (Section::Other, _) => {}
                    }
                    if seen.len() == MAX_MEMBERS || !seen.insert(name) {
                        return Err(de::Error::custom("too many members, or one that is named twice"));
                    }
                }
                Ok(request)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

struct RawWish(Wish);

impl<'de> Deserialize<'de> for RawWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Members(members) = Members::<Value>::deserialize(deserializer)?;
        let mut wish = Wish::default();
        let mut both = 0;
        for (name, value) in members {
            match (name.as_str(), value) {
                ("essential", Value::Bool(essential)) => wish.essential = essential,
                ("value", value) => {
                    both += 1;
                    wish.values.push(value);
                }
                ("values", Value::Array(values)) if !values.is_empty() => {
                    both += 1;
                    wish.values.extend(values);
                }
                ("essential" | "values", _) => {
                    return Err(de::Error::custom("`essential` is no boolean or `values` no list of values"));
                }
                // §5.5.1: members that are not understood are ignored
                _ => {}
            }
        }
        if both > 1 || wish.values.len() > MAX_VALUES {
            return Err(de::Error::custom("`value` beside `values`, or too many of them"));
        }
        Ok(Self(wish))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(text: &str) -> Result<ClaimsRequest, &'static str> {
        ClaimsRequest::parse(text, |name| (name == "urn:teams").then_some("groups")).map_err(|f| f.reason)
    }
    fn names(wishes: &Wishes) -> Vec<&str> {
        wishes.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_example_of_the_specification() {
        // OIDC Core §5.5
        let request = parse(
            r#"{"userinfo": {"given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
                "email_verified": {"essential": true}, "picture": null, "http://example.info/claims/groups": null},
               "id_token": {"auth_time": {"essential": true},
                "acr": {"values": ["urn:mace:incommon:iap:silver"]}}}"#,
        )
        .unwrap();
        assert_eq!(
            names(&request.userinfo),
            ["email", "email_verified", "given_name", "nickname", "picture"]
        );
        assert_eq!(names(&request.id_token), ["acr", "auth_time"]);
        assert!(request.userinfo["email"].essential && !request.userinfo["picture"].essential);
        assert!(request.demands_auth_time());
        assert_eq!(request.wanted_acr().collect::<Vec<_>>(), ["urn:mace:incommon:iap:silver"]);
        assert_eq!(request.demanded_acr(), None, "it is voluntary");
        let kept = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<ClaimsRequest>(&kept).unwrap(), request);
    }

    #[test]
    fn what_is_not_known_is_forgotten() {
        let request = parse(
            r#"{"id_token": {"iss": null, "aud": {"value": "x"}, "name#ja": null, "admin": {"essential": true},
                "urn:teams": null}, "userinfo": null, "later": {"a": [1]}}"#,
        );
        assert_eq!(
            names(&request.unwrap().id_token),
            ["groups"],
            "by the name that the client's tokens have"
        );
        for nothing in ["{}", r#"{"id_token":{}}"#, r#"{"userinfo":null}"#] {
            assert!(parse(nothing).unwrap().is_empty());
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(MAX_LENGTH));
        let many = |n: usize| {
            let members: Vec<String> = (0..n).map(|i| format!("\"c{i}\":null")).collect();
            format!("{{\"userinfo\":{{{}}}}}", members.join(","))
        };
        let values =
            |n: usize| format!("{{\"id_token\":{{\"acr\":{{\"values\":[{}]}}}}}}", vec!["1"; n].join(","));
        for bad in [
            "",
            "null",
            "[]",
            "\"name\"",
            "{",
            "{} {}",
            r#"{"userinfo": []}"#,
            r#"{"userinfo": "name"}"#,
            r#"{"userinfo": {"name": true}}"#,
            r#"{"userinfo": {"nobody": 7}}"#,
            r#"{"userinfo": {"name": {"essential": "true"}}}"#,
            r#"{"userinfo": {"name": {"values": "x"}}}"#,
            r#"{"userinfo": {"name": {"values": []}}}"#,
            r#"{"userinfo": {"name": {"value": "x", "values": ["y"]}}}"#,
            r#"{"userinfo": {"name": null, "name": null}}"#,
            r#"{"userinfo": {"x": null, "x": null}}"#,
            r#"{"userinfo": {"name": {"essential": true, "essential": false}}}"#,
            r#"{"userinfo": {}, "userinfo": {}}"#,
            &deep,
            &long,
            &many(MAX_MEMBERS + 1),
            &values(MAX_VALUES + 1),
        ] {
            assert_eq!(parse(bad), Err("authorize.claims"), "{bad}");
        }
        for good in [&many(MAX_MEMBERS), &values(MAX_VALUES)] {
            assert!(parse(good).is_ok(), "the valid twin");
        }
    }

    #[test]
    fn a_subject_narrows_and_never_widens() {
        let subjects =
            |text: &str| parse(text).unwrap().subjects().map(|set| set.into_iter().collect::<Vec<_>>());
        assert_eq!(subjects(r#"{"id_token": {"sub": {"essential": true}}}"#), None);
        assert_eq!(subjects(r#"{"id_token": {"sub": {"value": "a"}}}"#), Some(vec!["a".to_owned()]));
        assert_eq!(
            subjects(r#"{"id_token": {"sub": {"values": ["a", "b"]}}, "userinfo": {"sub": {"value": "b"}}}"#),
            Some(vec!["b".to_owned()])
        );
        for nobody in [
            r#"{"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}"#,
            r#"{"id_token": {"sub": {"value": 7}}}"#,
            r#"{"id_token": {"sub": {"value": null}}}"#,
        ] {
            assert_eq!(subjects(nobody), Some(Vec::new()), "{nobody}");
        }
    }

    #[test]
    fn a_context_is_a_must_only_if_it_is_essential_and_named() {
        let demanded =
            |wish: &str| parse(&format!("{{\"id_token\":{{\"acr\":{wish}}}}}")).unwrap().demanded_acr();
        assert_eq!(demanded("null"), None);
        assert_eq!(demanded(r#"{"essential":true}"#), None);
        assert_eq!(demanded(r#"{"values":["a"]}"#), None);
        assert_eq!(demanded(r#"{"essential":true,"value":"a"}"#), Some(["a".to_owned()].into()));
        assert_eq!(
            demanded(r#"{"essential":true,"values":[7]}"#),
            Some(BTreeSet::new()),
            "no context is a number"
        );
    }

    #[test]
    fn values_are_compared_whole() {
        let wish = |values: Vec<Value>| Wish { essential: false, values };
        assert!(wish(vec![]).takes(&json!("x")) && wish(vec![json!("y"), json!("x")]).takes(&json!("x")));
        assert!(!wish(vec![json!("X"), json!(1), json!(["x"])]).takes(&json!("x")));
    }

    proptest! {
        /// Laws: parsing is total; what is kept is known; narrowing leaves only what the test lets through.
        #[test]
        fn parsing_is_total(text in prop_oneof![
            ".{0,80}",
            "[{]\"(id_token|userinfo)\":[{]\"(name|email|sub|acr|iss|x)\":(null|[{][}]|[{]\"(essential|value|values)\":(true|\"a\"|[\\[]\"a\",1[\\]])[}])[}][}]",
        ]) {
            if let Ok(request) = parse(&text) {
                for name in request.id_token.keys().chain(request.userinfo.keys()) {
                    prop_assert!(known_name(name).is_some());
                }
                let narrowed = request.narrowed(|scope| scope == "email");
                prop_assert!(narrowed.personal().iter().all(|name| scope_of(name) == Some("email")));
            }
        }
    }
}
