//! The claims of an ID token (OIDC Core §2, §3.1.3.7), after its signature was verified. Pure: every check is
//! total, and what is absent or malformed fails like what is wrong.

use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode};
use crate::jose::Alg;
use crate::jose::json::Object;
use crate::upstream::Demanded;
use crate::upstream::checks::{Checks, ON_TRUST, is_nothing, show};
use crate::upstream::identity::Authentication;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// What the token must be about.
pub(super) struct Expectations<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// The nonce of our request, if one was sent.
    pub nonce: Option<&'a str>,
    pub now: Timestamp,
    pub skew: Duration,
    /// The greatest age since `iat`.
    pub max_age: Duration,
    /// The hash of its signature's algorithm, which is that of `at_hash` too.
    pub digest: &'static digest::Algorithm,
    pub access_token: &'a str,
    pub code: &'a str,
    pub state: Option<&'a str>,
    pub demanded: &'a Demanded,
    /// Whether an answer without a time is fresh enough.
    pub trusted: bool,
}

impl Expectations<'_> {
    fn clock(&self) -> Clock {
        Clock { now: self.now, skew: self.skew, max_age: self.max_age }
    }
}

/// Against what the times of a token are held.
pub(super) struct Clock {
    pub now: Timestamp,
    pub skew: Duration,
    /// The greatest age since `iat`.
    pub max_age: Duration,
}

/// What the token proves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proven {
    pub subject: String,
    pub authentication: Authentication,
    /// When the token ends, skew included.
    pub expires_at: Timestamp,
}

/// Checks all claims in order; the first that fails ends it.
pub(super) fn check(
    claims: &Object,
    expected: &Expectations<'_>,
    checks: &mut Checks<'_>,
) -> Result<Proven, Failure> {
    let claim = |name: &str| claims.get(name);

    let issuer = claim("iss").and_then(Value::as_str) == Some(expected.issuer);
    checks.require("oidc.id_token.iss", issuer, expected.issuer, show(claim("iss")))?;

    let subject = claim("sub").and_then(Value::as_str).filter(|sub| is_subject(sub)).map(str::to_owned);
    checks.require(
        "oidc.id_token.sub",
        subject.is_some(),
        "a text of 1 to 255 characters",
        show(claim("sub")),
    )?;
    let subject = subject.unwrap_or_default();

    let audiences = audiences(claim("aud"));
    let for_us = audiences.as_ref().is_some_and(|all| all.contains(&expected.client_id));
    checks.require("oidc.id_token.aud", for_us, expected.client_id, show_all(claim("aud")))?;

    // §3.1.3.7 item 5, and item 4 as it was until errata set 2: of several audiences azp says whose it is
    let several = audiences.is_some_and(|all| all.len() > 1);
    let authorized = match claim("azp") {
        None => !several,
        Some(azp) => azp.as_str() == Some(expected.client_id),
    };
    checks.require("oidc.id_token.azp", authorized, expected.client_id, show(claim("azp")))?;

    let expires_at = times("oidc.id_token.time", claims, &expected.clock(), checks)?;

    if let Some(sent) = expected.nonce {
        let nonce = claim("nonce").and_then(Value::as_str).unwrap_or_default();
        let same = bool::from(nonce.as_bytes().ct_eq(sent.as_bytes())) && !nonce.is_empty();
        let received = match claim("nonce") {
            None => "absent",
            Some(_) if same => "the same",
            Some(_) => "another value",
        };
        checks.require("oidc.id_token.nonce", same, "the nonce of our request", received)?;
    }

    hash("oidc.id_token.at_hash", claim("at_hash"), Some(expected.access_token), expected.digest, checks)?;
    hash("oidc.id_token.c_hash", claim("c_hash"), Some(expected.code), expected.digest, checks)?;
    hash("oidc.id_token.c_hash", claim("s_hash"), expected.state, expected.digest, checks)?;

    let auth_time = auth_time(claim("auth_time"), expected, checks)?;
    let acr = acr(claim("acr"), expected, checks)?;
    let text = |name: &str, most: usize| {
        claim(name).and_then(Value::as_str).filter(|text| is_word(text, most)).map(str::to_owned)
    };
    let amr = match claim("amr") {
        Some(Value::Array(methods)) => methods
            .iter()
            .filter_map(Value::as_str)
            .filter(|method| is_word(method, 64))
            .take(16)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let authentication = Authentication {
        auth_time,
        acr,
        amr,
        upstream_session: text("sid", 255),
        upstream_name: None,
        session_ends: None,
    };
    Ok(Proven { subject, authentication, expires_at })
}

/// OIDC Core §2: at most 255 characters; and nothing that nobody could tell apart when looking at it, nor what programs
/// write where there is nothing.
pub(super) fn is_subject(text: &str) -> bool {
    let plain = text.len() <= 255 && !text.trim().is_empty() && !text.chars().any(char::is_control);
    plain && !is_nothing(text)
}

pub(super) fn is_word(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

/// `aud` as a list: one text, or an array of texts that is not empty. Anything else is `None`.
pub(super) fn audiences(value: Option<&Value>) -> Option<Vec<&str>> {
    match value? {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) if !many.is_empty() => many.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

pub(super) fn show_all(value: Option<&Value>) -> String {
    match value {
        Some(Value::Array(many)) => {
            many.iter().take(4).map(|one| show(Some(one))).collect::<Vec<_>>().join(", ")
        }
        other => show(other),
    }
}

/// A NumericDate (RFC 7519 §2) of whole, non-negative seconds. A text, a fraction or null is none.
pub(super) fn seconds(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64).filter(|seconds| *seconds >= 0)
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// `exp` and `iat` are required, `nbf` is checked when present; all within the skew.
pub(super) fn times(
    name: &'static str,
    claims: &Object,
    clock: &Clock,
    checks: &mut Checks<'_>,
) -> Result<Timestamp, Failure> {
    let (now, skew) = (clock.now.secs(), whole(clock.skew));
    let show = |claim: &str| format!("{claim} {}", show(claims.get(claim)));
    // What holds is said with what clocks are allowed: an operator compares the two.
    let (early, late) = (now.saturating_sub(skew), now.saturating_add(skew));

    let exp = seconds(claims.get("exp"));
    let alive = exp.is_some_and(|exp| now < exp.saturating_add(skew));
    checks.require(name, alive, format!("exp after {early}"), show("exp"))?;

    let iat = seconds(claims.get("iat"));
    let oldest = now.saturating_sub(whole(clock.max_age)).saturating_sub(skew);
    let recent = iat.is_some_and(|iat| iat >= oldest && iat <= now.saturating_add(skew));
    checks.require(name, recent, format!("iat between {oldest} and {late}"), show("iat"))?;

    let begun = match claims.get("nbf") {
        None => true,
        nbf => seconds(nbf).is_some_and(|nbf| nbf <= now.saturating_add(skew)),
    };
    checks.require(name, begun, format!("nbf not after {late}, or none"), show("nbf"))?;
    Ok(Timestamp::from_secs(exp.unwrap_or(now).saturating_add(skew)))
}

/// The hash that goes with a signature's algorithm.
pub(super) fn digest_of(alg: Alg) -> &'static digest::Algorithm {
    match alg {
        Alg::RS256 | Alg::PS256 | Alg::ES256 => &SHA256,
        Alg::RS384 | Alg::PS384 | Alg::ES384 => &SHA384,
        Alg::RS512 | Alg::PS512 | Alg::ES512 | Alg::EdDSA => &SHA512,
    }
}

/// `at_hash`, `c_hash`, `s_hash` (OIDC Core §3.1.3.8, §3.3.2.10; FAPI 1.0 Advanced §5.2.2.1): the left half of the
/// hash that goes with the signature's algorithm. Optional in the code flow, but never wrong.
fn hash(
    name: &'static str,
    value: Option<&Value>,
    of: Option<&str>,
    algorithm: &'static digest::Algorithm,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let Some(value) = value else { return Ok(()) };
    let passed = of.is_some_and(|of| {
        let digest = digest::digest(algorithm, of.as_bytes());
        let left = digest.as_ref().get(..digest.as_ref().len() / 2).unwrap_or_default();
        value.as_str() == Some(URL_SAFE_NO_PAD.encode(left).as_str())
    });
    checks.require(name, passed, "the hash of what came with it", show(Some(value)))
}

/// When the person proved themselves; required, and recent enough, where that was demanded (OIDC Core §2,
/// §3.1.2.1).
fn auth_time(
    value: Option<&Value>,
    expected: &Expectations<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<Timestamp>, Failure> {
    let demanded = expected.demanded;
    let skew = whole(expected.skew);
    let at = seconds(value);
    let since_begin = if demanded.force_authentication {
        // without a beginning nothing can be shown to have happened after it
        Some(demanded.begun_at.map_or(i64::MAX, |begun| begun.secs().saturating_sub(skew)))
    } else {
        None
    };
    let since_age =
        demanded.max_age.map(|age| expected.now.secs().saturating_sub(whole(age)).saturating_sub(skew));
    // Times are whole seconds, and one provider's clock orders its own. Within the second in which the browser
    // left, nobody can tell two proofs apart, and either is fresh.
    let since_known = demanded.later_than.map(|known| {
        let same_second = demanded.begun_at.is_some_and(|begun| begun.secs() == known.secs());
        known.secs().saturating_add(i64::from(!same_second))
    });
    let earliest = since_begin.into_iter().chain(since_age).chain(since_known).max();
    let latest = expected.now.secs().saturating_add(skew);
    if value.is_none() && earliest.is_some() && expected.trusted {
        checks.remark("oidc.auth_time", "a fresh proof", ON_TRUST, None);
        return Ok(None);
    }
    let passed = match (value, at, earliest) {
        (None, _, None) => true,
        (_, Some(at), earliest) => at <= latest && earliest.is_none_or(|earliest| at >= earliest),
        (_, None, _) => false,
    };
    let wanted =
        earliest.map_or_else(|| "a time, or none".to_owned(), |earliest| format!("not before {earliest}"));
    checks
        .require("oidc.auth_time", passed, wanted, show(value))
        .map_err(|failure| Failure { code: OAuthCode::UnmetAuthenticationRequirements, ..failure })?;
    Ok(at.map(Timestamp::from_secs))
}

/// The context class; one of those demanded, where any was (OIDC Core §5.5.1.1).
fn acr(
    value: Option<&Value>,
    expected: &Expectations<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<String>, Failure> {
    let said = value.and_then(Value::as_str).filter(|acr| is_word(acr, 255));
    let wanted = &expected.demanded.acr_values;
    let passed = wanted.is_empty() || said.is_some_and(|said| wanted.iter().any(|acr| acr == said));
    let words = if wanted.is_empty() { "any".to_owned() } else { wanted.join(" or ") };
    checks
        .require("oidc.id_token.acr", passed, words, show(value))
        .map_err(|failure| Failure { code: OAuthCode::UnmetAuthenticationRequirements, ..failure })?;
    Ok(said.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Trace;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn valid() -> Object {
        let claims = json!({
            "iss": "https://id.test", "sub": "alice", "aud": "us", "exp": NOW + 300, "iat": NOW, "nonce": "n",
            "auth_time": NOW - 10, "acr": "mfa", "amr": ["pwd", 7, "otp"], "sid": "s1",
        });
        let Value::Object(claims) = claims else { panic!("an object") };
        claims
    }

    fn run(claims: &Object, demanded: &Demanded) -> (Result<Proven, Failure>, Trace) {
        let expected = Expectations {
            issuer: "https://id.test",
            client_id: "us",
            nonce: Some("n"),
            now: Timestamp::from_secs(NOW),
            skew: Duration::from_secs(30),
            max_age: Duration::from_secs(600),
            digest: digest_of(Alg::RS256),
            access_token: "at",
            code: "c",
            state: None,
            demanded,
            trusted: false,
        };
        let mut trace = Trace::default();
        let outcome = check(claims, &expected, &mut Checks::new(&mut trace));
        (outcome, trace)
    }

    fn strict() -> Demanded {
        Demanded {
            begun_at: Some(Timestamp::from_secs(NOW - 20)),
            force_authentication: true,
            max_age: Some(Duration::from_secs(60)),
            later_than: Some(Timestamp::from_secs(NOW - 15)),
            acr_values: vec!["mfa".to_owned()],
        }
    }

    #[test]
    fn a_valid_token_proves_what_it_says() {
        let proven = run(&valid(), &strict()).0.unwrap();
        assert_eq!(proven.subject, "alice");
        assert_eq!(proven.authentication.auth_time, Some(Timestamp::from_secs(NOW - 10)));
        assert_eq!(proven.authentication.amr, ["pwd", "otp"]);
        assert_eq!(proven.authentication.upstream_session.as_deref(), Some("s1"));
        assert_eq!(proven.expires_at, Timestamp::from_secs(NOW + 330));
    }

    /// What a provider adds beside the proof is kept where it is a word, and left out where it is none.
    #[test]
    fn only_words_are_kept_of_what_nobody_checks() {
        let kept = |name: &str, value: Value| {
            let mut claims = valid();
            claims.insert(name.to_owned(), value);
            run(&claims, &Demanded::default()).0.unwrap().authentication
        };
        let long = "x".repeat(256);
        for bad in ["", "a\nb", long.as_str()] {
            assert_eq!(kept("sid", json!(bad)).upstream_session, None, "{bad:?}");
            assert_eq!(kept("acr", json!(bad)).acr, None, "{bad:?}");
            assert_eq!(kept("amr", json!(["pwd", bad])).amr, ["pwd"], "{bad:?}");
        }
        assert_eq!(kept("sid", json!(&long[1..])).upstream_session.as_deref(), Some(&long[1..]));
        assert_eq!(kept("amr", json!(vec!["otp"; 20])).amr.len(), 16);
    }

    #[test]
    fn the_audience_is_one_text_or_a_list_of_texts() {
        let (none, list) = (json!([]), json!(["us", "them"]));
        assert_eq!(audiences(Some(&none)), None);
        assert_eq!(audiences(Some(&list)), Some(vec!["us", "them"]));
        assert_eq!(audiences(Some(&json!(["us", 7]))), None);
        assert_eq!(show_all(Some(&list)), "\"us\", \"them\"");
        assert_eq!(show_all(Some(&json!("us"))), "\"us\"");
        assert_eq!(show_all(None), "absent");
    }

    #[test]
    fn the_nonce_is_told_by_what_it_is_like() {
        let told = |nonce: Option<Value>| {
            let mut claims = valid();
            match nonce {
                Some(nonce) => drop(claims.insert("nonce".to_owned(), nonce)),
                None => drop(claims.remove("nonce")),
            }
            let (outcome, trace) = run(&claims, &Demanded::default());
            let step = trace.steps().iter().find(|step| step.check == "oidc.id_token.nonce").unwrap();
            (outcome.is_ok(), step.received.clone())
        };
        assert_eq!(told(Some(json!("n"))), (true, "the same".to_owned()));
        assert_eq!(told(Some(json!("m"))), (false, "another value".to_owned()));
        assert_eq!(told(Some(json!(7))), (false, "another value".to_owned()));
        assert_eq!(told(None), (false, "absent".to_owned()));
    }

    #[test]
    fn an_algorithm_has_its_hash() {
        let name = |alg| digest_of(alg).output_len * 8;
        for (algs, bits) in [
            ([Alg::RS256, Alg::PS256, Alg::ES256], 256),
            ([Alg::RS384, Alg::PS384, Alg::ES384], 384),
            ([Alg::RS512, Alg::PS512, Alg::ES512], 512),
        ] {
            assert_eq!(algs.map(name), [bits; 3]);
        }
        assert_eq!(name(Alg::EdDSA), 512);
    }

    #[test]
    fn subjects_and_words_have_a_length() {
        let long = "x".repeat(256);
        assert!(is_subject(&long[1..]) && is_subject(" a "));
        assert!(!is_subject(&long) && !is_subject("") && !is_subject("  ") && !is_subject("a\nb"));
        assert!(is_word("abc", 3) && is_word(" ", 3));
        assert!(!is_word("abcd", 3) && !is_word("", 3) && !is_word("a\n", 3));
    }

    #[test]
    fn a_forced_sign_in_without_a_beginning_proves_nothing() {
        let demanded = Demanded { begun_at: None, ..strict() };
        assert_eq!(run(&valid(), &demanded).0.unwrap_err().reason, "oidc.auth_time");
    }

    #[test]
    fn oidc_070_a_proof_that_was_not_enough_is_not_enough_again() {
        let told = |known: i64| {
            let later_than = Some(Timestamp::from_secs(NOW - known));
            run(&valid(), &Demanded { later_than, ..strict() })
                .0
                .map_err(|failure| (failure.reason, failure.code))
        };
        assert!(told(11).is_ok(), "a second later is later");
        let refused = Err(("oidc.auth_time", OAuthCode::UnmetAuthenticationRequirements));
        assert_eq!(told(10).map(|_| ()), refused, "the very same proof, within what is allowed for clocks");
        assert_eq!(told(9).map(|_| ()), refused);
        let at_once = Demanded {
            begun_at: Some(Timestamp::from_secs(NOW - 10)),
            later_than: Some(Timestamp::from_secs(NOW - 10)),
            ..strict()
        };
        assert!(run(&valid(), &at_once).0.is_ok(), "who leaves, signs in and leaves again within a second");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (NOW - 100..NOW + 400).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,300}".prop_map(Value::from),
            prop_oneof![Just("us"), Just("alice"), Just("n"), Just("mfa"), Just("https://id.test")]
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    const CLAIMS: &[&str] = &[
        "iss",
        "sub",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "auth_time",
        "acr",
        "amr",
        "sid",
    ];

    proptest! {
        /// Law: the check is total; and it passes exactly if no step failed, fails with its last step's name.
        #[test]
        fn the_check_is_total(changes in proptest::collection::vec((0..CLAIMS.len(), proptest::option::of(any_value())), 0..4)) {
            let mut claims = valid();
            for (which, value) in changes {
                match value {
                    Some(value) => drop(claims.insert(CLAIMS[which].to_owned(), value)),
                    None => drop(claims.remove(CLAIMS[which])),
                }
            }
            for demanded in [Demanded::default(), strict()] {
                let (outcome, trace) = run(&claims, &demanded);
                let failed: Vec<&str> =
                    trace.steps().iter().filter(|step| !step.passed).map(|step| step.check.as_str()).collect();
                match outcome {
                    Ok(_) => prop_assert!(failed.is_empty()),
                    Err(failure) => prop_assert_eq!(failed, [failure.reason]),
                }
            }
        }

        /// Law: whatever passes under demands passes without them; demanding more never lets in more.
        #[test]
        fn demands_only_narrow(value in any_value(), which in 0..CLAIMS.len()) {
            let mut claims = valid();
            claims.insert(CLAIMS[which].to_owned(), value);
            if run(&claims, &strict()).0.is_ok() {
                prop_assert!(run(&claims, &Demanded::default()).0.is_ok());
            }
        }

        /// Law: a required claim has one right value; every other one is refused.
        #[test]
        fn a_required_claim_is_exact(value in any_value(), which in 0..2_usize) {
            let name = ["iss", "nonce"][which];
            let mut claims = valid();
            let right = claims.insert(name.to_owned(), value.clone());
            prop_assert_eq!(run(&claims, &Demanded::default()).0.is_ok(), right == Some(value));
        }
    }
}
