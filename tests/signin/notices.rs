//! What a provider's server tells of somebody: that they took our access away, or want their data deleted. Through
//! the whole broker, on both databases.

use crate::Watch;
use crate::house::*;
use crate::standin::{CLIENT_SECRET, signed_request};
use countersign::accounts::{
    AccountEmail, AccountStatus, Assignment, EmailAddress, EmailProof, Identity, IdentityKey, Provenance,
    Target,
};
use countersign::clients::{Grant, GrantDetails, GrantProof};
use countersign::ids::{AccountId, ClientId, GroupName, IdentityId, ProviderId};
use countersign::protocol::Scope;
use countersign::store::StoreError;
use serde_json::{Value, json};
use std::time::Duration;

fn files(config: String, providers: String) -> (String, String) {
    let config = config.replace(
        "home_uri = \"http://localhost:8084/\"\n",
        "home_uri = \"http://localhost:8084/\"\nbackchannel_logout_uri = \"http://localhost:8084/told\"\n",
    );
    (config, providers.replace("subject = \"id\"\n", "subject = \"id\"\nnotices = \"signed_request\"\n"))
}

async fn houses() -> Vec<House> {
    let mut houses = vec![House::with(files).await];
    houses.extend(House::on_postgres(files).await);
    houses
}

fn request(house: &House, user: &str) -> String {
    let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": house.now().secs(), "user_id": user});
    signed_request(&payload, CLIENT_SECRET)
}

async fn tell(house: &House, what: &str, request: &str) -> Answer {
    let url = house.at(&format!("/upstream/friendbook/{what}"));
    Visitor::new().post_from(&url, &[("signed_request", request)], None, None).await
}

async fn signs_in(house: &House, provider: &str) -> Visitor {
    let mut visitor = Visitor::new();
    let done = sign_in(house, &mut visitor, provider, &authorize(house, "first", &[])).await;
    assert!(parameter(&done, "code").is_some(), "{done}");
    visitor
}

/// Whether the browser is signed in.
async fn is_in(house: &House, visitor: &Visitor) -> bool {
    let to = visitor.clone().get(&authorize(house, "first", &[("prompt", "none")])).await.location();
    parameter(&to, "code").is_some()
}

async fn waiting(house: &House) -> u64 {
    house.app.store.read::<_, StoreError, _>(|tx| tx.waiting_logouts()).await.unwrap()
}

/// Friendbook's person; the stand-in knows them by this id.
async fn friend(house: &House) -> String {
    let id = house.friendbook.script().person["id"].as_str().unwrap().to_owned();
    assert!(!id.is_empty());
    id
}

/// Alice of Globex, who has linked Friendbook too and signed in by it.
async fn with_both(house: &House) -> (AccountId, Visitor, Visitor) {
    {
        let mut script = house.globex.script();
        script.person["website"] = json!("https://alice.globex.example");
        script.in_id_token.push("website");
    }
    let by_globex = signs_in(house, "globex").await;
    let account = house.accounts().await[0].id.clone();
    let key = IdentityKey {
        provider: ProviderId::new("friendbook").unwrap(),
        issuer: house.friendbook.origin().to_owned(),
        subject: friend(house).await,
        format: String::new(),
    };
    let (id, now) = (account.clone(), house.now());
    house
        .app
        .store
        .write::<_, StoreError, _>(move |tx| {
            tx.insert_identity(&Identity {
                id: IdentityId::new("friend-link").unwrap(),
                account: id,
                key: key.clone(),
                label: None,
                linked_at: now,
                last_used_at: now,
            })
        })
        .await
        .unwrap();
    {
        let mut script = house.friendbook.script();
        script.person["name"] = json!("Ally of Friendbook");
        script.person["picture"] = json!("https://friendbook.example/ally.jpg");
        script.person["email"] = json!("ally@friend.example");
    }
    let by_friendbook = signs_in(house, "friendbook").await;
    assert_eq!(house.accounts().await.len(), 1);
    (account, by_globex, by_friendbook)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_app_away_is_signed_out_and_may_come_back() {
    for house in houses().await {
        let friend = friend(&house).await;
        let (one, other) = (signs_in(&house, "friendbook").await, signs_in(&house, "globex").await);
        let account = house
            .accounts()
            .await
            .into_iter()
            .find(|a| a.emails.iter().all(|email| email.proof.is_none()))
            .unwrap()
            .id;
        // offline access that outlived its session, by each provider's word
        let offline = |provider: &str, id: &str| Grant {
            id: id.parse().unwrap(),
            account: account.clone(),
            client: ClientId::new("first").unwrap(),
            session: "long-gone-session".parse().unwrap(),
            scope: Scope::parse("openid offline_access").unwrap(),
            resources: Default::default(),
            auth_time: house.now(),
            created_at: house.now(),
            revoked_at: None,
            details: GrantDetails {
                proof: Some(GrantProof {
                    issuer: String::new(),
                    provider: provider.parse().unwrap(),
                    time_asserted: false,
                    acr: None,
                    amr: vec![],
                }),
                ..GrantDetails::default()
            },
        };
        let grants = [offline("friendbook", "by-friendbook"), offline("globex", "by-globex-too")];
        let write = house
            .app
            .store
            .write::<_, StoreError, _>(move |tx| grants.iter().try_for_each(|grant| tx.insert_grant(grant)));
        write.await.unwrap();

        let word = request(&house, &friend);
        let answer = tell(&house, "deauthorized", &word).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:#?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!is_in(&house, &one).await && is_in(&house, &other).await, "these sessions and no others");
        assert_eq!(waiting(&house).await, 1, "the app is told");
        let id = account.clone();
        let revoked = house
            .app
            .store
            .read::<_, StoreError, _>(move |tx| {
                let left: Vec<String> = tx.grants_of(&id)?.iter().map(|g| g.id.to_string()).collect();
                let left = |name: &str| left.iter().any(|id| id == name);
                Ok((!left("by-friendbook"), !left("by-globex-too")))
            })
            .await
            .unwrap();
        assert_eq!(revoked, (true, false));
        let told = ("identity.deauthorized".to_owned(), Some("upstream.deauthorized".to_owned()));
        assert!(house.events().await.contains(&told));

        // the same person comes back to the same account; the word of before does nothing now
        house.wait(Duration::from_secs(1));
        let again = signs_in(&house, "friendbook").await;
        assert_eq!(house.accounts().await.len(), 2);
        assert_eq!(tell(&house, "deauthorized", &word).await.status, 200, "a program may send it again");
        assert!(is_in(&house, &again).await);
        assert_eq!(house.events().await.iter().filter(|event| **event == told).count(), 1);
        // and a new word counts anew
        house.wait(Duration::from_secs(1));
        tell(&house, "deauthorized", &request(&house, &friend)).await;
        assert!(!is_in(&house, &again).await);
        // nobody whom we know
        assert_eq!(tell(&house, "deauthorized", &request(&house, "somebody-else")).await.status, 200);
        assert!(is_in(&house, &other).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_ends_and_deletes_nothing() {
    let house = House::with(files).await;
    let person = signs_in(&house, "friendbook").await;
    let friend = friend(&house).await;
    let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": house.now().secs(), "user_id": friend});
    let forged = signed_request(&payload, "not the secret");
    for what in ["deauthorized", "deletion"] {
        let watch = Watch::begin(&house, "oauth2.signed_request.signature").await;
        let answer = tell(&house, what, &forged).await;
        assert_eq!(answer.status, 400);
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["error"], "invalid_request");
        assert!(!answer.body.contains(&friend) && body.get("confirmation_code").is_none());
        watch.refused_once(&house).await;
        for (path, form) in [
            (format!("/upstream/friendbook/{what}"), vec![("other", "x")]),
            (format!("/upstream/globex/{what}"), vec![("signed_request", forged.as_str())]),
            (format!("/upstream/nobody/{what}"), vec![("signed_request", forged.as_str())]),
            (
                format!("/upstream/friendbook/{what}"),
                vec![("signed_request", forged.as_str()), ("signed_request", forged.as_str())],
            ),
        ] {
            let answer = Visitor::new().post_from(&house.at(&path), &form, None, None).await;
            assert_eq!(answer.status, 400, "{path} {form:?}");
        }
        let got = Visitor::new().get(&house.at(&format!("/upstream/friendbook/{what}"))).await;
        assert_eq!(got.status, 405, "by POST alone");
    }
    assert!(is_in(&house, &person).await);
    assert_eq!(house.accounts().await.len(), 1);
}

/// The receipt's page for a code.
async fn receipt(house: &House, code: &str) -> Answer {
    Visitor::new().get(&house.at(&format!("/deletion?code={code}"))).await
}

async fn delete(house: &House, request: &str) -> String {
    let answer = tell(house, "deletion", request).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let code = body["confirmation_code"].as_str().unwrap().to_owned();
    assert!(code.len() == 26 && code.chars().all(|c| c.is_ascii_alphanumeric()), "{code}");
    assert_eq!(body["url"], house.at(&format!("/deletion?code={code}")));
    assert_eq!(body.as_object().unwrap().len(), 2, "nothing but what was asked for");
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_no_other_way_in_goes_and_its_apps_are_told() {
    for house in houses().await {
        let friend = friend(&house).await;
        house.friendbook.script().person["name"] = json!("Erasmus Friend");
        let (one, other) = (signs_in(&house, "friendbook").await, signs_in(&house, "globex").await);
        let word = request(&house, &friend);
        let code = delete(&house, &word).await;
        assert!(!is_in(&house, &one).await && is_in(&house, &other).await);
        assert_eq!(house.accounts().await.len(), 1, "the other one's");
        assert_eq!(waiting(&house).await, 1, "the app is told");
        let event = ("account.deleted".to_owned(), Some("upstream.deletion".to_owned()));
        assert!(house.events().await.contains(&event));

        let page = receipt(&house, &code).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Your account here was deleted"), "{}", page.body);
        assert!(page.body.contains("Friendbook"));
        for named in [friend.as_str(), "Erasmus"] {
            assert!(!page.body.contains(named), "the page says nothing of whose it was");
        }
        // as somebody types it from another screen
        let typed = format!("{}%20{}", code[..6].to_uppercase(), &code[6..]);
        assert!(receipt(&house, &typed).await.body.contains("Your account here was deleted"));

        // the same again: the same answer, and whoever came back meanwhile stays
        house.wait(Duration::from_secs(1));
        let back = signs_in(&house, "friendbook").await;
        house.wait(Duration::from_secs(60));
        assert_eq!(delete(&house, &word).await, code);
        assert!(is_in(&house, &back).await);
        assert_eq!(house.accounts().await.len(), 2);
        // a new request is for what is there now
        let anew = delete(&house, &request(&house, &friend)).await;
        assert_ne!(anew, code);
        assert_eq!(house.accounts().await.len(), 1);
        // the receipt has its time
        house.wait(Duration::from_secs(91 * 24 * 3600));
        assert_eq!(receipt(&house, &code).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_account_with_another_way_in_only_what_came_by_the_provider_goes() {
    for house in houses().await {
        let friend = friend(&house).await;
        let (account, by_globex, by_friendbook) = with_both(&house).await;
        let before = house.accounts().await.remove(0);
        assert_eq!(before.profile.name.as_deref(), Some("Ally of Friendbook"), "{before:#?}");
        assert!(before.emails.iter().any(|email| email.address.as_str() == "ally@friend.example"));
        let id = account.clone();
        let by = |provider: &str| Assignment {
            target: Target::Group(GroupName::new("engineers").unwrap()),
            provenance: Provenance::Provider { provider: provider.parse().unwrap(), rule: "r".to_owned() },
        };
        let (given, kept) = (by("friendbook"), by("globex"));
        let own = AccountEmail {
            address: EmailAddress::parse("alice@own.example").unwrap(),
            proof: Some(EmailProof::Code),
            lapsed: None,
            primary: false,
        };
        let now = house.now();
        let write = house.app.store.write::<_, StoreError, _>(move |tx| {
            tx.put_email(&id, &own)?;
            tx.add_assignment(&id, &given, now)?;
            tx.add_assignment(&id, &kept, now)
        });
        write.await.unwrap();

        let code = delete(&house, &request(&house, &friend)).await;
        let after = house.accounts().await.remove(0);
        assert_eq!(after.id, account);
        assert_eq!((&after.profile.name, &after.profile.picture), (&None, &None), "told by Friendbook alone");
        assert_eq!(after.profile.website.as_deref(), Some("https://alice.globex.example"));
        let addresses: Vec<&str> = after.emails.iter().map(|email| email.address.as_str()).collect();
        assert_eq!(addresses, ["alice@globex.example", "alice@own.example"]);
        assert!(is_in(&house, &by_globex).await && !is_in(&house, &by_friendbook).await);
        let id = account.clone();
        let (links, given) = house
            .app
            .store
            .read::<_, StoreError, _>(move |tx| Ok((tx.identities_of(&id)?, tx.assignments_of(&id)?)))
            .await
            .unwrap();
        assert_eq!(links.iter().map(|link| link.key.provider.as_str()).collect::<Vec<_>>(), ["globex"]);
        let globex = |a: &Assignment| matches!(&a.provenance, Provenance::Provider { provider, .. } if provider.as_str() == "globex");
        assert!(given.contains(&by("globex")) && given.iter().all(globex), "{given:?}");
        let page = receipt(&house, &code).await.body;
        assert!(page.contains("Your account goes on"), "{page}");
        // the other way in works, and tells its own again
        assert!(is_in(&house, &signs_in(&house, "globex").await).await);
        let event = ("identity.unlinked".to_owned(), Some("upstream.deletion".to_owned()));
        assert!(house.events().await.contains(&event));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_may_let_the_account_go_whatever_else_leads_to_it() {
    let house = House::with(|config, providers| {
        let (config, providers) = files(config, providers);
        let more = "notices = \"signed_request\"\ndata_deletion = \"account\"\n";
        (config, providers.replace("notices = \"signed_request\"\n", more))
    })
    .await;
    let friend = friend(&house).await;
    let (_, by_globex, by_friendbook) = with_both(&house).await;
    let code = delete(&house, &request(&house, &friend)).await;
    assert!(house.accounts().await.is_empty());
    assert!(!is_in(&house, &by_globex).await && !is_in(&house, &by_friendbook).await);
    assert!(receipt(&house, &code).await.body.contains("Your account here was deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_rid_of_a_suspension_by_asking_for_deletion() {
    for house in houses().await {
        let friend = friend(&house).await;
        signs_in(&house, "friendbook").await;
        let id = house.accounts().await[0].id.clone();
        let now = house.now();
        let write = house
            .app
            .store
            .write::<_, StoreError, _>(move |tx| tx.set_account_status(&id, AccountStatus::Suspended, now));
        write.await.unwrap();
        let code = delete(&house, &request(&house, &friend)).await;
        let left = house.accounts().await.remove(0);
        assert_eq!(left.status, AccountStatus::Suspended);
        assert_eq!((left.profile, left.emails), (Default::default(), vec![]), "nothing that Friendbook told");
        assert!(receipt(&house, &code).await.body.contains("stays suspended"));
        // still refused, and no new account
        let mut visitor = Visitor::new();
        let departed = depart(&house, &mut visitor, "friendbook", &authorize(&house, "first", &[])).await;
        let answer = visitor.get(&approval(&house, &departed)).await;
        assert!(answer.status >= 400, "{answer:#?}");
        assert_eq!(house.accounts().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_somebody_unknown_there_was_nothing_to_delete() {
    for house in houses().await {
        let rows = house.rows().await;
        let code = delete(&house, &request(&house, "somebody-else")).await;
        let page = receipt(&house, &code).await;
        assert!(page.body.contains("There was nothing to delete"), "{}", page.body);
        assert_eq!(house.rows().await, rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_is_done_once() {
    for house in houses().await {
        let friend = friend(&house).await;
        signs_in(&house, "friendbook").await;
        let word = request(&house, &friend);
        let codes = futures_util::future::join_all((0..30).map(|_| delete(&house, &word))).await;
        assert!(codes.iter().all(|code| *code == codes[0]));
        assert!(receipt(&house, &codes[0]).await.body.contains("Your account here was deleted"));
        let deleted = ("account.deleted".to_owned(), Some("upstream.deletion".to_owned()));
        assert_eq!(house.events().await.iter().filter(|event| **event == deleted).count(), 1);
    }
}

/// Friendbook's person is back from there, and asked for what it did not tell: the page.
async fn held(house: &House, visitor: &mut Visitor) -> Answer {
    let departed = depart(house, visitor, "friendbook", &authorize(house, "first", &[])).await;
    let to = visitor.get(&approval(house, &departed)).await.location();
    assert_eq!(to.path(), "/details");
    visitor.get(to.as_str()).await
}

/// Tells it.
async fn told(house: &House, visitor: &mut Visitor, page: &Answer) -> Answer {
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("action", "details"), ("name", "Erasmus")];
    visitor.post(&house.at("/details"), &form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_counts_for_a_sign_in_that_waits_for_its_person() {
    let asks = |config: String, providers: String| {
        let (config, providers) = files(config, providers);
        (format!("{config}\n[accounts]\nrequire = [\"name\"]\n"), providers)
    };
    let mut houses = vec![House::with(asks).await];
    houses.extend(House::on_postgres(asks).await);
    for house in houses {
        let friend = friend(&house).await;
        house.friendbook.script().person.as_object_mut().unwrap().remove("name");
        for what in ["deauthorized", "deletion"] {
            let mut visitor = Visitor::new();
            let page = held(&house, &mut visitor).await;
            house.wait(Duration::from_secs(10));
            assert_eq!(tell(&house, what, &request(&house, &friend)).await.status, 200);
            house.wait(Duration::from_secs(7 * 60));
            let watch = Watch::begin(&house, "upstream.session_ended").await;
            assert_eq!(told(&house, &mut visitor, &page).await.status, 400, "{what}");
            assert!(visitor.session().is_none() && house.accounts().await.is_empty(), "{what}");
            watch.refused_once(&house).await;
        }
        // the valid twins: a word about somebody else, and leaving for the provider after it
        let mut visitor = Visitor::new();
        let page = held(&house, &mut visitor).await;
        house.wait(Duration::from_secs(10));
        for what in ["deauthorized", "deletion"] {
            assert_eq!(tell(&house, what, &request(&house, "somebody-else")).await.status, 200);
        }
        assert_eq!(told(&house, &mut visitor, &page).await.status, 303);
        assert!(visitor.session().is_some());
        assert_eq!(house.accounts().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_code_there_is_a_form_and_a_wrong_one_says_so() {
    let house = House::open().await;
    let page = Visitor::new().get(&house.at("/deletion")).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("name=\"code\""), "{}", page.body);
    for wrong in ["x", "0123456789abcdefghjkmnpqrs", "%00", "%22%3E%3Cscript%3E", &"9".repeat(500)] {
        let page = receipt(&house, wrong).await;
        assert!(page.status == 404 || page.status == 400, "{wrong} {}", page.status);
        assert!(!page.body.contains("<script>"));
        if page.status == 404 {
            assert!(page.body.contains("There is no receipt for this code"));
        }
    }
}

/// Somebody who is asked to sign in the old way first, and meanwhile takes the app away at the provider.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_away_meanwhile_is_not_joined() {
    for (what, joined) in [("deletion", false), ("deauthorized", false), ("", true)] {
        let house = House::with(|config, providers| {
            let (config, providers) = files(config, providers);
            let proof = "id = \"friendbook\"\nemail_verified = \"true\"\nlinking = \"never\"\n\
                         authoritative_for = [\"friend.example\"]\n";
            (config, providers.replacen("id = \"friendbook\"\n", proof, 1))
        })
        .await;
        signs_in(&house, "globex").await;
        let account = house.accounts().await[0].id.clone();
        let held = AccountEmail {
            address: EmailAddress::parse("ally@friend.example").unwrap(),
            proof: Some(EmailProof::Code),
            lapsed: None,
            primary: false,
        };
        house.app.store.write::<_, StoreError, _>(move |tx| tx.put_email(&account, &held)).await.unwrap();
        house.friendbook.script().person["email"] = json!("ally@friend.example");
        let mut alice = Visitor::new();
        let url = authorize(&house, "first", &[]);
        let request = depart(&house, &mut alice, "friendbook", &url).await;
        let page = alice.get(&approval(&house, &request)).await;
        assert_eq!(page.status, 403, "{page:#?}");
        if !what.is_empty() {
            let request = crate::notices::request(&house, &friend(&house).await);
            assert_eq!(tell(&house, what, &request).await.status, 200);
        }
        let way = choose(&house, &mut alice, &page, "globex").await.location();
        let back = alice.get(&approval(&house, &way)).await.location();
        assert!(parameter(&alice.get(back.as_str()).await.location(), "code").is_some(), "{what}");
        assert_eq!(house.rows().await.identities == 2, joined, "{what}");
    }
}

/// Whoever falls silent about what it told stands behind it still.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_told_goes_though_it_told_it_long_ago() {
    for house in houses().await {
        let (account, ..) = with_both(&house).await;
        house.friendbook.script().person["nickname"] = json!("Ally");
        signs_in(&house, "friendbook").await;
        {
            let mut script = house.friendbook.script();
            for silent in ["picture", "nickname", "email"] {
                script.person.as_object_mut().unwrap().remove(silent);
            }
        }
        signs_in(&house, "friendbook").await;
        let picture = house.accounts().await[0].profile.picture.clone();
        assert!(picture.is_some(), "another way in leads there, so it is kept");
        delete(&house, &request(&house, &friend(&house).await)).await;
        let left = house.accounts().await.remove(0);
        assert_eq!(left.id, account);
        assert_eq!(left.profile.picture, None, "{:?}", left.profile);
        assert!(
            left.emails.iter().all(|email| email.address.domain() != "friend.example"),
            "{:?}",
            left.emails
        );
        assert_eq!(left.profile.website.as_deref(), Some("https://alice.globex.example"), "the twin");
    }
}
