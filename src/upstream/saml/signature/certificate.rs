//! What counts of a certificate: its key, and when it ends.

use super::algorithm::{Algorithm, Digest};
use crate::failure::Failure;
use crate::upstream::checks::refused;
use crate::upstream::saml::open::Certificate;
use aws_lc_rs::signature as aws;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Bits that the modulus of an RSA key must have (NIST SP 800-131A), and may have.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key that is strong enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) enum PublicKey {
    /// RSA: the `RSAPublicKey` of RFC 8017 §A.1.1, and the bits of its modulus.
    Rsa(Vec<u8>, usize),
    /// A point on a curve.
    Ec(Curve, Vec<u8>),
}

/// A curve of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream::saml) enum Curve {
    /// P-256
    P256,
    /// P-384
    P384,
    /// P-521
    P521,
}

impl Certificate {
    /// The key in it.
    ///
    /// # Errors
    /// `saml.key.certificate` for what is no certificate; `saml.key.weak` for RSA keys of less than 2048 bits and for other
    /// kinds of keys than RSA and the curves P-256, P-384, P-521.
    pub fn key(&self) -> Result<PublicKey, Failure> {
        let unreadable = || refused("saml.key.certificate", "a certificate cannot be read");
        let certificate = x509_cert::Certificate::from_der(&self.der).map_err(|_| unreadable())?;
        let info = &certificate.tbs_certificate.subject_public_key_info;
        let bytes = info.subject_public_key.as_bytes().ok_or_else(unreadable)?;
        let weak = |received: String| {
            refused("saml.key.weak", "a key is too short, or of a kind that is not used")
                .expected("RSA of 2048 bits at least, or P-256, P-384, P-521", received)
        };
        match info.algorithm.oid {
            RSA => {
                let bits = modulus_bits(bytes).ok_or_else(unreadable)?;
                if !RSA_BITS.contains(&bits) {
                    return Err(weak(format!("RSA of {bits} bits")));
                }
                Ok(PublicKey::Rsa(bytes.to_vec(), bits))
            }
            EC => {
                let curve =
                    info.algorithm.parameters.as_ref().and_then(|p| p.decode_as::<ObjectIdentifier>().ok());
                let curve = match curve {
                    Some(P256) => Curve::P256,
                    Some(P384) => Curve::P384,
                    Some(P521) => Curve::P521,
                    other => {
                        return Err(weak(format!(
                            "the curve {}",
                            other.map_or("?".to_owned(), |c| c.to_string())
                        )));
                    }
                };
                Ok(PublicKey::Ec(curve, bytes.to_vec()))
            }
            other => Err(weak(other.to_string())),
        }
    }

    /// The end of its validity, in seconds since 1970.
    ///
    /// # Errors
    /// `saml.key.certificate`
    pub fn not_after(&self) -> Result<u64, Failure> {
        let certificate = x509_cert::Certificate::from_der(&self.der)
            .map_err(|_| refused("saml.key.certificate", "a certificate cannot be read"))?;
        Ok(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
    }
}

/// Bits of the modulus of an `RSAPublicKey`.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let key = x509_cert::der::asn1::AnyRef::from_der(der).ok()?;
    let mut reader = x509_cert::der::SliceReader::new(key.value()).ok()?;
    let modulus = x509_cert::der::asn1::UintRef::decode(&mut reader).ok()?;
    let bytes = modulus.as_bytes();
    let first = bytes.first()?;
    Some(bytes.len() * 8 - first.leading_zeros() as usize)
}

impl PublicKey {
    /// Bytes of its signatures in XML (RFC 8017 §8.2.1; XML Signature 1.1 §6.4.3).
    pub fn signature_length(&self) -> usize {
        match self {
            Self::Rsa(_, bits) => bits.div_ceil(8),
            Self::Ec(Curve::P256, _) => 64,
            Self::Ec(Curve::P384, _) => 96,
            Self::Ec(Curve::P521, _) => 132,
        }
    }

    /// Whether a signature over these bytes is by this key. ECDSA signatures are taken as two numbers of fixed length
    /// (XML Signature 1.1 §6.4.3) and in DER, which is what most providers put into addresses.
    pub fn verifies(&self, algorithm: Algorithm, bytes: &[u8], signature: &[u8]) -> bool {
        let verify = |with: &'static dyn aws::VerificationAlgorithm, key: &[u8]| {
            aws::UnparsedPublicKey::new(with, key).verify(bytes, signature).is_ok()
        };
        match (self, algorithm) {
            (Self::Rsa(key, _), Algorithm::Rsa(digest)) => verify(
                match digest {
                    Digest::Sha256 => &aws::RSA_PKCS1_2048_8192_SHA256,
                    Digest::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
                    Digest::Sha512 => &aws::RSA_PKCS1_2048_8192_SHA512,
                },
                key,
            ),
            (Self::Ec(curve, key), Algorithm::Ecdsa(digest)) => {
                let (fixed, der): (
                    &'static dyn aws::VerificationAlgorithm,
                    &'static dyn aws::VerificationAlgorithm,
                ) = match (curve, digest) {
                    (Curve::P256, Digest::Sha256) => {
                        (&aws::ECDSA_P256_SHA256_FIXED, &aws::ECDSA_P256_SHA256_ASN1)
                    }
                    (Curve::P256, Digest::Sha384) => {
                        (&aws::ECDSA_P256_SHA384_ASN1, &aws::ECDSA_P256_SHA384_ASN1)
                    }
                    (Curve::P256, Digest::Sha512) => {
                        (&aws::ECDSA_P256_SHA512_ASN1, &aws::ECDSA_P256_SHA512_ASN1)
                    }
                    (Curve::P384, Digest::Sha256) => {
                        (&aws::ECDSA_P384_SHA256_ASN1, &aws::ECDSA_P384_SHA256_ASN1)
                    }
                    (Curve::P384, Digest::Sha384) => {
                        (&aws::ECDSA_P384_SHA384_FIXED, &aws::ECDSA_P384_SHA384_ASN1)
                    }
                    (Curve::P384, Digest::Sha512) => {
                        (&aws::ECDSA_P384_SHA512_ASN1, &aws::ECDSA_P384_SHA512_ASN1)
                    }
                    (Curve::P521, Digest::Sha256) => {
                        (&aws::ECDSA_P521_SHA256_FIXED, &aws::ECDSA_P521_SHA256_ASN1)
                    }
                    (Curve::P521, Digest::Sha384) => {
                        (&aws::ECDSA_P521_SHA384_FIXED, &aws::ECDSA_P521_SHA384_ASN1)
                    }
                    (Curve::P521, Digest::Sha512) => {
                        (&aws::ECDSA_P521_SHA512_FIXED, &aws::ECDSA_P521_SHA512_ASN1)
                    }
                };
                verify(fixed, key) || verify(der, key)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `RSAPublicKey` whose modulus has this first byte and 255 more.
    fn key(first: u8) -> Vec<u8> {
        let sign: &[u8] = if first < 0x80 { &[] } else { &[0] };
        let length = |count: usize| u16::try_from(count).unwrap().to_be_bytes();
        let modulus = [sign, &[first], &[0xff; 255]].concat();
        let integer = [&[0x02, 0x82][..], &length(modulus.len())[..], &modulus].concat();
        let exponent = [0x02, 0x03, 0x01, 0x00, 0x01];
        let inside = [&integer[..], &exponent].concat();
        [&[0x30, 0x82][..], &length(inside.len())[..], &inside].concat()
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        for (first, bits) in [(0xff, 2048), (0x80, 2048), (0x7f, 2047), (0x40, 2047), (0x01, 2041)] {
            assert_eq!(modulus_bits(&key(first)), Some(bits), "{first:x}");
        }
        for odd in [&[][..], &[0x30, 0x00], &[0x02, 0x01, 0x01], &key(0xff)[..40]] {
            assert_eq!(modulus_bits(odd), None, "{odd:?}");
        }
        assert_eq!(PublicKey::Rsa(Vec::new(), 2047).signature_length(), 256);
        assert_eq!(PublicKey::Ec(Curve::P521, Vec::new()).signature_length(), 132);
    }
}
