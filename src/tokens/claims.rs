//! What our tokens and the userinfo endpoint say, built from plain facts. Pure.
//!
//! Laws:
//! 1. Every claim is a field of a type, so what a person or a provider wrote into a profile can never become,
//!    or replace, a claim of the protocol; no claim occurs twice.
//! 2. A claim about a person is there only if its scope was granted (OIDC Core §5.4), in an ID token only if
//!    the client's setting says so, too; or if it was asked for by name in this place and allowed (§5.5), by a
//!    client that may have its scope.
//! 3. `email_verified` is true only for an address that was proved to us, `phone_number_verified` never.
//! 4. An access token names every resource that it is for, and our userinfo endpoint exactly if `openid` was
//!    granted.

mod person;

use crate::accounts::{Access, Account};
use crate::clients::{Client, SigningAlg};
use crate::context::Timestamp;
use crate::ids::{ClientId, GrantId};
use crate::protocol::{ClaimsRequest, Scope};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::time::Duration;

pub use person::{AccessClaims, PersonClaims, Release, ShapedClaims};

/// The audience of a token (RFC 7519 §4.1.3): one text, or an array where there are several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    fn new(mut values: Vec<String>) -> Self {
        match (values.pop(), values.is_empty()) {
            (Some(only), true) => Self::One(only),
            (Some(last), false) => {
                values.push(last);
                Self::Many(values)
            }
            (None, _) => Self::Many(values),
        }
    }
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let values = match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(values) => values.as_slice(),
        };
        values.iter().map(String::as_str)
    }
    /// Whether this one is among them.
    pub fn contains(&self, audience: &str) -> bool {
        self.iter().any(|value| value == audience)
    }
}

/// How and when a person proved themselves (OIDC Core §2, RFC 8176).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticationClaims {
    /// When, in seconds; absent where no provider vouched for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The level that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The methods that were used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
}

impl AuthenticationClaims {
    /// From the facts.
    pub fn new(auth_time: Option<Timestamp>, acr: Option<&str>, amr: &[String]) -> Self {
        Self { auth_time: auth_time.map(Timestamp::secs), acr: acr.map(str::to_owned), amr: amr.to_vec() }
    }
}

/// On whose behalf an access token acts.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A person's.
    Account {
        /// The person, by the `sub` that the client knows.
        sub: &'a str,
        /// How they proved themselves.
        authentication: &'a AuthenticationClaims,
    },
    /// The client's own (client credentials, RFC 6749 §4.4).
    Client,
}

/// The facts that an access token is built from.
#[derive(Debug, Clone, Copy)]
pub struct AccessTokenFacts<'a> {
    /// Our issuer.
    pub issuer: &'a str,
    /// On whose behalf.
    pub subject: Subject<'a>,
    /// To whom it is issued.
    pub client: &'a ClientId,
    /// What was granted.
    pub scope: &'a Scope,
    /// The resources that it is for (RFC 8707).
    pub resources: &'a BTreeSet<String>,
    /// Its id; see [`token_id`].
    pub jti: &'a str,
    /// What the subject may do here.
    pub access: &'a Access,
    /// The present moment.
    pub now: Timestamp,
    /// How long it lives.
    pub lifetime: Duration,
}

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// Our issuer.
    pub iss: String,
    /// The person as the client knows them (the same as in its ID token), or the client itself.
    pub sub: String,
    /// The resources, and our issuer if the userinfo endpoint takes it.
    pub aud: Audience,
    /// Until when, in seconds.
    pub exp: i64,
    /// Since when, in seconds.
    pub iat: i64,
    /// Its id.
    pub jti: String,
    /// To whom it was issued.
    pub client_id: String,
    /// What was granted.
    pub scope: Scope,
    /// How the person proved themselves.
    #[serde(flatten)]
    pub authentication: AuthenticationClaims,
    /// What the subject may do.
    #[serde(flatten)]
    pub access: AccessClaims,
}

/// Builds an access token per RFC 9068. Its audience is every resource, and our issuer identifier if `openid`
/// was granted: that is what our userinfo endpoint demands. A token for no resource at all has the issuer
/// alone, for an audience is required and no resource server will take it for its own.
pub fn access_token(facts: &AccessTokenFacts<'_>) -> AccessTokenClaims {
    let mut audience: Vec<String> = facts.resources.iter().cloned().collect();
    let ours = facts.scope.contains("openid") || audience.is_empty();
    if ours && !facts.resources.contains(facts.issuer) {
        audience.push(facts.issuer.to_owned());
    }
    let (sub, authentication) = match facts.subject {
        Subject::Account { sub, authentication } => (sub, authentication.clone()),
        Subject::Client => (facts.client.as_str(), AuthenticationClaims::default()),
    };
    AccessTokenClaims {
        iss: facts.issuer.to_owned(),
        sub: sub.to_owned(),
        aud: Audience::new(audience),
        exp: facts.now.plus(facts.lifetime).secs(),
        iat: facts.now.secs(),
        jti: facts.jti.to_owned(),
        client_id: facts.client.as_str().to_owned(),
        scope: facts.scope.clone(),
        authentication,
        access: AccessClaims::new(facts.scope, facts.access),
    }
}

/// The id of an access token: its grant, so that revoking the grant ends it, and something random.
/// `None` is a client's own token, which has no grant.
pub fn token_id(grant: Option<&GrantId>, random: &str) -> String {
    format!("{}.{random}", grant.map_or("cc", GrantId::as_str))
}

/// The grant that an access token's id names; `Ok(None)` is a client's own token.
///
/// # Errors
/// `()` if the id is not one that [`token_id`] makes.
#[allow(clippy::result_unit_err)]
pub fn grant_of(jti: &str) -> Result<Option<GrantId>, ()> {
    match jti.split_once('.') {
        Some((_, "")) | None => Err(()),
        Some(("cc", _)) => Ok(None),
        Some((grant, _)) => GrantId::new(grant).map(Some).map_err(|_| ()),
    }
}

/// The facts that an ID token is built from.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenFacts<'a> {
    /// Our issuer.
    pub issuer: &'a str,
    /// The person.
    pub account: &'a Account,
    /// Their `sub` for the application.
    pub sub: &'a str,
    /// The application.
    pub client: &'a Client,
    /// What was granted.
    pub scope: &'a Scope,
    /// The single claims that were asked for and allowed.
    pub claims: &'a ClaimsRequest,
    /// The request's nonce, exactly as it was sent.
    pub nonce: Option<&'a str>,
    /// The SSO session, by the `sid` that the application knows.
    pub sid: &'a str,
    /// How the person proved themselves.
    pub authentication: &'a AuthenticationClaims,
    /// The access token that is issued with it.
    pub access_token: Option<&'a str>,
    /// What the person may do here.
    pub access: &'a Access,
    /// The present moment.
    pub now: Timestamp,
    /// How long it lives.
    pub lifetime: Duration,
}

/// The claims of an ID token (OIDC Core §2). There is one audience, the client, and so no `azp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdTokenClaims {
    /// Our issuer.
    pub iss: String,
    /// The person as the client knows them.
    pub sub: String,
    /// The client.
    pub aud: Audience,
    /// Until when, in seconds.
    pub exp: i64,
    /// Since when, in seconds.
    pub iat: i64,
    /// The request's nonce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Binds the access token to this one (OIDC Core §3.1.3.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// The SSO session (OIDC Front-Channel Logout §3).
    pub sid: String,
    /// How the person proved themselves.
    #[serde(flatten)]
    pub authentication: AuthenticationClaims,
    /// By the client's setting, or asked for one by one.
    #[serde(flatten)]
    pub person: PersonClaims,
    /// The same, in the client's shape.
    #[serde(flatten)]
    pub access: ShapedClaims,
}

/// Builds an ID token.
pub fn id_token(facts: &IdTokenFacts<'_>) -> IdTokenClaims {
    let release = Release::to_id_token(facts.client, facts.scope, &facts.claims.id_token);
    IdTokenClaims {
        iss: facts.issuer.to_owned(),
        sub: facts.sub.to_owned(),
        aud: Audience::One(facts.client.id.as_str().to_owned()),
        exp: facts.now.plus(facts.lifetime).secs(),
        iat: facts.now.secs(),
        nonce: facts.nonce.map(str::to_owned),
        at_hash: facts.access_token.map(|token| left_half_hash(token, facts.client.id_token_alg)),
        sid: facts.sid.to_owned(),
        authentication: facts.authentication.clone(),
        person: PersonClaims::new(&release, facts.account),
        access: ShapedClaims::new(&release, facts.access, &facts.client.shapes),
    }
}

/// What an ID token that comes back as a hint says (OIDC Core §3.1.2.1, RP-Initiated Logout §2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HintClaims {
    /// The person as the client knows them.
    pub sub: String,
    /// The client.
    pub aud: Audience,
    /// The SSO session.
    #[serde(default)]
    pub sid: Option<String>,
}

/// The left half of the hash of a token or code, base64url (OIDC Core §3.1.3.6, §3.3.2.11). The hash is the
/// one of the ID token's algorithm; for Ed25519 that is SHA-512 (RFC 8032 §5.1).
pub fn left_half_hash(token: &str, alg: SigningAlg) -> String {
    let hash = match alg {
        SigningAlg::RS256 | SigningAlg::ES256 => sha2::Sha256::digest(token.as_bytes()).to_vec(),
        SigningAlg::EdDSA => sha2::Sha512::digest(token.as_bytes()).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(hash.get(..hash.len() / 2).unwrap_or_default())
}

/// The answer of the userinfo endpoint (OIDC Core §5.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserinfoClaims {
    /// The person as the client knows them.
    pub sub: String,
    /// Profile and addresses.
    #[serde(flatten)]
    pub person: PersonClaims,
    /// What the person may do, in the client's shape.
    #[serde(flatten)]
    pub access: ShapedClaims,
}

/// Builds the answer of the userinfo endpoint for a token's scope, and the single claims that were asked for
/// with its grant.
pub fn userinfo(
    account: &Account,
    sub: &str,
    client: &Client,
    scope: &Scope,
    claims: &ClaimsRequest,
    access: &Access,
) -> UserinfoClaims {
    let release = Release::to_userinfo(client, scope, &claims.userinfo);
    UserinfoClaims {
        sub: sub.to_owned(),
        person: PersonClaims::new(&release, account),
        access: ShapedClaims::new(&release, access, &client.shapes),
    }
}

/// The same as a signed answer: with issuer and audience (OIDC Core §5.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedUserinfoClaims<'a> {
    /// Our issuer.
    pub iss: &'a str,
    /// The client.
    pub aud: &'a str,
    /// What is told.
    #[serde(flatten)]
    pub claims: &'a UserinfoClaims,
}

#[cfg(test)]
mod tests;
