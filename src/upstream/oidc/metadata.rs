//! What the provider publishes: its discovery document and its keys, both kept.

use super::Oidc;
use super::settings::When;
use crate::context::Context;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::jose::json::Object;
use crate::jose::{Alg, JwkSet, json};
use crate::outbound::cached::{Cached, Fetched, Suspicion};
use crate::outbound::{Answer, MAX_BODY, Request};
use crate::upstream::answers::is_json;
use crate::upstream::checks::clean;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The part of a discovery document that is used (OIDC Discovery §3, RFC 9207 §3).
#[derive(Debug)]
pub(super) struct Discovered {
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    /// The keys of that address. They stay while it stays, and never outlive it.
    keys: Arc<Cached<JwkSet>>,
    pub userinfo_endpoint: Option<Url>,
    /// It says that its answers carry `iss`: then one without is refused.
    pub sends_iss: bool,
    /// Where requests are pushed to, if they are (RFC 9126).
    pub push: Option<Url>,
    /// The algorithm under which requests are signed, if they are (RFC 9101).
    pub request_alg: Option<&'static str>,
    /// The algorithm under which our key signs assertions; of no use where we have none.
    pub assertion_alg: &'static str,
}

pub(super) fn trouble(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::TemporarilyUnavailable, reason, UserMessage::ProviderUnavailable, note)
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Oidc {
    /// The discovery document, kept or fetched.
    pub(super) async fn discover(&self, context: &Context) -> Result<Arc<Discovered>, Failure> {
        self.discovered.get(context, || self.fetch_discovery()).await
    }

    /// The provider's keys, kept or fetched.
    pub(super) async fn keys(
        &self,
        context: &Context,
        discovered: &Discovered,
    ) -> Result<Arc<JwkSet>, Failure> {
        discovered.keys.get(context, || self.fetch_keys(discovered)).await
    }

    /// Newer keys than `seen`, because a token names one that we do not have.
    pub(super) async fn newer_keys(
        &self,
        context: &Context,
        discovered: &Discovered,
        seen: &Arc<JwkSet>,
        by: Suspicion,
    ) -> Result<Option<Arc<JwkSet>>, Failure> {
        discovered.keys.suspect(context, seen, by, || self.fetch_keys(discovered)).await
    }

    /// Whether something that is kept will soon be too old.
    pub(super) fn is_due(&self, context: &Context) -> bool {
        let now = context.now();
        self.discovered.is_due(now) || self.discovered.peek().is_some_and(|known| known.keys.is_due(now))
    }

    /// The reason why what was fetched last could not be had, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.discovered.trouble().or_else(|| self.discovered.peek()?.keys.trouble())
    }

    /// Refreshes what is due. Failures are kept by the caches and told by `health`.
    pub(super) async fn refresh(&self, context: &Context) {
        if self.discovered.is_due(context.now()) {
            let _ = self.discovered.refresh(context, || self.fetch_discovery()).await;
        }
        if let Some(known) = self.discovered.peek().filter(|known| known.keys.is_due(context.now())) {
            let _ = known.keys.refresh(context, || self.fetch_keys(&known)).await;
        }
    }

    async fn fetch_discovery(&self) -> Fetched<Discovered> {
        // OIDC Discovery §4: appended to the issuer, whether or not it ends in a slash
        let address =
            format!("{}/.well-known/openid-configuration", self.settings.issuer.text.trim_end_matches('/'));
        let url = match &self.settings.discovery_url {
            Some(endpoint) => endpoint.url().clone(),
            None => Url::parse(&address)
                .map_err(|error| trouble("oidc.discovery", "the issuer gives no address").caused_by(error))?,
        };
        let answer = self.outbound.send(Request::get(url), MAX_BODY).await?.ok()?;
        let discovered = self.read_discovery(&answer)?;
        Ok((discovered, answer.fresh_for(5 * MINUTE, HOUR, 24 * HOUR)))
    }

    pub(super) fn read_discovery(&self, answer: &Answer) -> Result<Discovered, Failure> {
        let object = Some(answer)
            .filter(|answer| is_json(answer))
            .and_then(|answer| json::object(&answer.body).ok())
            .ok_or_else(|| trouble("oidc.discovery", "the discovery document is not one JSON object"))?;
        // letter by letter (OIDC Discovery §4.3): whoever publishes another issuer is another issuer. Of many tenants it is
        // the template, or one that is admitted, as in Microsoft's document for personal accounts; whose a token is,
        // the token and its key say.
        let issuer = object.get("issuer").and_then(Value::as_str).unwrap_or_default();
        if issuer != self.settings.issuer.text && !self.may_be_issuer(issuer) {
            return Err(trouble("oidc.discovery.issuer", "the discovery document is another issuer's")
                .expected(self.settings.issuer.text.clone(), clean(issuer)));
        }
        let endpoint = |name: &'static str| -> Result<Option<Url>, Failure> {
            let Some(value) = object.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
            let url = value.as_str().and_then(|text| Url::parse(text).ok()).ok_or_else(|| {
                trouble("oidc.discovery", "an endpoint in the discovery document is no address")
                    .expected(name, "")
            })?;
            self.outbound.check_url(&url)?;
            Ok(Some(url))
        };
        let required = |name: &'static str| {
            endpoint(name)?.ok_or_else(|| {
                trouble("oidc.discovery", "the discovery document lacks an endpoint").expected(name, "absent")
            })
        };
        let demands = |name: &str, when: When| match when {
            When::Auto => object.get(name) == Some(&Value::Bool(true)),
            When::Always => true,
            When::Never => false,
        };
        let own = self.settings.pushed_authorization_url.as_ref().map(|endpoint| endpoint.url().clone());
        let push = match demands(
            "require_pushed_authorization_requests",
            self.settings.pushed_authorization_requests,
        ) {
            false => None,
            true => match own {
                Some(own) => Some(own),
                None => Some(endpoint("pushed_authorization_request_endpoint")?.ok_or_else(|| {
                    let note = "requests are to be pushed, and nobody says where to";
                    trouble("oidc.pushed_endpoint", note)
                        .expected("pushed_authorization_request_endpoint", "absent")
                })?),
            },
        };
        let request_alg = if demands("require_signed_request_object", self.settings.request_object) {
            Some(self.request_alg(&object)?)
        } else {
            None
        };
        let jwks_uri = required("jwks_uri")?;
        let before = self.discovered.peek().filter(|known| known.jwks_uri == jwks_uri);
        Ok(Discovered {
            push,
            request_alg,
            assertion_alg: self.assertion_alg(&object),
            authorization_endpoint: required("authorization_endpoint")?,
            token_endpoint: required("token_endpoint")?,
            keys: before.map(|known| known.keys.clone()).unwrap_or_default(),
            jwks_uri,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            sends_iss: object.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
        })
    }

    /// The algorithms of our key: that of the settings, or all of it, those first that the provider takes. Whether it
    /// takes any is said too; one that says nothing takes all.
    fn algorithms_for(&self, object: &Object, list: &str) -> (Option<&'static str>, bool) {
        let able = self.key.as_ref().map(crate::jose::SigningKey::algorithms).unwrap_or_default();
        let wanted = self.settings.signing_alg;
        let mut able = able.iter().copied().filter(|name| wanted.is_none() || Alg::parse(name) == wanted);
        let Some(taken) = object.get(list).and_then(Value::as_array) else { return (able.next(), true) };
        let first = able.clone().next();
        match able.find(|name| taken.iter().any(|one| one.as_str() == Some(name))) {
            Some(name) => (Some(name), true),
            None => (first, false),
        }
    }

    fn request_alg(&self, object: &Object) -> Result<&'static str, Failure> {
        let list = "request_object_signing_alg_values_supported";
        let note = "requests are to be signed, and we have no key for it";
        match self.algorithms_for(object, list) {
            (None, _) => Err(trouble("oidc.request_object", note).expected("private_key", "absent")),
            (Some(ours), false) if self.settings.signing_alg.is_none() => {
                let note = "the provider takes no algorithm by which our key can sign requests";
                let taken = object.get(list).map(Value::to_string).unwrap_or_default();
                Err(trouble("oidc.request_object", note).expected(ours, clean(&taken)))
            }
            // what somebody set by hand counts more than what a document leaves out
            (Some(ours), _) => Ok(ours),
        }
    }

    /// The usual one where the provider's list has none: lists are not always complete, and no signature is better.
    fn assertion_alg(&self, object: &Object) -> &'static str {
        let list = "token_endpoint_auth_signing_alg_values_supported";
        self.algorithms_for(object, list).0.unwrap_or_default()
    }

    async fn fetch_keys(&self, discovered: &Discovered) -> Fetched<JwkSet> {
        let answer = self.outbound.send(Request::get(discovered.jwks_uri.clone()), MAX_BODY).await?.ok()?;
        let keys = JwkSet::parse(&answer.body)
            .map_err(|error| trouble("oidc.jwks", "the provider's key set is not one").caused_by(error))?;
        Ok((keys, answer.fresh_for(MINUTE, 10 * MINUTE, HOUR)))
    }
}
