//! The two listeners, and what stands before every handler of the public one: host, limits, headers.

use crate::config::Settings;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::{App, upkeep};
use crate::http::handlers::home;
use crate::http::routes::{Caller, Cors};
use crate::http::{Site, cors, delivery, listen, management, request, routes};
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Compress, Condition, Next, from_fn};
use actix_web::{Error, HttpResponse, HttpServer, web};
use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock, Reference as _};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Requests in progress may take this long to finish when the server stops.
const GRACE: u64 = 10;

/// Sockets, bound before anything is served, so that a port that is taken is known at once.
#[derive(Debug)]
pub struct Listeners {
    /// For people and applications.
    pub public: Vec<TcpListener>,
    /// For operators.
    pub management: TcpListener,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// With the address in the message.
    pub fn bind(settings: &Settings) -> io::Result<Self> {
        let bind = |address: &SocketAddr| {
            TcpListener::bind(address)
                .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
        };
        let public = settings.public.listen.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { public, management: bind(&settings.management)? })
    }
}

/// A server that runs.
pub struct Serving {
    public: Server,
    management: Server,
    handles: [ServerHandle; 2],
    upkeep: tokio::task::JoinHandle<()>,
}

/// Binds, serves until the process is told to stop (SIGINT, SIGTERM), and finishes what is in progress.
///
/// # Errors
/// When a port is taken, or TLS files or branding cannot be used.
pub async fn serve(app: Arc<App>) -> io::Result<()> {
    let listeners = Listeners::bind(&app.now().settings)?;
    let serving = Serving::start(app, listeners)?;
    let handles = serving.handles.clone();
    tokio::spawn(async move {
        told_to_stop().await;
        tracing::info!("stopping");
        for handle in handles {
            handle.stop(true).await;
        }
    });
    serving.finished().await
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

impl Serving {
    /// Serves on sockets that are bound.
    ///
    /// # Errors
    /// When TLS files or branding cannot be used.
    pub fn start(app: Arc<App>, listeners: Listeners) -> io::Result<Self> {
        management::recorder();
        let settings = app.now().settings.clone();
        let site = web::Data::new(Site::new(app.clone()).map_err(io::Error::other)?);
        let house = web::Data::from(app.clone());
        let gate = web::Data::new(Gate::new(&settings));
        let base = settings.issuer.base_path().to_owned();
        let (served, shared) = (house.clone(), site.clone());
        let front = move || {
            actix_web::App::new()
                .app_data(served.clone())
                .app_data(shared.clone())
                .app_data(gate.clone())
                .wrap(from_fn(guard))
                .configure(|config| configure(config, &base))
                .default_service(web::to(home::nothing))
        };
        let mut server = Server::build().shutdown_timeout(GRACE).disable_signals();
        if settings.public.workers > 0 {
            server = server.workers(settings.public.workers);
        }
        let tls = settings.public.tls.is_some().then(|| listen::tls(app.clone())).transpose()?;
        for listener in listeners.public {
            server = listen::listen(server, listener, tls.clone(), front.clone())?;
        }
        let management = HttpServer::new(move || {
            actix_web::App::new().app_data(house.clone()).configure(management::configure)
        })
        .workers(1)
        .client_request_timeout(listen::HEAD)
        .disable_signals()
        .listen(listeners.management)?;
        let (public, management) = (server.run(), management.run());
        let handles = [public.handle(), management.handle()];
        let upkeep = tokio::spawn(upkeep::run(app));
        Ok(Self { public, management, handles, upkeep })
    }
    /// What stops the server.
    pub fn handles(&self) -> [ServerHandle; 2] {
        self.handles.clone()
    }
    /// Waits until it has stopped.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn finished(self) -> io::Result<()> {
        let done = tokio::try_join!(self.public, self.management);
        self.upkeep.abort();
        done.map(|_| ())
    }
}

/// Registers the table's rows, path by path; another method on a known path answers 405.
fn configure(config: &mut web::ServiceConfig, base: &str) {
    let mut paths: BTreeMap<&'static str, Vec<routes::Row>> = BTreeMap::new();
    for row in routes::public() {
        paths.entry(row.path).or_default().push(row);
    }
    for (path, rows) in paths {
        let mut resource = web::resource(routes::address(base, path));
        let mut allowed: BTreeSet<&str> = BTreeSet::new();
        for row in &rows {
            allowed.insert(row.method.as_str());
            resource = resource.route((row.handler)(row.method.clone()));
            if row.method == Method::GET && matches!(row.caller, Caller::Public | Caller::Visitor) {
                allowed.insert("HEAD");
                resource = resource.route((row.handler)(Method::HEAD));
            }
        }
        let allowed = allowed.into_iter().collect::<Vec<_>>().join(", ");
        // What programs ask for is short, and compressing it would cost more than signing it.
        let programs = [Caller::Client, Caller::Registrant];
        let for_people = rows.iter().any(|row| row.cors == Cors::Never && !programs.contains(&row.caller));
        let resource = resource.wrap(Condition::new(for_people, Compress::default()));
        config.service(resource.default_service(web::to(move || {
            let allowed = allowed.clone();
            async move { HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, allowed)).finish() }
        })));
    }
}

/// The limit of requests from one address.
struct Gate {
    limit: ArcSwap<Limit>,
    /// What is not counted: these methods at an address. Others there are.
    unlimited: BTreeMap<String, Vec<Method>>,
    /// Where providers tell something. It is not counted, for a word that is lost keeps a session alive; what is refused
    /// there is, for each refusal costs a check and a line of the record.
    told: BTreeSet<String>,
    /// What the apps in browsers of registered origins may read, refusals too.
    readable: BTreeSet<String>,
}

struct Limit {
    per_minute: Option<u32>,
    requests: Option<Counted>,
    refusals: Option<Counted>,
    /// Until when those wait who were refused too often.
    held: Mutex<HashMap<IpAddr, Moment>>,
}

type Moment = <DefaultClock as governor::clock::Clock>::Instant;
type Counted = DefaultKeyedRateLimiter<IpAddr>;

/// Of so many addresses something is remembered that is over, before it is forgotten.
const ADDRESSES: usize = 100_000;

impl Limit {
    fn new(per_minute: Option<u32>) -> Self {
        let counted = || per_minute.and_then(NonZeroU32::new).map(Quota::per_minute).map(RateLimiter::keyed);
        Self { per_minute, requests: counted(), refusals: counted(), held: Mutex::default() }
    }
    /// Counts one more; after how long the next may come, if this one may not.
    fn count(counted: Option<&Counted>, key: IpAddr) -> Option<Duration> {
        let counted = counted?;
        if counted.len() > ADDRESSES {
            counted.retain_recent();
        }
        let refused = counted.check_key(&key).err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }
    /// Counts a refusal.
    fn refused(&self, key: IpAddr) {
        let Some(wait) = Self::count(self.refusals.as_ref(), key) else { return };
        let now = DefaultClock::default().now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() > ADDRESSES {
            held.retain(|_, until| *until > now);
        }
        held.insert(key, now + wait.into());
    }
    /// For how long an address waits that was refused too often.
    fn held(&self, key: IpAddr) -> Option<Duration> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, now) = (*held.get(&key)?, DefaultClock::default().now());
        if until <= now {
            held.remove(&key);
            return None;
        }
        Some(until.duration_since(now).into())
    }
}

impl Gate {
    fn new(settings: &Settings) -> Self {
        let base = settings.issuer.base_path();
        let rows = routes::public();
        let mut unlimited = BTreeMap::<String, Vec<Method>>::new();
        for row in rows.iter().filter(|row| !row.limited) {
            unlimited.entry(routes::address(base, row.path)).or_default().push(row.method.clone());
        }
        Self {
            limit: ArcSwap::from_pointee(Limit::new(settings.limits.requests_per_minute)),
            unlimited,
            told: rows
                .iter()
                .filter(|row| row.caller == Caller::Upstream)
                .map(|row| routes::address(base, row.path))
                .collect(),
            readable: rows
                .iter()
                .filter(|row| row.cors == Cors::Clients)
                .map(|row| routes::address(base, row.path))
                .collect(),
        }
    }
    /// The limit that is in force.
    fn limit(&self, settings: &Settings) -> arc_swap::Guard<Arc<Limit>> {
        let wanted = settings.limits.requests_per_minute;
        if self.limit.load().per_minute != wanted {
            self.limit.store(Arc::new(Limit::new(wanted)));
        }
        self.limit.load()
    }
    /// Whether a provider tells something by this request.
    fn is_told(&self, method: &Method, pattern: Option<&str>) -> bool {
        *method == Method::POST && pattern.is_some_and(|pattern| self.told.contains(pattern))
    }
}

/// Whoever is counted as one, by the address from which a request came.
fn counted_as(request: &ServiceRequest, settings: &Settings) -> IpAddr {
    let peer = request.peer_addr().map(|addr| addr.ip());
    match request::client_address(peer, request.headers(), &settings.public.trusted_proxies) {
        address @ IpAddr::V4(_) => address,
        // One subscriber commonly has a whole /64 (RFC 6177).
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// What stands before every handler, and the headers of every answer.
async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<actix_web::body::BoxBody>, Error> {
    let (Some(site), Some(gate)) =
        (request.app_data::<web::Data<Site>>().cloned(), request.app_data::<web::Data<Gate>>().cloned())
    else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()));
    };
    let method = request.method().clone();
    let pattern = request.match_pattern();
    let settings = site.app.now().settings.clone();
    let https = settings.issuer.is_https();
    let refused = check(&site, &gate, &request, pattern.as_deref(), &settings);
    let mut response = match refused {
        Some(response) => request.into_response(response),
        None => {
            let told = gate.is_told(&method, pattern.as_deref()).then(|| counted_as(&request, &settings));
            let (gate, settings) = (gate.clone(), settings.clone());
            // A task of its own: who hangs up ends it nowhere in the middle, and others wait for what it began (a fetch of
            // keys, the trial of a circuit). It is bounded by the time limits of what it waits for.
            let answered = actix_web::rt::spawn(async move {
                let response = next.call(request).await?.map_into_boxed_body();
                // A failure of ours is nobody's fault who tells us something.
                if let Some(address) = told.filter(|_| response.status().is_client_error()) {
                    gate.limit(&settings).refused(address);
                }
                Ok::<_, Error>(response)
            });
            match answered.await.map_err(given_up).flatten() {
                Ok(response) => response,
                Err(error) => {
                    let status = error.as_response_error().status_code();
                    count(&method, pattern.as_deref(), status.as_u16());
                    return Err(error);
                }
            }
        }
    };
    dress(&mut response, https);
    count(&method, pattern.as_deref(), response.status().as_u16());
    Ok(response)
}

/// Something panicked, which nobody but the operator reads about.
fn given_up(error: impl std::fmt::Display) -> Error {
    tracing::error!(%error, "a request was given up");
    actix_web::error::ErrorInternalServerError("the request could not be answered")
}

fn check(
    site: &Site,
    gate: &Gate,
    request: &ServiceRequest,
    pattern: Option<&str>,
    settings: &Settings,
) -> Option<HttpResponse> {
    let target = request.uri().authority().map(|authority| authority.as_str());
    if let Err(failure) = request::check_host(site, request.headers(), target) {
        return Some(delivery::plain_page(site, &failure, None));
    }
    let readable = pattern.is_some_and(|pattern| gate.readable.contains(pattern));
    // A preflight costs nothing, and a browser tells the app nothing of one that was refused.
    let preflight = readable && request.method() == Method::OPTIONS;
    // A row of GET answers HEAD too.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let uncounted = pattern.and_then(|pattern| gate.unlimited.get(pattern));
    let limit = gate.limit(settings);
    let wait = if gate.is_told(method, pattern) {
        limit.held(counted_as(request, settings))?
    } else if preflight || uncounted.is_some_and(|methods| methods.contains(method)) {
        return None;
    } else {
        Limit::count(limit.requests.as_ref(), counted_as(request, settings))?
    };
    let failure = Failure::new(
        OAuthCode::SlowDown,
        "request.rate",
        UserMessage::TooMany,
        "too many requests from one address",
    );
    metrics::counter!("countersign_requests_limited_total").increment(1);
    let for_people = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let mut response = if for_people {
        delivery::plain_page(site, &failure, None)
    } else {
        delivery::plain_json(site, &failure)
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
    if readable {
        cors::for_client(request.request(), &site.app.now(), None, &mut response);
    }
    Some(response)
}

/// The headers that every answer has, where its handler set none of its own.
fn dress(response: &mut ServiceResponse<actix_web::body::BoxBody>, https: bool) {
    let mut defaults = vec![
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    if https {
        defaults.push((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }
    let headers = response.headers_mut();
    for (name, value) in defaults {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn count(method: &Method, pattern: Option<&str>, status: u16) {
    // Patterns and not paths: what strangers make up must not become labels.
    let route = pattern.unwrap_or("none").to_owned();
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    metrics::counter!("countersign_http_requests_total", "method" => method, "route" => route, "status" => status.to_string())
        .increment(1);
}
