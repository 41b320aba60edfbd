//! With an https issuer: TLS is ended before us, as by a proxy.

use crate::house::*;
use serde_json::json;

async fn secure() -> House {
    House::with(|config, providers| {
        (
            config.replace("issuer = \"http://localhost", "issuer = \"https://localhost"),
            providers.replacen("kind = \"oidc\"", "kind = \"oidc\"\nresponse_mode = \"form_post\"", 1),
        )
    })
    .await
}

/// The provider's page posts its answer to our callback: from another site, so only cookies with
/// `SameSite=None` come along.
async fn posted(house: &House, visitor: &mut Visitor, request: &url::Url) -> Answer {
    let callback: url::Url = approval(house, request).parse().unwrap();
    let form: Vec<(String, String)> = callback.query_pairs().into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let address = callback.as_str().split('?').next().unwrap();
    let session = visitor.cookies.remove("__Host-cs_session");
    let answer = visitor.post_from(address, &form, Some("http://provider.test"), Some("cross-site")).await;
    if let Some(session) = session {
        visitor.cookies.entry("__Host-cs_session".to_owned()).or_insert(session);
    }
    answer
}

#[tokio::test]
async fn cookies_are_bound_to_our_host_and_an_answer_by_post_finds_its_own() {
    let house = secure().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await;
    let page = alice.get(list.location().as_str()).await;
    assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
    let leaving = choose(&house, &mut alice, &page, "globex").await;
    let flow = leaving.all("set-cookie").find(|line| line.starts_with("__Host-cs_flow_")).unwrap();
    assert!(
        flow.contains("SameSite=None") && flow.contains("; Secure") && flow.contains("HttpOnly"),
        "{flow}"
    );
    assert_eq!(parameter(&leaving.location(), "response_mode").as_deref(), Some("form_post"));
    let back = posted(&house, &mut alice, &leaving.location()).await;
    let session = back.all("set-cookie").find(|line| line.starts_with("__Host-cs_session=")).unwrap();
    assert!(session.contains("SameSite=Lax") && session.contains("; Secure"), "{session}");
    let flow = back.all("set-cookie").find(|line| line.starts_with("__Host-cs_flow_")).unwrap();
    assert!(flow.contains("SameSite=Lax"), "closed to other sites again: {flow}");
    let back = alice.get(back.location().as_str()).await.location();
    assert!(parameter(&back, "code").is_some());
    // Another person signs in. The old session's cookie does not come with the answer, yet the session ends.
    house.globex.script().person =
        json!({"sub": "bob", "email": "bob@globex.example", "email_verified": true});
    let url = authorize(&house, "first", &[("prompt", "select_account")]);
    let request = depart(&house, &mut alice, "globex", &url).await;
    assert_eq!(posted(&house, &mut alice, &request).await.status, 303);
    assert_eq!((house.rows().await.accounts, house.rows().await.sessions), (2, 1));
}

#[tokio::test]
async fn oauth_097_on_https_a_cookie_without_the_prefix_is_not_ours() {
    let house = secure().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "friendbook", &authorize(&house, "first", &[])).await;
    let callback = approval(&house, &request);
    let mut tossed = Visitor::new();
    for (name, value) in &alice.cookies {
        tossed.cookies.insert(name.replace("__Host-", ""), value.clone());
    }
    assert_eq!(tossed.get(&callback).await.status, 400);
    assert_eq!(house.refusals().await[0].refusal.reason, "browser_binding");
    assert_eq!(alice.get(&callback).await.status, 303, "the valid twin");
}
