//! Certificates as they are configured and published, and when they end.

use super::open::Certificate;
use crate::context::Timestamp;
use crate::failure::Failure;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// Certificates of one provider, in one PEM text, or of those who sign metadata. Nobody has more in use, and each costs an
/// attempt at every signature; more are a mistake.
pub(super) const MOST: usize = 16;

impl Certificate {
    /// Takes one, in DER, if its key can be used.
    ///
    /// # Errors
    /// `saml.key.certificate`, `saml.key.weak`
    pub fn read(der: &[u8]) -> Result<Self, Failure> {
        let certificate = Self { der: der.into() };
        certificate.key()?;
        Ok(certificate)
    }

    /// Reads all certificates in a PEM text.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn read_pem(text: &str) -> Result<Vec<Self>, String> {
        let mut found = Vec::new();
        for der in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let der = der.map_err(|_| "it is not in PEM form".to_owned())?;
            found.push(Self::read(&der).map_err(|failure| failure.for_operator())?);
        }
        match found.len() {
            0 => Err("there is no certificate in it (-----BEGIN CERTIFICATE-----)".to_owned()),
            1..=MOST => Ok(found),
            _ => Err(format!("there are more than {MOST} certificates in it")),
        }
    }

    /// When it ends.
    pub fn ends(&self) -> Option<Timestamp> {
        self.not_after().ok().and_then(|end| i64::try_from(end).ok()).map(Timestamp::from_secs)
    }

    /// SHA-256 of it, in hexadecimal digits, as tools show it.
    pub fn fingerprint(&self) -> String {
        super::hex(&Sha256::digest(&self.der))
    }
}
