//! Databases for tests: a temporary file, or a new database on the server that was named.

use countersign::config::settings::Database;
use countersign::store::Store;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

const SERVER: &str = "COUNTERSIGN_TEST_POSTGRES";

/// An empty database that goes with its owner.
pub struct Place {
    pub database: Database,
    after: After,
}

enum After {
    Directory { _kept: tempfile::TempDir },
    Drop { server: url::Url, name: String },
}

impl Place {
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite { path: directory.path().join("store.db"), readers: 2 };
        Self { database, after: After::Directory { _kept: directory } }
    }

    /// `None`, said plainly once, if no server was named.
    pub fn postgres() -> Option<Self> {
        static SAID: Once = Once::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Ok(server) = std::env::var(SERVER) else {
            SAID.call_once(|| eprintln!("SKIPPED on PostgreSQL: {SERVER} is not set"));
            return None;
        };
        let server = url::Url::parse(&server).expect("COUNTERSIGN_TEST_POSTGRES is a URL");
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("countersign_laws_{}_{count}", std::process::id());
        on_server(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        on_server(&server, &format!("CREATE DATABASE {name}"));
        let mut url = server.clone();
        url.set_path(&name);
        let database = Database::Postgres {
            url: String::from(url).into(),
            connections: crate::fixtures::CONNECTIONS as u32,
        };
        Some(Self { database, after: After::Drop { server, name } })
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.database, Database::Sqlite { .. })
    }

    pub fn file(&self) -> PathBuf {
        match &self.database {
            Database::Sqlite { path, .. } => path.clone(),
            Database::Postgres { .. } => panic!("PostgreSQL has no file"),
        }
    }

    /// Whether a transaction on this PostgreSQL database waits for another.
    pub fn somebody_waits(&self) -> bool {
        use diesel::RunQueryDsl as _;
        use secrecy::ExposeSecret as _;
        let Database::Postgres { url, .. } = &self.database else {
            panic!("SQLite lets one write at a time")
        };
        let mut conn = PgConnection::establish(url.expose_secret()).unwrap();
        let sql = "SELECT a.pid::text AS line FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                   WHERE NOT l.granted AND a.datname = current_database()";
        let waiting: Vec<Line> = diesel::sql_query(sql).load(&mut conn).unwrap();
        !waiting.is_empty()
    }

    /// Opens the database as it is.
    pub fn open(&self) -> Store {
        Store::open(&self.database).unwrap()
    }

    /// Opens the database, migrated.
    pub fn store(&self) -> Store {
        let store = self.open();
        store.migrate().unwrap();
        store
    }

    /// The columns of a table as the database has them, in order: name, type as diesel calls it, whether it
    /// can be null. SQLite keeps truth values as whole numbers.
    pub fn columns(&self, table: &str) -> Vec<(String, String, bool)> {
        use diesel::RunQueryDsl as _;
        use secrecy::ExposeSecret as _;
        let (rows, types): (Vec<Column>, _) = match &self.database {
            Database::Sqlite { path, .. } => {
                let sql = format!(
                    "SELECT name, type AS kind, \"notnull\" = 0 AS nullable FROM pragma_table_info('{table}')"
                );
                let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                let types = [("TEXT", "Text"), ("INTEGER", "BigInt"), ("BLOB", "Binary")];
                (diesel::sql_query(sql).load(&mut conn).unwrap(), types.to_vec())
            }
            Database::Postgres { url, .. } => {
                let sql = format!(
                    "SELECT column_name::text AS name, data_type::text AS kind, is_nullable = 'YES' AS nullable \
                     FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
                );
                let mut conn = PgConnection::establish(url.expose_secret()).unwrap();
                let types =
                    [("text", "Text"), ("bigint", "BigInt"), ("bytea", "Binary"), ("boolean", "Bool")];
                (diesel::sql_query(sql).load(&mut conn).unwrap(), types.to_vec())
            }
        };
        let named = |kind: &str| types.iter().find(|(theirs, _)| *theirs == kind).map(|(_, ours)| *ours);
        rows.into_iter()
            .map(|c| (c.name, named(&c.kind).expect("a portable type").to_owned(), c.nullable))
            .collect()
    }

    /// Every row of every table, as text: what somebody finds who has the database.
    pub fn dump(&self) -> Vec<String> {
        use diesel::RunQueryDsl as _;
        use secrecy::ExposeSecret as _;
        let (tables, list) = match &self.database {
            Database::Sqlite { .. } => ("sqlite_schema WHERE type = 'table'", "name"),
            Database::Postgres { .. } => {
                ("information_schema.tables WHERE table_schema = 'public'", "table_name::text")
            }
        };
        let load = |sql: String| -> Vec<String> {
            let rows: Vec<Line> = match &self.database {
                Database::Sqlite { path, .. } => {
                    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                    diesel::sql_query(sql).load(&mut conn).unwrap()
                }
                Database::Postgres { url, .. } => {
                    let mut conn = PgConnection::establish(url.expose_secret()).unwrap();
                    diesel::sql_query(sql).load(&mut conn).unwrap()
                }
            };
            rows.into_iter().map(|row| row.line).collect()
        };
        let mut lines = Vec::new();
        for table in load(format!("SELECT {list} AS line FROM {tables}")) {
            let text = match &self.database {
                Database::Sqlite { .. } => {
                    let columns = load(format!("SELECT name AS line FROM pragma_table_info('{table}')"));
                    columns.iter().map(|c| format!("quote(\"{c}\")")).collect::<Vec<_>>().join(" || ' ' || ")
                }
                Database::Postgres { .. } => format!("row_to_json(\"{table}\")::text"),
            };
            let rows = load(format!("SELECT {text} AS line FROM \"{table}\""));
            lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        lines
    }

    /// Runs statements behind the store's back.
    pub fn tamper(&self, sql: &str) {
        use secrecy::ExposeSecret as _;
        match &self.database {
            Database::Sqlite { path, .. } => {
                SqliteConnection::establish(path.to_str().unwrap()).unwrap().batch_execute(sql).unwrap();
            }
            Database::Postgres { url, .. } => {
                PgConnection::establish(url.expose_secret()).unwrap().batch_execute(sql).unwrap();
            }
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    kind: String,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    nullable: bool,
}

fn on_server(server: &url::Url, sql: &str) {
    let mut conn = PgConnection::establish(server.as_str()).expect("the PostgreSQL server answers");
    conn.batch_execute(sql).unwrap();
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.after {
            After::Directory { .. } => {}
            After::Drop { server, name } => {
                on_server(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}
