use super::*;
use proptest::prelude::*;

fn reason(text: &str) -> Option<&'static str> {
    parse(text).err().map(|failure| failure.reason)
}

#[track_caller]
fn refuses(reason_wanted: &str, text: &str) {
    assert_eq!(reason(text), Some(reason_wanted), "{}", text.get(..text.len().min(300)).unwrap_or(text));
}

/// The first pass refuses it, so that no tree is built of it.
#[track_caller]
fn refuses_at_once(reason_wanted: &str, text: &str) {
    let found = scan::scan(text, &MESSAGE).err().map(|failure| failure.reason);
    assert_eq!(found, Some(reason_wanted), "{}", text.get(..text.len().min(300)).unwrap_or(text));
    refuses(reason_wanted, text);
}

#[track_caller]
fn takes(text: &str) {
    if let Err(failure) = parse(text) {
        panic!("{}: {text}", failure.for_operator());
    }
}

#[test]
fn plain_xml_is_taken() {
    takes("<a/>");
    takes("  <a\n b='1'\tc = \"2\" >x</a >\r\n ");
    takes("<?xml version=\"1.0\"?><a/>");
    takes("<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<a/>");
    takes("<p:a xmlns:p=\"urn:x\" p:b='1' xml:lang='de' xml:space='preserve'><c xmlns=''/></p:a>");
    takes("<a xmlns:p='a+b-c.1:x' xmlns:q='u:x'><xml lang=''/><p:b xml:space='default'/></a>");
    takes("<a b='&lt;&amp;&#x41;&#10;&quot;&apos;'>&gt;&#128512;é\u{10FFFF}</a>");
}

#[test]
fn whatever_is_no_xml_to_the_last_byte_is_refused() {
    for text in [
        "x",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a/>x",
        "x<a/>",
        "<a/><b/>",
        "<a/></a>",
        "</a>",
        "<a b/>",
        "<a b=1/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a b='1",
        "<a>]]></a>",
        "<a>&</a>",
        "<a>&amp</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#99999999999999999999;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#+5;</a>",
        "<a>&#x+5;</a>",
        // each is a character by its number, and is not written as one
        "<a>&#+65;</a>",
        "<a>&#x+41;</a>",
        "<a>\u{1}</a>",
        "<a>\u{ffff}</a>",
        "< a/>",
        "<a / >",
        "<a></ a>",
        "<!x><a/>",
        "<a><!x></a>",
    ] {
        refuses_at_once("saml.xml.malformed", text);
    }
    refuses_at_once("saml.xml.encoding", "<?xml version=x1.0x?><a/>");
    // where comments may stand, they are comments
    for text in ["<!-- a -- b --><a/>", "<!-- a ---><a/>", "<!-- a", "<!--->"] {
        let found = scan::scan(text, &METADATA).err().map(|failure| failure.reason);
        assert_eq!(found, Some("saml.xml.malformed"), "{text}");
    }
    assert!(scan::scan("<!-- a - b --><a/>", &METADATA).is_ok());
    // these the tree finds out
    for text in ["", " ", "<p:a/>", "<a p:b='1'/>"] {
        refuses("saml.xml.malformed", text);
    }
}

#[test]
fn names_that_change_when_written_anew_are_refused() {
    for text in [
        "<a:/>",
        "<:a/>",
        "<a:b:c xmlns:a='urn:x'/>",
        "<a ::b='1'/>",
        "<a :b='1'/>",
        "<a b:='1'/>",
        "<x:a xmlns:x='urn:x' x:y:z='1'/>",
        "<1a/>",
        "<a -b='1'/>",
        "<é/>",
        "<xmlns:a/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='urn:x' xmlns:p='urn:y'/>",
        "<a xmlns='urn:x' xmlns='urn:y'/>",
    ] {
        refuses_at_once("saml.xml.malformed", text);
    }
}

#[test]
fn nothing_stands_in_a_message_that_readers_could_see_differently() {
    for text in [
        "<!DOCTYPE a><a/>",
        "<!doctype a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        "<!ENTITY x 'y'><a/>",
        "<a>&x;</a>",
        "<a b='&x;'/>",
        "<a>&xxe;&amp;</a>",
    ] {
        refuses_at_once("saml.xml.doctype", text);
    }
    for text in ["<!---><a/>", "<!-- x --><a/>", "<a>x<!-- y -->z</a>", "<a/><!-- -->"] {
        refuses_at_once("saml.xml.comment", text);
    }
    for text in
        ["<a><?x y?></a>", "<?x?><a/>", "<a/><?x?>", "<a><![CDATA[x]]></a>", " <?xml version='1.0'?><a/>"]
    {
        refuses_at_once("saml.xml.content", text);
    }
    refuses_at_once("saml.xml.content", "<a xml:base='http://x/'/>");
    refuses_at_once(
        "saml.xml.content",
        "<a xmlns:i='http://www.w3.org/2001/XInclude'><i:include href='x'/></a>",
    );
    for text in ["<a xmlns:x='urn:x' ID='1' x:ID='2'/>", "<a xmlns:x='urn:x' x:id='2'/>", "<a xml:id='x'/>"] {
        refuses_at_once("saml.xml.attribute", text);
    }
    refuses_at_once("saml.xml.attribute", "<a xmlns:x='urn:x' xmlns:y='urn:y' x:b='1' y:b='2'/>");
    for text in [
        "<a xmlns:x='x'/>",
        "<a xmlns='../x'/>",
        "<a xmlns:x=''/>",
        "<a xmlns:x=':x'/>",
        "<a xmlns:x='urn:'/>",
        "<a xmlns:x='1:x'/>",
        "<a xmlns:x='u_n:x'/>",
        "<a xmlns:x='urn:x y'/>",
        "<a xmlns:x='urn:&amp;'/>",
        "<a xmlns:x='urn:é'/>",
        "<a xmlns:x='urn:\"'/>",
        "<a xmlns:x=\" urn:x\"/>",
    ] {
        refuses_at_once("saml.c14n.failed", text);
    }
}

#[test]
fn the_text_is_utf8_and_says_nothing_else() {
    for text in [
        "<?xml version='1.1'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        "<?xml version='1.0' encoding='UTF-7'?><a/>",
        "<?xml encoding='UTF-8' version='1.0'?><a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<?xml version='1.0'encoding='UTF-8'?><a/>",
        "<?xml version='1.0' encoding=UTF-8?><a/>",
        "<?xml version='1.0' x='y'?><a/>",
        "<?xml?><a/>",
        "<?xml version='1.0'",
        "<\0a\0/\0>\0",
    ] {
        refuses_at_once("saml.xml.encoding", text);
    }
    refuses_at_once("saml.xml.content", "<?xml-stylesheet href='x'?><a/>");
    let bytes =
        |bytes: &[u8], limits: &Limits| decode(bytes, limits).map(str::to_owned).map_err(|f| f.reason);
    assert_eq!(bytes(b"<a/>", &MESSAGE), Ok("<a/>".to_owned()));
    assert_eq!(bytes(b"\xef\xbb\xbf<a/>", &MESSAGE), Err("saml.xml.encoding"));
    assert_eq!(bytes(b"\xef\xbb\xbf<a/>", &METADATA), Ok("<a/>".to_owned()));
    assert_eq!(bytes(b"\xfe\xff\0<\0a\0/\0>", &METADATA), Err("saml.xml.encoding"));
    assert_eq!(bytes(b"<a>\xc0\xaf</a>", &MESSAGE), Err("saml.xml.encoding"));
    assert_eq!(bytes(b"<a>\xff</a>", &MESSAGE), Err("saml.xml.encoding"));
    refuses_at_once("saml.xml.malformed", "\u{feff}<a/>");
}

/// Each limit exactly, and one more. What was counted tells that nothing behind the limit was looked at.
#[test]
fn everything_is_bounded_and_counted_no_further() {
    let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let many = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n - 1));
    let wide = |n: usize| format!("<a {}/>", (0..n).map(|i| format!("b{i}='1' ")).collect::<String>());
    let spaces =
        |n: usize| format!("<a {}/>", (0..n).map(|i| format!("xmlns:p{i}='urn:x{i}' ")).collect::<String>());
    let long = |n: usize| format!("<a xmlns='urn:{}'/>", "x".repeat(n - 4));
    type Make<'a> = &'a dyn Fn(usize) -> String;
    let cases: [(Make<'_>, usize); 5] = [
        (&nested, MESSAGE.depth),
        (&many, MESSAGE.elements),
        (&wide, MESSAGE.attributes_per_element),
        (&spaces, MESSAGE.namespaces_in_scope),
        (&long, MESSAGE.namespace_bytes),
    ];
    for (make, limit) in cases {
        takes(&make(limit));
        for more in [limit + 1, limit * 4] {
            let failure = parse(&make(more)).unwrap_err();
            assert_eq!(failure.reason, "saml.xml.limits");
            let counted: usize = failure.detail.received.unwrap().parse().unwrap();
            assert!(counted == limit + 1 || counted == more, "{counted} of {more}");
        }
    }
    let hundred_thousand = (0..100_000).map(|i| format!(" a{i}=''")).collect::<String>();
    refuses("saml.xml.limits", &format!("<a{hundred_thousand}/>"));
    refuses("saml.xml.limits", &nested(1_000_000));
    // the root with its declaration; an element, two attributes and a piece of text each
    let nodes = |n: usize| {
        let some = "<b c='' d=''>t</b>".repeat((n - 2) / 4);
        format!("<a xmlns='urn:x'>{some}{}</a>", "<b/>".repeat((n - 2) % 4))
    };
    takes(&nodes(MESSAGE.nodes));
    refuses_at_once("saml.xml.limits", &nodes(MESSAGE.nodes + 1));
    let references = |n: usize| format!("<a b='{}'>{}</a>", "&lt;".repeat(n / 2), "&#65;".repeat(n - n / 2));
    takes(&references(MESSAGE.references));
    refuses_at_once("saml.xml.limits", &references(MESSAGE.references + 1));
    // what becomes a reference in canonical form is one
    let escaped = |n: usize| format!("<a b='{}'>{}</a>", "\"".repeat(n / 2), ">".repeat(n - n / 2));
    takes(&escaped(MESSAGE.references));
    refuses_at_once("saml.xml.limits", &escaped(MESSAGE.references + 1));
    let namespaces = |n: usize| format!("<a>{}</a>", "<b xmlns='urn:x' xmlns:p='urn:p'/>".repeat(n / 2));
    takes(&namespaces(MESSAGE.namespaces));
    refuses_at_once("saml.xml.limits", &namespaces(MESSAGE.namespaces + 2));
    let again = |n: usize| {
        format!(
            "<a xmlns:p='urn:p' xmlns:q='urn:q'>{}{}</a>",
            "<p:b q:c=''/>".repeat(n / 2),
            "<p:b/>".repeat(n % 2)
        )
    };
    takes(&again(MESSAGE.namespaces_written));
    refuses_at_once("saml.xml.limits", &again(MESSAGE.namespaces_written + 1));
    // what is declared at an element is forgotten behind it
    takes(&format!("<a>{}</a>", "<b xmlns='urn:x' xmlns:p='urn:p'></b>".repeat(MESSAGE.namespaces_in_scope)));
    let narrow = Limits { nodes: 17, references: 8, namespaces: 8, bytes: 300, ..MESSAGE };
    for (make, most) in [(&nodes as Make<'_>, 17), (&references, 8), (&namespaces, 8)] {
        assert!(parse_within(&make(most), &narrow).is_ok());
        assert_eq!(parse_within(&make(most + 4), &narrow).unwrap_err().reason, "saml.xml.limits");
    }
    assert!(parse_within(&format!("<a>{}</a>", "x".repeat(293)), &narrow).is_ok());
    assert_eq!(
        parse_within(&format!("<a>{}</a>", "x".repeat(294)), &narrow).unwrap_err().reason,
        "saml.xml.limits"
    );
    // before a byte is looked at
    assert_eq!(scan::scan(&"\0".repeat(301), &narrow).unwrap_err().reason, "saml.xml.limits");
    assert_eq!(scan::scan(&"\0".repeat(300), &narrow).unwrap_err().reason, "saml.xml.encoding");
    assert_eq!(decode(&[b' '; 301], &narrow).unwrap_err().reason, "saml.xml.limits");
    assert!(decode(&[b' '; 300], &narrow).is_ok());
    // of comments there may be many, but not without end
    let comments = |n: usize| format!("<a>{}</a>", "<!---->".repeat(n));
    assert!(parse_within(&comments(METADATA.nodes - 1), &METADATA).is_ok());
    let failure = parse_within(&comments(METADATA.nodes), &METADATA).unwrap_err();
    assert_eq!(failure.reason, "saml.xml.limits");
}

/// What canonicalisation writes longer counts as long as it will be, by the canonical form that a verifier makes.
#[test]
fn a_text_counts_by_the_length_of_its_canonical_form() {
    for text in [
        "<a>>>></a>",
        "<a b='\"\"\"'></a>",
        "<a><bcd/><bcd/></a>",
        "<a xmlns:p='urn:x'><p:b></p:b><p:b></p:b><p:b><p:c></p:c></p:b></a>",
        "<a xmlns:p='urn:x'><c p:b='1' p:d='2'></c><c p:b='1'></c></a>",
        "<a xmlns:p='urn:x'><p:b xmlns:p='urn:long'></p:b><p:b></p:b></a>",
        "<p:a xmlns:p='urn:x'><p:b></p:b><c><p:b></p:b></c></p:a>",
        "<a xmlns:p='urn:x' xmlns:q='urn:y'><p:b><q:b><p:b></p:b></q:b><q:b></q:b></p:b><q:b p:c=''></q:b></a>",
        "<p:a xmlns:p='urn:x'><b xmlns='urn:b'><c></c></b><b xmlns='urn:b'><c></c></b></p:a>",
    ] {
        let source = bergshamra::xml::XmlDocument::parse(text.to_owned()).unwrap();
        let document = source.parse_doc().unwrap();
        let canonical = bergshamra::c14n::canonicalize_doc::<String>(
            &document,
            bergshamra::c14n::C14nMode::Exclusive,
            None,
            &[],
        )
        .unwrap();
        let most = |bytes| Limits { bytes, ..MESSAGE };
        assert!(canonical.len() >= text.len(), "{text}");
        assert!(scan::scan(text, &most(canonical.len())).is_ok(), "{text}");
        let failure = scan::scan(text, &most(canonical.len() - 1)).unwrap_err();
        assert_eq!(failure.reason, "saml.xml.limits", "{text}");
    }
}

#[test]
fn metadata_may_have_comments_between_elements_and_never_in_text() {
    let text_of = |source: &'static str| {
        let document = parse_within(source, &METADATA).map_err(|f| f.reason)?;
        text(document.root_element()).map(str::to_owned).map_err(|f| f.reason)
    };
    assert!(parse_within("<!-- x --><a><!-- y --><b/><!----></a><!-- z -->", &METADATA).is_ok());
    assert_eq!(text_of("<a>x</a>"), Ok("x".to_owned()));
    assert_eq!(text_of("<a>x<!-- -->y</a>"), Err("saml.message.shape"));
    assert_eq!(text_of("<a><!-- -->y</a>"), Err("saml.message.shape"));
    assert_eq!(text_of("<a><!--y--></a>"), Err("saml.message.shape"));
    for bad in ["<a><!-- -- --></a>", "<a><!-- ---></a>", "<a><!-- </a>", "<a><!--></a>"] {
        assert_eq!(text_of(bad), Err("saml.xml.malformed"), "{bad}");
    }
    assert_eq!(text_of("<DigestValue><!-- --></DigestValue>"), Err("saml.sig.malformed"));
}

#[test]
fn line_ends_and_white_space_in_values_are_normal_before_anybody_reads() {
    let cases = [
        ("<a b='x'>y\nz\t</a>", "<a b='x'>y\nz\t</a>"),
        (
            "<a\r\n b='1\r\n2\n\n3\t4\r5' c=\"\t\"\td='\r'>\r\n\r \n</a>\r",
            "<a\n b='1 2  3 4 5' c=\" \"\td=' '>\n\n \n</a>\n",
        ),
        ("<a b='&#13;&#10;&#9;é\té'>&#13;</a>", "<a b='&#13;&#10;&#9;é é'>&#13;</a>"),
        ("<a>x\r\n\ry</a>", "<a>x\n\ny</a>"),
    ];
    for (text, wanted) in cases {
        assert_eq!(normal(text, &MESSAGE).unwrap(), wanted);
        assert_eq!(normal(wanted, &MESSAGE).unwrap(), wanted);
        let (before, after) = (parse(text).unwrap(), parse(wanted).unwrap());
        for name in ["b", "c", "d"] {
            assert_eq!(attribute(before.root_element(), name), attribute(after.root_element(), name));
        }
        assert_eq!(before.root_element().text(), after.root_element().text());
    }
    assert!(matches!(normal("<a>\n</a>", &MESSAGE), Ok(Cow::Borrowed(_))));
    assert_eq!(normal("<a>", &MESSAGE).unwrap_err().reason, "saml.xml.malformed");
}

#[test]
fn elements_are_found_by_namespace_and_as_often_as_they_may_stand() {
    let source =
        "<r xmlns='urn:x' xmlns:p='urn:x' xmlns:q='urn:q' q:c='0' b='1'><a>x</a><q:a>y</q:a><p:c/><c/>t</r>";
    let document = parse(source).unwrap();
    let root = document.root_element();
    assert_eq!(text(only_child(root, "urn:x", "a").unwrap()).unwrap(), "x");
    assert_eq!(text(only_child(root, "urn:q", "a").unwrap()).unwrap(), "y");
    assert!(child(root, "urn:y", "a").unwrap().is_none());
    assert_eq!(only_child(root, "urn:y", "a").unwrap_err().reason, "saml.message.shape");
    assert_eq!(child(root, "urn:x", "c").unwrap_err().reason, "saml.message.shape");
    assert_eq!(attribute(root, "b"), Some("1"));
    assert_eq!(attribute(root, "c"), None);
    assert_eq!(text(root).unwrap_err().reason, "saml.message.shape");
    assert!(!only_elements(root));
    assert_eq!(elements(root).count(), 4);
    assert_eq!(children(root, "urn:x", "c").count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes, reading ends, and with a tree or a reason.
    #[test]
    fn nothing_that_comes_ends_a_thread(text in "\\PC{0,60}", soup in "[<>/!?&;#x='\"a:\\[\\]\\- \u{0}é-]{0,60}") {
        let _ = parse(&text);
        let _ = parse(&soup);
        let _ = parse_within(&soup, &METADATA);
        let _ = parse(&format!("<a>{soup}</a>"));
        let _ = parse(&format!("<a {soup}/>"));
        let _ = parse(&format!("<?xml {soup}?><a/>"));
        let _ = decode(soup.as_bytes(), &MESSAGE);
    }

    /// The first pass takes nothing apart differently than the tree's reader: elements and attributes are as many.
    #[test]
    fn both_passes_see_the_same(soup in "(<[ab]( x='[a&;#1<]{0,3}')?/?>|</[ab]>|[ a&;]){0,12}") {
        let text = format!("<r>{soup}</r>");
        if let Ok(document) = parse(&text) {
            let elements = document.descendants().filter(Node::is_element).count();
            let starts = text.matches('<').count() - text.matches("</").count();
            prop_assert_eq!(elements, starts);
        }
    }
}
