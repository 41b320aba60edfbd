//! Client assertions: a short-lived token, signed with a key of the client's own, by which it proves who it is
//! (`private_key_jwt`: OIDC Core §9, RFC 7521 §4.2, RFC 7523 §3). Only the claims are checked here; the signature
//! is verified before, and a second use is refused after.

use super::authentication::invalid_client;
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::ids::ClientId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::time::Duration;

/// The one type of assertion that is offered (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion may end at most this long after now: until then its id must be remembered.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// The longest id, in bytes.
const LONGEST_ID: usize = 512;

/// The client that an assertion speaks of. Nothing is verified yet: it says only whose keys to try.
pub fn claimed_client(assertion: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    // one claim and not the whole: the strict reader comes with the signature
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

/// What an assertion must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who it must come from.
    pub client: &'a ClientId,
    /// Our issuer.
    pub issuer: &'a str,
    /// Other audiences that mean us here: the addresses of the token endpoint and of this one.
    pub endpoints: &'a [String],
    /// Whether only the issuer counts, alone and as a text.
    pub issuer_only: bool,
    /// The present moment.
    pub now: Timestamp,
    /// How far clocks may differ.
    pub skew: Duration,
}

/// An assertion whose claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id, by which a second use is noticed.
    pub jti: String,
    /// Until when it must be remembered: past its end and the leeway.
    pub remember_until: Timestamp,
    /// When it was made, or, where it does not say so, the earliest moment at which it can have been.
    pub made_at: Timestamp,
}

/// Checks the type and claims of an assertion whose signature holds.
///
/// # Errors
/// `invalid_client`: `client.assertion_typ`, `client.assertion_subject`, `client.assertion_audience`,
/// `client.assertion_time`, `client.assertion_jti`.
pub fn check(
    typ: Option<&str>,
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Accepted, Failure> {
    // A token of another kind that the client signed, such as a request object, is no assertion (RFC 8725 §3.11).
    let typ = typ.map(str::to_ascii_lowercase);
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    if !matches!(typ, None | Some("jwt" | "client-authentication+jwt")) {
        return Err(refuse("client.assertion_typ", "the assertion is a token of another kind")
            .expected("JWT, client-authentication+jwt, or none", clean(typ.unwrap_or_default())));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let id = expected.client.as_str();
    for name in ["iss", "sub"] {
        // RFC 7523 §3 (1), (2)
        if text(name) != Some(id) {
            return Err(refuse("client.assertion_subject", "the assertion speaks of another client")
                .expected(format!("{name} \"{id}\""), show(claims.get(name))));
        }
    }
    if !audience_fits(claims.get("aud"), expected) {
        let wanted = if expected.issuer_only {
            format!("\"{}\" alone, as a text", expected.issuer)
        } else {
            format!("\"{}\"", expected.issuer)
        };
        return Err(refuse("client.assertion_audience", "the assertion is meant for somebody else")
            .expected(wanted, show(claims.get("aud"))));
    }
    let (end, made_at) = times(claims, expected)?;
    // RFC 7523 §3 (7), OIDC Core §9: without an id nobody could tell a second use from a first
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= LONGEST_ID).ok_or_else(|| {
        refuse("client.assertion_jti", "the assertion has no usable id")
            .expected(format!("jti of 1 to {LONGEST_ID} bytes"), show(claims.get("jti")))
    })?;
    Ok(Accepted { jti: jti.to_owned(), remember_until: end.plus(expected.skew), made_at })
}

/// RFC 7523 §3 (3). Other addresses than the issuer are taken for the sake of older clients (OIDC Core §9, RFC 9126
/// §2); another party that the client trusts could name them as its own, so they can be switched off, and more
/// than one audience never counts.
fn audience_fits(aud: Option<&Value>, expected: &Expected<'_>) -> bool {
    let is_us = |text: &str| text == expected.issuer || expected.endpoints.iter().any(|own| own == text);
    match aud {
        Some(Value::String(one)) if expected.issuer_only => one == expected.issuer,
        _ if expected.issuer_only => false,
        Some(Value::String(one)) => is_us(one),
        Some(Value::Array(many)) => match many.as_slice() {
            [Value::String(one)] => is_us(one),
            _ => false,
        },
        _ => false,
    }
}

/// `exp` is required and not far away; `iat` and `nbf` are checked when present; all within the skew.
fn times(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(Timestamp, Timestamp), Failure> {
    let (now, skew) = (expected.now.secs(), whole(expected.skew));
    // NumericDate may have a fraction (RFC 7519 §2); whole seconds are exact enough
    let seconds = |name: &str| match claims.get(name) {
        Some(Value::Number(number)) => number.as_i64().or_else(|| whole_seconds(number.as_f64()?)),
        _ => None,
    };
    let late = now.saturating_add(skew);
    let refused = |wanted: String, name: &str| {
        refuse("client.assertion_time", "the assertion is not valid now, or for too long")
            .expected(wanted, format!("{name} {}", show(claims.get(name))))
    };
    let latest = late.saturating_add(whole(LONGEST));
    let end = seconds("exp").filter(|exp| now < exp.saturating_add(skew) && *exp <= latest);
    let end = end.ok_or_else(|| refused(format!("exp from {now} to {latest}"), "exp"))?;
    for name in ["iat", "nbf"] {
        let begun = !claims.contains_key(name) || seconds(name).is_some_and(|at| at <= late);
        if !begun {
            return Err(refused(format!("{name} not after {now}, or none"), name));
        }
    }
    let end = Timestamp::from_secs(end);
    Ok((end, seconds("iat").map_or(end.minus(LONGEST), Timestamp::from_secs)))
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn whole_seconds(number: f64) -> Option<i64> {
    // within these bounds every whole number is exact
    #[allow(clippy::cast_possible_truncation)]
    (0.0..9.0e15).contains(&number).then(|| number.ceil() as i64)
}

fn refuse(reason: &'static str, note: &'static str) -> Failure {
    invalid_client(reason, note)
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn show(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(Value::String(text)) => format!("\"{}\"", clean(text)),
        Some(Value::Array(many)) => {
            let texts: Vec<String> = many.iter().take(4).map(|one| show(Some(one))).collect();
            format!("[{}]", texts.join(", "))
        }
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://id.test";

    fn endpoints() -> Vec<String> {
        vec!["https://id.test/token".to_owned(), "https://id.test/revoke".to_owned()]
    }

    fn valid() -> Value {
        json!({"iss": "app", "sub": "app", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "1"})
    }

    fn run(typ: Option<&str>, claims: &Value, issuer_only: bool) -> Result<Accepted, &'static str> {
        let expected = Expected {
            client: &"app".parse().unwrap(),
            issuer: ISSUER,
            endpoints: &endpoints(),
            issuer_only,
            now: Timestamp::from_secs(NOW),
            skew: Duration::from_secs(60),
        };
        check(typ, claims.as_object().unwrap(), &expected).map_err(|failure| failure.reason)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = valid();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value;
        }
        claims
    }

    #[test]
    fn a_valid_assertion_is_remembered_past_its_end() {
        let accepted = run(None, &valid(), true).unwrap();
        assert_eq!(accepted.jti, "1");
        assert_eq!(accepted.remember_until, Timestamp::from_secs(NOW + 120));
        for typ in ["JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"] {
            assert!(run(Some(typ), &valid(), true).is_ok(), "{typ}");
        }
        assert!(run(None, &with("iat", Value::Null), true).is_ok());
    }

    #[test]
    fn oauth_057_a_claim_that_does_not_hold() {
        for (name, value, reason) in [
            ("iss", json!("other"), "client.assertion_subject"),
            ("iss", Value::Null, "client.assertion_subject"),
            ("sub", json!("other"), "client.assertion_subject"),
            ("sub", json!("APP"), "client.assertion_subject"),
            ("sub", json!(["app"]), "client.assertion_subject"),
            ("sub", Value::Null, "client.assertion_subject"),
            ("exp", Value::Null, "client.assertion_time"),
            ("exp", json!(NOW - 60), "client.assertion_time"),
            ("exp", json!(NOW - 300), "client.assertion_time"),
            ("exp", json!(NOW + 3600 + 61), "client.assertion_time"),
            ("exp", json!("1800000060"), "client.assertion_time"),
            ("exp", json!(1.0e300), "client.assertion_time"),
            ("exp", json!(-1), "client.assertion_time"),
            ("exp", json!(u64::MAX), "client.assertion_time"),
            ("iat", json!(NOW + 61), "client.assertion_time"),
            ("iat", json!("x"), "client.assertion_time"),
            ("nbf", json!(NOW + 61), "client.assertion_time"),
            ("nbf", json!({}), "client.assertion_time"),
            ("jti", Value::Null, "client.assertion_jti"),
            ("jti", json!(""), "client.assertion_jti"),
            ("jti", json!(1), "client.assertion_jti"),
            ("jti", json!("x".repeat(513)), "client.assertion_jti"),
            ("aud", Value::Null, "client.assertion_audience"),
            ("aud", json!("https://evil.test"), "client.assertion_audience"),
            ("aud", json!("https://id.test/"), "client.assertion_audience"),
            ("aud", json!([]), "client.assertion_audience"),
            ("aud", json!([ISSUER, "https://evil.test"]), "client.assertion_audience"),
            ("aud", json!(["https://evil.test", ISSUER]), "client.assertion_audience"),
            ("aud", json!([[ISSUER]]), "client.assertion_audience"),
            ("aud", json!({"x": ISSUER}), "client.assertion_audience"),
        ] {
            assert_eq!(run(None, &with(name, value.clone()), false), Err(reason), "{name} {value}");
        }
        for (name, value) in [
            ("exp", json!(NOW - 59)),
            ("exp", json!(NOW + 3600)),
            ("exp", json!(NOW as f64 + 30.5)),
            ("iat", json!(NOW + 60)),
            ("nbf", json!(NOW + 8)),
            ("jti", json!("x".repeat(512))),
        ] {
            assert!(run(None, &with(name, value.clone()), false).is_ok(), "the valid twin: {name} {value}");
        }
    }

    #[test]
    fn fapi2_security_profile_final_par_test_audiences() {
        let accepted = |aud: Value, issuer_only| run(None, &with("aud", aud), issuer_only).is_ok();
        // …-array-as-audience-fails, …-par-endpoint-url-as-audience-fails, …-token-endpoint-url-as-audience-fails
        for aud in [json!([ISSUER]), json!("https://id.test/token"), json!("https://id.test/revoke")] {
            assert!(accepted(aud.clone(), false), "{aud} where it is not strict");
            assert!(!accepted(aud.clone(), true), "{aud} where it is");
        }
        // oidcc-ensure-client-assertion-with-iss-aud-succeeds
        assert!(accepted(json!(ISSUER), false) && accepted(json!(ISSUER), true));
        assert!(!accepted(json!("https://id.test/userinfo"), false), "an endpoint at which it is not used");
    }

    #[test]
    fn a_token_of_another_kind_is_no_assertion() {
        for typ in ["oauth-authz-req+jwt", "at+jwt", "logout+jwt", "dpop+jwt", ""] {
            assert_eq!(run(Some(typ), &valid(), false), Err("client.assertion_typ"), "{typ}");
        }
    }

    #[test]
    fn the_client_is_read_from_the_subject() {
        let of = |claims: &str| claimed_client(&format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(of(r#"{"sub":"app"}"#).as_deref(), Some("app"));
        for bad in ["", "[]", "{}", r#"{"sub":1}"#, "{"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        for bad in ["", ".", "a", "a.b", "a.!!!.c"] {
            assert_eq!(claimed_client(bad), None, "{bad}");
        }
    }

    proptest! {
        /// Law: what is accepted is of this client, for us, has an id, and ends within the bounds.
        #[test]
        fn what_is_accepted_holds(
            iss in "(app|other)", sub in "(app|other)", aud in "(https://id.test(/token|/revoke|/x)?|https://evil.test)",
            exp in NOW - 200..NOW + 8000, begun in NOW - 200..NOW + 200, jti in "[a-z]{0,3}", issuer_only: bool,
        ) {
            let claims = json!({"iss": iss, "sub": sub, "aud": aud, "exp": exp, "nbf": begun, "jti": jti});
            let holds = iss == "app" && sub == "app" && !jti.is_empty()
                && exp > NOW - 60 && exp <= NOW + 3660 && begun <= NOW + 60
                && (aud == ISSUER || !issuer_only && endpoints().contains(&aud));
            let accepted = run(None, &claims, issuer_only);
            prop_assert_eq!(accepted.is_ok(), holds, "{:?} {}", accepted, claims);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = claimed_client(&text);
        }
    }
}
