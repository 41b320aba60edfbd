//! Signing keys; what is secret of them is sealed before it gets here. Each change moves the configuration's
//! version on, so that other processes load them anew.

use super::error::StoreError;
use super::read::{at_opt, parse};
use super::schema::signing_keys;
use super::tx::{Tx, attempt, on};
use crate::clients::SigningAlg;
use crate::context::Timestamp;
use crate::ids::KeyId;
use crate::tokens::KeyRecord;
use diesel::prelude::*;
use std::time::Duration;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = signing_keys, treat_none_as_null = true)]
struct Row {
    kid: String,
    alg: String,
    issuer: String,
    state: String,
    sealed: Vec<u8>,
    created_at: i64,
    activates_at: Option<i64>,
    retired_at: Option<i64>,
    longest_token: i64,
}

impl Row {
    fn new(key: &KeyRecord) -> Self {
        Self {
            kid: key.id.as_str().to_owned(),
            alg: key.alg.as_str().to_owned(),
            issuer: key.issuer.clone(),
            state: key.state.as_str().to_owned(),
            sealed: key.sealed.clone(),
            created_at: key.created_at.0,
            activates_at: key.activates_at.map(|at| at.0),
            retired_at: key.retired_at.map(|at| at.0),
            longest_token: i64::try_from(key.longest_token.as_millis()).unwrap_or(i64::MAX),
        }
    }
    fn domain(self) -> Result<KeyRecord, StoreError> {
        let alg = SigningAlg::ALL
            .into_iter()
            .find(|alg| alg.as_str() == self.alg)
            .ok_or(StoreError::corrupt("signing_keys.alg"))?;
        let longest = u64::try_from(self.longest_token)
            .map_err(|_| StoreError::corrupt("signing_keys.longest_token"))?;
        Ok(KeyRecord {
            id: parse(&self.kid, "signing_keys.kid")?,
            alg,
            issuer: self.issuer,
            state: parse(&self.state, "signing_keys.state")?,
            sealed: self.sealed,
            created_at: Timestamp(self.created_at),
            activates_at: at_opt(self.activates_at),
            retired_at: at_opt(self.retired_at),
            longest_token: Duration::from_millis(longest),
        })
    }
}

impl Tx<'_> {
    /// All keys, the oldest first.
    pub fn keys(&mut self) -> Result<Vec<KeyRecord>, StoreError> {
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
    /// `Conflict("key")` if its id is in use, or another key of its algorithm is active, or next, as it is.
    pub fn insert_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        let row = Row::new(key);
        attempt!(self, c => diesel::insert_into(signing_keys::table).values(&row).execute(c))
            .map_err(named)?;
        self.bump_config_version()
    }

    /// Replaces what is stored of a key; false if there is none of its id.
    ///
    /// # Errors
    /// `Conflict("key")` if another key of its algorithm is active, or next, as it would be.
    pub fn update_key(&mut self, key: &KeyRecord) -> Result<bool, StoreError> {
        let row = Row::new(key);
        let changed = attempt!(self, c => diesel::update(signing_keys::table.find(&row.kid))
            .set(&row)
            .execute(c))
        .map_err(named)?;
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

fn named(error: StoreError) -> StoreError {
    match error {
        StoreError::Conflict(_) => StoreError::Conflict("key"),
        other => other,
    }
}
