//! A token under a secret that both sides know (HS256, RFC 7518 §3.2), apart from all that has to do with public
//! keys: this function takes no key set, and [`super::verify_foreign`] knows no HMAC, so that neither can be talked
//! into the other's work (RFC 8725 §3.1).

use super::key::signing_input;
use super::{JoseError, json, jws};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// The shortest secret, in bytes: a key of HS256 is as long as its hash (RFC 7518 §3.2).
pub const MIN_SECRET: usize = 32;

/// A token whose tag holds. Nothing is said yet about its claims.
#[derive(Debug, Clone)]
pub struct SharedJws {
    /// The type, as it was written (RFC 7515 §4.1.9).
    pub typ: Option<String>,
    /// Its payload: one JSON object, no member twice on any level.
    pub claims: json::Object,
}

/// Verifies a token that the provider signed with our client secret (OIDC Core §10.1). HS256 is the only algorithm.
/// For providers alone that sign in no other way.
///
/// # Errors
/// `jose.format`, `jose.alg`, `jose.crit`, `jose.key` (the secret is too short), `jose.signature`.
pub fn verify_shared(token: &str, secret: &[u8]) -> Result<SharedJws, JoseError> {
    if secret.len() < MIN_SECRET {
        return Err(JoseError::key("the secret is too short to verify a signature"));
    }
    let compact = jws::parse_as(token, |name| (name == "HS256").then_some(()))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    // constant time, and of the full length only
    hmac::verify(&key, compact.input, &compact.signature)
        .map_err(|_| JoseError::new("jose.signature", "the signature does not hold"))?;
    let claims = json::object(&compact.payload)
        .map_err(|error| JoseError::format(format!("the payload is {error}")))?;
    Ok(SharedJws { typ: compact.header.typ, claims })
}

/// Signs claims under a secret that an upstream shares with us (HS256), as `client_secret_jwt` wants it (OIDC Core §9).
///
/// # Errors
/// `jose.key` (the secret is too short), `jose.sign`.
pub fn sign_shared(claims: &impl Serialize, secret: &[u8]) -> Result<String, JoseError> {
    if secret.len() < MIN_SECRET {
        return Err(JoseError::key("the secret is too short to sign with"));
    }
    let input = signing_input("HS256", "JWT", None, claims)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn token(header: &str, secret: &[u8], cut: usize) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(r#"{"sub":"a"}"#));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        let tag = &tag.as_ref()[..32 - cut];
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
    }
    fn reason(token: &str, secret: &[u8]) -> &'static str {
        verify_shared(token, secret).map_or_else(|error| error.reason(), |_| "accepted")
    }

    #[test]
    fn only_hs256_under_the_whole_secret_holds() {
        let good = token(r#"{"alg":"HS256","typ":"JWT"}"#, SECRET, 0);
        assert_eq!(verify_shared(&good, SECRET).unwrap().claims["sub"], "a");
        for (header, reason_) in [
            (r#"{"alg":"HS384"}"#, "jose.alg"),
            (r#"{"alg":"hs256"}"#, "jose.alg"),
            (r#"{"alg":"none"}"#, "jose.alg"),
            (r#"{"alg":"RS256"}"#, "jose.alg"),
            (r#"{}"#, "jose.alg"),
            (r#"{"alg":"HS256","crit":["x"]}"#, "jose.crit"),
        ] {
            assert_eq!(reason(&token(header, SECRET, 0), SECRET), reason_, "{header}");
        }
        let header = r#"{"alg":"HS256"}"#;
        assert_eq!(reason(&token(header, b"ffffffffffffffffffffffffffffffff", 0), SECRET), "jose.signature");
        for cut in [1, 16, 32] {
            assert_eq!(reason(&token(header, SECRET, cut), SECRET), "jose.signature", "{cut}");
        }
        let short = &SECRET[..31];
        assert_eq!(reason(&token(header, short, 0), short), "jose.key");
        assert_eq!(reason(&token(header, b"", 0), b""), "jose.key");
    }

    #[test]
    fn what_we_sign_under_a_secret_holds_under_it_alone() {
        let claims = serde_json::json!({"sub": "us"});
        let token = sign_shared(&claims, SECRET).unwrap();
        assert_eq!(verify_shared(&token, SECRET).unwrap().claims["sub"], "us");
        assert_eq!(reason(&token, b"ffffffffffffffffffffffffffffffff"), "jose.signature");
        assert_eq!(sign_shared(&claims, &SECRET[..31]).unwrap_err().reason(), "jose.key");
    }
}
