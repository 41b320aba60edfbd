//! Clients that registered themselves, as this process knows them. There may be many thousands, and a snapshot is
//! made anew for every change by command; so they are kept beside the snapshots and followed change by change.

use crate::clients::Client;
use crate::clients::origins::Origins;
use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::ids::ClientId;
use crate::store::{REMOVAL_KEPT, RegistrationChange, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

#[derive(Default)]
struct Known {
    /// The number of the latest change that is in here.
    version: u64,
    /// When it was last seen that nothing is missing.
    seen_at: Option<Timestamp>,
    clients: HashMap<ClientId, Entry>,
    origins: Origins,
}

struct Entry {
    client: Arc<Client>,
    /// Whether it got tokens before, as far as is known here.
    used: AtomicBool,
}

/// All of them.
#[derive(Default)]
pub struct RegisteredClients {
    known: RwLock<Known>,
    /// One at a time, so that changes are taken over in their order.
    following: tokio::sync::Mutex<()>,
}

impl RegisteredClients {
    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<Arc<Client>> {
        self.read(|known| known.clients.get(id).map(|entry| entry.client.clone()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read(|known| known.clients.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether pages of this origin may read our answers to some of them.
    pub fn any_origin(&self, origin: &str) -> bool {
        self.read(|known| known.origins.any(origin))
    }

    /// The number of the latest change that is known.
    pub fn version(&self) -> u64 {
        self.read(|known| known.version)
    }

    /// Whether this is the first time, as far as is known here, that the client gets tokens.
    pub fn is_first_use(&self, id: &ClientId) -> bool {
        self.read(|known| {
            known.clients.get(id).is_some_and(|entry| !entry.used.swap(true, Ordering::Relaxed))
        })
    }

    /// Takes over what changed since. The clients that changed.
    ///
    /// # Errors
    /// When the store fails; then all stays as it is.
    pub async fn follow(&self, context: &Context, store: &Store) -> Result<Vec<ClientId>, Failure> {
        let _one = self.following.lock().await;
        let (version, seen_at) = self.read(|known| (known.version, known.seen_at));
        let now = context.now();
        // Removals are remembered for a while only: whoever was away for longer reads everything.
        let anew = seen_at.is_none_or(|at| now.since(at) >= REMOVAL_KEPT / 2);
        let after = if anew { 0 } else { version };
        let (latest, changes) = store
            .read(move |tx| -> Result<_, StoreError> {
                let latest = tx.registered_version()?;
                let changes =
                    if anew || latest != after { tx.registered_changes(after)? } else { Vec::new() };
                Ok((latest, changes))
            })
            .await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if anew {
            *known = Known::default();
        }
        known.version = latest;
        known.seen_at = Some(now);
        Ok(changes.into_iter().map(|change| known.apply(change)).collect())
    }
}

impl Known {
    fn apply(&mut self, change: RegistrationChange) -> ClientId {
        let RegistrationChange { id, record } = change;
        if let Some(old) = self.clients.remove(&id) {
            self.origins.remove(&old.client);
        }
        if let Some(record) = record {
            let client = Arc::new(record.registered.client);
            self.origins.add(&client);
            let used = AtomicBool::new(record.used_at.is_some());
            self.clients.insert(id.clone(), Entry { client, used });
        }
        id
    }
}

impl std::fmt::Debug for RegisteredClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegisteredClients({})", self.len())
    }
}
