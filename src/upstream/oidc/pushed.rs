//! The request pushed to the provider (RFC 9126), so that the browser carries only a reference to it.

use super::Oidc;
use super::metadata::{Discovered, trouble};
use crate::context::Context;
use crate::failure::Failure;
use crate::jose::json;
use crate::outbound::{Answer, Method, Request};
use crate::upstream::answers::is_json;
use crate::upstream::checks::{clean, show};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

/// Bytes of an answer.
const MAX_ANSWER: usize = 16 * 1024;
/// The longest reference, in bytes (RFC 9101 §5.2).
const MAX_REFERENCE: usize = 512;
/// The longest life of one, in seconds: what says more is no answer to a request like ours.
const MAX_LIFE: u64 = 24 * 3600;

impl Oidc {
    /// Pushes the request, and gives what is left to send: the reference and who we are (RFC 9126 §4).
    pub(super) async fn push(
        &self,
        context: &Context,
        discovered: &Discovered,
        endpoint: &Url,
        parameters: Vec<(String, String)>,
    ) -> Result<Vec<(String, String)>, Failure> {
        let mut form: Vec<(String, Zeroizing<String>)> =
            parameters.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        let request = Request { method: Method::Post, ..Request::get(endpoint.clone()) }
            .header("content-type", "application/x-www-form-urlencoded");
        let mut request = self.authenticate(context, discovered, request, &mut form)?;
        request.body = encoded(&form);
        let answer = self.pushing.send(request, MAX_ANSWER).await?;
        let reference = reference(&answer)?;
        let client = ("client_id".to_owned(), self.settings.client_id.clone());
        Ok(vec![client, ("request_uri".to_owned(), reference)])
    }
}

fn encoded(form: &[(String, Zeroizing<String>)]) -> Vec<u8> {
    let mut body = Serializer::new(String::new());
    for (name, value) in form {
        body.append_pair(name, value.as_str());
    }
    body.finish().into_bytes()
}

/// Reads the answer (RFC 9126 §2.2, §2.3).
pub(super) fn reference(answer: &Answer) -> Result<String, Failure> {
    let object =
        Some(answer).filter(|answer| is_json(answer)).and_then(|answer| json::object(&answer.body).ok());
    let get = |name: &str| object.as_ref().and_then(|object| object.get(name));
    let malformed = |received: String| {
        let note = "the answer to the pushed request is not one";
        trouble("oidc.pushed_response", note).expected("201, JSON, request_uri and expires_in", received)
    };
    match answer.status {
        201 => {}
        status @ 400..500 => {
            let error = get("error").and_then(Value::as_str).map(clean);
            let word = error.unwrap_or_else(|| "without an error code".to_owned());
            let note = "the provider refused the pushed request";
            return Err(trouble("oidc.pushed_error", note).expected("201", format!("{status}, {word}")));
        }
        status @ 500.. => {
            let note = "the provider answered the pushed request with an error of its own";
            return Err(trouble("net.status", note).expected("201", status.to_string()));
        }
        status => return Err(malformed(format!("status {status}"))),
    }
    if object.is_none() {
        let media = answer.content_type.as_deref().unwrap_or("no media type");
        return Err(malformed(format!("{}, {} bytes, not one object", clean(media), answer.body.len())));
    }
    let life = get("expires_in").and_then(Value::as_u64);
    if !life.is_some_and(|seconds| (1..=MAX_LIFE).contains(&seconds)) {
        return Err(malformed(format!("expires_in {}", show(get("expires_in")))));
    }
    match get("request_uri").and_then(Value::as_str) {
        Some(reference) if is_reference(reference) => Ok(reference.to_owned()),
        // not itself: whoever has it can use it
        Some(other) => Err(malformed(format!("a request_uri of {} bytes that is none", other.len()))),
        None => Err(malformed("no request_uri".to_owned())),
    }
}

/// A URN or an https address, of printable ASCII.
fn is_reference(text: &str) -> bool {
    text.len() <= MAX_REFERENCE
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && Url::parse(text).is_ok_and(|url| match url.scheme() {
            "urn" => url.path().contains(':'),
            "https" => true,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const URN: &str = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";

    fn answer(status: u16, media: &str, body: &str) -> Answer {
        Answer { status, content_type: Some(media.to_owned()), max_age: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn only_what_the_specification_says_is_an_answer() {
        let json = "application/json";
        let body =
            |reference: &str, life: Value| json!({"request_uri": reference, "expires_in": life}).to_string();
        let longest = format!("urn:x:{}", "a".repeat(MAX_REFERENCE - 6));
        for good in [URN, "https://id.example/r/1", &longest] {
            for life in [1, 60, MAX_LIFE] {
                assert_eq!(reference(&answer(201, json, &body(good, life.into()))).unwrap(), good);
            }
        }
        let good = body(URN, 60.into());
        for (status, media, body, reason) in [
            (200, json, good.clone(), "oidc.pushed_response"),
            (204, json, good.clone(), "oidc.pushed_response"),
            (201, "text/html", good.clone(), "oidc.pushed_response"),
            (201, json, "[]".to_owned(), "oidc.pushed_response"),
            (201, json, String::new(), "oidc.pushed_response"),
            (201, json, good.replace('}', r#","expires_in":60}"#), "oidc.pushed_response"),
            (201, json, body("", 60.into()), "oidc.pushed_response"),
            (201, json, body("urn:", 60.into()), "oidc.pushed_response"),
            (201, json, body("urn:x", 60.into()), "oidc.pushed_response"),
            (201, json, body("request-1", 60.into()), "oidc.pushed_response"),
            (201, json, body("http://id.example/r", 60.into()), "oidc.pushed_response"),
            (201, json, body("javascript:alert(1)", 60.into()), "oidc.pushed_response"),
            (201, json, body("urn:x:a b", 60.into()), "oidc.pushed_response"),
            (201, json, body("urn:x:é", 60.into()), "oidc.pushed_response"),
            (201, json, body(&format!("{longest}a"), 60.into()), "oidc.pushed_response"),
            (201, json, body(URN, 0.into()), "oidc.pushed_response"),
            (201, json, body(URN, (-1).into()), "oidc.pushed_response"),
            (201, json, body(URN, 1.5.into()), "oidc.pushed_response"),
            (201, json, body(URN, "60".into()), "oidc.pushed_response"),
            (201, json, body(URN, (MAX_LIFE + 1).into()), "oidc.pushed_response"),
            (201, json, json!({"request_uri": URN}).to_string(), "oidc.pushed_response"),
            (201, json, json!({"expires_in": 60}).to_string(), "oidc.pushed_response"),
            (201, json, json!({"request_uri": 7, "expires_in": 60}).to_string(), "oidc.pushed_response"),
            (400, json, json!({"error": "invalid_request"}).to_string(), "oidc.pushed_error"),
            (401, json, json!({"error": "invalid_client"}).to_string(), "oidc.pushed_error"),
            (413, "text/html", "<p>".to_owned(), "oidc.pushed_error"),
            (429, json, good.clone(), "oidc.pushed_error"),
            (500, json, good, "net.status"),
            (503, json, String::new(), "net.status"),
        ] {
            let refused = reference(&answer(status, media, &body)).unwrap_err();
            assert_eq!(refused.reason, reason, "{status} {media} {body}");
        }
    }

    proptest! {
        /// Law: what is taken is a short word that cannot end or add to the address it is put into by itself.
        #[test]
        fn a_reference_is_plain(text in ".{0,600}") {
            if is_reference(&text) {
                prop_assert!(text.len() <= MAX_REFERENCE && text.is_ascii());
                prop_assert!(text.starts_with("urn:") || text.to_ascii_lowercase().starts_with("https:")
                    || text.to_ascii_lowercase().starts_with("urn:"));
            }
        }
    }
}
