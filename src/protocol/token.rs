//! The token request (RFC 6749 §4.1.3, §4.4.2, §6), parsed once, after the client was authenticated.

use crate::clients::GrantType;
use crate::clients::entitlement::resource_indicator;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::protocol::{Parameters, Scope};
use std::collections::BTreeSet;
use std::fmt;

/// What a client asks tokens for.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenRequest {
    /// An authorization code.
    AuthorizationCode {
        /// The code; a secret.
        code: String,
        /// Must repeat what the authorization request had.
        redirect_uri: Option<String>,
        /// The PKCE verifier; a secret.
        verifier: Option<String>,
        /// The resources that the access token is for (RFC 8707 §2.2); empty means those of the grant.
        resources: BTreeSet<String>,
    },
    /// A refresh token.
    RefreshToken {
        /// The token; a secret.
        token: String,
        /// A narrower scope for the new access token; `None` means the same one.
        scope: Option<Scope>,
        /// As above.
        resources: BTreeSet<String>,
    },
    /// The client itself.
    ClientCredentials {
        /// What it wants; `None` means all that it may have.
        scope: Option<Scope>,
        /// The resources that the access token is for; empty means the default.
        resources: BTreeSet<String>,
    },
}

impl TokenRequest {
    /// Parses a form that passed [`Parameters::check`]. Unknown parameters are ignored.
    ///
    /// # Errors
    /// `unsupported_grant_type` (`token.grant_type`); `invalid_request` (`token.parameter_missing`);
    /// `invalid_scope` (`token.scope`); `invalid_target` (`resource.format`).
    pub fn parse(form: &Parameters<'_>) -> Result<Self, Failure> {
        let scope = || match form.get("scope").map(Scope::parse).transpose() {
            Ok(scope) => Ok(scope),
            Err(_) => Err(Failure::new(
                OAuthCode::InvalidScope,
                "token.scope",
                UserMessage::AppMisconfigured,
                "the scope is malformed",
            )),
        };
        let resources = || form.all("resource").map(resource_indicator).collect::<Result<BTreeSet<_>, _>>();
        match form.get("grant_type") {
            Some("authorization_code") => Ok(Self::AuthorizationCode {
                code: required(form, "code")?,
                redirect_uri: form.get("redirect_uri").map(str::to_owned),
                verifier: form.get("code_verifier").map(str::to_owned),
                resources: resources()?,
            }),
            Some("refresh_token") => Ok(Self::RefreshToken {
                token: required(form, "refresh_token")?,
                scope: scope()?,
                resources: resources()?,
            }),
            Some("client_credentials") => {
                Ok(Self::ClientCredentials { scope: scope()?, resources: resources()? })
            }
            Some(_) => Err(Failure::new(
                OAuthCode::UnsupportedGrantType,
                "token.grant_type",
                UserMessage::AppMisconfigured,
                "a grant type that is not offered",
            )),
            None => Err(Failure::invalid_request("token.parameter_missing", "the request has no grant_type")),
        }
    }

    /// The grant type that the client must be registered for.
    pub fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ClientCredentials { .. } => GrantType::ClientCredentials,
        }
    }
}

impl fmt::Debug for TokenRequest {
    /// The grant type only: the rest are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest({:?})", self.grant_type())
    }
}

/// A token that somebody asks about (RFC 7662 §2.1) or gives back (RFC 7009 §2.1). The hint of its type is
/// not needed: each kind of token has a form of its own.
pub fn token_parameter(form: &Parameters<'_>) -> Result<String, Failure> {
    required(form, "token")
}

fn required(form: &Parameters<'_>, name: &'static str) -> Result<String, Failure> {
    form.get(name).map(str::to_owned).ok_or_else(|| {
        Failure::invalid_request("token.parameter_missing", "a parameter is missing")
            .expected(name, "nothing")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(form: &str) -> Result<TokenRequest, &'static str> {
        TokenRequest::parse(&Parameters::decode(form).unwrap()).map_err(|f| f.code.as_str())
    }

    #[test]
    fn oauth_018_password_and_unknown_grants_are_unsupported() {
        for bad in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "Refresh_Token"] {
            assert_eq!(parse(&format!("grant_type={bad}&code=x")), Err("unsupported_grant_type"), "{bad}");
        }
        assert_eq!(parse("code=x"), Err("invalid_request"));
        assert!(parse("grant_type=authorization_code&code=x").is_ok(), "the valid twin");
    }

    #[test]
    fn what_a_grant_needs_must_be_there() {
        assert_eq!(parse("grant_type=authorization_code"), Err("invalid_request"));
        assert_eq!(parse("grant_type=refresh_token&refresh_token="), Err("invalid_request"));
        assert_eq!(parse("grant_type=client_credentials&scope=%22"), Err("invalid_scope"));
        assert_eq!(parse("grant_type=client_credentials&resource=x"), Err("invalid_target"));
    }

    #[test]
    fn oauth_070_parameters_of_no_meaning_are_ignored() {
        let plain = parse("grant_type=refresh_token&refresh_token=a");
        assert_eq!(parse("grant_type=refresh_token&refresh_token=a&client_session_host=x"), plain);
    }
}
