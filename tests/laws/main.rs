//! The laws of the store, each tried on SQLite, and on PostgreSQL where `COUNTERSIGN_TEST_POSTGRES` is the
//! address of a server on which databases may be made. Each try has a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod bounded;
mod crash;
mod erasure;
mod fixtures;
mod keys;
mod logouts;
mod migrations;
mod once;
mod place;
mod power;
mod registration;
mod revocation;
mod transactions;

/// Turns each law, an `async fn(Place)`, into a test for each database.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law(crate::place::Place::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                if let Some(place) = crate::place::Place::postgres() {
                    super::$law(place).await;
                }
            })*
        }
    };
}
pub(crate) use laws;
