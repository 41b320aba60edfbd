//! Encrypted assertions: which algorithms are taken, and that a stranger learns nothing from refusals.

use crate::bench::{ALICE, Bench, as_it_is, response_signed};
use crate::saml::mutations::evil;
use crate::saml::{Encryption, Key, Script, edit, encryption_certificate, outer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::core::algorithm as a;

const KEY: &str = "key = \"env:KEY\"";
const DATA: &str = "Response/EncryptedAssertion/EncryptedData";
const WRAPPED: &str = "Response/EncryptedAssertion/EncryptedData/KeyInfo/EncryptedKey";

fn to_us() -> Encryption {
    Encryption::to(Key::service().der())
}

fn encrypt(script: &mut Script) {
    script.encrypt = Some(to_us());
}

fn bench() -> Bench {
    Bench::with(Key::rsa(), KEY)
}

#[tokio::test]
async fn the_certificate_to_encrypt_to_is_in_our_metadata() {
    let bench = bench();
    let published =
        bench.entry.upstream.published(&bench.context, crate::bench::CALLBACK).await.unwrap().unwrap();
    let metadata = String::from_utf8(published.body.to_vec()).unwrap();
    assert_eq!(encryption_certificate(&metadata).unwrap(), Key::service().der());
}

#[tokio::test]
async fn what_is_taken_is_decrypted() {
    let bench = Bench::with(Key::rsa(), &format!("{KEY}\nsigned = \"either\""));
    for data in [a::AES128_GCM, a::AES192_GCM, a::AES256_GCM] {
        for (key, digest, mgf) in [
            (a::RSA_OAEP, None, None),
            (a::RSA_OAEP, Some(a::SHA1), None),
            (a::RSA_OAEP_ENC11, Some(a::SHA256), Some(a::MGF1_SHA256)),
        ] {
            for beside in [false, true] {
                for response in [false, true] {
                    println!("{data} {key} {beside} {response}");
                    let vouched = bench
                        .accepts(|script| {
                            script.signed(true, response);
                            script.encrypt = Some(Encryption {
                                data: data.to_owned(),
                                key: key.to_owned(),
                                digest: digest.map(str::to_owned),
                                mgf: mgf.map(str::to_owned),
                                key_beside: beside,
                                ..to_us()
                            });
                        })
                        .await;
                    assert!(format!("{:?}", vouched.identity).contains(ALICE));
                }
            }
        }
    }
}

#[tokio::test]
async fn saml_055_injected_encrypted_assertion() {
    let bench = bench();
    // beside the signed one, in all places and orders
    for place in ["before", "after", "extensions", "advice"] {
        let reason = "saml.sig.assertion_required";
        println!("{place}");
        bench
            .refuses_forged(reason, as_it_is, |xml| {
                let evil = evil(&outer(xml, "Response/Assertion").unwrap()).unwrap();
                let evil = to_us().assertion(&evil);
                edit(xml, |tree| match place {
                    "before" => tree.before("Response/Assertion", &evil),
                    "after" => tree.after("Response/Assertion", &evil),
                    "extensions" => tree
                        .before("Response/Status", &format!("<samlp:Extensions>{evil}</samlp:Extensions>")),
                    _ => tree.after(
                        "Response/Assertion/Conditions",
                        &format!("<saml:Advice>{evil}</saml:Advice>"),
                    ),
                })
                .unwrap();
            })
            .await;
    }
    // alone, unsigned: in its place anybody could have put it there
    bench
        .refuses_forged("saml.sig.assertion_required", encrypt, |xml| {
            let evil = to_us().assertion("<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_e\" Version=\"2.0\" IssueInstant=\"2027-01-15T08:00:00Z\"><saml:Issuer>x</saml:Issuer></saml:Assertion>");
            edit(xml, |tree| tree.replace("Response/EncryptedAssertion", &evil)).unwrap();
        })
        .await;
    // signed by the provider, but only around the encryption, where the assertion itself must be
    let strict = Bench::with(Key::rsa(), &format!("{KEY}\nsigned = \"assertion\""));
    strict
        .refuses_beside(
            "saml.sig.assertion_required",
            |script| {
                encrypt(script);
                script.signed(true, true);
            },
            response_signed,
        )
        .await;
    // where the response is what must be signed, that covers what is encrypted
    let response = Bench::with(Key::rsa(), &format!("{KEY}\nsigned = \"response\""));
    response
        .accepts(|script| {
            encrypt(script);
            response_signed(script);
        })
        .await;
    // two of them
    bench
        .refuses_forged("saml.assertion.count", encrypt, |xml| {
            let one = outer(xml, "Response/EncryptedAssertion").unwrap();
            edit(xml, |tree| tree.after("Response/EncryptedAssertion", &one)).unwrap();
        })
        .await;
}

#[tokio::test]
async fn wrapping_within_what_is_encrypted() {
    let bench = bench();
    let change: &[(&str, &str, fn(&str) -> String)] = &[
        ("two assertions", "saml.enc.malformed", |signed| format!("{}{signed}", evil(signed).unwrap())),
        ("evil around the signed one", "saml.enc.malformed", |signed| {
            let mut outside = evil(signed).unwrap();
            edit(&mut outside, |tree| tree.append("Assertion", signed)).unwrap();
            outside
        }),
        ("signed one in the advice of the evil one", "saml.enc.malformed", |signed| {
            let mut outside = evil(signed).unwrap();
            edit(&mut outside, |tree| {
                tree.after("Assertion/Conditions", &format!("<saml:Advice>{signed}</saml:Advice>"))
            })
            .unwrap();
            outside
        }),
        ("changed", "saml.sig.invalid", |signed| signed.replace(ALICE, "mallory")),
        ("unsigned", "saml.sig.assertion_required", |signed| evil(signed).unwrap()),
        ("a comment", "saml.enc.failed", |signed| signed.replace(ALICE, "al<!-- -->ice")),
        ("a document type", "saml.enc.failed", |signed| format!("<!DOCTYPE x>{signed}")),
        ("text", "saml.enc.malformed", |_| "alice".to_owned()),
        ("nothing", "saml.enc.malformed", |_| String::new()),
        ("no XML", "saml.enc.failed", |_| "</x>".to_owned()),
        ("another element", "saml.enc.malformed", |_| "<x/>".to_owned()),
    ];
    for (name, reason, change) in change {
        println!("{name}");
        bench
            .refuses_forged(reason, encrypt, |xml| {
                // what an attacker knows who was given a plain assertion once
                let mut script = Script::sound(
                    bench.now(),
                    crate::bench::IDP,
                    crate::bench::ENTITY_ID,
                    crate::bench::CALLBACK,
                    &crate::saml::attribute(xml, "Response", "InResponseTo").unwrap(),
                    Key::rsa(),
                );
                script.encrypt = None;
                let evil = to_us().assertion(&change(&script.sealed_assertion()));
                edit(xml, |tree| tree.replace("Response/EncryptedAssertion", &evil)).unwrap();
            })
            .await;
    }
}

#[tokio::test]
async fn saml_057_rsa_1_5_and_other_algorithms() {
    let bench = bench();
    for (path, algorithms) in [
        (
            format!("{WRAPPED}/EncryptionMethod"),
            vec![a::RSA_PKCS1, a::KW_AES256, a::KW_AES128, "", "urn:x", a::ECDH_ES],
        ),
        (
            format!("{DATA}/EncryptionMethod"),
            vec![a::TRIPLEDES_CBC, a::AES128_CBC, a::AES256_CBC, "", "urn:x", a::RSA_OAEP],
        ),
    ] {
        for algorithm in algorithms {
            println!("{algorithm}");
            bench
                .refuses_forged("saml.enc.alg", encrypt, |xml| {
                    edit(xml, |tree| tree.set_attribute(&path, "Algorithm", algorithm)).unwrap();
                })
                .await;
        }
    }
    for digest in [a::MD5, "urn:x"] {
        bench
            .refuses_forged(
                "saml.enc.alg",
                |script| script.encrypt = Some(Encryption { digest: Some(a::SHA1.to_owned()), ..to_us() }),
                |xml| {
                    edit(xml, |tree| {
                        tree.set_attribute(
                            &format!("{WRAPPED}/EncryptionMethod/DigestMethod"),
                            "Algorithm",
                            digest,
                        )
                    })
                    .unwrap();
                },
            )
            .await;
    }
}

#[tokio::test]
async fn cbc_is_taken_only_on_request_and_in_signed_responses() {
    let cbc = |script: &mut Script| {
        script.encrypt = Some(Encryption { data: a::AES256_CBC.to_owned(), ..to_us() });
    };
    bench().refuses_beside("saml.enc.alg", encrypt, cbc).await;
    let on_request = Bench::with(Key::rsa(), &format!("{KEY}\nsigned = \"response\"\nallow_cbc = true"));
    for data in [a::AES128_CBC, a::AES256_CBC] {
        on_request
            .accepts(|script| {
                script.encrypt = Some(Encryption { data: data.to_owned(), ..to_us() });
                script.signed(true, true);
            })
            .await;
    }
    on_request
        .refuses_beside(
            "saml.sig.response_required",
            |script| {
                cbc(script);
                script.signed(true, true);
            },
            |script| script.signed(true, false),
        )
        .await;
    // with a signature over it nobody can try blocks
    on_request
        .refuses_forged(
            "saml.sig.invalid",
            |script| {
                cbc(script);
                script.signed(true, true);
            },
            |xml| {
                flip(xml, &format!("{DATA}/CipherData/CipherValue"), 20);
            },
        )
        .await;
}

/// Changes one byte of a cipher value.
fn flip(xml: &mut String, path: &str, at: usize) {
    edit(xml, |tree| {
        tree.change(path, |text| {
            let mut bytes = STANDARD.decode(text).unwrap();
            bytes[at] ^= 1;
            STANDARD.encode(bytes)
        })
    })
    .unwrap();
}

#[tokio::test]
async fn whatever_goes_wrong_with_a_key_is_one_refusal() {
    let bench = bench();
    let data = format!("{DATA}/CipherData/CipherValue");
    let wrapped = format!("{WRAPPED}/CipherData/CipherValue");
    for (path, at) in [(&data, 0), (&data, 12), (&data, 40), (&wrapped, 0), (&wrapped, 128)] {
        bench.refuses_forged("saml.enc.failed", encrypt, |xml| flip(xml, path, at)).await;
    }
    for (path, bytes) in [
        (&wrapped, vec![0; 256]),
        (&wrapped, vec![7; 10]),
        (&data, vec![1; 20]),
        (&data, vec![1; 28]),
        (&data, vec![]),
    ] {
        bench
            .refuses_forged("saml.enc.failed", encrypt, |xml| {
                edit(xml, |tree| tree.set(path, &STANDARD.encode(&bytes))).unwrap();
            })
            .await;
    }
    // for somebody else
    bench
        .refuses_beside("saml.enc.failed", encrypt, |script| {
            script.encrypt = Some(Encryption::to(Key::attacker().der()));
        })
        .await;
    // the length of the key is another one than the algorithm's
    bench
        .refuses_forged("saml.enc.failed", encrypt, |xml| {
            edit(xml, |tree| {
                tree.set_attribute(&format!("{DATA}/EncryptionMethod"), "Algorithm", a::AES128_GCM)
            })
            .unwrap();
        })
        .await;
}

/// An operator reads why; the person and the app cannot tell one from the other.
#[tokio::test]
async fn what_does_not_parse_once_decrypted_is_told_to_the_operator_alone() {
    let bench = bench();
    let within = |plain: &'static str| {
        move |xml: &mut String| {
            let other = to_us().assertion(plain);
            edit(xml, |tree| tree.replace("Response/EncryptedAssertion", &other)).unwrap();
        }
    };
    let wrong_key = bench
        .refuses_beside("saml.enc.failed", encrypt, |script| {
            script.encrypt = Some(Encryption::to(Key::attacker().der()));
        })
        .await;
    assert_eq!(wrong_key.detail.note, "the assertion could not be decrypted");
    assert_eq!(wrong_key.detail.received, None);
    // a prefix that nobody declared there, as when only a signed response does
    for plain in ["<p:x/>", "</x>", "<!DOCTYPE x><x/>"] {
        let unread = bench.refuses_forged("saml.enc.failed", encrypt, within(plain)).await;
        assert_eq!(unread.detail.note, "the assertion does not parse once decrypted");
        let received = unread.detail.received.clone().unwrap_or_default();
        assert!(received.starts_with("does not parse once decrypted: saml.xml."), "{received}");
        assert_eq!((unread.user, unread.code), (wrong_key.user, wrong_key.code));
        assert_eq!(unread.description(None), wrong_key.description(None));
    }
    // the case itself: what only the response declares is not part of what its signature covers
    let bench = Bench::with(Key::rsa(), &format!("{KEY}\nsigned = \"response\""));
    let with = |declared: &'static str| {
        move |script: &mut Script| {
            encrypt(script);
            response_signed(script);
            script.response.tag = " xmlns:p=\"urn:p\"".to_owned();
            script.assertion.more = format!(
                "<saml:AttributeStatement><saml:Attribute Name=\"q\"><saml:AttributeValue><p:x{declared}/></saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"
            );
        }
    };
    let unread = bench.refuses_beside("saml.enc.failed", with(" xmlns:p=\"urn:p\""), with("")).await;
    assert_eq!(unread.detail.note, "the assertion does not parse once decrypted");
}

#[tokio::test]
async fn saml_058_cipher_reference() {
    let bench = bench();
    for path in [format!("{DATA}/CipherData"), format!("{WRAPPED}/CipherData")] {
        bench
            .refuses_forged("saml.enc.malformed", encrypt, |xml| {
                let reference = format!("<xenc:CipherReference URI=\"{}/x\"/>", bench.canary.origin);
                edit(xml, |tree| tree.set(&path, &reference)).unwrap();
            })
            .await;
    }
}

#[tokio::test]
async fn saml_059_nested_encryption() {
    let bench = bench();
    // an EncryptedAssertion in an EncryptedAssertion
    bench
        .refuses_forged("saml.enc.malformed", encrypt, |xml| {
            let inside = outer(xml, "Response/EncryptedAssertion").unwrap();
            edit(xml, |tree| tree.replace("Response/EncryptedAssertion", &to_us().assertion(&inside)))
                .unwrap();
        })
        .await;
    bench
        .refuses_forged("saml.enc.malformed", encrypt, |xml| {
            let inside = outer(xml, "Response/EncryptedAssertion").unwrap();
            edit(xml, |tree| tree.append("Response/EncryptedAssertion", &inside)).unwrap();
        })
        .await;
    // many keys, keys within keys, two data, none
    let changes: &[fn(&mut String)] = &[
        |xml| {
            let key = outer(xml, WRAPPED).unwrap();
            edit(xml, |tree| tree.after(WRAPPED, &key.repeat(99))).unwrap();
        },
        |xml| {
            let key = outer(xml, WRAPPED).unwrap();
            edit(xml, |tree| tree.append("Response/EncryptedAssertion", &key)).unwrap();
        },
        |xml| {
            let key = outer(xml, WRAPPED).unwrap();
            edit(xml, |tree| {
                tree.after(&format!("{WRAPPED}/EncryptionMethod"), &format!("<ds:KeyInfo>{key}</ds:KeyInfo>"))
            })
            .unwrap();
        },
        |xml| {
            let data = outer(xml, DATA).unwrap();
            edit(xml, |tree| tree.after(DATA, &data)).unwrap();
        },
        |xml| edit(xml, |tree| tree.remove(WRAPPED).map(drop)).unwrap(),
        |xml| edit(xml, |tree| tree.remove(DATA).map(drop)).unwrap(),
        |xml| {
            edit(xml, |tree| tree.set_attribute(DATA, "Type", "http://www.w3.org/2001/04/xmlenc#Content"))
                .unwrap()
        },
        |xml| {
            let key = outer(xml, WRAPPED).unwrap();
            edit(xml, |tree| {
                tree.replace(
                    WRAPPED,
                    "<ds:RetrievalMethod URI=\"#k\" Type=\"http://www.w3.org/2001/04/xmlenc#EncryptedKey\"/>",
                )?;
                tree.append("Response/EncryptedAssertion", &key)
            })
            .unwrap();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        println!("{number}");
        bench.refuses_forged("saml.enc.malformed", encrypt, change).await;
    }
}

#[tokio::test]
async fn an_assertion_that_must_be_encrypted_is_not_taken_in_clear() {
    let required = Bench::with(Key::rsa(), &format!("{KEY}\nencryption = \"required\""));
    required.refuses_beside("saml.enc.required", encrypt, |script| script.encrypt = None).await;
    let off = Bench::with(Key::rsa(), &format!("{KEY}\nencryption = \"off\""));
    off.refuses_beside("saml.enc.failed", as_it_is, encrypt).await;
}
