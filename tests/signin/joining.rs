//! Joining an identity to an account whose owner is asked to sign in the old way first, from outside.

use crate::Watch;
use crate::house::*;
use countersign::accounts::{AccountEmail, EmailAddress, EmailProof};
use countersign::store::StoreError;
use serde_json::json;

fn url(house: &House) -> String {
    authorize(house, "first", &[])
}

pub async fn asking() -> House {
    let house = House::with(|config, providers| {
        (
            config,
            providers.replacen("provisioning = \"open\"", "provisioning = \"open\"\nlinking = \"never\"", 1),
        )
    })
    .await;
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let id = house.accounts().await[0].id.clone();
    let owner = AccountEmail {
        address: EmailAddress::parse("alice@globex.example").unwrap(),
        proof: Some(EmailProof::Code),
        lapsed: None,
        primary: true,
    };
    house.app.store.write::<_, StoreError, _>(move |tx| tx.put_email(&id, &owner)).await.unwrap();
    house
}

#[tokio::test]
async fn link_022_link_023_proof_joins_this_identity_to_this_account_once() {
    let house = asking().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "link.proof_needed").await;
    let page = alice.get(&approval(&house, &request)).await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains("You may already have an account"));
    watch.refused_once(&house).await;
    // The old way, in the same sign-in: both are joined.
    let way = choose(&house, &mut alice, &page, "friendbook").await.location();
    let back = alice.get(&approval(&house, &way)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities, rows.sessions), (1, 2, 1));
    assert!(house.events().await.contains(&("identity.linked".to_owned(), Some("link.proved".to_owned()))));
    // From now on Globex leads there.
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.rows().await.accounts, 1);
}

#[tokio::test]
async fn who_cancels_where_proof_was_asked_for_can_still_give_it() {
    let house = asking().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &url(&house)).await;
    let page = alice.get(&approval(&house, &request)).await;
    let way = choose(&house, &mut alice, &page, "friendbook").await.location();
    house.friendbook.script().response = Box::new(|answer| {
        answer.remove("code");
        answer.insert("error".to_owned(), "access_denied".to_owned());
    });
    let page = alice.get(&approval(&house, &way)).await;
    assert!(page.body.contains("You cancelled"), "{}", page.body);
    house.friendbook.behave();
    let way = choose(&house, &mut alice, &page, "friendbook").await.location();
    let back = alice.get(&approval(&house, &way)).await.location();
    assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some());
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities), (1, 2));
}

#[tokio::test]
async fn link_022_somebody_elses_proof_joins_nothing() {
    let house = asking().await;
    let mut mallory = Visitor::new();
    let request = depart(&house, &mut mallory, "globex", &url(&house)).await;
    let page = mallory.get(&approval(&house, &request)).await;
    // Another person of the other provider signs in within the same sign-in.
    house.friendbook.script().person = json!({"id": "2002", "name": "Mallory"});
    let way = choose(&house, &mut mallory, &page, "friendbook").await.location();
    mallory.get(&approval(&house, &way)).await.location();
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities), (2, 2), "an account of their own; nothing was joined");
    // Nor does a sign-in of its own, without the question before it.
    house.friendbook.behave();
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    assert_eq!(house.rows().await.identities, 2);
}

#[tokio::test]
async fn link_026_link_027_only_the_browser_that_was_asked_can_join_anything() {
    let house = asking().await;
    // The attacker is asked to prove an account, as whose identity hers would be joined.
    let mut mallory = Visitor::new();
    let request = depart(&house, &mut mallory, "globex", &url(&house)).await;
    let page = mallory.get(&approval(&house, &request)).await;
    assert!(page.body.contains("You may already have an account"));
    let way = choose(&house, &mut mallory, &page, "friendbook").await.location();
    let forged = approval(&house, &way);
    // She sends the victim, who is signed in, to the answer that would prove it; or hopes that a sign-in of the
    // victim's own counts for her, or that an app can ask for the link.
    let mut victim = Visitor::new();
    sign_in(&house, &mut victim, "friendbook", &url(&house)).await;
    let watch = Watch::begin(&house, "browser_binding").await;
    assert_eq!(victim.get(&forged).await.status, 400);
    watch.refused_once(&house).await;
    for asked in ["kc_action", "link", "idp_link", "joining"] {
        let url = authorize(&house, "first", &[(asked, "globex"), ("prompt", "select_account")]);
        sign_in(&house, &mut victim, "friendbook", &url).await;
    }
    assert_eq!(house.rows().await.identities, 1, "nothing was joined");
    // The valid twin: the person who was asked, in the browser where they were asked.
    assert_eq!(mallory.get(&forged).await.status, 303);
    assert_eq!(house.rows().await.identities, 2);
}

#[tokio::test]
async fn link_030_an_identity_that_belongs_to_somebody_moves_to_nobody() {
    let house = asking().await;
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let mut bob = Visitor::new();
    house.globex.script().person =
        json!({"sub": "bob", "email": "bob@globex.example", "email_verified": true});
    sign_in(&house, &mut bob, "globex", &url(&house)).await;
    assert_eq!(house.rows().await.identities, 2);
    // In Bob's browser, Alice's identity: it leads to Alice, and ends Bob's session there.
    sign_in(&house, &mut bob, "friendbook", &authorize(&house, "first", &[("prompt", "select_account")]))
        .await;
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities), (2, 2));
    for account in house.accounts().await {
        let id = account.id.clone();
        let of = house.app.store.read::<_, StoreError, _>(move |tx| tx.identities_of(&id)).await.unwrap();
        assert_eq!(of.len(), 1, "one identity each, as before");
    }
}

#[tokio::test]
async fn link_031_of_many_who_join_one_identity_at_once_one_does() {
    let house = asking().await;
    let mut ready = Vec::new();
    for _ in 0..8 {
        let mut alice = Visitor::new();
        let request = depart(&house, &mut alice, "globex", &url(&house)).await;
        let page = alice.get(&approval(&house, &request)).await;
        let way = choose(&house, &mut alice, &page, "friendbook").await.location();
        ready.push((alice, approval(&house, &way)));
    }
    let tries = ready.into_iter().map(|(mut alice, proof)| async move { alice.get(&proof).await.status });
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().all(|status| *status == 303), "each proved who they are: {answers:?}");
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities), (1, 2));
    let joined = house.events().await.into_iter().filter(|(kind, _)| kind == "identity.linked").count();
    assert_eq!(joined, 1);
}
