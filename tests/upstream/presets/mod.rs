//! A contract for each preset: the stand-in speaks as the provider's own pages say that it speaks, quirks and
//! errors included, and the preset makes of it a person, an address and a name. The endpoints lead to the stand-in;
//! those of the preset itself are compared letter by letter.

mod apple;
mod expand;
mod facebook;
mod github;
mod google;
mod microsoft;
mod oauth;
mod openid;

use crate::bench::{Bench, Open, provider, refused};
use crate::standin::{Script, Seen};
use countersign::failure::Failure;
use countersign::upstream::identity::AssertedEmail;
use countersign::upstream::kinds::KindSettings;
use countersign::upstream::{BeginRequest, Callback, Provider, Trace, Vouched, oauth2, oidc};
use serde_json::Value;
use std::collections::BTreeMap;

/// What every table says beside the preset.
const TABLE: &str = "id = \"globex\"\nclient_id = \"countersign\"\nprovisioning = \"open\"\n";
/// And what the stand-in needs.
const HERE: &str = "allow_loopback = true\ntimeout = \"1s\"\n";
/// How we are known by a secret.
pub const SECRET: &str = "client_secret = \"env:SECRET\"\n";

/// The provider as its preset has it, with nothing changed. It has no contradictions.
pub fn fixed(preset: &str, more: &str) -> Provider {
    let provider = provider(&format!("preset = \"{preset}\"\n{TABLE}{more}"));
    assert_eq!(provider.check(), []);
    assert_eq!(provider.common.preset.as_deref(), Some(preset));
    assert!(!provider.common.name.is_empty());
    provider
}

pub fn fixed_oidc(preset: &str, more: &str) -> oidc::Settings {
    match fixed(preset, more).kind {
        KindSettings::oidc(settings) => *settings,
        _ => panic!("{preset} is of another kind"),
    }
}

pub fn fixed_oauth2(preset: &str, more: &str) -> oauth2::Settings {
    match fixed(preset, more).kind {
        KindSettings::oauth2(settings) => *settings,
        _ => panic!("{preset} is of another kind"),
    }
}

/// The endpoints of a plain OAuth provider: authorization, token, profile and addresses.
pub fn endpoints(settings: &oauth2::Settings) -> [&str; 4] {
    [
        settings.authorize_url.url().as_str(),
        settings.token_url.url().as_str(),
        settings.userinfo_url.url().as_str(),
        settings.emails_url.as_ref().map_or("", |endpoint| endpoint.url().as_str()),
    ]
}

/// Those that have a contract here. Each is tried: [`Contract::new`] takes no other, and
/// [`every_preset_has_its_contract`] holds the list to what the tests' own text makes.
const TRIED: &[&str] = &[
    "amazon",
    "apple",
    "auth0",
    "bitbucket",
    "cognito",
    "discord",
    "entra-external-id",
    "facebook",
    "github",
    "github-enterprise",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "line",
    "linkedin",
    "microsoft",
    "microsoft-multitenant",
    "naver",
    "oauth2",
    "oidc",
    "okta",
    "paypal",
    "slack",
    "twitch",
    "x",
    "yahoo",
];

/// Of SAML's there is a like test beside their own contracts.
#[test]
fn every_preset_has_its_contract() {
    let known = countersign::upstream::presets::all().iter().filter(|preset| preset.kind() != "saml");
    assert_eq!(known.map(|preset| preset.name).collect::<Vec<_>>(), TRIED);
    let texts = [
        include_str!("apple.rs"),
        include_str!("facebook.rs"),
        include_str!("github.rs"),
        include_str!("google.rs"),
        include_str!("microsoft.rs"),
        include_str!("oauth.rs"),
        include_str!("openid.rs"),
    ];
    for preset in TRIED {
        let made = ["oidc", "oauth2", "new"].map(|by| format!("Contract::{by}(\"{preset}\","));
        let laid = ["oidc", "oauth2", "new"].map(|by| format!("Contract::{by}(\n        \"{preset}\","));
        let tried = made.iter().chain(&laid).any(|call| texts.iter().any(|text| text.contains(call)));
        assert!(tried, "{preset} is tried by nobody");
    }
}

/// A preset at work against the stand-in.
pub struct Contract {
    pub bench: Bench,
    script: fn(&mut Script),
    callback: fn(&mut Callback),
}

impl Contract {
    /// `more`: further keys, given the stand-in's origin.
    pub fn new(preset: &str, more: impl FnOnce(&str) -> String, script: fn(&mut Script)) -> Self {
        assert!(TRIED.contains(&preset), "add {preset} to the list of those that have a contract");
        let bench = Bench::new(|origin| format!("preset = \"{preset}\"\n{TABLE}{HERE}{}", more(origin)));
        Self { bench, script, callback: |_| {} }
    }

    /// An OpenID Connect preset, with the stand-in as its issuer.
    pub fn oidc(preset: &str, more: &str, script: fn(&mut Script)) -> Self {
        Self::new(preset, |origin| format!("issuer = \"{origin}\"\n{more}"), script)
    }

    /// A plain OAuth preset, with the stand-in's endpoints.
    pub fn oauth2(preset: &str, more: &str, script: fn(&mut Script)) -> Self {
        let addresses = |origin: &str| {
            format!(
                "authorize_url = \"{origin}/dialog\"\ntoken_url = \"{origin}/token\"\n\
                 userinfo_url = \"{origin}/me\"\n{more}"
            )
            .replace("{origin}", origin)
        };
        Self::new(preset, addresses, script)
    }

    /// Changes each answer as it comes back to us.
    pub fn with_callback(self, callback: fn(&mut Callback)) -> Self {
        Self { callback, ..self }
    }

    /// One sign-in, with a change to what the provider does.
    pub async fn tries(&self, change: impl FnOnce(&mut Script)) -> (Result<Vouched, Failure>, Trace) {
        self.bench.standin.behave();
        (self.script)(&mut self.bench.standin.script());
        change(&mut self.bench.standin.script());
        match self.bench.begin(|_| {}).await {
            Ok(open) => self.bench.finish(&open, self.callback).await,
            Err(failure) => (Err(failure), Trace::default()),
        }
    }

    /// One that works.
    pub async fn signs_in_with(&self, change: impl FnOnce(&mut Script)) -> Vouched {
        let (outcome, trace) = self.tries(change).await;
        assert!(trace.steps().iter().all(|step| step.passed), "{:?}", trace.steps());
        let vouched = outcome.unwrap_or_else(|failure| panic!("{failure:?}"));
        self.bench.only_the_provider_was_asked();
        vouched
    }

    pub async fn signs_in(&self) -> Vouched {
        self.signs_in_with(|_| {}).await
    }

    /// One that is refused for this reason, between two that work.
    pub async fn refuses(&self, reason: &str, change: impl FnOnce(&mut Script)) -> Failure {
        self.signs_in().await;
        let (outcome, trace) = self.tries(change).await;
        let failure = refused(outcome, &trace, reason);
        self.signs_in().await;
        failure
    }

    /// The person declines, as the provider says it.
    pub async fn declined(&self, reason: &str, parameters: &[(&str, &str)]) -> Failure {
        self.signs_in().await;
        let open = self.bench.begin(|_| {}).await.unwrap();
        let (outcome, trace) = self
            .bench
            .finish(&open, |callback| {
                (self.callback)(callback);
                callback.parameters = parameters
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
            })
            .await;
        refused(outcome, &trace, reason)
    }

    /// The request that would go to the provider.
    pub async fn departs(&self) -> Open {
        self.bench.begin(|_| {}).await.unwrap()
    }

    /// The last request to a path.
    pub fn last(&self, path: &str) -> Seen {
        self.bench.standin.seen().into_iter().rfind(|seen| seen.path == path).unwrap()
    }

    /// A parameter of the request that would go to the provider.
    pub async fn asks(&self, name: &str) -> Option<String> {
        let open = self.departs().await;
        open.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Contract {
    /// The parameters of a request to the provider, with these wishes of the app.
    pub async fn wished(&self, wish: impl FnOnce(&mut BeginRequest)) -> BTreeMap<String, String> {
        let open = self.bench.begin(wish).await.unwrap();
        let pairs: Vec<_> = open.url.query_pairs().into_owned().collect();
        let parameters: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(parameters.len(), pairs.len(), "none is there twice: {pairs:?}");
        parameters
    }

    /// How it is told that the person reads German as in Switzerland, and then Romansh.
    pub async fn in_german(&self) -> BTreeMap<String, String> {
        self.wished(|request| request.ui_locales = vec!["de-CH".to_owned(), "rm".to_owned()]).await
    }
}

/// Who it is: issuer, subject and format.
pub fn key(vouched: &Vouched) -> (&str, &str, &str) {
    let key = vouched.identity.key();
    (&key.issuer, &key.subject, &key.format)
}

/// The address, and whether it is a proof here.
pub fn email(vouched: &Vouched) -> Option<(&str, bool)> {
    vouched.identity.email().map(|email| match email {
        AssertedEmail::Verified(verified) => (verified.address().as_str(), true),
        AssertedEmail::Claimed(address) => (address.as_str(), false),
    })
}

pub fn name(vouched: &Vouched) -> Option<&str> {
    vouched.identity.profile().name.as_deref()
}

/// Edits the body of the profile's answer.
pub fn body(
    change: impl FnMut(&mut Value) + Send + 'static,
) -> Box<dyn FnMut(&mut crate::standin::Reply) + Send> {
    let mut change = change;
    Box::new(move |reply| reply.edit(|body| change(body)))
}
