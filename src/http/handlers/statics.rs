//! `/static/{name}`: files that pages load. Their names carry the hash of their content.

use crate::http::Site;
use crate::http::assets::{Asset, CACHE_CONTROL, FILE_POLICY};
use crate::http::handlers::home;
use actix_web::http::header::{self, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};

/// A file.
pub async fn get(site: web::Data<Site>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    match site.assets().get(&name) {
        Some(asset) => file(&request, asset, CACHE_CONTROL),
        None => home::nothing(site).await,
    }
}

/// The icon of the browser's tab, where browsers look for it unasked.
pub async fn favicon(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    match site.assets().favicon() {
        Some(asset) => file(&request, asset, "public, max-age=86400"),
        None => home::nothing(site).await,
    }
}

fn file(request: &HttpRequest, asset: &Asset, cache_control: &'static str) -> HttpResponse {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let unchanged = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == asset.etag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, asset.etag.clone()))
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::CONTENT_SECURITY_POLICY, FILE_POLICY));
    if unchanged {
        response.finish()
    } else {
        response.content_type(asset.content_type).body(asset.body.to_vec())
    }
}
