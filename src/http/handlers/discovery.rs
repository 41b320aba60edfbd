//! Documents for applications: discovery and keys. They are public, the same for everybody, and made once.

use crate::http::{Site, cors};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`.
pub async fn metadata(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let snapshot = site.app.now();
    document(&request, &snapshot.metadata.body, &snapshot.metadata.etag)
}

/// `GET /jwks`.
pub async fn jwks(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let snapshot = site.app.now();
    document(&request, snapshot.keyring.jwks(), snapshot.keyring.etag())
}

/// `OPTIONS` of both.
pub async fn preflight() -> HttpResponse {
    cors::preflight_for_anyone()
}

/// Five minutes in caches: shorter than the time for which a key is published before it signs.
fn document(request: &HttpRequest, body: &Arc<[u8]>, etag: &str) -> HttpResponse {
    let known = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, "public, max-age=300")).insert_header((ETAG, etag));
    let mut response = if known {
        response.finish()
    } else {
        response.insert_header((CONTENT_TYPE, "application/json")).body(web::Bytes::from_owner(body.clone()))
    };
    cors::for_anyone(&mut response);
    response
}
