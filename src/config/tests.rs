//! Files, good and bad, and what is said about them.

mod assign;
mod claims;
mod documented;
mod people;
mod providers;

use super::load::{Inputs, Loaded, load};
use super::report::Report;
use crate::accounts::Target;
use crate::clients::{AuthMethod, GrantType};
use crate::config::settings::Database;
use crate::context::Context;
use crate::upstream::saml_key;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const HEAD: &str = "issuer = \"https://id.test\"\nmaster_key = \"env:MASTER_KEY\"\n";

const GLOBEX: &str = r#"[[provider]]
id = "globex"
kind = "oidc"
name = "Globex"
issuer = "https://globex.test"
client_id = "countersign"
client_secret = "env:STRONG"
authoritative_for = ["globex.test"]
provisioning = "open"
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "MASTER_KEY" => Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
        "STRONG" => Some("Jq3wWvX5r0nB8uZ1kT7yLm2cPf6hD9sE".to_owned()),
        "WEAK" => Some("demo-app-secret".to_owned()),
        _ => None,
    }
}

fn inputs(config: PathBuf) -> Inputs {
    Inputs { config, providers: None, env: Arc::new(env), create_keys: None }
}

fn read(folder: &Path, config: &str) -> Result<Loaded, Report> {
    let path = folder.join("countersign.toml");
    std::fs::write(&path, config).unwrap();
    if !folder.join("providers.toml").exists() {
        std::fs::write(folder.join("providers.toml"), GLOBEX).unwrap();
    }
    load(&inputs(path))
}

fn good(config: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    read(folder.path(), config).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

/// The report as people see it, without the folder's name.
fn said(config: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let report = match read(folder.path(), config) {
        Ok(loaded) => loaded.report,
        Err(report) => report,
    };
    report.render(false).replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_two_listeners_never_share_an_address() {
    let said_of = |public: &str, management: &str| {
        said(&format!(
            "{HEAD}[public]\nlisten = \"{public}\"\ntrusted_proxies = [\"10.0.0.1\"]\n{management}"
        ))
    };
    assert!(said_of("127.0.0.1:8089", "").contains("config.contradiction"));
    assert!(
        said_of("0.0.0.0:9000", "[management]\nlisten = \"127.0.0.1:9000\"").contains("config.contradiction")
    );
    for (public, management) in
        [("127.0.0.1:8080", ""), ("127.0.0.1:9000", "[management]\nlisten = \"127.0.0.2:9000\"")]
    {
        let said = said_of(public, management);
        assert!(!said.contains("config.contradiction"), "{said}");
    }
}

#[test]
fn little_is_needed_and_the_rest_has_defaults() {
    let settings = good(HEAD).settings;
    assert_eq!(settings.issuer.as_str(), "https://id.test");
    assert_eq!(settings.master_key.expose_secret(), b"0123456789abcdef0123456789abcdef");
    assert_eq!(settings.public.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(settings.tokens.code, Duration::from_secs(60));
    assert_eq!(settings.tokens.refresh_grace, Duration::ZERO);
    assert_eq!(settings.limits.requests_per_minute, Some(120));
    assert!(matches!(&settings.database, Database::Sqlite { path, .. } if path.ends_with("countersign.db")));
}

#[test]
fn everything_can_be_said() {
    let text = r##"
issuer = "http://localhost:8080"
development = true
master_key = "env:MASTER_KEY"

[public]
listen = ["127.0.0.1:8080", "[::1]:8080"]
trusted_proxies = ["10.0.0.1"]
workers = 2
[management]
listen = "127.0.0.1:8089"
[database]
url = "sqlite:data/broker.db"
readers = 2
[sessions]
idle = "1h"
absolute = "1d"
[tokens]
code = "30s"
access = "5m"
id = "5m"
refresh_idle = "7d"
refresh_absolute = "30d"
refresh_grace = "10s"
[keys]
rotate_every = "30d"
publish_ahead = "2d"
[sign_in]
lifetime = "10m"
max_open = 3
skew = "30s"
[limits]
rate_limit = false
body = 65536
refusals_kept = 100
[branding]
name = "House"
accent = "#0b57d0"
support = "mailto:help@id.test"
[scopes."notes.read"]
description = "Read your notes"
resources = ["urn:demo:api"]
[[client]]
id = "demo-app"
name = "Notes"
secret = "env:WEAK"
redirect_uris = ["http://localhost:8084/callback"]
scopes = "openid profile notes.read groups"
first_party = true
id_token_alg = "ES256"
[[client]]
id = "demo-spa"
public = true
redirect_uris = "http://127.0.0.1/callback"
[[client]]
id = "demo-service"
secret_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
grant_types = ["client_credentials"]
roles = ["editor"]
[[resource_server]]
id = "demo-api"
secret = "env:WEAK"
resource = "urn:demo:api"
default_audience = true
[groups.engineers]
description = "Those who build"
member_of = ["staff"]
roles = ["editor"]
[groups.staff]
[roles.editor]
permissions = ["notes:write"]
[[assign]]
email = "ann@example.com"
groups = ["staff"]
roles = ["editor"]
"##;
    let settings = good(text).settings;
    let app = settings.clients.get("demo-app").unwrap();
    assert_eq!(app.secret_hashes, [crate::tokens::handle::Digest::of("demo-app-secret").as_str()]);
    assert!(app.first_party && app.require_pkce && app.scope.contains("notes.read"));
    let spa = settings.clients.get("demo-spa").unwrap();
    assert!(spa.is_public() && spa.auth_methods.contains(&AuthMethod::None));
    let service = settings.clients.get("demo-service").unwrap();
    assert_eq!(service.grant_types.iter().collect::<Vec<_>>(), [&GrantType::ClientCredentials]);
    assert!(service.assignments.iter().any(|t| matches!(t, Target::Role(role) if role.as_str() == "editor")));
    assert!(settings.resource_servers.get("demo-api").unwrap().default_audience);
    assert_eq!(settings.limits.requests_per_minute, None);
    assert_eq!(settings.assignments.len(), 2);
    assert_eq!(settings.directory.groups.len(), 2);
}

/// A bad file: its name, what is written below the head (or everything, if it says `issuer`).
const BAD: &[(&str, &str)] = &[
    ("syntax", "[public\nlisten = 1\n[tokens]\naccess = \"1y\"\n"),
    ("syntax_beside_a_secret", "[[client]]\nid = \"a\"\nsecret = \"hunter2\n"),
    (
        "unknown_keys",
        "isuer = 1\n[public]\nlistn = \"127.0.0.1:80\"\ncolour = \"red\"\n[tokenz]\naccess = \"5m\"\n",
    ),
    (
        "unknown_key_with_a_secret",
        "[[client]]\nid = \"a\"\npublic = true\nredirect_uris = [\"https://a.test/\"]\nclient_secret = \"hunter2\"\n",
    ),
    (
        "wrong_types",
        "public = 1\nclient = 5\n[tokens]\naccess = 600\n[limits]\nbody = \"big\"\n[groups]\na = 1\n[branding]\nname = 3\n",
    ),
    (
        "bounds",
        "[tokens]\ncode = \"61s\"\naccess = \"2d\"\nid = \"10\"\n[limits]\nbody = -1\n[sessions]\nidle = \"3d\"\nabsolute = \"1d\"\n[keys]\nrotate_every = \"1d\"\npublish_ahead = \"1d\"\n",
    ),
    ("no_issuer", "issuer_ = \"x\"\n"),
    ("http_issuer", "issuer = \"http://id.test\"\nmaster_key = \"env:MASTER_KEY\"\n"),
    ("slash_issuer", "issuer = \"https://id.test/\"\nmaster_key = \"env:MASTER_KEY\"\n"),
    ("development_in_public", "development = true\n"),
    ("no_master_key", "issuer = \"https://id.test\"\n"),
    ("inline_master_key", "issuer = \"https://id.test\"\nmaster_key = \"hunter2\"\n"),
    ("unset_master_key", "issuer = \"https://id.test\"\nmaster_key = \"env:NOWHERE\"\n"),
    ("bad_master_key", "issuer = \"https://id.test\"\nmaster_key = \"env:WEAK\"\n"),
    ("plain_http", "[public]\nlisten = \"0.0.0.0:8080\"\n[management]\nlisten = \"[::]:9\"\n"),
    (
        "plain_http_in_development",
        "issuer = \"http://localhost:8080\"\nmaster_key = \"env:MASTER_KEY\"\n[public]\nlisten = \"0.0.0.0:8080\"\n",
    ),
    ("database", "[database]\nurl = \"mysql://root:hunter2@db/x\"\n"),
    ("database_password", "[database]\nurl = \"postgres://app:hunter2@db/countersign\"\n"),
    (
        "redirect_uris",
        "[[client]]\nid = \"a\"\npublic = true\nredirect_uris = [\n  \"https://a.test/cb#x\",\n  \"javascript:alert(1)\",\n  \"http://a.test/cb\",\n  \"myapp:/cb\",\n  \"https://*.a.test/cb\",\n  \"com.example.app:/cb\",\n]\n",
    ),
    (
        "private_scheme",
        "[[client]]\nid = \"a\"\nsecret = \"env:STRONG\"\nredirect_uris = [\"com.example.app:/cb\"]\n",
    ),
    (
        "client_contradictions",
        "[[client]]\nid = \"a\"\npublic = true\nsecret = \"env:STRONG\"\nredirect_uris = [\"https://a.test/cb\"]\ngrant_types = [\"authorization_code\", \"client_credentials\", \"password\", \"refresh\"]\nrequire_pkce = false\n[[client]]\nid = \"a\"\nredirect_uris = [\"https://a.test/cb\"]\n[[client]]\nid = \"b\"\nsecret = \"env:STRONG\"\n",
    ),
    (
        "auth_methods",
        "[[client]]\nid = \"a\"\nsecret = \"env:STRONG\"\nauth_methods = [\"client_secret_basic\", \"none\", \"private_key\"]\nredirect_uris = [\"https://a.test/cb\"]\n",
    ),
    (
        "weak_secret",
        "[[client]]\nid = \"a\"\nsecret = \"env:WEAK\"\nredirect_uris = [\"https://a.test/cb\"]\n",
    ),
    (
        "inline_secret",
        "[[client]]\nid = \"a\"\nsecret = \"hunter2\"\nredirect_uris = [\"https://a.test/cb\"]\n",
    ),
    (
        "resource_servers",
        "[[resource_server]]\nid = \"a\"\nsecret = \"env:STRONG\"\nresource = \"urn:a\"\ndefault_audience = true\n[[resource_server]]\nid = \"b\"\nsecret = \"env:STRONG\"\nresource = \"urn:a\"\ndefault_audience = true\n[[resource_server]]\nid = \"c\"\nsecret = \"env:STRONG\"\nresource = \"api\"\n",
    ),
    (
        "references",
        "[[client]]\nid = \"a\"\npublic = true\nredirect_uris = [\"https://a.test/cb\"]\nscopes = \"openid profil stats\"\nresources = [\"urn:b\"]\nroles = [\"admn\"]\n[groups.a]\nmember_of = [\"c\"]\nroles = [\"admn\"]\n[roles.admin]\n[[assign]]\nemail = \"a@b.test\"\ngroups = [\"z\"]\n",
    ),
    (
        "cycles",
        "[groups.a]\nmember_of = [\"b\"]\n[groups.b]\nmember_of = [\"c\"]\n[groups.c]\nmember_of = [\"a\"]\n[groups.d]\nmember_of = [\"d\"]\n",
    ),
    ("scopes", "[scopes.openid]\ndescription = \"x\"\n[scopes.\"a b\"]\ndescription = \"x\"\n[scopes.c]\n"),
    (
        "assign",
        "[[assign]]\ngroups = \"a\"\nprovider = \"globex\"\n[[assign]]\nemail = \"not an address\"\n[[assign]]\nroles = \"b\"\n",
    ),
    (
        "branding",
        "[branding]\nname = \"\"\naccent = \"blue\"\nlogo = \"logo.gif\"\nsupport = \"http://a.test\"\n",
    ),
];

#[test]
fn every_mistake_is_shown_with_its_place() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    let _bound = settings.bind_to_scope();
    for (name, config) in BAD {
        let config =
            if config.contains("issuer = ") { (*config).to_owned() } else { format!("{HEAD}{config}") };
        let said = said(&config);
        assert!(!said.contains("hunter2"), "{name} shows a secret:\n{said}");
        insta::assert_snapshot!(*name, said, &config);
    }
}

#[test]
fn a_missing_file_is_said_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let report = load(&inputs(folder.path().join("no.toml"))).unwrap_err();
    assert!(report.render(false).contains("no.toml cannot be read"), "{}", report.render(false));
    assert!(
        load(&inputs(folder.path().to_owned())).unwrap_err().render(false).contains("not a regular file")
    );
}

#[test]
fn in_development_the_master_key_is_made_at_the_start_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.toml");
    let text = "issuer = \"http://localhost:8080\"\ndevelopment = true\nmaster_key = \"file:state/key\"\n";
    std::fs::write(&path, text).unwrap();
    let mut inputs = inputs(path);
    assert!(load(&inputs).is_ok());
    assert!(!folder.path().join("state/key").exists(), "a check writes nothing");
    inputs.create_keys = Some(crate::context::Context::system());
    let first = load(&inputs).unwrap();
    let second = load(&inputs).unwrap();
    assert_eq!(first.settings.master_key.expose_secret(), second.settings.master_key.expose_secret());
    assert!(folder.path().join("state/key").exists());
}

#[test]
fn the_variable_database_url_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.toml");
    std::fs::write(&path, format!("{HEAD}[database]\nurl = \"sqlite:a.db\"\n")).unwrap();
    let env = |name: &str| match name {
        "DATABASE_URL" => Some("postgres://app:pw@db/x".to_owned()),
        other => env(other),
    };
    let inputs = Inputs { env: Arc::new(env), ..inputs(path) };
    let loaded = load(&inputs).unwrap();
    assert!(
        matches!(&loaded.settings.database, Database::Postgres { url, .. } if url.expose_secret().contains("app"))
    );
}

/// What is wrong in `providers.toml`: its name, and its text.
const BAD_PROVIDERS: &[(&str, &str)] = &[
    (
        "provider_keys",
        "[[provider]]\nid = \"Globex\"\nkind = \"oidc\"\nnam = \"Globex\"\nisuer = \"https://globex.test\"\nclient_id = 5\nclient_secret = \"hunter2\"\nprovisioning = \"opn\"\nhidden = \"no\"\ntimeout = \"1y\"\n[providers.x]\na = 1\n",
    ),
    (
        "provider_kind",
        "[[provider]]\nid = \"globex\"\nkind = \"oicd\"\nname = \"Globex\"\nprovisioning = \"open\"\n",
    ),
    (
        "provider_rules",
        "[[provider.map]]\nrule = \"a\"\ngroup = \"enginers\"\nwhen = \"claims.x ==\"\n[[provider.map]]\nrule = \"b\"\nwhen = \"true\"\n[[provider.map]]\nrule = \"c\"\ngroupe = \"x\"\nwhen = \"true\"\n[[provider.map]]\nrule = \"d\"\nrole = \"countersign:admin\"\nwhen = \"true\"\n",
    ),
    (
        "provider_references",
        "[[provider.map]]\nrule = \"a\"\ngroup = \"enginers\"\nwhen = \"claims.staff\"\n[[provider.map]]\nrule = \"b\"\nrole = \"editor\"\nwhen = \"claims.staff\"\n",
    ),
    (
        "provider_contradictions",
        "allow_loopback = true\nca_file = \"no.pem\"\n[[provider]]\nid = \"globex\"\nkind = \"oidc\"\nname = \"Again\"\nissuer = \"http://globex.test\"\nclient_id = \"a\"\nclient_secret = \"env:NOWHERE\"\nauthoritative_for = [\"a.test\", \"globex.test\"]\nprovisioning = \"open\"\n",
    ),
    (
        "provider_parameters",
        "[[provider]]\nid = \"pool\"\npreset = \"cognito\"\nscopes = 7\n\
         [[provider]]\nid = \"company\"\npreset = \"entra-saml\"\nname = \"Company\"\napplication = \"My App\"\nprovisioning = \"open\"\n\
         [[provider]]\nid = \"one\"\npreset = \"microsoft\"\ntenants = \"any\"\nclient_id = \"a\"\nclient_secret = \"env:STRONG\"\nprovisioning = \"open\"\n",
    ),
    ("provider_syntax", "client_secret_ = \"hunter2\nname =\n"),
];

#[test]
fn admin_010_every_mistake_in_the_file_of_providers_is_shown_with_its_place() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    let _bound = settings.bind_to_scope();
    for (name, text) in BAD_PROVIDERS {
        let text = if text.contains("kind") && !text.contains("ca_file") {
            (*text).to_owned()
        } else {
            format!("{GLOBEX}{text}")
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("providers.toml"), &text).unwrap();
        let config = format!(
            "{HEAD}[groups.engineers]\n[[client]]\nid = \"a\"\npublic = true\nredirect_uris = \"https://a.test/cb\"\nproviders = [\"globx\"]\n"
        );
        let report = read(folder.path(), &config).unwrap_err();
        let said = report.render(false).replace(&format!("{}/", folder.path().display()), "");
        assert!(!said.contains("hunter2"), "{name} shows a secret:\n{said}");
        insta::assert_snapshot!(*name, said, &text);
    }
}

#[test]
fn one_look_shows_mistakes_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "[[provider]]\nid = \"globex\"\nkind = \"oidc\"\nname = \"Globex\"\nisuer = \"https://globex.test\"\n\
        client_id = \"a\"\nclient_secret = \"env:NOWHERE_AT_ALL\"\nca_file = \"missing.pem\"\nallow_loopback = true\n";
    std::fs::write(folder.path().join("providers.toml"), wrong).unwrap();
    let said = read(folder.path(), HEAD).unwrap_err().render(false);
    for complaint in [
        "did you mean `issuer`?",
        "`issuer` is missing",
        "NOWHERE_AT_ALL, which is not set",
        "missing.pem cannot be read",
        "`allow_loopback` is only for development",
    ] {
        assert!(said.contains(complaint), "{complaint}\n{said}");
    }
}

/// Keys as protocols write them, and the one of which people must think.
#[test]
fn keys_under_their_names_in_protocols_lead_to_ours() {
    let folder = tempfile::tempdir().unwrap();
    let wanting = "[[provider]]\nid = \"globex\"\nkind = \"oidc\"\nname = \"Globex\"\nissuer = \"https://globex.test\"\n\
        client_id = \"a\"\nclient_secret = \"env:STRONG\"\n";
    std::fs::write(folder.path().join("providers.toml"), wanting).unwrap();
    let client =
        "[[client]]\nclient_id = \"app\"\nclient_name = \"App\"\nredirect_uris = [\"https://app.test/\"]\n";
    let said = read(folder.path(), &format!("{HEAD}{client}")).unwrap_err().render(false);
    for complaint in
        ["did you mean `id`?", "did you mean `name`?", "`provisioning` is missing", "provisioning = \"open\""]
    {
        assert!(said.contains(complaint), "{complaint}\n{said}");
    }
}

#[test]
fn providers_are_read_with_their_secrets() {
    let loaded = good(HEAD);
    assert_eq!(loaded.providers.list().len(), 1);
    assert_eq!(format!("{:?}", loaded.providers), "[ProviderId(\"globex\")]");
    assert!(loaded.report.files().paths().any(|path| path.ends_with("providers.toml")));
}

#[test]
fn without_a_file_of_providers_there_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.toml");
    std::fs::write(&path, HEAD).unwrap();
    let loaded = load(&inputs(path.clone())).unwrap();
    assert_eq!(loaded.report.summary(), "1 warning");
    std::fs::write(&path, format!("providers = \"p.toml\"\n{HEAD}")).unwrap();
    assert_eq!(load(&inputs(path.clone())).unwrap_err().to_json()[0].line, Some(1));
    let named = Inputs { providers: Some(folder.path().join("q.toml")), ..inputs(path) };
    assert!(load(&named).unwrap_err().lines()[0].contains("q.toml cannot be read"));
}

/// What the file holds is what counts, so that a reload knows another authority by an old name.
#[test]
fn a_changed_file_of_authorities_is_another_setting() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let config = format!("{HEAD}[client_network]\nca_file = \"ca.pem\"\n");
    let read_with = |content: &str| {
        std::fs::write(&ca, content).unwrap();
        let loaded = read(folder.path(), &config).unwrap_or_else(|report| panic!("{}", report.render(false)));
        loaded.settings.client_network.clone()
    };
    let first = read_with("one");
    assert!(first.ca_file.is_some());
    assert_eq!(read_with("one"), first);
    assert_ne!(read_with("two"), first);
    std::fs::remove_file(&ca).unwrap();
    let report = read(folder.path(), &config).err().unwrap().render(false);
    assert!(report.contains("config.file") && report.contains("ca.pem"), "{report}");
}

/// Pieces from which files are put together that are nearly right.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "issuer = ",
        "master_key = ",
        "[public]\n",
        "listen = ",
        "[[client]]\n",
        "id = ",
        "secret = ",
        "scopes = ",
        "redirect_uris = ",
        "[tokens]\n",
        "code = ",
        "[groups.a]\n",
        "member_of = ",
        "[roles.b]\n",
        "[[assign]]\n",
        "\"https://id.test\"\n",
        "\"env:MASTER_KEY\"\n",
        "\"a\"\n",
        "[\"a\", \"b\"]\n",
        "true\n",
        "\"10m\"\n",
        "-1\n",
        "{ a = 1 }\n",
        "\"\u{e9}\u{1f600}\"\n",
        "[",
        "\"",
        "'''",
        "\n",
        "]",
        "\0",
        "1979-05-27\n",
        "0x7fffffffffffffffff\n",
        "nan\n",
        "[database]\n",
        "url = ",
        "\"postgres://a:b@c/d\"\n",
        "[scopes.x]\n",
        "[limits]\n",
        "rate_limit = ",
    ];
    prop_oneof![8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,12}"]
}

fn provider_piece() -> impl Strategy<Value = String> {
    let words = [
        "[[provider]]\n",
        "[provider]\n",
        "[[provider.map]]\n",
        "preset = ",
        "\"cognito\"\n",
        "\"microsoft\"\n",
        "region = ",
        "user_pool = ",
        "tenant = ",
        "tenants = ",
        "[provider.profile]\n",
        "id = ",
        "kind = ",
        "name = ",
        "issuer = ",
        "client_secret = ",
        "provisioning = ",
        "when = ",
        "group = ",
        "rule = ",
        "timeout = ",
        "authoritative_for = ",
        "\"oidc\"\n",
        "\"oauth2\"\n",
        "\"globex\"\n",
        "\"https://id.test\"\n",
        "\"env:STRONG\"\n",
        "\"open\"\n",
        "\"5s\"\n",
        "[\"a.test\"]\n",
        "{ domains = [\"a.test\"] }\n",
        "{ filter = \"claims.é == \" }\n",
        "1\n",
        "true\n",
        "[[1]]\n",
        "\"\\u00e9(\"\n",
    ];
    prop_oneof![8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,12}"]
}

proptest! {
    #[test]
    fn no_file_of_providers_panics(pieces in proptest::collection::vec(provider_piece(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("providers.toml"), pieces.concat()).unwrap();
        if let Err(report) = read(folder.path(), HEAD) {
            report.render(true);
        }
    }

    #[test]
    fn no_file_panics(pieces in proptest::collection::vec(piece(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        match read(folder.path(), &pieces.concat()) {
            Ok(loaded) => { loaded.report.render(true); }
            Err(report) => {
                prop_assert!(report.has_errors());
                report.render(false);
                report.to_json();
            }
        }
    }
}

#[test]
fn the_demo_is_configured_without_a_complaint() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo");
    let folder = tempfile::tempdir().unwrap();
    let to = |name: &str| folder.path().join(name);
    std::fs::create_dir(to("secrets")).unwrap();
    for secret in std::fs::read_dir(demo.join("secrets")).unwrap() {
        let secret = secret.unwrap();
        std::fs::copy(secret.path(), to("secrets").join(secret.file_name())).unwrap();
    }
    for name in ["countersign.toml", "providers.toml"] {
        std::fs::copy(demo.join(name), to(name)).unwrap();
    }
    // what the demo makes at its first start
    let year = Duration::from_secs(365 * 86_400);
    let key = saml_key::make("demo", saml_key::Bits::Rsa2048, year, &Context::system()).unwrap();
    std::fs::write(to("secrets/acme.pem"), key.bundle.as_bytes()).unwrap();
    let loaded = load(&inputs(to("countersign.toml")));
    let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert!(loaded.report.problems().is_empty(), "{}", loaded.report.render(false));
    assert_eq!(loaded.providers.list().len(), 3);
    assert!(loaded.settings.limits.requests_per_minute.is_none());
}
