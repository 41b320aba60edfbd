//! All readers see the same in whatever passes: the tree that is read, and both verifiers.

use super::super::support::{Signature, sign};
use super::super::{open::verify_root_now, xml};
use super::*;
use proptest::prelude::*;

/// An element with declarations, attributes and text of every kind that passes.
fn element() -> impl Strategy<Value = String> {
    let uri = prop_oneof![Just("urn:x"), Just("urn:y"), Just("http://z.example/?a=b#c"), Just("urn:oasis:x")];
    let declaration = prop_oneof![
        (prop_oneof![Just("xmlns"), Just("xmlns:p"), Just("xmlns:q"), Just("xmlns:saml")], uri)
            .prop_map(|(name, uri)| (name.to_owned(), uri.to_owned())),
        Just(("xmlns".to_owned(), String::new())),
    ];
    let value = prop_oneof![
        "[ a-z\t\n\r'é\u{10000}]{0,6}",
        Just("&lt;&gt;&amp;&quot;&apos;".to_owned()),
        Just("&#9;&#10;&#13;&#x20;&#xA0;&#x85;&#x2028;".to_owned()),
        Just("  a \r\n b\r".to_owned()),
        Just(">".to_owned()),
    ];
    let attribute = (
        prop_oneof![
            Just("a"),
            Just("B"),
            Just("p:c"),
            Just("q:d"),
            Just("xml:lang"),
            Just("xml:space"),
            Just("p:a")
        ],
        value.clone(),
    )
        .prop_map(|(name, value)| (name.to_owned(), value));
    let name = prop_oneof![Just("e"), Just("p:e"), Just("q:f"), Just("saml:g"), Just("_h.i-j")];
    let start = (name, prop::collection::vec(declaration, 0..4), prop::collection::vec(attribute, 0..4))
        .prop_map(|(name, declarations, attributes)| {
            let mut tag = name.to_owned();
            let mut seen = std::collections::BTreeSet::new();
            let mut locals = std::collections::BTreeSet::new();
            for (key, value) in declarations {
                if seen.insert(key.clone()) {
                    tag.push_str(&format!(" {key}=\"{value}\""));
                }
            }
            for (key, value) in attributes {
                let local = key.rsplit(':').next().unwrap_or_default().to_owned();
                if locals.insert(local) {
                    tag.push_str(&format!("\n {key} = \"{value}\""));
                }
            }
            (name.to_owned(), tag)
        });
    let leaf = (start.clone(), value.clone()).prop_map(|((name, tag), text)| {
        let text = text.replace("]]>", "");
        if text.is_empty() { format!("<{tag} />") } else { format!("<{tag}>{text}</{name}\n>") }
    });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        (start.clone(), prop::collection::vec((value.clone(), inner), 1..4)).prop_map(
            |((name, tag), inside)| {
                let inside: String = inside.into_iter().map(|(text, element)| text + &element).collect();
                format!("<{tag}>{inside}</{name}>")
            },
        )
    })
}

/// Everything that is read of a tree: names, attributes, texts, in order.
fn everything(node: roxmltree::Node<'_, '_>) -> Vec<String> {
    let mut all = Vec::new();
    for node in node.descendants() {
        if node.is_element() {
            // No namespace, and the one that `xmlns=""` takes away again.
            let namespace = node.tag_name().namespace().unwrap_or_default();
            all.push(format!("<{namespace} {}", node.tag_name().name()));
            let mut attributes: Vec<_> = node
                .attributes()
                .map(|a| format!("@{:?} {:?}={:?}", a.namespace(), a.name(), a.value()))
                .collect();
            attributes.sort();
            all.extend(attributes);
        } else if let Some(text) = node.text() {
            all.push(format!("{text:?}"));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// Both verifiers take the same bytes for signed, and these bytes say what the message said.
    #[test]
    fn what_is_read_is_what_was_signed(inside in element(), prefixes in "(#default )?(p )?(q )?(saml )?(none)?") {
        let text = format!(
            "<m:Any xmlns:m=\"urn:m\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" xmlns:saml=\"urn:s\" xmlns=\"urn:d\" ID=\"_a\">{inside}</m:Any>"
        );
        prop_assert!(xml::parse(&text).is_ok(), "{} {:?}", text, xml::parse(&text).err());
        let signature = Signature { inclusive: prefixes.trim().to_owned(), ..Signature::by(Key::p256()) };
        // The signer is no reader of the text as it came.
        let signed = sign(&xml::normal(&text, &xml::MESSAGE).unwrap(), &signature);
        let signed = signed.replace("</m:Any>", "</m:Any>\r\n");
        let trust = trust(&[Key::p256()]);
        let read = verify_root_now(signed.as_bytes(), &xml::MESSAGE, ("urn:m", "Any"), &trust);
        prop_assert!(read.is_ok(), "{}\n{}", read.unwrap_err().for_operator(), signed);
        let read = read.unwrap();
        let (before, after) = (xml::parse(&text).unwrap(), xml::parse(&read).unwrap());
        prop_assert_eq!(everything(before.root_element()), everything(after.root_element()), "{}\n{}", text, read);
    }
}
