//! Signatures: which algorithms, transforms, references and keys count.

use crate::bench::{Bench, as_it_is, both_signed, response_signed};
use crate::saml::{Key, KeyInfo, Script, Signature, edit, inner, redigest, resign};
use crate::wrapping::{each, world};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::core::algorithm as a;

const VALUE: &str = "Response/Assertion/Signature/SignatureValue";

fn signature(script: &mut Script) -> &mut Signature {
    script.sign_assertion.as_mut().unwrap()
}

#[tokio::test]
async fn every_algorithm_that_is_allowed_is_accepted() {
    for (key, methods) in [
        (Key::rsa(), vec![a::RSA_SHA256, a::RSA_SHA384, a::RSA_SHA512]),
        (Key::rsa_3072(), vec![a::RSA_SHA256]),
        (Key::p256(), vec![a::ECDSA_SHA256]),
        (Key::p384(), vec![a::ECDSA_SHA384]),
    ] {
        let bench = Bench::with(key, "signed = \"either\"");
        for method in methods {
            for digest in [a::SHA256, a::SHA384, a::SHA512] {
                for (assertion, response) in [(true, false), (false, true), (true, true)] {
                    bench
                        .accepts(|script| {
                            signature(script).method = method.to_owned();
                            signature(script).digest = digest.to_owned();
                            script.signed(assertion, response);
                        })
                        .await;
                }
            }
        }
    }
}

#[tokio::test]
async fn saml_015_xpointer() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.ref.uri",
        &[
            "reference by xpointer",
            "reference by xpointer to the root",
            "reference to the document",
            "reference without URI",
            "reference with an escape",
        ],
    )
    .await;
    each(&bench, as_it_is, "saml.sig.wrapped", &["reference to another id", "reference to the response"])
        .await;
    // signed so by the provider itself
    bench
        .refuses_beside("saml.ref.uri", as_it_is, |script| {
            let id = script.assertion.id.clone().unwrap();
            signature(script).template =
                vec![(format!("URI=\"#{id}\""), format!("URI=\"#xpointer(id('{id}'))\""))];
        })
        .await;
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    bench
        .refuses_beside("saml.ref.uri", response_signed, |script| {
            let id = script.response.id.clone().unwrap();
            script.sign_response.as_mut().unwrap().template =
                vec![(format!("URI=\"#{id}\""), "URI=\"\"".to_owned())];
        })
        .await;
}

#[tokio::test]
async fn saml_017_two_references() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.sig.references", &["two references", "no reference"]).await;
    // signed so by the provider itself: of the assertion twice
    bench
        .refuses_beside("saml.sig.references", as_it_is, |script| {
            let id = script.assertion.id.clone().unwrap();
            let one = signature(script).empty(&id);
            let start = one.find("<ds:Reference ").unwrap();
            let end = one.find("</ds:SignedInfo>").unwrap();
            let reference = one[start..end].to_owned();
            signature(script).template = vec![(reference.clone(), reference.clone() + &reference)];
        })
        .await;
}

#[tokio::test]
async fn saml_018_two_signed_infos() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.malformed",
        &["two SignedInfo", "evil SignedInfo first", "evil SignedInfo last", "signature without SignedInfo"],
    )
    .await;
}

#[tokio::test]
async fn saml_019_comment_in_the_digest() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.malformed",
        &[
            "comment in the digest",
            "forged digest behind a comment",
            "comment in the signature value",
            "digest empty",
            "digest short",
            "digest with a child",
            "digest twice",
            "signature value twice",
            "key info twice",
        ],
    )
    .await;
}

#[tokio::test]
async fn saml_021_two_signatures_on_one_element() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.sig.count", &["signature twice", "signature twice, the second empty"]).await;
    let other = Signature::by(Key::attacker());
    bench
        .refuses_forged("saml.sig.count", as_it_is, |xml| {
            // one by somebody else over the same, before the provider's
            let own = crate::saml::outer(xml, "Response/Assertion/Signature").unwrap();
            resign(xml, "Response/Assertion", &other).unwrap();
            edit(xml, |tree| tree.after("Response/Assertion/Signature", &own)).unwrap();
        })
        .await;
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    bench
        .refuses_forged("saml.sig.count", response_signed, |xml| {
            let own = crate::saml::outer(xml, "Response/Signature").unwrap();
            edit(xml, |tree| tree.after("Response/Signature", &own)).unwrap();
        })
        .await;
}

#[tokio::test]
async fn saml_041_xslt() {
    each(&Bench::new(), as_it_is, "saml.transform", &["transform xslt"]).await;
}

#[tokio::test]
async fn saml_042_xpath() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.transform",
        &[
            "transform xpath",
            "transform xpath filter 2",
            "transform base64",
            "transform exclusive again",
            "no transforms",
        ],
    )
    .await;
    for transforms in [
        vec![a::ENVELOPED_SIGNATURE],
        vec![a::EXC_C14N],
        vec![a::ENVELOPED_SIGNATURE, a::EXC_C14N, a::EXC_C14N],
        vec![a::ENVELOPED_SIGNATURE, a::ENVELOPED_SIGNATURE, a::EXC_C14N],
    ] {
        println!("{transforms:?}");
        bench
            .refuses("saml.transform", |script| {
                signature(script).transforms = transforms.iter().map(|t| (*t).to_owned()).collect();
            })
            .await;
    }
}

#[tokio::test]
async fn saml_043_canonicalisation_that_is_not_the_exclusive_one() {
    let bench = Bench::new();
    for c14n in
        [a::EXC_C14N_WITH_COMMENTS, a::C14N, a::C14N_WITH_COMMENTS, a::C14N11, a::C14N11_WITH_COMMENTS]
    {
        println!("{c14n}");
        bench.refuses("saml.transform", |script| signature(script).c14n = c14n.to_owned()).await;
        bench.refuses("saml.transform", |script| signature(script).transforms[1] = c14n.to_owned()).await;
    }
    each(&bench, as_it_is, "saml.transform", &["c14n inclusive", "c14n with comments", "c14n of nobody"])
        .await;
    // prefixes that are kept are part of the exclusive one
    bench.accepts(|script| signature(script).inclusive = "xs xsi".to_owned()).await;
    bench.accepts(|script| signature(script).inclusive = "#default saml xs".to_owned()).await;
}

#[tokio::test]
async fn saml_045_references_elsewhere() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.ref.uri",
        &["reference to the canary", "reference to a file", "reference to an attachment"],
    )
    .await;
    let canary = bench.canary.origin.clone();
    for uri in
        [format!("{canary}/x#_1"), "//127.0.0.1/x".to_owned(), "x.xml".to_owned(), "/etc/passwd".to_owned()]
    {
        bench
            .refuses_forged("saml.ref.uri", as_it_is, |xml| {
                edit(xml, |tree| {
                    tree.set_attribute("Response/Assertion/Signature/SignedInfo/Reference", "URI", &uri)
                })
                .unwrap();
            })
            .await;
    }
    // nor by a manifest in an object, or a key that is elsewhere
    each(&bench, as_it_is, "saml.sig.wrapped", &["manifest", "object in the signature"]).await;
    each(&bench, as_it_is, "saml.sig.malformed", &["key info with a retrieval method"]).await;
}

#[tokio::test]
async fn saml_046_weak_methods() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.alg", &["method rsa-sha1", "method none", "digest method md5"]).await;
    // with a digest that is right
    bench.refuses("saml.alg", |script| signature(script).digest = a::SHA1.to_owned()).await;
    for digest in
        [a::SHA224, a::MD5, a::RIPEMD160, a::SHA3_256, "", "urn:x", "http://www.w3.org/2001/04/xmlenc#SHA256"]
    {
        bench
            .refuses_forged("saml.alg", as_it_is, |xml| {
                let path = "Response/Assertion/Signature/SignedInfo/Reference/DigestMethod";
                edit(xml, |tree| tree.set_attribute(path, "Algorithm", digest)).unwrap();
            })
            .await;
    }
    for method in [
        a::RSA_SHA1,
        a::RSA_MD5,
        a::RSA_RIPEMD160,
        a::RSA_SHA224,
        a::DSA_SHA1,
        a::DSA_SHA256,
        a::ECDSA_SHA1,
        a::RSA_PSS_SHA1,
        a::RSA_PSS_SHA256,
        a::EDDSA_ED25519,
        "http://www.w3.org/2001/04/xmldsig-more#RSA-SHA256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256 ",
    ] {
        println!("{method}");
        bench
            .refuses_forged("saml.alg", as_it_is, |xml| {
                let path = "Response/Assertion/Signature/SignedInfo/SignatureMethod";
                edit(xml, |tree| tree.set_attribute(path, "Algorithm", method)).unwrap();
            })
            .await;
    }
    // sound, but not of this provider's list
    let bench = Bench::with(Key::rsa(), "algorithms = [\"rsa-sha512\"]");
    bench
        .refuses_beside(
            "saml.alg",
            |script| signature(script).method = a::RSA_SHA512.to_owned(),
            |script| signature(script).method = a::RSA_SHA256.to_owned(),
        )
        .await;
    // the signature's method may have no parameters
    bench
        .refuses_beside(
            "saml.alg",
            |script| signature(script).method = a::RSA_SHA512.to_owned(),
            |script| {
                let method = format!("<ds:SignatureMethod Algorithm=\"{}\"/>", a::RSA_SHA512);
                let with = format!(
                    "<ds:SignatureMethod Algorithm=\"{}\"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
                    a::RSA_SHA512
                );
                signature(script).template = vec![(method, with)];
            },
        )
        .await;
}

#[tokio::test]
async fn saml_047_hmac_with_the_public_key() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.alg", &["method hmac", "signed by hmac with the certificate"]).await;
    let key = Key::rsa();
    let spki = key.loaded().to_spki_der().unwrap();
    for (method, secret) in [
        (a::HMAC_SHA256, key.der().to_vec()),
        (a::HMAC_SHA256, key.pem().into_bytes()),
        (a::HMAC_SHA256, key.b64().into_bytes()),
        (a::HMAC_SHA512, spki.clone()),
        (a::HMAC_SHA1, spki),
        (a::HMAC_SHA256, b"x".to_vec()),
    ] {
        bench
            .refuses("saml.alg", |script| {
                signature(script).method = method.to_owned();
                signature(script).hmac = Some(secret.clone());
            })
            .await;
    }
}

#[tokio::test]
async fn saml_049_ecdsa_signatures_that_are_none() {
    let mutations: &[&str] = &[
        "signature value zero",
        "signature value one",
        "signature value all ones",
        "signature value flipped",
        "signature value short",
        "signature value with a zero before",
        "signature value with a zero after",
        "signature value doubled",
    ];
    for key in [Key::p256(), Key::p384()] {
        let bench = Bench::with(key, "");
        each(&bench, as_it_is, "saml.sig.invalid", mutations).await;
        // r or s alone nought, and the order of the curve for either
        for (from, to) in [(0, 1), (1, 2)] {
            bench
                .refuses_forged("saml.sig.invalid", as_it_is, |xml| {
                    let mut bytes = STANDARD.decode(inner(xml, VALUE).unwrap()).unwrap();
                    let half = bytes.len() / 2;
                    bytes[from * half..to * half].fill(0);
                    edit(xml, |tree| tree.set(VALUE, &STANDARD.encode(bytes))).unwrap();
                })
                .await;
        }
    }
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let bench = Bench::with(Key::p256(), "");
    for bytes in
        [[order, order].concat(), [order, [0; 32]].concat(), vec![0x30, 0], vec![0x30, 6, 2, 1, 0, 2, 1, 0]]
    {
        bench
            .refuses_forged("saml.sig.invalid", as_it_is, |xml| {
                edit(xml, |tree| tree.set(VALUE, &STANDARD.encode(bytes))).unwrap();
            })
            .await;
    }
    // the same two numbers in DER, which another verifier might take (XML Signature 1.1 §6.4.3 wants fixed lengths)
    bench
        .refuses_forged("saml.sig.invalid", as_it_is, |xml| {
            let bytes = STANDARD.decode(inner(xml, VALUE).unwrap()).unwrap();
            let mut body = Vec::new();
            for half in bytes.chunks(32) {
                let short: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
                let zero = short[0] >= 0x80;
                body.extend([2, u8::try_from(short.len()).unwrap() + u8::from(zero)]);
                body.extend(zero.then_some(0));
                body.extend(short);
            }
            let der = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
            edit(xml, |tree| tree.set(VALUE, &STANDARD.encode(der))).unwrap();
        })
        .await;
}

#[tokio::test]
async fn a_key_of_another_kind_signs_nothing() {
    let bench = Bench::new();
    for key in [Key::p256(), Key::attacker_p256(), Key::rsa_3072()] {
        bench.refuses("saml.sig.invalid", |script| script.key(&key)).await;
    }
    // and its method over the provider's own signature
    let bench = Bench::with(Key::p256(), "");
    for method in [a::RSA_SHA256, a::ECDSA_SHA384, a::ECDSA_SHA512] {
        bench
            .refuses_forged("saml.sig.invalid", as_it_is, |xml| {
                let path = "Response/Assertion/Signature/SignedInfo/SignatureMethod";
                edit(xml, |tree| tree.set_attribute(path, "Algorithm", method)).unwrap();
            })
            .await;
    }
}

#[tokio::test]
async fn saml_051_keys_of_the_message() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.invalid",
        &["signed by the attacker", "signed by the attacker, certificate of the provider"],
    )
    .await;
    let attacker = Key::attacker();
    let value = attacker.loaded().to_key_value_xml("ds").unwrap();
    let value = format!("<ds:KeyValue>{value}</ds:KeyValue>");
    for raw in [
        value.clone(),
        format!("<ds:KeyName>{}</ds:KeyName>{value}", "idp"),
        format!(
            "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
            attacker.b64(),
            Key::rsa().b64()
        ),
        format!(
            "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
            Key::rsa().b64(),
            attacker.b64(),
        ),
    ] {
        println!("{}", &raw[..40]);
        bench
            .refuses("saml.sig.invalid", |script| {
                script.key(&attacker);
                signature(script).key_info = KeyInfo::Raw(raw.clone());
            })
            .await;
    }
    // what KeyInfo says means nothing where the provider signed: another certificate, a name, nothing, rubbish
    let rubbish = "<ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data>";
    for info in [
        KeyInfo::None,
        KeyInfo::Of(attacker.clone()),
        KeyInfo::Raw("<ds:KeyName>../../etc/passwd</ds:KeyName>".to_owned()),
        KeyInfo::Raw(value.clone()),
        KeyInfo::Raw(rubbish.to_owned()),
    ] {
        bench.accepts(|script| signature(script).key_info = info.clone()).await;
    }
}

#[tokio::test]
async fn several_certificates_count_at_once_and_no_others() {
    let bench = Bench::of(&[Key::rsa(), Key::p256(), Key::rsa_next()], "signed = \"either\"");
    for key in [Key::rsa(), Key::p256(), Key::rsa_next()] {
        bench.accepts(|script| script.key(&key)).await;
        bench
            .accepts(|script| {
                script.key(&key);
                both_signed(script);
            })
            .await;
    }
    // each of two signatures by another of them
    bench
        .accepts(|script| {
            both_signed(script);
            script.sign_response = Some(Signature::by(Key::rsa_next()));
        })
        .await;
    // but not by keys of two kinds: the second verifier gives up at a certificate whose key does not fit
    bench
        .refuses_beside("saml.sig.invalid", both_signed, |script| {
            script.sign_response = Some(Signature::by(Key::p256()));
        })
        .await;
    bench.refuses("saml.sig.invalid", |script| script.key(&Key::attacker())).await;
    let bench = Bench::new();
    bench.refuses("saml.sig.invalid", |script| script.key(&Key::rsa_next())).await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_refuses_nothing_by_itself() {
    let ended = Key::rsa().certified(1_600_000_000, 1_700_000_000);
    let bench = Bench::with(ended, "");
    bench.accepts(as_it_is).await;
    let coming = Key::p256().certified(1_900_000_000, 2_000_000_000);
    let bench = Bench::with(coming, "");
    bench.accepts(as_it_is).await;
}

#[tokio::test]
async fn saml_053_signature_stripped() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.sig.missing", &["no signature"]).await;
    each(&bench, both_signed, "saml.sig.missing", &["no signature"]).await;
    for policy in ["assertion", "response", "both", "either"] {
        let bench = Bench::with(Key::rsa(), &format!("signed = \"{policy}\""));
        each(&bench, both_signed, "saml.sig.missing", &["no signature"]).await;
    }
    // a signature that somebody signed is one of nobody, if it is of a namespace of nobody
    let bench = Bench::new();
    bench
        .refuses_forged("saml.message.shape", as_it_is, |xml| {
            *xml =
                xml.replace("http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo", "urn:x\"><ds:SignedInfo");
        })
        .await;
}

#[tokio::test]
async fn saml_054_empty_values() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.invalid",
        &[
            "signature without value",
            "signature value of blanks",
            "signature value no base64",
            "signature value urlsafe",
            "signature value zero",
            "signature value one",
            "signature value all ones",
            "signature value flipped",
            "signature value short",
            "signature value with a zero before",
            "signature value with a zero after",
            "signature value doubled",
        ],
    )
    .await;
    each(&bench, as_it_is, "saml.sig.malformed", &["signature without the element of its value"]).await;
}

#[tokio::test]
async fn what_was_changed_does_not_hold_even_if_its_digest_does() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.invalid",
        &[
            "changed, digest fits",
            "another person",
            "another address",
            "another audience",
            "digest flipped",
            "no conditions",
            "no authn statement",
        ],
    )
    .await;
    let bench = Bench::with(Key::p256(), "");
    each(&bench, as_it_is, "saml.sig.invalid", &["changed, digest fits", "another person"]).await;
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    bench
        .refuses_forged("saml.sig.invalid", response_signed, |xml| {
            edit(xml, |tree| tree.set("Response/Assertion/Subject/NameID", "mallory")).unwrap();
            redigest(xml, "Response").unwrap();
        })
        .await;
}

#[tokio::test]
async fn lines_in_values_are_as_good_as_none() {
    let bench = Bench::new();
    bench
        .accepts_message(as_it_is, |message| {
            let xml = &mut message.xml;
            edit(xml, |tree| {
                tree.change(VALUE, |text| {
                    let lines: Vec<&str> =
                        text.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).unwrap()).collect();
                    format!("\n{}\n", lines.join("\n"))
                })
            })
            .unwrap();
        })
        .await;
    let world = world(&bench);
    bench
        .accepts_message(as_it_is, |message| {
            assert!(crate::saml::mutations::mutate("key info gone", &mut message.xml, &world))
        })
        .await;
}
