//! Named steps: every check is recorded, whether it passes or not, and the first that fails ends the
//! sign-in with its name as the reason.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::upstream::Trace;
use serde_json::Value;

/// Characters of a received value that a trace keeps.
const SHOWN: usize = 100;

/// Records checks and turns the first that fails into a refusal.
pub(in crate::upstream) struct Checks<'a> {
    trace: &'a mut Trace,
}

impl<'a> Checks<'a> {
    pub fn new(trace: &'a mut Trace) -> Self {
        Self { trace }
    }

    /// A check of the provider's answer.
    pub fn require(
        &mut self,
        name: &'static str,
        passed: bool,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Result<(), Failure> {
        let (expected, received) = (expected.into(), clean(&received.into()));
        self.trace.step(name, expected.clone(), received.clone(), passed);
        if passed {
            return Ok(());
        }
        Err(refused(name, "the provider's answer did not pass a check").expected(expected, received))
    }

    /// Something that held.
    pub fn note(&mut self, name: &'static str, expected: impl Into<String>, received: impl Into<String>) {
        self.trace.step(name, expected, clean(&received.into()), true);
    }

    /// Records the steps of a part that was tried by itself.
    pub fn append(&mut self, steps: &Trace) {
        for step in steps.steps() {
            self.trace.step(&step.check, step.expected.clone(), step.received.clone(), step.passed);
        }
    }

    /// Records the step that a failure names, and passes it on.
    pub fn fail(&mut self, failure: Failure) -> Failure {
        let expected = failure.detail.expected.clone().unwrap_or_else(|| "an answer that holds".to_owned());
        let received = failure.detail.received.clone().unwrap_or_else(|| failure.detail.note.to_string());
        self.trace.step(failure.reason, expected, clean(&received), false);
        failure
    }
}

/// A refusal of the provider's answer.
pub(in crate::upstream) fn refused(
    reason: &'static str,
    note: impl Into<std::borrow::Cow<'static, str>>,
) -> Failure {
    Failure::new(OAuthCode::AccessDenied, reason, UserMessage::ProviderAnswerRefused, note)
}

/// Whether an error of the authorization response says that the person declined: RFC 6749 §4.1.2.1, and the words
/// that Apple and LinkedIn have for it.
pub(in crate::upstream) fn is_refusal(error: &str) -> bool {
    matches!(error, "access_denied" | "user_cancelled_authorize" | "user_cancelled_login")
}

/// A text as it may stand in a trace: short, and without anything that a terminal would obey.
pub(in crate::upstream) fn clean(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN)
        .map(|c| {
            if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

/// What programs write for "nothing": it can be nobody's id, or all who have none would be one person.
pub(in crate::upstream) fn is_nothing(text: &str) -> bool {
    ["null", "undefined", "none", "nil", "nan", "[object object]"]
        .contains(&text.trim().to_ascii_lowercase().as_str())
}

/// A received JSON value in a few words.
pub(in crate::upstream) fn show(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => format!("\"{}\"", clean(text)),
        Some(Value::Array(values)) => format!("an array of {}", values.len()),
        Some(Value::Object(_)) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_054_what_a_provider_wrote_is_cut_and_made_harmless_before_it_is_kept() {
        let shown = clean(&format!("\u{1b}[31m<script>\u{202e}{}", "x".repeat(500)));
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        assert!(shown.chars().count() <= SHOWN + 1);
    }
}
