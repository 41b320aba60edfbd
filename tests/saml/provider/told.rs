//! What operators read of what runs out: in the log once at each step, and in metrics.

use super::metadata::{AT, TRUSTED, remote};
use super::{BY_HAND, build, files, idp, provider};
use crate::publisher::Document;
use crate::saml::{Idp, Key, Metadata as Described, Signature, instant};
use countersign::context::Timestamp;
use countersign::upstream::{Health, Registry};
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

/// What is pinned verifies for as long as it is pinned; what has ended is taken out by nobody who is not told.
#[tokio::test]
async fn a_configured_certificate_that_ended_beside_another_is_told_of_and_refuses_nobody() {
    use sha2::Digest as _;
    let with = |more: &str, from: &[Key]| {
        let mut metadata = idp().metadata();
        metadata.sign = Some(Signature::by(Key::rsa()));
        let mut files = files();
        files.insert("file:acme.xml".to_owned(), metadata.xml());
        files.insert("file:list.pem".to_owned(), from.iter().map(Key::pem).collect());
        build(more, &files).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    };
    let print = |key: &Key| -> String {
        sha2::Sha256::digest(key.der()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let ended = Key::rsa().certified(NOW - 9 * DAY, NOW - DAY);
    let ending = Key::rsa().certified(NOW - 9 * DAY, NOW);
    let good = Key::rsa_next().certified(NOW - 9 * DAY, NOW + 90 * DAY);
    for (key, source, usage) in [
        ("certificates", "sso_url = \"https://id.acme.example/sso\"", "provider"),
        ("metadata_certificates", "metadata_file = \"acme.xml\"", "metadata_signer"),
    ] {
        let more = format!("{source}\n{key} = [\"file:list.pem\"]");
        let told = async |list: &[Key]| {
            let bench = with(&more, list);
            let (gauges, warnings) = (Gauges::default(), Warnings::default());
            let _kept = metrics::set_default_local_recorder(&gauges);
            let _told = tracing::subscriber::set_default(warnings.clone());
            bench.entry.upstream.warm(&bench.context).await.unwrap();
            bench.entry.upstream.tend(&bench.context).await;
            let name = format!("countersign_saml_certificates_ended acme {usage}");
            let count = gauges.0.lock().unwrap().get(&name).copied();
            (bench.entry.upstream.health(), warnings.count(), count)
        };
        assert_eq!(told(&[good.clone(), Key::rsa()]).await, (Health::Up, 0, Some(0.0)));
        let words = |of: String| {
            Health::Warned(format!(
                "certificates in `{key}` have ended and are still trusted; take out what is no longer used: SHA-256 {of}"
            ))
        };
        let one = format!("{} (ended on 2027-01-14)", print(&ended));
        assert_eq!(told(&[ended.clone(), good.clone()]).await, (words(one.clone()), 1, Some(1.0)));
        let both = format!("{one}, {} (ended on 2027-01-15)", print(&ending));
        assert_eq!(told(&[ended.clone(), good.clone(), ending.clone()]).await, (words(both), 1, Some(2.0)));
        // where none goes on, taking out the last would leave nothing
        let (health, count, gauge) = told(std::slice::from_ref(&ended)).await;
        let Health::Warned(why) = health else { panic!("{health:?}") };
        assert!(why.ends_with("ended on 2027-01-14") && !why.contains("take out"), "{why}");
        assert_eq!((count, gauge), (1, Some(0.0)));
        // and it verifies on
        let bench = with(&more, &[ended.clone(), good.clone()]);
        let begun = bench.begin(|_| {}).await.unwrap();
        let answer = idp().answer(bench.now(), &begun.departure);
        assert!(bench.finish(&begun, &answer).await.0.is_ok(), "{key}");
    }
}

/// Metadata that is fetched is fetched anew before it ends; only if that brings nothing newer, somebody must look.
#[tokio::test]
async fn metadata_by_address_that_runs_out_is_told_of_where_asking_again_brought_no_later_end() {
    let until = |seconds: i64| {
        let mut metadata = idp().metadata();
        metadata.valid_until = Some(instant(Timestamp::from_secs(NOW), seconds));
        metadata
    };
    let name = "countersign_saml_certificate_expiry_seconds acme metadata";
    // a fifth of a day, and seven days of a hundred
    for (whole, short) in [(DAY, DAY / 5), (100 * DAY, 7 * DAY)] {
        let remote = remote(&until(whole).xml(), TRUSTED);
        let gauges = Gauges::default();
        let _kept = metrics::set_default_local_recorder(&gauges);
        remote.accepts(Key::rsa()).await.unwrap();
        let at = async |seconds: i64| {
            let now = remote.bench.now().secs() - NOW;
            remote.later(u64::try_from(seconds - now).unwrap());
            remote.look().await;
            assert_eq!(gauges.0.lock().unwrap().get(name), Some(&((whole - seconds) as f64)));
            remote.health()
        };
        assert_eq!(at(0).await, Health::Up);
        assert_eq!(at(whole - short).await, Health::Up);
        let end = instant(Timestamp::from_secs(NOW), whole);
        let words = format!(
            "its metadata ends at {end}, and asking for it again brought none that is good for longer"
        );
        assert_eq!(at(whole - short + 1).await, Health::Warned(words));
        // an earlier end brings no new time, a later one does
        let sooner = remote.bench.now().secs() - NOW + 60;
        remote.publish(&until(sooner));
        remote.later(3600 - 1);
        remote.publish(&until(whole + 3600));
        remote.later(1);
        remote.look().await;
        assert_eq!(remote.health(), Health::Up);
    }
    let remote = remote(&until(1000).xml(), TRUSTED);
    remote.accepts(Key::rsa()).await.unwrap();
    remote.look().await;
    remote.later(810);
    remote.publish(&until(820));
    remote.look().await;
    assert!(matches!(remote.health(), Health::Warned(why) if why.contains("brought none")), "an earlier end");
    // over, with a minute for clocks that differ
    remote.publisher.put(AT, Document::Status(503));
    remote.later(70);
    remote.look().await;
    assert!(matches!(remote.health(), Health::Down(_)));
    assert_eq!(remote.accepts(Key::rsa()).await, Ok(()));
    remote.later(1);
    assert_eq!(remote.accepts(Key::rsa()).await, Err("saml.metadata.expired"));
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
    // Once another one has its place it shows nothing, also if it was looking just then.
    bench.entry.upstream.retire();
    assert!(gauges.0.lock().unwrap()[name].is_nan());
    bench.entry.upstream.tend(&bench.context).await;
    assert!(gauges.0.lock().unwrap().values().all(|value| value.is_nan()));
}

/// A gauge that nobody sets would show the last value for ever, and wake somebody.
#[tokio::test]
async fn what_ends_no_more_is_a_metric_no_more() {
    let remote = remote(&idp().metadata().xml(), TRUSTED);
    let gauges = Gauges::default();
    let _kept = metrics::set_default_local_recorder(&gauges);
    let name = "countersign_saml_certificate_expiry_seconds acme metadata";
    let shown = || gauges.0.lock().unwrap().get(name).copied();
    remote.accepts(Key::rsa()).await.unwrap();
    remote.look().await;
    assert_eq!(shown(), None);
    let mut ending = idp().metadata();
    ending.valid_until = Some(instant(remote.bench.now(), 2 * DAY));
    remote.publish(&ending);
    remote.later(DAY as u64);
    remote.look().await;
    assert!(shown().is_some_and(|left| left > 0.0), "{:?}", shown());
    remote.publish(&idp().metadata());
    remote.later(DAY as u64);
    remote.look().await;
    assert!(shown().is_some_and(f64::is_nan), "{:?}", shown());
}

/// What a reload makes of a provider: its metadata is kept while its kind's settings are the same, and whoever gives its place
/// to another one shows nothing any more.
#[tokio::test]
async fn a_reload_keeps_metadata_and_takes_back_what_the_old_one_showed() {
    let mut ending = idp().metadata();
    ending.valid_until = Some(instant(Timestamp::from_secs(NOW), 2 * DAY));
    let remote = remote(&ending.xml(), TRUSTED);
    let url = remote.publisher.put(AT, Document::Json(ending.xml()));
    let context = &remote.bench.context;
    let build = |more: &str, before: Option<&Registry>| {
        let settings = provider(&format!("metadata_url = \"{url}\"\n{TRUSTED}\n{more}")).unwrap();
        let nothing = |_: &countersign::upstream::settings::SecretRef| Err("not there".to_owned());
        Registry::build(vec![settings], &nothing, context, before).unwrap()
    };
    let gauges = Gauges::default();
    let _kept = metrics::set_default_local_recorder(&gauges);
    let shown = || gauges.0.lock().unwrap()["countersign_saml_certificate_expiry_seconds acme metadata"];
    let looks = async |registry: &Registry| {
        let upstream = registry.iter().next().unwrap().upstream.clone();
        assert!(upstream.warm(context).await.unwrap());
        remote.publisher.asked(AT)
    };
    let before = build("", None);
    assert_eq!(looks(&before).await, 1);
    let same = build("", Some(&before));
    before.retire_all_but(&same);
    assert_eq!(shown(), (2 * DAY) as f64, "it goes on");
    let renamed = build("order = 5", Some(&before));
    before.retire_all_but(&renamed);
    assert!(shown().is_nan());
    assert_eq!(looks(&renamed).await, 1, "nothing is fetched again");
    assert_eq!(shown(), (2 * DAY) as f64);
    renamed.retire_all_but(&Registry::default());
    assert!(shown().is_nan());
    assert_eq!(looks(&build("request_binding = \"post\"", Some(&renamed))).await, 2);
}
