//! Invitations.

use crate::Watch;
use crate::house::*;
use countersign::accounts::{EmailAddress, Invitation};
use countersign::ids::{GroupName, ProviderId};
use countersign::store::StoreError;
use countersign::tokens::handle::{self, Handle};
use std::time::Duration;

async fn closed() -> House {
    House::with(|config, providers| {
        (config, providers.replacen("provisioning = \"open\"", "provisioning = \"invitation\"", 1))
    })
    .await
}

pub async fn invite(house: &House, change: impl FnOnce(&mut Invitation)) -> String {
    let secret = Handle::<handle::Invitation>::new(&house.app.context);
    let mut invitation = Invitation {
        digest: secret.digest(),
        provider: None,
        email: None,
        groups: [GroupName::new("engineers").unwrap()].into(),
        created_by: "root".to_owned(),
        created_at: house.now(),
        expires_at: house.now().plus(Duration::from_secs(3600)),
        used_at: None,
    };
    change(&mut invitation);
    house.app.store.write::<_, StoreError, _>(move |tx| tx.insert_invitation(&invitation)).await.unwrap();
    secret.expose().to_owned()
}

/// Opens the link and presses the button.
pub async fn accept(house: &House, visitor: &mut Visitor, token: &str) -> Answer {
    let page = visitor.get(&house.at(&format!("/invitation?token={token}"))).await;
    assert_eq!(page.status, 200, "{page:#?}");
    assert!(visitor.cookies.is_empty(), "reading it changes nothing");
    let (token, csrf) = (page.field("token"), page.field("csrf"));
    visitor.post(&house.at("/invitation"), &[("token", &token), ("csrf", &csrf)]).await
}

async fn arrives(house: &House, visitor: &mut Visitor) -> Answer {
    let request = depart(house, visitor, "globex", &authorize(house, "first", &[])).await;
    visitor.get(&approval(house, &request)).await
}

#[tokio::test]
async fn link_039_an_invitation_lets_one_person_in_once() {
    let house = closed().await;
    let token = invite(&house, |_| {}).await;
    let mut alice = Visitor::new();
    assert_eq!(arrives(&house, &mut Visitor::new()).await.status, 403, "without it");
    assert_eq!(accept(&house, &mut alice, &token).await.location().path(), "/");
    assert_eq!(arrives(&house, &mut alice).await.location().path(), "/continue");
    assert!(!alice.cookies.contains_key("cs_invitation"), "used up");
    let id = house.accounts().await[0].id.clone();
    let assigned = house.app.store.read::<_, StoreError, _>(move |tx| tx.assignments_of(&id)).await.unwrap();
    assert_eq!(
        assigned.iter().filter(|a| a.target.name() == "engineers").count(),
        2,
        "by invitation and by rule"
    );
    // Used: the link is dead, and a cookie kept from before helps nobody.
    let link = Visitor::new().get(&house.at(&format!("/invitation?token={token}"))).await;
    assert_eq!(link.status, 400);
    house.globex.script().person["sub"] = "somebody-else".into();
    house.globex.script().person["email"] = "else@globex.example".into();
    let mut second = Visitor::new();
    second.cookies.insert("cs_invitation".to_owned(), token);
    let watch = Watch::begin(&house, "provider.invitation").await;
    assert_eq!(arrives(&house, &mut second).await.status, 403);
    watch.refused_once(&house).await;
}

#[tokio::test]
async fn link_039_an_invitation_is_bound_to_its_address_and_provider() {
    let house = closed().await;
    let elsewhere = EmailAddress::parse("bob@globex.example").unwrap();
    let alices = EmailAddress::parse("ALICE@globex.example").unwrap();
    for (address, provider) in [(elsewhere, "globex"), (alices.clone(), "friendbook")] {
        let token = invite(&house, |invitation| {
            invitation.email = Some(address);
            invitation.provider = Some(ProviderId::new(provider).unwrap());
        })
        .await;
        let mut alice = Visitor::new();
        accept(&house, &mut alice, &token).await;
        let watch = Watch::begin(&house, "provider.invitation").await;
        assert_eq!(arrives(&house, &mut alice).await.status, 403);
        watch.refused_once(&house).await;
    }
    let token = invite(&house, |invitation| invitation.email = Some(alices)).await;
    let mut alice = Visitor::new();
    accept(&house, &mut alice, &token).await;
    assert_eq!(arrives(&house, &mut alice).await.status, 303, "the valid twin");
}

#[tokio::test]
async fn link_039_an_edited_or_late_invitation_is_none() {
    let house = closed().await;
    let token = invite(&house, |_| {}).await;
    let edited = format!("{}_", &token[..token.len() - 1]);
    for bad in [edited.as_str(), "x", "", &format!("csac_{}", "A".repeat(43))] {
        let watch = Watch::begin(&house, "invitation.over").await;
        let page = Visitor::new().get(&house.at(&format!("/invitation?token={bad}"))).await;
        assert_eq!(page.status, 400, "{bad}");
        watch.refused_once(&house).await;
    }
    assert_eq!(
        Visitor::new().post(&house.at("/invitation"), &[("token", &token)]).await.status,
        403,
        "no form"
    );
    house.wait(Duration::from_secs(3600));
    assert_eq!(Visitor::new().get(&house.at(&format!("/invitation?token={token}"))).await.status, 400);
}
