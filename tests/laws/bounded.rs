//! What strangers can cause stays bounded, and what has served its time goes; nothing else does.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::audit::Refusal;
use countersign::context::Timestamp;
use countersign::store::{Bounds, GRANT_KEPT, NewCode, Pushed, REMEMBERED, Swept};
use countersign::tokens::handle::Digest;
use countersign::upstream::Step;
use std::time::Duration;

laws!(
    repeated_refusals_are_one_row,
    the_ring_of_refusals_is_bounded,
    one_source_cannot_push_the_others_out,
    a_refusal_reads_back_whole,
    a_sweep_removes_what_has_served_its_time,
    a_sweep_never_removes_what_lives,
    a_session_is_found_as_long_as_what_was_granted_in_it_lives,
    a_sweep_goes_by_batches,
    pushed_requests_are_bounded_by_client_and_by_source,
    a_code_has_its_tries_and_is_used_once,
    a_sign_in_has_its_codes_and_a_new_one_replaces_the_last,
    an_allowance_is_spent_given_back_and_comes_again,
);

fn mailed(sign_in: &str, mac: &str) -> NewCode {
    NewCode {
        sign_in: Digest::of(sign_in),
        mac: mac.to_owned(),
        ends_at: NOW.plus(Duration::from_secs(600)),
        expires_at: NOW.plus(Duration::from_secs(900)),
    }
}

async fn a_code_has_its_tries_and_is_used_once(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let (one, two) = (Digest::of("one"), Digest::of("two"));
        assert_eq!(tx.try_email_code(&one, 5, NOW)?, None, "there is none");
        assert!(tx.put_email_code(&mailed("one", "aa"), 5)?);
        assert!(tx.put_email_code(&mailed("two", "bb"), 5)?);
        for left in (0..5).rev() {
            assert_eq!(tx.try_email_code(&one, 5, NOW)?, Some(("aa".to_owned(), left)));
        }
        assert_eq!(tx.try_email_code(&one, 5, NOW)?, None, "no try is left");
        assert_eq!(tx.try_email_code(&two, 5, NOW)?, Some(("bb".to_owned(), 4)), "each has its own");
        assert!(!tx.use_email_code(&two, "aa")?, "that is another one");
        assert!(tx.use_email_code(&two, "bb")?);
        assert!(!tx.use_email_code(&two, "bb")?, "once");
        assert_eq!(tx.try_email_code(&two, 5, NOW)?, None, "it was used");
        assert!(tx.put_email_code(&mailed("three", "cc"), 5)?);
        let (three, end) = (Digest::of("three"), NOW.plus(Duration::from_secs(600)));
        assert!(tx.try_email_code(&three, 5, Timestamp(end.0 - 1))?.is_some());
        assert_eq!(tx.try_email_code(&three, 5, end)?, None, "it has ended");
        Ok(())
    })
    .await
    .unwrap();
    // Of many who try at once each takes one try, and no more than there are.
    write(&store, |tx| tx.put_email_code(&mailed("raced", "dd"), 5)).await.unwrap();
    let tries = (0..100).map(|_| {
        let store = &store;
        async move { write(store, |tx| tx.try_email_code(&Digest::of("raced"), 5, NOW)).await.unwrap() }
    });
    let taken = futures_util::future::join_all(tries).await;
    let mut left: Vec<u32> = taken.into_iter().flatten().map(|(_, left)| left).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4]);
}

async fn a_sign_in_has_its_codes_and_a_new_one_replaces_the_last(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let one = Digest::of("one");
        for mac in ["a", "b", "c"] {
            assert!(tx.put_email_code(&mailed("one", mac), 3)?);
            assert_eq!(tx.try_email_code(&one, 5, NOW)?, Some((mac.to_owned(), 4)), "all tries ahead");
        }
        assert!(!tx.put_email_code(&mailed("one", "d"), 3)?);
        assert_eq!(tx.try_email_code(&one, 5, NOW)?, Some(("c".to_owned(), 3)), "the last one works on");
        // One that could not be sent neither works nor counts.
        assert!(!tx.withdraw_email_code(&one, "b")?);
        assert!(tx.withdraw_email_code(&one, "c")?);
        assert_eq!(tx.try_email_code(&one, 5, NOW)?, None);
        assert!(tx.put_email_code(&mailed("one", "e"), 3)?);
        assert!(!tx.put_email_code(&mailed("one", "f"), 3)?);
        let over = NOW.plus(Duration::from_secs(900));
        assert_eq!(tx.sweep(Timestamp(over.0 - 1), 100)?.rows, 0, "counted while the sign-in may go on");
        assert_eq!(tx.sweep(over, 100)?.rows, 1);
        Ok(())
    })
    .await
    .unwrap();
}

async fn an_allowance_is_spent_given_back_and_comes_again(place: Place) {
    let store = place.store();
    let hour = Duration::from_secs(3600);
    write(&store, move |tx| {
        let (ann, ben) = (Digest::of("ann"), Digest::of("ben"));
        assert!(tx.spend("mail", &ann, 2, hour, NOW)?);
        assert!(tx.spend("mail", &ann, 2, hour, Timestamp(NOW.0 + 1))?);
        assert!(!tx.spend("mail", &ann, 2, hour, Timestamp(NOW.0 + 2))?);
        assert!(tx.spend("mail", &ben, 2, hour, NOW)?, "each has its own");
        assert!(tx.spend("other", &ann, 2, hour, NOW)?, "and so has each purpose");
        tx.give_back("mail", &ann)?;
        assert!(tx.spend("mail", &ann, 2, hour, NOW)?);
        assert!(!tx.spend("mail", &ann, 2, hour, NOW)?);
        let later = NOW.plus(hour);
        assert!(!tx.spend("mail", &ann, 2, hour, Timestamp(later.0 - 1))?);
        assert!(tx.spend("mail", &ann, 2, hour, later)?, "an hour after the first");
        assert!(tx.spend("mail", &ann, 2, hour, later)?);
        assert!(!tx.spend("mail", &ann, 2, hour, later)?);
        assert_eq!(tx.sweep(later, 100)?.rows, 2, "those that are over");
        Ok(())
    })
    .await
    .unwrap();
    let spends = (0..50).map(|_| {
        let store = &store;
        async move {
            write(store, move |tx| tx.spend("raced", &Digest::of("x"), 7, hour, NOW)).await.unwrap()
        }
    });
    let spent = futures_util::future::join_all(spends).await;
    assert_eq!(spent.into_iter().filter(|may| *may).count(), 7);
}

async fn pushed_requests_are_bounded_by_client_and_by_source(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let (one, other) = (client(), "other-app".parse().unwrap());
        let bounds = Bounds { client: 5, source: 3 };
        let mut put = |client, source: &str, now| tx.insert_pushed(&pushed(client, source), bounds, now);
        for _ in 0..3 {
            assert_eq!(put(&one, "192.0.2.0/24", NOW)?, Pushed::Kept);
        }
        assert_eq!(put(&one, "192.0.2.0/24", NOW)?, Pushed::SourceFull);
        assert_eq!(put(&other, "192.0.2.0/24", NOW)?, Pushed::SourceFull, "whichever client it names");
        for _ in 0..2 {
            assert_eq!(put(&one, "198.51.100.0/24", NOW)?, Pushed::Kept);
        }
        assert_eq!(put(&one, "198.51.100.0/24", NOW)?, Pushed::ClientFull);
        assert_eq!(put(&other, "198.51.100.0/24", NOW)?, Pushed::Kept, "the other client has room");
        // Those that are over do not count, and a sweep removes them.
        let over = NOW.plus(Duration::from_secs(90));
        assert_eq!(tx.sweep(Timestamp(over.0 - 1), 100)?.rows, 0);
        assert_eq!(tx.sweep(over, 100)?.rows, 6);
        assert_eq!(tx.insert_pushed(&pushed(&one, "192.0.2.0/24"), bounds, over)?, Pushed::Kept);
        Ok(())
    })
    .await
    .unwrap();
}

fn refusal(source: &str, reason: &str, at: Timestamp) -> Refusal {
    Refusal {
        reference: ids().reference_id(),
        at,
        source: source.to_owned(),
        reason: reason.to_owned(),
        provider: Some(provider("globex")),
        client: None,
        expected: None,
        received: None,
        steps: Vec::new(),
        note: "a test".to_owned(),
    }
}

async fn repeated_refusals_are_one_row(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let first = refusal("192.0.2.0/24", "flow.browser", NOW);
        assert_eq!(tx.put_refusal(&first, 1000)?, first.reference);
        for i in 1..200 {
            let again = refusal("192.0.2.0/24", "flow.browser", Timestamp(NOW.0 + i));
            assert_eq!(tx.put_refusal(&again, 1000)?, first.reference, "the reference that can be looked up");
            assert_eq!(tx.refusal(&again.reference)?, None);
        }
        let kept = tx.refusal(&first.reference)?.unwrap();
        assert_eq!((kept.times, kept.last_at), (200, Timestamp(NOW.0 + 199)));
        // another source, reason, provider, client, finding or minute is another row
        let mut others = vec![
            refusal("198.51.100.0/24", "flow.browser", NOW),
            refusal("192.0.2.0/24", "flow.expired", NOW),
            refusal("192.0.2.0/24", "flow.browser", NOW),
            refusal("192.0.2.0/24", "flow.browser", NOW),
            refusal("192.0.2.0/24", "flow.browser", NOW),
            refusal("192.0.2.0/24", "flow.browser", NOW.plus(Duration::from_secs(60))),
        ];
        others[2].provider = None;
        others[3].client = Some(client());
        others[4].received = Some("another answer".to_owned());
        for other in &others {
            assert_eq!(tx.put_refusal(other, 1000)?, other.reference);
        }
        assert_eq!(tx.refusals(100)?.len(), 7);
        Ok(())
    })
    .await
    .unwrap();
}

async fn the_ring_of_refusals_is_bounded(place: Place) {
    let store = place.store();
    for keep in [1_u32, 10, 200] {
        let last = write(&store, move |tx| {
            let mut last = None;
            for i in 0..1000_u32 {
                let one = refusal(&format!("source {i}"), "flow.browser", NOW);
                last = Some(tx.put_refusal(&one, keep)?);
                if i % 50 == 49 {
                    assert!(tx.refusals(10_000)?.len() <= keep as usize + 1);
                }
            }
            Ok(last.unwrap())
        })
        .await
        .unwrap();
        let kept = read(&store, |tx| tx.refusals(10_000)).await.unwrap();
        assert!(kept.len() <= keep as usize, "{} of {keep}", kept.len());
        assert!(kept.len() >= keep as usize * 9 / 10, "{} of {keep}", kept.len());
        assert_eq!(kept[0].refusal.reference, last, "the newest is there");
    }
}

async fn one_source_cannot_push_the_others_out(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        let victim = refusal("victim", "flow.browser", NOW);
        tx.put_refusal(&victim, 160)?;
        for i in 0..2000 {
            tx.put_refusal(&refusal("attacker", &format!("reason.{i}"), NOW), 160)?;
        }
        assert!(tx.refusal(&victim.reference)?.is_some());
        let kept = tx.refusals(10_000)?;
        assert_eq!(kept.iter().filter(|k| k.refusal.source == "attacker").count(), 10);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_refusal_reads_back_whole(place: Place) {
    let store = place.store();
    let mut whole = refusal("192.0.2.0/24", "oidc.id_token.nonce", NOW);
    whole.client = Some(client());
    whole.expected = Some("a nonce".to_owned());
    whole.received = Some("another".to_owned());
    whole.steps = vec![Step {
        check: "oidc.id_token.nonce".to_owned(),
        expected: "sha256:ab…".to_owned(),
        received: "\u{0}".to_owned(),
        passed: false,
    }];
    let copy = whole.clone();
    let reference = write(&store, move |tx| tx.put_refusal(&copy, 100)).await.unwrap();
    let kept = read(&store, move |tx| tx.refusal(&reference)).await.unwrap().unwrap();
    assert_eq!(kept.refusal, whole);
    assert_eq!((kept.times, kept.last_at), (1, NOW));
}

async fn a_sweep_removes_what_has_served_its_time(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    write(&store, move |tx| {
        let (code, token, secret, thing) = (code(&g), refresh(&g), digest(), digest());
        tx.insert_code(&code)?;
        tx.insert_refresh(&token)?;
        tx.insert_session(&session(&a.id), &secret)?;
        tx.put_pending(&thing, b"x", NOW.plus(HOUR))?;
        tx.use_once("state", &thing, NOW.plus(HOUR))?;
        tx.revoke_jti("jti", NOW.plus(HOUR))?;
        let end = NOW.plus(HOUR);

        let swept = tx.sweep(end, 100)?;
        assert_eq!(swept, Swept { rows: 3, more: false }, "what is not remembered past its end");
        assert!(tx.use_once("state", &thing, end)?);
        assert!(!tx.is_jti_revoked("jti")?);

        tx.sweep(end.plus(REMEMBERED), 100)?;
        assert_eq!(tx.refresh(&token.digest)?, None);
        assert_eq!(tx.session_by_secret(&secret)?, None);
        assert_eq!(tx.consume_code(&code.digest, NOW)?, countersign::store::CodeOutcome::Unknown);
        assert!(tx.grant_live(&g.id)?, "its last access token may still live");

        tx.sweep(NOW.plus(GRANT_KEPT), 100)?;
        assert_eq!(tx.grant(&g.id)?, None);
        assert_eq!(tx.sweep(NOW.plus(GRANT_KEPT), 100)?, Swept::default());
        assert!(tx.account(&a.id)?.is_some());
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_sweep_never_removes_what_lives(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    write(&store, move |tx| {
        let years = 1000 * 24 * HOUR;
        let now = NOW.plus(years);
        let (mut token, mut live, secret, thing) = (refresh(&g), session(&a.id), digest(), digest());
        let soon = now.plus(Duration::from_millis(1));
        token.expires_at = soon;
        live.expires_at = soon;
        tx.insert_refresh(&token)?;
        tx.insert_session(&live, &secret)?;
        tx.put_pending(&thing, b"x", soon)?;
        tx.use_once("state", &thing, soon)?;
        tx.revoke_jti("jti", soon)?;
        assert_eq!(tx.sweep(now, 100)?, Swept::default());
        assert_eq!(tx.refresh(&token.digest)?, Some(token));
        assert_eq!(tx.session_by_secret(&secret)?, Some(live));
        assert!(tx.pending(&thing, now)?.is_some());
        assert!(!tx.use_once("state", &thing, soon)?);
        assert!(tx.is_jti_revoked("jti")?);
        assert!(tx.grant_live(&g.id)?, "an old grant with a live refresh token");
        Ok(())
    })
    .await
    .unwrap();
}

/// Whoever ends a session that ran out long ago ends the offline access that was granted in it.
async fn a_session_is_found_as_long_as_what_was_granted_in_it_lives(place: Place) {
    let store = place.store();
    let (a, g) = with_grant(&store).await;
    write(&store, move |tx| {
        let (mut token, mut ran_out) = (refresh(&g), session(&a.id));
        token.expires_at = NOW.plus(1000 * 24 * HOUR);
        ran_out.id = g.session.clone();
        tx.insert_refresh(&token)?;
        tx.insert_session(&ran_out, &digest())?;
        let later = NOW.plus(30 * 24 * HOUR);
        assert_eq!(tx.sweep(later, 100)?, Swept::default());
        assert!(tx.end_session(&ran_out.id, later)?.is_some());
        assert!(!tx.grant_live(&g.id)?);
        assert_eq!(tx.sweep(later, 100)?.rows, 1, "now it is of no more use");
        assert_eq!(tx.session(&ran_out.id)?, None);
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_sweep_goes_by_batches(place: Place) {
    let store = place.store();
    write(&store, |tx| {
        for _ in 0..25 {
            tx.use_once("state", &digest(), NOW)?;
        }
        assert_eq!(tx.sweep(NOW, 10)?, Swept { rows: 10, more: true });
        assert_eq!(tx.sweep(NOW, 10)?, Swept { rows: 10, more: true });
        assert_eq!(tx.sweep(NOW, 10)?, Swept { rows: 5, more: false });
        Ok(())
    })
    .await
    .unwrap();
}
