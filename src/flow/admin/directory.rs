//! Groups and roles made by command.

use super::{AdminError, Desk, must_have_group, must_have_role, whole_directory};
use crate::accounts::access::way_back;
use crate::accounts::{Group, Role, Target};
use crate::audit::AuditKind;
use crate::clients::Origin;
use crate::flow::admin::Made;
use crate::ids::{GroupName, RoleName};
use crate::store::{StoreError, Tx};
use serde_json::json;
use std::collections::BTreeMap;

fn tagged<N: Ord + Clone, T: Clone>(
    created: BTreeMap<N, T>,
    declared: &BTreeMap<N, T>,
) -> BTreeMap<N, Made<T>> {
    let mut all: BTreeMap<N, Made<T>> = BTreeMap::new();
    for (name, thing) in created {
        all.insert(name, Made { thing, origin: Origin::Created });
    }
    for (name, thing) in declared {
        all.insert(name.clone(), Made { thing: thing.clone(), origin: Origin::Declared });
    }
    all
}

impl Desk {
    /// All groups, declared and created.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn groups(&self) -> Result<BTreeMap<GroupName, Made<Group>>, AdminError> {
        let created = self.store.read(|tx| -> Result<_, StoreError> { tx.groups() }).await?;
        Ok(tagged(created, &self.settings.directory.groups))
    }

    /// All roles, declared and created.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn roles(&self) -> Result<BTreeMap<RoleName, Made<Role>>, AdminError> {
        let created = self.store.read(|tx| -> Result<_, StoreError> { tx.roles() }).await?;
        Ok(tagged(created, &self.settings.directory.roles))
    }

    /// Makes a group, or with `replace` changes one.
    ///
    /// # Errors
    /// [`AdminError::Declared`], [`AdminError::Taken`], references that lead nowhere, or a circle.
    pub async fn put_group(&self, name: GroupName, group: Group, replace: bool) -> Result<(), AdminError> {
        if self.settings.directory.groups.contains_key(&name) {
            return Err(AdminError::declared("group", name));
        }
        let event = self.event(AuditKind::GroupChanged).data(json!({ "group": name, "to": group }));
        let desk = self.clone();
        self.change(move |tx| {
            let mut directory = whole_directory(tx, &desk.settings)?;
            if directory.groups.contains_key(&name) != replace {
                return Err(if replace {
                    AdminError::not_found("group", name)
                } else {
                    AdminError::taken("group", name)
                });
            }
            directory.groups.insert(name.clone(), group.clone());
            group.member_of.iter().try_for_each(|parent| must_have_group(&directory, parent))?;
            group.roles.iter().try_for_each(|role| must_have_role(&directory, role))?;
            if let Some(path) = way_back(&directory, &name) {
                let path: Vec<&str> = path.into_iter().map(GroupName::as_str).collect();
                let message = format!("groups would contain one another: {} → {name}", path.join(" → "));
                return Err(AdminError::Refused(message));
            }
            tx.put_group(&name, &group)?;
            Ok(tx.append_audit(&event)?)
        })
        .await
    }

    /// Makes a role, or with `replace` changes one.
    ///
    /// # Errors
    /// [`AdminError::Declared`] or [`AdminError::Taken`].
    pub async fn put_role(&self, name: RoleName, role: Role, replace: bool) -> Result<(), AdminError> {
        if self.settings.directory.roles.contains_key(&name) {
            return Err(AdminError::declared("role", name));
        }
        let event = self.event(AuditKind::RoleChanged).data(json!({ "role": name, "to": role }));
        self.change(move |tx| {
            if tx.roles()?.contains_key(&name) != replace {
                return Err(if replace {
                    AdminError::not_found("role", name)
                } else {
                    AdminError::taken("role", name)
                });
            }
            tx.put_role(&name, &role)?;
            Ok(tx.append_audit(&event)?)
        })
        .await
    }

    /// Removes a group, and takes it from everyone who has it: one of the same name that is made later must
    /// not have members already.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Declared`], or that something refers to it.
    pub async fn remove_group(&self, name: GroupName) -> Result<(), AdminError> {
        if self.settings.directory.groups.contains_key(&name) {
            return Err(AdminError::declared("group", name));
        }
        let event = self.event(AuditKind::GroupRemoved);
        self.change(move |tx| {
            let groups = tx.groups()?;
            if let Some((child, _)) = groups.iter().find(|(_, group)| group.member_of.contains(&name)) {
                return Err(AdminError::Refused(format!("the group \"{child}\" is a member of \"{name}\"")));
            }
            let target = Target::Group(name.clone());
            not_held_by_client(tx, &target)?;
            if !tx.remove_group(&name)? {
                return Err(AdminError::not_found("group", name));
            }
            let members = tx.remove_assignments_of(&target)?;
            Ok(tx.append_audit(&event.data(json!({ "group": name, "assignments_removed": members })))?)
        })
        .await
    }

    /// Removes a role, and takes it from everyone who has it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Declared`], or that something refers to it.
    pub async fn remove_role(&self, name: RoleName) -> Result<(), AdminError> {
        if self.settings.directory.roles.contains_key(&name) {
            return Err(AdminError::declared("role", name));
        }
        let event = self.event(AuditKind::RoleRemoved);
        self.change(move |tx| {
            if let Some((group, _)) = tx.groups()?.iter().find(|(_, group)| group.roles.contains(&name)) {
                return Err(AdminError::Refused(format!("the group \"{group}\" has the role \"{name}\"")));
            }
            let target = Target::Role(name.clone());
            not_held_by_client(tx, &target)?;
            if !tx.remove_role(&name)? {
                return Err(AdminError::not_found("role", name));
            }
            let holders = tx.remove_assignments_of(&target)?;
            Ok(tx.append_audit(&event.data(json!({ "role": name, "assignments_removed": holders })))?)
        })
        .await
    }
}

fn not_held_by_client(tx: &mut Tx<'_>, target: &Target) -> Result<(), AdminError> {
    match tx.clients()?.into_iter().find(|client| client.assignments.contains(target)) {
        None => Ok(()),
        Some(client) => Err(AdminError::Refused(format!(
            "the client \"{}\" has the {} \"{}\"",
            client.id,
            target.kind(),
            target.name()
        ))),
    }
}
