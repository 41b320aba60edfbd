//! The parts of `countersign.toml` about the server itself: addresses, database, keys, lifetimes, limits.

use super::read::Section;
use super::report::{At, Place, Problem};
use super::settings::{
    Branding, ClientNetworkSettings, Database, Issuer, KeySettings, Limits, PublicListener, SessionSettings,
    SignInSettings, TokenSettings, is_loopback,
};
use super::tls;
use super::values::{self, Bounds, Reference, ReferenceError, References, seconds};
use crate::context::Context;
use crate::outbound::Authorities;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What the rest of the file depends on.
pub struct Base {
    /// Our issuer.
    pub issuer: At<Issuer>,
    /// Whether shortcuts of development are allowed.
    pub development: bool,
}

/// `issuer` and `development`.
pub fn base(root: &Section<'_>) -> Option<Base> {
    let development = root.flag("development");
    let text = root.required_text("issuer", "issuer = \"https://id.example.com\"");
    let development_on = development.as_ref().is_some_and(|flag| flag.value);
    let text = text?;
    let issuer = match Issuer::parse(&text.value) {
        Ok(issuer) => issuer,
        Err(error) => {
            let help = match text.value.strip_prefix("http://") {
                Some(rest) if error.0.contains("https") => format!("write \"https://{rest}\""),
                _ if text.value.ends_with('/') => format!("write \"{}\"", text.value.trim_end_matches('/')),
                _ => "write, for example: issuer = \"https://id.example.com\"".to_owned(),
            };
            root.refuse(text.place, "config.issuer", error.to_string(), &help);
            return None;
        }
    };
    if let Some(flag) = development.filter(|flag| flag.value && !is_loopback(issuer.url())) {
        let problem = Problem::error(
            "config.development",
            flag.place,
            "`development = true` is only for an issuer on a loopback host",
        );
        let problem = problem.related(text.place, "this issuer can be reached by others");
        root.problems()
            .add(problem.help("remove `development`, or use an issuer such as \"http://localhost:8080\""));
    }
    Some(Base { issuer: At { value: issuer, place: text.place }, development: development_on })
}

/// Reads a secret by reference and reports why there is none. In the file itself it is never shown.
pub fn secret(section: &Section<'_>, key: &'static str, references: &References) -> Option<At<SecretString>> {
    let text = section.text(key)?;
    match references.resolve(&text.value) {
        Ok(secret) => Some(At { value: secret, place: text.place }),
        Err(error) => {
            report_reference(section, key, text.place, &error);
            None
        }
    }
}

/// Reports a reference that gave nothing.
pub fn report_reference(section: &Section<'_>, key: &str, place: Place, error: &ReferenceError) {
    let help = match error {
        ReferenceError::Inline => {
            section.problems().hide(place);
            format!(
                "put it into a file or a variable, and write `{key} = \"file:PATH\"` or `{key} = \"env:NAME\"`"
            )
        }
        ReferenceError::Name => "write \"env:NAME\" (letters, digits, '_') or \"file:PATH\"".to_owned(),
        ReferenceError::Unset(name) => format!("set {name} where `countersign` is started"),
        ReferenceError::Unreadable(..) => {
            "a relative path relates to the folder of this configuration file".to_owned()
        }
        ReferenceError::Empty(_) | ReferenceError::NotText(_) => String::new(),
    };
    section.refuse(place, "config.secret", format!("`{key}` {error}"), &help);
}

/// `master_key`. In development a missing file is made when `create` says so.
pub fn master_key(
    root: &Section<'_>,
    development: bool,
    references: &References,
    create: Option<&Context>,
) -> Option<SecretSlice<u8>> {
    if !root.has("master_key") {
        root.missing("master_key", "master_key = \"file:master.key\"");
    }
    let text = root.text("master_key")?;
    if let Ok(Reference::File(path)) = references.parse(&text.value) {
        if development && !path.exists() {
            let Some(context) = create else {
                // it will be made at the first start; until then one that nobody will ever know
                return Some(SecretSlice::from(Context::system().bytes::<32>().to_vec()));
            };
            if let Err(error) = values::create_master_key(&path, context) {
                let message = format!("`master_key`: {} cannot be made: {error}", path.display());
                root.refuse(text.place, "config.secret", message, "");
                return None;
            }
        }
        warn_if_readable_by_others(root, text.place, &path);
    }
    let secret = secret(root, "master_key", references)?;
    match values::master_key(secret.value.expose_secret()) {
        Ok(key) => Some(key),
        Err(rule) => {
            let help = if development {
                "remove the file, and it is made anew at the next start"
            } else {
                "make one: openssl rand -base64 32"
            };
            root.refuse(text.place, "config.master_key", format!("what `master_key` refers to {rule}"), help);
            None
        }
    }
}

#[cfg(unix)]
fn warn_if_readable_by_others(section: &Section<'_>, place: Place, path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(meta) = std::fs::metadata(path) else { return };
    if meta.permissions().mode() & 0o007 != 0 {
        let problem =
            Problem::warning("config.permissions", place, "others on this machine can read this file");
        section.problems().add(problem.help(format!("run: chmod 600 {}", path.display())));
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_: &Section<'_>, _: Place, _: &std::path::Path) {}

/// `[public]`.
pub fn public(root: &Section<'_>, base: Option<&Base>, references: &References) -> PublicListener {
    let port = base.and_then(|b| b.issuer.value.url().port()).unwrap_or(8080);
    let default = vec![SocketAddr::from(([127, 0, 0, 1], port))];
    let Some(section) = root.section("public") else {
        return PublicListener { listen: default, tls: None, trusted_proxies: Vec::new(), workers: 0 };
    };
    let listen = section.parsed_list("listen", address);
    let none = section.value("listen").and_then(|v| v.value.as_array()).is_some_and(|list| list.is_empty());
    if none {
        section.refuse(section.place_of("listen"), "config.value", "`listen` has no address", "");
    }
    let tls = section.section("tls");
    let speaks_tls = tls.is_some();
    let tls = tls.and_then(|section| tls::tls(section, references));
    let proxies = section.parsed_list("trusted_proxies", |text| {
        text.parse::<IpAddr>().map_err(|_| format!("\"{text}\" is not an IP address"))
    });
    let workers = section.number("workers", Bounds::new(0, 1024));
    if let (Some(base), Some(list)) = (base, &listen) {
        check_listen(&section, base, list, speaks_tls, proxies.as_ref().is_some_and(|p| !p.is_empty()));
    }
    if let Some(base) = base.filter(|b| !b.issuer.value.is_https() && speaks_tls) {
        let problem = Problem::error(
            "config.issuer",
            section.place_of("tls"),
            "the listener speaks TLS, but the issuer is http",
        );
        section.problems().add(problem.related(base.issuer.place, "write https here"));
    }
    section.finish();
    PublicListener {
        listen: listen.map_or(default, |list| list.into_iter().map(|at| at.value).collect()),
        tls,
        trusted_proxies: proxies.unwrap_or_default().into_iter().map(|at| at.value).collect(),
        workers: workers.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(0),
    }
}

/// Plain http that leaves the machine: fine behind a proxy, and a leak without one.
fn check_listen(section: &Section<'_>, base: &Base, listen: &[At<SocketAddr>], tls: bool, proxies: bool) {
    for at in listen.iter().filter(|at| !at.value.ip().is_loopback() && !tls) {
        if !base.issuer.value.is_https() {
            let message = "an http issuer must listen on loopback addresses only";
            section.refuse(at.place, "config.plain_http", message, "write, for example: \"127.0.0.1:8080\"");
        } else if !proxies {
            let message = "this listener is plain http and can be reached from other machines";
            let problem = Problem::warning("config.plain_http", at.place, message);
            let help = "add `[public.tls]`, or name the proxy in front of it in `trusted_proxies`";
            section.problems().add(problem.help(help));
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let parsed = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse(),
        None => text.parse(),
    };
    parsed.map_err(|_| {
        format!("\"{text}\" is not an address and port such as \"127.0.0.1:8080\" or \"[::]:8080\"")
    })
}

/// `[management]`.
pub fn management(root: &Section<'_>, public: &[SocketAddr]) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 8089));
    let section = root.section("management");
    let listen = section.as_ref().and_then(|section| section.parsed("listen", address));
    let chosen = listen.as_ref().map_or(default, |at| at.value);
    let taken = |ours: &&SocketAddr| {
        ours.port() == chosen.port()
            && chosen.port() != 0
            && (ours.ip() == chosen.ip() || ours.ip().is_unspecified() || chosen.ip().is_unspecified())
    };
    if let Some(ours) = public.iter().find(taken) {
        let place = listen.as_ref().map_or_else(|| root.place_of("public"), |at| at.place);
        let message = format!("the public listener ({ours}) and the management listener ({chosen}) are one");
        let help = "give them different ports; [management] listens on 127.0.0.1:8089 unless `listen` says otherwise";
        root.refuse(place, "config.contradiction", message, help);
    }
    let Some(section) = section else { return default };
    if let Some(at) = listen.as_ref().filter(|at| !at.value.ip().is_loopback()) {
        let message = "metrics and health can be reached from other machines, without a password";
        let problem = Problem::warning("config.management", at.place, message);
        section.problems().add(problem.help("make sure that a firewall or network policy stands before it"));
    }
    section.finish();
    chosen
}

/// `[database]`; the variable DATABASE_URL wins.
pub fn database(root: &Section<'_>, references: &References) -> Option<Database> {
    let section = root.section("database");
    let written = section.as_ref().and_then(|s| s.text("url"));
    let readers = section.as_ref().and_then(|s| s.number("readers", Bounds::new(1, 64)));
    let connections = section.as_ref().and_then(|s| s.number("connections", Bounds::new(1, 1000)));
    let readers = readers.and_then(|n| u32::try_from(n.value).ok()).unwrap_or(4);
    let connections = connections.and_then(|n| u32::try_from(n.value).ok()).unwrap_or(10);
    let place = written.as_ref().map_or(root.place(), |at| at.place);
    let mut at_fault = "`url`";
    let from_env = (references.env)("DATABASE_URL").filter(|url| !url.trim().is_empty());
    let url = match (from_env, written) {
        (Some(url), _) => {
            at_fault = "the environment variable DATABASE_URL";
            Some(SecretString::from(url.trim().to_owned()))
        }
        (None, Some(at)) if at.value.starts_with("env:") || at.value.starts_with("file:") => {
            section.as_ref().and_then(|s| secret(s, "url", references)).map(|at| at.value)
        }
        (None, Some(at)) => Some(SecretString::from(at.value)),
        (None, None) => {
            let known_wrong = section.as_ref().is_some_and(|s| s.has("url"));
            (!known_wrong).then(|| SecretString::from("sqlite:countersign.db".to_owned()))
        }
    };
    let report = |message: String, help: &str| {
        root.problems().hide(place);
        root.refuse(place, "config.database", message, help);
    };
    let database = url.and_then(|url| {
        let text = url.expose_secret();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') || path.contains(['?', '\0']) {
                report(format!("{at_fault} names no file"), "write, for example: \"sqlite:countersign.db\"");
                return None;
            }
            return Some(Database::Sqlite { path: references.path(path), readers });
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let Ok(parsed) = url::Url::parse(text) else {
                report(format!("{at_fault} is not a URL"), "write postgres://USER@HOST/DATABASE");
                return None;
            };
            let written_here = at_fault == "`url`" && root.source().contains(text);
            if written_here && parsed.password().is_some() {
                report(
                    "the database's password must not stand in the file itself".to_owned(),
                    "set the environment variable DATABASE_URL, or write `url = \"env:NAME\"` or \"file:PATH\"",
                );
                return None;
            }
            return Some(Database::Postgres { url, connections });
        }
        let help = "write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"";
        report(format!("{at_fault} names neither SQLite nor PostgreSQL"), help);
        None
    });
    if let Some(section) = section {
        section.finish();
    }
    database
}

/// `[sessions]`.
pub fn sessions(root: &Section<'_>) -> SessionSettings {
    let (idle, absolute) = (Duration::from_secs(12 * HOUR), Duration::from_secs(7 * DAY));
    let Some(section) = root.section("sessions") else { return SessionSettings { idle, absolute } };
    let idle_at = section.duration("idle", seconds(MINUTE, 90 * DAY));
    let absolute_at = section.duration("absolute", seconds(5 * MINUTE, 365 * DAY));
    let settings = SessionSettings {
        idle: idle_at.as_ref().map_or(idle, |at| at.value),
        absolute: absolute_at.as_ref().map_or(absolute, |at| at.value),
    };
    ordered(&section, ("idle", settings.idle), ("absolute", settings.absolute));
    section.finish();
    settings
}

/// Reports a shorter limit that is longer than the longer one.
fn ordered(section: &Section<'_>, short: (&'static str, Duration), long: (&'static str, Duration)) {
    if short.1 > long.1 {
        let (a, b) = (values::show(short.1), values::show(long.1));
        let place = if section.has(short.0) { section.place_of(short.0) } else { section.place_of(long.0) };
        let message = format!("`{}` (\"{a}\") is longer than `{}` (\"{b}\")", short.0, long.0);
        section.refuse(place, "config.contradiction", message, "");
    }
}

/// `[tokens]`.
pub fn tokens(root: &Section<'_>) -> TokenSettings {
    let default = TokenSettings {
        code: Duration::from_secs(60),
        access: Duration::from_secs(10 * MINUTE),
        id: Duration::from_secs(10 * MINUTE),
        refresh_idle: Duration::from_secs(30 * DAY),
        refresh_absolute: Duration::from_secs(90 * DAY),
        refresh_grace: Duration::ZERO,
        strict_assertions: false,
    };
    let Some(section) = root.section("tokens") else { return default };
    let take = |key, bounds, default: Duration| section.duration(key, bounds).map_or(default, |at| at.value);
    let settings = TokenSettings {
        // RFC 6749 §4.1.2 recommends ten minutes at most; a minute is plenty for a redirect
        code: take("code", seconds(5, 60), default.code),
        access: take("access", seconds(30, DAY), default.access),
        id: take("id", seconds(30, DAY), default.id),
        refresh_idle: take("refresh_idle", seconds(MINUTE, 365 * DAY), default.refresh_idle),
        refresh_absolute: take("refresh_absolute", seconds(MINUTE, 2 * 365 * DAY), default.refresh_absolute),
        refresh_grace: take("refresh_grace", seconds(0, MINUTE), default.refresh_grace),
        strict_assertions: section.flag("strict_assertions").is_some_and(|flag| flag.value),
    };
    ordered(
        &section,
        ("refresh_idle", settings.refresh_idle),
        ("refresh_absolute", settings.refresh_absolute),
    );
    if settings.access > Duration::from_secs(HOUR) {
        let message = "access tokens this long outlive most reasons to trust them";
        let problem = Problem::warning("config.lifetime", section.place_of("access"), message);
        let help =
            "APIs that check tokens offline notice a revocation only when the token ends; \"10m\" is common";
        section.problems().add(problem.help(help));
    }
    section.finish();
    settings
}

/// `[client_network]`.
pub fn client_network(root: &Section<'_>, references: &References) -> ClientNetworkSettings {
    let usual = Duration::from_secs(5);
    let plain = ClientNetworkSettings { allow_private_network: false, ca_file: None, timeout: usual };
    let Some(section) = root.section("client_network") else { return plain };
    let ca_file = section.text("ca_file").and_then(|at| {
        let path = references.path(at.value.strip_prefix("file:").unwrap_or(&at.value));
        let content = values::read_bounded(&path, values::MOST_ANY);
        references.files.borrow_mut().note(&path, content.as_ref().ok().map(|bytes| bytes.as_slice()));
        match content {
            Ok(pem) => Some(Authorities::new(&path, &pem)),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                let help = "a relative path relates to this file's folder";
                section.refuse(at.place, "config.file", message, help);
                None
            }
        }
    });
    let settings = ClientNetworkSettings {
        allow_private_network: section.flag("allow_private_network").is_some_and(|flag| flag.value),
        ca_file,
        timeout: section.duration("timeout", seconds(1, 5)).map_or(usual, |at| at.value),
    };
    section.finish();
    settings
}

/// `[keys]`.
pub fn keys(root: &Section<'_>) -> KeySettings {
    let (rotate_every, publish_ahead) = (Duration::from_secs(90 * DAY), Duration::from_secs(7 * DAY));
    let Some(section) = root.section("keys") else { return KeySettings { rotate_every, publish_ahead } };
    let take = |key, bounds, default: Duration| section.duration(key, bounds).map_or(default, |at| at.value);
    let settings = KeySettings {
        rotate_every: take("rotate_every", seconds(HOUR, 2 * 365 * DAY), rotate_every),
        publish_ahead: take("publish_ahead", seconds(5 * MINUTE, 90 * DAY), publish_ahead),
    };
    if settings.publish_ahead >= settings.rotate_every {
        let (ahead, every) = (values::show(settings.publish_ahead), values::show(settings.rotate_every));
        let key = if section.has("publish_ahead") { "publish_ahead" } else { "rotate_every" };
        let message =
            format!("`publish_ahead` (\"{ahead}\") must be shorter than `rotate_every` (\"{every}\")");
        section.refuse(section.place_of(key), "config.contradiction", message, "");
    }
    section.finish();
    settings
}

/// `[sign_in]`.
pub fn sign_in(root: &Section<'_>) -> SignInSettings {
    let default = SignInSettings {
        lifetime: Duration::from_secs(15 * MINUTE),
        max_open: 5,
        skew: Duration::from_secs(60),
        pushed_lifetime: Duration::from_secs(90),
        pushed_only: false,
    };
    let Some(section) = root.section("sign_in") else { return default };
    let settings = SignInSettings {
        lifetime: section.duration("lifetime", seconds(MINUTE, HOUR)).map_or(default.lifetime, |at| at.value),
        max_open: section
            .number("max_open", Bounds::new(1, 10))
            .and_then(|at| usize::try_from(at.value).ok())
            .unwrap_or(default.max_open),
        skew: section.duration("skew", seconds(0, 5 * MINUTE)).map_or(default.skew, |at| at.value),
        // RFC 9126 §2.2: short, five seconds to ten minutes
        pushed_lifetime: section
            .duration("pushed_lifetime", seconds(5, 10 * MINUTE))
            .map_or(default.pushed_lifetime, |at| at.value),
        pushed_only: section.flag("pushed_only").map_or(default.pushed_only, |at| at.value),
    };
    section.finish();
    settings
}

/// `[limits]`.
pub fn limits(root: &Section<'_>) -> Limits {
    let default = Limits {
        requests_per_minute: Some(120),
        body: 64 * 1024,
        refusals_kept: 10_000,
        pushed_per_client: 5000,
        pushed_per_address: 500,
        large_per_address: 500,
        codes_per_address: 5,
        codes_per_network: 100,
    };
    let Some(section) = root.section("limits") else { return default };
    let off = section.flag("rate_limit").is_some_and(|flag| !flag.value);
    let number = section.number("requests_per_minute", Bounds::new(1, 1_000_000));
    let number = number.and_then(|at| u32::try_from(at.value).ok()).or(default.requests_per_minute);
    let requests = if off { None } else { number };
    let body = section.number("body", Bounds::new(4096, 16 * 1024 * 1024));
    let kept = section.number("refusals_kept", Bounds::new(0, 1_000_000));
    let count = |key, default| {
        let number = section.number(key, Bounds::new(1, 1_000_000));
        number.and_then(|at| u32::try_from(at.value).ok()).unwrap_or(default)
    };
    let pushed_per_client = count("pushed_per_client", default.pushed_per_client);
    let pushed_per_address = count("pushed_per_address", default.pushed_per_address);
    let large_per_address = count("large_per_address", default.large_per_address);
    let codes_per_address = count("codes_per_address", default.codes_per_address);
    let codes_per_network = count("codes_per_network", default.codes_per_network);
    section.finish();
    Limits {
        requests_per_minute: requests,
        body: body.and_then(|at| usize::try_from(at.value).ok()).unwrap_or(default.body),
        refusals_kept: kept.and_then(|at| u32::try_from(at.value).ok()).unwrap_or(default.refusals_kept),
        pushed_per_client,
        pushed_per_address,
        large_per_address,
        codes_per_address,
        codes_per_network,
    }
}

/// `[branding]`.
pub fn branding(root: &Section<'_>, references: &References) -> Branding {
    let plain = Branding { name: "Countersign".to_owned(), logo: None, accent: None, support: None };
    let Some(section) = root.section("branding") else { return plain };
    let name = section.parsed("name", |text| {
        let fits =
            !text.trim().is_empty() && text.chars().count() <= 80 && !text.chars().any(char::is_control);
        if fits { Ok(text.to_owned()) } else { Err("must have 1 to 80 characters") }
    });
    let logo = section.text("logo").map(|at| {
        let path = references.path(at.value.strip_prefix("file:").unwrap_or(&at.value));
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        if !matches!(extension.as_str(), "svg" | "png") {
            section.refuse(at.place, "config.value", "`logo` must be an SVG or PNG file", "");
        } else if !path.is_file() {
            let message = format!("there is no file {}", path.display());
            section.refuse(at.place, "config.file", message, "a relative path relates to this file's folder");
        }
        path
    });
    let accent = section.parsed("accent", |text| {
        let digits = text.strip_prefix('#').unwrap_or("");
        let legal = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if legal { Ok(text.to_owned()) } else { Err("must be a colour such as \"#0b57d0\"") }
    });
    let support = section.parsed("support", |text| {
        let legal = match text.strip_prefix("mailto:") {
            Some(address) => crate::accounts::EmailAddress::parse(address).is_ok(),
            None => crate::clients::registration::web_address(text).is_ok(),
        };
        if legal { Ok(text.to_owned()) } else { Err("must be an https address or mailto:ADDRESS") }
    });
    section.finish();
    Branding {
        name: name.map_or(plain.name, |at| at.value),
        logo,
        accent: accent.map(|at| at.value),
        support: support.map(|at| at.value),
    }
}

/// Refuses a secret that could be guessed, unless in development.
pub fn check_strength(section: &Section<'_>, secret: &At<SecretString>, development: bool) {
    if development || values::strong_secret(secret.value.expose_secret()) {
        return;
    }
    let message = "this secret is too short or too plain: it needs at least 32 mixed characters";
    let problem = Problem::error("config.weak_secret", secret.place, message);
    section.problems().add(problem.help("make one: openssl rand -base64 32"));
}
