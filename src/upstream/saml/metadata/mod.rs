//! Metadata (SAML Metadata): the provider's, read, and ours, written.

pub(super) mod idp;
pub(super) mod own;
mod times;
