//! Messages of the stand-in provider, opened; each refusal beside a valid twin.

mod encrypted;
mod findings;
mod opening;
mod reading;
mod shapes;

use super::encryption::{DecryptionKey, DecryptionKeys};
use super::open::{Answer, Certificate, Opened, Signed, Trust, open_now};
use super::signature::algorithm::Algorithm;
use super::support::{Key, Script, uri};
use crate::context::Timestamp;
use crate::failure::Failure;
use std::sync::Arc;

/// A response by an RSA key in which everything is as it must be.
fn script() -> Script {
    Script::sound(
        Timestamp::from_secs(1_800_000_000),
        "https://idp.example",
        "https://sp.example",
        "https://sp.example/acs",
        "_request",
        Key::rsa(),
    )
}

/// Trust in these keys, for responses of which anything may be signed.
fn trust(keys: &[Key]) -> Trust {
    Trust {
        certificates: Arc::new(keys.iter().map(|key| Certificate { der: key.der().into() }).collect()),
        algorithms: Algorithm::ALL.into_iter().map(Algorithm::uri).collect(),
        signed: Signed { assertion: false, response: false },
        keep: None,
    }
}

fn opened(xml: &str, trust: &Trust, keys: &DecryptionKeys) -> Result<Opened, Failure> {
    match open_now(xml.as_bytes(), trust, keys)? {
        Answer::Opened(opened) => Ok(opened),
        Answer::Declined(envelope) => panic!("declined: {envelope:?}"),
    }
}

#[track_caller]
fn accepted(xml: &str) -> Opened {
    match opened(xml, &trust(&[Key::rsa()]), &DecryptionKeys::default()) {
        Ok(opened) => opened,
        Err(failure) => panic!("{}\n{xml}", failure.for_operator()),
    }
}

#[track_caller]
fn refused_for(reason: &str, xml: &str) {
    refused_by(reason, xml, &trust(&[Key::rsa()]));
}

#[track_caller]
fn refused_by(reason: &str, xml: &str, trust: &Trust) {
    match open_now(xml.as_bytes(), trust, &DecryptionKeys::default()) {
        Ok(_) => panic!("accepted: {xml}"),
        Err(failure) => assert_eq!(failure.reason, reason, "{}\n{xml}", failure.for_operator()),
    }
}
