//! Dynamic registration (RFC 7591, OIDC Dynamic Registration 1.0) and its management (RFC 7592).
//!
//! Whoever may register is checked first, then the document against the policy, then what it refers to (keys, the
//! list of its sector); one transaction takes the token's use, counts, and stores. Every later change is held against
//! the policy as it is then.

use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::dynamic::{self, Capabilities, Narrowing, Registered, Registrant, refuse};
use crate::clients::metadata::KeySource;
use crate::clients::{AuthMethod, Client};
use crate::config::settings::RegistrationMode;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::client_network::ClientNetwork;
use crate::flow::discovery::paths;
use crate::flow::{App, Snapshot};
use crate::ids::ClientId;
use crate::jose::{Alg, JwkSet, json};
use crate::outbound::Request;
use crate::protocol::{Scope, bearer};
use crate::store::{RegistrationRecord, StoreError};
use crate::tokens::handle::{ClientSecret, Digest, Handle, RegistrationAccess, RegistrationToken};
use serde_json::{Map, Value, json};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use url::Url;

/// Registrations of one source are counted over this time.
const COUNTED: Duration = Duration::from_secs(24 * 3600);
/// The longest list of a sector's redirect URIs, in bytes.
const LONGEST_SECTOR: usize = 64 * 1024;
/// How many clients that were never used are removed at a time.
const BATCH: u32 = 200;

/// An answer: what is in force, with the secrets that are shown once.
pub type Document = Map<String, Value>;

/// Registers a client. `source` is the address it comes from, as far as it says where somebody is.
///
/// # Errors
/// `invalid_token`: `registration.closed`, `registration.token`, and those of [`bearer::token`].
/// `invalid_redirect_uri` and `invalid_client_metadata`: those of [`dynamic::read`], `registration.document`,
/// `registration.jwks`, `registration.sector`. `access_denied`: `registration.full`, `registration.source`.
pub async fn register(
    app: &App,
    authorization: Option<&str>,
    body: &[u8],
    source: &str,
) -> Result<Document, Failure> {
    let snapshot = app.now();
    let allowed = allowed(app, &snapshot, authorization).await?;
    let wish = document(body)?;
    let now = app.context.now();
    let registrant = Registrant {
        id: client_id(app)?,
        narrowing: allowed.as_ref().map(|allowed| allowed.narrowing.clone()).unwrap_or_default(),
        issued_at: now,
    };
    let mut registered = checked(app, &snapshot, &wish, &registrant).await?;
    let secret = registered.client.needs_secret().then(|| Handle::<ClientSecret>::new(&app.context));
    registered.client.secret_hashes =
        secret.iter().map(|secret| secret.digest().as_str().to_owned()).collect();
    let access = Handle::<RegistrationAccess>::new(&app.context);
    let record = RegistrationRecord {
        registered: registered.clone(),
        access: access.digest(),
        source: source.to_owned(),
        token: allowed.as_ref().map(|allowed| allowed.id.clone()),
        used_at: None,
    };
    let limits = snapshot.settings.registration.clone();
    let event = AuditEvent::new(now, AuditKind::ClientRegistered, Actor::Stranger)
        .client(&registrant.id)
        .data(json!({ "source": source, "token": record.token }));
    app.store
        .write(move |tx| -> Result<(), Failure> {
            // from here on registrations are one after another, so the counts hold
            let version = tx.next_registered_version()?;
            if let Some(allowed) = &allowed
                && !tx.use_registration_token(&allowed.digest, now)?
            {
                return Err(no_token("the initial access token was used up meanwhile"));
            }
            if tx.count_registrations()? >= u64::from(limits.max_clients) {
                return Err(denied("registration.full", "as many clients are registered as may be"));
            }
            let recent = tx.count_registrations_from(&record.source, now.minus(COUNTED))?;
            if recent >= u64::from(limits.max_per_source) {
                let note = "too many registrations from one source in a day";
                return Err(denied("registration.source", note));
            }
            tx.insert_registration(&record, version)?;
            Ok(tx.append_audit(&event)?)
        })
        .await?;
    follow(app).await;
    metrics::counter!("countersign_registrations_total").increment(1);
    Ok(answer(&snapshot, &registered, &access, secret.as_ref()))
}

/// What is in force for a client, asked with its registration access token (RFC 7592 §2.1). Secrets are kept as
/// digests only, so its secret is not shown again.
///
/// # Errors
/// `invalid_token`: `registration.access`, and those of [`bearer::token`].
pub async fn show(app: &App, id: &str, authorization: Option<&str>) -> Result<Document, Failure> {
    let (record, access) = managed(app, id, authorization).await?;
    Ok(answer(&app.now(), &record.registered, &access, None))
}

/// Replaces what is in force (RFC 7592 §2.2). Members that are left out fall back to their defaults; the new whole is
/// held against the policy of this moment. A client that needs a secret and has none gets one.
///
/// # Errors
/// As [`show`] and [`register`].
pub async fn update(
    app: &App,
    id: &str,
    authorization: Option<&str>,
    body: &[u8],
) -> Result<Document, Failure> {
    let snapshot = app.now();
    let (record, access) = managed(app, id, authorization).await?;
    let wish = document(body)?;
    let before = record.registered;
    if wish.get("client_id").and_then(Value::as_str) != Some(before.client.id.as_str()) {
        return Err(refuse("registration.metadata", "client_id", "not the client whose registration it is"));
    }
    if let Some(said) = wish.get("client_secret").filter(|said| !said.is_null()) {
        let digest = Digest::of(said.as_str().unwrap_or_default());
        let known = before.client.secret_hashes.iter().any(|hash| same(hash, digest.as_str()));
        if !known {
            return Err(refuse("registration.metadata", "client_secret", "not the client's secret"));
        }
    }
    let registrant = Registrant {
        id: before.client.id.clone(),
        narrowing: before.narrowing.clone(),
        issued_at: before.issued_at,
    };
    let mut registered = checked(app, &snapshot, &wish, &registrant).await?;
    registered.client.disabled = before.client.disabled;
    let mut secret = None;
    if registered.client.needs_secret() {
        registered.client.secret_hashes = before.client.secret_hashes.clone();
        if registered.client.secret_hashes.is_empty() {
            let fresh = Handle::<ClientSecret>::new(&app.context);
            registered.client.secret_hashes = vec![fresh.digest().as_str().to_owned()];
            secret = Some(fresh);
        }
    }
    if registered != before {
        let now = app.context.now();
        let event = AuditEvent::new(now, AuditKind::ClientChanged, Actor::Client(registrant.id.clone()))
            .client(&registrant.id);
        let stored = registered.clone();
        app.store
            .write(move |tx| -> Result<(), Failure> {
                let version = tx.next_registered_version()?;
                if !tx.put_registration(&stored, version)? {
                    return Err(no_access("the registration was removed meanwhile"));
                }
                Ok(tx.append_audit(&event)?)
            })
            .await?;
        follow(app).await;
    }
    Ok(answer(&snapshot, &registered, &access, secret.as_ref()))
}

/// Removes a client; whatever was granted to it stops working at once (RFC 7592 §2.3).
///
/// # Errors
/// As [`show`].
pub async fn remove(app: &App, id: &str, authorization: Option<&str>) -> Result<(), Failure> {
    let (record, _) = managed(app, id, authorization).await?;
    let id = record.registered.client.id;
    let event = AuditEvent::new(app.context.now(), AuditKind::ClientRemoved, Actor::Client(id.clone()));
    let now = app.context.now();
    app.store
        .write(move |tx| -> Result<(), Failure> {
            let version = tx.next_registered_version()?;
            let told = tx.part_client(&id, now)?;
            let revoked = tx.revoke_grants_of_client(&id, now)?;
            if !tx.remove_registration(&id, now, version)? {
                return Err(no_access("the registration was removed meanwhile"));
            }
            let data = json!({ "grants_revoked": revoked, "logouts_queued": told });
            Ok(tx.append_audit(&event.client(&id).data(data))?)
        })
        .await?;
    follow(app).await;
    Ok(())
}

/// Removes clients that were registered long ago and never got tokens. How many.
///
/// # Errors
/// When the store fails.
pub async fn remove_unused(app: &App) -> Result<usize, Failure> {
    let now = app.context.now();
    let before = now.minus(app.now().settings.registration.unused_lifetime);
    let found: Vec<ClientId> =
        app.store.read(move |tx| -> Result<_, StoreError> { tx.unused_registrations(before, BATCH) }).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let removed = app
        .store
        .write(move |tx| -> Result<usize, StoreError> {
            let version = tx.next_registered_version()?;
            let mut removed = 0;
            // again: one of them may have got tokens, or another node may have been faster
            for id in tx.unused_registrations(before, BATCH)?.into_iter().filter(|id| found.contains(id)) {
                tx.revoke_grants_of_client(&id, now)?;
                if tx.remove_registration(&id, now, version)? {
                    removed += 1;
                    let event = AuditEvent::new(now, AuditKind::ClientRemoved, Actor::System).client(&id);
                    tx.append_audit(&event.reason("client.never_used"))?;
                }
            }
            Ok(removed)
        })
        .await?;
    follow(app).await;
    Ok(removed)
}

/// Takes over the change that was just made. If that fails, the next look at the store does it.
async fn follow(app: &App) {
    if let Err(failure) = app.follow_registrations().await {
        tracing::warn!(?failure, "a registration is stored, but cannot be read back yet");
    }
}

/// What allows a registration, where something must.
struct Allowed {
    id: String,
    digest: Digest,
    narrowing: Narrowing,
}

/// Whether a client may be registered. In an open house a token may still say what for.
async fn allowed(
    app: &App,
    snapshot: &Snapshot,
    authorization: Option<&str>,
) -> Result<Option<Allowed>, Failure> {
    match snapshot.settings.registration.mode {
        RegistrationMode::Closed => {
            let user = UserMessage::AppMisconfigured;
            let note = "clients cannot be registered here by program";
            return Err(Failure::new(OAuthCode::InvalidToken, "registration.closed", user, note));
        }
        RegistrationMode::Open if authorization.is_none() => return Ok(None),
        RegistrationMode::Open | RegistrationMode::Token => {}
    }
    let text = bearer::token(authorization, None, None)?;
    let handle = Handle::<RegistrationToken>::parse(text)
        .ok_or_else(|| no_token("the token is no initial access token"))?;
    let digest = handle.digest();
    let looked_up = digest.clone();
    let now = app.context.now();
    let token =
        app.store.read(move |tx| -> Result<_, StoreError> { tx.registration_token(&looked_up) }).await?;
    let token = token
        .filter(|token| token.is_usable(now))
        .ok_or_else(|| no_token("the initial access token is unknown, used up, revoked or over"))?;
    Ok(Some(Allowed { id: token.id, digest, narrowing: token.narrowing }))
}

/// The registration that a token manages.
async fn managed(
    app: &App,
    id: &str,
    authorization: Option<&str>,
) -> Result<(RegistrationRecord, Handle<RegistrationAccess>), Failure> {
    let text = bearer::token(authorization, None, None)?;
    let handle = Handle::<RegistrationAccess>::parse(text)
        .ok_or_else(|| no_access("the token is no registration access token"))?;
    // RFC 7592 §2: an unknown client is answered like a wrong token
    let unknown = || no_access("the token does not manage this registration");
    let id = ClientId::new(id).map_err(|_| unknown())?;
    let record = app.store.read(move |tx| -> Result<_, StoreError> { tx.registration(&id) }).await?;
    let record = record.filter(|record| same(record.access.as_str(), handle.digest().as_str()));
    Ok((record.ok_or_else(unknown)?, handle))
}

fn same(stored: &str, said: &str) -> bool {
    bool::from(stored.as_bytes().ct_eq(said.as_bytes()))
}

fn document(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    json::object(body).map_err(|error| {
        let note = "the body is not one JSON object without repeated members";
        let user = UserMessage::AppMisconfigured;
        Failure::new(OAuthCode::InvalidClientMetadata, "registration.document", user, note).caused_by(error)
    })
}

/// Reads a document under the policy, and checks what it refers to.
async fn checked(
    app: &App,
    snapshot: &Snapshot,
    wish: &Map<String, Value>,
    registrant: &Registrant,
) -> Result<Registered, Failure> {
    // RFC 9864 §2.2 gives the curve's name to what RFC 8037 calls EdDSA; both are known
    let verified: Vec<&str> = Alg::ALL.into_iter().map(Alg::as_str).chain(["Ed25519"]).collect();
    let scopes: Vec<&str> = snapshot.offer.scopes().collect();
    let scope = Scope::parse(&scopes.join(" ")).unwrap_or_default();
    let offered = Capabilities { verified: &verified, scope: &scope };
    let policy = &snapshot.settings.registration.policy;
    let registered = dynamic::read(wish, registrant, policy, &offered)?;
    check_keys(&registered.client)?;
    check_sector(app, snapshot, &registered.client).await?;
    Ok(registered)
}

fn check_keys(client: &Client) -> Result<(), Failure> {
    let Some(KeySource::Jwks(text)) = &client.keys else { return Ok(()) };
    let keys = JwkSet::registered(text.as_bytes())
        .map_err(|error| refuse("registration.jwks", "jwks", error.note().to_owned()))?;
    if keys.is_empty() && client.auth_methods.contains(&AuthMethod::PrivateKeyJwt) {
        return Err(refuse(
            "registration.jwks",
            "jwks",
            "no key for signatures, which private_key_jwt needs",
        ));
    }
    Ok(())
}

/// The document at `sector_identifier_uri` must list every redirect URI (OIDC Registration §5).
async fn check_sector(app: &App, snapshot: &Snapshot, client: &Client) -> Result<(), Failure> {
    let Some(address) = &client.subjects.sector_identifier_uri else { return Ok(()) };
    let member = "sector_identifier_uri";
    let bad = |note: &str| refuse("registration.sector", member, note.to_owned());
    let url = Url::parse(address).map_err(|_| bad("not an address"))?;
    let rules = ClientNetwork::rules(&snapshot.settings, Some(client));
    let way = app.client_network.way(&app.context, &rules)?;
    let fetched = match way.send(Request::get(url), LONGEST_SECTOR).await {
        Ok(answer) => answer.ok(),
        Err(fault) => Err(fault.into()),
    };
    let answer = fetched.map_err(|failure| {
        bad(&format!("the list cannot be fetched: {} ({})", failure.detail.note, failure.reason))
    })?;
    let Ok(Value::Array(listed)) = json::value(&answer.body) else {
        return Err(bad("what is found there is not a list"));
    };
    let missing = client.redirect_uris.iter().find(|own| !listed.iter().any(|one| one == own.as_str()));
    match missing {
        None => Ok(()),
        Some(missing) => {
            Err(bad("the list lacks a redirect URI").expected(missing.clone(), "a list without it"))
        }
    }
}

fn answer(
    snapshot: &Snapshot,
    registered: &Registered,
    access: &Handle<RegistrationAccess>,
    secret: Option<&Handle<ClientSecret>>,
) -> Document {
    let mut answer = dynamic::show(registered);
    let id: String = url::form_urlencoded::byte_serialize(registered.client.id.as_str().as_bytes()).collect();
    let at = snapshot.settings.issuer.at(&format!("{}/{id}", paths::REGISTER));
    answer.insert("registration_client_uri".to_owned(), json!(at));
    answer.insert("registration_access_token".to_owned(), json!(access.expose()));
    if let Some(secret) = secret {
        answer.insert("client_secret".to_owned(), json!(secret.expose()));
        // RFC 7591 §3.2.1: zero means never
        answer.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    answer
}

/// A new id, told from those that people give by its beginning.
fn client_id(app: &App) -> Result<ClientId, Failure> {
    let random = app.context.secret_text();
    ClientId::new(format!("dyn-{}", random.get(..22).unwrap_or_default()))
        .map_err(|error| Failure::internal("registration.id", "an id cannot be made").caused_by(error))
}

fn no_token(note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidToken, "registration.token", UserMessage::AppMisconfigured, note)
}

fn no_access(note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidToken, "registration.access", UserMessage::AppMisconfigured, note)
}

fn denied(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::AccessDenied, reason, UserMessage::TooMany, note)
}
