//! Which pages of other origins may read an answer (CORS; Fetch standard §3.2). Never with credentials: a
//! browser sends no cookie of ours along and shows no answer that it had one for.

use crate::clients::{Client, origins};
use crate::flow::Snapshot;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

/// Lets any page read a public document.
pub fn for_anyone(response: &mut HttpResponse) {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// Lets a page read the answer if its origin is one of this client's, or, where no client is known, one of
/// some client's.
pub fn for_client(
    request: &HttpRequest,
    snapshot: &Snapshot,
    client: Option<&Client>,
    response: &mut HttpResponse,
) {
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin(request.headers()) else { return };
    let allowed = match client {
        Some(client) => origins::may_read(client, origin),
        None => snapshot.any_origin(origin),
    };
    if let (true, Ok(value)) = (allowed, HeaderValue::from_str(origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers
            .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate, Retry-After"));
    }
}

/// The answer to a preflight request for a document that anybody may read.
pub fn preflight_for_anyone() -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    for_anyone(&mut response);
    permit(response.headers_mut());
    response
}

/// The answer to a preflight request, which names no client.
pub fn preflight(request: &HttpRequest, snapshot: &Snapshot) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    for_client(request, snapshot, None, &mut response);
    if response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        permit(response.headers_mut());
    }
    response
}

fn permit(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

/// The one origin that the request names.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(ORIGIN);
    match (values.next(), values.next()) {
        (Some(origin), None) => origin.to_str().ok(),
        _ => None,
    }
}
