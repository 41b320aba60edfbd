//! Edits of XML text by paths of local names: `Response/Assertion[2]/Issuer`, or `//NameID` for the first anywhere.

use std::ops::Range;

/// A text being edited. Each edit parses anew and says `None` where the path leads nowhere.
pub struct Tree<'a>(&'a mut String);

/// Edits a text. Where the edit says `None`, the text stays as it was.
pub fn edit<R>(xml: &mut String, edit: impl FnOnce(&mut Tree<'_>) -> Option<R>) -> Option<R> {
    let before = xml.clone();
    let outcome = edit(&mut Tree(xml));
    if outcome.is_none() {
        *xml = before;
    }
    outcome
}

/// The element's text with its tags.
pub fn outer(xml: &str, path: &str) -> Option<String> {
    range(xml, path).and_then(|range| xml.get(range)).map(str::to_owned)
}

/// What stands between its tags.
pub fn inner(xml: &str, path: &str) -> Option<String> {
    let range = range(xml, path)?;
    let text = xml.get(range)?;
    Some(text.get(inside(text)?)?.to_owned())
}

/// The local name of the root.
pub fn name(xml: &str) -> String {
    parse(xml).map_or_else(String::new, |document| document.root_element().tag_name().name().to_owned())
}

/// An attribute's value.
pub fn attribute(xml: &str, path: &str, name: &str) -> Option<String> {
    let document = parse(xml)?;
    find(&document, path)?.attribute(name).map(str::to_owned)
}

fn parse(xml: &str) -> Option<roxmltree::Document<'_>> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(xml, options).ok()
}

fn range(xml: &str, path: &str) -> Option<Range<usize>> {
    Some(find(&parse(xml)?, path)?.range())
}

fn find<'a, 'i>(document: &'a roxmltree::Document<'i>, path: &str) -> Option<roxmltree::Node<'a, 'i>> {
    if let Some(name) = path.strip_prefix("//") {
        let (name, nth) = split(name);
        return document.descendants().filter(|node| named(*node, name)).nth(nth);
    }
    let mut node = document.root();
    for part in path.split('/') {
        let (name, nth) = split(part);
        node = node.children().filter(|child| named(*child, name)).nth(nth)?;
    }
    Some(node)
}

fn named(node: roxmltree::Node<'_, '_>, name: &str) -> bool {
    node.is_element() && (name == "*" || node.tag_name().name() == name)
}

fn split(part: &str) -> (&str, usize) {
    part.strip_suffix(']')
        .and_then(|part| part.split_once('['))
        .map_or((part, 0), |(name, nth)| (name, nth.parse::<usize>().expect("a number") - 1))
}

/// Where the start tag ends (behind `>`).
fn start_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What is between the tags; `None` for an empty element's one tag.
fn inside(text: &str) -> Option<Range<usize>> {
    let start = start_tag(text)?;
    if text[..start].ends_with("/>") { None } else { Some(start..text.rfind("</")?) }
}

impl Tree<'_> {
    /// The whole text.
    pub fn text(&mut self) -> &mut String {
        self.0
    }
    pub fn outer(&self, path: &str) -> Option<String> {
        outer(self.0, path)
    }
    pub fn inner(&self, path: &str) -> Option<String> {
        inner(self.0, path)
    }
    pub fn attribute(&self, path: &str, name: &str) -> Option<String> {
        attribute(self.0, path, name)
    }
    pub fn replace(&mut self, path: &str, by: &str) -> Option<()> {
        let range = range(self.0, path)?;
        self.0.replace_range(range, by);
        Some(())
    }
    pub fn remove(&mut self, path: &str) -> Option<String> {
        let old = self.outer(path)?;
        self.replace(path, "")?;
        Some(old)
    }
    pub fn before(&mut self, path: &str, what: &str) -> Option<()> {
        let range = range(self.0, path)?;
        self.0.insert_str(range.start, what);
        Some(())
    }
    pub fn after(&mut self, path: &str, what: &str) -> Option<()> {
        let range = range(self.0, path)?;
        self.0.insert_str(range.end, what);
        Some(())
    }
    /// Puts something inside the element, first.
    pub fn prepend(&mut self, path: &str, what: &str) -> Option<()> {
        let old = self.open(path)?;
        self.set(path, &format!("{what}{old}"))
    }
    /// Puts something inside the element, last.
    pub fn append(&mut self, path: &str, what: &str) -> Option<()> {
        let old = self.open(path)?;
        self.set(path, &format!("{old}{what}"))
    }
    /// Sets what is between the tags.
    pub fn set(&mut self, path: &str, to: &str) -> Option<()> {
        self.open(path)?;
        let outer = range(self.0, path)?;
        let inner = inside(self.0.get(outer.clone())?)?;
        self.0.replace_range(outer.start + inner.start..outer.start + inner.end, to);
        Some(())
    }
    /// Changes what is between the tags.
    pub fn change(&mut self, path: &str, change: impl FnOnce(&str) -> String) -> Option<()> {
        let old = self.inner(path)?;
        self.set(path, &change(&old))
    }
    /// Makes `<a/>` `<a></a>`, and gives what is between the tags.
    fn open(&mut self, path: &str) -> Option<String> {
        let outer = range(self.0, path)?;
        let text = self.0.get(outer.clone())?;
        if inside(text).is_none() {
            let name: String =
                text[1..].chars().take_while(|c| !c.is_whitespace() && *c != '/' && *c != '>').collect();
            let opened = format!("{}></{name}>", text.strip_suffix("/>")?);
            self.0.replace_range(outer, &opened);
        }
        self.inner(path)
    }
    /// Writes into the start tag, after the name.
    pub fn tag(&mut self, path: &str, what: &str) -> Option<()> {
        let outer = range(self.0, path)?;
        let text = self.0.get(outer.clone())?;
        let name = text.find(|c: char| c.is_whitespace() || c == '/' || c == '>')?;
        self.0.insert_str(outer.start + name, &format!(" {what}"));
        Some(())
    }
    /// Sets an attribute, or adds it.
    pub fn set_attribute(&mut self, path: &str, name: &str, value: &str) -> Option<()> {
        self.remove_attribute(path, name);
        self.tag(path, &format!("{name}=\"{value}\""))
    }
    /// Removes an attribute.
    pub fn remove_attribute(&mut self, path: &str, name: &str) -> Option<()> {
        let range = {
            let document = parse(self.0)?;
            let attribute = find(&document, path)?.attributes().find(|a| a.name() == name)?;
            attribute.range()
        };
        self.0.replace_range(range.start.saturating_sub(1)..range.end, "");
        Some(())
    }
}
