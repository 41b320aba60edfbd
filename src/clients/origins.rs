//! Which pages on other origins may read our answers to a client (CORS, Fetch standard §3.2).

use crate::clients::{Client, redirect};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a browser may show our answer to a page of this origin, as far as this client goes: one of its
/// registered origins, or, where it has registered none, the origin of one of its redirect URIs (with the
/// rule for loopback ports). `null` never is.
pub fn may_read(client: &Client, origin: &str) -> bool {
    if client.disabled || origin == "null" {
        return false;
    }
    if !client.origins.is_empty() {
        return client.origins.contains(origin);
    }
    client.redirect_uris.iter().filter_map(|uri| of(uri)).any(|own| redirect::matches(&own, origin))
}

/// The origins of many clients: a preflight request names none of them. Each is counted, so that one client can
/// be taken out again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    exact: BTreeMap<String, usize>,
    /// Origins on loopback addresses without their ports, since they match on any.
    loopback: BTreeMap<String, usize>,
}

impl Origins {
    /// Collects them.
    pub fn new<'a>(clients: impl IntoIterator<Item = &'a Client>) -> Self {
        let mut origins = Self::default();
        clients.into_iter().for_each(|client| origins.add(client));
        origins
    }
    /// Adds those of a client.
    pub fn add(&mut self, client: &Client) {
        let (exact, loopback) = own(client);
        for (counts, origins) in [(&mut self.exact, exact), (&mut self.loopback, loopback)] {
            for origin in origins {
                *counts.entry(origin).or_default() += 1;
            }
        }
    }
    /// Takes out those of a client that was added.
    pub fn remove(&mut self, client: &Client) {
        let (exact, loopback) = own(client);
        for (counts, origins) in [(&mut self.exact, exact), (&mut self.loopback, loopback)] {
            for origin in origins {
                if let Some(count) = counts.get_mut(&origin) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        counts.remove(&origin);
                    }
                }
            }
        }
    }
    /// Whether pages of this origin may read our answers to some client.
    pub fn any(&self, origin: &str) -> bool {
        origin != "null"
            && (self.exact.contains_key(origin)
                || origin.starts_with("http://")
                    && self.loopback.keys().any(|own| redirect::matches(own, origin)))
    }
}

/// A client's origins, and the loopback ones among them that match on any port.
fn own(client: &Client) -> (BTreeSet<String>, BTreeSet<String>) {
    if client.disabled {
        return Default::default();
    }
    if !client.origins.is_empty() {
        return (client.origins.clone(), BTreeSet::new());
    }
    let exact: BTreeSet<String> = client.redirect_uris.iter().filter_map(|uri| of(uri)).collect();
    let loopback = exact.iter().filter(|origin| origin.starts_with("http://")).filter_map(|origin| {
        let mut url = url::Url::parse(origin).ok()?;
        // A port of `localhost` is kept to, as in redirect URIs: it is among the exact ones.
        if url.host_str() == Some("localhost") && url.port().is_some() {
            return None;
        }
        url.set_port(None).ok()?;
        Some(url.origin().ascii_serialization())
    });
    let loopback = loopback.collect();
    (exact, loopback)
}

/// The origin of a web address; `None` for an app's own scheme.
fn of(uri: &str) -> Option<String> {
    let origin = url::Url::parse(uri).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;

    #[test]
    fn origins_are_the_registered_ones_or_those_of_the_redirect_uris() {
        let mut app = client("app");
        app.redirect_uris =
            ["https://rp.test/cb", "http://127.0.0.1/cb", "app.x:/cb"].map(str::to_owned).into();
        assert!(may_read(&app, "https://rp.test"));
        assert!(may_read(&app, "http://127.0.0.1:5173"));
        for bad in [
            "null",
            "",
            "https://rp.test:444",
            "http://rp.test",
            "https://RP.test",
            "app.x",
            "https://rp.test.evil.test",
        ] {
            assert!(!may_read(&app, bad), "{bad}");
        }
        let all = Origins::new([&app]);
        assert!(all.any("https://rp.test") && all.any("http://127.0.0.1:5173"));
        assert!(!all.any("null") && !all.any("http://rp.test") && !all.any("https://spa.test"));
        let mut fixed = app.clone();
        fixed.redirect_uris = ["http://localhost:8085/cb".to_owned()].into();
        let fixed = Origins::new([&fixed]);
        assert!(fixed.any("http://localhost:8085"), "the valid twin");
        for other in ["http://localhost:8086", "http://localhost", "http://127.0.0.1:8085"] {
            assert!(!fixed.any(other), "{other}: the port of localhost is kept to");
        }
        let mut twice = Origins::new([&app, &app]);
        twice.remove(&app);
        assert_eq!(twice, all, "one of two is left");
        twice.remove(&app);
        assert_eq!(twice, Origins::default());
        app.origins = ["https://spa.test".to_owned()].into();
        assert!(Origins::new([&app]).any("https://spa.test"));
        assert!(may_read(&app, "https://spa.test"));
        assert!(!may_read(&app, "https://rp.test"), "what is registered replaces what is guessed");
        app.disabled = true;
        assert!(!may_read(&app, "https://spa.test"));
        assert!(!Origins::new([&app]).any("https://spa.test"));
    }
}
