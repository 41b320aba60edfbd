//! Strict XML: well-formed to the last byte, bounded, and nothing in it that readers could see differently.
//!
//! Two steps. [`scan`] passes over the bytes once, in constant memory beside a stack of at most
//! [`Limits::depth`] names, and only ever refuses: what it lets through has no document type, comment,
//! processing instruction or CDATA section, only plain names, absolute namespaces, and counts within
//! [`Limits`]. Only then does roxmltree build the tree, so nothing quadratic or recursive meets a hostile text.
//!
//! Elements are found by namespace and local name, never by prefix.

mod scan;

use crate::failure::Failure;
use crate::upstream::checks::refused;
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// How much a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of the text, where what canonicalisation writes longer counts as long as it will be.
    pub bytes: usize,
    /// Elements within elements.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, declarations of namespaces not counted.
    pub attributes_per_element: usize,
    /// Elements, attributes, declarations of namespaces, comments and pieces of text in all.
    pub nodes: usize,
    /// References to characters and to the five names of XML, in the text or in its canonical form.
    pub references: usize,
    /// Declarations of namespaces that are in force at one element.
    pub namespaces_in_scope: usize,
    /// Declarations of namespaces in all.
    pub namespaces: usize,
    /// Declarations of namespaces in the canonical form, which repeats one at each element that needs it again.
    pub namespaces_written: usize,
    /// Bytes of one namespace. Canonicalisation repeats a namespace at each element that uses it, so a long one, declared
    /// once, would be digested thousands of times.
    pub namespace_bytes: usize,
    /// Whether comments may stand between elements. Within text they split it: [`text`] refuses them everywhere.
    pub comments: bool,
    /// Whether a UTF-8 byte order mark may stand before the text; it is taken off.
    pub byte_order_mark: bool,
}

/// What a message that a browser brings may hold. A response with 2,800 groups fits, and of values that each declare the
/// two namespaces of their type about 620. Readers copy or search what is in scope for each element that declares more, so
/// the numbers of namespaces decide most about what a message can make us compute (docs/performance.md).
pub(super) const MESSAGE: Limits = Limits {
    bytes: 256 * 1024,
    depth: 32,
    elements: 3_072,
    attributes_per_element: 32,
    nodes: 6_656,
    references: 8_192,
    namespaces_in_scope: 20,
    namespaces: 1_280,
    namespaces_written: 2_304,
    namespace_bytes: 256,
    comments: false,
    byte_order_mark: false,
};

/// What the canonical form of a message may hold: a namespace that the message declares once stands at each element that
/// needs it again.
const CANONICAL: Limits = Limits {
    nodes: MESSAGE.nodes + MESSAGE.namespaces_written,
    namespaces: MESSAGE.namespaces_written,
    ..MESSAGE
};

/// What metadata of one provider may hold. Large vendors write a byte order mark before theirs, and administrators write
/// comments into theirs.
pub(super) const METADATA: Limits = Limits {
    bytes: 4 * 1024 * 1024,
    depth: 32,
    elements: 65_536,
    attributes_per_element: 64,
    nodes: 262_144,
    references: 262_144,
    namespaces_in_scope: 64,
    namespaces: 65_536,
    namespaces_written: 131_072,
    namespace_bytes: 256,
    comments: true,
    byte_order_mark: true,
};

/// The bytes of a message as text.
///
/// # Errors
/// `saml.xml.limits` for too many bytes; `saml.xml.encoding` for what is not UTF-8, or begins with a byte order mark
/// where none may stand.
pub(super) fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Failure> {
    if bytes.len() > limits.bytes {
        return Err(scan::limit("bytes", limits.bytes, bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| scan::encoding("the text is not UTF-8"))?;
    match text.strip_prefix('\u{feff}') {
        Some(rest) if limits.byte_order_mark => Ok(rest),
        Some(_) => Err(scan::encoding("the text begins with a byte order mark")),
        None => Ok(text),
    }
}

/// A text as every reader of XML has to take it before it looks at it: ends of lines are line feeds (XML 1.0 §2.11), and white
/// space in the values of attributes is spaces (§3.3.3). Not every reader does; of this text all see the same.
///
/// # Errors
/// As [`parse`].
pub(super) fn normal<'a>(text: &'a str, limits: &Limits) -> Result<Cow<'a, str>, Failure> {
    let spaced = scan::scan(text, limits)?;
    if spaced.is_empty() && !text.contains('\r') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for value in spaced {
        out.push_str(&lines(text.get(done..value.start).unwrap_or("")));
        out.push_str(&lines(text.get(value.clone()).unwrap_or("")).replace(['\t', '\n'], " "));
        done = value.end;
    }
    out.push_str(&lines(text.get(done..).unwrap_or("")));
    Ok(Cow::Owned(out))
}

fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A message of a browser as a tree.
///
/// # Errors
/// `saml.xml.encoding`, `.doctype`, `.comment`, `.content`, `.attribute`, `.limits`, `.malformed`, `saml.c14n.failed`;
/// `saml.sig.malformed` for a comment within a signature's values.
pub(super) fn parse(text: &str) -> Result<Document<'_>, Failure> {
    parse_within(text, &MESSAGE)
}

/// What a message's signature covers, in canonical form, as a tree.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_canonical(text: &str) -> Result<Document<'_>, Failure> {
    parse_within(text, &CANONICAL)
}

/// A text as a tree, within limits.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_within<'a>(text: &'a str, limits: &Limits) -> Result<Document<'a>, Failure> {
    scan::scan(text, limits)?;
    let nodes = u32::try_from(limits.nodes.saturating_add(8)).unwrap_or(u32::MAX);
    let options = ParsingOptions { allow_dtd: false, nodes_limit: nodes, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => refused("saml.xml.limits", "the text has too many nodes"),
        other => scan::malformed("the text is not well-formed").caused_by(other),
    })
}

/// Whether a node is the element with this namespace and name.
pub(super) fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

/// The child elements, whatever their names.
pub(super) fn elements<'a, 'i: 'a>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The child elements with this namespace and name.
pub(super) fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| is(*child, namespace, name))
}

/// The child element with this namespace and name, which may stand once.
///
/// # Errors
/// `saml.message.shape` where it stands more than once.
pub(super) fn child<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> Result<Option<Node<'a, 'i>>, Failure> {
    let mut found = children(node, namespace, name);
    let first = found.next();
    if found.next().is_some() {
        return Err(shape(node, name, "more than one"));
    }
    Ok(first)
}

/// The child element with this namespace and name, which must stand exactly once.
///
/// # Errors
/// `saml.message.shape` where it is missing, or stands more than once.
pub(super) fn only_child<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> Result<Node<'a, 'i>, Failure> {
    child(node, namespace, name)?.ok_or_else(|| shape(node, name, "none"))
}

/// The text of an element that may have nothing but text; empty where it has none. Nothing is trimmed.
///
/// # Errors
/// `saml.message.shape` where an element stands in it.
pub(super) fn text<'a, 'i: 'a>(node: Node<'a, 'i>) -> Result<&'a str, Failure> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (None, _) => Ok(""),
        (Some(only), None) if only.is_text() => Ok(only.text().unwrap_or("")),
        _ => Err(refused("saml.message.shape", "an element that may have text only has elements")
            .expected(format!("text in {}", node.tag_name().name()), "an element in it")),
    }
}

/// An attribute without namespace, which is what all of SAML's, XML Signature's and XML Encryption's own are.
pub(super) fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|a| a.namespace().is_none() && a.name() == name).map(|a| a.value())
}

/// Whether all text directly within an element is white space.
pub(super) fn only_elements(node: Node<'_, '_>) -> bool {
    node.children().all(|child| {
        child.is_element()
            || child.is_comment()
            || child.text().is_some_and(|t| t.trim_matches(SPACES).is_empty())
    })
}

/// White space of XML 1.0 §2.3.
pub(super) const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

fn shape(node: Node<'_, '_>, name: &str, found: &str) -> Failure {
    refused("saml.message.shape", "an element does not stand as often as it must")
        .expected(format!("one {name} in {}", node.tag_name().name()), found)
}

#[cfg(test)]
mod tests;
