//! The request as an object that our key signs (RFC 9101).

use super::Oidc;
use crate::context::Context;
use crate::failure::Failure;
use crate::jose::json::{self, Object};
use serde_json::Value;
use std::time::Duration;

/// RFC 9101 §10.8: so that it cannot pass for a token of another kind.
const TYPE: &str = "oauth-authz-req+jwt";
/// How long it counts: until the browser, or our own request, has brought it there.
const LIFETIME: Duration = Duration::from_secs(300);

impl Oidc {
    /// Signs the request, and gives what is left to send: the object and who we are (RFC 9101 §5).
    pub(super) fn sign_request(
        &self,
        context: &Context,
        alg: &str,
        parameters: &[(String, String)],
    ) -> Result<Vec<(String, String)>, Failure> {
        let wrong = || Failure::internal("oidc.request", "the request could not be signed");
        let now = context.now();
        let mut claims = members(parameters);
        let client = self.settings.client_id.as_str();
        for (name, value) in [
            ("iss", Value::from(client)),
            ("aud", Value::from(self.settings.issuer.text.as_str())),
            ("iat", Value::from(now.secs())),
            ("nbf", Value::from(now.secs())),
            ("exp", Value::from(now.plus(LIFETIME).secs())),
            ("jti", Value::from(context.secret_text())),
        ] {
            claims.insert(name.to_owned(), value);
        }
        let key = self.key.as_ref().ok_or_else(wrong)?;
        let object = key
            .token(alg, TYPE, self.settings.key_id.as_deref(), &claims)
            .map_err(|error| wrong().caused_by(error))?;
        Ok(vec![("client_id".to_owned(), client.to_owned()), ("request".to_owned(), object)])
    }
}

/// The parameters as members: texts, but for the number and the object of OpenID Connect (RFC 9101 §4, OIDC Core
/// §6.1). Without `sub`: with it, an object could pass for a client assertion (RFC 9101 §10.8).
fn members(parameters: &[(String, String)]) -> Object {
    let typed = |name: &str, value: &str| match name {
        "max_age" => value.parse::<u64>().ok().map(Value::from),
        "claims" => json::object(value.as_bytes()).ok().map(Value::Object),
        _ => None,
    };
    parameters
        .iter()
        .filter(|(name, _)| name != "sub")
        .map(|(name, value)| (name.clone(), typed(name, value).unwrap_or_else(|| value.as_str().into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_become_members_of_their_types() {
        let pairs = [
            ("scope", "openid email"),
            ("max_age", "60"),
            ("claims", r#"{"id_token":{"acr":null}}"#),
            ("state", "7"),
            ("sub", "countersign"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = json!({
            "scope": "openid email", "max_age": 60, "claims": {"id_token": {"acr": null}}, "state": "7",
        });
        assert_eq!(Value::Object(members(&pairs)), expected);
        let odd =
            [("claims", "{"), ("max_age", "-1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Value::Object(members(&odd)), json!({"claims": "{", "max_age": "-1"}));
    }
}
