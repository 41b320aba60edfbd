//! OAuth 2.0 providers with a profile endpoint of their own (Facebook's and GitHub's shapes). OAuth says
//! nothing about who signed in: the person is whoever the profile endpoint names for the access token, and
//! only a stable id of theirs counts.

mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod profile;
pub mod settings;
mod signed_request;

pub use settings::Settings;

use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::ProviderId;
use crate::upstream::checks::{Checks, ON_TRUST, explained, is_refusal};
use crate::upstream::identity::Authentication;
use crate::upstream::mapping::Mapping;
use crate::upstream::settings::{Common, Contradiction, Freshness};
use crate::upstream::vouch::{Facts, vouch};
use crate::upstream::{
    BeginRequest, Begun, Callback, CallbackMethod, Demanded, Departure, Health, Notice, NoticeKind, Parts,
    Trace, Upstream, Vouched,
};
use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// One provider.
struct OAuth2 {
    settings: Settings,
    common: Common,
    mapping: Mapping,
    secret: Option<SecretString>,
    /// All that is asked here is asked with what the browser brought back, which anybody can make up.
    outbound: crate::outbound::Outbound,
}

/// What must be remembered until the answer. It is sealed and bound to the browser by the flow.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Remembered {
    verifier: Option<String>,
    /// When it began: whoever proves themselves in answer may do it as early as that. In milliseconds.
    #[serde(default)]
    begun_at: Option<i64>,
}

/// Builds a provider of this kind.
pub(in crate::upstream) fn build(
    settings: &Settings,
    parts: Parts,
) -> Result<Arc<dyn Upstream>, Vec<Contradiction>> {
    let Parts { common, mut mapping, secrets, outbound, .. } = parts;
    mapping.email_verified = settings.email_verified.clone();
    let secret = settings.client_secret.as_ref().and_then(|secret| secrets.get(secret).cloned());
    let outbound = outbound.for_strangers();
    Ok(Arc::new(OAuth2 { settings: settings.clone(), secret, common, mapping, outbound }))
}

#[async_trait]
impl Upstream for OAuth2 {
    fn id(&self) -> &ProviderId {
        &self.common.id
    }

    fn form_targets(&self) -> Vec<String> {
        vec![self.settings.authorize_url.origin()]
    }

    /// Plain OAuth says nothing about the act of signing in; the settings may trust it all the same.
    fn proves_freshness(&self) -> bool {
        self.common.freshness == Freshness::Trusted
    }

    fn lets_choose(&self) -> bool {
        !self.settings.select_account_params.is_empty()
    }

    async fn begin(&self, context: &Context, request: &BeginRequest) -> Result<Begun, Failure> {
        let remembered = Remembered {
            verifier: self.settings.pkce.then(|| context.secret_text()),
            begun_at: Some(context.now().0),
        };
        let url = self.authorize_url(request, &remembered)?;
        let state = serde_json::to_vec(&remembered).map(Zeroizing::new).map_err(|error| {
            Failure::internal("oauth2.request", "the state cannot be written").caused_by(error)
        })?;
        Ok(Begun { departure: Departure::RedirectTo(url), state })
    }

    async fn finish(
        &self,
        _context: &Context,
        state: &[u8],
        callback: &Callback,
        trace: &mut Trace,
    ) -> Result<Vouched, Failure> {
        let mut checks = Checks::new(trace);
        let checks = &mut checks;
        let remembered: Remembered = serde_json::from_slice(state).map_err(|_| {
            let note = "the remembered state of this sign-in cannot be read";
            let failure = Failure::invalid_request("oauth2.state", note);
            checks.fail(Failure { user: UserMessage::StartAgain, ..failure })
        })?;
        let code = check_shape(callback, &self.settings, checks)?;
        check_demands(&callback.demanded, self.common.freshness, checks)?;
        let token = self.exchange(code, callback, &remembered, checks).await?;
        let profile = self.profile(&token, checks).await?;
        let (subject, format) =
            profile::subject(&profile, &self.settings.subject).map_err(|failure| checks.fail(failure))?;
        checks.note("oauth2.subject", "a stable id", subject.as_str());
        let proved_email = self.proved_email(&token, checks).await?;
        let facts = Facts {
            issuer: self.settings.issuer(),
            subject,
            format: format.to_owned(),
            claims: profile,
            proved_apart: self.settings.emails_url.is_some(),
            proved_email,
            authentication: Authentication::default(),
            replay: None,
        };
        let vouched = vouch(&self.common, &self.mapping, facts, checks)?;
        // What the provider tells of this person from now on is about a proof that may be as old as the departure.
        let identity = match remembered.begun_at {
            Some(moment) => vouched.identity.said_at(Timestamp(moment)),
            None => vouched.identity,
        };
        Ok(Vouched { identity, ..vouched })
    }

    /// What a notice says is known by the address to which it came: the form is the same for both.
    async fn inbound_notice(
        &self,
        context: &Context,
        _kind: NoticeKind,
        parameters: &BTreeMap<String, String>,
        trace: &mut Trace,
    ) -> Result<Notice, Failure> {
        self.signed_request(context, parameters, trace)
    }

    fn health(&self) -> Health {
        if self.outbound.is_closed() {
            Health::Unknown
        } else {
            Health::Down("it did not answer several times in a row".to_owned())
        }
    }
}

/// RFC 6749 §4.1.2: a code, or an error. Facebook's `#_=_` is a fragment, which browsers keep to themselves.
fn check_shape<'a>(
    callback: &'a Callback,
    settings: &Settings,
    checks: &mut Checks<'_>,
) -> Result<&'a str, Failure> {
    let code = callback.parameters.get("code").map(String::as_str);
    let error = callback.parameters.get("error").map(String::as_str);
    let usable = code.filter(|code| !code.is_empty() && code.len() <= 4096);
    let received = match (code, error) {
        (Some(_), Some(_)) => "code and error together",
        (Some(_), None) if usable.is_some() => "code",
        (Some(_), None) => "an empty or oversized code",
        (None, Some(_)) => "error",
        (None, None) => "neither code nor error",
    };
    let passed = matches!((usable, code, error), (Some(_), _, None) | (None, None, Some(_)));
    checks.require("oauth2.response", passed, "either code or error", received)?;
    let by = callback.method;
    checks.require("oauth2.response_mode", by == CallbackMethod::Get, "Get", format!("{by:?}"))?;
    if let Some(issuer) = settings.response_issuer.as_deref() {
        // RFC 9207 §2.4: in an error too, and before the code goes anywhere
        let said = callback.parameters.get("iss").map(String::as_str);
        let passed = said.map_or(!settings.response_issuer_required, |said| said == issuer);
        checks.require("oauth2.iss_param", passed, issuer, said.unwrap_or("absent"))?;
    }
    match (usable, error) {
        (Some(code), _) => Ok(code),
        (None, error) => Err(checks.fail(provider_error(error.unwrap_or_default(), &callback.parameters))),
    }
}

/// Plain OAuth cannot show when or how the person proved themselves: what must be shown is refused.
fn check_demands(demanded: &Demanded, freshness: Freshness, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let unmet = |failure: Failure| Failure { code: OAuthCode::UnmetAuthenticationRequirements, ..failure };
    if demanded.force_authentication || demanded.max_age.is_some() {
        if freshness == Freshness::Trusted {
            checks.remark("oauth2.auth_time", "a fresh proof", ON_TRUST, None);
        } else {
            checks
                .require("oauth2.auth_time", false, "a fresh proof", "plain OAuth shows none")
                .map_err(unmet)?;
        }
    }
    if !demanded.acr_values.is_empty() {
        let wanted = demanded.acr_values.join(" or ");
        checks.require("oauth2.acr", false, wanted, "plain OAuth shows none").map_err(unmet)?;
    }
    Ok(())
}

fn provider_error(error: &str, parameters: &BTreeMap<String, String>) -> Failure {
    let (code, reason, user) = match error {
        word if is_refusal(word) => (OAuthCode::AccessDenied, "oauth2.cancelled", UserMessage::Cancelled),
        _ => (OAuthCode::TemporarilyUnavailable, "oauth2.provider_error", UserMessage::ProviderUnavailable),
    };
    Failure::new(code, reason, user, "the provider answered with an error")
        .expected("a code", explained(error, parameters))
}
