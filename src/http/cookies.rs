//! Our cookies: their names, attributes, and how they are read.
//!
//! On https every name has the prefix `__Host-`, so that no sibling host can plant one (RFC 6265bis §4.1.3).
//! A request that brings one of our names twice is refused: it is not ours to guess which one is true.

use crate::failure::{Failure, UserMessage};
use crate::flow::browser::{Browser, Changes, FlowCookie, InvitationCookie, SessionCookie, Wish, WishCookie};
use crate::ids::ProviderId;
use crate::tokens::handle::{Digest, Handle};
use actix_web::cookie::{Cookie, SameSite, time::Duration as CookieAge};
use actix_web::http::header::{COOKIE, HeaderMap};
use std::collections::BTreeSet;
use std::time::Duration;

const SESSION: &str = "cs_session";
/// The name of a browser, which comes along where another site posts an answer; it opens nothing.
const BROWSER: &str = "cs_browser";
const FLOW: &str = "cs_flow_";
const LAST: &str = "cs_last";
const INVITATION: &str = "cs_invitation";
const WISH: &str = "cs_wish";
const HOST: &str = "__Host-";
/// Cookies of flows that are looked at; browsers that bring more lose the rest.
const MOST_FLOWS: usize = 16;
const MINUTES: Duration = Duration::from_secs(300);
const A_DAY: Duration = Duration::from_secs(24 * 3600);
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads our cookies. Those of others are passed over.
///
/// # Errors
/// `request.duplicate_cookie`; `request.cookie` where a header is no visible ASCII.
pub fn read(headers: &HeaderMap, secure: bool) -> Result<Browser, Failure> {
    let prefix = if secure { HOST } else { "" };
    let mut browser = Browser::default();
    let mut seen = BTreeSet::new();
    for header in headers.get_all(COOKIE) {
        let text = header.to_str().map_err(|_| {
            Failure::invalid_request("request.cookie", "a cookie header is not visible ASCII")
        })?;
        for pair in text.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let Some(name) = name.strip_prefix(prefix) else { continue };
            if ![SESSION, BROWSER, LAST, INVITATION, WISH].contains(&name) && !name.starts_with(FLOW) {
                continue;
            }
            if !seen.insert(name.to_owned()) {
                return Err(Failure::new(
                    crate::failure::OAuthCode::InvalidRequest,
                    "request.duplicate_cookie",
                    UserMessage::StartAgain,
                    "a cookie of ours came twice",
                ));
            }
            match name.strip_prefix(FLOW) {
                Some(short) if is_short(short) && browser.flows.len() < MOST_FLOWS => {
                    browser.flows.insert(short.to_owned(), value.to_owned());
                }
                Some(_) => {}
                None if name == SESSION => browser.session = Handle::parse(value),
                None if name == BROWSER => browser.name = Handle::parse(value),
                None if name == INVITATION => browser.invitation = Handle::parse(value),
                None if name == WISH => browser.wish = wish(value),
                None => browser.last_used = ProviderId::new(value).ok(),
            }
        }
    }
    Ok(browser)
}

/// `provider.digest`. Whoever could plant it could as well link to the application with `idp_hint`.
fn wish(value: &str) -> Option<Wish> {
    let (provider, client) = value.split_once('.')?;
    let provider = ProviderId::new(provider).ok()?;
    Some(Wish { provider, client: Digest::from_stored(client.to_owned()) })
}

fn is_short(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The cookies of an answer.
pub fn written(changes: &Changes, secure: bool) -> Vec<Cookie<'static>> {
    let mut cookies = Vec::new();
    for (short, change) in &changes.flows {
        let name = format!("{FLOW}{short}");
        cookies.push(match change {
            // SameSite=None needs Secure, so on http (loopback only) Lax has to do: there all ports are one site.
            FlowCookie::Keep { value, lifetime, cross_site } => {
                let same_site = if *cross_site && secure { SameSite::None } else { SameSite::Lax };
                cookie(&name, value, Some(*lifetime), same_site, secure)
            }
            FlowCookie::Forget => cookie(&name, "", Some(Duration::ZERO), SameSite::Lax, secure),
        });
    }
    // Like a flow's: on http (loopback only) there is one site.
    let with_posts = if secure { SameSite::None } else { SameSite::Lax };
    if let Some(name) = &changes.name {
        cookies.push(cookie(BROWSER, name.expose(), None, with_posts, secure));
    }
    match &changes.session {
        // A session cookie without an age ends with the browser; the session itself ends on our side.
        Some(SessionCookie::Keep(secret)) => {
            cookies.push(cookie(SESSION, secret.expose(), None, SameSite::Lax, secure));
        }
        Some(SessionCookie::Forget) => {
            cookies.push(cookie(SESSION, "", Some(Duration::ZERO), SameSite::Lax, secure));
            cookies.push(cookie(BROWSER, "", Some(Duration::ZERO), with_posts, secure));
        }
        None => {}
    }
    match &changes.invitation {
        Some(InvitationCookie::Keep(invitation)) => {
            cookies.push(cookie(INVITATION, invitation.expose(), Some(A_DAY), SameSite::Lax, secure));
        }
        Some(InvitationCookie::Forget) => {
            cookies.push(cookie(INVITATION, "", Some(Duration::ZERO), SameSite::Lax, secure));
        }
        None => {}
    }
    match &changes.wish {
        Some(WishCookie::Keep(Wish { provider, client })) => {
            let value = format!("{provider}.{}", client.as_str());
            cookies.push(cookie(WISH, &value, Some(MINUTES), SameSite::Lax, secure));
        }
        Some(WishCookie::Forget) => {
            cookies.push(cookie(WISH, "", Some(Duration::ZERO), SameSite::Lax, secure));
        }
        None => {}
    }
    if let Some(provider) = &changes.last_used {
        cookies.push(cookie(LAST, provider.as_str(), Some(A_YEAR), SameSite::Lax, secure));
    }
    cookies
}

fn cookie(
    name: &str,
    value: &str,
    age: Option<Duration>,
    same_site: SameSite,
    secure: bool,
) -> Cookie<'static> {
    let prefix = if secure { HOST } else { "" };
    let mut cookie = Cookie::build(format!("{prefix}{name}"), value.to_owned())
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(same_site)
        .finish();
    if let Some(age) = age {
        cookie.set_max_age(CookieAge::seconds(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
    }
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }
    const SECRET: &str = "cssn_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn our_cookies_are_read_and_others_passed_over() {
        let line =
            format!("a=b; cs_session={SECRET}; cs_flow_0123456789abcdef=x; cs_flow_short=y; cs_last=globex");
        let browser = read(&headers(&[&line]), false).unwrap();
        assert!(browser.session.is_some());
        assert_eq!(browser.flows.len(), 1);
        assert_eq!(browser.last_used.unwrap().as_str(), "globex");
    }

    #[test]
    fn a_wish_survives_its_way_through_the_browser() {
        let wish = Wish { provider: "acme".parse().unwrap(), client: Digest::of("notes") };
        let changes = Changes { wish: Some(WishCookie::Keep(wish.clone())), ..Changes::none() };
        let text = written(&changes, false)[0].to_string();
        assert!(text.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=300"), "{text}");
        let brought = text.split_once(';').unwrap().0;
        assert_eq!(read(&headers(&[brought]), false).unwrap().wish, Some(wish));
        for bad in ["cs_wish=acme", "cs_wish=.abc", "cs_wish=A B.abc"] {
            assert_eq!(read(&headers(&[bad]), false).unwrap().wish, None, "{bad}");
        }
    }

    #[test]
    fn oauth_097_a_tossed_cookie_is_refused_or_not_seen() {
        let twice = format!("cs_session={SECRET}; cs_session={SECRET}");
        assert_eq!(read(&headers(&[&twice]), false).unwrap_err().reason, "request.duplicate_cookie");
        let line = format!("cs_session={SECRET}");
        assert!(read(&headers(&[&line, &line]), false).is_err(), "in two headers");
        assert!(read(&headers(&[&line]), false).unwrap().session.is_some(), "the valid twin");
        // On https only the `__Host-` name counts, which a sibling host cannot set.
        assert!(read(&headers(&[&line]), true).unwrap().session.is_none());
        let host = format!("__Host-cs_session={SECRET}; cs_session=tossed");
        assert!(read(&headers(&[&host]), true).unwrap().session.is_some());
    }

    #[test]
    fn oauth_095_a_session_cookie_of_another_form_is_none() {
        for bad in ["", "1", "csac_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cssn_short"] {
            let line = format!("cs_session={bad}");
            assert!(read(&headers(&[&line]), false).unwrap().session.is_none(), "{bad}");
        }
    }

    #[test]
    fn cookies_are_closed_to_scripts_and_other_sites() {
        let mut changes = Changes::none();
        let keep = |cross_site| FlowCookie::Keep {
            value: "v".to_owned(),
            lifetime: Duration::from_secs(600),
            cross_site,
        };
        changes.flows.insert("0123456789abcdef".to_owned(), keep(false));
        let text = |changes: &Changes, secure| written(changes, secure)[0].to_string();
        assert_eq!(
            text(&changes, true),
            "__Host-cs_flow_0123456789abcdef=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"
        );
        changes.flows.insert("0123456789abcdef".to_owned(), keep(true));
        assert!(text(&changes, true).contains("SameSite=None; Secure"));
        assert!(text(&changes, false).contains("SameSite=Lax"));
        assert!(!text(&changes, false).contains("Secure"));
    }
}
