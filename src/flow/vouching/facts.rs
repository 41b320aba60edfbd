//! The facts that the decision about an identity rests on, as the store has them.

use super::{Undone, Vouching};
use crate::accounts::{Account, AccountEmail, EmailProof, Identity, IdentityKey};
use crate::failure::Failure;
use crate::linking::{Admission, Holder};
use crate::store::{StoreError, Tx};
use crate::upstream::{ProviderPolicy, Provisioning, Vouched};

/// The link of an identity, its account held against change: an unlinking, a suspension or a removal comes wholly
/// before this sign-in or wholly after.
pub(super) fn linked(tx: &mut Tx<'_>, key: &IdentityKey) -> Result<Option<Identity>, Undone> {
    let Some(seen) = tx.identity(key)? else { return Ok(None) };
    tx.hold_account(&seen.account)?;
    let now = tx.identity(key)?;
    // somebody took it away, or moved it, while we waited
    if now.as_ref().is_none_or(|now| now.id != seen.id || now.account != seen.account) {
        return Err(StoreError::Conflict("identity").into());
    }
    Ok(now)
}

/// The account that an identity is linked with.
pub(super) fn known(account: &Account) -> Holder {
    Holder {
        account: account.id.clone(),
        status: account.status,
        proof: None,
        lapsed: false,
        other_subject: false,
        proved_elsewhere: false,
    }
}

/// Who holds the person's address: the one with proof, else what the provider said. Of those who only claim it, some:
/// anybody can claim an address, any number of times.
pub(super) fn holders(tx: &mut Tx<'_>, request: &Vouching) -> Result<Vec<Holder>, StoreError> {
    let identity = &request.vouched.identity;
    let said = identity.email().map(|email| email.address());
    let Some(address) = request.proved().or(said) else { return Ok(Vec::new()) };
    let still_names = |format: &str| request.upstream.still_names(format);
    let mut holders = Vec::new();
    for (id, AccountEmail { proof, lapsed, .. }) in tx.holders_of_email(address.canonical(), CLAIMS)? {
        let Some(account) = tx.account(&id)? else { continue };
        // Whose word it is held by, or was.
        let by = match &proof {
            Some(EmailProof::Provider(by)) => Some(by),
            Some(EmailProof::Code) => None,
            None => lapsed.as_ref(),
        };
        let ways_in = if proof.is_some() || by.is_some() { tx.identities_of(&id)? } else { Vec::new() };
        let other_subject = ways_in.iter().any(|one| is_another(&one.key, identity.key(), still_names));
        let is_on = |provider| request.upstreams.get(provider).is_some_and(|entry| entry.policy.enabled);
        // Where it is gone, another way in will do: whoever has that one was there when it spoke of them.
        let proved_elsewhere = by.is_some_and(|by| {
            let others = ways_in.iter().map(|one| &one.key.provider).filter(|by| *by != identity.provider());
            by != identity.provider() && std::iter::once(by).chain(others).any(is_on)
        });
        holders.push(Holder {
            account: id,
            status: account.status,
            lapsed: proof.is_none() && lapsed.is_some(),
            proof,
            other_subject,
            proved_elsewhere,
        });
    }
    Ok(holders)
}

/// Whether a provider has spoken of somebody else by this name, as far as anybody can tell. A name of a format that it can
/// no longer give says nothing about that: where a SAML provider's `nameid_format` is changed, all its people get other
/// names at once. While both formats are accepted, one person's second name and another person look alike.
fn is_another(known: &IdentityKey, now: &IdentityKey, still_names: impl Fn(&str) -> bool) -> bool {
    known.provider == now.provider
        && (known.issuer != now.issuer || known.format == now.format || still_names(&known.format))
}

/// So many of those who claim an address without proof are looked at.
const CLAIMS: i64 = 4;

/// What the provider's policy says about somebody who has no account yet.
pub(super) fn admission(vouched: &Vouched, policy: &ProviderPolicy, invited: bool) -> Admission {
    let welcome = if invited { Admission::Invited } else { Admission::Open };
    let open = |yes: bool, reason| if yes { welcome } else { Admission::Closed(reason) };
    match &policy.provisioning {
        Provisioning::Open => welcome,
        // Only a verified address says where somebody belongs.
        Provisioning::Domains(domains) => {
            let verified = vouched.identity.verified_email();
            open(verified.is_some_and(|email| domains.contains(email.address().domain())), "provider.domain")
        }
        Provisioning::ClaimFilter(_) => open(vouched.passes_filter, "provider.claim_filter"),
        Provisioning::Invitation => open(invited, "provider.invitation"),
        Provisioning::Never => Admission::Closed("provider.provisioning"),
    }
}

/// Adds to a refusal what the provider's policy wanted, and what came.
pub(super) fn told(failure: Failure, request: &Vouching) -> Failure {
    let identity = &request.vouched.identity;
    match (&request.policy.provisioning, failure.reason) {
        (Provisioning::Domains(domains), "provider.domain") => {
            let wanted: Vec<&str> = domains.iter().map(String::as_str).collect();
            let came = match (identity.verified_email(), identity.email()) {
                (Some(email), _) => email.address().domain().to_owned(),
                (None, Some(email)) => {
                    let domain = email.address().domain();
                    let why = match request.policy.authoritative_for.contains(domain) {
                        true => "which the provider does not call verified",
                        false => "for which the provider is not authoritative",
                    };
                    format!("an address at {domain}, {why}")
                }
                (None, None) => "no address".to_owned(),
            };
            failure.expected(format!("a verified address at {}", wanted.join(", ")), came)
        }
        (Provisioning::ClaimFilter(filter), "provider.claim_filter") => {
            failure.expected(format!("true: {}", filter.as_str()), "false")
        }
        (Provisioning::Invitation, "provider.invitation") => {
            let came = match request.invitation {
                Some(_) => "one that was used or is over, or is for another provider or address",
                None => "none",
            };
            failure.expected("an invitation", came)
        }
        (Provisioning::Never, "provider.provisioning") => {
            failure.expected("somebody who has an account", "nobody who is known")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_format_that_is_given_no_more_is_no_other_person() {
        let key = |provider: &str, issuer: &str, subject: &str, format: &str| IdentityKey {
            provider: provider.parse().unwrap(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            format: format.to_owned(),
        };
        let known = key("acme", "https://acme.example", "a", "persistent");
        // the last two: the old format is given still, and no more
        for (now, still, no_more) in [
            (key("acme", "https://acme.example", "b", "persistent"), true, true),
            (key("acme", "https://acme.example", "b", "persistent name_qualifier=x"), true, false),
            (key("acme", "https://acme.example", "a@x.example", "email"), true, false),
            (key("acme", "https://other.example", "a@x.example", "email"), true, true),
            (key("acme", "https://other.example", "a", "persistent"), true, true),
            (key("globex", "https://acme.example", "b", "persistent"), false, false),
        ] {
            assert_eq!(is_another(&known, &now, |format| format == "persistent"), still, "{now:?}");
            assert_eq!(is_another(&known, &now, |_| false), no_more, "{now:?}");
        }
    }
}
