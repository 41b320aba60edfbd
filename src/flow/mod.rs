//! 8 — The transitions of a sign-in, one file each: load facts → decide → one transaction.
//!
//! ```text
//!  /authorize ──► authorize ─┐
//!                            ▼
//!  /continue ───────────► resume      the one dispatcher: what is still missing?
//!                          │ │ │
//!          a session ◄─────┘ │ └────► nothing: a code for the application
//!              │             └──────► consent ──► resume
//!              ▼
//!           sign_in ──► the provider ──► callback ──► resume
//!                                           │  ▲
//!                                           ▼  │
//!                                          person      what the provider did not tell
//! ```
//!
//! [`App`] holds what lives as long as the process; [`Snapshot`] what a reload replaces, as one piece.

pub mod admin;
pub mod apps;
pub mod authentication;
pub mod authorize;
pub mod bearer;
pub mod browser;
pub mod callback;
pub mod client_keys;
pub mod client_network;
pub mod consent;
pub mod discovery;
pub mod email_code;
pub mod introspect;
pub mod invitation;
pub mod keys;
pub mod lineage;
pub mod logout;
pub mod logout_delivery;
pub mod parting;
pub mod person;
pub mod push;
pub mod read;
pub mod refusals;
pub mod registered;
pub mod registration;
pub mod request;
pub mod request_uri;
pub mod resume;
pub mod revoke;
pub mod said;
pub mod sessions;
pub mod sign_in;
pub mod standing;
pub mod state;
pub mod subjects;
pub mod token;
pub mod unsolicited;
pub mod upkeep;
pub mod upstream_logout;
pub mod upstream_metadata;
pub mod upstream_notice;
pub mod userinfo;
mod vouching;

use crate::accounts::Directory;
use crate::chooser::Catalogue;
use crate::clients::entitlement::Offer;
use crate::clients::origins::Origins;
use crate::clients::redirect::Reply;
use crate::clients::{Client, Location, ResourceServer};
use crate::config::Settings;
use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::ids::{ClientId, ProviderId};
use crate::jose::Keyring;
use crate::store::{Store, StoreError};
use crate::tokens::handle::{Flow, Handle};
use crate::tokens::seal::Sealer;
use crate::tokens::subject::Subjects;
use crate::upstream::{Departure, Registry};
use arc_swap::{ArcSwap, ArcSwapOption};
use browser::Changes;
use registered::RegisteredClients;
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What lives as long as the process.
pub struct App {
    /// Time, randomness, ids.
    pub context: Context,
    /// Where state lives.
    pub store: Store,
    /// What seals flows, forms and keys.
    pub sealer: Sealer,
    /// The public keys of clients.
    pub client_keys: client_keys::ClientKeys,
    /// The way out to clients.
    pub client_network: client_network::ClientNetwork,
    /// Request objects that clients publish.
    pub request_uris: request_uri::RequestUris,
    /// Clients that registered themselves.
    pub registered: Arc<RegisteredClients>,
    snapshot: ArcSwap<Snapshot>,
    /// Why the last reload failed, if it did.
    reload_problem: ArcSwapOption<String>,
    /// What is remembered of the database, and why it cannot be trusted any more, if so.
    memory: tokio::sync::Mutex<lineage::Memory>,
    restored: ArcSwapOption<String>,
    /// One rebuild at a time, so that an older one cannot overwrite a newer.
    rebuilding: tokio::sync::Mutex<()>,
}

/// What the house is at one moment: immutable, replaced as one piece.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration but the providers.
    pub settings: Arc<Settings>,
    /// Declared and created clients.
    pub clients: BTreeMap<ClientId, Arc<Client>>,
    /// Clients that registered themselves. These alone are not of one moment: they are followed one by one.
    pub registered: Arc<RegisteredClients>,
    /// Declared and created resource servers, by their client id.
    pub resource_servers: BTreeMap<ClientId, Arc<ResourceServer>>,
    /// The scopes and resources that are offered.
    pub offer: Offer,
    /// The origins whose pages may read our answers to some client.
    pub origins: Origins,
    /// The discovery document.
    pub metadata: discovery::Document,
    /// Declared and created groups and roles.
    pub directory: Arc<Directory>,
    /// The providers.
    pub upstreams: Arc<Registry>,
    /// Those that are switched on, in the order of the list.
    pub catalogue: Arc<Catalogue>,
    /// Our keys.
    pub keyring: Arc<Keyring>,
    /// By which names clients know people.
    pub subjects: Subjects,
    /// Before this moment nothing that was given out is worth anything.
    pub epoch: Timestamp,
    /// The counter of changes made by command that this shows.
    pub version: u64,
}

impl Snapshot {
    /// A client, switched on or not.
    pub fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.clients.get(id).cloned().or_else(|| self.registered.get(id))
    }
    /// A client that exists and is switched on.
    pub fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.find(id).filter(|client| !client.disabled)
    }
    /// Whether pages of this origin may read our answers to some client.
    pub fn any_origin(&self, origin: &str) -> bool {
        self.origins.any(origin) || self.registered.any_origin(origin)
    }
    /// Our context for what a provider said of a sign-in.
    pub fn acr(&self, provider: &ProviderId, said: Option<&str>) -> Option<String> {
        let entry = self.upstreams.get(provider)?;
        entry.policy.acr_map.ours(said).map(str::to_owned)
    }
    /// Whether this issuer's people are those of the provider that is configured. One that is not configured any more, or an
    /// issuer that nobody noted, says nothing against it.
    pub fn is_issuer_of(&self, provider: &ProviderId, issuer: &str) -> bool {
        issuer.is_empty()
            || self.upstreams.get(provider).is_none_or(|entry| entry.settings().kind.may_be_issuer(issuer))
    }
    /// How people read a provider's name.
    pub fn provider_name(&self, id: &ProviderId) -> String {
        self.upstreams.get(id).map_or_else(|| id.to_string(), |entry| entry.display.name)
    }
}

impl App {
    /// Puts the house together: the store must be open and migrated.
    ///
    /// # Errors
    /// When the keys cannot be made or read, or belong to another issuer; when the store fails.
    pub async fn start(
        context: Context,
        store: Store,
        settings: Arc<Settings>,
        upstreams: Arc<Registry>,
    ) -> Result<Arc<Self>, Failure> {
        let sealer = Sealer::new(settings.master_key.expose_secret())?;
        let memory = lineage::Memory::begin(&context, &store, &settings.database).await?;
        let registered = Arc::new(RegisteredClients::default());
        registered.follow(&context, &store).await?;
        let snapshot = build(&context, &store, &sealer, settings, upstreams, &registered).await?;
        Ok(Arc::new(Self {
            context,
            store,
            sealer,
            client_keys: client_keys::ClientKeys::default(),
            client_network: client_network::ClientNetwork::default(),
            request_uris: request_uri::RequestUris::default(),
            registered,
            snapshot: ArcSwap::from_pointee(snapshot),
            reload_problem: ArcSwapOption::empty(),
            memory: tokio::sync::Mutex::new(memory),
            restored: ArcSwapOption::empty(),
            rebuilding: tokio::sync::Mutex::new(()),
        }))
    }
    /// The house as it is now. Hold one snapshot through a whole request.
    pub fn now(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
    /// Puts a new configuration in force.
    ///
    /// # Errors
    /// As [`App::start`]; then the old one stays in force.
    pub async fn reload(&self, settings: Arc<Settings>, upstreams: Arc<Registry>) -> Result<(), Failure> {
        let _one = self.rebuilding.lock().await;
        let next =
            build(&self.context, &self.store, &self.sealer, settings, upstreams, &self.registered).await?;
        let before = self.now().upstreams.clone();
        let next = Arc::new(next);
        self.snapshot.store(next.clone());
        before.retire_all_but(&next.upstreams);
        Ok(())
    }
    /// Notes why a reload failed, or that the last one did not; shown by health and metrics.
    pub fn note_reload(&self, problem: Option<String>) {
        metrics::gauge!("countersign_configuration_stale").set(if problem.is_some() { 1.0 } else { 0.0 });
        self.reload_problem.store(problem.map(Arc::new));
    }
    /// Why the last reload failed, if it did: then an older configuration is in force.
    pub fn reload_problem(&self) -> Option<Arc<String>> {
        self.reload_problem.load_full()
    }
    /// Says that the database is in use still, and looks whether it is the one that it was. To be called every
    /// minute.
    ///
    /// # Errors
    /// When the store fails. A database that went back is told by [`App::database_problem`].
    pub async fn remember(&self) -> Result<(), Failure> {
        let outcome = self.memory.lock().await.go_on(&self.context, &self.store).await;
        let problem = match outcome {
            Ok(()) => None,
            Err(failure) if failure.reason == "database.restored" => Some(failure.for_operator()),
            Err(failure) => return Err(failure),
        };
        metrics::gauge!("countersign_database_restored").set(if problem.is_some() { 1.0 } else { 0.0 });
        self.restored.store(problem.map(Arc::new));
        Ok(())
    }
    /// Why the database cannot be trusted, if so: it was replaced by an older one while we ran.
    pub fn database_problem(&self) -> Option<Arc<String>> {
        self.restored.load_full()
    }
    /// Takes over what was changed by command since, if anything was, and what other nodes registered. Whether
    /// anything was changed by command.
    ///
    /// # Errors
    /// When the store fails; then all stays as it is.
    pub async fn refresh(&self) -> Result<bool, Failure> {
        self.follow_registrations().await?;
        let stored: u64 = self.store.read::<_, StoreError, _>(|tx| tx.config_version()).await?;
        if stored == self.now().version {
            return Ok(false);
        }
        self.rebuild().await?;
        Ok(true)
    }
    /// Takes over what was registered, changed or removed by program since, here or on other nodes.
    ///
    /// # Errors
    /// When the store fails; then all stays as it is.
    pub async fn follow_registrations(&self) -> Result<(), Failure> {
        for changed in self.registered.follow(&self.context, &self.store).await? {
            self.client_keys.forget(&changed);
        }
        Ok(())
    }
    /// Does what is due about the signing keys, and takes it over. Whether there was anything. To be called
    /// every few minutes.
    ///
    /// # Errors
    /// As [`App::start`]; then all stays as it is.
    pub async fn turn_keys(&self) -> Result<bool, Failure> {
        let now = self.now();
        let keys = keys::Keys::new(&self.context, &self.store, &self.sealer, &now.settings);
        let turned = keys.maintain().await?;
        if turned {
            self.rebuild().await?;
        }
        Ok(turned)
    }
    /// Reads everything that lives in the database anew.
    ///
    /// # Errors
    /// When the store fails; then all stays as it is.
    pub async fn rebuild(&self) -> Result<(), Failure> {
        let _one = self.rebuilding.lock().await;
        let now = self.now();
        let (settings, upstreams) = (now.settings.clone(), now.upstreams.clone());
        let next =
            build(&self.context, &self.store, &self.sealer, settings, upstreams, &self.registered).await?;
        self.snapshot.store(Arc::new(next));
        Ok(())
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

async fn build(
    context: &Context,
    store: &Store,
    sealer: &Sealer,
    settings: Arc<Settings>,
    upstreams: Arc<Registry>,
    registered: &Arc<RegisteredClients>,
) -> Result<Snapshot, Failure> {
    let keys = keys::Keys::new(context, store, sealer, &settings);
    keys.maintain().await?;
    let (version, epoch, clients, servers, created) = store
        .read(|tx| -> Result<_, StoreError> {
            let directory = Directory { groups: tx.groups()?, roles: tx.roles()? };
            let epoch = tx.meta(lineage::EPOCH)?.map_or(Ok(0), |text| text.parse());
            let epoch = Timestamp(epoch.map_err(|_| StoreError::corrupt("meta.epoch"))?);
            Ok((tx.config_version()?, epoch, tx.clients()?, tx.resource_servers()?, directory))
        })
        .await?;
    // After the version: if the keys change meanwhile, the next look at the version notices.
    let keyring = keys.keyring().await?;
    let subjects = subjects::load(context, store, sealer).await?;
    // What is declared cannot be changed by command, so it goes before what was created.
    let mut merged: BTreeMap<ClientId, Arc<Client>> =
        clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect();
    merged.extend(settings.clients.iter().map(|(id, client)| (id.clone(), Arc::new(client.clone()))));
    let mut resource_servers: BTreeMap<ClientId, Arc<ResourceServer>> =
        servers.into_iter().map(|server| (server.id.clone(), Arc::new(server))).collect();
    resource_servers
        .extend(settings.resource_servers.iter().map(|(id, server)| (id.clone(), Arc::new(server.clone()))));
    let mut directory = created;
    directory.groups.extend(settings.directory.groups.clone());
    directory.roles.extend(settings.directory.roles.clone());
    let offer = Offer::new(
        settings.scopes.iter().map(|(name, scope)| (name.as_str(), scope.resources.as_slice())),
        resource_servers.values().map(AsRef::as_ref),
    );
    Ok(Snapshot {
        origins: Origins::new(merged.values().map(AsRef::as_ref)),
        metadata: discovery::document(&settings, &offer, &keyring, &upstreams),
        settings,
        clients: merged,
        registered: registered.clone(),
        resource_servers,
        offer,
        directory: Arc::new(directory),
        catalogue: Arc::new(resume::catalogue(&upstreams)),
        upstreams,
        keyring,
        subjects,
        epoch,
        version,
    })
}

/// Where the browser goes next.
#[derive(Debug)]
pub enum Step {
    /// Back to the application.
    Client(Reply),
    /// To where the application begins a sign-in.
    Start {
        /// Its name, for people.
        name: String,
        /// The place.
        location: Location,
    },
    /// To a provider.
    Provider {
        /// Its name, for people.
        name: String,
        /// How.
        departure: Departure,
    },
    /// To the list of providers.
    SignIn(Handle<Flow>),
    /// To the page that asks for what a provider did not tell.
    Details(Handle<Flow>),
    /// To the consent page.
    Consent(Handle<Flow>),
    /// To the dispatcher.
    Continue(Handle<Flow>),
}

/// The outcome of a transition.
#[derive(Debug)]
pub struct Outcome {
    /// Where the browser goes next.
    pub step: Step,
    /// What it takes along.
    pub changes: Changes,
}
