//! What will soon need somebody's hand: certificates that end, metadata that runs out, keys that wait for a word.
//! None of it refuses a sign-in. It is told in the log, in metrics and in health, ahead of time.

use super::Saml;
use super::open::Certificate;
use crate::context::{Context, Timestamp};
use metrics::Gauge;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Ahead of an end it is told at each of these, and when it is over.
const AHEAD: [u32; 4] = [30, 14, 7, 1];
/// Metadata that is fetched is told of when less than this is left of its time, or a fifth if that is less.
const SHORT: Duration = Duration::from_secs(7 * 86_400);

/// What was found at the last look.
#[derive(Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    /// Sentences for `health`.
    problems: Vec<String>,
    /// What was logged, by what it is about, so that nothing is said twice.
    told: BTreeMap<&'static str, String>,
    /// What is shown in metrics.
    shown: Shown,
    /// `validUntil` of the metadata that was fetched, and when it was first seen to be no later than that.
    until: Option<(Timestamp, Timestamp)>,
}

/// Gauges by their name and use. One that is not set any more would show its last value for ever: it becomes NaN, of
/// which no alert makes anything.
#[derive(Default)]
struct Shown {
    gauges: BTreeMap<(&'static str, &'static str), Gauge>,
    over: bool,
}

impl Shown {
    /// Shows this, and nothing else any more.
    fn only(&mut self, values: BTreeMap<(&'static str, &'static str), (Gauge, f64)>) {
        if self.over {
            return;
        }
        for (_, gauge) in self.gauges.iter().filter(|(key, _)| !values.contains_key(*key)) {
            gauge.set(f64::NAN);
        }
        for (key, (gauge, value)) in values {
            gauge.set(value);
            self.gauges.insert(key, gauge);
        }
    }
}

impl Watch {
    /// Takes back what is shown in metrics, and shows nothing any more.
    pub fn retire(&self) {
        let mut state = self.state();
        state.shown.only(BTreeMap::new());
        state.shown.over = true;
    }
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

/// The day of a moment, in UTC.
fn day(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// How near an end is: which of [`AHEAD`] has passed, and how to say it. `None` while it is far.
fn nearness(end: Timestamp, now: Timestamp) -> Option<(usize, String)> {
    let day = day(end);
    if now >= end {
        return Some((AHEAD.len() + 1, format!("ended on {day}")));
    }
    let left = end.since(now);
    let passed = AHEAD.iter().filter(|days| left < DAY * **days).count();
    (passed > 0).then(|| (passed, format!("ends on {day}")))
}

/// How near the end of metadata is that is fetched again and again: at four fifths of the time that it had left when it came
/// it was asked for anew at the latest, so less is left only where that brought none that is good for longer.
fn running_out((until, since): (Timestamp, Timestamp), now: Timestamp) -> Option<(&'static str, String)> {
    if now >= until {
        return Some(("over", format!("its metadata ended at {}", until.rfc3339())));
    }
    let short = SHORT.min(until.since(since) / 5);
    let words = "and asking for it again brought none that is good for longer";
    (until.since(now) < short).then(|| ("near", format!("its metadata ends at {}, {words}", until.rfc3339())))
}

/// Of the certificates that the configuration names those that have ended although another one goes on, with the day. They
/// still verify, which nobody may mean any more.
fn ended(list: &[Certificate], now: Timestamp) -> Vec<String> {
    let last = list.iter().filter_map(Certificate::ends).max();
    let over = list.iter().filter_map(|one| Some((one, one.ends()?)));
    over.filter(|(_, at)| *at <= now && Some(*at) != last)
        .map(|(one, at)| format!("{} (ended on {})", one.fingerprint(), day(at)))
        .collect()
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
            add("metadata", "its metadata", known.valid_until);
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
        let mut values = BTreeMap::new();
        for ending in &endings {
            let left = (ending.at.0.saturating_sub(now.0)) as f64 / 1000.0;
            let name = "countersign_saml_certificate_expiry_seconds";
            let gauge = metrics::gauge!(name, "provider" => self.common.id.to_string(), "use" => ending.what);
            values.insert((name, ending.what), (gauge, left));
            let fetched = ending.what == "metadata" && self.fixed.is_none();
            if let Some((passed, words)) = nearness(ending.at, now).filter(|_| !fetched) {
                found.push((ending.what, format!("{passed}"), format!("{} {words}", ending.words)));
            }
        }
        let lists = [
            ("provider_ended", "provider", "certificates", &self.pinned),
            ("metadata_signer_ended", "metadata_signer", "metadata_certificates", &self.metadata_signers),
        ];
        for (what, usage, key, list) in lists {
            let names = ended(list, now);
            let name = "countersign_saml_certificates_ended";
            let gauge = metrics::gauge!(name, "provider" => self.common.id.to_string(), "use" => usage);
            values.insert((name, usage), (gauge, names.len() as f64));
            if !names.is_empty() {
                let names = names.join(", ");
                let words = format!(
                    "certificates in `{key}` have ended and are still trusted; take out what is no longer used: SHA-256 {names}"
                );
                found.push((what, names, words));
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
        state.shown.only(values);
        let until = known.as_ref().and_then(|known| known.valid_until).filter(|_| self.fixed.is_none());
        // a later end begins a new time; an earlier one does not
        state.until = until.map(|until| match state.until {
            Some((before, since)) if until <= before => (until, since),
            _ => (until, now),
        });
        if let Some((level, words)) = state.until.and_then(|until| running_out(until, now)) {
            found.push(("metadata", level.to_owned(), words));
        }
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
    fn metadata_by_address_is_told_of_in_the_last_fifth_of_its_time_or_the_last_week() {
        let at = Timestamp::from_secs;
        let level = |until, since, now| running_out((at(until), at(since)), at(now)).map(|(level, _)| level);
        assert_eq!(
            [899, 900, 901, 999].map(|now| level(1000, 500, now)),
            [None, None, Some("near"), Some("near")]
        );
        assert_eq!([1000, 1001].map(|now| level(1000, 500, now)), [Some("over"); 2]);
        let (year, week) = (365 * 86_400, 7 * 86_400);
        assert_eq!([year - week, year - week + 1].map(|now| level(year, 0, now)), [None, Some("near")]);
        let (_, words) = running_out((at(0), at(0)), at(0)).unwrap();
        assert_eq!(words, "its metadata ended at 1970-01-01T00:00:00Z");
    }

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
