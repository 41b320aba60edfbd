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
    /// An answer of the userinfo endpoint, `userinfo+jwt`: it has issuer, subject and audience as an ID token
    /// has, so only its type tells them apart.
    Userinfo,
    /// A logout token, `logout+jwt` (OIDC Back-Channel Logout §2.4).
    Logout,
}

impl TokenType {
    const ALL: [Self; 4] = [Self::Id, Self::Access, Self::Userinfo, Self::Logout];
    /// The `typ` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "JWT",
            Self::Access => "at+jwt",
            Self::Userinfo => "userinfo+jwt",
            Self::Logout => "logout+jwt",
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
            if let KeyringKey::Signing { state: KeyState::Active, key } = key
                && signers.insert(alg, Signer::new(key)?).is_some()
            {
                return Err(JoseError::key(format!("two keys are active for {}", alg.as_str())));
            }
            published.push((rank, alg, public));
        }
        // Active keys first, RS256 before the others: some clients take the first key they see.
        published.sort();
        let keys: Vec<String> = published.into_iter().map(|(_, _, public)| public).collect();
        let jwks: Arc<[u8]> = format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes().into();
        let hash = digest::digest(&digest::SHA256, &jwks);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default()));
        Ok(Self { issuer: issuer.into(), signers, verifiers, jwks, etag })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::sync::LazyLock;

    const ISSUER: &str = "https://id.test";

    fn make(alg: SigningAlg) -> Arc<SigningKey> {
        Arc::new(SigningKey::generate(alg).unwrap().0)
    }
    fn active(key: &Arc<SigningKey>) -> KeyringKey {
        KeyringKey::Signing { state: KeyState::Active, key: key.clone() }
    }
    fn next(key: &Arc<SigningKey>) -> KeyringKey {
        KeyringKey::Signing { state: KeyState::Next, key: key.clone() }
    }
    fn retired(key: &SigningKey) -> KeyringKey {
        KeyringKey::Retired { id: key.id().clone(), alg: key.alg(), public: key.public_jwk().to_owned() }
    }
    static KEYS: LazyLock<[Arc<SigningKey>; 3]> = LazyLock::new(|| SigningAlg::ALL.map(make));
    static RING: LazyLock<Keyring> =
        LazyLock::new(|| Keyring::new(ISSUER, KEYS.iter().map(active).collect()).unwrap());

    fn at(secs: i64) -> Expected {
        Expected { typ: TokenType::Access, expiry: Expiry::Enforced, now: Timestamp::from_secs(secs) }
    }
    fn reason(token: &str, expected: &Expected) -> &'static str {
        RING.verify::<Value>(token, expected).map_or_else(|error| error.reason(), |_| "accepted")
    }

    #[test]
    fn the_thumbprint_names_the_key_and_the_library_agrees_with_every_signature() {
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(RING.jwks()).unwrap();
        assert_eq!(jwks.keys.len(), 3);
        for alg in SigningAlg::ALL {
            let token =
                RING.sign(alg, TokenType::Id, &json!({"iss": ISSUER, "exp": 99, "sub": "a"})).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!(
                (header.typ.as_deref(), format!("{:?}", header.alg)),
                (Some("JWT"), format!("{alg:?}"))
            );
            let jwk = jwks.find(header.kid.as_deref().unwrap()).unwrap();
            assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).ok(), header.kid);
            let mut validation = jsonwebtoken::Validation::new(header.alg);
            validation.validate_exp = false;
            let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
            let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
            assert_eq!(decoded.claims["sub"], "a");
        }
    }

    #[test]
    fn the_published_set_has_public_members_only_and_active_keys_first() {
        let (waiting, old) = (make(SigningAlg::ES256), make(SigningAlg::EdDSA));
        let mut keys = vec![retired(&old), next(&waiting)];
        keys.extend(KEYS.iter().rev().map(active));
        let ring = Keyring::new(ISSUER, keys).unwrap();
        let jwks: Value = serde_json::from_slice(ring.jwks()).unwrap();
        let of = |name: &str| -> Vec<String> {
            jwks["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|k| k[name].as_str().unwrap_or("-").to_owned())
                .collect()
        };
        assert_eq!(of("alg"), ["RS256", "ES256", "EdDSA", "ES256", "EdDSA"]);
        assert_eq!(of("use"), ["sig"; 5]);
        let expected: Vec<&str> = KEYS.iter().chain([&waiting, &old]).map(|k| k.id().as_str()).collect();
        assert_eq!(of("kid"), expected);
        let legal = ["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];
        for key in jwks["keys"].as_array().unwrap() {
            assert!(key.as_object().unwrap().keys().all(|name| legal.contains(&name.as_str())), "{key}");
        }
        assert_ne!(ring.etag(), RING.etag());
    }

    #[test]
    fn oauth_113_a_next_key_verifies_but_does_not_sign_and_a_dropped_key_is_refused() {
        let claims = json!({"iss": ISSUER, "exp": 100});
        let old = make(SigningAlg::ES256);
        let before = Keyring::new(ISSUER, vec![active(&old), next(&KEYS[1])]).unwrap();
        let after = Keyring::new(ISSUER, vec![retired(&old), active(&KEYS[1])]).unwrap();
        let gone = Keyring::new(ISSUER, vec![active(&KEYS[1])]).unwrap();
        let token = before.sign(SigningAlg::ES256, TokenType::Access, &claims).unwrap();
        assert!(before.verify::<Value>(&token, &at(1)).is_ok());
        assert!(after.verify::<Value>(&token, &at(1)).is_ok());
        assert_eq!(gone.verify::<Value>(&token, &at(1)).unwrap_err().reason(), "jose.kid");
        let token = after.sign(SigningAlg::ES256, TokenType::Access, &claims).unwrap();
        assert!(before.verify::<Value>(&token, &at(1)).is_ok(), "a slower node knows the next key");
        let only_next = Keyring::new(ISSUER, vec![next(&KEYS[1])]).unwrap();
        let error = only_next.sign(SigningAlg::ES256, TokenType::Access, &claims).unwrap_err();
        assert_eq!(error.reason(), "jose.key");
    }

    #[test]
    fn a_keyring_cannot_be_ambiguous() {
        let two = vec![active(&KEYS[1]), active(&make(SigningAlg::ES256))];
        assert!(Keyring::new(ISSUER, two).is_err());
        assert!(Keyring::new(ISSUER, vec![active(&KEYS[1]), retired(&KEYS[1])]).is_err());
        let mut wrong = retired(&KEYS[1]);
        if let KeyringKey::Retired { alg, .. } = &mut wrong {
            *alg = SigningAlg::EdDSA;
        }
        assert!(Keyring::new(ISSUER, vec![wrong]).is_err());
    }

    #[test]
    fn a_token_serves_only_as_what_it_is_while_it_lives() {
        let sign = |typ, claims: Value| RING.sign(SigningAlg::ES256, typ, &claims).unwrap();
        let good = sign(TokenType::Access, json!({"iss": ISSUER, "exp": 100, "nbf": 50}));
        assert_eq!(reason(&good, &at(50)), "accepted");
        assert_eq!(reason(&good, &at(99)), "accepted");
        assert_eq!(reason(&good, &at(100)), "jose.exp");
        assert_eq!(reason(&good, &at(49)), "jose.nbf");
        assert_eq!(reason(&good, &Expected { expiry: Expiry::Ignored, ..at(1000) }), "accepted");
        assert_eq!(reason(&good, &Expected { typ: TokenType::Id, ..at(60) }), "jose.typ");
        let id = sign(TokenType::Id, json!({"iss": ISSUER, "exp": 100}));
        assert_eq!(reason(&id, &at(60)), "jose.typ");
        for (claims, why) in [
            (json!({"iss": "https://id.test/", "exp": 100}), "jose.iss"),
            (json!({"exp": 100}), "jose.iss"),
            (json!({"iss": ISSUER}), "jose.exp"),
            (json!({"iss": ISSUER, "exp": "100"}), "jose.exp"),
            (json!({"iss": ISSUER, "exp": 100, "nbf": null}), "jose.nbf"),
        ] {
            assert_eq!(reason(&sign(TokenType::Access, claims.clone()), &at(60)), why, "{claims}");
        }
    }

    #[test]
    fn the_key_decides_the_algorithm() {
        let claims = json!({"iss": ISSUER, "exp": 100});
        let token = RING.sign(SigningAlg::ES256, TokenType::Access, &claims).unwrap();
        let (_, rest) = token.split_once('.').unwrap();
        let forge = |header: Value| format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let kid = |i: usize| KEYS[i].id().as_str();
        assert_eq!(reason(&forge(json!({"alg":"RS256","typ":"at+jwt","kid":kid(1)})), &at(1)), "jose.alg");
        assert_eq!(
            reason(&forge(json!({"alg":"RS256","typ":"at+jwt","kid":kid(0)})), &at(1)),
            "jose.signature"
        );
        assert_eq!(reason(&forge(json!({"alg":"none","typ":"at+jwt","kid":kid(1)})), &at(1)), "jose.alg");
        assert_eq!(reason(&forge(json!({"alg":"HS256","typ":"at+jwt","kid":kid(1)})), &at(1)), "jose.alg");
        assert_eq!(reason(&forge(json!({"alg":"ES256","typ":"at+jwt"})), &at(1)), "jose.kid");
        assert_eq!(reason(&forge(json!({"alg":"ES256","typ":"at+jwt","kid":"nobody"})), &at(1)), "jose.kid");
    }

    proptest! {
        /// Law: whatever is signed verifies with the same claims, and no changed letter does.
        #[test]
        fn what_is_signed_verifies_and_nothing_else(
            sub in ".*",
            alg in prop::sample::select(&SigningAlg::ALL[1..]),
            place in any::<prop::sample::Index>(),
            letter in "[A-Za-z0-9_-]",
        ) {
            let claims = json!({"iss": ISSUER, "exp": 100, "sub": sub});
            let token = RING.sign(alg, TokenType::Access, &claims).unwrap();
            prop_assert_eq!(RING.verify::<Value>(&token, &at(1)).unwrap(), claims);
            let i = place.index(token.len());
            let changed = format!("{}{letter}{}", &token[..i], &token[i + 1..]);
            if changed != token {
                prop_assert!(RING.verify::<Value>(&changed, &at(1)).is_err());
            }
        }

        /// Law: nothing that a stranger sends makes verification panic or succeed.
        #[test]
        fn garbage_is_refused(text in ".{0,200}") {
            prop_assert!(RING.verify::<Value>(&text, &at(1)).is_err());
        }
    }
}
