//! What can go wrong in the store.

use crate::failure::{Failure, OAuthCode, UserMessage};
use diesel::result::{DatabaseErrorKind, Error};

/// Why a transaction did not happen. Whatever it is, nothing of the transaction was kept, save that a
/// connection may break between a commit and its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is overloaded, out of space, or failed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A rule of the schema was broken; the text names the rule, such as `email_proved` or `identity`.
    #[error("the change breaks the rule {0:?}")]
    Conflict(&'static str),
    /// What is stored cannot be read as what it should be.
    #[error("stored data is not valid: {0}")]
    Corrupt(String),
    /// The database was migrated by a newer version of this program.
    #[error("the database has the migration {0}, which this version does not know; use the newer version")]
    Newer(String),
    /// The database lacks migrations.
    #[error("the database lacks the migration {0}; run `countersign migrate`")]
    Older(String),
    /// A transaction's code panicked.
    #[error("a transaction was given up: {0}")]
    Broken(&'static str),
}

impl StoreError {
    /// A stored value that cannot be read; named by its table and column.
    pub fn corrupt(what: &'static str) -> Self {
        Self::Corrupt(what.to_owned())
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict("unique"),
            Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => Self::Conflict("reference"),
            Error::DatabaseError(DatabaseErrorKind::CheckViolation, _) => Self::Conflict("check"),
            Error::DeserializationError(_) => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<diesel::ConnectionError> for StoreError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (code, reason) = match &error {
            StoreError::Unavailable(_) => (OAuthCode::TemporarilyUnavailable, "store.unavailable"),
            StoreError::Conflict(_) => (OAuthCode::ServerError, "store.conflict"),
            StoreError::Corrupt(_) => (OAuthCode::ServerError, "store.corrupt"),
            StoreError::Newer(_) | StoreError::Older(_) => {
                (OAuthCode::TemporarilyUnavailable, "store.version")
            }
            StoreError::Broken(_) => (OAuthCode::ServerError, "store.broken"),
        };
        Failure::new(code, reason, UserMessage::OurFault, error.to_string()).caused_by(error)
    }
}
