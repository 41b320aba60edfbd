//! 6 — What a session has proved, weighed against what an application demands.

pub mod context;

pub use context::{AcrMap, methods};

use crate::context::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// What the application demands of the sign-in (OIDC Core §3.1.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// `prompt=login`: a new proof, whatever session there is.
    pub login: bool,
    /// `prompt=select_account`: the person picks an account anew.
    pub select_account: bool,
    /// A proof no older than this.
    pub max_age: Option<Duration>,
    /// Only these people will do, by their `sub` for the application: `id_token_hint`, or a `sub` that the
    /// claims request names (§3.1.2.2).
    pub subjects: Option<BTreeSet<String>>,
    /// One of these contexts must be reached (§5.5.1.1).
    pub acr: Option<BTreeSet<String>>,
}

impl Demand {
    /// Whether the provider must ask the person to prove themselves anew. `max_age=0` says the same as
    /// `prompt=login` (OIDC Core §3.1.2.1).
    pub fn forces_authentication(&self) -> bool {
        self.login || self.max_age == Some(Duration::ZERO)
    }
    /// Whether only a provider that says when the person proved themselves can meet it.
    pub fn needs_freshness(&self) -> bool {
        self.login || self.max_age.is_some()
    }
}

/// What a live session shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Whose it is, by the `sub` that the application knows.
    pub subject: String,
    /// What was proved in it, oldest first.
    pub proofs: Vec<ProofFacts>,
    /// Which of them was made for this very request, or found to fit it: then the provider's answer was already
    /// held against the demand.
    pub proved_in_flow: Option<usize>,
}

/// What one proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFacts {
    /// Whether its provider is open to the application, and not switched off.
    pub open: bool,
    /// Its context, by our own word for it.
    pub acr: Option<String>,
    /// When the person proved themselves, by the provider's own word; none if it did not say.
    pub auth_time: Option<Timestamp>,
}

/// How a session fits a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does, by the proof of this place among those of the session. The application is told of that one alone.
    Fits(usize),
    /// Nobody is signed in.
    Absent,
    /// A new proof is due.
    Stale,
    /// Somebody else than the demanded person is signed in.
    OtherPerson,
    /// The person proved themselves for this very request, and it was not enough.
    Insufficient,
}

/// Weighs a session against a demand. One proof must meet all of it, and be by a provider that is open to the
/// application: what another one shows does not make up for it. Of several that do, the latest counts.
pub fn weigh(session: Option<&SessionFacts>, demand: &Demand, now: Timestamp) -> Fit {
    let Some(session) = session else { return Fit::Absent };
    if demand.subjects.as_ref().is_some_and(|wanted| !wanted.contains(&session.subject)) {
        return Fit::OtherPerson;
    }
    let reached = |proof: &ProofFacts| {
        demand.acr.as_ref().is_none_or(|wanted| proof.acr.as_ref().is_some_and(|acr| wanted.contains(acr)))
    };
    if let Some(place) = session.proved_in_flow
        && let Some(proof) = session.proofs.get(place)
        && proof.open
    {
        return if reached(proof) { Fit::Fits(place) } else { Fit::Insufficient };
    }
    if demand.forces_authentication() || demand.select_account {
        return Fit::Stale;
    }
    // A time that nobody vouched for cannot be young enough.
    let young = |proof: &ProofFacts| {
        demand.max_age.is_none_or(|max| proof.auth_time.is_some_and(|at| now <= at.plus(max)))
    };
    let fits = |proof: &ProofFacts| proof.open && young(proof) && reached(proof);
    session.proofs.iter().rposition(fits).map_or(Fit::Stale, Fit::Fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(text: &str) -> BTreeSet<String> {
        BTreeSet::from([text.to_owned()])
    }
    fn proof(auth_time: i64) -> ProofFacts {
        ProofFacts {
            open: true,
            acr: Some("pwd".to_owned()),
            auth_time: Some(Timestamp::from_secs(auth_time)),
        }
    }
    fn proved(proofs: &[ProofFacts], in_flow: Option<usize>) -> SessionFacts {
        SessionFacts { subject: "alice-00".to_owned(), proofs: proofs.to_vec(), proved_in_flow: in_flow }
    }
    fn session(auth_time: i64, in_flow: bool) -> SessionFacts {
        proved(&[proof(auth_time)], in_flow.then_some(0))
    }

    #[test]
    fn oauth_029_a_proof_older_than_max_age_is_stale() {
        let demand = Demand { max_age: Some(Duration::from_secs(1)), ..Demand::default() };
        let at = Timestamp::from_secs(102);
        assert_eq!(weigh(Some(&session(100, false)), &demand, at), Fit::Stale);
        assert_eq!(weigh(Some(&session(101, false)), &demand, at), Fit::Fits(0));
        assert_eq!(weigh(Some(&session(100, true)), &demand, at), Fit::Fits(0));
    }

    #[test]
    fn oidc_070_a_time_that_nobody_vouched_for_meets_no_max_age() {
        let unsaid = ProofFacts { auth_time: None, ..proof(0) };
        let aged = Demand { max_age: Some(Duration::from_secs(1_000_000)), ..Demand::default() };
        assert_eq!(
            weigh(Some(&proved(std::slice::from_ref(&unsaid), None)), &aged, Timestamp(1)),
            Fit::Stale
        );
        assert_eq!(
            weigh(Some(&proved(std::slice::from_ref(&unsaid), None)), &Demand::default(), Timestamp(1)),
            Fit::Fits(0)
        );
        assert_eq!(
            weigh(Some(&proved(&[unsaid], Some(0))), &aged, Timestamp(1)),
            Fit::Fits(0),
            "its answer was held against the demand"
        );
    }

    #[test]
    fn oauth_030_another_persons_session_never_fits() {
        let demand = Demand { subjects: Some(person("bob-0000")), ..Demand::default() };
        for in_flow in [true, false] {
            assert_eq!(weigh(Some(&session(1, in_flow)), &demand, Timestamp(1)), Fit::OtherPerson);
        }
        let nobody = Demand { subjects: Some(BTreeSet::new()), ..Demand::default() };
        assert_eq!(weigh(Some(&session(1, true)), &nobody, Timestamp(1)), Fit::OtherPerson);
        let demand = Demand { subjects: Some(person("alice-00")), ..Demand::default() };
        assert_eq!(weigh(Some(&session(1, false)), &demand, Timestamp(1)), Fit::Fits(0));
    }

    #[test]
    fn a_context_that_must_be_reached_is() {
        let demand = |acr: &str| Demand { acr: Some(person(acr)), ..Demand::default() };
        let fit = |in_flow, acr| weigh(Some(&session(1, in_flow)), &demand(acr), Timestamp(1));
        assert_eq!((fit(false, "pwd"), fit(true, "pwd")), (Fit::Fits(0), Fit::Fits(0)));
        assert_eq!((fit(false, "mfa"), fit(true, "mfa")), (Fit::Stale, Fit::Insufficient));
        let unsaid = proved(&[ProofFacts { acr: None, ..proof(1) }], Some(0));
        assert_eq!(weigh(Some(&unsaid), &demand("pwd"), Timestamp(1)), Fit::Insufficient);
        assert_eq!(weigh(Some(&unsaid), &Demand::default(), Timestamp(1)), Fit::Fits(0));
    }

    #[test]
    fn a_proof_by_a_provider_that_is_not_open_counts_for_nothing() {
        let closed = ProofFacts { open: false, ..proof(100) };
        let fit = |proofs: &[ProofFacts], in_flow| {
            weigh(Some(&proved(proofs, in_flow)), &Demand::default(), Timestamp::from_secs(100))
        };
        assert_eq!(fit(std::slice::from_ref(&closed), None), Fit::Stale);
        assert_eq!(fit(std::slice::from_ref(&closed), Some(0)), Fit::Stale);
        assert_eq!(fit(&[proof(50), closed.clone()], None), Fit::Fits(0));
        assert_eq!(fit(&[proof(50), closed], Some(1)), Fit::Fits(0));
        assert_eq!(fit(&[], None), Fit::Stale);
    }

    #[test]
    fn one_proof_meets_all_of_a_demand() {
        let now = Timestamp::from_secs(100);
        let strong = ProofFacts { acr: Some("mfa".to_owned()), ..proof(10) };
        let fresh = proof(95);
        let demand = |acr: Option<&str>, age: Option<u64>| Demand {
            acr: acr.map(person),
            max_age: age.map(Duration::from_secs),
            ..Demand::default()
        };
        let session = proved(&[strong.clone(), fresh.clone()], None);
        let fit = |acr, age| weigh(Some(&session), &demand(acr, age), now);
        assert_eq!(fit(Some("mfa"), Some(10)), Fit::Stale, "one is strong, the other fresh");
        assert_eq!(fit(Some("mfa"), Some(90)), Fit::Fits(0));
        assert_eq!(fit(Some("pwd"), Some(10)), Fit::Fits(1));
        assert_eq!(fit(None, None), Fit::Fits(1), "the latest");
        // What was made for the request counts, whatever an earlier one had shown, and however old its time is.
        let weak = proved(&[strong.clone(), fresh], Some(1));
        assert_eq!(weigh(Some(&weak), &demand(Some("mfa"), None), now), Fit::Insufficient);
        let older = proved(&[proof(95), strong], Some(1));
        assert_eq!(weigh(Some(&older), &demand(Some("mfa"), None), now), Fit::Fits(1));
    }

    proptest! {
        /// Law: a demand for a new proof is never met by an old one, and always by one made for it.
        #[test]
        fn a_forced_proof_is_met_only_in_the_flow(
            login: bool, select_account: bool, zero: bool, age in 0i64..10_000,
        ) {
            prop_assume!(login || select_account || zero);
            let demand = Demand {
                login, select_account, max_age: zero.then_some(Duration::ZERO), ..Demand::default()
            };
            let now = Timestamp::from_secs(20_000);
            // A proof of this very moment still is not one for this request, save for a bare `max_age=0`,
            // which `forces_authentication` covers.
            prop_assert_eq!(weigh(Some(&session(20_000 - age, false)), &demand, now), Fit::Stale);
            prop_assert_eq!(weigh(Some(&session(20_000 - age, true)), &demand, now), Fit::Fits(0));
        }

        /// Law: an older proof never fits where a newer one does not.
        #[test]
        fn age_only_ever_hurts(max in 0u64..1000, older in 0i64..2000, newer in 0i64..2000) {
            prop_assume!(older >= newer);
            let demand = Demand { max_age: Some(Duration::from_secs(max)), ..Demand::default() };
            let now = Timestamp::from_secs(5000);
            let fits = |age: i64| weigh(Some(&session(5000 - age, false)), &demand, now) == Fit::Fits(0);
            prop_assert!(!fits(older) || fits(newer));
        }
    }
}
