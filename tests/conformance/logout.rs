//! The modules of the three logout plans.

use crate::house::Answer;
use crate::suite::*;
use url::Url;

/// A request to sign out, as the suite sends the person.
async fn logout(suite: &mut Suite, more: &[(&str, &str)]) -> Answer {
    let mut url = Url::parse(&suite.house.at("/logout")).unwrap();
    url.query_pairs_mut().extend_pairs(more.iter().filter(|(_, value)| !value.is_empty()));
    suite.person.get(url.as_str()).await
}

/// Whether the person's session is over: an app cannot get an answer without a question.
async fn signed_out(suite: &mut Suite) -> bool {
    match suite.authorize("suite", &[("prompt", "none")]).await {
        Landing::App(answer) => answer.get("error").map(String::as_str) == Some("login_required"),
        Landing::Page(page) => panic!("{page:#?}"),
    }
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_discovery_endpoint_verification() {
    let suite = Suite::open().await;
    assert_eq!(suite.discovery().await["end_session_endpoint"], suite.house.at("/logout"));
}

#[tokio::test]
async fn oidcc_rp_initiated_logout() {
    let mut suite = Suite::open().await;
    let tokens = suite.sign_in(&[]).await;
    let state = "s".repeat(128);
    let more = [("id_token_hint", &*tokens.id), ("post_logout_redirect_uri", BYE), ("state", &*state)];
    let to = logout(&mut suite, &more).await.location();
    assert_eq!(to.as_str(), format!("{BYE}?state={state}"));
    assert!(signed_out(&mut suite).await);
}
