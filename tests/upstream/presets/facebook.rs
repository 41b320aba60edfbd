//! <https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow>,
//! <https://developers.facebook.com/docs/graph-api/reference/user>,
//! <https://developers.facebook.com/docs/graph-api/guides/error-handling>,
//! <https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback>

use super::*;
use crate::standin::{CLIENT_SECRET, Reply};
use countersign::failure::{Failure, OAuthCode, UserMessage};
use countersign::upstream::{DataDeletion, Notice, NoticeKind};
use serde_json::json;

fn script(script: &mut Script) {
    script.person = json!({
        "id": "10150123456789", "name": "Ann Smith", "first_name": "Ann", "last_name": "Smith",
        "email": "ann@friend.example",
        "picture": {"data": {"height": 256, "width": 256, "is_silhouette": false, "url": "https://platform-lookaside.fbsbx.com/p.jpg"}},
    });
    script.token = Box::new(|reply| {
        if reply.status == 200 {
            reply.edit(|body| {
                body["token_type"] = json!("bearer");
                body["expires_in"] = json!(5_183_944);
            });
        }
    });
}

fn contract() -> Contract {
    Contract::oauth2("facebook", SECRET, script)
}

fn graph_error(status: u16, code: u32) -> Reply {
    let error = json!({
        "message": "Error validating access token", "type": "OAuthException", "code": code, "error_subcode": 460,
        "fbtrace_id": "EJplcsCHuLu",
    });
    Reply::json(status, &json!({ "error": error }))
}

#[tokio::test]
async fn what_facebook_is_set_to() {
    let settings = fixed_oauth2("facebook", SECRET);
    assert_eq!(
        endpoints(&settings),
        [
            "https://www.facebook.com/v23.0/dialog/oauth",
            "https://graph.facebook.com/v23.0/oauth/access_token",
            "https://graph.facebook.com/v23.0/me",
            "",
        ]
    );
    assert_eq!(settings.issuer(), "https://www.facebook.com");
    let later = fixed_oauth2("facebook", &format!("{SECRET}version = \"v24.0\""));
    assert_eq!(endpoints(&later)[0], "https://www.facebook.com/v24.0/dialog/oauth");
    assert_eq!(later.issuer(), settings.issuer(), "people stay who they are when the version changes");
}

#[tokio::test]
async fn a_sign_in_at_facebook() {
    let contract = contract();
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), ("https://www.facebook.com", "10150123456789", ""));
    assert_eq!(email(&vouched), Some(("ann@friend.example", false)));
    let profile = vouched.identity.profile();
    assert_eq!((profile.name.as_deref(), profile.given_name.as_deref()), (Some("Ann Smith"), Some("Ann")));
    assert_eq!(profile.picture.as_deref(), Some("https://platform-lookaside.fbsbx.com/p.jpg"));

    assert_eq!(contract.asks("scope").await.as_deref(), Some("public_profile,email"));
    let me = contract.last("/me");
    assert_eq!(me.query["fields"], "id,name,first_name,last_name,email,picture.width(256)");
    let token = me.headers["authorization"].strip_prefix("Bearer ").unwrap();
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&secret, token.as_bytes());
    let proof: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(me.query["appsecret_proof"], proof);
}

#[tokio::test]
async fn somebody_without_an_address_is_somebody() {
    let contract = contract();
    let vouched = contract
        .signs_in_with(|script| {
            script.profile = body(|body| drop(body.as_object_mut().unwrap().remove("email")));
        })
        .await;
    assert_eq!((email(&vouched), name(&vouched)), (None, Some("Ann Smith")));
}

#[tokio::test]
async fn what_facebook_refuses() {
    let contract = contract();
    let failure = contract
        .declined(
            "oauth2.cancelled",
            &[
                ("error_reason", "user_denied"),
                ("error", "access_denied"),
                ("error_description", "Permissions error."),
                ("error_code", "200"),
            ],
        )
        .await;
    assert_eq!((failure.code, failure.user), (OAuthCode::AccessDenied, UserMessage::Cancelled));
    contract
        .declined("oauth2.response", &[("error_code", "1349220"), ("error_message", "Feature Unavailable")])
        .await;
    contract
        .refuses("oauth2.token_error", |script| {
            script.token = Box::new(|reply| *reply = graph_error(400, 100))
        })
        .await;
    let failure = contract
        .refuses("oauth2.userinfo.status", |script| {
            script.profile = Box::new(|reply| *reply = graph_error(400, 190));
        })
        .await;
    assert!(failure.detail.received.as_ref().unwrap().contains("OAuthException"), "{failure:?}");
}

#[tokio::test]
async fn a_fresh_proof_is_asked_for_and_not_shown() {
    let contract = contract();
    assert!(!contract.bench.entry.upstream.proves_freshness());
    let open = contract.bench.begin(|request| request.force_authentication = true).await.unwrap();
    assert!(open.url.as_str().contains("auth_type=reauthenticate"), "{}", open.url);
    assert!(!contract.departs().await.url.as_str().contains("auth_type"));

    let trusted = Contract::oauth2("facebook", &format!("{SECRET}freshness = \"trusted\""), script);
    assert!(trusted.bench.entry.upstream.proves_freshness());
    script(&mut trusted.bench.standin.script());
    for (contract, reason) in [(&contract, Some("oauth2.auth_time")), (&trusted, None)] {
        script(&mut contract.bench.standin.script());
        let open = contract.departs().await;
        let (outcome, trace) =
            contract.bench.finish(&open, |callback| callback.demanded.force_authentication = true).await;
        assert_eq!(outcome.err().map(|failure| failure.reason), reason);
        assert!(trace.steps().iter().any(|step| step.check == "oauth2.auth_time"));
    }
}

/// A request as Facebook's server signs it for its deauthorize and data deletion callbacks.
fn signed(contract: &Contract, user: &str, secret: &str, more: Value) -> String {
    let mut payload = json!({
        "algorithm": "HMAC-SHA256", "issued_at": contract.bench.context.now().secs(),
        "user": {"country": "de", "locale": "de_DE"}, "user_id": user,
    });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    crate::standin::signed_request(&payload, secret)
}

async fn tell(
    contract: &Contract,
    kind: NoticeKind,
    form: &[(&str, &str)],
) -> (Result<Notice, Failure>, Trace) {
    let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut trace = Trace::default();
    let upstream = &contract.bench.entry.upstream;
    (upstream.inbound_notice(&contract.bench.context, kind, &form, &mut trace).await, trace)
}

#[tokio::test]
async fn who_takes_the_app_away_at_facebook_is_named_by_a_signed_request() {
    let contract = contract();
    assert_eq!(contract.bench.entry.policy.data_deletion, DataDeletion::Link);
    let person = contract.signs_in().await.identity.key().clone();
    let request = signed(&contract, "10150123456789", CLIENT_SECRET, json!({}));
    for kind in [NoticeKind::Deauthorization, NoticeKind::Deletion] {
        let (heard, trace) = tell(&contract, kind, &[("signed_request", &request)]).await;
        let notice = heard.unwrap();
        assert_eq!(notice.identity, person, "the very identity that signed in");
        assert!(notice.replay.until > contract.bench.context.now());
        assert!(trace.steps().len() >= 5 && trace.steps().iter().all(|step| step.passed));
        assert!(
            !format!("{:?}", trace.steps()).contains(&request),
            "what could be sent again is in no trace"
        );
    }
    let page = json!({"user_id": "0", "profile_id": "324556365474"});
    let of_a_page = signed(&contract, "", CLIENT_SECRET, page);
    let forged = signed(&contract, "10150123456789", "another secret", json!({}));
    let browser = signed(&contract, "10150123456789", CLIENT_SECRET, json!({"code": "AQDx"}));
    let old = json!({"issued_at": contract.bench.context.now().secs() - 3601});
    let old = signed(&contract, "10150123456789", CLIENT_SECRET, old);
    let long = signed(&contract, "10150123456789", CLIENT_SECRET, json!({"more": "x".repeat(4096)}));
    for (request, reason) in [
        (long.as_str(), "oauth2.signed_request"),
        (of_a_page.as_str(), "oauth2.signed_request.user"),
        (forged.as_str(), "oauth2.signed_request.signature"),
        (browser.as_str(), "oauth2.signed_request.browser"),
        (old.as_str(), "oauth2.signed_request.time"),
        ("", "oauth2.signed_request"),
    ] {
        let (heard, trace) = tell(&contract, NoticeKind::Deletion, &[("signed_request", request)]).await;
        let failure = refused(heard, &trace, reason);
        assert_eq!(failure.code, OAuthCode::InvalidRequest);
    }
    let (nothing, _) = tell(&contract, NoticeKind::Deletion, &[("signed", &request)]).await;
    assert_eq!(nothing.unwrap_err().reason, "upstream.notice");
}

#[tokio::test]
async fn who_tells_nothing_of_this_sort_is_not_heard() {
    let other = Contract::oauth2("facebook", &format!("{SECRET}notices = \"none\""), script);
    let request = signed(&other, "10150123456789", CLIENT_SECRET, json!({}));
    let (heard, _) = tell(&other, NoticeKind::Deauthorization, &[("signed_request", &request)]).await;
    assert_eq!(heard.unwrap_err().reason, "upstream.notice");
}
