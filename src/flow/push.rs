//! Pushed authorization requests (RFC 9126): the client sends its request straight to us, proves itself, and
//! gets an address that stands for it. The browser then carries nothing but that address.

use crate::clients::Client;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::discovery::paths;
use crate::flow::request::{self, Kept, PURPOSE};
use crate::flow::{App, Snapshot, authentication, authorize};
use crate::protocol::Parameters;
use crate::protocol::authorization::{self, Arrival, Refusal};
use crate::protocol::request_object::PUSHED_PREFIX;
use crate::store::{Bounds, Pushed as Outcome, StoreError};
use crate::tokens::PushedRecord;
use crate::tokens::handle::{Handle, Pushed};
use serde::Serialize;
use std::sync::Arc;

/// A successful answer (RFC 9126 §2.2).
#[derive(Debug, Serialize)]
pub struct PushedAnswer {
    request_uri: String,
    /// Seconds.
    expires_in: u64,
}

/// What authenticates the client and is no part of its request (RFC 9126 §2.1).
const CREDENTIALS: &[&str] = &["client_secret", "client_assertion", "client_assertion_type"];

/// Takes a request from a client, after the same checks as at the authorization endpoint.
///
/// # Errors
/// Those of client authentication and of the authorization endpoint; `pushed.request_uri` for one that stands
/// for another (RFC 9126 §2.1); `slow_down` where too many wait.
pub async fn push(
    app: &App,
    source: &str,
    authorization: Option<&str>,
    form: &Parameters<'_>,
) -> Result<PushedAnswer, Failure> {
    let snapshot = app.now();
    let client = authentication::client(app, &snapshot, authorization, form, paths::PUSH).await?;
    if form.has("request_uri") {
        return Err(Failure::invalid_request("pushed.request_uri", "a request URI cannot be pushed"));
    }
    let (parameters, signed) = match form.get("request") {
        // RFC 9126 §3: whatever belongs to the request is inside.
        Some(object) => (request::open(app, &snapshot, &client, object, form, true).await?, true),
        None => (without_credentials(form, &client)?, false),
    };
    check(app, &snapshot, &client, &parameters, signed)?;
    let kept = Kept { parameters: parameters.encoded(), signed };
    keep(app, &snapshot, source, &client, &kept).await
}

/// The request's own parameters. The client is the one that proved itself, named or not.
fn without_credentials(form: &Parameters<'_>, client: &Client) -> Result<Parameters<'static>, Failure> {
    let own = form.iter().filter(|(name, _)| *name != "client_id" && !CREDENTIALS.contains(name));
    let mut pairs: Vec<_> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.push(("client_id".to_owned(), client.id.to_string()));
    Parameters::from_pairs(pairs)
}

/// The same checks as at the authorization endpoint, so that nothing is kept that would be refused there.
fn check(
    app: &App,
    snapshot: &Snapshot,
    client: &Arc<Client>,
    parameters: &Parameters<'_>,
    signed: bool,
) -> Result<(), Failure> {
    let arrival = Arrival { pushed: true, signed, ..Arrival::default() };
    let find = |id: &str| (id == client.id.as_str()).then(|| client.clone());
    let validated =
        authorization::parse(parameters, arrival, find, &snapshot.offer).map_err(
            |refusal| match refusal {
                Refusal::Page(failure) | Refusal::Redirect(failure, _) => failure,
            },
        )?;
    let mut request = validated.request;
    authorize::hinted(app, snapshot, &mut request).map(|_| ())
}

async fn keep(
    app: &App,
    snapshot: &Snapshot,
    source: &str,
    client: &Client,
    kept: &Kept,
) -> Result<PushedAnswer, Failure> {
    let settings = &snapshot.settings;
    let (now, lifetime) = (app.context.now(), settings.sign_in.pushed_lifetime);
    let handle = Handle::<Pushed>::new(&app.context);
    let plain = serde_json::to_vec(kept)
        .map_err(|error| Failure::internal("pushed.seal", "a request cannot be written").caused_by(error))?;
    let record = PushedRecord {
        digest: handle.digest(),
        client: client.id.clone(),
        source: source.to_owned(),
        sealed: app.sealer.seal(PURPOSE, handle.expose().as_bytes(), &plain, &app.context)?,
        expires_at: now.plus(lifetime),
    };
    let limits = &settings.limits;
    let bounds = Bounds { client: limits.pushed_per_client, source: limits.pushed_per_address };
    let outcome = app
        .store
        .write(move |tx| -> Result<_, StoreError> { tx.insert_pushed(&record, bounds, now) })
        .await?;
    let full =
        |reason, note: &'static str| Failure::new(OAuthCode::SlowDown, reason, UserMessage::TooMany, note);
    match outcome {
        Outcome::Kept => {}
        Outcome::ClientFull => {
            return Err(full("pushed.client_full", "the client has too many requests waiting"));
        }
        Outcome::SourceFull => {
            return Err(full("pushed.address_full", "the address has too many requests waiting"));
        }
    }
    metrics::counter!("countersign_requests_pushed_total").increment(1);
    Ok(PushedAnswer {
        request_uri: format!("{PUSHED_PREFIX}{}", handle.expose()),
        expires_in: lifetime.as_secs(),
    })
}
