//! The end of a session: everything granted in it ends, and each client that wants to know is told once.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::{AccountStatus, IdentityKey};
use countersign::clients::{Grant, SigningAlg};
use countersign::context::Timestamp;
use countersign::ids::ClientId;
use countersign::sessions::notice::{Delivery, DeliveryState, Party};
use countersign::sessions::{Session, UpstreamName};
use countersign::store::{LOGOUTS_KEPT, Store};
use std::collections::BTreeMap;
use std::time::Duration;

laws!(
    of_fifty_who_end_a_session_one_tells_its_clients,
    a_client_that_parts_while_the_session_ends_is_told_once,
    every_door_ends_what_was_granted_and_tells,
    a_client_without_an_address_is_not_queued,
    a_second_code_replaces_what_was_noted,
    of_fifty_who_claim_a_delivery_one_gets_it,
    a_claim_is_a_lease,
    one_client_does_not_keep_another_from_being_seen,
    a_report_tells_what_came_of_it,
    what_came_of_it_is_forgotten_after_a_week,
    a_session_is_found_by_the_provider_s_own,
    a_session_is_found_by_the_provider_s_name_for_its_person,
);

const LATER: Timestamp = Timestamp(NOW.0 + 1);
const LEASE: Duration = Duration::from_secs(60);

fn id(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn party(name: &str) -> Party {
    Party {
        client: id(name),
        backchannel_uri: Some(format!("https://{name}.test/logout")),
        alg: SigningAlg::ES256,
        sub: format!("sub-at-{name}"),
        sid: format!("sid-at-{name}"),
    }
}

/// A stored session that two clients with a back channel and one without joined, and a grant in it.
async fn joined(store: &Store) -> (Session, Grant) {
    let account = account();
    let session = session(&account.id);
    let mut grant = grant(&account.id);
    grant.session = session.id.clone();
    let (s, g) = (session.clone(), grant.clone());
    write(store, move |tx| {
        tx.insert_account(&account)?;
        tx.insert_session(&s, &digest())?;
        tx.insert_grant(&g)?;
        tx.join_session(&s.id, &party("one"))?;
        tx.join_session(&s.id, &party("two"))?;
        tx.join_session(&s.id, &Party { backchannel_uri: None, ..party("front") })
    })
    .await
    .unwrap();
    (session, grant)
}

/// What is queued, by client.
async fn queued(store: &Store) -> BTreeMap<String, usize> {
    let all = write(store, |tx| {
        let mut all = BTreeMap::new();
        for client in ["one", "two", "front"] {
            let waiting = tx.logout_report(&id(client), 1000)?.troubles.len();
            all.insert(client.to_owned(), waiting);
        }
        Ok(all)
    });
    all.await.unwrap().into_iter().filter(|(_, count)| *count > 0).collect()
}

fn one_each() -> BTreeMap<String, usize> {
    [("one".to_owned(), 1), ("two".to_owned(), 1)].into()
}

async fn of_fifty_who_end_a_session_one_tells_its_clients(place: Place) {
    let store = place.store();
    let (session, grant) = joined(&store).await;
    let (by_account, by_id) = (session.account.clone(), session.id.clone());
    let answers = race(&store, move |tx, i| {
        // By both doors, and with clocks that differ.
        let now = NOW.plus(Duration::from_millis(i as u64));
        Ok(if i % 2 == 0 {
            tx.end_session(&by_id, now)?.map_or(0, |clients| clients.len())
        } else {
            tx.end_sessions_of(&by_account, now)? * 3
        })
    })
    .await;
    assert_eq!(count(&answers, |told| *told == 3), 1);
    assert_eq!(count(&answers, |told| *told == 0), RACERS - 1);
    assert_eq!(queued(&store).await, one_each());
    assert!(!read(&store, move |tx| tx.grant_live(&grant.id)).await.unwrap());
}

async fn a_client_that_parts_while_the_session_ends_is_told_once(place: Place) {
    let store = place.store();
    let (session, _) = joined(&store).await;
    let answers = race(&store, move |tx, i| {
        let now = NOW.plus(Duration::from_millis(i as u64));
        match i % 2 {
            0 => tx.part_client(&id("one"), now),
            _ => Ok(tx.end_session(&session.id, now)?.map_or(0, |_| 1)),
        }
    })
    .await;
    assert!(count(&answers, |_| true) == RACERS);
    assert_eq!(queued(&store).await, one_each());
}

async fn every_door_ends_what_was_granted_and_tells(place: Place) {
    let store = place.store();
    for door in 0..4 {
        let before = queued(&store).await;
        let (session, grant) = joined(&store).await;
        write(&store, move |tx| {
            match door {
                0 => assert_eq!(tx.end_session(&session.id, LATER)?.map(|c| c.len()), Some(3)),
                1 => assert_eq!(tx.end_sessions_of(&session.account, LATER)?, 1),
                2 => assert!(tx.end_everything(LATER)?.sessions > 0),
                _ => assert!(tx.set_account_status(&session.account, AccountStatus::Deleted, LATER)?),
            }
            assert_eq!(tx.end_session(&session.id, LATER)?, None);
            // of a removed account nothing is left that could go on
            let ended = (door < 3).then_some(Some(LATER));
            assert_eq!(tx.session(&session.id)?.map(|session| session.revoked_at), ended);
            assert_eq!(tx.grant(&grant.id)?.map(|grant| grant.revoked_at), ended);
            Ok(())
        })
        .await
        .unwrap();
        let after = queued(&store).await;
        for client in ["one", "two"] {
            let count = |all: &BTreeMap<String, usize>| all.get(client).copied().unwrap_or(0);
            assert_eq!(count(&after), count(&before) + 1, "door {door}");
        }
    }
    // Signing everybody out of one client leaves the session alone.
    let before = queued(&store).await;
    let (session, _) = joined(&store).await;
    write(&store, move |tx| {
        assert_eq!(tx.part_client(&id("one"), LATER)?, 1);
        assert_eq!(tx.part_client(&id("one"), LATER)?, 0);
        assert_eq!(tx.session(&session.id)?.unwrap().revoked_at, None);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(queued(&store).await.values().sum::<usize>(), before.values().sum::<usize>() + 1);
}

async fn a_client_without_an_address_is_not_queued(place: Place) {
    let store = place.store();
    let (session, _) = joined(&store).await;
    let told = write(&store, move |tx| tx.end_session(&session.id, LATER)).await.unwrap().unwrap();
    assert!(told.contains(&id("front")), "the browser is to load it");
    assert_eq!(queued(&store).await, one_each());
}

async fn a_second_code_replaces_what_was_noted(place: Place) {
    let store = place.store();
    let (session, _) = joined(&store).await;
    write(&store, move |tx| {
        let moved = Party {
            backchannel_uri: Some("https://moved.test/".to_owned()),
            alg: SigningAlg::RS256,
            ..party("one")
        };
        tx.join_session(&session.id, &moved)?;
        tx.end_session(&session.id, LATER)?;
        let told = tx.logout_report(&id("one"), 10)?.troubles;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].uri.as_str(), told[0].alg), ("https://moved.test/", SigningAlg::RS256));
        assert_eq!((told[0].sub.as_str(), told[0].sid.as_str()), ("sub-at-one", "sid-at-one"));
        assert_eq!(told[0].session, session.id);
        assert_eq!(told[0].account, session.account);
        Ok(())
    })
    .await
    .unwrap();
}

/// A store in which deliveries wait: one to each of two clients.
async fn waiting(store: &Store) {
    let (session, _) = joined(store).await;
    write(store, move |tx| tx.end_session(&session.id, NOW)).await.unwrap();
}

async fn of_fifty_who_claim_a_delivery_one_gets_it(place: Place) {
    let store = place.store();
    waiting(&store).await;
    let answers = race(&store, |tx, i| {
        // Nodes whose clocks differ.
        let now = NOW.plus(Duration::from_millis(i as u64));
        Ok(tx.claim_logouts(&id("one"), now, now.plus(LEASE), 4)?.len())
    })
    .await;
    assert_eq!(count(&answers, |claimed| *claimed == 1), 1);
    assert_eq!(count(&answers, |claimed| *claimed == 0), RACERS - 1);
}

async fn a_claim_is_a_lease(place: Place) {
    let store = place.store();
    waiting(&store).await;
    write(&store, |tx| {
        let lease = NOW.plus(LEASE);
        let claim = |tx: &mut countersign::store::Tx<'_>, now: Timestamp| {
            Ok::<_, countersign::store::StoreError>(
                tx.claim_logouts(&id("one"), now, now.plus(LEASE), 4)?.into_iter().next(),
            )
        };
        let first = claim(tx, NOW)?.unwrap();
        assert_eq!(claim(tx, Timestamp(lease.0 - 1))?, None, "it is held");
        let second = claim(tx, lease)?.unwrap();
        assert_eq!(second.id, first.id, "its holder died");
        let done = Delivery { state: DeliveryState::Delivered, last_at: Some(lease), attempts: 1, ..first };
        assert!(!tx.settle_logout(&done, lease)?, "the first has lost it");
        assert!(tx.settle_logout(&done, lease.plus(LEASE))?);
        assert!(!tx.settle_logout(&done, lease.plus(LEASE))?, "it is settled");
        assert_eq!(claim(tx, lease.plus(LEASE).plus(LEASE))?, None);
        Ok(())
    })
    .await
    .unwrap();
}

async fn one_client_does_not_keep_another_from_being_seen(place: Place) {
    let store = place.store();
    let a = account();
    let owner = a.clone();
    write(&store, move |tx| {
        tx.insert_account(&owner)?;
        for i in 0..60 {
            let s = session(&owner.id);
            tx.insert_session(&s, &digest())?;
            tx.join_session(&s.id, &party("one"))?;
            if i == 59 {
                tx.join_session(&s.id, &party("two"))?;
            }
            tx.end_session(&s.id, NOW.plus(Duration::from_millis(i)))?;
        }
        assert_eq!(tx.waiting_logouts()?, 61);
        let now = NOW.plus(HOUR);
        assert_eq!(tx.due_logouts(Timestamp(NOW.0 - 1), 10)?, []);
        assert_eq!(tx.due_logouts(now, 10)?, [id("one"), id("two")]);
        assert_eq!(tx.due_logouts(now, 1)?, [id("one")], "the longest first");
        assert_eq!(tx.claim_logouts(&id("one"), now, now.plus(LEASE), 4)?.len(), 4);
        assert_eq!(tx.claim_logouts(&id("two"), now, now.plus(LEASE), 4)?.len(), 1);
        assert_eq!(tx.due_logouts(now, 10)?, [id("one")]);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_report_tells_what_came_of_it(place: Place) {
    let store = place.store();
    for _ in 0..4 {
        waiting(&store).await;
    }
    write(&store, |tx| {
        let lease = NOW.plus(LEASE);
        let claimed = tx.claim_logouts(&id("one"), NOW, lease, 10)?;
        let states = [DeliveryState::Delivered, DeliveryState::Refused, DeliveryState::GivenUp];
        for (delivery, state) in claimed.into_iter().zip(states) {
            let settled = Delivery {
                state,
                attempts: 3,
                last_at: Some(LATER),
                answer: Some("HTTP 400: a\u{0}b".to_owned()),
                ..delivery
            };
            assert!(tx.settle_logout(&settled, lease)?);
        }
        let report = tx.logout_report(&id("one"), 10)?;
        assert_eq!(report.counts, DeliveryState::ALL.map(|state| (state, 1)).into());
        assert_eq!(report.last_delivered_at, Some(LATER));
        assert_eq!(report.troubles.len(), 3);
        let refused = report.troubles.iter().find(|d| d.state == DeliveryState::Refused).unwrap();
        assert_eq!((refused.attempts, refused.answer.as_deref()), (3, Some("HTTP 400: ab")));
        assert_eq!(tx.logout_report(&id("one"), 1)?.troubles.len(), 1);
        assert_eq!(tx.logout_report(&id("nobody"), 10)?, Default::default());
        Ok(())
    })
    .await
    .unwrap();
}

async fn what_came_of_it_is_forgotten_after_a_week(place: Place) {
    let store = place.store();
    waiting(&store).await;
    let (open, _) = joined(&store).await;
    write(&store, move |tx| {
        let end = NOW.plus(LOGOUTS_KEPT);
        tx.sweep(Timestamp(end.0 - 1), 100)?;
        assert_eq!(tx.waiting_logouts()?, 2);
        tx.sweep(end, 100)?;
        assert_eq!(tx.waiting_logouts()?, 0);
        // The session ran out long ago and was swept with its clients: nothing is told.
        assert_eq!(tx.session(&open.id)?, None);
        assert_eq!(tx.part_client(&id("one"), end)?, 0);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_session_is_found_by_the_provider_s_name_for_its_person(place: Place) {
    fn named(key: &str) -> Option<UpstreamName> {
        Some(UpstreamName { key: key.to_owned(), written: format!("written {key}") })
    }
    let store = place.store();
    write(&store, |tx| {
        let a = account();
        tx.insert_account(&a)?;
        let (mut s, secret) = (session(&a.id), digest());
        s.proofs[0].upstream_name = named("alice");
        tx.insert_session(&s, &secret)?;
        tx.insert_session(&session(&a.id), &digest())?;
        let by = |tx: &mut countersign::store::Tx<'_>, at: &str, name: &str| {
            tx.sessions_by_upstream_name(&provider(at), name)
        };
        assert_eq!(by(tx, "globex", "alice")?, [s.clone()]);
        assert_eq!(by(tx, "other", "alice")?, []);
        assert_eq!(by(tx, "globex", "Alice")?, []);
        assert_eq!(tx.sessions_by_upstream(&provider("globex"), "alice")?, [], "a name is no session");
        // A later proof by another provider changes nothing: each can open an application.
        let key: IdentityKey = identity(&a.id, "other", "2").key;
        let mut later = proof(&identity(&a.id, key.provider.as_str(), "2"));
        later.auth_time = LATER;
        let proofs = [s.proofs.clone(), vec![later]].concat();
        assert!(tx.renew_session(&s.id, &secret, &digest(), &proofs, s.expires_at, LATER)?);
        assert_eq!(by(tx, "globex", "alice")?.len(), 1);
        assert_eq!(by(tx, "other", "alice")?, []);
        let (mut ended, secret) = (session(&a.id), digest());
        ended.proofs[0].upstream_name = named("bob");
        tx.insert_session(&ended, &secret)?;
        tx.end_session(&ended.id, LATER)?;
        assert_eq!(by(tx, "globex", "bob")?, []);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_session_is_found_by_the_provider_s_own(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let a = account();
        tx.insert_account(&a)?;
        let (mut s, secret) = (session(&a.id), digest());
        s.proofs[0].upstream_session = Some("their-sid".to_owned());
        tx.insert_session(&s, &secret)?;
        tx.insert_session(&session(&a.id), &digest())?;
        let by = |tx: &mut countersign::store::Tx<'_>, at: &str, sid: &str| {
            tx.sessions_by_upstream(&provider(at), sid)
        };
        assert_eq!(by(tx, "globex", "their-sid")?, [s.clone()]);
        assert_eq!(by(tx, "other", "their-sid")?, []);
        assert_eq!(by(tx, "globex", "another")?, []);
        // A later proof by another provider changes nothing: each can open an application.
        let key: IdentityKey = identity(&a.id, "other", "2").key;
        let mut later = proof(&identity(&a.id, key.provider.as_str(), "2"));
        later.auth_time = LATER;
        let proofs = [s.proofs.clone(), vec![later]].concat();
        let renewed = digest();
        assert!(tx.renew_session(&s.id, &secret, &renewed, &proofs, s.expires_at, LATER)?);
        assert_eq!(by(tx, "globex", "their-sid")?.len(), 1);
        // What is proved no more stands behind nothing.
        assert!(tx.renew_session(&s.id, &renewed, &digest(), &proofs[1..], s.expires_at, LATER)?);
        assert_eq!(by(tx, "globex", "their-sid")?, []);
        let (mut ended, secret) = (session(&a.id), digest());
        ended.proofs[0].upstream_session = Some("ended".to_owned());
        tx.insert_session(&ended, &secret)?;
        tx.end_session(&ended.id, LATER)?;
        assert_eq!(by(tx, "globex", "ended")?, []);
        Ok(())
    })
    .await
    .unwrap();
}
