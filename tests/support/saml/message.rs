//! Responses and assertions from a script.

use super::{Encryption, Key, Signature, instant, new_id, sign, uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::context::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Everything that a Response says, and how it is signed and encrypted.
#[derive(Clone)]
pub struct Script {
    pub response: Response,
    pub assertion: Assertion,
    /// Signs the assertion.
    pub sign_assertion: Option<Signature>,
    /// Signs the response.
    pub sign_response: Option<Signature>,
    /// Encrypts the assertion, after it was signed.
    pub encrypt: Option<Encryption>,
}

/// What stands on the response itself. `None` leaves a thing out.
#[derive(Clone)]
pub struct Response {
    pub id: Option<String>,
    pub version: Option<String>,
    pub issue_instant: Option<String>,
    pub destination: Option<String>,
    pub in_response_to: Option<String>,
    pub issuer: Option<String>,
    pub issuer_format: Option<String>,
    /// The top status code and those inside it.
    pub status: Vec<String>,
    pub status_message: Option<String>,
    /// Inside `samlp:Status`, at its end (such as `StatusDetail`).
    pub status_more: String,
    /// `samlp:Extensions`, whole.
    pub extensions: String,
    /// Before the assertion, and after it.
    pub before: String,
    pub after: String,
    /// More attributes in the start tag.
    pub tag: String,
}

#[derive(Clone)]
pub struct NameId {
    pub value: String,
    pub format: Option<String>,
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
    pub sp_provided_id: Option<String>,
}

#[derive(Clone)]
pub struct Confirmation {
    pub method: String,
    /// `None` leaves out `SubjectConfirmationData`'s attribute; `data` false the whole element.
    pub recipient: Option<String>,
    pub in_response_to: Option<String>,
    pub not_before: Option<String>,
    pub not_on_or_after: Option<String>,
    pub address: Option<String>,
    pub data: bool,
    /// Inside `SubjectConfirmation`, first (a NameID …).
    pub more: String,
}

#[derive(Clone)]
pub struct Conditions {
    pub not_before: Option<String>,
    pub not_on_or_after: Option<String>,
    /// One `AudienceRestriction` for each, with its audiences.
    pub audiences: Vec<Vec<String>>,
    /// Inside, at the end (`OneTimeUse`, `ProxyRestriction` …).
    pub more: String,
}

#[derive(Clone)]
pub struct AuthnStatement {
    pub instant: Option<String>,
    pub session_index: Option<String>,
    pub session_not_on_or_after: Option<String>,
    pub class: Option<String>,
    /// Inside `AuthnContext`, after the class.
    pub more: String,
}

#[derive(Clone)]
pub struct Attribute {
    pub name: String,
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
    pub values: Vec<String>,
}

#[derive(Clone)]
pub struct Assertion {
    pub id: Option<String>,
    pub version: Option<String>,
    pub issue_instant: Option<String>,
    pub issuer: Option<String>,
    /// `None`: the subject has no identifier.
    pub name_id: Option<NameId>,
    pub confirmations: Vec<Confirmation>,
    pub conditions: Option<Conditions>,
    /// `saml:Advice`, whole.
    pub advice: String,
    pub authn: Vec<AuthnStatement>,
    pub attributes: Vec<Attribute>,
    /// After the statements.
    pub more: String,
    /// More attributes in the start tag.
    pub tag: String,
}

fn push(out: &mut String, name: &str, value: &Option<String>) {
    if let Some(value) = value {
        let _ = write!(out, " {name}=\"{value}\"");
    }
}

fn element(out: &mut String, name: &str, value: &Option<String>) {
    if let Some(value) = value {
        let _ = write!(out, "<{name}>{value}</{name}>");
    }
}

impl NameId {
    pub fn persistent(value: &str) -> Self {
        Self {
            value: value.to_owned(),
            format: Some(uri::PERSISTENT.to_owned()),
            name_qualifier: None,
            sp_name_qualifier: None,
            sp_provided_id: None,
        }
    }
    pub fn xml(&self) -> String {
        let mut out = "<saml:NameID".to_owned();
        push(&mut out, "Format", &self.format);
        push(&mut out, "NameQualifier", &self.name_qualifier);
        push(&mut out, "SPNameQualifier", &self.sp_name_qualifier);
        push(&mut out, "SPProvidedID", &self.sp_provided_id);
        let _ = write!(out, ">{}</saml:NameID>", self.value);
        out
    }
}

impl Confirmation {
    pub fn xml(&self) -> String {
        let mut out = format!(r#"<saml:SubjectConfirmation Method="{}">{}"#, self.method, self.more);
        if self.data {
            out.push_str("<saml:SubjectConfirmationData");
            push(&mut out, "NotBefore", &self.not_before);
            push(&mut out, "NotOnOrAfter", &self.not_on_or_after);
            push(&mut out, "Recipient", &self.recipient);
            push(&mut out, "InResponseTo", &self.in_response_to);
            push(&mut out, "Address", &self.address);
            out.push_str("/>");
        }
        out.push_str("</saml:SubjectConfirmation>");
        out
    }
}

impl Conditions {
    pub fn xml(&self) -> String {
        let mut out = "<saml:Conditions".to_owned();
        push(&mut out, "NotBefore", &self.not_before);
        push(&mut out, "NotOnOrAfter", &self.not_on_or_after);
        out.push('>');
        for restriction in &self.audiences {
            out.push_str("<saml:AudienceRestriction>");
            for audience in restriction {
                let _ = write!(out, "<saml:Audience>{audience}</saml:Audience>");
            }
            out.push_str("</saml:AudienceRestriction>");
        }
        let _ = write!(out, "{}</saml:Conditions>", self.more);
        out
    }
}

impl AuthnStatement {
    pub fn xml(&self) -> String {
        let mut out = "<saml:AuthnStatement".to_owned();
        push(&mut out, "AuthnInstant", &self.instant);
        push(&mut out, "SessionIndex", &self.session_index);
        push(&mut out, "SessionNotOnOrAfter", &self.session_not_on_or_after);
        out.push_str("><saml:AuthnContext>");
        element(&mut out, "saml:AuthnContextClassRef", &self.class);
        let _ = write!(out, "{}</saml:AuthnContext></saml:AuthnStatement>", self.more);
        out
    }
}

impl Attribute {
    /// One by name, in the basic format.
    pub fn basic(name: &str, values: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            name_format: Some(uri::BASIC.to_owned()),
            friendly_name: None,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }
    pub fn xml(&self) -> String {
        let mut out = format!(r#"<saml:Attribute Name="{}""#, self.name);
        push(&mut out, "NameFormat", &self.name_format);
        push(&mut out, "FriendlyName", &self.friendly_name);
        out.push('>');
        for value in &self.values {
            let _ = write!(out, r#"<saml:AttributeValue xsi:type="xs:string">{value}</saml:AttributeValue>"#);
        }
        out.push_str("</saml:Attribute>");
        out
    }
}

impl Assertion {
    /// Unsigned.
    pub fn xml(&self) -> String {
        let mut out = format!(
            r#"<saml:Assertion xmlns:saml="{}" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#,
            uri::ASSERTION
        );
        push(&mut out, "ID", &self.id);
        push(&mut out, "IssueInstant", &self.issue_instant);
        push(&mut out, "Version", &self.version);
        let _ = write!(out, "{}>", self.tag);
        element(&mut out, "saml:Issuer", &self.issuer);
        let confirmations: String = self.confirmations.iter().map(Confirmation::xml).collect();
        let name_id = self.name_id.as_ref().map(NameId::xml).unwrap_or_default();
        if !confirmations.is_empty() || !name_id.is_empty() {
            let _ = write!(out, "<saml:Subject>{name_id}{confirmations}</saml:Subject>");
        }
        out.push_str(&self.conditions.as_ref().map(Conditions::xml).unwrap_or_default());
        out.push_str(&self.advice);
        out.extend(self.authn.iter().map(AuthnStatement::xml));
        if !self.attributes.is_empty() {
            let attributes: String = self.attributes.iter().map(Attribute::xml).collect();
            let _ = write!(out, "<saml:AttributeStatement>{attributes}</saml:AttributeStatement>");
        }
        let _ = write!(out, "{}</saml:Assertion>", self.more);
        out
    }
}

impl Response {
    /// Around what stands for the assertion; unsigned.
    pub fn xml(&self, assertion: &str) -> String {
        let mut out =
            format!(r#"<samlp:Response xmlns:samlp="{}" xmlns:saml="{}""#, uri::PROTOCOL, uri::ASSERTION);
        push(&mut out, "ID", &self.id);
        push(&mut out, "Version", &self.version);
        push(&mut out, "IssueInstant", &self.issue_instant);
        push(&mut out, "Destination", &self.destination);
        push(&mut out, "InResponseTo", &self.in_response_to);
        let _ = write!(out, "{}>", self.tag);
        if let Some(issuer) = &self.issuer {
            out.push_str("<saml:Issuer");
            push(&mut out, "Format", &self.issuer_format);
            let _ = write!(out, ">{issuer}</saml:Issuer>");
        }
        out.push_str(&self.extensions);
        let codes = self.status.iter().rev().fold(String::new(), |inner, code| {
            format!(r#"<samlp:StatusCode Value="{code}">{inner}</samlp:StatusCode>"#)
        });
        let _ = write!(out, "<samlp:Status>{codes}");
        element(&mut out, "samlp:StatusMessage", &self.status_message);
        let _ = write!(
            out,
            "{}</samlp:Status>{}{assertion}{}</samlp:Response>",
            self.status_more, self.before, self.after
        );
        out
    }
}

impl Script {
    /// A sound answer: the assertion signed, the response not.
    pub fn sound(now: Timestamp, idp: &str, audience: &str, acs: &str, request: &str, key: Key) -> Self {
        let at = |offset| Some(instant(now, offset));
        let some = |text: &str| Some(text.to_owned());
        Self {
            response: Response {
                id: Some(new_id()),
                version: some("2.0"),
                issue_instant: at(0),
                destination: some(acs),
                in_response_to: some(request),
                issuer: some(idp),
                issuer_format: None,
                status: vec![uri::SUCCESS.to_owned()],
                status_message: None,
                status_more: String::new(),
                extensions: String::new(),
                before: String::new(),
                after: String::new(),
                tag: String::new(),
            },
            assertion: Assertion {
                id: Some(new_id()),
                version: some("2.0"),
                issue_instant: at(0),
                issuer: some(idp),
                name_id: Some(NameId::persistent("alice-persistent")),
                confirmations: vec![Confirmation {
                    method: uri::BEARER.to_owned(),
                    recipient: some(acs),
                    in_response_to: some(request),
                    not_before: None,
                    not_on_or_after: at(300),
                    address: None,
                    data: true,
                    more: String::new(),
                }],
                conditions: Some(Conditions {
                    not_before: at(-30),
                    not_on_or_after: at(300),
                    audiences: vec![vec![audience.to_owned()]],
                    more: String::new(),
                }),
                advice: String::new(),
                authn: vec![AuthnStatement {
                    instant: at(-5),
                    session_index: some("_session-1"),
                    session_not_on_or_after: at(3600),
                    class: some(uri::PASSWORD),
                    more: String::new(),
                }],
                attributes: vec![
                    Attribute::basic("email", &["alice@acme.example"]),
                    Attribute::basic("name", &["Alice Adams"]),
                    Attribute::basic("groups", &["engineering", "all"]),
                ],
                more: String::new(),
                tag: String::new(),
            },
            sign_assertion: Some(Signature::by(key)),
            sign_response: None,
            encrypt: None,
        }
    }

    /// Signs with this key wherever it signs.
    pub fn key(&mut self, key: &Key) {
        for signature in [&mut self.sign_assertion, &mut self.sign_response].into_iter().flatten() {
            signature.key = key.clone();
            signature.method = key.algorithm().to_owned();
        }
    }

    /// Signs these.
    pub fn signed(&mut self, assertion: bool, response: bool) {
        let one = self.sign_assertion.clone().or_else(|| self.sign_response.clone()).expect("one signature");
        self.sign_assertion = assertion.then(|| one.clone());
        self.sign_response = response.then_some(one);
    }

    /// The assertion as it stands in the response: signed, encrypted.
    pub fn sealed_assertion(&self) -> String {
        let mut assertion = self.assertion.xml();
        if let Some(signature) = &self.sign_assertion {
            assertion = sign(&assertion, signature);
        }
        match &self.encrypt {
            Some(encryption) => encryption.assertion(&assertion),
            None => assertion,
        }
    }

    /// The whole response.
    pub fn xml(&self) -> String {
        let response = self.response.xml(&self.sealed_assertion());
        match &self.sign_response {
            Some(signature) => sign(&response, signature),
            None => response,
        }
    }
}

/// A response as it travels.
#[derive(Clone)]
pub struct Message {
    pub xml: String,
    /// What is sent as `SAMLResponse`, where it is not the Base64 of the XML.
    pub wire: Option<String>,
    pub relay_state: String,
}

impl Message {
    pub fn new(xml: String, relay_state: &str) -> Self {
        Self { xml, wire: None, relay_state: relay_state.to_owned() }
    }
    /// `SAMLResponse`.
    pub fn encoded(&self) -> String {
        self.wire.clone().unwrap_or_else(|| STANDARD.encode(&self.xml))
    }
    /// The form's fields.
    pub fn form(&self) -> BTreeMap<String, String> {
        [("SAMLResponse".to_owned(), self.encoded()), ("RelayState".to_owned(), self.relay_state.clone())]
            .into()
    }
}
