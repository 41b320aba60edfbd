//! The SSO session of a browser: found, begun, renewed, replaced.

use crate::accounts::{Account, AccountStatus};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::context::Timestamp;
use crate::flow::App;
use crate::flow::browser::Browser;
use crate::ids::{AccountId, SessionId};
use crate::sessions::{Proof, Session};
use crate::store::{StoreError, Tx};
use crate::tokens::handle::{Digest, Handle, SessionSecret};
use std::time::Duration;

/// How often the last use of a session is written at most.
const TOUCH: Duration = Duration::from_secs(60);

/// A live session and its person, who may sign in.
#[derive(Debug, Clone)]
pub struct Current {
    /// The session.
    pub session: Session,
    /// The person.
    pub account: Account,
}

/// The session that a browser brings, if it is live and its person is active.
///
/// # Errors
/// When the store fails.
pub async fn current(app: &App, browser: &Browser) -> Result<Option<Current>, StoreError> {
    let Some(secret) = &browser.session else { return Ok(None) };
    let digest = secret.digest();
    let (now, idle) = (app.context.now(), app.now().settings.sessions.idle);
    app.store.read(move |tx| by_secret(tx, &digest, now, idle)).await
}

fn by_secret(
    tx: &mut Tx<'_>,
    digest: &Digest,
    now: Timestamp,
    idle: Duration,
) -> Result<Option<Current>, StoreError> {
    let session = tx.session_by_secret(digest)?;
    live(tx, session, now, idle)
}

/// The session of that name, if it is still live and its person active.
///
/// # Errors
/// When the store fails.
pub fn by_id(
    tx: &mut Tx<'_>,
    id: &SessionId,
    now: Timestamp,
    idle: Duration,
) -> Result<Option<Current>, StoreError> {
    let session = tx.session(id)?;
    live(tx, session, now, idle)
}

fn live(
    tx: &mut Tx<'_>,
    session: Option<Session>,
    now: Timestamp,
    idle: Duration,
) -> Result<Option<Current>, StoreError> {
    let Some(session) = session.filter(|session| session.is_live(now, idle)) else { return Ok(None) };
    let account = tx.account(&session.account)?;
    Ok(account.filter(|a| a.status == AccountStatus::Active).map(|account| Current { session, account }))
}

/// Notes that the session was used, if that was not noted lately.
///
/// # Errors
/// When the store fails.
pub fn touch(tx: &mut Tx<'_>, session: &Session, now: Timestamp) -> Result<(), StoreError> {
    if now >= session.last_seen_at.plus(TOUCH) {
        tx.touch_session(&session.id, now)?;
    }
    Ok(())
}

/// What is needed to sign somebody in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Who.
    pub account: AccountId,
    /// By what.
    pub proof: Proof,
    /// The session that the browser brings now, by its secret.
    pub brought: Option<Digest>,
    /// The session that the browser had when the sign-in began.
    pub before: Option<SessionId>,
    /// The public id for a new session.
    pub new_id: SessionId,
    /// Digest of the new secret.
    pub new_secret: Digest,
    /// Now.
    pub now: Timestamp,
    /// How long a session may idle.
    pub idle: Duration,
    /// How long it lives.
    pub absolute: Duration,
}

/// Whether the session began or was renewed, and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// It is the same person's session from before, with a new secret.
    pub renewed: bool,
}

/// Signs somebody in. The secret is always a new one (CWE-384). A session of the same person goes on with
/// the new proof; one of somebody else ends, so nothing of the first ever reaches the second.
///
/// # Errors
/// When the store fails.
pub fn sign_in(tx: &mut Tx<'_>, who: &SignIn) -> Result<SignedIn, StoreError> {
    if let Some(secret) = &who.brought
        && let Some(session) = tx.session_by_secret(secret)?
        && session.is_live(who.now, who.idle)
    {
        if session.account == who.account {
            let mut proofs = session.proofs;
            // The latest proof by an identity says all that matters of it.
            proofs.retain(|proof| proof.identity != who.proof.identity);
            proofs.push(who.proof.clone());
            if tx.renew_session(&session.id, secret, &who.new_secret, &proofs, who.now)? {
                return Ok(SignedIn { session: session.id, renewed: true });
            }
        } else {
            replace(tx, who, &session)?;
        }
    }
    // An answer by POST from another site brings no session cookie; then the flow remembers the session.
    if let Some(id) = &who.before
        && let Some(session) = tx.session(id)?
    {
        replace(tx, who, &session)?;
    }
    let session = Session {
        id: who.new_id.clone(),
        account: who.account.clone(),
        proofs: vec![who.proof.clone()],
        created_at: who.now,
        last_seen_at: who.now,
        expires_at: who.now.plus(who.absolute),
        revoked_at: None,
    };
    tx.insert_session(&session, &who.new_secret)?;
    Ok(SignedIn { session: session.id, renewed: false })
}

/// Ends the session that the browser had before; and what was granted in it, if it was somebody else's.
fn replace(tx: &mut Tx<'_>, who: &SignIn, session: &Session) -> Result<(), StoreError> {
    if tx.revoke_session(&session.id, who.now)? {
        let event = AuditEvent::new(who.now, AuditKind::SessionEnded, Actor::Person(session.account.clone()));
        tx.append_audit(&event.account(&session.account).reason("session.replaced"))?;
    }
    if session.account != who.account {
        tx.revoke_grants_of_session(&session.id, who.now)?;
    }
    Ok(())
}

/// A new secret for a session's cookie.
pub fn new_secret(app: &App) -> Handle<SessionSecret> {
    Handle::new(&app.context)
}
