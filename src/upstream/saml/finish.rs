//! The answer: opened with the provider's keys, held against the request that it must answer, mapped.

use super::Saml;
use super::encryption::DecryptionKeys;
use super::metadata::idp::Described;
use super::open::{self, Answer, Opened, Trust};
use super::profile::{self, Expected};
use super::request::Remembered;
use super::settings::Encryption;
use crate::context::Context;
use crate::failure::Failure;
use crate::outbound::cached::Suspicion;
use crate::upstream::checks::Checks;
use crate::upstream::identity::Authentication;
use crate::upstream::vouch::{Facts, vouch};
use crate::upstream::{Callback, CallbackMethod, Demanded, Replay, Trace, Vouched};
use std::sync::Arc;

impl Saml {
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
        let bytes = received(callback, checks)?;
        let described = self.describe(context).await.map_err(|failure| checks.fail(failure))?;
        let opened = self.opened(context, bytes, described, checks).await?;
        let demanded = Demanded {
            force_authentication: callback.demanded.force_authentication || self.settings.force_authn,
            ..callback.demanded.clone()
        };
        let expected = Expected {
            entity_id: &self.our_entity_id(&callback.callback),
            issuer: &self.settings.entity_id,
            acs: &callback.callback,
            request_id: &remembered.id,
            now: context.now(),
            skew: self.settings.skew,
            max_lifetime: self.settings.max_lifetime,
            max_age: self.settings.response_max_age,
            subject: &self.subject,
            contexts: &remembered.contexts,
            names: &self.settings.attributes,
            demanded: &demanded,
        };
        let said = profile::check(&opened, &expected, checks)?;
        let issued = said.issued;
        let (what, until) = said.replay;
        let upstream_name = self.logout_name(&said.name_id, expected.entity_id);
        let facts = Facts {
            issuer: self.settings.entity_id.clone(),
            subject: said.subject,
            format: said.format,
            // SAML has no word for a verified address; `email_verified` says where the proof is
            proved_email: None,
            proved_apart: false,
            claims: said.claims,
            authentication: Authentication {
                upstream_name,
                // by its clock, which may be behind ours
                session_ends: said.authentication.session_ends.map(|ends| ends.plus(self.settings.skew)),
                ..said.authentication
            },
            replay: Some(Replay { what, until, reason: "saml.replay" }),
        };
        let vouched = vouch(&self.common, &self.mapping, facts, checks)?;
        Ok(Vouched { identity: vouched.identity.said_at(issued), ..vouched })
    }

    /// What a message is opened with.
    pub(super) fn trust(&self, described: &Described) -> Trust {
        Trust {
            certificates: described.certificates.clone(),
            algorithms: self.algorithms(),
            signed: self.settings.policy().signed(),
            keep: self.settings.keep_disagreements.as_deref().map(Arc::from),
        }
    }

    /// Our keys for what comes encrypted.
    fn decryption(&self) -> DecryptionKeys {
        if self.settings.encryption() == Encryption::Off {
            return DecryptionKeys::default();
        }
        let keys = self.keys.iter().map(|key| key.decryption.clone()).collect();
        DecryptionKeys { keys, cbc: self.settings.allow_cbc }
    }

    /// Opens the message; with newer keys, asked for rarely, if none that we know signed it.
    async fn opened(
        &self,
        context: &Context,
        bytes: Vec<u8>,
        described: Arc<Described>,
        checks: &mut Checks<'_>,
    ) -> Result<Opened, Failure> {
        checks.note("saml.encoding", "base64", format!("{} bytes", bytes.len()));
        let (mut steps, mut outcome) =
            open::open(bytes.clone(), self.trust(&described), self.decryption()).await;
        if outcome.as_ref().is_err_and(|failure| failure.reason == "saml.sig.invalid") {
            match self.newer(context, &described, Suspicion::Answer).await {
                Ok(Some(newer)) => {
                    (steps, outcome) = open::open(bytes, self.trust(&newer), self.decryption()).await;
                }
                Ok(None) => {}
                Err(failure) => outcome = Err(failure),
            }
        }
        checks.append(&steps);
        match outcome.map_err(|failure| checks.fail(failure))? {
            Answer::Opened(opened) => {
                // what must be signed was held against what is before anything was verified
                let wanted = self.settings.policy().signed().required();
                checks.note("saml.signature", wanted, opened.signed.made());
                if self.settings.encryption() == Encryption::Required {
                    let received = if opened.encrypted { "encrypted" } else { "not encrypted" };
                    checks.require(
                        "saml.enc.required",
                        opened.encrypted,
                        "an encrypted assertion",
                        received,
                    )?;
                }
                Ok(opened)
            }
            Answer::Declined(envelope) => Err(profile::declined(&envelope, checks)),
        }
    }
}

/// SAML Profiles §4.1.2: the answer comes by a form, which has one message in it.
fn received(callback: &Callback, checks: &mut Checks<'_>) -> Result<Vec<u8>, Failure> {
    let has = |name: &str| callback.parameters.contains_key(name);
    let uninvited = ["SAMLRequest", "SAMLart", "SigAlg", "Signature"].into_iter().find(|name| has(name));
    let shown = match (callback.method, uninvited) {
        (CallbackMethod::Get, _) => "a GET".to_owned(),
        (CallbackMethod::Post, Some(name)) => format!("{name} in the form"),
        (CallbackMethod::Post, None) if has("SAMLResponse") => "a SAMLResponse".to_owned(),
        (CallbackMethod::Post, None) => "no SAMLResponse".to_owned(),
    };
    let passed = callback.method == CallbackMethod::Post && uninvited.is_none() && has("SAMLResponse");
    checks.require("saml.response", passed, "one SAMLResponse by POST", shown)?;
    let value = callback.parameters.get("SAMLResponse").map(String::as_str).unwrap_or_default();
    open::decode_form(value).map_err(|failure| checks.fail(failure))
}
