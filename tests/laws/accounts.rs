//! Accounts, addresses, identities and assignments.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::{AccountEmail, AccountStatus, EmailProof, Profile, Provenance};
use countersign::clients::Consent;
use countersign::context::Timestamp;
use countersign::ids::ProviderId;
use countersign::protocol::Scope;
use countersign::store::StoreError;

laws!(
    an_address_is_proved_for_one_account_only,
    a_claimed_address_may_be_held_by_many,
    whoever_had_proved_an_address_is_not_hidden_by_those_who_claim_it,
    a_new_primary_address_takes_the_place_of_the_old,
    an_identity_is_found_by_its_whole_key,
    an_identity_is_touched_and_taken_away,
    a_key_that_one_database_could_not_store_is_refused_by_both,
    assignments_differ_by_provenance,
    a_deleted_account_leaves_a_tombstone,
    status_changes_once,
    a_suspension_and_a_sign_in_cannot_cross,
    accounts_are_listed_by_pages_and_filter,
    hostile_text_is_kept_as_it_is,
    nothing_hangs_on_an_account_that_does_not_exist,
);

const LATER: Timestamp = Timestamp(NOW.0 + 1);

async fn an_address_is_proved_for_one_account_only(place: Place) {
    let store = place.store();
    let (a, b) = (account(), account());
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.insert_account(&b)?;
        tx.put_email(&a.id, &email("alice@globex.example", Some(EmailProof::Code), true))?;
        // another spelling is the same address
        let proved = email("ALICE@Globex.Example", Some(EmailProof::Provider(provider("globex"))), true);
        assert_eq!(tx.put_email(&b.id, &proved), Err(StoreError::Conflict("email_proved")));
        assert_eq!(tx.accounts_by_proved_email("alice@globex.example")?, std::slice::from_ref(&a.id));
        // once the first lets go of it, the second may prove it
        tx.put_email(&a.id, &email("alice@globex.example", None, true))?;
        tx.put_email(&b.id, &proved)?;
        assert_eq!(tx.accounts_by_proved_email("alice@globex.example")?, std::slice::from_ref(&b.id));
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_claimed_address_may_be_held_by_many(place: Place) {
    let store = place.store();
    let (a, b) = (account(), account());
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.insert_account(&b)?;
        tx.put_email(&a.id, &email("alice@globex.example", Some(EmailProof::Code), true))?;
        tx.put_email(&b.id, &email("alice@globex.example", None, true))?;
        let mut expected = vec![(a.id.clone(), true), (b.id.clone(), false)];
        expected.sort_by(|x, y| x.0.cmp(&y.0));
        let mut found = tx.accounts_by_email("alice@globex.example")?;
        found.sort_by(|x, y| x.0.cmp(&y.0));
        assert_eq!(found, expected);
        assert_eq!(tx.accounts_by_email("nobody@globex.example")?, []);
        Ok(())
    })
    .await
    .unwrap();
}

async fn whoever_had_proved_an_address_is_not_hidden_by_those_who_claim_it(place: Place) {
    let store = place.store();
    write(&store, move |tx| {
        let globex: ProviderId = "globex".parse().unwrap();
        let proofs = [Some(EmailProof::Provider(globex.clone())), None, None, None, None, None];
        let mut known = Vec::new();
        for (i, proof) in proofs.into_iter().enumerate() {
            let a = account();
            tx.insert_account(&a)?;
            let lapsed = (i == 1).then(|| globex.clone());
            let held = AccountEmail { lapsed, ..email("alice@globex.example", proof, true) };
            tx.put_email(&a.id, &held)?;
            assert_eq!(tx.account(&a.id)?.unwrap().emails, std::slice::from_ref(&held));
            tx.replace_emails(&a.id, std::slice::from_ref(&held))?;
            assert_eq!(tx.account(&a.id)?.unwrap().emails, std::slice::from_ref(&held));
            if i < 2 {
                known.push((a.id, held));
            }
        }
        known.sort_by(|x, y| x.0.cmp(&y.0));
        let found = tx.holders_of_email("alice@globex.example", 2)?;
        assert_eq!(found.len(), 4);
        assert_eq!(found[..2], known);
        assert!(found[2..].iter().all(|(_, held)| held.proof.is_none() && held.lapsed.is_none()));
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_new_primary_address_takes_the_place_of_the_old(place: Place) {
    let store = place.store();
    let a = account();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.put_email(&a.id, &email("a@x.test", None, true))?;
        tx.put_email(&a.id, &email("z@x.test", None, true))?;
        let kept = tx.account(&a.id)?.unwrap();
        assert_eq!(kept.emails, [email("z@x.test", None, true), email("a@x.test", None, false)]);
        tx.replace_emails(&a.id, &[email("b@x.test", None, false)])?;
        assert_eq!(tx.account(&a.id)?.unwrap().emails, [email("b@x.test", None, false)]);
        tx.replace_emails(&a.id, &[])?;
        assert_eq!(tx.account(&a.id)?.unwrap().emails, []);
        Ok(())
    })
    .await
    .unwrap();
}

async fn an_identity_is_found_by_its_whole_key(place: Place) {
    let store = place.store();
    let (a, b) = (account(), account());
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.insert_account(&b)?;
        let first = identity(&a.id, "globex", "1");
        tx.insert_identity(&first)?;
        // each part of the key alone makes another identity
        for change in 0..4 {
            let mut other = identity(&b.id, "globex", "1");
            match change {
                0 => other.key.provider = provider("friendbook"),
                1 => other.key.issuer = "https://elsewhere.test".to_owned(),
                2 => other.key.subject = "2".to_owned(),
                _ => other.key.format = "persistent".to_owned(),
            }
            assert_eq!(tx.identity(&other.key)?, None);
            tx.insert_identity(&other)?;
            assert_eq!(tx.identity(&other.key)?, Some(other));
        }
        // case matters
        let mut shouted = first.key.clone();
        shouted.issuer = shouted.issuer.to_uppercase();
        assert_eq!(tx.identity(&shouted)?, None);
        assert_eq!(tx.identity(&first.key)?, Some(first.clone()));
        assert_eq!(tx.identities_of(&a.id)?, [first]);
        assert_eq!(tx.identities_of(&b.id)?.len(), 4);
        Ok(())
    })
    .await
    .unwrap();
}

async fn an_identity_is_touched_and_taken_away(place: Place) {
    let store = place.store();
    let a = account();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        let link = identity(&a.id, "globex", "1");
        tx.insert_identity(&link)?;
        assert!(tx.touch_identity(&link.id, Some("alice@globex.example"), LATER)?);
        let touched = tx.identity(&link.key)?.unwrap();
        assert_eq!(touched.label.as_deref(), Some("alice@globex.example"));
        assert_eq!((touched.linked_at, touched.last_used_at), (NOW, LATER));
        assert!(tx.delete_identity(&link.id)?);
        assert!(!tx.delete_identity(&link.id)?);
        assert!(!tx.touch_identity(&link.id, None, LATER)?);
        assert_eq!(tx.identity(&link.key)?, None);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_key_that_one_database_could_not_store_is_refused_by_both(place: Place) {
    let store = place.store();
    let a = account();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        // random text, which the database cannot shorten by compressing it
        let long: String = (0..40).map(|_| ids().secret_text()).collect();
        tx.insert_identity(&identity(&a.id, "globex", &long))?;
        for subject in [format!("{long}{long}"), "a\0b".to_owned()] {
            let link = identity(&a.id, "globex", &subject);
            assert_eq!(tx.insert_identity(&link), Err(StoreError::Conflict("identity_key")));
            assert_eq!(tx.identity(&link.key)?, None);
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn assignments_differ_by_provenance(place: Place) {
    let store = place.store();
    let a = account();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        let by = |p: &str, rule: &str| Provenance::Provider { provider: provider(p), rule: rule.to_owned() };
        let mut all = vec![
            group("engineers", by("globex", "1")),
            group("engineers", by("globex", "2")),
            group("engineers", by("friendbook", "1")),
            group("engineers", Provenance::Configuration),
            group("engineers", Provenance::Admin("root".to_owned())),
            group("engineers", Provenance::Admin("globex".to_owned())),
        ];
        all.sort();
        for assignment in &all {
            assert!(tx.add_assignment(&a.id, assignment, NOW)?);
            assert!(!tx.add_assignment(&a.id, assignment, LATER)?, "there already");
        }
        assert_eq!(tx.assignments_of(&a.id)?, all);
        let gone = all.remove(2);
        assert!(tx.remove_assignment(&a.id, &gone)?);
        assert!(!tx.remove_assignment(&a.id, &gone)?);
        assert_eq!(tx.assignments_of(&a.id)?, all);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_deleted_account_leaves_a_tombstone(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    write(&store, move |tx| {
        let (link, session, secret) = (identity(&a.id, "globex", "1"), session(&a.id), digest());
        tx.put_email(&a.id, &email("alice@globex.example", Some(EmailProof::Code), true))?;
        tx.insert_identity(&link)?;
        tx.add_assignment(&a.id, &group("engineers", Provenance::Configuration), NOW)?;
        tx.insert_session(&session, &secret)?;
        let consent = Consent {
            account: a.id.clone(),
            client: client(),
            scope: Scope::empty(),
            claims: Default::default(),
            given_at: NOW,
        };
        tx.put_consent(&consent)?;
        assert!(tx.grant_live(&g.id)?);

        assert!(tx.set_account_status(&a.id, AccountStatus::Deleted, LATER)?);
        let left = tx.account(&a.id)?.unwrap();
        assert_eq!(left.status, AccountStatus::Deleted);
        assert_eq!((left.profile, left.emails), (Profile::default(), vec![]));
        assert_eq!(tx.identity(&link.key)?, None);
        assert_eq!(tx.assignments_of(&a.id)?, []);
        assert_eq!(tx.consent(&a.id, &client())?, None);
        assert_eq!(tx.accounts_by_email("alice@globex.example")?, []);
        assert_eq!(tx.session_by_secret(&secret)?, None);
        assert_eq!(tx.grant(&g.id)?, None);
        assert!(!tx.grant_live(&g.id)?);
        assert_eq!(tx.list_accounts("", None, 10)?, []);

        // it is final, and the id is used up
        for status in [AccountStatus::Active, AccountStatus::Suspended, AccountStatus::Deleted] {
            assert!(!tx.set_account_status(&a.id, status, LATER)?);
        }
        assert!(!tx.update_profile(&a.id, &a.profile, LATER)?);
        assert_eq!(tx.insert_account(&a), Err(StoreError::Conflict("account")));
        Ok(())
    })
    .await
    .unwrap();
}

async fn status_changes_once(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    let id = a.id.clone();
    let answers =
        race(&store, move |tx, _| tx.set_account_status(&id, AccountStatus::Suspended, LATER)).await;
    assert_eq!(count(&answers, |changed| *changed), 1);
    write(&store, move |tx| {
        assert_eq!(tx.hold_account(&a.id)?, Some(AccountStatus::Suspended));
        assert!(!tx.grant_live(&g.id)?, "a suspended account's tokens do not work");
        assert!(tx.set_account_status(&a.id, AccountStatus::Active, LATER)?);
        assert!(tx.grant_live(&g.id)?);
        assert!(!tx.set_account_status(&ids().account_id(), AccountStatus::Active, LATER)?);
        assert_eq!(tx.hold_account(&ids().account_id())?, None);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_suspension_and_a_sign_in_cannot_cross(place: Place) {
    let store = place.store();
    for _ in 0..5 {
        let (a, _) = with_grant(&store).await;
        let id = a.id.clone();
        let answers = race(&store, move |tx, i| {
            if i == RACERS / 2 {
                tx.set_account_status(&id, AccountStatus::Suspended, LATER)?;
                tx.end_sessions_of(&id, LATER)?;
                return Ok(false);
            }
            let active = tx.hold_account(&id)? == Some(AccountStatus::Active);
            if active {
                tx.insert_session(&session(&id), &digest())?;
            }
            Ok(active)
        })
        .await;
        let signed_in = count(&answers, |active| *active);
        let sessions = read(&store, move |tx| tx.sessions_of(&a.id)).await.unwrap();
        assert_eq!(sessions.len(), signed_in);
        assert!(sessions.iter().all(|s| s.revoked_at.is_some()), "a session outlived the suspension");
    }
}

async fn accounts_are_listed_by_pages_and_filter(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let mut all = Vec::new();
        for i in 0..7 {
            let mut one = account();
            one.profile.name = Some(format!("Përson {i} 100%"));
            one.emails =
                vec![email(&format!("b{i}@x.test"), None, true), email(&format!("a{i}@x.test"), None, false)];
            tx.insert_account(&one)?;
            all.push(one);
        }
        all.sort_by(|x, y| x.id.cmp(&y.id));
        let mut seen = Vec::new();
        loop {
            let after = seen.last().map(|a: &countersign::accounts::Account| a.id.clone());
            let page = tx.list_accounts("", after.as_ref(), 3)?;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 3);
            seen.extend(page);
        }
        assert_eq!(seen, all);
        let found = |tx: &mut countersign::store::Tx<'_>, filter: &str| {
            tx.list_accounts(filter, None, 100).map(|f| f.len())
        };
        assert_eq!(found(tx, "PËRSON 3")?, 1, "names, whatever their case");
        assert_eq!(found(tx, "A4@X")?, 1, "addresses");
        assert_eq!(found(tx, &all[2].id.as_str().to_uppercase())?, 1, "ids");
        assert_eq!(found(tx, "100%")?, 7);
        for nothing in ["100_", "%3%", "\\", "name", "'; DROP TABLE accounts; --", "\0x"] {
            assert_eq!(found(tx, nothing)?, 0, "{nothing:?}");
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn hostile_text_is_kept_as_it_is(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        for text in ["'; DROP TABLE accounts; --", "\u{202e}abc", "🦀", "\u{0}", "a\u{0}b", "", "\\' \" %s"]
        {
            let mut a = account();
            a.profile.name = Some(text.to_owned());
            tx.insert_account(&a)?;
            assert_eq!(tx.account(&a.id)?, Some(a.clone()), "{text:?}");
            assert!(tx.update_profile(&a.id, &a.profile, NOW)?);
            let mut link = identity(&a.id, "globex", &format!("{}-{}", a.id, text.replace('\0', "")));
            link.label = Some(text.to_owned());
            tx.insert_identity(&link)?;
            let label = tx.identity(&link.key)?.unwrap().label.unwrap();
            assert_eq!(label, text.replace('\0', ""));
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn nothing_hangs_on_an_account_that_does_not_exist(place: Place) {
    let store = place.store();
    let nobody = ids().account_id();
    let refused = Err(StoreError::Conflict("reference"));
    let id = nobody.clone();
    assert_eq!(write(&store, move |tx| tx.insert_identity(&identity(&id, "globex", "1"))).await, refused);
    let id = nobody.clone();
    assert_eq!(write(&store, move |tx| tx.insert_session(&session(&id), &digest())).await, refused);
    let id = nobody.clone();
    assert_eq!(write(&store, move |tx| tx.insert_grant(&grant(&id))).await, refused);
    let id = nobody.clone();
    assert_eq!(write(&store, move |tx| tx.put_email(&id, &email("a@x.test", None, true))).await, refused);
    let id = nobody.clone();
    assert_eq!(write(&store, move |tx| tx.insert_code(&code(&grant(&id)))).await, refused);
    let answer = write(&store, move |tx| {
        tx.add_assignment(&nobody, &group("engineers", Provenance::Configuration), NOW)
    })
    .await;
    assert_eq!(answer, Err(StoreError::Conflict("reference")));
}
