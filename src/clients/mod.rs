//! Relying parties and resource servers, and what people allowed them. Plain data and pure checks.

pub mod assertion;
pub mod authentication;
pub mod dynamic;
pub mod entitlement;
pub mod grant;
pub mod metadata;
pub mod origins;
pub mod redirect;
pub mod registration;
pub mod sector;
pub mod shape;

pub use authentication::Credentials;
pub use entitlement::Offer;
pub use grant::{Consent, Grant, GrantDetails, GrantProof};
pub use redirect::{Location, Reply, ValidatedRedirect};

use crate::accounts::Target;
use crate::ids::{ClientId, ProviderId};
use crate::protocol::Scope;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How a client proves itself at the token endpoint (OIDC Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client.
    None,
    /// HTTP Basic (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// Form parameters (RFC 6749 §2.3.1).
    ClientSecretPost,
    /// An assertion signed with a key of its own (RFC 7523 §2.2, OIDC Core §9).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// The name in OIDC Core §9 and RFC 7591 §2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
    /// Whether it shows a secret that we gave.
    pub fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// Grant types that we offer. Implicit and password are refused by design (RFC 9700 §2.1.2, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
}

impl GrantType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// Algorithms that we sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SigningAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what every client understands (OIDC Core §15.1 makes it mandatory).
    RS256,
    /// ECDSA on P-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl SigningAlg {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RS256, Self::ES256, Self::EdDSA];
    /// The name in RFC 7518 and RFC 8037.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// Where a thing was made, and so where it can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Declared in the configuration file: read-only elsewhere.
    Declared,
    /// Made by command: lives in the database.
    Created,
    /// Registered itself (RFC 7591): lives in the database, apart from those made by command.
    Registered,
}

impl Origin {
    /// The word for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Created => "created",
            Self::Registered => "registered",
        }
    }
}

/// A relying party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// For people, on the consent page.
    pub name: String,
    /// How it proves itself; [`AuthMethod::None`] alone makes it public.
    pub auth_methods: BTreeSet<AuthMethod>,
    /// SHA-256 of each valid secret, hex (two while one is being rotated). Secrets are generated with 256
    /// random bits, or come by reference and are strong enough, so a fast hash does.
    pub secret_hashes: Vec<String>,
    /// Exact redirect URIs; loopback ones match on any port (RFC 8252 §7.3).
    pub redirect_uris: BTreeSet<String>,
    /// Exact addresses after logout (OIDC RP-Initiated Logout §3.1).
    pub post_logout_redirect_uris: BTreeSet<String>,
    /// Origins that may read our answers from a browser (CORS); empty means the redirect URIs' origins.
    pub origins: BTreeSet<String>,
    /// Grant types it may use.
    pub grant_types: BTreeSet<GrantType>,
    /// Scopes it may ask for.
    pub scope: Scope,
    /// Resource identifiers it may ask tokens for (RFC 8707); empty means the default audience only.
    pub resources: BTreeSet<String>,
    /// Ours: no consent page, and `offline_access` without `prompt=consent`.
    pub first_party: bool,
    /// Whether PKCE is demanded; always true for public clients (RFC 9700 §2.1.1).
    pub require_pkce: bool,
    /// How its ID tokens are signed.
    pub id_token_alg: SigningAlg,
    /// How its access tokens are signed.
    pub access_token_alg: SigningAlg,
    /// Whether profile, e-mail and group claims also go into the ID token.
    pub claims_in_id_token: bool,
    /// Groups and roles it has as itself (client credentials).
    pub assignments: BTreeSet<Target>,
    /// Access token lifetime, where it differs from the setting.
    pub access_token_lifetime: Option<Duration>,
    /// Refresh token lifetime, where it differs from the setting.
    pub refresh_token_lifetime: Option<Duration>,
    /// The provider that is gone to directly, without a chooser.
    pub default_provider: Option<crate::ids::ProviderId>,
    /// The providers its people may use; empty means all.
    pub providers: BTreeSet<crate::ids::ProviderId>,
    /// The app's start page: where *start again* leads when nothing else is known.
    pub home_uri: Option<String>,
    /// Its public keys, where it has some.
    #[serde(default)]
    pub keys: Option<metadata::KeySource>,
    /// Rules for its assertions.
    #[serde(default)]
    pub assertions: metadata::AssertionRules,
    /// Rules for its authorization requests.
    #[serde(default)]
    pub requests: metadata::RequestRules,
    /// What it demands of each sign-in.
    #[serde(default)]
    pub sign_in: metadata::SignInRules,
    /// How it is told that a session ended.
    #[serde(default)]
    pub logout: metadata::LogoutChannels,
    /// Which `sub` its people have.
    #[serde(default)]
    pub subjects: metadata::SubjectRules,
    /// How its access claims are written.
    #[serde(default)]
    pub shapes: metadata::ClaimShapes,
    /// How the answers of the userinfo endpoint are signed; none means plain JSON (OIDC Core §5.3.2).
    #[serde(default)]
    pub userinfo_alg: Option<SigningAlg>,
    /// What people may read about it.
    #[serde(default)]
    pub about: metadata::About,
    /// Switched off: nothing works, nothing is lost.
    pub disabled: bool,
    /// Where it was made.
    pub origin: Origin,
}

impl Client {
    /// Whether it cannot keep a secret (RFC 6749 §2.1).
    pub fn is_public(&self) -> bool {
        self.auth_methods.iter().all(|m| *m == AuthMethod::None)
    }
    /// Whether some of its methods show a secret that we gave.
    pub fn needs_secret(&self) -> bool {
        self.auth_methods.iter().any(|method| method.needs_secret())
    }
    /// Whether its people may use a provider: all that there are, where it names none.
    pub fn admits(&self, provider: &ProviderId) -> bool {
        self.providers.is_empty() || self.providers.contains(provider)
    }
}

/// An API that takes our access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceServer {
    /// Its own client identifier, with which it introspects (RFC 7662 §2.1).
    pub id: ClientId,
    /// For people.
    pub name: String,
    /// SHA-256 of each valid secret, hex.
    pub secret_hashes: Vec<String>,
    /// Its resource identifier: the `aud` of tokens for it (RFC 8707 §2).
    pub resource: String,
    /// The audience of tokens for which no resource was asked for.
    pub default_audience: bool,
    /// Switched off.
    pub disabled: bool,
    /// Where it was made.
    pub origin: Origin,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A client that may do nothing yet.
    pub(crate) fn client(id: &str) -> Client {
        Client {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            auth_methods: BTreeSet::new(),
            secret_hashes: Vec::new(),
            redirect_uris: BTreeSet::new(),
            post_logout_redirect_uris: BTreeSet::new(),
            origins: BTreeSet::new(),
            grant_types: BTreeSet::new(),
            scope: Scope::empty(),
            resources: BTreeSet::new(),
            first_party: false,
            require_pkce: true,
            id_token_alg: SigningAlg::RS256,
            access_token_alg: SigningAlg::ES256,
            claims_in_id_token: false,
            assignments: BTreeSet::new(),
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            default_provider: None,
            providers: BTreeSet::new(),
            home_uri: None,
            keys: None,
            assertions: Default::default(),
            requests: Default::default(),
            sign_in: Default::default(),
            logout: Default::default(),
            subjects: Default::default(),
            shapes: Default::default(),
            userinfo_alg: None,
            about: Default::default(),
            disabled: false,
            origin: Origin::Declared,
        }
    }

    /// A resource server without a secret.
    pub(crate) fn resource_server(id: &str, resource: &str) -> ResourceServer {
        ResourceServer {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            secret_hashes: Vec::new(),
            resource: resource.to_owned(),
            default_audience: false,
            disabled: false,
            origin: Origin::Declared,
        }
    }
}
