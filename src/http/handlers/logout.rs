//! `/logout` (OIDC RP-Initiated Logout 1.0): by an application's link or form, or by our own form.

use crate::clients::Client;
use crate::failure::Failure;
use crate::flow::browser::Browser;
use crate::flow::logout::{self, Frame, LoggedOut, LogoutStep, Onward, Trouble};
use crate::flow::refusals::{self, Concerning, Refused};
use crate::http::handlers::visitor;
use crate::http::pages::{
    AppLink, Field, Href, Leaving, LogoutConfirmPage, Notice, SignedOutPage, Texts, Way, form_target,
};
use crate::http::{Site, csrf, delivery, request};
use crate::ids::ReferenceId;
use crate::protocol::logout::Wrong;
use crate::protocol::{LogoutRequest, Parameters};
use crate::upstream::Departure;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use std::collections::BTreeSet;
use url::Url;

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
    let mut browser = match visitor(site, request).await {
        Ok(browser) => browser,
        Err(refusal) => return refusal,
    };
    if request::is_embedded(site, request) {
        browser.name = None;
    }
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
    // The name that comes along from everywhere, first: a form that is bound to nothing would be anybody's.
    let traces = browser.traces();
    let binding = traces.name.or(traces.secret);
    let binding = binding.as_ref().map_or("", |digest| digest.as_str());
    if confirmed {
        csrf::check_origin(request.headers(), &app.now().settings.issuer.origin())?;
        csrf::check_token(&app.sealer, app.context.now(), FORM, binding, parameters.get("csrf"))?;
    }
    let redirect_uri = wanted.post_logout_redirect_uri.clone();
    let outcome = logout::logout(app, browser, wanted, confirmed).await?;
    let client = outcome.client.clone();
    let wrong = match outcome.wrong {
        Some(wrong) => {
            let reference = recorded(site, browser, wrong, client.as_deref(), redirect_uri.as_deref()).await;
            Some(notice(site.assets().frame().t, wrong, reference))
        }
        None => None,
    };
    shown(site, request, browser, outcome, wrong, binding).await
}

/// The answer to a logout, asked for here or come back from a provider. `notice`: what was wrong with the
/// request; `binding`: to what a form's token is bound.
pub(super) async fn shown(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    outcome: LoggedOut,
    wrong: Option<Notice>,
    binding: &str,
) -> Result<HttpResponse, Refused> {
    let LoggedOut { step, client, trouble, changes, .. } = outcome;
    let app = &site.app;
    let frame = site.assets().frame();
    let client = client.as_deref();
    let home = client.and_then(|client| delivery::app_link(client, None));
    Ok(match step {
        LogoutStep::Done { onward: Some(Onward { location, by_itself: true }), frames, .. }
            if frames.is_empty() && !delivery::form_of_a_browser(request) =>
        {
            delivery::to_client(site, &location, &changes)
        }
        LogoutStep::Done { onward, frames, provider } => {
            let by_itself = onward.as_ref().is_some_and(|onward| onward.by_itself);
            let onward = onward.and_then(|onward| link(client, &onward));
            let told = match (trouble, &provider) {
                (Some(trouble), Some(name)) => Some(trouble_notice(site, browser, trouble, name).await),
                _ => None,
            };
            let (apps, sources) = loaded(&frames);
            let page = SignedOutPage {
                frame,
                // What the notice says already is not said twice.
                provider: provider.filter(|_| told.is_none()),
                notice: wrong.or(told),
                apps,
                sources,
                by_itself: by_itself && onward.is_some(),
                back_to_app: onward.or(home),
                leaving: None,
                ancestors: Vec::new(),
            };
            delivery::page(site, StatusCode::OK, &page, &changes)
        }
        LogoutStep::Leave { name, departure, frames } if frames.is_empty() && wrong.is_none() => {
            delivery::leave(site, request, name, departure, Vec::new(), &changes)
        }
        LogoutStep::Leave { name, departure, frames } => {
            let leaving = leaving(name, departure, true)?;
            let (apps, sources) = loaded(&frames);
            let page = SignedOutPage {
                frame,
                provider: None,
                // What was wrong is to be read first.
                by_itself: wrong.is_none(),
                notice: wrong,
                apps,
                sources,
                back_to_app: None,
                leaving: Some(leaving),
                ancestors: Vec::new(),
            };
            delivery::page(site, StatusCode::OK, &page, &changes)
        }
        LogoutStep::Ask { account, redirect, request } => {
            let host =
                |uri: &str| Url::parse(uri).ok().map(|url| url.host_str().unwrap_or(url.scheme()).to_owned());
            let page = LogoutConfirmPage {
                frame,
                account: account.as_deref().map(delivery::known_as),
                action: delivery::local(site, "/logout")?,
                csrf: csrf::token(&app.sealer, &app.context, FORM, binding)?,
                fields: request.pairs().map(|(name, value)| Field::new(name, value)).collect(),
                notice: wrong,
                onward: redirect
                    .as_ref()
                    .zip(client)
                    .and_then(|(redirect, client)| Some((client.name.clone(), host(redirect.uri())?))),
                stay: home.map(|link| link.href).or_else(|| delivery::local(site, "/").ok()),
                targets: redirect.iter().map(crate::clients::ValidatedRedirect::form_target).collect(),
            };
            delivery::page(site, StatusCode::OK, &page, &changes)
        }
    })
}

/// The way on to a provider, on a page.
pub(super) fn leaving(name: String, departure: Departure, to_sign_out: bool) -> Result<Leaving, Failure> {
    let href = |url: &Url| {
        Href::absolute(url).ok_or_else(|| Failure::internal("http.path", "a provider's address is no link"))
    };
    let (way, targets) = match departure {
        Departure::RedirectTo(url) => (Way::Link(href(&url)?), Vec::new()),
        Departure::PostForm { action, fields } => {
            let fields = fields.into_iter().map(|(name, value)| Field::new(name, value)).collect();
            (Way::Form { action: href(&action)?, fields }, form_target(&action).into_iter().collect())
        }
    };
    Ok(Leaving { name, to_sign_out, way, targets })
}

/// What did not work at the provider; recorded where an operator may want to look into it.
async fn trouble_notice(site: &Site, browser: &Browser, trouble: Trouble, provider: &str) -> Notice {
    let t = site.assets().frame().t;
    match trouble {
        Trouble::Partial => Notice {
            title: t.signed_out_partial_title(provider),
            text: t.signed_out_partial_text(),
            reference: None,
        },
        Trouble::Unconfirmed(refused) => {
            let about = Concerning {
                provider: refused.0.provider.as_ref(),
                source: &browser.source,
                steps: refused.0.trace.steps(),
                ..Concerning::default()
            };
            Notice {
                title: t.signed_out_unconfirmed_title(provider),
                text: t.signed_out_unconfirmed_text(),
                reference: Some(refusals::record(&site.app, &refused.0.failure, about).await),
            }
        }
    }
}

/// The way on as a link.
fn link(client: Option<&Client>, onward: &Onward) -> Option<AppLink> {
    let href = Href::parse(onward.location.as_str())?;
    Some(AppLink { name: client?.name.clone(), href })
}

/// What the page loads, and the sources that its policy names. A page whose origin cannot be named is left
/// out; its client could not be registered.
pub(super) fn loaded(frames: &[Frame]) -> (Vec<AppLink>, Vec<String>) {
    let (mut apps, mut sources) = (Vec::new(), BTreeSet::new());
    for frame in frames {
        if let (Some(href), Some(source)) = (Href::absolute(&frame.url), form_target(&frame.url)) {
            apps.push(AppLink { name: frame.name.clone(), href });
            sources.insert(source);
        }
    }
    (apps, sources.into_iter().collect())
}

/// Records what was wrong with a request, for its operator.
async fn recorded(
    site: &Site,
    browser: &Browser,
    wrong: Wrong,
    client: Option<&Client>,
    redirect_uri: Option<&str>,
) -> ReferenceId {
    let mut failure = wrong.failure();
    if let (Wrong::Redirect, Some(client)) = (wrong, client) {
        let registered: Vec<&str> = client.post_logout_redirect_uris.iter().map(String::as_str).collect();
        let sent: String = redirect_uri.unwrap_or_default().chars().take(300).collect();
        failure = failure.expected(registered.join(" "), sent);
    }
    let about = Concerning {
        client: client.map(|client| &client.id),
        source: &browser.source,
        ..Concerning::default()
    };
    refusals::record(&site.app, &failure, about).await
}

fn notice(t: &Texts, wrong: Wrong, reference: ReferenceId) -> Notice {
    let text = match wrong {
        Wrong::Hint => t.logout_wrong_hint(),
        Wrong::Client => t.logout_wrong_client(),
        Wrong::Redirect => t.logout_wrong_redirect(),
        Wrong::RedirectAlone => t.logout_wrong_alone(),
    };
    Notice { title: t.logout_wrong_title(), text, reference: Some(reference) }
}
