//! Named changes of a signed message, as somebody makes them who has no key of the provider (unless the name says so).
//! Each can be made after any other; one that does not apply changes nothing.

use super::tree::Tree;
use super::{Key, edit};

/// Somebody else's name, which no message of the provider has.
pub const MALLORY: &str = "mallory-forged";

/// What mutations know.
#[derive(Clone)]
pub struct World {
    /// An address at which nobody must ask.
    pub canary: String,
    /// The provider's key.
    pub idp: Key,
    /// Another message of the provider's, genuine and signed, for another person: an assertion.
    pub stolen: String,
}

/// A change by name; false where it does not apply.
pub struct Mutation {
    pub name: &'static str,
    pub change: fn(&mut String, &World) -> Option<()>,
}

/// Makes the mutation with this name; false where it does not apply.
pub fn mutate(name: &str, xml: &mut String, world: &World) -> bool {
    let mutation = ALL.iter().flat_map(|all| all.iter()).find(|mutation| mutation.name == name);
    let mutation = mutation.unwrap_or_else(|| panic!("no mutation {name}"));
    mutation.make(xml, world)
}

impl Mutation {
    /// Makes it; false where it does not apply, and then nothing is changed.
    pub fn make(&self, xml: &mut String, world: &World) -> bool {
        let before = xml.clone();
        let made = (self.change)(xml, world).is_some();
        if !made {
            *xml = before;
        }
        made
    }
}

/// All mutations, by what they play with.
pub const ALL: &[&[Mutation]] =
    &[super::wrap::WRAPPING, super::twist::SIGNATURES, super::twist::TEXTS, super::twist::CLAIMS];

/// Mutations after which the message still says the same, and is accepted.
pub const HARMLESS: &[&str] = &[
    "key info of the attacker",
    "key info gone",
    "key info with a name",
    "character reference in the NameID",
    "declaration",
    "blank before",
    "blank after",
    "schemaLocation",
    "other prefix declared",
    "default namespace declared",
    "blanks in a tag",
    "crlf in the response",
    "signed by the provider again",
    "signed by the provider, the response too",
];

/// Those that change only what nothing signs, where the assertion alone is signed.
pub const UNSIGNED: &[&str] =
    &["xml:lang", "unknown attribute", "no destination", "no issuer", "another response id"];

/// The assertion with another person and another id, without its signature.
pub fn evil(assertion: &str) -> Option<String> {
    let mut evil = assertion.to_owned();
    edit(&mut evil, |tree| {
        tree.remove("Assertion/Signature");
        tree.set_attribute("Assertion", "ID", "_evil_assertion")?;
        tree.set("Assertion/Subject/NameID", MALLORY)
    })?;
    Some(evil)
}

/// Without the signature of the root.
pub(super) fn unsigned(element: &str) -> Option<String> {
    let mut bare = element.to_owned();
    let root = super::tree::name(element);
    edit(&mut bare, |tree| tree.remove(&format!("{root}/Signature")))?;
    Some(bare)
}

/// Edits the tree.
pub(super) fn tree(xml: &mut String, change: impl FnOnce(&mut Tree<'_>) -> Option<()>) -> Option<()> {
    edit(xml, change)
}
