//! Accounts as administrators see and change them.

use super::{AdminError, Desk, must_have_group, must_have_role, whole_directory};
use crate::accounts::access::resolve;
use crate::accounts::{
    Access, Account, AccountStatus, Assignment, EmailAddress, Identity, Invitation, Provenance, Target,
};
use crate::audit::AuditKind;
use crate::clients::Grant;
use crate::ids::{AccountId, GroupName, ProviderId};
use crate::sessions::Session;
use crate::store::{AuditRecord, Tx};
use crate::tokens::handle::{self, Handle};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Accounts that are listed at a time.
const PAGE: u32 = 200;
/// Events that are shown with an account.
const EVENTS: u32 = 20;

/// All that is known about an account.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// The account.
    pub account: Account,
    /// The ways in.
    pub identities: Vec<Identity>,
    /// Groups and roles, each with who gave it, the configuration's among them.
    pub assignments: Vec<Assignment>,
    /// What follows from them.
    pub access: Access,
    /// Sessions that are not ended.
    pub sessions: Vec<Session>,
    /// What was granted to clients and is not revoked.
    pub grants: Vec<Grant>,
    /// What happened lately, the newest first.
    pub events: Vec<AuditRecord>,
}

/// Whom to invite.
#[derive(Debug, Clone)]
pub struct Invite {
    /// The address that the person must hold with proof.
    pub email: Option<EmailAddress>,
    /// The provider by which they must come.
    pub provider: Option<ProviderId>,
    /// Groups that they get.
    pub groups: BTreeSet<GroupName>,
    /// For how long it can be used.
    pub lifetime: Duration,
}

impl Desk {
    /// Accounts whose id, name or address contains the text, in the order of their ids, beginning behind
    /// `after`; at most 200 at a time.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn accounts(&self, filter: &str, after: Option<AccountId>) -> Result<Vec<Account>, AdminError> {
        let filter = filter.to_owned();
        self.store.read(move |tx| Ok(tx.list_accounts(&filter, after.as_ref(), PAGE)?)).await
    }

    /// The account that an id or an address means. An address that is proved goes before one that is said.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or that several accounts have the address.
    pub async fn find_account(&self, name: &str) -> Result<AccountId, AdminError> {
        let wanted = name.to_owned();
        self.store.read(move |tx| find(tx, &wanted)).await
    }

    /// All that is known about an account.
    ///
    /// # Errors
    /// As [`Desk::find_account`].
    pub async fn account(&self, name: &str) -> Result<AccountView, AdminError> {
        let (wanted, settings, now) = (name.to_owned(), self.settings.clone(), self.context.now());
        self.store
            .read(move |tx| {
                let id = find(tx, &wanted)?;
                let account = tx.account(&id)?.ok_or_else(|| AdminError::not_found("account", &id))?;
                let identities = tx.identities_of(&id)?;
                let mut assignments = tx.assignments_of(&id)?;
                let declared = settings.assignments.iter();
                for line in declared.filter(|line| line.who.is(&account, &identities)) {
                    let target = line.target.clone();
                    assignments.push(Assignment { target, provenance: Provenance::Configuration });
                }
                assignments.sort();
                let access = resolve(&assignments, &whole_directory(tx, &settings)?);
                let idle = settings.sessions.idle;
                let sessions = tx.sessions_of(&id)?.into_iter().filter(|s| s.is_live(now, idle)).collect();
                let grants = tx.grants_of(&id)?.into_iter().filter(|g| g.revoked_at.is_none()).collect();
                let events = tx.audit_of(&id, None, EVENTS)?;
                Ok(AccountView { account, identities, assignments, access, sessions, grants, events })
            })
            .await
    }

    /// Suspends an account: it cannot sign in, its sessions end, and all tokens of it stop working at once
    /// and for good. False if it was suspended already.
    ///
    /// # Errors
    /// As [`Desk::find_account`].
    pub async fn suspend(&self, name: &str) -> Result<bool, AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::AccountSuspended));
        let wanted = name.to_owned();
        self.change(move |tx| {
            let id = find(tx, &wanted)?;
            tx.hold_account(&id)?;
            if !tx.set_account_status(&id, AccountStatus::Suspended, now)? {
                return Ok(false);
            }
            // revoked, not only refused by status: what was out before must not live again afterwards
            let sessions = tx.end_sessions_of(&id, now)?;
            let grants = tx.revoke_grants_of_account(&id, now)?;
            let data = json!({ "sessions_ended": sessions, "grants_revoked": grants });
            tx.append_audit(&event.account(&id).data(data))?;
            Ok(true)
        })
        .await
    }

    /// Lets a suspended account sign in again. False if it could already.
    ///
    /// # Errors
    /// As [`Desk::find_account`].
    pub async fn activate(&self, name: &str) -> Result<bool, AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::AccountActivated));
        let wanted = name.to_owned();
        self.change(move |tx| {
            let id = find(tx, &wanted)?;
            tx.hold_account(&id)?;
            let changed = tx.set_account_status(&id, AccountStatus::Active, now)?;
            if changed {
                tx.append_audit(&event.account(&id))?;
            }
            Ok(changed)
        })
        .await
    }

    /// Removes an account for good; only the fact that its id is used up stays.
    ///
    /// # Errors
    /// As [`Desk::find_account`].
    pub async fn remove_account(&self, name: &str) -> Result<(), AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::AccountDeleted));
        let wanted = name.to_owned();
        self.change(move |tx| {
            let id = find(tx, &wanted)?;
            tx.hold_account(&id)?;
            if !tx.set_account_status(&id, AccountStatus::Deleted, now)? {
                return Err(AdminError::not_found("account", &id));
            }
            Ok(tx.append_audit(&event.account(&id))?)
        })
        .await
    }

    /// Gives an account a group or role. False if an administrator of this name had given it already.
    ///
    /// # Errors
    /// As [`Desk::find_account`]; [`AdminError::NotFound`] for the group or role; [`AdminError::Refused`] for
    /// an address that is not proved: anyone can say that it is theirs.
    pub async fn grant(&self, name: &str, target: Target) -> Result<bool, AdminError> {
        let (now, event) = (self.context.now(), self.event(AuditKind::AssignmentAdded));
        let (wanted, desk) = (name.to_owned(), self.clone());
        self.change(move |tx| {
            let directory = whole_directory(tx, &desk.settings)?;
            match &target {
                Target::Group(name) => must_have_group(&directory, name)?,
                Target::Role(name) => must_have_role(&directory, name)?,
            }
            let id = find(tx, &wanted)?;
            if wanted.contains('@') && !has_proved(tx, &id, &wanted)? {
                return Err(AdminError::Refused(format!(
                    "account {id} says that its address is {wanted}, but has not proved it; if you know whose \
                     account that is, name it by its id"
                )));
            }
            let assignment = Assignment { target, provenance: Provenance::Admin(desk.admin.clone()) };
            let added = tx.add_assignment(&id, &assignment, now)?;
            if added {
                tx.append_audit(&event.account(&id).data(json!(assignment.target)))?;
            }
            Ok(added)
        })
        .await
    }

    /// Takes a group or role back that administrators gave, whoever of them, or a provider by which the person cannot
    /// come any more. False if none had.
    ///
    /// # Errors
    /// As [`Desk::find_account`]; [`AdminError::Refused`] if only the configuration or a provider gives it.
    pub async fn revoke(&self, name: &str, target: Target) -> Result<bool, AdminError> {
        let event = self.event(AuditKind::AssignmentRemoved);
        let (wanted, desk) = (name.to_owned(), self.clone());
        self.change(move |tx| {
            let id = find(tx, &wanted)?;
            let identities = tx.identities_of(&id)?;
            let comes_by = |provider: &ProviderId| identities.iter().any(|one| one.key.provider == *provider);
            let mut removed = false;
            let mut others: Option<String> = None;
            for assignment in tx.assignments_of(&id)?.into_iter().filter(|a| a.target == target) {
                match &assignment.provenance {
                    Provenance::Admin(_) => removed |= tx.remove_assignment(&id, &assignment)?,
                    Provenance::Provider { provider, .. } if !comes_by(provider) => {
                        removed |= tx.remove_assignment(&id, &assignment)?;
                    }
                    Provenance::Provider { provider, rule } => {
                        others = Some(format!("the provider {provider} gives it by the rule \"{rule}\""));
                    }
                    Provenance::Configuration => {}
                }
            }
            let account = tx.account(&id)?.ok_or_else(|| AdminError::not_found("account", &id))?;
            let declared = desk.settings.assignments.iter();
            if declared.filter(|line| line.target == target).any(|line| line.who.is(&account, &identities)) {
                others = Some("the configuration file gives it".to_owned());
            }
            if let Some(others) = others.filter(|_| !removed) {
                let (kind, name) = (target.kind(), target.name());
                return Err(AdminError::Refused(format!(
                    "the {kind} \"{name}\" cannot be taken back here: {others}"
                )));
            }
            if removed {
                tx.append_audit(&event.account(&id).data(json!(target)))?;
            }
            Ok(removed)
        })
        .await
    }

    /// Invites somebody. The invitation is a secret that is shown once.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for the provider or a group.
    pub async fn invite(&self, invite: Invite) -> Result<Handle<handle::Invitation>, AdminError> {
        if let Some(provider) = invite.provider.as_ref().filter(|id| !self.providers.contains(*id)) {
            return Err(AdminError::not_found("provider", provider));
        }
        let secret = Handle::<handle::Invitation>::new(&self.context);
        let now = self.context.now();
        let invitation = Invitation {
            digest: secret.digest(),
            provider: invite.provider,
            email: invite.email,
            groups: invite.groups,
            created_by: self.admin.clone(),
            created_at: now,
            expires_at: now.plus(invite.lifetime),
            used_at: None,
        };
        let event = self.event(AuditKind::InvitationCreated).data(json!({
            "email": invitation.email,
            "provider": invitation.provider,
            "groups": invitation.groups,
        }));
        let desk = self.clone();
        self.change(move |tx| {
            let directory = whole_directory(tx, &desk.settings)?;
            invitation.groups.iter().try_for_each(|group| must_have_group(&directory, group))?;
            tx.insert_invitation(&invitation)?;
            Ok(tx.append_audit(&event)?)
        })
        .await?;
        Ok(secret)
    }
}

fn has_proved(tx: &mut Tx<'_>, id: &AccountId, address: &str) -> Result<bool, AdminError> {
    let Ok(address) = EmailAddress::parse(address) else { return Ok(false) };
    Ok(tx.accounts_by_email(address.canonical())?.iter().any(|(holder, proved)| *proved && holder == id))
}

pub(super) fn find(tx: &mut Tx<'_>, name: &str) -> Result<AccountId, AdminError> {
    let unknown = || AdminError::not_found("account", name);
    if !name.contains('@') {
        let id = AccountId::new(name).map_err(|_| unknown())?;
        let there = tx.account(&id)?.is_some_and(|account| account.status != AccountStatus::Deleted);
        return if there { Ok(id) } else { Err(unknown()) };
    }
    let address = EmailAddress::parse(name).map_err(|_| unknown())?;
    let holders: Vec<(AccountId, bool)> = tx.accounts_by_email(address.canonical())?;
    let proved = holders.iter().find(|(_, proved)| *proved);
    match (proved, holders.as_slice()) {
        (Some((id, _)), _) | (None, [(id, _)]) => Ok(id.clone()),
        (None, []) => Err(unknown()),
        (None, several) => {
            let ids: Vec<&str> = several.iter().map(|(id, _)| id.as_str()).collect();
            let message = format!("several accounts have the address {name}: {}", ids.join(", "));
            Err(AdminError::Refused(message))
        }
    }
}
