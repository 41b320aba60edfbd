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
    assert!(xml.contains("aes256-gcm") && xml.contains("rsa-oaep") && !xml.contains("-cbc"), "{xml}");

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
    bench.clock.advance(Duration::from_secs(1799));
    assert_eq!(metadata(&bench).await, first);
    bench.clock.advance(Duration::from_secs(1));
    let later = metadata(&bench).await;
    assert_ne!(later, first);
    assert_eq!(keys(&later, "signing"), keys(&first, "signing"));
    // by another address of ours it is another document
    let elsewhere = "https://login.example/upstream/other/callback";
    let other = bench.entry.upstream.published(&bench.context, elsewhere).await.unwrap().unwrap();
    let other = String::from_utf8(other.body.to_vec()).unwrap();
    let id = "https://login.example/upstream/other/metadata";
    assert_eq!(attribute(&other, "EntityDescriptor", "entityID").as_deref(), Some(id));
    assert_eq!(metadata(&bench).await.matches(OURS).count(), later.matches(OURS).count());
}

#[tokio::test]
async fn it_holds_as_long_as_its_last_key_and_without_end_where_none_goes_on() {
    const NOW: i64 = 1_800_000_000;
    let until = async |now: i64, next: Option<i64>| {
        let own =
            |key: &Key, end: i64| format!("{}{}", key.private_pem(), key.certified(NOW - 86_400, end).pem());
        let mut files = super::files();
        files.insert("file:a.pem".to_owned(), own(&Key::service(), now));
        files.insert("file:b.pem".to_owned(), own(&Key::rsa_next(), next.unwrap_or(now)));
        let more = if next.is_some() { "next_key = \"file:b.pem\"" } else { "" };
        let bench = super::build(&format!("{BY_HAND}key = \"file:a.pem\"\n{more}"), &files);
        let bench = bench.unwrap_or_else(|wrong| panic!("{wrong:?}"));
        attribute(&metadata(&bench).await, "EntityDescriptor", "validUntil")
    };
    let at = |end: i64| Some(crate::saml::instant(countersign::context::Timestamp::from_secs(end), 0));
    assert_eq!(until(NOW + 50, None).await, at(NOW + 50));
    assert_eq!(until(NOW + 50, Some(NOW + 90)).await, at(NOW + 90));
    assert_eq!(until(NOW + 90, Some(NOW + 50)).await, at(NOW + 90));
    assert_eq!(until(NOW, None).await, None);
    assert_eq!(until(NOW - 1, Some(NOW + 1)).await, at(NOW + 1));
}

#[test]
fn what_kind_of_provider_it_is() {
    let bench = Bench::new(BY_HAND);
    let upstream = &bench.entry.upstream;
    assert_eq!(upstream.id().to_string(), "acme");
    assert!(upstream.answers_by_post() && !upstream.answers_by_get() && upstream.logs_out_by_browser());
}
