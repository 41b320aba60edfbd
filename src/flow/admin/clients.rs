//! Clients made by command.

use super::{AdminError, Desk, must_have_group, must_have_role, whole_directory};
use crate::accounts::Target;
use crate::audit::AuditKind;
use crate::clients::dynamic::Registered;
use crate::clients::entitlement::STANDARD_SCOPES;
use crate::clients::metadata::KeySource;
use crate::clients::{Client, Origin, registration};
use crate::ids::ClientId;
use crate::jose::{Alg, JwkSet};
use crate::store::{LogoutReport, RegistrationRecord, StoreError, Tx};
use crate::tokens::handle::{ClientSecret, Handle};
use serde_json::json;
use std::collections::BTreeMap;

/// Deliveries that are listed in a report.
const TROUBLES: u32 = 50;

/// A client that was made or got a new secret. The secret is shown once and never again.
pub struct WithSecret {
    /// The client.
    pub client: Client,
    /// Its new secret; none for public clients and those that prove themselves by keys.
    pub secret: Option<Handle<ClientSecret>>,
}

/// Keys by value must be fit, and an algorithm one that we verify.
fn check_keys(client: &Client) -> Result<(), AdminError> {
    if let Some(KeySource::Jwks(text)) = &client.keys {
        JwkSet::registered(text.as_bytes())
            .map_err(|error| AdminError::Refused(format!("the keys cannot be used: {}", error.note())))?;
    }
    match &client.assertions.alg {
        Some(name) if Alg::parse(name).is_none() => {
            Err(AdminError::Refused(format!("assertions cannot be verified by {name}")))
        }
        _ => Ok(()),
    }
}

impl Desk {
    /// All clients, declared, created and registered.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn clients(&self) -> Result<BTreeMap<ClientId, Client>, AdminError> {
        let (created, registered) = self
            .store
            .read(|tx| -> Result<_, StoreError> { Ok((tx.clients()?, tx.registrations()?)) })
            .await?;
        let registered = registered.into_iter().map(|record| record.registered.client);
        let mut all: BTreeMap<ClientId, Client> =
            registered.chain(created).map(|client| (client.id.clone(), client)).collect();
        all.extend(self.settings.clients.clone());
        Ok(all)
    }

    /// One client.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub async fn client(&self, id: &ClientId) -> Result<Client, AdminError> {
        self.clients().await?.remove(id).ok_or_else(|| AdminError::not_found("client", id))
    }

    /// How a client registered itself; none for others.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn registration(&self, id: &ClientId) -> Result<Option<RegistrationRecord>, AdminError> {
        let id = id.clone();
        self.store.read(move |tx| -> Result<_, AdminError> { Ok(tx.registration(&id)?) }).await
    }

    /// Makes a client; one that proves itself by a secret gets one of 256 random bits.
    ///
    /// # Errors
    /// [`AdminError::Taken`], or what [`registration::client`] refuses, or references that lead nowhere.
    pub async fn add_client(&self, mut client: Client) -> Result<WithSecret, AdminError> {
        client.origin = Origin::Created;
        client.require_pkce |= client.is_public();
        registration::client(&client).map_err(AdminError::Refused)?;
        check_keys(&client)?;
        let secret = client.needs_secret().then(|| Handle::<ClientSecret>::new(&self.context));
        client.secret_hashes = secret.iter().map(|secret| secret.digest().as_str().to_owned()).collect();
        let event = self.event(AuditKind::ClientCreated).client(&client.id);
        let (desk, made) = (self.clone(), client.clone());
        self.change(move |tx| {
            desk.must_be_free(tx, &made.id)?;
            desk.check_references(tx, &made)?;
            tx.put_client(&made)?;
            Ok(tx.append_audit(&event)?)
        })
        .await?;
        Ok(WithSecret { client, secret })
    }

    /// Gives a client a new secret. The old ones stop working at once, or with `keep_previous` the newest of
    /// them goes on working until the next rotation.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Declared`], or that a public client has no secret.
    pub async fn rotate_secret(&self, id: &ClientId, keep_previous: bool) -> Result<WithSecret, AdminError> {
        let secret = Handle::<ClientSecret>::new(&self.context);
        let digest = secret.digest().as_str().to_owned();
        let event = self
            .event(AuditKind::ClientSecretRotated)
            .client(id)
            .data(json!({ "previous_kept": keep_previous }));
        let (desk, id) = (self.clone(), id.clone());
        let client = self
            .change(move |tx| {
                let mut client = desk.stored_client(tx, &id)?;
                if !client.needs_secret() {
                    let why = if client.is_public() { "is public" } else { "proves itself by its keys" };
                    return Err(AdminError::Refused(format!("the client \"{id}\" {why} and has no secret")));
                }
                let previous = client.secret_hashes.first().filter(|_| keep_previous).cloned();
                client.secret_hashes = std::iter::once(digest).chain(previous).collect();
                desk.put_stored(tx, &client)?;
                tx.append_audit(&event)?;
                Ok(client)
            })
            .await?;
        Ok(WithSecret { client, secret: Some(secret) })
    }

    /// Removes a client; whatever was granted to it stops working at once.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] or [`AdminError::Declared`].
    pub async fn remove_client(&self, id: &ClientId) -> Result<(), AdminError> {
        let now = self.context.now();
        let event = self.event(AuditKind::ClientRemoved).client(id);
        let (desk, id) = (self.clone(), id.clone());
        self.change(move |tx| {
            let client = desk.stored_client(tx, &id)?;
            let told = tx.part_client(&id, now)?;
            let revoked = tx.revoke_grants_of_client(&id, now)?;
            if client.origin == Origin::Registered {
                let version = tx.next_registered_version()?;
                tx.remove_registration(&id, now, version)?;
            } else {
                tx.remove_client(&id)?;
            }
            let data = json!({ "grants_revoked": revoked, "logouts_queued": told });
            Ok(tx.append_audit(&event.data(data))?)
        })
        .await
    }

    /// Signs everybody out of one client, declared, created or registered: what was granted to it stops working at once,
    /// and it is told of each session, if it wants to be. People stay signed in here and at other clients.
    /// How many grants ended, and how many logout tokens are queued.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub async fn sign_out_of_client(&self, id: &ClientId) -> Result<(usize, usize), AdminError> {
        self.client(id).await?;
        let now = self.context.now();
        let event = self.event(AuditKind::ClientSignedOut).client(id);
        let id = id.clone();
        self.change(move |tx| {
            let told = tx.part_client(&id, now)?;
            let revoked = tx.revoke_grants_of_client(&id, now)?;
            let data = json!({ "grants_revoked": revoked, "logouts_queued": told });
            tx.append_audit(&event.data(data))?;
            Ok((revoked, told))
        })
        .await
    }

    /// How the logout tokens of a client fared, with at most 50 that were not taken. A client that was removed
    /// still has its report for a week.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if there is neither a client nor anything to report.
    pub async fn logout_report(&self, id: &ClientId) -> Result<LogoutReport, AdminError> {
        let wanted = id.clone();
        let report = self
            .store
            .read(move |tx| -> Result<_, StoreError> { tx.logout_report(&wanted, TROUBLES) })
            .await?;
        if report.counts.is_empty() {
            self.client(id).await?;
        }
        Ok(report)
    }

    /// A client that lives in the database.
    fn stored_client(&self, tx: &mut Tx<'_>, id: &ClientId) -> Result<Client, AdminError> {
        if self.settings.clients.contains_key(id) {
            return Err(AdminError::declared("client", id));
        }
        if let Some(created) = tx.clients()?.into_iter().find(|client| client.id == *id) {
            return Ok(created);
        }
        let registered = tx.registration(id)?.map(|record| record.registered.client);
        registered.ok_or_else(|| AdminError::not_found("client", id))
    }

    /// Stores a change of one.
    fn put_stored(&self, tx: &mut Tx<'_>, client: &Client) -> Result<(), AdminError> {
        if client.origin != Origin::Registered {
            return Ok(tx.put_client(client)?);
        }
        let version = tx.next_registered_version()?;
        let record =
            tx.registration(&client.id)?.ok_or_else(|| AdminError::not_found("client", &client.id))?;
        let registered = Registered { client: client.clone(), ..record.registered };
        tx.put_registration(&registered, version)?;
        Ok(())
    }

    /// A client and a resource server never share an id: both authenticate by it.
    fn must_be_free(&self, tx: &mut Tx<'_>, id: &ClientId) -> Result<(), AdminError> {
        let taken = self.settings.clients.contains_key(id)
            || tx.registration(id)?.is_some()
            || tx.clients()?.iter().any(|client| client.id == *id);
        if taken {
            return Err(AdminError::taken("client", id));
        }
        let servers = &self.settings.resource_servers;
        if servers.contains_key(id) || tx.resource_servers()?.iter().any(|server| server.id == *id) {
            return Err(AdminError::taken("resource server", id));
        }
        Ok(())
    }

    fn check_references(&self, tx: &mut Tx<'_>, client: &Client) -> Result<(), AdminError> {
        for token in client.scope.iter() {
            if !STANDARD_SCOPES.contains(&token) && !self.settings.scopes.contains_key(token) {
                return Err(AdminError::not_found("scope", token));
            }
        }
        let created = tx.resource_servers()?;
        let servers = || self.settings.resource_servers.values().chain(&created);
        for resource in &client.resources {
            if !servers().any(|server| server.resource == *resource) {
                return Err(AdminError::not_found("resource", resource));
            }
        }
        for provider in client.providers.iter().chain(&client.default_provider) {
            if !self.providers.contains(provider) {
                return Err(AdminError::not_found("provider", provider));
            }
        }
        let directory = whole_directory(tx, &self.settings)?;
        client.assignments.iter().try_for_each(|target| match target {
            Target::Group(name) => must_have_group(&directory, name),
            Target::Role(name) => must_have_role(&directory, name),
        })
    }
}
