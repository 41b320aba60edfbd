//! The last step of every kind: from checked claims to an [`ExternalIdentity`].

use crate::accounts::email::canonical_domain;
use crate::accounts::{EmailAddress, IdentityKey};
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::jose::json::Object;
use crate::upstream::Vouched;
use crate::upstream::checks::{Checks, clean, refused};
use crate::upstream::identity::{Authentication, ExternalIdentity, vouch_email};
use crate::upstream::mapping::Mapping;
use crate::upstream::settings::Common;

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
    /// About the act of signing in.
    pub authentication: Authentication,
    /// What must never be accepted twice, until when.
    pub replay: Option<(String, Timestamp)>,
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

    let written = mapped.email.or_else(|| facts.proved_email.clone());
    let verified = match (mapped.email_verified, &written) {
        (Some(holds), _) => holds,
        // the proof is about one address, whatever the mapping takes for the person's
        (None, Some(written)) => facts.proved_email.as_ref() == Some(written),
        (None, None) => false,
    };
    let address = written.as_deref().and_then(|text| EmailAddress::parse(text).ok());
    if let (Some(written), None) = (&written, &address) {
        checks.note(
            "provider.email",
            "an address, or none",
            format!("left out, not an address: {}", clean(written)),
        );
    }

    if !common.domains.0.is_empty() {
        let domain = match &common.domain_claim {
            Some(_) => mapped.domain.as_deref().and_then(canonical_domain),
            None => address.as_ref().filter(|_| verified).map(|address| address.domain().to_owned()),
        };
        let passed = domain.as_ref().is_some_and(|domain| common.domains.0.contains(domain));
        let expected = common.domains.0.iter().cloned().collect::<Vec<_>>().join(", ");
        let received = domain.unwrap_or_else(|| "none that is proved".to_owned());
        checks.require("provider.domain", passed, expected, received).map_err(|failure| Failure {
            code: OAuthCode::AccessDenied,
            user: UserMessage::NotInvited,
            ..failure
        })?;
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
    Ok(Vouched { identity, passes_filter: mapped.passes_filter, replay: facts.replay })
}
