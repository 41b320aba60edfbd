//! Plain OAuth 2.0: the shapes of Facebook and GitHub.

use crate::bench::{Bench, refused, row};
use crate::standin::{CLIENT_SECRET, Reply};
use countersign::failure::{OAuthCode, UserMessage};
use countersign::upstream::identity::AssertedEmail;
use serde_json::{Value, json};
use std::time::Duration;

fn settings(origin: &str, more: &str) -> String {
    format!(
        r#"
id = "friendbook"
kind = "oauth2"
name = "Friendbook"
authorize_url = "{origin}/dialog"
token_url = "{origin}/token"
userinfo_url = "{origin}/me"
client_id = "countersign"
client_secret = "env:SECRET"
subject = "id"
provisioning = "open"
allow_loopback = true
timeout = "1s"
{more}
"#
    )
}

/// Facebook's settings.
pub fn shaped_as_facebook(origin: &str) -> String {
    let more = "client_auth = \"client_secret_post\"\nappsecret_proof = true\nscopes = [\"public_profile\", \"email\"]\nuserinfo_params = { fields = \"id,name,email\" }\nreauthenticate_params = { auth_type = \"reauthenticate\" }";
    settings(origin, more)
}

fn facebook() -> Bench {
    Bench::new(shaped_as_facebook)
}

fn github() -> Bench {
    let bench = Bench::new(|origin| {
        let more = format!(
            "emails_url = \"{origin}/emails\"\nissuer = \"https://hub.example\"\nauthoritative_for = [\"hub.example\"]"
        );
        settings(origin, &more)
    });
    hub(&bench);
    bench
}

fn hub(bench: &Bench) {
    let mut script = bench.standin.script();
    script.person = json!({"id": 583_231, "login": "alice", "name": "Alice", "email": null});
    // form-encoded, as the Hub answers unless it is asked for JSON
    script.token = Box::new(|reply| {
        if reply.status == 200 {
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            let token = body["access_token"].as_str().unwrap().to_owned();
            let body = format!("access_token={token}&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer");
            reply.set("application/x-www-form-urlencoded; charset=utf-8", body);
        }
    });
}

#[tokio::test]
async fn the_shape_of_facebook() {
    let bench = facebook();
    bench.standin.script().response = Box::new(|answer| {
        // what is left of `#_=_` where something turned the fragment into a parameter
        answer.insert("_".to_owned(), "_".to_owned());
    });
    let vouched = bench.signs_in().await;
    let key = vouched.identity.key();
    assert_eq!(
        (key.issuer.as_str(), key.subject.as_str(), key.format.as_str()),
        (bench.standin.origin(), "1001", "")
    );
    assert_eq!(vouched.identity.profile().name.as_deref(), Some("Alice Adams"));
    // it says `email_verified: true` here, but a plain OAuth API declares no such thing
    let email = vouched.identity.email().unwrap();
    assert!(matches!(email, AssertedEmail::Claimed(address) if address.as_str() == "alice@globex.example"));

    let seen = bench.standin.seen();
    let me = seen.iter().find(|seen| seen.path == "/me").unwrap();
    assert_eq!(me.query["fields"], "id,name,email");
    let token = me.headers["authorization"].strip_prefix("Bearer ").unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
    let proof: String = aws_lc_rs::hmac::sign(&key, token.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(me.query["appsecret_proof"], proof);
}

#[tokio::test]
async fn the_shape_of_github() {
    let bench = github();
    let vouched = bench.signs_in().await;
    let key = vouched.identity.key();
    assert_eq!(
        (key.issuer.as_str(), key.subject.as_str(), key.format.as_str()),
        ("https://hub.example", "583231", "integer")
    );
    let email = vouched.identity.verified_email().unwrap();
    assert_eq!(email.address().as_str(), "alice@hub.example");
}

#[tokio::test]
async fn only_a_primary_and_verified_address_of_the_list_is_proved() {
    let bench = github();
    for (list, proved) in [
        (json!([{"email": "a@hub.example", "primary": true, "verified": true}]), true),
        (json!([{"email": "a@hub.example", "primary": true, "verified": false}]), false),
        (json!([{"email": "a@hub.example", "primary": false, "verified": true}]), false),
        (json!([{"email": "a@hub.example", "primary": "true", "verified": "true"}]), false),
        (json!([{"email": "a@other.example", "primary": true, "verified": true}]), false),
        (json!([]), false),
        (json!([7, null]), false),
    ] {
        let shown = list.to_string();
        bench.standin.script().emails = Box::new(move |reply| *reply = Reply::json(200, &list));
        assert_eq!(bench.signs_in().await.identity.verified_email().is_some(), proved, "{shown}");
    }
    // another address in the profile is not proved by the list
    bench.standin.script().person["email"] = json!("victim@hub.example");
    bench.standin.script().emails = Box::new(|_| {});
    assert!(bench.signs_in().await.identity.verified_email().is_none());
    bench.standin.script().emails = Box::new(|reply| *reply = Reply::json(200, &json!({"email": "x"})));
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "oauth2.emails.format");
}

/// RFC 9207 §2.4, by settings: there is nothing that would tell us of it.
#[tokio::test]
async fn where_the_settings_name_the_answers_issuer_it_must_be_that() {
    let bench = Bench::new(|origin| settings(origin, "response_issuer = \"https://hub.example/oauth\""));
    let says = |iss: Option<&'static str>, error: bool| {
        move |callback: &mut countersign::upstream::Callback| {
            if let Some(iss) = iss {
                callback.parameters.insert("iss".to_owned(), iss.to_owned());
            }
            if error {
                callback.parameters.remove("code");
                callback.parameters.insert("error".to_owned(), "access_denied".to_owned());
            }
        }
    };
    let right = Some("https://hub.example/oauth");
    for iss in [
        None,
        Some(""),
        Some("https://hub.example"),
        Some("https://hub.example/oauth/"),
        Some("https://HUB.example/oauth"),
    ] {
        for error in [false, true] {
            let open = bench.begin(|_| {}).await.unwrap();
            let (outcome, trace) = bench.finish(&open, says(iss, error)).await;
            refused(outcome, &trace, "oauth2.iss_param");
        }
    }
    assert_eq!(bench.standin.count("/token"), 0, "no code went anywhere");
    let open = bench.begin(|_| {}).await.unwrap();
    let (outcome, trace) = bench.finish(&open, says(right, true)).await;
    refused(outcome, &trace, "oauth2.cancelled");
    bench.finish(&open, says(right, false)).await.0.unwrap();
    // where the settings say nothing, nobody knows what it should be
    let silent = facebook();
    let open = silent.begin(|_| {}).await.unwrap();
    silent.finish(&open, says(Some("https://other.example"), false)).await.0.unwrap();
}

#[test]
fn the_answers_issuer_is_an_address() {
    for (issuer, fine) in [
        ("https://hub.example/oauth", true),
        ("https://hub.example", true),
        ("", false),
        ("hub.example", false),
        ("https://hub.example?a=b", false),
        ("https://hub.example#a", false),
    ] {
        let text = settings("https://hub.example", &format!("response_issuer = \"{issuer}\""));
        let found: Vec<_> = crate::bench::provider(&text).check().iter().map(|problem| problem.key).collect();
        assert_eq!(found.contains(&"response_issuer"), !fine, "{issuer}: {found:?}");
    }
}

#[tokio::test]
async fn oidc_038_a_profile_without_a_stable_id() {
    row("OIDC-038").await;
}

#[tokio::test]
async fn oidc_039_a_number_is_not_the_text_of_it() {
    let bench = facebook();
    let body = |id: &'static str| {
        bench.standin.script().profile =
            Box::new(move |reply| reply.set("application/json", format!("{{\"id\":{id}}}")));
    };
    let mut keys = Vec::new();
    for id in ["1", "\"1\"", "9007199254740990", "9007199254740991"] {
        body(id);
        keys.push(bench.signs_in().await.identity.key().clone());
    }
    for (i, one) in keys.iter().enumerate() {
        assert!(!keys[i + 1..].contains(one), "{one:?} twice");
    }
    row("OIDC-039").await;
}

#[tokio::test]
async fn errors_of_the_graph_api() {
    let bench = facebook();
    let error = json!({"error": {"message": "<script>", "type": "OAuthException", "code": 190}});
    for (status, user) in [
        (401, UserMessage::ProviderAnswerRefused),
        (500, UserMessage::ProviderUnavailable),
        (429, UserMessage::ProviderUnavailable),
    ] {
        let error = error.clone();
        let failure = bench
            .refuses("oauth2.userinfo.status", |script| {
                script.profile = Box::new(move |reply| *reply = Reply::json(status, &error));
            })
            .await;
        assert_eq!(failure.user, user);
        assert!(failure.detail.received.as_deref().unwrap().contains("190"));
    }
    bench
        .refuses("oauth2.userinfo.format", |script| {
            script.profile = Box::new(move |reply| *reply = Reply::json(200, &error));
        })
        .await;
}

#[tokio::test]
async fn oidc_051_a_code_of_another_sign_in() {
    let bench = facebook();
    let victim = bench.begin(|_| {}).await.unwrap();
    let attacker = bench.begin(|_| {}).await.unwrap();
    let stolen = bench.standin.approve(&victim.url);
    let (outcome, trace) = bench.finish(&attacker, |callback| callback.parameters = stolen).await;
    refused(outcome, &trace, "oauth2.token_error");
}

#[tokio::test]
async fn the_response_is_a_code_or_an_error() {
    let bench = facebook();
    let failure = bench
        .refuses_callback("oauth2.cancelled", |callback| {
            callback.parameters.remove("code");
            callback.parameters.insert("error".to_owned(), "access_denied".to_owned());
            callback.parameters.insert("error_reason".to_owned(), "user_denied".to_owned());
        })
        .await;
    assert_eq!((failure.code, failure.user), (OAuthCode::AccessDenied, UserMessage::Cancelled));
    bench
        .refuses_callback("oauth2.response", |callback| {
            callback.parameters.insert("error".to_owned(), "access_denied".to_owned());
        })
        .await;
    bench.refuses_callback("oauth2.response", |callback| callback.parameters.clear()).await;
}

#[tokio::test]
async fn oidc_070_what_plain_oauth_cannot_show_is_not_taken_for_shown() {
    let bench = facebook();
    let open = bench.begin(|request| request.force_authentication = true).await.unwrap();
    assert!(open.url.query_pairs().any(|(name, value)| name == "auth_type" && value == "reauthenticate"));
    bench
        .refuses_callback("oauth2.auth_time", |callback| callback.demanded.force_authentication = true)
        .await;
    bench
        .refuses_callback("oauth2.auth_time", |callback| {
            callback.demanded.max_age = Some(Duration::from_secs(60))
        })
        .await;
    let failure = bench
        .refuses_callback("oauth2.acr", |callback| callback.demanded.acr_values = vec!["urn:mfa".to_owned()])
        .await;
    assert_eq!(failure.code, OAuthCode::UnmetAuthenticationRequirements);
}
