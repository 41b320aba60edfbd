//! `/upstream/{provider}/deauthorized` and `/upstream/{provider}/deletion`: where a provider's server tells that
//! somebody took our access away there, or wants what it told us deleted.

use crate::failure::Failure;
use crate::flow::refusals::{Concerning, Refused};
use crate::flow::upstream_notice;
use crate::http::{Site, delivery, request};
use crate::protocol::Parameters;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use std::collections::BTreeMap;

/// Access was taken away.
pub async fn deauthorized(
    site: web::Data<Site>,
    request: HttpRequest,
    provider: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let outcome = match read(&site, &request, payload).await {
        Ok(parameters) => upstream_notice::deauthorized(&site.app, &provider, parameters).await,
        Err(failure) => Err(failure.into()),
    };
    match outcome {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish(),
        Err(refused) => refuse(&site, &request, &refused).await,
    }
}

/// Deletion: the answer says where the person can read what became of it, and by which code.
pub async fn deletion(
    site: web::Data<Site>,
    request: HttpRequest,
    provider: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let outcome = match read(&site, &request, payload).await {
        Ok(parameters) => upstream_notice::delete(&site.app, &provider, parameters).await,
        Err(failure) => Err(failure.into()),
    };
    match outcome {
        Ok(code) => {
            let code = code.as_str();
            let url = site.app.now().settings.issuer.at(&format!("/deletion?code={code}"));
            HttpResponse::Ok()
                .insert_header((CACHE_CONTROL, "no-store"))
                .json(json!({ "url": url, "confirmation_code": code }))
        }
        Err(refused) => refuse(&site, &request, &refused).await,
    }
}

async fn read(
    site: &Site,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<BTreeMap<String, String>, Failure> {
    let body = request::form(site, request, payload).await?;
    let parameters = Parameters::decode_message(&body)?;
    parameters.check()?;
    Ok(parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

async fn refuse(site: &Site, request: &HttpRequest, refused: &Refused) -> HttpResponse {
    let about = Concerning {
        provider: refused.0.provider.as_ref(),
        steps: refused.0.trace.steps(),
        ..Concerning::default()
    };
    delivery::json(site, request, &refused.0.failure, about).await
}
