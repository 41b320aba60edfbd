//! The keys that an issuer publishes (RFC 7517 §5). Strict as JSON, lenient per key: a key that we cannot or
//! must not use is skipped, and remembered with the reason, so that a token which names it is refused for it.
//! What a client registers by value is read strictly ([`JwkSet::registered`]).

use super::alg::Scheme;
use super::key::VerifyingKey;
use super::{Alg, JoseError, json, weak};
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The largest document that is parsed, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;
/// The most keys that a published document may have.
const MAX_KEYS: usize = 100;
/// The largest set that a client may register by value, in bytes.
const MAX_REGISTERED: usize = 32 * 1024;
/// The most keys that a client may register by value.
const MAX_REGISTERED_KEYS: usize = 20;

/// An issuer's public keys, parsed and checked once.
#[derive(Debug, Clone, Default)]
pub struct JwkSet {
    keys: Vec<PublicKey>,
    skipped: Vec<SkippedKey>,
}

/// A key that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Why, for the operator.
    pub why: &'static str,
}

/// A key with one verifier for each algorithm that fits it.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    pub kid: Option<String>,
    /// The one issuer for which it signs, where the set says so (Microsoft's sets of many tenants do).
    pub issuer: Option<String>,
    pub verifiers: Vec<VerifyingKey>,
}

impl PublicKey {
    pub fn fitting(&self, alg: Alg) -> Option<&VerifyingKey> {
        self.verifiers.iter().find(|verifier| verifier.alg() == alg)
    }
}

impl JwkSet {
    /// Parses a JWK Set document.
    ///
    /// # Errors
    /// `jose.format` if it is not strict JSON with an array `keys`, or beyond the bounds (512 KB, 100 keys).
    pub fn parse(document: &[u8]) -> Result<Self, JoseError> {
        let mut set = Self::default();
        for member in members(document, MAX_DOCUMENT, MAX_KEYS)? {
            match public_key(&member) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.skipped.push(SkippedKey { kid: kid(&member), why }),
            }
        }
        Ok(set)
    }

    /// Parses a set that a client registers by value (RFC 7591 §2 `jwks`). What a client hands over once can be
    /// put right at once, so nothing unfit is passed over: no key may be private or secret, and each that is for
    /// signatures must be one that we verify with. Keys that say that they are for something else are skipped.
    ///
    /// # Errors
    /// `jose.format` if it is not strict JSON with an array `keys`, or beyond the bounds (32 KB, 20 keys);
    /// `jose.key` with the number of the key and what is wrong with it.
    pub fn registered(document: &[u8]) -> Result<Self, JoseError> {
        let mut set = Self::default();
        for (at, member) in members(document, MAX_REGISTERED, MAX_REGISTERED_KEYS)?.into_iter().enumerate() {
            let refused = |why| JoseError::key(format!("key {} of the set: {why}", at + 1));
            if member.as_object().is_some_and(has_secret) {
                return Err(refused(SECRET));
            }
            match public_key(&member) {
                Ok(key) => set.keys.push(key),
                Err(why) if is_for_something_else(&member) => {
                    set.skipped.push(SkippedKey { kid: kid(&member), why });
                }
                Err(why) => return Err(refused(why)),
            }
        }
        let mut names: Vec<&str> = set.keys.iter().filter_map(|key| key.kid.as_deref()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            // RFC 7517 §4.5: which of them is meant nobody could tell
            return Err(JoseError::key("two keys of the set have the same `kid`"));
        }
        Ok(set)
    }
    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
    /// The keys that are not used, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
    pub(super) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

const SECRET: &str = "it is a private or secret key";

/// The members of a set, within bounds.
fn members(document: &[u8], longest: usize, most: usize) -> Result<Vec<Value>, JoseError> {
    if document.len() > longest {
        return Err(JoseError::format("the JWK set is too long"));
    }
    let mut object =
        json::object(document).map_err(|error| JoseError::format(format!("the JWK set is {error}")))?;
    match object.remove("keys") {
        Some(Value::Array(members)) if members.len() <= most => Ok(members),
        Some(Value::Array(_)) => Err(JoseError::format("the JWK set has too many keys")),
        _ => Err(JoseError::format("the JWK set has no array `keys`")),
    }
}

fn kid(jwk: &Value) -> Option<String> {
    jwk.get("kid").and_then(Value::as_str).map(str::to_owned)
}

/// Whoever publishes a private or secret key lets anyone sign (RFC 7517 §9.2).
fn has_secret(jwk: &json::Object) -> bool {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| jwk.contains_key(*member))
}

/// Whether a key says that it is not for signatures, or for an algorithm that is none of ours.
fn is_for_something_else(jwk: &Value) -> bool {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let ops = jwk.get("key_ops").and_then(Value::as_array);
    text("use").is_some_and(|purpose| purpose != "sig")
        || ops.is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
        || text("alg").is_some_and(|name| Alg::parse(name).is_none())
}

/// Parses and checks one public key.
pub(super) fn public_key(jwk: &Value) -> Result<PublicKey, &'static str> {
    let Value::Object(jwk) = jwk else { return Err("it is not an object") };
    let text = |name: &str, why| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(why),
    };
    let kid = text("kid", "its `kid` is not a text")?.map(str::to_owned);
    // RFC 7517 §4.2, §4.3: a key for something else must not verify.
    if text("use", "its `use` is not a text")?.is_some_and(|purpose| purpose != "sig") {
        return Err("it is not for signatures (`use`)");
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
        Some(_) => return Err("it is not for verifying (`key_ops`)"),
    }
    let declared = match text("alg", "its `alg` is not a text")? {
        None => None,
        Some(name) => Some(Alg::parse(name).ok_or("it is for an algorithm that we do not verify (`alg`)")?),
    };
    if has_secret(jwk) {
        return Err(SECRET);
    }
    let bytes = |name: &str, why: &'static str| {
        text(name, why)?.and_then(|value| URL_SAFE_NO_PAD.decode(value).ok()).ok_or(why)
    };
    let fits = |alg: &Alg| declared.is_none_or(|declared| declared == *alg);
    let mut verifiers = Vec::new();
    match text("kty", "its `kty` is not a text")? {
        Some("RSA") => {
            let n = bytes("n", "its modulus is not base64url")?;
            let e = bytes("e", "its exponent is not base64url")?;
            // Some issuers write the sign octet that RFC 7518 §6.3.1.1 forbids; it changes nothing.
            let (n, e) = (without_leading_zeros(&n), without_leading_zeros(&e));
            if let Some(why) = weak::rsa(n, e) {
                return Err(why);
            }
            let components = RsaPublicKeyComponents { n, e };
            for alg in Alg::ALL.into_iter().filter(fits) {
                if let Scheme::Rsa(parameters) = alg.scheme() {
                    let key = components
                        .to_parsed_public_key(parameters)
                        .map_err(|_| "the library refuses the RSA key")?;
                    verifiers.push(VerifyingKey::new(alg, key));
                }
            }
        }
        Some("EC") => {
            let curve = text("crv", "its `crv` is not a text")?.ok_or("it has no curve")?;
            let x = bytes("x", "its `x` is not base64url")?;
            let y = bytes("y", "its `y` is not base64url")?;
            for alg in Alg::ALL.into_iter().filter(fits) {
                let Scheme::Ec(algorithm, name, size) = alg.scheme() else { continue };
                if name != curve {
                    continue;
                }
                // RFC 7518 §6.2.1.2: exactly the size of the field.
                if x.len() != size || y.len() != size {
                    return Err("its coordinates do not have the length of the curve");
                }
                let mut point = vec![4];
                point.extend_from_slice(&x);
                point.extend_from_slice(&y);
                let key =
                    ParsedPublicKey::new(algorithm, &point).map_err(|_| "its point is not on the curve")?;
                verifiers.push(VerifyingKey::new(alg, key));
            }
        }
        Some("OKP") => {
            let curve = text("crv", "its `crv` is not a text")?;
            let x = bytes("x", "its `x` is not base64url")?;
            if curve == Some("Ed25519") && fits(&Alg::EdDSA) {
                if x.len() != 32 {
                    return Err("an Ed25519 key must have 32 bytes");
                }
                let key =
                    ParsedPublicKey::new(&ED25519, &x).map_err(|_| "the library refuses the Ed25519 key")?;
                verifiers.push(VerifyingKey::new(Alg::EdDSA, key));
            }
        }
        Some("oct") => return Err("a secret key has no place in a published set"),
        _ => return Err("its type is missing or not one that we verify with (`kty`)"),
    }
    if verifiers.is_empty() {
        return Err("its type, curve and algorithm do not go together, or we do not verify with them");
    }
    let issuer = text("issuer", "its `issuer` is not a text")?.map(str::to_owned);
    Ok(PublicKey { kid, issuer, verifiers })
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;
    use crate::clients::SigningAlg;
    use serde_json::json;

    fn made(alg: SigningAlg) -> Value {
        let key = SigningKey::generate(alg).unwrap().0;
        serde_json::from_str(key.public_jwk()).unwrap()
    }

    /// The same bytes, cut elsewhere, are another key to another reader.
    #[test]
    fn coordinates_have_the_length_of_their_curve() {
        let good = made(SigningAlg::ES256);
        assert!(public_key(&good).is_ok());
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(good[name].as_str().unwrap()).unwrap();
        let point = [bytes("x"), bytes("y")].concat();
        for cut in [31, 33] {
            let mut bad = good.clone();
            bad["x"] = json!(URL_SAFE_NO_PAD.encode(&point[..cut]));
            bad["y"] = json!(URL_SAFE_NO_PAD.encode(&point[cut..]));
            assert_eq!(public_key(&bad).unwrap_err(), "its coordinates do not have the length of the curve");
        }
        for name in ["x", "y"] {
            let mut bad = good.clone();
            bad[name] = json!(URL_SAFE_NO_PAD.encode([&bytes(name)[..], &[0]].concat()));
            assert_eq!(public_key(&bad).unwrap_err(), "its coordinates do not have the length of the curve");
        }
    }

    #[test]
    fn only_an_ed25519_key_of_32_bytes_verifies_eddsa() {
        let good = made(SigningAlg::EdDSA);
        assert!(public_key(&good).is_ok());
        let with = |name: &str, value: Value| {
            let mut changed = good.clone();
            changed[name] = value;
            public_key(&changed).map(|key| key.verifiers.len())
        };
        let apart = "its type, curve and algorithm do not go together, or we do not verify with them";
        assert_eq!(with("crv", json!("X25519")), Err(apart));
        assert_eq!(with("alg", json!("ES256")), Err(apart));
        let x = URL_SAFE_NO_PAD.decode(good["x"].as_str().unwrap()).unwrap();
        for bytes in [&x[..31], &[&x[..], &[0]].concat()] {
            let x = json!(URL_SAFE_NO_PAD.encode(bytes));
            assert_eq!(with("x", x), Err("an Ed25519 key must have 32 bytes"));
        }
    }

    #[test]
    fn a_secret_key_is_told_from_a_kind_that_nobody_knows() {
        let why = |kty: &str| public_key(&json!({"kty": kty})).map(|_| ()).unwrap_err();
        assert!(why("oct").contains("secret") && !why("XYZ").contains("secret"));
    }

    #[test]
    fn a_set_may_have_so_many_bytes_and_keys_and_no_more() {
        let document = |length: usize| {
            let frame = r#"{"keys":[],"x":""}"#.len();
            format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(length - frame))
        };
        assert!(JwkSet::parse(document(512 * 1024).as_bytes()).is_ok());
        let long = JwkSet::parse(document(512 * 1024 + 1).as_bytes()).unwrap_err();
        assert_eq!(long.note(), "the JWK set is too long");
        let keys = |many: usize| JwkSet::parse(json!({"keys": vec![1; many]}).to_string().as_bytes());
        assert_eq!(keys(100).unwrap().skipped().len(), 100);
        assert_eq!(keys(101).unwrap_err().note(), "the JWK set has too many keys");
        assert_eq!(JwkSet::parse(b"{}").unwrap_err().note(), "the JWK set has no array `keys`");
        assert!(JwkSet::registered(document(32 * 1024).as_bytes()).is_ok());
        assert!(JwkSet::registered(document(32 * 1024 + 1).as_bytes()).is_err());
    }
}
