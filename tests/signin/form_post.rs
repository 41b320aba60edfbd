//! Answers by a form: the way of answering survives every step of a sign-in.

use crate::house::*;

const BY_FORM: (&str, &str) = ("response_mode", "form_post");

/// The form on a page that posts itself to the app.
fn to_app(answer: &Answer, action: &str) {
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.body.contains(&format!("<form method=\"post\" action=\"{action}\"")), "{}", answer.body);
    assert!(answer.body.contains("data-autopost"));
    let origin = action.strip_suffix("/callback").unwrap();
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action {origin};")), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_code_comes_by_a_form_after_a_whole_sign_in() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &authorize(&house, "first", &[BY_FORM])).await;
    assert_eq!(parameter(&request, "response_mode"), None, "the provider answers in its own way");
    let back = alice.get(&approval(&house, &request)).await.location();
    let answer = alice.get(back.as_str()).await;
    to_app(&answer, "http://localhost:8084/callback");
    assert!(answer.field("code").starts_with("csac_"));
    assert_eq!(answer.field("iss"), house.origin);
    // Coming back to it gives no second code.
    let again = alice.get(back.as_str()).await;
    assert_eq!(again.status, 400);
}

#[tokio::test]
async fn giving_up_is_told_by_a_form() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[BY_FORM])).await.location();
    let page = alice.get(list.as_str()).await;
    assert!(
        page.body.contains("<form method=\"post\" action=\"http://localhost:8084/callback\""),
        "{}",
        page.body
    );
    assert_eq!(page.field("error"), "access_denied");
    assert_eq!(page.field("iss"), house.origin);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("http://localhost:8084"), "{policy}");
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let twin = alice.get(list.as_str()).await;
    assert!(
        twin.body.contains("<a href=\"http://localhost:8084/callback?error=access_denied"),
        "{}",
        twin.body
    );
}

#[tokio::test]
async fn consent_is_answered_by_a_form_whatever_the_answer() {
    let house = House::open().await;
    for (decision, field) in [("deny", "error"), ("allow", "code")] {
        let mut alice = Visitor::new();
        let to = sign_in(&house, &mut alice, "globex", &authorize(&house, "third", &[BY_FORM])).await;
        assert_eq!(to.path(), "/consent", "{to}");
        let page = alice.get(to.as_str()).await;
        let (flow, csrf) = (page.field("flow"), page.field("csrf"));
        let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", decision)];
        let answer = alice.post(&house.at("/consent"), &form).await;
        to_app(&answer, "http://127.0.0.1:7777/callback");
        assert!(!answer.field(field).is_empty());
    }
}

#[tokio::test]
async fn a_sign_in_that_starts_again_keeps_its_way_of_answering() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[BY_FORM])).await.location();
    house.wait(std::time::Duration::from_secs(3600));
    let over = alice.get(list.as_str()).await;
    assert_eq!(over.status, 400);
    assert!(over.body.contains("response_mode=form_post"), "{}", over.body);
}
