//! The one dispatcher: after every step the browser comes back here, and what is still missing is decided
//! anew: a session that fits, the person's consent, or nothing. Then the application gets its code.
//!
//! The code is bound to the browser that began the sign-in, because only that browser brings the flow.

use crate::accounts::{AccountStatus, EmailAddress};
use crate::assurance::{self, Demand, Fit, ProofFacts, SessionFacts};
use crate::chooser::{self, Candidate, Catalogue, Decision, Offer};
use crate::clients::redirect::ValidatedRedirect;
use crate::clients::{Client, Grant, GrantDetails, GrantProof};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes};
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, Current};
use crate::flow::state::{self, FlowState, Stage, start_again};
use crate::flow::{App, Outcome, Snapshot, Step, sign_in};
use crate::protocol::AuthorizationRequest;
use crate::sessions::Proof;
use crate::sessions::notice::Party;
use crate::store::StoreError;
use crate::tokens::CodeRecord;
use crate::tokens::handle::{Code, Digest, Handle};
use crate::upstream::Registry;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Goes on with the flow of a handle.
///
/// # Errors
/// [`Refused`], with what is known of the flow for the ways on.
pub async fn resume(app: &App, browser: &Browser, handle: Option<&str>) -> Result<Outcome, Refused> {
    let flow = state::open(app, browser, handle).await?;
    dispatch(app, &app.now(), browser, flow, true).await
}

/// The client of a flow as it is now, and where it is answered.
///
/// # Errors
/// `client.unknown`, or `client.redirect_uri` where the registration changed meanwhile.
pub fn client_of(snapshot: &Snapshot, flow: &FlowState) -> Result<(Arc<Client>, ValidatedRedirect), Refused> {
    let client = snapshot.client(flow.request.client.as_str()).ok_or_else(|| {
        Failure::new(
            OAuthCode::InvalidRequest,
            "client.disabled",
            UserMessage::UnknownApp,
            "the client was removed or switched off during the sign-in",
        )
    })?;
    let redirect = flow.request.redirect(&client)?;
    Ok((client, redirect))
}

/// What an authorization request demands of the sign-in.
pub fn demand(flow: &FlowState) -> Demand {
    Demand {
        login: flow.request.prompt.login,
        select_account: flow.request.prompt.select_account,
        max_age: flow.request.max_age,
        subjects: wanted_people(flow),
        acr: flow.request.claims.demanded_acr(),
    }
}

/// The only people who will do: whom the hint means, and whom the claims request names.
fn wanted_people(flow: &FlowState) -> Option<BTreeSet<String>> {
    let hinted = flow.subject.clone().map(|sub| BTreeSet::from([sub]));
    match (hinted, flow.request.claims.subjects()) {
        (Some(hinted), Some(named)) => Some(hinted.intersection(&named).cloned().collect()),
        (hinted, named) => hinted.or(named),
    }
}

/// All providers that are switched on, for a snapshot.
pub fn catalogue(upstreams: &Registry) -> Catalogue {
    let open = upstreams.iter().filter(|entry| entry.policy.enabled);
    let candidates = open.map(|entry| Candidate {
        id: entry.id.clone(),
        name: entry.display.name.clone(),
        order: entry.display.order,
        hidden: entry.display.hidden,
        domains: entry.policy.authoritative_for.clone(),
        lets_choose: entry.upstream.lets_choose(),
    });
    Catalogue::new(candidates.collect())
}

/// Whether a client's people may use a provider now, and it can meet the demand.
pub fn admits(snapshot: &Snapshot, client: &Client, demand: &Demand, candidate: &Candidate) -> bool {
    if !client.admits(&candidate.id) {
        return false;
    }
    if !demand.needs_freshness() && demand.acr.is_none() {
        return true;
    }
    snapshot.upstreams.get(&candidate.id).is_some_and(|entry| {
        (!demand.needs_freshness() || entry.upstream.proves_freshness())
            && demand.acr.as_ref().is_none_or(|wanted| entry.policy.acr_map.reaches(wanted))
    })
}

/// Decides what is still missing. `kept`: the browser holds the flow, so an answer must use it up.
///
/// # Errors
/// [`Refused`].
pub async fn dispatch(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    mut flow: FlowState,
    kept: bool,
) -> Result<Outcome, Refused> {
    if matches!(flow.stage, Stage::Finished) {
        return Err(
            Refused::from(start_again("flow.finished", "the sign-in was answered already")).in_flow(&flow)
        );
    }
    let (client, redirect) = client_of(snapshot, &flow).map_err(|refused| refused.in_flow(&flow))?;
    if matches!(flow.stage, Stage::Asking(_)) {
        return Ok(Outcome { step: Step::Details(flow.handle()?), changes: Changes::none() });
    }
    let current = sessions::of_flow(app, browser, &flow).await?;
    let facts = match &current {
        Some(current) => Some(session_facts(snapshot, &client, &flow, current)?),
        None => None,
    };
    let demand = demand(&flow);
    let fit = assurance::weigh(facts.as_ref(), &demand, app.context.now());
    let nobody = demand.subjects.as_ref().is_some_and(BTreeSet::is_empty);
    if nobody || (fit == Fit::OtherPerson && facts.is_some_and(|facts| facts.proved_in_flow.is_some())) {
        // OIDC Core §3.1.2.1, §3.1.2.2: the person who was meant did not sign in, even when asked.
        let refused = client_error(OAuthCode::LoginRequired, "authorize.subject", "another person signed in");
        return Err(refused.in_flow(&flow).to_client(&redirect));
    }
    if fit == Fit::Insufficient {
        let refused = client_error(
            OAuthCode::UnmetAuthenticationRequirements,
            "authorize.acr",
            "the person signed in, and none of the demanded authentication contexts was reached",
        );
        return Err(refused.in_flow(&flow).to_client(&redirect));
    }
    let silent = flow.request.prompt.none;
    let open = |candidate: &Candidate| admits(snapshot, &client, &demand, candidate);
    let domain = flow.request.login_hint.as_deref().and_then(|hint| EmailAddress::parse(hint).ok());
    let decision = chooser::decide(&chooser::Facts {
        silent,
        select_account: demand.select_account,
        session: fit,
        offer: Offer::new(&snapshot.catalogue, &open),
        idp_hint: flow.idp_hint.as_deref(),
        login_hint_domain: domain.as_ref().map(EmailAddress::domain),
        default_provider: client.default_provider.as_ref(),
        list_wanted: flow.list_wanted,
    });
    // The application is told of the proof that meets its demand, and of no other.
    let proof = match (fit, &current) {
        (Fit::Fits(place), Some(current)) => current.session.proofs.get(place).cloned(),
        _ => None,
    };
    match (decision, current.zip(proof)) {
        (Decision::Reuse, Some((current, proof))) => {
            flow.settle(current.session.id.clone(), proof.identity.clone());
            if consent_is_due(app, &client, &flow, &current).await? {
                if silent {
                    let refused = client_error(
                        OAuthCode::ConsentRequired,
                        "authorize.consent_required",
                        "prompt=none, and the person has not agreed yet",
                    );
                    return Err(refused.in_flow(&flow).to_client(&redirect));
                }
                let changes = state::keep(app, browser, &flow, false).await?;
                return Ok(Outcome { step: Step::Consent(flow.handle()?), changes });
            }
            issue(app, snapshot, browser, &redirect, flow, (&current, &proof), kept).await
        }
        (Decision::Go(provider), _) => sign_in::depart(app, snapshot, browser, flow, &provider).await,
        (Decision::Choose, _) => {
            let changes = state::keep(app, browser, &flow, false).await?;
            Ok(Outcome { step: Step::SignIn(flow.handle()?), changes })
        }
        (Decision::LoginRequired | Decision::Reuse, _) => {
            let refused = client_error(
                OAuthCode::LoginRequired,
                "authorize.login_required",
                "prompt=none, and no session fits",
            );
            Err(refused.in_flow(&flow).to_client(&redirect))
        }
        // OIDC Core §5.5.1.1: an essential context that cannot be reached is a failed attempt.
        (Decision::NoProvider, _) if demand.acr.is_some() => {
            let refused = client_error(
                OAuthCode::UnmetAuthenticationRequirements,
                "authorize.acr",
                "no provider that is open to the application can reach a demanded authentication context",
            );
            Err(refused.in_flow(&flow).to_client(&redirect))
        }
        // OIDC Core §3.1.2.1: who cannot re-authenticate the person says so.
        (Decision::NoProvider, _) if demand.needs_freshness() => {
            let refused = client_error(
                OAuthCode::UnmetAuthenticationRequirements,
                "authorize.freshness",
                "a fresh proof is demanded, and no provider that is open to the application can show one",
            );
            Err(refused.in_flow(&flow).to_client(&redirect))
        }
        (Decision::NoProvider, _) => {
            let failure = Failure::new(
                OAuthCode::AccessDenied,
                "provider.not_offered",
                UserMessage::ProviderNotOffered,
                "no provider is open to this application",
            );
            Err(Refused::from(failure).in_flow(&flow))
        }
    }
}

/// What the browser's session shows for this request.
fn session_facts(
    snapshot: &Snapshot,
    client: &Client,
    flow: &FlowState,
    current: &Current,
) -> Result<SessionFacts, Failure> {
    let session = &current.session;
    let proofs = session.proofs.iter().map(|proof| ProofFacts {
        open: client.admits(&proof.provider)
            && snapshot.upstreams.get(&proof.provider).is_none_or(|entry| entry.policy.enabled)
            && snapshot.is_issuer_of(&proof.provider, &proof.issuer),
        acr: snapshot.acr(&proof.provider, proof.acr.as_deref()),
        auth_time: proof.auth_time_asserted.then_some(proof.auth_time),
    });
    let by = flow.settled_by(&session.id);
    Ok(SessionFacts {
        subject: snapshot.subjects.of(client, &current.account.id)?,
        proofs: proofs.collect(),
        proved_in_flow: by.and_then(|by| session.proofs.iter().rposition(|proof| proof.identity == *by)),
    })
}

fn client_error(code: OAuthCode, reason: &'static str, note: &'static str) -> Refused {
    Failure::new(code, reason, UserMessage::StartAgain, note).into()
}

/// Whether the person must be asked. `prompt=consent` always asks, once a request (OIDC Core §3.1.2.1).
async fn consent_is_due(
    app: &App,
    client: &Client,
    flow: &FlowState,
    current: &Current,
) -> Result<bool, StoreError> {
    if flow.consented() {
        return Ok(false);
    }
    if flow.request.prompt.consent {
        return Ok(true);
    }
    if client.first_party {
        return Ok(false);
    }
    let (account, id) = (current.account.id.clone(), client.id.clone());
    let given = app.store.read(move |tx| tx.consent(&account, &id)).await?;
    Ok(!given.is_some_and(|consent| consent.covers(&flow.request.scope, &flow.request.claims)))
}

/// What came of issuing a code.
enum Issued {
    Code,
    /// The flow was answered already.
    Answered,
    /// The pushed request that it began with was used in another one.
    PushedUsed,
    /// The session ended in between.
    SessionEnded,
}

/// Answers the application with a code. The flow is used up in the same transaction: one code per flow.
async fn issue(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    redirect: &ValidatedRedirect,
    mut flow: FlowState,
    (current, proof): (&Current, &Proof),
    kept: bool,
) -> Result<Outcome, Refused> {
    let settings = &snapshot.settings;
    let now = app.context.now();
    let code = Handle::<Code>::new(&app.context);
    let request: &AuthorizationRequest = &flow.request;
    let grant = Grant {
        id: app.context.grant_id(),
        account: current.account.id.clone(),
        client: request.client.clone(),
        session: current.session.id.clone(),
        scope: request.scope.clone(),
        resources: request.resources.clone(),
        auth_time: proof.auth_time,
        created_at: now,
        revoked_at: None,
        details: GrantDetails { claims: request.claims.clone(), proof: Some(GrantProof::from(proof)) },
    };
    let record = CodeRecord {
        digest: code.digest(),
        grant: grant.id.clone(),
        client: request.client.clone(),
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge.as_ref().map(|challenge| challenge.as_str().to_owned()),
        nonce: request.nonce.clone(),
        scope: request.scope.clone(),
        resources: request.resources.clone(),
        expires_at: now.plus(settings.tokens.code),
        used_at: None,
    };
    let (once, idle) = (kept.then(|| (flow.digest(), flow.expires_at)), settings.sessions.idle);
    // RFC 9126 §7.3: used up by the code and not before, so that a person may load a page again.
    let pushed = flow.pushed.clone().map(Digest::from_stored);
    let sign_in = &settings.sign_in;
    let remembered = now.plus(sign_in.pushed_lifetime).plus(sign_in.lifetime).plus(sign_in.skew);
    let session = current.session.id.clone();
    let client = snapshot.client(request.client.as_str()).filter(|client| Party::wants(client));
    let party = match client {
        Some(client) => {
            let sub = snapshot.subjects.of(&client, &grant.account).map_err(Failure::from)?;
            let sid = snapshot.subjects.session(&client, &session).map_err(Failure::from)?;
            Some(Party::new(&client, sub, sid))
        }
        None => None,
    };
    let issued = app
        .store
        .write(move |tx| -> Result<Issued, StoreError> {
            if let Some((digest, until)) = once
                && !tx.use_once("flow", &digest, until)?
            {
                return Ok(Issued::Answered);
            }
            if let Some(digest) = pushed
                && !tx.consume_pushed(&digest, remembered)?
            {
                return Ok(Issued::PushedUsed);
            }
            let Some(current) = sessions::by_id(tx, &session, now, idle)? else {
                return Ok(Issued::SessionEnded);
            };
            if tx.hold_account(&current.account.id)? != Some(AccountStatus::Active) {
                return Ok(Issued::SessionEnded);
            }
            sessions::touch(tx, &current.session, now)?;
            if let Some(party) = &party {
                tx.join_session(&session, party)?;
            }
            tx.insert_grant(&grant)?;
            tx.insert_code(&record)?;
            Ok(Issued::Code)
        })
        .await?;
    match issued {
        Issued::Code => {}
        Issued::Answered => {
            return Err(Refused::from(start_again("flow.finished", "the sign-in was answered already"))
                .in_flow(&flow));
        }
        Issued::PushedUsed => {
            let failure = Failure::new(
                OAuthCode::InvalidRequestUri,
                "pushed.used",
                UserMessage::StartAgain,
                "the pushed request was answered in another sign-in",
            );
            flow.finish();
            return Err(Refused::from(failure).in_flow(&flow));
        }
        Issued::SessionEnded => {
            return Err(
                Refused::from(start_again("session.ended", "the session ended meanwhile")).in_flow(&flow)
            );
        }
    }
    metrics::counter!("countersign_codes_issued_total").increment(1);
    let reply = redirect.with_code(settings.issuer.as_str(), code.expose());
    let changes = if kept {
        flow.finish();
        state::keep(app, browser, &flow, false).await?
    } else {
        Changes::none()
    };
    Ok(Outcome { step: Step::Client(reply), changes })
}
