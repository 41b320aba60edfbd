//! What happened: typed events (who did what to whom, and why) that are written in the transaction of the
//! change itself, and refusals, which strangers can cause and which therefore live in a bounded ring.

use crate::accounts::AccountStatus;
use crate::context::Timestamp;
use crate::ids::{AccountId, ClientId, ProviderId, ReferenceId};
use crate::upstream::Step;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A text in storage is no word of this list; a newer version wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of this list")]
pub struct UnknownWord;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditKind { $($(#[$doc])* $variant,)* }
        impl AuditKind {
            /// All of them, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The stable word in storage and output.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
        impl FromStr for AuditKind {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(UnknownWord) }
            }
        }
    };
}

kinds! {
    /// An account was made.
    AccountCreated = "account.created";
    /// Its profile or addresses changed.
    AccountChanged = "account.changed";
    /// It may sign in again.
    AccountActivated = "account.activated";
    /// It may not sign in for now.
    AccountSuspended = "account.suspended";
    /// It was removed.
    AccountDeleted = "account.deleted";
    /// An external identity was linked to it.
    IdentityLinked = "identity.linked";
    /// A link was taken away.
    IdentityUnlinked = "identity.unlinked";
    /// The person took our access away at the provider.
    IdentityDeauthorized = "identity.deauthorized";
    /// A group or role was assigned.
    AssignmentAdded = "assignment.added";
    /// An assignment was taken away.
    AssignmentRemoved = "assignment.removed";
    /// Somebody signed in.
    SessionStarted = "session.started";
    /// A signed-in person proved themselves again.
    SessionRenewed = "session.renewed";
    /// A session ended before its time.
    SessionEnded = "session.ended";
    /// A sign-in was refused.
    SignInRefused = "sign_in.refused";
    /// A person allowed a client something.
    ConsentGiven = "consent.given";
    /// A person took it back.
    ConsentWithdrawn = "consent.withdrawn";
    /// Codes and tokens of a grant stopped working.
    GrantRevoked = "grant.revoked";
    /// A single token was revoked.
    TokenRevoked = "token.revoked";
    /// An authorization code was used a second time.
    CodeReplayed = "code.replayed";
    /// A refresh token was used a second time.
    RefreshReused = "refresh.reused";
    /// A client was made.
    ClientCreated = "client.created";
    /// A client registered itself.
    ClientRegistered = "client.registered";
    /// A client was changed.
    ClientChanged = "client.changed";
    /// A client's secret was made anew.
    ClientSecretRotated = "client.secret_rotated";
    /// A client was removed.
    ClientRemoved = "client.removed";
    /// Everybody was signed out of a client.
    ClientSignedOut = "client.signed_out";
    /// A client could not be told that a session ended.
    LogoutUndelivered = "logout.undelivered";
    /// An initial access token was made: it lets programs register clients.
    RegistrationTokenCreated = "registration_token.created";
    /// One was ended.
    RegistrationTokenRevoked = "registration_token.revoked";
    /// A resource server was made or changed.
    ResourceServerChanged = "resource_server.changed";
    /// A resource server was removed.
    ResourceServerRemoved = "resource_server.removed";
    /// A group was made or changed.
    GroupChanged = "group.changed";
    /// A group was removed.
    GroupRemoved = "group.removed";
    /// A role was made or changed.
    RoleChanged = "role.changed";
    /// A role was removed.
    RoleRemoved = "role.removed";
    /// A signing key was made.
    KeyCreated = "key.created";
    /// Everything that was given out before was ended.
    EpochBegun = "epoch.begun";
    /// A signing key began to sign.
    KeyActivated = "key.activated";
    /// A signing key stopped signing.
    KeyRetired = "key.retired";
    /// A signing key is no longer published.
    KeyRemoved = "key.removed";
    /// Somebody was invited.
    InvitationCreated = "invitation.created";
    /// An invitation was used.
    InvitationUsed = "invitation.used";
    /// The configuration was read again.
    ConfigurationReloaded = "configuration.reloaded";
}

impl From<AccountStatus> for AuditKind {
    /// The event of an account's getting this status.
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Active => Self::AccountActivated,
            AccountStatus::Suspended => Self::AccountSuspended,
            AccountStatus::Deleted => Self::AccountDeleted,
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The person of an account.
    Person(AccountId),
    /// A client on its own behalf.
    Client(ClientId),
    /// An administrator, by name (the operating system's user for the command line).
    Admin(String),
    /// The program itself: a schedule, a reload.
    System,
    /// Somebody who is not known yet.
    Stranger,
}

impl Actor {
    /// The kind of actor in storage and output.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Client(_) => "client",
            Self::Admin(_) => "admin",
            Self::System => "system",
            Self::Stranger => "stranger",
        }
    }
    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(id) => id.as_str(),
            Self::Client(id) => id.as_str(),
            Self::Admin(name) => name,
            Self::System | Self::Stranger => "",
        }
    }
    /// From kind and name as stored.
    ///
    /// # Errors
    /// [`UnknownWord`] for a kind that this version does not know, or a name that is no id.
    pub fn from_parts(kind: &str, name: &str) -> Result<Self, UnknownWord> {
        match kind {
            "person" => AccountId::new(name).map(Self::Person).map_err(|_| UnknownWord),
            "client" => ClientId::new(name).map(Self::Client).map_err(|_| UnknownWord),
            "admin" => Ok(Self::Admin(name.to_owned())),
            "system" => Ok(Self::System),
            "stranger" => Ok(Self::Stranger),
            _ => Err(UnknownWord),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System | Self::Stranger => f.write_str(self.kind()),
            _ => write!(f, "{} {}", self.kind(), self.name()),
        }
    }
}

/// One event. It is committed with the change that it tells of, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: AuditKind,
    /// Who did it.
    pub actor: Actor,
    /// The account that it concerns.
    pub account: Option<AccountId>,
    /// The client that it concerns.
    pub client: Option<ClientId>,
    /// The provider that it concerns.
    pub provider: Option<ProviderId>,
    /// The stable reason, such as `oidc.id_token.nonce`.
    pub reason: Option<String>,
    /// The reference that the person saw.
    pub reference: Option<ReferenceId>,
    /// Whatever else is worth knowing; never secrets, never tokens.
    pub data: Value,
}

impl AuditEvent {
    /// An event of which only time, kind and actor are known yet.
    pub fn new(at: Timestamp, kind: AuditKind, actor: Actor) -> Self {
        Self {
            at,
            kind,
            actor,
            account: None,
            client: None,
            provider: None,
            reason: None,
            reference: None,
            data: Value::Null,
        }
    }
    /// Names the account.
    #[must_use]
    pub fn account(mut self, account: &AccountId) -> Self {
        self.account = Some(account.clone());
        self
    }
    /// Names the client.
    #[must_use]
    pub fn client(mut self, client: &ClientId) -> Self {
        self.client = Some(client.clone());
        self
    }
    /// Names the provider.
    #[must_use]
    pub fn provider(mut self, provider: &ProviderId) -> Self {
        self.provider = Some(provider.clone());
        self
    }
    /// Names the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
    /// Names the reference that the person saw.
    #[must_use]
    pub fn reference(mut self, reference: &ReferenceId) -> Self {
        self.reference = Some(reference.clone());
        self
    }
    /// Adds whatever else is worth knowing.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// A refusal and its trace: what `countersign trace` prints. Strangers can cause any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reference that the person saw.
    pub reference: ReferenceId,
    /// When.
    pub at: Timestamp,
    /// The prefix of the address that it came from (an IPv4 /24 or IPv6 /48, say).
    pub source: String,
    /// The stable reason, such as `flow.browser`.
    pub reason: String,
    /// The provider that it concerns.
    pub provider: Option<ProviderId>,
    /// The client that it concerns.
    pub client: Option<ClientId>,
    /// What the check expected, redacted.
    pub expected: Option<String>,
    /// What it received, redacted.
    pub received: Option<String>,
    /// The steps of validation up to it.
    pub steps: Vec<Step>,
    /// What failed, in a sentence for the operator.
    pub note: String,
}

/// A refusal as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRefusal {
    /// The first of its kind within a minute.
    pub refusal: Refusal,
    /// How often it happened.
    pub times: u64,
    /// When it happened last.
    pub last_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_and_reads_back() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in AuditKind::ALL {
            assert!(seen.insert(kind.as_str()), "{} twice", kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!("no.such".parse::<AuditKind>(), Err(UnknownWord));
    }

    #[test]
    fn an_actor_reads_back() {
        for actor in [
            Actor::Person(AccountId::new("alice-1234").unwrap()),
            Actor::Client(ClientId::new("demo-app").unwrap()),
            Actor::Admin("root".to_owned()),
            Actor::System,
            Actor::Stranger,
        ] {
            assert_eq!(Actor::from_parts(actor.kind(), actor.name()), Ok(actor));
        }
    }
}
