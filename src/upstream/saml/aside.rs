//! Where messages are verified: off the async threads, a few at a time, and silent where a library gives up.

use crate::failure::Failure;
use crate::upstream::checks::refused;
use std::cell::Cell;
use std::panic;
use std::sync::{Arc, LazyLock, Once};
use tokio::sync::Semaphore;

/// Messages that are verified at the same time: as many as there are processors. Others wait.
static ROOM: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from))));

thread_local! {
    /// Whether this thread verifies a message now.
    static VERIFIES: Cell<bool> = const { Cell::new(false) };
}

/// Marks its thread as long as it lives, also while a panic passes.
struct Verifying;

impl Verifying {
    fn begin() -> Self {
        hush();
        VERIFIES.set(true);
        Self
    }
}

impl Drop for Verifying {
    fn drop(&mut self) {
        VERIFIES.set(false);
    }
}

/// What a panic says often quotes what the code stumbled over, which here is a message with a person in it. So of a panic
/// in a verifier only the place in the source is told; all others are told as before.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !VERIFIES.try_with(Cell::get).unwrap_or(false) {
                return others(info);
            }
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            tracing::error!(place, "a verifier of SAML messages panicked; please report it");
        }));
    });
}

/// Runs work that blocks for a millisecond or two off the async threads, bounded. A panic in it is a refusal.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let room = Arc::clone(&ROOM)
        .acquire_owned()
        .await
        .map_err(|_| Failure::internal("saml.internal", "there is no room left"))?;
    // The room is given back when the work ends, also where nobody waits for it any more.
    let work = move || {
        let _verifying = Verifying::begin();
        let done = work();
        drop(room);
        done
    };
    // The error would repeat what the panic said.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(refused("saml.sig.invalid", "the verifier gave up on the message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SECRET: &str = "alice@acme.example";

    /// Not a test by itself: the process in which [`what_a_verifier_says_in_a_panic_is_not_printed`] looks on.
    #[tokio::test]
    #[ignore = "run by another test, in a process of its own"]
    async fn panics() {
        let failure = aside::<()>(|| panic!("no such character in {SECRET}")).await.unwrap_err();
        assert!(!format!("{failure:?}").contains(SECRET));
        // the thread is as it was, and so are others
        let again = aside(|| Ok(VERIFIES.get())).await.unwrap();
        assert!(again && !VERIFIES.get());
        let other = tokio::task::spawn_blocking(|| panic!("something else, told as ever")).await;
        assert!(other.is_err());
    }

    #[test]
    fn what_a_verifier_says_in_a_panic_is_not_printed() {
        let this = std::env::current_exe().unwrap();
        let name = concat!(module_path!(), "::panics");
        let name = name.split_once("::").unwrap().1;
        let output = Command::new(this).args(["--exact", "--ignored", "--nocapture", name]).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("1 passed"), "{told}");
        assert!(!told.contains(SECRET), "{told}");
        assert!(told.contains("something else, told as ever"), "{told}");
    }
}
