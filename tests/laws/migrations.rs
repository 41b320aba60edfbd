//! Opening and migrating.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::config::settings::Database;
use countersign::store::{Store, StoreError};

laws!(
    an_empty_database_is_migrated_once,
    many_that_start_together_migrate_once,
    admin_034_a_newer_schema_is_refused,
    a_database_that_was_never_migrated_answers_with_an_error,
    the_tables_are_what_the_queries_were_compiled_for,
    what_an_earlier_version_writes_has_no_details,
);

async fn an_empty_database_is_migrated_once(place: Place) {
    let store = place.open();
    let pending = store.pending_migrations().unwrap();
    assert!(!pending.is_empty());
    assert_eq!(store.migrate().unwrap(), pending);
    assert_eq!(store.pending_migrations().unwrap(), Vec::<String>::new());
    assert_eq!(store.migrate().unwrap(), Vec::<String>::new());
    let account = account();
    let copy = account.clone();
    write(&store, move |tx| tx.insert_account(&copy)).await.unwrap();
    drop(store);
    let store = place.store();
    assert!(read(&store, move |tx| tx.account(&account.id)).await.unwrap().is_some());
}

/// The version before still runs while a newer one migrates: it names no column that it does not know.
async fn what_an_earlier_version_writes_has_no_details(place: Place) {
    let store = place.store();
    let (account, mut grant) = (account(), grant(&account().id));
    grant.account = account.id.clone();
    let copy = account.clone();
    write(&store, move |tx| tx.insert_account(&copy)).await.unwrap();
    place.tamper(&format!(
        "INSERT INTO grants (id, account, client, session, scope, resources, auth_time, created_at) \
         VALUES ('{}', '{}', '{}', '{}', 'openid', '[]', 1, 1)",
        grant.id, grant.account, grant.client, grant.session
    ));
    place.tamper(&format!(
        "INSERT INTO consents (account, client, scope, given_at) VALUES ('{}', '{}', 'openid', 1)",
        grant.account, grant.client
    ));
    let (id, client) = (grant.id.clone(), grant.client.clone());
    let (read_back, consent) =
        read(&store, move |tx| Ok((tx.grant(&id)?, tx.consent(&account.id, &client)?))).await.unwrap();
    assert_eq!(read_back.unwrap().details, Default::default());
    assert!(consent.unwrap().claims.is_empty());
}

async fn many_that_start_together_migrate_once(place: Place) {
    let started: Vec<_> = (0..8)
        .map(|_| {
            let database = place.database.clone();
            std::thread::spawn(move || Store::open(&database).unwrap().migrate())
        })
        .collect();
    let answers: Vec<_> = started.into_iter().map(|t| t.join().unwrap().unwrap()).collect();
    assert_eq!(answers.iter().filter(|run| !run.is_empty()).count(), 1, "{answers:?}");
}

async fn admin_034_a_newer_schema_is_refused(place: Place) {
    let store = place.store();
    place.tamper("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')");
    let newer = StoreError::Newer("29991231000000".to_owned());
    assert_eq!(Store::open(&place.database).map(drop), Err(newer.clone()));
    assert_eq!(store.migrate(), Err(newer));
    place.tamper("DELETE FROM __diesel_schema_migrations WHERE version = '29991231000000'");
    assert!(Store::open(&place.database).is_ok());
}

async fn a_database_that_was_never_migrated_answers_with_an_error(place: Place) {
    let store = place.open();
    let answer = read(&store, |tx| tx.config_version()).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    let answer = write(&store, |tx| tx.bump_config_version()).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    store.migrate().unwrap();
    write(&store, |tx| tx.bump_config_version()).await.unwrap();
}

type Column = (String, String, bool);

/// The tables in `schema.rs`: name, and for each column its name, type and whether it can be null.
fn compiled() -> Vec<(String, Vec<Column>)> {
    let mut tables: Vec<(String, Vec<Column>)> = Vec::new();
    for line in include_str!("../../src/store/schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|l| l.split_once(" (")) {
            tables.push((name.to_owned(), Vec::new()));
        } else if let Some((name, kind)) = line.strip_suffix(',').and_then(|l| l.split_once(" -> ")) {
            let inner = kind.strip_prefix("Nullable<").and_then(|k| k.strip_suffix('>'));
            let column = (name.to_owned(), inner.unwrap_or(kind).to_owned(), inner.is_some());
            tables.last_mut().unwrap().1.push(column);
        }
    }
    tables
}

async fn the_tables_are_what_the_queries_were_compiled_for(place: Place) {
    let _store = place.store();
    let tables = compiled();
    assert!(tables.len() >= 20, "schema.rs was not understood");
    for (table, mut columns) in tables {
        if place.is_sqlite() {
            for (_, kind, _) in columns.iter_mut().filter(|c| c.1 == "Bool") {
                *kind = "BigInt".to_owned();
            }
        }
        assert_eq!(place.columns(&table), columns, "{table}");
    }
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::sqlite();
    let _store = place.store();
    for extension in ["db", "db-wal", "db-shm"] {
        let file = place.file().with_extension(extension);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::sqlite();
    let text = "this is somebody's letter, not a database\n".repeat(100);
    std::fs::write(place.file(), &text).unwrap();
    let answer = Store::open(&place.database).map(drop);
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), text);
}

#[test]
fn a_place_that_cannot_be_reached_is_refused_with_its_name() {
    let place = Place::sqlite();
    let path = place.file().join("no/such/directory/store.db");
    let answer = Store::open(&Database::Sqlite { path, readers: 1 }).map(drop);
    let Err(StoreError::Unavailable(text)) = answer else { panic!("{answer:?}") };
    assert!(text.contains("no/such/directory"), "{text}");
    let url = "postgres://nobody:hunter2@127.0.0.1:1/none".to_owned().into();
    let answer = Store::open(&Database::Postgres { url, connections: 1 }).map(drop);
    let Err(StoreError::Unavailable(text)) = answer else { panic!("{answer:?}") };
    assert!(!text.contains("hunter2"), "the password is in the message: {text}");
}
