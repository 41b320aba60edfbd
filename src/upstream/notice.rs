//! What a provider's server tells us of somebody, beside logouts: that they took our access away there, or want
//! what it told us about them deleted.

use crate::accounts::IdentityKey;
use crate::upstream::Replay;

/// What the provider says; each has an address of its own here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The person took our access away.
    Deauthorization,
    /// The person wants what the provider told us about them deleted.
    Deletion,
}

/// What a provider's server told, after every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The person, by the identity that may be linked here.
    pub identity: IdentityKey,
    /// What tells this notice from every other of this provider's, and until when it could be sent again. Sent again
    /// it changes nothing.
    pub replay: Replay,
}
