//! What administrators do: clients, accounts, groups, roles. The command line and the console call the same
//! functions.
//!
//! Whatever changes something is one transaction with its audit event, and is put in a row with all other
//! administration by the configuration's version, which it moves on first: so two administrators never
//! undo each other's checks, and running servers notice.

pub mod accounts;
pub mod clients;
pub mod directory;
pub mod epoch;
pub mod registration;
pub mod sessions;
mod subjects;

use crate::accounts::Directory;
use crate::audit::{Actor, AuditEvent, AuditKind, KeptRefusal};
use crate::clients::Origin;
use crate::config::Settings;
use crate::context::Context;
use crate::ids::{GroupName, ProviderId, ReferenceId, RoleName};
use crate::store::{AuditRecord, Store, StoreError, Tx};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An administrator's desk: who works there, and on what.
#[derive(Clone)]
pub struct Desk {
    /// Time, randomness, ids.
    pub context: Context,
    /// Where state lives.
    pub store: Store,
    /// What is declared; it cannot be changed here.
    pub settings: Arc<Settings>,
    /// The providers that are configured.
    pub providers: BTreeSet<ProviderId>,
    /// Who does it, by name: the operating system's user for the command line.
    pub admin: String,
}

/// Why an administrator's wish was not done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such thing.
    #[error("there is no {what} \"{name}\"")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its name as it was given.
        name: String,
    },
    /// It is declared in the configuration file, so it is read-only here.
    #[error("the {what} \"{name}\" is declared in the configuration file; change it there")]
    Declared {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The name is in use.
    #[error("there is a {what} \"{name}\" already")]
    Taken {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The wish breaks a rule; the text says which, as a sentence without a full stop.
    #[error("{0}")]
    Refused(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }
    fn declared(what: &'static str, name: impl ToString) -> Self {
        Self::Declared { what, name: name.to_string() }
    }
    fn taken(what: &'static str, name: impl ToString) -> Self {
        Self::Taken { what, name: name.to_string() }
    }
}

/// A thing with where it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made<T> {
    /// The thing.
    #[serde(flatten)]
    pub thing: T,
    /// Where it was made, and so where it can be changed.
    pub origin: Origin,
}

/// What is known about a refusal or event with a reference.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The refusal, unless the ring has lost it since.
    pub refusal: Option<KeptRefusal>,
    /// Events of the audit that carry the same reference.
    pub events: Vec<AuditRecord>,
}

impl Desk {
    /// Who does it, for the audit.
    pub fn actor(&self) -> Actor {
        Actor::Admin(self.admin.clone())
    }

    fn event(&self, kind: AuditKind) -> AuditEvent {
        AuditEvent::new(self.context.now(), kind, self.actor())
    }

    /// One change by an administrator, alone among all of them.
    async fn change<T, F>(&self, closure: F) -> Result<T, AdminError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, AdminError> + Send + 'static,
    {
        self.store
            .write(move |tx| {
                // the version's row is held from here to the commit
                tx.bump_config_version()?;
                closure(tx)
            })
            .await
    }

    /// What happened under a reference that a person saw.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if nothing is known of it (any more).
    pub async fn trace(&self, reference: &ReferenceId) -> Result<Traced, AdminError> {
        let wanted = reference.clone();
        let traced = self
            .store
            .read(move |tx| -> Result<_, StoreError> {
                Ok(Traced { refusal: tx.refusal(&wanted)?, events: tx.audit_by_reference(&wanted)? })
            })
            .await?;
        if traced.refusal.is_none() && traced.events.is_empty() {
            return Err(AdminError::not_found("refusal", reference));
        }
        Ok(traced)
    }
}

/// Declared and created groups and roles together. What is declared goes first.
fn whole_directory(tx: &mut Tx<'_>, settings: &Settings) -> Result<Directory, StoreError> {
    let mut directory = Directory { groups: tx.groups()?, roles: tx.roles()? };
    directory.groups.extend(settings.directory.groups.clone());
    directory.roles.extend(settings.directory.roles.clone());
    Ok(directory)
}

fn must_have_group(directory: &Directory, name: &GroupName) -> Result<(), AdminError> {
    if directory.groups.contains_key(name) { Ok(()) } else { Err(AdminError::not_found("group", name)) }
}

fn must_have_role(directory: &Directory, name: &RoleName) -> Result<(), AdminError> {
    if directory.roles.contains_key(name) { Ok(()) } else { Err(AdminError::not_found("role", name)) }
}

#[cfg(test)]
mod tests;
