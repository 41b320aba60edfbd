//! The introspection endpoint (RFC 7662): what a token is worth at this moment, for those whom it concerns.

use crate::clients::authentication::invalid_client;
use crate::clients::{AuthMethod, Credentials};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::bearer::{self, Live, Verified};
use crate::flow::discovery::paths;
use crate::flow::standing::standing;
use crate::flow::{App, Snapshot, authentication};
use crate::ids::ClientId;
use crate::jose::Expiry;
use crate::protocol::{Parameters, Scope, token::token_parameter};
use crate::store::{StoreError, Tx};
use crate::tokens::claims::{AccessClaims, Audience, AuthenticationClaims};
use crate::tokens::handle::{Handle, Refresh};
use serde::Serialize;

/// The answer (RFC 7662 §2.2). An inactive token is told nothing else of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Introspection {
    active: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    token: Option<ActiveToken>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ActiveToken {
    iss: String,
    sub: String,
    client_id: String,
    scope: Scope,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(flatten)]
    authentication: AuthenticationClaims,
    /// As they are now, and not as the token says.
    #[serde(flatten)]
    access: AccessClaims,
}

impl Introspection {
    /// Whether the token is worth anything to the one who asks.
    pub fn is_active(&self) -> bool {
        self.active
    }
    fn of(token: ActiveToken) -> Self {
        Self { active: true, token: Some(token) }
    }
}

/// Who asks.
enum Asker {
    /// An API: it sees the tokens that are for it.
    ResourceServer { resource: String },
    /// A client: it sees the tokens that were issued to it.
    Client(ClientId),
}

/// Answers about a token.
///
/// Who asks must have a secret or keys. Whatever cannot be shown to the asker is inactive, and nothing tells why
/// (RFC 7662 §2.2).
///
/// # Errors
/// `invalid_client`; `invalid_request` without a token; `temporarily_unavailable` when the store fails,
/// because neither answer would be true.
pub async fn introspect(
    app: &App,
    authorization: Option<&str>,
    form: &Parameters<'_>,
) -> Result<Introspection, Failure> {
    let snapshot = app.now();
    let asker = asker(app, &snapshot, authorization, form).await?;
    let token = token_parameter(form)?;
    let now = app.context.now();
    if let Some(handle) = Handle::<Refresh>::parse(&token) {
        let digest = handle.digest();
        return app
            .store
            .read(move |tx| -> Result<_, Failure> {
                let Some(record) = tx.refresh(&digest)? else { return Ok(Introspection::default()) };
                let own = matches!(&asker, Asker::Client(id) if *id == record.client);
                let client = snapshot.client(record.client.as_str()).filter(|_| own);
                let Some(client) = client else { return Ok(Introspection::default()) };
                if record.used_at.is_some() || now >= record.expires_at {
                    return Ok(Introspection::default());
                }
                let Ok(standing) = standing(tx, &record.grant, &snapshot)? else {
                    return Ok(Introspection::default());
                };
                Ok(Introspection::of(ActiveToken {
                    iss: snapshot.settings.issuer.as_str().to_owned(),
                    sub: snapshot.subjects.of(&client, &standing.grant.account)?,
                    client_id: record.client.as_str().to_owned(),
                    exp: record.expires_at.secs(),
                    iat: record.issued_at.secs(),
                    aud: None,
                    jti: None,
                    token_type: None,
                    authentication: AuthenticationClaims::default(),
                    access: AccessClaims::new(&record.scope, &standing.person.access),
                    scope: record.scope,
                }))
            })
            .await;
    }
    let Some(verified) = visible(&snapshot, &asker, &token, now) else { return Ok(Introspection::default()) };
    app.store.read(move |tx| -> Result<_, Failure> { Ok(access_token(tx, verified, &snapshot)?) }).await
}

/// The access token, if it holds and concerns the asker.
fn visible(snapshot: &Snapshot, asker: &Asker, token: &str, now: Timestamp) -> Option<Verified> {
    let verified = bearer::verify(snapshot, token, now, Expiry::Enforced).ok()?;
    let concerned = match asker {
        Asker::ResourceServer { resource } => verified.claims.aud.contains(resource),
        Asker::Client(id) => verified.claims.client_id == id.as_str(),
    };
    concerned.then_some(verified)
}

fn access_token(
    tx: &mut Tx<'_>,
    verified: Verified,
    snapshot: &Snapshot,
) -> Result<Introspection, StoreError> {
    let Some(live) = bearer::live(tx, &verified, snapshot)? else { return Ok(Introspection::default()) };
    let claims = verified.claims;
    let access = match live {
        Live::Person(standing) => AccessClaims::new(&claims.scope, &standing.person.access),
        Live::Client => {
            let access =
                crate::accounts::access::resolve_targets(&verified.client.assignments, &snapshot.directory);
            AccessClaims::new(&claims.scope, &access)
        }
    };
    Ok(Introspection::of(ActiveToken {
        iss: claims.iss,
        sub: claims.sub,
        client_id: claims.client_id,
        scope: claims.scope,
        exp: claims.exp,
        iat: claims.iat,
        aud: Some(claims.aud),
        jti: Some(claims.jti),
        token_type: Some("Bearer"),
        authentication: claims.authentication,
        access,
    }))
}

async fn asker(
    app: &App,
    snapshot: &Snapshot,
    authorization: Option<&str>,
    form: &Parameters<'_>,
) -> Result<Asker, Failure> {
    form.check()?;
    let credentials = Credentials::parse(authorization, form)?;
    let id = credentials.client_id.as_str();
    if let Some(server) = snapshot.resource_servers.get(id) {
        let server = credentials.verify_resource_server(Some(server))?;
        return Ok(Asker::ResourceServer { resource: server.resource.clone() });
    }
    let client = authentication::prove(app, snapshot, &credentials, paths::INTROSPECT).await?;
    if credentials.method == AuthMethod::None {
        // RFC 7662 §2.1: anybody could fish for tokens
        return Err(invalid_client("client.public", "a public client cannot introspect"));
    }
    Ok(Asker::Client(client.id.clone()))
}
