//! An answer that nobody asked for (SAML's IdP-initiated sign-in). It is never a proof: whoever holds one could
//! sign others in as themselves. Where the settings want it, it is what a link would be: a wish to begin a
//! sign-in, by an application's own start, at that provider. Nothing of the message is used.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes, Wish, WishCookie};
use crate::flow::refusals::Refused;
use crate::flow::{App, Outcome, Snapshot, Step, apps, state};
use crate::ids::{ClientId, ProviderId};
use crate::tokens::handle::{Digest, Flow, Handle};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many sign-ins may be at a provider that began with its unasked answers, and left lately: one that forgets our
/// RelayState would send the browser round for ever.
const ROUNDS: usize = 3;
const LATELY: Duration = Duration::from_secs(120);

/// What an answer leads to that names no departure of ours; `None` if it is to be taken as one whose state was
/// lost, as with all kinds of providers that know nothing else.
///
/// # Errors
/// The kind's own, where it is not switched on; `client.unknown`, `client.disabled`, `client.start`,
/// `provider.not_offered`. Nothing is used up by any of them.
pub async fn unsolicited(
    app: &App,
    browser: &Browser,
    snapshot: &Snapshot,
    provider: &str,
    parameters: &BTreeMap<String, String>,
    state: Option<&str>,
) -> Result<Option<Outcome>, Refused> {
    if state.and_then(Handle::<Flow>::parse).is_some() {
        return Ok(None);
    }
    let entry = provider.parse::<ProviderId>().ok().and_then(|id| snapshot.upstreams.get(&id));
    let Some(entry) = entry.filter(|entry| entry.policy.enabled) else { return Ok(None) };
    let Some(wanted) = entry.upstream.unsolicited(parameters) else { return Ok(None) };
    let refused = |failure: Failure| Refused::from(failure).at(&entry.id);
    let client = wanted.map_err(refused)?;
    let since = app.context.now().minus(LATELY);
    // Where a browser may have fewer sign-ins open, no more are ever seen.
    let rounds = ROUNDS.min(snapshot.settings.sign_in.max_open);
    if state::unasked_away(app, browser, &entry.id, since).await.map_err(refused)? >= rounds {
        let note =
            "the answers to the sign-ins that such answers began come without the RelayState that we sent";
        let failure =
            Failure::new(OAuthCode::AccessDenied, "saml.unsolicited", UserMessage::StartAgain, note)
                .expected("an answer with its RelayState", "another one without");
        return Err(refused(failure));
    }
    start(snapshot, &entry.id, &client).map(Some).map_err(refused)
}

/// To where the application begins a sign-in.
fn start(snapshot: &Snapshot, provider: &ProviderId, id: &ClientId) -> Result<Outcome, Failure> {
    let refuse =
        |reason, user, note: &'static str| Failure::new(OAuthCode::InvalidRequest, reason, user, note);
    let client = snapshot.find(id.as_str()).ok_or_else(|| {
        refuse("client.unknown", UserMessage::UnknownApp, "the client to start does not exist")
    })?;
    if client.disabled {
        return Err(refuse(
            "client.disabled",
            UserMessage::UnknownApp,
            "the client to start is switched off",
        ));
    }
    if !client.admits(provider) {
        let note = "the provider is not open to the client to start";
        return Err(refuse("provider.not_offered", UserMessage::ProviderNotOffered, note));
    }
    let location = apps::start(snapshot, id.as_str(), None, None)?.ok_or_else(|| {
        let note = "the client to start has neither initiate_login_uri nor home_uri";
        refuse("client.start", UserMessage::AppMisconfigured, note)
    })?;
    let wish = Wish { provider: provider.clone(), client: Digest::of(id.as_str()) };
    let changes = Changes { wish: Some(WishCookie::Keep(wish)), ..Changes::none() };
    Ok(Outcome { step: Step::Start { name: client.name.clone(), location }, changes })
}
