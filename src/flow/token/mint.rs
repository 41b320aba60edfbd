//! Making tokens from facts, after the transaction in which they were granted.

use super::TokenAnswer;
use crate::accounts::Access;
use crate::assurance::methods;
use crate::clients::Client;
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::Snapshot;
use crate::flow::standing::Standing;
use crate::jose::{JoseError, TokenType};
use crate::protocol::Scope;
use crate::tokens::claims::{self, AccessTokenFacts, AuthenticationClaims, IdTokenFacts, Subject, token_id};
use crate::tokens::handle::{Handle, Refresh};
use std::collections::BTreeSet;

/// What a person's tokens are made from.
pub(super) struct PersonFacts<'a> {
    pub client: &'a Client,
    pub standing: &'a Standing,
    pub scope: Scope,
    pub audience: &'a BTreeSet<String>,
    pub nonce: Option<&'a str>,
    pub refresh: Option<Handle<Refresh>>,
    /// The random part of the access token's id.
    pub random: &'a str,
    pub now: Timestamp,
}

/// Tokens for a person's client.
pub(super) fn for_person(snapshot: &Snapshot, facts: PersonFacts<'_>) -> Result<TokenAnswer, Failure> {
    let PersonFacts { client, standing, scope, audience, nonce, refresh, random, now } = facts;
    let (settings, person) = (&snapshot.settings, &standing.person);
    let authentication = authentication(snapshot, standing);
    let jti = token_id(Some(&standing.grant.id), random);
    let sub = snapshot.subjects.of(client, &person.account.id)?;
    let subject = Subject::Account { sub: &sub, authentication: &authentication };
    let (access_token, expires_in) =
        access_token(snapshot, client, subject, &scope, audience, &person.access, &jti, now)?;
    let id_token = if scope.contains("openid") {
        let claims = claims::id_token(&IdTokenFacts {
            issuer: settings.issuer.as_str(),
            account: &person.account,
            sub: &sub,
            client,
            scope: &scope,
            claims: &standing.grant.details.claims,
            nonce,
            sid: &snapshot.subjects.session(client, &standing.grant.session)?,
            authentication: &authentication,
            access_token: Some(&access_token),
            access: &person.access,
            now,
            lifetime: settings.tokens.id,
        });
        let signed = snapshot.keyring.sign(client.id_token_alg, TokenType::Id, &claims);
        Some(signed.map_err(cannot_sign)?)
    } else {
        None
    };
    Ok(TokenAnswer {
        access_token,
        token_type: "Bearer",
        expires_in,
        refresh_token: refresh.map(|token| token.expose().to_owned()),
        id_token,
        scope,
    })
}

/// An access token for a client itself.
pub(super) fn for_client(
    snapshot: &Snapshot,
    client: &Client,
    scope: Scope,
    audience: &BTreeSet<String>,
    access: &Access,
    random: &str,
    now: Timestamp,
) -> Result<TokenAnswer, Failure> {
    let jti = token_id(None, random);
    let (access_token, expires_in) =
        access_token(snapshot, client, Subject::Client, &scope, audience, access, &jti, now)?;
    Ok(TokenAnswer {
        access_token,
        token_type: "Bearer",
        expires_in,
        refresh_token: None,
        id_token: None,
        scope,
    })
}

#[allow(clippy::too_many_arguments)] // the facts of one token; a struct would only name them twice
fn access_token(
    snapshot: &Snapshot,
    client: &Client,
    subject: Subject<'_>,
    scope: &Scope,
    resources: &BTreeSet<String>,
    access: &Access,
    jti: &str,
    now: Timestamp,
) -> Result<(String, u64), Failure> {
    let lifetime = client.access_token_lifetime.unwrap_or(snapshot.settings.tokens.access);
    let issuer = snapshot.settings.issuer.as_str();
    let claims = claims::access_token(&AccessTokenFacts {
        issuer,
        subject,
        client: &client.id,
        scope,
        resources,
        jti,
        access,
        now,
        lifetime,
    });
    let signed = snapshot.keyring.sign(client.access_token_alg, TokenType::Access, &claims);
    Ok((signed.map_err(cannot_sign)?, lifetime.as_secs()))
}

/// How the person proved themselves when they made the grant. What a provider said of it is turned into our
/// own words now, so that a changed policy holds for the next token.
fn authentication(snapshot: &Snapshot, standing: &Standing) -> AuthenticationClaims {
    let grant = &standing.grant;
    let proof = grant.proof(standing.session.as_ref());
    // Only a provider's own time: when its answer reached us says little of when the person proved themselves.
    // Where the time is demanded (OIDC Core §2), only providers that say it were open to the person.
    let asserted = proof.as_ref().is_none_or(|proof| proof.time_asserted);
    let auth_time = asserted.then_some(grant.auth_time);
    let acr = proof.as_ref().and_then(|proof| snapshot.acr(&proof.provider, proof.acr.as_deref()));
    let amr = proof.as_ref().map_or_else(Vec::new, |proof| methods(&proof.amr));
    AuthenticationClaims::new(auth_time, acr.as_deref(), &amr)
}

pub(in crate::flow) fn cannot_sign(error: JoseError) -> Failure {
    Failure::internal(error.reason(), "a token could not be signed").caused_by(error)
}
