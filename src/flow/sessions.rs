//! The SSO session of a browser: found, begun, renewed, replaced.

use crate::accounts::{Account, AccountStatus, Identity};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::context::Timestamp;
use crate::flow::App;
use crate::flow::browser::Browser;
use crate::ids::{AccountId, ClientId, IdentityId, ProviderId, SessionId};
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

/// The session that a browser brings, unless it was ended: one that merely ran out can be signed out of all the same, since
/// what was granted in it goes on.
///
/// # Errors
/// When the store fails.
pub async fn not_ended(app: &App, browser: &Browser) -> Result<Option<Current>, StoreError> {
    let Some(secret) = &browser.session else { return Ok(None) };
    let digest = secret.digest();
    app.store
        .read(move |tx| -> Result<_, StoreError> {
            let session = tx.session_by_secret(&digest)?;
            let Some(session) = session.filter(|session| session.revoked_at.is_none()) else {
                return Ok(None);
            };
            let account = tx.account(&session.account)?;
            Ok(account.map(|account| Current { session, account }))
        })
        .await
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
    /// The session that the browser brings now, by the digest of its secret.
    pub brought: Option<Digest>,
    /// The session that the browser had when it left for the provider: another answer may have given that a new secret.
    pub before: Option<SessionId>,
    /// The public id for a new session.
    pub new_id: SessionId,
    /// Digest of the new secret.
    pub new_secret: Digest,
    /// Now.
    pub now: Timestamp,
    /// How long a session may idle.
    pub idle: Duration,
    /// How long it lives at most, from now.
    pub absolute: Duration,
}

/// Whether the session began or was renewed, and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// By which identity it was proved now.
    pub identity: IdentityId,
    /// It is the same person's session from before, with a new secret.
    pub renewed: bool,
}

impl SignedIn {
    fn of(who: &SignIn, session: SessionId, renewed: bool) -> Self {
        Self { session, identity: who.proof.identity.clone(), renewed }
    }
}

/// Signs somebody in. The secret is always a new one (CWE-384). A session of the same person goes on with
/// the new proof; one of somebody else ends, so nothing of the first ever reaches the second.
///
/// # Errors
/// When the store fails.
pub fn sign_in(tx: &mut Tx<'_>, who: &SignIn) -> Result<SignedIn, StoreError> {
    let mut met = Vec::new();
    if let Some(secret) = &who.brought {
        met.extend(tx.session_by_secret(secret)?);
    }
    if let Some(id) = &who.before {
        met.extend(tx.session(id)?);
    }
    met.dedup_by(|one, other| one.id == other.id);
    met.retain(|session| session.is_live(who.now, who.idle));
    let own = met.iter().position(|session| session.account == who.account);
    let own = own.map(|place| met.swap_remove(place));
    // One browser has one session: of two, which two answers at once can bring about, the second ends too.
    for session in &met {
        replace(tx, who, session)?;
    }
    if let Some(session) = own
        && let Some(secret) = tx.session_secret(&session.id)?
        && renew(tx, who, &session, &secret)?
    {
        return Ok(SignedIn::of(who, session.id, true));
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
    Ok(SignedIn::of(who, session.id, false))
}

/// Gives the session a new secret and the new proof. False if somebody else did meanwhile, or it ended.
fn renew(tx: &mut Tx<'_>, who: &SignIn, session: &Session, secret: &Digest) -> Result<bool, StoreError> {
    let mut proofs = session.proofs.clone();
    // The latest proof by an identity says all that matters of it.
    proofs.retain(|proof| proof.identity != who.proof.identity);
    proofs.push(who.proof.clone());
    // A provider may have said how long its own session lasts (SAML Core §2.7.2).
    let ends = session.expires_at.min(who.now.plus(who.absolute));
    tx.renew_session(&session.id, secret, &who.new_secret, &proofs, ends, who.now)
}

/// Ends the session that the browser had before, and what was granted in it; its clients are told.
fn replace(tx: &mut Tx<'_>, who: &SignIn, session: &Session) -> Result<(), StoreError> {
    let actor = Actor::Person(session.account.clone());
    end(tx, &session.id, &session.account, actor, "session.replaced", who.now).map(|_| ())
}

/// Ends a session and everything that was granted in it, and queues a logout token for each client that wants
/// one. The clients that joined it; `None` if it had ended before.
///
/// # Errors
/// When the store fails.
pub fn end(
    tx: &mut Tx<'_>,
    id: &SessionId,
    account: &AccountId,
    actor: Actor,
    reason: &'static str,
    now: Timestamp,
) -> Result<Option<Vec<ClientId>>, StoreError> {
    let event = AuditEvent::new(now, AuditKind::SessionEnded, actor).account(account).reason(reason);
    end_as(tx, id, event)
}

/// Ends a session as this event tells it.
fn end_as(tx: &mut Tx<'_>, id: &SessionId, event: AuditEvent) -> Result<Option<Vec<ClientId>>, StoreError> {
    let told = tx.end_session(id, event.at)?;
    if told.is_some() {
        tx.append_audit(&event)?;
    }
    Ok(told)
}

/// Whose sessions a logout at a provider means (OIDC Back-Channel Logout §2.6, SAML Core §3.7.3.1): its own
/// sessions, the person, or both. All that is named must fit.
#[derive(Debug, Clone, Copy)]
pub struct AtProvider<'a> {
    /// The provider, which has proved that it is the one that says so.
    pub provider: &'a ProviderId,
    /// The issuer of its people: sessions of another one have the same names for other things.
    pub issuer: &'a str,
    /// The provider's sessions (`sid`, SessionIndex); all of the person's if empty.
    pub sessions: &'a [String],
    /// The person's identity there (`sub`), as it is linked here.
    pub identity: Option<&'a Identity>,
    /// The key of the name that the proof noted (NameID).
    pub name: Option<&'a str>,
}

impl AtProvider<'_> {
    /// Whether a session stands on what has ended there, by any of its proofs: each of them can open an application.
    /// `ways_in`: those of its account.
    fn means(&self, session: &Session, ways_in: &[Identity]) -> bool {
        session.proofs.iter().any(|proof| {
            let there = proof.upstream_session.as_ref();
            let by = ways_in.iter().find(|identity| identity.id == proof.identity);
            proof.provider == *self.provider
                && by.is_none_or(|identity| identity.key.issuer == self.issuer)
                && self.identity.is_none_or(|identity| proof.identity == identity.id)
                && self
                    .name
                    .is_none_or(|name| proof.upstream_name.as_ref().is_some_and(|own| own.key == name))
                && (self.sessions.is_empty() || there.is_some_and(|own| self.sessions.contains(own)))
        })
    }
}

/// A session that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The session.
    pub session: SessionId,
    /// The clients that had joined it to be told of its end.
    pub joined: Vec<ClientId>,
    /// All clients to which something was granted in it.
    pub granted: Vec<ClientId>,
}

/// Ends the sessions with a proof that stands on what the provider has ended, with all that follows; those that ended.
/// Where nobody and nothing is named, nothing is meant, and nothing ends.
///
/// # Errors
/// When the store fails.
pub fn end_upstream(tx: &mut Tx<'_>, at: &AtProvider<'_>, now: Timestamp) -> Result<Vec<Ended>, StoreError> {
    end_upstream_for(tx, at, "upstream.logout", now)
}

/// As [`end_upstream`], for another reason.
///
/// # Errors
/// When the store fails.
pub fn end_upstream_for(
    tx: &mut Tx<'_>,
    at: &AtProvider<'_>,
    reason: &'static str,
    now: Timestamp,
) -> Result<Vec<Ended>, StoreError> {
    let mut found = Vec::new();
    match (at.sessions, at.identity, at.name) {
        ([], Some(identity), _) => found = tx.sessions_of(&identity.account)?,
        ([], None, Some(name)) => found = tx.sessions_by_upstream_name(at.provider, name)?,
        (sessions, ..) => {
            for session in sessions {
                found.extend(tx.sessions_by_upstream(at.provider, session)?);
            }
        }
    }
    let mut ended = Vec::new();
    for session in found {
        if !at.means(&session, &tx.identities_of(&session.account)?) {
            continue;
        }
        let granted = tx.clients_in(&session.id)?;
        let event = AuditEvent::new(now, AuditKind::SessionEnded, Actor::System);
        let event = event.account(&session.account).provider(at.provider).reason(reason);
        let joined = end_as(tx, &session.id, event)?;
        ended.extend(joined.map(|joined| Ended { session: session.id, joined, granted }));
    }
    Ok(ended)
}

/// A new secret for a session's cookie.
pub fn new_secret(app: &App) -> Handle<SessionSecret> {
    Handle::new(&app.context)
}
