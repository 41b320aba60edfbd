//! Signing out (OIDC RP-Initiated Logout 1.0): at an application's wish if it can be trusted, else at the
//! person's.

use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::Location;
use crate::flow::browser::{Browser, Changes, SessionCookie};
use crate::flow::refusals::Refused;
use crate::flow::sessions;
use crate::flow::{App, Snapshot};
use crate::ids::{AccountId, ClientId, SessionId};
use crate::jose::{Expected, Expiry, TokenType};
use crate::protocol::LogoutRequest;
use crate::protocol::logout::{CurrentSession, Hint, LogoutDecision, decide};
use crate::store::StoreError;
use crate::tokens::claims::HintClaims;

/// Where the person goes now.
#[derive(Debug)]
pub enum LogoutStep {
    /// Back to the application.
    Client(Location),
    /// To the page that says so.
    SignedOut,
    /// To the page that asks.
    Ask {
        /// Whose session it is.
        account: Box<crate::accounts::Account>,
        /// The application that asks, where a hint of ours names it.
        client: Option<ClientId>,
        /// What to send along with the answer.
        request: LogoutRequest,
    },
}

/// What came of a logout.
#[derive(Debug)]
pub struct LoggedOut {
    /// Where the person goes now.
    pub step: LogoutStep,
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
    let hint = hint(app, &snapshot, request.id_token_hint.as_deref());
    let client = hint.as_ref().and_then(|hint| snapshot.client(hint.client.as_str()));
    let current = sessions::current(app, browser).await?;
    let facts = current.as_ref().map(|current| CurrentSession {
        id: current.session.id.clone(),
        account: current.account.id.clone(),
    });
    let decision = decide(&request, hint.as_ref(), client.as_deref(), facts.as_ref());
    let (redirect, ends) = match decision {
        LogoutDecision::End(redirect) => (redirect, true),
        LogoutDecision::Ask(redirect) if confirmed => (redirect, true),
        LogoutDecision::Nothing(redirect) => (redirect, false),
        LogoutDecision::Ask(_) => {
            let Some(current) = current else {
                return Ok(LoggedOut { step: LogoutStep::SignedOut, changes: Changes::none() });
            };
            let client = client.map(|client| client.id.clone());
            let step = LogoutStep::Ask { account: Box::new(current.account), client, request };
            return Ok(LoggedOut { step, changes: Changes::none() });
        }
    };
    if let Some(current) = current.filter(|_| ends) {
        end(app, current.session.id, current.account.id).await?;
    }
    let step = redirect.map_or(LogoutStep::SignedOut, |to| LogoutStep::Client(to.with_state()));
    let changes = Changes { session: Some(SessionCookie::Forget), ..Changes::none() };
    Ok(LoggedOut { step, changes })
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
/// application means (§2); one that does not hold is as good as none.
pub fn hint(app: &App, snapshot: &Snapshot, token: Option<&str>) -> Option<Hint> {
    let expected = Expected { typ: TokenType::Id, expiry: Expiry::Ignored, now: app.context.now() };
    let claims: HintClaims = snapshot.keyring.verify(token?, &expected).ok()?;
    let mut audience = claims.aud.iter();
    let (Some(client), None) = (audience.next(), audience.next()) else { return None };
    Some(Hint {
        account: AccountId::new(claims.sub).ok()?,
        client: ClientId::new(client).ok()?,
        session: claims.sid.map(SessionId::new).transpose().ok()?,
    })
}
