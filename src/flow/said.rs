//! What of a profile each identity stands behind is noted at each sign-in, in its transaction.

use crate::accounts::said::{Told, note};
use crate::accounts::{AccountEmail, Profile};
use crate::ids::AccountId;
use crate::store::{StoreError, Tx};
use crate::upstream::identity::ExternalIdentity;

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
