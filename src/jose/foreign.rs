//! Verifying what somebody else signed: ID tokens and signed userinfo of upstream providers.

use super::jwk::JwkSet;
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
/// `jose.signature`, and `jose.kid` (no such key, or no telling which): for the last it is worth fetching the
/// keys again, see [`JoseError::may_be_stale_keys`].
pub fn verify_foreign(token: &str, keys: &JwkSet, allowed: &[Alg]) -> Result<VerifiedJws, JoseError> {
    let (header, payload) = verify_payload(token, keys, allowed)?;
    let claims =
        json::object(&payload).map_err(|error| JoseError::format(format!("the payload is {error}")))?;
    Ok(VerifiedJws { header, claims })
}

/// The same for any payload.
pub(super) fn verify_payload(
    token: &str,
    keys: &JwkSet,
    allowed: &[Alg],
) -> Result<(Header, Vec<u8>), JoseError> {
    let compact = jws::parse(token)?;
    let alg = compact.header.alg;
    if !allowed.contains(&alg) {
        return Err(JoseError::new("jose.alg", format!("{alg} is not allowed for this issuer")));
    }
    match compact.header.kid.as_deref() {
        Some(kid) => verify_named(&compact, keys, alg, kid)?,
        None => verify_unnamed(&compact, keys, alg)?,
    }
    Ok((compact.header, compact.payload))
}

fn verify_named(compact: &Compact<'_>, keys: &JwkSet, alg: Alg, kid: &str) -> Result<(), JoseError> {
    let named = || keys.keys().iter().filter(|key| key.kid.as_deref() == Some(kid));
    let fitting: Vec<&VerifyingKey> = named().filter_map(|key| key.fitting(alg)).collect();
    match fitting.as_slice() {
        [key] if key.verify(compact.input, &compact.signature) => Ok(()),
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

fn verify_unnamed(compact: &Compact<'_>, keys: &JwkSet, alg: Alg) -> Result<(), JoseError> {
    let fitting: Vec<&VerifyingKey> = keys.keys().iter().filter_map(|key| key.fitting(alg)).collect();
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
    let holds = fitting.iter().filter(|key| key.verify(compact.input, &compact.signature)).count();
    match (holds, fitting.len()) {
        (1, _) => Ok(()),
        (0, 1) => Err(JoseError::new("jose.signature", "the signature does not hold")),
        _ => Err(JoseError::new("jose.kid", "the token names no key, and not exactly one verifies it")),
    }
}
