//! Telling clients that a session ended (OIDC Back-Channel Logout 1.0): who is to be told, how often it is
//! tried, and what an answer means.

use crate::clients::{Client, SigningAlg};
use crate::context::Timestamp;
use crate::ids::{AccountId, ClientId, SessionId};
use std::time::Duration;

/// A client that got a code in a session and wants to be told when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The client.
    pub client: ClientId,
    /// Where logout tokens go; a client that is told in the browser alone has none.
    pub backchannel_uri: Option<String>,
    /// How they are signed: as its ID tokens are (OIDC Back-Channel Logout §2.4).
    pub alg: SigningAlg,
    /// The person, as in the ID tokens that it got in this session.
    pub sub: String,
    /// The session, as in those.
    pub sid: String,
}

impl Party {
    /// Whether a client wants to be told of the end of sessions at all.
    pub fn wants(client: &Client) -> bool {
        client.logout.backchannel_uri.is_some() || client.logout.frontchannel_uri.is_some()
    }
    /// The client as a party to a session, by the names that it knows person and session by.
    pub fn new(client: &Client, sub: String, sid: String) -> Self {
        Self {
            client: client.id.clone(),
            backchannel_uri: client.logout.backchannel_uri.clone(),
            alg: client.id_token_alg,
            sub,
            sid,
        }
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// It is to be tried (again).
    Waiting,
    /// The client took it.
    Delivered,
    /// The client refused it for good.
    Refused,
    /// It was tried often enough.
    GivenUp,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Refused, Self::GivenUp];
    /// The word in storage and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// A logout token that is to be sent to one client about one session, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// The session that ended.
    pub session: SessionId,
    /// Who is told.
    pub client: ClientId,
    /// Whose session it was.
    pub account: AccountId,
    /// Where the client wanted it when the session began.
    pub uri: String,
    /// How the client wanted it signed.
    pub alg: SigningAlg,
    /// The person, as the client knows them.
    pub sub: String,
    /// The session, as the client knows it.
    pub sid: String,
    /// When the session ended.
    pub queued_at: Timestamp,
    /// How far it has come.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried next; while it is being tried, until when the one who does that holds it.
    pub due_at: Timestamp,
    /// When it was tried last.
    pub last_at: Option<Timestamp>,
    /// What came of that, in a few words.
    pub answer: Option<String>,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client took it.
    Delivered,
    /// The client refused it for good; why.
    Refused(String),
    /// It did not work this time; why.
    Failed(String),
}

/// Tries in all: the last one about 18 hours after the first.
pub const ATTEMPTS: u32 = 16;
/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// After which pause to try again, having tried `attempts` times; `None`: not again. `dice` spreads the tries
/// of many deliveries over half a pause either way, so that a client that comes back is not run over.
pub fn pause(attempts: u32, dice: u8) -> Option<Duration> {
    if attempts >= ATTEMPTS {
        return None;
    }
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
    Some(doubled.min(LONGEST).mul_f64(0.5 + f64::from(dice) / 255.0))
}

/// What an answer of this status means (OIDC Back-Channel Logout §2.8): 200, and 204 from frameworks that
/// turn an empty 200 into it, are success. 400 is the client's final word, for the same token would be refused
/// again; whatever else is may pass.
pub fn verdict(status: u16, body: &[u8]) -> Outcome {
    match status {
        200 | 204 => Outcome::Delivered,
        400 => Outcome::Refused(match complaint(body) {
            Some(said) => format!("HTTP 400: {said}"),
            None => "HTTP 400".to_owned(),
        }),
        other => Outcome::Failed(format!("HTTP {other}")),
    }
}

/// `error` and `error_description` of a refusal (OIDC Back-Channel Logout §2.8), cut to a bearable length.
fn complaint(body: &[u8]) -> Option<String> {
    let told: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| told.get(name).and_then(serde_json::Value::as_str);
    let said: Vec<&str> = [text("error"), text("error_description")].into_iter().flatten().collect();
    let said: String = said.join(": ").chars().filter(|c| !c.is_control()).take(200).collect();
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;
    use proptest::prelude::*;

    #[test]
    fn only_who_has_a_channel_is_a_party() {
        let mut app = client("app");
        assert!(!Party::wants(&app));
        app.logout.frontchannel_uri = Some("https://app.test/out".to_owned());
        assert!(Party::wants(&app));
        app.logout.backchannel_uri = Some("https://app.test/back".to_owned());
        let party = Party::new(&app, "sub".to_owned(), "sid".to_owned());
        assert_eq!(party.backchannel_uri.as_deref(), Some("https://app.test/back"));
    }

    #[test]
    fn two_answers_are_success_and_one_is_final() {
        assert_eq!(verdict(200, b"<html>"), Outcome::Delivered);
        assert_eq!(verdict(204, b""), Outcome::Delivered);
        let told = br#"{"error":"invalid_request","error_description":"no such\nsession"}"#;
        assert_eq!(
            verdict(400, told),
            Outcome::Refused("HTTP 400: invalid_request: no suchsession".to_owned())
        );
        assert_eq!(verdict(400, b"<html>"), Outcome::Refused("HTTP 400".to_owned()));
        for other in [100, 201, 202, 301, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            assert_eq!(verdict(other, told), Outcome::Failed(format!("HTTP {other}")));
        }
    }

    #[test]
    fn a_complaint_is_short() {
        let long = serde_json::json!({ "error": "x".repeat(100_000) }).to_string();
        let Outcome::Refused(said) = verdict(400, long.as_bytes()) else { panic!() };
        assert!(said.len() < 250);
    }

    #[test]
    fn all_tries_fit_into_two_days() {
        let all: Duration = (1..ATTEMPTS).filter_map(|n| pause(n, 255)).sum();
        assert!(all < Duration::from_secs(48 * 3600), "{all:?}");
        let least: Duration = (1..ATTEMPTS).filter_map(|n| pause(n, 0)).sum();
        assert!(least > Duration::from_secs(8 * 3600), "an outage of a working day is outlived: {least:?}");
    }

    proptest! {
        /// Law: it ends after so many tries, and until then no pause is nothing or longer than the bound.
        #[test]
        fn a_pause_is_bounded(attempts: u32, dice: u8) {
            match pause(attempts, dice) {
                None => prop_assert!(attempts >= ATTEMPTS),
                Some(pause) => {
                    prop_assert!(attempts < ATTEMPTS);
                    prop_assert!(pause >= FIRST / 2 && pause <= LONGEST * 3 / 2);
                }
            }
        }
        #[test]
        fn no_answer_panics(status: u16, body: Vec<u8>) {
            let _ = verdict(status, &body);
        }
    }
}
