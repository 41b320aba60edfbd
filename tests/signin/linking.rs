//! Which account an identity leads to, from outside.

use crate::Watch;
use crate::house::*;
use countersign::accounts::{AccountEmail, EmailAddress, EmailProof};
use countersign::store::StoreError;
use serde_json::json;
use std::time::Duration;

fn url(house: &House) -> String {
    authorize(house, "first", &[])
}

#[tokio::test]
async fn friendbooks_alice_gets_an_account_of_her_own() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let accounts = house.accounts().await;
    assert_eq!(accounts.len(), 2);
    let proved = accounts.iter().filter(|a| a.emails.iter().any(|e| e.proof.is_some())).count();
    assert_eq!(proved, 1, "one account alone holds the address with proof");
    assert!(
        house
            .events()
            .await
            .contains(&("account.created".to_owned(), Some("link.domain_authority".to_owned())))
    );
}

#[tokio::test]
async fn link_001_link_007_an_account_that_only_claims_an_address_is_not_joined() {
    let house = House::open().await;
    // Mallory comes first, with the victim's address unproved.
    house.friendbook.script().person["id"] = "mallory".into();
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let mallory = house.accounts().await[0].id.clone();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let accounts = house.accounts().await;
    assert_eq!(accounts.len(), 2);
    let victim = accounts.iter().find(|a| a.id != mallory).unwrap();
    assert!(victim.primary_email().unwrap().proof.is_some());
    assert!(
        house
            .events()
            .await
            .contains(&("account.created".to_owned(), Some("link.local_unverified".to_owned())))
    );
}

#[tokio::test]
async fn link_006_an_address_that_is_not_verified_is_no_key() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    for unverified in [json!(false), json!(null), json!("yes")] {
        house.globex.script().person = json!({
            "sub": format!("other-{unverified}"), "email": "alice@globex.example", "email_verified": unverified,
        });
        let before = house.accounts().await.len();
        sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
        assert_eq!(house.accounts().await.len(), before + 1, "{unverified}");
    }
    assert!(
        house
            .events()
            .await
            .contains(&("account.created".to_owned(), Some("link.email_unverified".to_owned())))
    );
}

#[tokio::test]
async fn link_009_a_provider_speaks_for_its_own_domains() {
    let house = House::open().await;
    // An account that proved its address by a code.
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let id = house.accounts().await[0].id.clone();
    let owner = AccountEmail {
        address: EmailAddress::parse("victim@gmail.example").unwrap(),
        proof: Some(EmailProof::Code),
        lapsed: None,
        primary: true,
    };
    house.app.store.write::<_, StoreError, _>(move |tx| tx.put_email(&id, &owner)).await.unwrap();
    house.globex.script().person["email"] = "victim@gmail.example".into();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.accounts().await.len(), 2, "not joined");
    assert!(
        house
            .events()
            .await
            .contains(&("account.created".to_owned(), Some("link.domain_authority".to_owned())))
    );
}

#[tokio::test]
async fn the_valid_twin_a_verified_address_joins_the_account_that_proved_it() {
    let mut house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let id = house.accounts().await[0].id.clone();
    let owner = AccountEmail {
        address: EmailAddress::parse("Alice@Globex.example").unwrap(),
        proof: Some(EmailProof::Provider("initech".parse().unwrap())),
        lapsed: None,
        primary: true,
    };
    house.app.store.write::<_, StoreError, _>(move |tx| tx.put_email(&id, &owner)).await.unwrap();
    // As long as there is another way in, it is asked for: who has that one need not be of whom Initech spoke.
    let mut visitor = Visitor::new();
    let request = depart(&house, &mut visitor, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "link.proved_elsewhere").await;
    assert_eq!(visitor.get(&approval(&house, &request)).await.status, 403);
    watch.refused_once(&house).await;
    let off = |config, providers: String| {
        (config, providers.replacen("id = \"friendbook\"", "id = \"friendbook\"\nenabled = false", 1))
    };
    house.reload(off).await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.accounts().await.len(), 1);
    assert_eq!(house.rows().await.identities, 2);
    assert!(house.events().await.iter().any(|(kind, _)| kind == "identity.linked"));
}

/// Globex's domain moves to Friendbook.
fn to_friendbook(config: String, providers: String) -> (String, String) {
    let domain = "authoritative_for = [\"globex.example\"]\n";
    assert!(providers.contains(domain));
    let providers = providers.replace(domain, "");
    let theirs = format!("id = \"friendbook\"\n{domain}email_verified = \"claims.verified\"");
    (config, providers.replacen("id = \"friendbook\"", &theirs, 1))
}

/// Friendbook says that it verified Alice's address.
fn friendbook_verifies(house: &House) {
    let mut script = house.friendbook.script();
    script.person["email"] = json!("alice@globex.example");
    script.person["verified"] = json!(true);
}

/// A domain that another provider speaks for now: whoever the old one knew by an address need not be whom the new one knows.

#[tokio::test]
async fn link_009_where_a_domain_moved_the_old_way_in_is_asked_for_while_there_is_one() {
    let mut house = House::open().await;
    // Mallory has the address at Globex, whose word counts for it.
    let mut mallory = Visitor::new();
    sign_in(&house, &mut mallory, "globex", &url(&house)).await;
    let account = house.accounts().await.remove(0).id;
    house.reload(to_friendbook).await;
    friendbook_verifies(&house);
    let mut alice = Visitor::new();
    let watch = Watch::begin(&house, "link.proved_elsewhere").await;
    let request = depart(&house, &mut alice, "friendbook", &url(&house)).await;
    let page = alice.get(&approval(&house, &request)).await;
    watch.refused_once(&house).await;
    assert!(page.body.contains("already have an account"), "{}", page.body);
    assert_eq!(house.rows().await.identities, 1, "joined to nobody");
    // Once nobody comes in by Globex any more, its people are those of the new one.
    house
        .reload(|config, providers| {
            (config, providers.replacen("id = \"globex\"", "id = \"globex\"\nenabled = false", 1))
        })
        .await;
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    assert_eq!(house.rows().await.identities, 2);
    let accounts = house.accounts().await;
    assert_eq!((accounts.len(), &accounts[0].id), (1, &account));
    let proof = Some(EmailProof::Provider("friendbook".parse().unwrap()));
    assert_eq!(accounts[0].primary_email().unwrap().proof, proof, "whoever speaks for the domain now");
    let back = mallory.get(&authorize(&house, "first", &[("prompt", "none")])).await.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("login_required"), "nobody goes on unseen");
}

/// Whoever came by the old provider after the domain had left it is no stranger at the new one.
#[tokio::test]
async fn link_009_who_still_came_by_the_old_provider_after_the_domain_moved_keeps_the_account() {
    let mut house = House::open().await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &url(&house)).await;
    let account = house.accounts().await.remove(0).id;
    house.reload(to_friendbook).await;
    friendbook_verifies(&house);
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let held = house.accounts().await.remove(0).emails.remove(0);
    assert_eq!((held.proof, held.lapsed), (None, Some("globex".parse().unwrap())), "no proof any more");
    // Whoever may only have the same address there does not get the account; who comes the old way too, does.
    let mut new = Visitor::new();
    let watch = Watch::begin(&house, "link.proved_elsewhere").await;
    let request = depart(&house, &mut new, "friendbook", &url(&house)).await;
    let page = new.get(&approval(&house, &request)).await;
    watch.refused_once(&house).await;
    let way = choose(&house, &mut new, &page, "globex").await.location();
    let back = new.get(&approval(&house, &way)).await.location();
    assert!(parameter(&new.get(back.as_str()).await.location(), "code").is_some());
    for (provider, proof) in [("friendbook", Some("friendbook")), ("globex", Some("friendbook"))] {
        sign_in(&house, &mut Visitor::new(), provider, &url(&house)).await;
        let mut accounts = house.accounts().await;
        assert_eq!((accounts.len(), &accounts[0].id), (1, &account));
        let held = accounts.remove(0).emails.remove(0);
        assert_eq!(held.proof, proof.map(|by| EmailProof::Provider(by.parse().unwrap())));
        assert_eq!(held.lapsed, None);
    }
}

/// What a provider proved once opens nothing at a provider whose word does not count for the domain either.
#[tokio::test]
async fn link_009_a_proof_that_lapsed_is_no_key_for_others() {
    let mut house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    house
        .reload(|config, providers| {
            (config, providers.replace("authoritative_for = [\"globex.example\"]\n", ""))
        })
        .await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    friendbook_verifies(&house);
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    assert_eq!(house.accounts().await.len(), 2, "an account of their own, and no question");
}

#[tokio::test]
async fn oidc_045_link_010_a_new_owner_of_an_address_does_not_get_the_account() {
    let mut house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let first = house.accounts().await[0].id.clone();
    let of = first.clone();
    let identity = house.app.store.read::<_, StoreError, _>(move |tx| tx.identities_of(&of)).await.unwrap();
    // The same address, verified, of somebody else: the domain lapsed, or the mailbox has a new owner.
    house.globex.script().person["sub"] = json!("another-alice");
    let mut after = Visitor::new();
    let request = depart(&house, &mut after, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "link.other_subject").await;
    let page = after.get(&approval(&house, &request)).await;
    assert_eq!(page.status, 403);
    watch.refused_once(&house).await;
    assert!(after.session().is_none());
    // Nor at another issuer under the same provider id: the tenant was made anew.
    let (old, new) = (house.globex.origin().to_owned(), house.friendbook.origin().to_owned());
    house.point(&old, &new).await;
    house.warm().await;
    house.friendbook.script().person =
        json!({"sub": "alice", "email": "alice@globex.example", "email_verified": true});
    let mut admin = Visitor::new();
    let request = depart(&house, &mut admin, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "link.other_subject").await;
    assert_eq!(admin.get(&approval(&house, &request)).await.status, 403);
    watch.refused_once(&house).await;
    house.point(&new, &old).await;
    house.warm().await;
    // The valid twins: the subject that was there before; and, once an administrator says so, the new one.
    house.globex.behave();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.rows().await.accounts, 1);
    house.globex.script().person["sub"] = json!("another-alice");
    house.desk().unlink(first.as_str(), &identity[0].id, true).await.unwrap();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!((house.rows().await.accounts, house.rows().await.identities), (1, 1));
}

/// What came by a link goes with it: neither roles nor proofs of addresses stay with who has another way in, and whoever the
/// address belongs to at the provider gets an account of their own.
#[tokio::test]
async fn link_010_what_came_by_a_link_that_was_taken_away_goes_with_it() {
    let house = House::open().await;
    house.globex.script().claims = Box::new(|claims| claims["groups"] = json!(["engineering"]));
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let account = house.accounts().await[0].id.clone();
    let of = account.clone();
    let first = house.app.store.read::<_, StoreError, _>(move |tx| tx.identities_of(&of)).await.unwrap();
    let other = countersign::accounts::Identity {
        id: "other-way".parse().unwrap(),
        key: countersign::accounts::IdentityKey {
            provider: "friendbook".parse().unwrap(),
            issuer: house.friendbook.origin().to_owned(),
            subject: house.friendbook.script().person["id"].as_str().unwrap().to_owned(),
            format: String::new(),
        },
        ..first[0].clone()
    };
    house.app.store.write::<_, StoreError, _>(move |tx| tx.insert_identity(&other)).await.unwrap();
    house.friendbook.script().person["email"] = json!(null);
    let groups = async || {
        let of = account.clone();
        let given = house.app.store.read::<_, StoreError, _>(move |tx| tx.assignments_of(&of)).await.unwrap();
        given.len()
    };
    assert_eq!(groups().await, 1);
    // As long as the person can come by it, the provider gives it.
    let engineers = || countersign::accounts::Target::Group("engineers".parse().unwrap());
    assert!(house.desk().revoke(account.as_str(), engineers()).await.is_err());
    house.desk().unlink(account.as_str(), &first[0].id, false).await.unwrap();
    assert_eq!(groups().await, 0);
    assert_eq!(house.accounts().await[0].emails, [], "nobody else stands behind it");
    house.globex.script().person["sub"] = json!("another-alice");
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    assert_eq!((house.rows().await.accounts, house.rows().await.identities), (2, 2));
    // What was left behind in an earlier version an administrator can take back.
    let (of, now) = (account.clone(), house.now());
    let left = countersign::accounts::Assignment {
        target: engineers(),
        provenance: countersign::accounts::Provenance::Provider {
            provider: "globex".parse().unwrap(),
            rule: "engineering".to_owned(),
        },
    };
    let write = move |tx: &mut countersign::store::Tx<'_>| tx.add_assignment(&of, &left, now);
    house.app.store.write::<_, StoreError, _>(write).await.unwrap();
    assert!(house.desk().revoke(account.as_str(), engineers()).await.unwrap());
    assert_eq!(groups().await, 0);
}

/// A sign-in and an unlinking of its identity at once: one comes wholly before the other.

#[tokio::test(flavor = "multi_thread")]
async fn link_035_no_sign_in_crosses_an_unlinking() {
    let mut houses = vec![House::open().await];
    houses.extend(House::on_postgres(|config, providers| (config, providers)).await);
    for house in houses {
        for round in 0..12 {
            // somebody new each time, so that nothing is left of the rounds before
            house.globex.script().person = json!({"sub": format!("s{round}"), "email": format!("p{round}@globex.example"), "email_verified": true});
            sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
            let subject = format!("s{round}");
            let accounts = house.accounts().await;
            let mut found = None;
            for account in &accounts {
                let id = account.id.clone();
                let all =
                    house.app.store.read::<_, StoreError, _>(move |tx| tx.identities_of(&id)).await.unwrap();
                if let Some(identity) = all.into_iter().find(|one| one.key.subject == subject) {
                    found = Some((account.id.clone(), identity));
                }
            }
            let (account, identity) = found.unwrap();
            let mut alice = Visitor::new();
            let request = depart(&house, &mut alice, "globex", &url(&house)).await;
            let callback = approval(&house, &request);
            let desk = house.desk();
            tokio::join!(alice.get(&callback), async {
                tokio::time::sleep(Duration::from_millis(round)).await;
                desk.unlink(account.as_str(), &identity.id, true).await.unwrap()
            });
            let owner = account.clone();
            let (sessions, identities) = house
                .app
                .store
                .read::<_, StoreError, _>(move |tx| Ok((tx.sessions_of(&owner)?, tx.identities_of(&owner)?)))
                .await
                .unwrap();
            for session in sessions.iter().filter(|session| session.revoked_at.is_none()) {
                for proof in &session.proofs {
                    assert!(
                        identities.iter().any(|one| one.id == proof.identity),
                        "round {round}: a session by a way in that was taken away"
                    );
                }
            }
        }
    }
}

/// Globex joins nobody silently, and an account with a proved address came by Friendbook.

#[tokio::test]
async fn link_002_a_new_way_in_ends_what_went_on_before() {
    let mut house = House::open().await;
    let mut before = Visitor::new();
    sign_in(&house, &mut before, "friendbook", &url(&house)).await;
    let id = house.accounts().await[0].id.clone();
    let owner = AccountEmail {
        address: EmailAddress::parse("alice@globex.example").unwrap(),
        proof: Some(EmailProof::Provider("initech".parse().unwrap())),
        lapsed: None,
        primary: true,
    };
    house.app.store.write::<_, StoreError, _>(move |tx| tx.put_email(&id, &owner)).await.unwrap();
    // Nobody can come by the old one for a while, so that nobody is asked for it.
    let (on, off) = ("id = \"friendbook\"\n", "id = \"friendbook\"\nenabled = false\n");
    house.reload(|config, providers| (config, providers.replacen(on, off, 1))).await;
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &url(&house)).await;
    house.reload(|config, providers| (config, providers.replacen(off, on, 1))).await;
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.sessions, rows.grants), (1, 1, 1), "only the new session and its grant");
    assert_eq!(before.get(&url(&house)).await.location().path(), "/sign-in");
    assert!(parameter(&alice.get(&url(&house)).await.location(), "code").is_some(), "the valid twin");
}

#[tokio::test]
async fn link_011_an_address_that_changes_at_the_provider_moves_nobody() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    house.globex.script().person = json!({
        "sub": "bob", "name": "Bob", "email": "bob@globex.example", "email_verified": true,
    });
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let bob = house.accounts().await.into_iter().find(|a| a.profile.name.as_deref() == Some("Bob")).unwrap();
    // Bob's address is now Alice's.
    house.globex.script().person["email"] = "alice@globex.example".into();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let accounts = house.accounts().await;
    assert_eq!(accounts.len(), 2);
    let bob = accounts.iter().find(|a| a.id == bob.id).unwrap();
    assert_eq!(bob.primary_email().unwrap().proof, None, "held, but never issued as verified");
    let proved = accounts.iter().flat_map(|a| &a.emails).filter(|e| e.proof.is_some()).count();
    assert_eq!(proved, 1);
}

#[tokio::test]
async fn link_014_a_deleted_person_comes_back_as_somebody_new() {
    let house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let (old, now) = (house.accounts().await[0].id.clone(), house.now());
    let gone = old.clone();
    let deleted = countersign::accounts::AccountStatus::Deleted;
    house
        .app
        .store
        .write::<_, StoreError, _>(move |tx| tx.set_account_status(&gone, deleted, now))
        .await
        .unwrap();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let accounts = house.accounts().await;
    assert_eq!(accounts.len(), 1);
    assert_ne!(accounts[0].id, old);
}

#[tokio::test]
async fn link_037_a_provider_that_was_pointed_elsewhere_does_not_find_the_old_links() {
    let mut house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let (old, new) = (house.globex.origin().to_owned(), house.friendbook.origin().to_owned());
    // The new issuer knows somebody by the same subject.
    house
        .reload(|config, providers| {
            (config, providers.replace(&format!("issuer = \"{old}\""), &format!("issuer = \"{new}\"")))
        })
        .await;
    house.friendbook.script().person["email"] = "else@nowhere.example".into();
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.accounts().await.len(), 2);
}

/// Whoever is at the old issuer meanwhile does not bring its code to the new one.

#[tokio::test]
async fn link_037_what_was_asked_of_one_issuer_is_not_answered_by_another() {
    let mut house = House::open().await;
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &url(&house)).await;
    let callback = approval(&house, &request);
    let (old, new) = (house.globex.origin().to_owned(), house.friendbook.origin().to_owned());
    house.point(&old, &new).await;
    let watch = Watch::begin(&house, "provider.changed").await;
    let page = alice.get(&callback).await;
    watch.refused_once(&house).await;
    assert_eq!((house.globex.count("/token"), house.friendbook.count("/token")), (0, 0));
    // The valid twin: the next one goes to the new issuer.
    assert!(page.body.contains("reference"), "{}", page.body);
    let way = depart(&house, &mut alice, "globex", &url(&house)).await;
    assert!(way.as_str().starts_with(&new), "{way}");
}

#[tokio::test]
async fn link_043_a_claim_that_is_not_mapped_gives_nothing() {
    let house = House::open().await;
    {
        let mut script = house.globex.script();
        script.person["roles"] = json!(["admin", "editor"]);
        script.person["groups"] = json!(["admins", "engineers"]);
        script.in_id_token = vec!["email", "roles", "groups"];
    }
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let id = house.accounts().await[0].id.clone();
    let assigned = house.app.store.read::<_, StoreError, _>(move |tx| tx.assignments_of(&id)).await.unwrap();
    assert!(
        assigned.is_empty(),
        "`engineers` is a local name; the provider's `engineering` maps to it: {assigned:?}"
    );
}

#[tokio::test]
async fn two_first_sign_ins_at_once_make_one_account() {
    let house = House::open().await;
    let mut ready = Vec::new();
    for _ in 0..8 {
        let mut visitor = Visitor::new();
        let request = depart(&house, &mut visitor, "globex", &url(&house)).await;
        ready.push((visitor, approval(&house, &request)));
    }
    let tries =
        ready.into_iter().map(|(mut visitor, callback)| async move { visitor.get(&callback).await.status });
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().all(|status| *status == 303), "{answers:?}");
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities, rows.sessions), (1, 1, 8));
}

#[tokio::test]
async fn a_provider_that_makes_no_accounts_refuses_newcomers() {
    for (policy, reason, expected, received) in [
        ("\"never\"", "provider.provisioning", "somebody who has an account", "nobody who is known"),
        ("\"invitation\"", "provider.invitation", "an invitation", "none"),
        (
            "{ domains = [\"initech.example\"] }",
            "provider.domain",
            "a verified address at initech.example",
            "globex.example",
        ),
        ("{ filter = \"claims.staff\" }", "provider.claim_filter", "true: claims.staff", "false"),
    ] {
        let house = House::with(|config, providers| {
            // Its word counts for Initech's people too, of whom she is none.
            let domains = "[\"globex.example\", \"initech.example\"]";
            let providers = providers.replacen("[\"globex.example\"]", domains, 1);
            (config, providers.replacen("provisioning = \"open\"", &format!("provisioning = {policy}"), 1))
        })
        .await;
        let mut alice = Visitor::new();
        let request = depart(&house, &mut alice, "globex", &url(&house)).await;
        let watch = Watch::begin(&house, reason).await;
        let page = alice.get(&approval(&house, &request)).await;
        assert_eq!(page.status, 403, "{policy}");
        watch.refused_once(&house).await;
        // The trace ends with the step that failed, like any other.
        let steps = house.refusals().await[0].refusal.steps.clone();
        let failed: Vec<_> = steps.iter().filter(|step| !step.passed).collect();
        assert_eq!(failed, [steps.last().unwrap()]);
        let last = failed[0];
        assert_eq!((last.check.as_str(), &*last.expected, &*last.received), (reason, expected, received));
        let read = steps.iter().find(|step| step.check == "provider.claim_filter" && step.passed);
        let told = read.map(|step| (step.expected.as_str(), step.received.as_str()));
        let filter = reason == "provider.claim_filter";
        assert_eq!(told, filter.then_some(("claims.staff", "false of staff absent")));
        assert!(alice.session().is_none());
        // The other way is on the page and works.
        let way = choose(&house, &mut alice, &page, "friendbook").await.location();
        assert_eq!(alice.get(&approval(&house, &way)).await.location().path(), "/continue");
    }
}

#[tokio::test]
async fn link_013_the_subject_of_a_tenant_that_was_made_anew_is_somebody_else() {
    let mut house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let first = house.accounts().await[0].id.clone();
    let (old, new) = (house.globex.origin().to_owned(), house.friendbook.origin().to_owned());
    // The tenant went, and another company made one of that name: same subjects, an issuer of its own.
    house.point(&old, &new).await;
    for (claims, expected) in [
        (json!({"sub": "alice", "name": "Alice"}), 2),
        (json!({"sub": "bob", "name": "Bob", "email": "alice@globex.example"}), 3),
        (json!({"sub": "eve", "email": "alice@globex.example", "email_verified": false}), 4),
    ] {
        house.friendbook.script().person = claims.clone();
        sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
        assert_eq!(house.accounts().await.len(), expected, "{claims}");
    }
    let mine = first.clone();
    let identities =
        house.app.store.read::<_, StoreError, _>(move |tx| tx.identities_of(&mine)).await.unwrap();
    assert_eq!(identities.len(), 1, "nobody joined the account of the old tenant's person");
    // The valid twin: the issuer that made the link finds it.
    house.point(&new, &old).await;
    house.warm().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.accounts().await.len(), 4);
}

#[tokio::test]
async fn link_003_an_identity_that_was_planted_leads_to_nobody_else() {
    let house = House::open().await;
    // Mallory makes an account that claims the victim's address, and adds a second way in to it.
    house.friendbook.script().person =
        json!({"id": "2002", "name": "Mallory", "email": "alice@globex.example"});
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    let planted = house.accounts().await[0].id.clone();
    // The victim comes by the provider that proves the address.
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let victim = house.accounts().await.into_iter().find(|a| a.id != planted).unwrap();
    assert!(victim.primary_email().unwrap().proof.is_some());
    // Mallory's way in still leads to Mallory, and none of hers to the victim.
    let mut mallory = Visitor::new();
    sign_in(&house, &mut mallory, "friendbook", &url(&house)).await;
    let (theirs, hers) = (victim.id.clone(), planted.clone());
    let (victims, mallorys) = house
        .app
        .store
        .read::<_, StoreError, _>(move |tx| Ok((tx.identities_of(&theirs)?, tx.identities_of(&hers)?)))
        .await
        .unwrap();
    assert_eq!((victims.len(), mallorys.len()), (1, 1));
    assert_eq!(victims[0].key.provider.as_str(), "globex");
    assert_eq!(house.accounts().await.len(), 2);
}
