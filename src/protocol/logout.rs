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
    /// Parses query or form. Every parameter is optional; unknown ones are ignored, and `logout_hint` and
    /// `ui_locales` are taken and change nothing: the browser's cookie says who is here, and our pages speak
    /// one language.
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

/// What is wrong with a logout request. The parts that failed are not used (OIDC RP-Initiated Logout §4), and
/// the person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The `id_token_hint` is no ID token of ours.
    Hint,
    /// There is no such client, it is switched off, or it is not the one of the hint.
    Client,
    /// The address to return to is not registered for the client.
    Redirect,
    /// An address to return to, and neither a hint nor a client.
    RedirectAlone,
}

impl Wrong {
    /// The refusal for the record; the session is not touched by it.
    pub fn failure(self) -> Failure {
        let (reason, note) = match self {
            Self::Hint => ("logout.id_token_hint", "the id_token_hint is no ID token of ours"),
            Self::Client => ("logout.client", "the client is unknown, or not the one of the hint"),
            Self::Redirect => {
                ("client.post_logout_redirect_uri", "the address after logout is not registered")
            }
            Self::RedirectAlone => {
                ("logout.redirect_alone", "an address after logout, but nothing that names a client")
            }
        };
        Failure::invalid_request(reason, note)
    }
}

/// Where a logout leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onward {
    /// The address.
    pub redirect: ValidatedRedirect,
    /// Whether a hint of ours speaks for it. Without one the person must have pressed a button.
    pub vouched: bool,
}

/// What to do about the browser's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// End it at once.
    AtOnce,
    /// Ask the person first: nobody trustworthy vouches that they want it.
    Ask,
    /// There is none.
    Nothing,
}

/// What to do about a logout request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutDecision {
    /// About the session.
    pub ending: Ending,
    /// Where to go afterwards.
    pub onward: Option<Onward>,
    /// What the person is to be told.
    pub wrong: Option<Wrong>,
}

/// What is known about a logout request.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogoutFacts<'a> {
    /// What the hint says, if it is an ID token of ours.
    pub hint: Option<&'a Hint>,
    /// The client that is named, by the hint or else by `client_id`, if it exists and is switched on.
    pub client: Option<&'a Client>,
    /// The browser's session.
    pub current: Option<&'a CurrentSession>,
}

/// Decides about a logout.
///
/// Laws (OAUTH-017):
/// 1. A session ends without a question only for a hint of ours about this very session (or, where the hint
///    names none, this very account), given to the client that asks.
/// 2. A way on leads only to an address that is registered, letter by letter, for the client of a verified
///    hint or for the client that is named. Without a hint nobody vouches for the link, so it carries nobody
///    away by itself: only a button of ours, pressed by the person, does
///    (OIDC RP-Initiated Logout §3: "other means of confirming the legitimacy").
/// 3. A request in which anything is wrong leads nowhere and ends nothing by itself. The person is told, and
///    can still sign out.
pub fn decide(request: &LogoutRequest, facts: LogoutFacts<'_>) -> LogoutDecision {
    let LogoutFacts { hint, client, current } = facts;
    let client = client.filter(|client| !client.disabled);
    let named = request.client_id.as_deref();
    let fits = |client: &Client| {
        named.is_none_or(|id| id == client.id.as_str()) && hint.is_none_or(|hint| hint.client == client.id)
    };
    let (client, mut wrong) = match (request.id_token_hint.is_some(), hint, client) {
        (true, None, _) => (None, Some(Wrong::Hint)),
        (_, _, Some(client)) if fits(client) => (Some(client), None),
        (_, Some(_), _) => (None, Some(Wrong::Client)),
        (_, None, _) => (None, named.map(|_| Wrong::Client)),
    };
    let vouched = hint.filter(|_| client.is_some());
    let mut onward = None;
    if let (Some(uri), None) = (request.post_logout_redirect_uri.as_deref(), wrong) {
        match client.map(|client| ValidatedRedirect::after_logout(client, uri, request.state.as_deref())) {
            Some(Ok(redirect)) => onward = Some(Onward { redirect, vouched: vouched.is_some() }),
            Some(Err(_)) => wrong = Some(Wrong::Redirect),
            None => wrong = Some(Wrong::RedirectAlone),
        }
    }
    let same = |current: &CurrentSession| {
        vouched.is_some_and(|hint| {
            hint.account == current.account && hint.session.as_ref().is_none_or(|id| *id == current.id)
        })
    };
    let ending = match current {
        None => Ending::Nothing,
        Some(current) if same(current) && wrong.is_none() => Ending::AtOnce,
        Some(_) => Ending::Ask,
    };
    LogoutDecision { ending, onward, wrong }
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
    fn decided(
        request: &LogoutRequest,
        hint: Option<&Hint>,
        client: Option<&Client>,
        current: Option<&CurrentSession>,
    ) -> LogoutDecision {
        decide(request, LogoutFacts { hint, client, current })
    }

    #[test]
    fn oauth_017_only_a_hint_for_this_session_and_client_ends_it_without_a_question() {
        let ends = |request: &LogoutRequest, hint: Option<&Hint>, client: &Client| {
            decided(request, hint, Some(client), Some(&current())).ending == Ending::AtOnce
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
            for current in [Some(&current()), None] {
                let decision = decided(&request, Some(&hint()), Some(&app()), current);
                assert_eq!(decision.onward, None, "{uri}");
                assert_eq!(decision.wrong, Some(Wrong::Redirect), "{uri}");
                assert_ne!(decision.ending, Ending::AtOnce, "{uri}");
            }
        }
        let no_hint = decided(&request(), None, Some(&app()), None);
        assert_eq!((no_hint.onward, no_hint.wrong), (None, Some(Wrong::Hint)));
        let alone = LogoutRequest { id_token_hint: None, ..request() };
        let decision = decided(&alone, None, None, Some(&current()));
        assert_eq!((decision.onward, decision.wrong), (None, Some(Wrong::RedirectAlone)));
    }

    #[test]
    fn a_client_without_a_hint_gets_a_way_back_that_nobody_vouches_for() {
        let named = LogoutRequest { id_token_hint: None, client_id: Some("app".to_owned()), ..request() };
        let decision = decided(&named, None, Some(&app()), Some(&current()));
        assert_eq!((decision.ending, decision.wrong), (Ending::Ask, None));
        assert!(decision.onward.is_some_and(|onward| !onward.vouched));
        let unknown = decided(&named, None, None, Some(&current()));
        assert_eq!((unknown.onward, unknown.wrong), (None, Some(Wrong::Client)));
    }

    #[test]
    fn without_a_session_the_way_back_still_works() {
        let decision = decided(&request(), Some(&hint()), Some(&app()), None);
        assert_eq!(decision.ending, Ending::Nothing);
        let onward = decision.onward.unwrap();
        assert!(onward.vouched);
        assert_eq!(onward.redirect.with_state().as_str(), "https://rp.test/bye?state=s");
    }

    #[test]
    fn a_request_survives_its_way_by_query() {
        let request = LogoutRequest { state: Some("a b&=\"é".to_owned()), ..request() };
        let query = request.query();
        assert_eq!(LogoutRequest::parse(&Parameters::decode(&query).unwrap()).unwrap(), request);
    }

    proptest! {
        /// Laws 1 to 3 on any combination.
        #[test]
        fn nothing_but_the_right_hint_ends_a_session_or_redirects(
            sent_hint: bool, ours: bool, same_account: bool, same_session: bool, same_client: bool,
            named in prop::sample::select(vec![None, Some("app"), Some("other")]),
            known: bool, disabled: bool, registered: bool, signed_in: bool,
        ) {
            let hint = Hint {
                account: if same_account { "account-1" } else { "account-2" }.parse().unwrap(),
                client: if same_client { "app" } else { "other" }.parse().unwrap(),
                session: Some(if same_session { "session-1" } else { "session-2" }.parse().unwrap()),
            };
            let uri = if registered { BYE } else { "https://evil.test/" };
            let request = LogoutRequest {
                id_token_hint: sent_hint.then(|| "x".to_owned()),
                client_id: named.map(str::to_owned),
                post_logout_redirect_uri: Some(uri.to_owned()),
                ..request()
            };
            let hint = (sent_hint && ours).then_some(&hint);
            let mut app = app();
            app.disabled = disabled;
            // As the flow looks it up: by the hint, else by the name.
            let looked_up = hint.map(|hint| hint.client.as_str()).or(named);
            let client = (known && looked_up == Some("app")).then_some(&app);
            let current = signed_in.then(current);
            let decision = decided(&request, hint, client, current.as_ref());
            let sound = client.is_some() && !disabled && (hint.is_some() || !sent_hint) && named != Some("other");
            prop_assert_eq!(decision.onward.is_some(), sound && registered);
            prop_assert_eq!(decision.wrong.is_some(), !(sound && registered));
            if let Some(onward) = &decision.onward {
                prop_assert_eq!(onward.vouched, hint.is_some());
            }
            prop_assert_eq!(
                decision.ending == Ending::AtOnce,
                signed_in && sound && registered && hint.is_some() && same_account && same_session
            );
            prop_assert_eq!(decision.ending == Ending::Nothing, !signed_in);
        }
    }
}
