//! Sending logout tokens (OIDC Back-Channel Logout 1.0 §2.5). They were queued in the transaction that ended
//! the session, so none is lost; here they are sent, each client by itself, so that one that hangs or is away
//! holds up neither the others nor the person.
//!
//! Nodes share the work: a delivery is claimed by a conditional update, for as long as a lease. If its node
//! dies, another one sends it when the lease has run out. So a client is told at least once; a second token
//! about the same session is no error (§2.7).

use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::config::Settings;
use crate::context::Timestamp;
use crate::flow::client_network::ClientNetwork;
use crate::flow::{App, Snapshot};
use crate::ids::ClientId;
use crate::jose::TokenType;
use crate::outbound::{Fault, MAX_BODY, Method, Network, Outbound, Request};
use crate::sessions::notice::{self, Delivery, DeliveryState, Outcome};
use crate::store::StoreError;
use crate::tokens::logout::LogoutTokenClaims;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use url::Url;

/// How often it is looked what is due.
const POLL: Duration = Duration::from_millis(500);
/// For how long a node holds what it sends; longer than any request may take.
const LEASE: Duration = Duration::from_secs(60);
/// Clients that are looked at in one round.
const CLIENTS: u32 = 500;
/// Requests to one client at a time.
const AT_ONCE: u32 = 4;
/// Requests in all at a time.
const IN_ALL: usize = 256;
/// After which time a client is tried again that nobody asked because it was away a moment ago.
const AWAY: Duration = Duration::from_secs(10);

/// The ways out to the clients that were sent something lately, by the settings under which they were made.
#[derive(Default)]
struct Ways(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    settings: Option<Arc<Settings>>,
    by_client: HashMap<ClientId, (Network, Outbound)>,
}

/// Sends what is due, until it is dropped.
pub async fn run(app: &Arc<App>) {
    let ways = Arc::new(Ways::default());
    let mut busy: HashMap<ClientId, u32> = HashMap::new();
    let mut sending: JoinSet<ClientId> = JoinSet::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            Some(done) = sending.join_next(), if !sending.is_empty() => free(&mut busy, done),
        }
        while let Some(done) = sending.try_join_next() {
            free(&mut busy, done);
        }
        let claimed = match claim(app, &busy, IN_ALL.saturating_sub(sending.len())).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "logout tokens that are due cannot be looked up");
                continue;
            }
        };
        for (delivery, lease) in claimed {
            *busy.entry(delivery.client.clone()).or_default() += 1;
            let (app, ways) = (app.clone(), ways.clone());
            sending.spawn(async move {
                let client = delivery.client.clone();
                deliver(&app, &ways, delivery, lease).await;
                client
            });
        }
    }
}

/// A request has ended, and its client may be sent another one.
fn free(busy: &mut HashMap<ClientId, u32>, done: Result<ClientId, tokio::task::JoinError>) {
    match done {
        Ok(client) => {
            if let Some(count) = busy.get_mut(&client) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    busy.remove(&client);
                }
            }
        }
        // Nobody knows whose it was: all may go on, and the bound on all of them still holds.
        Err(error) => {
            tracing::error!(%error, "sending a logout token broke off; it is tried again");
            busy.clear();
        }
    }
}

/// Claims what is due, as far as each client and all together have room.
async fn claim(
    app: &App,
    busy: &HashMap<ClientId, u32>,
    room: usize,
) -> Result<Vec<(Delivery, Timestamp)>, StoreError> {
    let now = app.context.now();
    let (due, waiting) = app
        .store
        .read(move |tx| -> Result<_, StoreError> {
            Ok((tx.due_logouts(now, CLIENTS)?, tx.waiting_logouts()?))
        })
        .await?;
    #[allow(clippy::cast_precision_loss)] // a gauge
    metrics::gauge!("countersign_logout_deliveries_waiting").set(waiting as f64);
    let mut room = u32::try_from(room).unwrap_or(u32::MAX);
    let mut wanted = Vec::new();
    for client in due {
        let free = AT_ONCE.saturating_sub(busy.get(&client).copied().unwrap_or(0)).min(room);
        if free > 0 {
            room -= free;
            wanted.push((client, free));
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let lease = now.plus(LEASE);
    let claimed = app
        .store
        .write(move |tx| -> Result<Vec<Delivery>, StoreError> {
            let mut claimed = Vec::new();
            for (client, free) in &wanted {
                claimed.extend(tx.claim_logouts(client, now, lease, *free)?);
            }
            Ok(claimed)
        })
        .await?;
    Ok(claimed.into_iter().map(|delivery| (delivery, lease)).collect())
}

/// One try, and what came of it.
async fn deliver(app: &App, ways: &Ways, delivery: Delivery, lease: Timestamp) {
    let snapshot = app.now();
    let tried = attempt(app, &snapshot, ways, &delivery).await;
    let now = app.context.now();
    let mut settled = delivery;
    let mut word = "failed";
    match tried {
        Ok(outcome) => {
            settled.attempts = settled.attempts.saturating_add(1);
            settled.last_at = Some(now);
            match outcome {
                Outcome::Delivered => {
                    word = "delivered";
                    settled.state = DeliveryState::Delivered;
                    settled.answer = None;
                }
                Outcome::Refused(why) => {
                    word = "refused";
                    settled.state = DeliveryState::Refused;
                    settled.answer = Some(why);
                }
                Outcome::Failed(why) => {
                    settled.answer = Some(why);
                    let [dice] = app.context.bytes::<1>();
                    match notice::pause(settled.attempts, dice) {
                        Some(pause) => settled.due_at = now.plus(pause),
                        None => {
                            word = "given_up";
                            settled.state = DeliveryState::GivenUp;
                        }
                    }
                }
            }
        }
        // Nobody was asked, so it was no try.
        Err(Untried) => {
            settled.due_at = now.plus(AWAY);
            word = "postponed";
        }
    }
    metrics::counter!("countersign_logout_deliveries_total", "outcome" => word).increment(1);
    let lost = matches!(settled.state, DeliveryState::Refused | DeliveryState::GivenUp);
    let (client, session) = (settled.client.clone(), settled.session.clone());
    let answer = settled.answer.clone().unwrap_or_default();
    if lost {
        tracing::warn!(%client, %session, answer, "a client could not be told that a session ended");
    } else {
        tracing::debug!(%client, %session, word, answer, "logout token");
    }
    let event = lost.then(|| {
        AuditEvent::new(now, AuditKind::LogoutUndelivered, Actor::System)
            .account(&settled.account)
            .client(&settled.client)
            .data(serde_json::json!({ "session": settled.session, "state": settled.state.as_str(), "answer": answer }))
    });
    let written = app
        .store
        .write(move |tx| -> Result<(), StoreError> {
            if tx.settle_logout(&settled, lease)?
                && let Some(event) = &event
            {
                tx.append_audit(event)?;
            }
            Ok(())
        })
        .await;
    if let Err(error) = written {
        tracing::warn!(%client, %error, "what came of a logout token cannot be kept; it is sent again");
    }
}

/// The client was away a moment ago, or too much is on its way there, so nobody asked it.
struct Untried;

async fn attempt(
    app: &App,
    snapshot: &Snapshot,
    ways: &Ways,
    delivery: &Delivery,
) -> Result<Outcome, Untried> {
    let failed = |why: &str| Ok(Outcome::Failed(why.to_owned()));
    // As the client is now; one that was removed is told where it was.
    let client = snapshot.find(delivery.client.as_str());
    let (uri, alg) = match &client {
        Some(client) => match &client.logout.backchannel_uri {
            Some(uri) => (uri.as_str(), client.id_token_alg),
            None => {
                return Ok(Outcome::Refused("the client has no backchannel_logout_uri any more".to_owned()));
            }
        },
        None => (delivery.uri.as_str(), delivery.alg),
    };
    let Ok(url) = Url::parse(uri) else { return failed("the address is none") };
    let claims = LogoutTokenClaims::new(
        snapshot.settings.issuer.as_str(),
        delivery.client.as_str(),
        &delivery.sub,
        &delivery.sid,
        app.context.token_id(),
        app.context.now(),
    );
    let token = match snapshot.keyring.sign(alg, TokenType::Logout, &claims) {
        Ok(token) => token,
        Err(error) => return failed(error.reason()),
    };
    let Some(way) = ways.to(app, snapshot, &delivery.client) else {
        return failed("net.client: the way out to clients cannot be made");
    };
    let body =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
    let headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
    ];
    let request = Request { method: Method::Post, url, headers, body: body.into_bytes() };
    match way.send(request, MAX_BODY).await {
        Ok(answer) => Ok(notice::verdict(answer.status, &answer.body)),
        Err(Fault::Open | Fault::Busy) => Err(Untried),
        Err(fault) => failed(&format!("{}: {fault}", fault.reason())),
    }
}

/// Ways that are kept at the same time: clients that registered themselves may be many.
const MOST_WAYS: usize = 4096;

impl Ways {
    /// The way out to a client, with a breaker of its own; made anew when the settings change.
    fn to(&self, app: &App, snapshot: &Snapshot, client: &ClientId) -> Option<Outbound> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = &snapshot.settings;
        if !kept.settings.as_ref().is_some_and(|before| Arc::ptr_eq(before, settings)) {
            *kept = Kept { settings: Some(settings.clone()), by_client: HashMap::new() };
        }
        // What a client may reach depends on who made it, and that may change under one id.
        let rules = ClientNetwork::rules(settings, snapshot.find(client.as_str()).as_deref());
        if let Some((_, way)) = kept.by_client.get(client).filter(|(before, _)| *before == rules) {
            return Some(way.clone());
        }
        if kept.by_client.len() >= MOST_WAYS {
            kept.by_client.clear();
        }
        match app.client_network.way(&app.context, &rules) {
            Ok(way) => {
                kept.by_client.insert(client.clone(), (rules, way.clone()));
                Some(way)
            }
            Err(failure) => {
                tracing::error!(?failure, "the way out to clients cannot be made");
                None
            }
        }
    }
}
