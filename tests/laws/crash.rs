//! ADMIN-031: a process that is killed loses nothing that it had answered, and leaves nothing half-done.

use crate::fixtures::*;
use crate::laws;
use crate::place::Place;
use countersign::accounts::IdentityKey;
use countersign::clients::SigningAlg;
use countersign::config::settings::Database;
use countersign::context::Timestamp;
use countersign::ids::{AccountId, SessionId};
use countersign::sessions::notice::Party;
use countersign::store::{CodeOutcome, Store};
use countersign::tokens::handle::Digest;
use secrecy::ExposeSecret as _;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

pub const CHILD: &str = "COUNTERSIGN_LAWS_CHILD";
/// What the child does: signs people in, or out.
const WORK: &str = "COUNTERSIGN_LAWS_WORK";

laws!(admin_031_what_was_answered_survives_a_kill, a_killed_process_loses_no_logout_token);

fn subject(account: &AccountId) -> IdentityKey {
    identity(account, "globex", account.as_str()).key
}

/// The provider's answer by which somebody signs in.
fn answer(account: &AccountId) -> Digest {
    Digest::of(&format!("globex\nassertion:{account}"))
}

/// Until when an answer is remembered: longer than the test.
const REMEMBERED: Timestamp = Timestamp(i64::MAX);

/// Each number of the child is one sign-in: account and identity, then a code made, then it is redeemed.
async fn sign_in(store: &Store, told: std::sync::Arc<std::sync::Mutex<std::io::Stdout>>) {
    let account = account();
    let grant = grant(&account.id);
    let code = code(&grant);
    let (id, digest) = (account.id.clone(), code.digest.clone());
    let tell = |word: &str, what: &str| {
        let mut out = told.lock().unwrap();
        writeln!(out, "\n{word} {what}").unwrap();
        out.flush().unwrap();
    };
    write(store, move |tx| {
        tx.insert_account(&account)?;
        tx.insert_identity(&identity(&account.id, "globex", account.id.as_str()))?;
        tx.insert_grant(&grant)?;
        assert!(tx.use_once("replay", &answer(&account.id), REMEMBERED)?);
        tx.insert_code(&code)
    })
    .await
    .unwrap();
    tell("made", id.as_str());
    let used = digest.clone();
    let outcome = write(store, move |tx| tx.consume_code(&used, NOW)).await.unwrap();
    assert!(matches!(outcome, CodeOutcome::Fresh(_)));
    tell("used", digest.as_str());
}

/// A session begins, a client joins it, it ends.
async fn sign_out(store: &Store, told: std::sync::Arc<std::sync::Mutex<std::io::Stdout>>) {
    let account = account();
    let session = session(&account.id);
    let id = session.id.clone();
    write(store, move |tx| {
        tx.insert_account(&account)?;
        tx.insert_session(&session, &digest())?;
        let party = Party {
            client: client(),
            backchannel_uri: Some("https://a.test/out".to_owned()),
            alg: SigningAlg::RS256,
            sub: "sub".to_owned(),
            sid: "sid".to_owned(),
        };
        tx.join_session(&session.id, &party)
    })
    .await
    .unwrap();
    let ending = id.clone();
    assert!(write(store, move |tx| tx.end_session(&ending, NOW)).await.unwrap().is_some());
    let mut out = told.lock().unwrap();
    writeln!(out, "\nended {id}").unwrap();
    out.flush().unwrap();
}

/// The process that is killed; does nothing when run as a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(address) = std::env::var(CHILD) else { return };
    let database = if address.starts_with("postgres") {
        Database::Postgres { url: address.into(), connections: 4 }
    } else {
        Database::Sqlite { path: address.into(), readers: 1 }
    };
    let store = Store::open(&database).unwrap();
    store.migrate().unwrap();
    let told = std::sync::Arc::new(std::sync::Mutex::new(std::io::stdout()));
    // They go on until the process is killed.
    let tasks = (0..16).map(|_| {
        let (store, told) = (store.clone(), told.clone());
        tokio::spawn(async move {
            let out = std::env::var(WORK).is_ok_and(|work| work == "out");
            loop {
                if out {
                    sign_out(&store, told.clone()).await;
                } else {
                    sign_in(&store, told.clone()).await;
                }
            }
        })
    });
    let _: Vec<Result<(), _>> = futures_util::future::join_all(tasks).await;
}

/// The child at work on the database.
fn start(place: &Place, work: &str) -> std::process::Child {
    let address = match &place.database {
        Database::Sqlite { path, .. } => path.to_str().unwrap().to_owned(),
        Database::Postgres { url, .. } => url.expose_secret().to_owned(),
    };
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture"])
        .env(CHILD, address)
        .env(WORK, work)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn a_killed_process_loses_no_logout_token(place: Place) {
    drop(place.store());
    let mut process = start(&place, "out");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut ended = BTreeSet::new();
    let mut killed = false;
    while let Some(Ok(line)) = lines.next() {
        if let Some(("ended", id)) = line.split_once(' ')
            && id.len() == 22
        {
            ended.insert(SessionId::new(id).unwrap());
        }
        if ended.len() >= 100 && !killed {
            process.kill().unwrap();
            killed = true;
        }
    }
    process.wait().unwrap();
    assert!(killed, "the child ended by itself after {} answers", ended.len());
    let store = place.open();
    let (queued, open) = read(&store, |tx| {
        let queued: Vec<SessionId> =
            tx.logout_report(&client(), 100_000)?.troubles.into_iter().map(|d| d.session).collect();
        let mut open = BTreeSet::new();
        for account in tx.list_accounts("", None, 100_000)? {
            let sessions = tx.sessions_of(&account.id)?;
            open.extend(sessions.into_iter().filter(|s| s.revoked_at.is_none()).map(|s| s.id));
        }
        Ok((queued, open))
    })
    .await
    .unwrap();
    let once: BTreeSet<SessionId> = queued.iter().cloned().collect();
    assert_eq!(once.len(), queued.len(), "each once");
    assert!(ended.is_subset(&once), "whatever was answered is queued");
    assert!(open.is_disjoint(&once), "nothing is queued for a session that goes on");
}

async fn admin_031_what_was_answered_survives_a_kill(place: Place) {
    drop(place.store());
    let mut process = start(&place, "in");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut said: Vec<String> = Vec::new();
    let mut killed = false;
    // after the kill, what it still said before counts too
    while let Some(Ok(line)) = lines.next() {
        said.push(line);
        if !killed && said.iter().filter(|line| line.starts_with("used ")).count() >= 100 {
            process.kill().unwrap();
            killed = true;
        }
    }
    process.wait().unwrap();
    assert!(killed, "the child ended by itself after {} lines", said.len());
    holds(&place.open(), &said).await;
}

/// Whether a database has all that the child told, and nothing by halves.
pub async fn holds(store: &Store, said: &[String]) {
    let (mut made, mut used) = (Vec::new(), Vec::new());
    for line in said {
        match line.split_once(' ') {
            Some(("made", id)) if id.len() == 22 => made.push(AccountId::new(id).unwrap()),
            Some(("used", digest)) if digest.len() == 64 => used.push(Digest::from_stored(digest.to_owned())),
            _ => {}
        }
    }
    assert!(made.len() >= 100 && used.len() >= 100);
    let answered = made.clone();
    let count = answered.len();
    let found = read(store, move |tx| {
        let mut found = 0;
        for id in &answered {
            found += usize::from(tx.account(id)?.is_some() && tx.identity(&subject(id))?.is_some());
        }
        Ok(found)
    })
    .await
    .unwrap();
    assert_eq!(found, count);
    // SAML-074: what was accepted before is accepted no more.
    let accepted = write(store, move |tx| {
        let mut accepted = 0;
        for id in &made {
            accepted += usize::from(tx.use_once("replay", &answer(id), REMEMBERED)?);
        }
        Ok(accepted)
    })
    .await
    .unwrap();
    assert_eq!(accepted, 0, "an answer that was used is used");
    let count = used.len();
    let replayed = write(store, move |tx| {
        let mut replayed = 0;
        for digest in &used {
            replayed += usize::from(matches!(tx.consume_code(digest, NOW)?, CodeOutcome::Replayed(_)));
        }
        Ok(replayed)
    })
    .await
    .unwrap();
    assert_eq!(replayed, count, "a code that was redeemed is redeemed");
    // and what was not answered is there as a whole or not at all
    let half = read(store, |tx| {
        let mut half = 0;
        for account in tx.list_accounts("", None, 100_000)? {
            half += usize::from(tx.identities_of(&account.id)?.len() != 1);
            half += usize::from(tx.grants_of(&account.id)?.len() != 1);
        }
        Ok(half)
    })
    .await
    .unwrap();
    assert_eq!(half, 0);
}
