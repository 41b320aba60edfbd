//! 2 — Upstream providers. Everything about a kind of provider lives in its own folder; the rest of the
//! house knows only the trait [`Upstream`].

#[macro_use]
mod list;

mod answers;
mod checks;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod identity;
mod logout;
pub mod mapping;
mod notice;
pub mod presets;
pub mod registry;
pub mod settings;
#[cfg(test)]
mod tests;
mod vouch;

kinds! { oidc, oauth2, saml }

/// Keys by which SAML identity providers know us.
pub mod saml_key {
    pub use super::saml::{Bits, NewKey, make_key as make};
}

pub use logout::{LogoutHeard, LogoutMessage, LogoutNotice, LogoutOutcome, LogoutWish, Named};
pub use notice::{Notice, NoticeKind};
pub use registry::{Entry, Registry};
pub use settings::{
    DataDeletion, Linking, ProfileRefresh, Provider, ProviderDisplay, ProviderPolicy, Provisioning,
};

use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::ids::{ClientId, ProviderId};
use async_trait::async_trait;
use identity::ExternalIdentity;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// What the broker wants of a provider for one sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BeginRequest {
    /// The handle that travels as `state` or RelayState; at most 80 bytes.
    pub state: String,
    /// Our callback for this provider, absolute.
    pub callback: String,
    /// An address or name to fill in there.
    pub login_hint: Option<String>,
    /// The person must prove themselves anew, whatever session the provider has.
    pub force_authentication: bool,
    /// The provider must not be content with a proof older than this.
    pub max_age: Option<Duration>,
    /// The provider should let the person pick among accounts.
    pub select_account: bool,
    /// The provider must not show anything.
    pub silent: bool,
    /// Languages the person reads, best first (BCP 47).
    pub ui_locales: Vec<String>,
    /// Authentication contexts asked for, best first.
    pub acr_values: Vec<String>,
}

/// How the browser gets to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// By a redirect.
    RedirectTo(Url),
    /// By a form that posts itself, with a button where scripts are off.
    PostForm {
        /// Where to.
        action: Url,
        /// Its hidden fields.
        fields: Vec<(String, String)>,
    },
}

/// A sign-in that has begun: how to go there, and what the provider's kind must remember until the answer.
#[derive(Debug)]
pub struct Begun {
    /// How the browser gets there.
    pub departure: Departure,
    /// The kind's own state (nonce, PKCE verifier, request id …); the flow seals it, binds it to the browser
    /// and gives it back to `finish`.
    pub state: Zeroizing<Vec<u8>>,
}

/// How the answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackMethod {
    /// In the query of a GET.
    Get,
    /// In the form of a POST.
    Post,
}

/// The provider's answer as it reached our callback. Repeated parameters were refused before.
#[derive(Debug, Clone)]
pub struct Callback {
    /// How it came.
    pub method: CallbackMethod,
    /// Query parameters (for GET) or form fields (for POST), decoded.
    pub parameters: BTreeMap<String, String>,
    /// Our callback's own absolute address, as it was sent in `begin`.
    pub callback: String,
    /// What the request to the provider had demanded; the answer must show it.
    pub demanded: Demanded,
}

/// What was demanded upstream and must be shown by the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demanded {
    /// When the sign-in began.
    pub begun_at: Option<Timestamp>,
    /// A new proof, not older than the beginning (less the allowed skew).
    pub force_authentication: bool,
    /// A proof not older than this.
    pub max_age: Option<Duration>,
    /// A later proof than this one, which the provider gave before and which is no longer enough. What is
    /// allowed for clocks cannot make it new.
    pub later_than: Option<Timestamp>,
    /// One of these contexts.
    pub acr_values: Vec<String>,
}

/// A named step of validation, kept for the trace. Values are redacted before they get here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// Stable name, such as `oidc.id_token.nonce`.
    pub check: String,
    /// What it expected.
    pub expected: String,
    /// What it received.
    pub received: String,
    /// Whether it passed.
    pub passed: bool,
}

/// The steps of one validation, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    steps: Vec<Step>,
    remarks: BTreeSet<String>,
}

impl Trace {
    /// Records a step.
    pub fn step(
        &mut self,
        check: &str,
        expected: impl Into<String>,
        received: impl Into<String>,
        passed: bool,
    ) {
        self.steps.push(Step {
            check: check.to_owned(),
            expected: expected.into(),
            received: received.into(),
            passed,
        });
    }
    /// All steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    /// Keeps in mind what an operator should know although it was passed over. `what` says nothing of the person.
    pub fn remark(&mut self, check: &str, what: &'static str) {
        self.remarks.insert(format!("{check}: {what}"));
    }
    /// What was passed over, each once: the check, and what it was.
    pub fn remarks(&self) -> &BTreeSet<String> {
        &self.remarks
    }
}

/// What a provider vouched for.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// Who it is, mapped.
    pub identity: ExternalIdentity,
    /// Whether the provider's claim filter lets a new account be made; `true` where none is configured.
    pub passes_filter: bool,
    /// What was passed over, for the record of the sign-in; see [`Trace::remarks`].
    pub remarks: BTreeSet<String>,
    /// What must never be accepted twice from this provider (assertion id, nonce …), until when.
    pub replay: Option<Replay>,
}

/// What must never be accepted twice from one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The value (assertion id, nonce …).
    pub what: String,
    /// Until when it must be remembered: later it would be refused for its age.
    pub until: Timestamp,
    /// The reason of the refusal.
    pub reason: &'static str,
}

/// A document that a provider's kind publishes (such as SAML metadata).
#[derive(Debug, Clone)]
pub struct Published {
    /// Media type.
    pub content_type: &'static str,
    /// The document.
    pub body: std::sync::Arc<[u8]>,
}

/// Whether a provider can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// As far as we know.
    Up,
    /// Not asked yet.
    Unknown,
    /// It can, but somebody should look at it; why.
    Warned(String),
    /// The reason, for the operator.
    Down(String),
}

/// What every kind is built from, beside its own settings.
pub(in crate::upstream) struct Parts {
    /// What all kinds share.
    pub common: settings::Common,
    /// Rules and profile fields, compiled.
    pub mapping: mapping::Mapping,
    /// The resolved secrets and documents.
    pub secrets: registry::Found,
    /// The way out to this provider.
    pub outbound: crate::outbound::Outbound,
    /// What a provider with the same settings of its kind has kept of what is published; see [`Upstream::kept`].
    pub kept: Option<Kept>,
}

/// Something that a kind of provider keeps, which only that kind knows.
pub type Kept = Arc<dyn std::any::Any + Send + Sync>;

/// One configured provider.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Its id in the configuration.
    fn id(&self) -> &ProviderId;
    /// Origins (`scheme://host:port`) that the chooser's form may lead to, for `form-action`. Empty while
    /// they are not known yet.
    fn form_targets(&self) -> Vec<String>;
    /// Whether its answer comes by POST from its own site, which brings no `SameSite=Lax` cookie.
    fn answers_by_post(&self) -> bool {
        false
    }
    /// Whether its answer may come by GET. Where it may not, a GET at its callback is no answer at all.
    fn answers_by_get(&self) -> bool {
        true
    }
    /// What it has kept of what the provider publishes, for whoever takes its place when other settings than those of its
    /// kind have changed: while the publisher is away, people go on signing in by it.
    fn kept(&self) -> Option<Kept> {
        None
    }
    /// Whether its answer can show when the person proved themselves. One that cannot is of no use where the
    /// application demands a fresh proof.
    fn proves_freshness(&self) -> bool {
        true
    }
    /// Whether it can be asked to let the person choose among accounts.
    fn lets_choose(&self) -> bool {
        false
    }
    /// Builds the request to the provider.
    async fn begin(&self, context: &Context, request: &BeginRequest) -> Result<Begun, Failure>;
    /// Validates the answer; every check is a step of the trace, passed or not.
    async fn finish(
        &self,
        context: &Context,
        state: &[u8],
        callback: &Callback,
        trace: &mut Trace,
    ) -> Result<Vouched, Failure>;
    /// Whether its answers may name people in this format of an identity's key. Where they may not, since its settings
    /// have changed, another name says nothing about whom the old one meant.
    fn still_names(&self, _format: &str) -> bool {
        true
    }
    /// What an answer is taken for that names no departure of ours: `None` for one whose state was lost; else the
    /// client for which a sign-in of our own is to begin, or why not. Nothing of the message is trusted.
    fn unsolicited(&self, _parameters: &BTreeMap<String, String>) -> Option<Result<ClientId, Failure>> {
        None
    }
    /// Whether its words about logouts come through the person's browser, which wants to see a page, and not from
    /// the provider's server.
    fn logs_out_by_browser(&self) -> bool {
        false
    }
    /// Validates what reached our logout address; every check is a step of the trace.
    ///
    /// # Errors
    /// `upstream.logout_request` from kinds that have no such thing.
    async fn inbound_logout(
        &self,
        _context: &Context,
        _message: &LogoutMessage,
        _trace: &mut Trace,
    ) -> Result<LogoutHeard, Failure> {
        Err(Failure::invalid_request("upstream.logout_request", "this kind of provider tells of no logouts"))
    }
    /// Validates what its server sent about somebody to one of our two addresses for such notices; every check is a
    /// step of the trace.
    ///
    /// # Errors
    /// `upstream.notice` from providers that tell nothing of this sort.
    async fn inbound_notice(
        &self,
        _context: &Context,
        _kind: NoticeKind,
        _parameters: &BTreeMap<String, String>,
        _trace: &mut Trace,
    ) -> Result<Notice, Failure> {
        Err(Failure::invalid_request("upstream.notice", "this provider tells nothing of this sort"))
    }
    /// How the browser takes our answer back to a provider that asked through it; `reply` is the notice's own.
    ///
    /// # Errors
    /// Where the kind never asks that way, or its answer cannot be made.
    async fn answer_logout(
        &self,
        _context: &Context,
        _reply: &[u8],
        _outcome: LogoutOutcome,
    ) -> Result<Departure, Failure> {
        Err(Failure::internal(
            "upstream.logout_request",
            "this kind of provider is not answered by the browser",
        ))
    }
    /// How the browser goes to the provider to sign out there too; `None` if the provider has no such thing, or
    /// the settings do not want it.
    ///
    /// # Errors
    /// When the request cannot be made.
    async fn begin_logout(&self, _context: &Context, _wish: &LogoutWish) -> Result<Option<Begun>, Failure> {
        Ok(None)
    }
    /// A document of ours for this provider. `callback` is our callback's absolute address.
    ///
    /// # Errors
    /// It cannot be made.
    async fn published(&self, _context: &Context, _callback: &str) -> Result<Option<Published>, Failure> {
        Ok(None)
    }
    /// Whether it can be used now.
    fn health(&self) -> Health;
    /// Looks after itself, now and then: refreshes what is due, tells what will run out.
    async fn tend(&self, _context: &Context) {}
    /// Another one, or none, has taken its place: it tells nothing any more, and takes back what it shows in metrics.
    fn retire(&self) {}
    /// Fetches ahead of need what it will need (discovery, keys). Gives whether it publishes such a thing: false where
    /// all of it is in the settings, so that nobody was asked.
    async fn warm(&self, _context: &Context) -> Result<bool, Failure> {
        Ok(false)
    }
}
