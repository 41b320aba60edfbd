//! One transaction on one of the two databases, and the macros that write a query once for both.

use super::error::StoreError;
use diesel::connection::SimpleConnection as _;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{PgConnection, QueryResult, SqliteConnection};

pub(super) enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// An open transaction. Its methods are the queries; each file of this folder adds its own.
///
/// After an error of the database itself (not a [`StoreError::Conflict`]) the transaction is lost: every
/// further call fails, and nothing of it is kept even if its closure answers `Ok`.
pub struct Tx<'a> {
    pub(super) conn: Conn<'a>,
    lost: Option<StoreError>,
}

impl<'a> Tx<'a> {
    pub(super) fn sqlite(conn: &'a mut SqliteConnection) -> Self {
        Self { conn: Conn::Sqlite(conn), lost: None }
    }
    pub(super) fn postgres(conn: &'a mut PgConnection) -> Self {
        Self { conn: Conn::Postgres(conn), lost: None }
    }
    /// The error after which nothing can be kept.
    pub(super) fn lost(&self) -> Option<&StoreError> {
        self.lost.as_ref()
    }
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        self.lost.clone().map_or(Ok(()), Err)
    }
    /// Turns the database's answer into ours. `contained`: a savepoint has already undone a failed statement.
    pub(super) fn settle<T>(&mut self, result: QueryResult<T>, contained: bool) -> Result<T, StoreError> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let of_a_rule = matches!(
            error,
            Error::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::CheckViolation,
                _
            )
        );
        // SQLite undoes a statement that breaks a rule and goes on; PostgreSQL gives up the transaction.
        let survives = of_a_rule && (contained || matches!(self.conn, Conn::Sqlite(_)));
        let error = StoreError::from(error);
        if !survives {
            self.lost = Some(error.clone());
        }
        Err(error)
    }
}

/// Runs the body, undoing all of it if it fails.
pub(super) fn in_savepoint<T>(
    conn: &mut SqliteConnection,
    body: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    conn.batch_execute("SAVEPOINT part")?;
    let result = body(conn);
    conn.batch_execute(match result {
        Ok(_) => "RELEASE part",
        Err(_) => "ROLLBACK TO part; RELEASE part",
    })?;
    result
}

/// Runs a query body on whichever database it is: `on!(self, c => table.find(id).first(c))`. The body is
/// compiled once for each and answers a `QueryResult`.
macro_rules! on {
    ($tx:expr, $conn:ident => $body:expr) => {{
        let tx: &mut $crate::store::tx::Tx<'_> = $tx;
        tx.usable()?;
        let result = match &mut tx.conn {
            $crate::store::tx::Conn::Sqlite(conn) => {
                let body = |$conn: &mut diesel::SqliteConnection| -> diesel::QueryResult<_> { $body };
                body(conn)
            }
            $crate::store::tx::Conn::Postgres(conn) => {
                let body = |$conn: &mut diesel::PgConnection| -> diesel::QueryResult<_> { $body };
                body(conn)
            }
        };
        tx.settle(result, false)
    }};
}

/// Like `on!`, but if the body breaks a rule of the schema, all of it is undone and the transaction goes on.
macro_rules! attempt {
    ($tx:expr, $conn:ident => $body:expr) => {{
        let tx: &mut $crate::store::tx::Tx<'_> = $tx;
        tx.usable()?;
        let result = match &mut tx.conn {
            $crate::store::tx::Conn::Sqlite(conn) => {
                let body = |$conn: &mut diesel::SqliteConnection| -> diesel::QueryResult<_> { $body };
                $crate::store::tx::in_savepoint(conn, body)
            }
            $crate::store::tx::Conn::Postgres(conn) => {
                let body = |$conn: &mut diesel::PgConnection| -> diesel::QueryResult<_> { $body };
                diesel::Connection::transaction(*conn, body)
            }
        };
        tx.settle(result, true)
    }};
}

pub(super) use {attempt, on};
