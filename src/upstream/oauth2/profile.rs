//! The profile answer: who it is, and which address the provider has verified.

use super::OAuth2;
use super::settings::Path;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::jose::json::{self, Object};
use crate::outbound::{Answer, MAX_BODY, Request};
use crate::upstream::checks::{Checks, clean, is_nothing, refused, show};
use aws_lc_rs::hmac;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::fmt::Write as _;
use url::Url;

/// Below it every JSON reader keeps integers exactly (RFC 8259 §6): 2^53 itself may have been 2^53 + 1.
const EXACT: u64 = 1 << 53;

/// The subject, and its format: an id that is the number 1 is not the id that is the text "1".
pub(super) fn subject(profile: &Object, path: &Path) -> Result<(String, &'static str), Failure> {
    let value = at(profile, path);
    let found = match value {
        Some(Value::String(text)) if is_id(text) => Some((text.clone(), "")),
        Some(Value::Number(number)) => {
            number.as_u64().filter(|id| *id < EXACT).map(|id| (id.to_string(), "integer"))
        }
        _ => None,
    };
    found.ok_or_else(|| {
        refused("oauth2.subject", "the profile names no stable id")
            .expected("a text, or an integer below 2^53", show(value))
    })
}

/// What stands at a path of the profile.
fn at<'a>(profile: &'a Object, path: &Path) -> Option<&'a Value> {
    let mut names = path.names().iter();
    let first = names.next().and_then(|name| profile.get(name));
    names.fold(first, |value, name| value.and_then(|value| value.get(name)))
}

/// A text that can be an id; what programs write for "nothing" cannot (LINK-021).
pub(super) fn is_id(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 255 && !text.chars().any(char::is_control) && !is_nothing(text)
}

impl OAuth2 {
    /// Reads the profile with the access token.
    pub(super) async fn profile(&self, token: &str, checks: &mut Checks<'_>) -> Result<Object, Failure> {
        let mut url = self.settings.userinfo_url.url().clone();
        if !self.settings.userinfo_params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.settings.userinfo_params);
        }
        let answer = self.ask(url, token, checks).await?;
        let object = json::object(&answer.body).ok();
        let received = answer.content_type.unwrap_or_else(|| "no media type".to_owned());
        let media = if object.is_some() { "one JSON object".to_owned() } else { received };
        let passed = object.as_ref().is_some_and(|object| !object.contains_key("error"));
        checks.require("oauth2.userinfo.format", passed, "one JSON object without error", media)?;
        let object = object.unwrap_or_default();
        if let Some(valid) = &self.settings.userinfo_valid {
            let received = if valid.holds_of(&object) { "that" } else { "another answer" };
            checks.require("oauth2.userinfo.valid", valid.holds_of(&object), valid.as_str(), received)?;
        }
        Ok(object)
    }

    /// The address that the provider's own list calls primary and verified.
    pub(super) async fn proved_email(
        &self,
        token: &str,
        checks: &mut Checks<'_>,
    ) -> Result<Option<String>, Failure> {
        let Some(endpoint) = &self.settings.emails_url else { return Ok(None) };
        let answer = self.ask(endpoint.url().clone(), token, checks).await?;
        let answer = json::value(&answer.body).ok();
        let list = match (&answer, &self.settings.emails_list) {
            (Some(Value::Object(object)), Some(path)) => at(object, path),
            (answer, None) => answer.as_ref(),
            _ => None,
        };
        let list = list.and_then(Value::as_array);
        checks.require("oauth2.emails.format", list.is_some(), "a JSON array", "another answer")?;
        let is = |entry: &Value, name: &str| entry.get(name) == Some(&Value::Bool(true));
        let (primary, verified) = (&self.settings.emails_primary, &self.settings.emails_verified);
        let found = list.into_iter().flatten().find(|entry| is(entry, primary) && is(entry, verified));
        Ok(found.and_then(|entry| entry.get("email")).and_then(Value::as_str).map(str::to_owned))
    }

    async fn ask(&self, mut url: Url, token: &str, checks: &mut Checks<'_>) -> Result<Answer, Failure> {
        if self.settings.appsecret_proof
            && let Some(secret) = &self.secret
        {
            url.query_pairs_mut()
                .append_pair("appsecret_proof", &appsecret_proof(secret.expose_secret(), token));
        }
        let mut request = Request::get(url).header("authorization", format!("Bearer {token}"));
        for (name, value) in &self.settings.userinfo_headers {
            request = request.header(&name.to_ascii_lowercase(), value.as_str());
        }
        let answer =
            self.outbound.send(request, MAX_BODY).await.map_err(|fault| checks.fail(fault.into()))?;
        if answer.status == 200 {
            return Ok(answer);
        }
        Err(checks.fail(api_error(&answer)))
    }
}

/// An error of the profile endpoint: the Graph API's object, or just a status.
fn api_error(answer: &Answer) -> Failure {
    let object = json::object(&answer.body).ok();
    let error = object.as_ref().and_then(|object| object.get("error")).and_then(Value::as_object);
    let word = |name: &str| error.and_then(|error| error.get(name)).map(|value| show(Some(value)));
    let received = match (word("type"), word("code")) {
        (Some(kind), Some(code)) => format!("{} {kind} {code}", answer.status),
        _ => answer.status.to_string(),
    };
    let (code, user) = if answer.status >= 500 || answer.status == 429 {
        (OAuthCode::TemporarilyUnavailable, UserMessage::ProviderUnavailable)
    } else {
        (OAuthCode::AccessDenied, UserMessage::ProviderAnswerRefused)
    };
    Failure::new(code, "oauth2.userinfo.status", user, "the profile endpoint answered with an error")
        .expected("200", clean(&received))
}

/// Facebook, Graph API, "Securing Graph API Requests": HMAC-SHA256 of the token under the app secret, in
/// lower-case hexadecimal.
fn appsecret_proof(secret: &str, token: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), token.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in tag.as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(String, &'static str)> {
        let profile = json::object(text.as_bytes()).unwrap();
        let path: Path = serde_json::from_str("\"id\"").unwrap();
        match subject(&profile, &path) {
            Ok(found) => Some(found),
            Err(failure) => {
                assert_eq!(failure.reason, "oauth2.subject");
                None
            }
        }
    }

    #[test]
    fn oidc_038_a_profile_without_a_stable_id_is_refused() {
        assert_eq!(of(r#"{"id":"a1"}"#), Some(("a1".to_owned(), "")));
        for bad in [
            "{}",
            r#"{"id":null}"#,
            r#"{"id":""}"#,
            r#"{"id":"  "}"#,
            r#"{"id":true}"#,
            r#"{"id":["a"]}"#,
            r#"{"id":{"a":1}}"#,
            r#"{"id":-1}"#,
            r#"{"id":"a\u0000"}"#,
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(of(&format!(r#"{{"id":"{}"}}"#, "x".repeat(256))), None);
    }

    #[test]
    fn oidc_039_numbers_are_kept_exactly_and_are_not_texts() {
        assert_eq!(of(r#"{"id":1}"#), Some(("1".to_owned(), "integer")));
        assert_ne!(of(r#"{"id":1}"#), of(r#"{"id":"1"}"#));
        assert_eq!(of(r#"{"id":9007199254740991}"#), Some(("9007199254740991".to_owned(), "integer")));
        for bad in [
            r#"{"id":1.0}"#,
            r#"{"id":1e3}"#,
            r#"{"id":9007199254740992}"#,
            r#"{"id":9007199254740993}"#,
            r#"{"id":123456789012345678901234}"#,
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn link_021_what_programs_write_for_nothing_is_no_subject() {
        for bad in ["null", "undefined", "None", " nil ", "NaN", "[object Object]"] {
            assert_eq!(of(&format!(r#"{{"id":"{bad}"}}"#)), None, "{bad}");
        }
    }

    #[test]
    fn a_subject_may_stand_deeper() {
        let profile = json::object(br#"{"data":{"id":"x"}}"#).unwrap();
        let path: Path = serde_json::from_str("\"data.id\"").unwrap();
        assert_eq!(subject(&profile, &path).unwrap().0, "x");
    }

    #[test]
    fn the_proof_is_the_documented_hmac() {
        // RFC 4231 §4.3
        assert_eq!(
            appsecret_proof("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
