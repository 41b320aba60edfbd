use super::*;
use crate::config::settings::Database;
use crate::context::{ManualClock, SystemEntropy};
use crate::jose::{Expected, Expiry, TokenType};
use crate::tokens::rotation::SETTLE;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ISSUER: &str = "https://id.test";
const DAY: Duration = Duration::from_secs(86_400);

struct House {
    clock: Arc<ManualClock>,
    context: Context,
    store: Store,
    sealer: Sealer,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite { path: folder.path().join("keys.sqlite3"), readers: 2 };
        let store = Store::open(&database).unwrap();
        store.migrate().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let context = Context::new(clock.clone(), Arc::new(SystemEntropy));
        Self { clock, context, store, sealer: Sealer::new(&[7; 32]).unwrap(), _folder: folder }
    }
    fn keys(&self) -> Keys<'_> {
        let policy = KeyPolicy { rotate_every: 30 * DAY, publish_ahead: 2 * DAY, longest_token: DAY };
        Keys::of(&self.context, &self.store, &self.sealer, ISSUER, policy)
    }
    async fn load(&self) -> Arc<Keyring> {
        self.keys().maintain().await.unwrap();
        self.keys().keyring().await.unwrap()
    }
    /// The state of each key of an algorithm, the oldest first.
    async fn states(&self, alg: SigningAlg) -> Vec<&'static str> {
        let keys = self.keys().list().await.unwrap();
        keys.iter().filter(|key| key.alg == alg).map(|key| key.state.as_str()).collect()
    }
    async fn audited(&self) -> BTreeMap<&'static str, usize> {
        let events =
            self.store.read(|tx| tx.audit(None, 1000)).await.unwrap_or_else(|e: StoreError| panic!("{e}"));
        let mut counts = BTreeMap::new();
        for record in events {
            *counts.entry(record.event.kind.as_str()).or_default() += 1;
        }
        counts
    }
    fn claims(&self) -> Value {
        json!({"iss": ISSUER, "exp": self.context.now().plus(DAY).secs()})
    }
    fn expected(&self) -> Expected {
        Expected { typ: TokenType::Access, expiry: Expiry::Enforced, now: self.context.now() }
    }
}

#[tokio::test]
async fn the_first_start_makes_a_key_of_each_algorithm_and_the_second_finds_them() {
    let house = House::new();
    let first = house.load().await;
    assert_eq!(first.algs().collect::<Vec<_>>(), SigningAlg::ALL);
    assert_eq!(house.load().await.etag(), first.etag());
    for alg in SigningAlg::ALL {
        assert_eq!(house.states(alg).await, ["active"]);
    }
    assert_eq!(house.audited().await, BTreeMap::from([("key.activated", 3), ("key.created", 3)]));
    for key in house.keys().list().await.unwrap() {
        let parsed = SigningKey::from_pkcs8(key.alg, &key.sealed);
        assert!(parsed.is_err(), "no private key lies open in the database");
    }
}

#[tokio::test]
async fn nodes_that_start_together_agree() {
    let house = House::new();
    let keys = house.keys();
    let starts = futures_util::future::join_all((0..8).map(|_| async {
        keys.maintain().await.unwrap();
        keys.keyring().await.unwrap().etag().to_owned()
    }));
    let tags: std::collections::BTreeSet<String> = starts.await.into_iter().collect();
    assert_eq!(tags.len(), 1);
    assert_eq!(house.keys().list().await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_keys_of_another_issuer_are_left_alone() {
    let house = House::new();
    let before = house.load().await;
    let other = Keys { issuer: "https://staging.test", ..house.keys() };
    house.clock.advance(40 * DAY);
    assert_eq!(other.maintain().await.unwrap_err().reason, "keys.issuer");
    assert_eq!(other.keyring().await.unwrap_err().reason, "keys.issuer");
    let command = other.rotate(&SigningAlg::ALL, Urgency::AtOnce, &Actor::System).await;
    assert_eq!(command.unwrap_err().reason, "keys.issuer");
    assert_eq!(house.keys().keyring().await.unwrap().etag(), before.etag());
}

#[tokio::test]
async fn a_wrong_master_key_is_noticed_before_anything_changes() {
    let house = House::new();
    let before = house.load().await;
    let sealer = Sealer::new(&[8; 32]).unwrap();
    let wrong = Keys { sealer: &sealer, ..house.keys() };
    house.clock.advance(40 * DAY);
    assert_eq!(wrong.maintain().await.unwrap_err().reason, "keys.master");
    assert_eq!(wrong.keyring().await.unwrap_err().reason, "keys.master");
    assert_eq!(house.keys().keyring().await.unwrap().etag(), before.etag());
}

#[tokio::test]
async fn a_key_that_somebody_wrote_into_the_database_does_not_open() {
    let house = House::new();
    house.load().await;
    let mut key = house.keys().list().await.unwrap().remove(0);
    let (forged, pkcs8) = SigningKey::generate(SigningAlg::EdDSA).unwrap();
    key.id = forged.id().clone();
    key.alg = SigningAlg::EdDSA;
    key.state = KeyState::Retired;
    for sealed in [pkcs8.to_vec(), forged.public_jwk().as_bytes().to_vec(), key.sealed.clone()] {
        let row = KeyRecord { sealed, ..key.clone() };
        house.store.write(move |tx| tx.insert_key(&row)).await.unwrap_or_else(|e: StoreError| panic!("{e}"));
        assert_eq!(house.keys().keyring().await.unwrap_err().reason, "keys.master");
        let id = key.id.clone();
        house.store.write(move |tx| tx.delete_key(&id)).await.unwrap_or_else(|e: StoreError| panic!("{e}"));
    }
}

#[tokio::test]
async fn oauth_113_a_key_goes_through_its_life_and_its_tokens_hold_as_long_as_they_live() {
    let house = House::new();
    let alg = SigningAlg::ES256;
    let first = house.load().await;
    assert!(!house.keys().maintain().await.unwrap(), "nothing is due");

    house.clock.advance(28 * DAY);
    assert!(house.keys().maintain().await.unwrap());
    assert_eq!(house.states(alg).await, ["active", "next"]);
    let announced = house.keys().keyring().await.unwrap();
    assert_ne!(announced.etag(), first.etag());

    house.clock.advance(2 * DAY);
    let late = announced.sign(alg, TokenType::Access, &house.claims()).unwrap();
    let second = house.load().await;
    assert_eq!(house.states(alg).await, ["retired", "active"]);
    assert!(second.verify::<Value>(&late, &house.expected()).is_ok());
    let new = second.sign(alg, TokenType::Access, &house.claims()).unwrap();
    assert!(announced.verify::<Value>(&new, &house.expected()).is_ok(), "a node that lags knows the new key");

    house.clock.advance(DAY - Duration::from_millis(1));
    assert!(house.load().await.verify::<Value>(&late, &house.expected()).is_ok());
    house.clock.advance(SETTLE + Duration::from_millis(1));
    let third = house.load().await;
    assert_eq!(house.states(alg).await, ["active"]);
    let gone = third.verify::<Value>(&late, &house.expected()).unwrap_err();
    assert_eq!(gone.reason(), "jose.kid");
    assert_eq!(
        house.audited().await,
        BTreeMap::from([("key.activated", 6), ("key.created", 6), ("key.removed", 3), ("key.retired", 3)])
    );
}

#[tokio::test]
async fn a_retired_key_has_no_private_half() {
    let house = House::new();
    house.load().await;
    house.keys().rotate(&[SigningAlg::EdDSA], Urgency::AtOnce, &Actor::System).await.unwrap();
    for key in house.keys().list().await.unwrap() {
        let private = house.sealer.open(PRIVATE, &bound_to(&key.id, &key.issuer), &key.sealed);
        assert_eq!(private.is_some(), key.state != KeyState::Retired);
    }
}

#[tokio::test]
async fn a_command_rotates_one_algorithm_announced_or_at_once() {
    let house = House::new();
    let before = house.load().await;
    let admin = Actor::Admin("root".into());
    house.clock.advance(DAY);
    house.keys().rotate(&[SigningAlg::ES256], Urgency::Announced, &admin).await.unwrap();
    assert_eq!(house.states(SigningAlg::ES256).await, ["active", "next"]);
    assert_eq!(house.states(SigningAlg::RS256).await, ["active"]);
    house.clock.advance(2 * DAY - Duration::from_millis(1));
    assert!(!house.keys().maintain().await.unwrap());
    house.clock.advance(Duration::from_millis(1));
    assert!(house.keys().maintain().await.unwrap());
    assert_eq!(house.states(SigningAlg::ES256).await, ["retired", "active"]);

    let keys = house.keys().rotate(&[SigningAlg::EdDSA], Urgency::AtOnce, &admin).await.unwrap();
    assert_eq!(keys.len(), 5);
    assert_eq!(house.states(SigningAlg::EdDSA).await, ["retired", "active"]);
    let after = house.keys().keyring().await.unwrap();
    let token = before.sign(SigningAlg::EdDSA, TokenType::Access, &house.claims()).unwrap();
    assert!(after.verify::<Value>(&token, &house.expected()).is_ok());
}

#[tokio::test]
async fn an_announced_rotation_can_be_hastened() {
    let house = House::new();
    house.load().await;
    house.clock.advance(DAY);
    house.keys().rotate(&[SigningAlg::ES256], Urgency::Announced, &Actor::System).await.unwrap();
    house.keys().rotate(&[SigningAlg::ES256], Urgency::AtOnce, &Actor::System).await.unwrap();
    assert_eq!(house.states(SigningAlg::ES256).await, ["retired", "active"]);
}

#[tokio::test]
async fn storage_lets_one_key_of_an_algorithm_be_active() {
    let house = House::new();
    house.load().await;
    let mut key = house.keys().list().await.unwrap().remove(0);
    key.id = KeyId::new("another-key").unwrap();
    let refused = house.store.write(move |tx| tx.insert_key(&key)).await;
    assert_eq!(refused.unwrap_err(), StoreError::Conflict("key"));
}
