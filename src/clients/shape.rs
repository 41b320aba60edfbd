//! How groups, roles and permissions are written for one client: apps differ in the claim that they read and
//! in the names that they expect. A shape renames and leaves out; it can never tell more.

use super::metadata::{ClaimShape, ClaimShapes};
use crate::protocol::claims::PERSONAL;
use std::collections::BTreeSet;

/// The claims that can be shaped, by their usual names.
pub const SHAPED: [&str; 3] = ["groups", "roles", "permissions"];

/// The longest name of a claim, in bytes.
const MAX_NAME: usize = 128;
/// The longest prefix, and the longest text that a filter compares, in bytes.
const MAX_TEXT: usize = 128;
/// The most texts of a filter.
const MAX_ONLY: usize = 64;

/// Names that mean something to those who read our tokens: the registered claims of RFC 7519 §4.1, those of
/// OpenID Connect and OAuth that are no claim about a person, and what decides about a token.
const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "cnf",
    "act",
    "may_act",
    "client_id",
    "scope",
    "scp",
    "active",
    "token_type",
    "username",
    "typ",
    "cty",
    "events",
    "toe",
    "txn",
    "trust_framework",
    "sub_jwk",
    "sub_id",
    "_claim_names",
    "_claim_sources",
    "verified_claims",
    "authorization_details",
    "error",
    "error_description",
];

fn is_reserved(name: &str) -> bool {
    let personal = PERSONAL.iter().any(|(claim, _)| *claim == name) && !SHAPED.contains(&name);
    personal || RESERVED.contains(&name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

impl ClaimShape {
    /// The claim's name. One that may not be is none, however it got here.
    pub fn name<'a>(&'a self, usual: &'a str) -> &'a str {
        self.name.as_deref().filter(|name| is_name(name) && !is_reserved(name)).unwrap_or(usual)
    }

    /// The values as they are told.
    pub fn write<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let told =
            |value: &&str| self.only.is_empty() || self.only.iter().any(|only| value.starts_with(only));
        let prefix = self.prefix.as_deref().unwrap_or_default();
        values.into_iter().filter(told).map(|value| format!("{prefix}{value}")).collect()
    }

    /// Checks one shape; `usual` is the claim that it shapes.
    ///
    /// # Errors
    /// The rule that is broken, as a sentence without a full stop.
    pub fn check(&self, usual: &str) -> Result<(), String> {
        let text =
            |text: &String| !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
        match &self.name {
            Some(name) if !is_name(name) => {
                return Err(format!(
                    "the claim for {usual} must have a name of 1 to {MAX_NAME} visible ASCII characters without quotes"
                ));
            }
            Some(name) if is_reserved(name) => {
                return Err(format!(
                    "the claim for {usual} cannot be called `{name}`, which means something else"
                ));
            }
            _ => {}
        }
        if self.prefix.as_ref().is_some_and(|prefix| !text(prefix)) {
            return Err(format!(
                "the prefix for {usual} must have 1 to {MAX_TEXT} bytes without control characters"
            ));
        }
        if self.only.len() > MAX_ONLY || !self.only.iter().all(text) {
            return Err(format!(
                "the filter for {usual} takes up to {MAX_ONLY} texts of 1 to {MAX_TEXT} bytes without control characters"
            ));
        }
        Ok(())
    }
}

impl ClaimShapes {
    /// The shape of a claim, by its usual name.
    pub fn of(&self, usual: &str) -> Option<&ClaimShape> {
        match usual {
            "groups" => Some(&self.groups),
            "roles" => Some(&self.roles),
            "permissions" => Some(&self.permissions),
            _ => None,
        }
    }

    /// How we call a claim that the client's tokens call so.
    pub fn usual_name(&self, name: &str) -> Option<&'static str> {
        SHAPED.into_iter().find(|usual| self.of(usual).is_some_and(|shape| shape.name(usual) == name))
    }

    /// Checks all shapes, and that no two claims have one name.
    ///
    /// # Errors
    /// The first rule that is broken, as a sentence without a full stop.
    pub fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for usual in SHAPED {
            let Some(shape) = self.of(usual) else { continue };
            shape.check(usual)?;
            let name = shape.name(usual);
            if !names.insert(name) {
                return Err(format!("two of groups, roles and permissions would be the claim `{name}`"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(name: &str) -> ClaimShape {
        ClaimShape { name: Some(name.to_owned()), ..ClaimShape::default() }
    }
    fn groups(shape: ClaimShape) -> ClaimShapes {
        ClaimShapes { groups: shape, ..ClaimShapes::default() }
    }

    #[test]
    fn link_043_a_shape_never_takes_the_name_of_another_claim() {
        for good in ["teams", "https://example.com/groups", "cognito:groups", "realm_access"] {
            assert_eq!(groups(named(good)).check(), Ok(()), "{good}");
        }
        let personal = PERSONAL.iter().map(|(name, _)| *name).filter(|name| *name != "groups");
        let bad = RESERVED.iter().copied().chain(personal).chain(["", "a b", "a\"b", "é", "a\nb"]);
        let long = "x".repeat(MAX_NAME + 1);
        for bad in bad.chain([long.as_str()]) {
            assert!(groups(named(bad)).check().is_err(), "{bad}");
            // and if it had got here all the same
            let name = named(bad);
            assert!(name.name("groups") == "groups" || bad == "roles" || bad == "permissions", "{bad}");
        }
        let swapped =
            ClaimShapes { groups: named("roles"), roles: named("groups"), ..ClaimShapes::default() };
        assert_eq!(swapped.check(), Ok(()), "they are still told apart");
        assert_eq!(swapped.usual_name("groups"), Some("roles"));
        let merged = ClaimShapes { groups: named("x"), roles: named("x"), ..ClaimShapes::default() };
        assert!(merged.check().is_err());
    }

    #[test]
    fn texts_are_bounded() {
        let with = |prefix: &str, only: &[&str]| {
            groups(ClaimShape {
                prefix: Some(prefix.to_owned()),
                only: only.iter().map(|&text| text.to_owned()).collect(),
                ..ClaimShape::default()
            })
        };
        assert_eq!(with("app_", &["dev-"]).check(), Ok(()));
        let long = "x".repeat(MAX_TEXT + 1);
        for bad in [with("", &[]), with("a\nb", &[]), with(&long, &[]), with("a", &[""]), with("a", &[&long])]
        {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// Laws: a shape never tells a value that was not there, and leaves none out that its filter takes.
        #[test]
        fn a_shape_never_widens(
            values in prop::collection::btree_set("[a-c]{1,4}", 0..6),
            prefix in prop::option::of("[a-z:]{1,4}"),
            only in prop::collection::btree_set("[a-c]{1,2}", 0..3),
        ) {
            let shape = ClaimShape { name: None, prefix: prefix.clone(), only: only.clone() };
            let told = shape.write(values.iter().map(String::as_str));
            let prefix = prefix.unwrap_or_default();
            for told in &told {
                prop_assert!(values.contains(told.strip_prefix(&prefix).unwrap()));
            }
            let taken = values.iter().filter(|v| only.is_empty() || only.iter().any(|o| v.starts_with(o)));
            prop_assert_eq!(told.len(), taken.count());
        }
    }
}
