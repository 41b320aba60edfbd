//! Whatever works once works for exactly one of fifty who try at once, and is remembered past its end.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::{EmailProof, Invitation};
use countersign::context::Timestamp;
use countersign::store::{CodeOutcome, REMEMBERED, StoreError, Turn, Tx};
use std::time::Duration;

laws!(
    oauth_code_is_redeemed_by_one_of_fifty,
    refresh_token_is_rotated_by_one_of_fifty,
    a_thing_is_used_once_by_one_of_fifty,
    an_invitation_lets_in_one_of_fifty,
    a_pushed_request_is_used_by_one_of_fifty,
    a_session_is_renewed_by_one_of_fifty,
    an_address_is_proved_by_one_of_fifty,
    an_identity_is_linked_by_one_of_fifty,
    a_first_start_is_decided_by_one_of_fifty,
    a_consumption_that_is_rolled_back_did_not_happen,
    a_code_tells_expired_from_replayed_from_unknown,
    consumption_is_remembered_past_expiry,
    what_has_expired_is_not_consumed,
    the_purpose_is_part_of_what_is_used_once,
    a_mark_is_never_shortened,
    of_two_marks_at_once_the_later_stays,
    a_mark_is_set_before_or_after_those_who_look,
);

async fn oauth_code_is_redeemed_by_one_of_fifty(place: Place) {
    let store = place.store();
    let (_, grant) = with_grant(&store).await;
    let code = code(&grant);
    let digest = code.digest.clone();
    write(&store, move |tx| tx.insert_code(&code)).await.unwrap();
    let answers = race(&store, move |tx, _| tx.consume_code(&digest, NOW)).await;
    assert_eq!(count(&answers, |o| matches!(o, CodeOutcome::Fresh(_))), 1);
    assert_eq!(count(&answers, |o| matches!(o, CodeOutcome::Replayed(_))), RACERS - 1);
}

async fn refresh_token_is_rotated_by_one_of_fifty(place: Place) {
    let store = place.store();
    let (_, grant) = with_grant(&store).await;
    let token = refresh(&grant);
    let first = token.digest.clone();
    write(&store, move |tx| tx.insert_refresh(&token)).await.unwrap();
    let successors: Vec<_> = (0..RACERS).map(|_| refresh(&grant)).collect();
    let (old, all) = (first.clone(), successors.clone());
    let answers = race(&store, move |tx, i| {
        let won = tx.rotate_refresh(&old, &all[i].digest, Some(b"sealed"), NOW)?;
        if won {
            tx.insert_refresh(&all[i])?;
        }
        Ok(won)
    })
    .await;
    assert_eq!(count(&answers, |won| *won), 1);
    let winner = answers.iter().position(|a| *a == Ok(true)).unwrap();
    let token = read(&store, move |tx| tx.refresh(&first)).await.unwrap().unwrap();
    assert_eq!(token.used_at, Some(NOW));
    assert_eq!(token.successor.as_ref(), Some(&successors[winner].digest));
    assert_eq!(token.sealed_successor.as_deref(), Some(b"sealed".as_slice()));
    // the losers' successors do not exist
    for (i, successor) in successors.into_iter().enumerate() {
        let found = read(&store, move |tx| tx.refresh(&successor.digest)).await.unwrap();
        assert_eq!(found.is_some(), i == winner);
    }
}

async fn a_thing_is_used_once_by_one_of_fifty(place: Place) {
    let store = place.store();
    let thing = digest();
    let answers = race(&store, move |tx, _| tx.use_once("state", &thing, NOW.plus(HOUR))).await;
    assert_eq!(count(&answers, |won| *won), 1);
}

async fn a_pushed_request_is_used_by_one_of_fifty(place: Place) {
    let store = place.store();
    let made = pushed(&client(), "192.0.2.0/24");
    let (digest, kept) = (made.digest.clone(), made.clone());
    write(&store, move |tx| tx.insert_pushed(&kept, BOUNDS, NOW)).await.unwrap();
    let look = made.digest.clone();
    assert_eq!(
        read(&store, move |tx| tx.pushed(&look, NOW)).await.unwrap(),
        Some(made),
        "as often as wanted"
    );
    let answers = race(&store, move |tx, _| tx.consume_pushed(&digest, NOW.plus(HOUR))).await;
    assert_eq!(count(&answers, |won| *won), 1);
    let gone = made_again(&store).await;
    let outcome = write(&store, move |tx| {
        assert!(tx.consume_pushed(&gone.digest, NOW.plus(HOUR))?);
        assert_eq!(tx.pushed(&gone.digest, NOW)?, None, "used");
        tx.consume_pushed(&gone.digest, NOW.plus(HOUR))
    })
    .await;
    assert_eq!(outcome, Ok(false));
}

/// Another pushed request, kept.
async fn made_again(store: &countersign::store::Store) -> countersign::tokens::PushedRecord {
    let made = pushed(&client(), "192.0.2.0/24");
    let kept = made.clone();
    write(store, move |tx| tx.insert_pushed(&kept, BOUNDS, NOW)).await.unwrap();
    made
}

fn invitation() -> Invitation {
    Invitation {
        digest: digest(),
        provider: Some(provider("globex")),
        email: Some(email("bob@globex.example", None, false).address),
        groups: ["engineers".parse().unwrap()].into(),
        created_by: "root".to_owned(),
        created_at: NOW,
        expires_at: NOW.plus(HOUR),
        used_at: None,
    }
}

async fn an_invitation_lets_in_one_of_fifty(place: Place) {
    let store = place.store();
    let made = invitation();
    let (digest, kept) = (made.digest.clone(), made.clone());
    write(&store, move |tx| tx.insert_invitation(&kept)).await.unwrap();
    let answers = race(&store, move |tx, _| tx.consume_invitation(&digest, NOW)).await;
    assert_eq!(count(&answers, Option::is_some), 1);
    let used = answers.into_iter().find_map(|a| a.unwrap()).unwrap();
    assert_eq!(used, Invitation { used_at: Some(NOW), ..made });
}

async fn a_session_is_renewed_by_one_of_fifty(place: Place) {
    let store = place.store();
    let account = account();
    let session = session(&account.id);
    let (id, old) = (session.id.clone(), digest());
    let secret = old.clone();
    write(&store, move |tx| {
        tx.insert_account(&account)?;
        tx.insert_session(&session, &secret)
    })
    .await
    .unwrap();
    let renewed: Vec<_> = (0..RACERS).map(|_| digest()).collect();
    let (all, current) = (renewed.clone(), old.clone());
    let answers =
        race(&store, move |tx, i| tx.renew_session(&id, &current, &all[i], &[], NOW.plus(HOUR), NOW)).await;
    assert_eq!(count(&answers, |won| *won), 1);
    let winner = answers.iter().position(|a| *a == Ok(true)).unwrap();
    assert_eq!(read(&store, move |tx| tx.session_by_secret(&old)).await.unwrap(), None, "the old cookie");
    for (i, secret) in renewed.into_iter().enumerate() {
        let found = read(&store, move |tx| tx.session_by_secret(&secret)).await.unwrap();
        assert_eq!(found.is_some(), i == winner);
    }
}

async fn an_address_is_proved_by_one_of_fifty(place: Place) {
    let store = place.store();
    let accounts: Vec<_> = (0..RACERS).map(|_| account()).collect();
    let all = accounts.clone();
    write(&store, move |tx| all.iter().try_for_each(|a| tx.insert_account(a))).await.unwrap();
    let answers = race(&store, move |tx, i| {
        tx.put_email(&accounts[i].id, &email("Alice@globex.example", Some(EmailProof::Code), true))
    })
    .await;
    assert_eq!(count(&answers, |()| true), 1);
    assert!(answers.iter().all(|a| matches!(a, Ok(()) | Err(StoreError::Conflict("email_proved")))));
    let holders = read(&store, |tx| tx.accounts_by_proved_email("alice@globex.example")).await.unwrap();
    assert_eq!(holders.len(), 1);
}

async fn an_identity_is_linked_by_one_of_fifty(place: Place) {
    let store = place.store();
    let accounts: Vec<_> = (0..RACERS).map(|_| account()).collect();
    let all = accounts.clone();
    // as at a first sign-in: the account is made in the same transaction
    let answers = race(&store, move |tx, i| {
        tx.insert_account(&all[i])?;
        tx.insert_identity(&identity(&all[i].id, "globex", "subject-1"))
    })
    .await;
    assert_eq!(count(&answers, |()| true), 1);
    assert!(answers.iter().all(|a| matches!(a, Ok(()) | Err(StoreError::Conflict("identity")))));
    let listed = read(&store, |tx| tx.list_accounts("", None, 100)).await.unwrap();
    assert_eq!(listed.len(), 1, "the losers left no account behind");
    let winner = answers.iter().position(Result::is_ok).unwrap();
    assert_eq!(listed[0].id, accounts[winner].id);
}

async fn a_first_start_is_decided_by_one_of_fifty(place: Place) {
    let store = place.store();
    let answers = race(&store, |tx, i| tx.init_meta("issuer", &format!("https://{i}.test"))).await;
    let first = answers[0].clone().unwrap();
    assert!(answers.iter().all(|a| a.as_ref() == Ok(&first)), "{answers:?}");
}

async fn a_consumption_that_is_rolled_back_did_not_happen(place: Place) {
    let store = place.store();
    let (_, grant) = with_grant(&store).await;
    let code = code(&grant);
    let (digest, thing) = (code.digest.clone(), digest());
    write(&store, move |tx| tx.insert_code(&code)).await.unwrap();
    let (d, t) = (digest.clone(), thing.clone());
    let answer = write(&store, move |tx| -> Result<(), _> {
        assert!(matches!(tx.consume_code(&d, NOW)?, CodeOutcome::Fresh(_)));
        assert!(tx.use_once("state", &t, NOW.plus(HOUR))?);
        Err(StoreError::Conflict("given up"))
    })
    .await;
    assert_eq!(answer, Err(StoreError::Conflict("given up")));
    let (d, t) = (digest, thing);
    let (again, once) =
        write(&store, move |tx| Ok((tx.consume_code(&d, NOW)?, tx.use_once("state", &t, NOW)?)))
            .await
            .unwrap();
    assert!(matches!(again, CodeOutcome::Fresh(_)));
    assert!(once);
}

async fn a_code_tells_expired_from_replayed_from_unknown(place: Place) {
    let store = place.store();
    let (_, grant) = with_grant(&store).await;
    let (used, late) = (code(&grant), code(&grant));
    let (u, l) = (used.clone(), late.clone());
    write(&store, move |tx| {
        tx.insert_code(&u)?;
        tx.insert_code(&l)
    })
    .await
    .unwrap();
    let at_end = late.expires_at;
    let (u, l) = (used.digest.clone(), late.digest.clone());
    let outcomes = write(&store, move |tx| {
        Ok([
            tx.consume_code(&u, NOW)?,
            tx.consume_code(&u, NOW)?,
            tx.consume_code(&l, at_end)?,
            tx.consume_code(&digest(), NOW)?,
        ])
    })
    .await
    .unwrap();
    let mut spent = used;
    spent.used_at = Some(NOW);
    assert_eq!(
        outcomes,
        [
            CodeOutcome::Fresh(spent.clone()),
            CodeOutcome::Replayed(spent),
            CodeOutcome::Expired(late),
            CodeOutcome::Unknown,
        ]
    );
}

async fn consumption_is_remembered_past_expiry(place: Place) {
    let store = place.store();
    let (_, grant) = with_grant(&store).await;
    let (code, token) = (code(&grant), refresh(&grant));
    let (c, t) = (code.digest.clone(), token.digest.clone());
    let later = code.expires_at.plus(REMEMBERED).minus(Duration::from_millis(1));
    let outcome = write(&store, move |tx| {
        tx.insert_code(&code)?;
        tx.insert_refresh(&token)?;
        tx.consume_code(&c, NOW)?;
        tx.rotate_refresh(&t, &digest(), None, NOW)?;
        assert!(tx.use_once("assertion", &c, NOW.plus(HOUR))?);
        tx.sweep(NOW.plus(HOUR).minus(Duration::from_millis(1)), 100)?;
        assert!(!tx.use_once("assertion", &c, NOW.plus(HOUR))?, "used once, within its time");
        tx.sweep(later, 100)?;
        assert!(tx.refresh(&t)?.is_some_and(|t| t.used_at.is_some()));
        tx.consume_code(&c, later)
    })
    .await
    .unwrap();
    assert!(matches!(outcome, CodeOutcome::Replayed(_)), "{outcome:?}");
}

async fn what_has_expired_is_not_consumed(place: Place) {
    let store = place.store();
    let (account, grant) = with_grant(&store).await;
    let (token, invited, session) = (refresh(&grant), invitation(), session(&account.id));
    let end = NOW.plus(HOUR);
    let before = Timestamp(end.0 - 1);
    write(&store, move |tx| {
        let secret = digest();
        tx.insert_refresh(&token)?;
        tx.insert_invitation(&invited)?;
        tx.insert_session(&session, &secret)?;
        assert!(!tx.rotate_refresh(&token.digest, &digest(), None, end)?);
        assert_eq!(tx.consume_invitation(&invited.digest, end)?, None);
        assert!(!tx.renew_session(&session.id, &secret, &digest(), &[], session.expires_at, end)?);
        let waiting = pushed(&client(), "192.0.2.0/24");
        tx.insert_pushed(&waiting, BOUNDS, NOW)?;
        assert_eq!(tx.pushed(&waiting.digest, waiting.expires_at)?, None);
        assert!(tx.pushed(&waiting.digest, Timestamp(waiting.expires_at.0 - 1))?.is_some());
        // the valid twins, a millisecond before
        assert!(tx.rotate_refresh(&token.digest, &digest(), None, before)?);
        assert!(tx.consume_invitation(&invited.digest, before)?.is_some());
        assert!(tx.renew_session(&session.id, &secret, &digest(), &[], session.expires_at, before)?);
        Ok(())
    })
    .await
    .unwrap();
}

async fn the_purpose_is_part_of_what_is_used_once(place: Place) {
    let store = place.store();
    let thing = digest();
    write(&store, move |tx| {
        assert!(tx.use_once("state", &thing, NOW)?);
        assert!(tx.use_once("nonce", &thing, NOW)?);
        assert!(!tx.use_once("state", &thing, NOW)?);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_mark_is_never_shortened(place: Place) {
    let store = place.store();
    let thing = digest();
    let hours = |n: u64| NOW.plus(HOUR * u32::try_from(n).unwrap());
    let seen = write(&store, move |tx| {
        let mut seen = vec![tx.remembered_until("ended", &thing, NOW)?];
        for n in [2, 1, 2, 3] {
            tx.remember_until("ended", &thing, hours(n))?;
            seen.push(tx.remembered_until("ended", &thing, NOW)?);
        }
        assert!(tx.is_used("ended", &thing, Timestamp(hours(3).0 - 1))?);
        assert_eq!(tx.remembered_until("ended", &thing, hours(3))?, None, "over");
        assert_eq!(tx.remembered_until("begun", &thing, NOW)?, None, "another purpose");
        Ok(seen)
    })
    .await
    .unwrap();
    assert_eq!(seen, [None, Some(hours(2)), Some(hours(2)), Some(hours(2)), Some(hours(3))]);
}

/// One has written and not committed when the other comes, which cannot see it.
async fn of_two_marks_at_once_the_later_stays(place: Place) {
    let store = place.store();
    let place = std::sync::Arc::new(place);
    for (first, second) in [(2, 1), (1, 2)] {
        let thing = digest();
        let (written, seen) = std::sync::mpsc::channel();
        let (one, two) = (thing.clone(), thing.clone());
        let watched = place.clone();
        let (earlier, later) = (store.clone(), store.clone());
        let holds = tokio::spawn(async move {
            write(&earlier, move |tx| {
                tx.remember_until("ended", &one, NOW.plus(HOUR * first))?;
                written.send(()).unwrap();
                // SQLite lets nobody else write meanwhile.
                while !watched.is_sqlite() && !watched.somebody_waits() {
                    std::thread::yield_now();
                }
                Ok(())
            })
            .await
        });
        tokio::task::spawn_blocking(move || seen.recv()).await.unwrap().unwrap();
        let comes = write(&later, move |tx| tx.remember_until("ended", &two, NOW.plus(HOUR * second))).await;
        assert_eq!((holds.await.unwrap(), comes), (Ok(()), Ok(())));
        let kept = read(&store, move |tx| tx.remembered_until("ended", &thing, NOW)).await.unwrap();
        assert_eq!(kept, Some(NOW.plus(HOUR * 2)));
    }
}

/// Two transactions at once: one looks for a mark and writes, one sets the mark and looks for what was written.
async fn a_mark_is_set_before_or_after_those_who_look(place: Place) {
    const HELD: Duration = Duration::from_millis(300);
    let store = place.store();
    for looks_first in [true, false] {
        let [mark, written] = [digest(), digest()];
        let until = NOW.plus(HOUR);
        let (began, begun) = tokio::sync::oneshot::channel();
        let (mut began, mut hold) = (Some(began), Some(HELD));
        // Whoever comes first dallies, with what it looked for already known.
        let mut dally = move || {
            if let Some(began) = began.take() {
                let _ = began.send(());
            }
            std::thread::sleep(hold.take().unwrap_or_default());
        };
        let (m, w) = (mark.clone(), written.clone());
        let looks = move |tx: &mut Tx<'_>, dally: &mut dyn FnMut()| {
            tx.take_turn(&[w.clone(), m.clone()], Turn::Together)?;
            let ended = tx.is_used("mark", &m, NOW)?;
            dally();
            if !ended {
                tx.use_once("written", &w, until)?;
            }
            Ok::<_, StoreError>(ended)
        };
        let sets = move |tx: &mut Tx<'_>, dally: &mut dyn FnMut()| {
            tx.take_turn(std::slice::from_ref(&mark), Turn::Alone)?;
            tx.remember_until("mark", &mark, until)?;
            dally();
            tx.is_used("written", &written, NOW)
        };
        let (ended, found) = if looks_first {
            tokio::join!(write(&store, move |tx| looks(tx, &mut dally)), async {
                begun.await.unwrap();
                write(&store, move |tx| sets(tx, &mut || ())).await
            })
        } else {
            let (found, ended) = tokio::join!(write(&store, move |tx| sets(tx, &mut dally)), async {
                begun.await.unwrap();
                write(&store, move |tx| looks(tx, &mut || ())).await
            });
            (ended, found)
        };
        assert_eq!(
            (ended.unwrap(), found.unwrap()),
            (!looks_first, looks_first),
            "one of them saw the other"
        );
    }
}
