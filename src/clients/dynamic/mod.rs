//! Dynamic registration: what a program may register for itself (RFC 7591, OIDC Dynamic Registration 1.0), under
//! the policy of the house. Reading a document and showing what is in force are pure; storing is for the flow.

mod document;
mod policy;
mod shown;

pub use document::{Capabilities, Registrant, read};
pub use policy::{HostRule, Narrowing, Policy};
pub use shown::show;

use super::Client;
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use serde::{Deserialize, Serialize};

/// What kind of application it says it is (OIDC Registration §2 `application_type`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// On a server or in a browser.
    #[default]
    Web,
    /// On a device.
    Native,
}

/// A client that registered itself, with what only its registration knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The client.
    pub client: Client,
    /// What kind of application it is.
    #[serde(default)]
    pub application_type: ApplicationType,
    /// The software of which it is an instance (RFC 7591 §2 `software_id`), as it says.
    #[serde(default)]
    pub software_id: Option<String>,
    /// The version of that software (`software_version`), as it says.
    #[serde(default)]
    pub software_version: Option<String>,
    /// What the initial access token allowed, beyond the policy of the house.
    #[serde(default)]
    pub narrowing: Narrowing,
    /// When it was registered.
    pub issued_at: Timestamp,
}

/// An initial access token: it lets a program register itself (RFC 7591 §3). Its text is known to whoever it was
/// given to alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationToken {
    /// Its name for administrators.
    pub id: String,
    /// What it is for, in their words.
    pub note: String,
    /// What it allows.
    pub narrowing: Narrowing,
    /// How many clients it can still register; none means any number.
    pub uses_left: Option<u32>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
}

impl RegistrationToken {
    /// Whether it can be used at a moment.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at && self.uses_left != Some(0)
    }
}

/// A refusal of a member of a registration document (RFC 7591 §3.2.2).
pub(crate) fn refuse(reason: &'static str, member: &'static str, note: impl Into<String>) -> Failure {
    let code = if reason == "registration.redirect_uri" {
        OAuthCode::InvalidRedirectUri
    } else {
        OAuthCode::InvalidClientMetadata
    };
    Failure::new(code, reason, UserMessage::AppMisconfigured, note.into()).concerning(member)
}

#[cfg(test)]
mod tests;
