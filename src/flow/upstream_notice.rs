//! What a provider's server tells of somebody beside logouts. That they took our access away there: then the
//! sessions and grants that stand on it end, as at a logout. Or that they want what it told us deleted: then that
//! is done at once, in one transaction, and a receipt says so to whoever has its code.
//!
//! Both may be sent again, as programs do that got no answer: the answer is the same, and nothing happens twice.

use crate::accounts::deletion::RECEIPT_KEPT;
use crate::accounts::{Account, AccountStatus, ConfirmationCode, Deletion, DeletionOutcome, Identity};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, AtProvider};
use crate::flow::upstream_logout::end_before;
use crate::flow::{App, Snapshot, said};
use crate::ids::{AccountId, ProviderId};
use crate::store::{StoreError, Tx};
use crate::tokens::handle::Digest;
use crate::upstream::{DataDeletion, Entry, Notice, NoticeKind, Trace};
use std::collections::BTreeMap;

/// The reason under which sessions end, and events are written, when access was taken away.
const DEAUTHORIZED: &str = "upstream.deauthorized";
/// The same, when a deletion was asked for.
const DELETION: &str = "upstream.deletion";

/// Checks what was sent to one of the two addresses. A provider that is switched off still has its say.
async fn hear(
    app: &App,
    snapshot: &Snapshot,
    provider: &str,
    kind: NoticeKind,
    parameters: &BTreeMap<String, String>,
) -> Result<(Entry, Notice), Refused> {
    let entry = provider.parse::<ProviderId>().ok().and_then(|id| snapshot.upstreams.get(&id));
    let entry =
        entry.ok_or_else(|| Failure::invalid_request("upstream.notice", "there is no such provider"))?;
    let mut trace = Trace::default();
    match entry.upstream.inbound_notice(&app.context, kind, parameters, &mut trace).await {
        Ok(notice) => Ok((entry, notice)),
        Err(failure) => Err(Refused::from(failure).at(&entry.id).traced(trace)),
    }
}

/// A person took our access away at the provider: the sessions with a proof by that identity end, and what
/// else was granted by this provider's word. The link stays: it leads to the same account if they come back.
///
/// # Errors
/// [`Refused`]; then every session goes on. `temporarily_unavailable` when the store fails.
pub async fn deauthorized(
    app: &App,
    provider: &str,
    parameters: BTreeMap<String, String>,
) -> Result<(), Refused> {
    let snapshot = app.now();
    let (entry, notice) = hear(app, &snapshot, provider, NoticeKind::Deauthorization, &parameters).await?;
    let (id, now) = (entry.id.clone(), app.context.now());
    let ended = app
        .store
        .write(move |tx| end(tx, &id, &notice, now))
        .await
        .map_err(|error| Refused::from(error).at(&entry.id))?;
    match ended {
        Some(sessions) => {
            tracing::info!(provider = %entry.id, sessions, "access was taken away at the provider")
        }
        None => tracing::info!(provider = %entry.id, "a notice came once more, or of somebody unknown"),
    }
    Ok(())
}

/// The transaction; how many sessions ended. `None` for what came before, and for somebody who is not known.
fn end(
    tx: &mut Tx<'_>,
    provider: &ProviderId,
    notice: &Notice,
    now: Timestamp,
) -> Result<Option<usize>, StoreError> {
    // The provider's id keeps two providers' values apart, the word what came to the other address.
    let digest = Digest::of(&format!("{provider}\ndeauthorized\n{}", notice.replay.what));
    if !tx.use_once("replay", &digest, notice.replay.until)? {
        return Ok(None);
    }
    end_before(tx, &notice.identity, now)?;
    let Some(identity) = tx.identity(&notice.identity)? else { return Ok(None) };
    // Held until the commit: a sign-in comes wholly before or wholly after.
    tx.hold_account(&identity.account)?;
    let at = AtProvider {
        provider,
        issuer: &identity.key.issuer,
        sessions: &[],
        identity: Some(&identity),
        name: None,
    };
    let ended = sessions::end_upstream_for(tx, &at, DEAUTHORIZED, now)?;
    revoke_grants_by(tx, provider, &identity.account, now)?;
    let event = AuditEvent::new(now, AuditKind::IdentityDeauthorized, Actor::System);
    tx.append_audit(&event.account(&identity.account).provider(provider).reason(DEAUTHORIZED))?;
    Ok(Some(ended.len()))
}

/// Revokes what rests on this provider's word and outlived its session (offline access).
fn revoke_grants_by(
    tx: &mut Tx<'_>,
    provider: &ProviderId,
    account: &AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for grant in tx.grants_of(account)? {
        let by_it = grant.details.proof.as_ref().is_some_and(|proof| proof.provider == *provider);
        if by_it && grant.revoked_at.is_none() {
            tx.revoke_grant(&grant.id, now)?;
        }
    }
    Ok(())
}

/// A person wants what the provider told us about them deleted. It is done when this returns.
///
/// # Errors
/// [`Refused`]; then nothing is deleted. `temporarily_unavailable` when the store fails.
pub async fn delete(
    app: &App,
    provider: &str,
    parameters: BTreeMap<String, String>,
) -> Result<ConfirmationCode, Refused> {
    let snapshot = app.now();
    let (entry, notice) = hear(app, &snapshot, provider, NoticeKind::Deletion, &parameters).await?;
    // Computed, so that the same request gets the same code, though only its digest is stored.
    let text = format!("{}\n{}", entry.id, notice.replay.what);
    let mark = app.sealer.mark("deletion", text.as_bytes()).map_err(Failure::from)?;
    let (bits, _) = mark
        .split_first_chunk::<16>()
        .ok_or_else(|| Failure::internal("seal.failed", "a mark has fewer bytes than a code"))?;
    let code = ConfirmationCode::new(*bits);
    let request = Request {
        digest: Digest::of(code.as_str()),
        provider: entry.id.clone(),
        notice,
        policy: entry.policy.data_deletion,
        now: app.context.now(),
    };
    let outcome = app
        .store
        .write(move |tx| settle(tx, &request))
        .await
        .map_err(|error| Refused::from(error).at(&entry.id))?;
    let outcome = outcome.map_or("as before", DeletionOutcome::as_str);
    tracing::info!(provider = %entry.id, outcome, "a person asked at the provider for deletion");
    Ok(code)
}

/// Everything that the transaction needs.
struct Request {
    digest: Digest,
    provider: ProviderId,
    notice: Notice,
    policy: DataDeletion,
    now: Timestamp,
}

/// The transaction: the receipt, and what it is for. `None` for a request that came before.
fn settle(tx: &mut Tx<'_>, request: &Request) -> Result<Option<DeletionOutcome>, StoreError> {
    let receipt = Deletion {
        provider: request.provider.clone(),
        outcome: DeletionOutcome::Nothing,
        done_at: request.now,
        expires_at: request.now.plus(RECEIPT_KEPT),
    };
    // First, so that of two that come at once one waits for the other.
    if !tx.insert_deletion(&request.digest, &receipt)? {
        return Ok(None);
    }
    // Nor may a sign-in that is still on its way bring back what is deleted now.
    end_before(tx, &request.notice.identity, request.now)?;
    let Some(linked) = tx.identity(&request.notice.identity)? else { return Ok(Some(receipt.outcome)) };
    let status = tx.hold_account(&linked.account)?;
    // Once more, now that nobody else changes the account.
    let identities = tx.identities_of(&linked.account)?;
    let identity = identities.iter().find(|identity| identity.id == linked.id);
    let (Some(identity), Some(account)) = (identity, tx.account(&linked.account)?) else {
        return Ok(Some(receipt.outcome));
    };
    let whole = request.policy == DataDeletion::Account || identities.len() == 1;
    let outcome = match status {
        // Nobody gets rid of a suspension by asking for deletion and coming back as somebody new.
        Some(AccountStatus::Suspended) => DeletionOutcome::Suspended,
        _ if whole => DeletionOutcome::Account,
        _ => DeletionOutcome::Link,
    };
    match outcome {
        DeletionOutcome::Account => erase(tx, request, &account.id)?,
        _ => take_out(tx, request, &account, identity, &identities, outcome)?,
    }
    tx.settle_deletion(&request.digest, outcome)?;
    Ok(Some(outcome))
}

/// Removes the account and all that hangs on it; its clients are told.
fn erase(tx: &mut Tx<'_>, request: &Request, account: &AccountId) -> Result<(), StoreError> {
    tx.set_account_status(account, AccountStatus::Deleted, request.now)?;
    let event = AuditEvent::new(request.now, AuditKind::AccountDeleted, Actor::System);
    tx.append_audit(&event.account(account).provider(&request.provider).reason(DELETION))
}

/// Removes a link and what came by it: profile fields and addresses that nobody else stands behind, the groups and
/// roles that its provider gave, the sessions in which it was proved, what was granted by its word.
fn take_out(
    tx: &mut Tx<'_>,
    request: &Request,
    account: &Account,
    identity: &Identity,
    identities: &[Identity],
    outcome: DeletionOutcome,
) -> Result<(), StoreError> {
    let (provider, now) = (&request.provider, request.now);
    for session in tx.sessions_of(&account.id)? {
        if session.proofs.iter().any(|proof| proof.identity == identity.id) {
            sessions::end(tx, &session.id, &account.id, Actor::System, DELETION, now)?;
            // What was proved in it names the person as the provider does.
            tx.forget_session(&session.id)?;
        }
    }
    revoke_grants_by(tx, provider, &account.id, now)?;
    said::take_out(tx, account, identity, identities, now)?;
    let kind = if outcome == DeletionOutcome::Suspended {
        tx.bare_identity(&identity.id)?;
        AuditKind::AccountChanged
    } else {
        tx.delete_identity(&identity.id)?;
        AuditKind::IdentityUnlinked
    };
    let event = AuditEvent::new(now, kind, Actor::System);
    tx.append_audit(&event.account(&account.id).provider(provider).reason(DELETION))
}

/// The receipt of a code, as somebody typed it.
///
/// # Errors
/// When the store fails.
pub async fn receipt(app: &App, code: &str) -> Result<Option<Deletion>, StoreError> {
    let Some(code) = ConfirmationCode::parse(code) else { return Ok(None) };
    let (digest, now) = (Digest::of(code.as_str()), app.context.now());
    app.store.read(move |tx| tx.deletion(&digest, now)).await
}
