//! Our own keys: they sign requests and metadata, and open what was encrypted for us.

use super::encryption::DecryptionKey;
use super::open::Certificate;
use super::signature::PublicKey;
use super::signature::sign::SigningKey;
use crate::context::{Context, Timestamp};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use rcgen::{CertificateParams, DnType, PKCS_RSA_SHA256, RsaKeySize, SerialNumber};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// One key of ours with its certificate.
#[derive(Debug)]
pub(super) struct OwnKey {
    /// What it signs with.
    pub signing: SigningKey,
    /// What it opens.
    pub decryption: Arc<DecryptionKey>,
    /// What others know it by.
    pub certificate: Certificate,
}

impl OwnKey {
    /// Reads a PEM text with an RSA private key and its certificate.
    ///
    /// # Errors
    /// A sentence for the operator, without anything of the key.
    pub fn read_pem(text: &str) -> Result<Self, String> {
        let unusable = |_| "the private key cannot be used".to_owned();
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| "there is no private key in it (-----BEGIN PRIVATE KEY-----)".to_owned())?;
        let pair = match &key {
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err("the private key is not RSA, which SAML providers expect".to_owned()),
        }
        // the library takes 2048 to 8192 bits
        .map_err(|_| "the private key is no RSA key of 2048 to 8192 bits".to_owned())?;
        let public = pair.public_key().as_ref();
        let own = |certificate: &Certificate| matches!(certificate.key(), Ok(PublicKey::Rsa(key, _)) if key == public);
        let certificate = Certificate::read_pem(text)?
            .into_iter()
            .find(own)
            .ok_or_else(|| "the certificate in it belongs to another key".to_owned())?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'static>>::as_der(&pair)
            .map_err(|_| "the private key cannot be used".to_owned())?;
        Ok(Self {
            signing: SigningKey::new(pkcs8.as_ref(), certificate.clone()).map_err(unusable)?,
            decryption: Arc::new(DecryptionKey::new(pkcs8.as_ref()).map_err(unusable)?),
            certificate,
        })
    }
}

/// Our keys for one provider.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnKeys {
    /// Signs and decrypts.
    pub current: Option<Arc<OwnKey>>,
    /// Is published, and decrypts.
    pub next: Option<Arc<OwnKey>>,
}

impl OwnKeys {
    /// Both, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<OwnKey>> {
        self.current.iter().chain(&self.next)
    }
}

/// The strength of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// What every provider takes.
    Rsa2048,
    /// For more than ten years.
    Rsa3072,
}

/// A new key.
pub struct NewKey {
    /// Private key and certificate, in PEM form.
    pub bundle: Zeroizing<String>,
    /// The certificate alone, in PEM form.
    pub certificate: String,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// Makes an RSA key and a certificate that it signs itself. Providers take the key out of it and look at
/// little else (SAML Metadata Interoperability §2.6.1); its name is only for people.
///
/// # Errors
/// A sentence for the operator.
pub fn make(name: &str, bits: Bits, valid_for: Duration, context: &Context) -> Result<NewKey, String> {
    let failed = |error: rcgen::Error| format!("the key cannot be made: {error}");
    let size = match bits {
        Bits::Rsa2048 => RsaKeySize::_2048,
        Bits::Rsa3072 => RsaKeySize::_3072,
    };
    let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // RFC 5280 §4.1.2.2: positive, of at most 20 bytes
    let mut serial = context.bytes::<16>();
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let moment = |at: Timestamp| {
        OffsetDateTime::from_unix_timestamp(at.secs()).map_err(|_| "the time cannot be written".to_owned())
    };
    let now = context.now();
    // a provider whose clock is behind ours takes it at once
    params.not_before = moment(now.minus(Duration::from_secs(3600)))?;
    let not_after = now.plus(valid_for);
    params.not_after = moment(not_after)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let pem = certificate.pem();
    let private = Zeroizing::new(key.serialize_pem());
    let bundle = Zeroizing::new(format!("{}{pem}", private.as_str()));
    // as strict as when it is read
    let read = OwnKey::read_pem(&bundle)?;
    Ok(NewKey { bundle, certificate: pem, fingerprint: read.certificate.fingerprint(), not_after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{ManualClock, SeededEntropy};
    use x509_cert::der::Decode as _;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn made(seed: u64, bits: Bits) -> NewKey {
        let context = Context::new(Arc::new(ManualClock::new(NOW)), Arc::new(SeededEntropy::new(seed)));
        make("acme & co", bits, Duration::from_secs(86_400), &context).unwrap()
    }

    #[test]
    fn a_new_key_is_one_that_can_be_configured() {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..6 {
            let new = made(seed, Bits::Rsa2048);
            let own = OwnKey::read_pem(&new.bundle).unwrap();
            assert_eq!(own.certificate.fingerprint(), new.fingerprint);
            assert_eq!(
                Certificate::read_pem(&new.certificate).unwrap(),
                std::slice::from_ref(&own.certificate)
            );
            assert!(!new.certificate.contains("PRIVATE"));
            let end = NOW.plus(Duration::from_secs(86_400));
            assert_eq!((own.certificate.ends(), new.not_after), (Some(end), end));
            let certificate = x509_cert::Certificate::from_der(&own.certificate.der).unwrap();
            let tbs = certificate.tbs_certificate;
            assert_eq!(tbs.subject.to_string(), "CN=acme & co");
            assert_eq!(tbs.validity.not_before.to_unix_duration().as_secs(), 1_800_000_000 - 3600);
            // RFC 5280 §4.1.2.2: positive, and here always of sixteen bytes
            let serial = tbs.serial_number.as_bytes();
            assert_eq!(serial.len(), 16);
            assert!((0x40..0x80).contains(&serial[0]), "{serial:?}");
            firsts.insert(serial[0]);
        }
        assert!(firsts.len() > 1, "{firsts:?}");
        let long = OwnKey::read_pem(&made(7, Bits::Rsa3072).bundle).unwrap();
        assert!(matches!(long.certificate.key(), Ok(PublicKey::Rsa(_, 3072))));
    }

    #[test]
    fn a_key_in_the_form_of_pkcs_1_is_read_too() {
        use x509_cert::der::pem::{LineEnding, decode_vec, encode_string};
        let new = made(1, Bits::Rsa2048);
        let (private, _) = new.bundle.split_once("-----BEGIN CERTIFICATE").unwrap();
        let (_, pkcs8) = decode_vec(private.trim().as_bytes()).unwrap();
        // behind the version and the algorithm stands the key in that form, as an octet string (RFC 5208 §5)
        let pkcs1 = &pkcs8[26..];
        let pem = encode_string("RSA PRIVATE KEY", LineEnding::LF, pkcs1).unwrap();
        let own = OwnKey::read_pem(&format!("{pem}{}", new.certificate)).unwrap();
        assert_eq!(own.certificate.fingerprint(), new.fingerprint);
    }
}
