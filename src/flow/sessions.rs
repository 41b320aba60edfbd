//! The SSO session of a browser: found, begun, renewed, replaced.

use crate::accounts::{Account, AccountStatus, Identity};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::context::Timestamp;
use crate::flow::App;
use crate::flow::browser::{Browser, Traces};
use crate::flow::state::{FlowState, Stage};
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

/// The session with which a sign-in in progress goes on: the one that the browser brings; else the one that the sign-in itself
/// proved in this browser. Of two tabs that come back at once, each answer makes the other's secret an old one.
///
/// # Errors
/// When the store fails.
pub async fn of_flow(app: &App, browser: &Browser, flow: &FlowState) -> Result<Option<Current>, StoreError> {
    if let Some(current) = current(app, browser).await? {
        return Ok(Some(current));
    }
    let (Stage::Settled { session, .. }, Some(name)) = (&flow.stage, &browser.name) else { return Ok(None) };
    let (id, name) = (session.clone(), name.digest());
    let (now, idle) = (app.context.now(), app.now().settings.sessions.idle);
    let proved = app.store.read(move |tx| by_id(tx, &id, now, idle)).await?;
    Ok(proved.filter(|proved| proved.session.browser.as_ref() == Some(&name)))
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

/// A session that can be signed out of.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// It, and whose it is.
    pub current: Current,
    /// Whether the browser brings its secret, so that its person may be shown who they are. By the name alone it is ended.
    pub shown: bool,
}

/// The session that a browser has, unless it was ended: one that merely ran out can be signed out of all the same, since
/// what was granted in it goes on; and so can one whose new secret never reached the browser. Where the browser's own session has
/// ended, nobody else's is meant.
///
/// # Errors
/// When the store fails.
pub async fn not_ended(app: &App, browser: &Browser) -> Result<Option<Leaving>, StoreError> {
    let traces = browser.traces();
    if traces.secret.is_none() && traces.name.is_none() {
        return Ok(None);
    }
    app.store
        .read(move |tx| -> Result<_, StoreError> {
            let own = match &traces.secret {
                Some(secret) => tx.session_by_secret(secret)?,
                None => None,
            };
            let of = own.as_ref().map(|own| own.account.clone());
            let mut here = in_browser(tx, &traces)?.into_iter();
            let found = here.find(|session| of.as_ref().is_none_or(|of| session.account == *of));
            let Some(session) = found else { return Ok(None) };
            let shown = own.is_some_and(|own| own.id == session.id);
            let account = tx.account(&session.account)?;
            Ok(account.map(|account| Leaving { current: Current { session, account }, shown }))
        })
        .await
}

/// The sessions in a browser that nobody has ended, live or run out; first the one whose secret it brings, then the one that
/// was used last.
///
/// # Errors
/// When the store fails.
pub fn in_browser(tx: &mut Tx<'_>, traces: &Traces) -> Result<Vec<Session>, StoreError> {
    let mut found = Vec::new();
    if let Some(secret) = &traces.secret {
        found.extend(tx.session_by_secret(secret)?.filter(|session| session.revoked_at.is_none()));
    }
    if let Some(name) = &traces.name {
        let named = tx.sessions_in_browser(name)?;
        let first = found.first().map(|session: &Session| session.id.clone());
        found.extend(named.into_iter().filter(|session| Some(&session.id) != first.as_ref()));
    }
    Ok(found)
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
    /// Digest of the secret that the browser brings.
    pub brought: Option<Digest>,
    /// Digest of the browser's name.
    pub browser: Digest,
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
    let traces = Traces { secret: who.brought.clone(), name: Some(who.browser.clone()) };
    let mut met = in_browser(tx, &traces)?;
    met.retain(|session| session.is_live(who.now, who.idle));
    let own = met.iter().position(|session| session.account == who.account);
    let own = own.map(|place| met.swap_remove(place));
    // One browser has one session. One that ran out stays as it is: what was granted in it is ended by signing out.
    for session in &met {
        replace(tx, who, session)?;
    }
    if let Some(session) = own
        && let Some(secret) = tx.session_secret(&session.id)?
        && renew(tx, who, &session, &secret)?
    {
        if session.browser.as_ref() != Some(&who.browser) {
            tx.place_session(&session.id, &who.browser)?;
        }
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
        browser: Some(who.browser.clone()),
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
/// sessions, the person, or both. All that is named must fit; where the provider named no session at the sign-in, the
/// person is enough.
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
            let whose = self.identity.is_some() || self.name.is_some();
            let by = ways_in.iter().find(|identity| identity.id == proof.identity);
            proof.provider == *self.provider
                && by.is_none_or(|identity| identity.key.issuer == self.issuer)
                && self.identity.is_none_or(|identity| proof.identity == identity.id)
                && self
                    .name
                    .is_none_or(|name| proof.upstream_name.as_ref().is_some_and(|own| own.key == name))
                && (self.sessions.is_empty() || there.map_or(whose, |own| self.sessions.contains(own)))
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
        (sessions, identity, name) => {
            for session in sessions {
                found.extend(tx.sessions_by_upstream(at.provider, session)?);
            }
            match (identity, name) {
                (_, Some(name)) => found.extend(tx.sessions_by_upstream_name(at.provider, name)?),
                (Some(identity), None) => found.extend(tx.sessions_of(&identity.account)?),
                (None, None) => {}
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
