//! The broker's own TLS, with certificates made on the spot.

use crate::house::House;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A certificate for `localhost` that signs itself, and its key.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them.
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(folder.path().join("key.pem"))
            .arg("-out")
            .arg(folder.path().join("chain.pem"))
            .output()
            .expect("openssl, which `./dev test` installs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder }
    }
    pub fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
    /// Takes the place of others, as renewed ones do.
    pub fn replace(&self, others: &Self) {
        std::fs::copy(self.chain(), others.chain()).unwrap();
        std::fs::copy(self.key(), others.key()).unwrap();
    }
}

/// A house that ends TLS itself.
pub async fn over_tls(certificates: &Certificates) -> House {
    let files = format!(
        "[public]\ntls = {{ certificate = \"{}\", key = \"{}\" }}",
        certificates.chain().display(),
        certificates.key().display()
    );
    let mut house = House::with(|config, providers| {
        (config.replace("issuer = \"http:", "issuer = \"https:").replace("[public]", &files), providers)
    })
    .await;
    house.origin = house.origin.replace("http:", "https:");
    house
}

/// A connection, after the handshake, that trusts these certificates alone.
pub fn connect(
    house: &House,
    certificates: &Certificates,
    protocols: &[&str],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(certificates.chain()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(house.origin.replace("https://localhost", "127.0.0.1"))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.set_write_timeout(Some(Duration::from_secs(20)))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}
