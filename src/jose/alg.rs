//! Signature algorithms with a public key. There is no `none` and no HMAC in this type, so neither can be
//! allowed by accident (RFC 8725 §3.1, §3.2).

use crate::clients::SigningAlg;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An algorithm of RFC 7518 §3.1 or RFC 8037 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519.
    EdDSA,
}

/// How the key of an algorithm is used.
pub(super) enum Scheme {
    /// RSA, with the padding and hash.
    Rsa(&'static RsaParameters),
    /// ECDSA on the named curve, with the length of a coordinate in bytes.
    Ec(&'static EcdsaVerificationAlgorithm, &'static str, usize),
    /// Ed25519.
    Ed,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }
    /// The algorithm of exactly this name; names are case-sensitive (RFC 7515 §4.1.1). `Ed25519` is what RFC 9864
    /// §2.2 calls the one curve of `EdDSA` that we verify; newer libraries know it by that name alone.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        Self::ALL.into_iter().find(|alg| alg.as_str() == name)
    }
    pub(super) fn scheme(self) -> Scheme {
        match self {
            Self::RS256 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::ES256 => Scheme::Ec(&signature::ECDSA_P256_SHA256_FIXED, "P-256", 32),
            Self::ES384 => Scheme::Ec(&signature::ECDSA_P384_SHA384_FIXED, "P-384", 48),
            Self::ES512 => Scheme::Ec(&signature::ECDSA_P521_SHA512_FIXED, "P-521", 66),
            Self::EdDSA => Scheme::Ed,
        }
    }
}

impl From<SigningAlg> for Alg {
    fn from(alg: SigningAlg) -> Self {
        match alg {
            SigningAlg::RS256 => Self::RS256,
            SigningAlg::ES256 => Self::ES256,
            SigningAlg::EdDSA => Self::EdDSA,
        }
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_017_no_spelling_of_none_or_hmac_is_an_algorithm() {
        for bad in [
            "none", "None", "nOnE", "NONE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", "ES256K",
            "Ed448",
        ] {
            assert_eq!(Alg::parse(bad), None, "{bad:?}");
        }
        for alg in Alg::ALL {
            assert_eq!(Alg::parse(alg.as_str()), Some(alg));
            assert_eq!(alg.to_string(), alg.as_str());
        }
    }

    #[test]
    fn ed25519_goes_by_its_old_and_its_new_name() {
        assert_eq!(Alg::parse("Ed25519"), Alg::parse("EdDSA"));
        assert_eq!(Alg::parse("Ed25519"), Some(Alg::EdDSA));
        assert_eq!(Alg::parse("ed25519"), None);
    }
}
