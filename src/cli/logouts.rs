//! The report of `countersign client logout-report`.

use super::output::{at, facts, table};
use crate::sessions::notice::{Delivery, DeliveryState};
use crate::store::LogoutReport;
use serde_json::{Value, json};

fn count(report: &LogoutReport, state: DeliveryState) -> u64 {
    report.counts.get(&state).copied().unwrap_or(0)
}

/// For programs.
pub fn json_of(report: &LogoutReport) -> Value {
    let counts: serde_json::Map<String, Value> = DeliveryState::ALL
        .into_iter()
        .map(|state| (state.as_str().to_owned(), json!(count(report, state))))
        .collect();
    let troubles: Vec<Value> = report.troubles.iter().map(trouble).collect();
    json!({
        "counts": counts,
        "last_delivered_at": report.last_delivered_at.map(at),
        "troubles": troubles,
    })
}

fn trouble(delivery: &Delivery) -> Value {
    let waiting = delivery.state == DeliveryState::Waiting;
    json!({
        "session": delivery.session, "account": delivery.account, "state": delivery.state.as_str(),
        "ended_at": at(delivery.queued_at), "attempts": delivery.attempts,
        "last_at": delivery.last_at.map(at), "next_at": waiting.then(|| at(delivery.due_at)),
        "answer": delivery.answer,
    })
}

/// For people.
pub fn text_of(report: &LogoutReport) -> String {
    let counts = DeliveryState::ALL.map(|state| (state, count(report, state).to_string()));
    let named = |wanted: DeliveryState| {
        counts.iter().find(|(state, _)| *state == wanted).map(|(_, count)| count.clone()).unwrap_or_default()
    };
    let mut text = facts(&[
        ("delivered", named(DeliveryState::Delivered)),
        ("last", report.last_delivered_at.map(at).unwrap_or_default()),
        ("waiting", named(DeliveryState::Waiting)),
        ("refused", named(DeliveryState::Refused)),
        ("given up", named(DeliveryState::GivenUp)),
    ]);
    if !report.troubles.is_empty() {
        let row = |delivery: &Delivery| {
            vec![
                delivery.session.to_string(),
                at(delivery.queued_at),
                delivery.state.as_str().to_owned(),
                delivery.attempts.to_string(),
                delivery.answer.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = report.troubles.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(&["session", "ended", "state", "tries", "last answer"], &rows, ""));
    }
    text
}
