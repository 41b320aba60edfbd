//! Answers by a form (OAuth 2.0 Form Post Response Mode).

use crate::house::{Answer, CALLBACK, House, encode};
use std::collections::HashMap;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn request<'a>(more: &[(&'a str, &'a str)]) -> String {
    let mut pairs = vec![
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s1 &\"é"),
        ("prompt", "none"),
        ("response_mode", "form_post"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend(more);
    format!("/authorize?{}", encode(&pairs))
}

/// What the page's one form posts, after a look at all that makes it safe.
fn posted(answer: &Answer, action: &str, origin: &str) -> HashMap<String, String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.header("location").is_none());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action {origin};")), "exactly the application: {policy}");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let body = &answer.body;
    assert_eq!(body.matches("<form").count(), 1);
    let action = format!("<form method=\"post\" action=\"{action}\"");
    assert!(body.contains(&action), "{body}");
    assert!(body.contains("<button"), "without scripts a person goes on by hand");
    assert_eq!(body.matches("<script").count(), 1, "only our own static script");
    assert!(body.contains("<script src=\"/static/autopost-"), "{body}");
    let mut fields = HashMap::new();
    for tag in body.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = tag.split_once("\" value=\"").unwrap();
        let value = rest.split_once('"').unwrap().0;
        let text = value.replace("&#34;", "\"").replace("&#38;", "&").replace("&amp;", "&");
        assert!(fields.insert(name.to_owned(), text).is_none(), "{name} twice");
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_formpost_a_code_comes_by_a_form_and_is_good() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let answer = house.get(&request(&[]), &[("cookie", &alice.cookie)]).await;
    let fields = posted(&answer, CALLBACK, "http://localhost:9");
    assert_eq!(fields["state"], "s1 &\"é");
    assert_eq!(fields["iss"], house.issuer);
    assert_eq!(fields.len(), 3, "{fields:?}");
    assert_eq!(house.redeem("web", &fields["code"]).await.status, 200);
    let script = answer.body.split("<script src=\"").nth(1).unwrap().split_once('"').unwrap().0;
    assert_eq!(house.get(script, &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_by_the_form_too() {
    let house = House::open().await;
    for (more, error) in [
        (&[][..], "login_required"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("registration", "{}")], "registration_not_supported"),
        (&[("resource", "urn:unknown")], "invalid_target"),
        (&[("id_token_hint", "x.y.z")], "invalid_request"),
    ] {
        let fields = posted(&house.get(&request(more), &[]).await, CALLBACK, "http://localhost:9");
        assert_eq!(fields["error"], error, "{more:?}");
        assert_eq!((&fields["state"], &fields["iss"]), (&"s1 &\"é".to_owned(), &house.issuer));
        assert!(fields.contains_key("error_description") && fields.len() == 4, "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_mode_or_one_that_is_not_offered_is_told_by_the_query() {
    let house = House::open().await;
    for bad in ["web_message", "form_post.jwt", "fragment", "FORM_POST"] {
        let told = house.get(&request(&[("response_mode", bad)]), &[]).await.redirect(CALLBACK);
        assert_eq!(told["error"], "invalid_request", "{bad}");
    }
    let twice = format!("{}&response_mode=query", request(&[]));
    assert_eq!(house.get(&twice, &[]).await.redirect(CALLBACK)["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_posts_to_the_port_that_a_native_app_listens_on_and_never_to_a_scheme() {
    let house = House::with(
        "\n[[client]]\nid = \"native\"\npublic = true\nredirect_uris = [\"com.example.app:/cb\"]\n",
    )
    .await;
    let loopback = "http://127.0.0.1:49152/callback";
    let answer = house.get(&request(&[("client_id", "spa"), ("redirect_uri", loopback)]), &[]).await;
    let fields = posted(&answer, loopback, "http://127.0.0.1:49152");
    assert_eq!(fields["error"], "login_required");
    let scheme = request(&[("client_id", "native"), ("redirect_uri", "com.example.app:/cb")]);
    let told = house.get(&scheme, &[]).await.redirect("com.example.app:/cb?");
    assert_eq!(told["error"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stays_with_us_is_no_form() {
    let house = House::open().await;
    let answer = house.get(&request(&[("redirect_uri", "http://evil.test/cb")]), &[]).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("evil.test") && !answer.body.contains("data-autopost"));
}
