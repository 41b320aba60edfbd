//! `countersign saml-key`

use super::CliError;
use super::output::{Out, facts};
use crate::context::Context;
use crate::upstream::saml_key::{Bits, make};
use clap::Args;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HELP: &str = "\
SAML identity providers know us by a key: we sign requests and our metadata with it, and they can encrypt answers for \
it. The file gets the private key and a certificate that the key signed itself, in PEM form; only you can read it. A \
file that exists is never overwritten.

Name the file in providers.toml as `key = \"file:FILE\"`, and give the provider our metadata, which has the certificate: \
ISSUER/upstream/ID/metadata. For a change of keys without a gap, make a second file, name it `next_key`, wait until the \
provider has read our metadata again (or import it there), then name the new file `key` and remove `next_key`.

Exit codes: 0 the file was made, 1 there is such a file already, 3 it cannot be written.

Examples:
  countersign saml-key acme.key.pem
  countersign saml-key acme.key.pem --name login.example.com --bits 3072 --years 5";

/// Make a key by which SAML identity providers know us
#[derive(Args)]
#[command(after_help = HELP)]
pub struct SamlKey {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the certificate calls us; only people read it
    #[arg(long, value_name = "TEXT", default_value = "Countersign")]
    name: String,
    /// The size of the RSA key, in bits
    #[arg(long, value_parser = ["2048", "3072"], default_value = "2048")]
    bits: String,
    /// For how many years the certificate is valid
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=30), default_value = "10")]
    years: u8,
}

/// Runs the command.
pub fn run(wanted: &SamlKey, out: &Out) -> Result<(), CliError> {
    let bits = if wanted.bits == "3072" { Bits::Rsa3072 } else { Bits::Rsa2048 };
    let name = wanted.name.trim();
    // RFC 5280 appendix A.1: ub-common-name
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(CliError::Refused {
            code: "refused",
            message: "the name must have 1 to 64 characters".to_owned(),
            help: None,
        });
    }
    let valid_for = Duration::from_secs(u64::from(wanted.years) * 365 * 86_400);
    let key = make(name, bits, valid_for, &Context::system()).map_err(CliError::broken)?;
    write_new(&wanted.file, key.bundle.as_bytes()).map_err(|error| told(&wanted.file, &error))?;
    let end = key.not_after.rfc3339();
    let file = wanted.file.display().to_string();
    let body = json!({
        "file": file, "sha256": key.fingerprint, "not_after": end, "certificate": key.certificate,
    });
    out.show(&body, || {
        format!(
            "{}\nIn providers.toml: key = \"file:{file}\"\n",
            facts(&[
                ("file", file.clone()),
                ("valid until", end.clone()),
                ("certificate", format!("SHA-256 {}", key.fingerprint)),
            ])
        )
    });
    Ok(())
}

/// A new file that only its owner can read. It is complete or not there.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // half a key is of no use, and would be in the way
        let _ = std::fs::remove_file(path);
    }
    written
}

fn told(path: &Path, error: &io::Error) -> CliError {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return CliError::Refused {
            code: "taken",
            message: format!("{} exists, and a key is never overwritten", path.display()),
            help: Some("give another name, or move the file away".to_owned()),
        };
    }
    CliError::broken(format!("{} cannot be written: {error}", path.display()))
}
