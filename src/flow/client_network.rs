//! The way out to clients: for what they publish (keys, lists of redirect URIs) and what is sent to them.
//!
//! Addresses of clients come from the clients, so they are held against the address rules: https and public, but
//! for what `[client_network]` allows, and in development this very machine.

use crate::clients::Client;
use crate::config::Settings;
use crate::context::Context;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::outbound::{Network, Outbound, Transports};
use std::sync::{Mutex, PoisonError};

/// The HTTP clients for the way out to clients, shared by their rules.
#[derive(Default)]
pub struct ClientNetwork(Mutex<Transports>);

impl ClientNetwork {
    /// What holds for requests to a client; `None` is one that was removed and is told so.
    pub fn rules(settings: &Settings, _client: Option<&Client>) -> Network {
        let network = &settings.client_network;
        Network {
            allow_loopback: settings.development,
            allow_private_network: network.allow_private_network,
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
