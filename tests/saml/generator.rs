//! The generator itself: what it signs, another reader of the library verifies; what it encrypts, opens.

use crate::saml::{Encryption, Idp, Key, KeyInfo, Script, Signature, edit, outer, redigest, resign};
use bergshamra::core::algorithm as a;
use bergshamra::{DsigContext, EncContext, KeysManager};
use countersign::context::Timestamp;

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn script(key: Key) -> Script {
    Script::sound(
        now(),
        "https://idp.example",
        "https://sp.example",
        "https://sp.example/acs",
        "_request",
        key,
    )
}

fn verifies(xml: &str, key: &Key) -> bool {
    let mut keys = KeysManager::new();
    keys.add_key(bergshamra::keys::loader::load_x509_cert_der(key.der()).unwrap());
    bergshamra::verify_all(&DsigContext::new(keys), xml).unwrap().iter().all(|one| one.is_valid())
}

#[test]
fn what_it_signs_verifies_with_its_key_and_no_other() {
    for key in [Key::rsa(), Key::rsa_3072(), Key::p256(), Key::p384()] {
        for (assertion, response) in [(true, false), (false, true), (true, true)] {
            let mut script = script(key.clone());
            script.signed(assertion, response);
            let xml = script.xml();
            assert!(verifies(&xml, &key), "{xml}");
            assert!(!verifies(&xml, &Key::attacker()));
            assert!(!verifies(&xml, &Key::attacker_p256()));
            assert_eq!(xml.matches("<ds:Signature ").count(), usize::from(assertion) + usize::from(response));
        }
    }
}

#[test]
fn every_algorithm_of_a_signature_can_be_chosen() {
    for (key, method, digest) in [
        (Key::rsa(), a::RSA_SHA384, a::SHA384),
        (Key::rsa(), a::RSA_SHA512, a::SHA512),
        (Key::rsa(), a::RSA_PSS_SHA256, a::SHA256),
        (Key::p384(), a::ECDSA_SHA384, a::SHA384),
    ] {
        let mut script = script(key.clone());
        script.sign_assertion = Some(Signature {
            method: method.to_owned(),
            digest: digest.to_owned(),
            inclusive: "xs xsi".to_owned(),
            key_info: KeyInfo::None,
            ..Signature::by(key.clone())
        });
        let xml = script.xml();
        assert!(verifies(&xml, &key), "{xml}");
    }
}

#[test]
fn a_changed_message_does_not_verify_until_it_is_signed_anew() {
    let mut xml = script(Key::rsa()).xml();
    edit(&mut xml, |tree| tree.set("Response/Assertion/Subject/NameID", "mallory")).unwrap();
    assert!(!verifies(&xml, &Key::rsa()));
    let mut forged = xml.clone();
    redigest(&mut forged, "Response/Assertion").unwrap();
    assert!(!verifies(&forged, &Key::rsa()), "the digest fits, the signature does not");
    resign(&mut xml, "Response/Assertion", &Signature::by(Key::rsa())).unwrap();
    assert!(verifies(&xml, &Key::rsa()));
}

#[test]
fn what_it_encrypts_opens_with_the_key() {
    let key = Key::service();
    let mut variants = Vec::new();
    for data in [a::AES128_GCM, a::AES192_GCM, a::AES256_GCM, a::AES128_CBC, a::AES256_CBC] {
        variants.push(Encryption { data: data.to_owned(), ..Encryption::to(key.der()) });
    }
    variants.push(Encryption {
        key: a::RSA_OAEP_ENC11.to_owned(),
        digest: Some(a::SHA256.to_owned()),
        mgf: Some(a::MGF1_SHA256.to_owned()),
        ..Encryption::to(key.der())
    });
    for encryption in variants {
        let mut script = script(Key::rsa());
        script.encrypt = Some(encryption);
        let xml = script.xml();
        assert!(!xml.contains("alice-persistent"));
        let mut keys = KeysManager::new();
        keys.add_key(key.loaded());
        let data = outer(&xml, "//EncryptedData").unwrap();
        let opened = bergshamra::decrypt(&EncContext::new(keys), &data).unwrap();
        assert!(opened.contains("alice-persistent"), "{opened}");
    }
}

#[test]
fn the_key_may_stand_beside_the_data() {
    let mut script = script(Key::rsa());
    script.encrypt = Some(Encryption { key_beside: true, ..Encryption::to(Key::service().der()) });
    let xml = script.xml();
    assert!(outer(&xml, "Response/EncryptedAssertion/EncryptedKey").is_some(), "{xml}");
    assert!(outer(&xml, "Response/EncryptedAssertion/EncryptedData/KeyInfo").is_none(), "{xml}");
}

#[test]
fn metadata_says_what_it_is_told() {
    let idp = Idp::new("https://idp.example", "https://idp.example", Key::rsa());
    let mut metadata = idp.metadata();
    metadata.sign = Some(Signature::by(Key::rsa()));
    let xml = metadata.xml();
    assert!(verifies(&xml, &Key::rsa()), "{xml}");
    assert!(xml.contains(&Key::rsa().b64()));
}
