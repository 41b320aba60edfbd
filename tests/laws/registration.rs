//! Clients that registered themselves, and the tokens that allow it.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::clients::dynamic::{Registered, RegistrationToken};
use countersign::context::Timestamp;
use countersign::ids::ClientId;
use countersign::store::{REMOVAL_KEPT, RegistrationRecord, StoreError};
use std::time::Duration;

laws!(
    every_change_is_seen_once_and_in_order,
    removals_are_told_for_a_while,
    a_token_has_no_more_uses_than_it_was_given,
    registrations_at_once_have_numbers_of_their_own,
    unused_ones_are_found_and_used_ones_are_not,
);

fn record(id: &str, at: Timestamp) -> RegistrationRecord {
    let client = serde_json::json!({
        "id": id, "name": id, "auth_methods": ["client_secret_basic"], "secret_hashes": [],
        "redirect_uris": ["https://rp.test/cb"], "post_logout_redirect_uris": [], "origins": [],
        "grant_types": ["authorization_code"], "scope": "openid", "resources": [], "first_party": false,
        "require_pkce": true, "id_token_alg": "RS256", "access_token_alg": "RS256", "claims_in_id_token": false,
        "assignments": [], "access_token_lifetime": null, "refresh_token_lifetime": null,
        "default_provider": null, "providers": [], "home_uri": null, "disabled": false, "origin": "registered",
    });
    RegistrationRecord {
        registered: Registered {
            client: serde_json::from_value(client).unwrap(),
            application_type: Default::default(),
            software_id: None,
            software_version: None,
            narrowing: Default::default(),
            issued_at: at,
        },
        access: digest(),
        source: "192.0.2.0/24".to_owned(),
        token: None,
        used_at: None,
    }
}

fn named(id: &str) -> ClientId {
    id.parse().unwrap()
}

async fn every_change_is_seen_once_and_in_order(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        assert_eq!((tx.registered_version()?, tx.registered_changes(0)?.len()), (0, 0));
        let mut one = record("one", NOW);
        for (id, version) in [("one", 1), ("two", 2)] {
            assert_eq!(tx.next_registered_version()?, version);
            let record = if id == "one" { one.clone() } else { record(id, NOW) };
            tx.insert_registration(&record, version)?;
        }
        assert_eq!(tx.insert_registration(&one, 3), Err(StoreError::Conflict("client")));
        let mut ids = |after| -> Result<Vec<String>, StoreError> {
            Ok(tx.registered_changes(after)?.into_iter().map(|change| change.id.to_string()).collect())
        };
        assert_eq!(
            (ids(0)?, ids(1)?, ids(2)?),
            (vec!["one".into(), "two".into()], vec!["two".into()], vec![])
        );
        one.registered.client.name = "changed".to_owned();
        let version = tx.next_registered_version()?;
        assert!(tx.put_registration(&one.registered, version)?);
        let changes = tx.registered_changes(2)?;
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].record.as_ref(), Some(&one));
        assert_eq!(tx.registration(&named("one"))?, Some(one.clone()));
        assert_eq!(tx.count_registrations()?, 2);
        assert_eq!(tx.count_registrations_from("192.0.2.0/24", NOW.minus(Duration::from_secs(1)))?, 2);
        assert_eq!(tx.count_registrations_from("192.0.2.0/24", NOW)?, 0);
        assert_eq!(tx.count_registrations_from("198.51.100.0/24", Timestamp(0))?, 0);
        assert_eq!(tx.clients()?, Vec::new(), "they are apart from the others");
        Ok(())
    })
    .await
    .unwrap();
}

async fn removals_are_told_for_a_while(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let version = tx.next_registered_version()?;
        let one = record("one", NOW);
        tx.insert_registration(&one, version)?;
        let version = tx.next_registered_version()?;
        assert!(tx.remove_registration(&named("one"), NOW, version)?);
        assert!(!tx.remove_registration(&named("one"), NOW, version)?, "once");
        assert!(!tx.put_registration(&one.registered, version)?, "it does not come back");
        assert_eq!(tx.registration(&named("one"))?, None);
        assert_eq!((tx.count_registrations()?, tx.registrations()?.len()), (0, 0));
        let changes = tx.registered_changes(version - 1)?;
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].record, None);
        tx.sweep(NOW.plus(REMOVAL_KEPT).minus(Duration::from_secs(1)), 100)?;
        assert_eq!(tx.registered_changes(0)?.len(), 1);
        tx.sweep(NOW.plus(REMOVAL_KEPT), 100)?;
        assert_eq!(tx.registered_changes(0)?.len(), 0);
        Ok(())
    })
    .await
    .unwrap();
}

fn token(id: &str, uses_left: Option<u32>) -> RegistrationToken {
    RegistrationToken {
        id: id.to_owned(),
        note: "a test".to_owned(),
        narrowing: Default::default(),
        uses_left,
        created_by: "ann".to_owned(),
        created_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(60)),
        revoked_at: None,
    }
}

async fn a_token_has_no_more_uses_than_it_was_given(place: Place) {
    let store = place.store();
    let (three, any) = (digest(), digest());
    let (stored_three, stored_any) = (three.clone(), any.clone());
    write(&store, move |tx| {
        tx.insert_registration_token(&token("three", Some(3)), &stored_three)?;
        tx.insert_registration_token(&token("any", None), &stored_any)
    })
    .await
    .unwrap();
    let tries: Vec<_> = (0..50)
        .map(|_| {
            let (store, three) = (store.clone(), three.clone());
            tokio::spawn(async move { write(&store, move |tx| tx.use_registration_token(&three, NOW)).await })
        })
        .collect();
    let mut answers = Vec::new();
    for one in tries {
        answers.push(one.await.unwrap());
    }
    assert_eq!(count(&answers, |taken| *taken), 3, "{answers:?}");
    write(&store, move |tx| {
        assert_eq!(tx.registration_token(&three)?.unwrap().uses_left, Some(0));
        assert!(!tx.registration_token(&three)?.unwrap().is_usable(NOW));
        for _ in 0..5 {
            assert!(tx.use_registration_token(&any, NOW)?);
        }
        let end = NOW.plus(Duration::from_secs(60));
        assert!(!tx.use_registration_token(&any, end)?, "over");
        assert!(!tx.registration_token(&any)?.unwrap().is_usable(end));
        assert!(tx.revoke_registration_token("any", NOW)?);
        assert!(!tx.revoke_registration_token("any", NOW)?);
        assert!(!tx.use_registration_token(&any, NOW)?, "revoked");
        assert!(!tx.use_registration_token(&digest(), NOW)?, "unknown");
        assert_eq!(tx.registration_tokens()?.len(), 2);
        tx.sweep(end.plus(REMOVAL_KEPT), 100)?;
        assert_eq!(tx.registration_tokens()?.len(), 0);
        Ok(())
    })
    .await
    .unwrap();
}

async fn registrations_at_once_have_numbers_of_their_own(place: Place) {
    let store = place.store();
    let tries: Vec<_> = (0..30)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                write(&store, move |tx| {
                    let version = tx.next_registered_version()?;
                    // a cap, as the house counts it
                    if tx.count_registrations()? >= 20 {
                        return Ok(false);
                    }
                    tx.insert_registration(&record(&format!("client-{i}"), NOW), version)?;
                    Ok(true)
                })
                .await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for one in tries {
        answers.push(one.await.unwrap());
    }
    assert_eq!(count(&answers, |made| *made), 20, "{answers:?}");
    let seen = read(&store, |tx| tx.registered_changes(0)).await.unwrap();
    assert_eq!(seen.len(), 20);
}

async fn unused_ones_are_found_and_used_ones_are_not(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        for (id, at) in [("old", NOW), ("used", NOW), ("new", NOW.plus(Duration::from_secs(10)))] {
            let version = tx.next_registered_version()?;
            tx.insert_registration(&record(id, at), version)?;
        }
        let version = tx.registered_version()?;
        tx.mark_registration_used(&named("used"), NOW)?;
        tx.mark_registration_used(&named("used"), NOW.plus(Duration::from_secs(5)))?;
        assert_eq!(tx.registration(&named("used"))?.unwrap().used_at, Some(NOW), "the first time");
        assert_eq!(tx.registered_version()?, version, "others need not know");
        assert_eq!(tx.unused_registrations(NOW, 10)?, [named("old")]);
        Ok(())
    })
    .await
    .unwrap();
}
