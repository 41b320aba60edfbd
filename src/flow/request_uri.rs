//! Request objects by reference (RFC 9101 §5.2, OIDC Core §6.2): fetched only from where the client registered
//! them, by the rules of the way out to clients, and never from where a stranger points.

use crate::clients::Client;
use crate::clients::registration;
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::flow::client_network::ClientNetwork;
use crate::flow::{App, Snapshot};
use crate::ids::ClientId;
use crate::outbound::{Network, Outbound, Request};
use crate::protocol::request_object::invalid_uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// The largest object, in bytes.
const MAX_OBJECT: usize = 16 * 1024;
/// Objects that are kept at the same time, and clients whose ways out are.
const KEPT: usize = 256;
/// For how long an object is kept whose address has its hash.
const FRESH: Duration = Duration::from_secs(3600);

/// The objects that were fetched, and the ways out to where they lie.
#[derive(Default)]
pub struct RequestUris(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By address, with its fragment.
    objects: BTreeMap<String, (Timestamp, Arc<str>)>,
    ways: BTreeMap<ClientId, (Network, Outbound)>,
}

impl RequestUris {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object at an address that the client registered.
    ///
    /// Where the address has the SHA-256 of the object as its fragment, the object is kept: another object has
    /// another address (OIDC Core §6.2). A fragment that is no such hash means nothing, and then the object is
    /// fetched each time.
    ///
    /// # Errors
    /// `invalid_request_uri`: `request_uri.unregistered`, and nothing is fetched; `request_uri.unreachable`.
    pub async fn fetch(
        &self,
        app: &App,
        snapshot: &Snapshot,
        client: &Client,
        uri: &str,
    ) -> Result<Arc<str>, Failure> {
        if !client.requests.uris.iter().any(|registered| registration::request_uri_matches(registered, uri)) {
            return Err(invalid_uri("request_uri.unregistered", "the request URI is not registered"));
        }
        let now = app.context.now();
        if let Some((until, object)) = self.known().objects.get(uri)
            && now < *until
        {
            return Ok(object.clone());
        }
        let unreachable = || invalid_uri("request_uri.unreachable", "nothing usable lies at the request URI");
        let mut url = Url::parse(uri).map_err(|_| unreachable())?;
        let hash = url.fragment().map(str::to_owned);
        url.set_fragment(None);
        let way = self.way(app, snapshot, client)?;
        let request = Request::get(url).header("accept", "application/oauth-authz-req+jwt, application/jwt");
        let answer = way.send(request, MAX_OBJECT).await.map_err(|fault| {
            let reason = fault.reason();
            unreachable().caused_by(fault).expected("an answer", reason)
        })?;
        if answer.status != 200 {
            return Err(unreachable().expected("200", answer.status.to_string()));
        }
        let text = String::from_utf8(answer.body).map_err(|_| unreachable())?;
        let object: Arc<str> = text.trim_ascii().into();
        if hash.is_some_and(|hash| hash == URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(text.as_bytes()))) {
            self.keep(uri, now, &object);
        }
        Ok(object)
    }

    fn keep(&self, uri: &str, now: Timestamp, object: &Arc<str>) {
        let objects = &mut self.known().objects;
        objects.retain(|_, (until, _)| now < *until);
        if objects.len() >= KEPT
            && let Some(oldest) =
                objects.iter().min_by_key(|(_, (until, _))| *until).map(|(uri, _)| uri.clone())
        {
            objects.remove(&oldest);
        }
        objects.insert(uri.to_owned(), (now.plus(FRESH), object.clone()));
    }

    /// A way out of the client's own, so that one that is slow holds up nobody else.
    fn way(&self, app: &App, snapshot: &Snapshot, client: &Client) -> Result<Outbound, Failure> {
        let network = ClientNetwork::rules(&snapshot.settings, Some(client));
        let ways = &mut self.known().ways;
        if let Some((known, way)) = ways.get(&client.id)
            && *known == network
        {
            return Ok(way.clone());
        }
        let way = app.client_network.way(&app.context, &network)?;
        if ways.len() >= KEPT {
            ways.pop_first();
        }
        ways.insert(client.id.clone(), (network, way.clone()));
        Ok(way)
    }
}

impl std::fmt::Debug for RequestUris {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestUris")
    }
}
