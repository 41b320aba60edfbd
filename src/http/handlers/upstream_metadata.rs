//! `/upstream/{provider}/metadata`: what a provider needs to know of us, where its kind has such a document.

use crate::failure::Failure;
use crate::flow::upstream_metadata::upstream_metadata;
use crate::http::handlers::home;
use crate::http::{Site, delivery};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

/// The document, or 404.
pub async fn get(site: web::Data<Site>, provider: web::Path<String>) -> HttpResponse {
    match upstream_metadata(&site.app, &provider).await {
        Ok(Some(document)) => HttpResponse::Ok()
            .content_type(document.content_type)
            .insert_header((CACHE_CONTROL, "public, max-age=300"))
            .body(web::Bytes::from_owner(document.body)),
        Ok(None) => home::nothing(site).await,
        Err(failure) => failed(&site, &failure),
    }
}

fn failed(site: &Site, failure: &Failure) -> HttpResponse {
    tracing::error!(?failure, "our metadata for a provider cannot be made");
    delivery::plain_page(site, failure, None)
}
