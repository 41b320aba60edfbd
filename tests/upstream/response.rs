//! The authorization response, the token response, and what goes to the provider in the first place.

use crate::bench::{Bench, CALLBACK, refused, row};
use crate::standin::CLIENT_SECRET;
use countersign::failure::{OAuthCode, UserMessage};
use countersign::upstream::CallbackMethod;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_valid_answer_is_accepted_and_every_check_is_told() {
    let bench = Bench::oidc("");
    let (outcome, trace) = bench.sign_in().await;
    let vouched = outcome.unwrap();
    assert_eq!(vouched.identity.key().subject, "alice-subject");
    assert_eq!(vouched.identity.key().issuer, bench.standin.origin());
    let checks: Vec<&str> = trace.steps().iter().map(|step| step.check.as_str()).collect();
    assert_eq!(
        checks,
        [
            "oidc.response",
            "oidc.response_mode",
            "oidc.iss_param",
            "oidc.token_error",
            "oidc.token_response",
            "jose.signature",
            "oidc.id_token.typ",
            "oidc.id_token.iss",
            "oidc.id_token.sub",
            "oidc.id_token.aud",
            "oidc.id_token.azp",
            "oidc.id_token.time",
            "oidc.id_token.time",
            "oidc.id_token.time",
            "oidc.id_token.nonce",
            "oidc.id_token.at_hash",
            "oidc.auth_time",
            "oidc.id_token.acr",
        ]
    );
}

#[tokio::test]
async fn oidc_001_the_iss_parameter_of_another_provider() {
    row("OIDC-001").await;
}

#[tokio::test]
async fn oidc_002_the_iss_parameter_missing_although_advertised() {
    row("OIDC-002").await;
}

#[tokio::test]
async fn oidc_051_a_code_of_another_sign_in() {
    let bench = Bench::oidc("");
    let victim = bench.begin(|_| {}).await.unwrap();
    let attacker = bench.begin(|_| {}).await.unwrap();
    let stolen = bench.standin.approve(&victim.url);
    let (outcome, trace) = bench.finish(&attacker, |callback| callback.parameters = stolen.clone()).await;
    refused(outcome, &trace, "oidc.token_error");

    // where the provider takes no PKCE, the nonce stands in for it
    let bench = Bench::oidc("pkce = false");
    let victim = bench.begin(|_| {}).await.unwrap();
    let attacker = bench.begin(|_| {}).await.unwrap();
    let stolen = bench.standin.approve(&victim.url);
    let (outcome, trace) = bench.finish(&attacker, |callback| callback.parameters = stolen.clone()).await;
    refused(outcome, &trace, "oidc.id_token.nonce");
    bench.signs_in().await;
}

#[tokio::test]
async fn oidc_053_error_and_code_together_or_neither_or_more() {
    row("OIDC-053").await;
    Bench::oidc("")
        .refuses_callback("oidc.response_mode", |callback| callback.method = CallbackMethod::Post)
        .await;
}

#[tokio::test]
async fn a_form_post_answer_is_taken_where_it_was_asked_for_and_only_there() {
    let bench = Bench::oidc("response_mode = \"form_post\"");
    let open = bench.begin(|_| {}).await.unwrap();
    assert!(open.url.query_pairs().any(|(name, value)| name == "response_mode" && value == "form_post"));
    let (outcome, _) = bench.finish(&open, |callback| callback.method = CallbackMethod::Post).await;
    outcome.unwrap();
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "oidc.response_mode");
}

#[tokio::test]
async fn oidc_054_the_providers_words_never_reach_the_person() {
    for (case, failure) in row("OIDC-054").await {
        let expected = match case.name.as_str() {
            "access_denied" => (OAuthCode::AccessDenied, UserMessage::Cancelled),
            "login_required" => (OAuthCode::LoginRequired, UserMessage::StartAgain),
            _ => (OAuthCode::TemporarilyUnavailable, UserMessage::ProviderUnavailable),
        };
        assert_eq!((failure.code, failure.user), expected, "{case}");
        assert!(!format!("{failure:?}").contains('\u{1b}'));
        assert!(!failure.user.text().contains("script"));
    }
}

#[tokio::test]
async fn oidc_055_odd_token_responses() {
    row("OIDC-055").await;
}

#[tokio::test]
async fn we_authenticate_as_the_settings_say() {
    for (setting, in_header) in [
        ("", true),
        ("client_auth = \"client_secret_basic\"", true),
        ("client_auth = \"client_secret_post\"", false),
    ] {
        let bench = Bench::oidc(setting);
        bench.signs_in().await;
        let seen = bench.standin.seen();
        let token = seen.iter().find(|seen| seen.path == "/token").unwrap();
        assert_eq!(token.headers.contains_key("authorization"), in_header, "{setting}");
        assert_eq!(token.form.contains_key("client_secret"), !in_header, "{setting}");
    }
}

#[tokio::test]
async fn the_request_carries_fresh_secrets_and_says_nothing_else() {
    let bench = Bench::oidc("authorize_params = { hd = \"globex.example\" }");
    let first = bench.begin(|_| {}).await.unwrap().url;
    let second = bench.begin(|_| {}).await.unwrap().url;
    let get = |url: &url::Url, name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "countersign"),
        ("redirect_uri", CALLBACK),
        ("state", "csst_state"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("hd", "globex.example"),
    ] {
        assert_eq!(get(&first, name), value, "{name}");
    }
    for fresh in ["nonce", "code_challenge"] {
        assert_eq!(get(&first, fresh).len(), 43, "{fresh}");
        assert_ne!(get(&first, fresh), get(&second, fresh), "{fresh}");
    }
    assert_eq!(first.query_pairs().count(), 9);
}

#[tokio::test]
async fn oidc_069_only_what_the_settings_let_through_goes_to_the_provider() {
    let wishes = |request: &mut countersign::upstream::BeginRequest| {
        request.login_hint = Some("alice@globex.example".to_owned());
        request.force_authentication = true;
        request.select_account = true;
        request.max_age = Some(Duration::from_secs(60));
        request.ui_locales = vec!["de".to_owned(), "<script>".to_owned()];
        request.acr_values = vec!["urn:mfa".to_owned(), "a b".to_owned()];
    };
    let names = ["login_hint", "prompt", "max_age", "ui_locales", "acr_values"];
    let passed = |url: &url::Url| -> Vec<String> {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of = |name: &&str| pairs.iter().find(|(key, _)| key == name);
        names.iter().filter_map(of).map(|(name, value)| format!("{name}={value}")).collect()
    };
    let bench = Bench::oidc("pass = []");
    assert_eq!(passed(&bench.begin(wishes).await.unwrap().url), Vec::<String>::new());
    let bench = Bench::oidc("");
    assert_eq!(
        passed(&bench.begin(wishes).await.unwrap().url),
        ["prompt=login select_account", "max_age=0", "ui_locales=de", "acr_values=urn:mfa"]
    );
    let bench = Bench::oidc("pass = [\"login_hint\"]");
    assert_eq!(passed(&bench.begin(wishes).await.unwrap().url), ["login_hint=alice@globex.example"]);
    // What every sign-in says gives way to what this one wants: nothing stands there twice.
    let own = "authorize_params = { prompt = \"consent\", max_age = \"77\", access_type = \"offline\" }";
    let bench = Bench::oidc(own);
    let said = |url: &url::Url, name: &str| -> Vec<String> {
        url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    };
    let plain = bench.begin(|_| {}).await.unwrap().url;
    assert_eq!(
        (said(&plain, "prompt"), said(&plain, "max_age")),
        (vec!["consent".into()], vec!["77".into()])
    );
    let wanted = bench.begin(wishes).await.unwrap().url;
    assert_eq!(said(&wanted, "prompt"), ["login select_account"]);
    assert_eq!(said(&wanted, "max_age"), ["0"]);
    assert_eq!(said(&wanted, "access_type"), ["offline"]);
    let silent = Bench::oidc("").begin(|request| request.silent = true).await.unwrap().url;
    assert_eq!(passed(&silent), ["prompt=none"]);
}

#[tokio::test]
async fn oidc_070_a_fresh_proof_that_was_demanded_must_be_shown() {
    let bench = Bench::oidc("");
    let now = bench.context.now();
    let run = async |auth_time: serde_json::Value, max_age: Option<u64>, force: bool| {
        bench.standin.script().claims = Box::new(move |claims| match &auth_time {
            serde_json::Value::Bool(false) => drop(claims.as_object_mut().unwrap().remove("auth_time")),
            time => claims["auth_time"] = time.clone(),
        });
        let open = bench.begin(|_| {}).await.unwrap();
        let (outcome, trace) = bench
            .finish(&open, |callback| {
                callback.demanded.begun_at = Some(now);
                callback.demanded.max_age = max_age.map(Duration::from_secs);
                callback.demanded.force_authentication = force;
            })
            .await;
        match outcome {
            Ok(vouched) => Ok(vouched.identity.authentication().auth_time.map(|at| at.secs() - now.secs())),
            failed => {
                let failure = refused(failed, &trace, "oidc.auth_time");
                Err(failure.code)
            }
        }
    };
    let at = |offset: i64| json!(now.secs() + offset);
    let absent = json!(false);
    let unmet = Err(OAuthCode::UnmetAuthenticationRequirements);
    // not demanded: reported, and refused only when it is nonsense
    assert_eq!(run(absent.clone(), None, false).await, Ok(None));
    assert_eq!(run(at(-5000), None, false).await, Ok(Some(-5000)));
    for nonsense in [json!("now"), json!(null), json!(1.5), json!(-1), at(3600)] {
        assert_eq!(run(nonsense, None, false).await, unmet);
    }
    // max_age, at the edge of the skew of 30 s
    assert_eq!(run(absent.clone(), Some(60), false).await, unmet);
    assert_eq!(run(at(-90), Some(60), false).await, Ok(Some(-90)));
    assert_eq!(run(at(-91), Some(60), false).await, unmet);
    assert_eq!(run(at(-30), Some(0), false).await, Ok(Some(-30)));
    assert_eq!(run(at(-31), Some(0), false).await, unmet);
    // a new proof since the sign-in began
    assert_eq!(run(absent, None, true).await, unmet);
    assert_eq!(run(at(-30), None, true).await, Ok(Some(-30)));
    assert_eq!(run(at(-31), None, true).await, unmet);
}

#[tokio::test]
async fn oidc_070_a_context_that_was_demanded_must_be_shown() {
    let bench = Bench::oidc("");
    for (said, accepted) in [
        (json!("urn:mfa"), true),
        (json!("urn:pwd"), false),
        (json!(null), false),
        (json!(["urn:mfa"]), false),
    ] {
        bench.standin.script().claims = Box::new(move |claims| claims["acr"] = said.clone());
        let open = bench.begin(|_| {}).await.unwrap();
        let (outcome, trace) =
            bench.finish(&open, |callback| callback.demanded.acr_values = vec!["urn:mfa".to_owned()]).await;
        if accepted {
            assert_eq!(outcome.unwrap().identity.authentication().acr.as_deref(), Some("urn:mfa"));
        } else {
            let failure = refused(outcome, &trace, "oidc.id_token.acr");
            assert_eq!(failure.code, OAuthCode::UnmetAuthenticationRequirements);
        }
    }
}

#[tokio::test]
async fn oidc_074_no_secret_leaves_by_the_browser_or_the_log() {
    let bench = Bench::oidc("");
    let open = bench.begin(|_| {}).await.unwrap();
    let (outcome, trace) = bench.finish(&open, |_| {}).await;
    let vouched = outcome.unwrap();
    let told = format!("{} {vouched:?} {:?} {:?}", open.url, trace.steps(), bench.entry);
    assert!(!told.contains(CLIENT_SECRET) && !told.contains("access-") && !told.contains("eyJ"), "{told}");
    let state = String::from_utf8(open.begun.state.to_vec()).unwrap();
    let verifier = state.split('"').rfind(|part| part.len() == 43).unwrap();
    assert!(!told.contains(verifier), "the PKCE verifier was shown");
}

#[tokio::test]
async fn a_state_that_we_did_not_make_starts_again() {
    let bench = Bench::oidc("");
    let mut open = bench.begin(|_| {}).await.unwrap();
    for bad in ["", "{}", "{\"nonce\":1}", "null"] {
        open.begun.state = bad.as_bytes().to_vec().into();
        let (outcome, trace) = bench.finish(&open, |_| {}).await;
        assert_eq!(refused(outcome, &trace, "oidc.state").user, UserMessage::StartAgain);
    }
    assert_eq!(bench.standin.count("/token"), 0);
}
