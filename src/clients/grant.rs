//! What people allowed a client: once (a grant), and from now on (a consent).

use crate::context::Timestamp;
use crate::ids::{AccountId, ClientId, GrantId, ProviderId, SessionId};
use crate::protocol::claims::scope_of;
use crate::protocol::{ClaimsRequest, Scope};
use crate::sessions::{Proof, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What somebody allowed a client: the root of a code, its refresh tokens and access tokens. Revoking it
/// ends them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The person.
    pub account: AccountId,
    /// The client.
    pub client: ClientId,
    /// The SSO session in which it was made.
    pub session: SessionId,
    /// What was granted.
    pub scope: Scope,
    /// The audiences that may be asked for, by resource identifier.
    pub resources: BTreeSet<String>,
    /// When the person last proved themselves; the provider's own time where it said one (see
    /// [`GrantProof::time_asserted`]).
    pub auth_time: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What else is known of it.
    pub details: GrantDetails,
}

/// What else is known of a grant. Each part has a default, which a grant of an earlier version has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantDetails {
    /// The single claims that were asked for and allowed (OIDC Core §5.5).
    #[serde(skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// The proof on which it rests. It is kept here, because a session may see other proofs later, and offline
    /// access outlives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<GrantProof>,
}

/// What a provider said of the sign-in on which a grant rests: facts, not levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantProof {
    /// Which provider.
    pub provider: ProviderId,
    /// In whose name; empty for a grant of an earlier version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// Whether it said itself when the person signed in there.
    pub time_asserted: bool,
    /// Its context class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Its methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
}

impl From<&Proof> for GrantProof {
    fn from(proof: &Proof) -> Self {
        Self {
            provider: proof.provider.clone(),
            issuer: proof.issuer.clone(),
            time_asserted: proof.auth_time_asserted,
            acr: proof.acr.clone(),
            amr: proof.amr.clone(),
        }
    }
}

impl Grant {
    /// The proof on which it rests: the one that it remembers, or for a grant of an earlier version the last one
    /// of its session.
    pub fn proof(&self, session: Option<&Session>) -> Option<GrantProof> {
        let remembered = self.details.proof.clone();
        remembered.or_else(|| session.and_then(Session::latest).map(GrantProof::from))
    }
}

/// What a person agreed to for a client, remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The person.
    pub account: AccountId,
    /// The client.
    pub client: ClientId,
    /// All scopes agreed to so far.
    pub scope: Scope,
    /// All single claims agreed to so far, beside those that the scopes stand for.
    pub claims: BTreeSet<String>,
    /// When last.
    pub given_at: Timestamp,
}

impl Consent {
    /// Whether it covers what is asked for: every scope, and every single claim by itself or by its scope.
    pub fn covers(&self, scope: &Scope, claims: &ClaimsRequest) -> bool {
        let covered = |claim: &str| {
            self.claims.contains(claim) || scope_of(claim).is_some_and(|behind| self.scope.contains(behind))
        };
        scope.is_subset(&self.scope) && claims.personal().into_iter().all(covered)
    }

    /// Adds what was agreed to now.
    pub fn add(&mut self, scope: &Scope, claims: &ClaimsRequest, now: Timestamp) {
        self.scope = self.scope.union(scope);
        self.claims.extend(beyond(scope, claims).into_iter().map(str::to_owned));
        self.given_at = now;
    }
}

/// The single claims about a person that no scope of the request stands for.
pub fn beyond<'a>(scope: &Scope, claims: &'a ClaimsRequest) -> BTreeSet<&'a str> {
    let stands = |claim: &&str| scope_of(claim).is_some_and(|behind| scope.contains(behind));
    claims.personal().into_iter().filter(|claim| !stands(claim)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }
    fn wanting(claims: &[&str]) -> ClaimsRequest {
        let userinfo = claims.iter().map(|&claim| (claim.to_owned(), Default::default())).collect();
        ClaimsRequest { userinfo, ..ClaimsRequest::default() }
    }
    fn consent(given: &str, claims: &[&str]) -> Consent {
        Consent {
            account: "alice-0001".parse().unwrap(),
            client: "app".parse().unwrap(),
            scope: scope(given),
            claims: claims.iter().map(|&claim| claim.to_owned()).collect(),
            given_at: Timestamp(0),
        }
    }

    #[test]
    fn a_scope_covers_its_claims_and_a_claim_only_itself() {
        assert!(
            consent("openid email", &[]).covers(&scope("openid"), &wanting(&["email", "email_verified"]))
        );
        assert!(consent("openid", &["name"]).covers(&scope("openid"), &wanting(&["name", "sub", "acr"])));
        assert!(!consent("openid", &["name"]).covers(&scope("openid"), &wanting(&["name", "picture"])));
        assert!(!consent("openid", &["name"]).covers(&scope("openid profile"), &wanting(&[])));
        assert!(!consent("openid profile", &[]).covers(&scope("openid"), &wanting(&["phone_number"])));
    }

    #[test]
    fn a_grant_of_an_earlier_version_has_no_details() {
        assert_eq!(serde_json::from_str::<GrantDetails>("{}").unwrap(), GrantDetails::default());
        assert_eq!(serde_json::to_string(&GrantDetails::default()).unwrap(), "{}");
    }

    proptest! {
        /// Laws: what was agreed to is covered from then on, and nothing else becomes so.
        #[test]
        fn agreement_covers_exactly_what_was_asked(
            before in prop::sample::subsequence(vec!["openid", "profile", "email", "phone"], 0..4),
            asked in prop::sample::subsequence(vec!["openid", "profile", "email", "phone"], 0..4),
            claims in prop::sample::subsequence(vec!["name", "picture", "email", "phone_number", "address"], 0..5),
            other in prop::sample::select(vec!["name", "picture", "email", "phone_number", "address"]),
        ) {
            let mut consent = consent(&before.join(" "), &[]);
            let (asked, wanted) = (scope(&asked.join(" ")), wanting(&claims));
            let covered_before = consent.covers(&Scope::empty(), &wanting(&[other]));
            consent.add(&asked, &wanted, Timestamp(1));
            prop_assert!(consent.covers(&asked, &wanted));
            let behind = scope_of(other).unwrap();
            prop_assert_eq!(
                consent.covers(&Scope::empty(), &wanting(&[other])),
                covered_before || asked.contains(behind) || claims.contains(&other)
            );
        }
    }
}
