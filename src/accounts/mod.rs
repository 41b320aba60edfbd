//! 5 — Accounts: the local person, the identities that lead to them, and what they may do.
//!
//! Plain data and pure functions. Groups and roles are *assigned* with a provenance, so that a sign-in
//! reconciles only what its own provider assigned (see [`reconcile`]).

pub mod access;
pub mod deletion;
pub mod email;
pub mod invitation;
pub mod profile;
pub mod reconcile;
pub mod required;
pub mod said;

use crate::context::Timestamp;
use crate::ids::{AccountId, GroupName, IdentityId, ProviderId, RoleName};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use access::{Access, Directory, Group, Role};
pub use deletion::{ConfirmationCode, Deletion, DeletionOutcome};
pub use email::EmailAddress;
pub use invitation::Invitation;
pub use profile::{Address, Profile};
pub use required::{Given, PersonName, Required};

/// Whether an account may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// May sign in.
    Active,
    /// May not, for now; everything is kept.
    Suspended,
    /// Was removed; the row remembers only that the id is used up.
    Deleted,
}

impl AccountStatus {
    /// The word in storage and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

impl std::str::FromStr for AccountStatus {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            "deleted" => Ok(Self::Deleted),
            _ => Err(()),
        }
    }
}

/// A local account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Stable, opaque, random: the `sub` that applications see.
    pub id: AccountId,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// What we know of the person.
    pub profile: Profile,
    /// Addresses, the primary one first.
    pub emails: Vec<AccountEmail>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

impl Account {
    /// The address that is issued in the `email` claim.
    pub fn primary_email(&self) -> Option<&AccountEmail> {
        self.emails.iter().find(|e| e.primary).or_else(|| self.emails.first())
    }
}

/// An address that an account holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEmail {
    /// The address.
    pub address: EmailAddress,
    /// How we know it; `None` means that somebody merely said so.
    pub proof: Option<EmailProof>,
    /// Who proved it while its word counted for the domain, if nobody's does now. That is no proof; but it says whose
    /// account may be asked for when the domain's new provider speaks of the address.
    pub lapsed: Option<ProviderId>,
    /// Whether it is the one that is issued.
    pub primary: bool,
}

/// Why we believe that a person owns an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailProof {
    /// A provider that is authoritative for the domain asserted it as verified.
    Provider(ProviderId),
    /// The person returned a code that we had sent there.
    Code,
}

impl fmt::Display for EmailProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(id) => write!(f, "provider:{id}"),
            Self::Code => f.write_str("code"),
        }
    }
}

impl std::str::FromStr for EmailProof {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            None if text == "code" => Ok(Self::Code),
            Some(("provider", id)) => ProviderId::new(id).map(Self::Provider).map_err(|_| ()),
            _ => Err(()),
        }
    }
}

/// What tells one external identity from every other. An address is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdentityKey {
    /// The provider as configured here.
    pub provider: ProviderId,
    /// The issuer or entity id that vouched, as it named itself.
    pub issuer: String,
    /// The subject at that issuer.
    pub subject: String,
    /// The subject's format (SAML NameID format and qualifiers); empty where the protocol has none.
    pub format: String,
}

/// The link from an external identity to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The link's own id.
    pub id: IdentityId,
    /// The account it leads to.
    pub account: AccountId,
    /// The external identity.
    pub key: IdentityKey,
    /// What people recognise it by (an address or a name); display only, never a key.
    pub label: Option<String>,
    /// When it was linked.
    pub linked_at: Timestamp,
    /// When it last signed in.
    pub last_used_at: Timestamp,
}

/// Something that can be assigned to an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "name")]
pub enum Target {
    /// Membership of a local group.
    Group(GroupName),
    /// A local role.
    Role(RoleName),
}

impl Target {
    /// `group` or `role`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Group(_) => "group",
            Self::Role(_) => "role",
        }
    }
    /// The local name.
    pub fn name(&self) -> &str {
        match self {
            Self::Group(name) => name.as_str(),
            Self::Role(name) => name.as_str(),
        }
    }
}

/// Who assigned something, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// A provider's mapping; the text names the rule, as `providers.toml` numbers or names it.
    Provider {
        /// The provider whose sign-in assigned it.
        provider: ProviderId,
        /// The mapping rule.
        rule: String,
    },
    /// A line of the configuration file.
    Configuration,
    /// An administrator, by name (the operating system's user for the command line).
    Admin(String),
}

/// One assignment of a group or role to an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment {
    /// What is assigned.
    pub target: Target,
    /// By whom.
    pub provenance: Provenance,
}
