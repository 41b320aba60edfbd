//! The way out: where it leads, how long it takes, and what happens while a provider is away.

use crate::bench::{Bench, CALLBACK, OIDC, provider, refused, registry, row};
use crate::standin::{Canary, Pace, Reply, Standin};
use countersign::context::{Context, ManualClock, Timestamp};
use countersign::failure::UserMessage;
use countersign::outbound::{Fault, Names, Network, Outbound, Request, Transports};
use countersign::upstream::{
    BeginRequest, Callback, CallbackMethod, Demanded, Departure, Health, Registry, Trace,
};
use serde_json::json;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// Begins a sign-in at a provider of these settings and returns the reason why it cannot.
async fn cannot_begin(settings: &str) -> &'static str {
    let context = Context::system();
    let registry = registry(vec![provider(settings)], &context);
    let entry = registry.iter().next().unwrap().clone();
    let request = BeginRequest { state: "s".to_owned(), callback: CALLBACK.to_owned(), ..Default::default() };
    entry.upstream.begin(&context, &request).await.unwrap_err().reason
}

#[tokio::test]
async fn oidc_057_issuers_where_we_must_not_go() {
    let public = OIDC.replace("allow_loopback = true", "");
    let mut names = 0;
    for issuer in crate::oidc::INSIDE {
        let settings = format!("issuer = \"{issuer}\"\n{public}");
        // what stands there as a number is told with the configuration; of a name it is seen where it leads
        if Url::parse(issuer).unwrap().domain().is_none() {
            let found = provider(&settings).check();
            assert_eq!(found.iter().map(|problem| problem.key).collect::<Vec<_>>(), ["issuer"], "{issuer}");
            continue;
        }
        assert_eq!(cannot_begin(&settings).await, "net.address", "{issuer}");
        names += 1;
    }
    assert_eq!(names, 2);
    // http and other schemes do not even make a configuration
    let canary = Canary::start();
    let context = Context::system();
    let settings = format!("issuer = \"{}\"\n{public}", canary.origin);
    let errors = Registry::build(vec![provider(&settings)], &|_| Ok("x".to_owned().into()), &context, None)
        .unwrap_err();
    assert_eq!(errors[0].problem.key, "issuer");
    assert_eq!(canary.touched(), 0);
    // the twin is every other test here: loopback with the switch
}

/// A name server whose answers change.
struct Turning {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names for Turning {
    fn lookup(&self, _name: &str) -> std::io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// Loopback stands for what is allowed, and a private network for what is not.
async fn ask(answers: Vec<Vec<&str>>, times: usize) -> (Vec<Fault>, usize) {
    let parse = |list: Vec<&str>| list.into_iter().map(|ip| ip.parse().unwrap()).collect();
    let names = Arc::new(Turning {
        answers: Mutex::new(answers.into_iter().map(parse).collect()),
        asked: AtomicUsize::new(0),
    });
    let network = Network {
        allow_loopback: true,
        allow_private_network: false,
        ca_file: None,
        timeout: Duration::from_secs(1),
    };
    let mut transports = Transports::with_names(names.clone());
    let outbound = Outbound::new(&network, Context::system(), &mut transports).unwrap();
    // it speaks no TLS, so that a connection is made and then fails
    let canary = Canary::start();
    let port = canary.origin.rsplit(':').next().unwrap();
    let mut faults = Vec::new();
    for _ in 0..times {
        let url = Url::parse(&format!("https://rebind.example:{port}/")).unwrap();
        faults.push(outbound.send(Request::get(url), 1000).await.unwrap_err());
    }
    (faults, names.asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn oidc_057_names_that_lead_inside() {
    let (faults, _) = ask(vec![vec!["10.0.0.1"]], 1).await;
    assert!(matches!(faults[0], Fault::Address(_)), "{faults:?}");
    // one inside among several outside
    let (faults, _) = ask(vec![vec!["127.0.0.1", "10.0.0.1"]], 1).await;
    assert!(matches!(faults[0], Fault::Address(_)), "{faults:?}");
    let (faults, _) = ask(vec![vec![]], 1).await;
    assert!(matches!(faults[0], Fault::Address(_)), "{faults:?}");
}

#[tokio::test]
async fn oidc_057_dns_rebinding() {
    // Allowed at the first look, inside at the second: each connection goes to an address that was checked
    // in the very look-up it came from, so the second is refused, and there is no third.
    let (faults, asked) = ask(vec![vec!["127.0.0.1"], vec!["169.254.169.254"]], 2).await;
    assert!(!matches!(faults[0], Fault::Address(_)), "the twin: an allowed address is tried: {faults:?}");
    assert!(matches!(faults[1], Fault::Address(_)), "{faults:?}");
    assert_eq!(asked, 2, "one look-up for each connection");
}

#[tokio::test]
async fn oidc_058_endpoints_on_another_scheme_or_inside() {
    row("OIDC-058").await;
}

#[tokio::test]
async fn a_discovery_document_that_is_not_the_issuers() {
    let cases: [(&str, fn(&mut Reply)); 7] = [
        ("oidc.discovery.issuer", |r| r.edit(|d| d["issuer"] = json!("https://other.example"))),
        ("oidc.discovery.issuer", |r| {
            r.edit(|d| d["issuer"] = json!(format!("{}/", d["issuer"].as_str().unwrap())))
        }),
        ("oidc.discovery.issuer", |r| r.edit(|d| d["issuer"] = json!(null))),
        ("oidc.discovery", |r| r.edit(|d| d["jwks_uri"] = json!(null))),
        ("oidc.discovery", |r| r.edit(|d| d["token_endpoint"] = json!(7))),
        ("oidc.discovery", |r| r.set("text/html", "<p>")),
        ("net.status", |r| r.status = 404),
    ];
    for (reason, change) in cases {
        let bench = Bench::oidc("");
        bench.standin.script().discovery = Box::new(change);
        let Err(failure) = bench.begin(|_| {}).await else { panic!("{reason}") };
        assert_eq!((failure.reason, failure.user), (reason, UserMessage::ProviderUnavailable));
        assert!(matches!(bench.entry.upstream.health(), Health::Down(_)));
        bench.standin.behave();
        bench.signs_in().await;
        assert_eq!(bench.entry.upstream.health(), Health::Up);
    }
}

/// A member that is null is one that is not there, where it may be absent.
#[tokio::test]
async fn an_endpoint_that_is_null_is_none() {
    for (value, fine) in [(json!(null), true), (json!(7), false), (json!(""), false)] {
        let bench = Bench::oidc("userinfo = \"never\"");
        bench.standin.script().discovery =
            Box::new(move |reply| reply.edit(|d| d["userinfo_endpoint"] = value.clone()));
        match fine {
            true => drop(bench.signs_in().await),
            false => assert!(bench.begin(|_| {}).await.is_err()),
        }
    }
}

#[tokio::test]
async fn oidc_059_redirects_are_not_followed() {
    row("OIDC-059").await;
}

#[tokio::test]
async fn oidc_061_a_provider_that_hangs_holds_nobody_else_up() {
    let slow = Bench::oidc("");
    slow.signs_in().await;
    let other = Bench::oidc("");
    for pace in [Pace::Hang, Pace::Drip] {
        slow.standin.script().token = Box::new(move |reply| {
            reply.body.resize(4000, b' ');
            reply.pace = pace;
        });
        // many wait there while another provider's person signs in
        let waiting = futures_util::future::join_all((0..3).map(|_| slow.sign_in()));
        let passing = async {
            for _ in 0..5 {
                other.signs_in().await;
            }
            Timestamp(0)
        };
        let first = futures_util::future::select(Box::pin(waiting), Box::pin(passing)).await;
        let futures_util::future::Either::Right((_, waiting)) = first else {
            panic!("the other provider waited for the one that hangs")
        };
        for (outcome, trace) in waiting.await {
            let failure = refused(outcome, &trace, "net.timeout");
            assert_eq!(failure.user, UserMessage::ProviderUnavailable);
        }
        slow.standin.behave();
        slow.signs_in().await;
    }
}

#[tokio::test]
async fn a_provider_that_fails_again_and_again_is_left_alone_for_a_while() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    bench.standin.script().token = Box::new(|reply| reply.pace = Pace::Drop);
    for _ in 0..5 {
        let (outcome, trace) = bench.sign_in().await;
        refused(outcome, &trace, "net.connect");
    }
    let asked = bench.standin.count("/token");
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "net.open");
    assert_eq!(bench.standin.count("/token"), asked);
    assert!(matches!(bench.entry.upstream.health(), Health::Down(_)));
    bench.standin.behave();
    bench.clock.advance(Duration::from_secs(10));
    bench.signs_in().await;
    assert_eq!(bench.entry.upstream.health(), Health::Up);
}

/// A provider may answer 5xx to a code that it never made, and anybody can bring such a code back.
#[tokio::test]
async fn invented_codes_keep_nobody_out() {
    let plain = |origin: &str| {
        format!(
            "id = \"friendbook\"\nkind = \"oauth2\"\nname = \"Friendbook\"\nauthorize_url = \"{origin}/dialog\"\n\
             token_url = \"{origin}/token\"\nuserinfo_url = \"{origin}/me\"\nclient_id = \"countersign\"\n\
             client_secret = \"env:SECRET\"\nsubject = \"id\"\nprovisioning = \"open\"\nallow_loopback = true"
        )
    };
    for bench in [Bench::oidc("userinfo = \"always\""), Bench::new(plain)] {
        bench.standin.script().token = Box::new(|reply| {
            if reply.status != 200 {
                *reply = Reply::json(500, &json!({}));
            }
        });
        let open = bench.begin(|_| {}).await.unwrap();
        for i in 0..10 {
            let code = format!("x{i}");
            let (outcome, trace) = bench
                .finish(&open, |callback| drop(callback.parameters.insert("code".to_owned(), code)))
                .await;
            refused(outcome, &trace, "net.status");
        }
        assert!(!matches!(bench.entry.upstream.health(), Health::Down(_)));
        bench.signs_in().await;
        // nor does one whose profile cannot be had
        bench.standin.script().userinfo = Box::new(|reply| reply.status = 500);
        bench.standin.script().profile = Box::new(|reply| reply.status = 500);
        for _ in 0..10 {
            assert!(bench.sign_in().await.0.is_err());
        }
        bench.standin.behave();
        bench.signs_in().await;
    }
}

#[tokio::test]
async fn what_a_provider_publishes_is_asked_for_while_its_token_endpoint_is_away() {
    let bench = Bench::oidc("");
    bench.standin.script().token = Box::new(|reply| reply.pace = Pace::Drop);
    for _ in 0..6 {
        assert!(bench.sign_in().await.0.is_err());
    }
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "net.open");
    assert_eq!(bench.standin.count("/jwks"), 0);
    bench.entry.upstream.warm(&bench.context).await.unwrap();
    assert_eq!(bench.standin.count("/jwks"), 1);
    assert!(matches!(bench.entry.upstream.health(), Health::Down(why) if why.contains("in a row")));
}

#[tokio::test]
async fn while_the_provider_is_away_what_it_published_is_used_on() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    let away = || -> crate::standin::Edit<Reply> { Box::new(|reply| *reply = Reply::json(404, &json!({}))) };
    bench.standin.script().discovery = away();
    bench.standin.script().jwks = away();
    bench.clock.advance(Duration::from_secs(2 * 3600));
    bench.signs_in().await;
    bench.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(bench.begin(|_| {}).await.err().map(|failure| failure.reason), Some("net.status"));
}

#[tokio::test]
async fn what_will_soon_be_too_old_is_refreshed_behind_the_scenes() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/jwks"), 1);
    bench.clock.advance(Duration::from_secs(9 * 60));
    bench.signs_in().await;
    for _ in 0..200 {
        if bench.standin.count("/jwks") == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never refreshed");
}

#[tokio::test]
async fn warming_fetches_everything_once() {
    let bench = Bench::oidc("");
    assert_eq!(bench.entry.upstream.health(), Health::Unknown);
    assert!(bench.entry.upstream.form_targets().is_empty(), "not known yet");
    bench.entry.upstream.warm(&bench.context).await.unwrap();
    assert_eq!(bench.standin.count("/jwks"), 1, "before anybody signs in");
    assert_eq!(bench.entry.upstream.form_targets(), [bench.standin.origin()]);
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/.well-known/openid-configuration"), 1);
    assert_eq!(bench.standin.count("/jwks"), 1);
}

#[tokio::test]
async fn a_reload_keeps_what_stayed_the_same() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let standin = Standin::start(clock);
    let context = Context::system();
    let settings = |more: &str| provider(&format!("issuer = \"{}\"\n{OIDC}\n{more}", standin.origin()));
    let before = registry(vec![settings("")], &context);
    let build = |provider| {
        Registry::build(
            vec![provider],
            &|_| Ok(crate::standin::CLIENT_SECRET.to_owned().into()),
            &context,
            Some(&before),
        )
        .unwrap()
    };
    let same = build(settings(""));
    let other = build(settings("order = 5"));
    let upstream = |registry: &Registry| registry.iter().next().unwrap().upstream.clone();
    assert!(Arc::ptr_eq(&upstream(&before), &upstream(&same)));
    assert!(!Arc::ptr_eq(&upstream(&before), &upstream(&other)));
}

/// A file of authorities counts by what is in it: a reload takes what stands there now.
#[tokio::test]
async fn a_reload_takes_a_changed_file_of_authorities() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let context = Context::new(clock.clone(), Arc::new(countersign::context::SeededEntropy::new(1)));
    let own = rcgen::generate_simple_self_signed(vec!["provider.localhost".to_owned()]).unwrap();
    let (first_ca, second_ca) = (include_str!("../support/tls/ca.pem").to_owned(), own.cert.pem());
    let first = Standin::start_tls(clock.clone());
    let second =
        Standin::start_tls_as(clock, second_ca.as_bytes(), own.signing_key.serialize_pem().as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let build = |before: Option<&Registry>| {
        let one = |id: &str, standin: &Standin| {
            let table = OIDC.replace("id = \"globex\"", &format!("id = \"{id}\""));
            let table = table.replace("authoritative_for = [\"globex.example\"]", "");
            provider(&format!("issuer = \"{}\"\n{table}\nca_file = \"{}\"", standin.origin(), ca.display()))
        };
        let providers = vec![one("first", &first), one("second", &second)];
        Registry::build(providers, &|_| Ok("x".to_owned().into()), &context, before)
    };
    let reached = async |registry: &Registry| {
        let mut reached = Vec::new();
        for entry in registry.iter() {
            let outcome = entry.upstream.warm(&context).await;
            reached.push(outcome.map_err(|failure| failure.reason));
        }
        reached
    };
    std::fs::write(&ca, &first_ca).unwrap();
    let before = build(None).unwrap();
    assert_eq!(reached(&before).await, [Ok(true), Err("net.connect")]);
    // the twin: the same file changes nothing, and what was known stays known
    let same = build(Some(&before)).unwrap();
    let upstreams = |registry: &Registry| registry.iter().map(|e| e.upstream.clone()).collect::<Vec<_>>();
    assert!(upstreams(&before).iter().zip(&upstreams(&same)).all(|(a, b)| Arc::ptr_eq(a, b)));
    std::fs::write(&ca, &second_ca).unwrap();
    let after = build(Some(&before)).unwrap();
    assert_eq!(reached(&after).await, [Err("net.connect"), Ok(true)]);
    std::fs::remove_file(&ca).unwrap();
    let errors = build(Some(&after)).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.problem.key).collect::<Vec<_>>(), ["ca_file", "ca_file"]);
}

#[test]
fn two_providers_cannot_prove_one_domain() {
    let text = format!(
        "[[provider]]\nissuer = \"https://a.example\"\n{OIDC}\n[[provider]]\nissuer = \"https://b.example\"\n{OIDC}"
    );
    let list = crate::bench::providers(&text);
    let problems: Vec<&str> = Registry::check(&list).iter().map(|error| error.problem.key).collect();
    assert_eq!(problems, ["id", "authoritative_for"]);
}

#[tokio::test]
async fn over_tls_only_an_authority_that_is_trusted_counts() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let standin = Standin::start_tls(clock.clone());
    let context = Context::new(clock, Arc::new(countersign::context::SeededEntropy::new(1)));
    let settings = |more: &str| provider(&format!("issuer = \"{}\"\n{OIDC}\n{more}", standin.origin()));
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, include_bytes!("../support/tls/ca.pem")).unwrap();
    let ca = ca.display();

    let request = BeginRequest { state: "s".to_owned(), callback: CALLBACK.to_owned(), ..Default::default() };
    let entry = |more: &str| registry(vec![settings(more)], &context).iter().next().unwrap().clone();
    // the public authorities do not know it
    let failure = entry("").upstream.begin(&context, &request).await.unwrap_err();
    assert_eq!(failure.reason, "net.connect");
    assert!(standin.seen().is_empty());

    let trusted = entry(&format!("ca_file = \"{ca}\""));
    let begun = trusted.upstream.begin(&context, &request).await.unwrap();
    let Departure::RedirectTo(url) = begun.departure else { panic!("not a redirect") };
    let callback = Callback {
        method: CallbackMethod::Get,
        parameters: standin.approve(&url),
        callback: CALLBACK.to_owned(),
        demanded: Demanded::default(),
    };
    let mut trace = Trace::default();
    let vouched = trusted.upstream.finish(&context, &begun.state, &callback, &mut trace).await.unwrap();
    assert_eq!(vouched.identity.key().issuer, standin.origin());

    // a name that the certificate does not have
    let other = standin.origin().replace("provider.localhost", "other.localhost");
    let text = format!("issuer = \"{other}\"\n{OIDC}\nca_file = \"{ca}\"");
    let stranger = registry(vec![provider(&text)], &context).iter().next().unwrap().clone();
    let failure = stranger.upstream.begin(&context, &request).await.unwrap_err();
    assert_eq!(failure.reason, "net.connect");
}

#[test]
fn a_file_of_authorities_must_hold_one() {
    let folder = tempfile::tempdir().unwrap();
    let context = Context::system();
    for (name, content) in [("missing.pem", None), ("empty.pem", Some("")), ("odd.pem", Some("hello"))] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let text = format!("issuer = \"https://id.example\"\n{OIDC}\nca_file = \"{}\"", path.display());
        let secrets = |_: &_| Ok("x".to_owned().into());
        let errors = Registry::build(vec![provider(&text)], &secrets, &context, None).unwrap_err();
        assert_eq!(errors[0].problem.key, "ca_file", "{name}");
    }
}
