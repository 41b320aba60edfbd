//! `/`, and what is not there.

use crate::failure::{Failure, UserMessage};
use crate::flow::browser::Changes;
use crate::flow::{apps, sessions};
use crate::http::pages::{AppLink, HomePage, Href, Person};
use crate::http::{Site, delivery, request};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

/// What stands at the issuer's own address: for a signed-in person, their way to the apps.
pub async fn get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let issuer = &site.app.now().settings.issuer;
    let Some(discovery) = Href::parse(&issuer.at("/.well-known/openid-configuration")) else {
        return nothing(site).await;
    };
    let page = HomePage {
        frame: site.assets().frame(),
        person: person(&site, &request).await,
        issuer: issuer.as_str().to_owned(),
        discovery,
    };
    delivery::page(&site, StatusCode::OK, &page, &Changes::none())
}

/// Who is signed in. Where that cannot be found out, the page is the one for everybody.
async fn person(site: &Site, request: &HttpRequest) -> Option<Person> {
    let browser = request::browser(site, request).ok()?;
    let current = sessions::current(&site.app, &browser).await.ok()??;
    let apps = apps::listed(&site.app.now())
        .iter()
        .filter_map(|client| {
            Some(AppLink { name: client.name.clone(), href: delivery::start_link(site, client)? })
        })
        .collect();
    let sign_out = delivery::local(site, "/logout").ok()?;
    Some(Person { account: delivery::known_as(&current.account), apps, sign_out })
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
