//! `/continue`: where the browser comes back after every step. Reading it is harmless: what it does can be
//! done once, by the browser that began, and only with what that browser already has.

use crate::flow::browser::Browser;
use crate::flow::refusals::Refused;
use crate::flow::{Outcome, resume};
use crate::http::handlers::visitor;
use crate::http::{Site, delivery};
use crate::protocol::Parameters;
use actix_web::{HttpRequest, HttpResponse, web};

/// Goes on with a sign-in.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let result = go_on(&site, &browser, request.query_string()).await;
    delivery::settle(&site, &request, &browser, result).await
}

async fn go_on(site: &Site, browser: &Browser, query: &str) -> Result<Outcome, Refused> {
    let parameters = Parameters::decode(query)?;
    parameters.check()?;
    resume::resume(&site.app, browser, parameters.get("flow")).await
}
