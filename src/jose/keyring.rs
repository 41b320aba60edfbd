//! Our own keys as one immutable snapshot: what signs, what verifies, and the JWKS to serve.

use super::key::{SigningKey, VerifyingKey};
use super::{Alg, JoseError, json, jws};
use crate::clients::SigningAlg;
use crate::context::Timestamp;
use crate::ids::KeyId;
use crate::tokens::KeyState;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// What a token of ours is, as its header says (`typ`). Each kind is verified only as itself, so that none
/// can be used as another (RFC 8725 §3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenType {
    /// An ID token, `JWT`.
    Id,
    /// An access token, `at+jwt` (RFC 9068 §2.1).
    Access,
}

impl TokenType {
    const ALL: [Self; 2] = [Self::Id, Self::Access];
    /// The `typ` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "JWT",
            Self::Access => "at+jwt",
        }
    }
}

/// Whether a token must still be alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It must.
    Enforced,
    /// It may have expired: for `id_token_hint` (OIDC RP-Initiated Logout §2).
    Ignored,
}

/// What a token of ours is expected to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Its type.
    pub typ: TokenType,
    /// Whether it must be alive.
    pub expiry: Expiry,
    /// The present moment. No leeway: both clocks are ours.
    pub now: Timestamp,
}

/// A key on its way into a keyring.
#[derive(Debug, Clone)]
pub enum KeyringKey {
    /// It signs, or will.
    Signing {
        /// [`KeyState::Active`] or [`KeyState::Next`].
        state: KeyState,
        /// The key.
        key: Arc<SigningKey>,
    },
    /// It only verifies.
    Retired {
        /// Its `kid`.
        id: KeyId,
        /// Its algorithm.
        alg: SigningAlg,
        /// Its public half as a JWK, JSON.
        public: String,
    },
}

struct Signer {
    key: Arc<SigningKey>,
    /// `base64url(header).` by token type.
    headers: BTreeMap<TokenType, String>,
}

/// All of our keys at one moment.
pub struct Keyring {
    issuer: String,
    signers: BTreeMap<SigningAlg, Signer>,
    /// Keys that are published but do not sign yet; kept so that a reload need not parse them again.
    waiting: BTreeMap<KeyId, Arc<SigningKey>>,
    verifiers: HashMap<String, VerifyingKey>,
    jwks: Arc<[u8]>,
    etag: String,
}

impl Keyring {
    /// A keyring for an issuer. Of each algorithm at most one key may be active.
    ///
    /// # Errors
    /// `jose.key` if a key cannot be read, occurs twice, or two of one algorithm are active.
    pub fn new(issuer: impl Into<String>, keys: Vec<KeyringKey>) -> Result<Self, JoseError> {
        let mut signers = BTreeMap::new();
        let mut waiting = BTreeMap::new();
        let mut verifiers = HashMap::new();
        let mut published: Vec<(u8, SigningAlg, String)> = Vec::new();
        for key in keys {
            let (rank, id, alg, public) = match &key {
                KeyringKey::Signing { state, key } => {
                    let rank = u8::from(*state != KeyState::Active);
                    (rank, key.id().clone(), key.alg(), key.public_jwk().to_owned())
                }
                KeyringKey::Retired { id, alg, public } => (2, id.clone(), *alg, public.clone()),
            };
            let verifier = VerifyingKey::from_own_jwk(alg, &public)?;
            if verifiers.insert(id.as_str().to_owned(), verifier).is_some() {
                return Err(JoseError::key("a key occurs twice"));
            }
            match key {
                KeyringKey::Signing { state: KeyState::Active, key } => {
                    if signers.insert(alg, Signer::new(key)?).is_some() {
                        return Err(JoseError::key(format!("two keys are active for {}", alg.as_str())));
                    }
                }
                KeyringKey::Signing { key, .. } => {
                    waiting.insert(id, key);
                }
                KeyringKey::Retired { .. } => {}
            }
            published.push((rank, alg, public));
        }
        // Active keys first, RS256 before the others: some clients take the first key they see.
        published.sort();
        let keys: Vec<String> = published.into_iter().map(|(_, _, public)| public).collect();
        let jwks: Arc<[u8]> = format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes().into();
        let hash = digest::digest(&digest::SHA256, &jwks);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default()));
        Ok(Self { issuer: issuer.into(), signers, waiting, verifiers, jwks, etag })
    }

    /// The issuer whose keys these are.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
    /// The JWK Set document, ready to serve (RFC 7517 §5).
    pub fn jwks(&self) -> &Arc<[u8]> {
        &self.jwks
    }
    /// A strong entity tag of [`Keyring::jwks`], quotes included (RFC 9110 §8.8.3).
    pub fn etag(&self) -> &str {
        &self.etag
    }
    /// The algorithms that can sign now.
    pub fn algs(&self) -> impl Iterator<Item = SigningAlg> + '_ {
        self.signers.keys().copied()
    }
    /// The private key of that name, if it is active or next.
    pub fn signing_key(&self, id: &KeyId) -> Option<Arc<SigningKey>> {
        let active = self.signers.values().map(|signer| &signer.key).find(|key| key.id() == id);
        active.or_else(|| self.waiting.get(id)).cloned()
    }

    /// Signs claims as a token of the given type.
    ///
    /// # Errors
    /// `jose.key` if no key of that algorithm is active; `jose.sign` if the claims have no JSON form or the
    /// library fails.
    pub fn sign(
        &self,
        alg: SigningAlg,
        typ: TokenType,
        claims: &impl Serialize,
    ) -> Result<String, JoseError> {
        let signer = self
            .signers
            .get(&alg)
            .ok_or_else(|| JoseError::key(format!("no key is active for {}", alg.as_str())))?;
        let header = signer.headers.get(&typ).ok_or_else(|| JoseError::key("no header for the type"))?;
        let claims = serde_json::to_vec(claims)
            .map_err(|_| JoseError::new("jose.sign", "the claims have no JSON form"))?;
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 4 + 344);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let signature = signer.key.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// Verifies a token of ours and gives its claims as `T`. The audience is for the caller to check.
    ///
    /// # Errors
    /// `jose.format`, `jose.alg`, `jose.crit`, `jose.kid` (absent or not ours), `jose.signature`, `jose.typ`,
    /// `jose.iss`, `jose.exp`, `jose.nbf`.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, expected: &Expected) -> Result<T, JoseError> {
        let compact = jws::parse(token)?;
        let unknown = || JoseError::new("jose.kid", "the token names no key of ours");
        let kid = compact.header.kid.as_deref().ok_or_else(unknown)?;
        let verifier = self.verifiers.get(kid).ok_or_else(unknown)?;
        if verifier.alg() != compact.header.alg {
            return Err(JoseError::new("jose.alg", "the algorithm is not the key's"));
        }
        if !verifier.verify(compact.input, &compact.signature) {
            return Err(JoseError::new("jose.signature", "the signature does not hold"));
        }
        if compact.header.typ.as_deref() != Some(expected.typ.as_str()) {
            return Err(JoseError::new(
                "jose.typ",
                format!("the token is not of type {}", expected.typ.as_str()),
            ));
        }
        let claims = json::object(&compact.payload)
            .map_err(|error| JoseError::format(format!("the payload is {error}")))?;
        if claims.get("iss").and_then(serde_json::Value::as_str) != Some(self.issuer.as_str()) {
            return Err(JoseError::new("jose.iss", "the token is of another issuer"));
        }
        let time =
            |name: &str| claims.get(name).and_then(serde_json::Value::as_i64).map(Timestamp::from_secs);
        if claims.contains_key("nbf") && time("nbf").is_none_or(|from| expected.now < from) {
            return Err(JoseError::new("jose.nbf", "the token is not valid yet"));
        }
        // RFC 7519 §4.1.4: on or after the time it must not be accepted.
        if expected.expiry == Expiry::Enforced && time("exp").is_none_or(|end| expected.now >= end) {
            return Err(JoseError::new("jose.exp", "the token has expired"));
        }
        json::typed(claims).map_err(|error| JoseError::format(format!("the claims: {error}")))
    }
}

impl Signer {
    fn new(key: Arc<SigningKey>) -> Result<Self, JoseError> {
        #[derive(Serialize)]
        struct Header<'a> {
            typ: &'a str,
            alg: &'a str,
            kid: &'a str,
        }
        let mut headers = BTreeMap::new();
        for typ in TokenType::ALL {
            let alg = Alg::from(key.alg()).as_str();
            let header = Header { typ: typ.as_str(), alg, kid: key.id().as_str() };
            let json =
                serde_json::to_vec(&header).map_err(|_| JoseError::key("a header has no JSON form"))?;
            headers.insert(typ, format!("{}.", URL_SAFE_NO_PAD.encode(json)));
        }
        Ok(Self { key, headers })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("issuer", &self.issuer)
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}
