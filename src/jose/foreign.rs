//! Verifying what somebody else signed: ID tokens and signed userinfo of upstream providers, assertions and
//! request objects of clients.

use super::jwk::{JwkSet, PublicKey};
use super::jws::{self, Compact, Header};
use super::key::VerifyingKey;
use super::{Alg, JoseError, json};

/// The most keys that are tried for a token that names none.
const MAX_TRIED: usize = 8;

/// A token whose signature holds. Nothing is said yet about its claims.
#[derive(Debug, Clone)]
pub struct VerifiedJws {
    /// Its header.
    pub header: Header,
    /// The one issuer for which the key signs that verified it, where the key set says so.
    pub key_issuer: Option<String>,
    /// Its payload: one JSON object, no member twice on any level.
    pub claims: json::Object,
}

/// Verifies a signed token against the issuer's published keys. Claims (`iss`, `aud`, `exp` …) are for the
/// caller to check.
///
/// - Only algorithms in `allowed` count; pass what the provider was registered with, not what the token says
///   (RFC 8725 §3.1, OIDC Core §3.1.3.7 item 7).
/// - A token with `kid` is verified with exactly that key. A token without one is tried with every key that
///   fits, at most eight, and accepted only if exactly one verifies it.
/// - Keys and addresses of keys in the token's own header are ignored.
///
/// # Errors
/// `jose.format`, `jose.alg`, `jose.crit`, `jose.key` (the key that was named must not be used),
/// `jose.signature`, and `jose.kid` (no such key, or no telling which): for these two it is worth fetching the
/// keys again, see [`JoseError::may_be_stale_keys`].
pub fn verify_foreign(token: &str, keys: &JwkSet, allowed: &[Alg]) -> Result<VerifiedJws, JoseError> {
    let (header, payload, key) = verify_payload(token, keys, allowed)?;
    let claims =
        json::object(&payload).map_err(|error| JoseError::format(format!("the payload is {error}")))?;
    Ok(VerifiedJws { header, key_issuer: key.issuer.clone(), claims })
}

/// The same for any payload, with the key that verified it.
pub(super) fn verify_payload<'a>(
    token: &str,
    keys: &'a JwkSet,
    allowed: &[Alg],
) -> Result<(Header, Vec<u8>, &'a PublicKey), JoseError> {
    let compact = jws::parse(token)?;
    let alg = compact.header.alg;
    if !allowed.contains(&alg) {
        return Err(JoseError::new("jose.alg", format!("{alg} is not allowed for this issuer")));
    }
    let key = match compact.header.kid.as_deref() {
        Some(kid) => verify_named(&compact, keys, alg, kid)?,
        None => verify_unnamed(&compact, keys, alg)?,
    };
    Ok((compact.header, compact.payload, key))
}

/// A key of the set, and its verifier for an algorithm.
type Fitting<'a> = (&'a PublicKey, &'a VerifyingKey);

fn fitting<'a>(keys: impl Iterator<Item = &'a PublicKey>, alg: Alg) -> Vec<Fitting<'a>> {
    keys.filter_map(|key| Some((key, key.fitting(alg)?))).collect()
}

fn verify_named<'a>(
    compact: &Compact<'_>,
    keys: &'a JwkSet,
    alg: Alg,
    kid: &str,
) -> Result<&'a PublicKey, JoseError> {
    let named = || keys.keys().iter().filter(|key| key.kid.as_deref() == Some(kid));
    match fitting(named(), alg).as_slice() {
        [(key, verifier)] if verifier.verify(compact.input, &compact.signature) => Ok(key),
        [_] => Err(JoseError::new("jose.signature", "the signature does not hold")),
        [] if named().next().is_some() => {
            Err(JoseError::key(format!("the key that the token names is not for {alg}")))
        }
        [] => match keys.skipped().iter().find(|key| key.kid.as_deref() == Some(kid)) {
            Some(skipped) => Err(JoseError::key(format!("the key that the token names: {}", skipped.why))),
            None => Err(JoseError::new("jose.kid", "the issuer has no key of that name")),
        },
        // RFC 7517 §4.5 wants them distinct; which one was meant nobody can tell.
        _ => Err(JoseError::new("jose.kid", "several keys have that name")),
    }
}

fn verify_unnamed<'a>(compact: &Compact<'_>, keys: &'a JwkSet, alg: Alg) -> Result<&'a PublicKey, JoseError> {
    let fitting = fitting(keys.keys().iter(), alg);
    if fitting.is_empty() {
        let (reason, note) = if keys.skipped().is_empty() {
            ("jose.kid", "the issuer has no key for the algorithm")
        } else {
            ("jose.key", "the issuer has no key for the algorithm that may be used")
        };
        return Err(JoseError::new(reason, note));
    }
    if fitting.len() > MAX_TRIED {
        return Err(JoseError::new("jose.kid", "the token names no key, and too many would fit"));
    }
    let verifies = |(_, verifier): &&Fitting<'_>| verifier.verify(compact.input, &compact.signature);
    let holding: Vec<_> = fitting.iter().filter(verifies).collect();
    match (holding.as_slice(), fitting.len()) {
        ([(key, _)], _) => Ok(key),
        ([], 1) => Err(JoseError::new("jose.signature", "the signature does not hold")),
        _ => Err(JoseError::new("jose.kid", "the token names no key, and not exactly one verifies it")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;
    use crate::clients::SigningAlg;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use std::sync::LazyLock;

    static RSA: LazyLock<[SigningKey; 2]> =
        LazyLock::new(|| [(); 2].map(|()| SigningKey::generate(SigningAlg::RS256).unwrap().0));
    const RS256: &[Alg] = &[Alg::RS256];

    fn ec() -> SigningKey {
        SigningKey::generate(SigningAlg::ES256).unwrap().0
    }
    /// The key's JWK with members replaced, or removed where the value is null.
    fn jwk(key: &SigningKey, changes: Value) -> Value {
        let mut jwk: Value = serde_json::from_str(key.public_jwk()).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                jwk.as_object_mut().unwrap().remove(name);
            } else {
                jwk[name] = value.clone();
            }
        }
        jwk
    }
    fn set(keys: &[Value]) -> JwkSet {
        JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }
    fn token(key: &SigningKey, header: &Value, payload: &str) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
    fn named(key: &SigningKey) -> String {
        token(key, &json!({"alg": key.alg().as_str(), "kid": key.id().as_str()}), r#"{"sub":"a"}"#)
    }
    fn unnamed(key: &SigningKey) -> String {
        token(key, &json!({"alg": key.alg().as_str()}), r#"{"sub":"a"}"#)
    }
    fn reason(token: &str, keys: &JwkSet, allowed: &[Alg]) -> &'static str {
        verify_foreign(token, keys, allowed).map_or_else(|error| error.reason(), |_| "accepted")
    }

    #[test]
    fn a_token_that_holds_gives_its_claims() {
        for key in [&RSA[0], &ec(), &SigningKey::generate(SigningAlg::EdDSA).unwrap().0] {
            let keys = set(&[jwk(key, json!({}))]);
            let verified = verify_foreign(&named(key), &keys, &Alg::ALL).unwrap();
            assert_eq!(verified.claims["sub"], "a");
            assert_eq!(verified.header.kid.as_deref(), Some(key.id().as_str()));
            let mut changed = named(key);
            let end = changed.pop().unwrap();
            changed.push(if end == 'A' { 'Q' } else { 'A' });
            let error = verify_foreign(&changed, &keys, &Alg::ALL).unwrap_err();
            assert_eq!(error.reason(), "jose.signature");
            assert!(error.may_be_stale_keys(), "the key may have been replaced under its name");
        }
    }

    #[test]
    fn only_what_other_keys_could_make_good_is_worth_fetching_them() {
        let keys = set(&[jwk(&RSA[0], json!({}))]);
        for (token, reason) in [
            ("a.b".to_owned(), "jose.format"),
            (token(&RSA[0], &json!({"alg": "none"}), "{}"), "jose.alg"),
            (token(&RSA[0], &json!({"alg": "RS256", "crit": ["x"], "x": 1}), "{}"), "jose.crit"),
        ] {
            let error = verify_foreign(&token, &keys, RS256).unwrap_err();
            assert_eq!(error.reason(), reason);
            assert!(!error.may_be_stale_keys(), "{reason}");
        }
    }

    #[test]
    fn oidc_017_018_a_public_key_is_no_secret_and_no_signature_is_none() {
        use aws_lc_rs::hmac;
        let key = &RSA[0];
        for change in [json!({}), json!({"alg": null})] {
            let keys = set(&[jwk(key, change)]);
            assert_eq!(reason(&named(key), &keys, RS256), "accepted");
            let n = URL_SAFE_NO_PAD.decode(jwk(key, json!({}))["n"].as_str().unwrap()).unwrap();
            for secret in [key.public_jwk().as_bytes(), &n] {
                let header = json!({"alg": "HS256", "kid": key.id().as_str()}).to_string();
                let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
                let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
                let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac));
                assert_eq!(reason(&forged, &keys, &Alg::ALL), "jose.alg");
            }
            let honest = named(key);
            let (input, _) = honest.rsplit_once('.').unwrap();
            assert_eq!(reason(&format!("{input}."), &keys, RS256), "jose.signature");
        }
    }

    #[test]
    fn oidc_018_the_algorithm_is_ours_to_choose() {
        let keys = set(&[jwk(&RSA[0], json!({"alg": null}))]);
        assert_eq!(reason(&named(&RSA[0]), &keys, RS256), "accepted");
        assert_eq!(reason(&named(&RSA[0]), &keys, &[Alg::ES256]), "jose.alg");
        assert_eq!(reason(&named(&RSA[0]), &keys, &[]), "jose.alg");
        // signed as RS256, said to be PS256
        let kid = RSA[0].id().as_str();
        let lie = token(&RSA[0], &json!({"alg": "PS256", "kid": kid}), "{}");
        assert_eq!(reason(&lie, &keys, &Alg::ALL), "jose.signature");
        // the same where the key is declared for RS256
        let declared = set(&[jwk(&RSA[0], json!({}))]);
        assert_eq!(reason(&lie, &declared, &Alg::ALL), "jose.key");
        // an EC key of that name
        let other = set(&[jwk(&ec(), json!({"kid": kid}))]);
        assert_eq!(reason(&named(&RSA[0]), &other, &Alg::ALL), "jose.key");
    }

    #[test]
    fn oidc_021_a_key_is_looked_up_in_the_set_and_nowhere_else() {
        let keys = set(&[jwk(&RSA[0], json!({}))]);
        for kid in ["../../key", "' or 1=1 --", "https://evil.test/jwks", "\0", ""] {
            let token = token(&RSA[0], &json!({"alg": "RS256", "kid": kid}), "{}");
            let error = verify_foreign(&token, &keys, RS256).unwrap_err();
            assert_eq!(error.reason(), "jose.kid", "{kid}");
            assert!(error.may_be_stale_keys());
        }
        let twice = set(&[jwk(&RSA[0], json!({})), jwk(&RSA[1], json!({"kid": RSA[0].id().as_str()}))]);
        assert_eq!(reason(&named(&RSA[0]), &twice, RS256), "jose.kid");
    }

    #[test]
    fn oidc_022_without_a_name_exactly_one_key_must_verify() {
        let one = jwk(&RSA[0], json!({"kid": "one"}));
        let two = jwk(&RSA[1], json!({"kid": null}));
        let token = unnamed(&RSA[0]);
        assert_eq!(
            reason(&token, &set(&[one.clone(), two.clone(), jwk(&ec(), json!({}))]), RS256),
            "accepted"
        );
        assert_eq!(reason(&token, &set(std::slice::from_ref(&two)), RS256), "jose.signature");
        assert_eq!(reason(&token, &set(&[two.clone(), two.clone()]), RS256), "jose.kid");
        assert_eq!(reason(&token, &set(&[one.clone(), one.clone()]), RS256), "jose.kid");
        assert_eq!(reason(&token, &set(&[jwk(&ec(), json!({}))]), RS256), "jose.kid");
        assert_eq!(reason(&token, &set(&[]), RS256), "jose.kid");
        let many = vec![one; MAX_TRIED + 1];
        assert_eq!(reason(&token, &set(&many), RS256), "jose.kid");
    }

    #[test]
    fn a_key_signs_for_its_own_issuer_whatever_else_has_its_name() {
        let (rsa, ec) = (&RSA[0], &ec());
        let keys = set(&[
            jwk(ec, json!({"kid": rsa.id().as_str(), "issuer": "https://other.example"})),
            jwk(rsa, json!({"issuer": "https://a.example"})),
            jwk(&RSA[1], json!({})),
        ]);
        let issuer = |token: &str| verify_foreign(token, &keys, RS256).unwrap().key_issuer;
        assert_eq!(issuer(&named(rsa)).as_deref(), Some("https://a.example"));
        assert_eq!(issuer(&unnamed(rsa)).as_deref(), Some("https://a.example"));
        assert_eq!(issuer(&named(&RSA[1])), None);
    }

    #[test]
    fn without_a_name_so_many_keys_are_tried_and_no_more() {
        let key = ec();
        let mut keys: Vec<Value> = (1..MAX_TRIED).map(|_| jwk(&ec(), json!({"kid": null}))).collect();
        keys.push(jwk(&key, json!({"kid": null})));
        assert_eq!(reason(&unnamed(&key), &set(&keys), &[Alg::ES256]), "accepted");
        keys.push(jwk(&ec(), json!({"kid": null})));
        assert_eq!(reason(&unnamed(&key), &set(&keys), &[Alg::ES256]), "jose.kid");
    }

    #[test]
    fn oidc_023_keys_that_a_token_brings_along_are_ignored() {
        let keys = set(&[jwk(&RSA[1], json!({"kid": "k"}))]);
        for mut header in [
            json!({"jku": "https://evil.test/jwks"}),
            json!({"x5u": "https://evil.test/cert"}),
            json!({"jwk": jwk(&RSA[0], json!({}))}),
            json!({"x5c": ["MIIB"]}),
        ] {
            header["alg"] = json!("RS256");
            header["kid"] = json!("k");
            assert_eq!(reason(&token(&RSA[0], &header, "{}"), &keys, RS256), "jose.signature");
            assert_eq!(reason(&token(&RSA[1], &header, "{}"), &keys, RS256), "accepted");
        }
    }

    #[test]
    fn oidc_027_a_payload_is_one_strict_object() {
        let keys = set(&[jwk(&RSA[0], json!({}))]);
        let header = json!({"alg": "RS256", "kid": RSA[0].id().as_str()});
        for bad in [r#"{"sub":"a","sub":"b"}"#, "[]", "", "\"a\"", "{} {}", r#"{"a":{"b":1,"b":1}}"#] {
            assert_eq!(reason(&token(&RSA[0], &header, bad), &keys, RS256), "jose.format", "{bad}");
        }
    }

    #[test]
    fn oidc_031_033_keys_that_must_not_verify_are_skipped_and_named() {
        let key = &RSA[0];
        assert_eq!(reason(&named(key), &set(&[jwk(key, json!({"use": null}))]), RS256), "accepted");
        let verify = json!({"use": null, "key_ops": ["verify"]});
        assert_eq!(reason(&named(key), &set(&[jwk(key, verify)]), RS256), "accepted");
        let small = "rJBIp6T1YK-RtPyvYqFFlcucqewSAA_IReSFchE8qyiQrbARqRlXWkB2DR8j_pJQnIpYELbQWZC5Cd0PTGAU8rMbar2AW6zpmBbi7aQf17lUBdt8XI9M9rq7FPVQ1dDdUXm1SVH_9qqWhvMPR422SbfHBEzCAtzK0ANDRo6qz78";
        for change in [
            json!({"use": "enc"}),
            json!({"use": ["sig"]}),
            json!({"use": null, "key_ops": ["encrypt"]}),
            json!({"use": null, "key_ops": "verify"}),
            json!({"alg": "RSA-OAEP"}),
            json!({"alg": "HS256"}),
            json!({"alg": "ES256"}),
            json!({"e": "AQ"}),
            json!({"e": "AA"}),
            json!({"e": "Ag"}),
            json!({"e": null}),
            json!({"n": small}),
            json!({"n": "AQAB"}),
            json!({"n": "%%%"}),
            json!({"n": 5}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "EC"}),
            json!({"kty": "rsa"}),
            json!({"kty": null}),
            json!({"d": "AQAB"}),
        ] {
            let keys = set(&[jwk(key, change.clone())]);
            assert_eq!((keys.len(), keys.skipped().len()), (0, 1), "{change}");
            assert_eq!(reason(&named(key), &keys, RS256), "jose.key", "{change}");
            assert_eq!(reason(&unnamed(key), &keys, RS256), "jose.key", "{change}");
        }
        let point = ec();
        let y: Value = serde_json::from_str::<Value>(ec().public_jwk()).unwrap()["y"].clone();
        for change in [
            json!({"y": y}),
            json!({"x": "AA"}),
            json!({"crv": "P-384"}),
            json!({"crv": "secp256k1", "alg": null}),
            json!({"crv": null}),
            json!({"alg": "ES384"}),
        ] {
            let keys = set(&[jwk(&point, change.clone())]);
            assert_eq!(reason(&named(&point), &keys, &Alg::ALL), "jose.key", "{change}");
        }
    }

    #[test]
    fn what_is_registered_by_value_has_no_unfit_key() {
        let registered = |keys: &[Value]| JwkSet::registered(json!({ "keys": keys }).to_string().as_bytes());
        let good = jwk(&RSA[0], json!({}));
        let elsewhere = [
            jwk(&RSA[1], json!({"use": "enc"})),
            jwk(&RSA[1], json!({"alg": "RSA-OAEP"})),
            jwk(&RSA[1], json!({"use": null, "key_ops": ["wrapKey"]})),
        ];
        let set =
            registered(&[good.clone(), elsewhere[0].clone(), elsewhere[1].clone(), elsewhere[2].clone()]);
        let set = set.unwrap();
        assert_eq!((set.len(), set.skipped().len()), (1, 3));
        assert_eq!(reason(&named(&RSA[0]), &set, RS256), "accepted");
        assert!(registered(&[]).unwrap().is_empty());
        for bad in [
            json!(1),
            json!({}),
            json!({"kty": "oct", "k": "AA"}),
            json!({"kty": "oct", "k": "AA", "use": "enc"}),
            jwk(&RSA[1], json!({"d": "AQAB"})),
            jwk(&RSA[1], json!({"d": "AQAB", "use": "enc"})),
            jwk(&RSA[1], json!({"e": "AQ"})),
            jwk(&RSA[1], json!({"e": "AQ", "use": null, "key_ops": ["verify"]})),
            jwk(&RSA[1], json!({"n": "AQAB"})),
            jwk(&RSA[1], json!({"kty": "EC"})),
            jwk(&ec(), json!({"x": "AA"})),
            jwk(&RSA[1], json!({"kid": RSA[0].id().as_str()})),
        ] {
            let refused = registered(&[good.clone(), bad.clone()]).unwrap_err();
            assert_eq!(refused.reason(), "jose.key", "{bad}");
        }
        let many: Vec<Value> = (0..21).map(|i| jwk(&RSA[0], json!({"kid": i.to_string()}))).collect();
        assert_eq!(registered(&many).unwrap_err().reason(), "jose.format");
        assert!(registered(&many[1..]).is_ok());
    }

    #[test]
    fn one_bad_key_does_not_spoil_the_others() {
        let keys = set(&[json!(1), json!({}), json!({"kty": "oct", "k": "AA"}), jwk(&RSA[0], json!({}))]);
        assert_eq!((keys.len(), keys.skipped().len()), (1, 3));
        assert_eq!(reason(&named(&RSA[0]), &keys, RS256), "accepted");
    }

    #[test]
    fn a_set_is_strict_as_json_and_bounded() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#,
        ] {
            assert_eq!(JwkSet::parse(bad.as_bytes()).unwrap_err().reason(), "jose.format", "{bad}");
        }
        let many = json!({ "keys": vec![json!({}); 101] }).to_string();
        assert!(JwkSet::parse(many.as_bytes()).is_err());
        let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(512 * 1024));
        assert!(JwkSet::parse(long.as_bytes()).is_err());
    }
}
