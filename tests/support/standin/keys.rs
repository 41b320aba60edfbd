//! Signing keys of the stand-in, and whatever it signs.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// Base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A payload and its HMAC-SHA256, as Facebook's server signs what it tells of somebody.
pub fn signed_request(payload: &Value, secret: &str) -> String {
    let payload = b64(payload.to_string());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    format!("{}.{payload}", b64(aws_lc_rs::hmac::sign(&key, payload.as_bytes())))
}

/// A signing key of the stand-in.
#[derive(Clone)]
pub struct Key {
    pub kid: String,
    pair: Arc<Pair>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// RSA keys take a while to make, so that two are shared.
static RSA: LazyLock<[Arc<Pair>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Arc::new(Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))));

impl Key {
    /// One of two shared RSA keys, under a name.
    pub fn rsa(which: usize, kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: RSA[which].clone() }
    }
    /// A new P-256 key.
    pub fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair: Arc::new(Pair::Ec(pair)) }
    }
    /// Its algorithm.
    pub fn alg(&self) -> &'static str {
        match &*self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        }
    }
    /// Signs bytes.
    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, input).unwrap().as_ref().to_vec(),
        }
    }
    /// A compact token of any header and payload text.
    pub fn token(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        format!("{input}.{}", b64(self.sign(input.as_bytes())))
    }
    /// Its public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &*self.pair {
            Pair::Rsa(pair) => json!({
                "kty": "RSA",
                "n": b64(pair.public_key().modulus().big_endian_without_leading_zero()),
                "e": b64(pair.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.alg().into();
        jwk
    }
    /// The public key in DER (SubjectPublicKeyInfo for RSA), for confusion attacks.
    pub fn public_der(&self) -> Vec<u8> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(
                    pair.public_key(),
                )
                .unwrap()
                .as_ref()
                .to_vec()
            }
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}

/// A token signed with HMAC-SHA256.
pub fn hs256(header: &str, payload: &str, key: &[u8]) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
    format!("{input}.{}", b64(tag))
}
