//! PostgreSQL: a fixed number of connections, each owned by a thread, one transaction for each closure.
//!
//! Writers use READ COMMITTED, and every rule that must hold under concurrency is one conditional statement,
//! a unique index, or a turn that is waited for (`hold_account`, `take_turn`). Readers see one state from beginning to end. `synchronous_commit` is at least `on`.

use super::error::StoreError;
use super::tx::Tx;
use super::work::{Inbox, Job, Mode};
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::{Connection as _, PgConnection};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Bounds for which the address gives none of its own: a server that is gone is noticed within seconds.
const BOUNDS: [(&str, &str); 6] = [
    ("connect_timeout", "3"),
    ("tcp_user_timeout", "10000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
    ("application_name", "countersign"),
];

/// Every statement and every wait for a lock is bounded, and nothing is answered before it is durable.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = 'warning'; \
    SELECT set_config('synchronous_commit', 'on', false) \
      WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// The server's address with our bounds.
#[derive(Clone)]
pub(super) struct Server(SecretString);

impl Server {
    pub fn new(url: &SecretString) -> Self {
        let Ok(mut parsed) = Url::parse(url.expose_secret()) else { return Self(url.clone()) };
        let given: Vec<String> = parsed.query_pairs().map(|(key, _)| key.into_owned()).collect();
        for (key, value) in BOUNDS {
            if !given.iter().any(|g| g == key) {
                parsed.query_pairs_mut().append_pair(key, value);
            }
        }
        Self(String::from(parsed).into())
    }

    pub fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut conn = PgConnection::establish(self.0.expose_secret())?;
        conn.batch_execute(SESSION)?;
        Ok(conn)
    }

    /// Begins a transaction on the connection, or on a new one if the server has closed it meanwhile.
    fn begin(&self, slot: Option<PgConnection>, mode: Mode) -> Result<PgConnection, StoreError> {
        if let Some(mut conn) = slot
            && start(&mut conn, mode).is_ok()
        {
            return Ok(conn);
        }
        let mut conn = self.connect()?;
        start(&mut conn, mode)?;
        Ok(conn)
    }
}

fn start(conn: &mut PgConnection, mode: Mode) -> diesel::QueryResult<()> {
    AnsiTransactionManager::begin_transaction_sql(
        conn,
        match mode {
            Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        },
    )
}

/// A connection's thread.
pub(super) fn serve(server: &Server, inbox: &Inbox) {
    let mut slot = None;
    while let Some(waiting) = inbox.next() {
        let Some((job, mode)) = waiting.fresh() else { continue };
        match server.begin(slot.take(), mode) {
            Ok(conn) => slot = transact(conn, job),
            Err(error) => job.answer(Some(error)),
        }
    }
}

/// Runs the closure in the transaction that has begun. Gives the connection back if it is still good.
fn transact(mut conn: PgConnection, mut job: Box<dyn Job>) -> Option<PgConnection> {
    let keep = job.run(&mut Tx::postgres(&mut conn));
    let ended = if keep {
        AnsiTransactionManager::commit_transaction(&mut conn)
    } else {
        AnsiTransactionManager::rollback_transaction(&mut conn)
    };
    let good = ended.is_ok() && !AnsiTransactionManager::is_broken_transaction_manager(&mut conn);
    // If a transaction is still open here, a commit would only have released a savepoint of it.
    let unsound = keep && !good;
    let conn = good.then_some(conn);
    let instead = match ended {
        Err(error) if keep => Some(error.into()),
        Ok(()) if unsound => Some(StoreError::Broken("it did not end where it began")),
        // The closure failed and was undone, if only by closing the connection: its own answer stands.
        _ => None,
    };
    job.answer(instead);
    conn
}
