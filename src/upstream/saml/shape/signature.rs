//! The shape of one signature (XML Signature §4, SAML Core §5.4).

use crate::failure::Failure;
use crate::upstream::checks::refused;
use crate::upstream::saml::ns;
use crate::upstream::saml::open::Trust;
use crate::upstream::saml::signature::algorithm::{Algorithm, Digest};
use crate::upstream::saml::xml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

/// A signature that says of its parent, and of nothing else, what a verifier has to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) struct Signature {
    /// The ID of its parent, to which it refers.
    pub of: String,
    /// How it was made.
    pub algorithm: Algorithm,
    /// How its parent was digested.
    pub digest: Digest,
    /// What the parent's digest is said to be.
    pub digest_value: Vec<u8>,
    /// Bytes of its value.
    pub length: usize,
    /// Prefixes whose declarations are kept when the parent is canonicalised.
    pub prefixes: Vec<String>,
}

/// The transform that leaves out the signature itself.
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Exclusive canonicalisation without comments, which is also the namespace of its parameters.
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// `dsig11`
const SIGNATURE11: &str = "http://www.w3.org/2009/xmldsig11#";
/// What `PrefixList` may hold.
const PREFIXES: usize = 32;

impl Signature {
    /// Reads the signature `node` of `parent`.
    ///
    /// # Errors
    /// `saml.sig.wrapped`, `.malformed`, `.references`, `.invalid` (a value that cannot be one), `saml.ref.uri`,
    /// `saml.transform`, `saml.alg`, `saml.id.format`.
    pub fn read(node: Node<'_, '_>, parent: Node<'_, '_>, trust: &Trust) -> Result<Self, Failure> {
        nothing_else(node)?;
        let parts: Vec<_> = xml::elements(node).collect();
        let (info, value) = match parts.as_slice() {
            [info, value, rest @ ..] if rest.len() < 2 => (*info, *value),
            _ => return Err(malformed("a signature has other parts than it must", node)),
        };
        if !is(info, "SignedInfo") || !is(value, "SignatureValue") {
            return Err(malformed("a signature has other parts than it must", node));
        }
        if let Some(info) = parts.get(2) {
            key_info(*info)?;
        }
        plain(node, &["Id"])?;
        plain(info, &["Id"])?;
        let parts: Vec<_> = xml::elements(info).collect();
        let references = parts.iter().filter(|p| is(**p, "Reference")).count();
        if references != 1 {
            return Err(refused("saml.sig.references", "a signature refers to something beside its parent")
                .expected("one Reference", references.to_string()));
        }
        let [method, signature_method, reference] = parts.as_slice() else {
            return Err(malformed("SignedInfo has other parts than it must", info));
        };
        if !is(*method, "CanonicalizationMethod") || !is(*signature_method, "SignatureMethod") {
            return Err(malformed("SignedInfo has other parts than it must", info));
        }
        exclusive(*method)?;
        let algorithm = signature_algorithm(*signature_method, trust)?;
        let mut signature = Self::reference(*reference, parent, algorithm)?;
        plain(value, &["Id"])?;
        match base64(value) {
            Ok(bytes) if !bytes.is_empty() => signature.length = bytes.len(),
            _ => return Err(invalid("the value of a signature is empty, or not base64")),
        }
        signature.prefixes.sort();
        signature.prefixes.dedup();
        Ok(signature)
    }

    fn reference(node: Node<'_, '_>, parent: Node<'_, '_>, algorithm: Algorithm) -> Result<Self, Failure> {
        let uri = xml::attribute(node, "URI").unwrap_or("");
        let named = uri.strip_prefix('#').filter(|id| is_id(id)).ok_or_else(|| {
            refused("saml.ref.uri", "a reference does not name an element of the message by its ID")
                .expected("`#` and an ID", uri)
        })?;
        let id = xml::attribute(parent, "ID").unwrap_or("");
        if !is_id(id) {
            return Err(refused("saml.id.format", "the ID of a signed element is missing, or no name")
                .expected("an NCName", id));
        }
        if named != id {
            return Err(refused("saml.sig.wrapped", "a signature refers to another element than its parent")
                .expected(id, named));
        }
        plain(node, &["URI", "Id"])?;
        let parts: Vec<_> = xml::elements(node).collect();
        let transforms = parts.first().filter(|p| is(**p, "Transforms")).ok_or_else(|| {
            refused("saml.transform", "a reference has no transforms")
                .expected("the enveloped signature, then exclusive canonicalisation", "none")
        })?;
        let prefixes = transforms_of(*transforms)?;
        let [_, method, value] = parts.as_slice() else {
            return Err(malformed("a Reference has other parts than it must", node));
        };
        if !is(*method, "DigestMethod") || !is(*value, "DigestValue") {
            return Err(malformed("a Reference has other parts than it must", node));
        }
        plain(*method, &["Algorithm"])?;
        let uri = xml::attribute(*method, "Algorithm").unwrap_or("");
        let digest = Digest::by_uri(uri).ok_or_else(|| alg("the digest is not on the list", uri))?;
        if method.has_children() {
            return Err(alg("the digest has parameters", uri));
        }
        plain(*value, &[])?;
        let digest_value = base64(*value).map_err(|()| malformed("DigestValue is not base64", node))?;
        if digest_value.len() != digest.length() {
            return Err(malformed("DigestValue has another length than the digest", node));
        }
        Ok(Self { of: id.to_owned(), algorithm, digest, digest_value, length: 0, prefixes })
    }
}

/// An NCName of ASCII (xs:ID, SAML Core §1.3.4), of a length that anybody uses.
pub(in crate::upstream::saml) fn is_id(id: &str) -> bool {
    id.len() <= 256
        && id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    xml::is(node, ns::SIGNATURE, name)
}

fn malformed(note: &'static str, node: Node<'_, '_>) -> Failure {
    let parts: Vec<_> = xml::elements(node).take(8).map(|c| c.tag_name().name()).collect();
    refused("saml.sig.malformed", note).expected("what SAML Core §5.4 allows", parts.join(", "))
}

fn invalid(note: &'static str) -> Failure {
    refused("saml.sig.invalid", note)
}

fn alg(note: &'static str, uri: &str) -> Failure {
    refused("saml.alg", note).expected("an algorithm that is allowed", uri)
}

/// A signature holds its own parts and nothing of SAML, wherever in it.
fn nothing_else(node: Node<'_, '_>) -> Result<(), Failure> {
    let hidden = node.descendants().find(|n| {
        matches!(n.tag_name().namespace(), Some(ns::PROTOCOL | ns::ASSERTION | ns::METADATA))
            || is(*n, "Object")
            || is(*n, "Manifest")
    });
    if let Some(hidden) = hidden {
        return Err(refused("saml.sig.wrapped", "something is hidden in a signature")
            .expected("SignedInfo, SignatureValue, KeyInfo", hidden.tag_name().name()));
    }
    if node.descendants().any(|n| !xml::only_elements(n) && xml::elements(n).next().is_some()) {
        return Err(malformed("there is text between the parts of a signature", node));
    }
    Ok(())
}

/// What `KeyInfo` says is never used. It may hold what providers put there, and nothing that points elsewhere.
fn key_info(node: Node<'_, '_>) -> Result<(), Failure> {
    let known = |n: Node<'_, '_>| match n.tag_name().namespace() {
        Some(ns::SIGNATURE) => matches!(n.tag_name().name(), "KeyName" | "KeyValue" | "X509Data"),
        Some(SIGNATURE11) => n.tag_name().name() == "DEREncodedKeyValue",
        _ => false,
    };
    if is(node, "KeyInfo") && xml::elements(node).all(known) {
        return Ok(());
    }
    Err(malformed("KeyInfo holds something beside names, keys and certificates", node))
}

/// An element has no attributes but these.
fn plain(node: Node<'_, '_>, allowed: &[&str]) -> Result<(), Failure> {
    if node.attributes().all(|a| a.namespace().is_none() && allowed.contains(&a.name())) {
        return Ok(());
    }
    Err(malformed("a part of a signature has attributes that it may not have", node))
}

fn signature_algorithm(node: Node<'_, '_>, trust: &Trust) -> Result<Algorithm, Failure> {
    plain(node, &["Algorithm"])?;
    let uri = xml::attribute(node, "Algorithm").unwrap_or("");
    let algorithm = Algorithm::by_uri(uri)
        .filter(|a| trust.algorithms.contains(a.uri()))
        .ok_or_else(|| alg("the signature algorithm is not allowed", uri))?;
    if node.has_children() {
        return Err(alg("the signature algorithm has parameters", uri));
    }
    Ok(algorithm)
}

/// Exactly the enveloped signature, then exclusive canonicalisation (SAML Core §5.4.3 and §5.4.4). Gives the prefixes.
fn transforms_of(node: Node<'_, '_>) -> Result<Vec<String>, Failure> {
    let uris: Vec<_> =
        xml::elements(node).take(8).map(|t| xml::attribute(t, "Algorithm").unwrap_or("")).collect();
    let transforms: Vec<_> = xml::elements(node).collect();
    match transforms.as_slice() {
        [first, second]
            if transforms.iter().all(|t| is(*t, "Transform"))
                && uris == [ENVELOPED, EXCLUSIVE]
                && !first.has_children() =>
        {
            plain(node, &[])?;
            plain(*first, &["Algorithm"])?;
            exclusive(*second)
        }
        _ => Err(refused("saml.transform", "a reference has other transforms")
            .expected("the enveloped signature, then exclusive canonicalisation", uris.join(", "))),
    }
}

/// Exclusive canonicalisation without comments, with nothing but prefixes as its parameters.
fn exclusive(node: Node<'_, '_>) -> Result<Vec<String>, Failure> {
    let uri = xml::attribute(node, "Algorithm").unwrap_or("");
    let wrong = |received: &str| {
        refused("saml.transform", "canonicalisation is not the exclusive one without comments")
            .expected(EXCLUSIVE, received)
    };
    if uri != EXCLUSIVE {
        return Err(wrong(uri));
    }
    plain(node, &["Algorithm"])?;
    let mut parameters = xml::elements(node);
    let Some(list) = parameters.next() else { return Ok(Vec::new()) };
    if !xml::is(list, EXCLUSIVE, "InclusiveNamespaces") || parameters.next().is_some() || list.has_children()
    {
        return Err(wrong(list.tag_name().name()));
    }
    plain(list, &["PrefixList"])?;
    let prefixes: Vec<_> = xml::attribute(list, "PrefixList")
        .unwrap_or("")
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    if prefixes.len() > PREFIXES || !prefixes.iter().all(|p| p == "#default" || is_id(p)) {
        return Err(wrong("a PrefixList that is none"));
    }
    Ok(prefixes)
}

/// The bytes of an element whose text is base64 with white space at most.
fn base64(node: Node<'_, '_>) -> Result<Vec<u8>, ()> {
    let text: String = xml::text(node).map_err(drop)?.chars().filter(|c| !xml::SPACES.contains(c)).collect();
    STANDARD.decode(text).map_err(drop)
}
