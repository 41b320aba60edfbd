//! The program as operators meet it: commands, exit codes, output, reloading.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "support/house.rs"]
mod house;
#[path = "cli/saml.rs"]
mod saml;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "support/standin.rs"]
mod standin;

const CONFIG: &str = r#"
issuer = "http://localhost:8080"
development = true
master_key = "file:master.key"
[[client]]
id = "declared"
public = true
redirect_uris = ["http://127.0.0.1/callback"]
[roles.editor]
permissions = ["notes:write"]
"#;

const PROVIDERS: &str = r#"
[[provider]]
id = "closed"
kind = "oidc"
name = "Closed"
issuer = "http://127.0.0.1:9"
client_id = "countersign"
client_secret = "file:master.key"
provisioning = "open"
allow_loopback = true
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("countersign.toml"), config).unwrap();
        Self(folder)
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.current_dir(self.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("DATABASE_URL").env_remove("COUNTERSIGN_CONFIG").env_remove("RUST_LOG");
        command.env("USER", "olga");
        command
    }
    fn run(&self, arguments: &[&str]) -> Said {
        Said::new(self.command(arguments).output().unwrap())
    }
    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn help_is_complete_and_usage_errors_have_their_code() {
    let place = Place::new(CONFIG);
    let help = place.run(&["--help"]);
    assert_eq!(help.code, 0);
    for word in [
        "serve",
        "check",
        "migrate",
        "client",
        "registration-token",
        "keys",
        "saml-key",
        "account",
        "session",
        "group",
        "role",
        "trace",
        "new-epoch",
        "Exit codes",
    ] {
        assert!(help.out.contains(word), "{word}");
    }
    assert!(place.run(&["--version"]).out.starts_with("countersign "));
    assert_eq!(place.run(&["nonsense"]).code, 2);
    assert_eq!(place.run(&["trace", "x"]).code, 2);
    assert_eq!(place.run(&["account", "grant", "ann"]).code, 2, "a group or role is needed");
}

#[test]
fn check_reports_everything_and_writes_nothing() {
    let place = Place::new(CONFIG);
    let good = place.run(&["check"]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(good.out.contains("1 client"), "{}", good.out);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "no key, no database");

    let bad = Place::new(&format!("{CONFIG}[tokens]\nacess = \"5m\"\ncode = \"2m\"\n"));
    let said = bad.run(&["check"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("did you mean `access`?") && said.out.contains("2 errors"), "{}", said.out);
    let json: Value = serde_json::from_str(&bad.run(&["check", "--json"]).out).unwrap();
    assert_eq!(json["ok"], false);
    let problems = json["problems"].as_array().unwrap();
    let first = problems.iter().find(|p| p["code"] == "config.unknown_key").unwrap();
    assert_eq!((&first["line"], &first["column"]), (&12.into(), &1.into()), "{first}");
    assert_eq!(bad.run(&["client", "list"]).code, 1, "no command works on a bad configuration");
    assert_eq!(place.run(&["check", "--config", "no.toml"]).code, 1);
}

#[test]
fn registration_tokens_are_printed_once_and_listed_without_their_text() {
    let place = Place::new(CONFIG);
    place.json(&["migrate"]);
    let add =
        ["registration-token", "add", "--note", "shop", "--uses", "2", "--redirect-host", "*.shop.test"];
    let made = place.json(&add);
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("csit_"));
    let said = place.run(&["registration-token", "list"]);
    assert!(said.out.contains("shop") && said.out.contains("usable"), "{}", said.out);
    assert!(
        !said.out.contains(text) && !place.run(&["registration-token", "list", "--json"]).out.contains(text)
    );
    assert!(place.run(&add).out.contains("mode"), "nobody can use it while registration is closed");
    let id = made["id"].as_str().unwrap();
    assert_eq!(place.run(&["registration-token", "revoke", id]).code, 0);
    assert_eq!(place.run(&["registration-token", "revoke", id]).code, 1);
    assert!(place.run(&["registration-token", "list"]).out.contains("revoked"));
    assert_eq!(place.run(&["registration-token", "add", "--redirect-host", "https://x"]).code, 2);
}

#[test]
fn a_client_with_keys_gets_no_secret() {
    let place = Place::new(CONFIG);
    place.json(&["migrate"]);
    let arguments = ["client", "add", "portal", "--redirect-uri", "https://portal.test/cb"];
    let made = place.json(&[&arguments[..], &["--jwks-uri", "https://portal.test/jwks"]].concat());
    assert!(made.get("client_secret").is_none(), "{made}");
    assert_eq!(made["auth_methods"], serde_json::json!(["private_key_jwt"]));
    assert_eq!(place.run(&["client", "rotate-secret", "portal"]).code, 1);
    std::fs::write(place.path().join("keys.json"), r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
    let refused =
        place.run(&["client", "add", "bad", "--redirect-uri", "https://b.test", "--jwks", "keys.json"]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("private or secret"), "{}", refused.err);
}

#[test]
fn only_check_online_contacts_providers() {
    let place = Place::new(CONFIG);
    std::fs::write(place.path().join("providers.toml"), PROVIDERS).unwrap();
    std::fs::write(place.path().join("master.key"), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    assert_eq!(place.run(&["check"]).code, 0);
    let online = place.run(&["check", "--online"]);
    assert_eq!(online.code, 3, "{}{}", online.out, online.err);
    assert!(online.out.contains("closed:") && online.out.contains("net."), "{}", online.out);
    let json: Value = serde_json::from_str(&place.run(&["check", "--online", "--json"]).out).unwrap();
    assert_eq!(json["providers"][0]["ok"], false);
}

/// What only the secret itself shows is told with its place too, without the secret.
#[test]
fn check_tells_of_a_secret_by_which_nobody_could_sign_in() {
    let place = Place::new(CONFIG);
    std::fs::write(place.path().join("master.key"), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    std::fs::write(place.path().join("channel"), "0123456789abcdef").unwrap();
    let line = "[[provider]]\nid = \"line\"\npreset = \"line\"\nclient_id = \"1\"\nclient_secret = \"file:channel\"\n\
                provisioning = \"open\"\n";
    std::fs::write(place.path().join("providers.toml"), line).unwrap();
    let said = place.run(&["check"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("32 bytes at least") && said.out.contains("providers.toml:5:17"),
        "{}",
        said.out
    );
    assert!(!said.out.contains("0123456789abcdef"), "{}", said.out);
    std::fs::write(place.path().join("channel"), "0123456789abcdef0123456789abcdef").unwrap();
    let said = place.run(&["check"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn admin_007_a_secret_is_printed_once_and_what_is_declared_is_left_alone() {
    let place = Place::new(CONFIG);
    assert_eq!(place.run(&["client", "list"]).code, 3, "the database has no schema yet");
    assert_eq!(place.run(&["migrate", "--dry-run"]).code, 0);
    assert_eq!(place.json(&["migrate"])["done"], true);
    let made = place.json(&["client", "add", "shop", "--redirect-uri", "https://shop.test/callback"]);
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("cssec_"));
    for arguments in
        [["client", "show", "shop"].as_slice(), &["client", "list"], &["client", "show", "shop", "--json"]]
    {
        let said = place.run(arguments);
        assert_eq!(said.code, 0);
        assert!(said.out.contains("shop") && !said.out.contains(&secret), "{}", said.out);
        assert!(!said.out.contains("secret_hashes"));
    }
    let rotated = place.json(&["client", "rotate-secret", "shop", "--keep-previous"]);
    assert_ne!(rotated["client_secret"], made["client_secret"]);
    assert_eq!(rotated["secrets"], 2);
    let taken = place.run(&["client", "add", "shop", "--redirect-uri", "https://shop.test/callback"]);
    assert_eq!(taken.code, 1);
    let declared = place.run(&["client", "remove", "declared", "--json"]);
    assert_eq!(declared.code, 1);
    assert_eq!(serde_json::from_str::<Value>(&declared.err).unwrap()["error"], "declared");
    let told = ["--backchannel-logout-uri", "https://told.test/out", "--backchannel-logout-session-required"];
    let told =
        [["client", "add", "told", "--redirect-uri", "https://told.test/cb"].as_slice(), &told].concat();
    assert_eq!(place.json(&told)["logout"]["backchannel_uri"], "https://told.test/out");
    let report = place.json(&["client", "logout-report", "told"]);
    assert_eq!((&report["counts"]["waiting"], &report["troubles"]), (&0.into(), &serde_json::json!([])));
    assert!(place.run(&["client", "logout-report", "told"]).out.contains("delivered"));
    assert_eq!(place.run(&["client", "logout-report", "nobody"]).code, 1);
    assert_eq!(place.json(&["client", "sign-out", "told"])["logouts_queued"], 0);
    let front = ["--frontchannel-logout-uri", "https://elsewhere.test/out"];
    let front =
        [["client", "add", "front", "--redirect-uri", "https://front.test/cb"].as_slice(), &front].concat();
    assert_eq!(place.run(&front).code, 1, "not on the host of a redirect URI");
    let evil = place.run(&["client", "add", "evil", "--public", "--redirect-uri", "javascript:alert(1)"]);
    assert_eq!(evil.code, 1);
    assert!(evil.err.contains("javascript"), "{}", evil.err);
    assert_eq!(place.run(&["client", "remove", "shop"]).code, 0);
    assert_eq!(place.run(&["client", "show", "shop"]).code, 1);
}

#[test]
fn groups_roles_accounts_and_keys_can_be_kept_by_command() {
    let place = Place::new(CONFIG);
    place.json(&["migrate"]);
    place.json(&["role", "add", "auditor", "--permission", "audit:read"]);
    place.json(&["group", "add", "staff", "--role", "auditor", "--role", "editor"]);
    assert_eq!(place.json(&["group", "show", "staff"])["roles"], serde_json::json!(["auditor", "editor"]));
    assert_eq!(place.run(&["role", "remove", "auditor"]).code, 1, "the group has it");
    assert_eq!(place.run(&["group", "change", "staff", "--role", "editor"]).code, 0);
    assert_eq!(place.run(&["role", "remove", "auditor"]).code, 0);
    assert_eq!(place.json(&["account", "list"]), serde_json::json!([]));
    for command in ["suspend", "sign-out"] {
        assert_eq!(place.run(&["account", command, "nobody@a.test"]).code, 1);
    }
    assert_eq!(place.run(&["session", "list", "nobody@a.test"]).code, 1);
    assert_eq!(place.run(&["session", "end", "no-such-session-at-all"]).code, 1);
    let invited = place.json(&["account", "invite", "--email", "ann@a.test", "--group", "staff"]);
    assert!(invited["invitation"].as_str().unwrap().starts_with("csiv_"));
    let keys = place.json(&["keys", "rotate", "--alg", "es256"]);
    let states: Vec<&str> = keys.as_array().unwrap().iter().filter_map(|k| k["state"].as_str()).collect();
    assert_eq!(states.iter().filter(|s| **s == "active").count(), 3);
    assert_eq!(states.iter().filter(|s| **s == "next").count(), 1);
    assert_eq!(place.json(&["keys", "list"]), keys);
}

/// Ends the server when a test fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Asks until the answer contains the text.
fn until(address: SocketAddr, path: &str, text: &str) -> String {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = get(address, path).unwrap_or_default();
        if answer.contains(text) {
            return answer;
        }
        assert!(Instant::now() < patience, "{path} never said {text:?}; last:\n{answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn admin_009_a_running_server_takes_good_files_and_keeps_what_it_has_otherwise() {
    let (public, management) = (free_port(), free_port());
    let listeners = format!(
        "[public]\nlisten = \"127.0.0.1:{public}\"\n[management]\nlisten = \"127.0.0.1:{management}\"\n"
    );
    let config = format!("{CONFIG}{listeners}").replace("localhost:8080", &format!("localhost:{public}"));
    let place = Place::new(&config);
    let file = place.path().join("countersign.toml");
    let child = place.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut server = Server(child);
    let management = SocketAddr::from(([127, 0, 0, 1], management));
    until(management, "/ready", "\"ready\"");

    std::fs::write(&file, format!("{config}[tokens]\naccess = \"never\"\n")).unwrap();
    let stale = until(management, "/health", "configuration_stale");
    assert!(stale.contains("`access` is not a length of time"), "{stale}");
    assert!(until(management, "/metrics", "countersign_configuration_stale 1").contains("200 OK"));
    std::fs::write(&file, config.replace(&management.to_string(), "127.0.0.1:9")).unwrap();
    until(management, "/health", "`[management]` cannot change while running");
    std::fs::write(&file, format!("{config}[branding]\nname = \"Other\"\n")).unwrap();
    until(management, "/health", "\"ok\"");
    // a signal reads again even what did not change
    server.signal("-HUP");
    until(management, "/ready", "\"ready\"");

    server.signal("-TERM");
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

/// What injects into SQL, headers, logs, terminals, templates and paths, as far as it can stand in a form.
const NASTY: &[&str] = &[
    "' OR '1'='1",
    "\"; DROP TABLE accounts; --",
    "x'); DELETE FROM sessions; --",
    "a%0d%0aset-cookie: planted=1",
    "a\r\nset-cookie: planted=1\r\n\r\n<script>",
    "a\n2026-11-26T00:00:00Z  INFO forged line",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{9b}31m\u{202e}\u{2028}\u{7f}",
    "*)(uid=*))(|(uid=*",
    "{{ 7*7 }}${7*7}#{7*7}",
    "../../etc/passwd\0.png",
    "%s%n%x",
];

#[test]
fn admin_011_what_strangers_write_has_no_effect_anywhere() {
    let (public, management) = (free_port(), free_port());
    let listeners = format!(
        "[public]\nlisten = \"127.0.0.1:{public}\"\n[management]\nlisten = \"127.0.0.1:{management}\"\n"
    );
    let config = format!("{CONFIG}{listeners}").replace("localhost:8080", &format!("localhost:{public}"));
    let place = Place::new(&config);
    let log = place.path().join("log");
    let child = place
        .command(&["serve"])
        .env("RUST_LOG", "debug")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let server = Server(child);
    until(SocketAddr::from(([127, 0, 0, 1], management)), "/ready", "\"ready\"");
    let send = |request: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", public)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let head = format!("Host: localhost:{public}\r\nConnection: close\r\n");
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let fields = [
        (
            "/authorize",
            "client_id redirect_uri response_type scope state nonce prompt ui_locales login_hint claims max_age acr_values",
        ),
        ("/sign-in", "flow csrf provider"),
        ("/consent", "flow csrf decision"),
        ("/invitation", "token csrf"),
        ("/logout", "id_token_hint post_logout_redirect_uri state client_id csrf"),
        (
            "/token",
            "grant_type code redirect_uri code_verifier refresh_token scope client_id client_secret resource",
        ),
        ("/revoke", "token token_type_hint client_id client_secret"),
        ("/introspect", "token token_type_hint client_id client_secret"),
        ("/userinfo", "access_token"),
        (
            "/upstream/closed/callback",
            "code state error error_description error_uri iss RelayState SAMLResponse",
        ),
    ];
    let mut references = std::collections::BTreeSet::new();
    let mut seen = 0;
    let mut look = |answer: String| {
        let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer}")).to_owned();
        assert!(status.starts_with(['2', '3', '4']), "{answer}");
        let headers = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        assert!(!headers.contains("\r\nset-cookie: planted"), "{answer}");
        assert!(!answer.contains("<script>") && !answer.contains('\u{1b}'), "{answer}");
        for word in answer.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            if word.len() == 14 && word.split('-').all(|part| part.len() == 4) && word.split('-').count() == 3
            {
                references.insert(word.to_owned());
            }
        }
        seen += 1;
    };
    for (path, names) in fields {
        for nasty in NASTY {
            let value = encoded(nasty);
            // All fields at once, then the client's own with one that is right.
            let all: Vec<String> = names.split(' ').map(|name| format!("{name}={value}")).collect();
            let right =
                "client_id=declared&response_type=code&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback";
            let rest = all.iter().filter(|pair| !right.contains(pair.split('=').next().unwrap()));
            let some = rest.fold(right.to_owned(), |text, pair| text + "&" + pair);
            for form in [all.join("&"), some] {
                look(send(format!("GET {path}?{form} HTTP/1.1\r\n{head}\r\n")));
                look(send(format!(
                    "POST {path} HTTP/1.1\r\n{head}Content-Type: application/x-www-form-urlencoded\r\n\
                     Content-Length: {}\r\n\r\n{form}",
                    form.len()
                )));
            }
        }
    }
    // Headers and paths, as far as a request can have them there.
    for nasty in NASTY.iter().filter(|nasty| !nasty.contains(['\r', '\n', '\0', '\u{1b}', '\u{7f}'])) {
        for name in [
            "User-Agent",
            "Referer",
            "Cookie",
            "Authorization",
            "Origin",
            "X-Forwarded-For",
            "Accept-Language",
        ] {
            look(send(format!("GET /continue HTTP/1.1\r\n{head}{name}: {nasty}\r\n\r\n")));
        }
        look(send(format!("GET /static/{} HTTP/1.1\r\n{head}\r\n", encoded(nasty))));
        look(send(format!("GET /upstream/{}/callback HTTP/1.1\r\n{head}\r\n", encoded(nasty))));
    }
    assert!(seen > 400 && !references.is_empty(), "{seen} {references:?}");

    // The valid twin: the same server answers as before, and its tables are there.
    assert!(send(format!("GET /jwks HTTP/1.1\r\n{head}\r\n")).starts_with("HTTP/1.1 200"));
    assert_eq!(place.json(&["account", "list"]), serde_json::json!([]));
    // Nothing that an operator looks at acts on a terminal.
    let unruly = |text: &str| {
        text.chars().any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}'))
    };
    for reference in references.iter().take(40) {
        for said in [place.run(&["trace", reference]), place.run(&["trace", reference, "--json"])] {
            assert!(said.code == 0 && !unruly(&said.out), "{:?}", said.out);
        }
    }
    for nasty in NASTY.iter().filter(|nasty| !nasty.contains('\0')) {
        for arguments in [
            ["account", "show", nasty].as_slice(),
            &["account", "list", "--search", nasty],
            &["client", "show", nasty],
            &["client", "add", nasty, "--public", "--redirect-uri", "http://127.0.0.1/callback"],
            &[
                "client",
                "add",
                "named",
                "--name",
                nasty,
                "--public",
                "--redirect-uri",
                "http://127.0.0.1/callback",
            ],
            &["client", "list"],
            &["client", "list", "--json"],
            &["client", "remove", "named"],
            &["role", "add", nasty],
            &["group", "add", nasty],
            &["account", "invite", "--email", nasty],
        ] {
            let said = place.run(arguments);
            assert!(!unruly(&said.out) && !unruly(&said.err), "{arguments:?} {:?} {:?}", said.out, said.err);
            assert!(said.code <= 2, "{arguments:?} {}", said.err);
        }
    }
    drop(server);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!unruly(&log));
    for line in log.lines() {
        assert!(line.starts_with("20") && line.contains('T'), "a line of its own: {line:?}");
        assert!(!line.starts_with("2026-11-26T00:00:00Z"), "{line:?}");
    }
}

#[test]
fn a_server_with_a_bad_configuration_does_not_start() {
    let place = Place::new(&format!("{CONFIG}[tokens]\naccess = 5\n"));
    let said = place.run(&["serve"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("countersign.toml:12:10"), "{}", said.err);
    let json = place.run(&["serve", "--log-format", "json"]);
    assert_eq!(json.code, 1);
    let lines: Vec<Value> = json.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "ERROR" && line["line"] == 12), "{}", json.err);
}

#[test]
fn a_saml_key_is_made_once_and_for_its_owner_alone() {
    let place = Place::new(CONFIG);
    let made = place.json(&["saml-key", "acme.key.pem", "--name", "login.example", "--years", "2"]);
    let file = place.path().join("acme.key.pem");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"), "a private key first");
    assert!(text.contains(made["certificate"].as_str().unwrap()), "and its certificate");
    assert!(made["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(made["sha256"].as_str().unwrap().len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // never overwritten
    let again = place.run(&["saml-key", "acme.key.pem"]);
    assert_eq!(again.code, 1, "{}", again.err);
    assert!(again.err.contains("never overwritten"), "{}", again.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(place.run(&["saml-key", "no/such/folder/key.pem"]).code, 3);
    assert_eq!(place.run(&["saml-key", "x.pem", "--bits", "1024"]).code, 2);
    assert_eq!(place.run(&["saml-key", "x.pem", "--years", "31"]).code, 2);
    assert_eq!(place.run(&["saml-key", "x.pem", "--name", " "]).code, 1);
    assert!(!place.path().join("x.pem").exists());

    // and it is what the settings take
    let idp = place.json(&["saml-key", "idp.pem", "--bits", "3072"]);
    std::fs::write(place.path().join("idp.crt"), idp["certificate"].as_str().unwrap()).unwrap();
    let provider = |key: &str| {
        format!(
            "{PROVIDERS}\n[[provider]]\nid = \"acme\"\nkind = \"saml\"\nname = \"Acme\"\n\
             entity_id = \"https://id.acme.example\"\nsso_url = \"https://id.acme.example/sso\"\n\
             certificates = [\"file:idp.crt\"]\nkey = \"file:{key}\"\nprovisioning = \"open\"\n"
        )
    };
    std::fs::write(place.path().join("master.key"), "CKJazu8f9vdMNehKHTFxoYmOD6pGVuOWBHEkQ5nevXk").unwrap();
    std::fs::write(place.path().join("providers.toml"), provider("acme.key.pem")).unwrap();
    let right = place.run(&["check"]);
    assert_eq!(right.code, 0, "{}{}", right.out, right.err);
    std::fs::write(place.path().join("providers.toml"), provider("idp.crt")).unwrap();
    let wrong = place.run(&["check"]);
    assert_eq!(wrong.code, 1, "{}{}", wrong.out, wrong.err);
    let told = format!("{}{}", wrong.out, wrong.err);
    assert!(told.contains("there is no private key in it") && told.contains("providers.toml:"), "{told}");
}
