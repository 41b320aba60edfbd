//! The provider's answer: the browser first, then the provider's kind, then the transaction of [`super::vouching`].

use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes, InvitationCookie, SessionCookie};
use crate::flow::refusals::Refused;
use crate::flow::sessions;
use crate::flow::state::{self, Asking, Joining, Stage};
use crate::flow::unsolicited::unsolicited;
use crate::flow::vouching::{Entrance, Settled, vouch, vouching};
use crate::flow::{App, Outcome, Snapshot, Step, resume, sign_in};
use crate::ids::ProviderId;
use crate::sessions::Session;
use crate::store::StoreError;
use crate::upstream::{Callback, CallbackMethod, Demanded, Entry, Trace, Vouched};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;

/// Whether this provider's answer may come by GET. Of one that does not exist the answer is refused later.
pub fn answers_by_get(app: &App, provider: &str) -> bool {
    let entry = provider.parse::<ProviderId>().ok().and_then(|id| app.now().upstreams.get(&id));
    entry.is_none_or(|entry| entry.upstream.answers_by_get())
}

/// Takes a provider's answer.
///
/// # Errors
/// [`Refused`]. Until the browser and the provider are known to be the right ones nothing is used up.
pub async fn callback(
    app: &App,
    browser: &Browser,
    provider: &str,
    method: CallbackMethod,
    parameters: BTreeMap<String, String>,
) -> Result<Outcome, Refused> {
    let snapshot = app.now();
    let state = parameters.get("state").or_else(|| parameters.get("RelayState"));
    let state = state.map(String::as_str);
    if let Some(outcome) = unsolicited(app, browser, &snapshot, provider, &parameters, state).await? {
        return Ok(outcome);
    }
    let opened = state::open_answer(app, browser, state).await;
    let (mut flow, away, attempt) =
        opened.map_err(|(failure, flow)| (without_cookie(failure, method), flow))?;
    if away.provider.as_str() != provider {
        let failure = Failure::new(
            OAuthCode::InvalidRequest,
            "provider.mismatch",
            UserMessage::ProviderAnswerRefused,
            "the answer came to another provider's callback than the one that was asked",
        );
        return Err(Refused::from(failure.expected(away.provider.as_str(), shown(provider)))
            .at(&away.provider)
            .in_flow(&flow));
    }
    let entry = open_provider(&snapshot, &flow, &away.provider).map_err(|refused| refused.in_flow(&flow))?;
    let issuer = entry.settings().kind.issuer_text();
    if away.issuer.as_ref().is_some_and(|asked| *asked != issuer) {
        let failure = state::start_again(
            "provider.changed",
            "the provider has another issuer than the one that was asked",
        )
        .expected(away.issuer.unwrap_or_default(), issuer);
        return Err(turned_away(app, browser, flow, &away.provider, (failure, None)).await?);
    }
    let upstream_state = URL_SAFE_NO_PAD
        .decode(&away.state)
        .map_err(|_| Failure::internal("flow.state", "a sealed flow has a broken upstream state"))?;
    let demand = resume::demand(&flow);
    let known = known_proof(app, browser, &away.provider)
        .await
        .map_err(|error| Refused::from(error).in_flow(&flow))?;
    let now = app.context.now();
    let callback = Callback {
        method,
        parameters,
        callback: sign_in::callback_address(&snapshot, &away.provider),
        demanded: Demanded {
            begun_at: Some(away.left_at),
            force_authentication: demand.forces_authentication(),
            max_age: demand.max_age,
            later_than: known.filter(|at| {
                let too_old = demand.max_age.is_some_and(|age| now > at.plus(age));
                demand.forces_authentication() || too_old
            }),
            acr_values: Vec::new(),
        },
    };
    let mut trace = Trace::default();
    let vouched = entry.upstream.finish(&app.context, &upstream_state, &callback, &mut trace).await;
    let vouched = match vouched {
        Ok(vouched) => Vouched { remarks: trace.remarks().clone(), ..vouched },
        Err(failure) => {
            let refused = turned_away(app, browser, flow, &away.provider, (failure, None)).await?;
            return Err(refused.traced(trace));
        }
    };
    let mut asking = Asking::of(&vouched, &entry, &attempt, now);
    let request = vouching(app, &snapshot, browser, &entry, &flow, vouched, &attempt);
    match vouch(app, request).await {
        Ok(Settled::SignedIn(entrance)) => {
            let changes = signed_in(app, browser, &mut flow, &away.provider, entrance).await?;
            Ok(Outcome { step: Step::Continue(flow.handle()?), changes })
        }
        Ok(Settled::Missing(wanted)) => {
            asking.wanted = wanted;
            flow.stage = Stage::Asking(Box::new(asking));
            let changes = state::keep(app, browser, &flow, false).await?;
            Ok(Outcome { step: Step::Details(flow.handle()?), changes })
        }
        Err(why) => {
            let refused = turned_away(app, browser, flow, &away.provider, why).await?;
            Err(refused.traced(trace))
        }
    }
}

/// A form of the provider's site brings the cookie for one answer (`SameSite=None`, then `Lax`), so an answer without it may
/// be the same one again. Nobody can tell the two apart.
fn without_cookie(mut failure: Failure, method: CallbackMethod) -> Failure {
    if failure.reason == "browser_binding" && method == CallbackMethod::Post {
        failure.detail.note =
            "the form brought no cookie of this sign-in: it was answered already (Back, or a reload), \
                               or another browser began it"
                .into();
    }
    failure
}

/// The person has a session: the flow goes on with it.
///
/// # Errors
/// When the flow cannot be kept.
pub(super) async fn signed_in(
    app: &App,
    browser: &Browser,
    flow: &mut state::FlowState,
    provider: &ProviderId,
    Entrance { secret, browser: name, session }: Entrance,
) -> Result<Changes, Failure> {
    let how = if session.renewed { "renewed" } else { "started" };
    metrics::counter!("countersign_sign_ins_total", "provider" => provider.to_string(), "session" => how)
        .increment(1);
    flow.settle(session.session, session.identity);
    flow.joining = None;
    let invited = flow.invitation.take().is_some() || browser.invitation.is_some();
    let mut changes = state::keep(app, browser, flow, false).await?;
    changes.session = Some(SessionCookie::Keep(secret));
    changes.name = Some(name);
    if invited {
        // Used up by this sign-in, or of no use to somebody who has an account.
        changes.invitation = Some(InvitationCookie::Forget);
    }
    changes.last_used = Some(provider.clone());
    Ok(changes)
}

/// The person is not let in by this departure, which is over; they may take another way in the same sign-in.
///
/// # Errors
/// When the flow cannot be kept.
pub(super) async fn turned_away(
    app: &App,
    browser: &Browser,
    mut flow: state::FlowState,
    provider: &ProviderId,
    (failure, joining): (Failure, Option<Box<Joining>>),
) -> Result<Refused, Failure> {
    flow.stage = Stage::Choosing;
    // Whoever cancels where they were sent for proof can still give it.
    if let Some(joining) = joining {
        flow.joining = Some(*joining);
    }
    let changes = state::keep(app, browser, &flow, false).await?;
    Ok(Refused::from(failure).at(provider).in_flow(&flow).with(changes))
}

/// When the person last proved themselves at this provider, by its own word, in a session of this browser.
async fn known_proof(
    app: &App,
    browser: &Browser,
    provider: &ProviderId,
) -> Result<Option<Timestamp>, StoreError> {
    let traces = browser.traces();
    if traces.secret.is_none() && traces.name.is_none() {
        return Ok(None);
    }
    let sessions: Vec<Session> = app.store.read(move |tx| sessions::in_browser(tx, &traces)).await?;
    let proofs = sessions.into_iter().flat_map(|session| session.proofs);
    Ok(proofs
        .filter(|proof| proof.provider == *provider && proof.auth_time_asserted)
        .map(|p| p.auth_time)
        .max())
}

/// Refuses an answer that is malformed as a request, with the ways on of the sign-in that it belongs to, if
/// this browser has it. Nothing is used up.
pub async fn malformed(app: &App, browser: &Browser, state: Option<&str>, mut failure: Failure) -> Refused {
    failure.user = UserMessage::ProviderAnswerRefused;
    match state::open_answer(app, browser, state).await {
        Ok((flow, away, _)) => Refused::from(failure).at(&away.provider).in_flow(&flow),
        Err(_) => failure.into(),
    }
}

/// Something that came by GET where the provider answers by POST: a page that was loaded again, or a provider that redirects.
/// Nothing of it is read but to which sign-in of this browser it may belong, for the ways on, and nothing is used up.
pub async fn by_get(app: &App, browser: &Browser, provider: &str, state: Option<&str>) -> Refused {
    let failure = Failure::new(
        OAuthCode::InvalidRequest,
        "upstream.method",
        UserMessage::ProviderAnswerRefused,
        "the provider answers by POST, and this came by GET: a page that was loaded again, or an answer by redirect",
    );
    let refused = Refused::from(failure.expected("POST", "GET"));
    let refused = match provider.parse::<ProviderId>() {
        Ok(id) => refused.at(&id),
        Err(_) => refused,
    };
    match state::open_answer(app, browser, state).await {
        Ok((flow, away, _)) if away.provider.as_str() == provider => refused.in_flow(&flow),
        _ => refused,
    }
}

/// What a stranger sent, cut to a bearable length.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The provider, if it is still switched on and still open to the application.
pub(super) fn open_provider(
    snapshot: &Snapshot,
    flow: &state::FlowState,
    provider: &ProviderId,
) -> Result<Entry, Refused> {
    let (client, _) = resume::client_of(snapshot, flow)?;
    let refuse = |reason, note: &'static str| {
        Refused::from(Failure::new(OAuthCode::AccessDenied, reason, UserMessage::ProviderNotOffered, note))
            .at(provider)
    };
    let entry = snapshot
        .upstreams
        .get(provider)
        .filter(|entry| entry.policy.enabled)
        .ok_or_else(|| refuse("provider.disabled", "the provider was switched off during the sign-in"))?;
    if !client.admits(provider) {
        return Err(refuse("provider.not_offered", "the provider is not open to this application any more"));
    }
    Ok(entry)
}
