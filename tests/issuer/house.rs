//! A whole broker on an ephemeral port, with people who are signed in already, spoken to over HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::accounts::{
    Account, AccountEmail, AccountStatus, Assignment, EmailAddress, EmailProof, Profile, Provenance, Target,
};
use countersign::config::{Inputs, load};
use countersign::context::{Clock as _, Context, ManualClock, SystemEntropy, Timestamp};
use countersign::flow::App;
use countersign::http::{Listeners, Serving};
use countersign::ids::{AccountId, SessionId};
use countersign::sessions::{Proof, Session};
use countersign::store::{Store, StoreError};
use countersign::tokens::handle::{Handle, SessionSecret};
use serde_json::Value;
use sha2::Digest as _;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

pub const CALLBACK: &str = "http://localhost:9/cb";
pub const BYE: &str = "http://localhost:9/bye";
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const SETTINGS: &str = include_str!("countersign.toml");

/// Everything that any house of this process logs.
pub static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct IntoLog;

impl std::io::Write for IntoLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub struct House {
    pub app: Arc<App>,
    pub issuer: String,
    pub clock: Arc<ManualClock>,
    http: reqwest::Client,
    directory: tempfile::TempDir,
    stop: [actix_web::dev::ServerHandle; 2],
    _place: Option<Place>,
}

/// A database on a server, which goes with its house.
struct Place {
    server: String,
    name: String,
}

impl Place {
    fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).unwrap();
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

/// A person with a live session.
#[derive(Clone)]
pub struct SignedIn {
    pub account: AccountId,
    pub session: SessionId,
    pub cookie: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
    pub fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned()
    }
    /// Status and OAuth error code.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.text("error"))
    }
    /// Parameters of the address that it redirects to, which must begin with `to`.
    pub fn redirect(&self, to: &str) -> HashMap<String, String> {
        assert_eq!(self.status, 303, "{self:?}");
        let location = self.header("location").unwrap();
        assert!(location.starts_with(to), "{location}");
        url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
    }
}

impl House {
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// A house with more lines in its configuration.
    pub async fn with(more: &str) -> Self {
        Self::on(more, None, "").await
    }

    /// A house as it would be in production, but for its address: nothing of development is allowed.
    pub async fn strict(more: &str) -> Self {
        let settings =
            SETTINGS.replace("development = true\n", "").replace("file:master.key", "env:MASTER_KEY");
        Self::from_settings(&settings, more, None, "").await
    }

    /// A house whose issuer has a path.
    pub async fn at(path: &str) -> Self {
        Self::on("", None, path).await
    }

    /// A house on a new database of the PostgreSQL server that `COUNTERSIGN_TEST_POSTGRES` names, if it does.
    pub async fn on_postgres(more: &str) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            eprintln!("SKIPPED on PostgreSQL: COUNTERSIGN_TEST_POSTGRES is not set");
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("countersign_issuer_{}_{count}", std::process::id());
        let place = Place { server, name };
        place.statement(&format!("CREATE DATABASE {}", place.name));
        Some(Self::on(more, Some(place), "").await)
    }

    async fn on(more: &str, place: Option<Place>, path: &str) -> Self {
        Self::from_settings(SETTINGS, more, place, path).await
    }

    async fn from_settings(settings: &str, more: &str, place: Option<Place>, path: &str) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
            let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
            log.with_ansi(false).with_writer(|| IntoLog).init();
        });
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (public, management) = (listen(), listen());
        let issuer = format!("http://localhost:{}{path}", public.local_addr().unwrap().port());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("countersign.toml");
        let mut settings = settings.replace("ISSUER", &issuer);
        if more.contains("[limits]") {
            settings = settings.replace("[limits]\nrate_limit = false\n", "");
        }
        std::fs::write(&file, settings + more).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000)));
        let context = Context::new(clock.clone(), Arc::new(SystemEntropy));
        let url = place.as_ref().map(Place::url);
        let inputs = Inputs {
            env: Arc::new(move |name| match name {
                "DATABASE_URL" => url.clone(),
                "MASTER_KEY" => Some("CKJazu8f9vdMNehKHTFxoYmOD6pGVuOWBHEkQ5nevXk".to_owned()),
                _ => name.strip_prefix("SECRET_").map(|of| secret_of(&of.to_lowercase())),
            }),
            create_keys: Some(context.clone()),
            ..Inputs::new(file, None)
        };
        let loaded = load(&inputs).unwrap_or_else(|report| panic!("{report:?}"));
        let store = Store::open(&loaded.settings.database).unwrap();
        store.migrate().unwrap();
        let upstreams = Arc::new(loaded.providers.build(&context, None).unwrap());
        let app = App::start(context, store, loaded.settings, upstreams).await.unwrap();
        let serving = Serving::start(app.clone(), Listeners { public: vec![public], management }).unwrap();
        let stop = serving.handles();
        tokio::spawn(serving.finished());
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { app, issuer, clock, http, directory, stop, _place: place }
    }

    /// Runs one transaction.
    pub async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut countersign::store::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.app.store.write(f).await.unwrap()
    }

    /// Makes an account in the group `engineers`, and signs it in.
    pub async fn sign_in(&self, name: &str) -> SignedIn {
        let (context, now) = (&self.app.context, self.clock.now());
        let account = Account {
            id: context.account_id(),
            status: AccountStatus::Active,
            profile: Profile { name: Some(name.to_owned()), ..Profile::default() },
            emails: vec![AccountEmail {
                address: EmailAddress::parse(&format!("{name}@globex.example")).unwrap(),
                proof: Some(EmailProof::Code),
                lapsed: None,
                primary: true,
            }],
            created_at: now,
            updated_at: now,
        };
        let secret = Handle::<SessionSecret>::new(context);
        let session = Session {
            id: context.session_id(),
            account: account.id.clone(),
            proofs: vec![Proof {
                issuer: String::new(),
                provider: "globex".parse().unwrap(),
                identity: context.identity_id(),
                auth_time: now,
                auth_time_asserted: true,
                acr: None,
                amr: vec!["pwd".to_owned()],
                upstream_session: None,
                upstream_name: None,
            }],
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(Duration::from_secs(3600 * 12)),
            revoked_at: None,
            browser: None,
        };
        let found = SignedIn {
            account: account.id.clone(),
            session: session.id.clone(),
            cookie: format!("cs_session={}", secret.expose()),
        };
        let digest = secret.digest();
        self.write(move |tx| {
            tx.insert_account(&account)?;
            let assignment = Assignment {
                target: Target::Group("engineers".parse().unwrap()),
                provenance: Provenance::Admin("test".to_owned()),
            };
            tx.add_assignment(&account.id, &assignment, now)?;
            tx.insert_session(&session, &digest)
        })
        .await;
        found
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.issuer)), headers).await
    }
    /// Gets an absolute address.
    pub async fn fetch(&self, url: &str) -> Answer {
        self.send(self.http.get(url), &[]).await
    }
    pub async fn fetch_with(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(self.http.get(url), headers).await
    }
    pub async fn head(&self, path: &str) -> Answer {
        self.send(self.http.head(format!("{}{path}", self.issuer)), &[]).await
    }
    pub async fn options(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let url = format!("{}{path}", self.issuer);
        self.send(self.http.request(reqwest::Method::OPTIONS, url), headers).await
    }
    /// Posts a form.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        self.post_raw(path, headers, &encode(form)).await
    }
    /// Posts a body, as a form unless the headers say otherwise.
    pub async fn post_raw(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.issuer)).body(body.to_owned());
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        self.send(request, headers).await
    }
    /// Sends JSON (or nothing), with a bearer token where there is one, to a path of ours or an absolute address.
    pub async fn json(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let url = if path.starts_with('/') { format!("{}{path}", self.issuer) } else { path.to_owned() };
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request, &[]).await
    }
    async fn send(&self, mut request: reqwest::RequestBuilder, headers: &[(&str, &str)]) -> Answer {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    /// Posts a form as a client with its secret.
    pub async fn call(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        self.post(path, &[("authorization", &basic(client))], form).await
    }
    pub async fn token(&self, client: &str, form: &[(&str, &str)]) -> Answer {
        self.call("/token", client, form).await
    }

    /// The code that a client gets for a signed-in person: from the authorization endpoint, with PKCE.
    pub async fn code(&self, person: &SignedIn, client: &str, scope: &str) -> String {
        self.code_with(person, client, scope, &[]).await
    }
    pub async fn code_with(
        &self,
        person: &SignedIn,
        client: &str,
        scope: &str,
        more: &[(&str, &str)],
    ) -> String {
        let mut query = vec![
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", scope),
            ("state", "s1"),
            ("nonce", "n1"),
        ];
        let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(VERIFIER.as_bytes()));
        if client != "legacy" {
            query.extend([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
        }
        query.extend(more);
        let answer = self.get(&format!("/authorize?{}", encode(&query)), &[("cookie", &person.cookie)]).await;
        let parameters = answer.redirect(CALLBACK);
        assert_eq!(parameters.get("iss"), Some(&self.issuer), "{parameters:?}");
        assert_eq!(parameters.get("state").map(String::as_str), Some("s1"));
        parameters.get("code").unwrap_or_else(|| panic!("{parameters:?}")).clone()
    }
    /// Redeems a code.
    pub async fn redeem(&self, client: &str, code: &str) -> Answer {
        self.token(
            client,
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", VERIFIER),
            ],
        )
        .await
    }
    /// Tokens for a signed-in person, by way of a code.
    pub async fn tokens(&self, person: &SignedIn, client: &str, scope: &str) -> Answer {
        let code = self.code(person, client, scope).await;
        let answer = self.redeem(client, &code).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
    pub async fn refresh(&self, client: &str, token: &str) -> Answer {
        self.token(client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }
    pub async fn userinfo(&self, token: &str) -> Answer {
        self.get("/userinfo", &[("authorization", &format!("Bearer {token}"))]).await
    }
    /// Whether a token is active, as an asker sees it.
    pub async fn is_active(&self, asker: &str, token: &str) -> bool {
        let answer = self.call("/introspect", asker, &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let active = body["active"].as_bool().unwrap();
        assert!(
            active || body.as_object().unwrap().len() == 1,
            "an inactive token is told nothing of: {body}"
        );
        active
    }
    /// The file of the database.
    pub fn database(&self) -> std::path::PathBuf {
        self.directory.path().join("countersign.sqlite3")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for handle in &self.stop {
            drop(handle.stop(false));
        }
    }
}

/// A client's secret in these tests.
pub fn secret_of(client: &str) -> String {
    format!("{client}-secret-of-the-tests-0123456789-0123456789")
}

pub fn basic(client: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client}:{}", secret_of(client))))
}

pub fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The claims of a JWT, not verified.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
