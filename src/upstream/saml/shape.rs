//! The shape of a message, before any signature is looked at.
//!
//! What is signed, and what is read, is decided by position alone: signatures are direct children of the response or
//! of its one assertion, right behind `Issuer`, and each refers to its parent and to nothing else (SAML Core §2.3.3,
//! §3.2.2, §5.4). Everything that could be taken for a second message, assertion, signature or ID ends the matter here.

mod signature;

pub(super) use signature::{Signature, is_id};

use super::ns;
use super::open::Trust;
use super::xml;
use crate::failure::Failure;
use crate::upstream::checks::refused;
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

/// A response that has the shape of one.
#[derive(Debug)]
pub(super) struct Response {
    /// Its own signature.
    pub signature: Option<Signature>,
    /// Its one assertion. None only where the provider says that nobody was signed in.
    pub assertion: Option<Assertion>,
}

/// The one assertion of a response.
#[derive(Debug)]
pub(super) enum Assertion {
    /// In clear, with its own signature.
    Plain(Option<Signature>),
    /// A `saml:EncryptedAssertion`.
    Encrypted,
}

/// Top status of a response that vouches for somebody (SAML Core §3.2.2.2).
pub(super) const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// Messages of the protocol, none of which may stand in another.
const MESSAGES: [&str; 12] = [
    "AuthnRequest",
    "LogoutRequest",
    "LogoutResponse",
    "ArtifactResolve",
    "ArtifactResponse",
    "AssertionIDRequest",
    "AttributeQuery",
    "AuthnQuery",
    "AuthzDecisionQuery",
    "ManageNameIDRequest",
    "ManageNameIDResponse",
    "NameIDMappingRequest",
];

/// Attributes that some reader takes for an ID, in lower case.
const IDS: [&str; 4] = ["id", "assertionid", "responseid", "requestid"];

/// Children of a response and of an assertion, in the order of their schema, each with how often it may stand.
const RESPONSE: [(&str, &str, usize); 6] = [
    (ns::ASSERTION, "Issuer", 1),
    (ns::SIGNATURE, "Signature", 1),
    (ns::PROTOCOL, "Extensions", 1),
    (ns::PROTOCOL, "Status", 1),
    (ns::ASSERTION, "Assertion", 1),
    (ns::ASSERTION, "EncryptedAssertion", 1),
];
const ASSERTION: [(&str, &str, usize); 5] = [
    (ns::ASSERTION, "Issuer", 1),
    (ns::SIGNATURE, "Signature", 1),
    (ns::ASSERTION, "Subject", 1),
    (ns::ASSERTION, "Conditions", 1),
    (ns::ASSERTION, "Advice", 1),
];
const STATEMENTS: [&str; 4] = ["Statement", "AuthnStatement", "AuthzDecisionStatement", "AttributeStatement"];

/// Whether a document has the shape of a response.
///
/// # Errors
/// `saml.message.type`, `saml.message.shape`, `saml.id.duplicate`, `saml.id.format`, `saml.assertion.count`,
/// `saml.sig.assertion_required`, and those of [`Signature`].
pub(super) fn response(document: &Document<'_>, trust: &Trust) -> Result<Response, Failure> {
    let root = document.root_element();
    typed(root, ns::PROTOCOL, "Response")?;
    // Core §3.2.2: there is one, signed or not
    let id = xml::attribute(root, "ID").unwrap_or("");
    if !signature::is_id(id) {
        return Err(refused("saml.id.format", "the ID of the response is missing, or no name")
            .expected("an NCName", id));
    }
    let inside = inventory(document)?;
    for node in &inside.signatures {
        placed(*node, root)?;
    }
    let own = own_signature(root, trust)?;
    let mut signed = Vec::new();
    for node in inside.assertions.iter().filter(|n| n.parent() == Some(root)) {
        signed.push((*node, own_signature(*node, trust)?));
    }
    outside(document, root)?;
    if let Some(within) = inside
        .assertions
        .iter()
        .find(|n| n.ancestors().skip(1).any(|a| xml::is(a, ns::ASSERTION, "EncryptedAssertion")))
    {
        return Err(refused("saml.enc.malformed", "an assertion stands within an encrypted one")
            .expected("encrypted data and its key", within.tag_name().name()));
    }
    let assertion = match (inside.assertions.len(), signed.pop()) {
        (0, _) if status(root)?.first().is_some_and(|code| *code != SUCCESS) => None,
        (1, Some((node, signature))) if xml::is(node, ns::ASSERTION, "Assertion") => {
            ordered_assertion(node)?;
            Some(Assertion::Plain(signature))
        }
        (1, Some((_, None))) => Some(Assertion::Encrypted),
        (count, _) => {
            // What anybody can encrypt for us is worth nothing beside what is signed.
            let encrypted =
                inside.assertions.iter().any(|n| xml::is(*n, ns::ASSERTION, "EncryptedAssertion"));
            let plain = inside.assertions.iter().any(|n| xml::is(*n, ns::ASSERTION, "Assertion"));
            if own.is_none() && encrypted && plain {
                return Err(refused(
                    "saml.sig.assertion_required",
                    "an encrypted assertion stands beside a plain one",
                )
                .expected("one assertion, signed", "another one, encrypted, which nobody signed"));
            }
            return Err(refused("saml.assertion.count", "the response has not exactly one assertion")
                .expected("one Assertion or EncryptedAssertion, in the response itself", count.to_string()));
        }
    };
    ordered(root, &RESPONSE)?;
    Ok(Response { signature: own, assertion })
}

/// Whether a document has the shape of an assertion that stood encrypted, below the element `wrapper` that lends it its
/// namespaces. Gives the assertion's signature.
///
/// # Errors
/// As [`response`].
pub(super) fn decrypted(document: &Document<'_>, trust: &Trust) -> Result<Option<Signature>, Failure> {
    let wrapper = document.root_element();
    let inside = inventory(document)?;
    let count = inside.assertions.len();
    let mut elements = xml::elements(wrapper);
    let (Some(node), None, 1) = (elements.next(), elements.next(), count) else {
        return Err(refused("saml.enc.malformed", "what was encrypted is not exactly one assertion")
            .expected("one Assertion", count.to_string()));
    };
    if !xml::is(node, ns::ASSERTION, "Assertion") || !xml::only_elements(wrapper) {
        return Err(refused("saml.enc.malformed", "what was encrypted is not an assertion")
            .expected("an Assertion", node.tag_name().name()));
    }
    for signature in &inside.signatures {
        placed(*signature, wrapper)?;
    }
    let own = own_signature(node, trust)?;
    ordered_assertion(node)?;
    Ok(own)
}

/// Whether a document is what is expected, signed at most once and as a whole. Gives the signature.
///
/// # Errors
/// As [`response`].
pub(super) fn message(
    document: &Document<'_>,
    namespace: &str,
    name: &str,
    trust: &Trust,
) -> Result<Option<Signature>, Failure> {
    let root = document.root_element();
    typed(root, namespace, name)?;
    let inside = inventory_of(document, namespace == ns::METADATA)?;
    if let Some(elsewhere) = inside.signatures.iter().find(|s| s.parent() != Some(root)) {
        return Err(wrapped("a signature stands elsewhere than in the message itself", *elsewhere));
    }
    if !inside.assertions.is_empty() {
        return Err(refused("saml.message.type", "there is an assertion in a message that has none"));
    }
    own_signature(root, trust)
}

fn typed(root: Node<'_, '_>, namespace: &str, name: &str) -> Result<(), Failure> {
    if xml::is(root, namespace, name) {
        return Ok(());
    }
    Err(refused("saml.message.type", "the message is of another type").expected(name, root.tag_name().name()))
}

/// The status codes of a response, outer first.
pub(super) fn status<'a>(response: Node<'a, '_>) -> Result<Vec<&'a str>, Failure> {
    let mut codes = Vec::new();
    let mut at = xml::child(response, ns::PROTOCOL, "Status")?;
    while let Some(node) = at {
        at = xml::child(node, ns::PROTOCOL, "StatusCode")?;
        if let Some(code) = at {
            codes.push(xml::attribute(code, "Value").unwrap_or(""));
        }
    }
    Ok(codes)
}

struct Inventory<'a, 'i> {
    signatures: Vec<Node<'a, 'i>>,
    assertions: Vec<Node<'a, 'i>>,
}

fn inventory<'a, 'i>(document: &'a Document<'i>) -> Result<Inventory<'a, 'i>, Failure> {
    inventory_of(document, false)
}

/// Everything that counts by being there, wherever it stands.
fn inventory_of<'a, 'i>(document: &'a Document<'i>, metadata: bool) -> Result<Inventory<'a, 'i>, Failure> {
    let root = document.root_element();
    let mut found = Inventory { signatures: Vec::new(), assertions: Vec::new() };
    for node in document.descendants().filter(|n| n.is_element() && *n != root) {
        let name = node.tag_name().name();
        match node.tag_name().namespace() {
            Some(ns::PROTOCOL) if name == "Response" => {
                return Err(wrapped("a response stands within the message", node));
            }
            Some(ns::PROTOCOL) if MESSAGES.contains(&name) => return Err(foreign(node)),
            Some(ns::METADATA) if !metadata => return Err(foreign(node)),
            Some(ns::SIGNATURE) if name == "Signature" => found.signatures.push(node),
            Some(ns::ASSERTION) if matches!(name, "Assertion" | "EncryptedAssertion") => {
                found.assertions.push(node)
            }
            _ => {}
        }
    }
    let mut ids = BTreeSet::new();
    for node in document.descendants().filter(Node::is_element) {
        for attribute in node.attributes() {
            if IDS.contains(&attribute.name().to_ascii_lowercase().as_str()) && !ids.insert(attribute.value())
            {
                return Err(refused("saml.id.duplicate", "two elements have the same ID")
                    .expected("every ID once", attribute.value()));
            }
        }
    }
    Ok(found)
}

fn foreign(node: Node<'_, '_>) -> Failure {
    refused("saml.message.type", "there is another message, or metadata, within the message")
        .expected("one message", node.tag_name().name())
}

fn wrapped(note: &'static str, node: Node<'_, '_>) -> Failure {
    let parent = node.parent_element().map_or("the document", |p| p.tag_name().name());
    refused("saml.sig.wrapped", note).expected(
        "signatures and what they cover in their places only",
        format!("{} in {parent}", node.tag_name().name()),
    )
}

/// A signature stands in the root, or in an assertion that stands in the root.
fn placed(signature: Node<'_, '_>, root: Node<'_, '_>) -> Result<(), Failure> {
    let Some(parent) = signature.parent_element() else {
        return Err(wrapped("a signature is the message", signature));
    };
    let in_assertion = xml::is(parent, ns::ASSERTION, "Assertion") && parent.parent_element() == Some(root);
    if parent == root || in_assertion {
        return Ok(());
    }
    Err(wrapped("a signature stands elsewhere than in the response or its assertion", signature))
}

/// The one signature of an element: behind `Issuer`, or first where there is none (all schemas of SAML 2.0).
fn own_signature(node: Node<'_, '_>, trust: &Trust) -> Result<Option<Signature>, Failure> {
    let mut found = xml::children(node, ns::SIGNATURE, "Signature");
    let Some(signature) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(refused("saml.sig.count", "an element has more than one signature")
            .expected("one signature at most", node.tag_name().name()));
    }
    let before = signature.prev_sibling_element();
    let behind_issuer =
        before.is_some_and(|b| xml::is(b, ns::ASSERTION, "Issuer") && b.prev_sibling_element().is_none());
    if before.is_some() && !behind_issuer {
        return Err(wrapped("a signature does not stand behind the issuer", signature));
    }
    Signature::read(signature, node, trust).map(Some)
}

/// Beside its assertion, a response has nothing of an assertion but its issuer.
fn outside(document: &Document<'_>, root: Node<'_, '_>) -> Result<(), Failure> {
    for node in document.descendants().filter(|n| n.tag_name().namespace() == Some(ns::ASSERTION)) {
        let issuer = xml::is(node, ns::ASSERTION, "Issuer") && node.parent() == Some(root);
        let in_assertion = node.ancestors().any(|a| {
            xml::is(a, ns::ASSERTION, "Assertion") || xml::is(a, ns::ASSERTION, "EncryptedAssertion")
        });
        if !issuer && !in_assertion {
            return Err(wrapped("a part of an assertion stands outside the assertion", node));
        }
    }
    Ok(())
}

fn ordered_assertion(assertion: Node<'_, '_>) -> Result<(), Failure> {
    ordered(assertion, &ASSERTION)
}

/// The children stand in the order of the schema and not too often; statements come last.
fn ordered(node: Node<'_, '_>, schema: &[(&str, &str, usize)]) -> Result<(), Failure> {
    let out = |child: Node<'_, '_>| {
        refused("saml.message.shape", "an element stands where the schema has none of its name").expected(
            format!("the order of the schema in {}", node.tag_name().name()),
            child.tag_name().name(),
        )
    };
    if !xml::only_elements(node) {
        return Err(refused("saml.message.shape", "there is text between elements")
            .expected("elements only", node.tag_name().name()));
    }
    let statements = xml::is(node, ns::ASSERTION, "Assertion");
    let mut rank = 0;
    let mut times = 0;
    for child in xml::elements(node) {
        let found = schema.iter().position(|(namespace, name, _)| xml::is(child, namespace, name));
        let (now, most) = match found {
            Some(at) => (at, schema.get(at).map_or(0, |s| s.2)),
            None if statements
                && child.tag_name().namespace() == Some(ns::ASSERTION)
                && STATEMENTS.contains(&child.tag_name().name()) =>
            {
                (schema.len(), usize::MAX)
            }
            None => return Err(out(child)),
        };
        times = if now == rank { times + 1 } else { 1 };
        if now < rank || times > most {
            return Err(out(child));
        }
        rank = now;
    }
    Ok(())
}
