//! Requests of the service provider, read as an identity provider would.

use super::{tree, uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::upstream::Departure;
use std::collections::BTreeMap;
use std::io::Read as _;

/// An AuthnRequest (or a message of logout) as it reached the identity provider.
#[derive(Debug, Clone)]
pub struct Request {
    pub xml: String,
    pub id: String,
    pub issuer: String,
    pub destination: Option<String>,
    /// `AssertionConsumerServiceURL`.
    pub acs: Option<String>,
    pub relay_state: Option<String>,
    /// By redirect; otherwise by POST.
    pub redirect: bool,
    /// The query as it was sent, for its signature.
    pub query: String,
    pub parameters: BTreeMap<String, String>,
}

impl Request {
    /// From how the browser was sent off.
    pub fn of(departure: &Departure) -> Self {
        match departure {
            Departure::RedirectTo(url) => {
                let parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
                let sent = parameters.get("SAMLRequest").or_else(|| parameters.get("SAMLResponse"));
                let deflated = STANDARD.decode(sent.expect("a SAML message")).expect("Base64");
                let mut xml = String::new();
                flate2::read::DeflateDecoder::new(&deflated[..])
                    .read_to_string(&mut xml)
                    .expect("deflated UTF-8");
                Self::read(xml, true, url.query().unwrap_or_default().to_owned(), parameters)
            }
            Departure::PostForm { fields, .. } => {
                let parameters: BTreeMap<String, String> = fields.iter().cloned().collect();
                let sent = parameters.get("SAMLRequest").or_else(|| parameters.get("SAMLResponse"));
                let xml = String::from_utf8(STANDARD.decode(sent.expect("a SAML message")).expect("Base64"));
                Self::read(xml.expect("UTF-8"), false, String::new(), parameters)
            }
        }
    }

    fn read(xml: String, redirect: bool, query: String, parameters: BTreeMap<String, String>) -> Self {
        let root = tree::name(&xml);
        let attribute = |name| tree::attribute(&xml, &root, name);
        Self {
            id: attribute("ID").expect("an ID"),
            issuer: tree::inner(&xml, &format!("{root}/Issuer")).expect("an Issuer"),
            destination: attribute("Destination"),
            acs: attribute("AssertionConsumerServiceURL"),
            relay_state: parameters.get("RelayState").cloned(),
            redirect,
            query,
            parameters,
            xml,
        }
    }

    /// An attribute of its root.
    pub fn attribute(&self, name: &str) -> Option<String> {
        tree::attribute(&self.xml, &tree::name(&self.xml), name)
    }

    /// Whether it is signed by the key of this certificate (DER): in the query by redirect, else in the XML.
    pub fn signed_by(&self, certificate: &[u8]) -> bool {
        if !self.redirect {
            let mut keys = bergshamra::KeysManager::new();
            keys.add_key(bergshamra::keys::loader::load_x509_cert_der(certificate).unwrap());
            let context = bergshamra::DsigContext::new(keys);
            return bergshamra::verify(&context, &self.xml).is_ok_and(|result| result.is_valid());
        }
        let (Some(signature), Some(method)) =
            (self.parameters.get("Signature"), self.parameters.get("SigAlg"))
        else {
            return false;
        };
        let Some((signed, _)) = self.query.split_once("&Signature=") else { return false };
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        let key = bergshamra::keys::loader::load_x509_cert_der(certificate).unwrap();
        let Ok(Some(key)) = key.to_signing_key() else { return false };
        bergshamra::crypto::sign::from_uri(method)
            .and_then(|algorithm| algorithm.verify(&key, signed.as_bytes(), &signature))
            .unwrap_or(false)
    }

    /// The namespace of its root is the protocol's.
    pub fn is_protocol(&self) -> bool {
        self.xml.contains(uri::PROTOCOL)
    }
}
