//! A whole broker on loopback with two stand-in providers, configured from files as in production.
#![allow(dead_code)] // each test binary uses its part

use crate::standin::{CLIENT_SECRET, Standin};
use countersign::accounts::Account;
use countersign::audit::KeptRefusal;
use countersign::config::{Inputs, load};
use countersign::context::{Clock, Context, ManualClock, Sources, SteadyClock, SystemEntropy, Timestamp};
use countersign::flow::App;
use countersign::flow::admin::Desk;
use countersign::http::{Listeners, Serving};
use countersign::store::{Store, StoreError};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use url::Url;

#[path = "visitor.rs"]
mod visitor;
pub use visitor::{Answer, Visitor, parameter};

/// The challenge of the verifier in RFC 7636 appendix B.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What `countersign.toml` says; `{port}` and `{management}` are filled in.
pub const CONFIG: &str = r#"
issuer = "http://localhost:{port}"
development = true
master_key = "env:MASTER_KEY"
providers = "providers.toml"

[public]
listen = ["127.0.0.1:{port}"]
workers = 2

[management]
listen = "127.0.0.1:{management}"

[database]
url = "sqlite:countersign.sqlite3"

[limits]
rate_limit = false

[branding]
name = "Countersign"

[[client]]
id = "first"
name = "First"
secret = "env:FIRST_SECRET"
redirect_uris = ["http://localhost:8084/callback"]
home_uri = "http://localhost:8084/"
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "groups", "roles", "permissions", "offline_access"]
first_party = true

[[client]]
id = "third"
name = "Third <b>party</b>"
public = true
redirect_uris = ["http://127.0.0.1/callback"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "groups", "offline_access"]

[groups.engineers]
roles = ["editor"]

[roles.editor]
permissions = ["notes:write"]
"#;

/// What `providers.toml` says; `{globex}` and `{friendbook}` are filled in.
pub const PROVIDERS: &str = r#"
[[provider]]
id = "globex"
kind = "oidc"
name = "Globex"
issuer = "{globex}"
client_id = "countersign"
client_secret = "env:STANDIN_SECRET"
authoritative_for = ["globex.example"]
provisioning = "open"
allow_loopback = true

[[provider.map]]
rule = "engineering"
group = "engineers"
when = "'engineering' in claims.groups"

[[provider]]
id = "friendbook"
kind = "oauth2"
name = "Friendbook"
authorize_url = "{friendbook}/dialog"
token_url = "{friendbook}/token"
userinfo_url = "{friendbook}/me"
client_id = "countersign"
client_secret = "env:STANDIN_SECRET"
client_auth = "client_secret_post"
scopes = ["public_profile", "email"]
subject = "id"
provisioning = "open"
allow_loopback = true
"#;

/// A running broker.
pub struct House {
    pub app: Arc<App>,
    /// The clock of this machine, which can be set.
    pub clock: Arc<ManualClock>,
    /// The one that only goes forward.
    running: Arc<ManualClock>,
    pub globex: Standin,
    pub friendbook: Standin,
    pub origin: String,
    pub management: String,
    pub folder: TempDir,
    files: [String; 2],
    stop: [actix_web::dev::ServerHandle; 2],
    _place: Option<Place>,
}

/// A database of its own on a PostgreSQL server, while it is needed.
struct Place {
    server: String,
    name: String,
}

impl Place {
    fn new(server: String, name: String) -> Self {
        let place = Self { server, name };
        place.statement(&format!("CREATE DATABASE {}", place.name));
        place
    }
    fn url(&self) -> String {
        let mut url = Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.into()
    }
    fn statement(&self, sql: &str) {
        use diesel::Connection as _;
        use diesel::connection::SimpleConnection as _;
        let mut connection = diesel::PgConnection::establish(&self.server).expect("the server answers");
        connection.batch_execute(sql).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.statement(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// The two clocks of a machine.
struct Clocks {
    wall: Arc<ManualClock>,
    monotonic: Arc<ManualClock>,
}

impl Sources for Clocks {
    fn wall(&self) -> Timestamp {
        self.wall.now()
    }
    fn monotonic(&self) -> Duration {
        self.monotonic.now().since(Timestamp(0))
    }
}

/// What strangers must not be able to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    pub accounts: usize,
    pub identities: usize,
    pub sessions: usize,
    pub grants: usize,
    pub events: usize,
}

impl House {
    /// With the files as they are above.
    pub async fn open() -> Self {
        Self::with(|config, providers| (config, providers)).await
    }

    /// With the files changed.
    pub async fn with(change: impl FnOnce(String, String) -> (String, String)) -> Self {
        Self::on(change, None).await
    }

    /// The same on a new database of the PostgreSQL server that `COUNTERSIGN_TEST_POSTGRES` names, if it does.
    pub async fn on_postgres(change: impl FnOnce(String, String) -> (String, String)) -> Option<Self> {
        let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            eprintln!("SKIPPED on PostgreSQL: COUNTERSIGN_TEST_POSTGRES is not set");
            return None;
        };
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("countersign_signin_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        Some(Self::on(change, Some(Place::new(server, name))).await)
    }

    async fn on(change: impl FnOnce(String, String) -> (String, String), place: Option<Place>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let (globex, friendbook) = (Standin::start(clock.clone()), Standin::start(clock.clone()));
        let public = TcpListener::bind("127.0.0.1:0").unwrap();
        let management = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
        let (config, providers) = change(CONFIG.to_owned(), PROVIDERS.to_owned());
        let config = config.replace("{port}", &port(&public)).replace("{management}", &port(&management));
        let providers =
            providers.replace("{globex}", globex.origin()).replace("{friendbook}", friendbook.origin());
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &config, &providers);
        let running = Arc::new(ManualClock::new(Timestamp(0)));
        let clocks = Clocks { wall: clock.clone(), monotonic: running.clone() };
        let context = Context::new(Arc::new(SteadyClock::over(clocks)), Arc::new(SystemEntropy));
        let loaded = load(&inputs(folder.path())).unwrap_or_else(|report| panic!("{}", report.render(false)));
        let upstreams =
            loaded.providers.build(&context, None).unwrap_or_else(|r| panic!("{}", r.render(false)));
        let mut settings = (*loaded.settings).clone();
        if let countersign::config::settings::Database::Sqlite { path, .. } = &mut settings.database {
            *path = folder.path().join("countersign.sqlite3");
        }
        if let Some(place) = &place {
            let url = place.url().into();
            settings.database = countersign::config::settings::Database::Postgres { url, connections: 4 };
        }
        let store = Store::open(&settings.database).unwrap();
        store.migrate().unwrap();
        let app = App::start(context, store, Arc::new(settings), Arc::new(upstreams)).await.unwrap();
        for entry in app.now().upstreams.iter() {
            let _ = entry.upstream.warm(&app.context).await;
        }
        let ports = [port(&public), port(&management)];
        let serving = Serving::start(app.clone(), Listeners { public: vec![public], management }).unwrap();
        let stop = serving.handles();
        tokio::spawn(serving.finished());
        Self {
            app,
            clock,
            running,
            globex,
            friendbook,
            origin: format!("http://localhost:{}", ports[0]),
            management: format!("http://127.0.0.1:{}", ports[1]),
            folder,
            files: [config, providers],
            stop,
            _place: place,
        }
    }

    /// Puts another house at the same addresses, as a restart would.
    pub async fn serve_instead(&mut self, app: Arc<App>) {
        for handle in &self.stop {
            handle.stop(false).await;
        }
        let bind = |origin: &str| {
            TcpListener::bind(format!("127.0.0.1:{}", origin.rsplit(':').next().unwrap())).unwrap()
        };
        let (public, management) = (bind(&self.origin), bind(&self.management));
        let serving = Serving::start(app.clone(), Listeners { public: vec![public], management }).unwrap();
        self.stop = serving.handles();
        tokio::spawn(serving.finished());
        self.app = app;
    }

    /// Puts changed files in force, as a reload would.
    pub async fn reload(&mut self, change: impl FnOnce(String, String) -> (String, String)) {
        let [config, providers] = self.files.clone();
        let (config, providers) = change(config, providers);
        write(self.folder.path(), &config, &providers);
        let loaded = load(&inputs(self.folder.path())).unwrap_or_else(|r| panic!("{}", r.render(false)));
        let before = self.app.now();
        let upstreams = loaded.providers.build(&self.app.context, Some(&before.upstreams)).unwrap();
        self.app.reload(loaded.settings, Arc::new(upstreams)).await.unwrap();
        self.files = [config, providers];
    }

    /// Puts another issuer in the place of one, under the same provider id.
    pub async fn point(&mut self, from: &str, to: &str) {
        let (from, to) = (format!("issuer = \"{from}\""), format!("issuer = \"{to}\""));
        self.reload(|config, providers| (config, providers.replace(&from, &to))).await;
    }

    /// Reads changed files as a reload would, and tells what is wrong with them.
    pub fn try_files(&self, change: impl FnOnce(String, String) -> (String, String)) -> Result<(), String> {
        let [config, providers] = self.files.clone();
        let (changed, others) = change(config.clone(), providers.clone());
        write(self.folder.path(), &changed, &others);
        let read = load(&inputs(self.folder.path()));
        write(self.folder.path(), &config, &providers);
        read.map(drop).map_err(|report| report.render(false))
    }

    /// An absolute address of the broker.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Moves the clock on.
    pub fn wait(&self, by: Duration) {
        self.running.advance(by);
        self.clock.advance(by);
    }

    /// Sets the clock, which is no passing of time.
    pub fn set_clock(&self, milliseconds: i64) {
        self.clock.set(Timestamp(self.clock.now().0 + milliseconds));
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// All accounts.
    pub async fn accounts(&self) -> Vec<Account> {
        self.app.store.read::<_, StoreError, _>(|tx| tx.list_accounts("", None, 1000)).await.unwrap()
    }

    /// What is stored.
    pub async fn rows(&self) -> Rows {
        let read = self.app.store.read::<_, StoreError, _>(|tx| {
            let accounts = tx.list_accounts("", None, 1000)?;
            let mut rows = Rows {
                accounts: accounts.len(),
                identities: 0,
                sessions: 0,
                grants: 0,
                events: tx.audit(None, 10_000)?.len(),
            };
            for account in &accounts {
                rows.identities += tx.identities_of(&account.id)?.len();
                rows.sessions +=
                    tx.sessions_of(&account.id)?.iter().filter(|s| s.revoked_at.is_none()).count();
                rows.grants += tx.grants_of(&account.id)?.len();
            }
            Ok(rows)
        });
        read.await.unwrap()
    }

    /// Asks all providers ahead of need, as the broker does by itself after a while.
    pub async fn warm(&self) {
        for entry in self.app.now().upstreams.iter().filter(|entry| entry.policy.enabled) {
            entry.upstream.warm(&self.app.context).await.unwrap();
        }
    }

    /// What an administrator may do, named Olga.
    pub fn desk(&self) -> Desk {
        Desk {
            context: self.app.context.clone(),
            store: self.app.store.clone(),
            settings: self.app.now().settings.clone(),
            providers: BTreeSet::new(),
            admin: "olga".to_owned(),
        }
    }

    /// Refusals, the newest first.
    pub async fn refusals(&self) -> Vec<KeptRefusal> {
        self.app.store.read::<_, StoreError, _>(|tx| tx.refusals(1000)).await.unwrap()
    }

    /// The kinds of all audit events but those of keys, the oldest first, each with its reason.
    pub async fn events(&self) -> Vec<(String, Option<String>)> {
        let mut events = self.app.store.read::<_, StoreError, _>(|tx| tx.audit(None, 10_000)).await.unwrap();
        events.reverse();
        let events = events.into_iter().map(|r| (r.event.kind.as_str().to_owned(), r.event.reason));
        events.filter(|(kind, _)| !kind.starts_with("key.")).collect()
    }
}

fn write(folder: &Path, config: &str, providers: &str) {
    std::fs::write(folder.join("countersign.toml"), config).unwrap();
    std::fs::write(folder.join("providers.toml"), providers).unwrap();
}

fn inputs(folder: &Path) -> Inputs {
    let mut inputs = Inputs::new(folder.join("countersign.toml"), None);
    inputs.env = Arc::new(|name| {
        let value = match name {
            "MASTER_KEY" => "CKJazu8f9vdMNehKHTFxoYmOD6pGVuOWBHEkQ5nevXk",
            "FIRST_SECRET" => "first-secret-of-the-tests-0123456789",
            "STANDIN_SECRET" => CLIENT_SECRET,
            _ => return None,
        };
        Some(value.to_owned())
    });
    inputs
}

/// The address of an authorization request.
pub fn authorize(house: &House, client: &str, more: &[(&str, &str)]) -> String {
    let redirect =
        if client == "first" { "http://localhost:8084/callback" } else { "http://127.0.0.1:7777/callback" };
    let mut url = Url::parse(&house.at("/authorize")).unwrap();
    let named = |name: &str| more.iter().any(|(n, _)| *n == name);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect),
        ("scope", "openid email"),
        ("state", "the-app's-state"),
        ("nonce", "the-app's-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ] {
        if !named(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    for (name, value) in more.iter().filter(|(_, value)| !value.is_empty()) {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.to_string()
}

/// From the app's request to the moment when the browser has left for the provider; gives the request that
/// the provider gets.
pub async fn depart(house: &House, visitor: &mut Visitor, provider: &str, url: &str) -> Url {
    let to = visitor.get(url).await.location();
    if to.path() != "/sign-in" {
        return to;
    }
    let page = visitor.get(to.as_str()).await;
    assert_eq!(page.status, 200, "{page:#?}");
    choose(house, visitor, &page, provider).await.location()
}

/// Presses a button of the list.
pub async fn choose(house: &House, visitor: &mut Visitor, page: &Answer, provider: &str) -> Answer {
    let form =
        [("flow", page.field("flow")), ("csrf", page.field("csrf")), ("provider", provider.to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    visitor.post(&house.at("/sign-in"), &form).await
}

/// The address of our callback with the provider's approval.
pub fn approval(house: &House, request: &Url) -> String {
    let standin =
        if request.as_str().starts_with(house.globex.origin()) { &house.globex } else { &house.friendbook };
    let answer = standin.approve(request);
    let callback = parameter(request, "redirect_uri").unwrap();
    Url::parse_with_params(&callback, &answer).unwrap().to_string()
}

/// A whole sign-in; gives the address at the app with its code.
pub async fn sign_in(house: &House, visitor: &mut Visitor, provider: &str, url: &str) -> Url {
    let request = depart(house, visitor, provider, url).await;
    let back = visitor.get(&approval(house, &request)).await.location();
    assert_eq!(back.path(), "/continue");
    visitor.get(back.as_str()).await.location()
}
