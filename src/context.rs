//! The only source of time, randomness and ids.
//!
//! Everything else takes a [`Context`] (or what was drawn from it) as an argument, so that a test can
//! set the clock and repeat the dice. `.clippy.toml` bans the globals elsewhere.

mod steady;

pub use steady::{Sources, SteadyClock, Strain};

use crate::ids::{AccountId, GrantId, IdentityId, ReferenceId, SessionId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A moment: milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds, as JWT claims count (`NumericDate`, RFC 7519 §2); saturates.
    pub fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }
    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// The moment `by` later; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
    /// The moment `by` earlier; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    /// RFC 3339 text in UTC, for people.
    pub fn rfc3339(self) -> String {
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
            .unwrap_or_else(|| format!("{}ms", self.0))
    }
    /// A day and minute in UTC as people read them: `26 November 2026, 18:20 UTC`.
    pub fn in_words(self) -> String {
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        let format = time::macros::format_description!(
            "[day padding:none] [month repr:long] [year], [hour]:[minute] UTC"
        );
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|at| at.format(format).ok())
            .unwrap_or_else(|| self.rfc3339())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present moment. Never earlier than one that was told before.
    fn now(&self) -> Timestamp;
    /// What is odd about the clock beneath.
    fn strain(&self) -> Strain {
        Strain::default()
    }
}

/// Where randomness comes from. Implementations for production must be cryptographically secure.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The clocks of this machine.
#[derive(Debug)]
struct Machine(std::time::Instant);

impl Sources for Machine {
    #[allow(clippy::disallowed_methods)] // the one place
    fn wall(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(millis(since))
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The clock of this process: the system's, but for going back. One for all, so that all agree.
struct SystemClock;

static CLOCK: LazyLock<SteadyClock<Machine>> =
    LazyLock::new(|| SteadyClock::over(Machine(std::time::Instant::now())));

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        CLOCK.now()
    }
    fn strain(&self) -> Strain {
        CLOCK.strain()
    }
}

/// The operating system's randomness, by way of aws-lc.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // A process that cannot draw randomness must not go on: every id and key would be guessable.
        if aws_lc_rs::rand::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}

/// A clock that stands where it was set and moves when told; for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }
    /// Sets the clock.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Repeatable bytes from a seed; for tests only: anyone can predict them.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// A sequence fixed by `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        use sha2::Digest as _;
        for chunk in buffer.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::SeqCst);
            let block = sha2::Sha256::digest(count.to_be_bytes());
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }
}

/// Time, randomness and ids for one process. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Context {
    /// The context of production: system clock, system randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
    /// A context of given parts.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }
    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// What is odd about the clock beneath.
    pub fn strain(&self) -> Strain {
        self.clock.strain()
    }
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
    /// Fills the buffer with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.entropy.fill(buffer);
    }
    /// 256 random bits as base64url (43 characters): the body of every token and handle.
    pub fn secret_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }
    fn id_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<16>())
    }
    /// A new account id: 128 random bits, so that it tells nothing about the person or the time.
    pub fn account_id(&self) -> AccountId {
        AccountId::new(self.id_text()).unwrap_or_else(|_| unreachable!("base64url of 16 bytes is an id"))
    }
    /// A new identity id.
    pub fn identity_id(&self) -> IdentityId {
        IdentityId::new(self.id_text()).unwrap_or_else(|_| unreachable!("base64url of 16 bytes is an id"))
    }
    /// A new grant id.
    pub fn grant_id(&self) -> GrantId {
        GrantId::new(self.id_text()).unwrap_or_else(|_| unreachable!("base64url of 16 bytes is an id"))
    }
    /// A new public session id.
    pub fn session_id(&self) -> SessionId {
        SessionId::new(self.id_text()).unwrap_or_else(|_| unreachable!("base64url of 16 bytes is an id"))
    }
    /// A new token id (`jti`, RFC 7519 §4.1.7).
    pub fn token_id(&self) -> String {
        self.id_text()
    }
    /// A new reference id: 12 characters of Crockford's alphabet in three groups, easy to read out.
    pub fn reference_id(&self) -> ReferenceId {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut text = String::with_capacity(14);
        for (i, byte) in self.bytes::<12>().iter().enumerate() {
            if i == 4 || i == 8 {
                text.push('-');
            }
            text.push(char::from(*ALPHABET.get(usize::from(byte & 31)).unwrap_or(&b'0')));
        }
        ReferenceId::new(text).unwrap_or_else(|_| unreachable!("14 characters of the alphabet"))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let make = || Context::new(Arc::new(ManualClock::new(Timestamp(0))), Arc::new(SeededEntropy::new(7)));
        assert_eq!(make().account_id(), make().account_id());
        let one = make();
        assert_ne!(one.account_id(), one.account_id());
    }

    #[test]
    fn times_saturate_and_round_down() {
        assert_eq!(Timestamp(-1).secs(), -1);
        assert_eq!(Timestamp(i64::MAX).plus(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(0).in_words(), "1 January 1970, 00:00 UTC");
        assert_eq!(Timestamp(i64::MAX).in_words(), Timestamp(i64::MAX).rfc3339());
    }

    #[test]
    fn a_reference_is_readable_and_not_repeated() {
        let context = Context::system();
        let one = context.reference_id();
        assert_eq!(one.as_str().len(), 14);
        assert_ne!(one, context.reference_id());
    }
}
