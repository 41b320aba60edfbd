//! The text of a message: nothing in it that readers could see differently, and nothing endless.

use crate::bench::{Bench, as_it_is, response_signed};
use crate::saml::{Key, edit};
use crate::wrapping::each;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

#[tokio::test]
async fn saml_026_comments_in_the_name() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.xml.comment",
        &["comment in the NameID", "comment somewhere", "comment after the end"],
    )
    .await;
    // the provider's own signature does not cover comments (exclusive C14N), so it holds with and without
    bench
        .refuses("saml.xml.comment", |script| {
            script.assertion.name_id.as_mut().unwrap().value = "admin@x.test<!---->.evil.test".to_owned();
        })
        .await;
    for attribute in 0..3 {
        bench
            .refuses("saml.xml.comment", |script| {
                script.assertion.attributes[attribute].values[0].insert_str(2, "<!-- -->");
            })
            .await;
    }
}

#[tokio::test]
async fn saml_027_instructions_and_sections_in_values() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.xml.content",
        &["processing instruction in the NameID", "processing instruction before", "section in the NameID"],
    )
    .await;
    for cut in ["<?x?>", "<![CDATA[]]>"] {
        bench
            .refuses("saml.xml.content", |script| {
                script.assertion.name_id.as_mut().unwrap().value.insert_str(3, cut);
            })
            .await;
        bench
            .refuses("saml.xml.content", |script| {
                script.assertion.conditions.as_mut().unwrap().audiences[0][0].insert_str(9, cut);
            })
            .await;
        bench
            .refuses("saml.xml.content", |script| {
                script.assertion.issuer.as_mut().unwrap().insert_str(9, cut)
            })
            .await;
    }
}

#[tokio::test]
async fn saml_029_entity_references() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.xml.doctype", &["doctype", "doctype with an entity"]).await;
    bench
        .refuses_forged("saml.xml.doctype", as_it_is, |xml| {
            edit(xml, |tree| tree.set("Response/Assertion/Subject/NameID", "&undeclared;"))
                .unwrap_or_default();
            *xml = xml.replace("alice-persistent", "&undeclared;");
        })
        .await;
    // predefined names and character references are text, and only that
    let vouched = bench
        .accepts(|script| script.assertion.name_id.as_mut().unwrap().value = "a&amp;b&#x41;".to_owned())
        .await;
    assert!(format!("{:?}", vouched.identity).contains("a&bA"), "{:?}", vouched.identity);
}

#[tokio::test]
async fn saml_030_billion_laughs() {
    let bench = Bench::new();
    let mut laughs = "<!DOCTYPE x [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        laughs.push_str(&format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10)));
    }
    laughs.push_str("]>");
    let quadratic = format!("<!DOCTYPE x [<!ENTITY a \"{}\">]>", "a".repeat(50_000));
    for (doctype, reference) in [(laughs, "&a29;".to_owned()), (quadratic, "&a;".repeat(10_000))] {
        bench
            .refuses_forged("saml.xml.doctype", as_it_is, |xml| {
                *xml = format!("{doctype}{}", xml.replace("alice-persistent", &reference));
            })
            .await;
    }
}

#[tokio::test]
async fn saml_031_external_entities() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.xml.doctype", &["doctype with the canary"]).await;
    let canary = bench.canary.origin.clone();
    for system in ["file:///etc/passwd".to_owned(), format!("{canary}/x"), "\\\\127.0.0.1\\x".to_owned()] {
        for doctype in [
            format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"{system}\">]>"),
            format!("<!DOCTYPE x [<!ENTITY % e SYSTEM \"{system}\"> %e;]>"),
            format!("<!DOCTYPE x PUBLIC \"-//x//y\" \"{system}\" [<!ENTITY e \"x\">]>"),
        ] {
            bench
                .refuses_forged("saml.xml.doctype", as_it_is, |xml| {
                    *xml =
                        format!("<?xml version=\"1.0\"?>{doctype}{}", xml.replace("alice-persistent", "&e;"));
                })
                .await;
        }
    }
}

#[tokio::test]
async fn saml_033_void_canonicalisation() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.c14n.failed", &["relative namespace", "relative namespace in the response"])
        .await;
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    each(
        &bench,
        response_signed,
        "saml.c14n.failed",
        &["relative namespace", "relative namespace in the response"],
    )
    .await;
    // a digest of the empty string, as the golden void has it
    let void = STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"").as_ref());
    bench
        .refuses_forged("saml.c14n.failed", response_signed, |xml| {
            edit(xml, |tree| {
                tree.set("Response/Signature/SignedInfo/Reference/DigestValue", &void)?;
                tree.tag("Response", "xmlns:ns=\"1\"")
            })
            .unwrap();
        })
        .await;
    for namespace in ["", "1", "../x", "//x/y", "?x", "#x", "x y:z", ":x"] {
        println!("{namespace}");
        bench
            .refuses_forged("saml.c14n.failed", response_signed, |xml| {
                edit(xml, |tree| tree.tag("Response/Status", &format!("xmlns:ns=\"{namespace}\"")))
                    .unwrap_or_else(|| {
                        *xml = xml.replacen(
                            "<samlp:Status>",
                            &format!("<samlp:Status xmlns:ns=\"{namespace}\">"),
                            1,
                        );
                    });
            })
            .await;
    }
}

#[tokio::test]
async fn saml_034_attributes_of_the_same_local_name() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.xml.attribute", &["id in another namespace", "xml:id"]).await;
    for extra in [
        r#"xmlns:x="urn:x" x:id="_e""#,
        r#"xmlns:x="urn:x" x:Id="_e""#,
        r#"xmlns:x="urn:x" x:Version="2.0""#,
        r#"xmlns:x="urn:x" xmlns:y="urn:x" x:a="1" y:a="2""#,
        r#"xmlns:x="urn:x" xmlns:y="urn:y" x:a="1" y:a="2""#,
        r#"xmlns:x="urn:x" x:AssertionID="_e""#,
    ] {
        println!("{extra}");
        bench
            .refuses_forged("saml.xml.attribute", as_it_is, |xml| {
                *xml = xml.replacen("<samlp:Response", &format!("<samlp:Response {extra}"), 1);
            })
            .await;
    }
    // the provider itself signs it
    bench
        .refuses("saml.xml.attribute", |script| {
            script.assertion.tag = r#" xmlns:x="urn:x" x:ID="_e""#.to_owned()
        })
        .await;
}

#[tokio::test]
async fn saml_035_what_changes_when_it_is_written_again() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.xml.malformed",
        &["colons in a name", "text after", "second root", "truncated"],
    )
    .await;
    for (from, to) in [
        ("<samlp:Status>", "<samlp:Status x='1' x='2'>"),
        ("<samlp:Status>", "<samlp:Status x=1>"),
        ("<samlp:Status>", "<samlp:Status :x=\"1\">"),
        ("<samlp:Status>", "<samlp:Status x:=\"1\">"),
        ("<samlp:Status>", "<:Status>"),
        ("</samlp:Status>", "</saml:Status>"),
        ("<samlp:Status>", "<samlp:Status xmlns:xmlns=\"urn:x\">"),
        ("<samlp:Status>", "<samlp:Status xmlns:xml=\"urn:x\">"),
        ("<samlp:Status>", "<samlp:Status xmlns:x=\"http://www.w3.org/XML/1998/namespace\">"),
        ("<samlp:Status>", "<samlp:Status>]]>"),
        ("<samlp:Status>", "<samlp:Status>&#0;"),
        ("<samlp:Status>", "<samlp:Status>&#xD800;"),
        ("<samlp:Status>", "<samlp:Status>\u{1}"),
        ("<samlp:Status>", "<samlp:Status a=\"<\">"),
        ("<samlp:Status>", "<samlp:Status unbound:a=\"1\">"),
        ("<samlp:Status>", "<unbound:a/><samlp:Status>"),
        ("<samlp:Status>", "<samlp:Status>&amp"),
    ] {
        println!("{to:?}");
        let reason = if to.contains("x='2'") { "saml.xml.attribute" } else { "saml.xml.malformed" };
        bench.refuses_forged(reason, as_it_is, |xml| *xml = xml.replacen(from, to, 1)).await;
    }
    // directives of a document type, the ones behind the round-trip bugs
    for directive in ["<!x>", "<!ENTITY x 'y'>", "<!-->", "<![x[y]]>"] {
        let (outcome, trace) = bench
            .sign_in(as_it_is, |message| {
                message.xml =
                    message.xml.replacen("<samlp:Status>", &format!("{directive}<samlp:Status>"), 1);
            })
            .await;
        let reason = outcome.as_ref().expect_err("accepted").reason;
        assert!(
            ["saml.xml.doctype", "saml.xml.comment", "saml.xml.malformed"].contains(&reason),
            "{directive}: {reason}"
        );
        bench.refused(outcome, &trace, reason);
    }
}

#[tokio::test]
async fn saml_037_encodings() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.xml.encoding", &["declaration of another encoding"]).await;
    let encoders: &[(&str, fn(&str) -> Vec<u8>)] = &[
        ("utf-16 be with mark", |xml| {
            [vec![0xfe, 0xff], xml.encode_utf16().flat_map(u16::to_be_bytes).collect()].concat()
        }),
        ("utf-16 le", |xml| xml.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16 be", |xml| xml.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("byte order mark", |xml| [&[0xef, 0xbb, 0xbf], xml.as_bytes()].concat()),
        ("overlong slash", |xml| {
            let at = xml.find("alice-").unwrap();
            [&xml.as_bytes()[..at], &[0xc0, 0xaf], &xml.as_bytes()[at..]].concat()
        }),
        ("lone continuation", |xml| [xml.as_bytes(), &[0x80]].concat()),
        ("surrogate", |xml| {
            let at = xml.find("alice-").unwrap();
            [&xml.as_bytes()[..at], &[0xed, 0xa0, 0x80], &xml.as_bytes()[at..]].concat()
        }),
        ("utf-16 declared", |xml| format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{xml}").into_bytes()),
        ("latin-1 declared", |xml| {
            format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{xml}").into_bytes()
        }),
        ("xml 1.1", |xml| format!("<?xml version=\"1.1\"?>{xml}").into_bytes()),
    ];
    for (name, encode) in encoders {
        println!("{name}");
        bench
            .refuses_message("saml.xml.encoding", as_it_is, |message| {
                message.wire = Some(STANDARD.encode(encode(&message.xml)));
            })
            .await;
    }
    // the declaration that providers write is as good as none
    for declaration in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<?xml version='1.0' encoding='utf-8' standalone='no' ?>",
    ] {
        bench.accepts_message(as_it_is, |message| message.xml.insert_str(0, declaration)).await;
    }
}

#[tokio::test]
async fn saml_038_xinclude_and_base() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.xml.content", &["xinclude", "xml:base"]).await;
    let include = format!(
        r#"<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}/x" parse="text"/>"#,
        bench.canary.origin
    );
    bench
        .refuses("saml.xml.content", |script| script.assertion.attributes[0].values[0] = include.clone())
        .await;
    bench
        .refuses("saml.xml.content", |script| {
            script.assertion.tag = r#" xml:base="http://evil.example/""#.to_owned();
        })
        .await;
}

#[tokio::test]
async fn nothing_of_a_schema_is_fetched() {
    let bench = Bench::new();
    let world = crate::wrapping::world(&bench);
    // such a hint may stand there; it means nothing
    bench
        .accepts_message(as_it_is, |message| {
            assert!(crate::saml::mutations::mutate("schemaLocation", &mut message.xml, &world));
        })
        .await;
}

#[tokio::test]
async fn saml_039_loose_base64() {
    let bench = Bench::new();
    let changes: &[(&str, fn(&str) -> String)] = &[
        ("url-safe", |xml| URL_SAFE.encode(format!("{xml}<?>>>??>"))),
        ("no padding", |xml| STANDARD_NO_PAD.encode(format!("{xml}{}", " ".repeat(2 - xml.len() % 3 % 2)))),
        ("more padding", |xml| format!("{}====", STANDARD.encode(xml))),
        ("rubbish behind", |xml| format!("{}!", STANDARD.encode(xml))),
        ("text behind the padding", |xml| format!("{}QUJD", STANDARD.encode(pad(xml, 1)))),
        ("a nul", |xml| format!("{}\0", STANDARD.encode(xml))),
        ("percent escapes", |xml| STANDARD.encode(xml).replace('=', "%3D") + "%20"),
        ("the xml itself", str::to_owned),
        ("no-break space", |xml| STANDARD.encode(xml) + "\u{a0}"),
        ("unused bits set", |xml| {
            let mut text = STANDARD.encode(pad(xml, 1));
            let at = text.trim_end_matches('=').len() - 1;
            text.replace_range(at..=at, "h");
            text
        }),
    ];
    for (name, change) in changes {
        println!("{name}");
        let (outcome, trace) =
            bench.sign_in(as_it_is, |message| message.wire = Some(change(&message.xml))).await;
        bench.refused(outcome, &trace, "saml.encoding");
    }
    // lines, as many providers break them
    bench
        .accepts_message(as_it_is, |message| {
            let text = STANDARD.encode(&message.xml);
            let lines: Vec<&str> =
                text.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).unwrap()).collect();
            message.wire = Some(format!(" {}\r\n\t", lines.join("\r\n")));
        })
        .await;
}

/// The text with blanks at its end, so that its Base64 has so many `=`.
fn pad(xml: &str, equals: usize) -> String {
    let mut text = xml.to_owned();
    while !STANDARD.encode(&text).ends_with(&"=".repeat(equals))
        || STANDARD.encode(&text).ends_with(&"=".repeat(equals + 1))
    {
        text.push(' ');
    }
    text
}

#[tokio::test]
async fn saml_101_very_many_attributes_or_namespaces() {
    let bench = Bench::new();
    // within the bytes that a message may have, and far beyond them
    for count in [40, 1_000, 10_000] {
        let attributes: String = (0..count).map(|n| format!(" a{n}=\"\"")).collect();
        let namespaces: String = (0..count).map(|n| format!(" xmlns:n{n}=\"urn:n\"")).collect();
        for many in [attributes, namespaces] {
            if count == 40 && many.contains("xmlns") {
                continue;
            }
            bench
                .refuses_forged("saml.xml.limits", as_it_is, |xml| {
                    *xml = xml.replacen("<samlp:Status>", &format!("<samlp:Status{many}>"), 1);
                })
                .await;
        }
    }
}

#[tokio::test]
async fn saml_102_deep_nesting() {
    let bench = Bench::new();
    for depth in [40, 10_000, 100_000] {
        bench
            .refuses_forged("saml.xml.limits", as_it_is, |xml| {
                *xml = xml.replacen("<samlp:Status>", &"<a>".repeat(depth), 1);
            })
            .await;
        bench
            .refuses_forged("saml.xml.limits", as_it_is, |xml| {
                let nested = format!("{}x{}<samlp:Status>", "<a>".repeat(depth), "</a>".repeat(depth));
                *xml = xml.replacen("<samlp:Status>", &nested, 1);
            })
            .await;
    }
    bench
        .refuses_forged("saml.xml.limits", as_it_is, |xml| {
            *xml = xml.replacen("<samlp:Status>", &format!("{}<samlp:Status>", "<a/>".repeat(20_000)), 1);
        })
        .await;
}

#[tokio::test]
async fn a_large_but_usual_message_is_read() {
    let bench = Bench::new();
    bench
        .accepts(|script| {
            script.assertion.attributes[2].values = (0..2_000).map(|n| format!("group-{n}")).collect();
        })
        .await;
}

#[tokio::test]
async fn blanks_around_the_message_mean_nothing() {
    let bench = Bench::new();
    let world = crate::wrapping::world(&bench);
    for name in [
        "blank after",
        "blanks in a tag",
        "crlf in the response",
        "other prefix declared",
        "default namespace declared",
    ] {
        println!("{name}");
        bench
            .accepts_message(as_it_is, |message| {
                assert!(crate::saml::mutations::mutate(name, &mut message.xml, &world));
            })
            .await;
    }
}
