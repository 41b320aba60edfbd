//! Encrypted assertions (SAML Core §6, XML Encryption 1.1).
//!
//! Which library decrypts what: aws-lc (by aws-lc-rs) unwraps the content key by RSA-OAEP and decrypts AES-GCM and
//! AES-CBC. Neither samael nor bergshamra decrypts anything, and the crate `rsa` is not used. The structure is read
//! here, strictly: nothing is looked up by a reference.

use super::ns;
use super::open::short;
use super::xml;
use crate::failure::Failure;
use crate::upstream::checks::{Checks, refused};
use aws_lc_rs::cipher::{self, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::rsa::{self, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::{aead, iv};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::sync::Arc;
use zeroize::Zeroizing;

/// `xenc11`
const ENCRYPTION11: &str = "http://www.w3.org/2009/xmlenc11#";
/// What an EncryptedData must say that it holds, where it says so.
const ELEMENT: &str = "http://www.w3.org/2001/04/xmlenc#Element";
/// Bytes of a GCM nonce (XML Encryption 1.1 §5.2.4) and tag, and of a block.
const NONCE: usize = 12;
const TAG: usize = 16;
const BLOCK: usize = 16;

/// Our keys for what providers encrypt to us.
#[derive(Debug, Clone, Default)]
pub(super) struct DecryptionKeys {
    /// Tried in this order: the current one, then the next.
    pub keys: Vec<Arc<DecryptionKey>>,
    /// Whether AES-CBC is taken, where the response is signed. Its ciphertext can be changed unnoticed, so it needs a
    /// signature over it.
    pub cbc: bool,
}

/// One private RSA key.
pub(super) struct DecryptionKey(OaepPrivateDecryptingKey);

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecryptionKey")
    }
}

impl DecryptionKey {
    /// A private key in PKCS #8, DER.
    ///
    /// # Errors
    /// `saml.key.private`
    pub fn new(pkcs8: &[u8]) -> Result<Self, Failure> {
        PrivateDecryptingKey::from_pkcs8(pkcs8)
            .map_err(|_| ())
            .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(|_| ()))
            .map(Self)
            .map_err(|()| {
                Failure::internal("saml.key.private", "a private key cannot be read, or is not RSA")
            })
    }
}

#[derive(Clone, Copy)]
enum Content {
    Gcm(&'static aead::Algorithm),
    Cbc(&'static cipher::Algorithm),
}

impl Content {
    /// XML Encryption 1.1 §5.2.
    fn by_uri(uri: &str) -> Option<(Self, usize)> {
        Some(match uri {
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => (Self::Gcm(&aead::AES_128_GCM), 16),
            "http://www.w3.org/2009/xmlenc11#aes192-gcm" => (Self::Gcm(&aead::AES_192_GCM), 24),
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => (Self::Gcm(&aead::AES_256_GCM), 32),
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => (Self::Cbc(&cipher::AES_128), 16),
            "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => (Self::Cbc(&cipher::AES_192), 24),
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => (Self::Cbc(&cipher::AES_256), 32),
            _ => return None,
        })
    }
}

/// What has to be decrypted.
struct Parts {
    /// The algorithms, in words.
    methods: String,
    content: Content,
    key_length: usize,
    data: Vec<u8>,
    oaep: &'static OaepAlgorithm,
    key: Vec<u8>,
}

/// Decrypts a `saml:EncryptedAssertion`. Gives a document: an element without a name of SAML's that lends what was
/// encrypted the namespaces in force where it stood, and in it what was encrypted, still to be read strictly.
///
/// # Errors
/// `saml.enc.malformed` and `saml.enc.alg` for what anybody can see, `saml.enc.failed` for all that depends on a key.
pub(super) fn decrypt(
    node: Node<'_, '_>,
    response_signed: bool,
    keys: &DecryptionKeys,
    checks: &mut Checks<'_>,
) -> Result<String, Failure> {
    let cbc = response_signed && keys.cbc;
    let parts = read(node, cbc)?;
    let taken = if cbc { "RSA-OAEP with AES-GCM or AES-CBC" } else { "RSA-OAEP with AES-GCM" };
    checks.note("saml.enc.alg", taken, parts.methods.clone());
    let plain = keys.keys.iter().find_map(|key| with(&parts, key)).ok_or_else(failed)?;
    let text = std::str::from_utf8(&plain).map_err(|_| failed())?;
    let mut document = String::from("<decrypted");
    for namespace in node.namespaces() {
        // The scan lets none through that would need escaping, and no declaration of `xml`.
        match namespace.name() {
            Some(prefix) => document.push_str(&format!(" xmlns:{prefix}=\"{}\"", namespace.uri())),
            None => document.push_str(&format!(" xmlns=\"{}\"", namespace.uri())),
        }
    }
    document.push('>');
    document.push_str(text);
    document.push_str("</decrypted>");
    Ok(document)
}

/// The one failure of all that happens with a key.
fn failed() -> Failure {
    refused("saml.enc.failed", "the assertion could not be decrypted")
}

/// What a strict reader says of what was decrypted, without telling more than [`failed`].
pub(super) fn inside(failure: Failure) -> Failure {
    let received = format!("does not parse once decrypted: {}", failure.reason);
    refused("saml.enc.failed", "the assertion does not parse once decrypted")
        .expected("an assertion", received)
}

fn malformed(note: &'static str, node: Node<'_, '_>) -> Failure {
    let parts: Vec<_> = xml::elements(node).take(8).map(|c| c.tag_name().name()).collect();
    refused("saml.enc.malformed", note).expected("one key and its data, in place", parts.join(", "))
}

fn alg(note: &'static str, uri: &str) -> Failure {
    refused("saml.enc.alg", note).expected("RSA-OAEP with AES-GCM", uri)
}

fn read(node: Node<'_, '_>, cbc: bool) -> Result<Parts, Failure> {
    let inside = |name: &str| node.descendants().filter(|n| xml::is(*n, ns::ENCRYPTION, name)).count();
    if inside("EncryptedData") != 1 || inside("EncryptedKey") != 1 || inside("CipherReference") != 0 {
        return Err(malformed("there is not exactly one EncryptedData with one EncryptedKey", node));
    }
    let (data, beside) = match xml::elements(node).collect::<Vec<_>>().as_slice() {
        [data] if is(*data, "EncryptedData") => (*data, None),
        [data, key] if is(*data, "EncryptedData") && is(*key, "EncryptedKey") => (*data, Some(*key)),
        _ => return Err(malformed("EncryptedAssertion holds something else", node)),
    };
    if xml::attribute(data, "Type").is_some_and(|t| t != ELEMENT) {
        return Err(malformed("what is encrypted is not an element", data));
    }
    let (method, info, value) = parts(data)?;
    let uri = xml::attribute(method, "Algorithm").unwrap_or("");
    let (content, key_length) = Content::by_uri(uri)
        .ok_or_else(|| alg("the content is encrypted in a way that is not taken", uri))?;
    if matches!(content, Content::Cbc(_)) && !cbc {
        return Err(alg("AES-CBC is taken only where it is configured and the response is signed", uri));
    }
    let key = match (beside, info) {
        (None, Some(info)) => xml::only_child(info, ns::ENCRYPTION, "EncryptedKey")
            .map_err(|_| malformed("there is no EncryptedKey where it belongs", info))?,
        (Some(key), info) => {
            if info.is_some_and(|info| !points_at(info, key)) {
                return Err(malformed("KeyInfo points elsewhere than at the key beside it", data));
            }
            key
        }
        (None, None) => return Err(malformed("there is no EncryptedKey", data)),
    };
    if let Some(info) = info
        && info.descendants().any(|n| xml::is(n, ns::SIGNATURE, "RetrievalMethod"))
        && beside.is_none()
    {
        return Err(malformed("a key is to be retrieved", info));
    }
    let (method, _, wrapped) = parts(key)?;
    let (oaep, digest) = oaep(method)?;
    let wrap = short(xml::attribute(method, "Algorithm").unwrap_or(""));
    let methods = format!("{wrap} by {digest}, {}", short(uri));
    Ok(Parts { methods, content, key_length, data: value, oaep, key: wrapped })
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    xml::is(node, ns::ENCRYPTION, name)
}

/// Whether a `KeyInfo` holds nothing but a pointer at this key, by its ID and without transforms.
fn points_at(info: Node<'_, '_>, key: Node<'_, '_>) -> bool {
    let id = xml::attribute(key, "Id").unwrap_or("");
    xml::elements(info).all(|n| {
        xml::is(n, ns::SIGNATURE, "RetrievalMethod")
            && !n.has_children()
            && !id.is_empty()
            && xml::attribute(n, "URI").and_then(|uri| uri.strip_prefix('#')) == Some(id)
    })
}

/// Method, key information and cipher value of an EncryptedData or EncryptedKey.
fn parts<'a, 'i>(node: Node<'a, 'i>) -> Result<(Node<'a, 'i>, Option<Node<'a, 'i>>, Vec<u8>), Failure> {
    let mut method = None;
    let mut info = None;
    let mut data = None;
    for child in xml::elements(node) {
        let slot = match child.tag_name().namespace() {
            Some(ns::ENCRYPTION) if is(child, "EncryptionMethod") => &mut method,
            Some(ns::SIGNATURE) if xml::is(child, ns::SIGNATURE, "KeyInfo") => &mut info,
            Some(ns::ENCRYPTION) if is(child, "CipherData") => &mut data,
            Some(ns::ENCRYPTION)
                if is(node, "EncryptedKey")
                    && (is(child, "ReferenceList") || is(child, "CarriedKeyName")) =>
            {
                continue;
            }
            _ => return Err(malformed("there is a part that does not belong here", node)),
        };
        if slot.replace(child).is_some() {
            return Err(malformed("a part stands twice", node));
        }
    }
    let (Some(method), Some(data)) = (method, data) else {
        return Err(malformed("a part is missing", node));
    };
    let value = match xml::elements(data).collect::<Vec<_>>().as_slice() {
        [value] if is(*value, "CipherValue") => {
            xml::text(*value).map_err(|_| malformed("CipherValue is no text", node))?
        }
        _ => return Err(malformed("CipherData is not one CipherValue", data)),
    };
    let text: String = value.chars().filter(|c| !xml::SPACES.contains(c)).collect();
    let bytes = STANDARD.decode(text).map_err(|_| malformed("CipherValue is not base64", node))?;
    Ok((method, info, bytes))
}

/// RSA-OAEP with one digest for both of its uses (XML Encryption 1.1 §5.5.2). SHA-1 is safe in this place, and is what the
/// field uses.
fn oaep(method: Node<'_, '_>) -> Result<(&'static OaepAlgorithm, &'static str), Failure> {
    let uri = xml::attribute(method, "Algorithm").unwrap_or("");
    let mut digest = "http://www.w3.org/2000/09/xmldsig#sha1";
    let mut mask = "http://www.w3.org/2009/xmlenc11#mgf1sha1";
    for child in xml::elements(method) {
        let said = xml::attribute(child, "Algorithm").unwrap_or("");
        match (child.tag_name().namespace(), child.tag_name().name()) {
            (Some(ns::SIGNATURE), "DigestMethod") => digest = said,
            (Some(ENCRYPTION11), "MGF") if uri == "http://www.w3.org/2009/xmlenc11#rsa-oaep" => mask = said,
            (Some(ns::ENCRYPTION), "OAEPparams") if xml::text(child).is_ok_and(|t| t.trim().is_empty()) => {}
            (_, name) => return Err(alg("the key's encryption has a parameter that is not taken", name)),
        }
    }
    match uri {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" | "http://www.w3.org/2009/xmlenc11#rsa-oaep" => {}
        _ => return Err(alg("the key is encrypted in a way that is not taken", uri)),
    }
    match (digest, mask) {
        ("http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2009/xmlenc11#mgf1sha1") => {
            Ok((&rsa::OAEP_SHA1_MGF1SHA1, "sha1"))
        }
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2009/xmlenc11#mgf1sha256") => {
            Ok((&rsa::OAEP_SHA256_MGF1SHA256, "sha256"))
        }
        ("http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2009/xmlenc11#mgf1sha384") => {
            Ok((&rsa::OAEP_SHA384_MGF1SHA384, "sha384"))
        }
        ("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2009/xmlenc11#mgf1sha512") => {
            Ok((&rsa::OAEP_SHA512_MGF1SHA512, "sha512"))
        }
        _ => Err(alg("the key's encryption mixes digests", digest)),
    }
}

/// What was encrypted, if it was with this key.
fn with(parts: &Parts, key: &DecryptionKey) -> Option<Zeroizing<Vec<u8>>> {
    let mut room = Zeroizing::new(vec![0; key.0.min_output_size()]);
    let content_key = key.0.decrypt(parts.oaep, &parts.key, &mut room, None).ok()?;
    if content_key.len() != parts.key_length {
        return None;
    }
    match parts.content {
        Content::Gcm(algorithm) => {
            let (nonce, sealed) = parts.data.split_at_checked(NONCE)?;
            if sealed.len() < TAG {
                return None;
            }
            let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, content_key).ok()?);
            let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut plain = Zeroizing::new(sealed.to_vec());
            let length = key.open_in_place(nonce, aead::Aad::empty(), &mut plain).ok()?.len();
            plain.truncate(length);
            Some(plain)
        }
        Content::Cbc(algorithm) => {
            let (vector, blocks) = parts.data.split_at_checked(BLOCK)?;
            if blocks.is_empty() || blocks.len() % BLOCK != 0 {
                return None;
            }
            let key = cipher::DecryptingKey::cbc(UnboundCipherKey::new(algorithm, content_key).ok()?).ok()?;
            let vector = iv::FixedLength::try_from(vector).ok()?;
            let mut plain = Zeroizing::new(blocks.to_vec());
            key.decrypt(&mut plain, DecryptionContext::Iv128(vector)).ok()?;
            // The last byte says how many are padding, the others of it are arbitrary (XML Encryption 1.1 §5.2.1).
            let padding = usize::from(*plain.last()?);
            if !(1..=BLOCK).contains(&padding) {
                return None;
            }
            let length = plain.len() - padding;
            plain.truncate(length);
            Some(plain)
        }
    }
}
