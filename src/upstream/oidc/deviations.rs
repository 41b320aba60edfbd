//! Where single providers leave OpenID Connect in a way that settings describe: issuers of many tenants, subjects
//! that are unique only within another claim, and what a form post says beside the code.

use super::Oidc;
use super::id_token::is_word;
use super::settings::{TENANT, Tenants};
use crate::failure::Failure;
use crate::jose::json::{self, Object};
use crate::upstream::Callback;
use crate::upstream::checks::{Checks, show};
use serde_json::Value;

/// The claim that names a tenant (Microsoft, "ID token claims reference").
const TENANT_CLAIM: &str = "tid";
/// The longest JSON object beside a code, in bytes.
const MAX_RESPONSE: usize = 4096;

impl Oidc {
    /// Whether an issuer can be this provider's: the one of the settings, or that of an admitted tenant.
    pub(super) fn may_be_issuer(&self, issuer: &str) -> bool {
        self.settings.may_be_issuer(issuer)
    }

    /// The issuer that the ID token must name: with tenants, the one that its own tenant makes of the template. Two
    /// things then are as good as a signature, and checked as strictly: that the tenant is admitted, and that the
    /// key signs for this issuer (Microsoft, "Access tokens", "Validate the signing key issuer"), or the key of one
    /// tenant could sign for another.
    pub(super) fn issuer_of(
        &self,
        claims: &Object,
        key_issuer: Option<&str>,
        checks: &mut Checks<'_>,
    ) -> Result<String, Failure> {
        let text = &self.settings.issuer.text;
        let Some(tenants) = &self.settings.tenants else { return Ok(text.clone()) };
        let said = claims.get(TENANT_CLAIM);
        let tenant = said.and_then(Value::as_str).filter(|tenant| tenants.admit(tenant));
        let expected = match tenants {
            Tenants::Any => "a tenant".to_owned(),
            Tenants::Only(list) => list.iter().cloned().collect::<Vec<_>>().join(" or "),
        };
        checks.require("oidc.tenant", tenant.is_some(), expected, show(said))?;
        let tenant = tenant.unwrap_or_default();
        let issuer = text.replace(TENANT, tenant);
        let signs_for = key_issuer.map(|issuer| issuer.replace(TENANT, tenant));
        checks.require(
            "oidc.key_issuer",
            signs_for.as_ref() == Some(&issuer),
            issuer.as_str(),
            key_issuer.unwrap_or("a key of no issuer"),
        )?;
        Ok(issuer)
    }

    /// The subject, together with the claim within which it is unique, where the settings name one.
    pub(super) fn whole_subject(
        &self,
        claims: &Object,
        subject: &str,
        checks: &mut Checks<'_>,
    ) -> Result<String, Failure> {
        let Some(name) = &self.settings.subject_within else { return Ok(subject.to_owned()) };
        let said = claims.get(name);
        let within = said.and_then(Value::as_str).filter(|text| is_word(text, 128) && !text.contains('/'));
        checks.require("oidc.subject_within", within.is_some(), format!("a text in {name}"), show(said))?;
        Ok(format!("{}/{subject}", within.unwrap_or_default()))
    }

    /// Adds the JSON object that came beside the code, for the profile to read. Nobody signed it and nothing depends
    /// on it, so one that is no object is left out.
    pub(super) fn add_response_claims(
        &self,
        callback: &Callback,
        claims: &mut Object,
        checks: &mut Checks<'_>,
    ) {
        let Some(name) = &self.settings.response_claims else { return };
        // a claim of the same name could otherwise pass for it
        claims.remove(name);
        let Some(text) = callback.parameters.get(name) else { return };
        let object = Some(text).filter(|text| text.len() <= MAX_RESPONSE);
        match object.and_then(|text| json::object(text.as_bytes()).ok()) {
            Some(object) => drop(claims.insert(name.clone(), Value::Object(object))),
            None => {
                checks.remark("oidc.response_claims", "one JSON object, or none", "left out: not one", None)
            }
        }
    }
}
