//! `/apps/{client}`: a stable link that starts an application (OIDC Core §4, third-party-initiated login).

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::apps;
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::http::{Site, delivery};
use crate::protocol::Parameters;
use actix_web::{HttpRequest, HttpResponse, web};

/// Sends the person to where the application begins a sign-in.
pub async fn get(site: web::Data<Site>, client: web::Path<String>, request: HttpRequest) -> HttpResponse {
    let found = Parameters::decode(request.query_string()).and_then(|parameters| {
        parameters.check()?;
        apps::start(&site.app.now(), &client, parameters.get("login_hint"), parameters.get("target_link_uri"))
    });
    match found {
        Ok(Some(location)) => delivery::to_client(&site, &location, &Changes::none()),
        Ok(None) => {
            let note = "no application of this id can be started from here";
            let code = OAuthCode::InvalidRequest;
            let failure = Failure::new(code, "request.not_found", UserMessage::NotFound, note);
            delivery::plain_page(&site, &failure, None)
        }
        Err(failure) => delivery::refuse(&site, &request, &Browser::default(), Refused::from(failure)).await,
    }
}
