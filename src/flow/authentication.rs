//! Which client asks, and whether it is that client: at the token, revocation, introspection and pushed
//! authorization request endpoints.

use crate::clients::assertion::{self, Expected};
use crate::clients::authentication::invalid_client;
use crate::clients::{AuthMethod, Client, Credentials};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::discovery::paths;
use crate::flow::{App, Snapshot, client_keys};
use crate::jose::Alg;
use crate::protocol::Parameters;
use crate::store::StoreError;
use crate::tokens::handle::Digest;
use std::sync::Arc;

/// Finds out which client sends a form to one of our endpoints (a path of [`paths`]), and that it is that client.
///
/// # Errors
/// Those of [`Parameters::check`], [`Credentials::parse`], [`Credentials::verify_client`] and [`prove`].
pub async fn client(
    app: &App,
    snapshot: &Snapshot,
    authorization: Option<&str>,
    form: &Parameters<'_>,
    endpoint: &str,
) -> Result<Arc<Client>, Failure> {
    form.check()?;
    let credentials = Credentials::parse(authorization, form)?;
    prove(app, snapshot, &credentials, endpoint).await
}

/// Checks credentials against the client that they name.
///
/// An assertion works once: its id is remembered past its end, in one statement that only one of many can win.
///
/// # Errors
/// `invalid_client`: those of [`Credentials::verify_client`], [`client_keys::verify`] and [`assertion::check`], and
/// `client.assertion_replayed`. `temporarily_unavailable` when the store fails; the assertion then still counts.
pub async fn prove(
    app: &App,
    snapshot: &Snapshot,
    credentials: &Credentials,
    endpoint: &str,
) -> Result<Arc<Client>, Failure> {
    let found = snapshot.find(credentials.client_id.as_str());
    if credentials.method == AuthMethod::PrivateKeyJwt {
        credentials.eligible(found.as_deref())?;
    } else {
        credentials.verify_client(found.as_deref())?;
    }
    let client =
        found.ok_or_else(|| Failure::internal("client.unknown", "a client vanished from its snapshot"))?;
    if credentials.method == AuthMethod::PrivateKeyJwt {
        let token = credentials.assertion().unwrap_or_default();
        verify_assertion(app, snapshot, &client, token, endpoint).await?;
    }
    Ok(client)
}

async fn verify_assertion(
    app: &App,
    snapshot: &Snapshot,
    client: &Client,
    token: &str,
    endpoint: &str,
) -> Result<(), Failure> {
    let registered = client.assertions.alg.as_deref().map(|name| Alg::parse(name).into_iter().collect());
    let allowed: Vec<Alg> = registered.unwrap_or_else(|| Alg::ALL.to_vec());
    let verified = client_keys::verify(app, snapshot, client, token, &allowed).await.map_err(|error| {
        let note = error.note().to_owned();
        Failure::new(OAuthCode::InvalidClient, error.reason(), UserMessage::AppMisconfigured, note)
    })?;
    let settings = &snapshot.settings;
    // RFC 9126 §2 names these for pushed requests; the same holds wherever a client proves itself.
    let endpoints = [settings.issuer.at(paths::TOKEN), settings.issuer.at(endpoint)];
    let expected = Expected {
        client: &client.id,
        issuer: settings.issuer.as_str(),
        endpoints: &endpoints,
        issuer_only: client.assertions.issuer_only.unwrap_or(settings.tokens.strict_assertions),
        now: app.context.now(),
        skew: settings.sign_in.skew,
    };
    let accepted = assertion::check(verified.header.typ.as_deref(), &verified.claims, &expected)?;
    // Whether it was used before a backup came back, nobody knows.
    if accepted.made_at < snapshot.epoch {
        let refused =
            invalid_client("client.assertion_epoch", "the assertion may be from before a new epoch");
        return Err(refused.expected(snapshot.epoch.rfc3339(), accepted.made_at.rfc3339()));
    }
    // Ids are each client's own: another's cannot use them up.
    let digest = Digest::of(&format!("{}\n{}", client.id, accepted.jti));
    let first = app
        .store
        .write(move |tx| -> Result<bool, StoreError> {
            tx.use_once("client_assertion", &digest, accepted.remember_until)
        })
        .await?;
    if first {
        Ok(())
    } else {
        Err(invalid_client("client.assertion_replayed", "the assertion was used before"))
    }
}
