//! Named steps: every check is recorded, whether it passes or not, and the first that fails ends the
//! sign-in with its name as the reason.

use crate::failure::{Failure, OAuthCode, UserMessage, shown};
use crate::upstream::Trace;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a provider cannot show what was demanded, and the settings say that its answer is enough.
pub(in crate::upstream) const ON_TRUST: &str = "none shown: taken on trust, as `freshness` says";

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

    /// Something that is passed over: a step, and a remark for the record of the sign-in. `detail` stays in the trace.
    pub fn remark(
        &mut self,
        name: &'static str,
        expected: impl Into<String>,
        what: &'static str,
        detail: Option<&str>,
    ) {
        let received = detail.map_or_else(|| what.to_owned(), |detail| format!("{what}: {}", clean(detail)));
        self.note(name, expected, received);
        self.trace.remark(name, what);
    }

    /// A remark on the step that was recorded last.
    pub fn remarked(&mut self, name: &'static str, what: &'static str) {
        self.trace.remark(name, what);
    }

    /// Records the steps of a part that was tried by itself.
    pub fn append(&mut self, steps: &Trace) {
        for step in steps.steps() {
            self.trace.step(&step.check, step.expected.clone(), step.received.clone(), step.passed);
        }
        self.trace.remarks.extend(steps.remarks().iter().cloned());
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

/// A provider's error with its own explanation, for operators alone (RFC 6749 §4.1.2.1).
pub(in crate::upstream) fn explained(error: &str, parameters: &BTreeMap<String, String>) -> String {
    let said = ["error_reason", "error_description"];
    let said = said.into_iter().filter_map(|name| parameters.get(name)).map(String::as_str);
    std::iter::once(error).chain(said).collect::<Vec<_>>().join(": ")
}

/// A text as it may stand in a trace.
pub(in crate::upstream) fn clean(text: &str) -> String {
    shown(text, SHOWN)
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
        assert_eq!(clean(&"x".repeat(SHOWN)), "x".repeat(SHOWN));
        assert_eq!(clean(&"x".repeat(SHOWN + 1)), format!("{}…", "x".repeat(SHOWN)));
        assert_eq!(clean("a\u{202a}b\u{2069}c\u{7}d é"), "a\u{fffd}b\u{fffd}c\u{fffd}d é");
    }

    #[test]
    fn each_check_is_a_step_and_the_first_that_fails_is_the_reason() {
        let mut trace = Trace::default();
        let mut checks = Checks::new(&mut trace);
        checks.require("x.one", true, "a", "b").unwrap();
        checks.note("x.two", "c", "d\n");
        checks.remark("x.over", "c", "left out", Some("a secret\n"));
        let failure = checks.require("x.three", false, "e", "f\n").unwrap_err();
        assert_eq!((failure.reason, failure.code), ("x.three", OAuthCode::AccessDenied));
        assert_eq!(failure.user, UserMessage::ProviderAnswerRefused);
        assert_eq!(failure.detail.received.as_deref(), Some("f\u{fffd}"));
        let failure = checks.fail(refused("x.four", "a note"));
        assert_eq!(failure.reason, "x.four");
        let _ = checks.fail(refused("x.five", "a note").expected("g", "h"));
        let mut copy = Trace::default();
        Checks::new(&mut copy).append(&trace);
        assert_eq!((copy.steps(), copy.remarks()), (trace.steps(), trace.remarks()));
        assert_eq!(trace.remarks(), &["x.over: left out".to_owned()].into(), "nothing of what came");
        let told: Vec<_> = trace
            .steps()
            .iter()
            .map(|step| (step.check.as_str(), step.expected.as_str(), step.received.as_str(), step.passed))
            .collect();
        assert_eq!(
            told,
            [
                ("x.one", "a", "b", true),
                ("x.two", "c", "d\u{fffd}", true),
                ("x.over", "c", "left out: a secret\u{fffd}", true),
                ("x.three", "e", "f\u{fffd}", false),
                ("x.four", "an answer that holds", "a note", false),
                ("x.five", "g", "h", false),
            ]
        );
    }

    #[test]
    fn values_are_told_in_a_few_words() {
        for (value, words) in [
            (serde_json::json!(null), "null"),
            (serde_json::json!(true), "true"),
            (serde_json::json!(7), "7"),
            (serde_json::json!("a\n"), "\"a\u{fffd}\""),
            (serde_json::json!([1, 2]), "an array of 2"),
            (serde_json::json!({}), "an object"),
        ] {
            assert_eq!(show(Some(&value)), words);
        }
        assert_eq!(show(None), "absent");
    }

    #[test]
    fn words_for_declining_and_for_nothing() {
        assert!(is_refusal("access_denied") && is_refusal("user_cancelled_login"));
        assert!(!is_refusal("server_error") && !is_refusal(""));
        assert!(is_nothing(" NULL ") && is_nothing("[object Object]"));
        assert!(!is_nothing("") && !is_nothing("nobody"));
    }
}
