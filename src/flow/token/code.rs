//! Redeeming an authorization code (RFC 6749 §4.1.3), in one transaction.

use super::{TokenAnswer, Verdict, invalid_grant, mint};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::{Client, GrantType};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::standing::{Standing, standing};
use crate::flow::{App, Snapshot};
use crate::protocol::{Challenge, Scope, pkce};
use crate::store::{CodeOutcome, Tx};
use crate::tokens::handle::{Code, Digest, Handle, Refresh};
use crate::tokens::{CodeRecord, RefreshRecord};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the client sent.
pub(super) struct Redemption {
    pub code: String,
    pub redirect_uri: Option<String>,
    pub verifier: Option<String>,
    pub resources: BTreeSet<String>,
}

struct Granted {
    standing: Standing,
    nonce: Option<String>,
    scope: Scope,
    audience: BTreeSet<String>,
    offline: bool,
}

/// Redeems a code for tokens.
///
/// A code of another client is left alone: that client must be able to go on. A code that the right client
/// presents with a wrong redirect URI or verifier is used up, because somebody else has seen it. A second use
/// revokes the grant, and with it all that the first one gave (RFC 6749 §4.1.2).
pub(super) async fn redeem(
    app: &App,
    snapshot: Arc<Snapshot>,
    client: Arc<Client>,
    request: Redemption,
) -> Result<TokenAnswer, Failure> {
    let code = Handle::<Code>::parse(&request.code)
        .ok_or_else(|| invalid_grant("code.unknown", "the code has not the form of a code"))?;
    let now = app.context.now();
    let (digest, refresh) = (code.digest(), Handle::<Refresh>::new(&app.context));
    let successor = refresh.digest();
    let (facts, owner) = (snapshot.clone(), client.clone());
    let granted = app
        .store
        .write(move |tx| transaction(tx, &facts, &owner, &request, &digest, successor, now))
        .await?
        .into_result()?;
    let random = app.context.token_id();
    mint::for_person(
        &snapshot,
        mint::PersonFacts {
            client: &client,
            standing: &granted.standing,
            scope: granted.scope,
            audience: &granted.audience,
            nonce: granted.nonce.as_deref(),
            refresh: granted.offline.then_some(refresh),
            random: &random,
            now,
        },
    )
}

fn transaction(
    tx: &mut Tx<'_>,
    snapshot: &Snapshot,
    client: &Client,
    request: &Redemption,
    digest: &Digest,
    refresh: Digest,
    now: Timestamp,
) -> Result<Verdict<Granted>, Failure> {
    let record = match tx.consume_code(digest, now)? {
        CodeOutcome::Unknown => return Err(invalid_grant("code.unknown", "no such code")),
        CodeOutcome::Fresh(record) | CodeOutcome::Expired(record) | CodeOutcome::Replayed(record)
            if record.client != client.id =>
        {
            return Err(invalid_grant("code.client", "the code is another client's"));
        }
        CodeOutcome::Expired(_) => return Err(invalid_grant("code.expired", "the code has expired")),
        CodeOutcome::Replayed(record) => return replayed(tx, &record, now),
        CodeOutcome::Fresh(record) => record,
    };
    if record.redirect_uri != request.redirect_uri {
        let failure = invalid_grant("code.redirect_uri", "not the redirect URI of the authorization request");
        return Ok(Verdict::Refused(failure));
    }
    let challenge = record.challenge.clone().map(Challenge::from_stored);
    if let Err(failure) = pkce::verify(challenge.as_ref(), request.verifier.as_deref()) {
        return Ok(Verdict::Refused(failure));
    }
    let standing = match standing(tx, &record.grant, snapshot)? {
        Ok(standing) => standing,
        Err(fallen) => return Err(invalid_grant(fallen.reason(), "what the code stands on was taken away")),
    };
    let offer = &snapshot.offer;
    let allowed = offer.still_allowed(&record.resources, client);
    let named = if request.resources.is_empty() { &record.resources } else { &request.resources };
    let audience = offer.audience(named, &allowed)?;
    // The registration may have become narrower since.
    let granted = offer.narrow(&record.scope, client);
    let offline = granted.contains("offline_access") && client.grant_types.contains(&GrantType::RefreshToken);
    if offline {
        tx.insert_refresh(&RefreshRecord {
            digest: refresh,
            grant: record.grant.clone(),
            client: record.client.clone(),
            scope: granted.clone(),
            resources: record.resources.clone(),
            issued_at: now,
            expires_at: super::refresh::expiry(snapshot, client, &standing.grant, now),
            used_at: None,
            successor: None,
            sealed_successor: None,
        })?;
    }
    let scope = offer.scope_at(&granted, &audience);
    Ok(Verdict::Granted(Granted { standing, nonce: record.nonce, scope, audience, offline }))
}

/// A second use of a code: whoever has the tokens of the first may be a thief.
fn replayed(tx: &mut Tx<'_>, record: &CodeRecord, now: Timestamp) -> Result<Verdict<Granted>, Failure> {
    if tx.revoke_grant(&record.grant, now)? {
        let event = AuditEvent::new(now, AuditKind::CodeReplayed, Actor::Client(record.client.clone()));
        let account = tx.grant(&record.grant)?.map(|grant| grant.account);
        let event = event.client(&record.client).reason("code.replayed");
        tx.append_audit(&match &account {
            Some(account) => event.account(account),
            None => event,
        })?;
    }
    Ok(Verdict::Refused(invalid_grant("code.replayed", "the code was used before; its grant is revoked")))
}
