//! The act of signing in (SAML Core §2.7.2).

use super::element::Element;
use super::response::show;
use super::{Expected, instant};
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode};
use crate::upstream::checks::Checks;
use crate::upstream::identity::Authentication;
use std::collections::BTreeSet;
use std::time::Duration;

/// Characters of a context class, and of a session index.
const MAX_WORD: usize = 255;

/// What the statements prove.
pub(super) struct Authenticated {
    pub authentication: Authentication,
}

/// One statement.
struct Statement {
    at: Timestamp,
    session: Option<String>,
    ends: Option<Timestamp>,
    class: Option<String>,
}

/// Profiles §4.1.4.2: at least one statement. All of them must hold; the latest says how the person signed in. All that
/// name a session name the same one.
pub(super) fn check(
    assertion: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Authenticated, Failure> {
    let mut statements = Vec::new();
    for element in assertion.all("AuthnStatement") {
        statements.push(statement(element, expected, checks)?);
    }
    let latest = statements.iter().max_by_key(|statement| statement.at);
    let count = statements.len();
    checks.require("saml.authn_statement", latest.is_some(), "an AuthnStatement", count.to_string())?;
    let Some(latest) = latest else {
        return Err(crate::upstream::checks::refused("saml.authn_statement", "none"));
    };
    // of two at one time nobody could say which is meant
    let unlike = statements.iter().any(|other| {
        other.at == latest.at && (other.class != latest.class || other.session != latest.session)
    });
    checks.require("saml.authn_statement", !unlike, "one latest AuthnStatement", count.to_string())?;
    // A logout may name either of two sessions (Core §3.7.1), and ours stands on one.
    let sessions: BTreeSet<&str> = statements.iter().filter_map(|one| one.session.as_deref()).collect();
    let received = format!("{} of them", sessions.len());
    checks.require("saml.authn_statement", sessions.len() < 2, "one SessionIndex, or none", received)?;
    let session = sessions.first().map(|session| (*session).to_owned());

    fresh(latest.at, expected, checks)?;
    context(latest.class.as_deref(), expected, checks)?;
    let session_ends = statements.iter().filter_map(|statement| statement.ends).min();
    let authentication = Authentication {
        auth_time: Some(latest.at),
        acr: latest.class.clone(),
        amr: Vec::new(),
        upstream_session: session,
        // known only once the NameID is: see `finish`
        upstream_name: None,
        session_ends,
    };
    Ok(Authenticated { authentication })
}

fn statement(
    element: Element<'_>,
    expected: &Expected<'_>,
    checks: &mut Checks<'_>,
) -> Result<Statement, Failure> {
    let at = element.attribute("AuthnInstant");
    let time = at.and_then(instant::parse);
    checks.require("saml.authn_statement", time.is_some(), "an AuthnInstant", show(at))?;

    let until = element.attribute("SessionNotOnOrAfter");
    let ends = until.map(instant::parse);
    let alive = match ends {
        None => true,
        Some(ends) => ends.is_some_and(|ends| expected.now < ends.plus(expected.skew)),
    };
    let wanted = format!("SessionNotOnOrAfter after {}, or none", expected.early().rfc3339());
    checks.require("saml.expired", alive, wanted, show(until))?;

    let session = element.attribute("SessionIndex");
    let usable = session.is_none_or(is_word);
    let wanted = format!("a SessionIndex of 1 to {MAX_WORD} printable characters, or none");
    checks.require("saml.authn_statement", usable, wanted, show(session))?;

    // Core §2.7.2.2: one context, with one class at most
    let context = element.only("AuthnContext");
    let count = element.all("AuthnContext").count();
    checks.require("saml.authn_context", context.is_some(), "one AuthnContext", count.to_string())?;
    let classes: Vec<_> = context
        .into_iter()
        .flat_map(|context| context.all("AuthnContextClassRef"))
        .map(Element::text)
        .collect();
    let class = match classes.as_slice() {
        [] => Some(None),
        [Some(class)] if is_word(class) => Some(Some(*class)),
        _ => None,
    };
    let wanted = "one AuthnContextClassRef that is a URI, or none";
    checks.require("saml.authn_context", class.is_some(), wanted, format!("{} of them", classes.len()))?;

    Ok(Statement {
        at: time.unwrap_or(expected.now),
        session: session.map(str::to_owned),
        ends: ends.flatten(),
        class: class.flatten().map(str::to_owned),
    })
}

fn is_word(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_WORD && !text.chars().any(char::is_control)
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// When the person proved themselves: not ahead, and recent enough where that was demanded (Core §3.4.1,
/// `ForceAuthn`). In whole seconds, as applications are told it.
fn fresh(at: Timestamp, expected: &Expected<'_>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let demanded = expected.demanded;
    let (now, skew) = (expected.now.secs(), whole(expected.skew));
    // without a beginning nothing can be shown to have happened after it
    let since_begin = demanded
        .force_authentication
        .then(|| demanded.begun_at.map_or(i64::MAX, |begun| begun.secs().saturating_sub(skew)));
    let since_age = demanded.max_age.map(|age| now.saturating_sub(whole(age)).saturating_sub(skew));
    // One provider's clock orders its own proofs. Within the second in which the browser left, nobody can tell two
    // of them apart, and either is fresh.
    let since_known = demanded.later_than.map(|known| {
        let same_second = demanded.begun_at.is_some_and(|begun| begun.secs() == known.secs());
        known.secs().saturating_add(i64::from(!same_second))
    });
    let earliest = since_begin.into_iter().chain(since_age).chain(since_known).max();
    let passed =
        at.secs() <= now.saturating_add(skew) && earliest.is_none_or(|earliest| at.secs() >= earliest);
    let wanted = match earliest {
        None => "not in the future".to_owned(),
        Some(i64::MAX) => "a time after the request, which has none".to_owned(),
        Some(earliest) => format!("not before {}", Timestamp::from_secs(earliest).rfc3339()),
    };
    checks
        .require("saml.authn_instant", passed, wanted, at.rfc3339())
        .map_err(|failure| Failure { code: OAuthCode::UnmetAuthenticationRequirements, ..failure })
}

/// Core §3.3.2.2.1: with the comparison `exact`, the only one that we ask with, one of the classes itself.
fn context(class: Option<&str>, expected: &Expected<'_>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    for wanted in [expected.contexts, &expected.demanded.acr_values] {
        let passed = wanted.is_empty() || class.is_some_and(|class| wanted.iter().any(|one| one == class));
        let words = if wanted.is_empty() { "any".to_owned() } else { wanted.join(" or ") };
        checks
            .require("saml.authn_context", passed, words, show(class))
            .map_err(|failure| Failure { code: OAuthCode::UnmetAuthenticationRequirements, ..failure })?;
    }
    Ok(())
}
