//! Requests that do not come as parameters of an address: pushed (RFC 9126), signed (RFC 9101), or both.

use super::{CLIENT_ID, Reply, Seen, Standin, lock};
use countersign::jose::{Alg, JwkSet, verify_foreign};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Parameters = BTreeMap<String, String>;

impl Standin {
    /// The request objects that were taken, as they were signed.
    pub fn objects(&self) -> Vec<Value> {
        lock(&self.shared.objects).clone()
    }

    /// The parameters of a request, by whichever way it came.
    pub(super) fn request_of(&self, sent: &Parameters) -> Result<Parameters, &'static str> {
        let client =
            |parameters: &Parameters| parameters.get("client_id").map(String::as_str) == Some(CLIENT_ID);
        match sent.get("request_uri") {
            // used once, and nothing beside it but who sends it
            Some(reference) if sent.len() == 2 && client(sent) => {
                lock(&self.shared.pushed).remove(reference).ok_or("invalid_request_uri")
            }
            Some(_) => Err("invalid_request"),
            None if self.script().pushed_only => Err("invalid_request"),
            None => self.opened(sent),
        }
    }

    /// The parameters, out of the object if there is one.
    fn opened(&self, sent: &Parameters) -> Result<Parameters, &'static str> {
        let keys = self.script().signed_only.clone();
        let (keys, object) = match (keys, sent.get("request")) {
            (Some(keys), Some(object)) => (keys, object),
            (Some(_), None) => return Err("invalid_request"),
            (None, Some(_)) => return Err("request_not_supported"),
            (None, None) => return Ok(sent.clone()),
        };
        let keys = JwkSet::parse(keys.to_string().as_bytes()).unwrap();
        let bad = "invalid_request_object";
        let verified = verify_foreign(object, &keys, &Alg::ALL).map_err(|_| bad)?;
        let claims = verified.claims;
        let now = self.shared.clock.now().secs();
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).ok_or(bad);
        let sound = verified.header.typ.as_deref() == Some("oauth-authz-req+jwt")
            && claims.get("iss") == Some(&CLIENT_ID.into())
            && claims.get("client_id") == Some(&CLIENT_ID.into())
            && claims.get("aud") == Some(&self.origin().into())
            && time("nbf")? <= now
            && (now..=now + 3600).contains(&time("exp")?)
            && claims.get("jti").and_then(Value::as_str).is_some_and(|jti| jti.len() >= 32)
            && !["sub", "request", "request_uri"].iter().any(|name| claims.contains_key(*name));
        if !sound {
            return Err(bad);
        }
        lock(&self.shared.objects).push(Value::Object(claims.clone()));
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(claims.into_iter().map(|(name, value)| (name, text(value))).collect())
    }

    pub(super) fn push(&self, seen: &Seen) -> Result<Reply, Reply> {
        let refuse = |status: u16, error: &str| Reply::json(status, &json!({"error": error}));
        if !self.is_clients(seen) {
            return Err(refuse(401, "invalid_client"));
        }
        if seen.form.contains_key("request_uri") {
            return Err(refuse(400, "invalid_request"));
        }
        let parameters = self.opened(&seen.form).map_err(|error| refuse(400, error))?;
        let reference = format!("urn:ietf:params:oauth:request_uri:{}", self.next("pushed"));
        lock(&self.shared.pushed).insert(reference.clone(), parameters);
        Ok(Reply::json(201, &json!({"request_uri": reference, "expires_in": 60})))
    }
}
