//! A logout that begins at a provider (OIDC Back-Channel Logout 1.0): the provider's kind proves the word, then
//! one transaction uses it up and ends the sessions whose latest proof stood on what has ended there.

use crate::failure::{Failure, UserMessage};
use crate::flow::App;
use crate::flow::refusals::Refused;
use crate::flow::sessions::{self, AtProvider};
use crate::ids::{ProviderId, SessionId};
use crate::store::StoreError;
use crate::tokens::handle::Digest;
use crate::upstream::Trace;
use std::collections::BTreeMap;

/// Takes what a provider's server sent to our logout address; the sessions that it ended. A session or person
/// that we do not know is no error: then nobody is signed in here (§2.8).
///
/// A provider that is switched off still has its say: it ends what it began.
///
/// # Errors
/// [`Refused`]; then every session goes on. `temporarily_unavailable` when the store or the provider fails.
pub async fn upstream_logout(
    app: &App,
    provider: &str,
    form: &BTreeMap<String, String>,
) -> Result<Vec<SessionId>, Refused> {
    let snapshot = app.now();
    let entry = provider.parse::<ProviderId>().ok().and_then(|id| snapshot.upstreams.get(&id));
    let entry = entry
        .ok_or_else(|| Failure::invalid_request("upstream.logout_request", "there is no such provider"))?;
    let mut trace = Trace::default();
    let notice = match entry.upstream.inbound_logout(&app.context, form, &mut trace).await {
        Ok(notice) => notice,
        Err(failure) => return Err(Refused::from(failure).at(&entry.id).traced(trace)),
    };
    let (id, now) = (entry.id.clone(), app.context.now());
    let ended = app.store.write(move |tx| -> Result<Option<Vec<SessionId>>, StoreError> {
        let (what, until) = &notice.replay;
        // The provider's id keeps two providers' values apart.
        if !tx.use_once("replay", &Digest::of(&format!("{id}\n{what}")), *until)? {
            return Ok(None);
        }
        let identity = match &notice.subject {
            None => None,
            Some(key) => match tx.identity(key)? {
                Some(identity) => Some(identity),
                None => return Ok(Some(Vec::new())),
            },
        };
        let at =
            AtProvider { provider: &id, session: notice.session.as_deref(), identity: identity.as_ref() };
        sessions::end_upstream(tx, &at, now).map(Some)
    });
    ended.await?.ok_or_else(|| {
        let failure = Failure::invalid_request("upstream.replay", "the logout token was accepted before");
        Refused::from(Failure { user: UserMessage::ProviderAnswerRefused, ..failure })
            .at(&entry.id)
            .traced(trace)
    })
}
