//! One provider built from its TOML, the stand-in that answers it, and what every case checks.

use crate::saml::{Idp, Key, Message, Request, Script};
use crate::standin::Canary;
use countersign::context::{Context, ManualClock, SeededEntropy, Timestamp};
use countersign::failure::{Failure, UserMessage};
use countersign::upstream::{
    BeginRequest, Begun, Callback, CallbackMethod, Demanded, Entry, Provider, Registry, Trace, Vouched,
};
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

pub const CALLBACK: &str = "http://localhost:8080/upstream/acme/callback";
/// Our entity id, by default the address of our metadata.
pub const ENTITY_ID: &str = "http://localhost:8080/upstream/acme/metadata";
/// The provider's.
pub const IDP: &str = "https://idp.acme.example/saml";
/// The person of the sound script.
pub const ALICE: &str = "alice-persistent";

/// Settings of the provider, with further ones (`key = value` lines).
pub fn settings(certificates: &[Key], more: &str) -> String {
    let certificates: Vec<String> =
        certificates.iter().map(|key| format!("\"\"\"\n{}\"\"\"", key.pem())).collect();
    format!(
        r#"
id = "acme"
kind = "saml"
name = "Acme"
entity_id = "{IDP}"
sso_url = "https://idp.acme.example/sso"
certificates = [{}]
authoritative_for = ["acme.example"]
email_verified = "true"
provisioning = "open"
{more}

[attributes]
email = "email"
name = "name"
groups = "groups"
"#,
        certificates.join(", ")
    )
}

/// Builds a provider; what is wrong with it otherwise.
pub fn build(text: &str, context: &Context) -> Result<Entry, String> {
    let table = DeTable::parse(text).unwrap();
    let span = table.span();
    let provider =
        Provider::from_table(Spanned::new(span, table.into_inner())).map_err(|wrong| format!("{wrong:?}"))?;
    let id = provider.common.id.clone();
    let ours = format!("{}{}", Key::service().private_pem(), Key::service().pem());
    let registry = Registry::build(vec![provider], &|_| Ok(ours.clone().into()), context, None)
        .map_err(|wrong| format!("{wrong:?}"))?;
    Ok(registry.get(&id).unwrap())
}

pub struct Bench {
    pub idp: Idp,
    pub canary: Canary,
    pub clock: Arc<ManualClock>,
    pub context: Context,
    pub entry: Entry,
}

/// A sign-in that has begun.
pub struct Open {
    pub begun: Begun,
    pub request: Request,
}

impl Bench {
    /// A provider that signs assertions with an RSA key.
    pub fn new() -> Self {
        Self::with(Key::rsa(), "")
    }

    /// A provider with this key, and further settings.
    pub fn with(key: Key, more: &str) -> Self {
        Self::of(&[key], more)
    }

    /// A provider of which these certificates are known; it signs with the first.
    pub fn of(keys: &[Key], more: &str) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
        let entry = build(&settings(keys, more), &context).unwrap_or_else(|wrong| panic!("{wrong}"));
        let idp = Idp::new(IDP, "https://idp.acme.example", keys[0].clone());
        Self { idp, canary: Canary::start(), clock, context, entry }
    }

    pub fn now(&self) -> Timestamp {
        self.context.now()
    }

    pub async fn begin(&self) -> Open {
        self.begin_with(|_| {}).await
    }

    pub async fn begin_with(&self, change: impl FnOnce(&mut BeginRequest)) -> Open {
        let mut request = BeginRequest {
            state: "csst_state".to_owned(),
            callback: CALLBACK.to_owned(),
            ..Default::default()
        };
        change(&mut request);
        let begun = self.entry.upstream.begin(&self.context, &request).await.unwrap();
        let request = Request::of(&begun.departure);
        Open { begun, request }
    }

    /// A sound answer, to be changed.
    pub fn script(&self, open: &Open) -> Script {
        self.idp.script(self.now(), &open.request, CALLBACK)
    }

    pub async fn finish(&self, open: &Open, message: &Message) -> (Result<Vouched, Failure>, Trace) {
        self.finish_with(open, message, |_| {}).await
    }

    pub async fn finish_with(
        &self,
        open: &Open,
        message: &Message,
        change: impl FnOnce(&mut Callback),
    ) -> (Result<Vouched, Failure>, Trace) {
        let mut callback = Callback {
            method: CallbackMethod::Post,
            parameters: message.form(),
            callback: CALLBACK.to_owned(),
            demanded: Demanded { begun_at: Some(self.now()), ..Default::default() },
        };
        change(&mut callback);
        let mut trace = Trace::default();
        let outcome =
            self.entry.upstream.finish(&self.context, &open.begun.state, &callback, &mut trace).await;
        (outcome, trace)
    }

    /// A whole sign-in: the script is changed before it is signed, the message after.
    pub async fn sign_in(
        &self,
        script: impl FnOnce(&mut Script),
        message: impl FnOnce(&mut Message),
    ) -> (Result<Vouched, Failure>, Trace) {
        let open = self.begin().await;
        let mut made = self.script(&open);
        script(&mut made);
        let mut sent = Message::new(made.xml(), "csst_state");
        message(&mut sent);
        self.finish(&open, &sent).await
    }

    /// A sign-in that holds, every check of it.
    pub async fn accepts(&self, script: impl FnOnce(&mut Script)) -> Vouched {
        self.accepts_message(script, |_| {}).await
    }

    /// The same, changed after it was signed.
    pub async fn accepts_message(
        &self,
        script: impl FnOnce(&mut Script),
        message: impl FnOnce(&mut Message),
    ) -> Vouched {
        let (outcome, trace) = self.sign_in(script, message).await;
        let vouched = outcome.unwrap_or_else(|failure| panic!("{failure:?} {:?}", trace.steps()));
        assert!(!trace.steps().is_empty());
        assert!(trace.steps().iter().all(|step| step.passed), "{:?}", trace.steps());
        assert_eq!(self.canary.touched(), 0, "somebody spoke to the canary");
        vouched
    }

    /// The case: the sound answer holds; changed in one respect by the provider itself, which signs that, it is refused.
    pub async fn refuses(&self, reason: &str, change: impl Fn(&mut Script)) -> Failure {
        self.refuses_beside(reason, |_| {}, change).await
    }

    /// The same where the twin is prepared too.
    pub async fn refuses_beside(
        &self,
        reason: &str,
        prepare: impl Fn(&mut Script),
        change: impl Fn(&mut Script),
    ) -> Failure {
        self.accepts(&prepare).await;
        let (outcome, trace) = self
            .sign_in(
                |script| {
                    prepare(script);
                    change(script);
                },
                |_| {},
            )
            .await;
        self.refused(outcome, &trace, reason)
    }

    /// The case of an attacker: the sound answer, prepared so, holds; changed after it was signed, it is refused.
    pub async fn refuses_forged(
        &self,
        reason: &str,
        prepare: impl Fn(&mut Script),
        forge: impl FnOnce(&mut String),
    ) -> Failure {
        self.refuses_message(reason, prepare, |message| forge(&mut message.xml)).await
    }

    /// The same where what travels is changed.
    pub async fn refuses_message(
        &self,
        reason: &str,
        prepare: impl Fn(&mut Script),
        change: impl FnOnce(&mut Message),
    ) -> Failure {
        self.accepts(&prepare).await;
        let (outcome, trace) = self
            .sign_in(&prepare, |message| {
                let before = message.encoded();
                change(message);
                assert_ne!(message.encoded(), before, "the mutation changed nothing");
            })
            .await;
        self.refused(outcome, &trace, reason)
    }

    /// The sign-in was refused for this reason; the trace says so as its last step and only there; nobody was vouched
    /// for, and nobody was spoken to.
    pub fn refused(&self, outcome: Result<Vouched, Failure>, trace: &Trace, reason: &str) -> Failure {
        let failure = match outcome {
            Ok(vouched) => panic!("accepted, wanted {reason}: {vouched:?}"),
            Err(failure) => failure,
        };
        assert_eq!(failure.reason, reason, "{failure:?} {:?}", trace.steps());
        let failed: Vec<&str> =
            trace.steps().iter().filter(|step| !step.passed).map(|step| step.check.as_str()).collect();
        assert_eq!(failed, [reason], "{:?}", trace.steps());
        assert_eq!(trace.steps().last().map(|step| step.check.as_str()), Some(reason));
        assert_eq!(self.canary.touched(), 0, "somebody spoke to the canary");
        // nothing of keys and no message in what operators read, and nothing endless
        let told = format!("{failure:?} {:?}", trace.steps());
        for secret in ["PRIVATE KEY", "PHNhbWxw", "<samlp:", "<saml:"] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        assert!(told.len() < 20_000, "{}", told.len());
        assert_ne!(failure.user, UserMessage::AppMisconfigured, "the app is not to blame");
        failure
    }
}

/// Signs the response instead of the assertion.
pub fn response_signed(script: &mut Script) {
    script.signed(false, true);
}

/// Signs both.
pub fn both_signed(script: &mut Script) {
    script.signed(true, true);
}

/// Changes nothing.
pub fn as_it_is(_: &mut Script) {}
