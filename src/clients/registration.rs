//! What may be registered for a client: the rules that hold before a client exists, whether it is declared
//! in the configuration or made by command.

use super::metadata::KeySource;
use super::sector::sector;
use super::{AuthMethod, Client, GrantType, Origin};
use crate::protocol::Scope;
use std::collections::BTreeSet;
use url::{Host, Url};

/// Why an address cannot be registered. The text ends the sentence "the address …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not a URL with a scheme.
    #[error("is not an absolute URI")]
    NotAbsolute,
    /// RFC 6749 §3.1.2.
    #[error("has a fragment (`#…`), which RFC 6749 §3.1.2 does not allow")]
    Fragment,
    /// A user name or password would be sent along to whoever reads it.
    #[error("has a user name or password in it")]
    Credentials,
    /// Matching is exact, so there is nothing a pattern could do (RFC 9700 §2.1).
    #[error("has a `*`; addresses are compared exactly (RFC 9700 §2.1)")]
    Pattern,
    /// Spaces, control characters, backslashes, not ASCII.
    #[error("has a character that must be percent-encoded")]
    Character,
    /// Plain http to another machine (RFC 9700 §2.6, RFC 8252 §8.3).
    #[error("is plain http to another machine; only loopback hosts may use http")]
    PlainHttp,
    /// `javascript:`, `data:`, `file:`, `vbscript:` and the like: a browser would act on them.
    #[error("has the scheme `{0}:`, which can never be an application's address")]
    DangerousScheme(String),
    /// A private-use scheme without a domain name in it (RFC 8252 §7.1, RFC 7595 §3.8).
    #[error(
        "has the scheme `{0}:`; a scheme of an app's own must be a reversed domain name such as `com.example.app`"
    )]
    SchemeWithoutDot(String),
    /// A private-use scheme can be claimed by any app on the device (RFC 8252 §8.4), so only a public client,
    /// for which PKCE is always demanded, may use one.
    #[error("has the app's own scheme `{0}:`, which only public clients may use (RFC 8252 §7.1)")]
    PrivateScheme(String),
    /// OIDC Core §6.2.
    #[error("has more than 512 characters")]
    TooLong,
    /// Browsers would send another text than the one that was registered.
    #[error("is not in its normal form; write `{0}`")]
    NotNormal(String),
}

/// Checks a redirect URI, or an address to return to after logout, for registration.
///
/// Allowed: https; http on `localhost`, `127.0.0.0/8` and `[::1]` (matched on any port, RFC 8252 §7.3); for
/// public clients also an app's own scheme with a dot in it (RFC 8252 §7.1).
///
/// # Errors
/// [`InvalidAddress`] with the rule that was broken.
pub fn redirect_uri(text: &str, public_client: bool) -> Result<(), InvalidAddress> {
    let url = web_or_private(text)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(InvalidAddress::PlainHttp),
        scheme if !scheme.contains('.') => {
            // these never have a dot, so the list only makes the message plainer
            let dangerous = ["javascript", "data", "file", "vbscript", "about", "blob", "view-source", "ws"];
            return Err(if dangerous.contains(&scheme) {
                InvalidAddress::DangerousScheme(scheme.to_owned())
            } else {
                InvalidAddress::SchemeWithoutDot(scheme.to_owned())
            });
        }
        scheme if !public_client => return Err(InvalidAddress::PrivateScheme(scheme.to_owned())),
        _ => {}
    }
    normal(text, &url)
}

/// Checks an address that people are led to by a link of ours (an app's start page): https, or http on a
/// loopback host.
///
/// # Errors
/// [`InvalidAddress`] with the rule that was broken.
pub fn web_address(text: &str) -> Result<(), InvalidAddress> {
    let url = web_or_private(text)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(InvalidAddress::PlainHttp),
        scheme => return Err(InvalidAddress::DangerousScheme(scheme.to_owned())),
    }
    normal(text, &url)
}

/// Checks an address at which a request object may lie (OIDC Core §6.2): https, or http on a loopback host. It
/// may have a fragment, the hash of the object.
///
/// # Errors
/// [`InvalidAddress`] with the rule that was broken.
pub fn request_uri(text: &str) -> Result<(), InvalidAddress> {
    // OIDC Core §6.2
    if text.len() > 512 {
        return Err(InvalidAddress::TooLong);
    }
    web_address(text.split_once('#').map_or(text, |(address, _)| address))?;
    match text.split_once('#') {
        Some((_, hash)) if !hash.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => {
            Err(InvalidAddress::Character)
        }
        _ => Ok(()),
    }
}

/// Whether a text can be an authentication context (OIDC Core §2 `acr`): a word that fits into a list divided by
/// spaces.
pub fn acr_value(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether a request URI is the registered one: the same text, or, where none was registered, the same with a
/// fragment, which tells one version of the object from another (OIDC Core §6.2).
pub fn request_uri_matches(registered: &str, sent: &str) -> bool {
    registered == sent || (sent.split_once('#').is_some_and(|(address, _)| address == registered))
}

/// Checks the address of a page that signs a browser out (OIDC Front-Channel Logout §2): as
/// [`web_address`], with the scheme, host and port of a redirect URI, so that it is under the same hands; a
/// loopback host may have another port, as redirect URIs there may. IPv6 hosts cannot be named in the policy
/// of our page (CSP Level 3 §2.3.1).
///
/// # Errors
/// The rule that was broken, as the end of the sentence "the address …".
pub fn frontchannel_uri(text: &str, redirect_uris: &BTreeSet<String>) -> Result<(), String> {
    web_address(text).map_err(|error| error.to_string())?;
    let place = |text: &str| {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let port = if is_loopback(&url) { None } else { url.port_or_known_default() };
        Some((url.scheme().to_owned(), url.host_str()?.to_owned(), port))
    };
    let Some(own) = place(text) else { return Err("has no host".to_owned()) };
    if own.1.starts_with('[') {
        return Err("has an IPv6 host, which the policy of our page cannot name".to_owned());
    }
    if redirect_uris.iter().filter_map(|uri| place(uri)).any(|other| other == own) {
        return Ok(());
    }
    Err("has not the scheme, host and port of any redirect URI (OIDC Front-Channel Logout §2)".to_owned())
}

/// Checks an origin that may read our answers from a browser (Fetch §3.2): `scheme://host[:port]` and
/// nothing behind it.
///
/// # Errors
/// [`InvalidAddress`] with the rule that was broken.
pub fn origin(text: &str) -> Result<(), InvalidAddress> {
    let url = web_or_private(text)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(InvalidAddress::PlainHttp),
        scheme => return Err(InvalidAddress::DangerousScheme(scheme.to_owned())),
    }
    let exact = url.origin().ascii_serialization();
    if exact == text { Ok(()) } else { Err(InvalidAddress::NotNormal(exact)) }
}

/// Checks a resource identifier: an absolute URI without a fragment (RFC 8707 §2).
///
/// # Errors
/// [`InvalidAddress`] with the rule that was broken.
pub fn resource(text: &str) -> Result<(), InvalidAddress> {
    web_or_private(text).map(|_| ())
}

/// Whether a text can be an address of those who look after a client: on one line and short.
pub fn contact(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 254 && !text.chars().any(char::is_control)
}

/// What a client may ask for unless it is said: who the person is, or for a client without people what it
/// may do itself.
pub fn usual_scope(grant_types: &BTreeSet<GrantType>) -> Scope {
    let people = grant_types.contains(&GrantType::AuthorizationCode);
    let text = if people { "openid profile email" } else { "groups roles permissions" };
    Scope::parse(text).unwrap_or_default()
}

/// Checks a whole client against the rules that hold between its parts.
///
/// # Errors
/// The first rule that is broken, as a sentence without a full stop.
pub fn client(client: &Client) -> Result<(), String> {
    let public = client.is_public();
    let say = |address: &String, error: InvalidAddress| format!("the address \"{address}\" {error}");
    for address in client.redirect_uris.iter().chain(&client.post_logout_redirect_uris) {
        redirect_uri(address, public).map_err(|error| say(address, error))?;
    }
    for address in &client.origins {
        origin(address).map_err(|error| say(address, error))?;
    }
    for address in &client.requests.uris {
        request_uri(address).map_err(|error| say(address, error))?;
    }
    let about = &client.about;
    let pages = [&client.home_uri, &about.client_uri, &about.logo_uri, &about.policy_uri, &about.tos_uri];
    for address in pages.into_iter().flatten() {
        web_address(address).map_err(|error| say(address, error))?;
    }
    if let Some(KeySource::JwksUri(address)) = &client.keys {
        web_address(address).map_err(|error| say(address, error))?;
    }
    if client.sign_in.default_acr_values.iter().any(|acr| !acr_value(acr)) {
        return Err("an authentication context must be a word without spaces".to_owned());
    }
    client.shapes.check()?;
    if client.subjects.pairwise {
        sector(client).map_err(|error| format!("a client with pairwise subjects {error}"))?;
    } else if client.subjects.sector_identifier_uri.is_some() && client.origin != Origin::Registered {
        // one that registers itself says all that it has to everybody, and it is checked all the same
        return Err("a sector identifier URI is only for pairwise subjects (OIDC Core §8.1)".to_owned());
    }
    let channels = &client.logout;
    for address in channels.backchannel_uri.iter().chain(&client.sign_in.initiate_login_uri) {
        web_address(address).map_err(|error| say(address, error))?;
    }
    if let Some(address) = &channels.frontchannel_uri {
        frontchannel_uri(address, &client.redirect_uris)
            .map_err(|error| format!("the address \"{address}\" {error}"))?;
    }
    let has = |grant| client.grant_types.contains(&grant);
    let broken = if public && client.auth_methods.is_empty() {
        "a client needs a way to authenticate, or `none`"
    } else if client.auth_methods.contains(&AuthMethod::None) && !public {
        "`none` cannot stand beside another way to authenticate"
    } else if client.auth_methods.contains(&AuthMethod::PrivateKeyJwt) && client.keys.is_none() {
        "private_key_jwt needs the client's keys (`jwks` or `jwks_uri`)"
    } else if about.contacts.len() > 20 || !about.contacts.iter().all(|text| contact(text)) {
        "contacts must be short texts on one line, at most 20"
    } else if public && has(GrantType::ClientCredentials) {
        "client_credentials is not for public clients (RFC 6749 §4.4)"
    } else if public && !client.require_pkce {
        "PKCE is always required of public clients (RFC 9700 §2.1.1)"
    } else if client.grant_types.is_empty() {
        "a client needs a grant type"
    } else if has(GrantType::RefreshToken) && !has(GrantType::AuthorizationCode) {
        "refresh_token needs authorization_code beside it"
    } else if channels.backchannel_session_required && channels.backchannel_uri.is_none() {
        "backchannel_logout_session_required needs backchannel_logout_uri beside it"
    } else if channels.frontchannel_session_required && channels.frontchannel_uri.is_none() {
        "frontchannel_logout_session_required needs frontchannel_logout_uri beside it"
    } else if has(GrantType::AuthorizationCode) && client.redirect_uris.is_empty() {
        "authorization_code needs a redirect URI"
    } else if client.requests.signed_only && client.keys.is_none() {
        "signed request objects need keys (RFC 9101 §6.2)"
    } else {
        return Ok(());
    };
    Err(broken.to_owned())
}

fn web_or_private(text: &str) -> Result<Url, InvalidAddress> {
    // before parsing: the parser cuts tabs and line breaks out and forgives backslashes
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`')) {
        return Err(InvalidAddress::Character);
    }
    if text.contains('*') {
        return Err(InvalidAddress::Pattern);
    }
    let url = Url::parse(text).map_err(|_| InvalidAddress::NotAbsolute)?;
    if text.contains('#') {
        return Err(InvalidAddress::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidAddress::Credentials);
    }
    Ok(url)
}

/// A path may be left out altogether; everything else must be as the parser would write it, because that
/// is what a browser sends.
fn normal(text: &str, url: &Url) -> Result<(), InvalidAddress> {
    let form = url.as_str();
    if form == text || form.strip_suffix('/') == Some(text) {
        Ok(())
    } else {
        Err(InvalidAddress::NotNormal(form.to_owned()))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn honest_addresses_can_be_registered() {
        for good in [
            "https://rp.test/cb",
            "https://rp.test",
            "https://rp.test/cb?tenant=a",
            "http://localhost:8084/callback",
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
        ] {
            assert_eq!(redirect_uri(good, false), Ok(()), "{good}");
            assert_eq!(redirect_uri(good, true), Ok(()), "{good}");
        }
        assert_eq!(redirect_uri("com.example.app:/callback", true), Ok(()));
    }

    #[test]
    fn oauth_009_a_fragment_cannot_be_registered() {
        for bad in ["https://rp.test/cb#x", "https://rp.test/cb#", "com.example.app:/cb#x"] {
            assert_eq!(redirect_uri(bad, true), Err(InvalidAddress::Fragment), "{bad}");
        }
    }

    #[test]
    fn oauth_010_dangerous_schemes_cannot_be_registered() {
        for bad in [
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "about:blank",
            "blob:https://rp.test/1",
        ] {
            for public in [true, false] {
                let refused = redirect_uri(bad, public);
                assert!(matches!(refused, Err(InvalidAddress::DangerousScheme(_))), "{bad}: {refused:?}");
            }
        }
        for bad in ["java\tscript:alert(1)", " javascript:alert(1)", "javascript\n:alert(1)"] {
            assert!(redirect_uri(bad, true).is_err(), "{bad:?}");
        }
        assert_eq!(
            redirect_uri("myapp:/cb", true),
            Err(InvalidAddress::SchemeWithoutDot("myapp".to_owned()))
        );
        assert_eq!(
            redirect_uri("com.example.app:/cb", false),
            Err(InvalidAddress::PrivateScheme("com.example.app".to_owned()))
        );
    }

    #[test]
    fn oauth_011_plain_http_to_another_machine_cannot_be_registered() {
        for bad in [
            "http://rp.test/cb",
            "http://localhost.evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://10.0.0.1/cb",
        ] {
            assert_eq!(redirect_uri(bad, true), Err(InvalidAddress::PlainHttp), "{bad}");
            assert!(web_address(bad).is_err() && origin("http://rp.test").is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_that_read_two_ways_cannot_be_registered() {
        for bad in [
            "https://rp.test/a/../cb",
            "https://RP.test/cb",
            "https://rp.test:443/cb",
            "https://rp.test\\@evil.test/cb",
            "https://u:p@rp.test/cb",
            "https://*.rp.test/cb",
            "https://rp.test/c b",
            "/cb",
            "rp.test/cb",
            "",
        ] {
            assert!(redirect_uri(bad, false).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn oauth_033_a_request_uri_is_a_web_address_and_matches_exactly() {
        for good in ["https://rp.test/r", "https://rp.test/r?x=1#hash-_", "http://127.0.0.1:9/r"] {
            assert_eq!(request_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "http://rp.test/r",
            "file:///etc/passwd",
            "urn:ietf:params:oauth:request_uri:x",
            "https://u@rp.test/r",
            "https://rp.test/a/../r",
            "https://rp.test/r#a b",
            "https://rp.test/r#a#b",
            "/r",
        ] {
            assert!(request_uri(bad).is_err(), "{bad}");
        }
        let long = format!("https://rp.test/{}", "r".repeat(500));
        assert_eq!(request_uri(&long), Err(InvalidAddress::TooLong));
        assert!(request_uri_matches("https://rp.test/r", "https://rp.test/r"));
        assert!(request_uri_matches("https://rp.test/r", "https://rp.test/r#v2"));
        assert!(request_uri_matches("https://rp.test/r#v1", "https://rp.test/r#v1"));
        for other in
            ["https://rp.test/r#v2", "https://rp.test/r", "https://rp.test/rx#v1", "https://evil.test/r"]
        {
            assert!(!request_uri_matches("https://rp.test/r#v1", other), "{other}");
        }
        assert!(!request_uri_matches("https://rp.test/r", "https://rp.test/r?x"));
    }

    #[test]
    fn a_page_that_signs_out_stands_where_a_redirect_uri_does() {
        let redirects: BTreeSet<String> =
            ["https://rp.test/cb", "https://rp.test:8443/cb", "http://127.0.0.1/cb", "http://localhost:9/cb"]
                .map(str::to_owned)
                .into();
        for good in [
            "https://rp.test/out",
            "https://rp.test/out?tenant=a",
            "https://rp.test:8443/out",
            "http://127.0.0.1:5000/out",
            "http://localhost:9/out",
        ] {
            assert_eq!(frontchannel_uri(good, &redirects), Ok(()), "{good}");
        }
        for bad in [
            "https://other.test/out",
            "https://sub.rp.test/out",
            "https://rp.test:444/out",
            "http://rp.test/out",
            "https://rp.test/out#x",
            "https://u:p@rp.test/out",
            "http://[::1]/out",
            "javascript:alert(1)",
            "/out",
            "",
        ] {
            assert!(frontchannel_uri(bad, &redirects).is_err(), "{bad}");
        }
    }

    #[test]
    fn channels_of_logout_are_checked_with_their_client() {
        let mut app = crate::clients::tests::client("app");
        app.auth_methods = [AuthMethod::None].into();
        app.grant_types = [GrantType::AuthorizationCode].into();
        app.redirect_uris = ["https://rp.test/cb".to_owned()].into();
        assert_eq!(client(&app), Ok(()));
        app.logout.backchannel_uri = Some("https://back.test/logout?tenant=a".to_owned());
        app.logout.frontchannel_uri = Some("https://rp.test/logout".to_owned());
        app.logout.backchannel_session_required = true;
        app.logout.frontchannel_session_required = true;
        app.sign_in.initiate_login_uri = Some("https://rp.test/login".to_owned());
        assert_eq!(client(&app), Ok(()), "the valid twin");
        type Change = fn(&mut Client);
        let bad: [Change; 7] = [
            |app| app.logout.backchannel_uri = Some("http://back.test/logout".to_owned()),
            |app| app.logout.backchannel_uri = Some("https://back.test/logout#x".to_owned()),
            |app| app.logout.backchannel_uri = None,
            |app| app.logout.frontchannel_uri = Some("https://back.test/logout".to_owned()),
            |app| app.logout.frontchannel_uri = None,
            |app| app.sign_in.initiate_login_uri = Some("http://rp.test/login".to_owned()),
            |app| app.sign_in.initiate_login_uri = Some("com.example.app:/login".to_owned()),
        ];
        for change in bad {
            let mut broken = app.clone();
            change(&mut broken);
            assert!(client(&broken).is_err(), "{:?} {:?}", broken.logout, broken.sign_in);
        }
    }

    #[test]
    fn origins_are_exact() {
        assert_eq!(origin("https://rp.test"), Ok(()));
        assert_eq!(origin("http://localhost:8084"), Ok(()));
        for bad in ["https://rp.test/", "https://rp.test/a", "null", "*", "https://rp.test:443"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn resources_are_absolute_uris() {
        assert_eq!(resource("urn:demo:api"), Ok(()));
        assert_eq!(resource("https://api.test/v1"), Ok(()));
        for bad in ["api", "https://api.test/#x", ""] {
            assert!(resource(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Law: what can be registered is https, loopback http, or (public only) a scheme with a dot; it has no
        /// fragment, and a browser's parser gives back the same text.
        #[test]
        fn what_is_registered_is_safe(
            scheme in "(https?|javascript|data|com\\.example\\.app|myapp)",
            rest in "(//)?[a-zA-Z0-9.:@/#?*\\\\ -]{0,30}",
            public: bool,
        ) {
            let text = format!("{scheme}:{rest}");
            if redirect_uri(&text, public).is_ok() {
                let url = Url::parse(&text).unwrap();
                prop_assert!(!text.contains('#') && !text.contains('*') && !text.contains('@') || url.username().is_empty());
                let safe = match url.scheme() {
                    "https" => true,
                    "http" => is_loopback(&url),
                    other => public && other.contains('.'),
                };
                prop_assert!(safe, "{}", text);
                prop_assert!(url.as_str().trim_end_matches('/') == text.trim_end_matches('/'));
            }
        }
    }
}
