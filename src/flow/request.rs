//! The authorization request, however it came: in the parameters themselves, in a signed request object
//! (RFC 9101) by value or by reference, or pushed before (RFC 9126). Whatever it was, parameters come of it.

use crate::clients::Client;
use crate::failure::Failure;
use crate::flow::refusals::Refused;
use crate::flow::{App, Snapshot, client_keys};
use crate::jose::{Alg, JoseError};
use crate::protocol::Parameters;
use crate::protocol::authorization::{self, Arrival};
use crate::protocol::request_object::{self, Expected, Source, invalid, invalid_uri};
use crate::store::StoreError;
use crate::tokens::handle::{Digest, Handle, Pushed};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The purpose under which pushed requests are sealed.
pub(super) const PURPOSE: &str = "pushed";

/// A pushed request as it is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The parameters that count, as a query.
    pub parameters: String,
    /// Whether they were a signed request object.
    pub signed: bool,
}

/// The request that counts.
#[derive(Debug)]
pub struct Effective {
    /// Its parameters, where they are others than those that were sent.
    assembled: Option<Parameters<'static>>,
    /// How it came.
    pub arrival: Arrival,
    /// The pushed request that it is.
    pub pushed: Option<Digest>,
}

impl Effective {
    /// The parameters that count, given those that were sent.
    pub fn parameters<'s, 'p: 's>(&'s self, sent: &'s Parameters<'p>) -> &'s Parameters<'s> {
        match &self.assembled {
            Some(assembled) => assembled,
            None => sent,
        }
    }
}

/// Finds the request that counts.
///
/// # Errors
/// `invalid_request_object`, `invalid_request_uri`; a defect of the parameters. The application is told only
/// where the parameters outside name one of its redirect URIs.
pub async fn resolve(app: &App, snapshot: &Snapshot, sent: &Parameters<'_>) -> Result<Effective, Refused> {
    found(app, snapshot, sent).await.map_err(|failure| {
        let find = |id: &str| snapshot.find(id);
        match authorization::client_and_redirect(sent, find) {
            Ok((_, redirect)) => Refused::from(failure).to_client(&redirect),
            Err(_) => failure.into(),
        }
    })
}

async fn found(app: &App, snapshot: &Snapshot, sent: &Parameters<'_>) -> Result<Effective, Failure> {
    let arrival = Arrival { pushed_demanded: snapshot.settings.sign_in.pushed_only, ..Arrival::default() };
    let source = request_object::source(sent)?;
    if source == Source::Plain {
        return Ok(Effective { assembled: None, arrival, pushed: None });
    }
    let client = authorization::client(sent, |id| snapshot.find(id))?;
    sent.check()?;
    match source {
        Source::Plain => Ok(Effective { assembled: None, arrival, pushed: None }),
        Source::Value(object) => {
            let assembled = open(app, snapshot, &client, object, sent, false).await?;
            let arrival = Arrival { signed: true, ..arrival };
            Ok(Effective { assembled: Some(assembled), arrival, pushed: None })
        }
        Source::Reference(uri) => {
            let object = app.request_uris.fetch(app, snapshot, &client, uri).await?;
            let assembled = open(app, snapshot, &client, &object, sent, false).await?;
            let arrival = Arrival { signed: true, ..arrival };
            Ok(Effective { assembled: Some(assembled), arrival, pushed: None })
        }
        Source::Pushed(handle) => {
            let (digest, kept) = pushed(app, &client, handle).await?;
            let decoded = Parameters::decode(&kept.parameters)?;
            let pairs = decoded.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let assembled = Parameters::from_pairs(pairs.collect())?;
            let arrival = Arrival { pushed: true, signed: kept.signed, ..arrival };
            Ok(Effective { assembled: Some(assembled), arrival, pushed: Some(digest) })
        }
    }
}

/// Verifies a request object with its client's keys, and gives the parameters that count.
///
/// # Errors
/// `invalid_request_object`, with the reasons of [`crate::jose`] and of [`request_object::check`].
pub(super) async fn open(
    app: &App,
    snapshot: &Snapshot,
    client: &Arc<Client>,
    object: &str,
    outside: &Parameters<'_>,
    only_inside: bool,
) -> Result<Parameters<'static>, Failure> {
    let refused = |error: JoseError| invalid(error.reason(), error.note().to_owned());
    let allowed: Vec<Alg> = match client.requests.alg.as_deref() {
        Some(name) => Alg::parse(name).into_iter().collect(),
        None => Alg::ALL.to_vec(),
    };
    let verified = client_keys::verify(app, snapshot, client, object, &allowed).await.map_err(refused)?;
    let settings = &snapshot.settings;
    let expected = Expected {
        client: client.id.as_str(),
        issuer: settings.issuer.as_str(),
        now: app.context.now(),
        skew: settings.sign_in.skew,
    };
    let typ = verified.header.typ.as_deref();
    request_object::check(typ, &verified.claims, outside, &expected)?;
    let inside = request_object::parameters(&verified.claims)?;
    let only_inside = only_inside || client.requests.signed_only || request_object::is_explicit(typ);
    request_object::assemble(outside, inside, client.id.as_str(), only_inside)
}

/// Opens a request that this client pushed.
///
/// # Errors
/// `pushed.unknown`, `pushed.client`.
async fn pushed(app: &App, client: &Client, text: &str) -> Result<(Digest, Kept), Failure> {
    let unknown = || invalid_uri("pushed.unknown", "no such pushed request: it is over, used, or never was");
    let handle = Handle::<Pushed>::parse(text).ok_or_else(unknown)?;
    let (digest, now) = (handle.digest(), app.context.now());
    let key = digest.clone();
    let record = app.store.read::<_, StoreError, _>(move |tx| tx.pushed(&key, now)).await?;
    let record = record.ok_or_else(unknown)?;
    if record.client != client.id {
        return Err(invalid_uri("pushed.client", "the request was pushed by another client"));
    }
    let sealed = app.sealer.open(PURPOSE, handle.expose().as_bytes(), &record.sealed);
    let kept = sealed.and_then(|plain| serde_json::from_slice(&plain).ok());
    Ok((digest, kept.ok_or_else(unknown)?))
}
