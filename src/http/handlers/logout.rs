//! `/logout` (OIDC RP-Initiated Logout 1.0): by an application's link or form, or by our own form.

use crate::failure::Failure;
use crate::flow::browser::Browser;
use crate::flow::logout::{self, LogoutStep};
use crate::flow::refusals::Refused;
use crate::http::handlers::visitor;
use crate::http::pages::{Field, LogoutConfirmPage, SignedOutPage};
use crate::http::{Site, csrf, delivery, request};
use crate::protocol::{LogoutRequest, Parameters};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

const FORM: &str = "logout";

/// By GET: an application's link, and where its forms are sent on to.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    answer(&site, &request, Ok(request.query_string().to_owned()), false).await
}

/// By POST: our own form, which has a token, or an application's. The latter comes from another site and so
/// without our cookie; it is sent on by GET, which brings the cookie along.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let body = request::form(&site, &request, payload).await;
    let onward = match &body {
        Ok(body) => Parameters::decode(body)
            .and_then(|form| if form.has("csrf") { Ok(None) } else { LogoutRequest::parse(&form).map(Some) }),
        Err(_) => Ok(None),
    };
    match onward {
        Ok(Some(wanted)) => delivery::onward(&site, &format!("/logout?{}", wanted.query())),
        Ok(None) => answer(&site, &request, body, true).await,
        Err(failure) => answer(&site, &request, Err(failure), false).await,
    }
}

async fn answer(
    site: &Site,
    request: &HttpRequest,
    encoded: Result<String, Failure>,
    confirmed: bool,
) -> HttpResponse {
    let browser = match visitor(site, request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let result = match encoded {
        Ok(encoded) => decide(site, request, &browser, &encoded, confirmed).await,
        Err(failure) => Err(failure.into()),
    };
    match result {
        Ok(response) => response,
        Err(refused) => delivery::refuse(site, request, &browser, refused).await,
    }
}

async fn decide(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    encoded: &str,
    confirmed: bool,
) -> Result<HttpResponse, Refused> {
    let app = &site.app;
    let parameters = Parameters::decode(encoded)?;
    let wanted = LogoutRequest::parse(&parameters)?;
    let binding = browser.session.as_ref().map(|secret| secret.digest());
    let binding = binding.as_ref().map_or("", |digest| digest.as_str());
    if confirmed {
        csrf::check_origin(request.headers(), &app.now().settings.issuer.origin())?;
        csrf::check_token(&app.sealer, app.context.now(), FORM, binding, parameters.get("csrf"))?;
    }
    let done = logout::logout(app, browser, wanted, confirmed).await?;
    let frame = site.assets().frame();
    let back = done.client.as_deref().and_then(|client| delivery::app_link(client, None));
    Ok(match done.step {
        LogoutStep::Client(location) => delivery::to_client(site, &location, &done.changes),
        LogoutStep::SignedOut { provider } => {
            let page = SignedOutPage { frame, provider, back_to_app: back };
            delivery::page(site, StatusCode::OK, &page, &done.changes)
        }
        LogoutStep::Ask { account, redirect, request } => {
            let page = LogoutConfirmPage {
                frame,
                account: Some(delivery::known_as(&account)),
                action: delivery::local(site, "/logout")?,
                csrf: csrf::token(&app.sealer, &app.context, FORM, binding)?,
                fields: request.pairs().map(|(name, value)| Field::new(name, value)).collect(),
                stay: back.map(|link| link.href).or_else(|| delivery::local(site, "/").ok()),
                targets: redirect.iter().map(crate::clients::ValidatedRedirect::form_target).collect(),
            };
            delivery::page(site, StatusCode::OK, &page, &done.changes)
        }
    })
}
