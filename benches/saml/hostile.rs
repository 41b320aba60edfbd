//! Messages that cost as much as the bounds let them. Each is made by somebody without the provider's key, unless it
//! says that the provider itself signs it; who has an account there has messages that it signed.

use crate::bench::{Bench, Open};
use crate::saml::{Encryption, Key, KeyInfo, Message, Script, outer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// Bytes that a message may have, and what is left of them beside the usual parts.
const MESSAGE: usize = 256 * 1024;
const ROOM: usize = MESSAGE - 12 * 1024;
/// What is left within an encrypted assertion: it is Base64.
const SEALED: usize = MESSAGE / 4 * 3 - 16 * 1024;

/// One message, and the reason for which it must be refused: separated by `|`, where its size decides which of them.
pub struct Hostile {
    pub name: String,
    pub reason: &'static str,
    /// Whether it is tried where others like it take less memory.
    pub telling: bool,
    pub make: Box<dyn Fn(&Bench, &Open) -> Message>,
}

/// Something large: so many bytes at most.
type Filling = fn(usize) -> String;

/// Of what the provider signs, all is read.
const SIGNED: &str = "saml.audience";

const X: &str = r#"xmlns:x="urn:x""#;

/// Repeats until the bytes are used up, or so many times.
fn repeated(bytes: usize, times: usize, one: impl Fn(usize) -> String) -> String {
    let mut out = String::with_capacity(bytes);
    for n in 0..times {
        let next = one(n);
        if out.len() + next.len() > bytes {
            break;
        }
        out.push_str(&next);
    }
    out
}

/// What the bounds of a message let through of each kind, to the last one.
const FILLINGS: &[(&str, Filling)] = &[
    ("depth", |bytes| {
        let chain = format!("{}{}", "<x:a>".repeat(24), "</x:a>".repeat(24));
        format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 2_900 / 24, |_| chain.clone()))
    }),
    ("elements", |bytes| format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 2_900, |_| "<x:a/>".to_owned()))),
    ("text nodes", |bytes| {
        format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 2_160, |_| "<x:a> t </x:a> t ".to_owned()))
    }),
    ("attributes", |bytes| {
        let names: String = (0..31).fold(String::new(), |mut all, n| {
            let _ = write!(all, " a{n}=\"\"");
            all
        });
        format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 202, |_| format!("<x:a{names}/>")))
    }),
    ("names of attributes", |bytes| {
        // the longest to sort when they are made canonical
        let names: String = (0..31).rev().fold(String::new(), |mut all, n| {
            let _ = write!(all, " {}{n:02}=\"\"", "a".repeat(60));
            all
        });
        format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 202, |_| format!("<x:a{names}/>")))
    }),
    ("namespaces", |bytes| {
        format!(
            "<x:r {X}>{}</x:r>",
            repeated(bytes - 64, 1_245, |n| format!("<n:a xmlns:n=\"urn:{n}\" n:b=\"\"/>"))
        )
    }),
    ("namespaces in scope", |bytes| {
        let scope: String = (0..12).fold(String::new(), |mut all, n| {
            let _ = write!(all, " xmlns:s{n}=\"urn:s{n}\"");
            all
        });
        let one = |n: usize| format!("<s{}:a xmlns:n=\"urn:{}\"/>", n % 12, n % 10);
        format!("<x:r {X}{scope}>{}</x:r>", repeated(bytes - 2_048, 1_245, one))
    }),
    ("namespaces again", |bytes| {
        // the canonical form declares each at each element
        let scope: String = (0..12).fold(String::new(), |mut all, n| {
            let _ = write!(all, " xmlns:s{n}=\"urn:s{n}\"");
            all
        });
        let uses: String = (0..11).fold(String::new(), |mut all, n| {
            let _ = write!(all, " s{n}:a{n}=\"\"");
            all
        });
        format!("<x:r {X}{scope}>{}</x:r>", repeated(bytes - 4_096, 185, |_| format!("<s11:a{uses}/>")))
    }),
    ("namespaces once", |bytes| {
        let uses = repeated(bytes - 1_024, 2_240, |_| "<o:a/>".to_owned());
        format!("<x:r {X} xmlns:o=\"urn:o\">{uses}</x:r>")
    }),
    ("namespaces of both kinds", |bytes| {
        let scope: String = (0..12).fold(String::new(), |mut all, n| {
            let _ = write!(all, " xmlns:s{n}=\"urn:s{n}\"");
            all
        });
        let again = |n: usize| if n < 1_000 { format!(" s{}:b=\"\"", n % 12) } else { String::new() };
        let one = |n: usize| format!("<n:a xmlns:n=\"urn:{}\" n:c=\"\"{}/>", n % 10, again(n));
        format!("<x:r {X}{scope}>{}</x:r>", repeated(bytes - 4_096, 1_235, one))
    }),
    ("long namespaces", |bytes| {
        // declared once, and written at each element that uses them when it is made canonical
        let long = "a".repeat(248);
        let scope: String = (0..12).fold(String::new(), |mut all, n| {
            let _ = write!(all, " xmlns:l{n}=\"urn:{n}{long}\"");
            all
        });
        let uses: String = (0..11).fold(String::new(), |mut all, n| {
            let _ = write!(all, " l{n}:a{n}=\"\"");
            all
        });
        let one = format!("<l11:a{uses}/>");
        let times = (bytes - 4_096) / (one.len() + 12 * 270);
        format!("<x:r {X}{scope}>{}</x:r>", one.repeat(times))
    }),
    ("everything", |bytes| {
        let more = |n: usize| if n < 500 { " c=\"\"" } else { "" };
        let one = |n: usize| format!("<n:a xmlns:n=\"urn:{}\" b=\"\"{}>t</n:a>", n % 10, more(n));
        format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 1_235, one))
    }),
    ("text", |bytes| format!("<x:r {X}>{}</x:r>", "a".repeat(bytes - 64))),
    // these become references when they are made canonical
    ("text that grows", |bytes| {
        let growing = ">".repeat(8_100);
        format!("<x:r {X}>{growing}{}</x:r>", "a".repeat(bytes - 64 - growing.len() * 4))
    }),
    ("a value that grows", |bytes| {
        let growing = "\"".repeat(8_100);
        format!("<x:r {X} a='{growing}{}'/>", "a".repeat(bytes - 64 - growing.len() * 6))
    }),
    ("references", |bytes| {
        let references = "&lt;".repeat(8_100);
        format!("<x:r {X}>{references}{}</x:r>", "a".repeat(bytes - 64 - references.len()))
    }),
    ("ends of lines", |bytes| format!("<x:r {X}>{}</x:r>", "\r\n".repeat(bytes / 2 - 64))),
    ("white space in values", |bytes| {
        let values: String = (0..31).fold(String::new(), |mut all, n| {
            let _ = write!(all, " a{n}=\"\t\"");
            all
        });
        format!("<x:r {X}>{}</x:r>", repeated(bytes - 64, 202, |_| format!("<x:a{values}/>")))
    }),
];

/// Those that take the most memory.
const TELLING: [&str; 4] = ["elements", "everything", "text that grows", "a value that grows"];

/// A message of the provider's for another request: whoever has an account there can have it signed.
fn another(bench: &Bench, open: &Open) -> Script {
    let mut script = bench.script(open);
    script.response.in_response_to = Some("_another".to_owned());
    for confirmation in &mut script.assertion.confirmations {
        confirmation.in_response_to = Some("_another".to_owned());
    }
    script
}

fn message(xml: String) -> Message {
    assert!(xml.len() <= MESSAGE, "{} bytes are refused for their number alone", xml.len());
    Message::new(xml, "csst_state")
}

fn extensions(filling: &str) -> String {
    format!("<samlp:Extensions>{filling}</samlp:Extensions>")
}

fn advice(filling: &str) -> String {
    format!("<saml:Advice>{filling}</saml:Advice>")
}

/// Puts it where the signature of the assertion covers it, which then no longer holds.
fn within(assertion: &str, filling: &str) -> String {
    let end = "</saml:Conditions>";
    assert!(assertion.contains(end));
    assertion.replacen(end, &format!("{end}{}", advice(filling)), 1)
}

/// Each filling in one place.
fn filled(
    place: &'static str,
    reason: &'static str,
    make: fn(&Bench, &Open, Filling) -> Message,
) -> impl Iterator<Item = Hostile> {
    // whom we have sign here, signs a tab in a value as it stands, which no reader of XML does
    let apart = if reason == SIGNED { "white space in values" } else { "" };
    FILLINGS.iter().filter(move |(what, _)| *what != apart).map(move |(what, filling)| Hostile {
        name: format!("{what}, {place}"),
        reason,
        telling: TELLING.contains(what),
        make: Box::new(move |bench, open| make(bench, open, *filling)),
    })
}

fn one(name: &str, reason: &'static str, make: impl Fn(&Bench, &Open) -> Message + 'static) -> Hostile {
    Hostile { name: name.to_owned(), reason, telling: true, make: Box::new(make) }
}

/// What travels instead of Base64 of XML.
fn wire(name: &str, reason: &'static str, make: fn() -> String) -> Hostile {
    one(name, reason, move |_, _| Message {
        xml: String::new(),
        wire: Some(make()),
        relay_state: "csst_state".to_owned(),
    })
}

/// A sound message with one place changed.
fn changed(name: &str, reason: &'static str, change: fn(&str) -> String) -> Hostile {
    one(name, reason, move |bench, open| message(change(&bench.script(open).xml())))
}

/// A signature of which one part is large.
fn key_info(name: &str, reason: &'static str, inside: fn() -> String) -> Hostile {
    one(name, reason, move |bench, open| {
        let mut script = another(bench, open);
        script.sign_assertion.as_mut().expect("a signature").key_info = KeyInfo::Raw(inside());
        message(script.xml())
    })
}

fn certificates(count: usize) -> String {
    let one = format!("<ds:X509Certificate>{}</ds:X509Certificate>", Key::attacker().b64());
    format!("<ds:X509Data>{}</ds:X509Data>", repeated(ROOM, count, |_| one.clone()))
}

/// All of them.
pub fn all() -> Vec<Hostile> {
    let mut all: Vec<Hostile> = Vec::new();
    all.extend(filled("beside a genuine assertion", "saml.in_response_to", |bench, open, filling| {
        let mut script = another(bench, open);
        script.response.extensions = extensions(&filling(ROOM));
        message(script.xml())
    }));
    all.extend(filled("in an assertion", "saml.sig.invalid", |bench, open, filling| {
        message(within(&bench.script(open).xml(), &filling(ROOM)))
    }));
    all.extend(filled("in a signed response", "saml.sig.invalid", |bench, open, filling| {
        let mut script = bench.script(open);
        script.signed(true, true);
        let status = "<samlp:Status>";
        let filled = format!("{}{status}", extensions(&filling(ROOM)));
        message(script.xml().replacen(status, &filled, 1))
    }));
    all.extend(filled("encrypted", "saml.sig.invalid", |bench, open, filling| {
        let script = bench.script(open);
        let assertion = within(&script.sealed_assertion(), &filling(SEALED));
        message(script.response.xml(&Encryption::to(Key::service().der()).assertion(&assertion)))
    }));
    all.extend(filled("signed by the provider", SIGNED, |bench, open, filling| {
        let mut script = bench.script(open);
        script.signed(true, true);
        script.assertion.conditions.as_mut().expect("conditions").audiences =
            vec![vec!["https://other.example".to_owned()]];
        script.assertion.advice = advice(&filling(ROOM));
        message(script.xml())
    }));
    all.extend(filled("signed and encrypted by the provider", SIGNED, |bench, open, filling| {
        let mut script = bench.script(open);
        script.signed(true, true);
        script.assertion.conditions.as_mut().expect("conditions").audiences =
            vec![vec!["https://other.example".to_owned()]];
        script.assertion.advice = advice(&filling(SEALED));
        script.encrypt = Some(Encryption::to(Key::service().der()));
        message(script.xml())
    }));
    all.extend(rubbish());
    all.extend(signatures());
    all
}

/// What is no message at all.
fn rubbish() -> Vec<Hostile> {
    vec![
        wire("a megabyte of letters", "saml.xml.limits", || "A".repeat(1024 * 1024)),
        wire("Base64 of 256 KiB that are no text", "saml.xml.encoding", || {
            STANDARD.encode(vec![0xff; MESSAGE])
        }),
        wire("Base64 of 256 KiB of text", "saml.xml.malformed", || STANDARD.encode("a".repeat(MESSAGE))),
        wire("Base64 that ends badly", "saml.encoding", || format!("{}!", "A".repeat(MESSAGE / 3 * 4))),
        wire("white space", "saml.xml.malformed", || " ".repeat(MESSAGE / 3 * 4)),
        wire("Base64 of `<`", "saml.xml.malformed", || STANDARD.encode("<".repeat(MESSAGE))),
        wire("Base64 of a tag without end", "saml.xml.malformed", || {
            STANDARD.encode(format!("<a {}", "a ".repeat(MESSAGE / 2 - 2)))
        }),
        wire("Base64 of a value without end", "saml.xml.malformed", || {
            STANDARD.encode(format!("<a b=\"{}", "'".repeat(MESSAGE - 6)))
        }),
        wire("Base64 of `&`", "saml.xml.limits", || {
            STANDARD.encode(format!("<a>{}", "&".repeat(MESSAGE - 3)))
        }),
        wire("deeper than may be", "saml.xml.limits", || STANDARD.encode("<a>".repeat(MESSAGE / 3))),
        wire("entities of entities", "saml.xml.doctype", || {
            let mut xml = "<!DOCTYPE x [<!ENTITY a0 \"aaaaaaaaaa\">".to_owned();
            for n in 1..3_000 {
                let _ = write!(xml, "<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(8));
            }
            STANDARD.encode(xml + "]><x>&a2999;</x>")
        }),
        wire("a name as long as a message", "saml.xml.malformed", || {
            STANDARD.encode(format!("<{}", "a".repeat(MESSAGE - 1)))
        }),
    ]
}

/// What plays with signatures, references, keys and identifiers.
fn signatures() -> Vec<Hostile> {
    vec![
        changed("thousands of identifiers", "saml.sig.invalid", |xml| {
            let ids = repeated(ROOM, 2_900, |n| format!("<x:a ID=\"_{n:030}\"/>"));
            within(xml, &format!("<x:r {X}>{ids}</x:r>"))
        }),
        changed("hundreds of signatures", "saml.sig.wrapped", |xml| {
            let signature = outer(xml, "Response/Assertion/Signature").expect("a signature");
            let many = repeated(ROOM, 400, |_| signature.clone());
            xml.replacen("<samlp:Status>", &format!("{}<samlp:Status>", extensions(&many)), 1)
        }),
        changed("a signature many times", "saml.sig.count", |xml| {
            let signature = outer(xml, "Response/Assertion/Signature").expect("a signature");
            xml.replacen(&signature, &repeated(ROOM, 400, |_| signature.clone()), 1)
        }),
        changed("thousands of references", "saml.sig.references", |xml| {
            let reference = outer(xml, "Response/Assertion/Signature/SignedInfo/Reference").expect("one");
            xml.replacen(&reference, &repeated(ROOM, 480, |_| reference.clone()), 1)
        }),
        changed("thousands of transforms", "saml.transform", |xml| {
            let path = "Response/Assertion/Signature/SignedInfo/Reference/Transforms";
            let inside = crate::saml::inner(xml, path).expect("transforms");
            xml.replacen(&inside, &repeated(ROOM, 1_400, |_| inside.clone()), 1)
        }),
        changed("hundreds of assertions", "saml.assertion.count", |xml| {
            let bare = "<saml:Assertion ID=\"_NUMBER\"/>";
            let many = repeated(ROOM, 2_150, |n| bare.replace("NUMBER", &n.to_string()));
            xml.replacen("</samlp:Response>", &format!("{many}</samlp:Response>"), 1)
        }),
        changed("an audience many times", "saml.sig.invalid", |xml| {
            let one = "<saml:Audience>https://other.example</saml:Audience>";
            xml.replacen(
                "<saml:Audience>",
                &format!("{}<saml:Audience>", repeated(ROOM, 2_800, |_| one.to_owned())),
                1,
            )
        }),
        key_info("as many certificates as fit", "saml.in_response_to", || certificates(usize::MAX)),
        key_info("a certificate as large as fits", "saml.in_response_to", || {
            let large = STANDARD.encode(vec![0x30; ROOM / 4 * 3]);
            format!("<ds:X509Data><ds:X509Certificate>{large}</ds:X509Certificate></ds:X509Data>")
        }),
        key_info("an RSA key as large as fits", "saml.in_response_to", || {
            let modulus = STANDARD.encode(vec![0xff; ROOM / 4 * 3 - 1_024]);
            format!(
                "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus>\
                 <ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
            )
        }),
        key_info("thousands of names of keys", "saml.in_response_to", || {
            repeated(ROOM, 2_900, |n| format!("<ds:KeyName>{n}</ds:KeyName>"))
        }),
        key_info("thousands of keys", "saml.in_response_to", || {
            let one = "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>/////w==</ds:Modulus>\
                       <ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>";
            repeated(ROOM, 720, |_| one.to_owned())
        }),
        one("a signature's value as large as fits", "saml.sig.invalid", |bench, open| {
            let xml = bench.script(open).xml();
            let value = crate::saml::inner(&xml, "Response/Assertion/Signature/SignatureValue").expect("one");
            message(xml.replacen(&value, &STANDARD.encode(vec![1; ROOM / 4 * 3]), 1))
        }),
        one("prefixes that canonicalisation keeps", "saml.in_response_to", |bench, open| {
            let mut script = another(bench, open);
            let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
            script.sign_assertion.as_mut().expect("a signature").inclusive = names.join(" ");
            script.assertion.tag = names.iter().fold(String::new(), |mut all, name| {
                let _ = write!(all, " xmlns:{name}=\"urn:{name}\"");
                all
            });
            script.assertion.advice = advice(&FILLINGS[1].1(ROOM));
            message(script.xml())
        }),
        one("many encrypted keys", "saml.enc.malformed", |bench, open| {
            let mut script = bench.script(open);
            script.encrypt = Some(Encryption::to(Key::service().der()));
            let xml = script.xml();
            let start = xml.find("<xenc:EncryptedKey").expect("a key");
            let end = xml.find("</xenc:EncryptedKey>").expect("a key") + "</xenc:EncryptedKey>".len();
            let key = xml[start..end].to_owned();
            message(xml.replacen(&key, &repeated(ROOM - xml.len(), 400, |_| key.clone()), 1))
        }),
        one("many encrypted assertions", "saml.assertion.count", |bench, open| {
            let mut script = bench.script(open);
            script.encrypt = Some(Encryption::to(Key::service().der()));
            let sealed = script.sealed_assertion();
            message(script.response.xml(&repeated(ROOM, 100, |_| sealed.clone())))
        }),
        one("encrypted rubbish", "saml.enc.failed", |bench, open| {
            let script = bench.script(open);
            let sealed = Encryption::to(Key::service().der()).bytes(&vec![b'<'; SEALED]);
            let assertion = format!("<saml:EncryptedAssertion>{sealed}</saml:EncryptedAssertion>");
            message(script.response.xml(&assertion))
        }),
        one("encrypted for somebody else", "saml.enc.failed", |bench, open| {
            let mut script = bench.script(open);
            script.encrypt = Some(Encryption::to(Key::attacker().der()));
            script.assertion.advice = advice(&FILLINGS[12].1(SEALED));
            message(script.xml())
        }),
    ]
}
