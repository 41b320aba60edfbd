//! `/consent`: may the application have what it asks for?

use crate::clients::grant::beyond;
use crate::flow::browser::{Browser, Changes};
use crate::flow::consent::{self, Asking, Question};
use crate::flow::refusals::Refused;
use crate::http::delivery::{self, form};
use crate::http::handlers::{flow_form, visitor};
use crate::http::pages::{ConsentPage, ScopeLine, Texts};
use crate::http::{Site, csrf};
use crate::protocol::Parameters;
use crate::protocol::claims::scope_of;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

/// The question.
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
    let question = match consent::ask(&site.app, browser, parameters.get("flow")).await? {
        Asking::Show(question) => question,
        Asking::Elsewhere(outcome) => return Ok(delivery::moved(site, *outcome)),
    };
    let app = &site.app;
    let handle = question.flow.handle()?;
    let page = ConsentPage {
        frame: site.assets().frame(),
        app_name: question.client.name.clone(),
        account: delivery::known_as(&question.account),
        scopes: lines(site, &question),
        destination: Url::parse(question.redirect.uri())
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned)),
        about: delivery::about(site, &question.client),
        action: delivery::local(site, "/consent")?,
        flow: handle.expose().to_owned(),
        csrf: csrf::token(&app.sealer, &app.context, form::CONSENT, handle.expose())?,
        targets: vec![question.redirect.form_target()],
    };
    Ok(delivery::page(site, StatusCode::OK, &page, &Changes::none()))
}

fn lines(site: &Site, question: &Question) -> Vec<ScopeLine> {
    let settings = &site.app.now().settings;
    let t = site.assets().frame().t;
    let standard = |scope: &str| match scope {
        "openid" => Some(t.scope_openid()),
        "profile" => Some(t.scope_profile()),
        "email" => Some(t.scope_email()),
        "address" => Some(t.scope_address()),
        "phone" => Some(t.scope_phone()),
        "groups" => Some(t.scope_groups()),
        "roles" => Some(t.scope_roles()),
        "permissions" => Some(t.scope_permissions()),
        "offline_access" => Some(t.scope_offline()),
        _ => None,
    };
    let request = &question.flow.request;
    let mut lines: Vec<ScopeLine> = request
        .scope
        .iter()
        .map(|scope| {
            let custom = settings.scopes.get(scope).map(|custom| custom.description.clone());
            let text = custom.or_else(|| standard(scope)).unwrap_or_else(|| scope.to_owned());
            ScopeLine { name: scope.to_owned(), text }
        })
        .collect();
    // What is asked for one by one: an address and its proof are one line.
    for claim in beyond(&request.scope, &request.claims) {
        let text = single(t, claim).or_else(|| scope_of(claim).and_then(standard));
        let text = text.unwrap_or_else(|| claim.to_owned());
        if !lines.iter().any(|line| line.text == text) {
            lines.push(ScopeLine { name: claim.to_owned(), text });
        }
    }
    lines
}

/// What a single claim of the profile means.
fn single(t: &Texts, claim: &str) -> Option<String> {
    Some(match claim {
        "name" => t.claim_name(),
        "given_name" => t.claim_given_name(),
        "family_name" => t.claim_family_name(),
        "middle_name" => t.claim_middle_name(),
        "nickname" => t.claim_nickname(),
        "preferred_username" => t.claim_preferred_username(),
        "profile" => t.claim_profile(),
        "picture" => t.claim_picture(),
        "website" => t.claim_website(),
        "gender" => t.claim_gender(),
        "birthdate" => t.claim_birthdate(),
        "zoneinfo" => t.claim_zoneinfo(),
        "locale" => t.claim_locale(),
        "updated_at" => t.claim_updated_at(),
        _ => return None,
    })
}

/// The answer.
pub async fn post(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let browser = match visitor(&site, &request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    let result = match flow_form(&site, &request, &browser, payload, form::CONSENT, "decision").await {
        Ok(form) => consent::answer(&site.app, &browser, form.flow, form.choice.as_deref()).await,
        Err(refused) => Err(refused),
    };
    delivery::settle(&site, &request, &browser, result).await
}
