//! A stand-in SAML 2.0 identity provider: every message is made from a script whose fields are all settable, and
//! signed and encrypted freshly by a library; then mutated by name.
//!
//! Values of a script go into the XML as they stand, so that a case can put markup where text is due.
#![allow(dead_code, unused_imports)] // each test binary uses its part

mod encrypt;
mod idp;
mod keys;
mod logout;
mod message;
mod metadata;
pub mod mutations;
mod request;
mod sign;
mod tree;
mod twist;
mod wrap;

pub use encrypt::Encryption;
pub use idp::{Idp, encryption_certificate};
pub use keys::{Key, pem};
pub use logout::{LogoutRequest, LogoutResponse, redirect};
pub use message::{
    Assertion, Attribute, AuthnStatement, Conditions, Confirmation, Message, NameId, Response, Script,
};
pub use metadata::{KeyDescriptor, Metadata};
pub use request::Request;
pub use sign::{KeyInfo, Signature, redigest, resign, sign, try_sign};
pub use tree::{Tree, attribute, edit, inner, outer};

use countersign::context::Timestamp;
use std::time::Duration;

/// URIs.
pub mod uri {
    pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
    pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
    pub const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
    pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
    pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
    pub const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
    pub const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
    pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
    pub const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
    pub const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
    pub const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
    pub const BASIC: &str = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";
    pub const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
    pub const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
    pub const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
}

/// An instant as SAML writes it (`xs:dateTime`, UTC), some seconds away from `now`.
pub fn instant(now: Timestamp, offset: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::from_unix_timestamp(now.secs() + offset).unwrap();
    at.format(&Rfc3339).unwrap()
}

/// A new id.
pub fn new_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes.iter().fold("_".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// Text that may stand in XML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
