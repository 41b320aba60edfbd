//! Two decisions about things that take turns: refresh tokens and signing keys. Pure.
//!
//! **Refresh tokens** ([`refresh`], RFC 9700 §4.14.2). Laws:
//! 1. A token that another client presents changes nothing, whatever else is true of it.
//! 2. A token of a grant that is revoked gives nothing.
//! 3. An unused token gives a successor if it has not expired, and nothing otherwise.
//! 4. A used token gives its one successor again only within the grace, while the successor is unused and
//!    alive; in every other case it is reuse and the family ends, even if the token has expired meanwhile:
//!    the thief may be the one who has been refreshing since.
//! 5. With a grace of zero nothing is ever given twice.
//!
//! **Signing keys** ([`plan_keys`]). Laws, for each algorithm, at every time after the plan was carried out:
//! 1. Exactly one key is active, and at most one is next.
//! 2. A key that replaces another was published for at least `publish_ahead` before it signs, unless a
//!    command ordered it earlier.
//! 3. A key is removed only when the longest token that it can have signed has expired, whatever became of
//!    the settings since.
//! 4. Carrying out plans at one time ends: after at most three, the plan is empty.

use crate::clients::SigningAlg;
use crate::context::Timestamp;
use crate::ids::{ClientId, KeyId};
use crate::tokens::{KeyRecord, KeyState, RefreshRecord};
use std::time::Duration;

/// What is known when a refresh token is presented by an authenticated client.
#[derive(Debug, Clone, Copy)]
pub struct RefreshFacts<'a> {
    /// The presented token's record.
    pub record: &'a RefreshRecord,
    /// The record of its successor, if it has one and it is still stored.
    pub successor: Option<&'a RefreshRecord>,
    /// Whether its grant is in force: neither it, nor its session, nor its account was ended.
    pub grant_live: bool,
    /// The client that presents it.
    pub client: &'a ClientId,
    /// The present moment.
    pub now: Timestamp,
    /// For how long after its use a token gives its successor again; zero means never.
    pub grace: Duration,
}

/// What to do about a presented refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshDecision {
    /// Issue a successor (and make sure by one conditional statement that it is the only one).
    Rotate,
    /// Give the successor that was issued already, opened from its seal.
    RepeatSuccessor,
    /// Somebody uses a token for the second time: revoke the whole family and refuse.
    Reuse,
    /// Refuse and change nothing.
    Refuse(RefreshRefusal),
}

/// Why a refresh token gives nothing, without anybody being suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// It belongs to another client (RFC 6749 §6).
    OtherClient,
    /// Its grant was revoked.
    Revoked,
    /// It was not used for too long, or its family has grown too old.
    Expired,
}

impl RefreshRefusal {
    /// The stable word for audit.
    pub fn reason(self) -> &'static str {
        match self {
            Self::OtherClient => "refresh.client",
            Self::Revoked => "refresh.revoked",
            Self::Expired => "refresh.expired",
        }
    }
}

/// Decides what a presented refresh token is worth. The laws stand at the top of this module.
pub fn refresh(facts: &RefreshFacts<'_>) -> RefreshDecision {
    let RefreshFacts { record, successor, grant_live, client, now, grace } = *facts;
    if record.client != *client {
        return RefreshDecision::Refuse(RefreshRefusal::OtherClient);
    }
    if !grant_live {
        return RefreshDecision::Refuse(RefreshRefusal::Revoked);
    }
    let Some(used_at) = record.used_at else {
        return if now < record.expires_at {
            RefreshDecision::Rotate
        } else {
            RefreshDecision::Refuse(RefreshRefusal::Expired)
        };
    };
    let within_grace = now.since(used_at) < grace;
    let fresh = successor.is_some_and(|next| {
        Some(&next.digest) == record.successor.as_ref()
            && next.grant == record.grant
            && next.client == record.client
            && next.used_at.is_none()
            && now < next.expires_at
    });
    if within_grace && fresh && record.sealed_successor.is_some() {
        RefreshDecision::RepeatSuccessor
    } else {
        RefreshDecision::Reuse
    }
}

/// How long a token of a retired key may still turn up after [`KeyRecord::longest_token`]: the time in which
/// a node may not have noticed yet that the key is retired, and goes on signing with it.
pub const SETTLE: Duration = Duration::from_secs(300);

/// When keys take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// A key signs for this long.
    pub rotate_every: Duration,
    /// The next key is published for at least this long before it signs.
    pub publish_ahead: Duration,
    /// The longest life of any token that is signed under the present settings.
    pub longest_token: Duration,
}

/// One thing to do about the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStep {
    /// Make a key. It signs at once if there is none of its algorithm; otherwise it is published as the next.
    Generate {
        /// Of which algorithm.
        alg: SigningAlg,
        /// [`KeyState::Active`] or [`KeyState::Next`].
        state: KeyState,
    },
    /// Let the key remember that it signs tokens that live this long.
    Widen(KeyId, Duration),
    /// The active key stops signing; its private half is forgotten.
    Retire(KeyId),
    /// The next key begins to sign.
    Activate(KeyId),
    /// Forget the key: no living token needs it.
    Remove(KeyId),
}

/// Plans what is due at `now`, in the order in which it must be done: a key is retired before the one that
/// takes its place is activated. The laws stand at the top of this module.
pub fn plan_keys(
    keys: &[KeyRecord],
    algs: &[SigningAlg],
    now: Timestamp,
    policy: &KeyPolicy,
) -> Vec<KeyStep> {
    let mut steps = Vec::new();
    for &alg in algs {
        let of = |state| keys.iter().find(move |k| k.alg == alg && k.state == state);
        match (of(KeyState::Active), of(KeyState::Next)) {
            // Nobody can know a first key in advance, so it need not wait.
            (None, None) => steps.push(KeyStep::Generate { alg, state: KeyState::Active }),
            (None, Some(next)) => {
                steps.push(KeyStep::Activate(next.id.clone()));
                widen(next, policy, &mut steps);
            }
            (Some(active), None) => {
                widen(active, policy, &mut steps);
                if now.plus(policy.publish_ahead) >= turn_of(active, policy) {
                    steps.push(KeyStep::Generate { alg, state: KeyState::Next });
                }
            }
            (Some(active), Some(next)) => {
                widen(active, policy, &mut steps);
                if now >= activation(active, next, policy) {
                    steps.push(KeyStep::Retire(active.id.clone()));
                    steps.push(KeyStep::Activate(next.id.clone()));
                    widen(next, policy, &mut steps);
                }
            }
        }
    }
    for key in keys.iter().filter(|k| k.state == KeyState::Retired) {
        if now >= removal(key) {
            steps.push(KeyStep::Remove(key.id.clone()));
        }
    }
    steps
}

/// When the next key is to take over: by schedule, or earlier if a command ordered it.
pub fn activation(active: &KeyRecord, next: &KeyRecord, policy: &KeyPolicy) -> Timestamp {
    let scheduled = turn_of(active, policy).max(next.created_at.plus(policy.publish_ahead));
    next.activates_at.map_or(scheduled, |ordered| ordered.min(scheduled))
}

/// How soon a command wants the next key to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// After it was published for [`KeyPolicy::publish_ahead`], so that no application is surprised.
    Announced,
    /// At once: for when the present key may be known to others.
    AtOnce,
}

/// When a next key is to take over after a command said so; never later than was said before.
pub fn ordered(next: &KeyRecord, now: Timestamp, policy: &KeyPolicy, urgency: Urgency) -> Timestamp {
    let wanted = match urgency {
        Urgency::Announced => next.created_at.plus(policy.publish_ahead).max(now),
        Urgency::AtOnce => now,
    };
    next.activates_at.map_or(wanted, |before| before.min(wanted))
}

/// When the last token of a retired key has expired.
fn removal(key: &KeyRecord) -> Timestamp {
    key.retired_at.unwrap_or(Timestamp(i64::MAX)).plus(key.longest_token).plus(SETTLE)
}

/// When an active key has signed for long enough.
fn turn_of(active: &KeyRecord, policy: &KeyPolicy) -> Timestamp {
    active.activates_at.unwrap_or(active.created_at).plus(policy.rotate_every)
}

fn widen(key: &KeyRecord, policy: &KeyPolicy, steps: &mut Vec<KeyStep>) {
    if key.longest_token < policy.longest_token {
        steps.push(KeyStep::Widen(key.id.clone(), policy.longest_token));
    }
}

/// What a step makes of the times and state of the record that it names.
pub fn change(key: &mut KeyRecord, step: &KeyStep, now: Timestamp) {
    match step {
        KeyStep::Widen(_, longest) => key.longest_token = key.longest_token.max(*longest),
        KeyStep::Retire(_) => {
            key.state = KeyState::Retired;
            key.retired_at = Some(now);
        }
        KeyStep::Activate(_) => {
            key.state = KeyState::Active;
            key.activates_at = Some(now);
        }
        KeyStep::Generate { .. } | KeyStep::Remove(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::GrantId;
    use crate::protocol::Scope;
    use crate::tokens::handle::Digest;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn client(name: &str) -> ClientId {
        ClientId::new(name).unwrap()
    }
    fn token(name: &str, expires: i64) -> RefreshRecord {
        RefreshRecord {
            digest: Digest::of(name),
            grant: GrantId::new("grant-0001").unwrap(),
            client: client("a"),
            scope: Scope::empty(),
            resources: BTreeSet::new(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(expires),
            used_at: None,
            successor: None,
            sealed_successor: None,
        }
    }
    fn used(at: i64) -> RefreshRecord {
        RefreshRecord {
            used_at: Some(Timestamp(at)),
            successor: Some(Digest::of("next")),
            sealed_successor: Some(vec![1]),
            ..token("first", 1000)
        }
    }
    fn decide(
        record: &RefreshRecord,
        successor: Option<&RefreshRecord>,
        now: i64,
        grace: u64,
    ) -> RefreshDecision {
        let client = client("a");
        refresh(&RefreshFacts {
            record,
            successor,
            grant_live: true,
            client: &client,
            now: Timestamp(now),
            grace: Duration::from_millis(grace),
        })
    }

    #[test]
    fn oauth_063_a_second_use_ends_the_family() {
        assert_eq!(decide(&token("first", 1000), None, 999, 0), RefreshDecision::Rotate);
        let next = token("next", 2000);
        assert_eq!(decide(&used(500), Some(&next), 500, 0), RefreshDecision::Reuse);
        assert_eq!(decide(&used(500), Some(&next), 600, 100), RefreshDecision::Reuse);
        assert_eq!(decide(&used(500), Some(&next), 599, 100), RefreshDecision::RepeatSuccessor);
        let spent = RefreshRecord { used_at: Some(Timestamp(550)), ..next.clone() };
        assert_eq!(decide(&used(500), Some(&spent), 599, 100), RefreshDecision::Reuse);
        assert_eq!(decide(&used(500), None, 599, 100), RefreshDecision::Reuse);
        assert_eq!(decide(&used(500), Some(&token("third", 2000)), 599, 100), RefreshDecision::Reuse);
        assert_eq!(decide(&used(500), Some(&token("next", 599)), 599, 100), RefreshDecision::Reuse);
        let unsealed = RefreshRecord { sealed_successor: None, ..used(500) };
        assert_eq!(decide(&unsealed, Some(&next), 599, 100), RefreshDecision::Reuse);
    }

    #[test]
    fn an_expired_token_is_refused_but_an_expired_one_that_was_used_is_still_reuse() {
        let expired = RefreshDecision::Refuse(RefreshRefusal::Expired);
        assert_eq!(decide(&token("first", 1000), None, 1000, 0), expired);
        assert_eq!(decide(&used(500), Some(&token("next", 2000)), 1500, 0), RefreshDecision::Reuse);
    }

    fn any_record() -> impl Strategy<Value = RefreshRecord> {
        let time = 0i64..200;
        (
            time.clone(),
            prop::option::of(time.clone()),
            prop::sample::select(vec!["first", "next", "third"]),
            prop::option::of(prop::sample::select(vec!["next", "third"])),
            any::<bool>(),
        )
            .prop_map(|(expires, used, name, successor, sealed)| RefreshRecord {
                used_at: used.map(Timestamp),
                successor: successor.map(Digest::of),
                sealed_successor: sealed.then(|| vec![1]),
                ..token(name, expires)
            })
    }

    proptest! {
        #[test]
        fn oauth_065_the_laws_of_refreshing(
            record in any_record(),
            successor in prop::option::of(any_record()),
            grant_live in any::<bool>(),
            other in any::<bool>(),
            now in 0i64..300,
            grace in 0u64..100,
        ) {
            let presenter = client(if other { "b" } else { "a" });
            let facts = RefreshFacts {
                record: &record,
                successor: successor.as_ref(),
                grant_live,
                client: &presenter,
                now: Timestamp(now),
                grace: Duration::from_millis(grace),
            };
            let decision = refresh(&facts);
            // law 1
            prop_assert_eq!(other, decision == RefreshDecision::Refuse(RefreshRefusal::OtherClient));
            // law 2
            if !grant_live {
                prop_assert!(matches!(decision, RefreshDecision::Refuse(_)));
            }
            // law 3
            if decision == RefreshDecision::Rotate {
                prop_assert!(record.used_at.is_none() && now < record.expires_at.0);
            }
            if record.used_at.is_none() {
                prop_assert!(!matches!(decision, RefreshDecision::Reuse | RefreshDecision::RepeatSuccessor));
            } else if !other && grant_live {
                // law 4
                let repeated = decision == RefreshDecision::RepeatSuccessor;
                prop_assert!(repeated || decision == RefreshDecision::Reuse);
                if repeated {
                    let next = successor.as_ref().unwrap();
                    prop_assert!(next.used_at.is_none() && now < next.expires_at.0);
                    prop_assert_eq!(Some(&next.digest), record.successor.as_ref());
                    prop_assert!(now - record.used_at.unwrap().0 < i64::try_from(grace).unwrap());
                }
            }
            // law 5
            if grace == 0 {
                prop_assert_ne!(decision, RefreshDecision::RepeatSuccessor);
            }
        }
    }

    const ALGS: [SigningAlg; 2] = [SigningAlg::RS256, SigningAlg::ES256];

    fn made(
        number: usize,
        alg: SigningAlg,
        state: KeyState,
        now: Timestamp,
        policy: &KeyPolicy,
    ) -> KeyRecord {
        KeyRecord {
            id: KeyId::new(format!("key-{number:05}")).unwrap(),
            alg,
            issuer: "https://id.test".into(),
            state,
            sealed: Vec::new(),
            created_at: now,
            activates_at: (state == KeyState::Active).then_some(now),
            retired_at: None,
            longest_token: policy.longest_token,
        }
    }

    /// Carries plans out until nothing is left to do, as the flow does.
    fn carry_out(
        keys: &mut Vec<KeyRecord>,
        made_so_far: &mut usize,
        now: Timestamp,
        policy: &KeyPolicy,
    ) -> usize {
        for round in 0..5 {
            let steps = plan_keys(keys, &ALGS, now, policy);
            if steps.is_empty() {
                return round;
            }
            for step in steps {
                match &step {
                    KeyStep::Generate { alg, state } => {
                        *made_so_far += 1;
                        keys.push(made(*made_so_far, *alg, *state, now, policy));
                    }
                    KeyStep::Remove(id) => keys.retain(|key| key.id != *id),
                    KeyStep::Widen(id, _) | KeyStep::Retire(id) | KeyStep::Activate(id) => {
                        change(keys.iter_mut().find(|key| key.id == *id).unwrap(), &step, now);
                    }
                }
            }
        }
        panic!("the plan does not end");
    }

    #[test]
    fn a_command_hastens_a_key_and_never_delays_it() {
        let second = Duration::from_secs(1);
        let policy =
            KeyPolicy { rotate_every: 90 * second, publish_ahead: 10 * second, longest_token: second };
        let (start, later) = (Timestamp(0), Timestamp(0).plus(30 * second));
        let active = made(1, SigningAlg::ES256, KeyState::Active, start, &policy);
        let mut next = made(2, SigningAlg::ES256, KeyState::Next, later, &policy);
        assert_eq!(activation(&active, &next, &policy), start.plus(90 * second));
        assert_eq!(ordered(&next, later, &policy, Urgency::Announced), later.plus(10 * second));
        let after = later.plus(50 * second);
        assert_eq!(ordered(&next, after, &policy, Urgency::Announced), after);
        assert_eq!(ordered(&next, later, &policy, Urgency::AtOnce), later);
        next.activates_at = Some(later);
        assert_eq!(ordered(&next, later.plus(second), &policy, Urgency::Announced), later);
        assert_eq!(activation(&active, &next, &policy), later);
        next.activates_at = Some(start.plus(500 * second));
        assert_eq!(activation(&active, &next, &policy), start.plus(90 * second));
    }

    #[test]
    fn a_key_is_published_then_signs_then_verifies_then_goes() {
        let day = Duration::from_secs(86_400);
        let policy = KeyPolicy { rotate_every: 30 * day, publish_ahead: 2 * day, longest_token: day };
        let (mut keys, mut number) = (Vec::new(), 0);
        let states = |keys: &[KeyRecord]| -> Vec<(String, KeyState)> {
            keys.iter()
                .filter(|key| key.alg == SigningAlg::RS256)
                .map(|key| (key.id.to_string(), key.state))
                .collect()
        };
        let at = |days: u32| Timestamp(0).plus(days * day);
        let (one, two) = ("key-00001".to_owned(), "key-00003".to_owned());
        carry_out(&mut keys, &mut number, at(0), &policy);
        assert_eq!(states(&keys), [(one.clone(), KeyState::Active)]);
        carry_out(&mut keys, &mut number, at(27), &policy);
        assert_eq!(states(&keys), [(one.clone(), KeyState::Active)]);
        carry_out(&mut keys, &mut number, at(28), &policy);
        assert_eq!(states(&keys), [(one.clone(), KeyState::Active), (two.clone(), KeyState::Next)]);
        carry_out(&mut keys, &mut number, at(30), &policy);
        assert_eq!(states(&keys), [(one, KeyState::Retired), (two.clone(), KeyState::Active)]);
        carry_out(&mut keys, &mut number, at(31), &policy);
        assert_eq!(states(&keys).len(), 2, "nodes may lag");
        carry_out(&mut keys, &mut number, at(31).plus(SETTLE), &policy);
        assert_eq!(states(&keys), [(two, KeyState::Active)]);
    }

    proptest! {
        /// A random walk through time, with settings that change on the way and rotations by command.
        #[test]
        fn oauth_113_the_laws_of_key_rotation(
            walk in proptest::collection::vec((1u64..5_000, 1u64..3_000, 0u64..2_000, 0u64..4_000, 0u8..8), 1..60),
        ) {
            let (mut keys, mut number) = (Vec::new(), 0);
            let mut now = Timestamp(0);
            let mut last_signed: BTreeMap<KeyId, Timestamp> = BTreeMap::new();
            let mut promised: BTreeMap<KeyId, Timestamp> = BTreeMap::new();
            for (step, rotate, ahead, longest, command) in walk {
                now = now.plus(Duration::from_secs(step));
                let policy = KeyPolicy {
                    rotate_every: Duration::from_secs(rotate),
                    publish_ahead: Duration::from_secs(ahead),
                    longest_token: Duration::from_secs(longest),
                };
                let before = keys.clone();
                let next = keys.iter_mut().find(|key: &&mut KeyRecord| key.state == KeyState::Next);
                if let (0 | 1, Some(next)) = (command, next) {
                    let urgency = [Urgency::AtOnce, Urgency::Announced][usize::from(command)];
                    let at = ordered(next, now, &policy, urgency);
                    next.activates_at = Some(at);
                    let promise = promised.entry(next.id.clone()).or_insert(at);
                    *promise = at.min(*promise);
                }
                let rounds = carry_out(&mut keys, &mut number, now, &policy);
                prop_assert!(rounds <= 3, "law 4: {} rounds", rounds);
                for alg in ALGS {
                    let count = |state| keys.iter().filter(|k| k.alg == alg && k.state == state).count();
                    prop_assert_eq!(count(KeyState::Active), 1, "law 1");
                    prop_assert!(count(KeyState::Next) <= 1, "law 1");
                }
                for key in &keys {
                    let was = before.iter().find(|k| k.id == key.id).map(|k| k.state);
                    let first = before.iter().all(|k| k.alg != key.alg);
                    if key.state == KeyState::Active && was != Some(KeyState::Active) && !first {
                        let due = key.created_at.plus(policy.publish_ahead);
                        prop_assert!(now >= promised.get(&key.id).map_or(due, |at| due.min(*at)), "law 2");
                    }
                }
                for key in &before {
                    if !keys.iter().any(|k| k.id == key.id) {
                        let until = last_signed.get(&key.id).copied().unwrap_or(Timestamp(0));
                        prop_assert!(now >= until, "law 3");
                    }
                }
                // Every active key signs a token of the longest life right now.
                for key in keys.iter().filter(|k| k.state == KeyState::Active) {
                    let until = last_signed.entry(key.id.clone()).or_insert(now);
                    *until = (*until).max(now.plus(policy.longest_token));
                }
            }
        }
    }
}
