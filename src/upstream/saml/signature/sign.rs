//! Our own signatures, by bergshamra and aws-lc, so that they need no C library.

use super::algorithm::{Algorithm, Digest};
use super::certificate::{Curve, PublicKey};
use crate::failure::Failure;
use crate::upstream::saml::open::Certificate;
use crate::upstream::saml::shape::is_id;
use crate::upstream::saml::{ns, xml};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as aws, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::keys::loader::load_x509_cert_der;
use bergshamra::{DsigContext, Key, KeyData, KeyUsage, KeysManager};

/// A key that signs, with the certificate by which others know it.
pub(in crate::upstream::saml) struct SigningKey {
    data: KeyData,
    pair: Pair,
    certificate: Certificate,
    algorithm: Algorithm,
}

enum Pair {
    Rsa(aws::RsaKeyPair),
    Ec(aws::EcdsaKeyPair),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn failed(note: &'static str) -> Failure {
    Failure::internal("saml.sign", note)
}

impl SigningKey {
    /// A private key (PKCS #8, DER) and its certificate. RSA signs with SHA-256, a curve with the digest of its size.
    ///
    /// # Errors
    /// `saml.key.certificate`, `saml.key.weak`; `saml.sign` where the two do not belong together.
    pub fn new(pkcs8: &[u8], certificate: Certificate) -> Result<Self, Failure> {
        let unreadable = || failed("a private key cannot be read, or is not the one of the certificate");
        let (algorithm, pair) = match certificate.key()? {
            PublicKey::Rsa(public, _) => {
                let pair = aws::RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| unreadable())?;
                if pair.public_key().as_ref() != public.as_slice() {
                    return Err(unreadable());
                }
                (Algorithm::Rsa(Digest::Sha256), Pair::Rsa(pair))
            }
            PublicKey::Ec(curve, public) => {
                let (digest, with) = match curve {
                    Curve::P256 => (Digest::Sha256, &aws::ECDSA_P256_SHA256_ASN1_SIGNING),
                    Curve::P384 => (Digest::Sha384, &aws::ECDSA_P384_SHA384_ASN1_SIGNING),
                    Curve::P521 => (Digest::Sha512, &aws::ECDSA_P521_SHA512_ASN1_SIGNING),
                };
                let pair = aws::EcdsaKeyPair::from_pkcs8(with, pkcs8).map_err(|_| unreadable())?;
                if pair.public_key().as_ref() != public.as_slice() {
                    return Err(unreadable());
                }
                (Algorithm::Ecdsa(digest), Pair::Ec(pair))
            }
        };
        let public = load_x509_cert_der(&certificate.der).map_err(|_| unreadable())?;
        let data = KeyData::from_pkcs8_der(public.data.algorithm(), pkcs8).map_err(|_| unreadable())?;
        Ok(Self { data, pair, certificate, algorithm })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A signature over bytes, as redirects carry it: in DER where the key is on a curve.
    ///
    /// # Errors
    /// `saml.sign`
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&aws::RSA_PKCS1_SHA256, &random, bytes, &mut signature)
                    .map_err(|_| failed("the key did not sign"))?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                Ok(pair.sign(&random, bytes).map_err(|_| failed("the key did not sign"))?.as_ref().to_vec())
            }
        }
    }

    /// Signs a document of ours as a whole: an enveloped signature over the root, which must have an `ID`, behind its
    /// `Issuer` or first in it, where all schemas of SAML 2.0 want it.
    ///
    /// # Errors
    /// `saml.sign`, and those of [`xml::parse_within`] for metadata, since what we write passes our own reader.
    pub fn sign_root(&self, text: &str) -> Result<String, Failure> {
        let text = &*xml::normal(text, &xml::METADATA)?;
        let document = xml::parse_within(text, &xml::METADATA)?;
        let root = document.root_element();
        let id = xml::attribute(root, "ID")
            .filter(|id| is_id(id))
            .ok_or_else(|| failed("the root has no ID that can be referred to"))?;
        let issuer = xml::child(root, ns::ASSERTION, "Issuer")?;
        let at = match (issuer, root.first_child()) {
            (Some(issuer), _) => issuer.range().end,
            (None, Some(first)) => first.range().start,
            (None, None) => return Err(failed("the root is empty")),
        };
        let (before, after) = text.split_at_checked(at).ok_or_else(|| failed("the text cannot be split"))?;
        let signed = bergshamra::sign(&self.context(), &format!("{before}{}{after}", self.template(id)))
            .map_err(|error| failed("the document was not signed").caused_by(error))?;
        Ok(signed)
    }

    fn context(&self) -> DsigContext {
        let mut keys = KeysManager::new();
        keys.add_key(Key::new(self.data.clone(), KeyUsage::Sign));
        DsigContext::new(keys)
    }

    fn template(&self, id: &str) -> String {
        let method = self.algorithm.uri();
        let digest = self.algorithm.digest().uri();
        let certificate = STANDARD.encode(&self.certificate.der);
        format!(
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>\
<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
<ds:SignatureMethod Algorithm=\"{method}\"/>\
<ds:Reference URI=\"#{id}\"><ds:Transforms>\
<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
</ds:Transforms><ds:DigestMethod Algorithm=\"{digest}\"/><ds:DigestValue></ds:DigestValue></ds:Reference>\
</ds:SignedInfo><ds:SignatureValue></ds:SignatureValue>\
<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
</ds:Signature>"
        )
    }
}
