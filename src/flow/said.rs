//! What of a profile each identity stands behind is noted at each sign-in, in its transaction, and goes with the identity.

use crate::accounts::said::{self, Going, Told, note};
use crate::accounts::{Account, AccountEmail, Identity, Profile, Provenance};
use crate::context::Timestamp;
use crate::ids::{AccountId, IdentityId};
use crate::store::{StoreError, Tx};
use crate::upstream::identity::ExternalIdentity;
use std::collections::BTreeSet;

/// Notes what a sign-in by one of the account's identities told, after which its profile, `before`, is `after`, and
/// it holds these addresses.
///
/// # Errors
/// When the store fails.
pub fn note_sign_in(
    tx: &mut Tx<'_>,
    account: &AccountId,
    told: &ExternalIdentity,
    before: &Profile,
    after: &Profile,
    emails: &[AccountEmail],
) -> Result<(), StoreError> {
    let Some(by) = tx.identity(told.key())?.filter(|by| by.account == *account) else { return Ok(()) };
    let mut said = tx.said_of(account)?;
    let email = told.email().map(|email| email.address().canonical());
    let told = Told { by: &by.id, profile: told.profile(), email };
    for changed in note(&mut said, told, before, after, emails) {
        if let Some(names) = said.get(&changed) {
            tx.put_said(&changed, names)?;
        }
    }
    Ok(())
}

/// Takes out of an account what came by an identity that goes: what of profile and addresses it alone stood behind, and, with
/// the last identity of a provider, the groups and roles that this gave. `identities`: all of the account's, this one too.
///
/// # Errors
/// When the store fails.
pub fn take_out(
    tx: &mut Tx<'_>,
    account: &Account,
    gone: &Identity,
    identities: &[Identity],
    now: Timestamp,
) -> Result<(), StoreError> {
    let provider = &gone.key.provider;
    let beside = identities.iter().filter(|other| other.id != gone.id && other.key.provider == *provider);
    let beside: BTreeSet<IdentityId> = beside.map(|other| other.id.clone()).collect();
    let going = Going { id: &gone.id, provider, beside: &beside };
    let (profile, emails) =
        said::without(&tx.said_of(&account.id)?, going, &account.profile, &account.emails);
    if profile != account.profile {
        tx.update_profile(&account.id, &profile, now)?;
    }
    if emails != account.emails {
        tx.replace_emails(&account.id, &emails)?;
    }
    if beside.is_empty() {
        take_assignments(tx, &account.id, gone)?;
    }
    Ok(())
}

/// Takes the groups and roles away that the provider of this identity gave.
///
/// # Errors
/// When the store fails.
pub fn take_assignments(tx: &mut Tx<'_>, account: &AccountId, of: &Identity) -> Result<(), StoreError> {
    for assignment in tx.assignments_of(account)? {
        if matches!(&assignment.provenance, Provenance::Provider { provider, .. } if *provider == of.key.provider)
        {
            tx.remove_assignment(account, &assignment)?;
        }
    }
    Ok(())
}
