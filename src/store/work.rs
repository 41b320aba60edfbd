//! Closures on their way to the threads that own the connections, and the way back of their answers.

use super::error::StoreError;
use super::tx::Tx;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Closures that may wait for one kind of thread. Beyond it the answer is `Unavailable` at once, so that
/// memory stays bounded when the database cannot keep up.
const QUEUE: usize = 1024;
/// A closure that has waited this long is answered `Unavailable` without being run.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the transaction needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

/// A closure whose types are forgotten.
pub(super) trait Job: Send {
    /// Runs the closure; true if its changes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Sends the closure's answer, or the error that came instead.
    fn answer(self: Box<Self>, instead: Option<StoreError>);
}

struct Work<F, T, E> {
    closure: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Work<F, T, E>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(closure) = self.closure.take() else { return false };
        let result = match catch_unwind(AssertUnwindSafe(|| closure(tx))) {
            Ok(Ok(_)) if tx.lost().is_some() => Err(tx.lost().cloned().map_or_else(lost, E::from)),
            Ok(result) => result,
            Err(_) => Err(StoreError::Broken("its code panicked").into()),
        };
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }
    fn answer(self: Box<Self>, instead: Option<StoreError>) {
        let result = match (instead, self.result) {
            (Some(error), _) => Err(error.into()),
            (None, Some(result)) => result,
            (None, None) => Err(StoreError::Broken("it was never run").into()),
        };
        // Whoever asked may have gone away; the transaction stands all the same.
        let _ = self.reply.send(result);
    }
}

fn lost<E: From<StoreError>>() -> E {
    StoreError::Broken("the transaction was lost").into()
}

pub(super) struct Waiting {
    pub job: Box<dyn Job>,
    pub mode: Mode,
    since: Instant,
}

impl Waiting {
    /// The job, unless it has waited too long, in which case it is answered here.
    pub fn fresh(self) -> Option<(Box<dyn Job>, Mode)> {
        if self.since.elapsed() > PATIENCE {
            self.job.answer(Some(StoreError::Unavailable("it did not keep up with the requests".to_owned())));
            return None;
        }
        Some((self.job, self.mode))
    }
}

/// The receiving end, shared by the threads of one crew.
#[derive(Clone)]
pub(super) struct Inbox(Arc<Mutex<Receiver<Waiting>>>);

impl Inbox {
    /// Waits for the next closure; `None` when nobody can send any more.
    pub fn next(&self) -> Option<Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
    /// The next closure if one is waiting.
    pub fn try_next(&self) -> Option<Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()
    }
}

/// Threads that each own a connection. They stop, having emptied the queue, when the crew is dropped.
pub(super) struct Crew {
    queue: Option<SyncSender<Waiting>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// Starts a thread for each body.
    pub fn start<B>(name: &str, bodies: impl IntoIterator<Item = B>) -> Result<Self, StoreError>
    where
        B: FnOnce(Inbox) + Send + 'static,
    {
        let (sender, receiver) = sync_channel(QUEUE);
        let inbox = Inbox(Arc::new(Mutex::new(receiver)));
        let mut crew = Self { queue: Some(sender), threads: Vec::new() };
        for body in bodies {
            let inbox = inbox.clone();
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || body(inbox))
                .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    /// Sends the closure off and waits for its answer.
    pub async fn ask<T, E, F>(&self, mode: Mode, closure: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { closure: Some(closure), result: None, reply });
        let waiting = Waiting { job, mode, since: Instant::now() };
        let Some(queue) = &self.queue else { return Err(stopped().into()) };
        match queue.try_send(waiting) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(StoreError::Unavailable("too many requests are waiting for it".to_owned()).into());
            }
            Err(TrySendError::Disconnected(_)) => return Err(stopped().into()),
        }
        answer.await.unwrap_or_else(|_| Err(stopped().into()))
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("its thread has stopped".to_owned())
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.queue = None;
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // A closure may hold the last store: a thread cannot wait for itself.
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// An inbox in which these closures wait and no others will come.
    pub fn inbox(jobs: Vec<Box<dyn Job>>) -> Inbox {
        let (sender, receiver) = sync_channel(QUEUE);
        for job in jobs {
            sender.send(Waiting { job, mode: Mode::Write, since: Instant::now() }).unwrap();
        }
        Inbox(Arc::new(Mutex::new(receiver)))
    }
}
