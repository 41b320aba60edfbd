//! The last step of every kind: from checked claims to an [`ExternalIdentity`].

use crate::accounts::email::canonical_domain;
use crate::accounts::{EmailAddress, IdentityKey};
use crate::failure::{Failure, UserMessage};
use crate::jose::json::Object;
use crate::upstream::checks::{Checks, refused};
use crate::upstream::identity::{Authentication, ExternalIdentity, vouch_email};
use crate::upstream::mapping::Mapping;
use crate::upstream::settings::Common;
use crate::upstream::{Replay, Vouched};
use std::collections::BTreeSet;

/// What a kind has checked.
pub(in crate::upstream) struct Facts {
    /// Who vouched.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// The subject's format; empty where there is only one.
    pub format: String,
    /// Everything that was said.
    pub claims: Object,
    /// The address that the provider says it has verified, as it wrote it.
    pub proved_email: Option<String>,
    /// Whether it says so apart from the claims, so that this is the address where the mapping takes none.
    pub proved_apart: bool,
    /// About the act of signing in.
    pub authentication: Authentication,
    /// What must never be accepted twice, until when.
    pub replay: Option<Replay>,
}

/// Maps the claims and applies the provider's own limits.
pub(in crate::upstream) fn vouch(
    common: &Common,
    mapping: &Mapping,
    facts: Facts,
    checks: &mut Checks<'_>,
) -> Result<Vouched, Failure> {
    let mapped = mapping
        .apply(&facts.claims)
        .map_err(|error| checks.fail(refused("mapping.limits", error.to_string())))?;

    if let Some(filter) = &mapping.filter {
        // Whether it matters is decided later: it lets in whoever has an account.
        let read = filter.reads().iter().map(|name| {
            let came = facts.claims.get(name).map_or_else(|| "absent".to_owned(), ToString::to_string);
            format!("{name} {came}")
        });
        let came = format!("{} of {}", mapped.passes_filter, read.collect::<Vec<_>>().join(", "));
        checks.note("provider.claim_filter", filter.as_str(), came);
    }

    let apart = || facts.proved_email.clone().filter(|_| facts.proved_apart);
    let written = mapped.email.or_else(apart);
    let verified = match (mapped.email_verified, &written) {
        (Some(holds), _) => holds,
        // the proof is about one address, whatever the mapping takes for the person's
        (None, Some(written)) => facts.proved_email.as_ref() == Some(written),
        (None, None) => false,
    };
    let address = written.as_deref().and_then(|text| EmailAddress::parse(text).ok());
    if let (Some(written), None) = (&written, &address) {
        checks.remark("provider.email", "an address, or none", "left out, not an address", Some(written));
    }

    if !common.domains.0.is_empty() {
        let domain = match &common.domain_claim {
            Some(_) => mapped.domain.as_deref().and_then(canonical_domain),
            None => address.as_ref().filter(|_| verified).map(|address| address.domain().to_owned()),
        };
        let passed = domain.as_ref().is_some_and(|domain| common.domains.0.contains(domain));
        let expected = common.domains.0.iter().cloned().collect::<Vec<_>>().join(", ");
        let received = domain.unwrap_or_else(|| "none that is proved".to_owned());
        checks
            .require("provider.domain", passed, expected, received)
            .map_err(|failure| Failure { user: UserMessage::NotInvited, ..failure })?;
    }

    let email =
        address.map(|address| vouch_email(&common.id, address, verified, &common.authoritative_for.0));
    let key = IdentityKey {
        provider: common.id.clone(),
        issuer: facts.issuer,
        subject: facts.subject,
        format: facts.format,
    };
    let identity =
        ExternalIdentity::new(key, email, mapped.profile, mapped.assignments, facts.authentication);
    Ok(Vouched {
        identity,
        passes_filter: mapped.passes_filter,
        remarks: BTreeSet::new(),
        replay: facts.replay,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Trace;
    use crate::upstream::settings::Domains;
    use proptest::prelude::*;
    use serde_json::json;

    fn common(authoritative: &[&str]) -> Common {
        let text = "id = 'p'\nkind = 'oidc'\nname = 'P'\nprovisioning = 'open'";
        let mut common: Common = toml::from_str(text).unwrap();
        common.authoritative_for = Domains(authoritative.iter().map(|domain| (*domain).to_owned()).collect());
        common
    }

    fn facts(email: &str, proved: Option<&str>) -> Facts {
        let serde_json::Value::Object(claims) = json!({"email": email}) else { panic!("an object") };
        Facts {
            issuer: "https://id.test".to_owned(),
            subject: "s".to_owned(),
            format: String::new(),
            claims,
            proved_email: proved.map(str::to_owned),
            proved_apart: false,
            authentication: Authentication::default(),
            replay: None,
        }
    }

    proptest! {
        /// Law: an address is verified only if the provider proved that very address, and its domain is
        /// one that configuration gives to this provider.
        #[test]
        fn an_address_is_verified_only_with_proof_and_authority(
            local in "[a-c]", domain in 0..3_usize, proved_local in "[a-c]", proved_domain in 0..3_usize,
            proved in any::<bool>(), authority in 0..3_usize,
        ) {
            let domains = ["one.test", "two.test", "sub.one.test"];
            let email = format!("{local}@{}", domains[domain]);
            let other = format!("{proved_local}@{}", domains[proved_domain]);
            let mut trace = Trace::default();
            let facts = facts(&email, proved.then_some(other.as_str()));
            let mut checks = Checks::new(&mut trace);
            let vouched = vouch(&common(&[domains[authority]]), &Mapping::default(), facts, &mut checks).unwrap();
            let expected = proved && email == other && domain == authority;
            prop_assert_eq!(vouched.identity.verified_email().is_some(), expected);
            prop_assert!(vouched.identity.email().is_some());
        }
    }

    #[test]
    fn the_mapping_may_say_the_address_and_its_proof() {
        let said = |proof: Option<&str>, proved: Option<&str>| {
            let expression = |text: &str| crate::upstream::mapping::Expression::new(text).unwrap();
            let mapping = Mapping { email_verified: proof.map(expression), ..Mapping::default() };
            let mut trace = Trace::default();
            let mut checks = Checks::new(&mut trace);
            let vouched = vouch(&common(&["one.test"]), &mapping, facts("a@one.test", proved), &mut checks);
            vouched.unwrap().identity.verified_email().is_some()
        };
        assert!(said(Some("true"), None));
        assert!(!said(Some("false"), Some("a@one.test")), "its word counts, and no other");
        assert!(!said(Some("claims.missing"), Some("a@one.test")));
        assert!(said(None, Some("a@one.test")));
    }

    #[test]
    fn an_address_that_only_its_proof_names_counts() {
        let mut trace = Trace::default();
        let told = |proved_apart: bool| {
            let facts = Facts { claims: Object::new(), proved_apart, ..facts("", Some("a@one.test")) };
            let mut checks = Checks::new(&mut trace);
            let vouched = vouch(&common(&["one.test"]), &Mapping::default(), facts, &mut checks).unwrap();
            vouched.identity.verified_email().map(|email| email.address().as_str().to_owned())
        };
        let [apart, within] = [true, false].map(told);
        assert_eq!(apart.as_deref(), Some("a@one.test"));
        assert_eq!(within, None, "what the mapping leaves out is left out");
    }

    #[test]
    fn what_is_no_address_is_told_and_left_out() {
        let mut trace = Trace::default();
        let vouched =
            vouch(&common(&[]), &Mapping::default(), facts("alice", None), &mut Checks::new(&mut trace));
        assert_eq!(vouched.unwrap().identity.email(), None);
        let told: Vec<&str> = trace.steps().iter().map(|step| step.received.as_str()).collect();
        assert_eq!(told, ["left out, not an address: alice"]);
        let mut trace = Trace::default();
        vouch(&common(&[]), &Mapping::default(), facts("a@one.test", None), &mut Checks::new(&mut trace))
            .unwrap();
        assert_eq!(trace.steps(), []);
    }

    #[test]
    fn a_domain_limit_needs_a_proved_address() {
        let mut limited = common(&[]);
        limited.domains = Domains(["one.test".to_owned()].into());
        let run = |email: &str, proved: Option<&str>| {
            let mut trace = Trace::default();
            vouch(&limited, &Mapping::default(), facts(email, proved), &mut Checks::new(&mut trace))
                .map_err(|failure| failure.reason)
                .map(drop)
        };
        assert_eq!(run("a@one.test", Some("a@one.test")), Ok(()));
        assert_eq!(run("a@one.test", None), Err("provider.domain"));
        assert_eq!(run("a@one.test", Some("b@one.test")), Err("provider.domain"));
        assert_eq!(run("a@two.test", Some("a@two.test")), Err("provider.domain"));
        assert_eq!(run("a@sub.one.test", Some("a@sub.one.test")), Err("provider.domain"));
    }
}
