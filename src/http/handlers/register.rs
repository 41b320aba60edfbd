//! `/register`: clients register themselves (RFC 7591) and manage their registration (RFC 7592). JSON in every case;
//! no page of another origin may read the answers.

use crate::failure::Failure;
use crate::flow::refusals::Concerning;
use crate::flow::registration::{self, Document};
use crate::http::handlers::program::{ask_for_credentials, authorization};
use crate::http::{Site, delivery, request};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::{HttpRequest, HttpResponse, web};

/// `POST /register` (RFC 7591 §3).
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let result = async {
        let authorization = authorization(&request)?;
        let body = request::json(&site, &request, payload).await?;
        let source = request::source(&site, &request);
        registration::register(&site.app, authorization.as_deref(), &body, &source).await
    };
    answer(&site, &request, StatusCode::CREATED, result.await).await
}

/// `GET /register/{client_id}` (RFC 7592 §2.1).
pub async fn get(site: web::Data<Site>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let result = async {
        let authorization = authorization(&request)?;
        registration::show(&site.app, &id, authorization.as_deref()).await
    };
    answer(&site, &request, StatusCode::OK, result.await).await
}

/// `PUT /register/{client_id}` (RFC 7592 §2.2).
pub async fn put(
    site: web::Data<Site>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let result = async {
        let authorization = authorization(&request)?;
        let body = request::json(&site, &request, payload).await?;
        registration::update(&site.app, &id, authorization.as_deref(), &body).await
    };
    answer(&site, &request, StatusCode::OK, result.await).await
}

/// `DELETE /register/{client_id}` (RFC 7592 §2.3).
pub async fn delete(site: web::Data<Site>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let result = async {
        let authorization = authorization(&request)?;
        registration::remove(&site.app, &id, authorization.as_deref()).await
    };
    match result.await {
        Ok(()) => HttpResponse::NoContent()
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((PRAGMA, "no-cache"))
            .finish(),
        Err(failure) => refuse(&site, &request, &failure).await,
    }
}

async fn answer(
    site: &Site,
    request: &HttpRequest,
    status: StatusCode,
    result: Result<Document, Failure>,
) -> HttpResponse {
    match result {
        Ok(document) => HttpResponse::build(status)
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((PRAGMA, "no-cache"))
            .json(document),
        Err(failure) => refuse(site, request, &failure).await,
    }
}

async fn refuse(site: &Site, request: &HttpRequest, failure: &Failure) -> HttpResponse {
    let mut response = delivery::json(site, request, failure, Concerning::default()).await;
    ask_for_credentials(&mut response, failure);
    response
}
