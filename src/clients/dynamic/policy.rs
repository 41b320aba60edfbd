//! What the house allows to be registered, and what an initial access token allows of that.

use crate::clients::GrantType;
use crate::protocol::Scope;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use url::{Host, Url};

/// What may be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Grant types.
    pub grant_types: BTreeSet<GrantType>,
    /// Scopes.
    pub scope: Scope,
    /// Where answers may go; empty means anywhere.
    pub redirect_hosts: BTreeSet<HostRule>,
    /// Whether PKCE is demanded of clients that can keep a secret. Of others it always is.
    pub require_pkce: bool,
}

/// What an initial access token allows; what is left out is as the house allows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Narrowing {
    /// Only these grant types.
    pub grant_types: Option<BTreeSet<GrantType>>,
    /// Only these scopes.
    pub scope: Option<Scope>,
    /// Only these places.
    pub redirect_hosts: BTreeSet<HostRule>,
}

impl Policy {
    /// What a token leaves of the policy.
    #[must_use]
    pub fn narrowed(&self, by: &Narrowing) -> Self {
        let mut narrow = self.clone();
        if let Some(only) = &by.grant_types {
            narrow.grant_types = self.grant_types.intersection(only).copied().collect();
        }
        if let Some(only) = &by.scope {
            narrow.scope = self.scope.intersection(only);
        }
        narrow
    }

    /// Whether answers may go to this address, by the house and by the token.
    pub fn allows_address(&self, by: &Narrowing, url: &Url) -> bool {
        let fits = |rules: &BTreeSet<HostRule>| rules.is_empty() || rules.iter().any(|rule| rule.fits(url));
        fits(&self.redirect_hosts) && fits(&by.redirect_hosts)
    }
}

/// A place where answers may go: a host (`app.example.com`), all hosts under a domain (`*.example.com`), or an
/// app's own scheme (`com.example.app:`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HostRule {
    /// This host.
    Host(String),
    /// Every host under this domain, but not the domain itself.
    Under(String),
    /// This scheme.
    Scheme(String),
}

/// Why a text is no rule for hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a host such as app.example.com, *.example.com, or an app's scheme such as com.example.app:")]
pub struct InvalidHostRule;

impl HostRule {
    fn fits(&self, url: &Url) -> bool {
        match self {
            Self::Host(host) => url.host_str().is_some_and(|own| own == host),
            Self::Under(domain) => url
                .host_str()
                .and_then(|own| own.strip_suffix(domain.as_str()))
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::Scheme(scheme) => !url.has_host() && url.scheme() == scheme,
        }
    }
}

impl FromStr for HostRule {
    type Err = InvalidHostRule;
    fn from_str(text: &str) -> Result<Self, InvalidHostRule> {
        if let Some(scheme) = text.strip_suffix(':') {
            let legal = scheme.contains('.')
                && scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
            return if legal { Ok(Self::Scheme(scheme.to_owned())) } else { Err(InvalidHostRule) };
        }
        let (name, under) = text.strip_prefix("*.").map_or((text, false), |rest| (rest, true));
        // as the URL parser writes hosts, so that they can be compared letter by letter
        let url = Url::parse(&format!("https://{name}/")).map_err(|_| InvalidHostRule)?;
        if name.contains('*') || url.host_str() != Some(name) || url.as_str() != format!("https://{name}/") {
            return Err(InvalidHostRule);
        }
        match (url.host(), under) {
            (Some(Host::Domain(_)), true) => Ok(Self::Under(name.to_owned())),
            (Some(_), false) => Ok(Self::Host(name.to_owned())),
            _ => Err(InvalidHostRule),
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Under(domain) => write!(f, "*.{domain}"),
            Self::Scheme(scheme) => write!(f, "{scheme}:"),
        }
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for HostRule {
    type Error = InvalidHostRule;
    fn try_from(text: String) -> Result<Self, InvalidHostRule> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_hosts_domains_or_schemes() {
        let fits = |rule: &str, url: &str| rule.parse::<HostRule>().unwrap().fits(&Url::parse(url).unwrap());
        assert!(fits("app.example.com", "https://app.example.com/cb"));
        assert!(fits("localhost", "http://localhost:3000/cb"));
        assert!(fits("127.0.0.1", "http://127.0.0.1/cb") && fits("[::1]", "http://[::1]:9/cb"));
        assert!(fits("*.example.com", "https://a.b.example.com/cb"));
        assert!(fits("com.example.app:", "com.example.app:/cb"));
        for (rule, url) in [
            ("app.example.com", "https://app.example.com.evil.test/"),
            ("app.example.com", "https://xapp.example.com/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("*.example.com", "https://a.example.com.evil.test/"),
            ("com.example.app:", "com.example.app2:/cb"),
            ("com.example.app:", "com.example.app://evil.test/cb"),
            ("com.example.app", "com.example.app:/cb"),
        ] {
            assert!(!fits(rule, url), "{rule} {url}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "https://a.test",
            "a.test/",
            "A.test",
            "a.test:1",
            "u@a.test",
            "javascript:",
            "*.127.0.0.1",
        ] {
            assert!(bad.parse::<HostRule>().is_err(), "{bad}");
        }
    }
}
