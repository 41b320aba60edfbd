//! SQLite: one thread that writes and shares one durable commit among the transactions that wait, and a few
//! threads that read.
//!
//! What is synced when: `journal_mode=WAL` with `synchronous=FULL`, so every commit is synced to the disk
//! before anybody is answered. A power cut takes nothing that was answered.

use super::error::StoreError;
use super::tx::Tx;
use super::work::{Inbox, Job, Mode};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Transactions that share one commit at most.
const GROUP: usize = 256;

/// Where the file is, in a form that SQLite takes for nothing else.
#[derive(Debug, Clone)]
pub(super) struct File(PathBuf);

impl File {
    /// Creates the file, readable by its owner alone, if it is not there. The journal files that SQLite
    /// puts beside it get the same mode.
    pub fn prepare(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let absolute = std::path::absolute(path).map_err(failed)?;
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&absolute) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(Self(absolute))
    }

    /// Opens a connection.
    pub fn connect(&self, mode: Mode) -> Result<SqliteConnection, StoreError> {
        let path = self.0.to_str().ok_or_else(|| {
            StoreError::Unavailable(format!("{}: the path is not valid UTF-8", self.0.display()))
        })?;
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{path}: {error}"));
        let mut conn = SqliteConnection::establish(path).map_err(|error| failed(&error))?;
        conn.batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
             PRAGMA temp_store = MEMORY;",
        )
        .and_then(|()| {
            conn.batch_execute(match mode {
                Mode::Write => {
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA journal_size_limit = 67108864;"
                }
                Mode::Read => "PRAGMA query_only = ON;",
            })
        })
        .map_err(|error| failed(&error))?;
        Ok(conn)
    }
}

/// The writer's thread.
pub(super) fn write(file: &File, first: SqliteConnection, inbox: &Inbox) {
    let mut slot = Some(first);
    while let Some(waiting) = inbox.next() {
        let Some((job, _)) = waiting.fresh() else { continue };
        let conn = match slot.take().map_or_else(|| file.connect(Mode::Write), Ok) {
            Ok(conn) => conn,
            Err(error) => {
                job.answer(Some(error));
                continue;
            }
        };
        slot = write_group(conn, job, inbox);
    }
}

/// Runs the first closure and those that wait behind it in one transaction, each in a savepoint of its own,
/// commits once, and then answers each. Gives the connection back if it is still good.
fn write_group(mut conn: SqliteConnection, first: Box<dyn Job>, inbox: &Inbox) -> Option<SqliteConnection> {
    if let Err(error) = conn.batch_execute("BEGIN IMMEDIATE") {
        first.answer(Some(error.into()));
        return Some(conn);
    }
    let mut done: Vec<Box<dyn Job>> = Vec::new();
    let mut next = Some(first);
    let mut outcome = Ok(());
    while let Some(mut job) = next.take() {
        outcome = one(&mut conn, job.as_mut());
        done.push(job);
        // Some errors (disk full, I/O) end the whole transaction, and then nothing may be added to it.
        if outcome.is_ok() && done.len() < GROUP {
            next = std::iter::from_fn(|| inbox.try_next()).find_map(|w| w.fresh()).map(|(job, _)| job);
        }
    }
    let outcome = outcome.and_then(|()| conn.batch_execute("COMMIT").map_err(StoreError::from));
    let failed = outcome.err();
    let good = failed.is_none();
    if !good {
        // Closing the connection undoes whatever is still open; it must be gone before anybody is answered.
        drop(conn.batch_execute("ROLLBACK"));
    }
    let conn = good.then_some(conn);
    for job in done {
        job.answer(failed.clone());
    }
    conn
}

/// One closure in its savepoint. An error means that the surrounding transaction is not sound any more.
fn one(conn: &mut SqliteConnection, job: &mut dyn Job) -> Result<(), StoreError> {
    conn.batch_execute("SAVEPOINT one")?;
    let mut tx = Tx::sqlite(conn);
    let keep = job.run(&mut tx);
    let lost = tx.lost().cloned();
    // Both fail if SQLite has given up the transaction in the meantime; then the first error says why.
    let ended = conn.batch_execute(if keep { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" });
    ended.map_err(|error| lost.unwrap_or_else(|| error.into()))
}

/// A reader's thread: each closure sees one state of the database from beginning to end.
pub(super) fn read(file: &File, inbox: &Inbox) {
    let mut slot = None;
    while let Some(waiting) = inbox.next() {
        let Some((mut job, _)) = waiting.fresh() else { continue };
        let mut conn = match slot.take().map_or_else(|| file.connect(Mode::Read), Ok) {
            Ok(conn) => conn,
            Err(error) => {
                job.answer(Some(error));
                continue;
            }
        };
        let failed = conn.batch_execute("BEGIN").and_then(|()| {
            job.run(&mut Tx::sqlite(&mut conn));
            conn.batch_execute("ROLLBACK")
        });
        if failed.is_ok() {
            slot = Some(conn);
        }
        job.answer(failed.err().map(StoreError::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tx::Conn;
    use std::sync::{Arc, Mutex};

    type Answers = Arc<Mutex<Vec<(&'static str, Option<StoreError>)>>>;

    /// Runs statements of its own and notes how it was answered.
    struct Raw(&'static str, &'static str, Answers);

    impl Job for Raw {
        fn run(&mut self, tx: &mut Tx<'_>) -> bool {
            let Conn::Sqlite(conn) = &mut tx.conn else { return false };
            let result = conn.batch_execute(self.1);
            tx.settle(result, false).is_ok()
        }
        fn answer(self: Box<Self>, instead: Option<StoreError>) {
            self.2.lock().unwrap().push((self.0, instead));
        }
    }

    const ACCOUNT: &str = "INSERT INTO accounts VALUES ('aaaaaaaa', 'active', '{}', '', 0, 0)";

    fn count(conn: &mut SqliteConnection) -> i64 {
        use diesel::prelude::*;
        crate::store::schema::accounts::table.count().get_result(conn).unwrap()
    }

    /// A group of a sound closure and this one; how each was answered, and how many accounts there are then.
    fn group_with(sql: &'static str) -> (Vec<(&'static str, Option<StoreError>)>, i64, bool) {
        let directory = tempfile::tempdir().unwrap();
        let file = File::prepare(&directory.path().join("store.db")).unwrap();
        let mut conn = file.connect(Mode::Write).unwrap();
        crate::store::migrations::migrate_sqlite(&mut conn).unwrap();
        let answers = Answers::default();
        let inbox = crate::store::work::testing::inbox(vec![Box::new(Raw("other", sql, answers.clone()))]);
        let kept = write_group(conn, Box::new(Raw("sound", ACCOUNT, answers.clone())), &inbox).is_some();
        let count = count(&mut file.connect(Mode::Read).unwrap());
        let answers = answers.lock().unwrap().clone();
        (answers, count, kept)
    }

    #[test]
    fn a_group_is_committed_once_and_each_is_answered() {
        let (answers, count, kept) = group_with("UPDATE counters SET value = 7");
        assert_eq!(answers, [("sound", None), ("other", None)]);
        assert_eq!((count, kept), (1, true));
    }

    #[test]
    fn admin_030_if_the_commit_fails_nobody_is_told_of_success() {
        // a violation that shows only at the commit
        let (answers, count, kept) = group_with(
            "PRAGMA defer_foreign_keys = ON; \
             INSERT INTO consents (account, client, scope, given_at) VALUES ('nobody00', 'client', '', 0)",
        );
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(|(_, error)| error.is_some()), "{answers:?}");
        assert_eq!((count, kept), (0, false));
    }

    #[test]
    fn admin_030_if_the_database_gives_up_the_transaction_nobody_is_told_of_success() {
        // as SQLite does by itself when the disk is full or fails
        let (answers, count, kept) = group_with("ROLLBACK");
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(|(_, error)| error.is_some()), "{answers:?}");
        assert_eq!((count, kept), (0, false));
    }

    #[test]
    fn admin_030_a_full_disk_is_an_error() {
        let (answers, count, kept) = group_with(
            "PRAGMA max_page_count = 1; \
             INSERT INTO meta VALUES ('big', hex(randomblob(1000000)))",
        );
        let full = Some(StoreError::Unavailable("database or disk is full".to_owned()));
        assert_eq!(answers, [("sound", full.clone()), ("other", full)]);
        assert_eq!((count, kept), (0, false));
    }
}
