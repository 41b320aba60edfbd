//! What was answered is there; what failed left nothing; nobody else suffers.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::EmailProof;
use countersign::audit::{Actor, AuditEvent, AuditKind};
use countersign::store::{Store, StoreError};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;

laws!(
    what_is_answered_is_there_after_reopening,
    a_failed_closure_leaves_nothing,
    a_panic_leaves_nothing_and_harms_nobody,
    transactions_that_wait_together_fail_alone,
    a_broken_rule_undoes_its_statement_alone,
    a_reader_cannot_write,
    a_reader_sees_one_state,
    a_read_sees_what_was_answered_before,
    too_many_waiting_are_refused_at_once,
    the_last_store_finishes_what_it_was_asked,
    an_event_is_committed_with_its_change,
    what_cannot_be_read_is_an_error_and_not_a_guess,
    a_connection_that_was_cut_is_made_anew,
    an_error_of_the_database_cannot_be_hidden,
);

async fn exists(store: &Store, account: &countersign::accounts::Account) -> bool {
    let id = account.id.clone();
    read(store, move |tx| tx.account(&id)).await.unwrap().is_some()
}

async fn what_is_answered_is_there_after_reopening(place: Place) {
    let store = place.store();
    let mut kept = account();
    kept.emails = vec![
        email("Alice@Globex.example", Some(EmailProof::Provider(provider("globex"))), true),
        email("a@friendbook.example", None, false),
    ];
    let copy = kept.clone();
    write(&store, move |tx| tx.insert_account(&copy)).await.unwrap();
    drop(store);
    let store = place.open();
    let id = kept.id.clone();
    assert_eq!(read(&store, move |tx| tx.account(&id)).await.unwrap(), Some(kept));
}

async fn a_failed_closure_leaves_nothing(place: Place) {
    let store = place.store();
    let account = account();
    let copy = account.clone();
    let answer: Result<(), StoreError> = write(&store, move |tx| {
        tx.insert_account(&copy)?;
        tx.insert_identity(&identity(&copy.id, "globex", "1"))?;
        Err(StoreError::Conflict("given up"))
    })
    .await;
    assert_eq!(answer, Err(StoreError::Conflict("given up")));
    assert!(!exists(&store, &account).await);
    let key = identity(&account.id, "globex", "1").key;
    assert_eq!(read(&store, move |tx| tx.identity(&key)).await.unwrap(), None);
}

async fn a_panic_leaves_nothing_and_harms_nobody(place: Place) {
    let store = place.store();
    for _ in 0..10 {
        let account = account();
        let copy = account.clone();
        let answer: Result<(), StoreError> = write(&store, move |tx| {
            tx.insert_account(&copy)?;
            panic!("as a test")
        })
        .await;
        assert!(matches!(answer, Err(StoreError::Broken(_))), "{answer:?}");
        assert!(!exists(&store, &account).await);
        let answer: Result<(), StoreError> = read(&store, |_| panic!("as a test")).await;
        assert!(matches!(answer, Err(StoreError::Broken(_))), "{answer:?}");
    }
    let account = account();
    let copy = account.clone();
    write(&store, move |tx| tx.insert_account(&copy)).await.unwrap();
    assert!(exists(&store, &account).await);
}

/// Sends the closure off without waiting for its answer.
async fn send<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send>>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Keeps every thread that writes busy until the answer is dropped.
async fn occupy(store: &Store) -> (mpsc::Sender<()>, Vec<tokio::task::JoinHandle<Result<(), StoreError>>>) {
    let (release, wait) = mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let mut busy = Vec::new();
    for _ in 0..writers(store) {
        let (wait, store) = (wait.clone(), store.clone());
        let (began, begun) = tokio::sync::oneshot::channel();
        busy.push(tokio::spawn(async move {
            write(&store, move |_| {
                let _ = began.send(());
                let _ = wait.lock().unwrap().recv();
                Ok(())
            })
            .await
        }));
        begun.await.unwrap();
    }
    (release, busy)
}

async fn transactions_that_wait_together_fail_alone(place: Place) {
    let store = place.store();
    let (release, busy) = occupy(&store).await;
    let accounts: Vec<_> = (0..40).map(|_| account()).collect();
    let mut waiting = Vec::new();
    for (i, account) in accounts.iter().enumerate() {
        let (store, account) = (store.clone(), account.clone());
        let mut future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            write(&store, move |tx| {
                tx.insert_account(&account)?;
                match i % 4 {
                    1 => Err(StoreError::Conflict("given up")),
                    2 => panic!("as a test"),
                    _ => Ok(()),
                }
            })
            .await
        });
        send(&mut future).await;
        waiting.push(future);
    }
    drop(release);
    for (i, future) in waiting.into_iter().enumerate() {
        let answer = future.await;
        match i % 4 {
            1 => assert_eq!(answer, Err(StoreError::Conflict("given up"))),
            2 => assert!(matches!(answer, Err(StoreError::Broken(_)))),
            _ => assert_eq!(answer, Ok(())),
        }
        assert_eq!(exists(&store, &accounts[i]).await, answer.is_ok(), "{i}");
    }
    for task in busy {
        task.await.unwrap().unwrap();
    }
}

async fn a_broken_rule_undoes_its_statement_alone(place: Place) {
    let store = place.store();
    let (first, second) = (account(), account());
    let (a, b) = (first.clone(), second.clone());
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.put_email(&a.id, &email("x@x.test", Some(EmailProof::Code), true))?;
        tx.insert_account(&b)?;
        tx.put_email(&b.id, &email("old@x.test", None, true))?;
        // all of the failed method is undone, the change of the primary address too
        let taken = tx.put_email(&b.id, &email("x@x.test", Some(EmailProof::Code), true));
        assert_eq!(taken, Err(StoreError::Conflict("email_proved")));
        let taken = tx.replace_emails(&b.id, &[email("x@x.test", Some(EmailProof::Code), true)]);
        assert_eq!(taken, Err(StoreError::Conflict("email_proved")));
        let mut third = account();
        third.emails = vec![email("x@x.test", Some(EmailProof::Code), true)];
        assert_eq!(tx.insert_account(&third), Err(StoreError::Conflict("email_proved")));
        assert_eq!(tx.account(&third.id)?, None);
        assert_eq!(tx.insert_account(&a), Err(StoreError::Conflict("account")));
        Ok(())
    })
    .await
    .unwrap();
    let id = second.id.clone();
    let kept = read(&store, move |tx| tx.account(&id)).await.unwrap().unwrap();
    assert_eq!(kept.emails, [email("old@x.test", None, true)]);
}

async fn a_reader_cannot_write(place: Place) {
    let store = place.store();
    let account = account();
    let copy = account.clone();
    let answer = read(&store, move |tx| tx.insert_account(&copy)).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    // even if it hides the error
    let copy = account.clone();
    let answer = read(&store, move |tx| {
        let _ = tx.insert_account(&copy);
        Ok(())
    })
    .await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(!exists(&store, &account).await);
}

async fn a_reader_sees_one_state(place: Place) {
    let store = place.store();
    let (go, wait) = mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            read(&store, move |tx| {
                let before = tx.config_version()?;
                let _ = began.send(());
                let _ = wait.recv();
                Ok((before, tx.config_version()?))
            })
            .await
        }
    });
    begun.await.unwrap();
    write(&store, |tx| tx.bump_config_version()).await.unwrap();
    drop(go);
    let (before, after) = reader.await.unwrap().unwrap();
    assert_eq!(before, after);
    assert_eq!(read(&store, |tx| tx.config_version()).await.unwrap(), before + 1);
}

async fn a_read_sees_what_was_answered_before(place: Place) {
    let store = place.store();
    for _ in 0..50 {
        let account = account();
        let copy = account.clone();
        write(&store, move |tx| tx.insert_account(&copy)).await.unwrap();
        assert!(exists(&store, &account).await);
    }
}

async fn too_many_waiting_are_refused_at_once(place: Place) {
    let store = place.store();
    let (release, busy) = occupy(&store).await;
    let mut refused = false;
    let mut waiting = Vec::new();
    for _ in 0..5000 {
        let store = store.clone();
        let mut future: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { write(&store, |_| Ok(())).await });
        let answer = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        match answer {
            Poll::Pending => waiting.push(future),
            Poll::Ready(answer) => {
                assert!(matches!(answer, Err(StoreError::Unavailable(_))));
                refused = true;
                break;
            }
        }
    }
    assert!(refused, "the queue has no end");
    drop(release);
    for future in waiting {
        // each is answered, either way
        assert!(matches!(future.await, Ok(()) | Err(StoreError::Unavailable(_))));
    }
    for task in busy {
        task.await.unwrap().unwrap();
    }
    write(&store, |_| Ok(())).await.unwrap();
}

async fn the_last_store_finishes_what_it_was_asked(place: Place) {
    let store = place.store();
    let accounts: Vec<_> = (0..20).map(|_| account()).collect();
    for account in &accounts {
        let (store, account) = (store.clone(), account.clone());
        let mut future: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { write(&store, move |tx| tx.insert_account(&account)).await });
        // sent, and nobody waits for the answer
        let _ = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    }
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
    if place.is_sqlite() {
        // the last connection to go folds the log into the file: all threads have ended
        assert!(!place.file().with_extension("db-wal").exists());
    }
    let store = place.open();
    for account in &accounts {
        assert!(exists(&store, account).await);
    }
}

async fn an_event_is_committed_with_its_change(place: Place) {
    let store = place.store();
    let (kept, lost) = (account(), account());
    let event = |of: &countersign::accounts::Account| {
        AuditEvent::new(NOW, AuditKind::AccountCreated, Actor::System)
            .account(&of.id)
            .provider(&provider("globex"))
            .client(&client())
            .reason("test")
            .reference(&ids().reference_id())
            .data(serde_json::json!({ "a": [1, null, "\u{0}"] }))
    };
    let (told, untold) = (event(&kept), event(&lost));
    let (a, e) = (kept.clone(), told.clone());
    write(&store, move |tx| {
        tx.insert_account(&a)?;
        tx.append_audit(&e)
    })
    .await
    .unwrap();
    let b = lost.clone();
    let _: Result<(), _> = write(&store, move |tx| {
        tx.insert_account(&b)?;
        tx.append_audit(&untold)?;
        Err(StoreError::Conflict("given up"))
    })
    .await;
    let reference = told.reference.clone().unwrap();
    let (of_kept, of_lost, all, found) = read(&store, move |tx| {
        Ok((
            tx.audit_of(&kept.id, None, 10)?,
            tx.audit_of(&lost.id, None, 10)?,
            tx.audit(None, 10)?,
            tx.audit_by_reference(&reference)?,
        ))
    })
    .await
    .unwrap();
    assert_eq!(of_kept.iter().map(|r| &r.event).collect::<Vec<_>>(), [&told]);
    assert_eq!(of_lost, []);
    assert_eq!(all, of_kept);
    assert_eq!(found, of_kept);
}

async fn what_cannot_be_read_is_an_error_and_not_a_guess(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    place.tamper("UPDATE accounts SET profile = 'no json'; UPDATE grants SET resources = '{'");
    let id = a.id.clone();
    let answer = read(&store, move |tx| tx.account(&id)).await;
    assert_eq!(answer, Err(StoreError::Corrupt("accounts.profile".to_owned())));
    let id = g.id.clone();
    let answer = read(&store, move |tx| tx.grant(&id)).await;
    assert_eq!(answer, Err(StoreError::Corrupt("grants.resources".to_owned())));
    // the connection is as good as before
    assert_eq!(read(&store, move |tx| tx.grant_live(&g.id)).await, Ok(true));
}

async fn a_connection_that_was_cut_is_made_anew(place: Place) {
    let store = place.store();
    let (a, _) = with_grant(&store).await;
    if place.is_sqlite() {
        return;
    }
    place.tamper(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    for _ in 0..20 {
        let id = a.id.clone();
        assert!(write(&store, move |tx| tx.hold_account(&id)).await.unwrap().is_some());
    }
    // cut in the middle: this one fails, the next does not
    let answer = write(&store, |tx| {
        tx.bump_config_version()?;
        Ok(tx.config_version())
    })
    .await;
    assert!(answer.is_ok());
    let (began, wait) = tokio::sync::oneshot::channel();
    let (go, cut) = mpsc::channel::<()>();
    let id = a.id.clone();
    let task = tokio::spawn({
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                tx.bump_config_version()?;
                let _ = began.send(());
                let _ = cut.recv();
                tx.hold_account(&id)
            })
            .await
        }
    });
    wait.await.unwrap();
    place.tamper(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    drop(go);
    assert!(matches!(task.await.unwrap(), Err(StoreError::Unavailable(_))));
    for _ in 0..20 {
        let id = a.id.clone();
        assert!(write(&store, move |tx| tx.hold_account(&id)).await.unwrap().is_some());
    }
    assert_eq!(read(&store, |tx| tx.config_version()).await.unwrap(), 1, "the one that was cut left nothing");
}

async fn an_error_of_the_database_cannot_be_hidden(place: Place) {
    let store = place.store();
    let account = account();
    let copy = account.clone();
    place.tamper("DROP TABLE counters");
    let answer = write(&store, move |tx| {
        tx.insert_account(&copy)?;
        let _ = tx.bump_config_version();
        // from here on nothing works and nothing counts
        assert!(tx.account(&copy.id).is_err());
        Ok(())
    })
    .await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(!exists(&store, &account).await);
}
