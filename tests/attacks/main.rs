//! Keeps `docs/attacks.md` true: which attack of the corpus is refused by which test, and which is open.
//!
//! A test that covers an attack carries its id at the start of its name: `oidc_014_nonce_missing`. To write the
//! page anew after adding one: `UPDATE=1 cargo test --test attacks`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const GROUPS: &[(&str, &str)] = &[
    ("SAML", "SAML upstream"),
    ("OIDC", "OpenID Connect and OAuth 2.0 upstream"),
    ("OAUTH", "Our issuer"),
    ("LINK", "Account linking and identity matching"),
    ("ADMIN", "Administration and operation"),
];

/// Test names by attack id, with the file that holds them.
fn tests() -> BTreeMap<String, Vec<(String, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    for top in ["src", "tests"] {
        scan(root, &root.join(top), &mut found);
    }
    found
}

fn scan(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<(String, String)>>) {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("folder").map(|e| e.expect("entry").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "node_modules" {
                scan(root, &path, found);
            }
            continue;
        }
        let rust = name.ends_with(".rs");
        if !rust && !name.ends_with(".mjs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let file = path.strip_prefix(root).expect("inside").display().to_string();
        for line in text.lines() {
            let line = line.trim_start();
            let test = if rust {
                line.split_once("fn ")
                    .filter(|(before, _)| matches!(*before, "" | "async " | "pub " | "pub async "))
                    .map(|(_, rest)| rest)
            } else {
                line.strip_prefix("test('").or_else(|| line.strip_prefix("test(\""))
            };
            let Some(test) = test else { continue };
            let test: String = test.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            for id in ids_of(&test) {
                found.entry(id).or_default().push((test.clone(), file.clone()));
            }
        }
    }
}

/// `oidc_014_nonce_missing` → `OIDC-014`; `link_001_link_007_…` names two.
fn ids_of(test: &str) -> Vec<String> {
    let parts: Vec<&str> = test.split('_').collect();
    let mut ids = Vec::new();
    for pair in parts.chunks(2) {
        let [group, number] = pair else { break };
        let group = group.to_ascii_uppercase();
        let known = GROUPS.iter().any(|(g, _)| *g == group);
        if !(known && number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit())) {
            break;
        }
        ids.push(format!("{group}-{number}"));
    }
    ids
}

fn page() -> String {
    // the attack may have a remark, where another rule refuses it than its name has one expect
    let corpus: Vec<(&str, &str)> =
        include_str!("corpus.tsv").lines().filter_map(|line| line.split_once('\t')).collect();
    let tests = tests();
    let covered = corpus.iter().filter(|(id, _)| tests.contains_key(*id)).count();
    let mut out = format!(
        "# Attacks that the broker refuses\n\n\
         Generated from the names of the tests; do not edit. Each attack is one test (or a family) named after its id,\n\
         made from a valid message by one mutation, beside a twin that must succeed.\n\n\
         {covered} of {} attacks have a test; *open* marks those that have none yet.\n",
        corpus.len()
    );
    for (group, title) in GROUPS {
        let _ = write!(out, "\n## {title}\n\n| id | attack | test |\n|---|---|---|\n");
        for (id, name) in corpus.iter().filter(|(id, _)| id.split('-').next() == Some(group)) {
            let cell = tests.get(*id).map_or_else(
                || "*open*".to_owned(),
                |list| list.iter().map(|(t, f)| format!("`{t}` ({f})")).collect::<Vec<_>>().join("<br>"),
            );
            let name = match name.split_once('\t') {
                Some((name, remark)) => format!("{name} ({remark})"),
                None => (*name).to_owned(),
            };
            let _ = writeln!(out, "| {id} | {name} | {cell} |");
        }
    }
    out
}

#[test]
fn the_page_of_attacks_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/attacks.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == page,
        "docs/attacks.md is not what the tests say; run `UPDATE=1 cargo test --test attacks`"
    );
}

#[test]
fn every_test_that_names_an_attack_names_one_of_the_corpus() {
    let corpus = include_str!("corpus.tsv");
    let unknown: Vec<String> =
        tests().into_keys().filter(|id| !corpus.lines().any(|line| line.starts_with(id.as_str()))).collect();
    assert!(unknown.is_empty(), "not in the corpus: {unknown:?}");
}

#[test]
fn ids_are_read_from_names() {
    assert_eq!(ids_of("oidc_014_nonce_missing"), ["OIDC-014"]);
    assert_eq!(ids_of("link_001_link_007_not_joined"), ["LINK-001", "LINK-007"]);
    assert!(ids_of("oidc_14_nonce").is_empty());
    assert!(ids_of("journey_014_x").is_empty());
}
