//! The program as operators meet it: commands, exit codes, output, reloading.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

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
    for word in
        ["serve", "check", "migrate", "client", "keys", "account", "group", "role", "trace", "Exit codes"]
    {
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
    assert_eq!(place.run(&["account", "suspend", "nobody@a.test"]).code, 1);
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
