//! A signed request: Facebook's server tells that somebody took our access away (*deauthorize callback*), or wants
//! what it told us deleted (*data deletion request callback*), by a form with an HMAC under our secret.
//! <https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback>

use super::OAuth2;
use super::profile::is_id;
use super::settings::Notices;
use crate::accounts::IdentityKey;
use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode};
use crate::jose::json::{self, Object};
use crate::upstream::checks::{Checks, show};
use crate::upstream::{Notice, Replay, Trace};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest one, in bytes.
const LONGEST: usize = 4096;
/// An older one is refused; a newer one is remembered for as long.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How far its clock may be ahead.
const SKEW: Duration = Duration::from_secs(60);

impl OAuth2 {
    /// Validates a signed request. What is wrong with it is `invalid_request`.
    pub(super) fn signed_request(
        &self,
        context: &Context,
        parameters: &BTreeMap<String, String>,
        trace: &mut Trace,
    ) -> Result<Notice, Failure> {
        let absent = |note| Failure::invalid_request("upstream.notice", note);
        let secret = self.secret.as_ref().filter(|_| self.settings.notices == Notices::SignedRequest);
        let secret = secret.ok_or_else(|| absent("this provider tells nothing of this sort"))?;
        let request = parameters.get("signed_request").ok_or_else(|| absent("there is no signed_request"))?;
        let mut checks = Checks::new(trace);
        let meant = check(request, secret.expose_secret().as_bytes(), context.now(), &mut checks)
            .map_err(|failure| Failure { code: OAuthCode::InvalidRequest, ..failure })?;
        Ok(Notice {
            identity: IdentityKey {
                provider: self.common.id.clone(),
                issuer: self.settings.issuer(),
                subject: meant.subject,
                format: String::new(),
            },
            replay: Replay {
                what: format!("signed_request:{request}"),
                until: meant.until,
                reason: "upstream.replay",
            },
        })
    }
}

/// Whom a signed request means, and until when it must be remembered.
#[derive(Debug, PartialEq, Eq)]
struct Meant {
    subject: String,
    until: Timestamp,
}

/// Checks one, in the order of the provider's own page: the signature over the encoded payload, then what it says.
fn check(text: &str, secret: &[u8], now: Timestamp, checks: &mut Checks<'_>) -> Result<Meant, Failure> {
    let parts = Some(text).filter(|text| text.len() <= LONGEST).and_then(|text| text.split_once('.'));
    let decoded = parts.and_then(|(signature, payload)| {
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let object: Object = json::object(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        Some((signature, payload, object))
    });
    let algorithm = decoded.as_ref().and_then(|(_, _, object)| object.get("algorithm"));
    let right = algorithm.and_then(Value::as_str) == Some("HMAC-SHA256");
    let received = format!("algorithm {}", show(algorithm));
    checks.require("oauth2.signed_request", right, "a signature and an object by HMAC-SHA256", received)?;
    let (signature, payload, object) = decoded.unwrap_or_default();

    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let holds = hmac::verify(&key, payload.as_bytes(), &signature).is_ok();
    let received = if holds { "that" } else { "another signature" };
    checks.require("oauth2.signed_request.signature", holds, "the signature under our secret", received)?;

    // The same form, signed by the same secret, is what a browser gets at a sign-in by Facebook's own script, with a
    // code. Whoever holds that speaks for a browser, not for the provider's server.
    let browser = object.contains_key("code");
    let received = if browser { "a sign-in's, with a code" } else { "none of a sign-in" };
    checks.require("oauth2.signed_request.browser", !browser, "none of a sign-in", received)?;

    let issued = object.get("issued_at").and_then(Value::as_i64).filter(|at| *at >= 0);
    let (oldest, newest) = (now.minus(MAX_AGE).secs(), now.plus(SKEW).secs());
    let recent = issued.is_some_and(|at| (oldest..=newest).contains(&at));
    let expected = format!("issued_at between {oldest} and {newest}");
    checks.require("oauth2.signed_request.time", recent, expected, show(object.get("issued_at")))?;

    // 0 stands there when a page, which is nobody, took the app away.
    let said = object.get("user_id");
    let subject = said.and_then(Value::as_str).filter(|id| is_id(id) && *id != "0").map(str::to_owned);
    checks.require("oauth2.signed_request.user", subject.is_some(), "a person's id", show(said))?;
    let until = Timestamp::from_secs(issued.unwrap_or_default()).plus(MAX_AGE).plus(SKEW);
    Ok(Meant { subject: subject.unwrap_or_default(), until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const SECRET: &[u8] = b"the app's secret";

    fn signed(payload: &Value, secret: &[u8]) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), payload.as_bytes());
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn run(text: &str) -> Result<Meant, &'static str> {
        let mut trace = Trace::default();
        check(text, SECRET, Timestamp::from_secs(NOW), &mut Checks::new(&mut trace)).map_err(|failure| {
            assert_eq!(trace.steps().iter().filter(|step| !step.passed).count(), 1);
            failure.reason
        })
    }

    fn valid() -> Value {
        json!({"algorithm": "HMAC-SHA256", "issued_at": NOW - 5, "user_id": "218471"})
    }

    #[test]
    fn what_facebook_signed_names_a_person() {
        let meant = run(&signed(&valid(), SECRET)).unwrap();
        assert_eq!(meant, Meant { subject: "218471".to_owned(), until: Timestamp::from_secs(NOW + 3655) });
    }

    #[test]
    fn what_a_browser_got_at_a_sign_in_is_no_notice() {
        let mut payload = valid();
        payload["code"] = json!("AQD");
        assert_eq!(run(&signed(&payload, SECRET)), Err("oauth2.signed_request.browser"));
        // what else stands there says nothing about whose word it is
        let mut payload = valid();
        payload["user"] = json!({"country": "de", "locale": "de_DE"});
        payload["expires"] = json!(NOW + 3600);
        assert!(run(&signed(&payload, SECRET)).is_ok());
    }

    #[test]
    fn everything_else_names_nobody() {
        for (name, value, reason) in [
            ("algorithm", json!("hmac-sha1"), "oauth2.signed_request"),
            ("algorithm", json!("none"), "oauth2.signed_request"),
            ("algorithm", json!(null), "oauth2.signed_request"),
            ("issued_at", json!(null), "oauth2.signed_request.time"),
            ("issued_at", json!("1800000000"), "oauth2.signed_request.time"),
            ("issued_at", json!(NOW - 3601), "oauth2.signed_request.time"),
            ("issued_at", json!(NOW + 61), "oauth2.signed_request.time"),
            ("user_id", json!(null), "oauth2.signed_request.user"),
            ("user_id", json!(218_471), "oauth2.signed_request.user"),
            ("user_id", json!(""), "oauth2.signed_request.user"),
            ("user_id", json!("0"), "oauth2.signed_request.user"),
            ("user_id", json!("null"), "oauth2.signed_request.user"),
        ] {
            let mut payload = valid();
            payload[name] = value.clone();
            assert_eq!(run(&signed(&payload, SECRET)), Err(reason), "{name} {value}");
        }
        let good = signed(&valid(), SECRET);
        let (signature, payload) = good.split_once('.').unwrap();
        let other = signed(&json!({"algorithm": "HMAC-SHA256", "issued_at": NOW, "user_id": "4"}), b"x");
        let swapped = format!("{signature}.{}", other.split_once('.').unwrap().1);
        for (bad, reason) in [
            (other, "oauth2.signed_request.signature"),
            (swapped, "oauth2.signed_request.signature"),
            (format!(".{payload}"), "oauth2.signed_request.signature"),
            (format!("{}.{payload}", &signature[..20]), "oauth2.signed_request.signature"),
            (String::new(), "oauth2.signed_request"),
            (".".to_owned(), "oauth2.signed_request"),
            (payload.to_owned(), "oauth2.signed_request"),
            (format!("{good}=="), "oauth2.signed_request"),
            (format!("{good}.x"), "oauth2.signed_request"),
            (format!("{signature}.{}", URL_SAFE_NO_PAD.encode("[]")), "oauth2.signed_request"),
            (format!("{good}{}", "A".repeat(5000)), "oauth2.signed_request"),
        ] {
            assert_eq!(run(&bad), Err(reason), "{bad}");
        }
    }

    proptest! {
        /// Law: the check is total, and nothing but the secret makes anything hold.
        #[test]
        fn nothing_unsigned_holds(text in "[A-Za-z0-9_.=-]{0,120}") {
            prop_assert!(run(&text).is_err());
        }
    }
}
