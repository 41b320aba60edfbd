//! Answers of a provider, each spoiled by one named change of a valid, freshly signed one, and twins that differ only
//! in that and are sound. They are told once, by the row of the attack corpus, and tried on the upstream half alone
//! and on the whole broker.
#![allow(dead_code)] // each test binary uses its part

mod claims;
mod keys;
mod people;
mod responses;
mod tokens;

use crate::standin::{Key, Reply, Script};
use serde_json::Value;
use std::collections::BTreeMap;

/// Issuers where nobody must be led (OIDC-057).
pub const INSIDE: [&str; 8] = [
    "https://169.254.169.254",
    "https://[::1]",
    "https://127.0.0.1:1",
    "https://2130706433",
    "https://10.0.0.1",
    "https://localhost",
    "https://x.localhost",
    "https://[::ffff:169.254.169.254]",
];

/// What changes know.
#[derive(Debug, Clone)]
pub struct World {
    /// The provider's origin, which is its issuer.
    pub issuer: String,
    /// An address at which nobody must ask.
    pub canary: String,
    /// The present moment, in seconds.
    pub now: i64,
}

/// What must become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Refused for this reason.
    Refused(&'static str),
    /// The twin: the person is signed in, with a proved address where they have one.
    Accepted,
    /// The person is signed in, but their address is not proved.
    Unproved,
}

/// Which of the two kinds of provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OpenId,
    OAuth2,
}

type Change = Box<dyn Fn(&mut Script, &World) + Send + Sync>;

/// One change.
pub struct Case {
    /// The row of the corpus.
    pub row: &'static str,
    pub name: String,
    pub kind: Kind,
    /// Further settings of the provider.
    pub settings: &'static str,
    pub outcome: Outcome,
    /// It concerns what the provider publishes, which must not have been read before.
    pub published: bool,
    /// The code goes to the provider.
    pub redeemed: bool,
    /// The reason for which the whole broker refuses it before the provider's kind sees it.
    pub at_the_door: Option<&'static str>,
    change: Change,
}

impl Case {
    fn new(
        row: &'static str,
        name: impl Into<String>,
        reason: &'static str,
        change: impl Fn(&mut Script, &World) + Send + Sync + 'static,
    ) -> Self {
        Self {
            row,
            name: name.into(),
            kind: Kind::OpenId,
            settings: "",
            outcome: Outcome::Refused(reason),
            published: false,
            redeemed: true,
            at_the_door: None,
            change: Box::new(change),
        }
    }
    /// One that must be accepted.
    fn twin(
        row: &'static str,
        name: impl Into<String>,
        change: impl Fn(&mut Script, &World) + Send + Sync + 'static,
    ) -> Self {
        Self { outcome: Outcome::Accepted, ..Self::new(row, name, "", change) }
    }
    fn with(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }
    fn published(mut self) -> Self {
        self.published = true;
        self
    }
    fn not_redeemed(mut self) -> Self {
        self.redeemed = false;
        self
    }
    fn at_the_door(mut self, reason: &'static str) -> Self {
        self.at_the_door = Some(reason);
        self
    }
    fn at_friendbook(mut self) -> Self {
        self.kind = Kind::OAuth2;
        self
    }
    fn unproved(mut self) -> Self {
        self.outcome = Outcome::Unproved;
        self
    }
    /// Makes the change.
    pub fn spoil(&self, script: &mut Script, world: &World) {
        (self.change)(script, world);
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let settings = self.settings.replace('\n', ", ");
        write!(f, "{} {} {settings} {:?}", self.row, self.name, self.outcome)
    }
}

/// What a provider of these settings must do to be sound.
pub fn sound(settings: &str, script: &mut Script, world: &World) {
    if settings.contains("userinfo_signed") {
        people::signed(|_| {}, own)(script, world);
    }
    if settings.contains("domain_claim") {
        script.claims = Box::new(|claims| claims["hd"] = "globex.example".into());
    }
}

/// All of a row.
pub fn row(row: &str) -> Vec<Case> {
    let mut cases = all();
    cases.retain(|case| case.row == row);
    assert!(cases.iter().any(|case| case.outcome != Outcome::Accepted), "{row}: nothing is spoiled");
    cases
}

/// All there are.
pub fn all() -> Vec<Case> {
    let mut cases = claims::cases();
    cases.extend(tokens::cases());
    cases.extend(keys::cases());
    cases.extend(responses::cases());
    cases.extend(people::cases());
    cases
}

/// The claims of the ID token are changed.
fn claims(change: impl Fn(&mut Value) + Send + Sync + Clone + 'static) -> impl Fn(&mut Script, &World) {
    move |script, _| script.claims = Box::new(change.clone())
}

/// The header of the ID token is changed before it is signed.
fn header(change: impl Fn(&mut Value) + Send + Sync + Clone + 'static) -> impl Fn(&mut Script, &World) {
    move |script, _| script.header = Box::new(change.clone())
}

/// The answer of the token endpoint is changed.
fn token(change: impl Fn(&mut Reply) + Send + Sync + Clone + 'static) -> impl Fn(&mut Script, &World) {
    move |script, _| script.token = Box::new(change.clone())
}

/// The parameters of the authorization response are changed.
fn response(
    change: impl Fn(&mut BTreeMap<String, String>) + Send + Sync + Clone + 'static,
) -> impl Fn(&mut Script, &World) {
    move |script, _| script.response = Box::new(change.clone())
}

/// The signed ID token is replaced by one that is made of its header, its payload and itself.
fn forged(
    forge: impl Fn(Value, Value, &str) -> String + Send + Sync + Clone + 'static,
) -> impl Fn(&mut Script, &World) {
    move |script, _| {
        let forge = forge.clone();
        script.id_token = Box::new(move |token| {
            let mut parts = token.split('.').map(decode);
            let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
            *token = forge(header, payload, token);
        });
    }
}

fn decode(part: &str) -> Value {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// Header, payload and signature.
fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    [(); 3].map(|()| parts.next().unwrap())
}

/// The provider's own key.
fn own() -> Key {
    Key::rsa(0, "rsa-1")
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}
