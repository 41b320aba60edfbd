//! Enveloped signatures, made by a library from a template of which every part can be chosen.

use super::{Key, tree, uri};
use bergshamra::core::algorithm;
use bergshamra::{DsigContext, KeysManager};

/// What stands in `ds:KeyInfo`.
#[derive(Clone)]
pub enum KeyInfo {
    /// No such element.
    None,
    /// The certificate of the key that signs.
    Own,
    /// The certificate of another key.
    Of(Key),
    /// Whatever this says, inside the element.
    Raw(String),
}

/// One signature to make.
#[derive(Clone)]
pub struct Signature {
    pub key: Key,
    pub method: String,
    pub digest: String,
    pub c14n: String,
    pub transforms: Vec<String>,
    pub key_info: KeyInfo,
    /// `PrefixList` of `ec:InclusiveNamespaces` in the canonicalising transform; empty for none.
    pub inclusive: String,
    /// Signed as HMAC with these bytes, not with the key.
    pub hmac: Option<Vec<u8>>,
    /// Changes of the template before it is filled.
    pub template: Vec<(String, String)>,
    /// Where the signature goes: after `Issuer` as the schema says, or inside the root at its end.
    pub last: bool,
}

impl Signature {
    pub fn by(key: Key) -> Self {
        Self {
            method: key.algorithm().to_owned(),
            key,
            digest: algorithm::SHA256.to_owned(),
            c14n: algorithm::EXC_C14N.to_owned(),
            transforms: vec![algorithm::ENVELOPED_SIGNATURE.to_owned(), algorithm::EXC_C14N.to_owned()],
            key_info: KeyInfo::Own,
            inclusive: String::new(),
            hmac: None,
            template: Vec::new(),
            last: false,
        }
    }

    /// The template over the element with this id.
    pub fn empty(&self, id: &str) -> String {
        let transforms: String = self
            .transforms
            .iter()
            .map(|transform| {
                let inner = if !self.inclusive.is_empty() && transform.contains("xml-exc-c14n") {
                    format!(
                        r#"<ec:InclusiveNamespaces xmlns:ec="{}" PrefixList="{}"/>"#,
                        algorithm::EXC_C14N,
                        self.inclusive
                    )
                } else {
                    String::new()
                };
                format!(r#"<ds:Transform Algorithm="{transform}">{inner}</ds:Transform>"#)
            })
            .collect();
        let certificate = |key: &Key| {
            format!("<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>", key.b64())
        };
        let key_info = match &self.key_info {
            KeyInfo::None => String::new(),
            KeyInfo::Own => format!("<ds:KeyInfo>{}</ds:KeyInfo>", certificate(&self.key)),
            KeyInfo::Of(key) => format!("<ds:KeyInfo>{}</ds:KeyInfo>", certificate(key)),
            KeyInfo::Raw(raw) => format!("<ds:KeyInfo>{raw}</ds:KeyInfo>"),
        };
        let reference = if id.is_empty() { String::new() } else { format!("#{id}") };
        let mut template = format!(
            r#"<ds:Signature xmlns:ds="{ds}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{c14n}"/><ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{reference}"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>{key_info}</ds:Signature>"#,
            ds = uri::DS,
            c14n = self.c14n,
            method = self.method,
            digest = self.digest,
        );
        for (from, to) in &self.template {
            assert!(template.contains(from), "{from} in {template}");
            template = template.replace(from, to);
        }
        template
    }

    fn context(&self) -> DsigContext {
        let mut keys = KeysManager::new();
        keys.add_key(match &self.hmac {
            Some(secret) => bergshamra::keys::loader::load_hmac_key(secret).unwrap(),
            None => self.key.loaded(),
        });
        DsigContext::new_permissive(keys)
    }

    /// Fills the first signature in the document, which is a template.
    pub fn fill(&self, xml: &str) -> Option<String> {
        bergshamra::sign(&self.context(), xml).ok()
    }
}

/// Signs the root element of a text, after its `Issuer` (its first child where it has none).
pub fn sign(xml: &str, signature: &Signature) -> String {
    try_sign(xml, signature).unwrap_or_else(|| panic!("cannot be signed: {xml}"))
}

/// The same for a text that was mutated, which the library may refuse to sign.
pub fn try_sign(xml: &str, signature: &Signature) -> Option<String> {
    let root = tree::name(xml);
    let id = tree::attribute(xml, &root, "ID").unwrap_or_default();
    let template = signature.empty(&id);
    let mut signed = xml.to_owned();
    let placed = if signature.last {
        tree::edit(&mut signed, |tree| tree.append(&root, &template))
    } else {
        tree::edit(&mut signed, |tree| tree.after(&format!("{root}/Issuer"), &template))
            .or_else(|| tree::edit(&mut signed, |tree| tree.prepend(&root, &template)))
    };
    placed?;
    signature.fill(&signed)
}

/// Signs anew the element at the path, which is signed already: its own signature is replaced.
pub fn resign(xml: &mut String, path: &str, signature: &Signature) -> Option<()> {
    tree::edit(xml, |tree| tree.remove(&format!("{path}/Signature")));
    let alone = try_sign(&tree::outer(xml, path)?, signature)?;
    tree::edit(xml, |tree| tree.replace(path, &alone))
}

/// Makes the digest of the signed element at the path fit what stands there now, and leaves the signature's value
/// as it was: a forgery that only the key can tell.
pub fn redigest(xml: &mut String, path: &str) -> Option<()> {
    let old = tree::inner(xml, &format!("{path}/Signature/SignatureValue"))?;
    let method = tree::attribute(xml, &format!("{path}/Signature/SignedInfo/SignatureMethod"), "Algorithm")?;
    let key = if method.contains("ecdsa") { Key::attacker_p256() } else { Key::attacker() };
    resign(xml, path, &Signature { method, ..Signature::by(key) })?;
    tree::edit(xml, |tree| tree.set(&format!("{path}/Signature/SignatureValue"), &old))
}
