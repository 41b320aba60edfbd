//! `/upstream/{provider}/logout`: where a provider's server tells that somebody signed out there.

use crate::flow::refusals::{Concerning, Refused};
use crate::flow::upstream_logout::upstream_logout;
use crate::http::{Site, delivery, request};
use crate::protocol::Parameters;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};

/// OIDC Back-Channel Logout §2.5, §2.8: 200 when it is done, 400 when it is refused, never to be cached.
pub async fn post(
    site: web::Data<Site>,
    request: HttpRequest,
    provider: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    match take(&site, &request, &provider, payload).await {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish(),
        Err(refused) => {
            let about = Concerning {
                provider: refused.0.provider.as_ref(),
                steps: refused.0.trace.steps(),
                ..Concerning::default()
            };
            delivery::json(&site, &request, &refused.0.failure, about).await
        }
    }
}

async fn take(
    site: &Site,
    request: &HttpRequest,
    provider: &str,
    payload: web::Payload,
) -> Result<(), Refused> {
    let body = request::form(site, request, payload).await?;
    let parameters = Parameters::decode(&body)?;
    parameters.check()?;
    let form = parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    upstream_logout(&site.app, provider, &form).await.map(drop)
}
