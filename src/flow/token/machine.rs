//! Client credentials (RFC 6749 §4.4): a client acts for itself. Everything is in the snapshot, so this path
//! neither reads nor writes the database.

use super::{TokenAnswer, mint};
use crate::accounts::access;
use crate::clients::Client;
use crate::clients::entitlement::PERSONAL_SCOPES;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::{App, Snapshot};
use crate::protocol::Scope;
use std::collections::BTreeSet;

/// Issues an access token with the client as its subject, its own groups and roles, and no scope that means a
/// person. Without a wish it gets every scope that it may have.
pub(super) fn issue(
    app: &App,
    snapshot: &Snapshot,
    client: &Client,
    scope: Option<&Scope>,
    resources: &BTreeSet<String>,
) -> Result<TokenAnswer, Failure> {
    if client.is_public() {
        // RFC 6749 §4.4: only clients that can keep a secret
        return Err(Failure::new(
            OAuthCode::UnauthorizedClient,
            "client.public",
            UserMessage::AppMisconfigured,
            "a public client cannot act for itself",
        ));
    }
    let offer = &snapshot.offer;
    let audience = offer.audience(resources, &offer.allowed(client))?;
    let scope = offer
        .scope_at(&offer.narrow(scope.unwrap_or(&client.scope), client), &audience)
        .filtered(|token| !PERSONAL_SCOPES.contains(&token));
    let access = access::resolve_targets(&client.assignments, &snapshot.directory);
    let random = app.context.token_id();
    mint::for_client(snapshot, client, scope, &audience, &access, &random, app.context.now())
}
