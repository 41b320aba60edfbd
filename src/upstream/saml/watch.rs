//! What will soon need somebody's hand: certificates that end, metadata that runs out, keys that wait for a word.
//! None of it refuses a sign-in. It is told in the log, in metrics and in health, ahead of time.

use super::Saml;
use super::open::Certificate;
use crate::context::{Context, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Ahead of an end it is told at each of these, and when it is over.
const AHEAD: [u32; 4] = [30, 14, 7, 1];

/// What was found at the last look.
#[derive(Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    /// Sentences for `health`.
    problems: Vec<String>,
    /// What was logged, by what it is about, so that nothing is said twice.
    told: BTreeMap<&'static str, String>,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// All that somebody should look at, if there is anything.
    pub fn problem(&self) -> Option<String> {
        let state = self.state();
        (!state.problems.is_empty()).then(|| state.problems.join("; "))
    }
}

/// Something that ends: what it is called in metrics, in words, and when.
struct Ending {
    what: &'static str,
    words: &'static str,
    at: Timestamp,
}

/// How near an end is: which of [`AHEAD`] has passed, and how to say it. `None` while it is far.
fn nearness(end: Timestamp, now: Timestamp) -> Option<(usize, String)> {
    let day = end.rfc3339();
    let day = day.split('T').next().unwrap_or_default();
    if now >= end {
        return Some((AHEAD.len() + 1, format!("ended on {day}")));
    }
    let left = end.since(now);
    let passed = AHEAD.iter().filter(|days| left < DAY * **days).count();
    (passed > 0).then(|| (passed, format!("ends on {day}")))
}

impl Saml {
    /// Looks at everything that can run out.
    pub(super) fn look(&self, context: &Context) {
        let now = context.now();
        let known = self.known();
        let mut endings = Vec::new();
        // of several certificates the last counts: a rollover leaves an old one behind
        let last = |list: &[Certificate]| list.iter().filter_map(Certificate::ends).max();
        let mut add = |what, words, at: Option<Timestamp>| {
            endings.extend(at.map(|at| Ending { what, words, at }));
        };
        if let Some(known) = &known {
            add("provider", "its last signing certificate", last(&known.certificates));
            add("metadata", "its metadata", known.valid_until.filter(|_| self.fixed.is_some()));
        }
        add(
            "metadata_signer",
            "the last certificate of whoever signs its metadata",
            last(&self.metadata_signers),
        );
        let own = |key: &std::sync::Arc<super::keys::OwnKey>| key.certificate.ends();
        add("own", "our own certificate", self.keys.current.as_ref().and_then(own));
        add("own_next", "our own next certificate", self.keys.next.as_ref().and_then(own));

        let mut found: Vec<(&'static str, String, String)> = Vec::new();
        for ending in &endings {
            let left = (ending.at.0.saturating_sub(now.0)) as f64 / 1000.0;
            metrics::gauge!(
                "countersign_saml_certificate_expiry_seconds",
                "provider" => self.common.id.to_string(), "use" => ending.what
            )
            .set(left);
            if let Some((passed, words)) = nearness(ending.at, now) {
                found.push((ending.what, format!("{passed}"), format!("{} {words}", ending.words)));
            }
        }
        if let Some(known) = &known {
            if !known.held.is_empty() {
                let names: Vec<String> = known.held.iter().map(Certificate::fingerprint).collect();
                let names = names.join(", ");
                let words = format!(
                    "its metadata names a key that is not in `certificates` and so is not used: SHA-256 {names}"
                );
                found.push(("held", names, words));
            }
            if known.wants_signed && !self.settings.signs_requests() {
                let words = "it wants signed requests, and there is no `key` to sign them with".to_owned();
                found.push(("wants_signed", String::new(), words));
            }
        }

        let mut state = self.watch.state();
        state.told.retain(|what, _| found.iter().any(|(now, ..)| now == what));
        for (what, level, words) in &found {
            if state.told.get(what) != Some(level) {
                tracing::warn!(provider = %self.common.id, "{words}");
                state.told.insert(what, level.clone());
            }
        }
        state.problems = found.into_iter().map(|(.., words)| words).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_ahead_and_again_as_it_comes_nearer() {
        let end = Timestamp::from_secs(100 * 86_400);
        let passed = |days: u32| nearness(end, end.minus(DAY * days)).map(|(passed, _)| passed);
        assert_eq!(
            [31, 30, 29, 14, 13, 7, 6, 1].map(passed),
            [None, None, Some(1), Some(1), Some(2), Some(2), Some(3), Some(3)]
        );
        assert_eq!(
            nearness(end, end.minus(Duration::from_secs(1))),
            Some((4, "ends on 1970-04-11".to_owned()))
        );
        assert_eq!(nearness(end, end), Some((5, "ended on 1970-04-11".to_owned())));
    }
}
