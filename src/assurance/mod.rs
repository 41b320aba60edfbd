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
    /// The context of the last proof, by our own word for it.
    pub acr: Option<String>,
    /// When the person last proved themselves, by the provider's own word; none if no provider said.
    pub auth_time: Option<Timestamp>,
    /// Whether that proof was made for this very request: then the provider's answer was already held
    /// against the demand.
    pub proved_in_flow: bool,
}

/// How a session fits a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// Nobody is signed in.
    Absent,
    /// A new proof is due.
    Stale,
    /// Somebody else than the demanded person is signed in.
    OtherPerson,
    /// The person proved themselves for this very request, and it was not enough.
    Insufficient,
}

/// Weighs a session against a demand.
pub fn weigh(session: Option<&SessionFacts>, demand: &Demand, now: Timestamp) -> Fit {
    let Some(session) = session else { return Fit::Absent };
    if demand.subjects.as_ref().is_some_and(|wanted| !wanted.contains(&session.subject)) {
        return Fit::OtherPerson;
    }
    let reached =
        demand.acr.as_ref().is_none_or(|wanted| session.acr.as_ref().is_some_and(|acr| wanted.contains(acr)));
    if session.proved_in_flow {
        return if reached { Fit::Fits } else { Fit::Insufficient };
    }
    // A time that nobody vouched for cannot be young enough.
    let too_old = demand.max_age.is_some_and(|max| session.auth_time.is_none_or(|at| now > at.plus(max)));
    if demand.forces_authentication() || demand.select_account || too_old || !reached {
        Fit::Stale
    } else {
        Fit::Fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(text: &str) -> BTreeSet<String> {
        BTreeSet::from([text.to_owned()])
    }
    fn session(auth_time: i64, proved_in_flow: bool) -> SessionFacts {
        SessionFacts {
            subject: "alice-00".to_owned(),
            acr: Some("pwd".to_owned()),
            auth_time: Some(Timestamp::from_secs(auth_time)),
            proved_in_flow,
        }
    }

    #[test]
    fn oauth_029_a_proof_older_than_max_age_is_stale() {
        let demand = Demand { max_age: Some(Duration::from_secs(1)), ..Demand::default() };
        let at = Timestamp::from_secs(102);
        assert_eq!(weigh(Some(&session(100, false)), &demand, at), Fit::Stale);
        assert_eq!(weigh(Some(&session(101, false)), &demand, at), Fit::Fits);
        assert_eq!(weigh(Some(&session(100, true)), &demand, at), Fit::Fits);
    }

    #[test]
    fn oidc_070_a_time_that_nobody_vouched_for_meets_no_max_age() {
        let unsaid = SessionFacts { auth_time: None, ..session(0, false) };
        let aged = Demand { max_age: Some(Duration::from_secs(1_000_000)), ..Demand::default() };
        assert_eq!(weigh(Some(&unsaid), &aged, Timestamp(1)), Fit::Stale);
        assert_eq!(weigh(Some(&unsaid), &Demand::default(), Timestamp(1)), Fit::Fits);
        let proved = SessionFacts { proved_in_flow: true, ..unsaid };
        assert_eq!(
            weigh(Some(&proved), &aged, Timestamp(1)),
            Fit::Fits,
            "its answer was held against the demand"
        );
    }

    #[test]
    fn oauth_030_another_persons_session_never_fits() {
        let demand = Demand { subjects: Some(person("bob-0000")), ..Demand::default() };
        for proved in [true, false] {
            assert_eq!(weigh(Some(&session(1, proved)), &demand, Timestamp(1)), Fit::OtherPerson);
        }
        let nobody = Demand { subjects: Some(BTreeSet::new()), ..Demand::default() };
        assert_eq!(weigh(Some(&session(1, true)), &nobody, Timestamp(1)), Fit::OtherPerson);
        let demand = Demand { subjects: Some(person("alice-00")), ..Demand::default() };
        assert_eq!(weigh(Some(&session(1, false)), &demand, Timestamp(1)), Fit::Fits);
    }

    #[test]
    fn a_context_that_must_be_reached_is() {
        let demand = |acr: &str| Demand { acr: Some(person(acr)), ..Demand::default() };
        let fit = |proved, acr| weigh(Some(&session(1, proved)), &demand(acr), Timestamp(1));
        assert_eq!((fit(false, "pwd"), fit(true, "pwd")), (Fit::Fits, Fit::Fits));
        assert_eq!((fit(false, "mfa"), fit(true, "mfa")), (Fit::Stale, Fit::Insufficient));
        let unsaid = SessionFacts { acr: None, ..session(1, true) };
        assert_eq!(weigh(Some(&unsaid), &demand("pwd"), Timestamp(1)), Fit::Insufficient);
        assert_eq!(weigh(Some(&unsaid), &Demand::default(), Timestamp(1)), Fit::Fits);
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
            prop_assert_eq!(weigh(Some(&session(20_000 - age, true)), &demand, now), Fit::Fits);
        }

        /// Law: an older proof never fits where a newer one does not.
        #[test]
        fn age_only_ever_hurts(max in 0u64..1000, older in 0i64..2000, newer in 0i64..2000) {
            prop_assume!(older >= newer);
            let demand = Demand { max_age: Some(Duration::from_secs(max)), ..Demand::default() };
            let now = Timestamp::from_secs(5000);
            let fits = |age: i64| weigh(Some(&session(5000 - age, false)), &demand, now) == Fit::Fits;
            prop_assert!(!fits(older) || fits(newer));
        }
    }
}
