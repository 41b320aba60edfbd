//! Signing out, between the house and its providers: what reaches our logout address, what a provider says of
//! it, and how the browser is sent there and back.

use crate::accounts::IdentityKey;
use crate::context::Timestamp;
use crate::upstream::{CallbackMethod, Replay};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// What reached our logout address for a provider. Repeated parameters were refused before.
pub struct LogoutMessage {
    /// How it came.
    pub method: CallbackMethod,
    /// The query as it came, not decoded: a signature may be over its very octets (SAML Bindings §3.4.4.1).
    pub query: String,
    /// Parameters of the query (for GET) or fields of the form (for POST), decoded.
    pub parameters: BTreeMap<String, String>,
    /// Our logout address for this provider, absolute.
    pub address: String,
    /// What the kind left with this browser when it sent it away to sign out, if the message names that
    /// departure.
    pub pending: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for LogoutMessage {
    /// Names only: values name people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutMessage")
            .field("method", &self.method)
            .field("parameters", &self.parameters.keys())
            .finish_non_exhaustive()
    }
}

/// What a message at our logout address was, after every check.
#[derive(Debug)]
pub enum LogoutHeard {
    /// A logout began at the provider.
    Notice(LogoutNotice),
    /// What came of the logout that this browser took there.
    Answer(LogoutOutcome),
}

/// A logout that began at the provider, which has proved that it says so. All that is named must fit; where
/// nobody is named, nobody is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The person, by the identity that is linked here.
    pub identity: Option<IdentityKey>,
    /// The person, by a name that their proof noted.
    pub name: Option<Named>,
    /// Who says so: its issuer identifier or entity ID.
    pub issuer: String,
    /// What was said of those who are meant at this moment or before counts no more; by the clock of
    /// [`ExternalIdentity::when_said`](crate::upstream::identity::ExternalIdentity::when_said).
    pub issued: Timestamp,
    /// The provider's own sessions; all of the person's if empty.
    pub sessions: Vec<String>,
    /// What must never be accepted twice from this provider, until when.
    pub replay: Replay,
    /// What the kind must know to answer it through the browser; without it the provider's server asked, and the
    /// status of HTTP is the answer.
    pub reply: Option<Vec<u8>>,
}

/// Whom a logout means by a name, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name's key ([`UpstreamName`](crate::sessions::UpstreamName)).
    pub key: String,
    /// Until when it wants that to be heard, if it says so (`NotOnOrAfter`).
    pub until: Option<Timestamp>,
}

/// What came of a logout, here or there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// All is signed out.
    Complete,
    /// What was asked has ended, but not everyone could be told.
    Partial,
    /// It did not work.
    Failed,
}

/// What the broker wants of a provider for one logout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutWish {
    /// The handle that travels as `state` or RelayState; at most 80 bytes.
    pub state: String,
    /// Our logout address for this provider, absolute.
    pub address: String,
    /// The provider's own session.
    pub session: Option<String>,
    /// The name that the person's proof noted, as it was written.
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_the_names_of_its_parameters_only() {
        let message = LogoutMessage {
            method: CallbackMethod::Post,
            query: "secret".to_owned(),
            parameters: BTreeMap::from([("logout_token".to_owned(), "secret".to_owned())]),
            address: String::new(),
            pending: Some(Zeroizing::new(b"secret".to_vec())),
        };
        let shown = format!("{message:?}");
        assert!(shown.contains("logout_token") && shown.contains("Post"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
