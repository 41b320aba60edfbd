//! Reading what a provider's endpoints answer: strictly, and before any library sees it.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::jose::json::{self, Object};
use crate::outbound::Answer;
use crate::upstream::checks::{clean, refused};
use serde_json::Value;
use std::fmt;

/// The reasons of one kind's token endpoint.
#[derive(Debug, Clone, Copy)]
pub(in crate::upstream) struct TokenReasons {
    /// The endpoint answered with an error.
    pub error: &'static str,
    /// The answer is not a token response.
    pub response: &'static str,
}

/// A failure on its way through a library that wants an `Error`.
pub(in crate::upstream) struct Carried(pub Failure);

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason)
    }
}
impl std::error::Error for Carried {}

/// Whether the media type is JSON (RFC 8259 §11, RFC 6839 §3.1).
pub(in crate::upstream) fn is_json(answer: &Answer) -> bool {
    answer
        .content_type
        .as_deref()
        .is_some_and(|t| t == "application/json" || (t.starts_with("application/") && t.ends_with("+json")))
}

/// What else counts as an answer of a token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Leniency {
    /// Nothing.
    None,
    /// An error under status 200, as Slack gives it, is an error.
    Errors,
    /// That, and form-encoded answers, as GitHub gives them.
    Form,
}

/// Checks a token response (RFC 6749 §5.1) and its error form (§5.2), and returns it as one strict object.
pub(in crate::upstream) fn token_response(
    answer: &Answer,
    reasons: TokenReasons,
    leniency: Leniency,
) -> Result<Object, Failure> {
    let form = leniency == Leniency::Form;
    let shape = |received: String| {
        refused(reasons.response, "the token endpoint's answer is not a token response")
            .expected("one JSON object with access_token and token_type Bearer", clean(&received))
    };
    let object = match answer.content_type.as_deref() {
        Some("application/x-www-form-urlencoded") if form => from_form(&answer.body),
        // some label their JSON as text; it is parsed as strictly
        Some("text/javascript" | "text/plain") if form => json::object(&answer.body).ok(),
        _ if is_json(answer) => json::object(&answer.body).ok(),
        _ => None,
    };
    let error = object.as_ref().and_then(|object| object.get("error")).cloned();
    let error = error.as_ref();
    if answer.status != 200 {
        if answer.status >= 500 {
            return Err(Failure::new(
                OAuthCode::TemporarilyUnavailable,
                "net.status",
                UserMessage::ProviderUnavailable,
                "the token endpoint answered with an error of its own",
            )
            .expected("200", answer.status.to_string()));
        }
        return Err(token_error(reasons, answer.status, error));
    }
    let object = object.ok_or_else(|| {
        let media = answer.content_type.as_deref().unwrap_or("no media type");
        shape(format!("{media}, {} bytes, not one object", answer.body.len()))
    })?;
    if error.is_some() {
        return Err(if leniency != Leniency::None {
            token_error(reasons, answer.status, error)
        } else {
            shape("an error under status 200".to_owned())
        });
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("access_token").is_none() {
        return Err(shape("no access_token".to_owned()));
    }
    match text("token_type") {
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => {
            // What nobody reads cannot be wrong: providers write `expires_in` as text, `scope` as a list.
            let wanted = |name: &str| matches!(name, "access_token" | "token_type" | "id_token");
            Ok(object.into_iter().filter(|(name, _)| wanted(name)).collect())
        }
        Some(kind) => Err(shape(format!("token_type {kind}"))),
        None => Err(shape("no token_type".to_owned())),
    }
}

fn token_error(reasons: TokenReasons, status: u16, error: Option<&Value>) -> Failure {
    // RFC 6749 §5.2 has a text; the Graph API has an object with a type and a code
    let word = match error {
        Some(Value::String(text)) => clean(text),
        Some(Value::Object(object)) => {
            let kind = object.get("type").and_then(Value::as_str).unwrap_or("error");
            let code = object.get("code").map(ToString::to_string).unwrap_or_default();
            clean(&format!("{kind} {code}"))
        }
        _ => format!("status {status}"),
    };
    refused(reasons.error, "the token endpoint refused the code").expected("tokens", word)
}

fn from_form(body: &[u8]) -> Option<Object> {
    let mut object = Object::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if object.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return None;
        }
    }
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: TokenReasons = TokenReasons { error: "x.error", response: "x.response" };

    fn answer(status: u16, media: &str, body: &str) -> Answer {
        Answer { status, content_type: Some(media.to_owned()), max_age: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn oidc_055_only_a_token_response_is_one() {
        let json = "application/json";
        let good = r#"{"access_token":"a","token_type":"bearer"}"#;
        assert!(token_response(&answer(200, json, good), REASONS, Leniency::None).is_ok());
        let odd = r#"{"access_token":"a","token_type":"Bearer","expires_in":"5","scope":["a"],"refresh_token":null}"#;
        assert_eq!(token_response(&answer(200, json, odd), REASONS, Leniency::None).unwrap().len(), 2);
        for (status, media, body, reason) in [
            (200, "text/html", good, "x.response"),
            (200, "text/x+json", good, "x.response"),
            (200, "application/jwt", good, "x.response"),
            (200, "text/plain", good, "x.response"),
            (200, json, "[]", "x.response"),
            (200, json, r#"{"access_token":"a","token_type":"mac"}"#, "x.response"),
            (200, json, r#"{"access_token":"a"}"#, "x.response"),
            (200, json, r#"{"access_token":7,"token_type":"bearer"}"#, "x.response"),
            (200, json, r#"{"token_type":"bearer"}"#, "x.response"),
            (200, json, r#"{"access_token":"","token_type":"bearer"}"#, "x.response"),
            (200, json, r#"{"access_token":"a","token_type":""}"#, "x.response"),
            (200, json, r#"{"error":"invalid_grant"}"#, "x.response"),
            (200, json, r#"{"access_token":"a","access_token":"b","token_type":"bearer"}"#, "x.response"),
            (201, json, good, "x.error"),
            (400, json, r#"{"error":"invalid_grant"}"#, "x.error"),
            (400, json, r#"{"error":{"type":"OAuthException","code":100}}"#, "x.error"),
            (400, "text/html", "<p>", "x.error"),
            (503, json, "{}", "net.status"),
        ] {
            let refused = token_response(&answer(status, media, body), REASONS, Leniency::None).unwrap_err();
            assert_eq!(refused.reason, reason, "{status} {media} {body}");
        }
    }

    #[test]
    fn an_error_of_the_token_endpoint_is_told_in_its_own_words() {
        let told = |status: u16, media: &str, body: &str| {
            let answer = answer(status, media, body);
            let failure = token_response(&answer, REASONS, Leniency::None).unwrap_err();
            failure.detail.received.unwrap_or_default()
        };
        let json = "application/json";
        assert_eq!(told(400, json, r#"{"error":"invalid_grant"}"#), "invalid_grant");
        assert_eq!(
            told(400, json, r#"{"error":{"type":"OAuthException","code":100}}"#),
            "OAuthException 100"
        );
        assert_eq!(told(400, json, r#"{"error":{"code":"x"}}"#), "error \"x\"");
        assert_eq!(told(401, json, r#"{"error":["x"]}"#), "status 401");
        assert_eq!(told(499, "text/html", "<p>"), "status 499");
        assert_eq!(told(500, json, "{}"), "500");
        assert_eq!(told(200, json, r#"{"access_token":"a"}"#), "no token_type");
        assert_eq!(told(200, json, r#"{"access_token":"a","token_type":"mac"}"#), "token_type mac");
        assert_eq!(told(200, json, r#"{"token_type":"bearer"}"#), "no access_token");
        assert_eq!(told(200, "text/html", "<p>"), "text/html, 3 bytes, not one object");
    }

    #[test]
    fn json_is_known_by_its_media_type() {
        for media in ["application/json", "application/problem+json"] {
            assert!(is_json(&answer(200, media, "")), "{media}");
        }
        for media in
            ["", "text/json", "text/x+json", "application/jwt", "application/jsonp", "application/+jsonx"]
        {
            assert!(!is_json(&answer(200, media, "")), "{media}");
        }
        assert!(!is_json(&Answer { content_type: None, ..answer(200, "", "") }));
    }

    #[test]
    fn a_failure_on_its_way_through_a_library_shows_its_reason() {
        let carried = Carried(refused("x.error", "a note"));
        assert_eq!(carried.to_string(), "x.error");
        assert!(format!("{carried:?}").contains("x.error"));
    }

    #[test]
    fn form_encoded_answers_count_where_they_are_expected() {
        let form =
            answer(200, "application/x-www-form-urlencoded", "access_token=a&token_type=bearer&expires_in=5");
        assert_eq!(token_response(&form, REASONS, Leniency::Form).unwrap()["access_token"], "a");
        assert!(token_response(&form, REASONS, Leniency::None).is_err());
        let twice = answer(
            200,
            "application/x-www-form-urlencoded",
            "access_token=a&access_token=b&token_type=bearer",
        );
        assert!(token_response(&twice, REASONS, Leniency::Form).is_err());
        let error = answer(200, "application/json", r#"{"error":"bad_verification_code"}"#);
        for leniency in [Leniency::Form, Leniency::Errors] {
            assert_eq!(token_response(&error, REASONS, leniency).unwrap_err().reason, "x.error");
        }
        assert_eq!(token_response(&form, REASONS, Leniency::Errors).unwrap_err().reason, "x.response");
        for media in ["text/plain", "text/javascript"] {
            let text = answer(200, media, r#"{"access_token":"a","token_type":"bearer"}"#);
            assert!(token_response(&text, REASONS, Leniency::Form).is_ok(), "{media}");
            assert!(token_response(&text, REASONS, Leniency::Errors).is_err(), "{media}");
        }
    }
}
