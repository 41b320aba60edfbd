//! What a browser brings and takes away: the plain facts behind cookies. Names, attributes and headers are
//! the business of `http::cookies`.

use crate::ids::ProviderId;
use crate::tokens::handle::{BrowserName, Digest, Flow, Handle, Invitation, SessionSecret};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a browser brings.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// Sign-ins in progress: the short name of each handle, and what its cookie holds.
    pub flows: BTreeMap<String, String>,
    /// The secret of its session.
    pub session: Option<Handle<SessionSecret>>,
    /// Its name. It opens nothing: it says which sessions are in this browser, where the secret that it brings is an old
    /// one or none, for renewing or ending them.
    pub name: Option<Handle<BrowserName>>,
    /// An invitation that the person accepted.
    pub invitation: Option<Handle<Invitation>>,
    /// The provider that it used last; a convenience, never a proof.
    pub last_used: Option<ProviderId>,
    /// At which provider the application's next sign-in is to begin; a convenience, as if the application had
    /// named it.
    pub wish: Option<Wish>,
    /// The prefix of the address that it comes from, for the ring of refusals.
    pub source: String,
}

impl Browser {
    /// The digests by which its sessions are found.
    pub fn traces(&self) -> Traces {
        Traces {
            secret: self.session.as_ref().map(Handle::digest),
            name: self.name.as_ref().map(Handle::digest),
        }
    }
}

/// By what the sessions of a browser are found; none of it shows who is there.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Digest of the secret that it brings.
    pub secret: Option<Digest>,
    /// Digest of its name.
    pub name: Option<Digest>,
}

/// What it takes away.
#[derive(Debug, Default)]
pub struct Changes {
    /// Cookies of sign-ins in progress, by short name.
    pub flows: BTreeMap<String, FlowCookie>,
    /// A new session, or the end of the old one.
    pub session: Option<SessionCookie>,
    /// Its name from now on. It goes with the session.
    pub name: Option<Handle<BrowserName>>,
    /// An invitation that was accepted, or used up.
    pub invitation: Option<InvitationCookie>,
    /// The provider that it used last.
    pub last_used: Option<ProviderId>,
    /// At which provider the next sign-in is to begin.
    pub wish: Option<WishCookie>,
}

/// Where a sign-in is to begin that the application has not asked for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The provider.
    pub provider: ProviderId,
    /// Digest of the client's id.
    pub client: Digest,
}

/// A change of the cookie that keeps a [`Wish`].
#[derive(Debug)]
pub enum WishCookie {
    /// To be kept, for minutes.
    Keep(Wish),
    /// Fulfilled.
    Forget,
}

/// A change of the invitation's cookie.
#[derive(Debug)]
pub enum InvitationCookie {
    /// Accepted.
    Keep(Handle<Invitation>),
    /// Used up.
    Forget,
}

/// A change of a flow's cookie.
#[derive(Debug)]
pub enum FlowCookie {
    /// To be kept.
    Keep {
        /// What it holds; sealed.
        value: String,
        /// For how long.
        lifetime: Duration,
        /// The answer will come by POST from another site, which brings no `SameSite=Lax` cookie.
        cross_site: bool,
    },
    /// To be forgotten.
    Forget,
}

/// A change of the session's cookie.
#[derive(Debug)]
pub enum SessionCookie {
    /// A new secret.
    Keep(Handle<SessionSecret>),
    /// Signed out.
    Forget,
}

impl Changes {
    /// No change.
    pub fn none() -> Self {
        Self::default()
    }
    /// Adds the changes of a later step; the later one wins.
    pub fn then(&mut self, later: Self) {
        self.flows.extend(later.flows);
        self.session = later.session.or_else(|| self.session.take());
        self.name = later.name.or_else(|| self.name.take());
        self.invitation = later.invitation.or_else(|| self.invitation.take());
        self.last_used = later.last_used.or_else(|| self.last_used.take());
        self.wish = later.wish.or_else(|| self.wish.take());
    }
    /// Forgets a flow.
    pub fn forget_flow(&mut self, handle: &Handle<Flow>) {
        self.flows.insert(handle.short().to_owned(), FlowCookie::Forget);
    }
}
