//! Reading a request: whatever a stranger can send is bounded and refused if it is not what it should be.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::Browser;
use crate::http::{Site, cookies};
use crate::protocol::MAX_MESSAGE;
use actix_web::http::header::{CONTENT_TYPE, HOST, HeaderMap};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// For how long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the browser brings.
///
/// # Errors
/// `request.duplicate_cookie`, `request.cookie`.
pub fn browser(site: &Site, request: &HttpRequest) -> Result<Browser, Failure> {
    let secure = site.app.now().settings.issuer.is_https();
    let mut browser = cookies::read(request.headers(), secure)?;
    browser.source = source(site, request);
    Ok(browser)
}

/// The body of a form, undecoded.
///
/// # Errors
/// `request.content_type`, `request.body_too_large` (413), `request.body_timeout` (408), `request.body`.
pub async fn form(site: &Site, request: &HttpRequest, payload: web::Payload) -> Result<String, Failure> {
    form_within(site.app.now().settings.limits.body, request, payload).await
}

/// The body of a form with a provider's message, undecoded: a SAML response with many groups is longer than any other
/// body.
///
/// # Errors
/// As [`form`].
pub async fn message(site: &Site, request: &HttpRequest, payload: web::Payload) -> Result<String, Failure> {
    form_within(site.app.now().settings.limits.body.max(MAX_MESSAGE), request, payload).await
}

async fn form_within(limit: usize, request: &HttpRequest, payload: web::Payload) -> Result<String, Failure> {
    let body = body(limit, request, payload, "application/x-www-form-urlencoded").await?;
    String::from_utf8(body).map_err(|_| Failure::invalid_request("request.encoding", "the form is no UTF-8"))
}

/// A body of JSON, not parsed.
///
/// # Errors
/// As [`form`].
pub async fn json(site: &Site, request: &HttpRequest, payload: web::Payload) -> Result<Vec<u8>, Failure> {
    body(site.app.now().settings.limits.body, request, payload, "application/json").await
}

async fn body(
    limit: usize,
    request: &HttpRequest,
    payload: web::Payload,
    wanted: &'static str,
) -> Result<Vec<u8>, Failure> {
    let media_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(wanted) {
        return Err(Failure::invalid_request("request.content_type", "the body is of another kind")
            .expected(wanted, media_type.chars().take(80).collect::<String>()));
    }
    tokio::time::timeout(PATIENCE, read(payload, limit))
        .await
        .map_err(|_| Failure::invalid_request("request.body_timeout", "the body took too long"))?
}

async fn read(mut payload: web::Payload, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::invalid_request("request.body", "the body broke off"))?;
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Failure::invalid_request("request.body_too_large", "the body is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether a browser says that another site sent the request: by Fetch Metadata, or, where it is too old for
/// that, by `Origin`.
pub fn is_foreign(site: &Site, request: &HttpRequest) -> bool {
    let said = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match (said("sec-fetch-site"), said("origin")) {
        (Some(from), _) => from != "same-origin",
        (None, Some(origin)) => origin != site.app.now().settings.issuer.origin(),
        (None, None) => false,
    }
}

/// Whether a browser says that another site has this loaded within a page of its own (an image, a frame), so that nobody sees
/// what comes of it.
pub fn is_embedded(site: &Site, request: &HttpRequest) -> bool {
    let into = request.headers().get("sec-fetch-dest");
    is_foreign(site, request) && into.is_some_and(|into| into.as_bytes() != b"document")
}

/// Whether the request is for us: Host must name the issuer's authority, exactly. `X-Forwarded-Host` and
/// `Forwarded` mean nothing here; our addresses come from the configuration alone.
///
/// # Errors
/// `request.host` (421, RFC 9110 §15.5.20).
pub fn check_host(site: &Site, headers: &HeaderMap, target: Option<&str>) -> Result<(), Failure> {
    let settings = &site.app.now().settings;
    let default_port = if settings.issuer.is_https() { ":443" } else { ":80" };
    let ours = settings.issuer.authority();
    let is_ours = |name: &str| {
        let name = name.strip_suffix(default_port).unwrap_or(name);
        name.eq_ignore_ascii_case(&ours)
    };
    let mut hosts = headers.get_all(HOST);
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_ours),
        // HTTP/2 names it in the target only
        (None, _) => target.is_some(),
        (Some(_), Some(_)) => false,
    };
    if named && target.is_none_or(is_ours) {
        return Ok(());
    }
    Err(Failure::new(
        OAuthCode::InvalidRequest,
        "request.host",
        UserMessage::NotFound,
        "the request names another host than the issuer's",
    ))
}

/// The client's address: the peer, or, where the peer is a trusted proxy, the last address in
/// `X-Forwarded-For` that is none of ours. A value that is no address ends the search: what stands before it
/// was written by a stranger.
pub fn client_address(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let mut address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ip| ip.to_canonical());
    if !trusted.contains(&address) {
        return address;
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        address = ip.to_canonical();
        if !trusted.contains(&address) {
            break;
        }
    }
    address
}

/// The client's address as far as it says where somebody is: an IPv4 /24 or IPv6 /48.
pub fn source(site: &Site, request: &HttpRequest) -> String {
    let settings = &site.app.now().settings;
    let peer = request.peer_addr().map(|addr| addr.ip());
    match client_address(peer, request.headers(), &settings.public.trusted_proxies) {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn address(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        client_address(peer.parse().ok(), &headers, &trusted).to_string()
    }

    #[test]
    fn admin_018_a_forged_address_is_not_believed() {
        assert_eq!(address("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9", "the peer is no proxy of ours");
        assert_eq!(address("10.0.0.1", &["198.51.100.7"], &["10.0.0.1"]), "198.51.100.7", "the valid twin");
        assert_eq!(address("10.0.0.1", &["1.2.3.4, 198.51.100.7"], &["10.0.0.1"]), "198.51.100.7");
        assert_eq!(
            address("10.0.0.1", &["1.2.3.4", "198.51.100.7, 10.0.0.2"], &["10.0.0.1", "10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            address("10.0.0.1", &["1.2.3.4, unknown"], &["10.0.0.1"]),
            "10.0.0.1",
            "no address, no belief"
        );
        assert_eq!(address("::ffff:10.0.0.1", &["198.51.100.7"], &["10.0.0.1"]), "198.51.100.7");
    }
}
