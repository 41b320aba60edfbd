//! OpenID Connect providers: authorization code flow with PKCE, `state` and `nonce`.
//!
//! `begin` builds the request, signs it (`request_object`) and pushes it (`pushed`) where the provider wants it so;
//! `finish` checks the answer: the response's shape and `iss`, the exchange of
//! the code, the ID token (signature, then claim by claim), userinfo, and then what all kinds share. `logout`
//! takes the provider's word that somebody has signed out there.

mod begin;
mod client_auth;
mod deviations;
mod exchange;
mod finish;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod id_token;
mod logout;
mod metadata;
mod pushed;
mod request_object;
pub mod settings;
mod userinfo;

pub use settings::Settings;

use crate::context::Context;
use crate::failure::Failure;
use crate::ids::ProviderId;
use crate::jose::{Alg, MIN_SECRET, SigningKey};
use crate::outbound::cached::Cached;
use crate::upstream::mapping::Mapping;
use crate::upstream::settings::{ClientAuth, Common, Contradiction, Freshness};
use crate::upstream::{
    BeginRequest, Begun, Callback, Health, LogoutHeard, LogoutMessage, Parts, Trace, Upstream, Vouched,
};
use async_trait::async_trait;
use metadata::Discovered;
use secrecy::{ExposeSecret as _, SecretString};
use settings::Userinfo;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One provider.
struct Oidc {
    settings: Settings,
    common: Common,
    mapping: Mapping,
    secret: Option<SecretString>,
    /// Our private key, where we authenticate or sign requests by one.
    key: Option<SigningKey>,
    outbound: crate::outbound::Outbound,
    /// The same way for pushed requests, apart: anybody can begin a sign-in, and what that does to the provider must not
    /// keep those from finishing who are there already.
    pushing: crate::outbound::Outbound,
    /// And for what a code leads to, apart too: anybody can bring back a code that they made up.
    redeeming: crate::outbound::Outbound,
    algorithms: Vec<Alg>,
    /// Claims without which userinfo is asked.
    wanted: BTreeSet<String>,
    discovered: Arc<Cached<Discovered>>,
}

/// The provider behind its trait; what refreshes itself behind the scenes holds on to it.
struct Provider(Arc<Oidc>);

/// Builds a provider of this kind.
pub(in crate::upstream) fn build(
    settings: &Settings,
    parts: Parts,
) -> Result<Arc<dyn Upstream>, Vec<Contradiction>> {
    Ok(Arc::new(Provider(Arc::new(assemble(settings, parts)?))))
}

fn assemble(settings: &Settings, parts: Parts) -> Result<Oidc, Vec<Contradiction>> {
    let Parts { common, mut mapping, secrets, outbound, kept } = parts;
    mapping.email_verified = settings.email_verified.clone();
    let mut wanted: BTreeSet<String> = mapping.reads().into_iter().map(str::to_owned).collect();
    let answered =
        [("profile", "name"), ("email", "email"), ("address", "address"), ("phone", "phone_number")];
    for (scope, claim) in answered {
        if settings.scopes.iter().any(|asked| asked == scope) {
            wanted.insert(claim.to_owned());
        }
    }
    if settings.userinfo == Userinfo::Never {
        wanted.clear();
    }
    let pem = settings.private_key.as_ref().and_then(|key| secrets.get(key));
    let key = pem.map(|pem| SigningKey::from_pem(pem.expose_secret())).transpose().map_err(|error| {
        let help = "give the key as the provider's console saved it, or make one: openssl genpkey";
        vec![Contradiction::new("private_key", error.note().to_owned(), help)]
    })?;
    let secret = settings.client_secret.as_ref().and_then(|secret| secrets.get(secret).cloned());
    check_signing(settings, key.as_ref(), secret.as_ref())?;
    Ok(Oidc {
        algorithms: settings.algorithms.iter().copied().collect(),
        settings: settings.clone(),
        key,
        secret,
        common,
        mapping,
        pushing: outbound.apart().for_strangers(),
        redeeming: outbound.apart().for_strangers(),
        outbound,
        wanted,
        discovered: kept.and_then(|kept| kept.downcast().ok()).unwrap_or_default(),
    })
}

/// What can be said about signing only with key and secret at hand.
fn check_signing(
    settings: &Settings,
    key: Option<&SigningKey>,
    secret: Option<&SecretString>,
) -> Result<(), Vec<Contradiction>> {
    let unable = |alg: &Alg| {
        key.is_some_and(|key| !key.algorithms().iter().any(|name| Alg::parse(name) == Some(*alg)))
    };
    if let Some(alg) = settings.signing_alg.filter(|alg| unable(alg)) {
        let able = key.map(SigningKey::algorithms).unwrap_or_default().join(", ");
        return Err(vec![Contradiction::new(
            "signing_alg",
            format!("the private key cannot sign by {alg}"),
            format!("it can by {able}: give a key that the provider takes"),
        )]);
    }
    let short = secret.is_some_and(|secret| secret.expose_secret().len() < MIN_SECRET);
    let help = match settings.auth() {
        // nobody could sign in
        _ if settings.id_token_hs256 => "copy the whole secret, or let the provider make a longer one",
        ClientAuth::ClientSecretJwt => {
            "let the provider make a longer one, or say `client_auth = \"client_secret_basic\"`"
        }
        _ => return Ok(()),
    };
    if short {
        return Err(vec![Contradiction::new(
            "client_secret",
            format!("a secret that signs (HS256) has {MIN_SECRET} bytes at least (RFC 7518 §3.2)"),
            help,
        )]);
    }
    Ok(())
}

#[async_trait]
impl Upstream for Provider {
    fn id(&self) -> &ProviderId {
        &self.0.common.id
    }

    fn answers_by_post(&self) -> bool {
        self.0.settings.response_mode == settings::ResponseMode::FormPost
    }

    fn form_targets(&self) -> Vec<String> {
        let discovered = self.0.discovered.peek();
        discovered
            .map(|found| found.authorization_endpoint.origin().ascii_serialization())
            .into_iter()
            .collect()
    }

    fn kept(&self) -> Option<Arc<dyn std::any::Any + Send + Sync>> {
        Some(self.0.discovered.clone())
    }

    /// Unless it never says when, and the settings do not trust it without.
    fn proves_freshness(&self) -> bool {
        self.0.settings.auth_time || self.0.common.freshness == Freshness::Trusted
    }

    /// If its settings let `prompt` pass, and it knows what that means.
    fn lets_choose(&self) -> bool {
        let settings = &self.0.settings;
        settings.pass.contains(&settings::Wish::Prompt)
            && settings.prompts.contains(&settings::Prompt::SelectAccount)
    }

    async fn begin(&self, context: &Context, request: &BeginRequest) -> Result<Begun, Failure> {
        self.refresh_ahead(context);
        let discovered = self.0.discover(context).await?;
        self.0.begin(context, request, &discovered).await
    }

    async fn finish(
        &self,
        context: &Context,
        state: &[u8],
        callback: &Callback,
        trace: &mut Trace,
    ) -> Result<Vouched, Failure> {
        self.refresh_ahead(context);
        self.0.finish(context, state, callback, trace).await
    }

    async fn inbound_logout(
        &self,
        context: &Context,
        message: &LogoutMessage,
        trace: &mut Trace,
    ) -> Result<LogoutHeard, Failure> {
        self.refresh_ahead(context);
        self.0.logout_notice(context, message, trace).await.map(LogoutHeard::Notice)
    }

    fn health(&self) -> Health {
        let ways = [&self.0.outbound, &self.0.pushing, &self.0.redeeming];
        let reached = ways.iter().all(|way| way.is_closed());
        match (self.0.trouble(), reached, self.0.discovered.peek()) {
            (Some(trouble), ..) => Health::Down(trouble),
            (None, false, _) => Health::Down("it did not answer several times in a row".to_owned()),
            (None, true, None) => Health::Unknown,
            (None, true, Some(_)) => Health::Up,
        }
    }

    async fn warm(&self, context: &Context) -> Result<bool, Failure> {
        let discovered = self.0.discover(context).await?;
        self.0.keys(context, &discovered).await.map(|_| true)
    }
}

impl Provider {
    /// Starts a refresh of what will soon be too old, without making anyone wait for it.
    fn refresh_ahead(&self, context: &Context) {
        if self.0.is_due(context) {
            let (oidc, context) = (self.0.clone(), context.clone());
            tokio::spawn(async move { oidc.refresh(&context).await });
        }
    }
}
