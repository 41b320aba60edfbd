//! `countersign group` and `countersign role`

use super::CliError;
use super::output::{Out, facts, joined, table};
use crate::accounts::{Group, Role};
use crate::flow::admin::{AdminError, Desk, Made};
use crate::ids::{GroupName, PermissionName, RoleName};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Groups, of which people are members
#[derive(Subcommand)]
pub enum GroupCommand {
    /// List all groups
    List,
    /// Show a group
    Show {
        /// Its name
        name: GroupName,
    },
    /// Make a group
    Add(GroupArgs),
    /// Change a group: what is not named is emptied
    Change(GroupArgs),
    /// Remove a group, and take it from everyone who has it
    Remove {
        /// Its name
        name: GroupName,
    },
}

/// A group
#[derive(Args)]
#[command(after_help = "Example:\n  countersign group add staff/berlin --member-of staff --role editor")]
pub struct GroupArgs {
    /// Its name
    name: GroupName,
    /// For people
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A group of which its members are members too
    #[arg(long, value_name = "GROUP")]
    member_of: Vec<GroupName>,
    /// A role that its members have
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleName>,
}

/// Roles, which carry permissions
#[derive(Subcommand)]
pub enum RoleCommand {
    /// List all roles
    List,
    /// Show a role
    Show {
        /// Its name
        name: RoleName,
    },
    /// Make a role
    Add(RoleArgs),
    /// Change a role: what is not named is emptied
    Change(RoleArgs),
    /// Remove a role, and take it from everyone who has it
    Remove {
        /// Its name
        name: RoleName,
    },
}

/// A role
#[derive(Args)]
#[command(
    after_help = "Example:\n  countersign role add editor --permission notes:read --permission notes:write"
)]
pub struct RoleArgs {
    /// Its name
    name: RoleName,
    /// For people
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A permission that it carries
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<PermissionName>,
}

/// Runs `countersign group`.
pub async fn run_group(command: GroupCommand, desk: &Desk, out: &Out) -> Result<(), CliError> {
    match command {
        GroupCommand::List => {
            let groups = desk.groups().await?;
            let body: Vec<Value> = groups.iter().map(|(name, made)| json_of(name, made)).collect();
            out.show(&json!(body), || {
                let row = |(name, made): (&GroupName, &Made<Group>)| {
                    let group = &made.thing;
                    let (above, roles) = (joined(&group.member_of), joined(&group.roles));
                    vec![
                        name.to_string(),
                        group.description.clone(),
                        above,
                        roles,
                        made.origin.as_str().to_owned(),
                    ]
                };
                let rows: Vec<_> = groups.iter().map(row).collect();
                table(&["name", "description", "member of", "roles", "origin"], &rows, "There are no groups.")
            });
        }
        GroupCommand::Show { name } => {
            let made = desk.groups().await?.remove(&name);
            let made = made.ok_or_else(|| AdminError::NotFound { what: "group", name: name.to_string() })?;
            out.show(&json_of(&name, &made), || {
                facts(&[
                    ("name", name.to_string()),
                    ("origin", made.origin.as_str().to_owned()),
                    ("description", made.thing.description.clone()),
                    ("member of", joined(&made.thing.member_of)),
                    ("roles", joined(&made.thing.roles)),
                ])
            });
        }
        GroupCommand::Add(args) => put_group(args, false, desk, out).await?,
        GroupCommand::Change(args) => put_group(args, true, desk, out).await?,
        GroupCommand::Remove { name } => {
            desk.remove_group(name.clone()).await?;
            out.show(&json!({ "removed": name }), || format!("The group {name} was removed."));
        }
    }
    Ok(())
}

async fn put_group(args: GroupArgs, replace: bool, desk: &Desk, out: &Out) -> Result<(), CliError> {
    let group = Group {
        description: args.description,
        member_of: args.member_of.into_iter().collect(),
        roles: args.roles.into_iter().collect(),
    };
    desk.put_group(args.name.clone(), group, replace).await?;
    let done = if replace { "changed" } else { "made" };
    out.show(&json!({ "name": args.name }), || format!("The group {} was {done}.", args.name));
    Ok(())
}

/// Runs `countersign role`.
pub async fn run_role(command: RoleCommand, desk: &Desk, out: &Out) -> Result<(), CliError> {
    match command {
        RoleCommand::List => {
            let roles = desk.roles().await?;
            let body: Vec<Value> = roles.iter().map(|(name, made)| json_of(name, made)).collect();
            out.show(&json!(body), || {
                let row = |(name, made): (&RoleName, &Made<Role>)| {
                    let permissions = joined(&made.thing.permissions);
                    let description = made.thing.description.clone();
                    vec![name.to_string(), description, permissions, made.origin.as_str().to_owned()]
                };
                let rows: Vec<_> = roles.iter().map(row).collect();
                table(&["name", "description", "permissions", "origin"], &rows, "There are no roles.")
            });
        }
        RoleCommand::Show { name } => {
            let made = desk.roles().await?.remove(&name);
            let made = made.ok_or_else(|| AdminError::NotFound { what: "role", name: name.to_string() })?;
            out.show(&json_of(&name, &made), || {
                facts(&[
                    ("name", name.to_string()),
                    ("origin", made.origin.as_str().to_owned()),
                    ("description", made.thing.description.clone()),
                    ("permissions", joined(&made.thing.permissions)),
                ])
            });
        }
        RoleCommand::Add(args) => put_role(args, false, desk, out).await?,
        RoleCommand::Change(args) => put_role(args, true, desk, out).await?,
        RoleCommand::Remove { name } => {
            desk.remove_role(name.clone()).await?;
            out.show(&json!({ "removed": name }), || format!("The role {name} was removed."));
        }
    }
    Ok(())
}

async fn put_role(args: RoleArgs, replace: bool, desk: &Desk, out: &Out) -> Result<(), CliError> {
    let role = Role { description: args.description, permissions: args.permissions.into_iter().collect() };
    desk.put_role(args.name.clone(), role, replace).await?;
    let done = if replace { "changed" } else { "made" };
    out.show(&json!({ "name": args.name }), || format!("The role {} was {done}.", args.name));
    Ok(())
}

fn json_of<N: serde::Serialize, T: serde::Serialize>(name: &N, made: &Made<T>) -> Value {
    let mut body = json!(made);
    if let Some(body) = body.as_object_mut() {
        body.insert("name".to_owned(), json!(name));
    }
    body
}
