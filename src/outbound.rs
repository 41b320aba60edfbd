//! The way out: the only user of the HTTP client. Every request to a provider or a client is bounded in time
//! and size, goes only where the address rules allow, follows no redirect, and waits behind no other party.

pub mod address;
pub mod breaker;
pub mod cached;

use crate::context::Context;
use crate::failure::{Failure, OAuthCode, UserMessage};
use address::{AddressRefused, AddressRules, is_localhost};
use breaker::{Breaker, Pass};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// Requests to one provider at the same time; more wait, and not longer than a request may take.
const AT_ONCE: usize = 32;
/// Bytes of an answer, unless the caller asks for fewer.
pub const MAX_BODY: usize = 256 * 1024;

/// What the settings of a provider, or those for clients, say about the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Development only: this very machine, also by plain http.
    pub allow_loopback: bool,
    /// Private networks.
    pub allow_private_network: bool,
    /// Certificate authorities (PEM) that are trusted in place of the public ones.
    pub ca_file: Option<Authorities>,
    /// The whole time of one request, from the moment it sets out. It waits as long at most for its turn.
    pub timeout: Duration,
}

/// A file of certificate authorities as it was read. What counts is what was in it: the same name may lead to others
/// tomorrow.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities {
    path: PathBuf,
    pem: Pem,
}

type Pem = Arc<[u8]>;

impl Authorities {
    /// What was read from the file of this name. Whether it holds any is seen when a way out is made.
    pub fn new(path: &Path, pem: &[u8]) -> Self {
        Self { path: path.to_owned(), pem: pem.into() }
    }
    /// Reads the file.
    ///
    /// # Errors
    /// [`NetworkError::Read`].
    pub fn read(path: &Path) -> Result<Self, NetworkError> {
        let pem = std::fs::read(path).map_err(|error| NetworkError::Read(path.to_owned(), error))?;
        Ok(Self::new(path, &pem))
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authorities").field(&self.path).finish()
    }
}

/// Why no way out could be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file with certificate authorities cannot be read.
    #[error("cannot read `{}`: {}", .0.display(), .1)]
    Read(PathBuf, std::io::Error),
    /// It holds no usable certificate.
    #[error("`{}` holds no usable certificate in PEM form", .0.display())]
    Certificates(PathBuf),
    /// The HTTP client refuses its settings.
    #[error("the HTTP client could not be made: {0}")]
    Client(String),
}

/// Why a request brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The rules forbid the address.
    #[error("the address is refused: {0}")]
    Address(AddressRefused),
    /// It took too long.
    #[error("no complete answer in time")]
    Timeout,
    /// The answer is too large.
    #[error("the answer is larger than {0} bytes")]
    Size(usize),
    /// The answer is a redirect; none is followed.
    #[error("the answer is a redirect")]
    Redirect,
    /// The connection failed (name, TCP, TLS, HTTP).
    #[error("the connection failed: {0}")]
    Connect(String),
    /// The provider was away a moment ago; nobody asked it.
    #[error("the provider was away a moment ago and was not asked again")]
    Open,
    /// So many requests are on their way there that this one was never sent. It says nothing about the provider.
    #[error("too many requests are on their way there already")]
    Busy,
}

impl Fault {
    /// The stable reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Address(_) => "net.address",
            Self::Timeout => "net.timeout",
            Self::Size(_) => "net.size",
            Self::Redirect => "net.redirect",
            Self::Connect(_) => "net.connect",
            Self::Open => "net.open",
            Self::Busy => "net.busy",
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let note = fault.to_string();
        Failure::new(
            OAuthCode::TemporarilyUnavailable,
            fault.reason(),
            UserMessage::ProviderUnavailable,
            note,
        )
        .caused_by(fault)
    }
}

/// A request method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends a body.
    Post,
}

/// A request.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Header fields. They may hold secrets: a request has no `Debug`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET that accepts JSON.
    pub fn get(url: Url) -> Self {
        let headers = vec![("accept".to_owned(), "application/json".to_owned())];
        Self { method: Method::Get, url, headers, body: Vec::new() }
    }
    /// The same for an answer of another media type.
    #[must_use]
    pub fn accepting(mut self, media: &str) -> Self {
        self.headers.retain(|(name, _)| name != "accept");
        self.header("accept", media)
    }
    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// An answer, complete and within bounds. Its status may be an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type without parameters, lower-case.
    pub content_type: Option<String>,
    /// For how long it may be kept (`Cache-Control: max-age`).
    pub max_age: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer if its status is 200.
    ///
    /// # Errors
    /// A failure `net.status`.
    pub fn ok(self) -> Result<Self, Failure> {
        if self.status == 200 {
            return Ok(self);
        }
        let user = UserMessage::ProviderUnavailable;
        Err(Failure::new(
            OAuthCode::TemporarilyUnavailable,
            "net.status",
            user,
            "the provider answered with an error",
        )
        .expected("200", self.status.to_string()))
    }
}

impl Answer {
    /// For how long the document is fresh: what its publisher says, within bounds.
    pub fn fresh_for(&self, least: Duration, usual: Duration, most: Duration) -> Duration {
        self.max_age.unwrap_or(usual).clamp(least, most)
    }
}

/// Finds the addresses of a name. The system's is used, but for tests.
pub trait Names: Send + Sync {
    /// All addresses; blocking.
    ///
    /// # Errors
    /// What the system says.
    fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The system's names. `localhost` and names under it lead to this machine without asking anyone
/// (RFC 6761 §6.3).
#[derive(Debug, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        if is_localhost(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// Resolves names for the client and lets through only what the rules allow, so that the address that was
/// checked is the one that is connected to: a second look-up with another answer (DNS rebinding) cannot
/// come between.
struct CheckedNames {
    rules: AddressRules,
    names: Arc<dyn Names>,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, names) = (self.rules, self.names.clone());
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || names.lookup(&host)).await??;
            if found.is_empty() {
                return Err(AddressRefused::Nowhere.into());
            }
            // one forbidden address among several is no accident
            for ip in &found {
                rules.check_ip(*ip)?;
            }
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// HTTP clients by their rules: providers with the same rules share one, and its connections.
#[derive(Clone)]
pub struct Transports {
    clients: BTreeMap<(AddressRules, Option<Pem>), reqwest::Client>,
    names: Arc<dyn Names>,
}

impl Default for Transports {
    fn default() -> Self {
        Self::with_names(Arc::new(SystemNames))
    }
}

impl Transports {
    /// With another way to find names; for tests.
    pub fn with_names(names: Arc<dyn Names>) -> Self {
        Self { clients: BTreeMap::new(), names }
    }

    fn client(&mut self, network: &Network) -> Result<reqwest::Client, NetworkError> {
        let rules = rules(network);
        let key = (rules, network.ca_file.as_ref().map(|file| file.pem.clone()));
        if let Some(client) = self.clients.get(&key) {
            return Ok(client.clone());
        }
        install_crypto();
        let mut builder = reqwest::Client::builder()
            .use_rustls_tls()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(3))
            .pool_max_idle_per_host(4)
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(CheckedNames { rules, names: self.names.clone() }));
        if let Some(file) = &network.ca_file {
            let certificates = reqwest::Certificate::from_pem_bundle(&file.pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| NetworkError::Certificates(file.path.clone()))?;
            builder = builder.tls_built_in_root_certs(false);
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(|error| NetworkError::Client(error.to_string()))?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Makes aws-lc the process's TLS cryptography, if nothing was chosen before. `main` does it first; tests
/// and tools may call it as often as they like.
pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn rules(network: &Network) -> AddressRules {
    AddressRules {
        allow_loopback: network.allow_loopback,
        allow_private_network: network.allow_private_network,
    }
}

/// What shows that a provider is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// No answer, or one that says so itself (5xx).
    SilentOrFailing,
    /// No answer.
    Silent,
}

/// The way out to one provider. Cheap to clone; clones share the breaker and the bulkhead.
#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    rules: AddressRules,
    timeout: Duration,
    away: Away,
    context: Context,
    bulkhead: Arc<Semaphore>,
    breaker: Arc<Breaker>,
}

impl Outbound {
    /// A way out by the rules of `network`.
    ///
    /// # Errors
    /// The file with certificate authorities is useless.
    pub fn new(
        network: &Network,
        context: Context,
        transports: &mut Transports,
    ) -> Result<Self, NetworkError> {
        Ok(Self {
            client: transports.client(network)?,
            rules: rules(network),
            timeout: network.timeout,
            away: Away::SilentOrFailing,
            context,
            bulkhead: Arc::new(Semaphore::new(AT_ONCE)),
            breaker: Arc::default(),
        })
    }

    /// A way out by the same rules, with a breaker and a bulkhead of its own: for what may fail without anything else
    /// having to.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { bulkhead: Arc::new(Semaphore::new(AT_ONCE)), breaker: Arc::default(), ..self.clone() }
    }

    /// The same way, for requests in which strangers have a say, such as one with a code that came through the browser:
    /// a provider may answer nonsense with 5xx, so that no answer, whatever its status, is taken for a sign that it is
    /// away. Silence and broken connections are.
    #[must_use]
    pub fn for_strangers(self) -> Self {
        Self { away: Away::Silent, ..self }
    }

    /// Whether requests are let out at present.
    pub fn is_closed(&self) -> bool {
        self.breaker.is_closed()
    }

    /// Checks an address without speaking to it.
    ///
    /// # Errors
    /// [`Fault::Address`].
    pub fn check_url(&self, url: &Url) -> Result<(), Fault> {
        self.rules.check_url(url).map_err(Fault::Address)
    }

    /// Sends a request and reads the whole answer, of at most `cap` bytes.
    ///
    /// # Errors
    /// A [`Fault`]. An error status of the provider is an answer, not a fault.
    pub async fn send(&self, request: Request, cap: usize) -> Result<Answer, Fault> {
        self.check_url(&request.url)?;
        // where nobody is let out there is nothing to wait for
        if self.breaker.is_open_at(self.context.now()) {
            return Err(Fault::Open);
        }
        // Whoever waits for others says nothing about the provider: neither is the wait part of what is judged, nor
        // does it use up the one trial that the breaker lets out.
        let turn = tokio::time::timeout(self.timeout, self.bulkhead.acquire());
        let Ok(Ok(_permit)) = turn.await else { return Err(Fault::Busy) };
        if self.breaker.ask(self.context.now()) == Pass::Open {
            return Err(Fault::Open);
        }
        let outcome = tokio::time::timeout(self.timeout, self.exchange(request, cap))
            .await
            .unwrap_or(Err(Fault::Timeout));
        let healthy = match &outcome {
            Ok(answer) => self.away == Away::Silent || answer.status < 500,
            Err(Fault::Timeout | Fault::Connect(_)) => false,
            Err(_) => true,
        };
        self.breaker.tell(self.context.now(), healthy);
        outcome
    }

    async fn exchange(&self, request: Request, cap: usize) -> Result<Answer, Fault> {
        let mut builder = match request.method {
            Method::Get => self.client.get(request.url),
            Method::Post => self.client.post(request.url).body(request.body),
        };
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(|error| fault(&error))?;
        let status = response.status().as_u16();
        if (300..400).contains(&status) {
            return Err(Fault::Redirect);
        }
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase)
        };
        let content_type =
            header("content-type").and_then(|text| text.split(';').next().map(|t| t.trim().to_owned()));
        let max_age = header("cache-control").and_then(|text| max_age(&text));
        if response.content_length().is_some_and(|length| length > cap as u64) {
            return Err(Fault::Size(cap));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
            if body.len() + chunk.len() > cap {
                return Err(Fault::Size(cap));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, max_age, body })
    }
}

/// `max-age` of a Cache-Control field; `no-store` and `no-cache` count as zero (RFC 9111 §5.2).
fn max_age(text: &str) -> Option<Duration> {
    let directives = || text.split(',').map(str::trim);
    if directives().any(|directive| directive == "no-store" || directive == "no-cache") {
        return Some(Duration::ZERO);
    }
    directives()
        .find_map(|directive| directive.strip_prefix("max-age="))?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn fault(error: &reqwest::Error) -> Fault {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<AddressRefused>() {
            return Fault::Address(refused.clone());
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        return Fault::Timeout;
    }
    // the innermost cause names no address with secrets in its query
    Fault::Connect(last)
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("rules", &self.rules)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{ManualClock, SeededEntropy, Timestamp};

    /// All places are taken: whoever waits in vain says nothing about the provider.
    #[tokio::test]
    async fn whoever_waits_in_vain_opens_no_circuit() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let context = Context::new(clock, Arc::new(SeededEntropy::new(1)));
        let network = Network {
            allow_loopback: true,
            allow_private_network: false,
            ca_file: None,
            timeout: Duration::from_millis(50),
        };
        let outbound = Outbound::new(&network, context, &mut Transports::default()).unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let request = || Request::get(Url::parse(&format!("http://{nobody}/")).unwrap());
        let all = outbound.bulkhead.acquire_many(32).await.unwrap();
        for _ in 0..2 * breaker::FAILURES {
            assert_eq!(outbound.send(request(), 10).await, Err(Fault::Busy));
        }
        assert!(outbound.is_closed());
        drop(all);
        // the twin: each of these is on its way, and fails
        for _ in 0..breaker::FAILURES {
            assert!(matches!(outbound.send(request(), 10).await, Err(Fault::Connect(_))));
        }
        let all = outbound.bulkhead.acquire_many(32).await.unwrap();
        assert_eq!(outbound.send(request(), 10).await, Err(Fault::Open), "and nobody waits for nothing");
        drop(all);
        // whose turn comes when the circuit is open stays here; and a way apart has places and a circuit of its own
        let outbound = Outbound::new(&network, outbound.context, &mut Transports::default()).unwrap();
        let all = outbound.bulkhead.acquire_many(32).await.unwrap();
        let opens = async {
            for _ in 0..breaker::FAILURES {
                outbound.breaker.tell(outbound.context.now(), false);
            }
            assert!(matches!(outbound.apart().send(request(), 10).await, Err(Fault::Connect(_))));
            drop(all);
        };
        assert_eq!(tokio::join!(outbound.send(request(), 10), opens).0, Err(Fault::Open));
    }
}
