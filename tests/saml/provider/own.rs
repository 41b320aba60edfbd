//! What we publish for a provider.

use super::{BY_HAND, Bench, CALLBACK, OURS};
use crate::saml::{Key, attribute, inner, outer, uri};
use std::time::Duration;

async fn metadata(bench: &Bench) -> String {
    let published = bench.entry.upstream.published(&bench.context, CALLBACK).await.unwrap().unwrap();
    assert_eq!(published.content_type, "application/samlmetadata+xml");
    String::from_utf8(published.body.to_vec()).unwrap()
}

const ROLE: &str = "EntityDescriptor/SPSSODescriptor";

/// The certificates for one use, in order.
fn keys(xml: &str, usage: &str) -> Vec<String> {
    (1..10)
        .map(|nth| format!("{ROLE}/KeyDescriptor[{nth}]"))
        .filter(|path| attribute(xml, path, "use").as_deref() == Some(usage))
        .filter_map(|path| inner(xml, &format!("{path}/KeyInfo/X509Data/X509Certificate")))
        .collect()
}

#[tokio::test]
async fn it_says_who_we_are_and_where_answers_go() {
    let bench = Bench::new(BY_HAND);
    let xml = metadata(&bench).await;
    assert_eq!(attribute(&xml, "EntityDescriptor", "entityID").as_deref(), Some(OURS));
    let acs = format!("{ROLE}/AssertionConsumerService");
    assert_eq!(attribute(&xml, &acs, "Location").as_deref(), Some(CALLBACK));
    assert_eq!(attribute(&xml, &acs, "Binding").as_deref(), Some(uri::POST));
    assert_eq!(attribute(&xml, ROLE, "AuthnRequestsSigned").as_deref(), Some("false"));
    assert_eq!(attribute(&xml, ROLE, "WantAssertionsSigned").as_deref(), Some("true"));
    assert_eq!(attribute(&xml, ROLE, "protocolSupportEnumeration").as_deref(), Some(uri::PROTOCOL));
    // without a key there is nothing to sign and nothing to encrypt with
    assert!(!xml.contains("Signature") && !xml.contains("KeyDescriptor"), "{xml}");
    assert_eq!(attribute(&xml, "EntityDescriptor", "validUntil"), None);
}

#[tokio::test]
async fn it_is_signed_and_names_the_current_key_and_the_next() {
    let both = format!(
        "{BY_HAND}key = \"file:own.pem\"\nnext_key = \"file:own-next.pem\"\nnameid_format = \"persistent\""
    );
    let bench = Bench::new(&both);
    let xml = metadata(&bench).await;
    let (now, next) = (Key::service().b64(), Key::rsa_3072().b64());
    assert_eq!(keys(&xml, "signing"), [now.clone(), next.clone()]);
    assert_eq!(keys(&xml, "encryption"), [next, now]);
    assert_eq!(inner(&xml, &format!("{ROLE}/NameIDFormat")).as_deref(), Some(uri::PERSISTENT));
    assert!(attribute(&xml, "EntityDescriptor", "validUntil").is_some());
    assert!(xml.contains("aes256-gcm") && xml.contains("rsa-oaep") && !xml.contains("cbc"), "{xml}");

    let verified = |key: &Key| {
        let mut keys = bergshamra::KeysManager::new();
        keys.add_key(bergshamra::keys::loader::load_x509_cert_der(key.der()).unwrap());
        let context = bergshamra::DsigContext::new(keys);
        bergshamra::verify(&context, &xml).is_ok_and(|result| result.is_valid())
    };
    assert!(verified(&Key::service()));
    assert!(!verified(&Key::attacker()));
    // SAML Metadata §3: right behind the start tag
    let first = outer(&xml, "EntityDescriptor/Signature").unwrap();
    assert!(xml.split_once('>').unwrap().1.split_once('>').unwrap().1.starts_with(&first), "{xml}");
}

#[tokio::test]
async fn it_says_what_the_settings_say() {
    let more =
        "key = \"file:own.pem\"\nsigned = \"response\"\nallow_cbc = true\nour_entity_id = \"urn:x:a&b\"";
    let xml = metadata(&Bench::new(&format!("{BY_HAND}{more}"))).await;
    assert_eq!(attribute(&xml, "EntityDescriptor", "entityID").as_deref(), Some("urn:x:a&b"));
    assert_eq!(attribute(&xml, ROLE, "WantAssertionsSigned").as_deref(), Some("false"));
    assert_eq!(attribute(&xml, ROLE, "AuthnRequestsSigned").as_deref(), Some("true"));
    assert!(xml.contains("xmlenc#aes256-cbc"), "{xml}");
    let off = metadata(&Bench::new(&format!("{BY_HAND}key = \"file:own.pem\"\nencryption = \"off\""))).await;
    assert_eq!(keys(&off, "encryption").len(), 0);
    assert_eq!(keys(&off, "signing").len(), 1);
}

#[tokio::test]
async fn it_is_written_anew_now_and_then_not_at_every_request() {
    let bench = Bench::new(&format!("{BY_HAND}key = \"file:own.pem\""));
    let first = metadata(&bench).await;
    assert_eq!(metadata(&bench).await, first);
    bench.clock.advance(Duration::from_secs(3600));
    let later = metadata(&bench).await;
    assert_ne!(later, first);
    assert_eq!(keys(&later, "signing"), keys(&first, "signing"));
}
