//! What a stranger sees of refusals: of all that has to do with signatures and keys, the same. And nothing that a
//! stranger can send is answered with a panic.

use crate::bench::{Bench, as_it_is, both_signed, response_signed};
use crate::saml::mutations::{ALL, HARMLESS, MALLORY, UNSIGNED};
use crate::saml::{Encryption, Key, Script, edit};
use crate::wrapping::world;
use countersign::failure::Failure;

/// All that leaves the house.
fn outside(failure: &Failure) -> String {
    format!("{:?} {:?} {:?}", failure.code, failure.user, failure.about)
}

#[tokio::test]
async fn refusals_of_signatures_and_keys_look_the_same_from_outside() {
    let bench = Bench::with(Key::rsa(), "key = \"env:KEY\"");
    let world = world(&bench);
    let mut seen: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for mutation in ALL.iter().take(2).flat_map(|all| all.iter()) {
        let (outcome, _) = bench
            .sign_in(both_signed, |message| {
                assert!(mutation.make(&mut message.xml, &world), "{}", mutation.name)
            })
            .await;
        if let Err(failure) = outcome {
            seen.entry(outside(&failure)).or_default().push(format!("{} {}", mutation.name, failure.reason));
        }
    }
    let data = "Response/EncryptedAssertion/EncryptedData";
    for (path, at) in [
        (format!("{data}/CipherData/CipherValue"), 3),
        (format!("{data}/CipherData/CipherValue"), 60),
        (format!("{data}/KeyInfo/EncryptedKey/CipherData/CipherValue"), 5),
    ] {
        let (outcome, _) = bench
            .sign_in(
                |script| script.encrypt = Some(Encryption::to(Key::service().der())),
                |message| {
                    edit(&mut message.xml, |tree| {
                        tree.change(&path, |text| {
                            let letter = if &text[at..=at] == "A" { "B" } else { "A" };
                            let mut text = text.to_owned();
                            text.replace_range(at..=at, letter);
                            text
                        })
                    })
                    .unwrap();
                },
            )
            .await;
        let failure = outcome.expect_err("accepted");
        seen.entry(outside(&failure)).or_default().push(format!("{path} {}", failure.reason));
    }
    for (to, sign) in [(Key::attacker(), Key::rsa()), (Key::service(), Key::attacker())] {
        let (outcome, _) = bench
            .sign_in(
                |script| {
                    script.key(&sign);
                    script.encrypt = Some(Encryption::to(to.der()));
                },
                |_| {},
            )
            .await;
        let failure = outcome.expect_err("accepted");
        seen.entry(outside(&failure)).or_default().push(failure.reason.to_owned());
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

#[tokio::test]
async fn every_mutation_by_itself_is_refused_unless_it_is_harmless() {
    let bench = Bench::with(Key::rsa(), "signed = \"either\"");
    let world = world(&bench);
    let mut wrong = Vec::new();
    let mut made = std::collections::BTreeSet::new();
    for (how, prepare) in
        [("assertion", as_it_is as fn(&mut Script)), ("response", response_signed), ("both", both_signed)]
    {
        for mutation in ALL.iter().flat_map(|all| all.iter()) {
            let mut applies = true;
            let (outcome, trace) =
                bench.sign_in(prepare, |message| applies = mutation.make(&mut message.xml, &world)).await;
            if !applies {
                continue;
            }
            made.insert(mutation.name);
            let harmless = HARMLESS.contains(&mutation.name)
                || (how == "assertion" && UNSIGNED.contains(&mutation.name));
            match outcome {
                Ok(vouched) => {
                    assert!(!format!("{vouched:?}").contains(MALLORY), "{}: {vouched:?}", mutation.name);
                    if !harmless {
                        wrong.push(format!("accepted: {how} {}", mutation.name));
                    }
                }
                Err(failure) => {
                    let reason = failure.reason;
                    bench.refused(Err(failure), &trace, reason);
                    if harmless && how == "assertion" {
                        wrong.push(format!("refused: {how} {} {:?}", mutation.name, trace.steps().last()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all: std::collections::BTreeSet<&str> =
        ALL.iter().flat_map(|all| all.iter()).map(|one| one.name).collect();
    assert_eq!(made, all, "each is made of some message");
}
