//! Request objects (RFC 9101, OIDC Core §6): an authorization request as a JWT that the client signed, by value
//! or by reference. Here are the checks on what such an object says; its signature is verified before.

use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::protocol::Parameters;
use serde_json::{Map, Value};
use std::time::Duration;

/// What a request URI of ours begins with (RFC 9126 §2.2).
pub const PUSHED_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// Where the request is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'p> {
    /// In the parameters themselves.
    Plain,
    /// In a request object that came along (RFC 9101 §5.1).
    Value(&'p str),
    /// In a request object that lies elsewhere (RFC 9101 §5.2).
    Reference(&'p str),
    /// Here, where the client pushed it (RFC 9126): what follows the prefix.
    Pushed(&'p str),
}

/// Finds out where the request is.
///
/// # Errors
/// `request_object.two`: by value and by reference at once (OIDC Core §6.1, §6.2). The defects of either
/// parameter.
pub fn source<'p>(parameters: &'p Parameters<'_>) -> Result<Source<'p>, Failure> {
    match (parameters.sound("request")?, parameters.sound("request_uri")?) {
        (None, None) => Ok(Source::Plain),
        (Some(object), None) => Ok(Source::Value(object)),
        (None, Some(uri)) => {
            Ok(uri.strip_prefix(PUSHED_PREFIX).map_or(Source::Reference(uri), Source::Pushed))
        }
        (Some(_), Some(_)) => {
            Err(Failure::invalid_request("request_object.two", "request and request_uri at once"))
        }
    }
}

/// What an object is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The client that sent it.
    pub client: &'a str,
    /// Our issuer identifier.
    pub issuer: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How far clocks may differ.
    pub skew: Duration,
}

/// Checks the type and the claims of a verified object, but for the parameters in it.
///
/// - `typ` is none, `JWT` or `oauth-authz-req+jwt` (RFC 9101 §4, §10.8): a JWT of another kind that the same
///   keys signed is no request. A client assertion may carry no type either, but it has the client as `sub`.
/// - `iss` is the client, `aud` names our issuer: an object for another server is none for us.
/// - `exp`, `nbf` and `iat` are optional, for an object that lies at a registered address may stay there, and
///   hold where they are there.
/// - `client_id` and `response_type` agree with the parameters outside (OIDC Core §6.1); there is no object
///   within the object (RFC 9101 §4).
///
/// # Errors
/// `invalid_request_object`: `request_object.typ`, `.iss`, `.aud`, `.time`, `.mismatch`, `.nested`.
pub fn check(
    typ: Option<&str>,
    claims: &Map<String, Value>,
    outside: &Parameters<'_>,
    expected: &Expected<'_>,
) -> Result<(), Failure> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let kind = kind_of(typ);
    if !matches!(kind.as_deref(), None | Some("jwt" | EXPLICIT)) {
        return Err(invalid("request_object.typ", "a JWT of another kind")
            .expected("JWT or oauth-authz-req+jwt", shown(typ)));
    }
    if text("sub") == Some(expected.client) {
        return Err(invalid("request_object.typ", "the subject is the client, as in a client assertion"));
    }
    if text("iss") != Some(expected.client) {
        return Err(invalid("request_object.iss", "the issuer of the object is not the client")
            .expected(expected.client, shown(text("iss"))));
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.issuer,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(expected.issuer)),
        _ => false,
    };
    if !for_us {
        return Err(invalid("request_object.aud", "the object is not meant for us")
            .expected(expected.issuer, shown(text("aud"))));
    }
    times(claims, expected)?;
    let differs = |name: &str, outside: Option<&str>| match (claims.get(name), outside) {
        (None, _) => false,
        (Some(Value::String(inside)), Some(outside)) => inside != outside,
        (Some(Value::String(_)), None) => false,
        (Some(_), _) => true,
    };
    for (name, outside) in
        [("client_id", Some(expected.client)), ("response_type", outside.get("response_type"))]
    {
        if differs(name, outside) {
            return Err(invalid("request_object.mismatch", "a parameter differs inside and outside")
                .expected(outside.unwrap_or(name), shown(text(name))));
        }
    }
    if ["request", "request_uri"].iter().any(|name| claims.contains_key(*name)) {
        return Err(invalid("request_object.nested", "a request object within a request object"));
    }
    Ok(())
}

/// RFC 9101 §10.8: the type that nothing else has.
const EXPLICIT: &str = "oauth-authz-req+jwt";

/// Whether an object says by its type that it is one of RFC 9101, of which only what is inside counts (§5, §6.3).
pub fn is_explicit(typ: Option<&str>) -> bool {
    kind_of(typ).as_deref() == Some(EXPLICIT)
}

/// The media type in lower case, without `application/` (RFC 7515 §4.1.9).
fn kind_of(typ: Option<&str>) -> Option<String> {
    let lower = typ?.to_ascii_lowercase();
    Some(lower.strip_prefix("application/").unwrap_or(&lower).to_owned())
}

fn times(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), Failure> {
    let skew = i64::try_from(expected.skew.as_secs()).unwrap_or(i64::MAX);
    let now = expected.now.secs();
    let holds = |name: &str, rule: &dyn Fn(i64) -> bool| match claims.get(name) {
        None => true,
        Some(value) => seconds(value).is_some_and(rule),
    };
    let alive = holds("exp", &|exp| exp > now.saturating_sub(skew));
    let begun = |at: i64| at <= now.saturating_add(skew);
    if alive && holds("nbf", &begun) && holds("iat", &begun) {
        Ok(())
    } else {
        Err(invalid("request_object.time", "the object is over, or not valid yet"))
    }
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|f| f.is_finite() && f.abs() < 1e15)?;
        #[allow(clippy::cast_possible_truncation)] // bounded a line above
        Some(seconds.trunc() as i64)
    })
}

/// Parameters whose value is JSON (OIDC Core §5.5, §7.2.1).
const JSON: &[&str] = &["claims", "registration"];
/// Parameters that a request may have several times.
const SEVERAL: &[&str] = &["resource", "audience"];
/// Parameters that are a text or a number: those that [`crate::protocol::authorization`] reads.
const TEXTS: &[&str] = &[
    "acr_values",
    "claims_locales",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "display",
    "id_token_hint",
    "idp_hint",
    "login_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "ui_locales",
];

/// The parameters in an object, as they would stand in a query. Members that we do not know, and those that speak
/// of the JWT itself, are passed over, whatever they hold.
///
/// # Errors
/// `request_object.parameter`: one that we know has a value of another type than it should.
pub fn parameters(claims: &Map<String, Value>) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    for (name, value) in claims {
        let known = |list: &[&str]| list.contains(&name.as_str());
        match value {
            Value::String(text) if known(TEXTS) || known(SEVERAL) || known(JSON) => {
                pairs.push((name.clone(), text.clone()));
            }
            Value::Number(number) if known(TEXTS) => pairs.push((name.clone(), number.to_string())),
            Value::Object(_) if known(JSON) => pairs.push((name.clone(), value.to_string())),
            Value::Array(items) if known(SEVERAL) => {
                for item in items {
                    let text = item.as_str().ok_or_else(|| wrong_type(name))?;
                    pairs.push((name.clone(), text.to_owned()));
                }
            }
            _ if known(TEXTS) || known(SEVERAL) || known(JSON) => return Err(wrong_type(name)),
            _ => {}
        }
    }
    Ok(pairs)
}

fn wrong_type(name: &str) -> Failure {
    invalid("request_object.parameter", "a parameter in the object has a value of the wrong type")
        .expected("a text", shown(Some(name)))
}

/// The request that an object makes, with the parameters outside where they count: what is inside goes
/// before (OIDC Core §6.1), and for `only_inside` nothing else counts but the client (RFC 9101 §6.3).
///
/// # Errors
/// As [`Parameters::from_pairs`].
pub fn assemble(
    outside: &Parameters<'_>,
    inside: Vec<(String, String)>,
    client: &str,
    only_inside: bool,
) -> Result<Parameters<'static>, Failure> {
    let mut pairs: Vec<_> = inside.into_iter().filter(|(name, _)| name != "client_id").collect();
    let named: std::collections::BTreeSet<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
    pairs.push(("client_id".to_owned(), client.to_owned()));
    if !only_inside {
        let more = outside.iter().filter(|(name, _)| {
            !named.contains(*name) && !["client_id", "request", "request_uri"].contains(name)
        });
        pairs.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    Parameters::from_pairs(pairs)
}

/// The refusal of an object (RFC 9101 §6).
pub fn invalid(reason: &'static str, note: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(OAuthCode::InvalidRequestObject, reason, UserMessage::AppMisconfigured, note)
}

/// The refusal of a request URI (RFC 9101 §6, RFC 9126 §7.3).
pub fn invalid_uri(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidRequestUri, reason, UserMessage::AppMisconfigured, note)
}

fn shown(text: Option<&str>) -> String {
    text.map_or_else(
        || "none".to_owned(),
        |text| text.chars().filter(|c| !c.is_control()).take(100).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const OURS: &str = "https://id.test";

    fn valid() -> Value {
        json!({
            "iss": "app", "aud": OURS, "client_id": "app", "response_type": "code", "scope": "openid",
            "exp": NOW + 60, "nbf": NOW, "iat": NOW, "jti": "1",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = valid();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = valid();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn told(typ: Option<&str>, claims: &Value) -> &'static str {
        let outside = Parameters::decode("client_id=app&response_type=code&request=x").unwrap();
        let expected = Expected {
            client: "app",
            issuer: OURS,
            now: Timestamp::from_secs(NOW),
            skew: Duration::from_secs(30),
        };
        match check(typ, claims.as_object().unwrap(), &outside, &expected) {
            Ok(()) => "ok",
            Err(failure) => {
                assert_eq!(failure.code, OAuthCode::InvalidRequestObject);
                failure.reason
            }
        }
    }

    #[test]
    fn oauth_031_an_object_is_of_its_client_for_us_and_in_its_time() {
        assert_eq!(told(None, &valid()), "ok");
        assert_eq!(told(None, &with("aud", json!(["https://other.test", OURS]))), "ok");
        for (name, value, reason) in [
            ("iss", json!("other"), "request_object.iss"),
            ("iss", json!(["app"]), "request_object.iss"),
            ("aud", json!("https://other.test"), "request_object.aud"),
            ("aud", json!(["https://id.test/"]), "request_object.aud"),
            ("aud", json!({}), "request_object.aud"),
            ("exp", json!(NOW - 31), "request_object.time"),
            ("exp", json!("soon"), "request_object.time"),
            ("nbf", json!(NOW + 31), "request_object.time"),
            ("iat", json!(NOW + 31), "request_object.time"),
            ("iat", json!(null), "request_object.time"),
            ("client_id", json!("other"), "request_object.mismatch"),
            ("client_id", json!(1), "request_object.mismatch"),
            ("response_type", json!("token"), "request_object.mismatch"),
            ("request", json!("x"), "request_object.nested"),
            ("request_uri", json!("https://rp.test/r"), "request_object.nested"),
        ] {
            assert_eq!(told(None, &with(name, value.clone())), reason, "{name}: {value}");
        }
        for name in ["iss", "aud"] {
            assert_ne!(told(None, &without(name)), "ok", "{name}");
        }
        for name in ["exp", "nbf", "iat", "jti", "client_id", "response_type"] {
            assert_eq!(told(None, &without(name)), "ok", "{name} is optional");
        }
        assert_eq!(told(None, &with("exp", json!(NOW - 29))), "ok", "within the skew");
    }

    #[test]
    fn oauth_031_a_jwt_of_another_kind_is_no_request() {
        for good in ["JWT", "jwt", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"] {
            assert_eq!(told(Some(good), &valid()), "ok", "{good}");
        }
        for bad in ["at+jwt", "logout+jwt", "dpop+jwt", "client-authentication+jwt", "", "JWT "] {
            assert_eq!(told(Some(bad), &valid()), "request_object.typ", "{bad}");
        }
        assert_eq!(told(None, &with("sub", json!("app"))), "request_object.typ", "a client assertion");
        assert_eq!(told(None, &with("sub", json!("alice"))), "ok");
        assert!(is_explicit(Some("oauth-authz-req+jwt")) && !is_explicit(Some("JWT")) && !is_explicit(None));
    }

    #[test]
    fn members_become_parameters() {
        let claims = json!({
            "iss": "app", "aud": OURS, "exp": 1, "max_age": 10, "state": "s", "resource": ["urn:a", "urn:b"],
            "claims": {"userinfo": {"name": null}}, "unknown": {"x": [1]}, "flag": true,
            "long": "x".repeat(10_000),
        });
        let pairs = parameters(claims.as_object().unwrap()).unwrap();
        let all = |name: &str| -> Vec<&str> {
            pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
        };
        assert_eq!(all("max_age"), ["10"]);
        assert_eq!(all("resource"), ["urn:a", "urn:b"]);
        assert_eq!(all("claims"), [r#"{"userinfo":{"name":null}}"#]);
        assert_eq!(pairs.len(), 5, "{pairs:?}");
        for bad in [
            json!({"state": ["a"]}),
            json!({"redirect_uri": {}}),
            json!({"prompt": null}),
            json!({"resource": [1]}),
            json!({"claims": [1]}),
        ] {
            let refused = parameters(bad.as_object().unwrap()).unwrap_err();
            assert_eq!(refused.reason, "request_object.parameter", "{bad}");
        }
    }

    #[test]
    fn what_is_inside_goes_before_and_may_stand_alone() {
        let outside =
            Parameters::decode("client_id=app&request=x&state=outside&nonce=n&resource=urn:out").unwrap();
        let inside = || {
            vec![
                ("state".to_owned(), "inside".to_owned()),
                ("resource".to_owned(), "urn:in".to_owned()),
                ("client_id".to_owned(), "app".to_owned()),
            ]
        };
        let both = assemble(&outside, inside(), "app", false).unwrap();
        assert_eq!((both.get("state"), both.get("nonce")), (Some("inside"), Some("n")));
        assert_eq!(both.all("resource").collect::<Vec<_>>(), ["urn:in"]);
        assert!(!both.has("request") && both.get("client_id") == Some("app"));
        let alone = assemble(&outside, inside(), "app", true).unwrap();
        assert_eq!((alone.get("state"), alone.get("nonce")), (Some("inside"), None));
        assert_eq!(alone.get("client_id"), Some("app"));
    }

    #[test]
    fn a_request_has_one_source() {
        let of = |query: &str| {
            let parameters = Parameters::decode(query).unwrap();
            source(&parameters).map(|source| format!("{source:?}")).map_err(|failure| failure.reason)
        };
        assert_eq!(of("state=1").unwrap(), "Plain");
        assert_eq!(of("request=a.b.c").unwrap(), "Value(\"a.b.c\")");
        assert_eq!(of("request_uri=https://rp.test/r").unwrap(), "Reference(\"https://rp.test/r\")");
        assert_eq!(of("request_uri=urn:ietf:params:oauth:request_uri:cspr_x").unwrap(), "Pushed(\"cspr_x\")");
        assert_eq!(of("request=a&request_uri=b"), Err("request_object.two"));
        assert_eq!(of("request=a&request=b"), Err("request.duplicate_parameter"));
    }

    proptest! {
        /// Laws: no object panics; one that is accepted names our issuer and the client.
        #[test]
        fn any_object_is_decided(
            names in prop::collection::vec(prop::sample::select(vec![
                "iss", "aud", "exp", "nbf", "iat", "sub", "client_id", "response_type", "state", "request",
                "claims", "resource", "max_age",
            ]), 0..10),
            values in prop::collection::vec(prop::sample::select(vec![
                json!("app"), json!(OURS), json!(NOW), json!(1e300), json!(-1), json!([OURS]), json!({}),
                json!(null), json!("code"),
            ]), 10),
        ) {
            let mut claims = valid();
            for (name, value) in names.iter().zip(&values) {
                claims[*name] = value.clone();
            }
            let _ = parameters(claims.as_object().unwrap());
            if told(None, &claims) == "ok" {
                prop_assert_eq!(claims["iss"].as_str(), Some("app"));
                prop_assert!(claims["aud"].to_string().contains(OURS));
            }
        }
    }
}
