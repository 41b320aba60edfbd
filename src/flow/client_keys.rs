//! The public keys of clients, and the one function that verifies what a client signed: assertions and request
//! objects.
//!
//! Keys by value are parsed once. Keys by address (`jwks_uri`) are fetched when they are first needed, refreshed
//! ahead of need, used on while the client is away, and fetched anew when a signature names a key that is not
//! there or does not hold, at most once in a while. Each client has a breaker and a bulkhead of its own, so one
//! that is slow holds up nobody else.

use crate::clients::Client;
use crate::clients::metadata::KeySource;
use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::flow::client_network::ClientNetwork;
use crate::flow::{App, Snapshot};
use crate::ids::ClientId;
use crate::jose::{Alg, JoseError, JwkSet, VerifiedJws, verify_foreign};
use crate::outbound::cached::{Cached, Fetched, Suspicion};
use crate::outbound::{MAX_BODY, Network, Outbound, Request};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// Clients whose keys are kept at the same time; beyond it, those that were not needed for longest are dropped.
const KEPT: usize = 4096;
const MINUTE: Duration = Duration::from_secs(60);

/// The keys of clients, as long as the process lives.
#[derive(Default)]
pub struct ClientKeys(Mutex<HashMap<ClientId, Known>>);

struct Known {
    source: KeySource,
    network: Network,
    keys: Keys,
    needed_at: Timestamp,
}

#[derive(Clone)]
enum Keys {
    Registered(Arc<JwkSet>),
    Published(Arc<Published>),
}

/// A set that a client publishes.
struct Published {
    url: Url,
    outbound: Outbound,
    kept: Cached<JwkSet>,
}

impl Published {
    async fn fetch(&self) -> Fetched<JwkSet> {
        let answer = self.outbound.send(Request::get(self.url.clone()), MAX_BODY).await?.ok()?;
        let keys = JwkSet::parse(&answer.body).map_err(|error| {
            Failure::internal("client.keys_unavailable", "the client's key set is not one").caused_by(error)
        })?;
        Ok((keys, answer.fresh_for(MINUTE, 10 * MINUTE, 60 * MINUTE)))
    }

    async fn verify(
        self: &Arc<Self>,
        context: &Context,
        token: &str,
        allowed: &[Alg],
    ) -> Result<VerifiedJws, JoseError> {
        // What no key could make good is not worth a request to anybody.
        match verify_foreign(token, &JwkSet::default(), allowed) {
            Err(error) if !error.may_be_stale_keys() => return Err(error),
            _ => {}
        }
        if self.kept.is_due(context.now()) {
            let (published, context) = (self.clone(), context.clone());
            tokio::spawn(
                async move { published.kept.refresh(&context, || published.fetch()).await.map(drop) },
            );
        }
        let keys = self.kept.get(context, || self.fetch()).await.map_err(|failure| unavailable(&failure))?;
        let refused = match verify_foreign(token, &keys, allowed) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        if !refused.may_be_stale_keys() {
            return Err(refused);
        }
        match self.kept.suspect(context, &keys, Suspicion::Unasked, || self.fetch()).await {
            Ok(Some(newer)) => verify_foreign(token, &newer, allowed),
            Ok(None) | Err(_) => Err(refused),
        }
    }
}

fn unavailable(failure: &Failure) -> JoseError {
    let note = format!("the client's keys cannot be fetched: {} ({})", failure.detail.note, failure.reason);
    JoseError::new("client.keys_unavailable", note)
}

impl ClientKeys {
    fn known(&self) -> MutexGuard<'_, HashMap<ClientId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the keys of a client that is gone.
    pub fn forget(&self, client: &ClientId) {
        self.known().remove(client);
    }

    /// What is known of a client's keys. What was kept under another source or other rules is dropped.
    fn of(
        &self,
        client: &Client,
        source: &KeySource,
        network: Network,
        context: &Context,
        ways: &ClientNetwork,
    ) -> Result<Keys, JoseError> {
        let now = context.now();
        if let Some(known) = self.known().get_mut(&client.id)
            && known.source == *source
            && known.network == network
        {
            known.needed_at = now;
            return Ok(known.keys.clone());
        }
        let keys = match source {
            KeySource::Jwks(text) => Keys::Registered(Arc::new(JwkSet::registered(text.as_bytes())?)),
            KeySource::JwksUri(address) => {
                let url = Url::parse(address).map_err(|_| {
                    JoseError::new("client.keys_unavailable", "the client's `jwks_uri` is no address")
                })?;
                let outbound = ways.way(context, &network).map_err(|failure| unavailable(&failure))?;
                Keys::Published(Arc::new(Published { url, outbound, kept: Cached::default() }))
            }
        };
        let mut all = self.known();
        if all.len() >= KEPT
            && let Some(oldest) =
                all.iter().min_by_key(|(_, known)| known.needed_at).map(|(id, _)| id.clone())
        {
            all.remove(&oldest);
        }
        let known = Known { source: source.clone(), network, keys: keys.clone(), needed_at: now };
        all.insert(client.id.clone(), known);
        Ok(keys)
    }
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKeys")
    }
}

/// Verifies what a client signed against its own keys and no others. Its claims are for the caller to check.
///
/// A signature that names no key is tried with each that fits, and must hold with exactly one.
///
/// # Errors
/// `client.keys` (it has registered none), `client.keys_unavailable` (they cannot be fetched), and those of
/// [`verify_foreign`].
pub async fn verify(
    app: &App,
    snapshot: &Snapshot,
    client: &Client,
    token: &str,
    allowed: &[Alg],
) -> Result<VerifiedJws, JoseError> {
    let Some(source) = &client.keys else {
        return Err(JoseError::new("client.keys", "the client has registered no keys"));
    };
    let network = ClientNetwork::rules(&snapshot.settings, Some(client));
    match app.client_keys.of(client, source, network, &app.context, &app.client_network)? {
        Keys::Registered(keys) => verify_foreign(token, &keys, allowed),
        Keys::Published(published) => published.verify(&app.context, token, allowed).await,
    }
}
