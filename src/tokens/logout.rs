//! Logout tokens (OIDC Back-Channel Logout 1.0 §2.4): what tells a client that a session ended. Pure.

use crate::context::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// For how long a logout token holds; the specification recommends two minutes at most.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// The claims of a logout token. There is no `nonce`, ever, so that none can pass for an ID token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogoutTokenClaims {
    /// Our issuer.
    pub iss: String,
    /// The client.
    pub aud: String,
    /// Since when, in seconds.
    pub iat: i64,
    /// Until when, in seconds.
    pub exp: i64,
    /// Its id; another one for each try.
    pub jti: String,
    /// What it is: the one member says that it is a logout token.
    pub events: Events,
    /// The person, as in the client's ID tokens.
    pub sub: String,
    /// The session, as in those.
    pub sid: String,
}

/// The `events` claim (RFC 8417 §2.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    logout: Nothing,
}

/// The empty object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Nothing {}

impl LogoutTokenClaims {
    /// The claims for one try.
    pub fn new(issuer: &str, client: &str, sub: &str, sid: &str, jti: String, now: Timestamp) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: client.to_owned(),
            iat: now.secs(),
            exp: now.plus(LIFETIME).secs(),
            jti,
            events: Events::default(),
            sub: sub.to_owned(),
            sid: sid.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logout_token_says_what_the_specification_wants_and_no_more() {
        let claims = LogoutTokenClaims::new(
            "https://id.test",
            "app",
            "account-1",
            "session-1",
            "j".to_owned(),
            Timestamp::from_secs(1000),
        );
        assert_eq!(
            serde_json::to_value(&claims).unwrap(),
            serde_json::json!({
                "iss": "https://id.test", "aud": "app", "iat": 1000, "exp": 1120, "jti": "j",
                "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
                "sub": "account-1", "sid": "session-1",
            })
        );
    }
}
