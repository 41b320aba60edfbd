//! 6 — What a session has proved, weighed against what an application demands.

use crate::context::Timestamp;
use crate::ids::AccountId;
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
    /// Only this person will do (`id_token_hint`).
    pub subject: Option<AccountId>,
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
    /// Whose it is.
    pub account: AccountId,
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
}

/// Weighs a session against a demand.
pub fn weigh(session: Option<&SessionFacts>, demand: &Demand, now: Timestamp) -> Fit {
    let Some(session) = session else { return Fit::Absent };
    if demand.subject.as_ref().is_some_and(|wanted| *wanted != session.account) {
        return Fit::OtherPerson;
    }
    if session.proved_in_flow {
        return Fit::Fits;
    }
    // A time that nobody vouched for cannot be young enough.
    let too_old = demand.max_age.is_some_and(|max| session.auth_time.is_none_or(|at| now > at.plus(max)));
    if demand.forces_authentication() || demand.select_account || too_old { Fit::Stale } else { Fit::Fits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(text: &str) -> AccountId {
        AccountId::new(text).unwrap()
    }
    fn session(auth_time: i64, proved_in_flow: bool) -> SessionFacts {
        SessionFacts {
            account: person("alice-00"),
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
        let demand = Demand { subject: Some(person("bob-0000")), ..Demand::default() };
        for proved in [true, false] {
            assert_eq!(weigh(Some(&session(1, proved)), &demand, Timestamp(1)), Fit::OtherPerson);
        }
        let demand = Demand { subject: Some(person("alice-00")), ..Demand::default() };
        assert_eq!(weigh(Some(&session(1, false)), &demand, Timestamp(1)), Fit::Fits);
    }

    proptest! {
        /// Law: a demand for a new proof is never met by an old one, and always by one made for it.
        #[test]
        fn a_forced_proof_is_met_only_in_the_flow(
            login: bool, select_account: bool, zero: bool, age in 0i64..10_000,
        ) {
            prop_assume!(login || select_account || zero);
            let demand = Demand {
                login, select_account, max_age: zero.then_some(Duration::ZERO), subject: None,
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
