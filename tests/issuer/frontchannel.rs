//! Front-channel logout: the signed-out page loads what each client of the session wants loaded.

use crate::house::{BYE, House, claims, encode};

const CLIENTS: &str = r#"
[[client]]
id = "front"
name = "Front <b>door</b>"
secret = "env:SECRET_FRONT"
redirect_uris = ["http://localhost:9/cb"]
post_logout_redirect_uris = ["http://localhost:9/bye"]
scopes = ["openid"]
first_party = true
frontchannel_logout_uri = "http://localhost:9/frontchannel_logout?tenant=a"
frontchannel_logout_session_required = true

[[client]]
id = "plain"
secret = "env:SECRET_PLAIN"
redirect_uris = ["http://localhost:9/cb", "http://127.0.0.1/cb"]
scopes = ["openid"]
first_party = true
frontchannel_logout_uri = "http://127.0.0.1:5000/bye"
"#;

/// The addresses of the page's frames.
fn frames(page: &str) -> Vec<url::Url> {
    let tags = page.split("<iframe ").skip(1).map(|rest| rest.split('>').next().unwrap());
    tags.map(|tag| {
        assert!(tag.contains("sandbox=") && tag.contains("aria-hidden=\"true\""), "{tag}");
        let src = tag.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
        url::Url::parse(&src.replace("&#38;", "&")).unwrap()
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_frontchannel_rp_initiated_logout() {
    let house = House::with(CLIENTS).await;
    let document = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(document["frontchannel_logout_supported"], true);
    assert_eq!(document["frontchannel_logout_session_supported"], true);
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "front", "openid").await.text("id_token");
    house.tokens(&alice, "plain", "openid").await;
    house.tokens(&alice, "web", "openid").await;
    let query = encode(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", "a b")]);
    let path = format!("/logout?{query}");
    let page = house.get(&path, &[("cookie", &alice.cookie)]).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(page.body.contains("You are signed out") && page.body.contains("Front &#60;b&#62;door"));

    let mut frames = frames(&page.body);
    frames.sort();
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert_eq!(frames[0].as_str(), "http://127.0.0.1:5000/bye", "it needs no session and is told none");
    assert_eq!(frames[1].path(), "/frontchannel_logout");
    let mut told: Vec<(String, String)> = frames[1].query_pairs().into_owned().collect();
    assert_eq!(told.remove(0), ("tenant".to_owned(), "a".to_owned()), "its own query stays");
    let sid = claims(&hint)["sid"].as_str().unwrap().to_owned();
    assert_eq!(told, [("iss".to_owned(), house.issuer.clone()), ("sid".to_owned(), sid)]);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-src http://127.0.0.1:5000 http://localhost:9; "), "{policy}");

    // It goes on by itself, without scripts too, and by a link.
    let to = format!("{BYE}?state=a+b");
    assert!(
        page.body.contains(&format!("<noscript><meta http-equiv=\"refresh\" content=\"1; url={to}\"")),
        "{}",
        page.body
    );
    assert!(page.body.contains(&format!("href=\"{to}\" data-onward")), "{}", page.body);
    let again = house.get(&path, &[("cookie", &alice.cookie)]).await;
    assert_eq!(again.redirect(BYE)["state"], "a b", "nothing is left to load");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_to_return_to_the_page_stays() {
    let house = House::with(CLIENTS).await;
    let alice = house.sign_in("alice").await;
    let hint = house.tokens(&alice, "front", "openid").await.text("id_token");
    let path = format!("/logout?{}", encode(&[("id_token_hint", &hint)]));
    let page = house.get(&path, &[("cookie", &alice.cookie)]).await;
    assert_eq!(frames(&page.body).len(), 1);
    assert!(!page.body.contains("http-equiv") && !page.body.contains("<script"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_s_form_is_answered_by_a_page_that_leads_on() {
    let house = House::with(CLIENTS).await;
    let alice = house.sign_in("alice").await;
    let pairs = [("client_id", "web"), ("post_logout_redirect_uri", BYE)];
    let page = house.get(&format!("/logout?{}", encode(&pairs)), &[("cookie", &alice.cookie)]).await;
    let csrf = page.body.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [pairs[0], pairs[1], ("csrf", csrf)];
    let headers = [
        ("cookie", alice.cookie.as_str()),
        ("origin", house.issuer.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
    ];
    let done = house.post("/logout", &headers, &form).await;
    assert_eq!(done.status, 200, "a redirect would be held against the form's policy");
    assert!(done.body.contains(&format!("content=\"0; url={BYE}\"")), "{}", done.body);
    assert!(frames(&done.body).is_empty());
}
