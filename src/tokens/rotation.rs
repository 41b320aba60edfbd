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
        if key.retired_at.is_some_and(|at| now >= at.plus(key.longest_token).plus(SETTLE)) {
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
