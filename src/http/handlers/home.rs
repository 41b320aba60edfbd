//! `/`, and what is not there.

use crate::failure::{Failure, UserMessage};
use crate::flow::browser::Changes;
use crate::http::pages::{HomePage, Href};
use crate::http::{Site, delivery};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

/// What stands at the issuer's own address.
pub async fn get(site: web::Data<Site>) -> HttpResponse {
    let issuer = &site.app.now().settings.issuer;
    let Some(discovery) = Href::parse(&issuer.at("/.well-known/openid-configuration")) else {
        return nothing(site).await;
    };
    let page = HomePage { frame: site.assets().frame(), issuer: issuer.as_str().to_owned(), discovery };
    delivery::page(&site, StatusCode::OK, &page, &Changes::none())
}

/// There is no such page.
pub async fn nothing(site: web::Data<Site>) -> HttpResponse {
    let failure = Failure::new(
        crate::failure::OAuthCode::InvalidRequest,
        "request.not_found",
        UserMessage::NotFound,
        "no such page",
    );
    delivery::plain_page(&site, &failure, None)
}
