//! The trace of an answer: each section that passed is a step that says what was expected and what came.

use crate::bench::{Bench, both_signed, response_signed};
use crate::saml::{Encryption, Key, Script, Signature};
use bergshamra::core::algorithm as a;
use countersign::upstream::Trace;
use sha2::Digest as _;

/// The steps up to the profile's, as `check: expected: received`.
fn steps(trace: &Trace) -> Vec<String> {
    let steps = trace.steps().iter();
    let ours = steps.take_while(|step| step.check != "saml.version");
    ours.map(|step| {
        let mark = if step.passed { "" } else { "! " };
        // how long it is is no matter
        let received = match step.received.strip_suffix(" bytes") {
            Some(number) if number.parse::<usize>().is_ok_and(|number| number > 1000) => "bytes",
            _ => &step.received,
        };
        format!("{mark}{}: {}: {received}", step.check, step.expected)
    })
    .collect()
}

async fn told(bench: &Bench, change: impl FnOnce(&mut Script)) -> Vec<String> {
    steps(&bench.sign_in(change, |_| {}).await.1)
}

fn print(key: &Key) -> String {
    let hex: String = sha2::Sha256::digest(key.der()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("SHA-256 {hex}")
}

const ALLOWED: &str = "ecdsa-sha256, ecdsa-sha384, ecdsa-sha512, rsa-sha256, rsa-sha384, rsa-sha512";

const BEFORE: [&str; 3] = [
    "saml.response: one SAMLResponse by POST: a SAMLResponse",
    "saml.encoding: base64: bytes",
    "saml.text: plain, bounded XML: bytes",
];

fn all(rest: &[String]) -> Vec<String> {
    BEFORE.into_iter().map(str::to_owned).chain(rest.iter().cloned()).collect()
}

fn shape(received: &str) -> String {
    format!("saml.shape: one Response with one assertion: {received}")
}

fn signed(of: &str, how: &str, by: &Key) -> [String; 2] {
    [
        format!("saml.alg: {of} by {ALLOWED}: {how}"),
        format!("saml.key: {of} by a key that is trusted: {}", print(by)),
    ]
}

const PLAIN: &str = "a Response with an Assertion";

#[tokio::test]
async fn what_was_signed_how_and_by_which_certificate_stands_in_the_trace() {
    let keys = [Key::rsa(), Key::rsa_next()];
    let bench = Bench::of(&keys, "");
    let rsa = "rsa-sha256, digest sha256";
    let [alg, key] = signed("the assertion", rsa, &keys[0]);
    let what = |received: &str| format!("saml.signature: the assertion: {received}");
    assert_eq!(
        told(&bench, |_| {}).await,
        all(&[shape(PLAIN), alg.clone(), key.clone(), what("the assertion")])
    );
    let [outer_alg, outer_key] = signed("the response", rsa, &keys[0]);
    assert_eq!(
        told(&bench, both_signed).await,
        all(&[
            shape(PLAIN),
            outer_alg.clone(),
            outer_key.clone(),
            alg,
            key,
            what("the response and the assertion")
        ])
    );
    // by the other certificate, and with other algorithms
    let other = |script: &mut Script| {
        script.sign_assertion = Some(Signature {
            method: a::RSA_SHA512.to_owned(),
            digest: a::SHA384.to_owned(),
            ..Signature::by(Key::rsa_next())
        });
    };
    let [alg, key] = signed("the assertion", "rsa-sha512, digest sha384", &keys[1]);
    assert_eq!(told(&bench, other).await, all(&[shape(PLAIN), alg, key, what("the assertion")]));

    for (policy, expected) in [("response", "the response"), ("either", "the response or the assertion")] {
        let bench = Bench::with(Key::rsa(), &format!("signed = \"{policy}\""));
        assert_eq!(
            told(&bench, response_signed).await,
            all(&[
                shape(PLAIN),
                outer_alg.clone(),
                outer_key.clone(),
                format!("saml.signature: {expected}: the response")
            ])
        );
    }
    let bench = Bench::with(Key::rsa(), "signed = \"both\"");
    let steps = told(&bench, both_signed).await;
    let both = "saml.signature: the response and the assertion: the response and the assertion";
    assert_eq!(steps.last().map(String::as_str), Some(both));
}

#[tokio::test]
async fn how_it_was_encrypted_stands_in_the_trace() {
    let encrypt = |data: &str, key: &str, digest: Option<&str>, mgf: Option<&str>| Encryption {
        data: data.to_owned(),
        key: key.to_owned(),
        digest: digest.map(str::to_owned),
        mgf: mgf.map(str::to_owned),
        ..Encryption::to(Key::service().der())
    };
    let rsa = "rsa-sha256, digest sha256";
    let [alg, key] = signed("the assertion", rsa, &Key::rsa());
    let [outer_alg, outer_key] = signed("the response", rsa, &Key::rsa());
    let encrypted = || shape("a Response with an EncryptedAssertion");

    let bench = Bench::with(Key::rsa(), "key = \"env:KEY\"\nencryption = \"required\"");
    let gcm = "saml.enc.alg: RSA-OAEP with AES-GCM: rsa-oaep-mgf1p by sha1, aes256-gcm".to_owned();
    let required = "saml.enc.required: an encrypted assertion: encrypted".to_owned();
    assert_eq!(
        told(&bench, |script| script.encrypt = Some(encrypt(a::AES256_GCM, a::RSA_OAEP, None, None))).await,
        all(&[
            encrypted(),
            gcm.clone(),
            alg.clone(),
            key.clone(),
            "saml.signature: the assertion: the assertion".to_owned(),
            required
        ])
    );

    let bench = Bench::with(Key::rsa(), "key = \"env:KEY\"\nsigned = \"response\"\nallow_cbc = true");
    let cbc = "saml.enc.alg: RSA-OAEP with AES-GCM or AES-CBC: rsa-oaep by sha256, aes128-cbc".to_owned();
    let how = encrypt(a::AES128_CBC, a::RSA_OAEP_ENC11, Some(a::SHA256), Some(a::MGF1_SHA256));
    for (assertion, coverage) in [(true, "the response and the assertion"), (false, "the response")] {
        let inner = if assertion { vec![alg.clone(), key.clone()] } else { Vec::new() };
        let mut wanted = vec![encrypted(), outer_alg.clone(), outer_key.clone(), cbc.clone()];
        wanted.extend(inner);
        wanted.push(format!("saml.signature: the response: {coverage}"));
        let steps = told(&bench, |script| {
            script.signed(assertion, true);
            script.encrypt = Some(how.clone());
        });
        assert_eq!(steps.await, all(&wanted), "{assertion}");
    }
    // where it opens by no key of ours, the way was still one that is taken
    let bench = Bench::with(Key::rsa(), "key = \"env:KEY\"");
    let steps = told(&bench, |script| {
        script.encrypt = Some(Encryption::to(Key::attacker().der()));
    });
    let steps = steps.await;
    assert_eq!(steps.get(4), Some(&gcm), "{steps:?}");
    assert!(steps.get(5).is_some_and(|step| step.starts_with("! saml.enc.failed")), "{steps:?}");
    assert_eq!(steps.len(), 6);
}

/// A step that fails stands behind those that held, and nothing behind it.
#[tokio::test]
async fn what_held_before_a_check_that_failed_stands_in_the_trace() {
    let bench = Bench::new();
    let checks = |steps: Vec<String>| -> Vec<String> {
        let name = |step: &String| step.split(": ").next().unwrap_or_default().to_owned();
        steps.iter().map(name).collect()
    };
    let before = ["saml.response", "saml.encoding", "saml.text"];
    let held = |more: &[&str]| before.iter().chain(more).map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let forged = |script: &mut Script| script.sign_assertion = Some(Signature::by(Key::attacker()));
    assert_eq!(checks(told(&bench, forged).await), held(&["saml.shape", "! saml.sig.invalid"]));
    let bare = |script: &mut Script| script.signed(false, false);
    assert_eq!(checks(told(&bench, bare).await), held(&["saml.shape", "! saml.sig.missing"]));
    // of the response alone, which is not what must be signed
    let steps = told(&bench, response_signed).await;
    assert_eq!(checks(steps), held(&["saml.shape", "! saml.sig.assertion_required"]));
    let (_, trace) = bench
        .sign_in(|_| {}, |message| message.xml = message.xml.replacen("samlp:Response", "samlp:Other", 2))
        .await;
    assert_eq!(checks(steps_of(&trace)), held(&["! saml.message.type"]));
    let (_, trace) = bench.sign_in(|_| {}, |message| message.xml.push('<')).await;
    assert_eq!(checks(steps_of(&trace)), ["saml.response", "saml.encoding", "! saml.xml.malformed"]);
    // nobody signed in there, and nothing need be signed
    let steps = told(&bench, |script| {
        script.signed(false, false);
        script.response.status = vec!["urn:oasis:names:tc:SAML:2.0:status:Responder".to_owned()];
    });
    let steps = steps.await;
    assert_eq!(steps.get(3).map(String::as_str), Some(&*shape(PLAIN)), "{steps:?}");
}

fn steps_of(trace: &Trace) -> Vec<String> {
    steps(trace)
}
