//! The documentation is true: its snippets pass `check`, its keys are all keys, its defaults the defaults.

use super::*;
use std::collections::BTreeSet;

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The blocks of TOML in a text in Markdown, without the indentation of lists.
fn snippets(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in markdown.lines() {
        let trimmed = line.trim_start();
        match &mut open {
            None if trimmed.starts_with("```toml") => {
                open = Some((line.len() - trimmed.len(), String::new()))
            }
            None => {}
            Some((_, text)) if trimmed.starts_with("```") => {
                found.push(std::mem::take(text));
                open = None;
            }
            Some((indent, text)) => {
                text.push_str(line.get(*indent..).unwrap_or(trimmed));
                text.push('\n');
            }
        }
    }
    found
}

/// Every variable holds something strong, and every file that is mentioned exists.
fn check(config: &str, providers: Option<&str>) -> Result<Loaded, String> {
    const PAIR: &str = concat!(
        include_str!("../../../tests/support/tls/provider.pem"),
        include_str!("../../../tests/support/tls/provider.key.pem")
    );
    const STRONG: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let folder = tempfile::tempdir().unwrap();
    let relative = config.replace("/run/secrets/", "secrets/");
    for text in [Some(relative.as_str()), providers].into_iter().flatten() {
        for name in text.split('"') {
            let name = name
                .strip_prefix("file:")
                .or((name.ends_with(".pem") || name.ends_with(".svg")).then_some(name));
            if let Some(path) = name.map(|name| folder.path().join(name)) {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let pem = path.extension().is_some_and(|extension| extension == "pem");
                std::fs::write(path, if pem { PAIR } else { STRONG }).unwrap();
            }
        }
    }
    let path = folder.path().join("countersign.toml");
    std::fs::write(&path, relative).unwrap();
    std::fs::write(folder.path().join("providers.toml"), providers.unwrap_or(GLOBEX)).unwrap();
    let env = |name: &str| (name != "DATABASE_URL").then(|| STRONG.to_owned());
    load(&Inputs { env: Arc::new(env), ..inputs(path) }).map_err(|report| report.render(false))
}

#[test]
fn every_snippet_passes_check() {
    let mut count = 0;
    for name in [
        "docs/configuration.md",
        "docs/accounts.md",
        "docs/operations.md",
        "docs/issuer.md",
        "docs/registration.md",
        "README.md",
    ] {
        for snippet in snippets(&document(name)) {
            let complete =
                if snippet.contains("issuer = ") { snippet.clone() } else { format!("{HEAD}{snippet}") };
            let checked = if snippet.contains("[[provider]]") {
                check(&format!("{HEAD}[groups.engineers]\n"), Some(&snippet))
            } else {
                check(&complete, None)
            };
            checked.unwrap_or_else(|said| panic!("{name}:\n{snippet}\n{said}"));
            count += 1;
        }
    }
    assert!(count > 10, "only {count} snippets were found");
}

#[test]
fn the_examples_pass_check_without_a_warning() {
    let loaded = check(&document("countersign.example.toml"), Some(&document("providers.toml")));
    let loaded = loaded.unwrap_or_else(|said| panic!("{said}"));
    assert!(loaded.report.problems().is_empty(), "{}", loaded.report.render(false));
    assert!(loaded.providers.list().len() >= 4);
    // what is commented out is true as well
    let uncommented: String = document("countersign.example.toml")
        .lines()
        .map(|line| {
            let rest = line.strip_prefix("# ").unwrap_or(line);
            let toml = rest.starts_with('[') || rest.contains(" = ");
            format!("{}\n", if toml { rest } else { line })
        })
        .collect();
    check(&uncommented, None).unwrap_or_else(|said| panic!("{said}"));
}

/// The keys of every table, as the reader itself names them when it meets one that it does not know.
fn keys() -> BTreeSet<String> {
    const PROBE: &str = "zzzzzzzzzzzz = 1\n";
    let tables = [
        "",
        "[public]\n",
        "[public.tls]\n",
        "[management]\n",
        "[database]\n",
        "[sessions]\n",
        "[tokens]\n",
        "[client_network]\n",
        "[registration]\n",
        "[keys]\n",
        "[sign_in]\n",
        "[accounts]\n",
        "[mail]\nhost = \"localhost\"\nfrom = \"a@b.example\"\n",
        "[limits]\n",
        "[branding]\n",
        "[scopes.x]\n",
        "[groups.x]\n",
        "[roles.x]\n",
        "[[client]]\n",
        "[[resource_server]]\n",
        "[[assign]]\n",
    ];
    let mut keys = BTreeSet::new();
    for table in tables {
        let text = if table.is_empty() { format!("{PROBE}{HEAD}") } else { format!("{HEAD}{table}{PROBE}") };
        let report = check(&text, None).unwrap_err();
        let list = report.split("the keys here are: ").nth(1).unwrap_or_else(|| panic!("{table}: {report}"));
        let list = list.lines().next().unwrap();
        keys.extend(list.split(", ").map(str::to_owned));
    }
    use crate::upstream::{kinds, settings::COMMON_KEYS};
    keys.extend(COMMON_KEYS.iter().map(|key| (*key).to_owned()));
    for kind in kinds::NAMES {
        keys.extend(kinds::keys(kind).unwrap().iter().map(|key| (*key).to_owned()));
    }
    keys
}

#[test]
fn every_key_is_documented() {
    let text = document("docs/configuration.md");
    // tables are documented by their headings
    let tables = [
        "public",
        "management",
        "database",
        "sessions",
        "tokens",
        "client_network",
        "registration",
        "keys",
        "sign_in",
        "accounts",
        "mail",
        "limits",
        "branding",
        "scopes",
        "groups",
        "roles",
        "client",
        "resource_server",
        "assign",
    ];
    for key in keys() {
        let heading = tables.contains(&key.as_str())
            && text.lines().any(|line| line.starts_with("## ") && line.contains(&format!("[{key}")));
        assert!(heading || text.contains(&format!("`{key}`")), "`{key}` is not documented");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let mut config = HEAD.to_owned();
    let mut count = 0;
    let mut inside = false;
    for line in document("docs/configuration.md").lines() {
        if line.starts_with('#') {
            // tables of which there is one
            let name = line.strip_prefix("## `[").and_then(|rest| rest.strip_suffix("]`"));
            let name = name.filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            inside = name.is_some();
            config.push_str(&name.map(|name| format!("[{name}]\n")).unwrap_or_default());
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let [key, _, default, ..] = cells.as_slice() else { continue };
        let (key, default) = (key.trim_start_matches("| ").trim_matches('`'), default.trim());
        let code = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let value = code.filter(|v| v.starts_with('"') || *v == "true" || v.parse::<u64>().is_ok());
        if let Some(value) = value.filter(|_| inside) {
            config.push_str(&format!("{key} = {value}\n"));
            count += 1;
        }
    }
    assert!(count > 15, "only {count} defaults were found");
    let written = check(&config, None).unwrap_or_else(|said| panic!("{said}\n{config}"));
    let plain = check(HEAD, None).unwrap();
    let shown = |loaded: &Loaded| {
        let s = &loaded.settings;
        format!(
            "{:?}",
            (
                &s.sessions,
                &s.tokens,
                &s.client_network,
                &s.keys,
                &s.sign_in,
                &s.limits,
                &s.public,
                s.management
            )
        )
    };
    assert_eq!(shown(&written), shown(&plain));
    let example = check(&document("countersign.example.toml"), None).unwrap();
    assert_eq!(shown(&example), shown(&plain), "countersign.example.toml shows the defaults");
}
