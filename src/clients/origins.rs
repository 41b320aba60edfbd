//! Which pages on other origins may read our answers to a client (CORS, Fetch standard §3.2).

use crate::clients::{Client, redirect};
use std::collections::BTreeSet;

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

/// The origins of all clients, made once per snapshot: a preflight request names no client.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    exact: BTreeSet<String>,
    /// Origins on loopback addresses, which match on any port.
    loopback: Vec<String>,
}

impl Origins {
    /// Collects them.
    pub fn new<'a>(clients: impl IntoIterator<Item = &'a Client>) -> Self {
        let mut origins = Self::default();
        for client in clients.into_iter().filter(|client| !client.disabled) {
            if client.origins.is_empty() {
                for own in client.redirect_uris.iter().filter_map(|uri| of(uri)) {
                    if own.starts_with("http://") {
                        origins.loopback.push(own.clone());
                    }
                    origins.exact.insert(own);
                }
            } else {
                origins.exact.extend(client.origins.iter().cloned());
            }
        }
        origins.loopback.sort();
        origins.loopback.dedup();
        origins
    }
    /// Whether pages of this origin may read our answers to some client.
    pub fn any(&self, origin: &str) -> bool {
        origin != "null"
            && (self.exact.contains(origin)
                || origin.starts_with("http://")
                    && self.loopback.iter().any(|own| redirect::matches(own, origin)))
    }
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
        app.origins = ["https://spa.test".to_owned()].into();
        assert!(Origins::new([&app]).any("https://spa.test"));
        assert!(may_read(&app, "https://spa.test"));
        assert!(!may_read(&app, "https://rp.test"), "what is registered replaces what is guessed");
        app.disabled = true;
        assert!(!may_read(&app, "https://spa.test"));
        assert!(!Origins::new([&app]).any("https://spa.test"));
    }
}
