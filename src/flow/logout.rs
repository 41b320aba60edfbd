//! Signing out (OIDC RP-Initiated Logout 1.0): at an application's wish if it can be trusted, else at the
//! person's.

use crate::accounts::Account;
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::{Client, Location, ValidatedRedirect};
use crate::flow::browser::{Browser, Changes, SessionCookie};
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, Current};
use crate::flow::{App, Snapshot};
use crate::ids::{AccountId, ClientId, SessionId};
use crate::jose::{Expected, Expiry, TokenType};
use crate::protocol::LogoutRequest;
use crate::protocol::logout::{CurrentSession, Hint, LogoutDecision, decide};
use crate::store::StoreError;
use crate::tokens::claims::HintClaims;
use std::sync::Arc;

/// Where the person goes now.
#[derive(Debug)]
pub enum LogoutStep {
    /// Back to the application.
    Client(Location),
    /// To the page that says so.
    SignedOut {
        /// The provider where a session of its own may go on.
        provider: Option<String>,
    },
    /// To the page that asks.
    Ask {
        /// Whose session it is.
        account: Box<Account>,
        /// Where the answer may lead.
        redirect: Option<ValidatedRedirect>,
        /// What to send along with the answer.
        request: LogoutRequest,
    },
}

/// What came of a logout.
#[derive(Debug)]
pub struct LoggedOut {
    /// Where the person goes now.
    pub step: LogoutStep,
    /// The application that asks, where a hint of ours names it.
    pub client: Option<Arc<Client>>,
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
    let current = sessions::current(app, browser).await?;
    let hint = hint(app, &snapshot, request.id_token_hint.as_deref(), current.as_ref());
    let client = hint.as_ref().and_then(|hint| snapshot.client(hint.client.as_str()));
    let facts = current.as_ref().map(|current| CurrentSession {
        id: current.session.id.clone(),
        account: current.account.id.clone(),
    });
    let decision = decide(&request, hint.as_ref(), client.as_deref(), facts.as_ref());
    let (redirect, ends) = match (decision, &current) {
        (LogoutDecision::Ask(redirect), Some(current)) if !confirmed => {
            let account = Box::new(current.account.clone());
            let step = LogoutStep::Ask { account, redirect, request };
            return Ok(LoggedOut { step, client, changes: Changes::none() });
        }
        (LogoutDecision::End(redirect) | LogoutDecision::Ask(redirect), _) => (redirect, true),
        (LogoutDecision::Nothing(redirect), _) => (redirect, false),
    };
    let mut provider = None;
    if let Some(current) = current.filter(|_| ends) {
        let latest = current.session.proofs.iter().max_by_key(|proof| proof.auth_time);
        provider = latest.map(|proof| snapshot.provider_name(&proof.provider));
        end(app, current.session.id, current.account.id).await?;
    }
    let step = match redirect {
        Some(redirect) => LogoutStep::Client(redirect.with_state()),
        None => LogoutStep::SignedOut { provider },
    };
    let changes = Changes { session: Some(SessionCookie::Forget), ..Changes::none() };
    Ok(LoggedOut { step, client, changes })
}

/// Ends a session and everything that was granted in it.
async fn end(app: &App, session: SessionId, account: AccountId) -> Result<(), StoreError> {
    let now = app.context.now();
    app.store
        .write(move |tx| -> Result<(), StoreError> {
            tx.revoke_grants_of_session(&session, now)?;
            if tx.revoke_session(&session, now)? {
                let event = AuditEvent::new(now, AuditKind::SessionEnded, Actor::Person(account.clone()));
                tx.append_audit(&event.account(&account).reason("logout"))?;
            }
            Ok(())
        })
        .await
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
    let known = snapshot.clients.get(&id).zip(current);
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
