//! The keys of a `[[client]]`, and its rules for assertions.

use super::read::Section;
use super::report::Problem;
use super::values::References;
use crate::clients::AuthMethod;
use crate::clients::metadata::{AssertionRules, KeySource};
use crate::jose::{Alg, JwkSet};
use crate::outbound::address::AddressRules;
use secrecy::ExposeSecret as _;
use std::collections::BTreeSet;
use url::Url;

/// `jwks` (a JWK Set as text, or a reference to one) or `jwks_uri`.
pub fn keys(section: &Section<'_>, development: bool, references: &References) -> Option<KeySource> {
    let by_value = section.text("jwks").and_then(|at| {
        let found = if at.value.trim_start().starts_with('{') {
            at.value.clone()
        } else {
            match references.resolve(&at.value) {
                Ok(text) => text.expose_secret().to_owned(),
                Err(error) => {
                    // the text may be a key that was never meant to be there
                    section.problems().hide(at.place);
                    let help = "write \"file:PATH\", \"env:NAME\", or the JWK Set itself: '{\"keys\": […]}'";
                    section.refuse(at.place, "config.value", format!("`jwks` {error}"), help);
                    return None;
                }
            }
        };
        match JwkSet::registered(found.as_bytes()) {
            Ok(_) => Some(found),
            Err(error) => {
                section.problems().hide(at.place);
                section.refuse(at.place, "config.value", format!("`jwks`: {}", error.note()), "");
                None
            }
        }
    });
    let by_address = section.parsed("jwks_uri", |text| key_address(text, development));
    if section.has("jwks") && section.has("jwks_uri") {
        let problem = Problem::error(
            "config.contradiction",
            section.place_of("jwks_uri"),
            "`jwks` and `jwks_uri` cannot stand side by side (RFC 7591 §2)",
        );
        section.problems().add(problem.related(section.place_of("jwks"), "the keys by value"));
        return None;
    }
    by_value.map(KeySource::Jwks).or_else(|| by_address.map(|at| KeySource::JwksUri(at.value)))
}

/// An address at which a client publishes something that we fetch: https, in development also http on this
/// machine. Private networks are judged when it is fetched.
fn key_address(text: &str, development: bool) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "is not an absolute URI".to_owned())?;
    let rules = AddressRules { allow_loopback: development, allow_private_network: true };
    rules.check_url(&url).map_err(|error| error.to_string())?;
    if url.fragment().is_some() { Err("has a fragment".to_owned()) } else { Ok(text.to_owned()) }
}

/// Assertions need keys.
pub fn check(section: &Section<'_>, methods: &BTreeSet<AuthMethod>, keys: bool) {
    let tried = section.has("jwks") || section.has("jwks_uri");
    if methods.contains(&AuthMethod::PrivateKeyJwt) && !keys && !tried {
        let place = section.place_of("auth_methods");
        let help = "add `jwks_uri = \"https://…\"`, or `jwks = \"file:PATH\"`";
        section.refuse(place, "config.missing", "`private_key_jwt` needs the client's keys", help);
    }
}

/// `assertion_alg` and `strict_assertions`.
pub fn assertions(section: &Section<'_>) -> AssertionRules {
    let names = Alg::ALL.map(|alg| (alg.as_str(), alg));
    AssertionRules {
        alg: section.word("assertion_alg", &names).map(|at| at.value.as_str().to_owned()),
        issuer_only: section.flag("strict_assertions").map(|at| at.value),
    }
}
