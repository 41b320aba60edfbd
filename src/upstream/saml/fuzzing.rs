//! What fuzzers call of this kind: see `upstream::fuzzing`. The seeds are signed by a key that nobody kept.

use super::encryption::{DecryptionKey, DecryptionKeys};
use super::metadata::idp;
use super::open::{
    Answer, Certificate, Envelope, Opened, Signed, Trust, decode_form, open_now, verify_root_now,
};
use super::profile::{self, Expected, PERSISTENT, SubjectPolicy};
use super::signature::algorithm::Algorithm;
use super::signature::query::{self, Kind};
use super::{ns, xml};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::outbound::Outbound;
use crate::upstream::checks::Checks;
use crate::upstream::fuzzing::outbound;
use crate::upstream::{Demanded, Trace};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The texts that the seeds' signatures cover: nothing else can ever be vouched for.
const RESPONSES: [&str; 5] = [
    include_str!("../../../fuzz/seeds/saml_response/assertion.xml"),
    include_str!("../../../fuzz/seeds/saml_response/response.xml"),
    include_str!("../../../fuzz/seeds/saml_response/both.xml"),
    include_str!("../../../fuzz/seeds/saml_response/encrypted.xml"),
    include_str!("../../../fuzz/seeds/saml_response/declined.xml"),
];
const LOGOUTS: [&str; 2] = [
    include_str!("../../../fuzz/seeds/saml_logout/request.xml"),
    include_str!("../../../fuzz/seeds/saml_logout/response.xml"),
];

/// 2027-01-15T08:00:00Z
const NOW: i64 = 1_800_000_000;

static KEYS: LazyLock<(Trust, DecryptionKeys)> = LazyLock::new(|| {
    let der = |pem: &str| {
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(lines).unwrap_or_default()
    };
    let trust = Trust {
        certificates: Arc::new(vec![Certificate {
            der: der(include_str!("../../../fuzz/seeds/keys/idp.pem")).into(),
        }]),
        algorithms: Algorithm::ALL.into_iter().map(Algorithm::uri).collect(),
        signed: Signed { assertion: false, response: false },
        keep: None,
    };
    let key = DecryptionKey::new(&der(include_str!("../../../fuzz/seeds/keys/sp.key.pem")));
    (trust, DecryptionKeys { keys: key.into_iter().map(Arc::new).collect(), cbc: true })
});

static VOUCHED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let (trust, keys) = &*KEYS;
    let answers = RESPONSES.iter().filter_map(|seed| open_now(seed.as_bytes(), trust, keys).ok());
    answers
        .filter_map(|answer| match answer {
            Answer::Opened(opened) => Some(opened.assertion),
            Answer::Declined(_) => None,
        })
        .collect()
});

static SIGNED: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| LOGOUTS.iter().filter_map(|seed| logout_message(seed.as_bytes()).ok()).collect());

fn logout_message(data: &[u8]) -> Result<String, Failure> {
    let request = verify_root_now(data, &xml::MESSAGE, (ns::PROTOCOL, "LogoutRequest"), &KEYS.0);
    request.or_else(|_| verify_root_now(data, &xml::MESSAGE, (ns::PROTOCOL, "LogoutResponse"), &KEYS.0))
}

/// A response, decoded.
///
/// # Panics
/// Where a law is broken.
pub fn response(data: &[u8]) {
    let (trust, keys) = &*KEYS;
    strict(data);
    match open_now(data, trust, keys) {
        Ok(Answer::Opened(opened)) => assert!(VOUCHED.contains(&opened.assertion), "nobody signed that"),
        Ok(Answer::Declined(envelope)) => {
            assert!(envelope.status.first().is_none_or(|status| !status.ends_with(":Success")));
        }
        Err(failure) => assert_eq!(failure.reason.split('.').next(), Some("saml")),
    }
    let everything = Trust { signed: Signed { assertion: true, response: true }, ..trust.clone() };
    if let Ok(Answer::Opened(opened)) = open_now(data, &everything, keys) {
        assert!(opened.response.signed && VOUCHED.contains(&opened.assertion));
    }
}

/// A LogoutRequest or LogoutResponse: as a signed document, as the value of a form, and as a signed query.
///
/// # Panics
/// Where a law is broken.
pub fn logout(data: &[u8]) {
    strict(data);
    if let Ok(text) = logout_message(data) {
        assert!(SIGNED.contains(&text), "nobody signed that");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(decoded) = decode_form(text) {
        assert!(decoded.len() <= text.len());
    }
    for kind in [Kind::Request, Kind::Response] {
        assert!(query::verify(kind, text, &KEYS.0).is_err(), "nobody signed a query");
    }
}

/// An assertion whose signature holds: what the profile makes of it.
///
/// # Panics
/// Where a law is broken.
pub fn assertion(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if xml::parse_canonical(text).is_err() {
        // nothing else is ever signed and verified
        return;
    }
    let signed = Signed { assertion: true, response: false };
    let opened =
        Opened { assertion: text.to_owned(), signed, encrypted: false, response: Envelope::default() };
    let policy = SubjectPolicy { formats: [PERSISTENT.to_owned()].into(), attribute: None };
    let demanded = Demanded {
        begun_at: Some(Timestamp::from_secs(NOW - 20)),
        force_authentication: true,
        ..Demanded::default()
    };
    let expected = Expected {
        entity_id: "https://sp.example",
        issuer: "https://idp.example",
        acs: "https://sp.example/acs",
        request_id: "_request",
        now: Timestamp::from_secs(NOW),
        skew: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(3600),
        max_age: Duration::from_secs(300),
        subject: &policy,
        contexts: &[],
        names: &Default::default(),
        demanded: &demanded,
    };
    let response = Envelope {
        version: Some("2.0".to_owned()),
        id: "_m".to_owned(),
        issue_instant: Some("2027-01-15T08:00:00Z".to_owned()),
        in_response_to: Some("_request".to_owned()),
        destination: Some("https://sp.example/acs".to_owned()),
        issuer: Some("https://idp.example".to_owned()),
        status: vec!["urn:oasis:names:tc:SAML:2.0:status:Success".to_owned()],
        ..Envelope::default()
    };
    let opened = Opened { response, ..opened };
    let mut trace = Trace::default();
    let outcome = profile::check(&opened, &expected, &mut Checks::new(&mut trace));
    let failed = trace.steps().iter().find(|step| !step.passed);
    match outcome {
        Err(failure) => assert!(failed.is_some_and(|step| step.check == failure.reason)),
        Ok(said) => {
            assert!(failed.is_none());
            for must in ["_request", "https://sp.example/acs", "https://idp.example", &said.name_id.value] {
                assert!(text.contains(must) || text.contains('&'), "it does not say {must}");
            }
            assert!(!said.subject.is_empty() && said.replay.1 > expected.now);
            assert!(said.authentication.auth_time.is_some_and(|at| at >= Timestamp::from_secs(NOW - 50)));
        }
    }
}

/// Metadata of a provider, from its address or file.
///
/// # Panics
/// Where a law is broken.
pub fn metadata(data: &[u8]) {
    static OUTBOUND: LazyLock<Outbound> = LazyLock::new(outbound);
    let Ok(text) = xml::decode(data, &xml::METADATA) else { return };
    for pinned in [Arc::new(Vec::new()), KEYS.0.certificates.clone()] {
        let Ok(found) = idp::read(text, "https://idp.example", &pinned, &OUTBOUND) else { continue };
        assert!(text.contains("EntityDescriptor") && text.contains("IDPSSODescriptor"));
        assert!(!found.certificates.is_empty() && !found.sso.is_empty());
        assert!(pinned.is_empty() || found.certificates == pinned, "metadata brought a key of its own");
        for address in found.sso.iter().chain(&found.slo) {
            assert!(OUTBOUND.check_url(&address.location.url).is_ok());
            assert_eq!(address.location.url.scheme(), "https");
        }
    }
}

/// What the strict reader takes, means the same to another reader.
fn strict(data: &[u8]) {
    let Ok(text) = xml::decode(data, &xml::MESSAGE) else { return };
    let Ok(document) = xml::parse(text) else { return };
    assert!(!text.contains("<!") && !text.contains("<?xml-"), "a DTD, a comment or an instruction");
    let strange = document.descendants().any(|node| node.is_comment() || node.is_pi());
    assert!(!strange, "something that is neither an element nor a text");
}

#[cfg(test)]
mod tests {
    use super::super::support::{
        Attribute, Encryption, Idp, Key, LogoutRequest, LogoutResponse, NameId, Script, Signature, sign,
    };
    use crate::context::Timestamp;
    use crate::upstream::fuzzing::brief;
    use std::path::PathBuf;

    #[test]
    fn anything_as_a_response() {
        assert_eq!(super::VOUCHED.len(), 4);
        brief("saml_response", 400, super::response);
    }
    #[test]
    fn anything_as_a_logout() {
        assert_eq!(super::SIGNED.len(), 2);
        brief("saml_logout", 400, super::logout);
    }

    #[test]
    fn anything_as_an_assertion() {
        brief("saml_assertion", 3000, super::assertion);
    }
    #[test]
    fn anything_as_metadata() {
        brief("saml_metadata", 2000, super::metadata);
    }

    /// Makes the seeds anew, with `UPDATE_SEEDS=1`.
    #[test]
    fn seeds() {
        if std::env::var_os("UPDATE_SEEDS").is_none() {
            return;
        }
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folder = root.ancestors().map(|at| at.join("fuzz/seeds")).find(|at| at.is_dir()).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let now = Timestamp::from_secs(1_800_000_000);
        let (idp, sp) = ("https://idp.example", "https://sp.example");
        let script = || Script::sound(now, idp, sp, "https://sp.example/acs", "_request", Key::rsa());
        write("keys/idp.pem", &Key::rsa().pem());
        write("keys/sp.key.pem", Key::service().private_pem());
        for (name, assertion, response) in
            [("assertion", true, false), ("response", false, true), ("both", true, true)]
        {
            let mut script = script();
            script.signed(assertion, response);
            write(&format!("saml_response/{name}.xml"), &script.xml());
        }
        for (name, change) in [("sound", ""), ("attributes", "x"), ("address", "y")] {
            let mut assertion = script().assertion;
            if change == "x" {
                assertion.attributes.push(Attribute::basic("role", &["a", "b &amp; c", ""]));
                assertion.authn[0].class = Some("https://refeds.org/profile/mfa".to_owned());
            } else if change == "y" {
                assertion.conditions.as_mut().unwrap().more = "<saml:OneTimeUse/>".to_owned();
                assertion.name_id.as_mut().unwrap().sp_name_qualifier = Some(sp.to_owned());
            }
            write(&format!("saml_assertion/{name}.xml"), &assertion.xml());
        }
        let provider = Idp::new(idp, idp, Key::rsa());
        write("saml_metadata/plain.xml", &provider.metadata().xml());
        let mut signed = provider.metadata();
        signed.sign = Some(Signature::by(Key::rsa()));
        write("saml_metadata/signed.xml", &signed.xml());
        let others = Idp::new("https://other.example", "https://other.example", Key::attacker());
        let aggregate = [provider.metadata().xml(), others.metadata().xml()].concat();
        let frame = "urn:oasis:names:tc:SAML:2.0:metadata";
        write(
            "saml_metadata/aggregate.xml",
            &format!(r#"<md:EntitiesDescriptor xmlns:md="{frame}">{aggregate}</md:EntitiesDescriptor>"#),
        );
        let mut encrypted = script();
        encrypted.encrypt = Some(Encryption::to(Key::service().der()));
        write("saml_response/encrypted.xml", &encrypted.xml());
        let mut declined = script().response;
        declined.status = vec![
            "urn:oasis:names:tc:SAML:2.0:status:Responder".to_owned(),
            "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed".to_owned(),
        ];
        write("saml_response/declined.xml", &declined.xml(""));
        let slo = "https://sp.example/slo";
        let signature = Signature::by(Key::rsa());
        let request = LogoutRequest::sound(now, idp, slo, NameId::persistent("alice"), &["_s1"]).xml();
        write("saml_logout/request.xml", &sign(&request, &signature));
        let response = LogoutResponse::sound(now, idp, slo, "_logout").xml();
        write("saml_logout/response.xml", &sign(&response, &signature));
        write("saml_logout/unsigned.xml", &request);
    }
}
