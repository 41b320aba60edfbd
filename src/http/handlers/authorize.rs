//! `/authorize` (RFC 6749 §3.1, OIDC Core §3.1.2.1): by GET or POST.

use crate::failure::Failure;
use crate::flow::authorize;
use crate::flow::browser::Browser;
use crate::http::handlers::visitor;
use crate::http::{Site, delivery, request};
use crate::protocol::Parameters;
use crate::protocol::parameters::MAX_ENCODED;
use actix_web::{HttpRequest, HttpResponse, web};

/// By GET.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    answer(&site, &request, request.query_string()).await
}

/// By POST. Applications of other sites send it, so it carries no token of ours; like the GET, it changes
/// nothing that a stranger could not begin. For the same reason it comes without our `SameSite=Lax` cookies:
/// a browser is sent on by GET, which brings them along.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    // OIDC Core §3.1.2.1: a POST has its parameters in the form. Two places are two readings.
    if !request.query_string().is_empty() {
        let note = "parameters in the address and in the form";
        let failure = Failure::invalid_request("request.query_and_form", note);
        return delivery::refuse(&site, &request, &Browser::default(), failure.into()).await;
    }
    match request::form(&site, &request, payload).await {
        Ok(body) if request::is_foreign(&site, &request) && fits_an_address(&body) => {
            delivery::onward(&site, &format!("/authorize?{body}"))
        }
        Ok(body) => answer(&site, &request, &body).await,
        Err(failure) => delivery::refuse(&site, &request, &Browser::default(), failure.into()).await,
    }
}

/// A form's body is a query already; what is no visible ASCII was not encoded as it should be.
fn fits_an_address(body: &str) -> bool {
    body.len() <= MAX_ENCODED && body.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

async fn answer(site: &Site, request: &HttpRequest, encoded: &str) -> HttpResponse {
    let browser = match visitor(site, request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let result = match Parameters::decode(encoded) {
        Ok(parameters) => authorize::authorize(&site.app, &browser, &parameters).await,
        Err(failure) => Err(failure.into()),
    };
    delivery::settle(site, request, &browser, result).await
}
