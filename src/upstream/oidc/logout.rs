//! A logout that begins at the provider (OIDC Back-Channel Logout 1.0). The logout token is validated as §2.6
//! says; every check is total, and what is absent or malformed fails like what is wrong.

use super::Oidc;
use super::id_token::{Clock, audiences, is_subject, is_word, seconds, show_all, times};
use crate::accounts::IdentityKey;
use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode};
use crate::ids::ProviderId;
use crate::jose::json::Object;
use crate::outbound::cached::Suspicion;
use crate::upstream::checks::{Checks, show};
use crate::upstream::{CallbackMethod, LogoutMessage, LogoutNotice, Replay, Trace};
use serde_json::Value;

/// The member of `events` that makes a token a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What the token must be about.
struct Expected<'a> {
    provider: &'a ProviderId,
    issuer: &'a str,
    client_id: &'a str,
    clock: Clock,
}

impl Oidc {
    /// Validates a logout token. What is wrong with it is `invalid_request` (§2.8); a provider that cannot be
    /// asked for its keys is `temporarily_unavailable`, so that it may try again.
    pub(super) async fn logout_notice(
        &self,
        context: &Context,
        message: &LogoutMessage,
        trace: &mut Trace,
    ) -> Result<LogoutNotice, Failure> {
        // §2.5: in the form of a POST; other fields are ignored
        let token = message
            .parameters
            .get("logout_token")
            .filter(|_| message.method == CallbackMethod::Post)
            .ok_or_else(|| Failure::invalid_request("upstream.logout_request", "there is no logout_token"))?;
        let mut checks = Checks::new(trace);
        let checks = &mut checks;
        self.validated(context, token, checks).await.map_err(|failure| match failure.code {
            OAuthCode::AccessDenied => Failure { code: OAuthCode::InvalidRequest, ..failure },
            _ => failure,
        })
    }

    async fn validated(
        &self,
        context: &Context,
        token: &str,
        checks: &mut Checks<'_>,
    ) -> Result<LogoutNotice, Failure> {
        let discovered = self.discover(context).await.map_err(|failure| checks.fail(failure))?;
        // items 2 and 3: as an ID token, so never unsigned and never by a shared secret
        let verified = self.verify(context, &discovered, token, Suspicion::Unasked, checks).await?;
        check_type(verified.header.typ.as_deref(), checks)?;
        // item 4 compares as for an ID token, whose issuer depends on the tenant and whose subject on another claim
        let issuer = self.issuer_of(&verified.claims, verified.key_issuer.as_deref(), checks)?;
        let expected = Expected {
            provider: &self.common.id,
            issuer: &issuer,
            client_id: &self.settings.client_id,
            clock: Clock {
                now: context.now(),
                skew: self.settings.skew,
                max_age: self.settings.id_token_max_age,
            },
        };
        let mut notice = check(&verified.claims, &expected, checks)?;
        if let Some(mut identity) = notice.identity.take() {
            notice.identity = if self.says_too_little(&verified.claims) && !notice.sessions.is_empty() {
                checks.note("oidc.subject_within", "the claim, or sid", "the session alone is meant");
                None
            } else {
                identity.subject = self.whole_subject(&verified.claims, &identity.subject, checks)?;
                Some(identity)
            };
        }
        Ok(notice)
    }

    /// Whether the claim within which a subject is unique was left out, as logout tokens may (§2.4): then `sub` means
    /// nobody.
    fn says_too_little(&self, claims: &Object) -> bool {
        self.settings.subject_within.as_ref().is_some_and(|name| !claims.contains_key(name))
    }
}

/// When it was said, by our clock, by which we know when somebody left for the provider. Not when it came: it may have been
/// long on its way, or be sent again. The provider's clock may be behind ours by what is allowed.
fn made_at(claims: &Object, clock: &Clock) -> Timestamp {
    let iat = seconds(claims.get("iat")).map(Timestamp::from_secs);
    iat.map_or(clock.now, |iat| iat.plus(clock.skew).min(clock.now))
}

/// A token that says to be of another kind is none (RFC 8725 §3.11). §2.4 recommends a type and does not
/// demand it; the rest tells a logout token from others.
fn check_type(typ: Option<&str>, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let bare = typ.map(|typ| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase());
    let passed = bare.as_deref().is_none_or(|typ| typ == "logout+jwt" || typ == "jwt");
    checks.require("oidc.logout_token.typ", passed, "logout+jwt, or none", typ.unwrap_or("none"))
}

/// Checks all claims in the order of §2.6; the first that fails ends it.
fn check(claims: &Object, expected: &Expected<'_>, checks: &mut Checks<'_>) -> Result<LogoutNotice, Failure> {
    let claim = |name: &str| claims.get(name);

    let issuer = claim("iss").and_then(Value::as_str) == Some(expected.issuer);
    checks.require("oidc.logout_token.iss", issuer, expected.issuer, show(claim("iss")))?;

    let for_us = audiences(claim("aud")).is_some_and(|all| all.contains(&expected.client_id));
    checks.require("oidc.logout_token.aud", for_us, expected.client_id, show_all(claim("aud")))?;

    let ends = times("oidc.logout_token.time", claims, &expected.clock, checks)?;

    // item 5: a subject, a session, or both. One that is there and malformed counts for nothing.
    let subject = claim("sub").map(|sub| sub.as_str().filter(|sub| is_subject(sub)));
    let session = claim("sid").map(|sid| sid.as_str().filter(|sid| is_word(sid, 255)));
    let meant = match (subject, session) {
        (None, None) | (Some(None), _) | (_, Some(None)) => None,
        (subject, session) => Some((subject.flatten(), session.flatten())),
    };
    let received = format!("sub {}, sid {}", show(claim("sub")), show(claim("sid")));
    checks.require("oidc.logout_token.who", meant.is_some(), "sub, sid or both", received)?;
    let (subject, session) = meant.unwrap_or_default();

    let event = claim("events")
        .and_then(Value::as_object)
        .is_some_and(|events| events.get(EVENT).is_some_and(Value::is_object));
    checks.require("oidc.logout_token.events", event, EVENT, show(claim("events")))?;

    // item 7: so that no ID token passes for a logout token
    checks.require("oidc.logout_token.nonce", claim("nonce").is_none(), "none", show(claim("nonce")))?;

    let jti = claim("jti").and_then(Value::as_str).filter(|jti| is_word(jti, 512));
    checks.require(
        "oidc.logout_token.jti",
        jti.is_some(),
        "a text of 1 to 512 characters",
        show(claim("jti")),
    )?;

    Ok(LogoutNotice {
        identity: subject.map(|subject| IdentityKey {
            provider: expected.provider.clone(),
            issuer: expected.issuer.to_owned(),
            subject: subject.to_owned(),
            format: String::new(),
        }),
        name: None,
        issuer: expected.issuer.to_owned(),
        issued: made_at(claims, &expected.clock),
        sessions: session.map(str::to_owned).into_iter().collect(),
        reply: None,
        replay: Replay {
            what: format!("logout:{}", jti.unwrap_or_default()),
            until: ends,
            reason: "upstream.replay",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::time::Duration;

    const NOW: i64 = 1_800_000_000;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    fn valid() -> Object {
        object(json!({
            "iss": "https://id.test", "aud": "us", "iat": NOW, "exp": NOW + 120, "jti": "j1",
            "sub": "alice", "sid": "s1", "events": { EVENT: {} },
        }))
    }

    fn run(claims: &Object) -> Result<LogoutNotice, Failure> {
        let provider = ProviderId::new("globex").unwrap();
        let expected = Expected {
            provider: &provider,
            issuer: "https://id.test",
            client_id: "us",
            clock: Clock {
                now: Timestamp::from_secs(NOW),
                skew: Duration::from_secs(30),
                max_age: Duration::from_secs(600),
            },
        };
        check(claims, &expected, &mut Checks::new(&mut Trace::default()))
    }

    #[test]
    fn a_valid_token_says_who_and_which_session() {
        let notice = run(&valid()).unwrap();
        assert_eq!(notice.identity.unwrap().subject, "alice");
        assert_eq!(notice.sessions, ["s1"]);
        let replay = Replay {
            what: "logout:j1".to_owned(),
            until: Timestamp::from_secs(NOW + 150),
            reason: "upstream.replay",
        };
        assert_eq!(notice.replay, replay);
        assert_eq!(notice.issuer, "https://id.test");
        // as late as it may have been, and no later than it came
        for (iat, moment) in [(NOW, NOW), (NOW + 30, NOW), (NOW - 29, NOW), (NOW - 31, NOW - 1)] {
            let mut claims = valid();
            claims.insert("iat".to_owned(), json!(iat));
            assert_eq!(run(&claims).unwrap().issued, Timestamp::from_secs(moment), "{iat}");
        }
        for only in ["sub", "sid"] {
            let mut claims = valid();
            claims.remove(only);
            assert!(run(&claims).is_ok(), "without {only}");
        }
    }

    #[test]
    fn every_claim_is_checked() {
        let cases = [
            ("iss", Some(json!("https://other.test")), "iss"),
            ("iss", None, "iss"),
            ("aud", Some(json!("them")), "aud"),
            ("aud", Some(json!([])), "aud"),
            ("aud", None, "aud"),
            ("iat", None, "time"),
            ("iat", Some(json!(NOW - 3600)), "time"),
            ("exp", None, "time"),
            ("exp", Some(json!(NOW - 60)), "time"),
            ("sub", Some(json!("")), "who"),
            ("sub", Some(Value::Null), "who"),
            ("sid", Some(json!(7)), "who"),
            ("sid", Some(json!("")), "who"),
            ("sid", Some(json!("a\nb")), "who"),
            ("events", None, "events"),
            ("events", Some(json!({})), "events"),
            ("events", Some(json!([EVENT])), "events"),
            ("events", Some(json!({ EVENT: true })), "events"),
            ("events", Some(json!({ "http://schemas.openid.net/event/other": {} })), "events"),
            ("nonce", Some(json!("n")), "nonce"),
            ("nonce", Some(Value::Null), "nonce"),
            ("jti", None, "jti"),
            ("jti", Some(json!("")), "jti"),
        ];
        for (name, value, reason) in cases {
            let mut claims = valid();
            match value.clone() {
                Some(value) => claims.insert(name.to_owned(), value),
                None => claims.remove(name),
            };
            let failure = run(&claims).unwrap_err();
            assert_eq!(failure.reason, format!("oidc.logout_token.{reason}"), "{name} = {value:?}");
        }
        let mut nobody = valid();
        nobody.remove("sub");
        nobody.remove("sid");
        assert_eq!(run(&nobody).unwrap_err().reason, "oidc.logout_token.who");
    }

    #[test]
    fn a_token_of_another_kind_is_refused_by_its_type() {
        let verdict = |typ| check_type(typ, &mut Checks::new(&mut Trace::default())).is_ok();
        assert!(verdict(None) && verdict(Some("JWT")) && verdict(Some("logout+jwt")));
        assert!(verdict(Some("application/logout+jwt")));
        assert!(!verdict(Some("at+jwt")) && !verdict(Some("id_token+jwt")) && !verdict(Some("")));
    }

    proptest! {
        #[test]
        fn whatever_the_claims_are_nothing_panics_and_nobody_is_made_up(
            name in prop_oneof![
                Just("iss"), Just("aud"), Just("iat"), Just("exp"), Just("sub"), Just("sid"), Just("events"),
                Just("nonce"), Just("jti"),
            ],
            value in prop_oneof![
                Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
                "\\PC{0,300}".prop_map(Value::from), Just(json!([])), Just(json!({})),
            ],
        ) {
            let mut claims = valid();
            claims.insert(name.to_owned(), value.clone());
            if let Ok(notice) = run(&claims) {
                prop_assert!(name != "nonce");
                let said = notice.identity.map(|key| Value::from(key.subject));
                prop_assert_eq!(said.as_ref(), claims.get("sub"));
                let session = notice.sessions.into_iter().next().map(Value::from);
                prop_assert_eq!(session.as_ref(), claims.get("sid"));
            }
        }
    }
}
