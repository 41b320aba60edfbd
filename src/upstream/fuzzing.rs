//! What fuzzers call: each function takes anything and fails where a law is broken, not only where something
//! panics. The tests run the same functions, over the seeds in `fuzz/seeds` and a few thousand changes of them.

use super::Trace;
use super::mapping::{Expression, Field, Mapping, ProfileSource, Rule};
use crate::accounts::Target;
use crate::context::{Context, ManualClock, SeededEntropy, Timestamp};
use crate::failure::Failure;
use crate::ids::{GroupName, RoleName};
use crate::jose::{Alg, JwkSet, json, verify_foreign};
use crate::outbound::{Network, Outbound, Transports};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A key set that a provider publishes, or that a client registers.
///
/// # Panics
/// Where a law is broken.
pub fn jwks(data: &[u8]) {
    // signed by nobody: no key may take it
    const UNSIGNED: [&str; 3] = ["eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJFUzI1NiJ9", "eyJhbGciOiJFZERTQSJ9"];
    if let Ok(set) = JwkSet::parse(data) {
        assert!(set.len() + set.skipped().len() <= 100, "more keys than a set may have");
        assert_eq!(set.is_empty(), !(1..=100).contains(&set.len()));
        assert!(json::object(data).is_ok(), "a set that is not strict JSON");
        for header in UNSIGNED {
            let signature = "A".repeat(if header == UNSIGNED[0] { 342 } else { 86 });
            let refused = verify_foreign(&format!("{header}.e30.{signature}"), &set, &Alg::ALL);
            assert!(refused.is_err(), "a key took a signature of nobody");
        }
    }
    if let Ok(set) = JwkSet::registered(data) {
        assert!(JwkSet::parse(data).is_ok_and(|published| published.len() == set.len()));
        assert!(set.len() <= 20, "more keys than may be registered");
    }
}

/// An expression in the first line, claims in the rest.
///
/// # Panics
/// Where a law is broken.
pub fn mapping(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, rest) = data.split_at(end);
    let written = std::str::from_utf8(first).ok().map(|text| (text, Expression::new(text)));
    if let Some((text, Err(error))) = &written {
        assert!(text.get(error.range.clone()).is_some(), "an error outside of its text");
    }
    let Ok(claims) = json::object(rest.get(1..).unwrap_or_default()) else { return };
    let Some((_, Ok(expression))) = written else { return assert_bounded(&Mapping::default(), &claims) };
    let group = Target::Group(GroupName::new("g").unwrap_or_else(|_| unreachable!()));
    let role = Target::Role(RoleName::new("r").unwrap_or_else(|_| unreachable!()));
    let rule = |target: &Target, rule: &str| Rule {
        rule: rule.to_owned(),
        target: target.clone(),
        when: expression.clone(),
    };
    let from = || ProfileSource::From(expression.clone());
    let mapping = Mapping {
        rules: vec![rule(&group, "first"), rule(&role, "only"), rule(&group, "second")],
        profile: Field::ALL.into_iter().map(|(field, _)| (field, from())).collect(),
        filter: Some(expression.clone()),
        domain: Some(expression.clone()),
        email_verified: Some(expression.clone()),
    };
    assert_bounded(&mapping, &claims);
    let Ok(mapped) = mapping.apply(&claims) else { return };
    // one expression has one value, wherever it stands
    let holds = mapped.passes_filter;
    assert_eq!(mapped.email_verified, Some(holds));
    assert_eq!(mapped.assignments.get(&group).map(String::as_str), holds.then_some("first"));
    assert_eq!(mapped.assignments.get(&role).map(String::as_str), holds.then_some("only"));
    assert!(!(holds && mapped.domain.is_some()), "a value is `true` and a text");
}

/// A way out that nobody goes; its rules are those of production.
pub(in crate::upstream) fn outbound() -> Outbound {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let context = Context::new(clock, Arc::new(SeededEntropy::new(1)));
    let network = Network {
        allow_loopback: false,
        allow_private_network: false,
        ca_file: None,
        timeout: Duration::from_secs(1),
    };
    Outbound::new(&network, context, &mut Transports::default()).unwrap_or_else(|_| unreachable!())
}

/// Every step of what passes has passed; a refusal is told by the last step, under its own name.
pub(in crate::upstream) fn told<T>(run: impl FnOnce(&mut Trace) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut trace = Trace::default();
    let outcome = run(&mut trace);
    let failed = trace.steps().iter().find(|step| !step.passed);
    match &outcome {
        Ok(_) => assert!(failed.is_none()),
        Err(failure) => {
            assert!(failed.is_some_and(|step| step.check == failure.reason));
            assert_eq!(failed, trace.steps().last());
        }
    }
    for step in trace.steps() {
        assert!(step.received.chars().count() <= 101 && !step.received.chars().any(char::is_control));
    }
    outcome
}

/// Equal claims give equal outcomes, and what is kept has bounds.
fn assert_bounded(mapping: &Mapping, claims: &json::Object) {
    let Ok(mapped) = mapping.apply(claims) else { return };
    assert_eq!(mapping.apply(claims).ok().as_ref(), Some(&mapped));
    let picture = mapped.profile.picture.as_deref();
    assert!(picture.is_none_or(|picture| picture.get(..6).is_some_and(|s| s.eq_ignore_ascii_case("https:"))));
    let kept = serde_json::to_value(&mapped.profile).unwrap_or(Value::Null);
    let texts = kept.as_object().into_iter().flat_map(|fields| fields.values());
    for text in texts.filter_map(Value::as_str) {
        assert!(!text.is_empty() && text.chars().count() <= 2_048);
        assert!(!text.chars().any(char::is_control));
    }
}

/// Runs a target over its seeds, and over `changes` random changes of them, always the same ones.
#[cfg(test)]
pub(in crate::upstream) fn brief(target: &str, changes: usize, run: fn(&[u8])) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.ancestors().map(|at| at.join("fuzz/seeds").join(target)).find(|at| at.is_dir());
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 3, "{target} has few seeds");
    seeds.iter().for_each(|seed| run(seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..changes {
        let changed = random.changed(&seeds);
        let outcome = std::panic::catch_unwind(|| run(&changed));
        assert!(outcome.is_ok(), "{target}: {:?}", String::from_utf8_lossy(&changed));
    }
}

#[cfg(test)]
struct Random(u64);

#[cfg(test)]
impl Random {
    /// SplitMix64, below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap()
    }

    /// A seed with one to four changes.
    fn changed(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const WORDS: &[&str] = &[
            "\"",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1e999",
            "\\u0000",
            "\\ud800",
            "99999999999999999999",
            "\u{202e}",
            "\0",
            "\n",
            "<",
            ">",
            "/>",
            "<!--",
            "&#0;",
            "]]>",
            "<!DOCTYPE",
        ];
        let mut data = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            let end = at + self.below((data.len() - at).min(64) + 1);
            match self.below(6) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 => drop(data.drain(at..end)),
                2 => {
                    let part = data[at..end].to_vec();
                    data.splice(at..at, part);
                }
                3 => data.truncate(at),
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let part = other[from..(from + 64).min(other.len())].to_vec();
                    data.splice(at..end, part);
                }
                _ => drop(data.splice(at..at, WORDS[self.below(WORDS.len())].bytes())),
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn anything_as_a_key_set() {
        super::brief("jwks", 1000, super::jwks);
    }
    #[test]
    fn anything_as_an_expression_over_claims() {
        super::brief("mapping", 3000, super::mapping);
    }
}
