//! Signing keys; their private parts are sealed before they get here. Each change moves the configuration's
//! version on, so that other processes load them anew.

use super::error::StoreError;
use super::read::{at_opt, parse};
use super::schema::signing_keys;
use super::tx::{Tx, on};
use crate::clients::SigningAlg;
use crate::context::Timestamp;
use crate::ids::KeyId;
use diesel::prelude::*;

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published ahead; does not sign yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more; published until what it signed has expired.
    Retired,
}

impl KeyState {
    /// The word in storage and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for KeyState {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "next" => Ok(Self::Next),
            "active" => Ok(Self::Active),
            "retired" => Ok(Self::Retired),
            _ => Err(()),
        }
    }
}

/// A signing key as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its `kid` (RFC 7517 §4.5).
    pub kid: KeyId,
    /// What it signs with.
    pub alg: SigningAlg,
    /// Where it stands in its life.
    pub state: KeyState,
    /// The private key, sealed under the master key.
    pub sealed_private: Vec<u8>,
    /// The public key as a JWK (JSON).
    pub public_jwk: String,
    /// The issuer for which it was made; it serves no other.
    pub issuer: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins, or began, to sign.
    pub activate_at: Timestamp,
    /// When it stops, or stopped, signing.
    pub retire_at: Option<Timestamp>,
    /// When it is no longer published.
    pub remove_at: Option<Timestamp>,
}

impl std::fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRow")
            .field("kid", &self.kid)
            .field("alg", &self.alg)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
struct Row {
    kid: String,
    alg: String,
    state: String,
    sealed_private: Vec<u8>,
    public_jwk: String,
    issuer: String,
    created_at: i64,
    activate_at: i64,
    retire_at: Option<i64>,
    remove_at: Option<i64>,
}

impl Row {
    fn new(key: &KeyRow) -> Self {
        Self {
            kid: key.kid.as_str().to_owned(),
            alg: key.alg.as_str().to_owned(),
            state: key.state.as_str().to_owned(),
            sealed_private: key.sealed_private.clone(),
            public_jwk: key.public_jwk.clone(),
            issuer: key.issuer.clone(),
            created_at: key.created_at.0,
            activate_at: key.activate_at.0,
            retire_at: key.retire_at.map(|at| at.0),
            remove_at: key.remove_at.map(|at| at.0),
        }
    }
    fn domain(self) -> Result<KeyRow, StoreError> {
        let alg = SigningAlg::ALL
            .into_iter()
            .find(|alg| alg.as_str() == self.alg)
            .ok_or(StoreError::corrupt("signing_keys.alg"))?;
        Ok(KeyRow {
            kid: parse(&self.kid, "signing_keys.kid")?,
            alg,
            state: parse(&self.state, "signing_keys.state")?,
            sealed_private: self.sealed_private,
            public_jwk: self.public_jwk,
            issuer: self.issuer,
            created_at: Timestamp(self.created_at),
            activate_at: Timestamp(self.activate_at),
            retire_at: at_opt(self.retire_at),
            remove_at: at_opt(self.remove_at),
        })
    }
}

impl Tx<'_> {
    /// All keys, the oldest first.
    pub fn keys(&mut self) -> Result<Vec<KeyRow>, StoreError> {
        let rows: Vec<Row> = on!(self, c => signing_keys::table
            .order((signing_keys::created_at.asc(), signing_keys::kid.asc()))
            .select(Row::as_select())
            .load(c))?;
        rows.into_iter().map(Row::domain).collect()
    }

    /// Keeps others from changing keys until this transaction ends, so that of many processes which find
    /// the same step due one takes it and the others see that it is taken.
    pub fn hold_keys(&mut self) -> Result<(), StoreError> {
        self.hold("keys")
    }

    /// Adds a key.
    ///
    /// # Errors
    /// `Conflict("key")` if its id is in use.
    pub fn insert_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        let row = Row::new(key);
        let added = on!(self, c => diesel::insert_into(signing_keys::table)
            .values(&row)
            .on_conflict(signing_keys::kid)
            .do_nothing()
            .execute(c))?;
        if added != 1 {
            return Err(StoreError::Conflict("key"));
        }
        self.bump_config_version()
    }

    /// Changes where a key stands in its life; false if there is none.
    pub fn update_key(
        &mut self,
        kid: &KeyId,
        state: KeyState,
        activate_at: Timestamp,
        retire_at: Option<Timestamp>,
        remove_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(signing_keys::table.find(kid.as_str()))
            .set((
                signing_keys::state.eq(state.as_str()),
                signing_keys::activate_at.eq(activate_at.0),
                signing_keys::retire_at.eq(retire_at.map(|at| at.0)),
                signing_keys::remove_at.eq(remove_at.map(|at| at.0)),
            ))
            .execute(c))?;
        self.bump_config_version()?;
        Ok(changed == 1)
    }

    /// Removes a key for good; false if there is none.
    pub fn delete_key(&mut self, kid: &KeyId) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(signing_keys::table.find(kid.as_str())).execute(c))?;
        self.bump_config_version()?;
        Ok(gone == 1)
    }
}
