//! `countersign trace`

use super::CliError;
use super::output::{Out, at, facts};
use crate::flow::admin::{Desk, Traced};
use crate::ids::ReferenceId;
use crate::upstream::Step;
use clap::Args;
use serde_json::{Value, json};

const HELP: &str = "\
The reference stands on the page that the person saw; case and dashes do not matter. Shown are the checks of that \
sign-in in their order, with what was expected and what came; secrets are left out. docs/errors.md explains every \
reason. Refusals are kept in a ring of limited size (`[limits] refusals_kept`).

Example:
  countersign trace 7K2M-9QXD-41RT";

/// Tells why a sign-in was refused, by the reference that the person saw
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Trace {
    /// The reference
    #[arg(value_name = "REFERENCE", value_parser = reference)]
    reference: ReferenceId,
}

/// Reads a reference the way people write it down: any case, with or without dashes, and with the letters
/// that Crockford's alphabet leaves out for digits that look like them.
fn reference(text: &str) -> Result<ReferenceId, String> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    if plain.len() != 12 || !plain.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("a reference has 12 letters and digits, such as 7K2M-9QXD-41RT".to_owned());
    }
    let parts: Vec<&str> = [0..4, 4..8, 8..12].into_iter().filter_map(|range| plain.get(range)).collect();
    ReferenceId::new(parts.join("-")).map_err(|error| error.to_string())
}

/// Runs the command.
pub async fn run(trace: Trace, desk: &Desk, out: &Out) -> Result<(), CliError> {
    let traced = desk.trace(&trace.reference).await?;
    out.show(&json(&trace.reference, &traced), || text(&trace.reference, &traced));
    Ok(())
}

/// What a reason means and what to change, from the table in docs/errors.md.
fn explained(reason: &str) -> Option<(&'static str, &'static str)> {
    let table = include_str!("../../docs/errors.md");
    let row = table.lines().find(|line| line.starts_with(&format!("| `{reason}` |")))?;
    let mut cells = row.trim_matches(['|', ' ']).split(" | ").skip(1);
    Some((cells.next()?.trim(), cells.next()?.trim()))
}

fn json(reference: &ReferenceId, traced: &Traced) -> Value {
    let refusal = traced.refusal.as_ref().map(|kept| {
        let refusal = &kept.refusal;
        let (meaning, advice) = explained(&refusal.reason).unwrap_or_default();
        json!({
            "meaning": meaning, "advice": advice,
            "at": at(refusal.at), "times": kept.times, "last_at": at(kept.last_at),
            "reason": refusal.reason, "note": refusal.note, "source": refusal.source,
            "provider": refusal.provider, "client": refusal.client,
            "expected": refusal.expected, "received": refusal.received, "steps": refusal.steps,
        })
    });
    let event = |record: &crate::store::AuditRecord| {
        let event = &record.event;
        json!({
            "at": at(event.at), "kind": event.kind.as_str(), "actor": event.actor.to_string(),
            "account": event.account, "client": event.client, "provider": event.provider,
            "reason": event.reason, "data": event.data,
        })
    };
    let events: Vec<Value> = traced.events.iter().map(event).collect();
    json!({ "reference": reference, "refusal": refusal, "events": events })
}

fn text(reference: &ReferenceId, traced: &Traced) -> String {
    let mut text = String::new();
    if let Some(kept) = &traced.refusal {
        let refusal = &kept.refusal;
        let (meaning, advice) = explained(&refusal.reason).unwrap_or_default();
        let name = |id: Option<String>| id.unwrap_or_default();
        let times = match kept.times {
            0 | 1 => String::new(),
            n => format!("{n} times, last {}", at(kept.last_at)),
        };
        text.push_str(&facts(&[
            ("reference", reference.to_string()),
            ("when", at(refusal.at)),
            ("happened", times),
            ("reason", refusal.reason.clone()),
            ("what", refusal.note.clone()),
            ("meaning", meaning.to_owned()),
            ("what to do", advice.to_owned()),
            ("expected", refusal.expected.clone().unwrap_or_default()),
            ("received", refusal.received.clone().unwrap_or_default()),
            ("provider", name(refusal.provider.as_ref().map(ToString::to_string))),
            ("client", name(refusal.client.as_ref().map(ToString::to_string))),
            ("from", refusal.source.clone()),
        ]));
        if !refusal.steps.is_empty() {
            text.push_str("\nChecks, in their order:\n");
        }
        text.push_str(&steps(&refusal.steps));
    }
    for record in &traced.events {
        let event = &record.event;
        text.push_str(&format!("\n{}  {}  by {}", at(event.at), event.kind.as_str(), event.actor));
        if let Some(reason) = &event.reason {
            text.push_str(&format!("  ({reason})"));
        }
    }
    text
}

/// Every check with what it expected and what came; one that says both in the same words says them once.
fn steps(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let mark = if step.passed { "✓" } else { "✗" };
        let (expected, received) = (line(&step.expected), line(&step.received));
        text.push_str(&format!("  {mark} {}\n", step.check));
        if step.passed && expected == received {
            text.push_str(&format!("      as expected  {received}\n"));
        } else {
            text.push_str(&format!("      expected     {expected}\n      received     {received}\n"));
        }
    }
    text
}

/// What came from a stranger, on one line: it must not look like the next check.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_explained() {
        let (meaning, advice) = explained("client.unknown").unwrap();
        assert!(!meaning.is_empty() && advice.contains("countersign client add"), "{meaning} {advice}");
        assert_eq!(explained("no.such"), None);
        assert_eq!(explained(""), None);
    }

    #[test]
    fn every_check_says_what_it_expected_and_what_came() {
        let step = |check: &str, expected: &str, received: &str, passed| Step {
            check: check.to_owned(),
            expected: expected.to_owned(),
            received: received.to_owned(),
            passed,
        };
        let told = steps(&[
            step("saml.key", "the assertion by a key that is trusted", "SHA-256 0123", true),
            step("saml.version", "2.0", "2.0", true),
            step("saml.audience", "us", "them\n  ✓ saml.audience\r", false),
            step("saml.odd", "the same", "the same", false),
        ]);
        let wanted = "  ✓ saml.key\n      expected     the assertion by a key that is trusted\n      received     SHA-256 0123\n  \
                      ✓ saml.version\n      as expected  2.0\n  \
                      ✗ saml.audience\n      expected     us\n      received     them\u{fffd}  ✓ saml.audience\u{fffd}\n  \
                      ✗ saml.odd\n      expected     the same\n      received     the same\n";
        assert_eq!(told, wanted);
        assert_eq!(steps(&[]), "");
    }

    #[test]
    fn a_reference_is_read_the_way_people_write_it() {
        for text in ["7K2M-9QXD-41RT", "7k2m9qxd41rt", "7K2M 9QXD 4IRT", " 7k2m-9qxd-4lrt "] {
            assert_eq!(reference(text).unwrap().as_str(), "7K2M-9QXD-41RT", "{text}");
        }
        for bad in ["", "7K2M", "7K2M-9QXD-41RTX", "7K2M-9QXD-41R;"] {
            assert!(reference(bad).is_err(), "{bad}");
        }
    }
}
