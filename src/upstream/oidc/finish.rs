//! The answer, checked step by step in the order of OIDC Core §3.1.2.7, §3.1.3.5 and §3.1.3.7.

use super::Oidc;
use super::begin::Remembered;
use super::id_token::{self, Expectations};
use super::metadata::Discovered;
use super::settings::ResponseMode;
use super::userinfo::merge;
use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::jose::json::Object;
use crate::jose::{VerifiedJws, verify_foreign, verify_shared};
use crate::outbound::cached::Suspicion;
use crate::upstream::checks::{Checks, explained, is_refusal, refused};
use crate::upstream::settings::Freshness;
use crate::upstream::vouch::{Facts, vouch};
use crate::upstream::{Callback, CallbackMethod, Replay, Trace, Vouched};
use aws_lc_rs::digest::{self, SHA256};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// An ID token whose signature holds.
pub(super) struct Verified {
    pub typ: Option<String>,
    /// The hash of its algorithm.
    pub digest: &'static digest::Algorithm,
    /// The issuer for which its key signs, where the provider's key set says so.
    pub key_issuer: Option<String>,
    pub claims: Object,
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

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
            return Err(checks.fail(provider_error(error, &callback.parameters)));
        }
        let code = parameter("code").unwrap_or_default();

        let tokens =
            self.exchange(context, &discovered, code, &callback.callback, &remembered, checks).await?;
        let verified = self.verify_id_token(context, &discovered, &tokens.id_token, checks).await?;
        check_type(verified.typ.as_deref(), checks)?;
        let issuer = self.issuer_of(&verified.claims, verified.key_issuer.as_deref(), checks)?;
        if let Some(said) = parameter("iss").filter(|_| self.settings.tenants.is_some()) {
            checks.require("oidc.iss_param", said == issuer, issuer.as_str(), said)?;
        }
        let expectations = Expectations {
            issuer: &issuer,
            client_id: &self.settings.client_id,
            nonce: self.settings.nonce.then_some(remembered.nonce.as_str()),
            now: context.now(),
            skew: self.settings.skew,
            max_age: self.settings.id_token_max_age,
            digest: verified.digest,
            access_token: &tokens.access_token,
            code,
            state: parameter("state"),
            demanded: &callback.demanded,
            trusted: self.common.freshness == Freshness::Trusted,
        };
        let proven = id_token::check(&verified.claims, &expectations, checks)?;
        let subject = self.whole_subject(&verified.claims, &proven.subject, checks)?;

        let mut claims = verified.claims;
        if self.needs_userinfo(&claims) {
            let about = (issuer.as_str(), proven.subject.as_str());
            let said = self.userinfo(context, &discovered, &tokens.access_token, about, checks).await?;
            claims = merge(claims, said, &self.about_address());
        }
        self.add_response_claims(callback, &mut claims, checks);
        let (what, reason) = match self.settings.nonce {
            // the nonce is used up with the state it was made for
            true => (format!("nonce:{}", remembered.nonce), "oidc.state"),
            // nothing of ours is in the token, so the token itself is what is accepted once
            false => {
                let digest = digest::digest(&SHA256, tokens.id_token.as_bytes());
                (format!("id_token:{}", hex(digest)), "oidc.id_token.replay")
            }
        };
        let once = Replay { what, until: proven.expires_at, reason };
        let facts = Facts {
            issuer,
            subject,
            format: String::new(),
            proved_email: self.proved_email(&claims),
            proved_apart: false,
            claims,
            authentication: proven.authentication,
            replay: Some(once),
        };
        let vouched = vouch(&self.common, &self.mapping, facts, checks)?;
        // Not the token's `iat`: the token is made when the code is redeemed, and the person may have been signed out
        // since they proved themselves.
        let identity = match remembered.begun_at {
            Some(moment) => vouched.identity.said_at(Timestamp(moment)),
            None => vouched.identity,
        };
        Ok(Vouched { identity, ..vouched })
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
            // of one of many tenants; that it is the token's own is checked when the token is there
            Some(iss) => (self.may_be_issuer(iss), iss.as_str()),
            None => (!due, "absent"),
        };
        let expected = format!("{}{}", self.settings.issuer.text, if due { "" } else { ", or none" });
        checks.require("oidc.iss_param", passed, expected, received)
    }

    /// An ID token's signature: by the provider's public keys, or by our secret where it signs in no other way.
    async fn verify_id_token(
        &self,
        context: &Context,
        discovered: &Discovered,
        token: &str,
        checks: &mut Checks<'_>,
    ) -> Result<Verified, Failure> {
        if !self.settings.id_token_hs256 {
            let verified = self.verify(context, discovered, token, Suspicion::Answer, checks).await?;
            return Ok(Verified {
                typ: verified.header.typ,
                digest: id_token::digest_of(verified.header.alg),
                key_issuer: verified.key_issuer,
                claims: verified.claims,
            });
        }
        let secret = self.secret.as_ref().map(|secret| secret.expose_secret().as_bytes());
        match verify_shared(token, secret.unwrap_or_default()) {
            Ok(verified) => {
                checks.note("jose.signature", "signed with our client secret", "HS256");
                let (typ, claims) = (verified.typ, verified.claims);
                Ok(Verified { typ, digest: &SHA256, key_issuer: None, claims })
            }
            Err(error) => {
                let failure = refused(error.reason(), error.note().to_owned());
                let note = error.note().to_owned();
                Err(checks.fail(failure.expected("a token that the provider signed with our secret", note)))
            }
        }
    }

    /// Verifies a signature with the provider's keys; fetches them again, rarely, for a name we do not know.
    pub(super) async fn verify(
        &self,
        context: &Context,
        discovered: &Discovered,
        token: &str,
        by: Suspicion,
        checks: &mut Checks<'_>,
    ) -> Result<VerifiedJws, Failure> {
        let keys = self.keys(context, discovered).await.map_err(|failure| checks.fail(failure))?;
        let mut outcome = verify_foreign(token, &keys, &self.algorithms);
        if outcome.as_ref().is_err_and(|error| error.may_be_stale_keys()) {
            let newer = self.newer_keys(context, discovered, &keys, by).await;
            if let Some(newer) = newer.map_err(|failure| checks.fail(failure))? {
                outcome = verify_foreign(token, &newer, &self.algorithms);
            }
        }
        match outcome {
            Ok(verified) => {
                checks.note("jose.signature", "signed by the provider", verified.header.alg.as_str());
                Ok(verified)
            }
            Err(error) => {
                let failure = refused(error.reason(), error.note().to_owned());
                Err(checks.fail(failure.expected("a token that the provider signed", error.note())))
            }
        }
    }

    /// The claims that are about the address: itself, and where its proof is found.
    pub(super) fn about_address(&self) -> BTreeSet<&str> {
        let proof = self.settings.email_verified.iter().flat_map(|proof| proof.reads());
        ["email", "email_verified"].into_iter().chain(proof.map(String::as_str)).collect()
    }

    /// The address that the provider says it has verified: the strict boolean, or the text where the
    /// provider is known to write it so.
    pub(super) fn proved_email(&self, claims: &Object) -> Option<String> {
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
fn provider_error(error: &str, parameters: &BTreeMap<String, String>) -> Failure {
    let (code, reason, user) = match error {
        word if is_refusal(word) => (OAuthCode::AccessDenied, "oidc.cancelled", UserMessage::Cancelled),
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
    Failure::new(code, reason, user, "the provider answered with an error")
        .expected("a code", explained(error, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_a_provider_has_its_code() {
        for (error, code, reason, user) in [
            ("access_denied", OAuthCode::AccessDenied, "oidc.cancelled", UserMessage::Cancelled),
            ("login_required", OAuthCode::LoginRequired, "oidc.provider_error", UserMessage::StartAgain),
            (
                "interaction_required",
                OAuthCode::InteractionRequired,
                "oidc.provider_error",
                UserMessage::StartAgain,
            ),
            ("consent_required", OAuthCode::ConsentRequired, "oidc.provider_error", UserMessage::StartAgain),
            (
                "account_selection_required",
                OAuthCode::AccountSelectionRequired,
                "oidc.provider_error",
                UserMessage::StartAgain,
            ),
            (
                "unmet_authentication_requirements",
                OAuthCode::UnmetAuthenticationRequirements,
                "oidc.provider_error",
                UserMessage::ProviderAnswerRefused,
            ),
            (
                "server_error",
                OAuthCode::TemporarilyUnavailable,
                "oidc.provider_error",
                UserMessage::ProviderUnavailable,
            ),
        ] {
            let failure = provider_error(error, &BTreeMap::new());
            assert_eq!((failure.code, failure.reason, failure.user), (code, reason, user), "{error}");
            assert_eq!(failure.detail.received.as_deref(), Some(error));
        }
    }
}
