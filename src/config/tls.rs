//! Certificate and key of the public listener. They are read with the rest of the configuration, so that a new
//! certificate comes into force by a reload, a pair that does not fit is refused like any other mistake, and
//! the one in force stays.

use super::read::Section;
use super::report::At;
use super::settings::Tls;
use super::values::{MOST_ANY, References, read_bounded};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// `[public.tls]`.
pub fn tls(section: Section<'_>, references: &References) -> Option<Tls> {
    let tls = read(&section, references);
    section.finish();
    tls
}

fn read(section: &Section<'_>, references: &References) -> Option<Tls> {
    let certificate = section.required_text("certificate", "certificate = \"tls/chain.pem\"");
    let key = section.required_text("key", "key = \"tls/key.pem\"");
    let (certificate, key) = (certificate?, key?);
    let (chain_file, chain) = file(section, &certificate, references);
    let (key_file, key_text) = file(section, &key, references);
    let (chain, key_text) = (chain?, key_text?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            let message = format!("{} has no certificate in PEM form", chain_file.display());
            section.refuse(certificate.place, "config.tls", message, "");
            return None;
        }
        Err(error) => {
            let message = format!("{} is no chain of certificates: {error}", chain_file.display());
            section.refuse(certificate.place, "config.tls", message, "");
            return None;
        }
    };
    let private = match PrivateKeyDer::from_pem_slice(&key_text) {
        Ok(private) => private,
        Err(error) => {
            let message = format!("{} has no private key in PEM form: {error}", key_file.display());
            section.refuse(key.place, "config.tls", message, "");
            return None;
        }
    };
    // This also compares the two: a key of another certificate would fail every handshake.
    match CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()) {
        Ok(certified) => Some(Tls { certified: Arc::new(certified) }),
        Err(error) => {
            let message =
                format!("{} and {} do not serve together: {error}", chain_file.display(), key_file.display());
            let help = "the certificate must come first in its file, and the key must be its own";
            section.refuse(certificate.place, "config.tls", message, help);
            None
        }
    }
}

type Content = Option<Zeroizing<Vec<u8>>>;

/// The path as the configuration means it, and what the file holds.
fn file(section: &Section<'_>, at: &At<String>, references: &References) -> (PathBuf, Content) {
    let path = references.path(at.value.strip_prefix("file:").unwrap_or(&at.value));
    let read = read_bounded(&path, MOST_ANY);
    references.files.borrow_mut().note(&path, read.as_ref().ok().map(|bytes| bytes.as_slice()));
    match read {
        Ok(bytes) => (path, Some(bytes)),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", path.display());
            section.refuse(at.place, "config.file", message, "");
            (path, None)
        }
    }
}
