//! What is signed is what is read.

use super::*;

#[test]
fn a_response_opens_whatever_of_it_is_signed() {
    for (assertion, response) in [(true, false), (false, true), (true, true)] {
        let mut script = script();
        script.signed(assertion, response);
        let opened = accepted(&script.xml());
        assert_eq!(opened.response.signed, response);
        assert_eq!(opened.signed, Signed { assertion, response });
        assert_eq!(opened.response.in_response_to.as_deref(), Some("_request"));
        assert_eq!(opened.response.issuer.as_deref(), Some("https://idp.example"));
        assert_eq!(opened.response.status, [uri::SUCCESS]);
        assert!(opened.assertion.starts_with("<saml:Assertion"), "{}", opened.assertion);
        assert!(!opened.assertion.contains("Signature"));
    }
}

#[test]
fn what_nobody_signed_and_what_somebody_else_signed_is_refused() {
    let mut unsigned = script();
    unsigned.signed(false, false);
    refused_for("saml.sig.missing", &unsigned.xml());

    let mut other = script();
    other.sign_assertion = Some(super::super::support::Signature::by(Key::attacker()));
    refused_for("saml.sig.invalid", &other.xml());
    let trusting = trust(&[Key::attacker()]);
    assert!(opened(&other.xml(), &trusting, &DecryptionKeys::default()).is_ok());

    let changed = script().xml().replace("alice-persistent", "mallory");
    refused_for("saml.sig.invalid", &changed);
}

/// Whoever looks into a change of keys sees both sides; what a message brings along is shown, and counts for nothing.
#[test]
fn a_refused_signature_names_the_certificates() {
    use super::super::support::{KeyInfo, Signature};
    let print = |key: &Key| Certificate { der: key.der().into() }.fingerprint();
    let told = |xml: &str| {
        let both = trust(&[Key::rsa(), Key::p256()]);
        let failure = opened(xml, &both, &DecryptionKeys::default()).unwrap_err();
        assert_eq!(failure.reason, "saml.sig.invalid");
        (failure.detail.expected.unwrap(), failure.detail.received.unwrap(), failure.user)
    };
    let by = |key: Key, info: KeyInfo| {
        let mut script = script();
        script.sign_assertion = Some(Signature { key_info: info, ..Signature::by(key) });
        script.xml()
    };
    let strange = told(&by(Key::attacker(), KeyInfo::Own));
    assert_eq!(
        strange.0,
        format!("by a certificate of SHA-256 {}, {}", print(&Key::rsa()), print(&Key::p256()))
    );
    assert_eq!(strange.1, format!("it names SHA-256 {}, not trusted", print(&Key::attacker())));
    // in lines, as many write it
    let (before, after) = by(Key::attacker(), KeyInfo::Own)
        .split_once("X509Certificate>")
        .map(|(b, a)| (b.to_owned(), a.to_owned()))
        .unwrap();
    let (line, rest) = after.split_at(64);
    assert_eq!(told(&format!("{before}X509Certificate>\n{line}\n{rest}")).1, strange.1);
    let changed = told(&script().xml().replace("alice-persistent", "mallory"));
    assert_eq!(changed.1, format!("it names SHA-256 {}, which is trusted", print(&Key::rsa())));
    assert!(strange.1.len() <= 100 && changed.1.len() <= 100, "a trace keeps no more");
    let bare = told(&by(Key::attacker(), KeyInfo::None));
    assert_eq!(bare.1, "it names no certificate");
    assert!(strange.2 == changed.2 && strange.2 == bare.2, "the person sees the same");
}

#[test]
fn what_must_be_signed_is_the_policy_of_the_provider() {
    let policy =
        |assertion, response| Trust { signed: Signed { assertion, response }, ..trust(&[Key::rsa()]) };
    let xml = |assertion, response| {
        let mut script = script();
        script.signed(assertion, response);
        script.xml()
    };
    refused_by("saml.sig.assertion_required", &xml(false, true), &policy(true, false));
    refused_by("saml.sig.response_required", &xml(true, false), &policy(false, true));
    for (assertion, response) in [(true, false), (false, true), (true, true)] {
        assert!(opened(&xml(true, true), &policy(assertion, response), &DecryptionKeys::default()).is_ok());
    }
}

#[test]
fn several_certificates_of_different_kinds_are_tried_one_by_one() {
    let all = [Key::p256(), Key::p384(), Key::rsa_next(), Key::rsa_3072(), Key::rsa()];
    for key in &all {
        let mut script = script();
        script.sign_assertion = Some(super::super::support::Signature::by(key.clone()));
        let result = opened(&script.xml(), &trust(&all), &DecryptionKeys::default());
        assert!(result.is_ok(), "{}", result.unwrap_err().for_operator());
        let without: Vec<Key> = all.iter().filter(|k| k.der() != key.der()).cloned().collect();
        refused_by("saml.sig.invalid", &script.xml(), &trust(&without));
    }
}

#[test]
fn a_refusal_of_the_provider_needs_no_assertion() {
    let mut script = script();
    script.response.status =
        vec!["urn:oasis:names:tc:SAML:2.0:status:Responder".to_owned(), "urn:x:NoPassive".to_owned()];
    let envelope = script.response.xml("");
    match open_now(envelope.as_bytes(), &trust(&[Key::rsa()]), &DecryptionKeys::default()) {
        Ok(Answer::Declined(envelope)) => assert_eq!(envelope.status.len(), 2),
        other => panic!("{other:?}"),
    }
    // providers sign errors or not, whatever else they must sign
    let must = Trust { signed: Signed { assertion: true, response: true }, ..trust(&[Key::rsa()]) };
    let answer = open_now(envelope.as_bytes(), &must, &DecryptionKeys::default());
    assert!(matches!(answer, Ok(Answer::Declined(_))), "{answer:?}");
    script.response.status = vec![uri::SUCCESS.to_owned()];
    refused_for("saml.assertion.count", &script.response.xml(""));
}

#[test]
fn what_we_sign_verifies_as_a_whole() {
    use super::super::open::verify_root_now;
    use super::super::signature::sign::SigningKey;
    use super::super::{ns, xml};
    for key in [Key::rsa(), Key::rsa_3072(), Key::p256(), Key::p384()] {
        let (_, der) = x509_cert::der::pem::decode_vec(key.private_pem().as_bytes()).unwrap();
        let ours = SigningKey::new(&der, Certificate { der: key.der().into() }).unwrap();
        let text = format!(
            "<p:LogoutRequest xmlns:p=\"{}\" ID=\"_a\"><Issuer xmlns=\"{}\">x</Issuer></p:LogoutRequest>",
            ns::PROTOCOL,
            ns::ASSERTION
        );
        let signed = ours.sign_root(&text).unwrap();
        let verify = |text: &str, by: &Key| {
            verify_root_now(
                text.as_bytes(),
                &xml::MESSAGE,
                (ns::PROTOCOL, "LogoutRequest"),
                &trust(std::slice::from_ref(by)),
            )
        };
        assert_eq!(verify(&signed, &key).map_err(|f| f.for_operator()), Ok(text.clone()));
        assert_eq!(verify(&text, &key).unwrap_err().reason, "saml.sig.missing");
        assert_eq!(verify(&signed, &Key::attacker()).unwrap_err().reason, "saml.sig.invalid");
        assert_eq!(verify(&signed.replace(">x<", ">y<"), &key).unwrap_err().reason, "saml.sig.invalid");
    }
}

#[test]
fn a_redirect_is_verified_over_the_octets_that_came() {
    use super::super::signature::query::{self, Kind};
    use super::super::signature::sign::SigningKey;
    for key in [Key::rsa(), Key::p256(), Key::p384()] {
        let (_, der) = x509_cert::der::pem::decode_vec(key.private_pem().as_bytes()).unwrap();
        let ours = SigningKey::new(&der, Certificate { der: key.der().into() }).unwrap();
        let message = super::super::open::deflate("<a/>").unwrap();
        let raw = query::sign(Kind::Request, &message, Some("a b/c"), &ours).unwrap();
        let trust = trust(&[key]);
        let read = query::verify(Kind::Request, &raw, &trust).unwrap();
        let (relay_state, algorithm) = (Some("a b/c".to_owned()), read.algorithm);
        assert_eq!(read, query::Query { message, relay_state, algorithm, by: 0 });
        let escaped = raw.replace("a+b", "a%20b");
        assert_eq!(query::verify(Kind::Request, &escaped, &trust).unwrap_err().reason, "saml.sig.invalid");
        let twice = format!("{raw}&RelayState=x");
        assert_eq!(query::verify(Kind::Request, &twice, &trust).unwrap_err().reason, "saml.encoding");
        // some senders break the lines of base64
        let (signed, value) = raw.split_once("&Signature=").unwrap();
        let broken = format!("{signed}&Signature=%0D%0A{value}%0A");
        query::verify(Kind::Request, &broken, &trust).unwrap();
        let none = Trust { algorithms: std::collections::BTreeSet::new(), ..trust.clone() };
        assert_eq!(query::verify(Kind::Request, &raw, &none).unwrap_err().reason, "saml.alg");
        let (unsigned, _) = raw.split_once("&Signature").unwrap();
        assert_eq!(query::verify(Kind::Request, unsigned, &trust).unwrap_err().reason, "saml.sig.missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_refusal_and_gives_its_room_back() {
    use super::super::aside::aside;
    use super::super::open::open;
    let many = 4 * std::thread::available_parallelism().map_or(2, usize::from);
    for _ in 0..many {
        let result: Result<(), _> = aside(|| panic!("a library gave up")).await;
        assert_eq!(result.unwrap_err().reason, "saml.sig.invalid");
    }
    let waiting: Vec<_> = (0..many)
        .map(|_| open(script().xml().into_bytes(), trust(&[Key::rsa()]), DecryptionKeys::default()))
        .collect();
    for (steps, answer) in futures_util::future::join_all(waiting).await {
        assert!(matches!(answer, Ok(Answer::Opened(_))));
        assert!(!steps.steps().is_empty());
    }
}

/// The response and its assertion may be signed by different keys, as while certificates change.
#[test]
fn two_signatures_may_be_by_two_keys_of_a_kind() {
    use super::super::support::Signature;
    let by = |assertion: Key, response: Key| {
        let mut script = script();
        script.sign_assertion = Some(Signature::by(assertion));
        script.sign_response = Some(Signature::by(response));
        script.xml()
    };
    let all = trust(&[Key::p256(), Key::rsa(), Key::rsa_next(), Key::p384()]);
    for (assertion, response) in [(Key::rsa(), Key::rsa_next()), (Key::rsa_next(), Key::rsa())] {
        let xml = by(assertion, response);
        let result = opened(&xml, &all, &DecryptionKeys::default());
        assert!(result.is_ok(), "{}", result.unwrap_err().for_operator());
        refused_by("saml.sig.invalid", &xml, &trust(&[Key::rsa()]));
        refused_by("saml.sig.invalid", &xml, &trust(&[Key::rsa_next()]));
    }
    // samael gives up at a key that does not fit; that is no disagreement.
    for (assertion, response) in [(Key::rsa(), Key::p256()), (Key::p256(), Key::rsa())] {
        refused_by("saml.sig.invalid", &by(assertion, response), &all);
    }
}

#[test]
fn numbers_that_are_no_signature_are_none() {
    use super::super::support::{Signature, edit};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    for key in [Key::p256(), Key::p384(), Key::rsa()] {
        let mut script = script();
        script.sign_assertion = Some(Signature::by(key.clone()));
        let sound = script.xml();
        let trust = trust(std::slice::from_ref(&key));
        assert!(opened(&sound, &trust, &DecryptionKeys::default()).is_ok());
        for bytes in [
            vec![0; 64],
            vec![0; 96],
            vec![0; 256],
            vec![1],
            vec![0xff; 64],
            vec![0xff; 256],
            vec![0x30, 6, 2, 1, 0, 2, 1, 0],
        ] {
            let mut xml = sound.clone();
            let value = STANDARD.encode(bytes);
            edit(&mut xml, |tree| tree.set("Response/Assertion/Signature/SignatureValue", &value)).unwrap();
            refused_by("saml.sig.invalid", &xml, &trust);
        }
    }
}
