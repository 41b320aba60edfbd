//! One pass over the bytes that only ever refuses.

use super::Limits;
use crate::failure::Failure;
use crate::upstream::checks::refused;
use std::ops::Range;

pub(super) fn malformed(note: &'static str) -> Failure {
    refused("saml.xml.malformed", note)
}

pub(super) fn encoding(note: &'static str) -> Failure {
    refused("saml.xml.encoding", note)
}

fn content(note: &'static str) -> Failure {
    refused("saml.xml.content", note)
}

fn doctype(note: &'static str) -> Failure {
    refused("saml.xml.doctype", note)
}

fn attribute(note: &'static str) -> Failure {
    refused("saml.xml.attribute", note)
}

pub(super) fn limit(what: &str, at_most: usize, found: usize) -> Failure {
    refused("saml.xml.limits", "the text holds more than a message may")
        .expected(format!("at most {at_most} {what}"), found.to_string())
}

fn within(what: &str, at_most: usize, found: usize) -> Result<(), Failure> {
    if found > at_most { Err(limit(what, at_most, found)) } else { Ok(()) }
}

/// Elements of a signature in which a comment would let readers see different values.
const SIGNATURE_VALUES: [&str; 5] =
    ["SignedInfo", "Reference", "DigestValue", "SignatureValue", "CanonicalizationMethod"];

/// Attributes that some reader takes for an ID, in lower case. Only without a prefix is one of them ours.
const IDS: [&str; 4] = ["id", "assertionid", "responseid", "requestid"];

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
const XINCLUDE: &str = "http://www.w3.org/2001/XInclude";

/// A declaration of a namespace that is in force.
struct Declared<'a> {
    /// Empty for the default one.
    prefix: &'a str,
    /// Bytes of the declaration.
    bytes: usize,
    /// Whether the canonical form has it once: so often it is in the text as well.
    written: bool,
    /// The depth of the open element at which the canonical form has it now.
    at: Option<usize>,
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    limits: &'a Limits,
    /// Local names and own declarations of the open elements.
    open: Vec<(&'a str, usize)>,
    elements: usize,
    nodes: usize,
    references: usize,
    namespaces: usize,
    namespaces_written: usize,
    /// What is declared at the open elements.
    scope: Vec<Declared<'a>>,
    /// Bytes by which the canonical form is longer.
    growth: usize,
    /// Values of attributes in which white space stands that reading turns into spaces.
    spaced: Vec<Range<usize>>,
}

/// Refuses what a message may not hold. Gives where the values of attributes are in which a tab or the end of a line
/// stands, in order.
pub(super) fn scan(text: &str, limits: &Limits) -> Result<Vec<Range<usize>>, Failure> {
    within("bytes", limits.bytes, text.len())?;
    // UTF-16 without its mark is UTF-8 with these.
    if text.contains('\0') {
        return Err(encoding("the text holds null characters"));
    }
    // XML 1.0 §2.2
    if let Some(bad) = text.chars().find(
        |c| matches!(c, '\u{1}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'),
    ) {
        return Err(malformed("the text holds a character that XML does not have")
            .expected("characters of XML 1.0", format!("U+{:04X}", u32::from(bad))));
    }
    let mut scan = Scan {
        text,
        at: 0,
        limits,
        open: Vec::with_capacity(limits.depth),
        elements: 0,
        nodes: 0,
        references: 0,
        namespaces: 0,
        namespaces_written: 0,
        scope: Vec::with_capacity(limits.namespaces_in_scope),
        growth: 0,
        spaced: Vec::new(),
    };
    scan.declaration()?;
    while let Some(found) = scan.rest().find('<') {
        let (text, _) = scan.rest().split_at(found);
        scan.characters(text)?;
        scan.at += found;
        scan.markup()?;
    }
    let rest = scan.rest();
    scan.characters(rest)?;
    if !scan.open.is_empty() {
        return Err(malformed("the text ends within an element"));
    }
    Ok(scan.spaced)
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn take(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    /// Takes white space, and says whether there was some.
    fn spaces(&mut self) -> bool {
        let rest = self.rest();
        let after = rest.trim_start_matches(super::SPACES);
        self.at += rest.len() - after.len();
        after.len() < rest.len()
    }

    /// The XML declaration: version 1.0 in UTF-8, or none (XML 1.0 §2.8, §4.3.3).
    fn declaration(&mut self) -> Result<(), Failure> {
        // `<?xml-stylesheet` and the like are processing instructions
        let behind = self.rest().strip_prefix("<?xml");
        if !behind.is_some_and(|behind| behind.starts_with(super::SPACES) || behind.starts_with("?>")) {
            return Ok(());
        }
        let wrong = || encoding("the XML declaration is not the one of XML 1.0 in UTF-8");
        let end = self.rest().find("?>").ok_or_else(wrong)?;
        let (declaration, _) = self.rest().split_at(end);
        self.at += end + 2;
        let mut rest = declaration.strip_prefix("<?xml").unwrap_or("");
        let mut seen = 0;
        for (rank, name) in [(1, "version"), (2, "encoding"), (3, "standalone")] {
            let after = rest.trim_start_matches(super::SPACES);
            let Some(value) = after.strip_prefix(name) else { continue };
            if after.len() == rest.len() {
                return Err(wrong());
            }
            let value = value.trim_start_matches(super::SPACES).strip_prefix('=').ok_or_else(wrong)?;
            let value = value.trim_start_matches(super::SPACES);
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or_else(wrong)?;
            let (value, after) = value.get(1..).and_then(|v| v.split_once(quote)).ok_or_else(wrong)?;
            let good = match name {
                "version" => value == "1.0",
                "encoding" => value.eq_ignore_ascii_case("UTF-8"),
                _ => matches!(value, "yes" | "no"),
            };
            if !good {
                return Err(wrong());
            }
            rest = after;
            seen |= rank;
        }
        if seen & 1 == 0 || !rest.trim_matches(super::SPACES).is_empty() {
            return Err(wrong());
        }
        Ok(())
    }

    /// Text between tags: no section end, and references to the five names and to characters only.
    fn characters(&mut self, text: &str) -> Result<(), Failure> {
        if self.open.is_empty() && !text.trim_matches(super::SPACES).is_empty() {
            return Err(malformed("there is text outside the root element"));
        }
        if text.contains("]]>") {
            return Err(malformed("the end of a CDATA section stands in text"));
        }
        if !text.is_empty() {
            self.node()?;
        }
        // Canonical XML 1.0 §2.3: `&gt;`
        self.escaped(text, '>', 3)?;
        self.referred(text)
    }

    /// Counts a node.
    fn node(&mut self) -> Result<(), Failure> {
        self.nodes += 1;
        within("nodes", self.limits.nodes, self.nodes)
    }

    /// Counts what canonicalisation adds: the longest texts that readers hold are canonical ones.
    fn grows(&mut self, bytes: usize) -> Result<(), Failure> {
        self.growth = self.growth.saturating_add(bytes);
        within("bytes in canonical form", self.limits.bytes, self.text.len().saturating_add(self.growth))
    }

    /// Counts what canonicalisation writes as a reference, so many bytes longer.
    fn escaped(&mut self, text: &str, what: char, longer: usize) -> Result<(), Failure> {
        let count = text.matches(what).count();
        self.references = self.references.saturating_add(count);
        self.grows(count.saturating_mul(longer))
    }

    /// Checks and counts the references of a text or a value.
    fn referred(&mut self, text: &str) -> Result<(), Failure> {
        self.references = self.references.saturating_add(text.matches('&').count());
        within("references", self.limits.references, self.references)?;
        references(text)
    }

    fn markup(&mut self) -> Result<(), Failure> {
        if self.take("</") {
            let name = self.name()?;
            self.spaces();
            if !self.take(">") {
                return Err(malformed("an end tag does not end"));
            }
            let (local, own) = self.open.pop().ok_or_else(|| malformed("an end tag has no beginning"))?;
            self.forget(own);
            if local != local_name(name) {
                return Err(malformed("an end tag has another name than the beginning"));
            }
            Ok(())
        } else if self.rest().starts_with("<!--") {
            if self.open.last().is_some_and(|(name, _)| SIGNATURE_VALUES.contains(name)) {
                return Err(refused("saml.sig.malformed", "there is a comment within a signature's values"));
            }
            if !self.limits.comments {
                return Err(refused("saml.xml.comment", "there is a comment"));
            }
            self.comment()
        } else if self.rest().starts_with("<![CDATA[") {
            Err(content("there is a CDATA section"))
        } else if self.rest().starts_with("<!") {
            let declared = ["DOCTYPE", "ENTITY", "ELEMENT", "ATTLIST", "NOTATION"];
            let word = self.rest().get(2..).unwrap_or("");
            // Compared by bytes, since a slice of text may not begin or end within a character.
            if declared
                .iter()
                .any(|d| word.as_bytes().get(..d.len()).is_some_and(|w| w.eq_ignore_ascii_case(d.as_bytes())))
            {
                return Err(doctype("there is a document type or a part of one"));
            }
            Err(malformed("there is a directive that XML does not have"))
        } else if self.rest().starts_with("<?") {
            Err(content("there is a processing instruction"))
        } else {
            self.at += 1;
            self.start()
        }
    }

    /// A comment, where one may stand (XML 1.0 §2.5).
    fn comment(&mut self) -> Result<(), Failure> {
        let (text, _) = self
            .rest()
            .get(4..)
            .and_then(|rest| rest.split_once("-->"))
            .ok_or_else(|| malformed("a comment does not end"))?;
        if text.contains("--") || text.ends_with('-') {
            return Err(malformed("there are two dashes in a comment"));
        }
        self.at += 4 + text.len() + 3;
        self.node()
    }

    /// A start tag, behind its `<`.
    fn start(&mut self) -> Result<(), Failure> {
        if self.open.is_empty() && self.elements > 0 {
            return Err(malformed("there is more than one root element"));
        }
        let name = self.name()?;
        if name.starts_with("xmlns:") {
            return Err(malformed("an element has a reserved prefix"));
        }
        self.elements += 1;
        within("elements", self.limits.elements, self.elements)?;
        self.node()?;
        let mut declared: Vec<&str> = Vec::new();
        let mut locals: Vec<&str> = Vec::new();
        let mut prefixes: Vec<&str> = vec![prefix(name)];
        let empty = loop {
            let spaced = self.spaces();
            if self.take("/>") {
                break true;
            }
            if self.take(">") {
                break false;
            }
            if !spaced {
                return Err(malformed("an attribute does not stand apart"));
            }
            let attribute_name = self.name()?;
            self.spaces();
            if !self.take("=") {
                return Err(malformed("an attribute has no value"));
            }
            self.spaces();
            let value = self.value()?;
            self.node()?;
            if self.declares(attribute_name, value)? {
                // roxmltree takes the second declaration of the default namespace.
                if declared.contains(&attribute_name) {
                    return Err(malformed("a namespace is declared twice at one element"));
                }
                declared.push(attribute_name);
                self.scope.push(Declared {
                    prefix: attribute_name.split_once(':').map_or("", |(_, prefix)| prefix),
                    bytes: attribute_name.len() + value.len() + 4,
                    written: false,
                    at: None,
                });
                self.namespaces += 1;
                within("namespaces in scope", self.limits.namespaces_in_scope, self.scope.len())?;
                within("namespaces", self.limits.namespaces, self.namespaces)?;
                continue;
            }
            let local = plain_attribute(attribute_name)?;
            if locals.contains(&local) {
                return Err(attribute("two attributes of an element have the same local name"));
            }
            locals.push(local);
            // an attribute without a prefix has no namespace
            if attribute_name != local {
                prefixes.push(prefix(attribute_name));
            }
            within("attributes of an element", self.limits.attributes_per_element, locals.len())?;
        };
        self.declared_again(&prefixes)?;
        if empty {
            // `<a/>` is written `<a></a>` (Canonical XML 1.0 §1.1)
            self.grows(name.len() + 2)?;
            self.forget(declared.len());
            return Ok(());
        }
        self.open.push((local_name(name), declared.len()));
        within("elements within one another", self.limits.depth, self.open.len())
    }

    /// Counts the declarations that canonicalisation repeats at an element: those of its prefixes, where no open element has
    /// them yet (Exclusive XML Canonicalization §3).
    fn declared_again(&mut self, prefixes: &[&str]) -> Result<(), Failure> {
        let depth = self.open.len();
        let mut again = 0;
        for prefix in prefixes {
            let Some(declared) = self.scope.iter_mut().rev().find(|d| d.prefix == *prefix) else { continue };
            if declared.at.is_none() {
                declared.at = Some(depth);
                self.namespaces_written += 1;
                again += if declared.written { declared.bytes } else { 0 };
                declared.written = true;
            }
        }
        within("namespaces in canonical form", self.limits.namespaces_written, self.namespaces_written)?;
        self.grows(again)
    }

    /// Takes out of force what an element declared that ends, and what the canonical form has there.
    fn forget(&mut self, own: usize) {
        let depth = self.open.len();
        self.scope.truncate(self.scope.len().saturating_sub(own));
        for declared in self.scope.iter_mut().filter(|d| d.at == Some(depth)) {
            declared.at = None;
        }
    }

    /// A name of plain ASCII letters with at most one colon, which is narrower than XML 1.0 §2.3: names that change when
    /// they are written and read again are among the others.
    fn name(&mut self) -> Result<&'a str, Failure> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
            .unwrap_or(rest.len());
        let (name, _) = rest.split_at(end);
        let mut parts = name.split(':');
        let good = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let well_formed = match (parts.next(), parts.next(), parts.next()) {
            (Some(local), None, None) => good(local),
            (Some(prefix), Some(local), None) => good(prefix) && good(local),
            _ => false,
        };
        if !well_formed {
            return Err(malformed("a name is empty, or has characters that a name here may not have"));
        }
        self.at += end;
        Ok(name)
    }

    /// A quoted value.
    fn value(&mut self) -> Result<&'a str, Failure> {
        let quote = if self.take("\"") {
            '"'
        } else if self.take("'") {
            '\''
        } else {
            return Err(malformed("an attribute's value is not quoted"));
        };
        let (value, _) =
            self.rest().split_once(quote).ok_or_else(|| malformed("an attribute's value does not end"))?;
        if value.contains('<') {
            return Err(malformed("there is a `<` in an attribute's value"));
        }
        // Canonical XML 1.0 §2.3: `&quot;`
        self.escaped(value, '"', 5)?;
        self.referred(value)?;
        if value.contains(['\t', '\n', '\r']) {
            self.spaced.push(self.at..self.at + value.len());
        }
        self.at += value.len() + 1;
        Ok(value)
    }

    /// Whether an attribute declares a namespace; if so, one that every reader sees in the same way.
    fn declares(&self, name: &str, value: &str) -> Result<bool, Failure> {
        let prefix = if name == "xmlns" {
            None
        } else if let Some(prefix) = name.strip_prefix("xmlns:") {
            Some(prefix)
        } else {
            return Ok(false);
        };
        if matches!(prefix, Some("xml" | "xmlns")) || matches!(value, XML | XMLNS) {
            return Err(malformed("a reserved prefix or namespace is declared"));
        }
        within("bytes of a namespace", self.limits.namespace_bytes, value.len())?;
        if value == XINCLUDE {
            return Err(content("the namespace of XInclude is declared"));
        }
        if value.is_empty() && prefix.is_none() {
            return Ok(true);
        }
        // A relative reference makes canonicalisation fail in some readers, and lets others digest nothing
        // (Canonical XML 1.0 §2.1).
        let absolute = value.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
                && !rest.is_empty()
        });
        // RFC 3986 has none of these characters.
        let plain = |c: char| c.is_ascii_graphic() && !"&\"'<>`{}|\\^".contains(c);
        if !absolute || !value.chars().all(plain) {
            return Err(refused("saml.c14n.failed", "a namespace is no absolute URI")
                .expected("absolute URIs as namespaces", value));
        }
        Ok(true)
    }
}

fn prefix(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

fn local_name(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// The local name of an attribute that declares nothing, where it may stand.
fn plain_attribute(name: &str) -> Result<&str, Failure> {
    let Some((prefix, local)) = name.split_once(':') else { return Ok(name) };
    if prefix == "xml" {
        return match local {
            "lang" | "space" => Ok(local),
            "id" => Err(attribute("there is an xml:id")),
            _ => Err(content("there is an attribute of XML's own that changes how the text is read")),
        };
    }
    if IDS.contains(&local.to_ascii_lowercase().as_str()) {
        return Err(attribute("an ID has a namespace"));
    }
    Ok(local)
}

/// References to the five names of XML and to characters of XML (§4.1, §4.6).
fn references(text: &str) -> Result<(), Failure> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('&') {
        let (name, next) = after.split_once(';').ok_or_else(|| malformed("a reference does not end"))?;
        if let Some(number) = name.strip_prefix('#') {
            let code = match number.strip_prefix('x') {
                Some(hex) if hex.chars().all(|c| c.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
                None if number.chars().all(|c| c.is_ascii_digit()) => number.parse().ok(),
                _ => None,
            };
            let good = code
                .and_then(char::from_u32)
                .is_some_and(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..));
            if !good {
                return Err(malformed("a reference names no character of XML"));
            }
        } else if !matches!(name, "amp" | "lt" | "gt" | "apos" | "quot") {
            return Err(doctype("there is a reference to an entity"));
        }
        rest = next;
    }
    Ok(())
}
