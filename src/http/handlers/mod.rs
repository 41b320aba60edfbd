//! One file per endpoint: read the request, call one function of `flow`, hand its outcome to `delivery`.

pub mod apps;
pub mod authorize;
pub mod callback;
pub mod consent;
pub mod deletion;
pub mod details;
pub mod discovery;
pub mod home;
pub mod invitation;
pub mod logout;
pub mod program;
pub mod register;
pub mod resume;
pub mod sign_in;
pub mod statics;
pub mod upstream_logout;
pub mod upstream_metadata;
pub mod upstream_notice;

use crate::flow::browser::Browser;
use crate::flow::refusals::Refused;
use crate::flow::state::{self, FlowState};
use crate::http::{Site, csrf, delivery, request};
use crate::protocol::Parameters;
use actix_web::{HttpRequest, HttpResponse, web};
use std::collections::BTreeMap;

/// What the browser brings, or why that cannot be read.
async fn visitor(site: &Site, request: &HttpRequest) -> Result<Browser, HttpResponse> {
    match request::browser(site, request) {
        Ok(browser) => Ok(browser),
        Err(failure) => Err(delivery::refuse(site, request, &Browser::default(), failure.into()).await),
    }
}

/// A form of ours within a sign-in in progress.
struct FlowForm {
    /// The sign-in.
    flow: FlowState,
    /// What the form's token noted.
    note: String,
    /// What was chosen.
    choice: Option<String>,
    /// All fields.
    fields: BTreeMap<String, String>,
}

/// Reads a form of this name, in which the person chose by this field: it must come from a page of ours, and be
/// of the sign-in that this browser began.
async fn flow_form(
    site: &Site,
    request: &HttpRequest,
    browser: &Browser,
    payload: web::Payload,
    name: &str,
    field: &str,
) -> Result<FlowForm, Refused> {
    csrf::check_origin(request.headers(), &site.app.now().settings.issuer.origin())?;
    let body = request::form(site, request, payload).await?;
    let parameters = Parameters::decode(&body)?;
    parameters.check()?;
    let app = &site.app;
    let flow = state::open(app, browser, parameters.get("flow")).await?;
    let handle = flow.handle()?;
    let note = csrf::note(&app.sealer, app.context.now(), name, handle.expose(), parameters.get("csrf"))
        .map_err(|failure| Refused::from(failure).in_flow(&flow))?;
    let fields: BTreeMap<String, String> =
        parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(FlowForm { choice: fields.get(field).cloned(), flow, note, fields })
}
