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
    aside_or(|| refused("saml.sig.invalid", "the verifier gave up on the message"), work).await
}

/// As [`aside`]; a panic in the work is this failure.
pub(super) async fn aside_or<T: Send + 'static>(
    gave_up: impl FnOnce() -> Failure,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    within(&ROOM, gave_up, work).await
}

async fn within<T: Send + 'static>(
    room: &Arc<Semaphore>,
    gave_up: impl FnOnce() -> Failure,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let room = Arc::clone(room)
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
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(gave_up()))
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

    /// Each piece of work announces itself and then waits to be let go, so what runs at once is counted without a clock.
    #[tokio::test]
    async fn as_much_runs_at_once_as_there_is_room_and_no_more() {
        use std::sync::mpsc;
        const MOST: usize = 3;
        let gave_up = || refused("saml.sig.invalid", "gave up");
        let room = Arc::new(Semaphore::new(MOST));
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for number in 0..=MOST {
            let (room, begun) = (room.clone(), begun.clone());
            let (go, gone) = mpsc::channel::<()>();
            let work = move || {
                begun.send((number, go)).unwrap();
                // until its sender is dropped
                let _ = gone.recv();
                Ok(number)
            };
            waiting.push(tokio::spawn(async move { within(&room, gave_up, work).await }));
        }
        let mut running = Vec::new();
        for _ in 0..MOST {
            running.push(begins.recv().await.unwrap());
        }
        // All of them have asked by now; the last one has no room, and so has not even been handed to a thread.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(room.available_permits(), 0);
        assert!(begins.try_recv().is_err(), "more than {MOST} at once");
        // One ends, also by a panic or where nobody waits for it, and the next begins.
        drop(running.pop());
        let (last, go) = begins.recv().await.unwrap();
        assert!(begins.try_recv().is_err() && running.iter().all(|(number, _)| *number != last));
        drop((go, running));
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        assert_eq!(room.available_permits(), MOST);
    }

    #[tokio::test]
    async fn who_stops_waiting_gives_no_room_back_before_the_work_ends() {
        let room = Arc::new(Semaphore::new(1));
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let kept = room.clone();
        let waiting = tokio::spawn(async move {
            let work = move || {
                begun.send(()).unwrap();
                let _ = gone.recv();
                Ok(())
            };
            within(&kept, || refused("saml.sig.invalid", "gave up"), work).await
        });
        begins.recv().await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(room.available_permits(), 0);
        drop(go);
        drop(room.acquire().await.unwrap());
    }

    #[tokio::test]
    async fn who_gives_up_says_so_in_the_words_of_the_caller() {
        let gave_up = || Failure::internal("saml.metadata", "the reader gave up");
        let failure = aside_or::<()>(gave_up, || panic!("in a reader")).await.unwrap_err();
        assert_eq!(failure.reason, "saml.metadata");
        assert_eq!(aside_or(gave_up, || Ok(7)).await.unwrap(), 7);
    }

    /// The room of the broker itself is the processors' number.
    #[test]
    fn there_is_room_for_as_many_as_there_are_processors() {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        assert!(ROOM.available_permits() <= processors);
    }
}
