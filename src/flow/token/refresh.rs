//! Refreshing (RFC 6749 §6) with rotation (RFC 9700 §4.14.2), in one transaction. The decision is
//! [`rotation::refresh`]; this is what carries it out.

use super::{TokenAnswer, Verdict, invalid_grant, mint};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::{Client, Grant, GrantType};
use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::standing::{Standing, standing};
use crate::flow::{App, Snapshot};
use crate::protocol::Scope;
use crate::store::{StoreError, Tx};
use crate::tokens::RefreshRecord;
use crate::tokens::handle::{Digest, Handle, Refresh};
use crate::tokens::rotation::{self, RefreshDecision, RefreshFacts, RefreshRefusal};
use crate::tokens::seal::Sealer;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The purpose under which a successor is sealed; bound to the digest of the token that it follows.
const SEAL: &str = "refresh.successor";

/// What the client sent.
pub(super) struct Request {
    pub token: String,
    pub scope: Option<Scope>,
    pub resources: BTreeSet<String>,
}

/// Everything that the transaction needs beside the database.
struct Job {
    snapshot: Arc<Snapshot>,
    client: Arc<Client>,
    request: Request,
    digest: Digest,
    /// A new token, in case one is due.
    next: Handle<Refresh>,
    context: Context,
    sealer: Sealer,
    now: Timestamp,
}

struct Granted {
    standing: Standing,
    scope: Scope,
    audience: BTreeSet<String>,
    token: Handle<Refresh>,
}

/// Gives a successor and new tokens, with the person's data as they are now.
pub(super) async fn refresh(
    app: &App,
    snapshot: Arc<Snapshot>,
    client: Arc<Client>,
    request: Request,
) -> Result<TokenAnswer, Failure> {
    let presented = Handle::<Refresh>::parse(&request.token)
        .ok_or_else(|| invalid_grant("refresh.unknown", "the token has not the form of a refresh token"))?;
    let now = app.context.now();
    let job = Job {
        snapshot: snapshot.clone(),
        client: client.clone(),
        request,
        digest: presented.digest(),
        next: Handle::new(&app.context),
        context: app.context.clone(),
        sealer: app.sealer.clone(),
        now,
    };
    let granted = app.store.write(move |tx| transaction(tx, job)).await?.into_result()?;
    let random = app.context.token_id();
    mint::for_person(
        &snapshot,
        mint::PersonFacts {
            client: &client,
            standing: &granted.standing,
            scope: granted.scope,
            audience: &granted.audience,
            // OIDC Core §12.2: an ID token of a refresh should have no nonce
            nonce: None,
            refresh: Some(granted.token),
            random: &random,
            now,
        },
    )
}

fn transaction(tx: &mut Tx<'_>, job: Job) -> Result<Verdict<Granted>, Failure> {
    let Some(mut record) = tx.refresh(&job.digest)? else {
        return Err(invalid_grant("refresh.unknown", "no such refresh token"));
    };
    let standing = standing(tx, &record.grant, &job.snapshot)?;
    // A second look is due where somebody else rotates the same token at the same time.
    for _ in 0..2 {
        match decide(tx, &job, &record, standing.is_ok())? {
            RefreshDecision::Refuse(refusal) => {
                let reason = match (&standing, refusal) {
                    (Err(fallen), RefreshRefusal::Revoked) => fallen.reason(),
                    _ => refusal.reason(),
                };
                return Err(invalid_grant(reason, "the refresh token is worth nothing"));
            }
            RefreshDecision::Reuse => return reused(tx, &job, &record),
            RefreshDecision::RepeatSuccessor => {
                let standing = standing.map_err(|fallen| invalid_grant(fallen.reason(), "it fell"))?;
                let (scope, audience) = narrowed(tx, &job, &record, &standing.grant)?;
                let sealed = record.sealed_successor.as_deref().unwrap_or_default();
                let token = job
                    .sealer
                    .open(SEAL, job.digest.as_str().as_bytes(), sealed)
                    .and_then(|plain| std::str::from_utf8(&plain).ok().and_then(Handle::parse))
                    .ok_or_else(|| Failure::internal("refresh.seal", "a sealed successor does not open"))?;
                return Ok(Verdict::Granted(Granted { standing, scope, audience, token }));
            }
            RefreshDecision::Rotate => {
                let standing =
                    standing.as_ref().map_err(|fallen| invalid_grant(fallen.reason(), "it fell"))?;
                let (scope, audience) = narrowed(tx, &job, &record, &standing.grant)?;
                if rotate(tx, &job, &record, &standing.grant)? {
                    let (standing, token) = (standing.clone(), job.next.clone());
                    return Ok(Verdict::Granted(Granted { standing, scope, audience, token }));
                }
                let Some(again) = tx.refresh(&job.digest)? else { break };
                record = again;
            }
        }
    }
    Err(invalid_grant("refresh.expired", "the refresh token ended meanwhile"))
}

fn decide(
    tx: &mut Tx<'_>,
    job: &Job,
    record: &RefreshRecord,
    grant_live: bool,
) -> Result<RefreshDecision, StoreError> {
    let successor = match &record.successor {
        Some(digest) => tx.refresh(digest)?,
        None => None,
    };
    Ok(rotation::refresh(&RefreshFacts {
        record,
        successor: successor.as_ref(),
        grant_live,
        client: &job.client.id,
        now: job.now,
        grace: job.snapshot.settings.tokens.refresh_grace,
    }))
}

/// The scope and audience of the new access token: at most what the family has, at most what client and
/// person still allow. Nothing is used up when this refuses.
fn narrowed(
    tx: &mut Tx<'_>,
    job: &Job,
    record: &RefreshRecord,
    grant: &Grant,
) -> Result<(Scope, BTreeSet<String>), Failure> {
    let (client, offer) = (&job.client, &job.snapshot.offer);
    if job.request.scope.as_ref().is_some_and(|wanted| !wanted.is_subset(&record.scope)) {
        return Err(Failure::new(
            OAuthCode::InvalidScope,
            "refresh.scope",
            UserMessage::AppMisconfigured,
            "more than the refresh token can give",
        ));
    }
    let still = offer.narrow(&record.scope, client);
    let offline = still.contains("offline_access") && client.grant_types.contains(&GrantType::RefreshToken);
    let agreed = client.first_party
        || tx
            .consent(&grant.account, &grant.client)?
            .is_some_and(|consent| consent.covers(&record.scope, &grant.details.claims));
    if !offline || !agreed {
        return Err(invalid_grant("refresh.withdrawn", "consent or offline access was withdrawn"));
    }
    let allowed = offer.still_allowed(&record.resources, client);
    let named = if job.request.resources.is_empty() { &record.resources } else { &job.request.resources };
    let audience = offer.audience(named, &allowed)?;
    let wanted =
        job.request.scope.as_ref().map_or_else(|| still.clone(), |wanted| still.intersection(wanted));
    Ok((offer.scope_at(&wanted, &audience), audience))
}

/// Makes the successor. The family keeps its scope, however narrow this access token is (RFC 6749 §6).
fn rotate(tx: &mut Tx<'_>, job: &Job, record: &RefreshRecord, grant: &Grant) -> Result<bool, Failure> {
    let settings = &job.snapshot.settings;
    let sealed = if settings.tokens.refresh_grace.is_zero() {
        None
    } else {
        let text = job.next.expose().as_bytes();
        Some(job.sealer.seal(SEAL, job.digest.as_str().as_bytes(), text, &job.context)?)
    };
    let successor = job.next.digest();
    if !tx.rotate_refresh(&job.digest, &successor, sealed.as_deref(), job.now)? {
        return Ok(false);
    }
    tx.insert_refresh(&RefreshRecord {
        digest: successor,
        grant: record.grant.clone(),
        client: record.client.clone(),
        scope: record.scope.clone(),
        resources: record.resources.clone(),
        issued_at: job.now,
        expires_at: expiry(&job.snapshot, &job.client, grant, job.now),
        used_at: None,
        successor: None,
        sealed_successor: None,
    })?;
    Ok(true)
}

/// Somebody uses a token for the second time: client or thief, nobody can tell which, so the family ends.
fn reused(tx: &mut Tx<'_>, job: &Job, record: &RefreshRecord) -> Result<Verdict<Granted>, Failure> {
    if tx.revoke_grant(&record.grant, job.now)? {
        let mut event =
            AuditEvent::new(job.now, AuditKind::RefreshReused, Actor::Client(job.client.id.clone()))
                .client(&job.client.id)
                .reason("refresh.reused");
        if let Some(grant) = tx.grant(&record.grant)? {
            event = event.account(&grant.account);
        }
        tx.append_audit(&event)?;
    }
    Ok(Verdict::Refused(invalid_grant("refresh.reused", "the token was used before; its family is revoked")))
}

/// When a refresh token that is issued now ends: after its idle time, and never later than its family.
pub(super) fn expiry(snapshot: &Snapshot, client: &Client, grant: &Grant, now: Timestamp) -> Timestamp {
    let tokens = &snapshot.settings.tokens;
    let idle = client.refresh_token_lifetime.unwrap_or(tokens.refresh_idle);
    now.plus(idle).min(grant.created_at.plus(tokens.refresh_absolute))
}
