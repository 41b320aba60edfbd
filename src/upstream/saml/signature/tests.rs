//! The verifiers by themselves, and what happens where they do not agree.

use super::super::support::{Key, Signature as Template, sign};
use super::*;
use crate::upstream::saml::certificate::MOST;
use crate::upstream::saml::open::{Certificate, Signed};
use crate::upstream::saml::{shape, xml};
use std::sync::Arc;

fn trust(keys: &[Key]) -> Trust {
    Trust {
        certificates: Arc::new(keys.iter().map(|key| Certificate { der: key.der().into() }).collect()),
        algorithms: algorithm::Algorithm::ALL.into_iter().map(algorithm::Algorithm::uri).collect(),
        signed: Signed { assertion: false, response: false },
        keep: None,
    }
}

fn message() -> String {
    sign("<m:Any xmlns:m=\"urn:m\" ID=\"_a\"><m:b>text</m:b></m:Any>", &Template::by(Key::rsa()))
}

fn signature(text: &str, trust: &Trust) -> Signature {
    shape::message(&xml::parse(text).unwrap(), "urn:m", "Any", trust).unwrap().unwrap()
}

/// Of what is no wrong signature, nothing is said about certificates.
#[test]
fn certificates_are_compared_where_a_signature_does_not_hold() {
    let trust = trust(&[Key::rsa()]);
    let told = |reason| compared(refused(reason, "for a test"), &trust, None).detail.expected;
    assert!(told("saml.sig.invalid").is_some());
    assert_eq!(told("saml.c14n.failed"), None);
}

/// The first verifier looks again at what the shape promised, and does not take its word.
#[test]
fn the_first_verifier_checks_what_the_shape_says() {
    let (text, trust) = (message(), trust(&[Key::rsa()]));
    let good = signature(&text, &trust);
    let verify = |signatures: &[&Signature]| {
        pure::verify(&text, signatures, &trust.certificates).map_err(|failure| failure.reason)
    };
    assert_eq!(verify(&[&good]).unwrap()[0].by, 0);
    assert_eq!(verify(&[]), Err("saml.sig.invalid"));
    assert_eq!(verify(&[&good, &good]), Err("saml.sig.invalid"));
    assert_eq!(verify(&[&Signature { of: "_b".to_owned(), ..good.clone() }]), Err("saml.sig.invalid"));
    let other = Signature { digest_value: vec![0; 32], ..good.clone() };
    assert_eq!(verify(&[&other]), Err("saml.sig.invalid"));
    let other = Signature { prefixes: vec!["m".to_owned()], ..good.clone() };
    assert!(verify(&[&other]).is_ok(), "the prefix is in use, so nothing changes");
    let other = Signature { digest: algorithm::Digest::Sha512, ..good };
    assert_eq!(verify(&[&other]), Err("saml.sig.invalid"));
}

#[test]
fn the_certificate_that_signed_is_known_among_others() {
    let keys = [Key::p256(), Key::rsa_next(), Key::rsa(), Key::rsa_3072()];
    let (text, trust) = (message(), trust(&keys));
    let verified = pure::verify(&text, &[&signature(&text, &trust)], &trust.certificates).unwrap();
    assert_eq!(verified[0].by, 2);
    let unreadable = Certificate { der: Arc::from(&b"x"[..]) };
    let mut many = vec![unreadable; MOST - 1];
    let others = Trust { certificates: Arc::new(many.clone()), ..trust.clone() };
    let failure = verify(&text, &[&signature(&text, &trust)], &others).unwrap_err();
    assert_eq!(failure.reason, "saml.sig.invalid");
    many.push(Certificate { der: Key::rsa().der().into() });
    let last = Trust { certificates: Arc::new(many), ..trust.clone() };
    assert!(verify(&text, &[&signature(&text, &trust)], &last).is_ok());
    // the same of the signature of a redirect
    let ours =
        sign::SigningKey::new(&pkcs8(&Key::rsa()), Certificate { der: Key::rsa().der().into() }).unwrap();
    let raw = query::sign(query::Kind::Request, "AAAA", None, &ours).unwrap();
    assert!(query::verify(query::Kind::Request, &raw, &last).is_ok());
    let failure = query::verify(query::Kind::Request, &raw, &others).unwrap_err();
    assert_eq!(failure.reason, "saml.sig.invalid");
}

/// Counters by name, of this thread alone.
#[derive(Default)]
struct Counted(std::sync::Mutex<std::collections::BTreeMap<String, Arc<std::sync::atomic::AtomicU64>>>);

impl metrics::Recorder for Counted {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        let mut counters = self.0.lock().unwrap();
        metrics::Counter::from_arc(counters.entry(key.name().to_owned()).or_default().clone())
    }
    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }
    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[test]
fn each_disagreement_is_counted_and_nothing_else_is() {
    let counted = Counted::default();
    let told = || {
        let counters = counted.0.lock().unwrap();
        let told = counters
            .iter()
            .map(|(name, value)| (name.clone(), value.load(std::sync::atomic::Ordering::Relaxed)));
        told.collect::<Vec<_>>()
    };
    metrics::with_local_recorder(&counted, || {
        let (text, trust) = (message(), trust(&[Key::rsa()]));
        let signature = signature(&text, &trust);
        assert!(verify(&text, &[&signature], &trust).is_ok());
        let other = Signature { digest_value: vec![0; 32], ..signature };
        assert_eq!(verify(&text, &[&other], &trust).unwrap_err().reason, "saml.sig.invalid");
        assert_eq!(told(), []);
        for count in 1..=3 {
            // the same message counts each time, kept or not
            disagreement::keep("<a/>", "how", &trust);
            assert_eq!(told(), [("countersign_saml_disagreements_total".to_owned(), count)]);
        }
    });
}

#[test]
fn a_disagreement_is_kept_for_the_operator_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let trust = Trust { keep: Some(Arc::from(folder.path())), ..trust(&[Key::rsa()]) };
    let count = || std::fs::read_dir(folder.path()).unwrap().count();
    let failure = disagreement::keep("<a/>", "how", &trust);
    assert_eq!(failure.reason, "saml.sig.disagreement");
    assert_eq!(count(), 1);
    disagreement::keep("<a/>", "how", &trust);
    assert_eq!(count(), 1, "the same message once");
    for i in 0..40 {
        disagreement::keep(&format!("<a>{i}</a>"), "how", &trust);
    }
    assert_eq!(count(), 16);
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    assert!(std::fs::read_to_string(file.path()).unwrap().starts_with("<a"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // what somebody else put there does not count
    let shared = tempfile::tempdir().unwrap();
    for i in 0..20 {
        std::fs::write(shared.path().join(format!("saml-{i}.txt")), "").unwrap();
        std::fs::write(shared.path().join(format!("{i}.xml")), "").unwrap();
    }
    let among = Trust { keep: Some(Arc::from(shared.path())), ..trust.clone() };
    disagreement::keep("<a/>", "how", &among);
    assert_eq!(std::fs::read_dir(shared.path()).unwrap().count(), 41);
    let gone = Trust { keep: Some(Arc::from(folder.path().join("none"))), ..trust };
    assert_eq!(disagreement::keep("<a/>", "how", &gone).reason, "saml.sig.disagreement");
}

fn pkcs8(of: &Key) -> Vec<u8> {
    x509_cert::der::pem::decode_vec(of.private_pem().as_bytes()).unwrap().1
}

#[test]
fn a_key_signs_by_its_own_certificate_alone() {
    let pair = |private: &Key, public: &Key| {
        sign::SigningKey::new(&pkcs8(private), Certificate { der: public.der().into() })
            .map(drop)
            .map_err(|failure| failure.reason)
    };
    for (one, other) in
        [(Key::rsa(), Key::rsa_next()), (Key::p256(), Key::attacker_p256()), (Key::p384(), Key::p256())]
    {
        assert_eq!(pair(&one, &one), Ok(()));
        assert_eq!(pair(&one, &other), Err("saml.sign"));
        assert_eq!(pair(&other, &one), Err("saml.sign"));
    }
    assert_eq!(pair(&Key::rsa(), &Key::p256()), Err("saml.sign"));
}

#[test]
fn only_a_document_that_can_be_referred_to_is_signed() {
    let key =
        sign::SigningKey::new(&pkcs8(&Key::rsa()), Certificate { der: Key::rsa().der().into() }).unwrap();
    let signed = |text: &str| key.sign_root(text).map(drop).map_err(|failure| failure.reason);
    assert_eq!(signed("<a ID='_a'><b/></a>"), Ok(()));
    for text in
        ["<a><b/></a>", "<a ID=''><b/></a>", "<a ID='1a'><b/></a>", "<a ID='a:b'><b/></a>", "<a ID='_a'/>"]
    {
        assert_eq!(signed(text), Err("saml.sign"), "{text}");
    }
}

/// SAML Bindings §3.4.4.1 says nothing of the form; most providers send DER, and XML has two numbers.
#[test]
fn a_signature_on_a_curve_is_taken_in_both_forms() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature as aws;
    let all: [(Key, algorithm::Digest, &aws::EcdsaSigningAlgorithm); 4] = [
        (Key::p256(), algorithm::Digest::Sha256, &aws::ECDSA_P256_SHA256_FIXED_SIGNING),
        (Key::p256(), algorithm::Digest::Sha256, &aws::ECDSA_P256_SHA256_ASN1_SIGNING),
        (Key::p384(), algorithm::Digest::Sha384, &aws::ECDSA_P384_SHA384_FIXED_SIGNING),
        (Key::p384(), algorithm::Digest::Sha384, &aws::ECDSA_P384_SHA384_ASN1_SIGNING),
    ];
    for (key, digest, with) in all {
        let pair = aws::EcdsaKeyPair::from_pkcs8(with, &pkcs8(&key)).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"octets").unwrap();
        let public = Certificate { der: key.der().into() }.key().unwrap();
        let by = algorithm::Algorithm::Ecdsa(digest);
        assert!(public.verifies(by, b"octets", signature.as_ref()), "{by:?}");
        assert!(!public.verifies(by, b"octet", signature.as_ref()), "{by:?}");
        assert!(!public.verifies(algorithm::Algorithm::Rsa(digest), b"octets", signature.as_ref()));
    }
}

#[cfg(feature = "xmlsec")]
mod second {
    use super::*;
    use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _, ReduceMode};
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::process::Command;

    #[test]
    fn the_second_verifier_must_accept_and_see_the_same_bytes() {
        let (text, trust) = (message(), trust(&[Key::rsa(), Key::p256(), Key::attacker()]));
        let signature = signature(&text, &trust);
        let first = pure::verify(&text, &[&signature], &trust.certificates).unwrap();
        let agree = |first: &[Verified]| xmlsec::agree(&text, &[&signature], first, &trust.certificates);
        assert_eq!(agree(&first), Ok(()));
        let other = Verified { text: first[0].text.replace("text", "t&#x65;xt"), by: 0 };
        assert_eq!(agree(&[other]), Err("the verifiers take different bytes for signed"));
        for by in [1, 2] {
            let other = Verified { by, ..first[0].clone() };
            assert_eq!(agree(&[other]), Err("libxmlsec1 refuses what the other verifier accepts"));
        }
        assert!(agree(&[Verified { by: 3, ..first[0].clone() }]).is_err());
        assert!(agree(&[]).is_err());
        assert!(agree(&[first[0].clone(), first[0].clone()]).is_err());
    }

    /// A message with a signature that holds, over what lies at an address and nothing else. The shape has no such thing; this
    /// is what the libraries do with it.
    fn over(uri: &str, content: &[u8]) -> String {
        let digest = STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content));
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod><ds:Reference URI=\"{uri}\"><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let (_, pkcs8) = x509_cert::der::pem::decode_vec(Key::rsa().private_pem().as_bytes()).unwrap();
        let key = sign::SigningKey::new(&pkcs8, Certificate { der: Key::rsa().der().into() }).unwrap();
        let value = STANDARD.encode(key.sign(info.as_bytes()).unwrap());
        format!(
            "<r ID=\"_a\"><ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature></r>"
        )
    }

    /// What samael says of a message by itself.
    fn alone(text: &str, certificate: &[u8]) -> Result<String, String> {
        let certificates = [CertificateDer::from(certificate.to_vec())];
        Crypto::reduce_xml_to_signed(text, &certificates, ReduceMode::PreDigest)
            .map_err(|error| error.to_string())
    }

    const CHILD: &str = "COUNTERSIGN_TEST_SAML_CHILD";

    /// Not a test of its own: how the libraries behave in a process in which nobody cut them off.
    #[test]
    #[ignore = "run by the test that follows, in a process of its own"]
    fn child() {
        let folder = std::env::var(CHILD).expect("run by its parent");
        let read = |name: &str| std::fs::read(std::path::Path::new(&folder).join(name)).unwrap();
        let text = String::from_utf8(read("message.xml")).unwrap();
        if std::path::Path::new(&folder).join("verify-first").exists() {
            let (sound, trust) = (message(), trust(&[Key::rsa()]));
            verify(&sound, &[&signature(&sound, &trust)], &trust).unwrap();
        }
        let result = alone(&text, &read("certificate.der"));
        std::fs::write(std::path::Path::new(&folder).join("result"), format!("{result:?}")).unwrap();
    }

    /// Finding 1: samael by itself reads a file that a message names, before and after it is authenticated. Once cut off, it
    /// does not; and it never fetches anything.
    #[test]
    fn cut_off_nothing_is_read_and_nothing_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::File::create(&secret).unwrap().write_all(b"what the message names").unwrap();
        let text = over(&format!("file://{}", secret.display()), b"what the message names");
        std::fs::write(folder.path().join("message.xml"), &text).unwrap();
        std::fs::write(folder.path().join("certificate.der"), Key::rsa().der()).unwrap();
        // The counterpart: without this, the test would pass with any message that samael does not like.
        let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
        let in_a_process_of_its_own = || {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &name, "--ignored"])
                .env(CHILD, folder.path())
                .output()
                .unwrap();
            assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
            std::fs::read_to_string(folder.path().join("result")).unwrap()
        };
        assert_eq!(
            in_a_process_of_its_own(),
            "Ok(\"what the message names\")",
            "samael reads the file where nobody keeps it from it"
        );
        // Whoever verifies anything cuts it off first.
        std::fs::File::create(folder.path().join("verify-first")).unwrap();
        let after = in_a_process_of_its_own();
        assert!(after.starts_with("Err("), "{after}");

        assert_eq!(cut_off::once(), Ok(()));
        assert!(alone(&text, Key::rsa().der()).is_err(), "the file was read");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}/x", listener.local_addr().unwrap());
        assert!(alone(&over(&address, b"x"), Key::rsa().der()).is_err());
        let document = format!("<!DOCTYPE r SYSTEM \"{address}\"><r>&x;</r>");
        let _ = alone(&document, Key::rsa().der());
        let entity = format!("<!DOCTYPE r [<!ENTITY x SYSTEM \"{address}\">]><r>&x;</r>");
        let _ = alone(&entity, Key::rsa().der());
        assert!(listener.accept().is_err(), "something was fetched");
        // What a message may be still verifies.
        let (text, trust) = (message(), trust(&[Key::rsa()]));
        assert!(verify(&text, &[&signature(&text, &trust)], &trust).is_ok());
    }

    #[test]
    fn many_threads_may_be_the_first() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let (text, trust) = (message(), trust(&[Key::rsa()]));
                    assert!(verify(&text, &[&signature(&text, &trust)], &trust).is_ok());
                });
            }
        });
    }
}
