//! Private keys that sign and public keys that verify, each parsed once.

use super::{Alg, JoseError, json, jwk};
use crate::clients::SigningAlg;
use crate::ids::KeyId;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use std::fmt;
use zeroize::Zeroizing;

/// A public key for one algorithm.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    alg: Alg,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    pub(super) fn new(alg: Alg, key: ParsedPublicKey) -> Self {
        Self { alg, key }
    }
    /// Reads our own public key from its JWK.
    ///
    /// # Errors
    /// `jose.key`.
    pub(super) fn from_own_jwk(alg: SigningAlg, public: &str) -> Result<Self, JoseError> {
        let value =
            serde_json::from_str(public).map_err(|_| JoseError::key("a stored public key is not JSON"))?;
        let key =
            jwk::public_key(&value).map_err(|why| JoseError::key(format!("a stored public key: {why}")))?;
        key.fitting(alg.into())
            .cloned()
            .ok_or_else(|| JoseError::key("a stored public key is not for its algorithm"))
    }
    /// The one algorithm that it verifies.
    pub fn alg(&self) -> Alg {
        self.alg
    }
    /// Whether the signature over the message holds.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.alg)
    }
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// One of our private keys, parsed once, with its public half.
pub struct SigningKey {
    id: KeyId,
    alg: SigningAlg,
    private: Private,
    public: String,
}

impl SigningKey {
    /// Makes a new key and gives it with its PKCS#8 form, which is to be sealed and stored. The randomness is
    /// aws-lc's own: no other may make a key. An RSA key has 2048 bits and takes a tenth of a second or more.
    ///
    /// # Errors
    /// `jose.key` if the library fails.
    pub fn generate(alg: SigningAlg) -> Result<(Self, Zeroizing<Vec<u8>>), JoseError> {
        let failed = |_| JoseError::key("the library could not make a key");
        let pkcs8 = match alg {
            SigningAlg::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
            SigningAlg::ES256 => {
                let document =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                        .map_err(failed)?;
                Zeroizing::new(document.as_ref().to_vec())
            }
            SigningAlg::EdDSA => {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
                Zeroizing::new(document.as_ref().to_vec())
            }
        };
        Ok((Self::from_pkcs8(alg, &pkcs8)?, pkcs8))
    }

    /// Reads a stored key.
    ///
    /// # Errors
    /// `jose.key` if it is not a key of that algorithm.
    pub fn from_pkcs8(alg: SigningAlg, pkcs8: &[u8]) -> Result<Self, JoseError> {
        let refused = |_| JoseError::key("a stored private key is not one of its algorithm");
        let (private, public, algorithm) = match alg {
            SigningAlg::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(refused)?;
                let public = DecodingKey::from_rsa_der(pair.public_key().as_ref());
                (Private::Rsa(pair), public, Algorithm::RS256)
            }
            SigningAlg::ES256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(refused)?;
                let public = DecodingKey::from_ec_der(pair.public_key().as_ref());
                (Private::Ec(pair), public, Algorithm::ES256)
            }
            SigningAlg::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(refused)?;
                let public = DecodingKey::from_ed_der(pair.public_key().as_ref());
                (Private::Ed(pair), public, Algorithm::EdDSA)
            }
        };
        let failed = |_| JoseError::key("a key has no JWK form");
        let mut jwk = Jwk::from_decoding_key(&public, Some(algorithm)).map_err(failed)?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(failed)?;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(thumbprint.clone());
        let id = KeyId::new(thumbprint).map_err(|_| JoseError::key("a thumbprint is no key id"))?;
        let public = serde_json::to_string(&jwk).map_err(|_| JoseError::key("a key has no JSON form"))?;
        Ok(Self { id, alg, private, public })
    }

    /// Reads a private key in PEM form (PKCS#8) of whichever algorithm it is.
    ///
    /// # Errors
    /// `jose.key`; nothing of the key is in it.
    pub fn from_pem(pem: &str) -> Result<Self, JoseError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            JoseError::key("there is no private key in PEM form (PKCS#8, \"BEGIN PRIVATE KEY\")")
        })?;
        let der = der.secret_pkcs8_der();
        [SigningAlg::ES256, SigningAlg::RS256, SigningAlg::EdDSA]
            .into_iter()
            .find_map(|alg| Self::from_pkcs8(alg, der).ok())
            .ok_or_else(|| JoseError::key("the private key is not of P-256, RSA or Ed25519"))
    }

    /// The names of the algorithms by which it can sign towards an upstream, the usual one first. Ed25519 has two
    /// (RFC 8037 §3.1, RFC 9864 §2.2).
    pub fn algorithms(&self) -> &'static [&'static str] {
        match self.private {
            Private::Rsa(_) => &["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"],
            Private::Ec(_) => &["ES256"],
            Private::Ed(_) => &["EdDSA", "Ed25519"],
        }
    }

    /// Signs claims as a compact JWS under one of [`Self::algorithms`], with the type of the token and the name by
    /// which the other side knows the key.
    ///
    /// # Errors
    /// `jose.sign`; also where the key cannot sign by that algorithm.
    pub fn token(
        &self,
        alg: &str,
        typ: &str,
        kid: Option<&str>,
        claims: &impl Serialize,
    ) -> Result<String, JoseError> {
        let input = signing_input(alg, typ, kid, claims)?;
        let signature = match (&self.private, alg) {
            (Private::Rsa(pair), _) => {
                let encoding: &'static dyn RsaEncoding = match alg {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => return Err(unable()),
                };
                sign_rsa(pair, encoding, input.as_bytes())?
            }
            (Private::Ec(_), "ES256") | (Private::Ed(_), "EdDSA" | "Ed25519") => {
                self.sign(input.as_bytes())?
            }
            (Private::Ec(_) | Private::Ed(_), _) => return Err(unable()),
        };
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Its `kid`: the thumbprint of its public half (RFC 7638).
    pub fn id(&self) -> &KeyId {
        &self.id
    }
    /// What it signs with.
    pub fn alg(&self) -> SigningAlg {
        self.alg
    }
    /// Its public half as a JWK, JSON.
    pub fn public_jwk(&self) -> &str {
        &self.public
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let failed = |_| JoseError::new("jose.sign", "the library could not sign");
        match &self.private {
            Private::Rsa(pair) => sign_rsa(pair, &RSA_PKCS1_SHA256, message),
            Private::Ec(pair) => {
                Ok(pair.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec())
            }
            Private::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

fn unable() -> JoseError {
    JoseError::new("jose.sign", "the key is not for that algorithm")
}

fn sign_rsa(
    pair: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, JoseError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| JoseError::new("jose.sign", "the library could not sign"))?;
    Ok(signature)
}

/// Header and claims of a compact JWS as they are signed (RFC 7515 §5.1).
pub(super) fn signing_input(
    alg: &str,
    typ: &str,
    kid: Option<&str>,
    claims: &impl Serialize,
) -> Result<String, JoseError> {
    let failed = |_| JoseError::new("jose.sign", "the claims have no JSON form");
    let mut header = json::Object::new();
    header.insert("alg".to_owned(), alg.into());
    header.insert("typ".to_owned(), typ.into());
    if let Some(kid) = kid {
        header.insert("kid".to_owned(), kid.into());
    }
    let header = serde_json::to_vec(&header).map_err(failed)?;
    let claims = serde_json::to_vec(claims).map_err(failed)?;
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).field("alg", &self.alg).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JwkSet, verify_foreign};
    use super::*;
    use serde_json::json;

    #[test]
    fn what_we_sign_towards_an_upstream_holds_under_every_algorithm_of_the_key() {
        for kind in [SigningAlg::RS256, SigningAlg::ES256, SigningAlg::EdDSA] {
            let key = SigningKey::generate(kind).unwrap().0;
            let mut jwk: serde_json::Value = serde_json::from_str(key.public_jwk()).unwrap();
            jwk.as_object_mut().unwrap().remove("alg");
            jwk["kid"] = "ours".into();
            let keys = JwkSet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
            for name in key.algorithms() {
                let token = key.token(name, "x+jwt", Some("ours"), &json!({"sub": "a"})).unwrap();
                let alg = Alg::parse(name).unwrap();
                let verified = verify_foreign(&token, &keys, &[alg]).unwrap();
                assert_eq!(
                    (verified.header.alg, verified.claims["sub"].as_str()),
                    (alg, Some("a")),
                    "{name}"
                );
                assert_eq!(verified.header.typ.as_deref(), Some("x+jwt"));
                let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
                let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
                assert_eq!(head["alg"], *name, "by the name that was wanted");
            }
            for other in ["none", "HS256", "ES384", "", "RS1"] {
                assert_eq!(key.token(other, "JWT", None, &json!({})).unwrap_err().reason(), "jose.sign");
            }
        }
    }
}
