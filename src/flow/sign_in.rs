//! The list of providers, and the departure to one.

use crate::accounts::EmailAddress;
use crate::assurance::AcrMap;
use crate::chooser::{self, Candidate, Found, Offer};
use crate::clients::Client;
use crate::clients::redirect::ValidatedRedirect;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::flow::state::{self, Away, FlowState, Stage, start_again};
use crate::flow::{App, Outcome, Snapshot, Step, resume};
use crate::ids::ProviderId;
use crate::tokens::handle::Handle;
use crate::upstream::{BeginRequest, ProviderDisplay};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// The list, as plain data for a page.
#[derive(Debug)]
pub struct List {
    /// The sign-in in progress.
    pub flow: FlowState,
    /// The application.
    pub client: Arc<Client>,
    /// Where it can be told that the person gave up.
    pub redirect: ValidatedRedirect,
    /// The providers in order; at most a page of them.
    pub providers: Vec<(ProviderId, ProviderDisplay)>,
    /// There are more: the person must search.
    pub more: bool,
    /// What the person searched for.
    pub query: String,
    /// Where the form may lead.
    pub targets: Vec<String>,
}

/// The list, or a place where the browser should be.
#[derive(Debug)]
pub enum Listing {
    /// To be shown.
    Show(Box<List>),
    /// Somebody is signed in for it already: go on.
    Elsewhere(Box<Outcome>),
}

/// The list of a flow, or the part of it that a person searches for.
///
/// # Errors
/// [`Refused`].
pub async fn list(
    app: &App,
    browser: &Browser,
    handle: Option<&str>,
    query: Option<&str>,
) -> Result<Listing, Refused> {
    let flow = state::open(app, browser, handle).await?;
    if matches!(flow.stage, Stage::Settled { .. }) {
        let outcome = Outcome { step: Step::Continue(flow.handle()?), changes: Changes::none() };
        return Ok(Listing::Elsewhere(Box::new(outcome)));
    }
    let list = ways(&app.now(), browser, flow, query.unwrap_or_default())?;
    Ok(Listing::Show(Box::new(list)))
}

/// What a person can choose within a flow that is still open; for the list, and for pages on which it is
/// the way on.
///
/// # Errors
/// [`Refused`] where the flow is over or the client gone.
pub fn ways(snapshot: &Snapshot, browser: &Browser, flow: FlowState, query: &str) -> Result<List, Refused> {
    if matches!(flow.stage, Stage::Finished) {
        return Err(
            Refused::from(start_again("flow.finished", "the sign-in was answered already")).in_flow(&flow)
        );
    }
    let (client, redirect) = resume::client_of(snapshot, &flow).map_err(|refused| refused.in_flow(&flow))?;
    let demand = resume::demand(&flow);
    let open = |candidate: &Candidate| resume::admits(snapshot, &client, &demand, candidate);
    let offer = Offer::new(&snapshot.catalogue, &open);
    let Found { mut shown, more } = offer.search(query);
    // The one used last stands above a list that is cut, too.
    let recent = browser.last_used.as_ref().and_then(|id| offer.of_id(id.as_str()));
    if let Some(recent) = recent.filter(|one| more && query.is_empty() && !one.hidden && !shown.contains(one))
    {
        shown.insert(0, recent);
    }
    let mut providers = Vec::new();
    let mut targets = Vec::new();
    for candidate in shown {
        let Some(entry) = snapshot.upstreams.get(&candidate.id) else { continue };
        targets.extend(entry.upstream.form_targets());
        providers.push((entry.id, entry.display));
    }
    // A provider that knows the person answers at once, and then one chain of redirects leads from the form
    // to the app. Chromium applies the form's policy to all of it.
    targets.push(redirect.form_target());
    targets.sort();
    targets.dedup();
    Ok(List { flow, client, redirect, providers, more, query: query.to_owned(), targets })
}

/// The person chose a provider from the list.
///
/// # Errors
/// [`Refused`]: `provider.not_offered`, or whatever keeps the provider from being reached.
pub async fn choose(
    app: &App,
    browser: &Browser,
    flow: FlowState,
    wanted: Option<&str>,
) -> Result<Outcome, Refused> {
    let snapshot = app.now();
    if matches!(flow.stage, Stage::Finished) {
        return Err(
            Refused::from(start_again("flow.finished", "the sign-in was answered already")).in_flow(&flow)
        );
    }
    let (client, _) = resume::client_of(&snapshot, &flow).map_err(|refused| refused.in_flow(&flow))?;
    let demand = resume::demand(&flow);
    let open = |candidate: &Candidate| resume::admits(&snapshot, &client, &demand, candidate);
    let chosen = chooser::admit(&Offer::new(&snapshot.catalogue, &open), wanted.unwrap_or_default())
        .map(|chosen| chosen.id.clone())
        .map_err(|failure| Refused::from(failure).in_flow(&flow))?;
    depart(app, &snapshot, browser, flow, &chosen).await
}

/// Sends the browser to a provider.
///
/// # Errors
/// [`Refused`] where the provider cannot be reached; the flow stays open for another way.
pub async fn depart(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    mut flow: FlowState,
    provider: &ProviderId,
) -> Result<Outcome, Refused> {
    let entry = snapshot.upstreams.get(provider).filter(|entry| entry.policy.enabled).ok_or_else(|| {
        let failure = Failure::new(
            OAuthCode::AccessDenied,
            "provider.disabled",
            UserMessage::ProviderNotOffered,
            "the provider is unknown or switched off",
        );
        Refused::from(failure).at(provider).in_flow(&flow)
    })?;
    let attempt = flow.handle()?.sibling(&app.context);
    let demand = resume::demand(&flow);
    let begun = entry
        .upstream
        .begin(
            &app.context,
            &BeginRequest {
                state: attempt.expose().to_owned(),
                callback: callback_address(snapshot, provider),
                login_hint: hint_for(&flow, &entry.policy.authoritative_for),
                force_authentication: demand.forces_authentication(),
                max_age: demand.max_age,
                select_account: demand.select_account,
                silent: false,
                ui_locales: flow.request.ui_locales.clone(),
                acr_values: contexts_for(&flow, &entry.policy.acr_map),
            },
        )
        .await;
    // From now on the person picks the way: never leave by ourselves again.
    flow.list_wanted = true;
    flow.invitation = flow.invited(browser).map(|digest| digest.as_str().to_owned());
    let begun = match begun {
        Ok(begun) => begun,
        Err(failure) => {
            flow.stage = Stage::Choosing;
            let changes = state::keep(app, browser, &flow, false).await?;
            return Err(Refused::from(failure).at(provider).in_flow(&flow).with(changes));
        }
    };
    flow.stage = Stage::Away(Box::new(Away {
        provider: provider.clone(),
        issuer: Some(entry.settings().kind.issuer_text()),
        attempt: attempt.digest().as_str().to_owned(),
        state: URL_SAFE_NO_PAD.encode(begun.state.as_slice()),
        left_at: app.context.now(),
    }));
    let mut changes = state::keep(app, browser, &flow, entry.upstream.answers_by_post()).await?;
    // Before it leaves: of several answers at once, none comes back with what another one gives.
    changes.name = browser.name.is_none().then(|| Handle::new(&app.context));
    let step = Step::Provider { name: entry.display.name, departure: begun.departure };
    Ok(Outcome { step, changes })
}

/// Our callback for a provider, absolute.
pub fn callback_address(snapshot: &Snapshot, provider: &ProviderId) -> String {
    snapshot.settings.issuer.at(&format!("/upstream/{provider}/callback"))
}

/// The contexts to ask the provider for, in its own words where the configuration knows them.
fn contexts_for(flow: &FlowState, map: &AcrMap) -> Vec<String> {
    let request = &flow.request;
    let wanted = request.claims.wanted_acr().chain(request.acr_values.iter().map(String::as_str));
    if map.is_empty() { wanted.map(str::to_owned).collect() } else { map.theirs(wanted) }
}

/// The application's hint is passed on only to the provider that looks after the address's domain: others
/// need not learn whom we expect.
fn hint_for(flow: &FlowState, domains: &std::collections::BTreeSet<String>) -> Option<String> {
    let address = EmailAddress::parse(flow.request.login_hint.as_deref()?).ok()?;
    domains.contains(address.domain()).then(|| address.as_str().to_owned())
}
