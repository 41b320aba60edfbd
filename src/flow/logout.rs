//! Signing out (OIDC RP-Initiated Logout 1.0): at an application's wish if it can be trusted, else at the
//! person's. What the browser must load so that applications notice (OIDC Front-Channel Logout 1.0) is named
//! here; who is told behind its back is queued by the store (OIDC Back-Channel Logout 1.0).

use crate::accounts::Account;
use crate::audit::Actor;
use crate::clients::{Client, Location, ValidatedRedirect};
use crate::flow::browser::{Browser, Changes, SessionCookie};
use crate::flow::parting::{self, Leaving};
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, Current};
use crate::flow::{App, Snapshot};
use crate::ids::{AccountId, ClientId, SessionId};
use crate::jose::{Expected, Expiry, TokenType};
use crate::protocol::LogoutRequest;
use crate::protocol::logout::{CurrentSession, Ending, Hint, LogoutFacts, Wrong, decide};
use crate::store::{StoreError, Turn};
use crate::tokens::claims::HintClaims;
use crate::upstream::Departure;
use std::sync::Arc;
use url::Url;

/// Where the person goes now.
#[derive(Debug)]
pub enum LogoutStep {
    /// To the page that asks.
    Ask {
        /// Whose session it is, where the browser shows that.
        account: Option<Box<Account>>,
        /// Where the answer may lead.
        redirect: Option<ValidatedRedirect>,
        /// What to send along with the answer.
        request: LogoutRequest,
    },
    /// They are signed out.
    Done {
        /// Where to go on to.
        onward: Option<Onward>,
        /// What the browser must load so that other applications notice.
        frames: Vec<Frame>,
        /// The provider where a session of its own may go on.
        provider: Option<String>,
    },
    /// They are signed out, and go to the provider to sign out there too.
    Leave {
        /// The provider's name, for people.
        name: String,
        /// How.
        departure: Departure,
        /// What the browser must load so that other applications notice.
        frames: Vec<Frame>,
    },
}

/// What did not work at the provider. Here the person is signed out.
#[derive(Debug)]
pub enum Trouble {
    /// Not all that is signed in there could be signed out.
    Partial,
    /// It could not be asked, refused, or its answer does not hold.
    Unconfirmed(Box<Refused>),
}

/// A way on.
#[derive(Debug)]
pub struct Onward {
    /// Where to.
    pub location: Location,
    /// Whether the browser goes by itself, or the person by a link.
    pub by_itself: bool,
}

/// An application's page that signs the browser out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The application's name.
    pub name: String,
    /// What is to be loaded.
    pub url: Url,
}

/// What came of a logout.
#[derive(Debug)]
pub struct LoggedOut {
    /// Where the person goes now.
    pub step: LogoutStep,
    /// The application that asks, where the request names it soundly.
    pub client: Option<Arc<Client>>,
    /// What was wrong with the request.
    pub wrong: Option<Wrong>,
    /// What did not work at the provider.
    pub trouble: Option<Trouble>,
    /// What the browser takes along.
    pub changes: Changes,
}

/// Handles a logout. `confirmed`: the person pressed the button on our page.
///
/// # Errors
/// When the store fails; then the session goes on, and its cookie stays.
pub async fn logout(
    app: &App,
    browser: &Browser,
    request: LogoutRequest,
    confirmed: bool,
) -> Result<LoggedOut, Refused> {
    let snapshot = app.now();
    let found = sessions::not_ended(app, browser).await?;
    let shown = found.as_ref().is_some_and(|found| found.shown);
    let current = found.map(|found| found.current);
    let hint = hint(app, &snapshot, request.id_token_hint.as_deref(), current.as_ref());
    let named = match &hint {
        Some(hint) => Some(hint.client.as_str()),
        None => request.client_id.as_deref(),
    };
    let client = named.and_then(|id| snapshot.client(id));
    let facts = current.as_ref().map(|current| CurrentSession {
        id: current.session.id.clone(),
        account: current.account.id.clone(),
    });
    let facts = LogoutFacts { hint: hint.as_ref(), client: client.as_deref(), current: facts.as_ref() };
    let decision = decide(&request, facts);
    let wrong = decision.wrong;
    let client = client.filter(|_| !matches!(wrong, Some(Wrong::Hint | Wrong::Client)));
    let mut frames = Vec::new();
    let mut proof = None;
    match (decision.ending, current) {
        (Ending::Ask, Some(current)) if !confirmed => {
            let account = shown.then(|| Box::new(current.account));
            let redirect = decision.onward.map(|onward| onward.redirect);
            let step = LogoutStep::Ask { account, redirect, request };
            return Ok(LoggedOut { step, client, wrong, trouble: None, changes: Changes::none() });
        }
        (_, Some(current)) => {
            proof = current.session.latest().cloned();
            for (session, told) in end(app, browser, current).await? {
                frames.extend(told.iter().filter_map(|id| frame(&snapshot, id, &session)));
            }
        }
        (_, None) => {}
    }
    // Where another site only had the address loaded, nothing was brought, and nothing is taken away.
    let known = proof.is_some() || browser.session.is_some();
    let mut changes = Changes { session: known.then_some(SessionCookie::Forget), ..Changes::none() };
    let mut trouble = None;
    // There it would be said who was here, which nobody learns by the browser's name alone.
    let told = proof.as_ref().filter(|_| shown);
    let entry = told.and_then(|proof| snapshot.upstreams.get(&proof.provider));
    if let (Some(proof), Some(entry)) = (&proof, entry.filter(|entry| entry.policy.enabled)) {
        let leaving = Leaving {
            session: proof.upstream_session.as_deref(),
            name: proof.upstream_name.as_ref().map(|name| name.written.as_str()),
            client: client.as_deref(),
            onward: decision.onward.as_ref().map(|way| (&way.redirect, way.vouched || confirmed)),
        };
        match parting::leave(app, &snapshot, browser, &entry, leaving).await {
            Ok(Some((departure, along))) => {
                changes.then(along);
                let step = LogoutStep::Leave { name: entry.display.name, departure, frames };
                return Ok(LoggedOut { step, client, wrong, trouble, changes });
            }
            Ok(None) => {}
            Err(failure) => {
                let refused = Refused::from(failure).at(&entry.id);
                trouble = Some(Trouble::Unconfirmed(Box::new(refused)));
            }
        }
    }
    let onward = decision.onward.map(|onward| Onward {
        location: onward.redirect.with_state(),
        // The person is to read what did not work.
        by_itself: (onward.vouched || confirmed) && trouble.is_none(),
    });
    let provider = proof.map(|proof| snapshot.provider_name(&proof.provider));
    let step = LogoutStep::Done { onward, frames, provider };
    Ok(LoggedOut { step, client, wrong, trouble, changes })
}

/// Ends the session, and what the same person has in this browser beside it: sessions that ran out, or whose secret never
/// reached it. Each with its clients. Of many who do it at once one is given them.
async fn end(
    app: &App,
    browser: &Browser,
    current: Current,
) -> Result<Vec<(SessionId, Vec<ClientId>)>, StoreError> {
    let (now, traces) = (app.context.now(), browser.traces());
    app.store
        .write(move |tx| -> Result<_, StoreError> {
            // Sign-ins of this browser come wholly before or wholly after.
            tx.take_turn(traces.name.as_slice(), Turn::Alone)?;
            let account = &current.account.id;
            let here = sessions::in_browser(tx, &traces)?.into_iter();
            let mut ids = vec![current.session.id.clone()];
            ids.extend(here.filter(|one| one.account == *account).map(|one| one.id));
            ids.dedup();
            let mut ended = Vec::new();
            for id in ids {
                let actor = Actor::Person(account.clone());
                ended.extend(sessions::end(tx, &id, account, actor, "logout", now)?.map(|told| (id, told)));
            }
            Ok(ended)
        })
        .await
}

/// What a client wants the browser to load (OIDC Front-Channel Logout §2): with `iss`, and `sid` as in its ID
/// tokens, if it must know the session, and without either if not.
pub(super) fn frame(snapshot: &Snapshot, client: &ClientId, session: &SessionId) -> Option<Frame> {
    let client = snapshot.client(client.as_str())?;
    let mut url = Url::parse(client.logout.frontchannel_uri.as_deref()?).ok()?;
    if client.logout.frontchannel_session_required {
        url.query_pairs_mut()
            .append_pair("iss", snapshot.settings.issuer.as_str())
            .append_pair("sid", &snapshot.subjects.session(&client, session).ok()?);
    }
    Some(Frame { name: client.name.clone(), url })
}

/// What an `id_token_hint` says, if it is an ID token of ours. One that has expired still tells whom the
/// application means (§2); one that does not hold is as good as none. A client may know people and sessions by
/// names of its own, so these are computed for the person at hand and compared.
fn hint(app: &App, snapshot: &Snapshot, token: Option<&str>, current: Option<&Current>) -> Option<Hint> {
    let expected = Expected { typ: TokenType::Id, expiry: Expiry::Ignored, now: app.context.now() };
    let claims: HintClaims = snapshot.keyring.verify(token?, &expected).ok()?;
    let mut audience = claims.aud.iter();
    let (Some(client), None) = (audience.next(), audience.next()) else { return None };
    let id = ClientId::new(client).ok()?;
    let known = snapshot.find(id.as_str()).zip(current);
    let known = known.as_ref();
    let person = known.filter(|(client, at)| snapshot.subjects.is(client, &at.account.id, &claims.sub));
    let session = known.filter(|(client, at)| {
        claims.sid.as_ref().is_some_and(|sid| snapshot.subjects.is_session(client, &at.session.id, sid))
    });
    Some(Hint {
        account: match person {
            Some((_, at)) => at.account.id.clone(),
            None => AccountId::new(claims.sub).ok()?,
        },
        client: id,
        session: match session {
            Some((_, at)) => Some(at.session.id.clone()),
            None => claims.sid.map(SessionId::new).transpose().ok()?,
        },
    })
}
