//! A clock that never goes back.
//!
//! The system's clock is set by others: by hand, by a time server, by whoever restores a virtual machine. If it
//! is put back a day, everything that was issued before lives a day longer. So the time that we tell runs on by
//! the machine's monotonic clock where the system's falls behind, and comes together with it again slowly. Put
//! forward, the system's clock is believed: what expires early harms nobody.
//!
//! The bound: whatever is issued with a life of `L` is over after at most `L / 0.99` of the monotonic clock.

use super::{Clock, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A step of the system's clock by this much is told of.
const STEP: Duration = Duration::from_secs(5);
/// While ahead of the system's clock, ours runs slower by one part in so many.
const SLOWER: i128 = 100;

/// The two clocks of a machine.
pub trait Sources: Send + Sync {
    /// The system's clock, which can be set.
    fn wall(&self) -> Timestamp;
    /// Time since any fixed moment, by a clock that only goes forward.
    fn monotonic(&self) -> Duration;
}

/// What is odd about the time. All zero where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strain {
    /// By how much the time that we tell is ahead of the system's clock.
    pub lead: Duration,
    /// How often the system's clock was set by more than a few seconds, either way.
    pub steps: u64,
    /// By how many milliseconds the last time; negative where it was put back.
    pub last_step: i64,
}

impl Strain {
    /// Whether the system's clock is so far behind that somebody should look.
    pub fn is_behind(&self) -> bool {
        self.lead >= STEP
    }
}

/// A clock over two others.
#[derive(Debug)]
pub struct SteadyClock<S> {
    sources: S,
    state: Mutex<Option<State>>,
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy)]
struct State {
    /// The time that was told last, since the Unix epoch.
    told: i128,
    /// The monotonic clock at that moment.
    at: i128,
    /// What the system's clock showed then.
    wall: i128,
    strain: Strain,
}

const MILLI: i128 = 1_000_000;

impl State {
    fn first(wall: i128, at: i128) -> Self {
        Self { told: wall, at, wall, strain: Strain::default() }
    }

    /// The time at a later moment.
    fn next(&self, wall: i128, at: i128) -> Self {
        let passed = at.saturating_sub(self.at).max(0);
        let step = wall.saturating_sub(self.wall).saturating_sub(passed);
        let slower = passed.saturating_sub(passed / SLOWER);
        let told = wall.max(self.told.saturating_add(slower));
        let lead = u64::try_from(told.saturating_sub(wall)).unwrap_or(u64::MAX);
        let mut strain = Strain { lead: Duration::from_nanos(lead), ..self.strain };
        if step.unsigned_abs() >= STEP.as_nanos() {
            strain.steps = strain.steps.saturating_add(1);
            strain.last_step =
                i64::try_from(step / MILLI).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX });
        }
        // The monotonic clock is trusted not to go back; should it, nothing is counted twice.
        Self { told, at: at.max(self.at), wall, strain }
    }
}

impl<S: Sources> SteadyClock<S> {
    /// A clock over these.
    pub fn over(sources: S) -> Self {
        Self { sources, state: Mutex::new(None) }
    }

    fn tell(&self) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that the readings are in the order of their use.
        let wall = i128::from(self.sources.wall().0).saturating_mul(MILLI);
        let at = i128::try_from(self.sources.monotonic().as_nanos()).unwrap_or(i128::MAX);
        let next = state.map_or_else(|| State::first(wall, at), |state| state.next(wall, at));
        *state = Some(next);
        next
    }
}

impl<S: Sources> Clock for SteadyClock<S> {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.tell().told.div_euclid(MILLI)).unwrap_or(i64::MAX))
    }
    fn strain(&self) -> Strain {
        self.tell().strain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i128 = 24 * 3600 * 1000 * MILLI;

    #[test]
    fn admin_029_a_day_back_is_not_taken_and_a_day_forward_is() {
        let start = State::first(100 * DAY, 0);
        let second = 1000 * MILLI;
        let back = start.next(99 * DAY + second, second);
        assert!(back.told > 100 * DAY);
        assert!(back.strain.is_behind());
        assert_eq!((back.strain.steps, back.strain.last_step), (1, -86_400_000));
        let forward = start.next(101 * DAY + second, second);
        assert_eq!(forward.told, 101 * DAY + second);
        assert_eq!((forward.strain.lead, forward.strain.last_step), (Duration::ZERO, 86_400_000));
        // and back again: what was issued meanwhile does not live a day longer
        let right = forward.next(100 * DAY + 2 * second, 2 * second);
        assert!(right.told > 101 * DAY && right.strain.is_behind());
        // the valid twin: clocks that agree
        let calm = start.next(100 * DAY + second, second);
        assert_eq!((calm.told, calm.strain), (100 * DAY + second, Strain::default()));
    }

    #[test]
    fn a_small_lead_goes_away_by_itself() {
        let mut state = State::first(DAY, 0).next(DAY - 1000 * MILLI, 0);
        assert_eq!(state.strain.lead, Duration::from_secs(1));
        for second in 1..=101 {
            state = state.next(DAY - 1000 * MILLI + second * 1000 * MILLI, second * 1000 * MILLI);
        }
        assert_eq!(state.strain, Strain { lead: Duration::ZERO, ..Strain::default() });
    }

    proptest! {
        /// The time never goes back, never lags behind the system's clock, and never runs slower than 99 parts
        /// in 100 of the monotonic clock: so no life is longer than its length by that measure.
        #[test]
        fn admin_029_no_life_is_longer_than_its_length(
            steps in prop::collection::vec((0_i128..DAY, -2 * DAY..2 * DAY), 1..30),
        ) {
            let mut state = State::first(1000 * DAY, 0);
            let (first, mut wall, mut at) = (state, state.wall, 0);
            for (passed, set) in steps {
                (wall, at) = (wall + passed + set, at + passed);
                let next = state.next(wall, at);
                prop_assert!(next.told >= state.told);
                prop_assert!(next.told >= wall);
                prop_assert!(next.told - first.told >= at - at / SLOWER - 30);
                state = next;
            }
        }
    }
}
