//! Codes that prove addresses, and how often they may be asked for.

use super::error::StoreError;
use super::schema::{allowances, email_codes};
use super::tx::{Tx, on};
use crate::context::Timestamp;
use crate::tokens::handle::Digest;
use diesel::prelude::*;
use std::time::Duration;

/// A code that was made for a sign-in.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// The sign-in that asks.
    pub sign_in: Digest,
    /// Keyed digest of the sign-in, the address and the code.
    pub mac: String,
    /// Until when it works.
    pub ends_at: Timestamp,
    /// Until when the sign-in's codes are counted.
    pub expires_at: Timestamp,
}

impl Tx<'_> {
    /// Puts a code in the place of the sign-in's earlier one, with all its tries ahead; false if the sign-in has
    /// had as many as `most`.
    pub fn put_email_code(&mut self, code: &NewCode, most: u32) -> Result<bool, StoreError> {
        let changed = on!(self, c => {
            let added = diesel::insert_into(email_codes::table)
                .values((
                    email_codes::sign_in.eq(code.sign_in.as_str()),
                    email_codes::mac.eq(&code.mac),
                    email_codes::tries.eq(0),
                    email_codes::sent.eq(1),
                    email_codes::used.eq(0),
                    email_codes::ends_at.eq(code.ends_at.0),
                    email_codes::expires_at.eq(code.expires_at.0),
                ))
                .on_conflict(email_codes::sign_in)
                .do_nothing()
                .execute(c)?;
            if added == 1 {
                return Ok(1);
            }
            diesel::update(email_codes::table.find(code.sign_in.as_str()))
                .filter(email_codes::sent.lt(i64::from(most)))
                .set((
                    email_codes::mac.eq(&code.mac),
                    email_codes::tries.eq(0),
                    email_codes::sent.eq(email_codes::sent + 1),
                    email_codes::used.eq(0),
                    email_codes::ends_at.eq(code.ends_at.0),
                ))
                .execute(c)
        })?;
        Ok(changed == 1)
    }

    /// Takes back a code that could not be sent: it neither works nor counts.
    pub fn withdraw_email_code(&mut self, sign_in: &Digest, mac: &str) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(email_codes::table.find(sign_in.as_str()))
            .filter(email_codes::mac.eq(mac))
            .filter(email_codes::sent.gt(0))
            .set((email_codes::used.eq(1), email_codes::sent.eq(email_codes::sent - 1)))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Takes one of the `most` tries at the sign-in's code, and gives the digest to compare with and how many tries
    /// are left; `None` if there is no code, or it was used, has ended, or has no try left. Of tries that come at
    /// the same time each takes one.
    pub fn try_email_code(
        &mut self,
        sign_in: &Digest,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<(String, u32)>, StoreError> {
        let row: Option<(String, i64)> = on!(self, c => diesel::update(email_codes::table.find(sign_in.as_str()))
            .filter(email_codes::used.eq(0))
            .filter(email_codes::tries.lt(i64::from(most)))
            .filter(email_codes::ends_at.gt(now.0))
            .set(email_codes::tries.eq(email_codes::tries + 1))
            .returning((email_codes::mac, email_codes::tries))
            .get_result(c)
            .optional())?;
        Ok(row.map(|(mac, tries)| {
            let left = i64::from(most).saturating_sub(tries);
            (mac, u32::try_from(left).unwrap_or(0))
        }))
    }

    /// Uses the sign-in's code up. True for exactly one of those who try, if its transaction is committed.
    pub fn use_email_code(&mut self, sign_in: &Digest, mac: &str) -> Result<bool, StoreError> {
        let changed = on!(self, c => diesel::update(email_codes::table.find(sign_in.as_str()))
            .filter(email_codes::mac.eq(mac))
            .filter(email_codes::used.eq(0))
            .set(email_codes::used.eq(1))
            .execute(c))?;
        Ok(changed == 1)
    }

    /// Does something of which only `most` may be done within `window` from the first: true if this one may.
    pub fn spend(
        &mut self,
        purpose: &str,
        whose: &Digest,
        most: u32,
        window: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = format!("{purpose}:{}", whose.as_str());
        let until = now.plus(window).0;
        let changed = on!(self, c => {
            let first = diesel::insert_into(allowances::table)
                .values((
                    allowances::key.eq(&key),
                    allowances::spent.eq(1),
                    allowances::expires_at.eq(until),
                ))
                .on_conflict(allowances::key)
                .do_nothing()
                .execute(c)?;
            if first == 1 {
                return Ok(1);
            }
            let anew = diesel::update(allowances::table.find(&key))
                .filter(allowances::expires_at.le(now.0))
                .set((allowances::spent.eq(1), allowances::expires_at.eq(until)))
                .execute(c)?;
            if anew == 1 {
                return Ok(1);
            }
            diesel::update(allowances::table.find(&key))
                .filter(allowances::spent.lt(i64::from(most)))
                .set(allowances::spent.eq(allowances::spent + 1))
                .execute(c)
        })?;
        Ok(changed == 1)
    }

    /// Gives back what was spent on something that did not happen.
    pub fn give_back(&mut self, purpose: &str, whose: &Digest) -> Result<(), StoreError> {
        let key = format!("{purpose}:{}", whose.as_str());
        on!(self, c => diesel::update(allowances::table.find(&key))
            .filter(allowances::spent.gt(0))
            .set(allowances::spent.eq(allowances::spent - 1))
            .execute(c))?;
        Ok(())
    }
}
