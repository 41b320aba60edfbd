//! Where an answer may be sent. The comparison is of exact texts; the only thing that is ever parsed is the
//! port of a loopback address (RFC 9700 §2.1, RFC 8252 §7.3).

use crate::clients::Client;
use crate::failure::{Failure, UserMessage};
use crate::protocol::ResponseMode;
use std::fmt;
use url::form_urlencoded::byte_serialize;

/// A redirect URI that was found among those of its client. It can be made only by the functions of this
/// module, so nothing that fails before them can leave the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedRedirect {
    uri: String,
    state: Option<String>,
    mode: ResponseMode,
}

/// An answer to an application, made from a [`ValidatedRedirect`]. It holds a code: never log it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    uri: String,
    parameters: Vec<(&'static str, String)>,
    mode: ResponseMode,
}

impl Reply {
    /// How it travels.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }
    /// The redirect URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }
    /// Names and values, in the order in which they are sent.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parameters.iter().map(|(name, value)| (*name, value.as_str()))
    }
    /// The address that carries the answer in its query.
    pub fn location(&self) -> Location {
        let mut text = self.uri.clone();
        // RFC 6749 §3.1.2: a query that the registered URI has is retained
        let mut divider = if text.contains('?') { '&' } else { '?' };
        for (name, value) in &self.parameters {
            text.push(divider);
            text.push_str(name);
            text.push('=');
            text.extend(byte_serialize(value.as_bytes()));
            divider = '&';
        }
        Location(text)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?} to {})", self.mode, self.uri)
    }
}

/// An address to send the browser to, made from a [`ValidatedRedirect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// The absolute address, for the `Location` header. It may hold a code: never log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where an application begins a sign-in that somebody else starts (OIDC Core §4): its
    /// `initiate_login_uri` with `iss`, and with `login_hint` and `target_link_uri` where they are given. An
    /// application without one begins at its start page, which gets no parameters; one with neither has no
    /// place to begin at, `None`.
    ///
    /// # Errors
    /// `client.target_link_uri`: the target is on none of the client's own origins, so the link would use the
    /// application as a way to somewhere else.
    pub fn start(
        client: &Client,
        issuer: &str,
        login_hint: Option<&str>,
        target: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let Some(uri) = client.sign_in.initiate_login_uri.as_deref() else {
            return Ok(client.home_uri.clone().map(Self));
        };
        if target.is_some_and(|target| !is_at_home(client, target)) {
            return Err(Failure::invalid_request(
                "client.target_link_uri",
                "the target is on none of the client's own origins",
            ));
        }
        let told = [("iss", Some(issuer)), ("login_hint", login_hint), ("target_link_uri", target)];
        let told = told.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
        let reply = Reply { uri: uri.to_owned(), parameters: told.collect(), mode: ResponseMode::Query };
        Ok(Some(reply.location()))
    }
}

/// Whether an address is on an origin of one of the client's own addresses.
fn is_at_home(client: &Client, target: &str) -> bool {
    let origin = |text: &str| {
        let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        url.username().is_empty().then(|| url.origin().ascii_serialization())
    };
    let own = client.redirect_uris.iter().chain(&client.home_uri).chain(&client.sign_in.initiate_login_uri);
    origin(target).is_some_and(|target| own.filter_map(|uri| origin(uri)).any(|own| own == target))
}

impl ValidatedRedirect {
    /// Finds the redirect URI of an authorization request among the client's.
    ///
    /// A missing one is filled in only where exactly one is registered, and never for OpenID Connect
    /// (RFC 6749 §3.1.2.3, OIDC Core §3.1.2.1).
    ///
    /// # Errors
    /// `client.redirect_uri`, `client.redirect_uri_missing`: for a page of ours, never for a redirect.
    pub fn for_authorization(
        client: &Client,
        sent: Option<&str>,
        openid: bool,
        state: Option<&str>,
    ) -> Result<Self, Failure> {
        let refuse = |reason, note: &'static str| {
            Failure::new(
                crate::failure::OAuthCode::InvalidRequest,
                reason,
                UserMessage::AppMisconfigured,
                note,
            )
        };
        let uri = match sent {
            Some(sent) if client.redirect_uris.iter().any(|registered| matches(registered, sent)) => sent,
            Some(_) => return Err(refuse("client.redirect_uri", "the redirect URI is not registered")),
            None => {
                let mut registered = client.redirect_uris.iter();
                match (registered.next(), registered.next(), openid) {
                    (Some(only), None, false) => only,
                    _ => {
                        return Err(refuse("client.redirect_uri_missing", "no redirect URI was sent"));
                    }
                }
            }
        };
        Ok(Self { uri: uri.to_owned(), state: state.map(str::to_owned), mode: ResponseMode::Query })
    }

    /// The same address, answered in another way. A form can be posted to a web address alone; an app's own
    /// scheme is always answered by its query.
    #[must_use]
    pub fn by(self, mode: ResponseMode) -> Self {
        let mode = if self.takes_forms() { mode } else { ResponseMode::Query };
        Self { mode, ..self }
    }

    /// Whether a browser can post a form to it.
    pub fn takes_forms(&self) -> bool {
        self.uri.starts_with("https://") || self.uri.starts_with("http://")
    }

    /// How it is answered.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// Finds the address after a logout among the client's (OIDC RP-Initiated Logout §3.1): the exact text,
    /// without the rule for loopback ports.
    ///
    /// # Errors
    /// `client.post_logout_redirect_uri`.
    pub fn after_logout(client: &Client, sent: &str, state: Option<&str>) -> Result<Self, Failure> {
        if client.post_logout_redirect_uris.contains(sent) {
            let state = state.map(str::to_owned);
            Ok(Self { uri: sent.to_owned(), state, mode: ResponseMode::Query })
        } else {
            Err(Failure::invalid_request(
                "client.post_logout_redirect_uri",
                "the address after logout is not registered",
            ))
        }
    }

    /// The redirect URI itself.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What is returned with the answer, untouched.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// What a page that may end here names in `form-action`: the origin, or the bare scheme of an app's own
    /// scheme and of an IPv6 address, which the grammar of sources cannot name (CSP Level 3 §2.3.1; Chromium
    /// applies the directive to the redirect after a POST too).
    pub fn form_target(&self) -> String {
        match url::Url::parse(&self.uri) {
            Ok(url) if matches!(url.host(), Some(url::Host::Ipv6(_))) => format!("{}:", url.scheme()),
            Ok(url) if url.origin().is_tuple() => url.origin().ascii_serialization(),
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => "'none'".to_owned(),
        }
    }

    /// The successful answer: `code`, `state`, `iss` (RFC 6749 §4.1.2, RFC 9207 §2).
    pub fn with_code(&self, issuer: &str, code: &str) -> Reply {
        self.answer(&[("code", Some(code)), ("state", self.state.as_deref()), ("iss", Some(issuer))])
    }

    /// The refusal: `error`, `error_description`, `state`, `iss` (RFC 6749 §4.1.2.1). The description is
    /// [`Failure::description`], never the operator's detail.
    pub fn with_error(&self, issuer: &str, failure: &Failure, reference: Option<&str>) -> Reply {
        let description = failure.description(reference);
        self.answer(&[
            ("error", Some(failure.code.as_str())),
            ("error_description", Some(&description)),
            ("state", self.state.as_deref()),
            ("iss", Some(issuer)),
        ])
    }

    /// The way back after a logout: only `state` is added (OIDC RP-Initiated Logout §3).
    pub fn with_state(&self) -> Location {
        self.answer(&[("state", self.state.as_deref())]).location()
    }

    fn answer(&self, parameters: &[(&'static str, Option<&str>)]) -> Reply {
        let parameters = parameters.iter().filter_map(|(name, value)| Some((*name, (*value)?.to_owned())));
        Reply { uri: self.uri.clone(), parameters: parameters.collect(), mode: self.mode }
    }
}

/// Whether a redirect URI that was sent is the registered one: the same text, or the same but for the port
/// of a loopback address. A port in the registration of `localhost` is kept to, because that name is not
/// sure to lead to this machine (RFC 8252 §8.3).
pub fn matches(registered: &str, sent: &str) -> bool {
    if registered == sent {
        return true;
    }
    ["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|host| {
        let (Some(registered), Some(sent)) = (registered.strip_prefix(host), sent.strip_prefix(host)) else {
            return false;
        };
        let (Some((fixed, registered)), Some((_, sent))) = (split_port(registered), split_port(sent)) else {
            return false;
        };
        registered == sent && !(fixed && host.ends_with("localhost"))
    })
}

/// Splits `:port` off: whether there was one, and the rest, which must begin a path or a query.
fn split_port(after_host: &str) -> Option<(bool, &str)> {
    let (had_port, rest) = match after_host.strip_prefix(':') {
        None => (false, after_host),
        Some(text) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = text.split_at_checked(digits)?;
            let canonical = !port.starts_with('0') && port.parse::<u16>().is_ok();
            if !canonical {
                return None;
            }
            (true, rest)
        }
    };
    (rest.is_empty() || rest.starts_with('/') || rest.starts_with('?')).then_some((had_port, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;
    use crate::failure::OAuthCode;
    use proptest::prelude::*;

    const CB: &str = "https://rp.test/cb";

    fn refused(registered: &str, attacks: &[&str]) {
        assert!(matches(registered, registered), "the valid twin");
        for attack in attacks {
            assert!(!matches(registered, attack), "{attack} passed for {registered}");
        }
    }

    #[test]
    fn oauth_001_another_host_path_port_or_scheme_does_not_match() {
        refused(
            CB,
            &[
                "https://evil.test/cb",
                "https://rp.test/other",
                "https://rp.test:444/cb",
                "http://rp.test/cb",
                "https://rp.test/cb/",
                "https://rp.test/cbx",
                "https://rp.test/c",
                " https://rp.test/cb",
                "https://rp.test/cb ",
            ],
        );
    }

    #[test]
    fn oauth_002_path_tricks_do_not_match() {
        refused(
            CB,
            &[
                "https://rp.test/cb/../evil",
                "https://rp.test/cb/..;/evil",
                "https://rp.test/%2e%2e/cb",
                "https://rp.test/cb%2f..",
                "https://rp.test\\cb",
                "https://rp.test/./cb",
                "https://rp.test//cb",
                "https://rp.test/%63b",
            ],
        );
        refused(
            "http://127.0.0.1/callback",
            &["http://127.0.0.1:80/callback/../x", "http://127.0.0.1/./callback"],
        );
    }

    #[test]
    fn oauth_003_userinfo_tricks_do_not_match() {
        refused(
            CB,
            &["https://rp.test@evil.test/cb", "https://rp.test@evil.test@rp.test/cb", "https://x@rp.test/cb"],
        );
        refused(
            "http://127.0.0.1/callback",
            &[
                "http://127.0.0.1@evil.test/callback",
                "http://127.0.0.1:80@evil.test/callback",
                "http://127.0.0.1:1234:80/callback",
                "http://u@127.0.0.1/callback",
            ],
        );
    }

    #[test]
    fn oauth_005_a_registration_is_no_pattern() {
        refused("https://rp.test/cb.*", &["https://rpxtest/cb.*", "https://rp.test/cb.x"]);
        refused(CB, &["https://rpxtest/cb"]);
    }

    #[test]
    fn oauth_006_case_matters() {
        refused(CB, &["HTTPS://RP.test/CB", "https://RP.test/cb", "https://rp.test/CB"]);
        refused("http://localhost/cb", &["http://LOCALHOST/cb", "HTTP://localhost:1/cb"]);
    }

    #[test]
    fn oauth_007_a_query_may_not_be_added_changed_or_left_out() {
        refused(CB, &["https://rp.test/cb?", "https://rp.test/cb?x=1"]);
        refused("https://rp.test/cb?x=1", &[CB, "https://rp.test/cb?x=2", "https://rp.test/cb?x=1&y=2"]);
        refused("http://127.0.0.1/cb", &["http://127.0.0.1:9/cb?x=1", "http://127.0.0.1:9/cb#x"]);
    }

    #[test]
    fn loopback_addresses_match_on_any_port() {
        assert!(matches("http://127.0.0.1/callback", "http://127.0.0.1:49152/callback"));
        assert!(matches("http://127.0.0.1:1/callback", "http://127.0.0.1:49152/callback"));
        assert!(matches("http://[::1]/callback", "http://[::1]:49152/callback"));
        assert!(matches("http://localhost/callback", "http://localhost:3000/callback"));
        refused("http://localhost:8084/callback", &["http://localhost:8085/callback"]);
        refused(
            "http://127.0.0.1/callback",
            &[
                "http://127.0.0.1:/callback",
                "http://127.0.0.1:0/callback",
                "http://127.0.0.1:080/callback",
                "http://127.0.0.1:65536/callback",
                "http://127.0.0.1:+1/callback",
                "https://127.0.0.1:1/callback",
                "http://127.0.0.2/callback",
                "http://127.0.0.1.evil.test/callback",
                "http://127.0.0.10:1/callback",
                "http://localhost:1/callback",
                "http://[::1]:1/callback",
            ],
        );
        refused("http://localhost/cb", &["http://localhost.evil.test/cb", "http://localhost:1.evil.test/cb"]);
    }

    #[test]
    fn oauth_013_a_missing_redirect_uri_is_filled_in_only_where_nothing_is_in_doubt() {
        let mut client = client("app");
        client.redirect_uris = [CB.to_owned()].into();
        let found = |client: &Client, openid| {
            ValidatedRedirect::for_authorization(client, None, openid, None).map_err(|f| f.reason)
        };
        assert_eq!(found(&client, false).unwrap().uri(), CB);
        assert_eq!(found(&client, true), Err("client.redirect_uri_missing"));
        client.redirect_uris.insert("https://rp.test/other".to_owned());
        assert_eq!(found(&client, false), Err("client.redirect_uri_missing"));
        client.redirect_uris.clear();
        assert_eq!(found(&client, false), Err("client.redirect_uri_missing"));
    }

    #[test]
    fn answers_carry_state_and_issuer_and_keep_the_query() {
        let mut client = client("app");
        client.redirect_uris = ["https://rp.test/cb?x=1".to_owned()].into();
        let redirect = ValidatedRedirect::for_authorization(
            &client,
            Some("https://rp.test/cb?x=1"),
            true,
            Some("a b&c=\"é"),
        )
        .unwrap();
        assert_eq!(
            redirect.with_code("https://id.test", "csac_x").location().as_str(),
            "https://rp.test/cb?x=1&code=csac_x&state=a+b%26c%3D%22%C3%A9&iss=https%3A%2F%2Fid.test"
        );
        let failure = Failure::new(OAuthCode::LoginRequired, "x", UserMessage::StartAgain, "secret detail");
        let error = redirect.with_error("https://id.test", &failure, None).location();
        assert!(error.as_str().contains("&error=login_required&"));
        assert!(!error.as_str().contains("secret"));
        assert_eq!(redirect.form_target(), "https://rp.test");
    }

    #[test]
    fn a_form_is_posted_to_web_addresses_alone() {
        let at = |uri: &str| {
            let mut client = client("app");
            client.redirect_uris = [uri.to_owned()].into();
            ValidatedRedirect::for_authorization(&client, Some(uri), true, Some("s"))
                .unwrap()
                .by(ResponseMode::FormPost)
        };
        let reply = at("https://rp.test/cb?x=1").with_code("https://id.test", "csac_x");
        assert_eq!((reply.mode(), reply.uri()), (ResponseMode::FormPost, "https://rp.test/cb?x=1"));
        let sent: Vec<_> = reply.parameters().collect();
        assert_eq!(sent, [("code", "csac_x"), ("state", "s"), ("iss", "https://id.test")]);
        assert!(!format!("{reply:?}").contains("csac_x"));
        assert_eq!(at("com.example.app:/cb").mode(), ResponseMode::Query);
    }

    #[test]
    fn a_form_target_is_an_origin_or_what_the_grammar_can_name() {
        let target = |uri: &str| {
            let mut client = client("app");
            client.redirect_uris = [uri.to_owned()].into();
            ValidatedRedirect::for_authorization(&client, Some(uri), true, None).unwrap().form_target()
        };
        assert_eq!(target("http://127.0.0.1:3000/cb"), "http://127.0.0.1:3000");
        assert_eq!(target("http://[::1]:3000/cb"), "http:");
        assert_eq!(target("com.example.app:/cb"), "com.example.app:");
    }

    #[test]
    fn an_address_after_logout_is_exact() {
        let mut client = client("app");
        client.post_logout_redirect_uris = ["http://127.0.0.1/bye".to_owned()].into();
        assert!(ValidatedRedirect::after_logout(&client, "http://127.0.0.1/bye", None).is_ok());
        for bad in ["http://127.0.0.1:81/bye", "http://127.0.0.1/bye?x=1", "https://evil.test/"] {
            assert!(ValidatedRedirect::after_logout(&client, bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_start_carries_the_issuer_and_leads_to_the_application_alone() {
        let mut app = client("app");
        let start = |app: &Client, target| {
            Location::start(app, "https://id.test", Some("ann@a.test"), target)
                .map(|found| found.map(|location| location.as_str().to_owned()))
                .map_err(|failure| failure.reason)
        };
        assert_eq!(start(&app, None), Ok(None));
        app.home_uri = Some("https://rp.test/".to_owned());
        assert_eq!(start(&app, None), Ok(Some("https://rp.test/".to_owned())), "its start page, as it is");
        app.sign_in.initiate_login_uri = Some("https://rp.test/login?by=link".to_owned());
        let begun = "https://rp.test/login?by=link&iss=https%3A%2F%2Fid.test&login_hint=ann%40a.test";
        assert_eq!(start(&app, None), Ok(Some(begun.to_owned())));
        let at = "https://rp.test/orders?id=1";
        let with_target = format!("{begun}&target_link_uri=https%3A%2F%2Frp.test%2Forders%3Fid%3D1");
        assert_eq!(start(&app, Some(at)), Ok(Some(with_target)));
        for bad in [
            "https://evil.test/",
            "https://rp.test.evil.test/",
            "https://rp.test@evil.test/",
            "https://evil@rp.test/",
            "http://rp.test/",
            "https://rp.test:444/",
            "//rp.test/",
            "/orders",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(start(&app, Some(bad)), Err("client.target_link_uri"), "{bad}");
        }
    }

    proptest! {
        /// Law: what matches differs from the registration in nothing but the port of a loopback host.
        #[test]
        fn what_matches_differs_in_the_port_only(
            registered in prop::sample::select(vec![
                "https://rp.test/cb", "http://127.0.0.1/cb", "http://[::1]:4/cb", "http://localhost/cb", "app.x:/cb",
            ]),
            sent in "(https|http|app\\.x)://?(rp\\.test|127\\.0\\.0\\.1|\\[::1\\]|localhost)(:[0-9]{0,6})?[/a-z?#@:.\\\\%]{0,6}",
        ) {
            if matches(registered, &sent) && registered != sent {
                let (a, b) = (url::Url::parse(registered).unwrap(), url::Url::parse(&sent).unwrap());
                prop_assert_eq!(a.host_str(), b.host_str());
                prop_assert_eq!(a.path(), b.path());
                prop_assert_eq!(a.scheme(), b.scheme());
                prop_assert!(b.username().is_empty() && b.query().is_none() && b.fragment().is_none());
                prop_assert!(b.as_str().starts_with("http://127.") || b.as_str().starts_with("http://[::1]")
                    || b.as_str().starts_with("http://localhost"));
            }
        }

        /// Law: an answer stays at the redirect URI, whatever is put into it.
        #[test]
        fn an_answer_stays_at_its_redirect_uri(state in "\\PC{0,60}", code in "\\PC{0,60}") {
            let mut client = client("app");
            client.redirect_uris = [CB.to_owned()].into();
            let redirect = ValidatedRedirect::for_authorization(&client, Some(CB), true, Some(&state)).unwrap();
            let location = redirect.with_code("https://id.test", &code).location();
            prop_assert!(location.as_str().starts_with("https://rp.test/cb?code="));
            let url = url::Url::parse(location.as_str()).unwrap();
            let back: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(&back["state"], &state);
            prop_assert_eq!(&back["code"], &code);
        }
    }
}
