//! The logout request (OIDC RP-Initiated Logout 1.0 §2), parsed once, and the decision about it.

use crate::clients::{Client, ValidatedRedirect};
use crate::failure::Failure;
use crate::ids::{AccountId, ClientId, SessionId};
use crate::protocol::Parameters;

/// What the application sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogoutRequest {
    /// An ID token of ours; not verified yet.
    pub id_token_hint: Option<String>,
    /// The client, if the application names it.
    pub client_id: Option<String>,
    /// Where to go afterwards.
    pub post_logout_redirect_uri: Option<String>,
    /// To be returned untouched.
    pub state: Option<String>,
}

impl LogoutRequest {
    /// Parses query or form. Every parameter is optional; unknown ones are ignored.
    ///
    /// # Errors
    /// Those of [`Parameters::check`].
    pub fn parse(parameters: &Parameters<'_>) -> Result<Self, Failure> {
        parameters.check()?;
        let text = |name| parameters.get(name).map(str::to_owned);
        Ok(Self {
            id_token_hint: text("id_token_hint"),
            client_id: text("client_id"),
            post_logout_redirect_uri: text("post_logout_redirect_uri"),
            state: text("state"),
        })
    }
    /// The parameters that were sent, by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("id_token_hint", self.id_token_hint.as_deref()),
            ("client_id", self.client_id.as_deref()),
            ("post_logout_redirect_uri", self.post_logout_redirect_uri.as_deref()),
            ("state", self.state.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
    /// The parameters as a query string.
    pub fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }
}

/// What a verified hint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Whom the ID token is about.
    pub account: AccountId,
    /// For whom it was issued.
    pub client: ClientId,
    /// In which session.
    pub session: Option<SessionId>,
}

/// The session of the browser that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentSession {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
}

/// What to do about a logout request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogoutDecision {
    /// End the session at once, then go to the redirect, or show that one is signed out.
    End(Option<ValidatedRedirect>),
    /// Ask the person first: nobody trustworthy vouches that they want it.
    Ask(Option<ValidatedRedirect>),
    /// There is no session: go to the redirect, or show that one is signed out.
    Nothing(Option<ValidatedRedirect>),
}

/// Decides about a logout.
///
/// Laws (OAUTH-017):
/// 1. A session ends without a question only for a hint of ours about this very session (or, where the hint
///    names none, this very account), given to the client that asks.
/// 2. A redirect goes only to an address that is registered for the client of a verified hint. Without one
///    nobody vouches for the link, and it must not carry people away from here.
/// 3. A request in which anything is wrong is treated as one without it: it is asked about, never refused, so
///    that a person can always sign out.
pub fn decide(
    request: &LogoutRequest,
    hint: Option<&Hint>,
    client: Option<&Client>,
    current: Option<&CurrentSession>,
) -> LogoutDecision {
    let vouched = hint.zip(client).filter(|(hint, client)| {
        hint.client == client.id
            && !client.disabled
            && request.client_id.as_deref().is_none_or(|named| named == client.id.as_str())
    });
    let redirect = vouched.and_then(|(_, client)| {
        let uri = request.post_logout_redirect_uri.as_deref()?;
        ValidatedRedirect::after_logout(client, uri, request.state.as_deref()).ok()
    });
    let unusable = request.post_logout_redirect_uri.is_some() && redirect.is_none();
    let Some(current) = current else { return LogoutDecision::Nothing(redirect) };
    let same = vouched.is_some_and(|(hint, _)| {
        hint.account == current.account && hint.session.as_ref().is_none_or(|id| *id == current.id)
    });
    if same && !unusable { LogoutDecision::End(redirect) } else { LogoutDecision::Ask(redirect) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;
    use proptest::prelude::*;

    const BYE: &str = "https://rp.test/bye";

    fn app() -> Client {
        let mut app = client("app");
        app.post_logout_redirect_uris = [BYE.to_owned()].into();
        app
    }
    fn hint() -> Hint {
        Hint {
            account: "account-1".parse().unwrap(),
            client: "app".parse().unwrap(),
            session: Some("session-1".parse().unwrap()),
        }
    }
    fn current() -> CurrentSession {
        CurrentSession { id: "session-1".parse().unwrap(), account: "account-1".parse().unwrap() }
    }
    fn request() -> LogoutRequest {
        LogoutRequest {
            id_token_hint: Some("x".to_owned()),
            post_logout_redirect_uri: Some(BYE.to_owned()),
            state: Some("s".to_owned()),
            client_id: None,
        }
    }

    #[test]
    fn oauth_017_only_a_hint_for_this_session_and_client_ends_it_without_a_question() {
        let ends = |request: &LogoutRequest, hint: Option<&Hint>, client: &Client| {
            matches!(decide(request, hint, Some(client), Some(&current())), LogoutDecision::End(_))
        };
        assert!(ends(&request(), Some(&hint()), &app()), "the valid twin");
        assert!(!ends(&request(), None, &app()), "no hint, or a tampered one");
        let other_account = Hint { account: "account-2".parse().unwrap(), ..hint() };
        assert!(!ends(&request(), Some(&other_account), &app()));
        let other_session = Hint { session: Some("session-2".parse().unwrap()), ..hint() };
        assert!(!ends(&request(), Some(&other_session), &app()));
        let other_client = Hint { client: "other".parse().unwrap(), ..hint() };
        assert!(!ends(&request(), Some(&other_client), &app()));
        let named = LogoutRequest { client_id: Some("other".to_owned()), ..request() };
        assert!(!ends(&named, Some(&hint()), &app()));
        let mut off = app();
        off.disabled = true;
        assert!(!ends(&request(), Some(&hint()), &off));
    }

    #[test]
    fn oauth_017_a_logout_is_no_open_redirect() {
        for uri in
            ["https://evil.test/", "https://rp.test/bye?x=1", "https://rp.test/bye/../x", "//evil.test"]
        {
            let request = LogoutRequest { post_logout_redirect_uri: Some(uri.to_owned()), ..request() };
            let decision = decide(&request, Some(&hint()), Some(&app()), Some(&current()));
            assert_eq!(decision, LogoutDecision::Ask(None), "{uri}");
            let decision = decide(&request, Some(&hint()), Some(&app()), None);
            assert_eq!(decision, LogoutDecision::Nothing(None), "{uri}");
        }
        assert_eq!(decide(&request(), None, Some(&app()), None), LogoutDecision::Nothing(None));
    }

    #[test]
    fn without_a_session_the_way_back_still_works() {
        match decide(&request(), Some(&hint()), Some(&app()), None) {
            LogoutDecision::Nothing(Some(redirect)) => {
                assert_eq!(redirect.with_state().as_str(), "https://rp.test/bye?state=s");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_survives_its_way_by_query() {
        let request = LogoutRequest { state: Some("a b&=\"é".to_owned()), ..request() };
        let query = request.query();
        assert_eq!(LogoutRequest::parse(&Parameters::decode(&query).unwrap()).unwrap(), request);
    }

    proptest! {
        /// Laws 1 and 2 on any combination.
        #[test]
        fn nothing_but_the_right_hint_ends_a_session_or_redirects(
            with_hint: bool, same_account: bool, same_session: bool, same_client: bool, registered: bool, signed_in: bool,
        ) {
            let hint = Hint {
                account: if same_account { "account-1" } else { "account-2" }.parse().unwrap(),
                client: if same_client { "app" } else { "other" }.parse().unwrap(),
                session: Some(if same_session { "session-1" } else { "session-2" }.parse().unwrap()),
            };
            let uri = if registered { BYE } else { "https://evil.test/" };
            let request = LogoutRequest { post_logout_redirect_uri: Some(uri.to_owned()), ..request() };
            let current = signed_in.then(current);
            let decision = decide(&request, with_hint.then_some(&hint), Some(&app()), current.as_ref());
            let (ends, redirect) = match &decision {
                LogoutDecision::End(to) => (true, to),
                LogoutDecision::Ask(to) | LogoutDecision::Nothing(to) => (false, to),
            };
            prop_assert_eq!(redirect.is_some(), with_hint && same_client && registered);
            prop_assert_eq!(
                ends,
                signed_in && with_hint && same_account && same_session && same_client && registered
            );
        }
    }
}
