//! The conditions of an assertion (SAML Core §2.5): all of them must hold, and one that we do not know does not.

use super::element::Element;
use super::response::show;
use super::{Expected, instant};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::upstream::checks::Checks;

/// Checks the conditions; gives the end of the assertion, where it has one.
pub(super) fn check(
    assertion: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<Timestamp>, Failure> {
    let found = assertion.all("Conditions").count();
    let conditions = assertion.only("Conditions");
    checks.require("saml.conditions", conditions.is_some(), "one Conditions", found.to_string())?;
    let Some(conditions) = conditions else { return Ok(None) };

    let ends = window(conditions, expected, checks)?;
    audience(conditions, expected, checks)?;
    for condition in conditions.elements() {
        let known =
            ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"].iter().any(|name| condition.is(name));
        // Core §2.5.1.1: with a condition that is not understood the assertion is neither valid nor invalid
        checks.require("saml.condition", known, "a condition of SAML Core §2.5.1", condition.name())?;
    }
    one_time_use(conditions, checks)?;
    proxy_restriction(conditions, checks)?;
    Ok(ends)
}

/// Core §2.5.1.2: both ends are optional, and hold where they are.
fn window(
    conditions: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<Timestamp>, Failure> {
    let from = conditions.attribute("NotBefore");
    let begun = from.map(instant::parse);
    let ends = match conditions.attribute("NotOnOrAfter") {
        None => None,
        Some(text) => Some(not_over("Conditions", Some(text), expected, checks)?),
    };
    let passed = match begun {
        None => true,
        Some(from) => from.is_some_and(|from| from <= expected.now.plus(expected.skew)),
    };
    let wanted = format!("NotBefore not after {}, or none", expected.late().rfc3339());
    checks.require("saml.not_yet_valid", passed, wanted, show(from))?;
    if let (Some(Some(begun)), Some(ends)) = (begun, ends) {
        let received = format!("{} to {}", begun.rfc3339(), ends.rfc3339());
        checks.require("saml.conditions", begun < ends, "NotBefore before NotOnOrAfter", received)?;
    }
    Ok(ends)
}

/// `NotOnOrAfter`: a time that lies ahead, but not further than the cap.
pub(super) fn not_over(
    of: &str,
    text: Option<&str>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Timestamp, Failure> {
    let at = text.and_then(instant::parse);
    let alive = at.is_some_and(|at| expected.now < at.plus(expected.skew));
    let received = format!("{of}: {}", show(text));
    let wanted = format!("NotOnOrAfter after {}", expected.early().rfc3339());
    checks.require("saml.expired", alive, wanted, received.clone())?;
    let latest = expected.late().plus(expected.max_lifetime);
    let bounded = at.is_some_and(|at| at <= latest);
    let wanted = format!("NotOnOrAfter not after {}", latest.rfc3339());
    checks.require("saml.lifetime", bounded, wanted, received)?;
    Ok(at.unwrap_or(expected.now))
}

/// Profiles §4.1.4.2: at least one restriction; Core §2.5.1.4: each must name us.
fn audience(
    conditions: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let mut restrictions = 0;
    for restriction in conditions.all("AudienceRestriction") {
        restrictions += 1;
        let audiences: Vec<_> =
            restriction.all("Audience").map(|audience| audience.text().unwrap_or_default()).collect();
        let ours = !expected.entity_id.is_empty() && audiences.contains(&expected.entity_id);
        let received = if audiences.is_empty() { "none".to_owned() } else { audiences.join(", ") };
        checks.require("saml.audience", ours, expected.entity_id, received)?;
    }
    checks.require("saml.audience", restrictions > 0, "an AudienceRestriction", restrictions.to_string())
}

/// Core §2.5.1.5: at most one. Every assertion is used once here, whether it says so or not.
fn one_time_use(conditions: Element<'_>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let count = conditions.all("OneTimeUse").count();
    checks.require("saml.condition", count <= 1, "OneTimeUse once at most", count.to_string())
}

/// Core §2.5.1.6. We assert to applications what the provider asserts to us: that is one step, so a count of 0
/// forbids it; and we cannot promise to assert to none but listed audiences.
fn proxy_restriction(conditions: Element<'_>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let found: Vec<_> = conditions.all("ProxyRestriction").collect();
    checks.require(
        "saml.condition",
        found.len() <= 1,
        "ProxyRestriction once at most",
        found.len().to_string(),
    )?;
    for restriction in found {
        let count = restriction.attribute("Count");
        let allows = match count {
            None => true,
            Some(count) => {
                count.bytes().all(|b| b.is_ascii_digit()) && count.parse::<u64>().is_ok_and(|count| count > 0)
            }
        };
        let audiences = restriction.elements().count();
        let received = format!("Count {}, {audiences} audiences", show(count));
        checks.require(
            "saml.proxy_restriction",
            allows && audiences == 0,
            "leave to assert onwards",
            received,
        )?;
    }
    Ok(())
}
