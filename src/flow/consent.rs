//! May the application have what it asks for?

use crate::accounts::Account;
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::grant::beyond;
use crate::clients::redirect::ValidatedRedirect;
use crate::clients::{Client, Consent};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, Current};
use crate::flow::state::{self, FlowState, Stage, start_again};
use crate::flow::{App, Outcome, Step, resume};
use crate::protocol::Scope;
use crate::store::StoreError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the page asks, as plain data.
#[derive(Debug)]
pub struct Question {
    /// The sign-in in progress.
    pub flow: FlowState,
    /// Who asks.
    pub client: Arc<Client>,
    /// Where the answer goes.
    pub redirect: ValidatedRedirect,
    /// Who is asked.
    pub account: Account,
}

/// The question, or a place where the browser should be.
#[derive(Debug)]
pub enum Asking {
    /// To be shown.
    Show(Box<Question>),
    /// The session is another one, or over: go on from there.
    Elsewhere(Box<Outcome>),
}

/// The person whose consent the flow waits for, if the browser still has their session.
async fn person(app: &App, browser: &Browser, flow: &FlowState) -> Result<Option<Current>, Refused> {
    if matches!(flow.stage, Stage::Finished) {
        return Err(
            Refused::from(start_again("flow.finished", "the sign-in was answered already")).in_flow(flow)
        );
    }
    let current = sessions::of_flow(app, browser, flow).await?;
    Ok(current.filter(|current| flow.settled_with(&current.session.id)))
}

/// What to ask within a flow.
///
/// # Errors
/// [`Refused`].
pub async fn ask(app: &App, browser: &Browser, handle: Option<&str>) -> Result<Asking, Refused> {
    let flow = state::open(app, browser, handle).await?;
    let Some(current) = person(app, browser, &flow).await? else {
        let step = Step::Continue(flow.handle()?);
        return Ok(Asking::Elsewhere(Box::new(Outcome { step, changes: Changes::none() })));
    };
    let (client, redirect) =
        resume::client_of(&app.now(), &flow).map_err(|refused| refused.in_flow(&flow))?;
    Ok(Asking::Show(Box::new(Question { flow, client, redirect, account: current.account })))
}

/// The person answered. Yes is remembered; no goes to the application as `access_denied`.
///
/// # Errors
/// [`Refused`]; also for no, since the application is refused.
pub async fn answer(
    app: &App,
    browser: &Browser,
    mut flow: FlowState,
    decision: Option<&str>,
) -> Result<Outcome, Refused> {
    let snapshot = app.now();
    let Some(current) = person(app, browser, &flow).await? else {
        // The person who was asked is not the one who is here: nothing is given in their name.
        return resume::dispatch(app, &snapshot, browser, flow, true).await;
    };
    let (client, redirect) = resume::client_of(&snapshot, &flow).map_err(|refused| refused.in_flow(&flow))?;
    match decision {
        Some("allow") => {}
        Some("deny") => {
            flow.finish();
            let changes = state::keep(app, browser, &flow, false).await?;
            let failure = Failure::new(
                OAuthCode::AccessDenied,
                "consent.denied",
                UserMessage::Cancelled,
                "the person did not agree",
            );
            return Err(Refused::from(failure).in_flow(&flow).to_client(&redirect).with(changes));
        }
        _ => {
            let failure =
                Failure::invalid_request("consent.decision", "the decision is neither allow nor deny");
            return Err(Refused::from(failure).in_flow(&flow));
        }
    }
    let now = app.context.now();
    let (account, id) = (current.account.id.clone(), client.id.clone());
    let (scope, claims) = (flow.request.scope.clone(), flow.request.claims.clone());
    app.store
        .write(move |tx| -> Result<(), StoreError> {
            let mut consent = tx.consent(&account, &id)?.unwrap_or_else(|| Consent {
                account: account.clone(),
                client: id.clone(),
                scope: Scope::empty(),
                claims: BTreeSet::new(),
                given_at: now,
            });
            consent.add(&scope, &claims, now);
            tx.put_consent(&consent)?;
            let event = AuditEvent::new(now, AuditKind::ConsentGiven, Actor::Person(account.clone()));
            let single = beyond(&scope, &claims);
            let data = if single.is_empty() {
                serde_json::json!({ "scope": scope.to_string() })
            } else {
                serde_json::json!({ "scope": scope.to_string(), "claims": single })
            };
            tx.append_audit(&event.account(&account).client(&id).data(data))
        })
        .await?;
    flow.agree();
    resume::dispatch(app, &snapshot, browser, flow, true).await
}
