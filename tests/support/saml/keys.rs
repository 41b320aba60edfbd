//! Keys and certificates, made once per test binary.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::core::algorithm;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize,
};
use std::sync::{Arc, LazyLock};

/// A private key with its self-signed certificate.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    private_pem: String,
    certificate: Vec<u8>,
    loaded: bergshamra::Key,
    rsa: bool,
    algorithm: &'static str,
}

macro_rules! shared {
    ($($(#[$doc:meta])* $name:ident = $make:expr;)*) => {
        impl Key {
            $($(#[$doc])* pub fn $name() -> Self {
                static KEY: LazyLock<Key> = LazyLock::new(|| $make);
                KEY.clone()
            })*
        }
    };
}

shared! {
    /// The provider's RSA-2048 key.
    rsa = Key::new_rsa("idp", RsaKeySize::_2048);
    /// Its next one.
    rsa_next = Key::new_rsa("idp next", RsaKeySize::_2048);
    /// Its RSA-3072 key.
    rsa_3072 = Key::new_rsa("idp 3072", RsaKeySize::_3072);
    /// Its EC keys.
    p256 = Key::new("idp p256", KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), false);
    p384 = Key::new("idp p384", KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(), false);
    /// Keys of somebody else.
    attacker = Key::new_rsa("attacker", RsaKeySize::_2048);
    attacker_p256 = Key::new("attacker p256", KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), false);
    /// The service provider's own pair, where a test hands it one.
    service = Key::new_rsa("sp", RsaKeySize::_2048);
}

impl Key {
    fn new_rsa(name: &str, size: RsaKeySize) -> Self {
        Self::new(name, KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap(), true)
    }

    fn new(name: &str, pair: KeyPair, rsa: bool) -> Self {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self::with(parameters, pair, rsa)
    }

    fn with(parameters: CertificateParams, pair: KeyPair, rsa: bool) -> Self {
        let certificate = parameters.self_signed(&pair).unwrap().der().to_vec();
        let private_pem = pair.serialize_pem();
        let loaded = bergshamra::keys::loader::load_pem_auto(private_pem.as_bytes(), None).unwrap();
        let algorithm = if rsa {
            algorithm::RSA_SHA256
        } else if pair.algorithm() == &PKCS_ECDSA_P384_SHA384 {
            algorithm::ECDSA_SHA384
        } else {
            algorithm::ECDSA_SHA256
        };
        Self(Arc::new(Inner { algorithm, private_pem, certificate, loaded, rsa }))
    }

    /// The same key under a certificate that is valid between these two (Unix seconds).
    pub fn certified(&self, not_before: i64, not_after: i64) -> Self {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.not_before = time::OffsetDateTime::from_unix_timestamp(not_before).unwrap();
        parameters.not_after = time::OffsetDateTime::from_unix_timestamp(not_after).unwrap();
        let pair = if self.0.rsa {
            KeyPair::from_pem_and_sign_algo(&self.0.private_pem, &PKCS_RSA_SHA256)
        } else {
            KeyPair::from_pem(&self.0.private_pem)
        };
        Self::with(parameters, pair.unwrap(), self.0.rsa)
    }

    /// Whether it is RSA.
    pub fn is_rsa(&self) -> bool {
        self.0.rsa
    }
    /// PKCS#8 PEM.
    pub fn private_pem(&self) -> &str {
        &self.0.private_pem
    }
    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.0.certificate
    }
    /// The certificate, Base64 without line breaks.
    pub fn b64(&self) -> String {
        STANDARD.encode(&self.0.certificate)
    }
    /// The certificate, PEM.
    pub fn pem(&self) -> String {
        pem(&self.0.certificate)
    }
    /// The library's key.
    pub fn loaded(&self) -> bergshamra::Key {
        self.0.loaded.clone()
    }
    /// The usual algorithm of its kind.
    pub fn algorithm(&self) -> &'static str {
        self.0.algorithm
    }
}

/// A certificate as PEM.
pub fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
