//! Whom an application means: the way back from a pairwise `sub`, for those who are asked about one.

use super::{AdminError, Desk};
use crate::failure::Failure;
use crate::flow::subjects;
use crate::ids::{AccountId, ClientId};
use crate::store::StoreError;
use crate::tokens::seal::Sealer;
use secrecy::ExposeSecret as _;

/// How many accounts are looked at in one query.
const PAGE: u32 = 500;

impl Desk {
    /// The account that a client knows by this `sub`. There is no table of subjects, so that of every account is
    /// computed until one fits.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; when the secret of pairwise subjects does not open under the master key.
    pub async fn account_known_as(&self, client: &ClientId, sub: &str) -> Result<AccountId, AdminError> {
        let client = self.client(client).await?;
        let broken = |failure: Failure| {
            AdminError::Refused(format!(
                "the secret of pairwise subjects cannot be read ({})",
                failure.reason
            ))
        };
        let sealer = Sealer::new(self.settings.master_key.expose_secret())
            .map_err(|error| AdminError::Refused(error.to_string()))?;
        let subjects = subjects::load(&self.context, &self.store, &sealer).await.map_err(broken)?;
        let mut after: Option<AccountId> = None;
        loop {
            let from = after.clone();
            let page =
                self.store.read::<_, StoreError, _>(move |tx| tx.list_accounts("", from.as_ref(), PAGE));
            let page = page.await?;
            if let Some(found) = page.iter().find(|account| subjects.is(&client, &account.id, sub)) {
                return Ok(found.id.clone());
            }
            match page.last() {
                Some(last) => after = Some(last.id.clone()),
                None => return Err(AdminError::not_found("account known to the client as", sub)),
            }
        }
    }
}
