//! The answer, checked step by step in the order of OIDC Core §3.1.2.7, §3.1.3.5 and §3.1.3.7.

use super::Oidc;
use super::begin::Remembered;
use super::id_token::{self, Expectations};
use super::metadata::Discovered;
use super::settings::ResponseMode;
use super::userinfo::merge;
use crate::context::Context;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::jose::json::Object;
use crate::jose::{VerifiedJws, verify_foreign};
use crate::upstream::checks::{Checks, clean, refused};
use crate::upstream::vouch::{Facts, vouch};
use crate::upstream::{Callback, CallbackMethod, Replay, Trace, Vouched};
use serde_json::Value;

impl Oidc {
    pub(super) async fn finish(
        &self,
        context: &Context,
        state: &[u8],
        callback: &Callback,
        trace: &mut Trace,
    ) -> Result<Vouched, Failure> {
        let mut checks = Checks::new(trace);
        let checks = &mut checks;
        let remembered = Remembered::parse(state).map_err(|failure| checks.fail(failure))?;
        self.check_shape(callback, checks)?;
        let discovered = self.discover(context).await.map_err(|failure| checks.fail(failure))?;
        self.check_iss_parameter(callback, &discovered, checks)?;
        let parameter = |name: &str| callback.parameters.get(name).map(String::as_str);
        if let Some(error) = parameter("error") {
            return Err(checks.fail(provider_error(error)));
        }
        let code = parameter("code").unwrap_or_default();

        let tokens = self.exchange(&discovered, code, &callback.callback, &remembered, checks).await?;
        let verified = self.verify(context, &discovered, &tokens.id_token, checks).await?;
        check_type(verified.header.typ.as_deref(), checks)?;
        let expectations = Expectations {
            issuer: &self.settings.issuer.text,
            client_id: &self.settings.client_id,
            nonce: &remembered.nonce,
            now: context.now(),
            skew: self.settings.skew,
            max_age: self.settings.id_token_max_age,
            alg: verified.header.alg,
            access_token: &tokens.access_token,
            code,
            state: parameter("state"),
            demanded: &callback.demanded,
        };
        let proven = id_token::check(&verified.claims, &expectations, checks)?;

        let mut claims = verified.claims;
        if self.needs_userinfo(&claims) {
            let said =
                self.userinfo(context, &discovered, &tokens.access_token, &proven.subject, checks).await?;
            claims = merge(claims, said);
        }
        let facts = Facts {
            issuer: self.settings.issuer.text.clone(),
            subject: proven.subject,
            format: String::new(),
            proved_email: self.proved_email(&claims),
            claims,
            authentication: proven.authentication,
            // the nonce is used up with the state it was made for
            replay: Some(Replay {
                what: format!("nonce:{}", remembered.nonce),
                until: proven.expires_at,
                reason: "oidc.state",
            }),
        };
        vouch(&self.common, &self.mapping, facts, checks)
    }

    /// RFC 6749 §4.1.2: a code, or an error, and nothing that we did not ask for, by the way we asked for.
    fn check_shape(&self, callback: &Callback, checks: &mut Checks<'_>) -> Result<(), Failure> {
        let has = |name: &str| callback.parameters.contains_key(name);
        let code = callback.parameters.get("code").is_some_and(|code| !code.is_empty() && code.len() <= 4096);
        let uninvited = ["id_token", "access_token", "response"].into_iter().find(|name| has(name));
        let received = match (has("code"), has("error"), uninvited) {
            (_, _, Some(name)) => format!("{name} in the response"),
            (true, true, _) => "code and error together".to_owned(),
            (true, false, _) if code => "code".to_owned(),
            (true, false, _) => "an empty or oversized code".to_owned(),
            (false, true, _) => "error".to_owned(),
            (false, false, _) => "neither code nor error".to_owned(),
        };
        let passed = uninvited.is_none() && (code != has("error")) && (has("code") == code);
        checks.require("oidc.response", passed, "either code or error", received)?;
        let expected = match self.settings.response_mode {
            ResponseMode::Query => CallbackMethod::Get,
            ResponseMode::FormPost => CallbackMethod::Post,
        };
        checks.require(
            "oidc.response_mode",
            callback.method == expected,
            format!("{expected:?}"),
            format!("{:?}", callback.method),
        )
    }

    /// RFC 9207 §2.4: an answer of another issuer is refused before its code goes anywhere.
    fn check_iss_parameter(
        &self,
        callback: &Callback,
        discovered: &Discovered,
        checks: &mut Checks<'_>,
    ) -> Result<(), Failure> {
        let due = discovered.sends_iss || self.settings.require_iss_parameter;
        let (passed, received) = match callback.parameters.get("iss") {
            Some(iss) => (*iss == self.settings.issuer.text, iss.as_str()),
            None => (!due, "absent"),
        };
        let expected = format!("{}{}", self.settings.issuer.text, if due { "" } else { ", or none" });
        checks.require("oidc.iss_param", passed, expected, received)
    }

    /// Verifies a signature with the provider's keys; fetches them again, rarely, for a name we do not know.
    pub(super) async fn verify(
        &self,
        context: &Context,
        discovered: &Discovered,
        token: &str,
        checks: &mut Checks<'_>,
    ) -> Result<VerifiedJws, Failure> {
        let keys = self.keys(context, discovered).await.map_err(|failure| checks.fail(failure))?;
        let mut outcome = verify_foreign(token, &keys.1, &self.algorithms);
        if outcome.as_ref().is_err_and(|error| error.may_be_stale_keys()) {
            let newer = self.newer_keys(context, discovered, &keys).await;
            if let Some(newer) = newer.map_err(|failure| checks.fail(failure))? {
                outcome = verify_foreign(token, &newer.1, &self.algorithms);
            }
        }
        match outcome {
            Ok(verified) => {
                checks.note("jose.signature", "signed by the provider", verified.header.alg.as_str());
                Ok(verified)
            }
            Err(error) => {
                let failure = refused(error.reason(), error.note().to_owned());
                Err(checks
                    .fail(failure.expected("a token that the provider signed", error.note().to_owned())))
            }
        }
    }

    /// The address that the provider says it has verified: the strict boolean, or the text where the
    /// provider is known to write it so.
    fn proved_email(&self, claims: &Object) -> Option<String> {
        let proved = match claims.get("email_verified") {
            Some(Value::Bool(proved)) => *proved,
            Some(Value::String(text)) => self.settings.email_verified_text && text == "true",
            _ => false,
        };
        claims.get("email").and_then(Value::as_str).filter(|_| proved).map(str::to_owned)
    }
}

/// A token of another kind that the same keys signed (an access token, a logout token …) is no ID token. Such
/// kinds carry a type of their own; ID tokens carry none, or the general one (RFC 8725 §3.11).
fn check_type(typ: Option<&str>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let bare = typ.map(|typ| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase());
    let passed = bare.as_deref().is_none_or(|typ| !typ.ends_with("+jwt") || typ == "id_token+jwt");
    checks.require("oidc.id_token.typ", passed, "JWT, or none", typ.unwrap_or("none"))
}

/// The provider's own error, as the person and the application should see it (OIDC Core §3.1.2.6).
fn provider_error(error: &str) -> Failure {
    let (code, reason, user) = match error {
        "access_denied" => (OAuthCode::AccessDenied, "oidc.cancelled", UserMessage::Cancelled),
        "login_required" => (OAuthCode::LoginRequired, "oidc.provider_error", UserMessage::StartAgain),
        "interaction_required" => {
            (OAuthCode::InteractionRequired, "oidc.provider_error", UserMessage::StartAgain)
        }
        "consent_required" => (OAuthCode::ConsentRequired, "oidc.provider_error", UserMessage::StartAgain),
        "account_selection_required" => {
            (OAuthCode::AccountSelectionRequired, "oidc.provider_error", UserMessage::StartAgain)
        }
        "unmet_authentication_requirements" => (
            OAuthCode::UnmetAuthenticationRequirements,
            "oidc.provider_error",
            UserMessage::ProviderAnswerRefused,
        ),
        _ => (OAuthCode::TemporarilyUnavailable, "oidc.provider_error", UserMessage::ProviderUnavailable),
    };
    Failure::new(code, reason, user, "the provider answered with an error").expected("a code", clean(error))
}
