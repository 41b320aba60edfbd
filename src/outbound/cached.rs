//! A document that a provider or a client publishes, kept: fetched once however many wait for it, refreshed
//! ahead of need, and used on while its publisher is away.

use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode, UserMessage};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a document is used on, after the time for which it is fresh, while its publisher is away.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How long to wait after a failed refresh before the next.
const RETRY: Duration = Duration::from_secs(30);
/// At most one fetch on a suspicion of one kind (an unknown key id) in this time.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

struct Kept<T> {
    value: Arc<T>,
    fetched_at: Timestamp,
    fresh_for: Duration,
    retry_at: Timestamp,
}

impl<T> Kept<T> {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.fetched_at) < self.fresh_for
    }

    /// Whether it may still be used while its publisher is away.
    fn serves(&self, now: Timestamp) -> bool {
        now.since(self.fetched_at) < self.fresh_for.saturating_add(STALE)
    }
}

struct State<T> {
    kept: Option<Kept<T>>,
    attempts: u64,
    /// The latest attempt that failed, with its reason and note.
    failed: Option<(u64, OAuthCode, &'static str, UserMessage, String)>,
    /// When somebody last fetched on each kind of suspicion.
    suspected_at: [Option<Timestamp>; 2],
}

/// Whose message makes a document seem to be out of date. Each kind has a cool-down of its own, so that those whom nobody
/// asked cannot use up that of people who sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// The answer to what we asked.
    Answer,
    /// Something that anybody can send at any time.
    Unasked,
}

/// What a fetch brings: the document, and for how long it is fresh.
pub type Fetched<T> = Result<(T, Duration), Failure>;

/// A kept document.
pub struct Cached<T> {
    state: Mutex<State<T>>,
    fetching: tokio::sync::Mutex<()>,
}

impl<T> std::fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cached")
    }
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        let state = State { kept: None, attempts: 0, failed: None, suspected_at: [None; 2] };
        Self { state: Mutex::new(state), fetching: tokio::sync::Mutex::new(()) }
    }
}

impl<T> Cached<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, however old.
    pub fn peek(&self) -> Option<Arc<T>> {
        self.state().kept.as_ref().map(|kept| kept.value.clone())
    }

    /// The reason why the latest fetch failed, if it did.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state();
        let (attempt, _, reason, _, note) = state.failed.as_ref()?;
        (*attempt == state.attempts).then(|| format!("{reason}: {note}"))
    }

    /// Whether four fifths of its time are over: time to refresh behind the scenes.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state().kept.as_ref().is_some_and(|kept| {
            now >= kept.retry_at && now.since(kept.fetched_at) >= kept.fresh_for.saturating_mul(4) / 5
        })
    }

    /// The document: kept, or fetched. Many callers share one fetch, and its failure.
    ///
    /// # Errors
    /// The fetch's own, where nothing is kept that may still be used.
    pub async fn get<F: Future<Output = Fetched<T>>>(
        &self,
        context: &Context,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure> {
        let before = {
            let state = self.state();
            if let Some(value) = usable(&state, context.now()) {
                return Ok(value);
            }
            state.attempts
        };
        let _turn = self.fetching.lock().await;
        {
            let state = self.state();
            if let Some(value) = usable(&state, context.now()) {
                return Ok(value);
            }
            // somebody fetched while we waited, in vain: waiting again would only add up
            if let Some((attempt, code, reason, user, note)) = &state.failed
                && *attempt > before
            {
                return Err(Failure::new(*code, reason, *user, note.clone()));
            }
        }
        self.fetch(context, fetch).await
    }

    /// Fetches now, whatever is kept; used for refreshing behind the scenes.
    ///
    /// # Errors
    /// As [`Cached::get`]; `net.cache` if nothing is kept and somebody else fetches.
    pub async fn refresh<F: Future<Output = Fetched<T>>>(
        &self,
        context: &Context,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure> {
        let Ok(_turn) = self.fetching.try_lock() else {
            return self.peek().ok_or_else(|| Failure::internal("net.cache", "a fetch is under way"));
        };
        self.fetch(context, fetch).await
    }

    /// Fetches because the kept document seems to be out of date, at most once per [`COOL_DOWN`] and kind of suspicion.
    /// `None` if nothing newer than `seen` is to be had.
    ///
    /// # Errors
    /// As [`Cached::get`].
    pub async fn suspect<F: Future<Output = Fetched<T>>>(
        &self,
        context: &Context,
        seen: &Arc<T>,
        by: Suspicion,
        fetch: impl FnOnce() -> F,
    ) -> Result<Option<Arc<T>>, Failure> {
        let _turn = self.fetching.lock().await;
        let now = context.now();
        {
            let mut state = self.state();
            let newer = state.kept.as_ref().map(|kept| &kept.value).filter(|value| !Arc::ptr_eq(value, seen));
            if let Some(newer) = newer {
                return Ok(Some(newer.clone()));
            }
            let [answer, unasked] = &mut state.suspected_at;
            let suspected_at = match by {
                Suspicion::Answer => answer,
                Suspicion::Unasked => unasked,
            };
            if suspected_at.is_some_and(|at| now.since(at) < COOL_DOWN) {
                return Ok(None);
            }
            *suspected_at = Some(now);
        }
        let value = self.fetch(context, fetch).await?;
        Ok((!Arc::ptr_eq(&value, seen)).then_some(value))
    }

    async fn fetch<F: Future<Output = Fetched<T>>>(
        &self,
        context: &Context,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure> {
        let outcome = fetch().await;
        let now = context.now();
        let mut state = self.state();
        state.attempts += 1;
        match outcome {
            Ok((value, fresh_for)) => {
                let value = Arc::new(value);
                state.failed = None;
                state.kept = Some(Kept { value: value.clone(), fetched_at: now, fresh_for, retry_at: now });
                Ok(value)
            }
            Err(failure) => {
                let note = failure.detail.note.to_string();
                state.failed = Some((state.attempts, failure.code, failure.reason, failure.user, note));
                match &mut state.kept {
                    Some(kept) if kept.serves(now) => {
                        kept.retry_at = now.plus(RETRY);
                        Ok(kept.value.clone())
                    }
                    _ => Err(failure),
                }
            }
        }
    }
}

fn usable<T>(state: &State<T>, now: Timestamp) -> Option<Arc<T>> {
    let kept = state.kept.as_ref()?;
    (kept.is_fresh(now) || (kept.serves(now) && now < kept.retry_at)).then(|| kept.value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{ManualClock, SeededEntropy};
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Bench {
        cached: Cached<u32>,
        clock: Arc<ManualClock>,
        context: Context,
        fetches: AtomicU32,
        away: std::sync::atomic::AtomicBool,
        fresh_for: Duration,
    }

    impl Bench {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new(Timestamp(0)));
            let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
            Self {
                cached: Cached::default(),
                clock,
                context,
                fetches: AtomicU32::new(0),
                away: false.into(),
                fresh_for: Duration::from_secs(100),
            }
        }
        async fn fetch(&self) -> Fetched<u32> {
            let count = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            if self.away.load(Ordering::SeqCst) {
                Err(Failure::internal("net.connect", "away"))
            } else {
                Ok((count, self.fresh_for))
            }
        }
        async fn get(&self) -> Result<u32, &'static str> {
            self.cached.get(&self.context, || self.fetch()).await.map(|v| *v).map_err(|f| f.reason)
        }
    }

    #[tokio::test]
    async fn many_who_wait_share_one_fetch_and_its_failure() {
        let bench = Bench::new();
        let all = futures_util::future::join_all((0..50).map(|_| bench.get())).await;
        assert!(all.iter().all(|one| *one == Ok(1)), "{all:?}");

        let bench = Bench::new();
        bench.away.store(true, Ordering::SeqCst);
        let all = futures_util::future::join_all((0..50).map(|_| bench.get())).await;
        assert!(all.iter().all(|one| *one == Err("net.connect")));
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 1);
        bench.away.store(false, Ordering::SeqCst);
        assert_eq!(bench.get().await, Ok(2), "a failure is not kept for those who come later");
    }

    #[tokio::test]
    async fn an_old_document_is_used_while_the_provider_is_away_but_not_for_ever() {
        let bench = Bench::new();
        assert_eq!(bench.get().await, Ok(1));
        bench.away.store(true, Ordering::SeqCst);
        bench.clock.advance(Duration::from_secs(101));
        assert_eq!(bench.get().await, Ok(1));
        assert_eq!(bench.get().await, Ok(1));
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 2, "it is not asked again at once");
        assert!(bench.cached.trouble().is_some());
        bench.clock.advance(STALE);
        assert_eq!(bench.get().await, Err("net.connect"));
    }

    #[tokio::test]
    async fn suspicion_fetches_once_per_cool_down() {
        let bench = Bench::new();
        bench.get().await.unwrap();
        let mut seen = bench.cached.peek().unwrap();
        for _ in 0..100 {
            if let Some(newer) = bench
                .cached
                .suspect(&bench.context, &seen, Suspicion::Answer, || bench.fetch())
                .await
                .unwrap()
            {
                seen = newer;
            }
        }
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 2);
        bench.clock.advance(COOL_DOWN);
        bench.cached.suspect(&bench.context, &seen, Suspicion::Answer, || bench.fetch()).await.unwrap();
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn oidc_062_ten_thousand_tokens_of_unknown_keys_cost_one_fetch() {
        let bench = Bench::new();
        bench.get().await.unwrap();
        let seen = bench.cached.peek().unwrap();
        let suspect = |seen: Arc<u32>| {
            let bench = &bench;
            async move {
                bench
                    .cached
                    .suspect(&bench.context, &seen, Suspicion::Answer, || bench.fetch())
                    .await
                    .unwrap()
            }
        };
        // All at once, and then one after another.
        let all = futures_util::future::join_all((0..5_000).map(|_| suspect(seen.clone()))).await;
        assert!(all.iter().all(|newer| newer.as_deref() == Some(&2)), "all see what the one fetch brought");
        let newest = bench.cached.peek().unwrap();
        for _ in 0..5_000 {
            assert_eq!(suspect(newest.clone()).await, None);
        }
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 2);
        bench.clock.advance(COOL_DOWN);
        assert_eq!(suspect(newest).await.as_deref(), Some(&3), "the valid twin: later it is asked again");
    }

    #[tokio::test]
    async fn oidc_062_who_was_not_asked_uses_up_no_fetch_of_those_who_sign_in() {
        let bench = Bench::new();
        bench.get().await.unwrap();
        let suspect = async |by| {
            let seen = bench.cached.peek().unwrap();
            bench.cached.suspect(&bench.context, &seen, by, || bench.fetch()).await.unwrap().is_some()
        };
        assert!(suspect(Suspicion::Unasked).await);
        assert!(!suspect(Suspicion::Unasked).await);
        assert!(suspect(Suspicion::Answer).await, "its own");
        assert!(!suspect(Suspicion::Answer).await);
        bench.clock.advance(COOL_DOWN);
        assert!(suspect(Suspicion::Answer).await);
        assert!(suspect(Suspicion::Unasked).await);
        assert!(!suspect(Suspicion::Unasked).await);
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn it_is_due_before_it_is_over() {
        let bench = Bench::new();
        bench.get().await.unwrap();
        assert!(!bench.cached.is_due(Timestamp::from_secs(79)));
        assert!(bench.cached.is_due(Timestamp::from_secs(80)));
        // after a failure not before the pause is over
        bench.away.store(true, Ordering::SeqCst);
        bench.clock.advance(Duration::from_secs(90));
        bench.cached.refresh(&bench.context, || bench.fetch()).await.unwrap();
        assert!(!bench.cached.is_due(Timestamp::from_secs(119)));
        assert!(bench.cached.is_due(Timestamp::from_secs(120)));
        assert!(!Bench::new().cached.is_due(Timestamp::from_secs(1000)), "nothing is kept");
    }

    #[tokio::test]
    async fn it_is_fresh_for_its_time_and_asked_for_again_after_each_pause() {
        let bench = Bench::new();
        let later = async |seconds: u64| {
            bench.clock.advance(Duration::from_secs(seconds));
            let value = bench.get().await;
            (value, bench.fetches.load(Ordering::SeqCst))
        };
        assert_eq!(later(0).await, (Ok(1), 1));
        assert_eq!(later(99).await, (Ok(1), 1));
        assert_eq!(later(1).await, (Ok(2), 2), "its time is over");
        bench.away.store(true, Ordering::SeqCst);
        assert_eq!(later(100).await, (Ok(2), 3));
        assert_eq!(later(29).await, (Ok(2), 3));
        assert_eq!(later(1).await, (Ok(2), 4), "the pause is over");
        // shortly before it is too old, and in the pause that follows
        let day = STALE.as_secs();
        assert_eq!(later(day - 31).await, (Ok(2), 5));
        assert_eq!(later(1).await, (Err("net.connect"), 6), "as old as may be, whatever the pause");
    }

    /// A document that may be kept for long outlives its publisher's absence no less than one that may not.
    #[tokio::test]
    async fn it_is_used_on_for_a_day_after_its_time_however_long_that_is() {
        let day = STALE.as_secs();
        for fresh in [60, day, 10 * day] {
            let bench = Bench { fresh_for: Duration::from_secs(fresh), ..Bench::new() };
            assert_eq!(bench.get().await, Ok(1));
            bench.away.store(true, Ordering::SeqCst);
            bench.clock.advance(Duration::from_secs(fresh));
            assert_eq!(bench.get().await, Ok(1), "its time is over, not its use");
            bench.clock.advance(STALE - Duration::from_secs(1));
            assert_eq!(bench.get().await, Ok(1));
            bench.clock.advance(Duration::from_secs(1));
            assert_eq!(bench.get().await, Err("net.connect"), "in the pause after the last attempt, too");
            assert_eq!(bench.cached.peek().as_deref(), Some(&1));
        }
    }

    #[tokio::test]
    async fn trouble_is_that_of_the_latest_fetch() {
        let bench = Bench::new();
        assert_eq!(bench.cached.trouble(), None);
        bench.away.store(true, Ordering::SeqCst);
        assert_eq!(bench.get().await, Err("net.connect"));
        assert_eq!(bench.cached.trouble().as_deref(), Some("net.connect: away"));
        bench.away.store(false, Ordering::SeqCst);
        bench.get().await.unwrap();
        assert_eq!(bench.cached.trouble(), None);
        assert_eq!(format!("{:?}", bench.cached), "Cached", "and not what is kept");
    }

    #[tokio::test]
    async fn suspicion_brings_nothing_while_the_publisher_is_away() {
        let bench = Bench::new();
        bench.get().await.unwrap();
        let seen = bench.cached.peek().unwrap();
        bench.away.store(true, Ordering::SeqCst);
        assert_eq!(
            bench.cached.suspect(&bench.context, &seen, Suspicion::Answer, || bench.fetch()).await.unwrap(),
            None
        );
        assert_eq!(bench.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_fetch_who_has_what_is_fresh() {
        let bench = Bench::new();
        bench.get().await.unwrap();
        let turn = bench.cached.fetching.lock().await;
        let waits = futures_util::future::select(Box::pin(bench.get()), Box::pin(async {}));
        let futures_util::future::Either::Left((value, _)) = waits.await else { panic!("it waits") };
        assert_eq!(value, Ok(1));
        drop(turn);
    }

    #[tokio::test]
    async fn a_refresh_does_not_wait_for_another_fetch() {
        let bench = Bench::new();
        let refresh =
            async || bench.cached.refresh(&bench.context, || bench.fetch()).await.map(|value| *value);
        let turn = bench.cached.fetching.lock().await;
        assert_eq!(refresh().await.map_err(|failure| failure.reason), Err("net.cache"));
        drop(turn);
        assert_eq!(refresh().await.unwrap(), 1);
        let turn = bench.cached.fetching.lock().await;
        assert_eq!(refresh().await.unwrap(), 1, "what is kept");
        drop(turn);
        assert_eq!(refresh().await.unwrap(), 2, "whatever is kept");
    }
}
