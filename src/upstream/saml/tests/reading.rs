//! All readers see the same in whatever passes: the tree that is read, and both verifiers.

use super::super::open::Envelope;
use super::super::support::{Encryption, Signature, sign};
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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

/// Messages to begin with, signed once.
fn sound() -> &'static [String] {
    static SOUND: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
        let mut all = Vec::new();
        for signed in [(true, false), (false, true), (true, true)] {
            for encrypt in [None, Some(Encryption::to(Key::service().der()))] {
                let mut script = script();
                script.signed(signed.0, signed.1);
                script.encrypt = encrypt;
                all.push(script.xml());
            }
        }
        all
    });
    &SOUND
}

/// What is read of a message in the end.
fn read(text: &[u8]) -> Result<(Option<String>, Envelope), Failure> {
    Ok(match open_now(text, &trust(&[Key::rsa()]), &encrypted::service())? {
        Answer::Opened(opened) => (Some(opened.assertion), opened.response),
        Answer::Declined(envelope) => (None, envelope),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes that are changed, left out, doubled or put elsewhere: a refusal with a reason, or the same claims.
    #[test]
    fn a_changed_message_says_the_same_or_nothing(
        which in 0usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..200, any::<prop::sample::Index>(), any::<u8>(), 0u8..5), 1..4),
    ) {
        let sound = &sound()[which];
        let mut bytes = sound.clone().into_bytes();
        for (at, length, to, byte, how) in changes {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.drain(at..end)),
                2 => { let part = bytes[at..end].to_vec(); let to = to.index(bytes.len()); bytes.splice(to..to, part); }
                3 => { let part: Vec<u8> = bytes.drain(at..end).collect(); let to = to.index(bytes.len() + 1); bytes.splice(to..to, part); }
                _ => bytes.insert(at, byte),
            }
            if bytes.is_empty() { bytes.push(b'<'); }
        }
        let (wanted, envelope) = read(sound.as_bytes()).unwrap();
        if let Ok((assertion, response)) = read(&bytes) {
            prop_assert!(assertion.is_none() || assertion == wanted, "{}", String::from_utf8_lossy(&bytes));
            prop_assert!(!response.signed || response == envelope);
        }
    }

    /// Elements that are moved, doubled or taken out as a whole.
    #[test]
    fn elements_in_other_places_say_the_same_or_nothing(
        which in 0usize..6,
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..4),
    ) {
        let sound = &sound()[which];
        let mut text = sound.clone();
        for (from, to, keep) in moves {
            let ranges: Vec<_> = {
                let Ok(document) = roxmltree::Document::parse(&text) else { break };
                document.descendants().filter(roxmltree::Node::is_element).map(|n| n.range()).collect()
            };
            let range = ranges[from.index(ranges.len())].clone();
            let part = text[range.clone()].to_owned();
            let places: Vec<usize> = ranges.iter().flat_map(|r| [r.start, r.end]).filter(|p| !range.contains(p)).collect();
            if places.is_empty() { continue }
            let place = places[to.index(places.len())];
            text.insert_str(place, &part);
            if !keep {
                let start = if place <= range.start { range.start + part.len() } else { range.start };
                text.replace_range(start..start + part.len(), "");
            }
        }
        let (wanted, envelope) = read(sound.as_bytes()).unwrap();
        if let Ok((assertion, response)) = read(text.as_bytes()) {
            prop_assert!(assertion.is_none() || assertion == wanted, "{text}");
            prop_assert!(!response.signed || response == envelope);
        }
    }
}
