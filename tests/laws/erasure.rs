//! What is left of a person whose account, or one of whose identities, was erased.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::{AccountStatus, Deletion, DeletionOutcome, EmailProof, Provenance};
use countersign::audit::{Actor, AuditEvent, AuditKind};
use countersign::clients::{Consent, SigningAlg};
use countersign::context::Timestamp;
use countersign::protocol::Scope;
use countersign::sessions::UpstreamName;
use countersign::sessions::notice::Party;
use countersign::store::StoreError;

laws!(
    of_an_erased_account_nothing_is_left_but_its_id,
    an_erasure_that_is_given_up_changes_nothing,
    an_erasure_and_a_sign_in_cannot_cross,
    what_an_identity_stands_behind_goes_with_it,
    a_session_is_forgotten_only_after_its_end,
    a_receipt_is_begun_once_and_expires,
);

const LATER: Timestamp = Timestamp(NOW.0 + 1);

/// Everything that can hang on an account, with a word in each text that names the person.
async fn everything(place: &Place) -> (countersign::store::Store, countersign::accounts::Account) {
    let store = place.store();
    let mut a = account();
    a.profile.name = Some("Erasmus Person".to_owned());
    let copy = a.clone();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.put_email(&a.id, &email("erasmus@globex.example", Some(EmailProof::Code), true))?;
        let mut link = identity(&a.id, "globex", "erasmus-there");
        link.label = Some("erasmus@globex.example".to_owned());
        tx.insert_identity(&link)?;
        tx.put_said(&link.id, &["email:erasmus@globex.example".to_owned()].into())?;
        tx.add_assignment(&a.id, &group("engineers", Provenance::Admin("root".to_owned())), NOW)?;
        for ended in [false, true] {
            let mut session = session(&a.id);
            for proof in &mut session.proofs {
                proof.upstream_session = Some("erasmus-session".to_owned());
                proof.upstream_name = Some(UpstreamName {
                    key: "erasmus-name".to_owned(),
                    written: "<NameID>erasmus-name</NameID>".to_owned(),
                });
            }
            tx.insert_session(&session, &digest())?;
            let mut granted = grant(&a.id);
            granted.session = session.id.clone();
            tx.insert_grant(&granted)?;
            tx.insert_code(&code(&granted))?;
            tx.insert_refresh(&refresh(&granted))?;
            tx.join_session(
                &session.id,
                &Party {
                    client: client(),
                    backchannel_uri: Some("https://app.test/out".to_owned()),
                    alg: SigningAlg::ES256,
                    sub: "the-app-knows-them-as-this".to_owned(),
                    sid: "s".to_owned(),
                },
            )?;
            if ended {
                tx.end_session(&session.id, NOW)?;
            }
        }
        tx.put_consent(&Consent {
            account: a.id.clone(),
            client: client(),
            scope: Scope::parse("openid").unwrap(),
            claims: Default::default(),
            given_at: NOW,
        })?;
        let event = AuditEvent::new(NOW, AuditKind::AccountCreated, Actor::Person(a.id.clone()));
        tx.append_audit(&event.account(&a.id))
    })
    .await
    .unwrap();
    (store, copy)
}

async fn of_an_erased_account_nothing_is_left_but_its_id(place: Place) {
    let (store, a) = everything(&place).await;
    let before = place.dump();
    let tables = |lines: &[String]| -> std::collections::BTreeSet<String> {
        let named = lines.iter().filter(|line| line.contains(a.id.as_str()) || line.contains("rasmus"));
        named.map(|line| line.split(':').next().unwrap().to_owned()).collect()
    };
    for table in ["accounts", "account_emails", "identities", "assignments", "sessions", "grants", "consents"]
    {
        assert!(tables(&before).contains(table), "the twin: {table} knew the person");
    }
    let id = a.id.clone();
    let bystander = account();
    let other = bystander.clone();
    write(&store, move |tx| {
        tx.insert_account(&other)?;
        tx.insert_identity(&identity(&other.id, "globex", "bystander"))?;
        tx.insert_session(&session(&other.id), &digest())?;
        tx.insert_grant(&grant(&other.id))?;
        assert!(tx.set_account_status(&id, AccountStatus::Deleted, LATER)?);
        Ok(())
    })
    .await
    .unwrap();
    let after = place.dump();
    assert!(!after.iter().any(|line| line.contains("rasmus")), "{after:#?}");
    let left: Vec<&str> = vec!["accounts", "audit_events", "logout_deliveries"];
    assert_eq!(
        tables(&after).iter().map(String::as_str).collect::<Vec<_>>(),
        left,
        "its bare id, and who is told"
    );
    for table in ["codes", "refresh_tokens"] {
        assert!(!after.iter().any(|line| line.starts_with(&format!("{table}:"))), "{table}");
    }
    let mut id = a.id.clone();
    read(&store, move |tx| {
        assert_eq!(tx.waiting_logouts()?, 2, "the app hears of both sessions");
        let tombstone = tx.account(&id)?.unwrap();
        assert_eq!((tombstone.status, tombstone.emails.len()), (AccountStatus::Deleted, 0));
        id = bystander.id;
        assert_eq!(
            (tx.sessions_of(&id)?.len(), tx.grants_of(&id)?.len(), tx.identities_of(&id)?.len()),
            (1, 1, 1)
        );
        Ok(())
    })
    .await
    .unwrap();
}

async fn an_erasure_that_is_given_up_changes_nothing(place: Place) {
    let (store, a) = everything(&place).await;
    let before = place.dump();
    let id = a.id.clone();
    let answer: Result<(), StoreError> = write(&store, move |tx| {
        tx.set_account_status(&id, AccountStatus::Deleted, LATER)?;
        Err(StoreError::Conflict("given up"))
    })
    .await;
    assert_eq!(answer, Err(StoreError::Conflict("given up")));
    assert_eq!(place.dump(), before);
}

async fn an_erasure_and_a_sign_in_cannot_cross(place: Place) {
    let store = place.store();
    for _ in 0..5 {
        let (a, _) = with_grant(&store).await;
        let id = a.id.clone();
        let answers = race(&store, move |tx, i| {
            if i == RACERS / 2 {
                tx.hold_account(&id)?;
                return tx.set_account_status(&id, AccountStatus::Deleted, LATER).map(|_| false);
            }
            let active = tx.hold_account(&id)? == Some(AccountStatus::Active);
            if active {
                tx.insert_session(&session(&id), &digest())?;
                tx.insert_grant(&grant(&id))?;
            }
            Ok(active)
        })
        .await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        read(&store, move |tx| {
            assert_eq!((tx.sessions_of(&a.id)?.len(), tx.grants_of(&a.id)?.len()), (0, 0), "outlived it");
            Ok(())
        })
        .await
        .unwrap();
    }
}

async fn what_an_identity_stands_behind_goes_with_it(place: Place) {
    let store = place.store();
    let a = account();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        let (one, two) = (identity(&a.id, "globex", "1"), identity(&a.id, "friendbook", "2"));
        tx.insert_identity(&one)?;
        tx.insert_identity(&two)?;
        let names = ["name".to_owned(), "email:alice@x.test".to_owned()].into();
        assert!(tx.put_said(&one.id, &names)?);
        let said = tx.said_of(&a.id)?;
        assert_eq!(said.get(&one.id), Some(&names));
        assert!(said.get(&two.id).is_some_and(|names| names.is_empty()));
        assert!(tx.bare_identity(&one.id)?);
        assert_eq!(tx.identity(&one.key)?.unwrap().label, None, "the key is left");
        assert!(tx.said_of(&a.id)?[&one.id].is_empty());
        tx.delete_identity(&one.id)?;
        assert_eq!(tx.said_of(&a.id)?.len(), 1);
        assert!(!tx.put_said(&one.id, &names)? && !tx.bare_identity(&one.id)?);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_session_is_forgotten_only_after_its_end(place: Place) {
    let store = place.store();
    let a = account();
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        let s = session(&a.id);
        tx.insert_session(&s, &digest())?;
        assert!(!tx.forget_session(&s.id)?, "its clients would never hear");
        tx.end_session(&s.id, LATER)?;
        assert!(tx.forget_session(&s.id)?);
        assert!(!tx.forget_session(&s.id)?);
        assert_eq!(tx.session(&s.id)?, None);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_receipt_is_begun_once_and_expires(place: Place) {
    let store = place.store();
    let d = digest();
    let receipt = Deletion {
        provider: provider("friendbook"),
        outcome: DeletionOutcome::Nothing,
        done_at: NOW,
        expires_at: NOW.plus(HOUR),
    };
    let (key, copy) = (d.clone(), receipt.clone());
    let answers = race(&store, move |tx, _| tx.insert_deletion(&key, &copy)).await;
    assert_eq!(count(&answers, |begun| *begun), 1);
    write(&store, move |tx| {
        assert_eq!(tx.deletion(&d, NOW)?, Some(receipt.clone()));
        for outcome in DeletionOutcome::ALL {
            assert!(tx.settle_deletion(&d, outcome)?);
            assert_eq!(tx.deletion(&d, NOW)?.unwrap().outcome, outcome);
        }
        assert!(!tx.settle_deletion(&digest(), DeletionOutcome::Link)?);
        assert_eq!(tx.deletion(&digest(), NOW)?, None);
        assert_eq!(tx.deletion(&d, receipt.expires_at)?, None, "its time is over");
        tx.sweep(receipt.expires_at.minus(std::time::Duration::from_millis(1)), 100)?;
        assert!(tx.deletion(&d, NOW)?.is_some());
        tx.sweep(receipt.expires_at, 100)?;
        assert_eq!(tx.deletion(&d, NOW)?, None);
        Ok(())
    })
    .await
    .unwrap();
}
