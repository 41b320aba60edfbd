//! The provider's metadata: what is taken of it, and what is not.

use super::{Bench, ENTITY, build, files, idp};
use crate::publisher::{Document, Publisher};
use crate::saml::{Key, KeyDescriptor, Metadata, Signature, instant, uri};
use countersign::upstream::{Departure, Health};
use std::time::Duration;

pub fn sound() -> Metadata {
    idp().metadata()
}

/// The message that a file with this metadata is refused with; none if it is taken.
pub fn refused_with(xml: &str, more: &str) -> Option<String> {
    let mut files = files();
    files.insert("file:acme.xml".to_owned(), xml.to_owned());
    match build(&format!("metadata_file = \"acme.xml\"\n{more}"), &files) {
        Ok(_) => None,
        Err(problems) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].key, "metadata_file");
            Some(problems[0].message.clone())
        }
    }
}

/// The metadata is refused for this reason; without the change it is taken.
pub fn refuses(reason: &str, change: impl FnOnce(&mut Metadata)) {
    let mut metadata = sound();
    assert_eq!(refused_with(&metadata.xml(), ""), None);
    change(&mut metadata);
    let message = refused_with(&metadata.xml(), "").unwrap_or_else(|| panic!("taken, wanted {reason}"));
    assert!(message.contains(&format!("({reason})")), "{message}");
}

#[test]
fn metadata_of_another_entity_or_role_is_refused() {
    refuses("saml.metadata.entity", |m| m.entity_id = Some("https://id.evil.example".to_owned()));
    refuses("saml.metadata.entity", |m| m.entity_id = Some(format!("{ENTITY}/")));
    refuses("saml.metadata.entity", |m| m.entity_id = None);
    refuses("saml.metadata.role", |m| m.protocols = "urn:oasis:names:tc:SAML:1.1:protocol".to_owned());
    let sp = sound().xml().replace("IDPSSODescriptor", "SPSSODescriptor");
    assert!(refused_with(&sp, "").unwrap().contains("(saml.metadata.role)"));
    refuses("saml.metadata.role", |m| m.sso.clear());
    refuses("saml.metadata.role", |m| {
        m.sso = vec![(
            "urn:oasis:names:tc:SAML:2.0:bindings:SOAP".to_owned(),
            "https://id.acme.example/s".to_owned(),
        )];
    });
    assert!(refused_with("<x xmlns=\"urn:x\"/>", "").unwrap().contains("(saml.metadata)"));
    assert!(refused_with("", "").unwrap().contains("(saml."));
}

#[test]
fn metadata_without_a_signing_certificate_is_refused() {
    refuses("saml.metadata.keys", |m| m.keys.clear());
    refuses("saml.metadata.keys", |m| m.keys[0].r#use = Some("encryption".to_owned()));
    refuses("saml.metadata", |m| m.keys[0].r#use = Some("both".to_owned()));
    refuses("saml.metadata", |m| m.keys[0].certificate = "!".to_owned());
    refuses("saml.key.certificate", |m| m.keys[0].certificate = "AAAA".to_owned());
}

#[tokio::test]
async fn saml_106_a_key_without_use_is_for_signing_too() {
    let mut metadata = sound();
    metadata.keys[0].r#use = None;
    let mut files = files();
    files.insert("file:acme.xml".to_owned(), metadata.xml());
    let bench = build("metadata_file = \"acme.xml\"", &files).ok().unwrap();
    for (key, accepted) in [(Key::rsa(), true), (Key::attacker(), false)] {
        let begun = bench.begin(|_| {}).await.unwrap();
        let mut idp = idp();
        idp.keys = vec![key];
        let (outcome, _) = bench.finish(&begun, &idp.answer(bench.now(), &begun.departure)).await;
        assert_eq!(outcome.is_ok(), accepted, "signatures are checked");
    }
}

#[test]
fn saml_050_a_weak_key_is_not_imported() {
    // RSA of 1024 bits, made for this test and used nowhere
    const WEAK: &str = include_str!("weak.pem");
    let weak: String = WEAK.lines().filter(|line| !line.starts_with("-----")).collect();
    refuses("saml.key.weak", |m| m.keys[0].certificate = weak.clone());
    // a strong one beside it does not help
    refuses("saml.key.weak", |m| {
        m.keys.push(KeyDescriptor { r#use: None, certificate: weak.clone() });
    });
    let mut files = files();
    files.insert("file:idp.pem".to_owned(), WEAK.to_owned());
    let problems = build(super::BY_HAND, &files).err().unwrap();
    assert_eq!(problems[0].key, "certificates");
    assert!(problems[0].message.contains("saml.key.weak"), "{}", problems[0].message);
}

#[test]
fn metadata_that_breaks_the_rules_of_xml_is_refused() {
    let xml = sound().xml();
    for (bad, reason) in [
        (format!("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{xml}"), "saml.xml.doctype"),
        (format!("{xml}junk"), "saml.xml.malformed"),
        (xml.trim_end_matches("</md:EntityDescriptor>").to_owned(), "saml.xml.malformed"),
    ] {
        let message = refused_with(&bad, "").unwrap();
        assert!(message.contains(&format!("({reason})")), "{message}");
    }
    // what vendors write around it is fine
    assert_eq!(
        refused_with(&format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}\n"), ""),
        None
    );
    assert_eq!(refused_with(&format!("<!-- written by a tool -->\n{xml}"), ""), None);
    assert_eq!(refused_with(&xml.replace("<md:KeyDescriptor", "<!-- a key --><md:KeyDescriptor"), ""), None);
    // but not within a value
    let split = xml.replacen("</ds:X509Certificate>", "<!-- --></ds:X509Certificate>", 1);
    assert!(refused_with(&split, "").is_some());
}

#[test]
fn addresses_in_metadata_follow_the_rules_for_addresses() {
    for bad in [
        "http://id.acme.example/sso",
        "ftp://id.acme.example/",
        "sso",
        "https://u:p@id.acme.example/",
        "https://169.254.169.254/",
    ] {
        let mut metadata = sound();
        metadata.sso = vec![(uri::REDIRECT.to_owned(), bad.to_owned())];
        assert!(refused_with(&metadata.xml(), "").is_some(), "{bad}");
    }
}

pub fn aggregate(entities: &[String]) -> String {
    format!(
        "<md:EntitiesDescriptor xmlns:md=\"{}\"><md:EntitiesDescriptor>{}</md:EntitiesDescriptor></md:EntitiesDescriptor>",
        uri::METADATA,
        entities.concat()
    )
}

#[test]
fn of_an_aggregate_the_one_entity_is_taken() {
    let mut other = sound();
    other.entity_id = Some("https://id.other.example".to_owned());
    let (one, other) = (sound().xml(), other.xml());
    assert_eq!(refused_with(&aggregate(&[other.clone(), one.clone()]), ""), None);
    assert!(
        refused_with(&aggregate(std::slice::from_ref(&other)), "")
            .unwrap()
            .contains("(saml.metadata.entity)")
    );
    let second = one.replace("ID=\"_", "ID=\"_2");
    assert!(refused_with(&aggregate(&[one, second]), "").unwrap().contains("(saml.metadata.entity)"));
}

#[tokio::test]
async fn an_entity_within_an_extension_is_none() {
    let mut outer = sound();
    outer.entity_id = Some("https://id.other.example".to_owned());
    outer.before = format!("<md:Extensions>{}</md:Extensions>", sound().xml());
    assert!(refused_with(&outer.xml(), "").unwrap().contains("(saml.metadata.entity)"));
}

// ---- signatures over metadata

fn signed_by(key: Key) -> String {
    let mut metadata = sound();
    metadata.sign = Some(Signature::by(key));
    metadata.xml()
}

#[test]
fn where_somebody_signs_the_metadata_nobody_else_may_write_it() {
    const SIGNER: &str = "metadata_certificates = [\"file:ec.pem\"]";
    assert_eq!(refused_with(&signed_by(Key::p256()), SIGNER), None);
    for (bad, reason) in [
        (signed_by(Key::attacker_p256()), "saml.sig.invalid"),
        (sound().xml(), "saml.sig.missing"),
        (signed_by(Key::p256()).replace("/sso", "/oss"), "saml.sig.invalid"),
        (aggregate(&[signed_by(Key::p256())]), "saml.sig."),
    ] {
        let message = refused_with(&bad, SIGNER).unwrap();
        assert!(message.contains(&format!("({reason}")), "{message}");
    }
}

// ---- by address

pub struct Remote {
    pub publisher: Publisher,
    pub bench: Bench,
}

pub const AT: &str = "/metadata.xml";

pub fn remote(metadata: &str, more: &str) -> Remote {
    let publisher = Publisher::start();
    let url = publisher.put(AT, Document::Json(metadata.to_owned()));
    let bench = Bench::new(&format!("metadata_url = \"{url}\"\n{more}"));
    Remote { publisher, bench }
}

impl Remote {
    pub fn publish(&self, metadata: &Metadata) {
        self.publisher.put(AT, Document::Json(metadata.xml()));
    }
    /// Whether an answer by this key is taken.
    pub async fn accepts(&self, key: Key) -> Result<(), &'static str> {
        let begun = self.bench.begin(|_| {}).await.map_err(|failure| failure.reason)?;
        let mut idp = idp();
        idp.keys = vec![key];
        let message = idp.answer(self.bench.now(), &begun.departure);
        self.bench.finish(&begun, &message).await.0.map(drop).map_err(|failure| failure.reason)
    }
    pub fn later(&self, seconds: u64) {
        self.bench.clock.advance(Duration::from_secs(seconds));
    }
    pub fn health(&self) -> Health {
        self.bench.entry.upstream.health()
    }
    pub async fn look(&self) {
        self.bench.entry.upstream.tend(&self.bench.context).await;
    }
}

pub const TRUSTED: &str = "trust_metadata_url = true";
pub const PINNED: &str = "certificates = [\"file:idp.pem\"]";

#[tokio::test]
async fn it_is_fetched_once_and_used_until_it_is_old() {
    let remote = remote(&sound().xml(), TRUSTED);
    assert_eq!(remote.health(), Health::Unknown);
    assert!(remote.bench.entry.upstream.form_targets().is_empty());
    for _ in 0..5 {
        assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    }
    assert_eq!(remote.publisher.asked(AT), 1);
    assert_eq!(remote.health(), Health::Up);
    assert_eq!(remote.bench.entry.upstream.form_targets(), ["https://id.acme.example"]);
    // used on while it is away, and not for ever
    remote.publisher.put(AT, Document::Status(503));
    remote.later(2 * 3600);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    assert!(matches!(remote.health(), Health::Down(_)));
    remote.later(25 * 3600);
    assert_eq!(remote.accepts(Key::rsa()).await, Err("net.status"));
    remote.publish(&sound());
    remote.later(60);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
}

/// The longer it may be kept, the longer its publisher may be away.
#[tokio::test]
async fn it_is_used_on_for_a_day_after_its_own_time() {
    for (said, fresh) in [("PT1H", 3600), ("P1D", 86_400)] {
        let mut metadata = sound();
        metadata.cache_duration = Some(said.to_owned());
        let remote = remote(&metadata.xml(), TRUSTED);
        assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
        remote.publisher.put(AT, Document::Status(503));
        remote.later(fresh + 86_399);
        assert_eq!(remote.accepts(Key::rsa()).await, Ok(()), "{said}");
        remote.later(1);
        assert_eq!(remote.accepts(Key::rsa()).await, Err("net.status"), "{said}");
    }
}

#[tokio::test]
async fn what_it_says_of_its_own_age_counts() {
    let mut metadata = sound();
    metadata.cache_duration = Some("PT10M".to_owned());
    let remote = remote(&metadata.xml(), TRUSTED);
    remote.accepts(Key::rsa()).await.unwrap();
    remote.later(550);
    remote.look().await;
    assert_eq!(remote.publisher.asked(AT), 2, "before ten minutes are over");

    // past its validUntil it is not used, though its publisher is away
    metadata.cache_duration = None;
    metadata.valid_until = Some(instant(remote.bench.now(), 1200));
    remote.publish(&metadata);
    remote.later(3600 - 550);
    // what comes now is over already; what is kept is older, and still good
    metadata.valid_until = Some(instant(remote.bench.now(), -1));
    remote.publish(&metadata);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    assert!(matches!(remote.health(), Health::Down(_)), "{:?}", remote.health());
}

#[tokio::test]
async fn expired_metadata_lets_nobody_in() {
    let mut metadata = sound();
    let remote = remote(&metadata.xml(), TRUSTED);
    metadata.valid_until = Some(instant(remote.bench.now(), 1200));
    remote.publish(&metadata);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    remote.publisher.put(AT, Document::Status(503));
    remote.later(1300);
    assert_eq!(remote.accepts(Key::rsa()).await, Err("saml.metadata.expired"));
    metadata.valid_until = Some(instant(remote.bench.now(), 1200));
    remote.publish(&metadata);
    remote.later(60);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
}

#[tokio::test]
async fn a_rollover_leaves_no_gap() {
    let remote = remote(&sound().xml(), TRUSTED);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    // the new key signs before its time to refresh has come: asked again at once, and then rarely
    let mut idp = idp();
    idp.keys = vec![Key::rsa_next(), Key::rsa()];
    remote.publish(&idp.metadata());
    assert_eq!(remote.accepts(Key::rsa_next()).await, Ok(()));
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    assert_eq!(remote.publisher.asked(AT), 2);
    for _ in 0..5 {
        assert_eq!(remote.accepts(Key::attacker()).await, Err("saml.sig.invalid"));
    }
    assert_eq!(remote.publisher.asked(AT), 2, "strangers cannot make us ask and ask");
}

#[tokio::test]
async fn saml_107_a_new_key_in_unsigned_metadata_waits_where_keys_are_pinned() {
    let remote = remote(&sound().xml(), PINNED);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    remote.look().await;
    assert_eq!(remote.health(), Health::Up);
    let mut swapped = idp();
    swapped.keys = vec![Key::attacker()];
    remote.publish(&swapped.metadata());
    remote.later(3600);
    remote.look().await;
    assert_eq!(remote.publisher.asked(AT), 2);
    assert_eq!(remote.accepts(Key::attacker()).await, Err("saml.sig.invalid"));
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    // it is told, by its fingerprint
    let Health::Warned(why) = remote.health() else { panic!("{:?}", remote.health()) };
    use sha2::Digest as _;
    let fingerprint: String =
        sha2::Sha256::digest(Key::attacker().der()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(why.contains(&fingerprint), "{why}");
    // a new certificate of a key that is pinned is no new key: it verifies already
    let mut renewed = idp();
    renewed.keys = vec![Key::rsa().certified(1_700_000_000, 2_000_000_000)];
    remote.publish(&renewed.metadata());
    remote.later(3600);
    remote.look().await;
    assert_eq!(remote.publisher.asked(AT), 4, "once for the unknown key, and once for this");
    assert_eq!(remote.accepts(renewed.keys[0].clone()).await, Ok(()));
    assert_eq!(remote.health(), Health::Up);
    // the twin: confirmed by an operator, it counts
    let confirmed = "certificates = [\"file:idp.pem\", \"file:attacker.pem\"]";
    let twin = self::remote(&swapped.metadata().xml(), confirmed);
    assert_eq!(twin.accepts(Key::attacker()).await, Ok(()));
    twin.look().await;
    assert_eq!(twin.health(), Health::Up);
}

#[tokio::test]
async fn saml_107_signed_metadata_may_bring_a_new_key_and_nobody_else() {
    let signer = "metadata_certificates = [\"file:ec.pem\"]";
    let signed = |keys: Vec<Key>, by: Option<Key>| {
        let mut idp = idp();
        idp.keys = keys;
        let mut metadata = idp.metadata();
        metadata.sign = by.map(Signature::by);
        metadata
    };
    let remote = remote(&signed(vec![Key::rsa()], Some(Key::p256())).xml(), signer);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    for by in [None, Some(Key::attacker_p256())] {
        remote.publish(&signed(vec![Key::attacker()], by));
        remote.later(3600);
        assert_eq!(remote.accepts(Key::attacker()).await, Err("saml.sig.invalid"));
        assert_eq!(remote.accepts(Key::rsa()).await, Ok(()), "the copy that we have is used on");
        assert!(matches!(remote.health(), Health::Down(_)));
    }
    remote.publish(&signed(vec![Key::rsa_next()], Some(Key::p256())));
    remote.later(3600);
    assert_eq!(remote.accepts(Key::rsa_next()).await, Ok(()));
}

#[tokio::test]
async fn the_binding_is_the_one_that_the_provider_takes() {
    let mut metadata = sound();
    metadata.sso = vec![(uri::POST.to_owned(), "https://id.acme.example/post".to_owned())];
    let chosen = remote(&metadata.xml(), TRUSTED);
    let departure = chosen.bench.begin(|_| {}).await.unwrap().departure;
    assert!(matches!(departure, Departure::PostForm { .. }), "{departure:?}");
    let demanded = remote(&metadata.xml(), &format!("{TRUSTED}\nrequest_binding = \"redirect\""));
    assert_eq!(demanded.bench.begin(|_| {}).await.unwrap_err().reason, "saml.metadata.role");
    let both = remote(&sound().xml(), TRUSTED);
    assert!(matches!(both.bench.begin(|_| {}).await.unwrap().departure, Departure::RedirectTo(_)));
}

#[tokio::test]
async fn certificates_that_end_are_told_of_and_refuse_nobody() {
    let now = 1_800_000_000;
    let ending = Key::rsa().certified(now - 86_400, now + 10 * 86_400);
    let mut idp = idp();
    idp.keys = vec![ending.clone()];
    let remote = remote(&idp.metadata().xml(), TRUSTED);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    remote.look().await;
    let Health::Warned(why) = remote.health() else { panic!("{:?}", remote.health()) };
    assert!(why.contains("its last signing certificate ends on 2027-01-25"), "{why}");
    remote.later(11 * 86_400);
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()), "an expired certificate refuses nobody");
    remote.look().await;
    let Health::Warned(why) = remote.health() else { panic!("{:?}", remote.health()) };
    assert!(why.contains("ended on"), "{why}");
    // with one that goes on beside it, nothing is to be done
    idp.keys = vec![ending, Key::rsa_next()];
    remote.publish(&idp.metadata());
    remote.later(3600);
    remote.look().await;
    assert_eq!(remote.health(), Health::Up);
}

#[tokio::test]
async fn a_provider_that_wants_signed_requests_is_told_of() {
    let mut metadata = sound();
    metadata.want_signed = Some(true);
    let bare = remote(&metadata.xml(), TRUSTED);
    bare.accepts(Key::rsa()).await.unwrap();
    bare.look().await;
    assert!(matches!(bare.health(), Health::Warned(why) if why.contains("wants signed requests")));
    let signing = remote(&metadata.xml(), &format!("{TRUSTED}\nkey = \"file:own.pem\""));
    signing.accepts(Key::rsa()).await.unwrap();
    signing.look().await;
    assert_eq!(signing.health(), Health::Up);
}
