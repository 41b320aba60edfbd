//! Everything that must outlive the process: SQLite in one file, or PostgreSQL shared by many nodes, with one
//! schema and one query code. Nobody outside knows which.
//!
//! A caller gives [`Store::read`] or [`Store::write`] a closure; it runs as one transaction on a thread that
//! owns a connection, never on the threads that serve requests. Whatever `write` has answered is durable.
//! Whatever works once is consumed by one conditional statement, so of many who try at once one succeeds.
//!
//! ```text
//!  mod.rs        Store: open, migrate, read, write
//!  tx.rs         Tx, and the macros that write a query once for both databases
//!  work.rs       closures on their way to the threads, answers on their way back
//!  sqlite.rs     the writer with its shared commit; the readers
//!  postgres.rs   the connections
//!  the others    queries by subject, all of them methods of Tx
//! ```

mod accounts;
mod assignments;
mod audit;
mod clients;
mod codes;
mod deletions;
mod directory;
mod email_codes;
mod epoch;
mod error;
mod grants;
mod identities;
mod invitations;
mod keys;
mod logouts;
mod meta;
mod migrations;
mod once;
mod postgres;
mod pushed;
mod read;
mod refresh;
mod refusals;
mod registration;
mod schema;
mod sessions;
mod sqlite;
mod sweep;
mod tx;
mod work;

pub use audit::AuditRecord;
pub use codes::CodeOutcome;
pub use email_codes::NewCode;
pub use epoch::Ended;
pub use error::StoreError;
pub use logouts::{LOGOUTS_KEPT, LogoutReport};
pub use once::Turn;
pub use pushed::{Bounds, Pushed};
pub use registration::{RegistrationChange, RegistrationRecord};
pub use sweep::{GRANT_KEPT, REMEMBERED, REMOVAL_KEPT, Swept};
pub use tx::Tx;

use crate::config::settings::Database;
use postgres::Server;
use sqlite::File;
use std::sync::Arc;
use work::{Crew, Mode};

/// The open database. Cheap to clone; the last clone to go stops its threads, which first finish what was
/// asked of them.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    place: Place,
    readers: Option<Crew>,
    /// On PostgreSQL, readers too.
    writers: Crew,
}

enum Place {
    Sqlite(File),
    Postgres(Server),
}

impl Store {
    /// Connects. An SQLite file is made, with mode 0600, if it is not there. No migration is run.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no connection, [`StoreError::Newer`] if the database was
    /// migrated by a newer version of this program.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let inner = match database {
            Database::Sqlite { path, readers } => {
                let file = File::prepare(path)?;
                let mut first = file.connect(Mode::Write)?;
                migrations::sqlite_standing(&mut first)?;
                let writer = {
                    let file = file.clone();
                    move |inbox| sqlite::write(&file, first, &inbox)
                };
                let readers = (0..(*readers).max(1)).map(|_| {
                    let file = file.clone();
                    move |inbox| sqlite::read(&file, &inbox)
                });
                let readers = Some(Crew::start("store-read", readers)?);
                let writers = Crew::start("store-write", [writer])?;
                Inner { place: Place::Sqlite(file), readers, writers }
            }
            Database::Postgres { url, connections } => {
                let server = Server::new(url);
                migrations::postgres_standing(&mut server.connect()?)?;
                let bodies = (0..(*connections).max(1)).map(|_| {
                    let server = server.clone();
                    move |inbox| postgres::serve(&server, &inbox)
                });
                let writers = Crew::start("store", bodies)?;
                Inner { place: Place::Postgres(server), readers: None, writers }
            }
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Runs all migrations that the database lacks, all or none, and names them. Safe while other processes
    /// use the database, and when many start together.
    ///
    /// # Errors
    /// [`StoreError::Newer`] as for `open`; [`StoreError::Unavailable`] if a migration fails.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        match &self.0.place {
            Place::Sqlite(file) => migrations::migrate_sqlite(&mut file.connect(Mode::Write)?),
            Place::Postgres(server) => migrations::migrate_postgres(&mut server.connect()?),
        }
    }

    /// The migrations that the database lacks, in order.
    ///
    /// # Errors
    /// As for `open`.
    pub fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let standing = match &self.0.place {
            Place::Sqlite(file) => migrations::sqlite_standing(&mut file.connect(Mode::Read)?)?,
            Place::Postgres(server) => migrations::postgres_standing(&mut server.connect()?)?,
        };
        Ok(standing.pending)
    }

    /// Runs the closure on one unchanging state of the database. It cannot write.
    ///
    /// # Errors
    /// The closure's own, or a [`StoreError`] as its error type takes it.
    pub async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.readers.as_ref().unwrap_or(&self.0.writers).ask(Mode::Read, closure).await
    }

    /// Runs the closure as one transaction and answers when it is durable. If the closure answers `Err` or
    /// panics, nothing of it is kept. If the caller goes away meanwhile, the transaction still happens.
    ///
    /// # Errors
    /// The closure's own, or a [`StoreError`] as its error type takes it.
    pub async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.writers.ask(Mode::Write, closure).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0.place {
            Place::Sqlite(_) => "Store(SQLite)",
            Place::Postgres(_) => "Store(PostgreSQL)",
        })
    }
}
