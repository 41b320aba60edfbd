//! A stand-in provider on loopback: OpenID Connect and plain OAuth 2.0 in one, strict by itself, and
//! scriptable, so that a test makes each case from a valid, freshly signed answer by one named mutation.
//!
//! It approves whatever it is asked, as the person the script names. It checks client authentication,
//! redirect URI, single use of the code and PKCE as a real provider would, takes pushed and signed requests, and
//! demands them where the script says so. Every request is recorded.
#![allow(dead_code)] // each test binary uses its part

#[path = "standin/keys.rs"]
mod keys;
#[path = "standin/requests.rs"]
mod requests;
#[path = "standin/wire.rs"]
mod wire;

#[allow(unused_imports)] // each test binary uses its part
pub use keys::{Key, b64, hs256, signed_request};
#[allow(unused_imports)]
pub use wire::{Canary, Pace, Reply, Seen};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::context::Clock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;
use wire::{read_request, write_reply};

/// The client id that the stand-in knows.
pub const CLIENT_ID: &str = "countersign";
/// Its secret: with characters that RFC 6749 §2.3.1 wants form-encoded in a Basic header.
pub const CLIENT_SECRET: &str = "s3cret:with%odd+chars&more/é";

/// A mutation of something.
pub type Edit<T> = Box<dyn FnMut(&mut T) + Send>;

/// Whether a request to the token endpoint is the client's.
pub type Authenticates = Box<dyn FnMut(&Seen) -> bool + Send>;

fn same<T>() -> Edit<T> {
    Box::new(|_| {})
}

/// What the stand-in does otherwise than a sound provider.
pub struct Script {
    /// The person: the claims that the ID token and userinfo may show.
    pub person: Value,
    /// Claims of the person that the ID token has; userinfo has all.
    pub in_id_token: Vec<&'static str>,
    /// The keys that are published.
    pub keys: Vec<Key>,
    /// The key that signs.
    pub signer: Key,
    /// The client's secret.
    pub secret: String,
    /// Sign ID tokens with HS256 under that secret.
    pub shared: bool,
    /// How a client authenticates, if not by that secret.
    pub authenticates: Option<Authenticates>,
    /// Requests must be pushed, and discovery says so.
    pub pushed_only: bool,
    /// Requests must be objects that one of these keys of the client signed, and discovery says so.
    pub signed_only: Option<Value>,
    /// The answer to a pushed request.
    pub pushed: Edit<Reply>,
    /// Parameters of the authorization response.
    pub response: Edit<BTreeMap<String, String>>,
    /// The discovery document.
    pub discovery: Edit<Reply>,
    /// The key set.
    pub jwks: Edit<Reply>,
    /// Header and claims of the ID token, before it is signed.
    pub header: Edit<Value>,
    pub claims: Edit<Value>,
    /// The signed ID token.
    pub id_token: Edit<String>,
    /// The token endpoint's answer.
    pub token: Edit<Reply>,
    /// The answers of userinfo (`/userinfo`), profile (`/me`) and addresses (`/emails`).
    pub userinfo: Edit<Reply>,
    pub profile: Edit<Reply>,
    pub emails: Edit<Reply>,
}

impl Script {
    fn new() -> Self {
        let key = Key::rsa(0, "rsa-1");
        Self {
            person: json!({
                "sub": "alice-subject", "name": "Alice Adams", "email": "alice@globex.example",
                "email_verified": true, "groups": ["engineering", "all"], "id": "1001",
            }),
            in_id_token: vec!["name", "email", "email_verified", "groups"],
            keys: vec![key.clone()],
            signer: key,
            secret: CLIENT_SECRET.to_owned(),
            shared: false,
            authenticates: None,
            pushed_only: false,
            signed_only: None,
            pushed: same(),
            response: same(),
            discovery: same(),
            jwks: same(),
            header: same(),
            claims: same(),
            id_token: same(),
            token: same(),
            userinfo: same(),
            profile: same(),
            emails: same(),
        }
    }
}

struct Pending {
    query: BTreeMap<String, String>,
}

struct Shared {
    origin: String,
    tls: Option<Arc<ServerConfig>>,
    clock: Arc<dyn Clock>,
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    codes: Mutex<BTreeMap<String, Pending>>,
    pushed: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    objects: Mutex<Vec<Value>>,
    tokens: Mutex<BTreeMap<String, ()>>,
    issued: Mutex<Vec<String>>,
    /// Whether the requests that are held may go.
    let_go: (Mutex<bool>, Condvar),
    count: Mutex<u64>,
}

/// The running stand-in. Its threads end with the process.
#[derive(Clone)]
pub struct Standin {
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Standin {
    /// Starts on a port of the system's choice. Times in its tokens come from `clock`.
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        Self::start_with(clock, None)
    }

    /// The same over TLS, as `https://provider.localhost:PORT`, with a certificate of the authority in
    /// `tls/ca.pem`.
    pub fn start_tls(clock: Arc<dyn Clock>) -> Self {
        let (chain, key) = (include_bytes!("tls/provider.pem"), include_bytes!("tls/provider.key.pem"));
        Self::start_tls_as(clock, chain, key)
    }

    /// The same by another certificate and its key, in PEM form.
    pub fn start_tls_as(clock: Arc<dyn Clock>, chain: &[u8], key: &[u8]) -> Self {
        let chain = CertificateDer::pem_slice_iter(chain).map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), key)
            .unwrap();
        Self::start_with(clock, Some(Arc::new(config)))
    }

    fn start_with(clock: Arc<dyn Clock>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            origin: match tls {
                None => format!("http://{address}"),
                Some(_) => format!("https://provider.localhost:{}", address.port()),
            },
            tls,
            clock,
            script: Mutex::new(Script::new()),
            seen: Mutex::default(),
            codes: Mutex::default(),
            pushed: Mutex::default(),
            objects: Mutex::default(),
            tokens: Mutex::default(),
            issued: Mutex::default(),
            let_go: Default::default(),
            count: Mutex::default(),
        });
        let standin = Self { shared };
        let server = standin.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        standin
    }

    /// `http://127.0.0.1:PORT`, which is also its issuer.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }
    /// The script, to change it.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.shared.script)
    }
    /// Does away with all mutations.
    pub fn behave(&self) {
        *self.script() = Script::new();
    }
    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }
    /// How many requests went to a path.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.shared.seen).iter().filter(|seen| seen.path == path).count()
    }
    /// What nobody but the client may ever see: codes, access and ID tokens that were given out, and the secrets and
    /// verifiers that the client sent.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = lock(&self.shared.issued).clone();
        secrets.push(self.script().secret.clone());
        for seen in lock(&self.shared.seen).iter() {
            secrets.extend(seen.form.get("code_verifier").cloned());
            secrets.extend(seen.headers.get("authorization").cloned());
        }
        secrets
    }
    /// Lets go of all requests that are held ([`Pace::Held`]), now and from now on.
    pub fn let_go(&self) {
        let (mutex, told) = &self.shared.let_go;
        *lock(mutex) = true;
        told.notify_all();
    }
    /// Forgets all requests so far.
    pub fn forget(&self) {
        lock(&self.shared.seen).clear();
    }

    fn next(&self, what: &str) -> String {
        let mut count = lock(&self.shared.count);
        *count += 1;
        format!("{what}-{count}-{}", self.shared.origin.rsplit(':').next().unwrap_or_default())
    }

    /// What a browser would bring back from this authorization request: the parameters of the response.
    pub fn approve(&self, request: &Url) -> BTreeMap<String, String> {
        let sent: BTreeMap<String, String> = request.query_pairs().into_owned().collect();
        let (query, refused) = match self.request_of(&sent) {
            Ok(query) => (query, None),
            Err(error) => (sent, Some(error)),
        };
        let code = self.next("code");
        let mut answer = match refused {
            None => BTreeMap::from([("code".to_owned(), code.clone())]),
            Some(error) => BTreeMap::from([("error".to_owned(), error.to_owned())]),
        };
        if let Some(state) = query.get("state") {
            answer.insert("state".to_owned(), state.clone());
        }
        if request.path() == "/authorize" {
            answer.insert("iss".to_owned(), self.shared.origin.clone());
        }
        lock(&self.shared.issued).push(code.clone());
        lock(&self.shared.codes).insert(code, Pending { query });
        (self.script().response)(&mut answer);
        answer
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        match &self.shared.tls {
            None => self.converse(&mut stream),
            Some(config) => {
                let Ok(connection) = ServerConnection::new(config.clone()) else { return };
                self.converse(&mut StreamOwned::new(connection, stream));
            }
        }
    }

    fn converse(&self, stream: &mut (impl Read + Write)) {
        let Some(seen) = read_request(stream) else { return };
        lock(&self.shared.seen).push(seen.clone());
        let reply = self.answer(&seen);
        if reply.pace == Pace::Held {
            let (mutex, told) = &self.shared.let_go;
            drop(told.wait_while(lock(mutex), |go| !*go).unwrap_or_else(PoisonError::into_inner));
        }
        let _ = write_reply(stream, &reply);
        let _ = stream.flush();
    }

    fn answer(&self, seen: &Seen) -> Reply {
        match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "/.well-known/openid-configuration") => {
                let mut reply = Reply::json(200, &self.discovery());
                (self.script().discovery)(&mut reply);
                reply
            }
            ("GET", "/jwks") => {
                let keys: Vec<Value> = self.script().keys.iter().map(Key::jwk).collect();
                let mut reply = Reply::json(200, &json!({"keys": keys}));
                (self.script().jwks)(&mut reply);
                reply
            }
            ("GET", "/authorize" | "/dialog") => {
                let url =
                    Url::parse_with_params(&format!("{}{}", self.origin(), seen.path), &seen.query).unwrap();
                let answer = self.approve(&url);
                let to = seen.query.get("redirect_uri").cloned().unwrap_or_default();
                Reply::redirect(Url::parse_with_params(&to, &answer).unwrap().as_str())
            }
            ("POST", "/par") => {
                let mut reply = self.push(seen).unwrap_or_else(|error| error);
                (self.script().pushed)(&mut reply);
                reply
            }
            ("POST", "/token") => {
                let mut reply = self.token(seen).unwrap_or_else(|error| error);
                (self.script().token)(&mut reply);
                reply
            }
            ("GET", path @ ("/userinfo" | "/me" | "/emails")) => {
                let token = seen.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
                if !token.is_some_and(|token| lock(&self.shared.tokens).contains_key(token)) {
                    return Reply::json(401, &json!({"error": "invalid_token"}));
                }
                let mut script = self.script();
                let mut reply = match path {
                    "/emails" => Reply::json(
                        200,
                        &json!([
                            {"email": "old@hub.example", "primary": false, "verified": true},
                            {"email": "alice@hub.example", "primary": true, "verified": true},
                        ]),
                    ),
                    _ => Reply::json(200, &script.person),
                };
                match path {
                    "/userinfo" => (script.userinfo)(&mut reply),
                    "/me" => (script.profile)(&mut reply),
                    _ => (script.emails)(&mut reply),
                }
                reply
            }
            _ => Reply::json(404, &json!({"error": "not_found"})),
        }
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.shared.origin);
        let script = self.script();
        let mut document = json!({
            "issuer": self.shared.origin,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "userinfo_endpoint": at("/userinfo"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": true,
            "pushed_authorization_request_endpoint": at("/par"),
        });
        if script.pushed_only {
            document["require_pushed_authorization_requests"] = true.into();
        }
        if script.signed_only.is_some() {
            document["require_signed_request_object"] = true.into();
        }
        document
    }

    /// Whether the request is the client's own.
    fn is_clients(&self, seen: &Seen) -> bool {
        let field = |name: &str| seen.form.get(name).map(String::as_str);
        let (id, secret) = match seen
            .headers
            .get("authorization")
            .and_then(|value| value.strip_prefix("Basic "))
        {
            Some(basic) => {
                let text = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
                let (id, secret) = text.split_once(':').unwrap();
                let decode = |text: &str| {
                    url::form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned()
                };
                (decode(id), decode(secret))
            }
            None => (
                field("client_id").unwrap_or_default().to_owned(),
                field("client_secret").unwrap_or_default().to_owned(),
            ),
        };
        let mut script = self.script();
        let known = id == CLIENT_ID && secret == script.secret;
        script.authenticates.as_mut().map_or(known, |check| check(seen))
    }

    fn token(&self, seen: &Seen) -> Result<Reply, Reply> {
        let refuse = |status: u16, error: &str| Reply::json(status, &json!({"error": error}));
        let field = |name: &str| seen.form.get(name).map(String::as_str);
        if !self.is_clients(seen) {
            return Err(refuse(401, "invalid_client"));
        }
        let Some(pending) = lock(&self.shared.codes).remove(field("code").unwrap_or_default()) else {
            return Err(refuse(400, "invalid_grant"));
        };
        let asked = |name: &str| pending.query.get(name).map(String::as_str);
        if field("grant_type") != Some("authorization_code") || field("redirect_uri") != asked("redirect_uri")
        {
            return Err(refuse(400, "invalid_grant"));
        }
        if let Some(challenge) = asked("code_challenge") {
            let proof =
                digest::digest(&digest::SHA256, field("code_verifier").unwrap_or_default().as_bytes());
            if b64(proof) != challenge {
                return Err(refuse(400, "invalid_grant"));
            }
        }
        let access_token = self.next("access");
        lock(&self.shared.tokens).insert(access_token.clone(), ());
        lock(&self.shared.issued).push(access_token.clone());
        let mut body = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 300});
        if asked("scope").is_some_and(|scope| scope.split(' ').any(|scope| scope == "openid")) {
            body["id_token"] = self.id_token(&pending, &access_token).into();
        }
        Ok(Reply::json(200, &body))
    }

    fn id_token(&self, pending: &Pending, access_token: &str) -> String {
        let now = self.shared.clock.now().secs();
        let mut script = self.script();
        let mut claims = json!({
            "iss": self.shared.origin, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "auth_time": now - 5,
            "sub": script.person["sub"],
        });
        if let Some(nonce) = pending.query.get("nonce") {
            claims["nonce"] = nonce.clone().into();
        }
        let hash = digest::digest(&digest::SHA256, access_token.as_bytes());
        claims["at_hash"] = b64(&hash.as_ref()[..16]).into();
        for name in script.in_id_token.clone() {
            if let Some(value) = script.person.get(name) {
                claims[name] = value.clone();
            }
        }
        (script.claims)(&mut claims);
        let signer = script.signer.clone();
        let mut header = json!({"alg": signer.alg(), "typ": "JWT", "kid": signer.kid});
        if script.shared {
            header = json!({"alg": "HS256", "typ": "JWT"});
        }
        (script.header)(&mut header);
        let mut token = if script.shared {
            hs256(&header.to_string(), &claims.to_string(), script.secret.as_bytes())
        } else {
            signer.token(&header.to_string(), &claims.to_string())
        };
        (script.id_token)(&mut token);
        lock(&self.shared.issued).push(token.clone());
        token
    }
}
