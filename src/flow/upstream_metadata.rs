//! What we publish for one provider, such as our SAML metadata.

use crate::failure::Failure;
use crate::flow::{App, sign_in};
use crate::ids::ProviderId;
use crate::upstream::Published;

/// The document, if there is such a provider and its kind has one. A provider that is switched off has it too:
/// it is set up before people see it.
///
/// # Errors
/// It cannot be made.
pub async fn upstream_metadata(app: &App, provider: &str) -> Result<Option<Published>, Failure> {
    let snapshot = app.now();
    let Ok(id) = provider.parse::<ProviderId>() else { return Ok(None) };
    let Some(entry) = snapshot.upstreams.get(&id) else { return Ok(None) };
    entry.upstream.published(&app.context, &sign_in::callback_address(&snapshot, &id)).await
}
