//! SAML 2.0 identity providers: the web browser SSO profile, with the broker as service provider.
//!
//! A message is taken in this order, and nothing later is reached before all of the earlier holds:
//!
//! ```text
//!  xml         well-formed to the last byte, bounded, no DTD, comments, processing instructions, CDATA
//!  shape       exactly one assertion, unique ids, signatures where the profile puts them and nowhere else
//!  signature   two verifiers; what they say was signed are the same bytes
//!  profile     the checks of the profile, on those bytes parsed once, on the injected clock
//!  attributes  to claims, by name
//! ```
//!
//! `settings` says what a provider is, `metadata` reads what it publishes and writes what we do, `keys` are our
//! own, `request` sends people there, `watch` tells what will soon need somebody's hand.

mod aside;
mod attributes;
mod certificate;
mod encryption;
mod finish;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod keys;
mod logout;
mod metadata;
mod open;
mod profile;
mod request;
pub mod settings;
mod shape;
mod signature;
mod source;
mod watch;
mod xml;

#[cfg(test)]
#[path = "../../../tests/support/saml/mod.rs"]
mod support;
#[cfg(test)]
mod tests;

pub use keys::{Bits, NewKey, make as make_key};
pub use settings::Settings;

use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::{ClientId, ProviderId};
use crate::outbound::Outbound;
use crate::outbound::cached::Cached;
use crate::upstream::mapping::Mapping;
use crate::upstream::settings::{Common, Contradiction};
use crate::upstream::{
    BeginRequest, Begun, Callback, Departure, Health, LogoutHeard, LogoutMessage, LogoutOutcome, LogoutWish,
    Parts, Published, Trace, Upstream, Vouched,
};
use async_trait::async_trait;
use keys::OwnKeys;
use metadata::idp::Described;
use metadata::own;
use open::Certificate;
use profile::SubjectPolicy;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Namespaces.
mod ns {
    /// `samlp`
    pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
    /// `saml`
    pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
    /// `md`
    pub const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
    /// `ds`
    pub const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
    /// `xenc`
    pub const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Our own addresses for one provider. They stand beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Addresses {
    /// The assertion consumer service.
    callback: String,
    /// Our metadata.
    metadata: String,
    /// The single logout service.
    logout: String,
}

impl Addresses {
    /// From the callback's.
    fn beside(callback: &str) -> Self {
        Self::under(callback.strip_suffix("/callback").unwrap_or(callback))
    }
    /// From the logout service's.
    fn beside_logout(address: &str) -> Self {
        Self::under(address.strip_suffix("/logout").unwrap_or(address))
    }
    fn under(base: &str) -> Self {
        Self {
            callback: format!("{base}/callback"),
            metadata: format!("{base}/metadata"),
            logout: format!("{base}/logout"),
        }
    }
}

/// A document of ours, kept for a while.
struct Written {
    callback: String,
    at: Timestamp,
    body: Arc<[u8]>,
}

/// One provider.
struct Saml {
    settings: Settings,
    common: Common,
    mapping: Mapping,
    outbound: Outbound,
    /// The keys that the configuration names.
    pinned: Arc<Vec<Certificate>>,
    /// Who signs the metadata.
    metadata_signers: Arc<Vec<Certificate>>,
    /// Ours.
    keys: OwnKeys,
    /// What is known of it without asking: by file or by hand.
    fixed: Option<Arc<Described>>,
    /// What may be somebody's key.
    subject: SubjectPolicy,
    /// What it publishes.
    fetched: Arc<Cached<Described>>,
    /// Our metadata as we last wrote it.
    written: Mutex<Option<Written>>,
    /// What somebody should look at.
    watch: watch::Watch,
}

/// The provider behind its trait; what refreshes itself behind the scenes holds on to it.
struct Provider(Arc<Saml>);

/// Builds a provider of this kind.
pub(in crate::upstream) fn build(
    settings: &Settings,
    parts: Parts,
) -> Result<Arc<dyn Upstream>, Vec<Contradiction>> {
    source::build(settings, parts).map(|saml| Arc::new(Provider(Arc::new(saml))) as Arc<dyn Upstream>)
}

impl Saml {
    /// Our entity id: as configured, or the address of our metadata.
    fn our_entity_id(&self, callback: &str) -> String {
        self.settings.our_entity_id.clone().unwrap_or_else(|| Addresses::beside(callback).metadata)
    }

    /// An answer that nobody asked for: never a proof, at most a wish to begin.
    fn unsolicited(&self) -> Result<ClientId, Failure> {
        let client = self.settings.idp_initiated_client.clone().filter(|_| self.settings.idp_initiated);
        client.ok_or_else(|| {
            let note = "an answer came that nobody here had asked for";
            Failure::new(OAuthCode::AccessDenied, "saml.unsolicited", UserMessage::StartAgain, note)
                .expected("an answer to a request of ours, with its RelayState", "another one")
        })
    }

    /// Our metadata, written now or a moment ago.
    fn published(&self, context: &Context, callback: &str) -> Result<Arc<[u8]>, Failure> {
        let now = context.now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = written.as_ref()
            && kept.callback == callback
            && now.since(kept.at) < own::KEEP
        {
            return Ok(kept.body.clone());
        }
        let body: Arc<[u8]> = self.own_metadata(context, &Addresses::beside(callback))?.into();
        *written = Some(Written { callback: callback.to_owned(), at: now, body: body.clone() });
        Ok(body)
    }
}

#[async_trait]
impl Upstream for Provider {
    fn id(&self) -> &ProviderId {
        &self.0.common.id
    }

    /// The origin to which the request goes.
    fn form_targets(&self) -> Vec<String> {
        let described = self.0.known();
        let address = described.as_ref().and_then(|found| found.sso_by(self.0.settings.request_binding));
        address.map(|address| address.location.url.origin().ascii_serialization()).into_iter().collect()
    }

    fn answers_by_post(&self) -> bool {
        true
    }

    fn answers_by_get(&self) -> bool {
        false
    }

    async fn begin(&self, context: &Context, request: &BeginRequest) -> Result<Begun, Failure> {
        self.refresh_ahead(context);
        let described = self.0.describe(context).await?;
        self.0.begin(context, request, &described)
    }

    async fn finish(
        &self,
        context: &Context,
        state: &[u8],
        callback: &Callback,
        trace: &mut Trace,
    ) -> Result<Vouched, Failure> {
        self.refresh_ahead(context);
        self.0.finish(context, state, callback, trace).await
    }

    fn kept(&self) -> Option<Arc<dyn std::any::Any + Send + Sync>> {
        Some(self.0.fetched.clone())
    }

    fn still_names(&self, format: &str) -> bool {
        self.0.subject.gives(format)
    }

    fn unsolicited(&self, parameters: &BTreeMap<String, String>) -> Option<Result<ClientId, Failure>> {
        parameters.contains_key("SAMLResponse").then(|| self.0.unsolicited())
    }

    fn logs_out_by_browser(&self) -> bool {
        true
    }

    async fn inbound_logout(
        &self,
        context: &Context,
        message: &LogoutMessage,
        trace: &mut Trace,
    ) -> Result<LogoutHeard, Failure> {
        self.refresh_ahead(context);
        self.0.logout_heard(context, message, trace).await
    }

    async fn answer_logout(
        &self,
        context: &Context,
        reply: &[u8],
        outcome: LogoutOutcome,
    ) -> Result<Departure, Failure> {
        self.0.logout_answer(context, reply, outcome).await
    }

    async fn begin_logout(&self, context: &Context, wish: &LogoutWish) -> Result<Option<Begun>, Failure> {
        self.refresh_ahead(context);
        self.0.logout_begun(context, wish).await
    }

    async fn published(&self, context: &Context, callback: &str) -> Result<Option<Published>, Failure> {
        let body = self.0.published(context, callback)?;
        Ok(Some(Published { content_type: own::MEDIA_TYPE, body }))
    }

    fn health(&self) -> Health {
        match (self.0.trouble(), self.0.known(), self.0.watch.problem()) {
            (Some(trouble), ..) => Health::Down(trouble),
            (None, None, _) => Health::Unknown,
            (None, Some(_), Some(problem)) => Health::Warned(problem),
            (None, Some(_), None) => Health::Up,
        }
    }

    async fn warm(&self, context: &Context) -> Result<bool, Failure> {
        let described = self.0.describe(context).await;
        self.0.look(context);
        described.map(|_| self.0.fixed.is_none())
    }

    async fn tend(&self, context: &Context) {
        self.0.refresh(context).await;
        self.0.look(context);
    }

    fn retire(&self) {
        self.0.watch.retire();
    }
}

impl Provider {
    /// Starts a refresh of what will soon be too old, without making anyone wait for it.
    fn refresh_ahead(&self, context: &Context) {
        if self.0.fetched.is_due(context.now()) {
            let (saml, context) = (self.0.clone(), context.clone());
            tokio::spawn(async move { saml.refresh(&context).await });
        }
    }
}
