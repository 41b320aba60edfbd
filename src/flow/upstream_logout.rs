//! What reaches our logout address for a provider. A logout that begins there: the provider's kind proves the
//! word, then one transaction uses it up and ends the sessions with a proof that stood on what has ended there
//! (OIDC Back-Channel Logout 1.0, SAML Core §3.7.3.1). Or the answer to one that began here (`parting`).
//!
//! Whose sessions are meant is said by the notice alone, never by the browser that carries it.

use crate::accounts::IdentityKey;
use crate::context::Timestamp;
use crate::failure::{Failure, UserMessage};
use crate::flow::browser::{Browser, Changes, SessionCookie, Traces};
use crate::flow::logout::{Frame, LoggedOut, LogoutStep, Trouble, frame};
use crate::flow::parting::{self, Parting};
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, AtProvider, Ended};
use crate::flow::{App, Snapshot};
use crate::ids::{ProviderId, SessionId};
use crate::sessions::Session;
use crate::store::{StoreError, Turn, Tx};
use crate::tokens::handle::Digest;
use crate::upstream::identity::ExternalIdentity;
use crate::upstream::{
    CallbackMethod, Departure, Entry, LogoutHeard, LogoutMessage, LogoutNotice, LogoutOutcome, Named, Replay,
    Trace,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// What was sent, as far as it is known before it is looked into.
#[derive(Debug)]
pub struct Arrival {
    /// How it came.
    pub method: CallbackMethod,
    /// The query, not decoded.
    pub query: String,
    /// Parameters of the query (for GET) or fields of the form (for POST).
    pub parameters: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Debug)]
pub enum Heard {
    /// The provider's server said so; these sessions ended.
    Server(Vec<SessionId>),
    /// The provider said so through the browser, which takes our answer back.
    Browser {
        /// The provider's name, for people.
        name: String,
        /// What the browser must load so that applications notice.
        frames: Vec<Frame>,
        /// The answer.
        departure: Departure,
        /// What the browser takes along.
        changes: Changes,
    },
    /// It was the answer to a logout that this browser took there, or our own answer cannot be taken back: where the
    /// person goes now.
    Returned(Box<LoggedOut>),
}

/// Whether what is sent to this provider's logout address comes through people's browsers. Nobody is told more
/// than a page where there is no such provider.
pub fn by_browser(snapshot: &Snapshot, provider: &str) -> bool {
    let entry = provider.parse::<ProviderId>().ok().and_then(|id| snapshot.upstreams.get(&id));
    entry.is_some_and(|entry| entry.upstream.logs_out_by_browser())
}

/// Takes what was sent to the logout address of a provider. A session or person that we do not know is no error:
/// then nobody is signed in here (OIDC Back-Channel Logout §2.8).
///
/// A provider that is switched off still has its say: it ends what it began.
///
/// # Errors
/// [`Refused`]; then every session goes on. `temporarily_unavailable` when the store or the provider fails.
pub async fn upstream_logout(
    app: &App,
    browser: &Browser,
    provider: &str,
    arrival: Arrival,
) -> Result<Heard, Refused> {
    let snapshot = app.now();
    let entry = provider.parse::<ProviderId>().ok().and_then(|id| snapshot.upstreams.get(&id));
    let entry = entry
        .ok_or_else(|| Failure::invalid_request("upstream.logout_request", "there is no such provider"))?;
    let Arrival { method, query, parameters } = arrival;
    let handle = parameters.get("state").or_else(|| parameters.get("RelayState")).map(String::as_str);
    let open = parting::open(app, browser, &entry.id, handle).await?;
    let message = LogoutMessage {
        method,
        query,
        address: parting::address(&snapshot, &entry.id),
        pending: open.as_ref().and_then(|(parting, _)| parting.kind_state()),
        parameters,
    };
    let mut trace = Trace::default();
    let heard = entry.upstream.inbound_logout(&app.context, &message, &mut trace).await;
    match (heard, open) {
        (Ok(LogoutHeard::Notice(notice)), _) => taken(app, &snapshot, browser, &entry, notice, trace).await,
        (Ok(LogoutHeard::Answer(outcome)), Some((parting, handle))) => {
            let trouble = match outcome {
                LogoutOutcome::Complete => None,
                LogoutOutcome::Partial | LogoutOutcome::Failed => Some(Trouble::Partial),
            };
            let mut changes = Changes::none();
            changes.forget_flow(&handle);
            Ok(returned(&snapshot, &entry, &parting, trouble, changes))
        }
        (Ok(LogoutHeard::Answer(_)), None) => {
            let failure = Failure::internal("flow.state", "a kind took an answer that nobody waited for");
            Err(Refused::from(failure).at(&entry.id).traced(trace))
        }
        // Here the person is signed out, and the true answer may still come.
        (Err(failure), Some((parting, _))) => {
            let refused = Refused::from(failure).at(&entry.id).traced(trace);
            let trouble = Some(Trouble::Unconfirmed(Box::new(refused)));
            Ok(returned(&snapshot, &entry, &parting, trouble, Changes::none()))
        }
        (Err(failure), None) => Err(Refused::from(failure).at(&entry.id).traced(trace)),
    }
}

/// The browser is back from the provider.
fn returned(
    snapshot: &Snapshot,
    entry: &Entry,
    parting: &Parting,
    trouble: Option<Trouble>,
    changes: Changes,
) -> Heard {
    let client = parting.client(snapshot);
    let mut onward = parting.onward(client.as_deref());
    if trouble.is_some()
        && let Some(onward) = &mut onward
    {
        // The person is to read what did not work.
        onward.by_itself = false;
    }
    let provider = trouble.as_ref().map(|_| entry.display.name.clone());
    let step = LogoutStep::Done { onward, frames: Vec::new(), provider };
    Heard::Returned(Box::new(LoggedOut { step, client, wrong: None, trouble, changes }))
}

/// A logout that began at the provider.
async fn taken(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    entry: &Entry,
    mut notice: LogoutNotice,
    trace: Trace,
) -> Result<Heard, Refused> {
    let (reply, replayed) = (notice.reply.take(), notice.replay.reason);
    let traces = browser.traces();
    let (id, now, idle) = (entry.id.clone(), app.context.now(), snapshot.settings.sessions.idle);
    let settled = app.store.write(move |tx| settle(tx, &id, &notice, &traces, now, idle)).await;
    let refused = |failure: Failure| Refused::from(failure).at(&entry.id).traced(trace.clone());
    let settled = match settled {
        Ok(Some(settled)) => Ok(settled),
        Ok(None) => {
            let failure = Failure::invalid_request(replayed, "the word was accepted before");
            let user = UserMessage::LogoutRefused;
            return Err(refused(Failure { user, ..failure }));
        }
        Err(error) => Err(Failure::from(error)),
    };
    if let Ok(settled) = &settled {
        // None may be a person who is signed in nowhere, and a name that is written otherwise than at the sign-in.
        tracing::info!(provider = %entry.id, sessions = settled.ended.len(), "a logout at the provider was heard");
    }
    match (settled, reply) {
        (Err(failure), None) => Err(refused(failure)),
        (Ok(settled), None) => {
            Ok(Heard::Server(settled.ended.into_iter().map(|ended| ended.session).collect()))
        }
        (settled, Some(reply)) => {
            let outcome = match &settled {
                Ok(settled) if told(snapshot, settled) => LogoutOutcome::Complete,
                Ok(_) => LogoutOutcome::Partial,
                // It hears that it did not work, and can go on with its other services.
                Err(failure) => {
                    tracing::error!(failure = failure.for_operator(), provider = %entry.id, "a logout failed");
                    LogoutOutcome::Failed
                }
            };
            let departure = entry.upstream.answer_logout(&app.context, &reply, outcome).await;
            let (departure, name) = (departure.map_err(refused), entry.display.name.clone());
            let (mut frames, mut changes) = (Vec::new(), Changes::none());
            let Ok(settled) = settled else {
                // Nothing ended: without an answer there is nothing to show but why.
                return departure.map(|departure| Heard::Browser { name, frames, departure, changes });
            };
            for Ended { session, joined, .. } in &settled.ended {
                frames.extend(joined.iter().filter_map(|client| frame(snapshot, client, session)));
            }
            if settled.this_browser {
                changes.session = Some(SessionCookie::Forget);
            }
            Ok(back(name, frames, departure, changes))
        }
    }
}

/// Back to the provider with our answer. Where none can be made, what has ended has ended all the same: applications
/// are to notice, and the person reads that the provider may not know.
fn back(name: String, frames: Vec<Frame>, departure: Result<Departure, Refused>, changes: Changes) -> Heard {
    match departure {
        Ok(departure) => Heard::Browser { name, frames, departure, changes },
        Err(refused) => {
            let step = LogoutStep::Done { onward: None, frames, provider: Some(name) };
            let trouble = Some(Trouble::Unconfirmed(Box::new(refused)));
            Heard::Returned(Box::new(LoggedOut { step, client: None, wrong: None, trouble, changes }))
        }
    }
}

/// What ended.
#[derive(Debug, Default)]
struct Settled {
    ended: Vec<Ended>,
    /// One of them was the session of the browser that carried the word.
    this_browser: bool,
}

/// The transaction: use up the word, end what it means. `None` if it was used before.
fn settle(
    tx: &mut Tx<'_>,
    provider: &ProviderId,
    notice: &LogoutNotice,
    traces: &Traces,
    now: Timestamp,
    idle: Duration,
) -> Result<Option<Settled>, StoreError> {
    let Replay { what, until, .. } = &notice.replay;
    // The provider's id keeps two providers' values apart.
    if !tx.use_once("replay", &Digest::of(&format!("{provider}\n{what}")), *until)? {
        return Ok(None);
    }
    remember(tx, provider, notice, now)?;
    let identity = match &notice.identity {
        None => None,
        Some(key) => match tx.identity(key)? {
            Some(identity) => Some(identity),
            None => return Ok(Some(Settled::default())),
        },
    };
    let here = sessions::in_browser(tx, traces)?;
    let at = AtProvider {
        provider,
        issuer: &notice.issuer,
        sessions: &notice.sessions,
        identity: identity.as_ref(),
        name: notice.name.as_ref().map(|name| name.key.as_str()),
    };
    let ended = sessions::end_upstream(tx, &at, now)?;
    let has_ended = |session: &Session| ended.iter().any(|ended| ended.session == session.id);
    // Of somebody's before, which had run out, the end is not that of whoever is there now.
    let stays = here.iter().any(|session| !has_ended(session) && session.is_live(now, idle));
    let this_browser = !stays && here.iter().any(has_ended);
    Ok(Some(Settled { ended, this_browser }))
}

/// The purposes under which is remembered what has ended at providers: a session, for whatever is said of it; and until
/// which moment what was said of a session, or of a person, counts no more.
const ENDED: &str = "upstream_ended";
const ENDED_BEFORE: &str = "upstream_ended_before";
/// Stands for the session of a sign-in of which the provider named none. No session has an empty name.
const NO_SESSION: &str = "";
/// For how long that moment is remembered: a sign-in lasts an hour at most (`sign_in.lifetime`), a word of the provider may
/// be five minutes old, and its clock may differ from ours by as much, at the sign-in and at the logout. Nothing that was
/// said before can be brought later.
const REMEMBERED: Duration = Duration::from_secs(75 * 60);

/// A session of somebody's at the provider; all of theirs where none is named.
fn ended(provider: &ProviderId, name: &str, session: Option<&str>) -> Digest {
    let all = format!("{provider}\n{name}");
    Digest::of(&session.map_or_else(|| all.clone(), |session| format!("{all}\n{session}")))
}

/// The same, where people have a subject, and not a name that their proof noted. Whoever is meant by both is meant by neither
/// alone.
fn ended_at(
    provider: &ProviderId,
    issuer: &str,
    subject: Option<(&str, &str)>,
    session: Option<&str>,
) -> Digest {
    Digest::of(&serde_json::json!([provider.as_str(), issuer, subject, session]).to_string())
}

/// Notes what has ended, for sign-ins that are still on their way here (SAML Core §3.7.3.1). One that is being finished is
/// waited for, so that its session can be found.
fn remember(
    tx: &mut Tx<'_>,
    provider: &ProviderId,
    notice: &LogoutNotice,
    now: Timestamp,
) -> Result<(), StoreError> {
    let subject = notice.identity.as_ref().map(|key| (key.subject.as_str(), key.format.as_str()));
    let mark = |session: Option<&str>| match &notice.name {
        Some(Named { key, .. }) => ended(provider, key, session),
        None => ended_at(provider, &notice.issuer, subject, session),
    };
    let mut marks: Vec<Digest> = notice.sessions.iter().map(|session| mark(Some(session))).collect();
    if marks.is_empty() {
        marks.push(mark(None));
    } else if notice.name.is_some() || notice.identity.is_some() {
        marks.push(mark(Some(NO_SESSION)));
    }
    tx.take_turn(&marks, Turn::Alone)?;
    let moment = notice.issued.plus(REMEMBERED);
    for mark in &marks {
        if let Some(Named { until, .. }) = &notice.name
            && !notice.sessions.is_empty()
        {
            // As long as the request has not expired, it means whatever is said of this session.
            let longest = now.plus(REMEMBERED);
            let until =
                until.map_or(notice.replay.until, |until| until.min(longest).max(notice.replay.until));
            tx.remember_until(ENDED, mark, until)?;
        }
        tx.remember_until(ENDED_BEFORE, mark, moment)?;
    }
    Ok(())
}

/// Notes that all which the provider said of a person before this moment counts no more, for sign-ins that are still on
/// their way here. One that is being finished is waited for, so that what it made can be found.
///
/// # Errors
/// When the store fails.
pub(super) fn end_before(tx: &mut Tx<'_>, person: &IdentityKey, moment: Timestamp) -> Result<(), StoreError> {
    let subject = Some((person.subject.as_str(), person.format.as_str()));
    let mark = ended_at(&person.provider, &person.issuer, subject, None);
    tx.take_turn(std::slice::from_ref(&mark), Turn::Alone)?;
    tx.remember_until(ENDED_BEFORE, &mark, moment.plus(REMEMBERED))
}

/// Whether [`end_before`] was told of this person after the provider had vouched for them at that time.
///
/// # Errors
/// When the store fails.
pub(super) fn ended_since(
    tx: &mut Tx<'_>,
    person: &IdentityKey,
    vouched_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let subject = Some((person.subject.as_str(), person.format.as_str()));
    let mark = ended_at(&person.provider, &person.issuer, subject, None);
    tx.take_turn(std::slice::from_ref(&mark), Turn::Together)?;
    let moment = tx.remembered_until(ENDED_BEFORE, &mark, now)?.map(|end| end.minus(REMEMBERED));
    Ok(moment.is_some_and(|moment| vouched_at <= moment))
}

/// Whether a logout of the provider's session behind this identity, or of all the person's, came before the sign-in was
/// finished (SAML Core §3.7.3.1). What the provider said after a logout of all is of a new session: whoever signs in
/// there anew is let in at once. With OpenID Connect and OAuth that is whoever leaves for the provider after the logout. One that
/// comes now waits for the end of the transaction.
///
/// # Errors
/// When the store fails.
pub fn ended_already(
    tx: &mut Tx<'_>,
    identity: &ExternalIdentity,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (provider, said) = (identity.provider(), identity.authentication());
    let session = said.upstream_session.as_deref();
    let mut marks = Vec::new();
    match &said.upstream_name {
        Some(name) => {
            marks.extend(session.map(|session| ended(provider, &name.key, Some(session))));
            marks.push(ended(provider, &name.key, None));
            marks.extend(session.is_none().then(|| ended(provider, &name.key, Some(NO_SESSION))));
        }
        None => {
            let key = identity.key();
            let subject = Some((key.subject.as_str(), key.format.as_str()));
            marks.push(ended_at(provider, &key.issuer, subject, None));
            marks.push(ended_at(provider, &key.issuer, subject, session.or(Some(NO_SESSION))));
            if session.is_some() {
                marks.push(ended_at(provider, &key.issuer, None, session));
            }
        }
    }
    tx.take_turn(&marks, Turn::Together)?;
    if said.upstream_name.is_some()
        && session.is_some()
        && let Some(session) = marks.first()
        && tx.is_used(ENDED, session, now)?
    {
        return Ok(true);
    }
    for mark in marks {
        // The moment is counted back from the end of its memory.
        let moment = tx.remembered_until(ENDED_BEFORE, &mark, now)?.map(|end| end.minus(REMEMBERED));
        if moment.is_some_and(|moment| identity.when_said().is_none_or(|said| said <= moment)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether each application that had joined can be told that it is over. One with neither address keeps the
/// session that it may have of its own.
fn told(snapshot: &Snapshot, settled: &Settled) -> bool {
    let clients = settled.ended.iter().flat_map(|ended| &ended.granted);
    clients
        .filter_map(|id| snapshot.find(id.as_str()))
        .all(|client| client.logout.backchannel_uri.is_some() || client.logout.frontchannel_uri.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_shown_though_the_provider_cannot_be_answered() {
        let frames = || {
            let url = url::Url::parse("https://app.example/out").unwrap();
            vec![Frame { name: "App".to_owned(), url }]
        };
        let changes = || Changes { session: Some(SessionCookie::Forget), ..Changes::none() };
        let failure = Failure::invalid_request("saml.metadata.expired", "over");
        let Heard::Returned(shown) = back("Acme".to_owned(), frames(), Err(failure.into()), changes()) else {
            panic!("a page");
        };
        let LogoutStep::Done { onward: None, frames: loaded, provider: Some(name) } = shown.step else {
            panic!("{:?}", shown.step);
        };
        assert_eq!((loaded, name.as_str()), (frames(), "Acme"));
        assert!(matches!(shown.changes.session, Some(SessionCookie::Forget)));
        let Some(Trouble::Unconfirmed(refused)) = shown.trouble else { panic!("{:?}", shown.trouble) };
        assert_eq!(refused.0.failure.reason, "saml.metadata.expired");
        // the valid twin
        let departure = Departure::RedirectTo(url::Url::parse("https://id.acme.example/slo").unwrap());
        let heard = back("Acme".to_owned(), frames(), Ok(departure.clone()), changes());
        let Heard::Browser { departure: to, frames: loaded, .. } = heard else { panic!("{heard:?}") };
        assert_eq!((to, loaded), (departure, frames()));
    }
}
