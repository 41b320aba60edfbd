//! Messages of single logout, and the signature of the redirect binding (SAML Bindings §3.4.4.1).

use super::{Key, NameId, Signature, instant, new_id, sign, uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::context::Timestamp;
use std::fmt::Write as _;
use std::io::Write as _;

#[derive(Clone)]
pub struct LogoutRequest {
    pub id: Option<String>,
    pub version: Option<String>,
    pub issue_instant: Option<String>,
    pub destination: Option<String>,
    pub not_on_or_after: Option<String>,
    pub reason: Option<String>,
    pub issuer: Option<String>,
    /// `None` leaves out the person.
    pub name_id: Option<NameId>,
    pub sessions: Vec<String>,
    /// Instead of the NameID, or after it.
    pub more: String,
}

#[derive(Clone)]
pub struct LogoutResponse {
    pub id: Option<String>,
    pub version: Option<String>,
    pub issue_instant: Option<String>,
    pub destination: Option<String>,
    pub in_response_to: Option<String>,
    pub issuer: Option<String>,
    pub status: Vec<String>,
}

fn push(out: &mut String, name: &str, value: &Option<String>) {
    if let Some(value) = value {
        let _ = write!(out, " {name}=\"{value}\"");
    }
}

impl LogoutRequest {
    pub fn sound(now: Timestamp, idp: &str, destination: &str, name_id: NameId, sessions: &[&str]) -> Self {
        Self {
            id: Some(new_id()),
            version: Some("2.0".to_owned()),
            issue_instant: Some(instant(now, 0)),
            destination: Some(destination.to_owned()),
            not_on_or_after: Some(instant(now, 300)),
            reason: None,
            issuer: Some(idp.to_owned()),
            name_id: Some(name_id),
            sessions: sessions.iter().map(|session| (*session).to_owned()).collect(),
            more: String::new(),
        }
    }

    pub fn xml(&self) -> String {
        let mut out = format!(
            r#"<samlp:LogoutRequest xmlns:samlp="{}" xmlns:saml="{}""#,
            uri::PROTOCOL,
            uri::ASSERTION
        );
        push(&mut out, "ID", &self.id);
        push(&mut out, "Version", &self.version);
        push(&mut out, "IssueInstant", &self.issue_instant);
        push(&mut out, "Destination", &self.destination);
        push(&mut out, "NotOnOrAfter", &self.not_on_or_after);
        push(&mut out, "Reason", &self.reason);
        out.push('>');
        if let Some(issuer) = &self.issuer {
            let _ = write!(out, "<saml:Issuer>{issuer}</saml:Issuer>");
        }
        out.push_str(&self.name_id.as_ref().map(NameId::xml).unwrap_or_default());
        out.push_str(&self.more);
        for session in &self.sessions {
            let _ = write!(out, "<samlp:SessionIndex>{session}</samlp:SessionIndex>");
        }
        out.push_str("</samlp:LogoutRequest>");
        out
    }

    /// Signed in the XML, for POST.
    pub fn signed(&self, signature: &Signature) -> String {
        sign(&self.xml(), signature)
    }
}

impl LogoutResponse {
    pub fn sound(now: Timestamp, idp: &str, destination: &str, request: &str) -> Self {
        Self {
            id: Some(new_id()),
            version: Some("2.0".to_owned()),
            issue_instant: Some(instant(now, 0)),
            destination: Some(destination.to_owned()),
            in_response_to: Some(request.to_owned()),
            issuer: Some(idp.to_owned()),
            status: vec![uri::SUCCESS.to_owned()],
        }
    }

    pub fn xml(&self) -> String {
        let mut out = format!(
            r#"<samlp:LogoutResponse xmlns:samlp="{}" xmlns:saml="{}""#,
            uri::PROTOCOL,
            uri::ASSERTION
        );
        push(&mut out, "ID", &self.id);
        push(&mut out, "Version", &self.version);
        push(&mut out, "IssueInstant", &self.issue_instant);
        push(&mut out, "Destination", &self.destination);
        push(&mut out, "InResponseTo", &self.in_response_to);
        out.push('>');
        if let Some(issuer) = &self.issuer {
            let _ = write!(out, "<saml:Issuer>{issuer}</saml:Issuer>");
        }
        let codes = self.status.iter().rev().fold(String::new(), |inner, code| {
            format!(r#"<samlp:StatusCode Value="{code}">{inner}</samlp:StatusCode>"#)
        });
        let _ = write!(out, "<samlp:Status>{codes}</samlp:Status></samlp:LogoutResponse>");
        out
    }

    /// Signed in the XML, for POST.
    pub fn signed(&self, signature: &Signature) -> String {
        sign(&self.xml(), signature)
    }
}

/// Form-encodes a value of the query.
pub fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// The query of the redirect binding: deflated, Base64, signed where there is a key. `name` is `SAMLRequest` or
/// `SAMLResponse`.
pub fn redirect(name: &str, xml: &str, relay_state: Option<&str>, key: Option<&Key>) -> String {
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(xml.as_bytes()).unwrap();
    let mut query = format!("{name}={}", encode(&STANDARD.encode(deflate.finish().unwrap())));
    if let Some(relay_state) = relay_state {
        let _ = write!(query, "&RelayState={}", encode(relay_state));
    }
    if let Some(key) = key {
        let _ = write!(query, "&SigAlg={}", encode(key.algorithm()));
        let signature = bergshamra::crypto::sign::from_uri(key.algorithm())
            .and_then(|algorithm| {
                algorithm.sign(&key.loaded().to_signing_key()?.expect("a key"), query.as_bytes())
            })
            .unwrap();
        let _ = write!(query, "&Signature={}", encode(&STANDARD.encode(signature)));
    }
    query
}
