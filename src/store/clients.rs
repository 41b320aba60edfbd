//! Clients and resource servers made by command. Each change moves the configuration's version on.

use super::error::StoreError;
use super::read::{json, to_json};
use super::schema::{clients, resource_servers};
use super::tx::{Tx, on};
use crate::clients::{Client, ResourceServer};
use crate::ids::ClientId;
use diesel::prelude::*;

impl Tx<'_> {
    /// All clients made by command, in the order of their ids.
    pub fn clients(&mut self) -> Result<Vec<Client>, StoreError> {
        let rows: Vec<String> =
            on!(self, c => clients::table.order(clients::id.asc()).select(clients::body).load(c))?;
        rows.iter().map(|body| json(body, "clients.body")).collect()
    }

    /// Makes or replaces a client.
    pub fn put_client(&mut self, client: &Client) -> Result<(), StoreError> {
        let body = to_json(client, "clients.body")?;
        on!(self, c => diesel::insert_into(clients::table)
            .values((clients::id.eq(client.id.as_str()), clients::body.eq(&body)))
            .on_conflict(clients::id)
            .do_update()
            .set(clients::body.eq(&body))
            .execute(c))?;
        self.bump_config_version()
    }

    /// Removes a client; false if there was none. Its grants are for the caller to revoke.
    pub fn remove_client(&mut self, id: &ClientId) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(clients::table.find(id.as_str())).execute(c))?;
        self.bump_config_version()?;
        Ok(gone == 1)
    }

    /// All resource servers made by command, in the order of their ids.
    pub fn resource_servers(&mut self) -> Result<Vec<ResourceServer>, StoreError> {
        let rows: Vec<String> = on!(self, c => resource_servers::table
            .order(resource_servers::id.asc())
            .select(resource_servers::body)
            .load(c))?;
        rows.iter().map(|body| json(body, "resource_servers.body")).collect()
    }

    /// Makes or replaces a resource server.
    pub fn put_resource_server(&mut self, server: &ResourceServer) -> Result<(), StoreError> {
        let body = to_json(server, "resource_servers.body")?;
        on!(self, c => diesel::insert_into(resource_servers::table)
            .values((resource_servers::id.eq(server.id.as_str()), resource_servers::body.eq(&body)))
            .on_conflict(resource_servers::id)
            .do_update()
            .set(resource_servers::body.eq(&body))
            .execute(c))?;
        self.bump_config_version()
    }

    /// Removes a resource server; false if there was none.
    pub fn remove_resource_server(&mut self, id: &ClientId) -> Result<bool, StoreError> {
        let gone = on!(self, c => diesel::delete(resource_servers::table.find(id.as_str())).execute(c))?;
        self.bump_config_version()?;
        Ok(gone == 1)
    }
}
