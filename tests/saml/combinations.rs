//! Random combinations of mutations, by seed: what the provider says otherwise and signs, what somebody changes
//! afterwards, in any order. No message may make anybody somebody else.

use crate::bench::{ALICE, Bench};
use crate::saml::mutations::{ALL, MALLORY, World};
use crate::saml::{
    Attribute, AuthnStatement, Conditions, Confirmation, Encryption, Key, Message, NameId, Script, instant,
    uri,
};
use crate::wrapping::world;
use bergshamra::core::algorithm as a;
use countersign::context::Timestamp;

/// SplitMix64 (Steele et al., 2014).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

type Change = (&'static str, fn(&mut Script, Timestamp));

// Some changes take away what others change; then it is put back.

fn name(script: &mut Script) -> &mut NameId {
    script.assertion.name_id.get_or_insert_with(|| NameId::persistent(ALICE))
}

fn conditions(script: &mut Script) -> &mut Conditions {
    script.assertion.conditions.get_or_insert_with(|| Conditions {
        not_before: None,
        not_on_or_after: None,
        audiences: Vec::new(),
        more: String::new(),
    })
}

fn audiences(script: &mut Script) -> &mut Vec<String> {
    let all = &mut conditions(script).audiences;
    if all.is_empty() {
        all.push(Vec::new());
    }
    &mut all[0]
}

fn confirmation(script: &mut Script) -> &mut Confirmation {
    &mut script.assertion.confirmations[0]
}

fn authn(script: &mut Script) -> &mut AuthnStatement {
    let all = &mut script.assertion.authn;
    if all.is_empty() {
        all.push(AuthnStatement {
            instant: None,
            session_index: None,
            session_not_on_or_after: None,
            class: None,
            more: String::new(),
        });
    }
    &mut all[0]
}

/// What the provider itself says otherwise. Some of it may be said.
const SAID: &[Change] = &[
    ("name by mail", |s, _| name(s).format = Some(uri::EMAIL.to_owned())),
    ("name transient", |s, _| name(s).format = Some(uri::TRANSIENT.to_owned())),
    ("name without format", |s, _| name(s).format = None),
    ("no name", |s, _| s.assertion.name_id = None),
    ("blank around the name", |s, _| name(s).value.push(' ')),
    ("audience of another", |s, _| {
        conditions(s).audiences = vec![vec!["https://other.example".to_owned()]];
    }),
    ("audience of several", |s, _| {
        audiences(s).push("https://other.example".to_owned());
    }),
    ("two audience restrictions", |s, _| {
        conditions(s).audiences.push(vec!["https://other.example".to_owned()]);
    }),
    ("no audience", |s, _| conditions(s).audiences.clear()),
    ("no conditions", |s, _| s.assertion.conditions = None),
    ("conditions without times", |s, _| {
        let conditions = conditions(s);
        (conditions.not_before, conditions.not_on_or_after) = (None, None);
    }),
    ("expired", |s, now| {
        conditions(s).not_on_or_after = Some(instant(now, -3600));
    }),
    ("confirmation expired", |s, now| confirmation(s).not_on_or_after = Some(instant(now, -3600))),
    ("confirmation without end", |s, _| confirmation(s).not_on_or_after = None),
    ("not yet valid", |s, now| {
        conditions(s).not_before = Some(instant(now, 3600));
    }),
    ("once", |s, _| conditions(s).more = "<saml:OneTimeUse/>".to_owned()),
    ("not onwards", |s, _| {
        conditions(s).more = "<saml:ProxyRestriction Count=\"0\"/>".to_owned();
    }),
    ("recipient of another", |s, _| {
        confirmation(s).recipient = Some("https://other.example/acs".to_owned());
    }),
    ("no recipient", |s, _| confirmation(s).recipient = None),
    ("second confirmation of another", |s, _| {
        let mut other = confirmation(s).clone();
        other.recipient = Some("https://other.example/acs".to_owned());
        s.assertion.confirmations.push(other);
    }),
    ("holder of key", |s, _| {
        confirmation(s).method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key".to_owned();
    }),
    ("confirmation for another request", |s, _| {
        confirmation(s).in_response_to = Some("_other".to_owned());
    }),
    ("destination of another", |s, _| s.response.destination = Some("https://other.example/acs".to_owned())),
    ("no destination", |s, _| s.response.destination = None),
    ("unsolicited", |s, _| {
        s.response.in_response_to = None;
        confirmation(s).in_response_to = None;
    }),
    ("issuer of another", |s, _| s.assertion.issuer = Some("https://other.example".to_owned())),
    ("response without issuer", |s, _| s.response.issuer = None),
    ("no authn statement", |s, _| s.assertion.authn.clear()),
    ("session over", |s, now| authn(s).session_not_on_or_after = Some(instant(now, -3600))),
    ("two authn statements", |s, now| {
        let mut older = authn(s).clone();
        older.instant = Some(instant(now, -600));
        s.assertion.authn.push(older);
    }),
    ("without class", |s, _| authn(s).class = None),
    ("status of a failure", |s, _| {
        s.response.status = vec!["urn:oasis:names:tc:SAML:2.0:status:Responder".to_owned()];
    }),
    ("status message", |s, _| s.response.status_message = Some("fine".to_owned())),
    ("more attributes", |s, _| s.assertion.attributes.push(Attribute::basic("more", &["x", "y"]))),
    ("no attributes", |s, _| s.assertion.attributes.clear()),
    ("version 1.1", |s, _| s.assertion.version = Some("1.1".to_owned())),
    ("issued in an hour", |s, now| s.assertion.issue_instant = Some(instant(now, 3600))),
    ("sha-1", |s, _| {
        for signature in [&mut s.sign_assertion, &mut s.sign_response].into_iter().flatten() {
            signature.digest = a::SHA1.to_owned();
        }
    }),
    ("sha-512", |s, _| {
        for signature in [&mut s.sign_assertion, &mut s.sign_response].into_iter().flatten() {
            signature.digest = a::SHA512.to_owned();
            signature.method = a::RSA_SHA512.to_owned();
        }
    }),
    ("prefixes kept", |s, _| {
        for signature in [&mut s.sign_assertion, &mut s.sign_response].into_iter().flatten() {
            signature.inclusive = "xs xsi".to_owned();
        }
    }),
    ("inclusive c14n", |s, _| {
        for signature in [&mut s.sign_assertion, &mut s.sign_response].into_iter().flatten() {
            signature.transforms[1] = a::C14N.to_owned();
        }
    }),
    ("by its next key", |s, _| s.key(&Key::rsa_next())),
    ("by somebody", |s, _| s.key(&Key::attacker())),
    ("advice", |s, _| {
        s.assertion.advice =
            "<saml:Advice><saml:AssertionIDRef>_x</saml:AssertionIDRef></saml:Advice>".to_owned();
    }),
];

/// A message of random mutations, and what they were.
pub fn message(seed: u64, bench: &Bench, world: &World, mut script: Script) -> (Message, Vec<&'static str>) {
    let mut dice = Dice(seed);
    let mut made = Vec::new();
    match dice.roll(4) {
        0 => script.signed(false, true),
        1 => script.signed(true, true),
        _ => {}
    }
    for _ in 0..[0, 0, 1, 1, 2][dice.roll(5)] {
        let (name, change) = SAID[dice.roll(SAID.len())];
        change(&mut script, bench.now());
        made.push(name);
    }
    if dice.roll(6) == 0 {
        made.push("encrypted");
        script.encrypt = Some(Encryption::to(Key::service().der()));
    }
    let mut message = Message::new(script.xml(), "csst_state");
    for _ in 0..dice.roll(4) {
        let table = ALL[dice.roll(ALL.len())];
        let mutation = &table[dice.roll(table.len())];
        if mutation.make(&mut message.xml, world) {
            made.push(mutation.name);
        }
    }
    (message, made)
}

/// A provider for combinations: all keys but the attacker's, and any signature policy.
pub fn bench() -> Bench {
    Bench::of(&[Key::rsa(), Key::rsa_next()], "signed = \"either\"\nkey = \"env:KEY\"")
}

#[tokio::test]
async fn no_combination_of_mutations_makes_anybody_somebody_else() {
    let bench = bench();
    let world = world(&bench);
    let original = format!("{:?}", bench.accepts(|_| {}).await.identity.key());
    let (mut accepted, mut refused) = (0, 0);
    // fewer where all tests run over and over, as for mutants
    let count: u64 = std::env::var("COMBINATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(400);
    for seed in 0..count {
        let open = bench.begin().await;
        let (message, made) = message(seed, &bench, &world, bench.script(&open));
        let (outcome, trace) = bench.finish(&open, &message).await;
        match outcome {
            Ok(vouched) => {
                accepted += 1;
                let told = format!("{:?}", vouched.identity);
                assert!(told.contains(ALICE), "{seed} {made:?}: {told}");
                assert!(!told.contains(MALLORY) && !told.contains("mallory"), "{seed} {made:?}: {told}");
                if made.is_empty() {
                    assert_eq!(format!("{:?}", vouched.identity.key()), original);
                }
            }
            Err(failure) => {
                refused += 1;
                assert!(!made.is_empty(), "{seed}: {failure:?}");
                let reason = failure.reason;
                println!("{seed} {made:?} {reason}");
                bench.refused(Err(failure), &trace, reason);
            }
        }
    }
    // both happen, or this would test nothing
    assert!(accepted * 10 > count && refused * 2 > count, "{accepted} accepted, {refused} refused");
}
