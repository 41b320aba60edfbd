//! All configured providers, built from their settings. A registry never changes; a reload builds another
//! and keeps the providers that stayed as they were, and what the others have cached of what is published.

use crate::context::Context;
use crate::ids::ProviderId;
use crate::outbound::{Authorities, Network, NetworkError, Outbound, Transports};
use crate::upstream::settings::{Contradiction, Provider, ProviderDisplay, ProviderPolicy, SecretRef};
use crate::upstream::{Parts, Upstream};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One provider.
#[derive(Clone)]
pub struct Entry {
    /// Its id.
    pub id: ProviderId,
    /// How it looks in the chooser.
    pub display: ProviderDisplay,
    /// What it may do here.
    pub policy: ProviderPolicy,
    /// The provider itself.
    pub upstream: Arc<dyn Upstream>,
    settings: Arc<Provider>,
    secrets: Found,
    authorities: Option<Authorities>,
}

/// What references led to.
pub type Found = BTreeMap<SecretRef, SecretString>;

impl Entry {
    /// The settings it was built from.
    pub fn settings(&self) -> &Provider {
        &self.settings
    }
    /// Whether what the provider publishes is the same for these settings, and is had in the same way.
    fn publishes_as(&self, settings: &Provider, secrets: &Found, authorities: Option<&Authorities>) -> bool {
        let (was, is) = (&self.settings.common, &settings.common);
        self.settings.kind == settings.kind
            && was.allow_loopback == is.allow_loopback
            && was.allow_private_network == is.allow_private_network
            && self.authorities.as_ref() == authorities
            && self.secrets.len() == secrets.len()
            && self
                .secrets
                .iter()
                .zip(secrets)
                .all(|((one, was), (other, is))| one == other && was.expose_secret() == is.expose_secret())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// All configured providers.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    entries: BTreeMap<ProviderId, Entry>,
}

/// Why a provider could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// Which one.
    pub provider: ProviderId,
    /// The key to point at, and what is wrong.
    pub problem: Contradiction,
}

/// Finds the secret behind a reference; the error is a sentence for the operator, without the secret.
pub type Secrets<'a> = dyn Fn(&SecretRef) -> Result<SecretString, String> + 'a;

impl Registry {
    /// Contradictions between providers and within each. Contacts nobody, resolves no secret.
    pub fn check(providers: &[Provider]) -> Vec<BuildError> {
        let mut found = Vec::new();
        let mut ids: BTreeMap<&ProviderId, ()> = BTreeMap::new();
        let mut domains: BTreeMap<&str, &ProviderId> = BTreeMap::new();
        for provider in providers {
            let common = &provider.common;
            let mut add = |problem| found.push(BuildError { provider: common.id.clone(), problem });
            if ids.insert(&common.id, ()).is_some() {
                add(Contradiction::new(
                    "id",
                    format!("two providers have the id `{}`", common.id),
                    "give one of them another id",
                ));
            }
            for domain in &common.authoritative_for.0 {
                if let Some(other) = domains.insert(domain, &common.id) {
                    add(Contradiction::new(
                        "authoritative_for",
                        format!("`{other}` is authoritative for `{domain}` already"),
                        "only one provider's word about an address can be proof",
                    ));
                }
            }
            provider.check().into_iter().for_each(&mut add);
        }
        found
    }

    /// Checks all providers and builds them. Those whose settings, secrets and certificate authorities are the
    /// same as in `before` are taken over; of those that differ in other settings than those of their kind, what was cached.
    ///
    /// # Errors
    /// All that is wrong, not only the first.
    pub fn build(
        providers: Vec<Provider>,
        secrets: &Secrets<'_>,
        context: &Context,
        before: Option<&Registry>,
    ) -> Result<Self, Vec<BuildError>> {
        let mut errors = Self::check(&providers);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut transports = Transports::default();
        let mut entries = BTreeMap::new();
        for settings in providers {
            let id = settings.common.id.clone();
            match Self::entry(settings, secrets, context, before, &mut transports) {
                Ok(entry) => {
                    entries.insert(id, entry);
                }
                Err(problems) => {
                    errors.extend(
                        problems.into_iter().map(|problem| BuildError { provider: id.clone(), problem }),
                    );
                }
            }
        }
        if errors.is_empty() { Ok(Self { entries }) } else { Err(errors) }
    }

    fn entry(
        settings: Provider,
        secrets: &Secrets<'_>,
        context: &Context,
        before: Option<&Registry>,
        transports: &mut Transports,
    ) -> Result<Entry, Vec<Contradiction>> {
        let common = &settings.common;
        let mut problems = Vec::new();
        let mut found = Found::new();
        for (key, reference) in settings.kind.secrets().into_iter().chain(settings.kind.documents()) {
            match secrets(reference) {
                Ok(secret) => {
                    found.insert(reference.clone(), secret);
                }
                Err(message) => problems.push(Contradiction { key, message, help: None }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let useless = |error: NetworkError| {
            vec![Contradiction { key: "ca_file", message: error.to_string(), help: None }]
        };
        let network = Network {
            allow_loopback: common.allow_loopback,
            allow_private_network: common.allow_private_network,
            ca_file: common.ca_file.as_deref().map(Authorities::read).transpose().map_err(useless)?,
            timeout: common.timeout,
        };
        let older = before.and_then(|before| before.get(&common.id));
        let older = older.filter(|entry| entry.publishes_as(&settings, &found, network.ca_file.as_ref()));
        if let Some(entry) = &older
            && *entry.settings == settings
        {
            return Ok(entry.clone());
        }
        let outbound = Outbound::new(&network, context.clone(), transports).map_err(useless)?;
        let upstream = settings.kind.build(Parts {
            common: common.clone(),
            mapping: common.mapping(),
            secrets: found.clone(),
            outbound,
            kept: older.and_then(|entry| entry.upstream.kept()),
        })?;
        Ok(Entry {
            id: common.id.clone(),
            display: common.display(),
            policy: common.policy(),
            upstream,
            secrets: found,
            authorities: network.ca_file,
            settings: Arc::new(settings),
        })
    }

    /// Retires those that `next` has not taken over.
    pub fn retire_all_but(&self, next: &Registry) {
        for (id, entry) in &self.entries {
            if !next.entries.get(id).is_some_and(|other| Arc::ptr_eq(&other.upstream, &entry.upstream)) {
                entry.upstream.retire();
            }
        }
    }
    /// The provider of this id, whether it is switched on or not.
    pub fn get(&self, id: &ProviderId) -> Option<Entry> {
        self.entries.get(id).cloned()
    }
    /// All of them by id, whether switched on or not.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
