//! The way out to clients: for what they publish (keys, lists of redirect URIs) and what is sent to them.
//!
//! Addresses of clients come from the clients, so they are held against the address rules: https and public, but
//! for what `[client_network]` allows, and in development this very machine.

use crate::clients::{Client, Origin};
use crate::config::Settings;
use crate::context::Context;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::outbound::{Network, Outbound, Transports};
use std::sync::{Mutex, PoisonError};

/// The HTTP clients for the way out to clients, shared by their rules.
#[derive(Default)]
pub struct ClientNetwork(Mutex<Transports>);

impl ClientNetwork {
    /// What holds for requests to a client. One that registered itself never leads inside the house: nobody looked
    /// at its addresses. Nor does one that was removed and is told so (`None`): which it was nobody knows.
    pub fn rules(settings: &Settings, client: Option<&Client>) -> Network {
        let known = client.is_some_and(|client| client.origin != Origin::Registered);
        let network = &settings.client_network;
        Network {
            allow_loopback: settings.development,
            allow_private_network: network.allow_private_network && known,
            ca_file: network.ca_file.clone(),
            timeout: network.timeout,
        }
    }

    /// A way out with a breaker and a bulkhead of its own, so that one party's troubles are not another's. Keep
    /// it as long as you speak to that party.
    ///
    /// # Errors
    /// `net.client` if the certificate authorities cannot be used (any more).
    pub fn way(&self, context: &Context, network: &Network) -> Result<Outbound, Failure> {
        let mut transports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Outbound::new(network, context.clone(), &mut transports).map_err(|error| {
            let note = "the way out to clients cannot be made";
            let code = OAuthCode::TemporarilyUnavailable;
            Failure::new(code, "net.client", UserMessage::OurFault, note).caused_by(error)
        })
    }
}

impl std::fmt::Debug for ClientNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientNetwork")
    }
}
