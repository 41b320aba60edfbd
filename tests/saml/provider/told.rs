//! What operators read of what runs out: in the log once at each step, and in metrics.

use super::metadata::{TRUSTED, remote};
use super::{BY_HAND, build, files, idp};
use crate::saml::{Idp, Key, Metadata as Described};
use metrics::{Counter, Gauge, GaugeFn, Histogram, KeyName, Metadata, SharedString, Unit};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

/// The messages of warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        if message.0.contains("certificate") {
            self.0.lock().unwrap().push(message.0);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What gauges show, by name and labels.
#[derive(Clone, Default)]
struct Gauges(Arc<Mutex<BTreeMap<String, f64>>>);

struct One(String, Gauges);

impl GaugeFn for One {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, value: f64) {
        self.1.0.lock().unwrap().insert(self.0.clone(), value);
    }
}

impl metrics::Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &metrics::Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, key: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
        Gauge::from_arc(Arc::new(One(format!("{} {}", key.name(), labels.join(" ")), self.clone())))
    }
    fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

#[tokio::test]
async fn an_end_is_logged_once_at_each_step_and_again_when_it_comes_back() {
    let ending = Key::rsa().certified(NOW - DAY, NOW + 29 * DAY);
    let mut idp = idp();
    idp.keys = vec![ending.clone()];
    // something else is always to be told, which keeps nothing else in mind
    let metadata = |idp: &Idp| Described { want_signed: Some(true), ..idp.metadata() };
    let remote = remote(&metadata(&idp).xml(), TRUSTED);
    remote.accepts(Key::rsa()).await.unwrap();
    let warnings = Warnings::default();
    let _told = tracing::subscriber::set_default(warnings.clone());
    let mut counts = Vec::new();
    for seconds in [0, 60, 16 * 86_400, 60] {
        remote.later(seconds);
        remote.look().await;
        counts.push(warnings.count());
    }
    assert_eq!(counts, [1, 1, 2, 2], "{:?}", warnings.0.lock().unwrap());
    // set right, and wrong again
    idp.keys = vec![ending.clone(), Key::rsa_next()];
    remote.publish(&metadata(&idp));
    remote.later(3600);
    remote.look().await;
    assert_eq!(warnings.count(), 2);
    idp.keys = vec![ending];
    remote.publish(&metadata(&idp));
    remote.later(3600);
    remote.look().await;
    assert_eq!(warnings.count(), 3, "{:?}", warnings.0.lock().unwrap());
}

#[tokio::test]
async fn the_time_that_is_left_is_a_metric() {
    let ending = Key::rsa().certified(NOW - DAY, NOW + 100);
    let mut files = files();
    files.insert("file:idp.pem".to_owned(), ending.pem());
    let bench = build(BY_HAND, &files).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let gauges = Gauges::default();
    let _kept = metrics::set_default_local_recorder(&gauges);
    bench.entry.upstream.tend(&bench.context).await;
    let name = "countersign_saml_certificate_expiry_seconds acme provider";
    assert_eq!(gauges.0.lock().unwrap().get(name), Some(&100.0));
    bench.clock.advance(std::time::Duration::from_millis(150_500));
    bench.entry.upstream.tend(&bench.context).await;
    assert_eq!(gauges.0.lock().unwrap().get(name), Some(&-50.5));
}
