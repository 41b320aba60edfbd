//! A provider of the kind from its settings on: what they refuse, what goes out, what is read of metadata, what we
//! publish, and a whole sign-in.

mod metadata;
mod metadata_edges;
mod own;
mod request;
mod settings;
mod told;
mod whole;

use crate::saml::{Idp, Key, Message};
use countersign::context::{Context, ManualClock, SeededEntropy, Timestamp};
use countersign::failure::Failure;
use countersign::outbound::install_crypto;
use countersign::upstream::settings::Contradiction;
use countersign::upstream::{
    BeginRequest, Begun, Callback, CallbackMethod, Demanded, Entry, Provider, Registry, Trace, Vouched,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

pub const CALLBACK: &str = "https://login.example/upstream/acme/callback";
pub const ENTITY: &str = "https://id.acme.example/metadata";
pub const OURS: &str = "https://login.example/upstream/acme/metadata";

/// What every provider here is set to.
const COMMON: &str = r#"
id = "acme"
name = "Acme"
provisioning = "open"
allow_loopback = true
timeout = "1s"
"#;

/// A provider without metadata.
pub const BY_HAND: &str = r#"
sso_url = "https://id.acme.example/sso"
certificates = ["file:idp.pem"]
"#;

/// Reads one table.
pub fn provider(more: &str) -> Result<Provider, String> {
    let named = more.lines().any(|line| line.starts_with("entity_id"));
    let entity = if named { String::new() } else { format!("entity_id = \"{ENTITY}\"\n") };
    let kind = if more.lines().any(|line| line.starts_with("preset")) { "" } else { "kind = \"saml\"\n" };
    let text = format!("{COMMON}{kind}{entity}{more}");
    bare(&text)
}

/// Reads one table, just as it is.
pub fn bare(text: &str) -> Result<Provider, String> {
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let span = table.span();
    Provider::from_table(Spanned::new(span, table.into_inner())).map_err(|errors| {
        errors.iter().map(|error| error.message().to_owned()).collect::<Vec<_>>().join("; ")
    })
}

/// The files that settings here refer to.
pub fn files() -> BTreeMap<String, String> {
    let own = |key: &Key| format!("{}{}", key.private_pem(), key.pem());
    BTreeMap::from([
        ("file:idp.pem".to_owned(), Key::rsa().pem()),
        ("file:idp-next.pem".to_owned(), Key::rsa_next().pem()),
        ("file:ec.pem".to_owned(), Key::p256().pem()),
        ("file:attacker.pem".to_owned(), Key::attacker().pem()),
        ("file:own.pem".to_owned(), own(&Key::service())),
        ("file:own-next.pem".to_owned(), own(&Key::rsa_3072())),
        ("file:private-alone.pem".to_owned(), Key::service().private_pem().to_owned()),
        ("file:mixed.pem".to_owned(), format!("{}{}", Key::service().private_pem(), Key::rsa().pem())),
        ("file:own-ec.pem".to_owned(), own(&Key::p256())),
        ("file:nonsense.pem".to_owned(), "nonsense".to_owned()),
    ])
}

pub struct Bench {
    pub clock: Arc<ManualClock>,
    pub context: Context,
    pub entry: Entry,
}

/// Builds a provider; `files` are what references lead to.
pub fn build(more: &str, files: &BTreeMap<String, String>) -> Result<Bench, Vec<Contradiction>> {
    install_crypto();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let provider = provider(more).unwrap_or_else(|error| panic!("{error}\n{more}"));
    let id = provider.common.id.clone();
    let found = |reference: &countersign::upstream::settings::SecretRef| {
        files.get(&reference.to_string()).cloned().map(Into::into).ok_or_else(|| "not there".to_owned())
    };
    let registry = Registry::build(vec![provider], &found, &context, None)
        .map_err(|errors| errors.into_iter().map(|error| error.problem).collect::<Vec<_>>())?;
    Ok(Bench { clock, context, entry: registry.get(&id).unwrap() })
}

impl Bench {
    pub fn new(more: &str) -> Self {
        build(more, &files()).unwrap_or_else(|problems| panic!("{problems:#?}\n{more}"))
    }

    pub async fn begin(&self, change: impl FnOnce(&mut BeginRequest)) -> Result<Begun, Failure> {
        let mut request = BeginRequest {
            state: "csst_state".to_owned(),
            callback: CALLBACK.to_owned(),
            ..BeginRequest::default()
        };
        change(&mut request);
        self.entry.upstream.begin(&self.context, &request).await
    }

    pub async fn finish(&self, begun: &Begun, message: &Message) -> (Result<Vouched, Failure>, Trace) {
        self.finish_demanding(begun, message, Demanded::default()).await
    }

    pub async fn finish_demanding(
        &self,
        begun: &Begun,
        message: &Message,
        demanded: Demanded,
    ) -> (Result<Vouched, Failure>, Trace) {
        let callback = Callback {
            method: CallbackMethod::Post,
            parameters: message.form(),
            callback: CALLBACK.to_owned(),
            demanded,
        };
        let mut trace = Trace::default();
        let outcome = self.entry.upstream.finish(&self.context, &begun.state, &callback, &mut trace).await;
        (outcome, trace)
    }

    pub fn now(&self) -> Timestamp {
        self.context.now()
    }
}

pub fn idp() -> Idp {
    Idp::new(ENTITY, "https://id.acme.example", Key::rsa())
}
