//! All providers together: what is wrong with any of them is told, and nothing is built half.

use crate::bench::{OIDC, provider, providers, registry};
use crate::standin::Standin;
use countersign::context::{Context, ManualClock, SeededEntropy, Timestamp};
use countersign::upstream::registry::BuildError;
use countersign::upstream::{BeginRequest, Provider, Registry};
use secrecy::SecretString;
use std::cell::RefCell;
use std::sync::Arc;

fn issuer(more: &str) -> Provider {
    provider(&format!("issuer = \"https://id.example\"\n{OIDC}\n{more}"))
}

fn told(errors: &[BuildError]) -> Vec<(&str, &str)> {
    errors.iter().map(|error| (error.provider.as_str(), error.problem.key)).collect()
}

#[test]
fn without_its_secret_no_provider_is_built() {
    let context = Context::system();
    let other = provider(
        &format!("issuer = \"https://b.example\"\n{OIDC}")
            .replace("\"globex\"", "\"initech\"")
            .replace("globex.example", "initech.example"),
    );
    let lost = |_: &_| Err("the variable SECRET is not set".to_owned());
    let errors = Registry::build(vec![issuer(""), other.clone()], &lost, &context, None).unwrap_err();
    assert_eq!(told(&errors), [("globex", "client_secret"), ("initech", "client_secret")]);
    assert_eq!(errors[0].problem.message, "the variable SECRET is not set");
    let found = |_: &_| Ok(SecretString::from("x"));
    let registry = Registry::build(vec![issuer(""), other], &found, &context, None).unwrap();
    assert_eq!((registry.len(), registry.is_empty()), (2, false));
    assert!(Registry::default().is_empty());
}

#[test]
fn what_contradicts_itself_is_told_before_any_secret_is_read() {
    let asked = RefCell::new(0);
    let secrets = |_: &_| {
        *asked.borrow_mut() += 1;
        Err("nobody should have asked".to_owned())
    };
    let list = vec![issuer("skew = \"301s\"")];
    let errors = Registry::build(list.clone(), &secrets, &Context::system(), None).unwrap_err();
    assert_eq!(errors, Registry::check(&list));
    assert_eq!(told(&errors), [("globex", "skew")]);
    assert_eq!(*asked.borrow(), 0);
}

#[test]
fn a_reload_keeps_a_provider_only_with_the_same_settings_and_secrets() {
    let context = Context::system();
    let before = registry(vec![issuer("")], &context);
    let again = |more: &str, secret: &'static str| {
        let secrets = |_: &_| Ok(SecretString::from(secret));
        let after = Registry::build(vec![issuer(more)], &secrets, &context, Some(&before)).unwrap();
        let upstream = |registry: &Registry| registry.iter().next().unwrap().upstream.clone();
        Arc::ptr_eq(&upstream(&before), &upstream(&after))
    };
    assert!(again("", crate::standin::CLIENT_SECRET));
    assert!(!again("", "rotated"), "a secret that was exchanged counts at once");
    assert!(!again("order = 5", crate::standin::CLIENT_SECRET));
    assert!(!again("order = 5", "rotated"));
}

/// While it is away, people go on signing in by it although its name or policy was edited.
#[tokio::test]
async fn a_reload_keeps_what_was_fetched_of_a_provider_unless_it_may_be_another() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let standin = Standin::start(clock);
    let build = |more: &str, before: Option<&Registry>| {
        let settings = provider(&format!("issuer = \"{}\"\n{OIDC}\n{more}", standin.origin()));
        let secrets = |_: &_| Ok(SecretString::from(crate::standin::CLIENT_SECRET));
        Registry::build(vec![settings], &secrets, &context, before).unwrap()
    };
    let fetched = async |registry: &Registry| {
        let request = BeginRequest {
            state: "csst_state".to_owned(),
            callback: "https://login.example/callback".to_owned(),
            ..Default::default()
        };
        registry.iter().next().unwrap().upstream.begin(&context, &request).await.unwrap();
        standin.count("/.well-known/openid-configuration")
    };
    let before = build("", None);
    assert_eq!(fetched(&before).await, 1);
    let renamed = build("order = 5", Some(&before));
    assert_eq!(fetched(&renamed).await, 1);
    assert_eq!(fetched(&build("order = 5\nscopes = [\"openid\"]", Some(&renamed))).await, 2);
    let elsewhere = build("order = 5\nallow_private_network = true", Some(&renamed));
    assert_eq!(fetched(&elsewhere).await, 3, "another may stand at that address");
    assert_eq!(fetched(&build("order = 5", None)).await, 4, "nothing was there before");
}

#[test]
fn one_is_found_by_its_id_and_shows_no_secret() {
    let registry = registry(vec![issuer("")], &Context::system());
    let entry = registry.iter().next().unwrap().clone();
    assert_eq!(registry.get(&entry.id).map(|found| found.id), Some(entry.id.clone()));
    assert_eq!(
        registry.get(&countersign::ids::ProviderId::new("initech").unwrap()).map(|found| found.id),
        None
    );
    assert_eq!(entry.upstream.id(), &entry.id);
    assert_eq!(entry.settings().common.id, entry.id);
    let shown = format!("{entry:?}");
    assert!(shown.starts_with("Entry") && shown.contains("globex"), "{shown}");
    assert!(!shown.contains(crate::standin::CLIENT_SECRET));
}

#[test]
fn two_of_one_id_and_two_that_prove_one_domain() {
    let text = format!("[[provider]]\nissuer = \"https://a.example\"\n{OIDC}");
    let other = text.replace("\"globex\"", "\"initech\"");
    assert_eq!(told(&Registry::check(&providers(&text))), []);
    assert_eq!(
        told(&Registry::check(&providers(&format!("{text}\n{other}")))),
        [("initech", "authoritative_for")]
    );
    let elsewhere = text.replace("globex.example", "initech.example");
    assert_eq!(told(&Registry::check(&providers(&format!("{text}\n{elsewhere}")))), [("globex", "id")]);
}
