//! 1 — How a person gets signed in: by the session they have, at a provider, or by picking from the list.

mod catalogue;

pub use catalogue::{Catalogue, Found, Offer};

use crate::assurance::Fit;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::ids::ProviderId;
use std::collections::BTreeSet;

/// A provider that is enabled and that the application lets its people use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: ProviderId,
    /// What people read.
    pub name: String,
    /// Its place on the list; smaller comes first, equal ones by name.
    pub order: i32,
    /// Not on the list; reached by a hint, a domain, or as the application's default.
    pub hidden: bool,
    /// Canonical domains for whose addresses it is authoritative.
    pub domains: BTreeSet<String>,
    /// It can be asked to let the person choose among accounts.
    pub lets_choose: bool,
}

/// Everything the decision looks at.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// `prompt=none`: nothing may be shown.
    pub silent: bool,
    /// `prompt=select_account`: the person must be given a choice, by the provider or by the list.
    pub select_account: bool,
    /// How the browser's session fits the demand.
    pub session: Fit,
    /// The providers to choose from.
    pub offer: Offer<'a>,
    /// The provider that the application named (`idp_hint`).
    pub idp_hint: Option<&'a str>,
    /// The canonical domain of an address in `login_hint`.
    pub login_hint_domain: Option<&'a str>,
    /// The application's default provider.
    pub default_provider: Option<&'a ProviderId>,
    /// A provider was tried for this request, or the person asked for the list: never leave by ourselves
    /// again, or a provider that fails would be a loop.
    pub list_wanted: bool,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The session does; go on with it.
    Reuse,
    /// Straight to this provider.
    Go(ProviderId),
    /// Show the list.
    Choose,
    /// `prompt=none` cannot be met: `login_required` (OIDC Core §3.1.2.6).
    LoginRequired,
    /// No provider is open to this application.
    NoProvider,
}

/// Decides. A hint for something that is not a candidate counts as no hint.
pub fn decide(facts: &Facts<'_>) -> Decision {
    if matches!(facts.session, Fit::Fits(_)) {
        return Decision::Reuse;
    }
    if facts.silent {
        return Decision::LoginRequired;
    }
    if facts.offer.is_empty() {
        return Decision::NoProvider;
    }
    if facts.list_wanted {
        return Decision::Choose;
    }
    let named = facts.idp_hint.and_then(|hint| facts.offer.of_id(hint));
    let at_home = || facts.offer.of_domain(facts.login_hint_domain?);
    let default = || facts.offer.of_id(facts.default_provider?.as_str());
    let only = || facts.offer.only();
    match named.or_else(at_home).or_else(default).or_else(only) {
        // Straight to a provider that cannot be asked for a choice, there would be none at all.
        Some(candidate) if facts.select_account && !candidate.lets_choose => Decision::Choose,
        Some(candidate) => Decision::Go(candidate.id.clone()),
        None => Decision::Choose,
    }
}

/// Whether the person may go to this provider for this request.
///
/// # Errors
/// `provider.not_offered` if it is no candidate.
pub fn admit<'a>(offer: &Offer<'a>, wanted: &str) -> Result<&'a Candidate, Failure> {
    offer.of_id(wanted).ok_or_else(|| {
        Failure::new(
            OAuthCode::AccessDenied,
            "provider.not_offered",
            UserMessage::ProviderNotOffered,
            "the provider is unknown, switched off, or not open to this application",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(id: &str, domain: Option<&str>) -> Candidate {
        Candidate {
            id: ProviderId::new(id).unwrap(),
            name: id.to_owned(),
            order: 0,
            hidden: false,
            domains: domain.map(str::to_owned).into_iter().collect(),
            lets_choose: true,
        }
    }
    fn catalogue(candidates: &[Candidate]) -> Catalogue {
        Catalogue::new(candidates.to_vec())
    }
    fn facts(candidates: &Catalogue) -> Facts<'_> {
        Facts {
            silent: false,
            select_account: false,
            session: Fit::Absent,
            offer: Offer::new(candidates, &|_| true),
            idp_hint: None,
            login_hint_domain: None,
            default_provider: None,
            list_wanted: false,
        }
    }
    fn go(id: &str) -> Decision {
        Decision::Go(ProviderId::new(id).unwrap())
    }

    #[test]
    fn two_providers_make_a_list_and_one_makes_none() {
        let two = catalogue(&[candidate("globex", Some("globex.example")), candidate("friendbook", None)]);
        assert_eq!(decide(&facts(&two)), Decision::Choose);
        assert_eq!(decide(&facts(&catalogue(&[candidate("globex", None)]))), go("globex"));
        assert_eq!(decide(&facts(&catalogue(&[]))), Decision::NoProvider);
    }

    #[test]
    fn a_named_provider_goes_before_a_domain_and_a_domain_before_the_default() {
        let two = catalogue(&[candidate("globex", Some("globex.example")), candidate("friendbook", None)]);
        let friendbook = ProviderId::new("friendbook").unwrap();
        let mut facts = Facts { default_provider: Some(&friendbook), ..facts(&two) };
        assert_eq!(decide(&facts), go("friendbook"));
        facts.login_hint_domain = Some("globex.example");
        assert_eq!(decide(&facts), go("globex"));
        facts.idp_hint = Some("friendbook");
        assert_eq!(decide(&facts), go("friendbook"));
    }

    #[test]
    fn oidc_069_a_hint_reaches_configured_providers_only() {
        let two = catalogue(&[candidate("globex", Some("globex.example")), candidate("friendbook", None)]);
        let stranger = ProviderId::new("evil").unwrap();
        let facts = Facts {
            idp_hint: Some("https://evil.test"),
            login_hint_domain: Some("evil.test"),
            default_provider: Some(&stranger),
            ..facts(&two)
        };
        assert_eq!(decide(&facts), Decision::Choose);
        assert_eq!(admit(&facts.offer, "evil").unwrap_err().reason, "provider.not_offered");
        assert!(admit(&facts.offer, "globex").is_ok());
    }

    #[test]
    fn after_a_failure_the_list_is_shown_and_not_left() {
        let one = catalogue(&[candidate("globex", Some("globex.example"))]);
        let facts = Facts {
            list_wanted: true,
            idp_hint: Some("globex"),
            login_hint_domain: Some("globex.example"),
            ..facts(&one)
        };
        assert_eq!(decide(&facts), Decision::Choose);
    }

    #[test]
    fn whoever_is_to_choose_an_account_is_given_a_choice() {
        let mut friendbook = candidate("friendbook", None);
        let one = catalogue(&[friendbook.clone()]);
        assert_eq!(decide(&Facts { select_account: true, ..facts(&one) }), go("friendbook"));
        friendbook.lets_choose = false;
        let one = catalogue(&[friendbook]);
        assert_eq!(decide(&Facts { select_account: true, ..facts(&one) }), Decision::Choose);
        assert_eq!(decide(&facts(&one)), go("friendbook"), "the valid twin");
    }

    fn fit() -> impl Strategy<Value = Fit> {
        prop_oneof![Just(Fit::Fits(0)), Just(Fit::Absent), Just(Fit::Stale), Just(Fit::OtherPerson)]
    }

    proptest! {
        /// Laws: silence shows nothing; only a fitting session is reused; only candidates are gone to.
        #[test]
        fn laws(
            silent: bool,
            select_account: bool,
            session in fit(),
            count in 0usize..4,
            hint in prop::option::of("(p[0-5]|evil)"),
            domain in prop::option::of("d[0-5]\\.test"),
            list_wanted: bool,
        ) {
            let candidates: Vec<_> = (0..count)
                .map(|i| candidate(&format!("p{i}"), Some(&format!("d{i}.test"))))
                .collect();
            let all = catalogue(&candidates);
            let decision = decide(&Facts {
                silent,
                select_account,
                session,
                offer: Offer::new(&all, &|_| true),
                idp_hint: hint.as_deref(),
                login_hint_domain: domain.as_deref(),
                default_provider: None,
                list_wanted,
            });
            prop_assert_eq!(decision == Decision::Reuse, session == Fit::Fits(0));
            if silent {
                prop_assert!(matches!(decision, Decision::Reuse | Decision::LoginRequired));
            }
            if let Decision::Go(id) = &decision {
                prop_assert!(candidates.iter().any(|c| c.id == *id));
                prop_assert!(!list_wanted);
            }
        }
    }
}
