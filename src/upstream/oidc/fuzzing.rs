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
use crate::upstream::fuzzing::outbound;
use crate::upstream::settings::Common;
use crate::upstream::{Demanded, Parts, Trace};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

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
            let merged = merge(mine.clone(), said.clone());
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

/// A discovery document, or another that a provider's endpoint answers with: to a pushed request.
///
/// # Panics
/// Where a law is broken.
pub fn discovery(data: &[u8]) {
    pushed(data);
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

fn pushed(data: &[u8]) {
    assert!(reference(&answer("application/json", data)).is_err(), "not under status 200");
    let Ok(found) = reference(&Answer { status: 201, ..answer("application/json", data) }) else { return };
    let said: Value = serde_json::from_slice(data).unwrap_or_default();
    assert_eq!(said["request_uri"], found);
    assert!((1..=86400).contains(&said["expires_in"].as_u64().unwrap_or_default()));
    assert!(found.len() <= 512 && found.bytes().all(|byte| byte.is_ascii_graphic()));
}

fn answer(media: &str, body: &[u8]) -> Answer {
    Answer { status: 200, content_type: Some(media.to_owned()), max_age: None, body: body.to_vec() }
}

/// Every step of what passes has passed; a refusal is told by the last step, under its own name.
fn told<T>(run: impl FnOnce(&mut Checks<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut trace = Trace::default();
    let outcome = run(&mut Checks::new(&mut trace));
    let failed = trace.steps().iter().find(|step| !step.passed);
    match &outcome {
        Ok(_) => assert!(failed.is_none()),
        Err(failure) => {
            assert!(failed.is_some_and(|step| step.check == failure.reason));
            assert_eq!(failed, trace.steps().last());
        }
    }
    for step in trace.steps() {
        assert!(step.received.chars().count() <= 101 && !step.received.chars().any(char::is_control));
    }
    outcome
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
}
