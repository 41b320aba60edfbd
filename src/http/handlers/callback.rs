//! `/upstream/{provider}/callback`: where every provider's answer comes, by GET or POST.

use crate::flow::Outcome;
use crate::flow::browser::Browser;
use crate::flow::callback;
use crate::flow::refusals::Refused;
use crate::http::handlers::visitor;
use crate::http::{Site, delivery, request};
use crate::protocol::Parameters;
use crate::upstream::CallbackMethod;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

/// By GET: the answer is in the query.
pub async fn get(site: web::Data<Site>, request: HttpRequest, provider: web::Path<String>) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    if !callback::answers_by_get(&site.app, &provider) {
        let parameters = Parameters::decode_message(request.query_string()).ok();
        let state =
            parameters.as_ref().and_then(|found| found.get("state").or_else(|| found.get("RelayState")));
        let refused = callback::by_get(&site.app, &browser, &provider, state).await;
        let mut answer = delivery::refuse(&site, &request, &browser, refused).await;
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    let result = finish(&site, &browser, &provider, CallbackMethod::Get, request.query_string()).await;
    delivery::settle(&site, &request, &browser, result).await
}

/// By POST: the answer is in the form, which comes from the provider's site and so has no token of ours; the
/// state does its work.
pub async fn post(
    site: web::Data<Site>,
    request: HttpRequest,
    provider: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let result = match request::message(&site, &request, payload).await {
        Ok(body) => finish(&site, &browser, &provider, CallbackMethod::Post, &body).await,
        Err(failure) => Err(failure.into()),
    };
    delivery::settle(&site, &request, &browser, result).await
}

async fn finish(
    site: &Site,
    browser: &Browser,
    provider: &str,
    method: CallbackMethod,
    encoded: &str,
) -> Result<Outcome, Refused> {
    let parameters = Parameters::decode_message(encoded)?;
    if let Err(failure) = parameters.check() {
        let state = parameters.get("state").or_else(|| parameters.get("RelayState"));
        return Err(callback::malformed(&site.app, browser, state, failure).await);
    }
    let parameters = parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    callback::callback(&site.app, browser, provider, method, parameters).await
}
