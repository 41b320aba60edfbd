//! From assignments to what a person may do: groups nest, groups carry roles, roles carry permissions.

use crate::accounts::{Assignment, Target};
use crate::ids::{GroupName, PermissionName, RoleName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A local group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// For people.
    pub description: String,
    /// Groups of which every member of this one is a member too.
    pub member_of: BTreeSet<GroupName>,
    /// Roles that its members have.
    pub roles: BTreeSet<RoleName>,
}

/// A local role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// For people.
    pub description: String,
    /// What it permits.
    pub permissions: BTreeSet<PermissionName>,
}

/// All groups and roles that exist here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Groups by name.
    pub groups: BTreeMap<GroupName, Group>,
    /// Roles by name.
    pub roles: BTreeMap<RoleName, Role>,
}

/// What one person (or client) has: the values of the claims `groups`, `roles`, `permissions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Groups, nested ones included.
    pub groups: BTreeSet<GroupName>,
    /// Roles, direct and by group.
    pub roles: BTreeSet<RoleName>,
    /// Permissions of those roles.
    pub permissions: BTreeSet<PermissionName>,
}

/// Resolves assignments. Names that the directory does not have give nothing (deny by default), and a
/// cycle of groups ends where it began.
pub fn resolve<'a>(assignments: impl IntoIterator<Item = &'a Assignment>, directory: &Directory) -> Access {
    resolve_targets(assignments.into_iter().map(|assignment| &assignment.target), directory)
}

/// Resolves what is assigned, whoever assigned it.
pub fn resolve_targets<'a>(targets: impl IntoIterator<Item = &'a Target>, directory: &Directory) -> Access {
    let mut access = Access::default();
    let mut open: Vec<&GroupName> = Vec::new();
    let mut roles: Vec<&RoleName> = Vec::new();
    for target in targets {
        match target {
            Target::Group(name) => open.push(name),
            Target::Role(name) => roles.push(name),
        }
    }
    while let Some(name) = open.pop() {
        let Some(group) = directory.groups.get(name) else { continue };
        if access.groups.insert(name.clone()) {
            open.extend(&group.member_of);
            roles.extend(&group.roles);
        }
    }
    for name in roles {
        let Some(role) = directory.roles.get(name) else { continue };
        if access.roles.insert(name.clone()) {
            access.permissions.extend(role.permissions.iter().cloned());
        }
    }
    access
}

/// The shortest way from a group by `member_of` back to itself, beginning with the group; `None` if there is
/// none. A directory in which any group has one is not allowed.
pub fn way_back<'d>(directory: &'d Directory, start: &'d GroupName) -> Option<Vec<&'d GroupName>> {
    let mut came_from: BTreeMap<&GroupName, &GroupName> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(name) = open.pop_front() {
        for parent in directory.groups.get(name).into_iter().flat_map(|group| &group.member_of) {
            if parent == start {
                let mut path = vec![name];
                let mut at = name;
                while let Some(before) = came_from.get(at).filter(|_| at != start) {
                    path.push(before);
                    at = before;
                }
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(parent) {
                came_from.insert(parent, name);
                open.push_back(parent);
            }
        }
    }
    None
}
