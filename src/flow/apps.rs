//! Applications that people can start from here (OIDC Core §4, third-party-initiated login).

use crate::clients::{Client, Location, Origin};
use crate::failure::Failure;
use crate::flow::Snapshot;
use std::sync::Arc;

/// Where an application begins a sign-in; `None` if there is no such application, or it said no place.
///
/// # Errors
/// `client.target_link_uri` where the target is not the application's own.
pub fn start(
    snapshot: &Snapshot,
    client: &str,
    login_hint: Option<&str>,
    target: Option<&str>,
) -> Result<Option<Location>, Failure> {
    let Some(client) = snapshot.client(client) else { return Ok(None) };
    Location::start(&client, snapshot.settings.issuer.as_str(), login_hint, target)
}

/// The applications that the start page lists, by name: those that administrators set up and that have a
/// place to begin at. What strangers registered is not offered to people as if it were ours.
pub fn listed(snapshot: &Snapshot) -> Vec<Arc<Client>> {
    let mut all: Vec<Arc<Client>> = snapshot
        .clients
        .values()
        .filter(|client| !client.disabled && matches!(client.origin, Origin::Declared | Origin::Created))
        .filter(|client| client.sign_in.initiate_login_uri.is_some() || client.home_uri.is_some())
        .cloned()
        .collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}
