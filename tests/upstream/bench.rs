//! One provider built from its TOML, a stand-in to answer it, and what every case checks.

use crate::oidc::{self, Case, Kind, Outcome, World};
use crate::standin::{CLIENT_SECRET, Canary, Script, Standin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::clients::SigningAlg;
use countersign::context::{Context, ManualClock, SeededEntropy, Timestamp};
use countersign::failure::{Failure, UserMessage};
use countersign::jose::SigningKey;
use countersign::upstream::settings::SecretRef;
use countersign::upstream::{
    BeginRequest, Begun, Callback, CallbackMethod, Demanded, Departure, Entry, Provider, Registry, Trace,
    Vouched,
};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

pub const CALLBACK: &str = "http://localhost:8080/upstream/globex/callback";

/// What an OpenID Connect provider is set to, but for its issuer.
pub const OIDC: &str = r#"
id = "globex"
kind = "oidc"
name = "Globex"
client_id = "countersign"
client_secret = "env:SECRET"
authoritative_for = ["globex.example"]
provisioning = "open"
allow_loopback = true
timeout = "1s"
"#;

pub fn provider(text: &str) -> Provider {
    let table = DeTable::parse(text).unwrap();
    let span = table.span();
    Provider::from_table(Spanned::new(span, table.into_inner()))
        .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

pub fn registry(providers: Vec<Provider>, context: &Context) -> Registry {
    Registry::build(providers, &|reference| Ok(secret(reference).into()), context, None).unwrap()
}

/// A secret of 256 bits, which HS256 wants at least.
pub const LONG_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A private key for P-256, as consoles give it.
pub static PEM: LazyLock<String> = LazyLock::new(|| {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    armoured(aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap().as_ref())
});

/// Other private keys, as consoles give them: for RSA, and for Ed25519.
pub static RSA_PEM: LazyLock<String> = LazyLock::new(|| pem(SigningAlg::RS256));
pub static ED_PEM: LazyLock<String> = LazyLock::new(|| pem(SigningAlg::EdDSA));

fn pem(alg: SigningAlg) -> String {
    armoured(&SigningKey::generate(alg).unwrap().1)
}

fn armoured(der: &[u8]) -> String {
    let label = ["PRIVATE", "KEY"].join(" ");
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn secret(reference: &SecretRef) -> String {
    match reference.to_string().as_str() {
        "env:KEY" => PEM.clone(),
        "env:RSA_KEY" => RSA_PEM.clone(),
        "env:ED_KEY" => ED_PEM.clone(),
        "env:LONG_SECRET" => LONG_SECRET.to_owned(),
        _ => CLIENT_SECRET.to_owned(),
    }
}

pub struct Bench {
    pub standin: Standin,
    pub canary: Canary,
    pub clock: Arc<ManualClock>,
    pub context: Context,
    pub entry: Entry,
}

/// A sign-in that has begun.
pub struct Open {
    pub begun: Begun,
    pub url: Url,
}

impl Bench {
    /// An OpenID Connect provider with further settings (`key = value` lines, then tables).
    pub fn oidc(more: &str) -> Self {
        Self::new(|origin| format!("issuer = \"{origin}\"\n{OIDC}\n{more}"))
    }

    /// A provider of any settings, given the stand-in's origin.
    pub fn new(settings: impl FnOnce(&str) -> String) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
        let standin = Standin::start(clock.clone());
        let provider = provider(&settings(standin.origin()));
        let id = provider.common.id.clone();
        let entry = registry(vec![provider], &context).get(&id).unwrap();
        Self { standin, canary: Canary::start(), clock, context, entry }
    }

    /// A provider of one of the two kinds with further settings.
    pub fn of(kind: Kind, more: &str) -> Self {
        match kind {
            Kind::OpenId => Self::oidc(more),
            Kind::OAuth2 => {
                Self::new(|origin| format!("{}\n{more}", crate::oauth2::shaped_as_facebook(origin)))
            }
        }
    }

    /// What changes know of this provider.
    pub fn world(&self) -> World {
        let (issuer, canary) = (self.standin.origin().to_owned(), self.canary.origin.clone());
        World { issuer, canary, now: self.context.now().secs() }
    }

    /// Without the change, the person is signed in.
    async fn behaves(&self, case: &Case) {
        self.standin.behave();
        oidc::sound(case.settings, &mut self.standin.script(), &self.world());
        self.signs_in().await;
    }

    pub async fn begin(&self, change: impl FnOnce(&mut BeginRequest)) -> Result<Open, Failure> {
        let mut request = BeginRequest {
            state: "csst_state".to_owned(),
            callback: CALLBACK.to_owned(),
            ..Default::default()
        };
        change(&mut request);
        let begun = self.entry.upstream.begin(&self.context, &request).await?;
        let Departure::RedirectTo(url) = begun.departure.clone() else { panic!("not a redirect") };
        Ok(Open { begun, url })
    }

    pub async fn finish(
        &self,
        open: &Open,
        change: impl FnOnce(&mut Callback),
    ) -> (Result<Vouched, Failure>, Trace) {
        let mut callback = Callback {
            method: CallbackMethod::Get,
            parameters: self.standin.approve(&open.url),
            callback: CALLBACK.to_owned(),
            demanded: Demanded::default(),
        };
        change(&mut callback);
        let mut trace = Trace::default();
        let outcome =
            self.entry.upstream.finish(&self.context, &open.begun.state, &callback, &mut trace).await;
        (outcome, trace)
    }

    /// A whole sign-in.
    pub async fn sign_in(&self) -> (Result<Vouched, Failure>, Trace) {
        match self.begin(|_| {}).await {
            Ok(open) => self.finish(&open, |_| {}).await,
            Err(failure) => (Err(failure), Trace::default()),
        }
    }

    pub async fn signs_in(&self) -> Vouched {
        let (outcome, trace) = self.sign_in().await;
        assert!(trace.steps().iter().all(|step| step.passed), "{:?}", trace.steps());
        outcome.unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    /// The case: a valid sign-in works before the mutation and right after it; with it, the sign-in ends with
    /// `reason`, which is also the one step that failed; and nobody was spoken to but the provider.
    pub async fn refuses(&self, reason: &str, mutate: impl FnOnce(&mut Script)) -> Failure {
        self.signs_in().await;
        mutate(&mut self.standin.script());
        let (outcome, trace) = self.sign_in().await;
        let failure = refused(outcome, &trace, reason);
        self.standin.behave();
        self.signs_in().await;
        self.only_the_provider_was_asked();
        failure
    }

    /// The same for a mutation of the callback.
    pub async fn refuses_callback(&self, reason: &str, mutate: impl FnOnce(&mut Callback)) -> Failure {
        self.signs_in().await;
        let open = self.begin(|_| {}).await.unwrap();
        let before = self.standin.count("/token");
        let (outcome, trace) = self.finish(&open, mutate).await;
        let failure = refused(outcome, &trace, reason);
        assert_eq!(self.standin.count("/token"), before, "the code was redeemed");
        self.signs_in().await;
        self.only_the_provider_was_asked();
        failure
    }

    pub fn only_the_provider_was_asked(&self) {
        assert_eq!(self.canary.touched(), 0, "somebody spoke to the canary");
        let known =
            ["/.well-known/openid-configuration", "/jwks", "/par", "/token", "/userinfo", "/me", "/emails"];
        for seen in self.standin.seen() {
            assert!(known.contains(&seen.path.as_str()), "asked for {}", seen.path);
        }
    }

    /// The clock goes on, far enough that nothing is cooling down.
    pub fn later(&self) {
        self.clock.advance(Duration::from_secs(31));
    }
}

/// Tries all changes of a row of the corpus, each between two sound sign-ins, and gives those that were refused.
pub async fn row(row: &str) -> Vec<(Case, Failure)> {
    let mut bench: Option<Bench> = None;
    let mut settings = (Kind::OpenId, "");
    let mut refusals = Vec::new();
    for case in oidc::row(row) {
        println!("{case}");
        let kept = bench.take().filter(|_| !case.published && settings == (case.kind, case.settings));
        settings = (case.kind, case.settings);
        let here = kept.unwrap_or_else(|| Bench::of(case.kind, case.settings));
        // What is published must not have been read before.
        if !case.published {
            here.behaves(&case).await;
        }
        here.later();
        let (before, keys) = (here.standin.count("/token"), here.standin.count("/jwks"));
        case.spoil(&mut here.standin.script(), &here.world());
        let (outcome, trace) = here.sign_in().await;
        // Once more on suspicion, at most.
        let read = here.standin.count("/jwks") - keys;
        assert!(read <= 1 + usize::from(case.published), "{case}: keys were read {read} times");
        match case.outcome {
            Outcome::Refused(reason) => {
                let failure = refused(outcome, &trace, reason);
                assert_eq!(here.standin.count("/token") > before, case.redeemed, "{case}: the code");
                here.only_the_provider_was_asked();
                if case.published {
                    Bench::of(case.kind, case.settings).behaves(&case).await;
                } else {
                    here.behaves(&case).await;
                }
                refusals.push((case, failure));
            }
            Outcome::Accepted | Outcome::Unproved => {
                let vouched = outcome.unwrap_or_else(|failure| panic!("{case}: {failure:?}"));
                assert!(trace.steps().iter().all(|step| step.passed), "{case}: {:?}", trace.steps());
                let claimed = vouched.identity.email().is_some();
                let proved = vouched.identity.verified_email().is_some();
                assert_eq!(proved, claimed && case.outcome == Outcome::Accepted, "{case}");
            }
        }
        bench = Some(here);
    }
    refusals
}

/// The sign-in was refused for this reason, and the trace says so as its last step and only there.
pub fn refused<T: std::fmt::Debug>(outcome: Result<T, Failure>, trace: &Trace, reason: &str) -> Failure {
    let failure = match outcome {
        Ok(vouched) => panic!("accepted, wanted {reason}: {vouched:?}"),
        Err(failure) => failure,
    };
    assert_eq!(failure.reason, reason, "{failure:?}");
    if !trace.steps().is_empty() {
        let failed: Vec<&str> =
            trace.steps().iter().filter(|step| !step.passed).map(|step| step.check.as_str()).collect();
        assert_eq!(failed, [reason], "{:?}", trace.steps());
        assert_eq!(trace.steps().last().map(|step| step.check.as_str()), Some(reason));
    }
    // no secret and no token in what operators read, whatever went wrong (OIDC-074)
    let told = format!("{failure:?} {:?}", trace.steps());
    for secret in [CLIENT_SECRET, "access-", "eyJ"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert_ne!(failure.user, UserMessage::AppMisconfigured, "the app is not to blame");
    failure
}

/// A list of tables, as `[[provider]]` gives them.
pub fn providers(text: &str) -> Vec<Provider> {
    let mut root = DeTable::parse(text).unwrap().into_inner();
    let Some((_, list)) = root.remove_entry("provider") else { panic!("no provider") };
    let DeValue::Array(list) = list.into_inner() else { panic!("not a list") };
    let table = |value: Spanned<DeValue<'_>>| {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else { panic!("not a table") };
        Provider::from_table(Spanned::new(span, table)).unwrap()
    };
    list.into_iter().map(table).collect()
}
