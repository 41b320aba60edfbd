//! Answering. The only place where a [`Failure`] becomes a page, a redirect or JSON, and where headers that
//! every answer needs are decided.

use crate::accounts::Account;
use crate::clients::Client;
use crate::clients::redirect::{Location, Reply, ValidatedRedirect};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::{self, Concerning, Refused};
use crate::flow::sign_in::{self, List};
use crate::flow::state::{FlowState, Stage};
use crate::flow::{Outcome, Snapshot, Step};
use crate::http::pages::{
    AboutLink, AppLink, AutoPostPage, DeparturePage, ErrorPage, Field, Href, Icon, Page, ProviderButton,
    Search, SignInForm, StartAgainPage, Way, content_security_policy, form_target,
};
use crate::http::{Site, cookies, csrf, request};
use crate::ids::ReferenceId;
use crate::protocol::ResponseMode;
use crate::upstream::Departure;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use url::Url;

/// How a failure is told. A redirect needs an address that was validated, so nothing that fails before that
/// can leave the site.
enum Delivery<'a> {
    /// To the person alone.
    Page(&'a dyn Page),
    /// To the application (RFC 6749 §4.1.2.1), with the reference if there is a record.
    Redirect(&'a ValidatedRedirect, Option<&'a ReferenceId>),
    /// To the program that asked (RFC 6749 §5.2), with the reference if there is a record.
    Json(Option<&'a ReferenceId>),
}

/// The one place where a failure becomes an answer.
fn deliver(site: &Site, failure: &Failure, delivery: Delivery<'_>, changes: &Changes) -> HttpResponse {
    match delivery {
        Delivery::Page(view) => page(site, status(failure), view, changes),
        Delivery::Redirect(redirect, reference) => {
            let reference = reference.map(ReferenceId::as_str);
            let answer = redirect.with_error(site.app.now().settings.issuer.as_str(), failure, reference);
            reply(site, &answer, changes)
        }
        Delivery::Json(reference) => {
            let body = serde_json::json!({
                "error": failure.code.as_str(),
                "error_description": failure.description(reference.map(ReferenceId::as_str)),
            });
            answer(site, status_for_programs(failure), changes).json(body)
        }
    }
}

/// The form's names, to which its token is bound.
pub mod form {
    /// The list of providers.
    pub const SIGN_IN: &str = "sign-in";
    /// The page that asks for what a provider did not tell.
    pub const DETAILS: &str = "details";
    /// The consent page.
    pub const CONSENT: &str = "consent";
    /// An invitation.
    pub const INVITATION: &str = "invitation";
}

/// What a handler of pages answers with.
pub async fn settle(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    result: Result<Outcome, Refused>,
) -> HttpResponse {
    match result {
        Ok(outcome) if form_of_a_browser(request) => moved_from_form(site, request, outcome, &[]),
        Ok(outcome) => moved(site, outcome),
        Err(refused) => refuse(site, request, browser, refused).await,
    }
}

/// Whether a browser sent a form. Chromium holds every redirect that follows a form against the page's
/// `form-action`, and nobody knows through which hosts a provider or an app leads its people; so a form is
/// answered by a page, which leads on by itself and without scripts. Programs get a redirect.
pub fn form_of_a_browser(request: &HttpRequest) -> bool {
    let navigates = request.headers().get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    request.method() == Method::POST && navigates
}

/// An answer of this status that carries the changes of the browser's cookies.
fn answer(site: &Site, status: StatusCode, changes: &Changes) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for cookie in cookies::written(changes, site.app.now().settings.issuer.is_https()) {
        response.cookie(cookie);
    }
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// A page.
pub fn page(site: &Site, status: StatusCode, page: &dyn Page, changes: &Changes) -> HttpResponse {
    match page.render() {
        Ok(html) => answer(site, status, changes)
            .insert_header((header::CONTENT_SECURITY_POLICY, content_security_policy(page)))
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            answer(site, StatusCode::INTERNAL_SERVER_ERROR, changes)
                .content_type("text/plain; charset=utf-8")
                .body(UserMessage::OurFault.text())
        }
    }
}

/// A redirect to an address of ours, of a provider, or of an application that was validated: always 303, so
/// that no form is ever sent on (RFC 9700 §4.12).
fn see_other(site: &Site, location: &str, changes: &Changes) -> HttpResponse {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            answer(site, StatusCode::SEE_OTHER, changes).insert_header((header::LOCATION, location)).finish()
        }
        Err(_) => {
            tracing::error!("an address cannot stand in a header");
            answer(site, StatusCode::INTERNAL_SERVER_ERROR, changes).finish()
        }
    }
}

/// An answer to an application, in the way that it asked for.
fn reply(site: &Site, reply: &Reply, changes: &Changes) -> HttpResponse {
    match reply.mode() {
        ResponseMode::Query => to_client(site, &reply.location(), changes),
        ResponseMode::FormPost => match posted(site, reply) {
            Some(form) => page(site, StatusCode::OK, &form, changes),
            None => {
                tracing::error!("an application's address is no place for a form");
                answer(site, StatusCode::INTERNAL_SERVER_ERROR, changes).finish()
            }
        },
    }
}

/// The form that carries an answer (OAuth 2.0 Form Post Response Mode §2).
fn posted(site: &Site, reply: &Reply) -> Option<AutoPostPage> {
    let url = Url::parse(reply.uri()).ok()?;
    Some(AutoPostPage {
        frame: site.assets().frame(),
        recipient: url.host_str().unwrap_or_else(|| url.scheme()).to_owned(),
        // As it was registered: the answer goes to exactly that address.
        action: Href::parse(reply.uri())?,
        targets: form_target(&url).into_iter().collect(),
        fields: reply.parameters().map(|(name, value)| Field::new(name, value)).collect(),
        ancestors: Vec::new(),
    })
}

/// A link that answers an application, or, where it wants a form, the form.
pub fn reply_by_hand(site: &Site, reply: &Reply) -> Option<Way> {
    match reply.mode() {
        ResponseMode::Query => Href::parse(reply.location().as_str()).map(Way::Link),
        ResponseMode::FormPost => {
            posted(site, reply).map(|form| Way::Form { action: form.action, fields: form.fields })
        }
    }
}

/// A redirect to an application.
pub fn to_client(site: &Site, location: &Location, changes: &Changes) -> HttpResponse {
    see_other(site, location.as_str(), changes)
}

/// A redirect to a path of ours, below the issuer's own.
pub fn onward(site: &Site, path: &str) -> HttpResponse {
    onward_with(site, path, &Changes::none())
}

/// A redirect to a path of ours, with changes of the browser's cookies.
pub fn onward_with(site: &Site, path: &str, changes: &Changes) -> HttpResponse {
    see_other(site, &site.app.now().settings.issuer.at(path), changes)
}

/// The browser moves on.
pub fn moved(site: &Site, outcome: Outcome) -> HttpResponse {
    let changes = &outcome.changes;
    let issuer = &site.app.now().settings.issuer;
    match outcome.step {
        Step::Client(answer) => reply(site, &answer, changes),
        Step::Start { location, .. } => to_client(site, &location, changes),
        Step::SignIn(flow) => {
            see_other(site, &issuer.at(&format!("/sign-in?flow={}", flow.expose())), changes)
        }
        Step::Details(flow) => {
            see_other(site, &issuer.at(&format!("/details?flow={}", flow.expose())), changes)
        }
        Step::Consent(flow) => {
            see_other(site, &issuer.at(&format!("/consent?flow={}", flow.expose())), changes)
        }
        // The empty fragment ends what a provider left in the address (Facebook's `#_=_`): browsers carry a
        // fragment on through redirects that name none (RFC 9110 §10.2.2), in the end into the app.
        Step::Continue(flow) => {
            see_other(site, &issuer.at(&format!("/continue?flow={}#", flow.expose())), changes)
        }
        Step::Provider { name, departure } => depart(site, name, departure, None, Vec::new(), changes),
    }
}

/// The browser moves on from a form of ours whose policy named these targets. One that says what it is gets a
/// page ([`form_of_a_browser`]); others a redirect, as far as the policy named its target.
pub fn moved_from_form(site: &Site, request: &HttpRequest, outcome: Outcome, named: &[&str]) -> HttpResponse {
    let by_page = form_of_a_browser(request);
    let named = if by_page { &[] } else { named };
    match outcome.step {
        Step::Provider { name, departure } => {
            depart(site, name, departure, Some(named), Vec::new(), &outcome.changes)
        }
        Step::Client(answer) if by_page && answer.mode() == ResponseMode::Query => {
            by_link(site, None, &answer.location(), named, &outcome.changes)
        }
        Step::Start { name, location } if by_page => {
            by_link(site, Some(name), &location, named, &outcome.changes)
        }
        step => moved(site, Outcome { step, changes: outcome.changes }),
    }
}

/// To an application by a page, under its name or its host's.
fn by_link(
    site: &Site,
    name: Option<String>,
    location: &Location,
    named: &[&str],
    changes: &Changes,
) -> HttpResponse {
    match Url::parse(location.as_str()) {
        Ok(url) => {
            let name = name.unwrap_or_else(|| url.host_str().unwrap_or_else(|| url.scheme()).to_owned());
            depart(site, name, Departure::RedirectTo(url), Some(named), Vec::new(), changes)
        }
        Err(_) => to_client(site, location, changes),
    }
}

/// The browser goes on to a provider in the course of a logout. A provider that signs people out by frames may
/// show the page, if there is one.
pub fn leave(
    site: &Site,
    request: &HttpRequest,
    name: String,
    departure: Departure,
    ancestors: Vec<String>,
    changes: &Changes,
) -> HttpResponse {
    let named = form_of_a_browser(request).then_some::<&[&str]>(&[]);
    depart(site, name, departure, named, ancestors, changes)
}

fn depart(
    site: &Site,
    name: String,
    departure: Departure,
    named: Option<&[&str]>,
    ancestors: Vec<String>,
    changes: &Changes,
) -> HttpResponse {
    let frame = site.assets().frame();
    let may_redirect = |url: &Url| match (named, form_target(url)) {
        (None, _) => true,
        (Some(named), Some(target)) => named.contains(&target.as_str()),
        (Some(_), None) => false,
    };
    match departure {
        Departure::RedirectTo(url) if may_redirect(&url) => see_other(site, url.as_str(), changes),
        Departure::RedirectTo(url) => match Href::absolute(&url) {
            Some(href) => {
                page(site, StatusCode::OK, &DeparturePage { frame, name, href, ancestors }, changes)
            }
            None => see_other(site, url.as_str(), changes),
        },
        Departure::PostForm { action, fields } => {
            let Some(href) = Href::absolute(&action) else {
                tracing::error!("a provider's address is no place for a form");
                return answer(site, StatusCode::INTERNAL_SERVER_ERROR, changes).finish();
            };
            let form = AutoPostPage {
                frame,
                recipient: name,
                targets: form_target(&action).into_iter().collect(),
                action: href,
                fields: fields.into_iter().map(|(name, value)| Field::new(name, value)).collect(),
                ancestors,
            };
            page(site, StatusCode::OK, &form, changes)
        }
    }
}

/// The HTTP status of a refusal that is JSON: the code's own, but for limits.
fn status_for_programs(failure: &Failure) -> StatusCode {
    match status(failure) {
        limit @ (StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::URI_TOO_LONG
        | StatusCode::UNSUPPORTED_MEDIA_TYPE) => limit,
        _ => StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::BAD_REQUEST),
    }
}

/// The HTTP status of a refusal that is a page.
fn status(failure: &Failure) -> StatusCode {
    match failure.reason {
        "request.host" => return StatusCode::MISDIRECTED_REQUEST,
        "upstream.method" => return StatusCode::METHOD_NOT_ALLOWED,
        "request.body_too_large" | "saml.xml.limits" => return StatusCode::PAYLOAD_TOO_LARGE,
        "request.body_timeout" => return StatusCode::REQUEST_TIMEOUT,
        "request.too_large" => return StatusCode::URI_TOO_LONG,
        "request.content_type" => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => {}
    }
    let policy = ["provider.", "link.", "user.", "request.csrf", "request.origin"];
    if policy.iter().any(|prefix| failure.reason.starts_with(prefix)) && failure.reason != "provider.mismatch"
    {
        return StatusCode::FORBIDDEN;
    }
    match (failure.user, failure.code) {
        (UserMessage::NotFound, _) => StatusCode::NOT_FOUND,
        (_, OAuthCode::ServerError | OAuthCode::TemporarilyUnavailable | OAuthCode::SlowDown) => {
            StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Whether the answer is an ordinary one that no operator needs to look into: `prompt=none` where something
/// was missing (OIDC Core §3.1.2.6).
fn is_ordinary(failure: &Failure) -> bool {
    matches!(
        failure.code,
        OAuthCode::LoginRequired
            | OAuthCode::ConsentRequired
            | OAuthCode::InteractionRequired
            | OAuthCode::AccountSelectionRequired
    )
}

/// Tells a refusal, after recording it, to whoever may know: the application where its address was validated,
/// else the person, with the ways on.
pub async fn refuse(site: &Site, request: &HttpRequest, browser: &Browser, refused: Refused) -> HttpResponse {
    let app = &site.app;
    let client = refused.client().cloned();
    let mut refused = *refused.0;
    if is_ordinary(&refused.failure)
        && let Some(redirect) = &refused.redirect
    {
        return deliver(site, &refused.failure, Delivery::Redirect(redirect, None), &refused.changes);
    }
    let source =
        if browser.source.is_empty() { request::source(site, request) } else { browser.source.clone() };
    let about = Concerning {
        provider: refused.provider.as_ref(),
        client: client.as_ref(),
        source: &source,
        steps: refused.trace.steps(),
    };
    let reference = refusals::record(app, &refused.failure, about).await;
    if let Some(redirect) = &refused.redirect {
        let to_app = Delivery::Redirect(redirect, Some(&reference));
        return deliver(site, &refused.failure, to_app, &refused.changes);
    }
    let snapshot = app.now();
    let named = client.as_ref().and_then(|id| snapshot.client(id.as_str()));
    let back_to_app = named.as_deref().and_then(|client| app_link(client, refused.flow.as_ref()));
    let frame = site.assets().frame();
    if matches!(refused.failure.user, UserMessage::StartAgain | UserMessage::OtherBrowser) {
        // The application's own start needs nothing of what was lost; else its request is sent again.
        let again = named
            .as_deref()
            .filter(|client| client.sign_in.initiate_login_uri.is_some())
            .and_then(|client| start_link(site, client))
            .or_else(|| refused.flow.as_ref().and_then(|flow| restart(&snapshot, flow)));
        let lost = again.is_none() && back_to_app.is_none();
        let view = StartAgainPage {
            frame,
            title: refused.failure.user.title().to_owned(),
            text: refused.failure.user.text().to_owned(),
            reference: Some(reference),
            start: again,
            back_to_app,
            home: if lost { home(site) } else { None },
        };
        return deliver(site, &refused.failure, Delivery::Page(&view), &refused.changes);
    }
    let mut view = ErrorPage::of(frame, refused.failure.user, Some(reference));
    view.back_to_app = back_to_app;
    if let Some(flow) = refused.flow.take()
        && !matches!(flow.stage, Stage::Finished)
    {
        if let Ok(handle) = flow.handle() {
            let path = format!("{}/continue?flow={}", snapshot.settings.issuer.base_path(), handle.expose());
            view.retry = Href::local(path);
        }
        if let Ok(list) = sign_in::ways(&snapshot, browser, flow, "") {
            view.other_ways = sign_in_form(site, browser, &list).ok();
        }
    }
    if view.retry.is_none() && view.back_to_app.is_none() {
        view.home = home(site);
    }
    deliver(site, &refused.failure, Delivery::Page(&view), &refused.changes)
}

/// Our start page.
fn home(site: &Site) -> Option<Href> {
    local(site, "/").ok()
}

/// The failure as JSON for a program (RFC 6749 §5.2), after recording it. Details stay with us.
pub async fn json(
    site: &Site,
    request: &HttpRequest,
    failure: &Failure,
    about: Concerning<'_>,
) -> HttpResponse {
    let source = request::source(site, request);
    let reference = refusals::record(&site.app, failure, Concerning { source: &source, ..about }).await;
    let mut response = deliver(site, failure, Delivery::Json(Some(&reference)), &Changes::none());
    if response.status() == StatusCode::URI_TOO_LONG && request.method() == Method::POST {
        // The parameters came in the body.
        response.head_mut().status = StatusCode::PAYLOAD_TOO_LARGE;
    }
    response
}

/// A failure that needs no record, as JSON.
pub fn plain_json(site: &Site, failure: &Failure) -> HttpResponse {
    deliver(site, failure, Delivery::Json(None), &Changes::none())
}

/// A failure that needs no record, as a page: wrong host, no such page, too many requests.
pub fn plain_page(site: &Site, failure: &Failure, reference: Option<ReferenceId>) -> HttpResponse {
    let mut view = ErrorPage::of(site.assets().frame(), failure.user, reference);
    // Absolute: under a wrong host a path would lead nowhere.
    view.home = Href::parse(&site.app.now().settings.issuer.at("/"));
    deliver(site, failure, Delivery::Page(&view), &Changes::none())
}

/// The form with one button for each provider.
///
/// # Errors
/// When sealing its token fails.
pub fn sign_in_form(site: &Site, browser: &Browser, list: &List) -> Result<SignInForm, Failure> {
    let app = &site.app;
    let handle = list.flow.handle()?;
    let providers = list
        .providers
        .iter()
        .map(|(id, display)| ProviderButton {
            id: id.clone(),
            name: display.name.clone(),
            icon: Icon::named(display.icon.as_deref(), id, &display.name),
            last_used: browser.last_used.as_ref() == Some(id),
        })
        .collect();
    Ok(SignInForm {
        action: local(site, "/sign-in")?,
        flow: handle.expose().to_owned(),
        // The token says what the page's policy names, so that the choice knows how it may leave.
        csrf: csrf::token_with(
            &app.sealer,
            &app.context,
            form::SIGN_IN,
            handle.expose(),
            &list.targets.join(" "),
        )?,
        providers,
        targets: list.targets.clone(),
        search: (list.more || !list.query.is_empty())
            .then(|| Search { query: list.query.clone(), more: list.more }),
    })
}

/// A path of ours as an address for pages.
///
/// # Errors
/// Only where the issuer's own path is no path.
pub fn local(site: &Site, path: &str) -> Result<Href, Failure> {
    Href::local(format!("{}{path}", site.app.now().settings.issuer.base_path()))
        .ok_or_else(|| Failure::internal("http.path", "a path of ours cannot be linked"))
}

/// Our link that starts an application.
pub fn start_link(site: &Site, client: &Client) -> Option<Href> {
    let mut url = site.app.now().settings.issuer.url().clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["apps", client.id.as_str()]);
    Href::local(url.path())
}

/// The way back to an application: its start page, or else the root of the address where it is answered.
pub fn app_link(client: &Client, flow: Option<&FlowState>) -> Option<AppLink> {
    let home = client.home_uri.as_deref().and_then(Href::parse);
    let root = || {
        let redirect = flow?.request.redirect(client).ok()?;
        let url = Url::parse(redirect.uri()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        Href::absolute(&url.join("/").ok()?)
    };
    home.or_else(root).map(|href| AppLink { name: client.name.clone(), href })
}

/// What an application says of itself elsewhere, as links. Nothing of it is loaded.
pub fn about(site: &Site, client: &Client) -> Vec<AboutLink> {
    let (t, about) = (site.assets().frame().t, &client.about);
    [
        (&about.client_uri, t.about_site(&client.name)),
        (&about.policy_uri, t.about_policy(&client.name)),
        (&about.tos_uri, t.about_terms(&client.name)),
    ]
    .into_iter()
    .filter_map(|(address, text)| Some(AboutLink { text, href: Href::parse(address.as_deref()?)? }))
    .collect()
}

/// The application's request again, so that a sign-in that was lost begins anew. Not for one that was
/// answered: the application has used up its `state`.
fn restart(snapshot: &Snapshot, flow: &FlowState) -> Option<Href> {
    let request = &flow.request;
    let rules = &snapshot.client(request.client.as_str())?.requests;
    // What must be pushed or signed only the application can make anew.
    let by_app = rules.pushed_only || rules.signed_only || snapshot.settings.sign_in.pushed_only;
    if by_app || matches!(flow.stage, Stage::Finished) {
        return None;
    }
    let mode = request.response_mode;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", request.client.as_str());
    let mut prompts = Vec::new();
    for (wanted, word) in [
        (request.prompt.login, "login"),
        (request.prompt.consent, "consent"),
        (request.prompt.select_account, "select_account"),
    ] {
        if wanted {
            prompts.push(word);
        }
    }
    let joined = |words: &[String]| (!words.is_empty()).then(|| words.join(" "));
    let challenge = request.challenge.as_ref().map(|challenge| challenge.as_str().to_owned());
    let optional = [
        ("code_challenge_method", challenge.as_ref().map(|_| "S256".to_owned())),
        ("code_challenge", challenge),
        ("redirect_uri", request.redirect_uri.clone()),
        ("scope", (!request.scope.is_empty()).then(|| request.scope.to_string())),
        ("response_mode", (!mode.is_query()).then(|| mode.as_str().to_owned())),
        ("state", request.state.clone()),
        ("nonce", request.nonce.clone()),
        ("prompt", (!prompts.is_empty()).then(|| prompts.join(" "))),
        ("max_age", request.max_age.map(|age| age.as_secs().to_string())),
        ("login_hint", request.login_hint.clone()),
        ("idp_hint", flow.idp_hint.clone()),
        ("ui_locales", joined(&request.ui_locales)),
        ("acr_values", joined(&request.acr_values)),
        ("claims", serde_json::to_string(&request.claims).ok().filter(|_| !request.claims.is_empty())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    for resource in &request.resources {
        query.append_pair("resource", resource);
    }
    Href::local(format!("{}/authorize?{}", snapshot.settings.issuer.base_path(), query.finish()))
}

/// What a person recognises themselves by.
pub fn known_as(account: &Account) -> String {
    let address = account.primary_email().map(|email| email.address.as_str().to_owned());
    let profile = &account.profile;
    address
        .or_else(|| profile.preferred_username.clone())
        .or_else(|| profile.name.clone())
        .unwrap_or_else(|| account.id.to_string())
}
