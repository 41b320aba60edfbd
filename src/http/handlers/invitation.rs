//! `/invitation`: a link that somebody was sent. Reading it changes nothing, so that a scanner of links uses
//! nothing up; accepting it keeps it in the browser until its person has signed in.

use crate::flow::browser::{Browser, Changes, InvitationCookie};
use crate::flow::invitation;
use crate::flow::refusals::Refused;
use crate::http::delivery::{self, form};
use crate::http::pages::InvitationPage;
use crate::http::{Site, csrf, request};
use crate::protocol::Parameters;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

/// The invitation.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    match show(&site, request.query_string()).await {
        Ok(response) => response,
        Err(refused) => delivery::refuse(&site, &request, &Browser::default(), refused).await,
    }
}

async fn show(site: &Site, query: &str) -> Result<HttpResponse, Refused> {
    let parameters = Parameters::decode(query)?;
    parameters.check()?;
    let app = &site.app;
    let (handle, invitation) = invitation::look(app, parameters.get("token")).await?;
    let page = InvitationPage {
        frame: site.assets().frame(),
        inviter: Some(invitation.created_by),
        address: invitation.email.map(|address| address.as_str().to_owned()),
        action: delivery::local(site, "/invitation")?,
        token: handle.expose().to_owned(),
        csrf: csrf::token(&app.sealer, &app.context, form::INVITATION, handle.expose())?,
        targets: Vec::new(),
    };
    Ok(delivery::page(site, StatusCode::OK, &page, &Changes::none()))
}

/// Accepted.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match accept(&site, &request, payload).await {
        Ok(changes) => delivery::onward_with(&site, "/", &changes),
        Err(refused) => delivery::refuse(&site, &request, &Browser::default(), refused).await,
    }
}

async fn accept(site: &Site, request: &HttpRequest, payload: web::Payload) -> Result<Changes, Refused> {
    let app = &site.app;
    csrf::check_origin(request.headers(), &app.now().settings.issuer.origin())?;
    let body = request::form(site, request, payload).await?;
    let parameters = Parameters::decode(&body)?;
    parameters.check()?;
    let (handle, _) = invitation::look(app, parameters.get("token")).await?;
    let (now, token) = (app.context.now(), parameters.get("csrf"));
    csrf::check_token(&app.sealer, now, form::INVITATION, handle.expose(), token)?;
    let mut changes = Changes::none();
    changes.invitation = Some(InvitationCookie::Keep(handle));
    Ok(changes)
}
