//! An invitation lets one person in whom a provider's policy would not.

use crate::accounts::EmailAddress;
use crate::context::Timestamp;
use crate::ids::{GroupName, ProviderId};
use crate::tokens::handle::Digest;
use std::collections::BTreeSet;

/// An invitation as stored. Only its digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Digest of the invitation.
    pub digest: Digest,
    /// The provider by which the person must come; `None` means by any.
    pub provider: Option<ProviderId>,
    /// The address that the person must hold with proof; `None` means whoever brings it.
    pub email: Option<EmailAddress>,
    /// Groups that the new account gets, by the one who invited.
    pub groups: BTreeSet<GroupName>,
    /// The administrator who invited, by name.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}
