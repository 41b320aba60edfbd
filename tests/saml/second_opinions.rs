//! Second opinions: pysaml2 and node-saml are asked about the same random combinations of mutations. What we accept,
//! one of them at least accepts too; what they accept that we refuse is listed.
//!
//! `./dev test` makes 500 messages and `./dev interop` 10,000: `COUNTERSIGN_SECOND_OPINIONS` is the number, or a range of
//! seeds (`5000..10000`), and `COUNTERSIGN_PYTHON` names the interpreter. Without the number, nobody is asked. Both are
//! asked about all that we accept; of what we refuse, where there are more than 1,000 messages, about every fourth, since
//! pysaml2 starts a process for each signature.

use crate::bench::ALICE;
use crate::combinations::{bench, message};
use crate::others::{Other, settings};
use crate::wrapping::world;
use countersign::context::Timestamp;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn no_message_that_we_accept_is_refused_by_both_others() {
    let Ok(wanted) = std::env::var("COUNTERSIGN_SECOND_OPINIONS") else {
        println!("COUNTERSIGN_SECOND_OPINIONS is not set: nobody is asked");
        return;
    };
    let (from, to) = wanted.split_once("..").unwrap_or(("0", &wanted));
    let seeds = from.parse::<u64>().expect("a number")..to.parse().expect("a number");
    let few = seeds.end - seeds.start <= 1000;
    let python = std::env::var("COUNTERSIGN_PYTHON").expect("COUNTERSIGN_PYTHON");
    let folder = tempfile::tempdir().unwrap();
    let bench = bench();
    let settings = settings(&bench, folder.path());
    let mut pysaml2 = Other::start(&python, "ask_pysaml2.py", &settings);
    let mut node_saml = Other::start("node", "ask_node_saml.mjs", &settings);

    // [we, pysaml2, node-saml] accept
    let mut counts: BTreeMap<[Option<bool>; 3], usize> = BTreeMap::new();
    // by whom, our reason, the mutations
    let mut theirs: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    let mut alone = Vec::new();
    let mut others = Vec::new();
    let mut world = world(&bench);
    let mut asked = [0, 0];
    for seed in seeds {
        // they know no other clock than the system's
        #[allow(clippy::disallowed_methods, reason = "this clock is theirs")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        bench.clock.set(Timestamp::from_secs(i64::try_from(now).unwrap()));
        if seed % 100 == 0 {
            world = crate::wrapping::world(&bench);
        }
        let open = bench.begin().await;
        let (message, made) = message(seed, &bench, &world, bench.script(&open));
        let (ours, _) = bench.finish(&open, &message).await;
        let response = message.encoded();
        let mut ask = |who: usize, other: &mut Other| {
            (few || seed % 4 == 0 || ours.is_ok()).then(|| {
                asked[who] += 1;
                other.ask(&response, &open.request.id)
            })
        };
        let (one, two) = (ask(0, &mut pysaml2), ask(1, &mut node_saml));
        let said = |opinion: &Option<Result<String, String>>| opinion.as_ref().map(Result::is_ok);
        *counts.entry([Some(ours.is_ok()), said(&one), said(&two)]).or_default() += 1;
        match &ours {
            Ok(vouched) => {
                if matches!((&one, &two), (Some(Err(_)), Some(Err(_)))) {
                    alone.push(format!("{seed} {made:?}: {one:?} {two:?}"));
                }
                // and about the same person
                for name in [&one, &two].into_iter().flatten().flatten() {
                    assert_eq!(name.trim(), ALICE, "{seed} {made:?}: {vouched:?}");
                }
            }
            Err(failure) => {
                for (who, theirs_is) in [("pysaml2", &one), ("node-saml", &two)] {
                    if let Some(Ok(name)) = theirs_is {
                        if name.trim() != ALICE {
                            others.push(format!("{who} {seed} {made:?}: {name} ({})", failure.reason));
                        }
                        theirs.entry((who, failure.reason)).or_default().push(format!("{seed} {made:?}"));
                    }
                }
            }
        }
    }
    println!("pysaml2 was asked {} times, node-saml {}", asked[0], asked[1]);
    println!("accepted by [us, pysaml2, node-saml]:");
    for (who, count) in &counts {
        println!("  {who:?} {count}");
    }
    println!("accepted by others and refused here:");
    for ((who, reason), list) in &theirs {
        println!("  {who:9} {reason:28} {:5}, such as {}", list.len(), list[0]);
    }
    println!("taken for another person by others: {others:#?}");
    assert!(alone.is_empty(), "accepted here alone: {alone:#?}");
    assert!(
        counts.get(&[Some(true); 3]).is_some_and(|all| *all > 0),
        "nobody agrees on anything: {counts:?}"
    );
}
