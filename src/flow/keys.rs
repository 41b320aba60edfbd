//! Our signing keys: made at first start, loaded, and kept in turn by the plan of [`crate::tokens::rotation`].
//!
//! Any number of nodes may do this at once: each plans on what is stored, and carries its plan out in one
//! transaction that holds the keys, after planning again on what it finds there.

use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::clients::{Client, SigningAlg};
use crate::config::Settings;
use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::ids::KeyId;
use crate::jose::{JoseError, Keyring, KeyringKey, SigningKey};
use crate::store::{Store, StoreError, Tx};
use crate::tokens::rotation::{KeyPolicy, KeyStep, Urgency, change, ordered, plan_keys};
use crate::tokens::seal::Sealer;
use crate::tokens::{KeyRecord, KeyState};
use std::sync::Arc;
use std::time::Duration;

/// What a private half is sealed for.
const PRIVATE: &str = "signing-key";
/// What the public half of a retired key is sealed for.
const RETIRED: &str = "retired-key";
/// A plan is carried out after at most three rounds; more mean that another node is changing the same keys.
const ROUNDS: usize = 10;

fn broken(error: JoseError) -> Failure {
    Failure::internal("keys.broken", "our own keys cannot be used").caused_by(error)
}

/// The work on keys, and everything that it needs.
pub struct Keys<'a> {
    context: &'a Context,
    store: &'a Store,
    sealer: &'a Sealer,
    issuer: &'a str,
    /// As far as the settings know; clients made by command may want longer tokens.
    policy: KeyPolicy,
}

impl<'a> Keys<'a> {
    /// For the issuer of the settings, with their turns and lifetimes.
    pub fn new(context: &'a Context, store: &'a Store, sealer: &'a Sealer, settings: &'a Settings) -> Self {
        let tokens = &settings.tokens;
        let policy = KeyPolicy {
            rotate_every: settings.keys.rotate_every,
            publish_ahead: settings.keys.publish_ahead,
            longest_token: longest(tokens.access.max(tokens.id), settings.clients.values()),
        };
        Self::of(context, store, sealer, settings.issuer.as_str(), policy)
    }

    /// For an issuer, with a policy.
    pub fn of(
        context: &'a Context,
        store: &'a Store,
        sealer: &'a Sealer,
        issuer: &'a str,
        policy: KeyPolicy,
    ) -> Self {
        Self { context, store, sealer, issuer, policy }
    }

    /// Does what is due by now (at first start: makes the keys); whether that was anything. To be called every
    /// few minutes on every node; if it answers true, the keys must be loaded again.
    ///
    /// # Errors
    /// `keys.issuer` if the stored keys belong to another issuer, `keys.master` if they do not open under this
    /// master key; in both cases nothing was changed. Otherwise failures of the store.
    pub async fn maintain(&self) -> Result<bool, Failure> {
        let mut changed = false;
        for _ in 0..ROUNDS {
            let (records, policy) = self.stored().await?;
            let steps = plan_keys(&records, &SigningAlg::ALL, self.context.now(), &policy);
            if steps.is_empty() {
                return Ok(changed);
            }
            let made = self.make(&steps, &policy).await?;
            changed |= self.carry_out(policy, made, None).await?;
        }
        Err(Failure::internal("keys.busy", "other nodes keep changing the keys"))
    }

    /// Orders the next keys of the given algorithms to take over, publishing them first where there are none.
    /// Answers all keys as they are then.
    ///
    /// # Errors
    /// As for [`Keys::maintain`].
    pub async fn rotate(
        &self,
        algs: &[SigningAlg],
        urgency: Urgency,
        actor: &Actor,
    ) -> Result<Vec<KeyRecord>, Failure> {
        self.maintain().await?;
        let (records, policy) = self.stored().await?;
        let lacking =
            |alg: &&SigningAlg| !records.iter().any(|key| key.alg == **alg && key.state == KeyState::Next);
        let steps: Vec<KeyStep> = algs
            .iter()
            .filter(lacking)
            .map(|alg| KeyStep::Generate { alg: *alg, state: KeyState::Next })
            .collect();
        let made = self.make(&steps, &policy).await?;
        let order = Order { algs: algs.to_vec(), urgency, actor: actor.clone() };
        self.carry_out(policy, made, Some(order)).await?;
        self.maintain().await?;
        self.list().await
    }

    /// All stored keys, the oldest first, after checking that they are ours.
    ///
    /// # Errors
    /// As for [`Keys::maintain`].
    pub async fn list(&self) -> Result<Vec<KeyRecord>, Failure> {
        Ok(self.stored().await?.0)
    }

    /// The keys as they are stored now, ready for use.
    ///
    /// # Errors
    /// As for [`Keys::maintain`].
    pub async fn keyring(&self) -> Result<Arc<Keyring>, Failure> {
        let (records, _) = self.stored().await?;
        let keys = records.iter().map(|record| open(self.sealer, record)).collect::<Result<_, _>>()?;
        let keyring = Keyring::new(self.issuer, keys).map_err(broken)?;
        Ok(Arc::new(keyring))
    }

    /// The records, checked to be this issuer's and to open, and the policy that goes for them.
    async fn stored(&self) -> Result<(Vec<KeyRecord>, KeyPolicy), Failure> {
        let (records, clients) =
            self.store.read(|tx| -> Result<_, StoreError> { Ok((tx.keys()?, tx.clients()?)) }).await?;
        ours(&records, self.issuer)?;
        for record in &records {
            open(self.sealer, record)?;
        }
        let policy = KeyPolicy { longest_token: longest(self.policy.longest_token, &clients), ..self.policy };
        Ok((records, policy))
    }

    /// Makes the keys that the steps will need, away from the threads that serve requests.
    async fn make(&self, steps: &[KeyStep], policy: &KeyPolicy) -> Result<Vec<KeyRecord>, Failure> {
        let mut made = Vec::new();
        for step in steps {
            let KeyStep::Generate { alg, state } = *step else { continue };
            let (key, pkcs8) = tokio::task::spawn_blocking(move || SigningKey::generate(alg))
                .await
                .map_err(|error| Failure::internal("keys.make", "making a key failed").caused_by(error))?
                .map_err(broken)?;
            let now = self.context.now();
            made.push(KeyRecord {
                id: key.id().clone(),
                alg,
                issuer: self.issuer.to_owned(),
                state,
                sealed: self.sealer.seal(PRIVATE, &bound_to(key.id(), self.issuer), &pkcs8, self.context)?,
                created_at: now,
                activates_at: (state == KeyState::Active).then_some(now),
                retired_at: None,
                longest_token: policy.longest_token,
            });
        }
        Ok(made)
    }

    /// Plans anew on what is stored, and stores the outcome; whether there was anything to do. A key that is
    /// not wanted any more, because another node was faster, is dropped.
    async fn carry_out(
        &self,
        policy: KeyPolicy,
        made: Vec<KeyRecord>,
        order: Option<Order>,
    ) -> Result<bool, Failure> {
        let (context, sealer) = (self.context.clone(), self.sealer.clone());
        let issuer = self.issuer.to_owned();
        self.store
            .write(move |tx| -> Result<bool, Failure> {
                tx.hold_keys()?;
                let now = context.now();
                let mut hand = Hand { tx, context: &context, sealer: &sealer, now, made };
                let records = hand.tx.keys()?;
                ours(&records, &issuer)?;
                match order {
                    Some(order) => hand.schedule(records, &policy, &order),
                    None => hand.follow(records, &policy),
                }
            })
            .await
    }
}

/// A rotation by command.
struct Order {
    algs: Vec<SigningAlg>,
    urgency: Urgency,
    actor: Actor,
}

/// What carries steps out inside the transaction.
struct Hand<'a, 'b> {
    tx: &'a mut Tx<'b>,
    context: &'a Context,
    sealer: &'a Sealer,
    now: Timestamp,
    made: Vec<KeyRecord>,
}

impl Hand<'_, '_> {
    fn follow(&mut self, records: Vec<KeyRecord>, policy: &KeyPolicy) -> Result<bool, Failure> {
        let mut changed = false;
        for step in plan_keys(&records, &SigningAlg::ALL, self.now, policy) {
            changed |= match &step {
                KeyStep::Generate { alg, state } => self.add(*alg, *state, None, &Actor::System)?,
                KeyStep::Remove(id) => {
                    self.audit(AuditKind::KeyRemoved, id, &Actor::System)?;
                    self.tx.delete_key(id)?
                }
                KeyStep::Widen(id, _) | KeyStep::Retire(id) | KeyStep::Activate(id) => {
                    self.change(id, &step)?
                }
            };
        }
        Ok(changed)
    }

    fn change(&mut self, id: &KeyId, step: &KeyStep) -> Result<bool, Failure> {
        // Read again: an earlier step may have changed it.
        let Some(mut record) = self.tx.keys()?.into_iter().find(|key| key.id == *id) else {
            return Ok(false);
        };
        match step {
            KeyStep::Retire(_) => {
                self.forget_private(&mut record)?;
                self.audit(AuditKind::KeyRetired, id, &Actor::System)?;
            }
            KeyStep::Activate(_) => self.audit(AuditKind::KeyActivated, id, &Actor::System)?,
            _ => {}
        }
        change(&mut record, step, self.now);
        Ok(self.tx.update_key(&record)?)
    }

    fn schedule(
        &mut self,
        records: Vec<KeyRecord>,
        policy: &KeyPolicy,
        order: &Order,
    ) -> Result<bool, Failure> {
        let mut changed = false;
        for alg in &order.algs {
            let stored = records.iter().find(|key| key.alg == *alg && key.state == KeyState::Next);
            match stored {
                Some(next) => {
                    let at = Some(ordered(next, self.now, policy, order.urgency));
                    changed |= self.tx.update_key(&KeyRecord { activates_at: at, ..next.clone() })?;
                }
                None => changed |= self.add(*alg, KeyState::Next, Some((policy, order)), &order.actor)?,
            }
        }
        Ok(changed)
    }

    /// Stores a key that was made for this; whether there was one.
    fn add(
        &mut self,
        alg: SigningAlg,
        state: KeyState,
        order: Option<(&KeyPolicy, &Order)>,
        actor: &Actor,
    ) -> Result<bool, Failure> {
        let Some(at) = self.made.iter().position(|key| key.alg == alg && key.state == state) else {
            return Ok(false);
        };
        let mut key = self.made.swap_remove(at);
        // The time of publication is the transaction's, not that of its making.
        key.created_at = self.now;
        key.activates_at = match order {
            Some((policy, order)) => Some(ordered(&key, self.now, policy, order.urgency)),
            None => (state == KeyState::Active).then_some(self.now),
        };
        self.tx.insert_key(&key)?;
        self.audit(AuditKind::KeyCreated, &key.id, actor)?;
        if state == KeyState::Active {
            self.audit(AuditKind::KeyActivated, &key.id, actor)?;
        }
        Ok(true)
    }

    fn forget_private(&self, record: &mut KeyRecord) -> Result<(), Failure> {
        if let KeyringKey::Signing { key, .. } = open(self.sealer, record)? {
            let bound = bound_to(&record.id, &record.issuer);
            record.sealed = self.sealer.seal(RETIRED, &bound, key.public_jwk().as_bytes(), self.context)?;
        }
        Ok(())
    }

    fn audit(&mut self, kind: AuditKind, id: &KeyId, actor: &Actor) -> Result<(), StoreError> {
        let event =
            AuditEvent::new(self.now, kind, actor.clone()).data(serde_json::json!({ "key": id.as_str() }));
        self.tx.append_audit(&event)
    }
}

fn longest<'c>(least: Duration, clients: impl IntoIterator<Item = &'c Client>) -> Duration {
    clients.into_iter().filter_map(|client| client.access_token_lifetime).fold(least, Duration::max)
}

/// Environments never share keys by accident: a copied database keeps its issuer, and nobody else signs with
/// its keys.
fn ours(records: &[KeyRecord], issuer: &str) -> Result<(), Failure> {
    match records.iter().find(|record| record.issuer != issuer) {
        None => Ok(()),
        Some(foreign) => Err(Failure::internal(
            "keys.issuer",
            "the database holds the signing keys of another issuer; give this one a database of its own",
        )
        .expected(issuer, foreign.issuer.clone())),
    }
}

/// A sealed key opens only under its own name and issuer.
fn bound_to(id: &KeyId, issuer: &str) -> Vec<u8> {
    format!("{id}\n{issuer}").into_bytes()
}

fn open(sealer: &Sealer, record: &KeyRecord) -> Result<KeyringKey, Failure> {
    let purpose = if record.state == KeyState::Retired { RETIRED } else { PRIVATE };
    let plain =
        sealer.open(purpose, &bound_to(&record.id, &record.issuer), &record.sealed).ok_or_else(|| {
            Failure::internal(
                "keys.master",
                "a stored signing key does not open; this is not the master key under which it was sealed",
            )
        })?;
    if record.state == KeyState::Retired {
        let public = String::from_utf8(plain.to_vec())
            .map_err(|_| Failure::internal("keys.broken", "a retired key is not text"))?;
        return Ok(KeyringKey::Retired { id: record.id.clone(), alg: record.alg, public });
    }
    let key = SigningKey::from_pkcs8(record.alg, &plain).map_err(broken)?;
    if *key.id() != record.id {
        return Err(Failure::internal(
            "keys.broken",
            "a stored key does not have the name of its thumbprint",
        ));
    }
    Ok(KeyringKey::Signing { state: record.state, key: Arc::new(key) })
}

#[cfg(test)]
mod tests;
