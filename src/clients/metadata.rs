//! What a client may say of itself beyond the code grant's needs, in groups: each has a default that changes
//! nothing, so that a client stored before a field existed is read as one without it. The names are those of
//! RFC 7591 §2 and OIDC Dynamic Registration §2 where these have one.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Where a client's public keys are found (RFC 7591 §2 `jwks`, `jwks_uri`; never both).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A JWK Set by value, as JSON.
    Jwks(String),
    /// A JWK Set by URL.
    JwksUri(String),
}

/// Rules for the assertions by which it proves itself (RFC 7523 §3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssertionRules {
    /// Their algorithm (`token_endpoint_auth_signing_alg`), as written; none means any that its keys allow.
    pub alg: Option<String>,
    /// Whether our issuer, alone and as a text, is the only audience that they may have; none means what the
    /// settings say.
    pub issuer_only: Option<bool>,
}

/// Rules for its authorization requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRules {
    /// Only pushed requests are taken (RFC 9126 §6 `require_pushed_authorization_requests`).
    pub pushed_only: bool,
    /// Only signed request objects are taken (RFC 9101 §10.5 `require_signed_request_object`).
    pub signed_only: bool,
    /// The algorithm of its request objects (`request_object_signing_alg`), as written; none means any that
    /// its keys allow.
    pub alg: Option<String>,
    /// The exact addresses at which a request object may lie (OIDC Registration §2 `request_uris`).
    pub uris: BTreeSet<String>,
}

/// What it demands of each sign-in unless the request says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignInRules {
    /// How old the person's last proof may be (`default_max_age`).
    pub default_max_age: Option<Duration>,
    /// Whether each ID token must have `auth_time` (`require_auth_time`). Ours always have it where a provider
    /// vouched for a time.
    pub require_auth_time: bool,
    /// Wanted authentication contexts, most wanted first (`default_acr_values`).
    pub default_acr_values: Vec<String>,
    /// Where a sign-in that somebody else starts begins (OIDC Core §4 `initiate_login_uri`).
    pub initiate_login_uri: Option<String>,
}

/// How it is told that a session ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogoutChannels {
    /// Where logout tokens are sent (OIDC Back-Channel Logout §2.2).
    pub backchannel_uri: Option<String>,
    /// Whether `sid` must be in them.
    pub backchannel_session_required: bool,
    /// What the browser loads when it signs out (OIDC Front-Channel Logout §2).
    pub frontchannel_uri: Option<String>,
    /// Whether `iss` and `sid` must be added to it.
    pub frontchannel_session_required: bool,
}

/// Which `sub` its people have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubjectRules {
    /// One of its own for each sector instead of the account's id (OIDC Core §8 `subject_type=pairwise`).
    pub pairwise: bool,
    /// The document that lists the redirect URIs of all clients of one sector (`sector_identifier_uri`). Its
    /// host is the sector; without it, the host of the redirect URIs is.
    pub sector_identifier_uri: Option<String>,
}

/// How one kind of access claim (groups, roles, permissions) is written for a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimShape {
    /// The claim's name, where it is not the usual one.
    pub name: Option<String>,
    /// What is put before each value.
    pub prefix: Option<String>,
    /// Only values that begin with one of these are told; empty means all.
    pub only: BTreeSet<String>,
}

/// The shapes of a client's access claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimShapes {
    /// Of `groups`.
    pub groups: ClaimShape,
    /// Of `roles`.
    pub roles: ClaimShape,
    /// Of `permissions`.
    pub permissions: ClaimShape,
}

/// What people may read about it, and whom operators may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Its home page (`client_uri`).
    pub client_uri: Option<String>,
    /// Its logo (`logo_uri`). Our pages never load it: their policy admits no other origin.
    pub logo_uri: Option<String>,
    /// How it uses data (`policy_uri`).
    pub policy_uri: Option<String>,
    /// Its terms (`tos_uri`).
    pub tos_uri: Option<String>,
    /// Addresses of those who look after it.
    pub contacts: BTreeSet<String>,
}
