//! Proof Key for Code Exchange (RFC 7636), S256 only.

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::protocol::Parameters;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

/// An S256 code challenge: base64url of a SHA-256 digest, 43 characters (RFC 7636 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Reads `code_challenge` and `code_challenge_method`; `None` if neither was sent.
    ///
    /// # Errors
    /// `pkce.method`: a method other than S256. A challenge without a method means `plain` (RFC 7636 §4.3)
    /// and is refused as such. `pkce.challenge`: not 43 characters of base64url, or a method alone.
    pub fn parse(parameters: &Parameters<'_>) -> Result<Option<Self>, Failure> {
        let method = parameters.get("code_challenge_method");
        let Some(challenge) = parameters.get("code_challenge") else {
            return match method {
                None => Ok(None),
                Some(_) => Err(Failure::invalid_request("pkce.challenge", "a method without a challenge")),
            };
        };
        if method != Some("S256") {
            return Err(Failure::invalid_request("pkce.method", "the challenge method is not S256")
                .expected("S256", method.map_or("plain (by default)", |_| "another method")));
        }
        match URL_SAFE_NO_PAD.decode(challenge) {
            Ok(digest) if digest.len() == 32 => Ok(Some(Self(challenge.to_owned()))),
            _ => Err(Failure::invalid_request("pkce.challenge", "the challenge is no SHA-256 in base64url")),
        }
    }

    /// A challenge as read from storage.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The challenge as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the verifier of a token request against the challenge of the authorization request, in both
/// directions: a verifier for a code without a challenge is refused too (RFC 9700 §4.8.2).
///
/// # Errors
/// `invalid_grant`, reasons `pkce.downgrade`, `pkce.verifier_missing`, `pkce.verifier`.
pub fn verify(challenge: Option<&Challenge>, verifier: Option<&str>) -> Result<(), Failure> {
    let refuse = |reason, note: &'static str| {
        Err(Failure::new(OAuthCode::InvalidGrant, reason, UserMessage::AppMisconfigured, note))
    };
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => refuse("pkce.downgrade", "a verifier was sent, the code has no challenge"),
        (Some(_), None) => refuse("pkce.verifier_missing", "the code has a challenge, no verifier was sent"),
        (Some(challenge), Some(verifier)) => {
            let digest = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier.as_bytes()));
            if is_verifier(verifier) && bool::from(digest.as_bytes().ct_eq(challenge.0.as_bytes())) {
                Ok(())
            } else {
                refuse("pkce.verifier", "the verifier does not fit the challenge")
            }
        }
    }
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // RFC 7636 appendix B
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn parse(query: &str) -> Result<Option<Challenge>, &'static str> {
        Challenge::parse(&Parameters::decode(query).unwrap()).map_err(|f| f.reason)
    }
    fn reason(challenge: Option<&str>, verifier: Option<&str>) -> &'static str {
        let challenge = challenge.map(|c| Challenge::from_stored(c.to_owned()));
        verify(challenge.as_ref(), verifier).map_or_else(|f| f.reason, |()| "ok")
    }

    #[test]
    fn oauth_041_plain_is_refused_named_or_by_default() {
        assert_eq!(
            parse(&format!("code_challenge={CHALLENGE}&code_challenge_method=plain")),
            Err("pkce.method")
        );
        assert_eq!(parse(&format!("code_challenge={CHALLENGE}")), Err("pkce.method"));
        assert_eq!(
            parse(&format!("code_challenge={CHALLENGE}&code_challenge_method=s256")),
            Err("pkce.method")
        );
        assert_eq!(parse("code_challenge_method=S256"), Err("pkce.challenge"));
        assert_eq!(parse("code_challenge=short&code_challenge_method=S256"), Err("pkce.challenge"));
        let twin = parse(&format!("code_challenge={CHALLENGE}&code_challenge_method=S256")).unwrap();
        assert_eq!(twin.unwrap().as_str(), CHALLENGE);
    }

    #[test]
    fn oauth_039_a_downgrade_is_refused_both_ways() {
        assert_eq!(reason(None, Some(VERIFIER)), "pkce.downgrade");
        assert_eq!(reason(Some(CHALLENGE), None), "pkce.verifier_missing");
        assert_eq!(reason(Some(CHALLENGE), Some(VERIFIER)), "ok");
        assert_eq!(reason(None, None), "ok");
    }

    #[test]
    fn oauth_042_a_wrong_or_ill_formed_verifier_is_refused() {
        let challenge_of = |v: &str| URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(v.as_bytes()));
        let longest = "a".repeat(128);
        assert_eq!(reason(Some(&challenge_of(&longest)), Some(&longest)), "ok");
        for bad in ["a".repeat(42), "a".repeat(129), format!("{VERIFIER}!"), format!("{VERIFIER} ")] {
            assert_eq!(reason(Some(&challenge_of(&bad)), Some(&bad)), "pkce.verifier", "{bad}");
        }
        assert_eq!(reason(Some(CHALLENGE), Some(&longest)), "pkce.verifier");
    }

    proptest! {
        #[test]
        fn only_the_verifier_that_made_the_challenge_fits(a in "[A-Za-z0-9._~-]{43,128}", b in "[A-Za-z0-9._~-]{43,128}") {
            let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(a.as_bytes()));
            prop_assert_eq!(reason(Some(&challenge), Some(&a)), "ok");
            prop_assert_eq!(reason(Some(&challenge), Some(&b)) == "ok", a == b);
        }
    }
}
