//! What a client can get: scopes narrowed to what is offered and allowed, and the resources (audiences) that
//! its tokens may be for.

use crate::clients::{Client, ResourceServer};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::protocol::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// Scopes that every installation offers: those of OIDC Core §5.4 and §11 for which we have claims, and ours.
pub const STANDARD_SCOPES: &[&str] =
    &["openid", "profile", "email", "address", "phone", "offline_access", "groups", "roles", "permissions"];

/// Scopes that mean a person, and so mean nothing to a client that acts for itself.
pub const PERSONAL_SCOPES: &[&str] = &["openid", "profile", "email", "address", "phone", "offline_access"];

/// The scopes and resources of this installation, made once per snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    custom_scopes: BTreeMap<String, BTreeSet<String>>,
    resources: BTreeSet<String>,
    default_resources: BTreeSet<String>,
}

impl Offer {
    /// From the custom scopes (name, and the resources that they are for; none means any) and the resource
    /// servers. Those that are switched off are left out.
    pub fn new<'a>(
        custom_scopes: impl IntoIterator<Item = (&'a str, &'a [String])>,
        resource_servers: impl IntoIterator<Item = &'a ResourceServer>,
    ) -> Self {
        let mut offer = Self::default();
        for (name, resources) in custom_scopes {
            offer.custom_scopes.insert(name.to_owned(), resources.iter().cloned().collect());
        }
        for server in resource_servers.into_iter().filter(|server| !server.disabled) {
            offer.resources.insert(server.resource.clone());
            if server.default_audience {
                offer.default_resources.insert(server.resource.clone());
            }
        }
        offer
    }

    /// All scopes, standard ones first.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        STANDARD_SCOPES.iter().copied().chain(self.custom_scopes.keys().map(String::as_str))
    }

    /// Leaves of a requested scope what is offered and what the client may ask for. The rest is ignored
    /// (RFC 6749 §3.3); the client learns from the answer's `scope` what it got.
    #[must_use]
    pub fn narrow(&self, requested: &Scope, client: &Client) -> Scope {
        requested.filtered(|token| {
            client.scope.contains(token)
                && (STANDARD_SCOPES.contains(&token) || self.custom_scopes.contains_key(token))
        })
    }

    /// Leaves out the custom scopes that are not for any of these resources.
    #[must_use]
    pub fn scope_at(&self, scope: &Scope, audience: &BTreeSet<String>) -> Scope {
        scope.filtered(|token| {
            self.custom_scopes.get(token).is_none_or(|only| only.is_empty() || !only.is_disjoint(audience))
        })
    }

    /// The resources that a client may ask tokens for.
    pub fn allowed(&self, client: &Client) -> BTreeSet<String> {
        if client.resources.is_empty() {
            self.default_resources.clone()
        } else {
            client.resources.intersection(&self.resources).cloned().collect()
        }
    }

    /// Of the resources that were granted (none means whatever the client may have), those that the client may
    /// still ask for.
    pub fn still_allowed(&self, granted: &BTreeSet<String>, client: &Client) -> BTreeSet<String> {
        let allowed = self.allowed(client);
        if granted.is_empty() { allowed } else { granted.intersection(&allowed).cloned().collect() }
    }

    /// The audience of a token for which no resource was named: the default one where it is allowed, else the
    /// only one that is, else none.
    pub fn default_audience(&self, allowed: &BTreeSet<String>) -> BTreeSet<String> {
        let default: BTreeSet<String> = self.default_resources.intersection(allowed).cloned().collect();
        if default.is_empty() && allowed.len() == 1 { allowed.clone() } else { default }
    }

    /// The audience of a token, given what was named and what may be named. A resource that was switched off
    /// since it was allowed counts as not allowed.
    ///
    /// # Errors
    /// `invalid_target`, reason `resource.not_allowed` (RFC 8707 §2).
    pub fn audience(
        &self,
        named: &BTreeSet<String>,
        allowed: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Failure> {
        if named.is_empty() {
            let live: BTreeSet<String> = allowed.intersection(&self.resources).cloned().collect();
            return Ok(self.default_audience(&live));
        }
        if named.iter().all(|resource| allowed.contains(resource) && self.resources.contains(resource)) {
            Ok(named.clone())
        } else {
            Err(invalid_target("resource.not_allowed", "a resource that this client may not ask for"))
        }
    }
}

/// Checks the form of a resource indicator: an absolute URI without a fragment (RFC 8707 §2).
///
/// # Errors
/// `invalid_target`, reason `resource.format`.
pub fn resource_indicator(text: &str) -> Result<String, Failure> {
    match url::Url::parse(text) {
        Ok(url) if url.fragment().is_none() => Ok(text.to_owned()),
        _ => Err(invalid_target("resource.format", "a resource must be an absolute URI without a fragment")),
    }
}

fn invalid_target(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidTarget, reason, UserMessage::AppMisconfigured, note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::{client, resource_server};
    use proptest::prelude::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|&s| s.to_owned()).collect()
    }

    fn offer() -> Offer {
        let mut default = resource_server("api", "urn:demo:api");
        default.default_audience = true;
        let mut off = resource_server("off", "urn:off");
        off.disabled = true;
        let servers = [default, resource_server("pay", "urn:pay"), off];
        let only = ["urn:pay".to_owned()];
        let none: [String; 0] = [];
        Offer::new([("pay", &only[..]), ("notes", &none[..])], &servers)
    }

    #[test]
    fn unknown_and_forbidden_scopes_are_left_out() {
        let mut client = client("app");
        client.scope = Scope::parse("openid notes pay gone").unwrap();
        let asked = Scope::parse("openid profile notes gone what").unwrap();
        assert_eq!(offer().narrow(&asked, &client).to_string(), "notes openid");
    }

    #[test]
    fn a_scope_of_one_resource_is_not_issued_for_another() {
        let scope = Scope::parse("openid notes pay").unwrap();
        assert_eq!(offer().scope_at(&scope, &set(&["urn:demo:api"])).to_string(), "notes openid");
        assert_eq!(offer().scope_at(&scope, &set(&["urn:pay"])), scope);
    }

    #[test]
    fn audiences_default_and_are_refused() {
        let offer = offer();
        let mut client = client("app");
        assert_eq!(offer.allowed(&client), set(&["urn:demo:api"]));
        client.resources = set(&["urn:pay", "urn:off", "urn:unknown"]);
        let allowed = offer.allowed(&client);
        assert_eq!(allowed, set(&["urn:pay"]));
        assert_eq!(offer.audience(&set(&[]), &allowed).unwrap(), set(&["urn:pay"]));
        assert_eq!(offer.audience(&set(&["urn:pay"]), &allowed).unwrap(), set(&["urn:pay"]));
        for bad in ["urn:demo:api", "urn:off", "urn:unknown", "urn:PAY"] {
            let failure = offer.audience(&set(&[bad]), &allowed).unwrap_err();
            assert_eq!(failure.code, OAuthCode::InvalidTarget, "{bad}");
        }
        let stale = set(&["urn:off"]);
        assert!(offer.audience(&stale, &stale).is_err(), "switched off since");
    }

    #[test]
    fn a_resource_that_was_taken_from_the_client_is_no_longer_allowed() {
        let mut client = client("app");
        client.resources = set(&["urn:pay", "urn:demo:api"]);
        let granted = set(&["urn:pay"]);
        assert_eq!(offer().still_allowed(&granted, &client), granted);
        assert_eq!(offer().still_allowed(&set(&[]), &client), client.resources);
        client.resources = set(&["urn:demo:api"]);
        assert_eq!(offer().still_allowed(&granted, &client), set(&[]));
    }

    #[test]
    fn resource_indicators_are_absolute_and_without_fragment() {
        assert!(resource_indicator("urn:demo:api").is_ok());
        assert!(resource_indicator("https://api.test/v1?x").is_ok());
        for bad in ["api", "/v1", "https://api.test/#x", "urn:a#b"] {
            assert!(resource_indicator(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Laws: narrowing never adds, is idempotent, and never exceeds what the client may have.
        #[test]
        fn narrowing_only_takes_away(asked in "([a-z]{1,8}|openid|notes|pay| ){0,12}", may in "([a-z]{1,8}|openid|notes| ){0,12}") {
            let mut client = client("app");
            client.scope = Scope::parse(&may).unwrap();
            let asked = Scope::parse(&asked).unwrap();
            let narrow = offer().narrow(&asked, &client);
            prop_assert!(narrow.is_subset(&asked));
            prop_assert!(narrow.is_subset(&client.scope));
            prop_assert_eq!(offer().narrow(&narrow, &client), narrow);
        }
    }
}
