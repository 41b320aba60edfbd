//! What fuzzers call of this kind: see `upstream::fuzzing`.

use super::id_token::{self, Expectations};
use super::pushed::reference;
use super::userinfo::{is_about, merge};
use super::{Oidc, Settings, assemble};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::jose::{Alg, JwkSet, json, verify_foreign};
use crate::outbound::Answer;
use crate::upstream::checks::Checks;
use crate::upstream::fuzzing::{self, outbound};
use crate::upstream::settings::Common;
use crate::upstream::{Demanded, Parts};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;
use url::form_urlencoded::{self, Serializer};

const ISSUER: &str = "https://id.example";
const CLIENT: &str = "countersign";
const NONCE: &str = "n-0S6_WzA2Mj";
const NOW: i64 = 1_800_000_000;

static KEY: LazyLock<(Ed25519KeyPair, JwkSet)> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap_or_else(|_| unreachable!());
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string();
    (pair, JwkSet::parse(set.as_bytes()).unwrap_or_default())
});

static PROVIDER: LazyLock<Oidc> = LazyLock::new(|| {
    let settings = format!("issuer = '{ISSUER}'\nclient_id = '{CLIENT}'");
    let common = "id = 'p'\nkind = 'oidc'\nname = 'P'\nprovisioning = 'open'";
    let parts = Parts {
        common: toml::from_str::<Common>(common).unwrap_or_else(|_| unreachable!()),
        mapping: Default::default(),
        secrets: BTreeMap::new(),
        outbound: outbound(),
        kept: None,
    };
    let settings = toml::from_str::<Settings>(&settings).unwrap_or_else(|_| unreachable!());
    assemble(&settings, parts).unwrap_or_else(|_| unreachable!())
});

/// A payload of an ID token that the provider's key signed.
///
/// # Panics
/// Where a law is broken.
pub fn id_token(data: &[u8]) {
    let (pair, keys) = &*KEY;
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(verify_foreign(text, keys, &Alg::ALL).is_err(), "nobody signed it");
    }
    let input = format!("eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.{}", URL_SAFE_NO_PAD.encode(data));
    let mut signature = pair.sign(input.as_bytes()).as_ref().to_vec();
    let token = |signature: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    let verified = verify_foreign(&token(&signature), keys, &[Alg::EdDSA]);
    let short = input.len() + 87 <= crate::jose::MAX_TOKEN;
    assert_eq!(
        verified.is_ok(),
        short && json::object(data).is_ok(),
        "every strict object, and nothing else"
    );
    let at = data.len() % signature.len();
    if let Some(byte) = signature.get_mut(at) {
        *byte ^= 1 << (data.len() % 8);
    }
    assert!(verify_foreign(&token(&signature), keys, &[Alg::EdDSA]).is_err(), "another signature");
    let Ok(verified) = verified else { return };

    let fresh = Demanded {
        begun_at: Some(Timestamp::from_secs(NOW - 60)),
        force_authentication: true,
        max_age: Some(Duration::from_secs(600)),
        later_than: None,
        acr_values: vec!["gold".to_owned()],
    };
    for demanded in [Demanded::default(), fresh] {
        let expected = Expectations {
            issuer: ISSUER,
            client_id: CLIENT,
            nonce: Some(NONCE),
            now: Timestamp::from_secs(NOW),
            skew: Duration::from_secs(60),
            max_age: Duration::from_secs(600),
            digest: id_token::digest_of(Alg::EdDSA),
            access_token: "an access token",
            code: "a code",
            state: Some("a state"),
            demanded: &demanded,
            trusted: false,
        };
        let outcome = told(|checks| id_token::check(&verified.claims, &expected, checks));
        let Ok(proven) = outcome else { continue };
        // by another reader
        let said: Value = serde_json::from_slice(data).unwrap_or_default();
        assert_eq!(said["iss"], ISSUER);
        assert_eq!(said["nonce"], NONCE);
        assert_eq!(said["sub"], proven.subject.as_str());
        assert!((1..=255).contains(&proven.subject.len()));
        let ours = |aud: &Value| aud == CLIENT;
        assert!(ours(&said["aud"]) || said["aud"].as_array().is_some_and(|all| all.iter().any(ours)));
        assert!(said["aud"].as_array().is_none_or(|all| all.len() == 1 || ours(&said["azp"])));
        assert!(said.get("azp").is_none_or(ours));
        let exp = said["exp"].as_i64().unwrap_or_default();
        assert!(exp.saturating_add(60) > NOW && proven.expires_at > Timestamp::from_secs(NOW));
        assert!(said["iat"].as_i64().is_some_and(|iat| (NOW - 660..=NOW + 60).contains(&iat)));
        assert!(proven.authentication.amr.len() <= 16);
        if demanded.force_authentication {
            let auth_time = said["auth_time"].as_i64();
            assert!(auth_time.is_some_and(|at| at >= NOW - 120), "an old proof for a new one");
            assert_eq!(proven.authentication.auth_time, auth_time.map(Timestamp::from_secs));
            assert_eq!(said["acr"], "gold");
        }
    }
}

/// The body of a userinfo answer.
///
/// # Panics
/// Where a law is broken.
pub fn userinfo(data: &[u8]) {
    let subject = "248289761001";
    for media in ["application/json", "application/x+json", "text/html"] {
        let answer = answer(media, data);
        let said = told(|checks| {
            let claims = PROVIDER.plain_userinfo(&answer, checks)?;
            is_about(&claims, subject, checks)?;
            Ok(claims)
        });
        let Ok(said) = said else { continue };
        assert_ne!(media, "text/html");
        assert_eq!(said.get("sub"), Some(&json!(subject)));
        for mine in [
            json!({"iss": ISSUER, "sub": subject, "email": "a@b.example"}),
            json!({"iss": ISSUER, "sub": subject, "email_verified": true}),
        ] {
            let Value::Object(mine) = mine else { continue };
            let merged = merge(mine.clone(), said.clone(), &PROVIDER.about_address());
            for name in ["iss", "sub", "aud", "nonce", "acr", "amr", "auth_time", "sid"] {
                assert_eq!(merged.get(name), mine.get(name), "userinfo has a say in {name}");
            }
            if let Some(proved) = PROVIDER.proved_email(&merged) {
                // whoever proves an address is whoever said it
                assert_eq!(said.get("email"), Some(&json!(proved)));
                assert_eq!(said.get("email_verified"), Some(&json!(true)));
            }
        }
    }
}

/// A discovery document.
///
/// # Panics
/// Where a law is broken.
pub fn discovery(data: &[u8]) {
    assert!(PROVIDER.read_discovery(&answer("text/html", data)).is_err());
    let Ok(found) = PROVIDER.read_discovery(&answer("application/json", data)) else { return };
    let said: Value = serde_json::from_slice(data).unwrap_or_default();
    assert_eq!(said["issuer"], ISSUER);
    assert_eq!(found.sends_iss, said["authorization_response_iss_parameter_supported"] == true);
    assert_eq!(found.push.is_some(), said["require_pushed_authorization_requests"] == true);
    assert_ne!(said["require_signed_request_object"], true, "we have no key");
    let required = [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri];
    for url in required.into_iter().chain(&found.userinfo_endpoint).chain(&found.push) {
        assert_eq!(url.scheme(), "https");
        assert!(url.host_str().is_some_and(|host| !matches!(host, "" | "localhost" | "127.0.0.1" | "[::1]")));
    }
}

/// The body of an answer to a pushed request (RFC 9126 §2.2, §2.3), under every sort of status and media type.
///
/// # Panics
/// Where a law is broken.
pub fn pushed(data: &[u8]) {
    let said: Value = serde_json::from_slice(data).unwrap_or_default();
    for (status, media, reason) in [
        (201, "text/html", "oidc.pushed_response"),
        (200, "application/json", "oidc.pushed_response"),
        (302, "application/json", "oidc.pushed_response"),
        (400, "application/json", "oidc.pushed_error"),
        (401, "text/html", "oidc.pushed_error"),
        (503, "application/json", "net.status"),
    ] {
        let refused = reference(&Answer { status, ..answer(media, data) }).map_err(|failure| {
            assert_eq!(failure.reason, reason);
            assert_silent(&failure, &said);
        });
        assert!(refused.is_err(), "an answer under status {status} as {media}");
    }
    let found = reference(&Answer { status: 201, ..answer("application/json", data) });
    let other = reference(&Answer { status: 201, ..answer("application/x+json", data) });
    assert_eq!(found.as_ref().ok(), other.as_ref().ok(), "one sort of JSON is not the other");
    // by another reader
    let lives = said["expires_in"].as_u64().is_some_and(|life| (1..=86400).contains(&life));
    match found {
        Ok(found) => {
            assert!(json::object(data).is_ok() && lives);
            assert_eq!(said["request_uri"], found);
            assert!(found.len() <= 512 && found.bytes().all(|byte| byte.is_ascii_graphic()));
            let start = found.to_ascii_lowercase();
            assert!(start.starts_with("https:") || start.starts_with("urn:"), "a reference to nowhere");
            // on its way it is one parameter, and whole
            let sent = Serializer::new(String::new()).append_pair("request_uri", &found).finish();
            let arrived: Vec<_> = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
            assert_eq!(arrived, [("request_uri".to_owned(), found)]);
        }
        Err(failure) => {
            assert_eq!(failure.reason, "oidc.pushed_response");
            assert_silent(&failure, &said);
            let urn = said["request_uri"].as_str().is_some_and(is_urn);
            assert!(!(json::object(data).is_ok() && lives && urn), "an answer as it should be");
        }
    }
}

/// `urn:NID:NSS` (RFC 8141 §2) that is no longer than it may be.
fn is_urn(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (urn, nid, nss) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let named = nid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && nid.len() >= 2;
    let specific = !nss.is_empty() && nss.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    urn == Some("urn") && named && specific && text.len() <= 512
}

/// A refusal is short, and has no reference in it: whoever has one can use it.
fn assert_silent(failure: &Failure, said: &Value) {
    let received = failure.detail.received.as_deref().unwrap_or_default();
    assert!(received.len() <= 512 && !received.chars().any(char::is_control));
    let Some(given) = said["request_uri"].as_str().filter(|given| is_urn(given)) else { return };
    let elsewhere = |name: &str| said[name].as_str().is_some_and(|text| text.contains(given));
    assert!(!failure.for_operator().contains(given) || elsewhere("error") || elsewhere("expires_in"));
}

fn answer(media: &str, body: &[u8]) -> Answer {
    Answer { status: 200, content_type: Some(media.to_owned()), max_age: None, body: body.to_vec() }
}

fn told<T>(run: impl FnOnce(&mut Checks<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    fuzzing::told(|trace| run(&mut Checks::new(trace)))
}

#[cfg(test)]
mod tests {
    use crate::upstream::fuzzing::brief;

    #[test]
    fn anything_as_an_id_token() {
        brief("id_token", 3000, super::id_token);
    }
    #[test]
    fn anything_as_userinfo() {
        brief("userinfo", 3000, super::userinfo);
    }
    #[test]
    fn anything_as_a_discovery_document() {
        brief("discovery", 3000, super::discovery);
    }
    #[test]
    fn anything_as_an_answer_to_a_pushed_request() {
        brief("pushed", 3000, super::pushed);
    }
}
