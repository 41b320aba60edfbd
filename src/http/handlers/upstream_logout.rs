//! `/upstream/{provider}/logout`: where a provider tells that somebody signed out there, by its server or through
//! the person's browser, and where it answers those whom we sent there to sign out.

use crate::flow::browser::Browser;
use crate::flow::refusals::{Concerning, Refused};
use crate::flow::upstream_logout::{Arrival, Heard, by_browser, upstream_logout};
use crate::http::handlers::logout::{leaving, loaded, shown};
use crate::http::handlers::visitor;
use crate::http::pages::{SignedOutPage, form_target};
use crate::http::{Site, delivery, request};
use crate::protocol::Parameters;
use crate::upstream::{CallbackMethod, Departure};
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};

/// By GET: through the browser.
pub async fn get(site: web::Data<Site>, request: HttpRequest, provider: web::Path<String>) -> HttpResponse {
    let encoded = request.query_string();
    answer(&site, &request, &provider, CallbackMethod::Get, encoded).await
}

/// By POST: through the browser, or from the provider's server.
pub async fn post(
    site: web::Data<Site>,
    request: HttpRequest,
    provider: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    match request::message(&site, &request, payload).await {
        Ok(body) => answer(&site, &request, &provider, CallbackMethod::Post, &body).await,
        Err(failure) => refuse(&site, &request, &provider, &Browser::default(), failure.into()).await,
    }
}

async fn answer(
    site: &Site,
    request: &HttpRequest,
    provider: &str,
    method: CallbackMethod,
    encoded: &str,
) -> HttpResponse {
    // A provider's server brings no cookies, and its word counts whatever it brings.
    let browser = if by_browser(&site.app.now(), provider) {
        match visitor(site, request).await {
            Ok(browser) => browser,
            Err(refusal) => return refusal,
        }
    } else {
        Browser::default()
    };
    match take(site, request, &browser, provider, method, encoded).await {
        Ok(response) => response,
        Err(refused) => refuse(site, request, provider, &browser, refused).await,
    }
}

async fn take(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    provider: &str,
    method: CallbackMethod,
    encoded: &str,
) -> Result<HttpResponse, Refused> {
    let parameters = Parameters::decode_message(encoded)?;
    parameters.check()?;
    let arrival = Arrival {
        method,
        query: request.query_string().to_owned(),
        parameters: parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    };
    match upstream_logout(&site.app, browser, provider, arrival).await? {
        // OIDC Back-Channel Logout §2.8: 200 when it is done, never to be cached
        Heard::Server(_) => Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish()),
        Heard::Returned(outcome) => shown(site, request, browser, *outcome, None, "").await,
        Heard::Browser { name, frames, departure, changes } => {
            // Some providers sign people out of everything by frames of their page.
            let ancestors: Vec<String> = origin(&departure).into_iter().collect();
            if frames.is_empty() {
                return Ok(delivery::leave(site, request, name, departure, ancestors, &changes));
            }
            let (apps, sources) = loaded(&frames);
            let page = SignedOutPage {
                frame: site.assets().frame(),
                provider: None,
                notice: None,
                apps,
                sources,
                back_to_app: None,
                leaving: Some(leaving(name, departure, false)?),
                by_itself: true,
                ancestors,
            };
            Ok(delivery::page(site, StatusCode::OK, &page, &changes))
        }
    }
}

/// The origin to which the answer goes.
fn origin(departure: &Departure) -> Option<String> {
    match departure {
        Departure::RedirectTo(url) | Departure::PostForm { action: url, .. } => form_target(url),
    }
}

/// To a person a page; to a server JSON (OIDC Back-Channel Logout §2.8).
async fn refuse(
    site: &Site,
    request: &HttpRequest,
    provider: &str,
    browser: &Browser,
    mut refused: Refused,
) -> HttpResponse {
    if by_browser(&site.app.now(), provider) {
        refused.0.failure.user = crate::failure::UserMessage::LogoutRefused;
        return delivery::refuse(site, request, browser, refused).await;
    }
    let about = Concerning {
        provider: refused.0.provider.as_ref(),
        steps: refused.0.trace.steps(),
        ..Concerning::default()
    };
    delivery::json(site, request, &refused.0.failure, about).await
}
