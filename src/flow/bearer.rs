//! What an access token of ours is worth at this moment: its signature, and everything it stands on.

use crate::clients::Client;
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::Snapshot;
use crate::flow::standing::{Standing, standing};
use crate::ids::GrantId;
use crate::jose::{Expected, Expiry, TokenType};
use crate::protocol::bearer::invalid_token;
use crate::store::{StoreError, Tx};
use crate::tokens::claims::{AccessTokenClaims, grant_of};
use std::sync::Arc;

/// An access token whose signature, issuer, type and expiry hold.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What it says.
    pub claims: AccessTokenClaims,
    /// The client to which it was issued, which is still switched on.
    pub client: Arc<Client>,
    /// Its grant; `None` for a client's own token.
    pub grant: Option<GrantId>,
}

/// What a live token stands on.
#[derive(Debug, Clone)]
pub enum Live {
    /// A person's grant.
    Person(Box<Standing>),
    /// Its client.
    Client,
}

/// Verifies what needs no database.
///
/// # Errors
/// `invalid_token`, with the reasons of [`crate::jose`], `token.iat`, `token.epoch`, `token.jti` or
/// `client.disabled`.
pub fn verify(snapshot: &Snapshot, token: &str, now: Timestamp, expiry: Expiry) -> Result<Verified, Failure> {
    let expected = Expected { typ: TokenType::Access, expiry, now };
    let claims: AccessTokenClaims = snapshot
        .keyring
        .verify(token, &expected)
        .map_err(|error| invalid_token(error.reason(), "the access token does not hold").caused_by(error))?;
    let issued_at = Timestamp::from_secs(claims.iat);
    // By a node whose clock was ahead: it would live for longer than its life.
    if issued_at > now.plus(snapshot.settings.sign_in.skew) {
        return Err(invalid_token("token.iat", "the token was issued in the future"));
    }
    if issued_at < snapshot.epoch {
        return Err(invalid_token("token.epoch", "the token was issued before a new epoch"));
    }
    let grant =
        grant_of(&claims.jti).map_err(|()| invalid_token("token.jti", "the token's id is none of ours"))?;
    let client = snapshot
        .client(&claims.client_id)
        .ok_or_else(|| invalid_token("client.disabled", "the token's client was removed or switched off"))?;
    Ok(Verified { claims, client, grant })
}

/// Looks up what a verified token stands on; `None` if it was revoked, or anything under it was.
///
/// # Errors
/// Of the store.
pub fn live(tx: &mut Tx<'_>, token: &Verified, snapshot: &Snapshot) -> Result<Option<Live>, StoreError> {
    if tx.is_jti_revoked(&token.claims.jti)? {
        return Ok(None);
    }
    let Some(grant) = &token.grant else { return Ok(Some(Live::Client)) };
    let found = standing(tx, grant, snapshot)?.ok().filter(|standing| {
        // What the token says of itself must be what its grant says.
        standing.grant.client.as_str() == token.claims.client_id
            && snapshot.subjects.is(&token.client, &standing.grant.account, &token.claims.sub)
    });
    Ok(found.map(|standing| Live::Person(Box::new(standing))))
}
