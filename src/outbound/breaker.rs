//! A circuit breaker: after several failures in a row nobody waits for a provider that is away; after a
//! pause one request tries again.

use crate::context::Timestamp;
use std::sync::Mutex;
use std::time::Duration;

/// Failures in a row that open the circuit.
pub const FAILURES: u32 = 5;
/// How long it stays open before one request may try.
pub const PAUSE: Duration = Duration::from_secs(10);

/// What the breaker says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Go.
    Go,
    /// The provider was away a moment ago; do not try.
    Open,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    /// When the circuit opened, or when the last trial set out.
    opened_at: Option<Timestamp>,
}

/// The breaker of one provider.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

impl Breaker {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // the state is two numbers: it is whole even if a thread panicked while holding it
        f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Asks whether a request may set out at `now`. While the circuit is open, one request per pause may.
    pub fn ask(&self, now: Timestamp) -> Pass {
        self.with(|state| match state.opened_at {
            Some(opened) if now.since(opened) < PAUSE => Pass::Open,
            Some(_) => {
                state.opened_at = Some(now);
                Pass::Go
            }
            None => Pass::Go,
        })
    }

    /// Whether no request may set out at `now`. Asking changes nothing.
    pub fn is_open_at(&self, now: Timestamp) -> bool {
        self.with(|state| state.opened_at.is_some_and(|opened| now.since(opened) < PAUSE))
    }

    /// Tells how a request went.
    pub fn tell(&self, now: Timestamp, success: bool) {
        self.with(|state| {
            if success {
                *state = State::default();
            } else {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURES {
                    state.opened_at = Some(now);
                }
            }
        });
    }

    /// Whether the circuit is closed.
    pub fn is_closed(&self) -> bool {
        self.with(|state| state.opened_at.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try_after_the_pause() {
        let breaker = Breaker::default();
        let start = Timestamp(0);
        for _ in 1..FAILURES {
            assert_eq!(breaker.ask(start), Pass::Go);
            breaker.tell(start, false);
        }
        assert_eq!(breaker.ask(start), Pass::Go);
        breaker.tell(start, false);
        assert_eq!(breaker.ask(start), Pass::Open);
        assert!(breaker.is_open_at(start));
        let later = start.plus(PAUSE);
        assert!(!breaker.is_open_at(later) && !breaker.is_open_at(later), "looking is not trying");
        assert_eq!(breaker.ask(later), Pass::Go);
        assert_eq!(breaker.ask(later), Pass::Open, "only one tries");
        assert!(breaker.is_open_at(later));
        breaker.tell(later, true);
        assert_eq!(breaker.ask(later), Pass::Go);
        assert!(breaker.is_closed() && !breaker.is_open_at(later));
    }

    #[test]
    fn a_success_forgets_the_failures_before_it() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breaker.tell(Timestamp(0), false);
            }
            breaker.tell(Timestamp(0), true);
        }
        assert_eq!(breaker.ask(Timestamp(0)), Pass::Go);
    }
}
