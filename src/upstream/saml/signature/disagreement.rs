//! What happens when one verifier accepts what the other refuses: somebody has to look.

use crate::failure::Failure;
use crate::upstream::checks::refused;
use crate::upstream::saml::open::Trust;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Messages that are kept in a folder at most; a stranger cannot fill the disk.
const KEPT: usize = 16;

/// Counts, logs and keeps a message on which the verifiers do not agree, and refuses it.
///
/// The log has the message's digest. The message itself holds what the provider says of a person, so it is kept only
/// where the operator named a folder: as `saml-DIGEST.xml`, readable by the owner alone, the first sixteen.
pub(super) fn keep(text: &str, how: &'static str, trust: &Trust) -> Failure {
    metrics::counter!("countersign_saml_disagreements_total").increment(1);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = match trust.keep.as_deref().map(|folder| store(folder, &digest, text)) {
        None => "no folder is configured".to_owned(),
        Some(Ok(true)) => "yes".to_owned(),
        Some(Ok(false)) => format!("the folder holds {KEPT} already"),
        Some(Err(error)) => error.to_string(),
    };
    tracing::error!(message_sha256 = %digest, how, kept, "the verifiers of a SAML signature disagree; please report it");
    refused("saml.sig.disagreement", how).expected("two verifiers that agree", format!("message {digest}"))
}

fn store(folder: &Path, digest: &str, text: &str) -> std::io::Result<bool> {
    let name = format!("saml-{digest}.xml");
    let mut count = 0;
    for entry in fs::read_dir(folder)?.take(10_000) {
        let found = entry?.file_name();
        let found = found.to_string_lossy();
        if found == name {
            return Ok(true);
        }
        if found.starts_with("saml-") && found.ends_with(".xml") {
            count += 1;
        }
    }
    if count >= KEPT {
        return Ok(false);
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(name))?.write_all(text.as_bytes())?;
    Ok(true)
}
