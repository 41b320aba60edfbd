//! Authentication contexts and methods: what a provider says of them, and what we say to applications. Levels
//! are computed when asked, from what the session remembers, so that policy can change without signing anyone
//! out.

use serde::de::{self, Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};

/// Methods that have an agreed meaning (RFC 8176 §2, and `pop` of OpenID EAP ACR Values 1.0 §3). What else a
/// provider calls its methods, an application could only guess.
const METHODS: &[&str] = &[
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina",
    "sc", "sms", "swk", "tel", "user", "vbm", "wia",
];

/// The methods of which an application may be told: those that the provider asserted and that are registered,
/// each once.
pub fn methods(asserted: &[String]) -> Vec<String> {
    let known: BTreeSet<&str> =
        asserted.iter().map(String::as_str).filter(|method| METHODS.contains(method)).collect();
    known.into_iter().map(str::to_owned).collect()
}

/// Which contexts of one provider count as which of ours. What is not in it counts as none: a word means what
/// its author means by it, so a provider's is passed on only where the configuration says what it is worth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcrMap(BTreeMap<String, String>);

impl AcrMap {
    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Our context for what the provider said.
    pub fn ours(&self, said: Option<&str>) -> Option<&str> {
        self.0.get(said?).map(String::as_str)
    }
    /// The provider's contexts that count as those that are wanted, in the same order.
    pub fn theirs<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for ours in wanted {
            for (theirs, _) in self.0.iter().filter(|(_, worth)| *worth == ours) {
                if !found.contains(theirs) {
                    found.push(theirs.clone());
                }
            }
        }
        found
    }
    /// Whether the provider can show one of these.
    pub fn reaches(&self, wanted: &BTreeSet<String>) -> bool {
        self.0.values().any(|worth| wanted.contains(worth))
    }
    /// Ours, as the map names them.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }
    /// For unit tests of the decisions.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).to_owned())).collect())
    }
}

impl<'de> Deserialize<'de> for AcrMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        // `acr_values` is a list with spaces between (OIDC Core §3.1.2.1)
        let word = |text: &String| {
            !text.is_empty() && text.len() <= 100 && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if map.len() > 32 || !map.iter().all(|(theirs, ours)| word(theirs) && word(ours)) {
            return Err(de::Error::custom(
                "a context is 1 to 100 visible characters without spaces, and there are at most 32",
            ));
        }
        Ok(Self(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_context_is_told_only_as_it_is_declared() {
        let map =
            AcrMap::of(&[("urn:globex:2fa", "mfa"), ("urn:globex:key", "mfa"), ("urn:globex:pw", "pwd")]);
        assert_eq!(map.ours(Some("urn:globex:2fa")), Some("mfa"));
        for other in [Some("mfa"), Some("urn:globex:2FA"), Some(""), None] {
            assert_eq!(map.ours(other), None);
        }
        assert_eq!(map.theirs(["x", "pwd", "mfa"]), ["urn:globex:pw", "urn:globex:2fa", "urn:globex:key"]);
        assert!(
            map.reaches(&["mfa".to_owned()].into()) && !map.reaches(&["urn:globex:2fa".to_owned()].into())
        );
        assert!(AcrMap::default().theirs(["mfa"]).is_empty());
    }

    #[test]
    fn contexts_are_words() {
        let read = |text: &str| serde_json::from_str::<AcrMap>(text);
        assert!(read(r#"{"urn:a": "2"}"#).is_ok());
        for bad in [r#"{"a b": "c"}"#, r#"{"a": ""}"#, r#"{"a": "b c"}"#, r#"{"a": "é"}"#, r#"{"a": 1}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Law: no method is made up, none is told twice, and none without a registered meaning.
        #[test]
        fn methods_are_a_subset(asserted in prop::collection::vec("(pwd|otp|mfa|rsa|fed|ngcmfa|[a-z]{1,5})", 0..8)) {
            let told = methods(&asserted);
            prop_assert!(told.iter().all(|m| asserted.contains(m) && METHODS.contains(&m.as_str())));
            prop_assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len());
            let known = asserted.iter().filter(|m| METHODS.contains(&m.as_str()));
            prop_assert!(known.clone().all(|m| told.contains(m)));
        }
    }
}
