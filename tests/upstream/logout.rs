//! A logout that begins at the provider (OIDC Back-Channel Logout 1.0 §2.5, §2.6), from the POST to its meaning.

use crate::bench::Bench;
use crate::standin::{Key, Reply};
use countersign::failure::{Failure, OAuthCode};
use countersign::upstream::{CallbackMethod, LogoutHeard, LogoutMessage, LogoutNotice, Trace};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn key() -> Key {
    Key::rsa(0, "rsa-1")
}

fn claims(bench: &Bench) -> Value {
    let now = bench.context.now().secs();
    json!({
        "iss": bench.standin.origin(), "aud": "countersign", "iat": now, "exp": now + 120, "jti": "j1",
        "sub": "alice-subject", "sid": "s1", "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    })
}

fn token(key: &Key, typ: &str, claims: &Value) -> String {
    let header = json!({"alg": key.alg(), "kid": key.kid, "typ": typ}).to_string();
    key.token(&header, &claims.to_string())
}

async fn hears(
    bench: &Bench,
    method: CallbackMethod,
    parameters: &[(&str, &str)],
) -> (Result<LogoutNotice, Failure>, Trace) {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let message = LogoutMessage {
        method,
        query: String::new(),
        parameters: parameters.iter().map(owned).collect::<BTreeMap<_, _>>(),
        address: "http://localhost:8080/upstream/globex/logout".to_owned(),
        pending: None,
    };
    let mut trace = Trace::default();
    let heard = bench.entry.upstream.inbound_logout(&bench.context, &message, &mut trace).await;
    let notice = heard.map(|heard| match heard {
        LogoutHeard::Notice(notice) => notice,
        LogoutHeard::Answer(answer) => panic!("an answer: {answer:?}"),
    });
    (notice, trace)
}

async fn posted(bench: &Bench, token: &str) -> (Result<LogoutNotice, Failure>, Trace) {
    hears(bench, CallbackMethod::Post, &[("logout_token", token)]).await
}

#[tokio::test]
async fn a_logout_token_says_who_and_which_session() {
    let bench = Bench::oidc("");
    for typ in ["logout+jwt", "JWT", "application/logout+jwt"] {
        let (notice, trace) = posted(&bench, &token(&key(), typ, &claims(&bench))).await;
        let notice = notice.unwrap();
        let identity = notice.identity.unwrap();
        assert_eq!(
            (identity.issuer.as_str(), identity.subject.as_str()),
            (bench.standin.origin(), "alice-subject")
        );
        assert_eq!(identity.provider.as_str(), "globex");
        assert_eq!(notice.sessions, ["s1"]);
        assert_eq!((notice.reply, notice.name), (None, None));
        assert!(trace.steps().iter().all(|step| step.passed));
        let checks: Vec<&str> = trace.steps().iter().map(|step| step.check.as_str()).collect();
        let of = |name: &str| format!("oidc.logout_token.{name}");
        let mut expected = vec!["jose.signature".to_owned()];
        expected
            .extend(["typ", "iss", "aud", "time", "time", "time", "who", "events", "nonce", "jti"].map(of));
        assert_eq!(checks, expected);
    }
    assert!(!bench.entry.upstream.logs_out_by_browser());
}

#[tokio::test]
async fn each_check_refuses_as_an_invalid_request() {
    let bench = Bench::oidc("");
    let now = bench.context.now().secs();
    let cases: [(&str, fn(&mut Value, i64)); 9] = [
        ("oidc.logout_token.iss", |claims, _| claims["iss"] = json!("https://other.example")),
        ("oidc.logout_token.aud", |claims, _| claims["aud"] = json!("other")),
        ("oidc.logout_token.time", |claims, now| claims["exp"] = json!(now - 30)),
        ("oidc.logout_token.time", |claims, now| claims["iat"] = json!(now + 31)),
        ("oidc.logout_token.time", |claims, now| claims["nbf"] = json!(now + 31)),
        ("oidc.logout_token.who", |claims, _| claims["sub"] = json!("")),
        ("oidc.logout_token.events", |claims, _| claims["events"] = json!({})),
        ("oidc.logout_token.nonce", |claims, _| claims["nonce"] = json!("n")),
        ("oidc.logout_token.jti", |claims, _| claims["jti"] = json!("x".repeat(513))),
    ];
    for (reason, change) in cases {
        let mut changed = claims(&bench);
        change(&mut changed, now);
        let (outcome, trace) = posted(&bench, &token(&key(), "logout+jwt", &changed)).await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.reason, failure.code), (reason, OAuthCode::InvalidRequest));
        let failed: Vec<&str> =
            trace.steps().iter().filter(|step| !step.passed).map(|step| step.check.as_str()).collect();
        assert_eq!(failed, [reason]);
        assert!(posted(&bench, &token(&key(), "logout+jwt", &claims(&bench))).await.0.is_ok());
    }
    for typ in ["at+jwt", "id_token+jwt", ""] {
        let (outcome, _) = posted(&bench, &token(&key(), typ, &claims(&bench))).await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.reason, failure.code), ("oidc.logout_token.typ", OAuthCode::InvalidRequest));
    }
}

#[tokio::test]
async fn a_session_and_a_token_name_have_their_length() {
    let bench = Bench::oidc("");
    let long = "x".repeat(513);
    for (name, most) in [("sid", 255), ("jti", 512)] {
        for (length, fine) in [(most, true), (most + 1, false)] {
            let mut changed = claims(&bench);
            changed[name] = json!(&long[..length]);
            let outcome = posted(&bench, &token(&key(), "logout+jwt", &changed)).await.0;
            assert_eq!(outcome.is_ok(), fine, "{name} of {length}");
        }
    }
}

#[tokio::test]
async fn only_the_form_of_a_post_counts() {
    let bench = Bench::oidc("");
    let token = token(&key(), "logout+jwt", &claims(&bench));
    let sent = [("logout_token", token.as_str()), ("state", "ignored")];
    assert!(hears(&bench, CallbackMethod::Post, &sent).await.0.is_ok());
    for (method, parameters) in [(CallbackMethod::Get, &sent[..]), (CallbackMethod::Post, &sent[1..])] {
        let (outcome, trace) = hears(&bench, method, parameters).await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.reason, failure.code), ("upstream.logout_request", OAuthCode::InvalidRequest));
        assert!(trace.steps().is_empty());
    }
}

#[tokio::test]
async fn only_the_providers_signature_counts() {
    let bench = Bench::oidc("");
    let (stranger, unsigned) =
        (Key::rsa(1, "rsa-1"), format!("{}.", crate::standin::b64(r#"{"alg":"none"}"#)));
    for (bad, reason) in [
        (token(&stranger, "logout+jwt", &claims(&bench)), "jose.signature"),
        (unsigned, "jose.format"),
        ("x".to_owned(), "jose.format"),
    ] {
        let (outcome, _) = posted(&bench, &bad).await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.reason, failure.code), (reason, OAuthCode::InvalidRequest), "{bad}");
    }
}

/// Each tenant is an issuer, and its tokens name it as its ID tokens do.
#[tokio::test]
async fn a_tenant_ends_sessions_of_its_own_people() {
    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const OTHER: &str = "aaaaaaaa-0b0b-1c1c-2d2d-333333333333";
    let bench = Bench::new(|origin| {
        format!(
            "issuer = \"{origin}/{{tenantid}}/v2.0\"\ndiscovery_url = \"{origin}/.well-known/openid-configuration\"\n\
             tenants = [\"{TENANT}\"]\n{}",
            crate::bench::OIDC
        )
    });
    let origin = bench.standin.origin().to_owned();
    let of = |tenant: &str| format!("{origin}/{tenant}/v2.0");
    let document = of("{tenantid}");
    bench.standin.script().discovery = Box::new(move |reply| {
        let document = document.clone();
        reply.edit(|body| body["issuer"] = document.into());
    });
    let keys = of("{tenantid}");
    bench.standin.script().jwks = Box::new(move |reply| {
        let issuer = keys.clone();
        reply.edit(|body| body["keys"][0]["issuer"] = issuer.into());
    });
    let says = |tid: Value, iss: String| {
        let mut claims = claims(&bench);
        (claims["tid"], claims["iss"]) = (tid, iss.into());
        token(&key(), "logout+jwt", &claims)
    };
    let notice = posted(&bench, &says(TENANT.into(), of(TENANT))).await.0.unwrap();
    let identity = notice.identity.unwrap();
    assert_eq!((identity.issuer, identity.subject.as_str()), (of(TENANT), "alice-subject"));
    assert_eq!(notice.sessions, ["s1"]);
    for (tid, iss, reason) in [
        (json!(OTHER), of(OTHER), "oidc.tenant"),
        (Value::Null, of(TENANT), "oidc.tenant"),
        (json!(TENANT), of(OTHER), "oidc.logout_token.iss"),
        (json!(TENANT), of("{tenantid}"), "oidc.logout_token.iss"),
    ] {
        let (outcome, trace) = posted(&bench, &says(tid, iss)).await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.reason, failure.code), (reason, OAuthCode::InvalidRequest));
        assert!(trace.steps().last().is_some_and(|step| step.check == reason && !step.passed));
    }
}

/// Where `sub` is unique only together with another claim, both name the person, or neither does.
#[tokio::test]
async fn a_subject_within_its_team_signs_out_nobody_else() {
    let bench = Bench::oidc("subject_within = \"team\"");
    let says = |change: fn(&mut serde_json::Map<String, Value>)| {
        let mut claims = claims(&bench);
        change(claims.as_object_mut().unwrap());
        token(&key(), "logout+jwt", &claims)
    };
    let heard = async |token: String| {
        let notice = posted(&bench, &token).await.0?;
        Ok::<_, Failure>((notice.identity.map(|identity| identity.subject), notice.sessions))
    };
    let (both, one) = (Some("T1/alice-subject".to_owned()), vec!["s1".to_owned()]);
    let team =
        |claims: &mut serde_json::Map<String, Value>| drop(claims.insert("team".to_owned(), "T1".into()));
    assert_eq!(heard(says(team)).await.unwrap(), (both, one.clone()));
    // the session is a name by itself
    assert_eq!(heard(says(|_| {})).await.unwrap(), (None, one.clone()));
    assert_eq!(heard(says(|claims| drop(claims.remove("sub")))).await.unwrap(), (None, one));
    for token in [
        says(|claims| drop(claims.remove("sid"))),
        says(|claims| drop(claims.insert("team".to_owned(), 7.into()))),
        says(|claims| drop(claims.insert("team".to_owned(), "".into()))),
        says(|claims| drop(claims.insert("team".to_owned(), "T1/x".into()))),
    ] {
        let failure = heard(token).await.unwrap_err();
        assert_eq!((failure.reason, failure.code), ("oidc.subject_within", OAuthCode::InvalidRequest));
    }
}

#[tokio::test]
async fn a_provider_that_is_away_may_try_again() {
    let bench = Bench::oidc("");
    bench.standin.script().jwks = Box::new(|reply| *reply = Reply::json(503, &json!({})));
    let token = token(&key(), "logout+jwt", &claims(&bench));
    let failure = posted(&bench, &token).await.0.unwrap_err();
    assert_eq!((failure.reason, failure.code), ("net.status", OAuthCode::TemporarilyUnavailable));
    bench.standin.behave();
    bench.later();
    assert!(posted(&bench, &token).await.0.is_ok());
}

#[tokio::test]
async fn plain_oauth_tells_of_no_logouts() {
    let bench = Bench::new(|origin| {
        format!(
            "id = \"friendbook\"\nkind = \"oauth2\"\nname = \"Friendbook\"\nauthorize_url = \"{origin}/dialog\"\n\
             token_url = \"{origin}/token\"\nuserinfo_url = \"{origin}/me\"\nclient_id = \"countersign\"\n\
             subject = \"id\"\nprovisioning = \"open\"\nallow_loopback = true"
        )
    });
    let failure = posted(&bench, "x").await.0.unwrap_err();
    assert_eq!((failure.reason, failure.code), ("upstream.logout_request", OAuthCode::InvalidRequest));
}
