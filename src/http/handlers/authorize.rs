//! `/authorize` (RFC 6749 §3.1, OIDC Core §3.1.2.1): by GET or POST.

use crate::flow::authorize;
use crate::flow::browser::Browser;
use crate::http::{Site, delivery, request};
use crate::protocol::Parameters;
use actix_web::{HttpRequest, HttpResponse, web};

/// By GET.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    answer(&site, &request, request.query_string()).await
}

/// By POST. Applications of other sites send it, so it carries no token of ours; like the GET, it changes
/// nothing that a stranger could not begin.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match request::form(&site, &request, payload).await {
        Ok(body) => answer(&site, &request, &body).await,
        Err(failure) => delivery::refuse(&site, &request, &Browser::default(), failure.into()).await,
    }
}

async fn answer(site: &Site, request: &HttpRequest, encoded: &str) -> HttpResponse {
    let browser = match request::browser(site, request) {
        Ok(browser) => browser,
        Err(failure) => return delivery::refuse(site, request, &Browser::default(), failure.into()).await,
    };
    let result = match Parameters::decode(encoded) {
        Ok(parameters) => authorize::authorize(&site.app, &browser, &parameters).await,
        Err(failure) => Err(failure.into()),
    };
    delivery::settle(site, request, &browser, result).await
}
