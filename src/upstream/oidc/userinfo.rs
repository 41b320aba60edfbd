//! Userinfo (OIDC Core §5.3): asked where the ID token does not say all that is needed, believed only about
//! the same subject.

use super::Oidc;
use super::id_token::audiences;
use super::metadata::Discovered;
use super::settings::Userinfo;
use crate::context::Context;
use crate::failure::Failure;
use crate::jose::json::{self, Object};
use crate::outbound::cached::Suspicion;
use crate::outbound::{Answer, MAX_BODY, Request};
use crate::upstream::answers::is_json;
use crate::upstream::checks::{Checks, refused, show};
use serde_json::Value;
use std::collections::BTreeSet;

const FORMAT: &str = "oidc.userinfo.format";

/// Claims of the protocol: an ID token has them, userinfo has no say in them.
const PROTOCOL: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "azp",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
];

impl Oidc {
    /// Whether the ID token leaves out something that is wanted.
    pub(super) fn needs_userinfo(&self, id_token: &Object) -> bool {
        match self.settings.userinfo {
            Userinfo::Always => true,
            Userinfo::Never => false,
            Userinfo::WhenNeeded => {
                self.wanted.iter().any(|claim| id_token.get(claim).is_none_or(Value::is_null))
            }
        }
    }

    /// Fetches userinfo and checks that it is about the same person.
    pub(super) async fn userinfo(
        &self,
        context: &Context,
        discovered: &Discovered,
        access_token: &str,
        (issuer, subject): (&str, &str),
        checks: &mut Checks<'_>,
    ) -> Result<Object, Failure> {
        let endpoint = match &discovered.userinfo_endpoint {
            Some(endpoint) => endpoint.clone(),
            None if self.settings.userinfo == Userinfo::Always => {
                return Err(checks.fail(refused(FORMAT, "the provider has no userinfo endpoint")));
            }
            None => return Ok(Object::new()),
        };
        // some sign only for those who say that they want it so
        let accepted = if self.settings.userinfo_signed { "application/jwt" } else { "application/json" };
        let request = Request::get(endpoint)
            .accepting(accepted)
            .header("authorization", format!("Bearer {access_token}"));
        let answer =
            self.redeeming.send(request, MAX_BODY).await.map_err(|fault| checks.fail(fault.into()))?;
        let answer = answer.ok().map_err(|failure| checks.fail(failure))?;
        let signed = answer.content_type.as_deref() == Some("application/jwt");
        let claims = if signed {
            self.signed_userinfo(context, discovered, &answer, issuer, checks).await?
        } else {
            self.plain_userinfo(&answer, checks)?
        };
        is_about(&claims, subject, checks)?;
        Ok(claims)
    }

    /// An answer without a signature: one strict object, where a signature was not demanded.
    pub(super) fn plain_userinfo(&self, answer: &Answer, checks: &mut Checks<'_>) -> Result<Object, Failure> {
        let expected = if self.settings.userinfo_signed { "a signed answer" } else { "one JSON object" };
        let object = Some(answer)
            .filter(|answer| !self.settings.userinfo_signed && is_json(answer))
            .and_then(|answer| json::object(&answer.body).ok());
        let received = answer.content_type.clone().unwrap_or_else(|| "no media type".to_owned());
        checks.require(FORMAT, object.is_some(), expected, received)?;
        Ok(object.unwrap_or_default())
    }

    async fn signed_userinfo(
        &self,
        context: &Context,
        discovered: &Discovered,
        answer: &Answer,
        issuer: &str,
        checks: &mut Checks<'_>,
    ) -> Result<Object, Failure> {
        let token = std::str::from_utf8(&answer.body).unwrap_or_default().trim();
        let verified = self.verify(context, discovered, token, Suspicion::Answer, checks).await?;
        let iss = verified.claims.get("iss").and_then(Value::as_str);
        let aud = audiences(verified.claims.get("aud"))
            .is_some_and(|all| all.contains(&self.settings.client_id.as_str()));
        let passed = iss == Some(issuer) && aud;
        let received =
            format!("iss {}, aud {}", show(verified.claims.get("iss")), show(verified.claims.get("aud")));
        checks.require(FORMAT, passed, "signed by the issuer for us", received)?;
        Ok(verified.claims)
    }
}

/// OIDC Core §5.3.2: the one defence against another person's answer.
pub(super) fn is_about(claims: &Object, subject: &str, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let passed = claims.get("sub").and_then(Value::as_str) == Some(subject);
    checks.require("oidc.userinfo.sub", passed, "the ID token's sub", show(claims.get("sub")))
}

/// Adds to the ID token's claims what only userinfo says. The address and its proof are one: all that is about it comes
/// from the same answer.
pub(super) fn merge(mut id_token: Object, userinfo: Object, about_address: &BTreeSet<&str>) -> Object {
    // What is null is not said.
    id_token.retain(|_, value| !value.is_null());
    let about = |name: &str| about_address.contains(name) && !PROTOCOL.contains(&name);
    let same_address = match (id_token.get("email"), userinfo.get("email")) {
        (None, Some(_)) => {
            id_token.retain(|name, _| !about(name));
            true
        }
        (mine, theirs) => mine == theirs,
    };
    for (name, value) in userinfo {
        if !PROTOCOL.contains(&name.as_str()) && (!about(&name) || same_address) {
            id_token.entry(name).or_insert(value);
        }
    }
    id_token
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(id_token: Value, userinfo: Value) -> Value {
        let (Value::Object(a), Value::Object(b)) = (id_token, userinfo) else { panic!("objects") };
        Value::Object(merge(a, b, &["email", "email_verified", "iss", "xms_edov"].into()))
    }

    #[test]
    fn an_address_and_its_proof_come_from_one_answer() {
        assert_eq!(
            merged(json!({"email_verified": true}), json!({"email": "b@x.test"})),
            json!({"email": "b@x.test"})
        );
        assert_eq!(
            merged(json!({"email": "a@x.test"}), json!({"email": "b@x.test", "email_verified": true})),
            json!({"email": "a@x.test"})
        );
        assert_eq!(
            merged(json!({"email": "a@x.test"}), json!({"email": "a@x.test", "email_verified": true})),
            json!({"email": "a@x.test", "email_verified": true})
        );
        // wherever the proof is, and the protocol's own claims stay
        let said = json!({"email": "b@x.test", "name": "B"});
        assert_eq!(merged(json!({"iss": "i", "xms_edov": true}), said.clone()), {
            json!({"iss": "i", "email": "b@x.test", "name": "B"})
        });
        let mine = json!({"email": "a@x.test"});
        assert_eq!(merged(mine.clone(), json!({"email": "b@x.test", "xms_edov": true})), mine);
        assert_eq!(
            merged(json!({"email": "a@x.test"}), json!({"email_verified": true})),
            json!({"email": "a@x.test"})
        );
    }

    #[test]
    fn another_answers_proof_is_not_taken_for_the_address_at_hand() {
        let merged = merged(
            json!({"email": "a@x.test"}),
            json!({"email": "b@x.test", "email_verified": true, "name": "B"}),
        );
        assert_eq!(merged, json!({"email": "a@x.test", "name": "B"}));
    }

    #[test]
    fn userinfo_has_no_say_in_the_protocol() {
        let id = json!({"iss": "a", "sub": "b"});
        let said = json!({"sub": "b", "iss": "x", "acr": "x", "auth_time": 1, "sid": "x", "name": "n"});
        assert_eq!(merged(id, said), json!({"iss": "a", "sub": "b", "name": "n"}));
    }
}
