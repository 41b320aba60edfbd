//! Whether an answer is a proper one.

use crate::endpoints::Kind;
use crate::house::House;
use crate::requests::{Answer, Request};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// Markup that no page may repeat as it is.
pub const MARK: &str = "<script>alert(7)</script>";

/// The error codes that are registered (RFC 6749, 6750, 7009, 7591, 8707; OpenID Connect Core and its extensions).
/// Not `server_error` and `temporarily_unavailable`: nothing that a stranger sends is our fault.
const CODES: &[&str] = &[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "invalid_scope",
    "access_denied",
    "invalid_token",
    "insufficient_scope",
    "invalid_target",
    "login_required",
    "interaction_required",
    "account_selection_required",
    "consent_required",
    "invalid_request_uri",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
    "unmet_authentication_requirements",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_software_statement",
    "unapproved_software_statement",
];

/// Our pages to which an answer may lead.
const PAGES: &[&str] = &["/", "/sign-in", "/continue", "/details", "/consent", "/logout", "/signed-out"];

macro_rules! require {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            return Err(format!($($why)*));
        }
    };
}

/// The rules for every answer, then those of the endpoint's kind.
pub fn judge(house: &House, request: &Request, answer: &Answer) -> Result<(), String> {
    require!(answer.status < 500, "a {}", answer.status);
    require!(answer.status >= 200, "a {}", answer.status);
    require!(header(answer, "x-content-type-options") == Some("nosniff"), "no nosniff");
    for line in answer.headers.get_all("set-cookie") {
        let line = line.to_str().map_err(|error| error.to_string())?;
        require!(line.starts_with("cs_"), "a cookie of somebody else: {line}");
        require!(line.contains("HttpOnly"), "a cookie for scripts: {line}");
    }
    if answer.status == 405 {
        require!(header(answer, "allow").is_some_and(|allow| !allow.is_empty()), "405 without Allow");
        return Ok(());
    }
    if request.method == "HEAD" || request.method == "OPTIONS" {
        return Ok(());
    }
    if answer.status == 404 || request.path != request.endpoint.path {
        return Ok(());
    }
    match request.endpoint.kind {
        Kind::Browser => browser(house, request, answer),
        Kind::Program => program(answer),
        Kind::Bearer => bearer(answer),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

fn content_type(answer: &Answer) -> &str {
    header(answer, "content-type").unwrap_or_default()
}

fn browser(house: &House, request: &Request, answer: &Answer) -> Result<(), String> {
    require!(header(answer, "cache-control") == Some("no-store"), "a page that may be kept");
    if answer.status == 303 {
        return redirect(house, request, header(answer, "location").unwrap_or_default());
    }
    require!(answer.status == 200 || answer.status >= 400, "a {} for a browser", answer.status);
    require!(content_type(answer) == "text/html; charset=utf-8", "no page: {}", content_type(answer));
    let policy = header(answer, "content-security-policy").unwrap_or_default();
    require!(policy.contains("default-src 'none'"), "no policy: {policy}");
    require!(!policy.contains("unsafe-inline"), "a lax policy: {policy}");
    require!(!answer.body.contains(MARK), "the page repeats markup");
    require!(answer.body.contains("</html>"), "half a page");
    Ok(())
}

/// To a page of ours, to a provider, or to a registered address with a code or a registered error.
fn redirect(house: &House, request: &Request, location: &str) -> Result<(), String> {
    let url = Url::parse(location).map_err(|error| format!("{error}: {location}"))?;
    require!(
        location.bytes().all(|byte| byte.is_ascii_graphic()),
        "an address with other characters: {location}"
    );
    let origin = url.origin().ascii_serialization();
    if origin == house.origin {
        // A form of another site is sent on by GET, so that the browser brings its session.
        let sent_on = request.method == "POST" && request.path == "/authorize" && url.path() == "/authorize";
        require!(sent_on || PAGES.contains(&url.path()), "to {location}");
        return Ok(());
    }
    if origin == house.globex.origin() || origin == house.friendbook.origin() {
        return Ok(());
    }
    let mut address = url.clone();
    address.set_query(None);
    let registered = match address.as_str() {
        "http://localhost:8084/callback" | "http://localhost:8084/bye" => true,
        // RFC 8252 §7.3: any port of the loopback address, and any of the name as our documents say.
        _ => {
            let host = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
            url.scheme() == "http" && host && url.path() == "/callback"
        }
    };
    require!(registered, "to an address that nobody registered: {location}");
    if request.path != "/authorize" {
        return Ok(());
    }
    let mut answered: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in url.query_pairs().into_owned() {
        require!(answered.insert(name.clone(), value).is_none(), "{name} twice: {location}");
    }
    require!(answered.get("iss") == Some(&house.origin), "no iss: {location}");
    require!(answered.contains_key("code") != answered.contains_key("error"), "code or error: {location}");
    if let Some(error) = answered.get("error") {
        registered_error(error, answered.get("error_description").map(String::as_str))?;
    }
    if let (Some(sent), Some(back)) = (request.plain("state"), answered.get("state")) {
        require!(sent == back.as_bytes(), "another state: {location}");
    }
    Ok(())
}

/// RFC 6749 §5.2: which codes there are, and which characters a description has.
fn registered_error(error: &str, description: Option<&str>) -> Result<(), String> {
    require!(CODES.contains(&error), "not a registered error: {error}");
    let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    require!(description.unwrap_or_default().bytes().all(allowed), "a description with other characters");
    Ok(())
}

fn program(answer: &Answer) -> Result<(), String> {
    require!(header(answer, "cache-control") == Some("no-store"), "an answer that may be kept");
    if matches!(answer.status, 200 | 204) && answer.body.is_empty() {
        return Ok(());
    }
    require!(content_type(answer) == "application/json", "no JSON: {}", content_type(answer));
    let body: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
    require!(body.is_object(), "not an object");
    if answer.status < 300 {
        require!(body.get("error").is_none(), "an error with {}", answer.status);
        return Ok(());
    }
    require!(answer.status >= 400, "a {} for a program", answer.status);
    require!(answer.status != 401 || header(answer, "www-authenticate").is_some(), "401 without a challenge");
    let error = body.get("error").and_then(Value::as_str).unwrap_or_default();
    registered_error(error, body.get("error_description").and_then(Value::as_str))
}

fn bearer(answer: &Answer) -> Result<(), String> {
    require!(header(answer, "cache-control") == Some("no-store"), "an answer that may be kept");
    if answer.status == 200 {
        require!(content_type(answer) == "application/json", "no JSON: {}", content_type(answer));
        return Ok(());
    }
    let challenge = header(answer, "www-authenticate").unwrap_or_default();
    require!(challenge.starts_with("Bearer"), "no challenge: {challenge}");
    // RFC 6750 §3.1: who brought no credentials at all is told no error.
    if let Some((_, rest)) = challenge.split_once("error=\"") {
        registered_error(rest.split('"').next().unwrap_or_default(), None)?;
    }
    Ok(())
}
