//! What a token stands on: its grant, the session in which it was made, and the person as they are now. A
//! token is worth something only while all three stand.

use crate::accounts::access;
use crate::accounts::{Access, Account, AccountStatus, Assignment, Provenance};
use crate::clients::Grant;
use crate::config::settings::Who;
use crate::flow::Snapshot;
use crate::ids::{AccountId, GrantId};
use crate::sessions::Session;
use crate::store::{StoreError, Tx};

/// A person who may use what was granted, with what they may do at this moment.
#[derive(Debug, Clone)]
pub struct Person {
    /// The account; it is active.
    pub account: Account,
    /// Groups, roles and permissions.
    pub access: Access,
}

/// A grant that stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The grant.
    pub grant: Grant,
    /// The session in which it was made; `None` once it has ended by age and was swept. Offline access
    /// outlives a session that ran out, never one that was ended.
    pub session: Option<Session>,
    /// The person.
    pub person: Person,
}

/// Why a grant stands no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallen {
    /// There is none, or it was swept away.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Its session was ended.
    SessionEnded,
    /// Its account is suspended or deleted.
    AccountNotActive,
    /// It rests on a provider that is not among those of the client any more.
    ProviderNotAdmitted,
}

impl Fallen {
    /// The stable word for audit.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "grant.unknown",
            Self::Revoked => "grant.revoked",
            Self::SessionEnded => "session.ended",
            Self::AccountNotActive => "account.not_active",
            Self::ProviderNotAdmitted => "grant.provider",
        }
    }
}

/// Looks up what a grant stands on.
///
/// # Errors
/// Only of the store; a grant that fell is an answer.
pub fn standing(
    tx: &mut Tx<'_>,
    id: &GrantId,
    snapshot: &Snapshot,
) -> Result<Result<Standing, Fallen>, StoreError> {
    let Some(grant) = tx.grant(id)? else { return Ok(Err(Fallen::Unknown)) };
    if grant.revoked_at.is_some() {
        return Ok(Err(Fallen::Revoked));
    }
    let session = tx.session(&grant.session)?;
    if session.as_ref().is_some_and(|session| session.revoked_at.is_some()) {
        return Ok(Err(Fallen::SessionEnded));
    }
    // Where a client's list of providers was narrowed, or means another issuer's people by now, it counts for what was
    // granted before too.
    let client = snapshot.find(grant.client.as_str());
    if let (Some(client), Some(proof)) = (client, grant.proof(session.as_ref()))
        && !(client.admits(&proof.provider)
            && (client.providers.is_empty() || snapshot.is_issuer_of(&proof.provider, &proof.issuer)))
    {
        return Ok(Err(Fallen::ProviderNotAdmitted));
    }
    match person(tx, &grant.account, snapshot)? {
        Some(person) => Ok(Ok(Standing { grant, session, person })),
        None => Ok(Err(Fallen::AccountNotActive)),
    }
}

/// The person of an account, if it is active, with what they may do at this moment: what the database
/// assigns, and what the configuration does.
///
/// # Errors
/// Of the store.
pub fn person(tx: &mut Tx<'_>, id: &AccountId, snapshot: &Snapshot) -> Result<Option<Person>, StoreError> {
    let Some(account) = tx.account(id)?.filter(|account| account.status == AccountStatus::Active) else {
        return Ok(None);
    };
    let mut assignments = tx.assignments_of(id)?;
    let declared = &snapshot.settings.assignments;
    let identities = if declared.iter().any(|line| matches!(line.who, Who::Subject { .. })) {
        tx.identities_of(id)?
    } else {
        Vec::new()
    };
    for line in declared {
        if line.who.is(&account, &identities) {
            let target = line.target.clone();
            assignments.push(Assignment { target, provenance: Provenance::Configuration });
        }
    }
    let access = access::resolve(&assignments, &snapshot.directory);
    Ok(Some(Person { account, access }))
}
