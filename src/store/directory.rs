//! Groups and roles made by command. Each change moves the configuration's version on.

use super::error::StoreError;
use super::read::{json, parse, to_json};
use super::schema::{groups, roles};
use super::tx::{Tx, on};
use crate::accounts::{Group, Role};
use crate::ids::{GroupName, RoleName};
use diesel::prelude::*;
use std::collections::BTreeMap;

impl Tx<'_> {
    /// All groups made by command.
    pub fn groups(&mut self) -> Result<BTreeMap<GroupName, Group>, StoreError> {
        let rows: Vec<(String, String)> = on!(self, c => groups::table.load(c))?;
        rows.iter()
            .map(|(name, body)| Ok((parse(name, "groups.name")?, json(body, "groups.body")?)))
            .collect()
    }

    /// All roles made by command.
    pub fn roles(&mut self) -> Result<BTreeMap<RoleName, Role>, StoreError> {
        let rows: Vec<(String, String)> = on!(self, c => roles::table.load(c))?;
        rows.iter().map(|(name, body)| Ok((parse(name, "roles.name")?, json(body, "roles.body")?))).collect()
    }

    /// Makes or replaces a group.
    pub fn put_group(&mut self, name: &GroupName, group: &Group) -> Result<(), StoreError> {
        let body = to_json(group, "groups.body")?;
        on!(self, c => diesel::insert_into(groups::table)
            .values((groups::name.eq(name.as_str()), groups::body.eq(&body)))
            .on_conflict(groups::name)
            .do_update()
            .set(groups::body.eq(&body))
            .execute(c))?;
        self.bump_config_version()
    }

    /// Removes a group; false if there was none. Assignments of it stay and give nothing.
    pub fn remove_group(&mut self, name: &GroupName) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(groups::table.find(name.as_str())).execute(c))?;
        self.bump_config_version()?;
        Ok(gone == 1)
    }

    /// Makes or replaces a role.
    pub fn put_role(&mut self, name: &RoleName, role: &Role) -> Result<(), StoreError> {
        let body = to_json(role, "roles.body")?;
        on!(self, c => diesel::insert_into(roles::table)
            .values((roles::name.eq(name.as_str()), roles::body.eq(&body)))
            .on_conflict(roles::name)
            .do_update()
            .set(roles::body.eq(&body))
            .execute(c))?;
        self.bump_config_version()
    }

    /// Removes a role; false if there was none. Assignments of it stay and give nothing.
    pub fn remove_role(&mut self, name: &RoleName) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(roles::table.find(name.as_str())).execute(c))?;
        self.bump_config_version()?;
        Ok(gone == 1)
    }
}
