//! `/sign-in`: the list of providers, and the choice from it.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::Outcome;
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::flow::sign_in::{self, Listing};
use crate::http::Site;
use crate::http::delivery::{self, form};
use crate::http::handlers::{flow_form, visitor};
use crate::http::pages::ChooserPage;
use crate::protocol::Parameters;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

/// The list.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    match show(&site, &request, &browser).await {
        Ok(response) => response,
        Err(refused) => delivery::refuse(&site, &request, &browser, refused).await,
    }
}

async fn show(site: &Site, request: &HttpRequest, browser: &Browser) -> Result<HttpResponse, Refused> {
    let parameters = Parameters::decode(request.query_string())?;
    parameters.check()?;
    let list = match sign_in::list(&site.app, browser, parameters.get("flow"), parameters.get("q")).await? {
        Listing::Show(list) => list,
        Listing::Elsewhere(outcome) => return Ok(delivery::moved(site, *outcome)),
    };
    // A plain link: it changes nothing here, and what it tells is what the person wants told.
    let cancelled = Failure::new(
        OAuthCode::AccessDenied,
        "sign_in.cancelled",
        UserMessage::Cancelled,
        "the person gave up",
    );
    let cancel = list.redirect.with_error(site.app.now().settings.issuer.as_str(), &cancelled, None);
    let page = ChooserPage {
        frame: site.assets().frame(),
        app_name: list.client.name.clone(),
        form: delivery::sign_in_form(site, browser, &list)?,
        notice: None,
        about: delivery::about(site, &list.client),
        cancel: delivery::reply_by_hand(site, &cancel),
    };
    Ok(delivery::page(site, StatusCode::OK, &page, &Changes::none()))
}

/// The choice.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    match choose(&site, &request, &browser, payload).await {
        Ok((outcome, named)) => {
            let named: Vec<&str> = named.split(' ').collect();
            delivery::moved_from_form(&site, &request, outcome, &named)
        }
        Err(refused) => delivery::refuse(&site, &request, &browser, refused).await,
    }
}

async fn choose(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    payload: web::Payload,
) -> Result<(Outcome, String), Refused> {
    let form = flow_form(site, request, browser, payload, form::SIGN_IN, "provider").await?;
    let outcome = sign_in::choose(&site.app, browser, form.flow, form.choice.as_deref()).await?;
    Ok((outcome, form.note))
}
