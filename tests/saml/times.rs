//! Times of an answer, and what it says of the act of signing in (SAML Core §2.5.1, §2.7.2).

use crate::bench::{Bench, as_it_is};
use crate::profile::{SKEW, confirmation, some, values};
use crate::saml::{AuthnStatement, Key, Script, instant, uri};
use std::time::Duration;

#[tokio::test]
async fn saml_067_expired() {
    let bench = Bench::new();
    let now = bench.now();
    let ended = instant(now, -SKEW - 1);
    let wrong = [
        Some(ended.clone()),
        Some(instant(now, -365 * 86_400)),
        None,
        Some(String::new()),
        Some("never".to_owned()),
    ];
    values(&bench, "saml.expired", as_it_is, |script| &mut confirmation(script).not_on_or_after, &wrong)
        .await;
    // optional in Conditions (Core §2.5.1)
    bench.accepts(|script| script.assertion.conditions.as_mut().unwrap().not_on_or_after = None).await;
    bench.accepts(|script| script.assertion.conditions.as_mut().unwrap().not_before = None).await;
    let wrong: Vec<_> = wrong.into_iter().filter(Option::is_some).collect();
    values(
        &bench,
        "saml.expired",
        as_it_is,
        |script| &mut script.assertion.conditions.as_mut().unwrap().not_on_or_after,
        &wrong,
    )
    .await;
}

#[tokio::test]
async fn times_are_utc_and_exact() {
    let bench = Bench::new();
    let good = instant(bench.now(), 120);
    assert!(good.ends_with('Z'));
    let day = &good[..10];
    for text in [
        good.replace('Z', "+00:00"),
        good.replace('Z', "-00:00"),
        good.replace('Z', "+02:00"),
        good.replace('Z', ""),
        good.replace('Z', "z"),
        good.replace('T', " "),
        good.replace('T', "t"),
        format!(" {good}"),
        format!("{good} "),
        format!("-{good}"),
        format!("+{good}"),
        format!("1{good}"),
        format!("{day}T24:00:00Z"),
        format!("{day}T23:59:60Z"),
        format!("{day}Z"),
        format!("{day}T08Z"),
        day.to_owned(),
        good.replace('Z', ".Z"),
        good.replace('Z', ",5Z"),
        good.replace('Z', &format!(".{}Z", "0".repeat(5000))),
        good.replace("2027-01", "2027-13"),
        good.replace("2027-01-15", "2027-02-30"),
        good.chars().map(|c| c.to_digit(10).and_then(|d| char::from_u32(0x660 + d)).unwrap_or(c)).collect(),
        "1800000120".to_owned(),
        "PT5M".to_owned(),
    ] {
        println!("{text}");
        bench
            .refuses("saml.expired", |script| confirmation(script).not_on_or_after = Some(text.clone()))
            .await;
        bench
            .refuses("saml.not_yet_valid", |script| {
                script.assertion.conditions.as_mut().unwrap().not_before = Some(text.clone());
            })
            .await;
        bench
            .refuses("saml.issue_instant", |script| script.assertion.issue_instant = Some(text.clone()))
            .await;
        bench
            .refuses("saml.authn_statement", |script| script.assertion.authn[0].instant = Some(text.clone()))
            .await;
    }
    for fraction in [".0Z", ".5Z", ".123Z", ".1234567Z"] {
        bench
            .accepts(|script| confirmation(script).not_on_or_after = Some(good.replace('Z', fraction)))
            .await;
    }
}

#[tokio::test]
async fn saml_069_not_yet_valid() {
    let bench = Bench::new();
    let ahead = instant(bench.now(), SKEW + 1);
    bench
        .refuses("saml.not_yet_valid", |script| {
            script.assertion.conditions.as_mut().unwrap().not_before = Some(ahead.clone());
        })
        .await;
    // a bearer confirmation has no beginning (Profiles §4.1.4.2)
    for from in [-30, 0, SKEW + 1] {
        let from = instant(bench.now(), from);
        bench
            .refuses("saml.not_yet_valid", |script| confirmation(script).not_before = Some(from.clone()))
            .await;
    }
    // neither message nor proof is of the future
    bench.refuses("saml.issue_instant", |script| script.response.issue_instant = Some(ahead.clone())).await;
    bench.refuses("saml.issue_instant", |script| script.assertion.issue_instant = Some(ahead.clone())).await;
    bench
        .refuses("saml.authn_instant", |script| script.assertion.authn[0].instant = Some(ahead.clone()))
        .await;
    bench
        .refuses("saml.conditions", |script| {
            let conditions = script.assertion.conditions.as_mut().unwrap();
            conditions.not_before = Some(instant(bench.now(), 30));
            conditions.not_on_or_after = Some(instant(bench.now(), 30));
        })
        .await;
}

#[tokio::test]
async fn saml_070_the_edge_of_the_skew() {
    let bench = Bench::new();
    let at = |offset: i64| Some(instant(bench.now(), offset));
    let edges: &[(&str, fn(&mut Script) -> &mut Option<String>, i64, i64)] = &[
        // NotOnOrAfter: equal now is over, but for the skew
        ("saml.expired", |s| &mut confirmation(s).not_on_or_after, -SKEW + 1, -SKEW),
        ("saml.expired", |s| &mut s.assertion.conditions.as_mut().unwrap().not_on_or_after, -SKEW + 1, -SKEW),
        ("saml.not_yet_valid", |s| &mut s.assertion.conditions.as_mut().unwrap().not_before, SKEW, SKEW + 1),
        ("saml.issue_instant", |s| &mut s.assertion.issue_instant, SKEW, SKEW + 1),
        ("saml.issue_instant", |s| &mut s.response.issue_instant, SKEW, SKEW + 1),
        ("saml.authn_instant", |s| &mut s.assertion.authn[0].instant, SKEW, SKEW + 1),
        ("saml.expired", |s| &mut s.assertion.authn[0].session_not_on_or_after, -SKEW + 1, -SKEW),
    ];
    for (reason, field, good, bad) in edges {
        println!("{reason} {good} {bad}");
        let (good, bad) = (at(*good), at(*bad));
        // not crossed by the beginning of the conditions
        let early = |script: &mut Script| {
            script.assertion.conditions.as_mut().unwrap().not_before = at(-3600);
        };
        bench
            .refuses_beside(
                reason,
                |script| {
                    early(script);
                    field(script).clone_from(&good);
                },
                |script| field(script).clone_from(&bad),
            )
            .await;
    }
    // on a clock that goes on
    let open = bench.begin().await;
    let script = bench.script(&open);
    let message = crate::saml::Message::new(script.xml(), "csst_state");
    bench.clock.advance(Duration::from_secs(300 + 60 - 1));
    let (outcome, _) = bench.finish(&open, &message).await;
    outcome.unwrap_or_else(|failure| panic!("{failure:?}"));
    bench.clock.advance(Duration::from_secs(1));
    let (outcome, trace) = bench.finish(&open, &message).await;
    bench.refused(outcome, &trace, "saml.expired");
}

#[tokio::test]
async fn saml_071_validity_of_a_year() {
    let bench = Bench::new();
    let year = Some(instant(bench.now(), 365 * 86_400));
    bench.refuses("saml.lifetime", |script| confirmation(script).not_on_or_after.clone_from(&year)).await;
    bench
        .refuses("saml.lifetime", |script| {
            script.assertion.conditions.as_mut().unwrap().not_on_or_after.clone_from(&year);
        })
        .await;
    let bench = Bench::with(Key::rsa(), "max_lifetime = \"10m\"");
    let at = |seconds| Some(instant(bench.now(), seconds));
    bench
        .refuses_beside(
            "saml.lifetime",
            |script| confirmation(script).not_on_or_after = at(600 + SKEW),
            |script| confirmation(script).not_on_or_after = at(600 + SKEW + 1),
        )
        .await;
    // what is kept of it against replay lasts no longer than it could be accepted
    let vouched = bench.accepts(as_it_is).await;
    let until = vouched.replay.unwrap().until;
    assert!(until.secs() - bench.now().secs() <= 300 + SKEW, "{until:?}");
    assert!(until.secs() - bench.now().secs() >= 300, "{until:?}");
}

#[tokio::test]
async fn saml_075_every_assertion_is_used_once() {
    let bench = Bench::new();
    // whether it says so or not; that it was used is kept by its id, which differs from one to the next
    let mut seen = std::collections::BTreeSet::new();
    for more in ["", "<saml:OneTimeUse/>"] {
        let vouched = bench
            .accepts(|script| script.assertion.conditions.as_mut().unwrap().more = more.to_owned())
            .await;
        let replay = vouched.replay.unwrap();
        assert_eq!(replay.reason, "saml.replay");
        assert!(seen.insert(replay.what));
    }
    bench
        .refuses("saml.condition", |script| {
            script.assertion.conditions.as_mut().unwrap().more =
                "<saml:OneTimeUse/><saml:OneTimeUse/>".to_owned();
        })
        .await;
    // the same assertion in another response is the same
    let open = bench.begin().await;
    let script = bench.script(&open);
    let mut again = script.clone();
    again.response.id = Some("_another-response".to_owned());
    let mut replays = Vec::new();
    for script in [script, again] {
        let message = crate::saml::Message::new(script.xml(), "csst_state");
        replays.push(bench.finish(&open, &message).await.0.unwrap().replay);
    }
    assert_eq!(replays[0], replays[1]);
}

#[tokio::test]
async fn saml_089_no_authn_statement() {
    let bench = Bench::new();
    bench.refuses("saml.authn_statement", |script| script.assertion.authn.clear()).await;
    bench.refuses("saml.authn_statement", |script| script.assertion.authn[0].instant = None).await;
    // another kind of statement is none
    bench
        .refuses("saml.authn_statement", |script| {
            script.assertion.authn.clear();
            script.assertion.more = "<saml:AuthzDecisionStatement Resource=\"x\" Decision=\"Permit\"><saml:Action Namespace=\"x\">x</saml:Action></saml:AuthzDecisionStatement>".to_owned();
        })
        .await;
}

#[tokio::test]
async fn of_several_statements_all_hold_and_the_latest_counts() {
    let bench = Bench::new();
    let now = bench.now();
    let vouched = bench
        .accepts(|script| {
            let mut older = script.assertion.authn[0].clone();
            older.instant = Some(instant(now, -600));
            older.class = Some("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified".to_owned());
            script.assertion.authn.push(older);
        })
        .await;
    let told = format!("{:?}", vouched.identity);
    assert!(told.contains("PasswordProtectedTransport"), "{told}");
    let second: &[(&str, fn(&mut Script))] = &[
        ("saml.expired", |script| {
            script.assertion.authn[1].session_not_on_or_after = Some("2001-01-01T00:00:00Z".to_owned())
        }),
        ("saml.authn_statement", |script| script.assertion.authn[1].instant = None),
        ("saml.authn_statement", |script| {
            // two at one time that say different things
            let same = script.assertion.authn[0].instant.clone();
            script.assertion.authn[1].instant = same;
            script.assertion.authn[1].class = Some("urn:x".to_owned());
        }),
    ];
    for (reason, change) in second {
        bench
            .refuses_beside(
                reason,
                |script| {
                    let mut older = script.assertion.authn[0].clone();
                    older.instant = Some(instant(now, -600));
                    script.assertion.authn.push(older);
                },
                change,
            )
            .await;
    }
}

#[tokio::test]
async fn saml_090_weak_context() {
    const MFA: &str = "https://refeds.org/profile/mfa";
    let bench = Bench::with(Key::rsa(), &format!("authn_context = [\"{MFA}\"]"));
    let mfa = |script: &mut Script| script.assertion.authn[0].class = Some(MFA.to_owned());
    let open = bench.begin().await;
    assert!(open.request.xml.contains(MFA), "{}", open.request.xml);
    for class in [
        Some(uri::PASSWORD.to_owned()),
        None,
        Some(format!("{MFA}/")),
        Some(MFA.to_uppercase()),
        Some(format!(" {MFA}")),
    ] {
        bench
            .refuses_beside("saml.authn_context", mfa, |script| {
                script.assertion.authn[0].class.clone_from(&class)
            })
            .await;
    }
    // two classes in one context, or two contexts
    bench
        .refuses_beside("saml.authn_context", mfa, |script| {
            script.assertion.authn[0].more =
                format!("<saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef>", uri::PASSWORD);
        })
        .await;
    bench
        .refuses_beside("saml.authn_context", mfa, |script| {
            script.assertion.authn[0].more = "</saml:AuthnContext><saml:AuthnContext>".to_owned();
        })
        .await;
}

#[tokio::test]
async fn saml_091_the_session_is_over() {
    let bench = Bench::new();
    let ended = [Some(instant(bench.now(), -SKEW - 1)), Some("x".to_owned()), Some(String::new())];
    values(
        &bench,
        "saml.expired",
        as_it_is,
        |script| &mut script.assertion.authn[0].session_not_on_or_after,
        &ended,
    )
    .await;
    bench.accepts(|script| script.assertion.authn[0].session_not_on_or_after = None).await;
    bench.accepts(|script| script.assertion.authn[0].session_index = None).await;
    let odd = some(&["", " ", "x&#9;y", &"x".repeat(300)]);
    values(
        &bench,
        "saml.authn_statement",
        as_it_is,
        |script| &mut script.assertion.authn[0].session_index,
        &odd,
    )
    .await;
}

#[tokio::test]
async fn a_session_of_ours_ends_with_the_first_end_that_the_provider_gave() {
    let bench = Bench::new();
    let ends = async |offsets: &[Option<i64>]| {
        let now = bench.now();
        let vouched = bench
            .accepts(|script| {
                let first = script.assertion.authn[0].clone();
                script.assertion.authn = (-10..)
                    .zip(offsets)
                    .map(|(at, offset)| AuthnStatement {
                        instant: Some(instant(now, at)),
                        session_not_on_or_after: offset.map(|offset| instant(now, offset)),
                        ..first.clone()
                    })
                    .collect();
            })
            .await;
        vouched.identity.authentication().session_ends.map(|ends| ends.secs() - now.secs())
    };
    // by its clock, from which ours may differ by the skew
    assert_eq!(ends(&[Some(3600)]).await, Some(3600 + SKEW));
    assert_eq!(ends(&[Some(1 - SKEW)]).await, Some(1), "as long as it would pass");
    assert_eq!(ends(&[None]).await, None);
    // of several statements each holds, whichever is the latest
    for offsets in [[Some(60), Some(3600)], [Some(3600), Some(60)], [None, Some(60)], [Some(60), None]] {
        assert_eq!(ends(&offsets).await, Some(60 + SKEW), "{offsets:?}");
    }
}

/// A logout that overtakes the sign-in is told by the provider's clock, and so is what it overtook (SAML Core §2.3.3).
#[tokio::test]
async fn what_was_said_has_the_providers_time() {
    let bench = Bench::new();
    let now = bench.now();
    for age in [0, 7] {
        let vouched = bench.accepts(|script| script.assertion.issue_instant = Some(instant(now, -age))).await;
        assert_eq!(vouched.identity.when_said().map(|said| said.secs()), Some(now.secs() - age));
    }
}

#[tokio::test]
async fn an_old_message_is_not_taken() {
    let bench = Bench::new();
    let old = instant(bench.now(), -86_400);
    let wrong = [Some(old), None, Some("x".to_owned())];
    values(&bench, "saml.issue_instant", as_it_is, |script| &mut script.assertion.issue_instant, &wrong)
        .await;
    values(&bench, "saml.issue_instant", as_it_is, |script| &mut script.response.issue_instant, &wrong).await;
}

#[tokio::test]
async fn a_provider_that_always_asks_anew_shows_a_new_proof_each_time() {
    let always = Bench::with(Key::rsa(), "force_authn = true");
    let now = always.now();
    let proved = |offset: i64| {
        move |script: &mut Script| script.assertion.authn[0].instant = Some(instant(now, offset))
    };
    always.refuses_beside("saml.authn_instant", proved(-SKEW), proved(-SKEW - 1)).await;
    Bench::new().accepts(proved(-SKEW - 1)).await;
}

#[tokio::test]
async fn a_fresh_proof_is_shown_where_it_was_demanded() {
    let bench = Bench::new();
    let cases: &[(&str, i64, bool)] =
        &[("force", -3600, false), ("force", 0, true), ("age", -3600, false), ("age", -30, true)];
    for (how, offset, good) in cases {
        let open = bench
            .begin_with(|request| match *how {
                "force" => request.force_authentication = true,
                _ => request.max_age = Some(Duration::from_secs(300)),
            })
            .await;
        if *how == "force" {
            assert_eq!(open.request.attribute("ForceAuthn").as_deref(), Some("true"));
        }
        let mut script = bench.script(&open);
        script.assertion.authn[0].instant = Some(instant(bench.now(), *offset));
        let message = crate::saml::Message::new(script.xml(), "csst_state");
        let (outcome, trace) = bench
            .finish_with(&open, &message, |callback| {
                callback.demanded.force_authentication = *how == "force";
                callback.demanded.max_age = (*how == "age").then_some(Duration::from_secs(300));
            })
            .await;
        if *good {
            assert!(outcome.is_ok(), "{how} {offset} {outcome:?}");
        } else {
            bench.refused(outcome, &trace, "saml.authn_instant");
        }
    }
}
