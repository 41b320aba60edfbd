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

mod attributes;
mod encryption;
mod open;
mod presets;
mod profile;
mod shape;
mod signature;
mod xml;

#[cfg(test)]
#[path = "../../../tests/support/saml/mod.rs"]
mod support;
#[cfg(test)]
mod tests;

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
