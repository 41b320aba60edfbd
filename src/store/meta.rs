//! Facts about the database as a whole, and the counter by which processes notice one another's changes.

use super::error::StoreError;
use super::schema::{counters, meta};
use super::tx::{Tx, on};
use diesel::prelude::*;

impl Tx<'_> {
    /// The fact of this name.
    pub fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        on!(self, c => meta::table.find(key).select(meta::value).first(c).optional())
    }

    /// Sets a fact.
    pub fn put_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        on!(self, c => diesel::insert_into(meta::table)
            .values((meta::key.eq(key), meta::value.eq(value)))
            .on_conflict(meta::key)
            .do_update()
            .set(meta::value.eq(value))
            .execute(c))?;
        Ok(())
    }

    /// Sets a fact unless it is set, and answers the one that stands. Of many who start together all get the
    /// same answer.
    pub fn init_meta(&mut self, key: &str, value: &str) -> Result<String, StoreError> {
        on!(self, c => diesel::insert_into(meta::table)
            .values((meta::key.eq(key), meta::value.eq(value)))
            .on_conflict(meta::key)
            .do_nothing()
            .execute(c))?;
        self.meta(key)?.ok_or(StoreError::corrupt("meta.value"))
    }

    /// A number that grows with every change made by command: clients, groups, roles, keys.
    pub fn config_version(&mut self) -> Result<u64, StoreError> {
        let value: Option<i64> = on!(self, c => counters::table
            .find("config")
            .select(counters::value)
            .first(c)
            .optional())?;
        u64::try_from(value.unwrap_or(0)).map_err(|_| StoreError::corrupt("counters.value"))
    }

    /// Makes other processes load anew what is made by command. The methods that change such things call it
    /// themselves.
    pub fn bump_config_version(&mut self) -> Result<(), StoreError> {
        on!(self, c => diesel::insert_into(counters::table)
            .values((counters::name.eq("config"), counters::value.eq(1)))
            .on_conflict(counters::name)
            .do_update()
            .set(counters::value.eq(counters::value + 1))
            .execute(c))?;
        Ok(())
    }

    /// Lets one transaction at a time pass this point with the same name; the others wait until it has ended.
    pub(super) fn hold(&mut self, name: &str) -> Result<(), StoreError> {
        let name = format!("hold:{name}");
        // The row's lock does it on PostgreSQL; SQLite has one writer anyway.
        on!(self, c => diesel::insert_into(counters::table)
            .values((counters::name.eq(&name), counters::value.eq(1)))
            .on_conflict(counters::name)
            .do_update()
            .set(counters::value.eq(counters::value + 1))
            .execute(c))?;
        Ok(())
    }
}
