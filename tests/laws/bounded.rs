//! What strangers can cause stays bounded, and what has served its time goes; nothing else does.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::audit::Refusal;
use countersign::context::Timestamp;
use countersign::store::{Bounds, GRANT_KEPT, Pushed, REMEMBERED, Swept};
use countersign::upstream::Step;
use std::time::Duration;

laws!(
    repeated_refusals_are_one_row,
    the_ring_of_refusals_is_bounded,
    one_source_cannot_push_the_others_out,
    a_refusal_reads_back_whole,
    a_sweep_removes_what_has_served_its_time,
    a_sweep_never_removes_what_lives,
    a_sweep_goes_by_batches,
    pushed_requests_are_bounded_by_client_and_by_source,
);

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
