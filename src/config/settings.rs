//! Everything that `countersign.toml` says, checked and resolved: no references to secrets are left, all
//! defaults are filled in, and nothing contradicts anything else.

use crate::accounts::{Account, Directory, EmailAddress, Identity, Required, Target};
use crate::clients::dynamic::Policy;
use crate::clients::{Client, ResourceServer};
use crate::ids::{AccountId, ClientId, ProviderId};
use crate::mail::MailSettings;
use crate::outbound::Authorities;
use secrecy::{SecretSlice, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The whole configuration but the providers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our issuer identifier, exactly as applications compare it (OIDC Discovery §3): no query, no fragment,
    /// no trailing slash. https, or http on a loopback host.
    pub issuer: Issuer,
    /// Shortcuts of development are allowed; only with an issuer on a loopback host.
    pub development: bool,
    /// The listener for people and applications.
    pub public: PublicListener,
    /// The listener for metrics, health and readiness.
    pub management: SocketAddr,
    /// Where state lives.
    pub database: Database,
    /// 32 bytes under which keys and flows are sealed.
    pub master_key: SecretSlice<u8>,
    /// SSO sessions.
    pub sessions: SessionSettings,
    /// Codes and tokens.
    pub tokens: TokenSettings,
    /// The way out to clients.
    pub client_network: ClientNetworkSettings,
    /// Dynamic registration.
    pub registration: RegistrationSettings,
    /// Signing keys.
    pub keys: KeySettings,
    /// Sign-ins in progress.
    pub sign_in: SignInSettings,
    /// What must be known of everybody.
    pub accounts: AccountSettings,
    /// The mail server, where there is one.
    pub mail: Option<MailSettings>,
    /// Bounds on what strangers can send.
    pub limits: Limits,
    /// How pages look.
    pub branding: Branding,
    /// Custom scopes by name, beside the standard ones.
    pub scopes: BTreeMap<String, CustomScope>,
    /// Declared clients.
    pub clients: BTreeMap<ClientId, Client>,
    /// Declared resource servers, by their client id.
    pub resource_servers: BTreeMap<ClientId, ResourceServer>,
    /// Declared groups and roles.
    pub directory: Directory,
    /// Declared assignments.
    pub assignments: Vec<DeclaredAssignment>,
}

/// An issuer identifier and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a text cannot be our issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the issuer {0}")]
pub struct InvalidIssuer(pub &'static str);

impl Issuer {
    /// Checks and takes an issuer.
    ///
    /// # Errors
    /// [`InvalidIssuer`] with the rule that was broken (OIDC Discovery §3, RFC 8414 §2).
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(text).map_err(|_| InvalidIssuer("is not an absolute URL"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidIssuer("must have no query and no fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidIssuer("must have no user name or password"));
        }
        if text.ends_with('/') {
            return Err(InvalidIssuer("must not end in '/'"));
        }
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(InvalidIssuer("must be https (http only on a loopback host)")),
        }
        if url.as_str().trim_end_matches('/') != text {
            return Err(InvalidIssuer(
                "must be in its normal form (lower-case host, no default port, no dot segments)",
            ));
        }
        Ok(Self { text: text.to_owned(), url })
    }
    /// The identifier, to be compared letter by letter.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The identifier as a URL.
    pub fn url(&self) -> &Url {
        &self.url
    }
    /// Whether browsers reach us over TLS: then cookies are `__Host-` and `Secure`.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
    /// The absolute address of a path of ours that starts with `/`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
    /// The path under which all routes live; empty, or starting with `/` and not ending in one.
    pub fn base_path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }
    /// `scheme://host[:port]`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
    /// `host[:port]`, as a Host header must say it.
    pub fn authority(&self) -> String {
        match (self.url.host_str(), self.url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        }
    }
}

/// Whether a URL's host is this machine: `localhost`, `127.0.0.0/8`, `[::1]`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicListener {
    /// Addresses to bind.
    pub listen: Vec<SocketAddr>,
    /// Certificate chain and key, where the broker ends TLS itself.
    pub tls: Option<Tls>,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Threads that serve requests; 0 means one per core.
    pub workers: usize,
}

/// Certificate and key.
#[derive(Clone)]
pub struct Tls {
    /// The chain, leaf first, and its key, which were found to fit.
    pub certified: Arc<rustls::sign::CertifiedKey>,
}

impl PartialEq for Tls {
    /// Two keys of one chain are one key.
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}
impl Eq for Tls {}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Where state lives.
#[derive(Debug, Clone)]
pub enum Database {
    /// One file, embedded.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Threads that read.
        readers: u32,
    },
    /// PostgreSQL, shared by many nodes.
    Postgres {
        /// `postgres://…`
        url: SecretString,
        /// Connections.
        connections: u32,
    },
}

/// SSO session lifetimes.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Ends after this long without use.
    pub idle: Duration,
    /// Ends after this long whatever happens.
    pub absolute: Duration,
}

/// Code and token lifetimes.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Authorization codes; at most 60 s.
    pub code: Duration,
    /// Access tokens.
    pub access: Duration,
    /// ID tokens.
    pub id: Duration,
    /// A refresh token that is not used for this long ends.
    pub refresh_idle: Duration,
    /// A family of refresh tokens ends after this long.
    pub refresh_absolute: Duration,
    /// For how long the same client gets the one unused successor again; 0 switches it off.
    pub refresh_grace: Duration,
    /// Whether client assertions must name our issuer alone as their audience.
    pub strict_assertions: bool,
}

/// What holds for requests of ours to clients: for their keys, and for whatever else they publish or receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientNetworkSettings {
    /// Addresses of private networks are allowed.
    pub allow_private_network: bool,
    /// Certificate authorities (PEM) that are trusted in place of the public ones, as they were when this was read.
    pub ca_file: Option<Authorities>,
    /// The whole time of one request.
    pub timeout: Duration,
}

/// Who may register clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Nobody.
    Closed,
    /// Whoever has an initial access token.
    Token,
    /// Everybody: for test set-ups.
    Open,
}

/// Dynamic registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// Who may register clients.
    pub mode: RegistrationMode,
    /// What may be registered.
    pub policy: Policy,
    /// A client that never got tokens is removed after this long.
    pub unused_lifetime: Duration,
    /// How many clients may be registered at the same time.
    pub max_clients: u32,
    /// How many registrations are taken from one source (an IPv4 /24 or IPv6 /48) in a day.
    pub max_per_source: u32,
}

/// Signing key rotation.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// A key signs for this long.
    pub rotate_every: Duration,
    /// The next key is published this long before it signs.
    pub publish_ahead: Duration,
}

/// Sign-ins in progress.
#[derive(Debug, Clone)]
pub struct SignInSettings {
    /// From the app's request to the provider's answer.
    pub lifetime: Duration,
    /// Sign-ins that one browser can have open; the oldest gives way.
    pub max_open: usize,
    /// How far clocks may differ.
    pub skew: Duration,
    /// How long a pushed request can be used (RFC 9126 §2.2).
    pub pushed_lifetime: Duration,
    /// Whether every client must push its requests (RFC 9126 §5).
    pub pushed_only: bool,
}

/// What must be known of everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// Whoever lacks any of these is asked when they sign in; a provider's own setting goes first.
    pub require: BTreeSet<Required>,
}

/// Bounds on what strangers can send.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests a minute from one address to pages and the token endpoint; `None` switches limits off.
    pub requests_per_minute: Option<u32>,
    /// A request body, in bytes.
    pub body: usize,
    /// Refusals that are kept for `trace`.
    pub refusals_kept: u32,
    /// Pushed requests of one client that wait at the same time.
    pub pushed_per_client: u32,
    /// Pushed requests from one address that wait at the same time.
    pub pushed_per_address: u32,
    /// Sign-ins and logouts from one address in an hour that are too large for a cookie and become rows.
    pub large_per_address: u32,
    /// Codes that are mailed to one address in an hour.
    pub codes_per_address: u32,
    /// Codes that are mailed in an hour because people of one network ask (an IPv4 /24 or IPv6 /48).
    pub codes_per_network: u32,
}

/// How pages look.
#[derive(Debug, Clone)]
pub struct Branding {
    /// The name of the house, on every page.
    pub name: String,
    /// A logo file (SVG or PNG) served from our own origin.
    pub logo: Option<PathBuf>,
    /// The accent colour, `#rrggbb`.
    pub accent: Option<String>,
    /// Where people find help (https or mailto).
    pub support: Option<String>,
}

/// A scope beside the standard ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomScope {
    /// What the person reads on the consent page.
    pub description: String,
    /// Only issued for these resources; empty means for any.
    pub resources: Vec<String>,
}

/// Who has a group or role by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredAssignment {
    /// What.
    pub target: Target,
    /// Who.
    pub who: Who,
}

/// How the configuration names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The account itself.
    Account(AccountId),
    /// Whoever holds this address with proof.
    Email(EmailAddress),
    /// Whoever a provider knows by this subject.
    Subject {
        /// The provider.
        provider: ProviderId,
        /// Its issuer: where another one has taken its place, its subjects are other people.
        issuer: String,
        /// Its subject.
        subject: String,
    },
}

impl Who {
    /// Whether this means the person of the account. An address counts only with proof: anybody can say that
    /// they are somebody.
    pub fn is(&self, account: &Account, identities: &[Identity]) -> bool {
        match self {
            Self::Account(id) => *id == account.id,
            Self::Email(address) => account
                .emails
                .iter()
                .any(|held| held.proof.is_some() && held.address.canonical() == address.canonical()),
            Self::Subject { provider, issuer, subject } => identities.iter().any(|identity| {
                let key = &identity.key;
                key.provider == *provider && key.issuer == *issuer && key.subject == *subject
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_exact() {
        assert_eq!(
            Issuer::parse("http://localhost:8080").unwrap().at("/token"),
            "http://localhost:8080/token"
        );
        assert_eq!(Issuer::parse("https://id.test/a").unwrap().base_path(), "/a");
        for bad in [
            "http://id.test",
            "https://id.test/",
            "https://id.test?x",
            "https://id.test/#x",
            "https://u@id.test",
            "HTTPS://ID.TEST",
            "https://id.test:443",
            "id.test",
            "ftp://localhost",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
    }
}
