//! Elements of one parsed assertion. Every accessor says how many there may be.

use crate::failure::Failure;
use crate::upstream::checks::{Checks, refused};
use crate::upstream::saml::{ns, xml};
use roxmltree::{Document, Node};

/// An element of an assertion.
#[derive(Clone, Copy)]
pub(in crate::upstream::saml) struct Element<'a>(Node<'a, 'a>);

/// Parses the signed text, as strictly as the message that it comes from.
pub(super) fn parse<'a>(text: &'a str, checks: &mut Checks<'_>) -> Result<Document<'a>, Failure> {
    let document = xml::parse_canonical(text).map_err(|failure| checks.fail(failure))?;
    if !xml::is(document.root_element(), ns::ASSERTION, "Assertion") {
        return Err(checks.fail(refused("saml.assertion.type", "what was signed is not one assertion")));
    }
    Ok(document)
}

impl<'a> Element<'a> {
    /// The assertion.
    pub fn root(document: &'a Document<'a>) -> Self {
        Self(document.root_element())
    }
    /// The node beneath.
    pub fn node(self) -> Node<'a, 'a> {
        self.0
    }
    /// An attribute without namespace.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        xml::attribute(self.0, name)
    }
    /// Whether it is this element of the assertion namespace.
    pub fn is(self, name: &str) -> bool {
        xml::is(self.0, ns::ASSERTION, name)
    }
    /// Its local name.
    pub fn name(self) -> &'a str {
        self.0.tag_name().name()
    }
    /// Child elements of any name.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        self.0.children().filter(Node::is_element).map(Self)
    }
    /// Child elements of one name, of the assertion namespace.
    pub fn all(self, name: &str) -> impl Iterator<Item = Self> {
        self.elements().filter(move |child| child.is(name))
    }
    /// The one child of this name; `None` where there is none, or more than one.
    pub fn only(self, name: &str) -> Option<Self> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }
    /// The text, whole; `None` where there are elements within.
    pub fn text(self) -> Option<&'a str> {
        xml::text(self.0).ok()
    }
}
