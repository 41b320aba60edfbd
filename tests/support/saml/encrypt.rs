//! Encrypted elements, by a library from a template of which every part can be chosen.

use super::{Key, uri};
use bergshamra::core::algorithm;
use bergshamra::{EncContext, KeysManager};

/// How something is encrypted.
#[derive(Clone)]
pub struct Encryption {
    /// The certificate to encrypt to, DER.
    pub to: Vec<u8>,
    /// The algorithm for the data.
    pub data: String,
    /// The algorithm for its key.
    pub key: String,
    /// OAEP's digest; `None` leaves the element out (SHA-1).
    pub digest: Option<String>,
    /// OAEP's mask generation, for `xenc11:rsa-oaep`.
    pub mgf: Option<String>,
    /// The key stands beside the data, not in its `KeyInfo`.
    pub key_beside: bool,
    /// Changes of the template before it is filled.
    pub template: Vec<(String, String)>,
    /// Changes of the result.
    pub result: Vec<(String, String)>,
}

impl Encryption {
    /// AES-256-GCM under RSA-OAEP with SHA-256 and MGF1 with SHA-1, as most providers do.
    pub fn to(certificate: &[u8]) -> Self {
        Self {
            to: certificate.to_vec(),
            data: algorithm::AES256_GCM.to_owned(),
            key: algorithm::RSA_OAEP.to_owned(),
            digest: None,
            mgf: None,
            key_beside: false,
            template: Vec::new(),
            result: Vec::new(),
        }
    }

    fn context(&self) -> EncContext {
        let mut keys = KeysManager::new();
        keys.add_key(bergshamra::keys::loader::load_x509_cert_der(&self.to).unwrap());
        EncContext::new(keys)
    }

    /// `xenc:EncryptedData` (and `xenc:EncryptedKey` where it stands beside) of some bytes.
    pub fn bytes(&self, plain: &[u8]) -> String {
        let digest = self.digest.as_ref().map_or_else(String::new, |digest| {
            format!(r#"<ds:DigestMethod xmlns:ds="{}" Algorithm="{digest}"/>"#, uri::DS)
        });
        let mgf = self.mgf.as_ref().map_or_else(String::new, |mgf| {
            format!(r#"<xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="{mgf}"/>"#)
        });
        let key = format!(
            r#"<xenc:EncryptedKey xmlns:xenc="{}"><xenc:EncryptionMethod Algorithm="{}">{digest}{mgf}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey>"#,
            uri::XENC,
            self.key
        );
        let mut template = format!(
            r#"<xenc:EncryptedData xmlns:xenc="{}" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="{}"/><ds:KeyInfo xmlns:ds="{}">{key}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"#,
            uri::XENC,
            self.data,
            uri::DS,
        );
        for (from, to) in &self.template {
            assert!(template.contains(from), "{from} in {template}");
            template = template.replace(from, to);
        }
        let mut filled = bergshamra::encrypt(&self.context(), &template, plain)
            .unwrap_or_else(|error| panic!("{error}\n{template}"));
        if self.key_beside {
            let start = filled.find("<xenc:EncryptedKey").expect("a key");
            let end = filled.find("</xenc:EncryptedKey>").expect("a key") + "</xenc:EncryptedKey>".len();
            let key = filled[start..end].to_owned();
            filled.replace_range(start..end, "");
            let empty = format!(r#"<ds:KeyInfo xmlns:ds="{}"></ds:KeyInfo>"#, uri::DS);
            filled = filled.replace(&empty, "") + &key;
        }
        for (from, to) in &self.result {
            assert!(filled.contains(from), "{from} in {filled}");
            filled = filled.replace(from, to);
        }
        filled
    }

    /// `saml:EncryptedAssertion` of an assertion.
    pub fn assertion(&self, assertion: &str) -> String {
        format!(
            r#"<saml:EncryptedAssertion xmlns:saml="{}">{}</saml:EncryptedAssertion>"#,
            uri::ASSERTION,
            self.bytes(assertion.as_bytes())
        )
    }

    /// `saml:EncryptedID` of a name identifier.
    pub fn id(&self, name_id: &str) -> String {
        let plain =
            name_id.replacen("<saml:NameID", &format!("<saml:NameID xmlns:saml=\"{}\"", uri::ASSERTION), 1);
        format!("<saml:EncryptedID>{}</saml:EncryptedID>", self.bytes(plain.as_bytes()))
    }
}
