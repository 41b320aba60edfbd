//! `/sign-in`: the list of providers, and the choice from it.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::Outcome;
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::flow::sign_in::{self, Listing};
use crate::flow::state;
use crate::http::delivery::{self, form};
use crate::http::pages::ChooserPage;
use crate::http::{Site, csrf, request};
use crate::protocol::Parameters;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

/// The list.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let browser = match request::browser(&site, &request) {
        Ok(browser) => browser,
        Err(failure) => return delivery::refuse(&site, &request, &Browser::default(), failure.into()).await,
    };
    match show(&site, &request, &browser).await {
        Ok(response) => response,
        Err(refused) => delivery::refuse(&site, &request, &browser, refused).await,
    }
}

async fn show(site: &Site, request: &HttpRequest, browser: &Browser) -> Result<HttpResponse, Refused> {
    let parameters = Parameters::decode(request.query_string())?;
    parameters.check()?;
    let list = match sign_in::list(&site.app, browser, parameters.get("flow")).await? {
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
        cancel: delivery::reply_by_hand(site, &cancel),
    };
    Ok(delivery::page(site, StatusCode::OK, &page, &Changes::none()))
}

/// The choice.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let browser = match request::browser(&site, &request) {
        Ok(browser) => browser,
        Err(failure) => return delivery::refuse(&site, &request, &Browser::default(), failure.into()).await,
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
    csrf::check_origin(request.headers(), &site.app.now().settings.issuer.origin())?;
    let body = request::form(site, request, payload).await?;
    let parameters = Parameters::decode(&body)?;
    parameters.check()?;
    let flow = state::open(&site.app, browser, parameters.get("flow")).await?;
    let app = &site.app;
    let handle = flow.handle()?;
    let named =
        csrf::note(&app.sealer, app.context.now(), form::SIGN_IN, handle.expose(), parameters.get("csrf"))
            .map_err(|failure| Refused::from(failure).in_flow(&flow))?;
    let outcome = sign_in::choose(app, browser, flow, parameters.get("provider")).await?;
    Ok((outcome, named))
}
