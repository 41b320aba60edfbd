//! Attacks on OpenID Connect and OAuth 2.0 that take more than one answer, through the whole broker.

use crate::Watch;
use crate::house::*;
use crate::joining::asking;
use crate::oidc::INSIDE;
use crate::oidc_mutations::nothing_secret_is_kept;
use crate::standin::{Canary, Key};
use serde_json::json;
use std::time::Duration;

fn url(house: &House) -> String {
    authorize(house, "first", &[])
}

/// The state of one answer with the code of another.
fn mixed(state_of: &str, code_of: &str) -> String {
    let of = |url: &str, name: &str| parameter(&url.parse().unwrap(), name).unwrap();
    state_of.replace(&of(state_of, "code"), &of(code_of, "code"))
}

#[tokio::test]
async fn oidc_051_a_stolen_code_is_of_no_use_in_another_sign_in() {
    let mut house = House::open().await;
    for (provider, reason, pkce) in [
        ("globex", "oidc.token_error", true),
        ("friendbook", "oauth2.token_error", true),
        // where the provider takes no PKCE, the nonce stands in for it
        ("globex", "oidc.id_token.nonce", false),
    ] {
        if !pkce {
            let with = "kind = \"oidc\"\npkce = false";
            house.reload(|config, providers| (config, providers.replacen("kind = \"oidc\"", with, 1))).await;
            house.warm().await;
        }
        let (mut victim, mut mallory) = (Visitor::new(), Visitor::new());
        let theirs = depart(&house, &mut victim, provider, &url(&house)).await;
        let hers = depart(&house, &mut mallory, provider, &url(&house)).await;
        let stolen = mixed(&approval(&house, &hers), &approval(&house, &theirs));
        let watch = Watch::begin(&house, reason).await;
        assert_eq!(mallory.get(&stolen).await.status, 400, "{reason}");
        watch.refused_once(&house).await;
        assert!(mallory.session().is_none());
        // The valid twin: a code where it belongs.
        let request = depart(&house, &mut mallory, provider, &url(&house)).await;
        assert_eq!(mallory.get(&approval(&house, &request)).await.location().path(), "/continue");
    }
    nothing_secret_is_kept(&house);
}

#[tokio::test]
async fn oidc_057_no_provider_leads_inside() {
    let mut house = House::open().await;
    let canary = Canary::start();
    let own = format!("issuer = \"{}\"", house.globex.origin());
    let mut names = 0;
    for issuer in INSIDE {
        let lead = |config: String, providers: String| {
            let providers = providers.replacen("allow_loopback = true\n", "", 1);
            (config, providers.replace(&own, &format!("issuer = \"{issuer}\"")))
        };
        // What stands there as a number does not even make a configuration; of a name it is seen where it leads.
        if url::Url::parse(issuer).unwrap().domain().is_none() {
            let told = house.try_files(lead).unwrap_err();
            assert!(told.contains("nothing is sent to") && told.contains("issuer = "), "{issuer}: {told}");
            continue;
        }
        names += 1;
        let before = std::fs::read_to_string(house.folder.path().join("providers.toml")).unwrap();
        house.reload(lead).await;
        let mut alice = Visitor::new();
        let watch = Watch::begin(&house, "net.address").await;
        let page = alice.get(&authorize(&house, "first", &[("idp_hint", "globex")])).await;
        assert!(page.status >= 400, "{issuer}: {page:#?}");
        watch.refused_once(&house).await;
        assert!(alice.session().is_none());
        // The valid twins: another way in the same sign-in, and the issuer that may be asked.
        let way = choose(&house, &mut alice, &page, "friendbook").await.location();
        assert_eq!(alice.get(&approval(&house, &way)).await.location().path(), "/continue", "{issuer}");
        house.reload(|config, _| (config, before)).await;
        house.warm().await;
        sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    }
    assert_eq!(names, 2);
    // Nor does what is not https.
    for issuer in [canary.origin.as_str(), "file:///etc/passwd", "ftp://id.example"] {
        let wrong = house.try_files(|config, providers| {
            let providers = providers.replacen("allow_loopback = true\n", "", 1);
            (config, providers.replace(&own, &format!("issuer = \"{issuer}\"")))
        });
        assert!(wrong.unwrap_err().contains("issuer"), "{issuer}");
    }
    assert_eq!(canary.touched(), 0);
}

#[tokio::test]
async fn oidc_062_a_storm_of_unknown_keys_fetches_once() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let mut count = 0;
    house.globex.script().header = Box::new(move |header| {
        count += 1;
        header["kid"] = format!("random-{count}").into();
    });
    let before = house.globex.count("/jwks");
    let refused = async || {
        let mut visitor = Visitor::new();
        let request = depart(&house, &mut visitor, "globex", &url(&house)).await;
        let watch = Watch::begin(&house, "jose.kid").await;
        assert_eq!(visitor.get(&approval(&house, &request)).await.status, 400);
        watch.refused_once(&house).await;
        assert!(visitor.session().is_none());
    };
    for _ in 0..20 {
        refused().await;
    }
    assert_eq!(house.globex.count("/jwks"), before + 1);
    house.wait(Duration::from_secs(31));
    refused().await;
    assert_eq!(house.globex.count("/jwks"), before + 2);
    house.globex.behave();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
}

#[tokio::test]
async fn oidc_063_a_new_key_is_found_and_who_has_the_old_one_is_refused() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let (old, new) = (Key::rsa(0, "rsa-1"), Key::ec("ec-2"));
    let signs_by = |key: &Key| house.globex.script().signer = key.clone();
    let before = house.globex.count("/jwks");
    house.globex.script().keys = vec![new.clone()];
    signs_by(&new);
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.globex.count("/jwks"), before + 1, "one refetch");
    signs_by(&old);
    let mut mallory = Visitor::new();
    let request = depart(&house, &mut mallory, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "jose.kid").await;
    assert_eq!(mallory.get(&approval(&house, &request)).await.status, 400);
    watch.refused_once(&house).await;
    assert!(mallory.session().is_none());
    signs_by(&new);
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
}

/// An id that is another one the next time is another person's, whatever else stays the same; and within one sign-in
/// the provider is asked once, so that there is no second answer to differ from the first.
#[tokio::test]
async fn oidc_038_an_id_that_changes_is_somebody_else() {
    let house = House::open().await;
    let come = async |id: &str, accounts: usize| {
        house.friendbook.script().person["id"] = id.into();
        let asked = house.friendbook.count("/me");
        let mut visitor = Visitor::new();
        sign_in(&house, &mut visitor, "friendbook", &url(&house)).await;
        assert_eq!(house.friendbook.count("/me"), asked + 1, "{id}");
        assert_eq!(house.accounts().await.len(), accounts, "{id}");
    };
    come("1001", 1).await;
    let first = house.accounts().await[0].id.clone();
    come("1002", 2).await;
    come("01001", 3).await;
    for account in house.accounts().await {
        let id = account.id.clone();
        let of = house
            .app
            .store
            .read::<_, countersign::store::StoreError, _>(move |tx| tx.identities_of(&id))
            .await
            .unwrap();
        assert_eq!(of.len(), 1, "nobody was joined by name or address");
        assert!(account.id == first || of[0].key.subject != "1001");
    }
    // The valid twin: the same id is the same person, under another name and address.
    house.friendbook.script().person = json!({"id": "1001", "name": "Eve", "email": "eve@nowhere.example"});
    come("1001", 3).await;

    // Another answer on every call: each person is the one of whom the profile spoke that was asked for.
    let mut count = 0;
    house.friendbook.script().profile = Box::new(move |reply| {
        count += 1;
        reply.edit(|body| body["id"] = format!("call-{count}").into());
    });
    come("1001", 4).await;
    // Of OpenID providers two answers are read, which must name the same person.
    let mut alice = Visitor::new();
    house.globex.script().in_id_token = vec![];
    house.globex.script().userinfo = Box::new(|reply| reply.edit(|body| body["sub"] = "changed".into()));
    let request = depart(&house, &mut alice, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "oidc.userinfo.sub").await;
    assert_eq!(alice.get(&approval(&house, &request)).await.status, 400);
    watch.refused_once(&house).await;
    house.globex.script().userinfo = Box::new(|_| {});
    sign_in(&house, &mut alice, "globex", &url(&house)).await;
}

/// Leaves for Globex, whose person must first prove that an account is theirs; gives the page that asks.
async fn asked(house: &House, visitor: &mut Visitor) -> Answer {
    let request = depart(house, visitor, "globex", &url(house)).await;
    let page = visitor.get(&approval(house, &request)).await;
    assert!(page.body.contains("You may already have an account"), "{page:#?}");
    page
}

#[tokio::test]
async fn oidc_050_a_state_that_proves_an_account_is_none_for_signing_in_nor_the_reverse() {
    let house = asking().await;
    let joined = async || house.rows().await.identities > 1;
    let refused = async |visitor: &mut Visitor, reason: &'static str, answer: &str| {
        let had = visitor.session().cloned();
        let watch = Watch::begin(&house, reason).await;
        assert_eq!(visitor.get(answer).await.status, 400, "{reason}");
        watch.refused_once(&house).await;
        assert_eq!(visitor.session().cloned(), had, "{reason}");
        assert!(!joined().await, "{reason}");
    };

    // The departures of two sign-ins in one browser: one that proves, and a plain one.
    for proof_in_plain in [true, false] {
        let mut alice = Visitor::new();
        let page = asked(&house, &mut alice).await;
        let proving = choose(&house, &mut alice, &page, "friendbook").await.location();
        let plain = depart(&house, &mut alice, "friendbook", &url(&house)).await;
        let (proof, login) = (approval(&house, &proving), approval(&house, &plain));
        // at another provider's callback neither counts
        for answer in [&proof, &login] {
            let elsewhere = answer.replace("/upstream/friendbook/", "/upstream/globex/");
            refused(&mut alice, "provider.mismatch", &elsewhere).await;
        }
        if proof_in_plain {
            refused(&mut alice, "oauth2.token_error", &mixed(&login, &proof)).await;
        } else {
            refused(&mut alice, "oauth2.token_error", &mixed(&proof, &login)).await;
        }
        // A plain sign-in signs in, and proves nothing for the one that asked.
        let mut other = alice.clone();
        let plain = depart(&house, &mut other, "friendbook", &url(&house)).await;
        assert_eq!(other.get(&approval(&house, &plain)).await.location().path(), "/continue");
        assert!(!joined().await, "a plain sign-in joined something");
    }

    // Within one sign-in: who left before the question was asked has not answered it.
    let mut alice = Visitor::new();
    let list = alice.get(&url(&house)).await.location();
    let page = alice.get(list.as_str()).await;
    let early = choose(&house, &mut alice, &page, "friendbook").await.location();
    let early = approval(&house, &early);
    let page = alice.get(list.as_str()).await;
    let request = choose(&house, &mut alice, &page, "globex").await.location();
    let vouched = approval(&house, &request);
    let page = alice.get(&vouched).await;
    assert!(page.body.contains("You may already have an account"), "{page:#?}");
    refused(&mut alice, "oidc.state", &early).await;
    let proving = choose(&house, &mut alice, &page, "friendbook").await.location();
    refused(&mut alice, "oidc.state", &early).await;
    // nor is the answer that led to the question its proof
    refused(&mut alice, "oidc.state", &vouched).await;
    // The valid twin: the departure that was made to prove it.
    assert_eq!(alice.get(&approval(&house, &proving)).await.location().path(), "/continue");
    assert!(joined().await);
    nothing_secret_is_kept(&house);
}
