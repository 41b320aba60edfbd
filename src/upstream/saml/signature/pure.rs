//! The verifier in pure Rust: bergshamra, with the configured keys alone.
//!
//! It reads nothing of `KeyInfo` but hints in which order to try keys, resolves no URI that is not in the text (the shape
//! allows none), and knows no time.

use super::{Verified, invalid};
use crate::failure::Failure;
use crate::upstream::saml::ns;
use crate::upstream::saml::open::Certificate;
use crate::upstream::saml::shape::Signature;
use bergshamra::c14n::{C14nMode, canonicalize_doc};
use bergshamra::dsig::verify::verify_all_document_with_source;
use bergshamra::keys::loader::load_x509_cert_der;
use bergshamra::xml::{Document, NodeId, NodeSet, XmlDocument};
use bergshamra::{DsigContext, KeysManager, VerifyResult};

pub(super) fn verify(
    text: &str,
    signatures: &[&Signature],
    certificates: &[Certificate],
) -> Result<Vec<Verified>, Failure> {
    let mut keys = KeysManager::new();
    for (index, certificate) in certificates.iter().enumerate() {
        // A certificate that cannot be read or is too weak verifies nothing.
        if certificate.key().is_err() {
            continue;
        }
        let Ok(mut key) = load_x509_cert_der(&certificate.der) else { continue };
        key.x509_chain.clear();
        keys.add_key(key.with_name(index.to_string()));
    }
    let context = DsigContext::new(keys)
        .with_trusted_keys_only(true)
        .with_strict_verification(true)
        .with_require_reference_digests(true)
        .with_skip_time_checks(true);
    let unread = |error: bergshamra::Error| invalid("the text could not be read").caused_by(error);
    let source = XmlDocument::parse(text.to_owned()).map_err(unread)?;
    let document = source.parse_doc().map_err(unread)?;
    let results = verify_all_document_with_source(&context, &document, Some(text))
        .map_err(|error| invalid("a signature could not be checked").caused_by(error))?;
    if results.len() != signatures.len() {
        return Err(invalid("the verifier found another number of signatures than the shape has"));
    }
    results
        .into_iter()
        .zip(signatures)
        .map(|(result, signature)| one(&document, result, signature, certificates))
        .collect()
}

fn one(
    document: &Document<'_>,
    result: VerifyResult,
    signature: &Signature,
    certificates: &[Certificate],
) -> Result<Verified, Failure> {
    let (node, references, by) = match result {
        VerifyResult::Valid { signature_node, references, key_info } => {
            (signature_node, references, key_info.key_name)
        }
        VerifyResult::Invalid { reason } => return Err(invalid(reason)),
    };
    let by: usize = by.and_then(|name| name.parse().ok()).ok_or_else(|| invalid("the key has no name"))?;
    // XML Signature 1.1 §6.4.3: two numbers of fixed length. This verifier takes DER too, the other one does not.
    let key = certificates.get(by).and_then(|certificate| certificate.key().ok());
    if key.is_none_or(|key| key.signature_length() != signature.length) {
        return Err(invalid("the value of the signature has another length than the key makes"));
    }
    let [reference] = references.as_slice() else {
        return Err(invalid("the verifier saw another number of references than the shape has"));
    };
    let target = reference.resolved_node.ok_or_else(|| invalid("the reference names no element"))?;
    let named = document.element(target).and_then(|e| e.get_attribute("ID"));
    let own = document.children(target).contains(&node);
    if !reference.digest_verified || named != Some(signature.of.as_str()) || !own {
        return Err(invalid("the verifier took another element for signed than the shape has"));
    }
    let text = canonical(document, target, Some(node), &signature.prefixes)?;
    if !signature.digest.is_of(&signature.digest_value, text.as_bytes()) {
        return Err(invalid("the canonical text is not the one that was digested"));
    }
    Ok(Verified { text, by })
}

/// An element in exclusive canonical form without comments, less one of its children.
fn canonical(
    document: &Document<'_>,
    node: NodeId,
    without: Option<NodeId>,
    prefixes: &[String],
) -> Result<String, Failure> {
    let mut nodes = NodeSet::tree_without_comments(node, document);
    if let Some(without) = without {
        let mut left: Vec<NodeId> = vec![without];
        while let Some(id) = left.pop() {
            nodes.remove_id(id);
            left.extend(document.children(id));
        }
    }
    let failed = || crate::upstream::checks::refused("saml.c14n.failed", "the element has no canonical form");
    let bytes =
        canonicalize_doc(document, C14nMode::Exclusive, Some(&nodes), prefixes).map_err(|_| failed())?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(failed()),
    }
}

/// The assertion of a canonical response, in canonical form by itself and without its own signature.
pub(in crate::upstream::saml) fn assertion_of(response: &str) -> Result<String, Failure> {
    let unread = |error: bergshamra::Error| invalid("the text could not be read").caused_by(error);
    let source = XmlDocument::parse(response.to_owned()).map_err(unread)?;
    let document = source.parse_doc().map_err(unread)?;
    let find = |parent: NodeId, namespace: &str, name: &str| {
        let mut found = document.children(parent).into_iter().filter(|id| {
            document.element(*id).is_some_and(|e| {
                e.name.local_name.as_ref() == name && e.name.namespace_uri.as_deref() == Some(namespace)
            })
        });
        (found.next(), found.next())
    };
    let root = document.document_element().ok_or_else(|| invalid("the text has no root"))?;
    let (Some(assertion), None) = find(root, ns::ASSERTION, "Assertion") else {
        return Err(invalid("the response has not exactly one assertion"));
    };
    let (signature, None) = find(assertion, ns::SIGNATURE, "Signature") else {
        return Err(invalid("the assertion has more than one signature"));
    };
    canonical(&document, assertion, signature, &[])
}
