//! The verifier of libxmlsec1 and libxml2, by samael. It is given only what the other one accepted.

use super::{Verified, cut_off};
use crate::upstream::saml::open::Certificate;
use crate::upstream::saml::shape::Signature;
use samael::crypto::{
    AllowedSignatureAlgorithm as Allowed, CertificateDer, Crypto, CryptoProvider as _, ReduceMode,
};

/// Those of the list; samael allows any by default.
const ALLOWED: [Allowed; 6] = [
    Allowed::RsaSha256,
    Allowed::RsaSha384,
    Allowed::RsaSha512,
    Allowed::EcdsaSha256,
    Allowed::EcdsaSha384,
    Allowed::EcdsaSha512,
];

/// Whether this verifier accepts all signatures of the text, each by the certificate by which the other one did, and takes
/// the same bytes for signed. With two signatures these are those of the response, the first.
pub(super) fn agree(
    text: &str,
    signatures: &[&Signature],
    first: &[Verified],
    certificates: &[Certificate],
) -> Result<(), &'static str> {
    cut_off::once()?;
    let outer = first.first().ok_or("there is no signature")?;
    if signatures.len() != first.len() {
        return Err("the numbers of signatures differ");
    }
    let mut by: Vec<CertificateDer> = Vec::new();
    for verified in first {
        let der = &certificates.get(verified.by).ok_or("there is no such certificate")?.der;
        // Of several certificates samael gives up at one whose key does not fit, so the same one is given once.
        if !by.iter().any(|known| known.der_data() == &**der) {
            by.push(CertificateDer::from(der.to_vec()));
        }
    }
    let reduced = Crypto::reduce_xml_to_signed_with_allowed_algorithms(
        text,
        &by,
        ReduceMode::PreDigest,
        Some(&ALLOWED),
    )
    .map_err(|_| "libxmlsec1 refuses what the other verifier accepts")?;
    if reduced.as_bytes() != outer.text.as_bytes() {
        return Err("the verifiers take different bytes for signed");
    }
    Ok(())
}
