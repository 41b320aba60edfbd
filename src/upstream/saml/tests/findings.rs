//! What samael, libxmlsec1 and libxml2 let through by themselves: none is reachable. Every finding has its tests:
//!
//! 1. References are fetched before anything is authenticated:
//!    `a_reference_to_elsewhere_is_refused_and_not_followed`, `cut_off_nothing_is_read_and_nothing_is_fetched`.
//! 2. Transforms run before anything is authenticated: `a_stylesheet_is_never_run`.
//! 3. Metadata without a certificate make signatures needless: `without_certificates_nothing_is_accepted`,
//!    `metadata_without_a_signing_certificate_is_refused`.
//! 4. Any algorithm is allowed: `algorithms_are_listed_for_all_four`.
//! 5. What nobody signed on the response is taken, and so is a bare assertion:
//!    `what_is_not_signed_on_the_response_is_marked_so`, `nothing_that_is_not_signed_helps`.
//! 6. Conditions, audiences, times, statuses, versions and issuers may be missing or wrong, nothing is used once, and
//!    weak keys count: `what_the_library_passes_over_is_a_fault_here`,
//!    `what_stands_on_the_response_refuses_whether_it_is_signed_or_not`, `a_replay_is_remembered_until_nothing_could_pass`,
//!    `weak_keys_are_no_keys`.
//! 7. The parser recovers: `a_message_is_whole_to_the_last_byte`.
//! 8. Reduction is quadratic: `the_fullest_message_that_is_let_in_opens`, `what_opening_costs_grows_as_the_message_does`.
//! 9. A certificate of another kind before the right one makes a signature fail:
//!    `a_certificate_that_does_not_fit_is_passed_over`, `several_certificates_of_different_kinds_are_tried_one_by_one`.
//! 10. Short or odd input panics, in decryption and in redirects: `short_and_odd_input_is_a_refusal_and_no_panic`,
//!     `a_panic_is_a_refusal_and_gives_its_room_back`.
//! 11. Our own messages are guessable, not escaped, and a LogoutRequest loses its SessionIndex:
//!     `a_logout_request_is_read_whole`, `text_from_the_settings_cannot_become_markup`,
//!     `it_says_who_asks_and_where_the_answer_goes`.

use super::super::open::{inflate, verify_root_now};
use super::super::signature::query::{self, Kind};
use super::super::support::{Encryption, LogoutRequest, NameId, Signature, edit, sign};
use super::super::{ns, xml};
use super::*;
use std::net::TcpListener;

/// The list above is whole, and names tests that exist.
#[test]
fn every_finding_has_its_tests() {
    let places = [
        include_str!("findings.rs"),
        include_str!("opening.rs"),
        include_str!("../signature/tests.rs"),
        include_str!("../profile/tests/mod.rs"),
        include_str!("../../../../tests/saml/provider/metadata.rs"),
        include_str!("../../../../tests/saml/provider/request.rs"),
    ];
    let mut tests = vec![0; 11];
    let mut finding = 0;
    for line in include_str!("findings.rs").lines().map_while(|line| line.strip_prefix("//!")) {
        if let Some((number, _)) = line.trim().split_once(". ")
            && let Ok(number) = number.parse::<usize>()
        {
            assert_eq!(number, finding + 1);
            finding = number;
        }
        for name in line.split('`').skip(1).step_by(2) {
            let there = places.iter().any(|text| text.contains(&format!("fn {name}()")));
            assert!(there, "{finding}: {name}");
            tests[finding - 1] += 1;
        }
    }
    assert!(tests.iter().all(|count| *count > 0), "{tests:?}");
}

/// A server at which nobody may knock.
struct Canary(TcpListener, String);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        Self(listener, address)
    }

    #[track_caller]
    fn silent(&self) {
        assert!(self.0.accept().is_err(), "something was fetched");
    }
}

fn signed(change: impl FnOnce(&mut super::super::support::Tree<'_>) -> Option<()>) -> String {
    let mut xml = script().xml();
    accepted(&xml);
    edit(&mut xml, change).expect("the edit finds its place");
    xml
}

const INFO: &str = "Response/Assertion/Signature/SignedInfo";

/// Finding 1: references are fetched before anything is authenticated.
#[test]
fn a_reference_to_elsewhere_is_refused_and_not_followed() {
    let canary = Canary::new();
    for uri in [canary.1.as_str(), "file:///etc/hostname", "/etc/hostname", "ftp://127.0.0.1/x"] {
        refused_for(
            "saml.ref.uri",
            &signed(|tree| tree.set_attribute(&format!("{INFO}/Reference"), "URI", uri)),
        );
        let manifest =
            format!("<ds:Object><ds:Manifest><ds:Reference URI=\"{uri}\"/></ds:Manifest></ds:Object>");
        refused_for(
            "saml.sig.wrapped",
            &signed(|tree| tree.append("Response/Assertion/Signature", &manifest)),
        );
        let retrieval = format!("<ds:RetrievalMethod URI=\"{uri}\"/>");
        refused_for(
            "saml.sig.malformed",
            &signed(|tree| tree.append("Response/Assertion/Signature/KeyInfo", &retrieval)),
        );
        refused_for("saml.xml.doctype", &format!("<!DOCTYPE a SYSTEM \"{uri}\">{}", script().xml()));
        let entity = format!("<!DOCTYPE a [<!ENTITY % x SYSTEM \"{uri}\"> %x;]>{}", script().xml());
        refused_for("saml.xml.doctype", &entity);
        let include = format!("<i:include xmlns:i=\"http://www.w3.org/2001/XInclude\" href=\"{uri}\"/>");
        refused_for(
            "saml.xml.content",
            &signed(|tree| tree.append("Response/Assertion/Subject/NameID", &include)),
        );
        let schema = format!(
            "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"urn:x {uri}\""
        );
        let mut script = script();
        script.response.tag = format!(" {schema}");
        accepted(&script.xml());
    }
    canary.silent();
}

/// Finding 2: transforms run before anything is authenticated.
#[test]
fn a_stylesheet_is_never_run() {
    let canary = Canary::new();
    let stylesheet = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\"><xsl:template match=\"/\"><xsl:copy-of select=\"document('{}')\"/></xsl:template></xsl:stylesheet></ds:Transform>",
        canary.1
    );
    let transforms = format!("{INFO}/Reference/Transforms");
    refused_for("saml.transform", &signed(|tree| tree.append(&transforms, &stylesheet)));
    refused_for("saml.transform", &signed(|tree| tree.prepend(&transforms, &stylesheet)));
    let second = format!("{transforms}/Transform[2]");
    refused_for("saml.transform", &signed(|tree| tree.replace(&second, &stylesheet)));
    canary.silent();
}

/// Finding 3: where metadata has no certificate, nothing needs a signature.
#[test]
fn without_certificates_nothing_is_accepted() {
    let mut unsigned = script();
    unsigned.signed(false, false);
    refused_by("saml.sig.missing", &unsigned.xml(), &trust(&[]));
    refused_by("saml.sig.invalid", &script().xml(), &trust(&[]));
    let request = format!("<p:LogoutRequest xmlns:p=\"{}\" ID=\"_a\"/>", ns::PROTOCOL);
    let root =
        verify_root_now(request.as_bytes(), &xml::MESSAGE, (ns::PROTOCOL, "LogoutRequest"), &trust(&[]));
    assert_eq!(root.unwrap_err().reason, "saml.sig.missing");
}

/// Finding 4: any algorithm is allowed by default, of signatures, digests, canonicalisation and transforms.
#[test]
fn algorithms_are_listed_for_all_four() {
    let change = |path: &str, uri: &str| {
        signed(|tree| tree.set_attribute(&format!("{INFO}/{path}"), "Algorithm", uri))
    };
    refused_for("saml.alg", &change("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"));
    refused_for("saml.alg", &change("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"));
    refused_for("saml.alg", &change("Reference/DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"));
    refused_for(
        "saml.transform",
        &change("CanonicalizationMethod", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    );
    refused_for("saml.transform", &change("Reference/Transforms/Transform", "urn:x"));
}

/// Finding 5: where only the assertion is signed, what stands on the response is taken all the same; and a bare assertion
/// is.
#[test]
fn what_is_not_signed_on_the_response_is_marked_so() {
    let opened = accepted(&script().xml());
    assert!(!opened.response.signed);
    let bare = script().sealed_assertion();
    refused_for("saml.message.type", &bare);
}

/// Finding 7: the parser recovers.
#[test]
fn a_message_is_whole_to_the_last_byte() {
    let xml = script().xml();
    let last = xml.len() - 1;
    for end in (0..xml.len()).step_by(41).chain(last - 20..=last) {
        let text = xml.get(..end).unwrap();
        let failure =
            open_now(text.as_bytes(), &trust(&[Key::rsa()]), &DecryptionKeys::default()).unwrap_err();
        assert_eq!(failure.reason, "saml.xml.malformed", "{end}");
    }
    for junk in ["x", "<", "</a>", "<a/>", "&", "]]>"] {
        refused_for("saml.xml.malformed", &format!("{xml}{junk}"));
        refused_for("saml.xml.malformed", &format!("{junk}{xml}"));
    }
    refused_for("saml.xml.encoding", &format!("{xml}\0"));
    accepted(&format!("\n{xml}\n"));
}

/// A response of which one attribute has so many values of such a length; signed.
fn groups(count: usize, length: usize) -> String {
    let values: Vec<String> = (0..count).map(|i| format!("{i:0length$}")).collect();
    let mut script = script();
    script.assertion.attributes = values
        .chunks(2_800)
        .map(|chunk| {
            let values = chunk.iter().map(String::as_str).collect::<Vec<_>>();
            super::super::support::Attribute::basic("g", &values)
        })
        .collect();
    let mut xml = script.xml().replace(" xsi:type=\"xs:string\"", "");
    refused_for("saml.sig.invalid", &xml);
    super::super::support::resign(&mut xml, "Response/Assertion", &Signature::by(Key::rsa())).unwrap();
    xml
}

/// Finding 8: reduction is quadratic by default. The fullest message that is let in is opened; one more is not even read.
#[test]
fn the_fullest_message_that_is_let_in_opens() {
    let room = xml::MESSAGE.bytes;
    let full = groups(2_800, 34);
    assert!(full.len() < room && full.len() > room * 3 / 4, "{}", full.len());
    accepted(&full);
    let values = "<saml:AttributeValue>x</saml:AttributeValue>".repeat(6_000);
    refused_for("saml.xml.limits", &full.replace("</saml:Attribute>", &format!("{values}</saml:Attribute>")));
}

/// Finding 8 again, by what it costs: counted in bytes that are asked of the allocator, which are the same on any machine.
#[cfg(feature = "xmlsec")]
#[test]
fn what_opening_costs_grows_as_the_message_does() {
    use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _, ReduceMode};
    let key = [CertificateDer::from(Key::rsa().der().to_vec())];
    let ours = |xml: &str| drop(accepted(xml));
    let reduced = |mode| {
        let key = &key;
        move |xml: &str| drop(Crypto::reduce_xml_to_signed(xml, key, mode).unwrap())
    };
    // by how much more the second half of a message costs than the first: twice as much if each value costs the same
    let growth = |open: &dyn Fn(&str)| {
        let cost = |count| {
            let xml = groups(count, 4);
            open(&xml);
            allocation_counter::measure(|| open(&xml)).bytes_total
        };
        let [one, two, four] = [200, 400, 800].map(cost);
        println!("{one} {two} {four}");
        (four - two) as f64 / (two - one) as f64
    };
    let all = growth(&ours);
    let verifier = growth(&reduced(ReduceMode::PreDigest));
    assert!(all < 2.5 && verifier < 2.5, "{all} {verifier}");
    // and the count tells it where it is otherwise
    let usual = growth(&reduced(ReduceMode::ValidateAndMark));
    assert!(usual > 3.5, "{usual}");
}

/// Finding 9: where the certificates are of several kinds, the first that does not fit a signature ends the attempt.
#[test]
fn a_certificate_that_does_not_fit_is_passed_over() {
    let xml = script().xml();
    for keys in [
        vec![Key::p256(), Key::rsa()],
        vec![Key::p384(), Key::p256(), Key::rsa()],
        vec![Key::rsa_3072(), Key::p256(), Key::rsa()],
        vec![Key::rsa(), Key::p256()],
    ] {
        assert!(opened(&xml, &trust(&keys), &DecryptionKeys::default()).is_ok());
        let others: Vec<Key> = keys.into_iter().filter(|key| key.der() != Key::rsa().der()).collect();
        refused_by("saml.sig.invalid", &xml, &trust(&others));
    }
}

/// Finding 10: decryption and redirects panic on short or odd input.
#[test]
fn short_and_odd_input_is_a_refusal_and_no_panic() {
    let mut script = script();
    script.encrypt = Some(Encryption::to(Key::service().der()));
    let sound = script.xml();
    for data in ["", "AA==", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="] {
        let mut xml = sound.clone();
        edit(&mut xml, |tree| {
            tree.set("Response/EncryptedAssertion/EncryptedData/CipherData/CipherValue", data)
        })
        .unwrap();
        let failure = opened(&xml, &trust(&[Key::rsa()]), &encrypted::service()).unwrap_err();
        assert_eq!(failure.reason, "saml.enc.failed");
    }
    for (raw, reason) in [
        ("", "saml.encoding"),
        ("SAMLRequest", "saml.sig.missing"),
        ("SAMLRequest=a&Signature=b", "saml.sig.missing"),
        ("SAMLRequest=a&SigAlg=b", "saml.sig.missing"),
        ("SAMLRequest=a&SigAlg=&Signature=", "saml.alg"),
        ("SAMLRequest=a&SigAlg=%zz&Signature=b", "saml.encoding"),
        ("SAMLRequest=a&SigAlg=%ff&Signature=b", "saml.encoding"),
        ("SAMLRequest=a&SigAlg=%&Signature=b", "saml.encoding"),
        ("SAMLRequest=a&SigAlg=%+f&Signature=b", "saml.encoding"),
        ("SAMLRequest=a&SigAlg=b%4&Signature=b", "saml.encoding"),
        ("SAMLRequest=a&SAMLRequest=b&SigAlg=x&Signature=b", "saml.encoding"),
        ("%53AMLRequest=a&SigAlg=x&Signature=b", "saml.encoding"),
        ("SAMLRequest=a&SAMLEncoding=x&SigAlg=x&Signature=b", "saml.encoding"),
        (
            "SAMLRequest=a&SigAlg=http%3A%2F%2Fwww.w3.org%2F2000%2F09%2Fxmldsig%23rsa-sha1&Signature=AAAA",
            "saml.alg",
        ),
        (
            "SAMLRequest=a&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256&Signature=",
            "saml.sig.invalid",
        ),
        (
            "SAMLRequest=a&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256&Signature=!",
            "saml.sig.invalid",
        ),
        (
            "SAMLRequest=a&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23ecdsa-sha256&Signature=AAAA",
            "saml.sig.invalid",
        ),
    ] {
        let failure = query::verify(Kind::Request, raw, &trust(&[Key::rsa(), Key::p256()])).unwrap_err();
        assert_eq!(failure.reason, reason, "{raw}");
    }
    let long = |length: usize| {
        let text = format!("SAMLRequest={}", "a".repeat(length - 12));
        query::verify(Kind::Request, &text, &trust(&[])).unwrap_err().reason
    };
    assert_eq!(long(64 * 1024), "saml.sig.missing");
    assert_eq!(long(64 * 1024 + 1), "saml.xml.limits");
}

/// Finding 11: a LogoutRequest loses its SessionIndex, and nothing signs or verifies it.
#[test]
fn a_logout_request_is_read_whole() {
    let request = LogoutRequest::sound(
        Timestamp::from_secs(1_800_000_000),
        "https://idp.example",
        "https://sp.example/slo",
        NameId::persistent("alice"),
        &["_session-1"],
    );
    let text = sign(&request.xml(), &Signature::by(Key::rsa()));
    let expected = (ns::PROTOCOL, "LogoutRequest");
    let read = verify_root_now(text.as_bytes(), &xml::MESSAGE, expected, &trust(&[Key::rsa()])).unwrap();
    assert!(read.contains("<samlp:SessionIndex>_session-1</samlp:SessionIndex>"), "{read}");
    let other = verify_root_now(
        text.as_bytes(),
        &xml::MESSAGE,
        (ns::PROTOCOL, "LogoutResponse"),
        &trust(&[Key::rsa()]),
    );
    assert_eq!(other.unwrap_err().reason, "saml.message.type");
}

#[test]
fn a_bomb_is_not_inflated() {
    use super::super::open::deflate;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let text = "<a/>".repeat(1000);
    assert_eq!(inflate(&deflate(&text).unwrap()).unwrap(), text.as_bytes());
    assert!(inflate(&deflate(&" ".repeat(xml::MESSAGE.bytes)).unwrap()).is_ok());
    for bytes in [xml::MESSAGE.bytes + 1, 64 << 20] {
        let bomb = deflate(&" ".repeat(bytes)).unwrap();
        assert_eq!(inflate(&bomb).unwrap_err().reason, "saml.xml.limits");
    }
    let mut trailing = STANDARD.decode(deflate(&text).unwrap()).unwrap();
    trailing.push(0);
    assert_eq!(inflate(&STANDARD.encode(&trailing)).unwrap_err().reason, "saml.encoding");
    trailing.truncate(20);
    for bad in
        [STANDARD.encode(&trailing), String::new(), "AAAA".to_owned(), "%".to_owned(), "_-_-".to_owned()]
    {
        assert_eq!(inflate(&bad).unwrap_err().reason, "saml.encoding", "{bad}");
    }
}

/// A block of RFC 1951 in which zeros stand for a thousand times as many: what it costs does not depend on how much it
/// would be.
#[test]
fn saml_099_a_bomb_costs_no_more_than_the_longest_message() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::io::Write as _;
    let bomb = |megabytes: usize| {
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..megabytes {
            deflate.write_all(&zeros).unwrap();
        }
        STANDARD.encode(deflate.finish().unwrap())
    };
    let cost = |value: &str, reason: Option<&str>| {
        let mut seen = None;
        let cost = allocation_counter::measure(|| seen = inflate(value).err().map(|failure| failure.reason));
        assert_eq!(seen, reason);
        cost.bytes_max
    };
    // The valid twin. The buffer doubles, so that for a moment there are two.
    let most = 4 * u64::try_from(xml::MESSAGE.bytes).unwrap();
    let longest = super::super::open::deflate(&" ".repeat(xml::MESSAGE.bytes)).unwrap();
    let sound = cost(&longest, None);
    assert!(sound < most, "{sound}");
    // From one kilobyte that stands for a megabyte to the longest form that is decoded at all.
    let small = bomb(1);
    assert!(small.len() < 2048, "{}", small.len());
    for value in [small, bomb(64), bomb(256)] {
        let cost = cost(&value, Some("saml.xml.limits"));
        let own = u64::try_from(2 * value.len()).unwrap();
        assert!(cost < most + own, "{cost} for {} bytes", value.len());
    }
}

/// Entities that stand for more of themselves are refused where the scanner meets them, and nothing of them is ever built.
#[test]
fn saml_030_laughs_cost_no_more_than_their_own_bytes() {
    let mut laughs = "<!DOCTYPE x [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        let inner = format!("&a{};", level - 1).repeat(10);
        laughs.push_str(&format!("<!ENTITY a{level} \"{inner}\">"));
    }
    laughs.push_str("]>");
    let quadratic = format!("<!DOCTYPE x [<!ENTITY a \"{}\">]>", "a".repeat(50_000));
    let trust = trust(&[Key::rsa()]);
    for (doctype, reference) in [(laughs, "&a29;".to_owned()), (quadratic, "&a;".repeat(10_000))] {
        let text = format!("{doctype}{}", script().xml().replace("alice-persistent", &reference));
        let mut reason = None;
        let cost = allocation_counter::measure(|| {
            let outcome = open_now(text.as_bytes(), &trust, &DecryptionKeys::default());
            reason = outcome.err().map(|failure| failure.reason);
        });
        assert_eq!(reason, Some("saml.xml.doctype"));
        assert!(cost.bytes_total < 1 << 20, "{cost:?}");
    }
}

#[test]
fn a_form_s_base64_may_have_white_space_and_nothing_else() {
    use super::super::open::decode_form;
    assert_eq!(decode_form("PGEv\r\nPg==\n ").unwrap(), b"<a/>");
    for bad in ["PGEvPg=", "PGEvPg", "PGEvPg==x", "PGEvPg==AAAA", "PGEv_-==", "PGEvPh==", "é"] {
        assert_eq!(decode_form(bad).unwrap_err().reason, "saml.encoding", "{bad}");
    }
    let long = "AAAA".repeat(xml::MESSAGE.bytes);
    assert_eq!(decode_form(&long).unwrap_err().reason, "saml.xml.limits");
    // the longest message, and white space in it
    let most = xml::MESSAGE.bytes.div_ceil(3) * 4 + 16 * 1024;
    let spaced = |length: usize| format!("AAAA{}", " ".repeat(length - 4));
    assert!(decode_form(&spaced(most)).is_ok());
    assert_eq!(decode_form(&spaced(most + 1)).unwrap_err().reason, "saml.xml.limits");
}

#[test]
fn weak_keys_are_no_keys() {
    use super::super::signature::PublicKey;
    let of = |der: &[u8]| Certificate { der: der.into() }.key();
    assert!(matches!(of(Key::rsa().der()), Ok(PublicKey::Rsa(_, 2048))));
    assert!(matches!(of(Key::rsa_3072().der()), Ok(PublicKey::Rsa(_, 3072))));
    assert!(matches!(of(Key::p256().der()), Ok(PublicKey::Ec(..))));
    assert!(matches!(of(Key::p384().der()), Ok(PublicKey::Ec(..))));
    for bad in [&[] as &[u8], &[0x30, 0], b"x", &Key::rsa().der()[..200]] {
        assert_eq!(of(bad).unwrap_err().reason, "saml.key.certificate");
    }
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap().self_signed(&pair).unwrap();
    assert_eq!(of(ed.der()).unwrap_err().reason, "saml.key.weak");
    // A modulus of 1024 bits in the place of the one of 2048.
    let weak = include_str!("weak.pem");
    let (_, weak) = x509_cert::der::pem::decode_vec(weak.as_bytes()).unwrap();
    assert_eq!(of(&weak).unwrap_err().reason, "saml.key.weak");
}
