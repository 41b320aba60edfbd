//! The identity provider's metadata.

use super::{Key, Signature, new_id, sign, uri};
use std::fmt::Write as _;

/// One `md:KeyDescriptor`.
#[derive(Clone)]
pub struct KeyDescriptor {
    /// `signing`, `encryption` or none.
    pub r#use: Option<String>,
    /// Base64 of the certificate.
    pub certificate: String,
}

impl KeyDescriptor {
    pub fn signing(key: &Key) -> Self {
        Self { r#use: Some("signing".to_owned()), certificate: key.b64() }
    }
}

#[derive(Clone)]
pub struct Metadata {
    pub id: Option<String>,
    pub entity_id: Option<String>,
    pub valid_until: Option<String>,
    pub cache_duration: Option<String>,
    pub protocols: String,
    pub want_signed: Option<bool>,
    pub keys: Vec<KeyDescriptor>,
    /// Binding and address.
    pub sso: Vec<(String, String)>,
    pub slo: Vec<(String, String)>,
    pub name_id_formats: Vec<String>,
    /// Beside the IDPSSODescriptor, before it.
    pub before: String,
    /// Inside the IDPSSODescriptor, at its end.
    pub more: String,
    pub sign: Option<Signature>,
}

impl Metadata {
    pub fn sound(entity_id: &str, origin: &str, keys: &[Key]) -> Self {
        let both = |path: &str| {
            vec![
                (uri::REDIRECT.to_owned(), format!("{origin}/{path}")),
                (uri::POST.to_owned(), format!("{origin}/{path}")),
            ]
        };
        Self {
            id: Some(new_id()),
            entity_id: Some(entity_id.to_owned()),
            valid_until: None,
            cache_duration: None,
            protocols: uri::PROTOCOL.to_owned(),
            want_signed: None,
            keys: keys.iter().map(KeyDescriptor::signing).collect(),
            sso: both("sso"),
            slo: both("slo"),
            name_id_formats: vec![uri::PERSISTENT.to_owned()],
            before: String::new(),
            more: String::new(),
            sign: None,
        }
    }

    pub fn xml(&self) -> String {
        let mut out = format!(r#"<md:EntityDescriptor xmlns:md="{}" xmlns:ds="{}""#, uri::METADATA, uri::DS);
        let mut push = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                let _ = write!(out, " {name}=\"{value}\"");
            }
        };
        push("ID", &self.id);
        push("entityID", &self.entity_id);
        push("validUntil", &self.valid_until);
        push("cacheDuration", &self.cache_duration);
        let _ = write!(
            out,
            r#">{}<md:IDPSSODescriptor protocolSupportEnumeration="{}""#,
            self.before, self.protocols
        );
        if let Some(want) = self.want_signed {
            let _ = write!(out, r#" WantAuthnRequestsSigned="{want}""#);
        }
        out.push('>');
        for key in &self.keys {
            let r#use = key.r#use.as_ref().map_or_else(String::new, |r#use| format!(r#" use="{use}""#));
            let _ = write!(
                out,
                "<md:KeyDescriptor{use}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                key.certificate
            );
        }
        for (binding, location) in &self.slo {
            let _ = write!(out, r#"<md:SingleLogoutService Binding="{binding}" Location="{location}"/>"#);
        }
        for format in &self.name_id_formats {
            let _ = write!(out, "<md:NameIDFormat>{format}</md:NameIDFormat>");
        }
        for (binding, location) in &self.sso {
            let _ = write!(out, r#"<md:SingleSignOnService Binding="{binding}" Location="{location}"/>"#);
        }
        let _ = write!(out, "{}</md:IDPSSODescriptor></md:EntityDescriptor>", self.more);
        match &self.sign {
            Some(signature) => sign(&out, signature),
            None => out,
        }
    }
}
