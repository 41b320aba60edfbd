//! Records to store, and a way to try one thing many times at once.

use countersign::accounts::{
    Account, AccountEmail, AccountStatus, Assignment, EmailAddress, EmailProof, Identity, IdentityKey,
    Profile, Provenance, Target,
};
use countersign::clients::{Grant, GrantDetails, GrantProof};
use countersign::context::{Context, Timestamp};
use countersign::ids::{AccountId, ClientId, GroupName, ProviderId};
use countersign::protocol::{ClaimsRequest, Scope};
use countersign::sessions::{Proof, Session};
use countersign::store::{Bounds, Store, StoreError, Tx};
use countersign::tokens::handle::Digest;
use countersign::tokens::{CodeRecord, PushedRecord, RefreshRecord};
use std::sync::Arc;
use std::time::Duration;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const RACERS: usize = 50;
/// Connections to PostgreSQL.
pub const CONNECTIONS: usize = 8;

/// Ids from the system's randomness; times are fixed.
pub fn ids() -> Context {
    Context::system()
}

pub fn client() -> ClientId {
    ClientId::new("demo-app").unwrap()
}

pub fn provider(id: &str) -> ProviderId {
    ProviderId::new(id).unwrap()
}

pub fn account() -> Account {
    Account {
        id: ids().account_id(),
        status: AccountStatus::Active,
        profile: Profile { name: Some("Alice Example".to_owned()), ..Profile::default() },
        emails: Vec::new(),
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn email(text: &str, proof: Option<EmailProof>, primary: bool) -> AccountEmail {
    AccountEmail { address: EmailAddress::parse(text).unwrap(), proof, lapsed: None, primary }
}

pub fn identity(account: &AccountId, provider_id: &str, subject: &str) -> Identity {
    Identity {
        id: ids().identity_id(),
        account: account.clone(),
        key: IdentityKey {
            provider: provider(provider_id),
            issuer: format!("https://{provider_id}.test"),
            subject: subject.to_owned(),
            format: String::new(),
        },
        label: Some("alice".to_owned()),
        linked_at: NOW,
        last_used_at: NOW,
    }
}

pub fn group(name: &str, provenance: Provenance) -> Assignment {
    Assignment { target: Target::Group(GroupName::new(name).unwrap()), provenance }
}

pub fn proof(identity: &Identity) -> Proof {
    Proof {
        issuer: String::new(),
        provider: identity.key.provider.clone(),
        identity: identity.id.clone(),
        auth_time: NOW,
        auth_time_asserted: true,
        acr: None,
        amr: vec!["pwd".to_owned()],
        upstream_session: None,
        upstream_name: None,
    }
}

pub fn session(account: &AccountId) -> Session {
    Session {
        id: ids().session_id(),
        account: account.clone(),
        proofs: vec![proof(&identity(account, "globex", "1"))],
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW.plus(HOUR),
        revoked_at: None,
        browser: None,
    }
}

pub fn grant(account: &AccountId) -> Grant {
    Grant {
        id: ids().grant_id(),
        account: account.clone(),
        client: client(),
        session: ids().session_id(),
        scope: Scope::parse("openid groups").unwrap(),
        resources: ["urn:demo:api".to_owned()].into(),
        auth_time: NOW,
        created_at: NOW,
        revoked_at: None,
        details: GrantDetails {
            claims: ClaimsRequest::parse(r#"{"userinfo": {"name": {"value": "Alice"}}}"#, |_| None).unwrap(),
            proof: Some(GrantProof {
                issuer: String::new(),
                provider: ProviderId::new("globex").unwrap(),
                time_asserted: true,
                acr: Some("urn:globex:2fa".to_owned()),
                amr: vec!["otp".to_owned()],
            }),
        },
    }
}

pub fn digest() -> Digest {
    Digest::of(&ids().secret_text())
}

pub fn code(grant: &Grant) -> CodeRecord {
    CodeRecord {
        digest: digest(),
        grant: grant.id.clone(),
        client: grant.client.clone(),
        redirect_uri: Some("http://localhost:8084/callback".to_owned()),
        challenge: Some("challenge".to_owned()),
        nonce: None,
        scope: grant.scope.clone(),
        resources: grant.resources.clone(),
        expires_at: NOW.plus(Duration::from_secs(60)),
        used_at: None,
    }
}

pub fn refresh(grant: &Grant) -> RefreshRecord {
    RefreshRecord {
        digest: digest(),
        grant: grant.id.clone(),
        client: grant.client.clone(),
        scope: grant.scope.clone(),
        resources: grant.resources.clone(),
        issued_at: NOW,
        expires_at: NOW.plus(HOUR),
        used_at: None,
        successor: None,
        sealed_successor: None,
    }
}

/// Bounds that no test reaches by accident.
pub const BOUNDS: Bounds = Bounds { client: 1000, source: 1000 };

pub fn pushed(client: &ClientId, source: &str) -> PushedRecord {
    PushedRecord {
        digest: digest(),
        client: client.clone(),
        source: source.to_owned(),
        sealed: b"sealed".to_vec(),
        expires_at: NOW.plus(Duration::from_secs(90)),
    }
}

/// Stores an account with a grant.
pub async fn with_grant(store: &Store) -> (Account, Grant) {
    let account = account();
    let grant = grant(&account.id);
    let (a, g) = (account.clone(), grant.clone());
    write(store, move |tx| {
        tx.insert_account(&a)?;
        tx.insert_grant(&g)
    })
    .await
    .unwrap();
    (account, grant)
}

/// `Store::write` with the error type fixed.
pub async fn write<T, F>(store: &Store, closure: F) -> Result<T, StoreError>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    store.write(closure).await
}

/// `Store::read` with the error type fixed.
pub async fn read<T, F>(store: &Store, closure: F) -> Result<T, StoreError>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    store.read(closure).await
}

/// Has every connection open and ready, so that racers meet in the database and not before its door.
async fn warm(store: &Store) {
    let writers = writers(store);
    let all = Arc::new(std::sync::Barrier::new(writers));
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, all) = (store.clone(), all.clone());
            tokio::spawn(async move {
                write(&store, move |_| {
                    all.wait();
                    Ok(())
                })
                .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// How many transactions can write side by side.
pub fn writers(store: &Store) -> usize {
    if format!("{store:?}").contains("SQLite") { 1 } else { CONNECTIONS }
}

/// Runs the closure in fifty transactions at once and answers what each was told.
pub async fn race<T, F>(store: &Store, closure: F) -> Vec<Result<T, StoreError>>
where
    F: Fn(&mut Tx<'_>, usize) -> Result<T, StoreError> + Send + Sync + 'static,
    T: Send + 'static,
{
    warm(store).await;
    let closure = Arc::new(closure);
    let start = Arc::new(tokio::sync::Barrier::new(RACERS));
    let tasks: Vec<_> = (0..RACERS)
        .map(|i| {
            let (store, closure, start) = (store.clone(), closure.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                write(&store, move |tx| closure(tx, i)).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// How many answers satisfy the test; an error of the database itself fails the law.
pub fn count<T>(answers: &[Result<T, StoreError>], won: impl Fn(&T) -> bool) -> usize {
    for answer in answers {
        if let Err(error) = answer {
            assert!(matches!(error, StoreError::Conflict(_)), "{error}");
        }
    }
    answers.iter().filter(|a| a.as_ref().is_ok_and(&won)).count()
}
