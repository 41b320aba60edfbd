//! A browser that went on to a provider to sign out there too. Here the person is signed out already; what is
//! sealed into the browser only says which answer to expect, and where to lead them then.

use crate::clients::{Client, ValidatedRedirect};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::browser::{Browser, Changes, FlowCookie};
use crate::flow::logout::Onward;
use crate::flow::state::{self, Purpose};
use crate::flow::{App, Snapshot};
use crate::ids::{ClientId, ProviderId};
use crate::tokens::handle::{Flow, Handle};
use crate::upstream::{Begun, Departure, Entry, LogoutWish};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

const PURPOSE: Purpose = Purpose { cookie: "logout", row: "logout.pending" };
/// For how long an answer is waited for. A provider may ask the person, and its other services, first.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What must be known when the browser comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parting {
    /// Digest of the handle that travels along.
    attempt: String,
    /// Where the browser went.
    pub provider: ProviderId,
    /// What the provider's kind must remember, base64url.
    state: String,
    /// When it is over.
    expires_at: Timestamp,
    /// The application that asked for the logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<ClientId>,
    /// Where to go on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    onward: Option<Kept>,
}

/// The way on, as the application asked for it. It is checked again before it is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    by_itself: bool,
}

/// Where the person stands after a logout here, and what the provider must know of it.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// The provider's own session.
    pub session: Option<&'a str>,
    /// Its name for the person.
    pub name: Option<&'a str>,
    /// The application that asked.
    pub client: Option<&'a Client>,
    /// Where it wants the person, and whether the browser goes there by itself.
    pub onward: Option<(&'a ValidatedRedirect, bool)>,
}

/// How the browser goes to a provider to sign out there; `None` if the provider has no such thing.
///
/// # Errors
/// When the request cannot be made or remembered; here the person is signed out all the same.
pub async fn leave(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    entry: &Entry,
    leaving: Leaving<'_>,
) -> Result<Option<(Departure, Changes)>, Failure> {
    let handle = Handle::<Flow>::new(&app.context);
    let wish = LogoutWish {
        state: handle.expose().to_owned(),
        address: address(snapshot, &entry.id),
        session: leaving.session.map(str::to_owned),
        name: leaving.name.map(str::to_owned),
    };
    let Some(Begun { departure, state }) = entry.upstream.begin_logout(&app.context, &wish).await? else {
        return Ok(None);
    };
    let parting = Parting {
        attempt: handle.digest().as_str().to_owned(),
        provider: entry.id.clone(),
        state: URL_SAFE_NO_PAD.encode(state.as_slice()),
        expires_at: app.context.now().plus(LIFETIME),
        client: leaving.client.map(|client| client.id.clone()),
        onward: leaving.onward.map(|(redirect, by_itself)| Kept {
            uri: redirect.uri().to_owned(),
            state: redirect.state().map(str::to_owned),
            by_itself,
        }),
    };
    let plain = serde_json::to_vec(&parting)
        .map_err(|error| Failure::internal("flow.state", "a logout cannot be written").caused_by(error))?;
    let plain = Zeroizing::new(plain);
    let value = state::sealed(app, browser, PURPOSE, handle.short(), &plain, parting.expires_at).await?;
    let mut changes = Changes::none();
    // The answer may come by POST from the provider's site.
    let kept =
        FlowCookie::Keep { value, lifetime: LIFETIME, cross_site: entry.upstream.logs_out_by_browser() };
    changes.flows.insert(handle.short().to_owned(), kept);
    Ok(Some((departure, changes)))
}

/// The logout that this browser took to this provider under this handle, if it is open, and its handle.
///
/// # Errors
/// When the store fails.
pub async fn open(
    app: &App,
    browser: &Browser,
    provider: &ProviderId,
    handle: Option<&str>,
) -> Result<Option<(Parting, Handle<Flow>)>, Failure> {
    let Some(handle) = handle.and_then(Handle::<Flow>::parse) else { return Ok(None) };
    let Some(plain) = state::unsealed(app, browser, PURPOSE, handle.short()).await? else { return Ok(None) };
    let Ok(parting) = serde_json::from_slice::<Parting>(&plain) else { return Ok(None) };
    let fits = state::same(&parting.attempt, handle.digest().as_str())
        && parting.provider == *provider
        && app.context.now() < parting.expires_at;
    Ok(fits.then_some((parting, handle)))
}

impl Parting {
    /// What the provider's kind left.
    pub fn kind_state(&self) -> Option<Zeroizing<Vec<u8>>> {
        URL_SAFE_NO_PAD.decode(&self.state).ok().map(Zeroizing::new)
    }
    /// The application that asked, if it is still switched on.
    pub fn client(&self, snapshot: &Snapshot) -> Option<Arc<Client>> {
        snapshot.client(self.client.as_ref()?.as_str())
    }
    /// Where to go on to, if the application still has that address.
    pub fn onward(&self, client: Option<&Client>) -> Option<Onward> {
        let kept = self.onward.as_ref()?;
        let redirect = ValidatedRedirect::after_logout(client?, &kept.uri, kept.state.as_deref()).ok()?;
        Some(Onward { location: redirect.with_state(), by_itself: kept.by_itself })
    }
}

/// Our logout address for a provider, absolute.
pub fn address(snapshot: &Snapshot, provider: &ProviderId) -> String {
    snapshot.settings.issuer.at(&format!("/upstream/{provider}/logout"))
}
