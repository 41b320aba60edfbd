//! The stand-in as a whole: it answers requests.

use super::{Key, LogoutRequest, Message, Metadata, NameId, Request, Script, tree};
use countersign::context::Timestamp;
use countersign::upstream::Departure;

/// An identity provider: who it is, and its keys; the first one signs.
#[derive(Clone)]
pub struct Idp {
    pub entity_id: String,
    /// `scheme://host:port` of its pages.
    pub origin: String,
    pub keys: Vec<Key>,
}

impl Idp {
    pub fn new(entity_id: &str, origin: &str, key: Key) -> Self {
        Self { entity_id: entity_id.to_owned(), origin: origin.to_owned(), keys: vec![key] }
    }

    pub fn key(&self) -> Key {
        self.keys.first().expect("a key").clone()
    }

    /// Its metadata; changes can be made before `xml()`.
    pub fn metadata(&self) -> Metadata {
        Metadata::sound(&self.entity_id, &self.origin, &self.keys)
    }

    /// A sound answer to a request, to be changed.
    pub fn script(&self, now: Timestamp, request: &Request, acs: &str) -> Script {
        Script::sound(now, &self.entity_id, &request.issuer, acs, &request.id, self.key())
    }

    /// A sound answer to a request, as it travels.
    pub fn answer(&self, now: Timestamp, departure: &Departure) -> Message {
        let request = Request::of(departure);
        let acs = request.acs.clone().expect("an AssertionConsumerServiceURL");
        let relay_state = request.relay_state.clone().unwrap_or_default();
        Message::new(self.script(now, &request, &acs).xml(), &relay_state)
    }

    /// A sound logout of somebody, to be changed.
    pub fn logout(
        &self,
        now: Timestamp,
        destination: &str,
        name_id: NameId,
        sessions: &[&str],
    ) -> LogoutRequest {
        LogoutRequest::sound(now, &self.entity_id, destination, name_id, sessions)
    }
}

/// The first encryption certificate (or one without a use) of a service provider's metadata, DER.
pub fn encryption_certificate(metadata: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text = ["encryption", ""].iter().find_map(|wanted| {
        (1..10).find_map(|nth| {
            let path = format!("EntityDescriptor/SPSSODescriptor/KeyDescriptor[{nth}]");
            tree::outer(metadata, &path)?;
            (tree::attribute(metadata, &path, "use").unwrap_or_default() == *wanted)
                .then(|| tree::inner(metadata, &format!("{path}/KeyInfo/X509Data/X509Certificate")))?
        })
    })?;
    let bare: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(bare).ok()
}
