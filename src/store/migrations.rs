//! Migrations: embedded, forward only, all pending ones in one transaction, one process at a time.

use super::error::StoreError;
use diesel::connection::SimpleConnection as _;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::{Connection as _, PgConnection, QueryResult, RunQueryDsl as _, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Which of the embedded migrations a database has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Those that it lacks, in order.
    pub pending: Vec<String>,
}

#[derive(diesel::QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

enum Failed {
    Query(diesel::result::Error),
    Store(StoreError),
}

impl From<diesel::result::Error> for Failed {
    fn from(error: diesel::result::Error) -> Self {
        Self::Query(error)
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Query(error) => error.into(),
            Failed::Store(error) => error,
        }
    }
}

macro_rules! per_database {
    ($standing:ident, $run:ident, $conn:ty, $backend:ty, $source:expr, $has_table:literal) => {
        /// Compares the database with the embedded migrations; changes nothing.
        ///
        /// # Errors
        /// [`StoreError::Newer`] if it has one that this binary does not know.
        pub(super) fn $standing(conn: &mut $conn) -> Result<Standing, StoreError> {
            let known = known::<$backend>(&$source)?;
            let table: Count = diesel::sql_query($has_table).get_result(conn)?;
            let applied: Vec<Version> = if table.count == 0 {
                Vec::new()
            } else {
                diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(conn)?
            };
            compare(known, applied.into_iter().map(|v| v.version).collect())
        }

        fn $run(conn: &mut $conn) -> Result<Vec<String>, Failed> {
            $standing(conn).map_err(Failed::Store)?;
            let run = conn.run_pending_migrations($source).map_err(|error| {
                Failed::Store(StoreError::Unavailable(format!("a migration failed: {error}")))
            })?;
            Ok(run.iter().map(ToString::to_string).collect())
        }
    };
}

per_database!(
    sqlite_standing,
    sqlite_run,
    SqliteConnection,
    diesel::sqlite::Sqlite,
    SQLITE,
    "SELECT count(*) AS count FROM sqlite_master WHERE name = '__diesel_schema_migrations'"
);
per_database!(
    postgres_standing,
    postgres_run,
    PgConnection,
    diesel::pg::Pg,
    POSTGRES,
    "SELECT count(*) AS count FROM pg_class WHERE oid = to_regclass('__diesel_schema_migrations')"
);

fn known<DB: diesel::backend::Backend>(
    source: &impl MigrationSource<DB>,
) -> Result<BTreeSet<String>, StoreError> {
    let migrations = source
        .migrations()
        .map_err(|error| StoreError::Corrupt(format!("the embedded migrations: {error}")))?;
    Ok(migrations.iter().map(|m| version(&m.name().version())).collect())
}

fn version(version: &MigrationVersion<'_>) -> String {
    version.to_string()
}

fn compare(known: BTreeSet<String>, applied: BTreeSet<String>) -> Result<Standing, StoreError> {
    if let Some(newer) = applied.difference(&known).last() {
        return Err(StoreError::Newer(newer.clone()));
    }
    Ok(Standing { pending: known.difference(&applied).cloned().collect() })
}

/// Runs what is pending on SQLite; other processes wait meanwhile.
pub(super) fn migrate_sqlite(conn: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    Ok(conn.immediate_transaction(sqlite_run)?)
}

/// Runs what is pending on PostgreSQL. Nodes that start together wait for one another.
pub(super) fn migrate_postgres(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    // A migration of a large table may take its time, and so may the node before us.
    conn.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")?;
    Ok(conn.transaction(|conn| {
        advisory_lock(conn)?;
        postgres_run(conn)
    })?)
}

fn advisory_lock(conn: &mut PgConnection) -> QueryResult<()> {
    // Any number will do, as long as nobody else uses it in this database.
    conn.batch_execute("SELECT pg_advisory_xact_lock(7164912338845021987)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn admin_034_a_migration_that_we_do_not_know_is_refused() {
        assert_eq!(compare(set(&["1", "2"]), set(&["1", "3"])), Err(StoreError::Newer("3".to_owned())));
        assert_eq!(compare(set(&["1", "2"]), set(&["1"])), Ok(Standing { pending: vec!["2".to_owned()] }));
        assert_eq!(compare(set(&["1"]), set(&["1"])), Ok(Standing { pending: vec![] }));
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        assert_eq!(
            known::<diesel::sqlite::Sqlite>(&SQLITE).unwrap(),
            known::<diesel::pg::Pg>(&POSTGRES).unwrap()
        );
    }
}
