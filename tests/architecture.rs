//! The rules between the parts of the house (see ARCHITECTURE.md), checked on the source itself. The
//! checker is checked too: each rule has a planted breach that it must find.
//!
//! Reading is by tokens, so comments and texts do not count, bodies of macros do, and modules under
//! `#[cfg(test)]` are left out.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::path::Path;

/// A path that a file mentions, such as `crate::store::Tx` or `diesel::prelude`.
type Mention = Vec<String>;

/// What one file mentions.
struct Facts {
    module: Vec<String>,
    mentions: BTreeSet<Mention>,
    words: BTreeSet<String>,
}

/// The parts that decide: no async, no clock, no input or output.
const PURE: &[&str] = &[
    "protocol",
    "chooser",
    "linking",
    "accounts",
    "sessions",
    "assurance",
    "clients",
    "tokens::claims",
    "tokens::rotation",
    "upstream::mapping",
    "upstream::identity",
];

/// What the pure parts may see beside one another.
const PURE_SEES: &[&str] =
    &["ids", "failure", "context::Timestamp", "tokens::handle::Digest", "upstream::identity"];

/// Crates that the pure parts may use.
const PURE_CRATES: &[&str] = &[
    "std",
    "core",
    "serde",
    "serde_json",
    "url",
    "base64",
    "sha2",
    "subtle",
    "time",
    "thiserror",
    "idna",
    "unicode_normalization",
    "percent_encoding",
    "minijinja",
];

/// Parts of the standard library that do input or output, or read the clock.
const STD_WORLD: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "std::time::SystemTime",
    "std::time::Instant",
];

/// The one file that may have `unsafe`: it cuts the C libraries off from files and the network.
const UNSAFE: &str = "upstream::saml::signature::cut_off";

/// Crates with one home (or a few).
const RESERVED: &[(&str, &[&str])] = &[
    ("actix_web", &["http", "admin"]),
    ("actix_http", &["http", "admin"]),
    ("actix_server", &["http", "admin"]),
    ("actix_service", &["http", "admin"]),
    ("actix_tls", &["http", "admin"]),
    ("askama", &["http", "admin", "mail"]),
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("samael", &["upstream::saml"]),
    ("openidconnect", &["upstream::oidc", "upstream::oauth2"]),
    ("oauth2", &["upstream::oidc", "upstream::oauth2"]),
    ("jsonwebtoken", &["jose"]),
    ("reqwest", &["outbound"]),
    ("lettre", &["mail"]),
    ("minijinja", &["upstream::mapping"]),
    ("clap", &["cli"]),
    ("annotate_snippets", &["config", "cli"]),
];

/// (part, what it must never see)
const NEVER_SEES: &[(&str, &[&str])] = &[
    ("upstream", &["store", "flow", "http", "admin", "cli"]),
    ("outbound", &["store", "flow", "http", "admin", "cli", "upstream"]),
    ("mail", &["store", "flow", "http", "admin", "cli", "upstream"]),
    ("jose", &["store", "flow", "http", "admin", "cli", "upstream"]),
    ("store", &["flow", "http", "admin", "cli", "outbound", "jose", "config::providers"]),
    ("flow", &["http", "admin", "cli"]),
    ("http", &["store", "admin", "cli"]),
    ("admin", &["store", "cli"]),
    ("config", &["store", "flow", "http", "admin", "cli"]),
];

fn under(module: &[String], part: &str) -> bool {
    let part: Vec<&str> = part.split("::").collect();
    module.len() >= part.len() && module.iter().zip(&part).all(|(a, b)| a == b)
}

fn crates() -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(include_str!("../Cargo.toml")).expect("Cargo.toml");
    let mut names: BTreeSet<String> = ["std", "core"].iter().map(|s| (*s).to_owned()).collect();
    for table in ["dependencies", "dev-dependencies"] {
        let entries = manifest.get(table).and_then(|t| t.as_table()).expect("a table");
        names.extend(entries.keys().map(|k| k.replace('-', "_")));
    }
    names
}

/// Reads a file's tokens into the paths that it mentions.
fn facts(module: &[&str], source: &str, crates: &BTreeSet<String>) -> Facts {
    let stream: TokenStream = source.parse().unwrap_or_else(|e| panic!("{}: {e}", module.join("::")));
    let module: Vec<String> = module.iter().map(|s| (*s).to_owned()).collect();
    let mut facts = Facts { module: module.clone(), mentions: BTreeSet::new(), words: BTreeSet::new() };
    walk(stream, &module, crates, &mut facts);
    facts
}

fn walk(stream: TokenStream, here: &[String], crates: &BTreeSet<String>, facts: &mut Facts) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut i = 0;
    while let Some(tree) = trees.get(i) {
        if is_cfg_test(&trees, i) {
            i = after_item(&trees, i + 2);
            continue;
        }
        match tree {
            TokenTree::Group(group) => walk(group.stream(), here, crates, facts),
            TokenTree::Ident(ident) => {
                let word = ident.to_string();
                facts.words.insert(word.clone());
                let in_path = i > 1 && is_colon(trees.get(i - 1)) && is_colon(trees.get(i - 2)) || is_dot(trees.get(i.wrapping_sub(1)))
                    // `pub(in crate::upstream)` narrows, it does not look
                    || matches!(trees.get(i.wrapping_sub(1)), Some(TokenTree::Ident(w)) if w == "in");
                if word == "mod"
                    && let Some(TokenTree::Ident(name)) = trees.get(i + 1)
                {
                    if let Some(TokenTree::Group(body)) = trees.get(i + 2) {
                        let mut inner = here.to_vec();
                        inner.push(name.to_string());
                        walk(body.stream(), &inner, crates, facts);
                        i += 3;
                        continue;
                    }
                } else if !in_path && is_colon(trees.get(i + 1)) {
                    let start = match word.as_str() {
                        "crate" => Some(vec!["crate".to_owned()]),
                        "self" => Some(prefixed(here)),
                        "super" => Some(prefixed(here.split_last().map_or(here, |(_, rest)| rest))),
                        name if crates.contains(name) => Some(vec![name.to_owned()]),
                        _ => None,
                    };
                    if let Some(start) = start {
                        i = follow(&trees, i + 1, start, facts);
                        continue;
                    }
                }
            }
            _ => {}
        }
        i += 1;
    }
}

fn prefixed(here: &[String]) -> Mention {
    std::iter::once("crate".to_owned()).chain(here.iter().cloned()).collect()
}

/// Follows `:: a :: b` and `:: { … }` from `i` (the first colon), records every path, and returns where it ends.
fn follow(trees: &[TokenTree], mut i: usize, mut path: Mention, facts: &mut Facts) -> usize {
    while is_colon(trees.get(i)) && is_colon(trees.get(i + 1)) {
        match trees.get(i + 2) {
            Some(TokenTree::Ident(ident)) => {
                let word = ident.to_string();
                if word == "super" {
                    path.pop();
                } else {
                    path.push(word);
                }
                i += 3;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let mut j = 0;
                while j < inner.len() {
                    if let Some(TokenTree::Ident(ident)) = inner.get(j) {
                        let mut next = path.clone();
                        if ident != "self" {
                            next.push(ident.to_string());
                        }
                        j = follow(&inner, j + 1, next, facts);
                    }
                    // to the next comma
                    while j < inner.len()
                        && !matches!(inner.get(j), Some(TokenTree::Punct(p)) if p.as_char() == ',')
                    {
                        j += 1;
                    }
                    j += 1;
                }
                return i + 3;
            }
            _ => {
                i += 2;
                break;
            }
        }
    }
    facts.mentions.insert(path);
    i
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == ':')
}

fn is_dot(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == '.')
}

/// `#[cfg(test)]` at `i`.
fn is_cfg_test(trees: &[TokenTree], i: usize) -> bool {
    let hash = matches!(trees.get(i), Some(TokenTree::Punct(p)) if p.as_char() == '#');
    let cfg = matches!(trees.get(i + 1), Some(TokenTree::Group(g)) if g.stream().to_string().replace(' ', "") == "cfg(test)");
    hash && cfg
}

/// Where the item that starts at `i` ends: after its block or its semicolon.
fn after_item(trees: &[TokenTree], mut i: usize) -> usize {
    while let Some(tree) = trees.get(i) {
        i += 1;
        match tree {
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => return i,
            TokenTree::Punct(p) if p.as_char() == ';' => return i,
            _ => {}
        }
    }
    i
}

/// All breaches of the rules.
fn breaches(files: &[Facts]) -> Vec<String> {
    let mut found = Vec::new();
    let kinds = kinds(files);
    for file in files {
        let here = file.module.join("::");
        let pure = PURE.iter().any(|part| under(&file.module, part));
        if file.words.contains("unsafe") && here != UNSAFE {
            found.push(format!("{here}: unsafe"));
        }
        if pure {
            for word in ["async", "await"] {
                if file.words.contains(word) {
                    found.push(format!("{here}: {word} in a pure part"));
                }
            }
        }
        for mention in &file.mentions {
            let text = mention.join("::");
            let Some((first, rest)) = mention.split_first() else { continue };
            if first == "crate" {
                if rest.is_empty() {
                    continue;
                }
                for (part, never) in NEVER_SEES {
                    if under(&file.module, part) && never.iter().any(|n| under(rest, n)) {
                        found.push(format!("{here}: {part} must not see {text}"));
                    }
                }
                if pure {
                    let own = file.module.first().zip(rest.first()).is_some_and(|(a, b)| a == b);
                    let allowed = PURE.iter().chain(PURE_SEES).any(|part| under(rest, part));
                    // a pure file may see its own part's plain types; upstream and tokens are not pure as a whole
                    let own_part =
                        own && PURE.iter().any(|part| !part.contains("::") && under(&file.module, part));
                    let tokens_own = under(&file.module, "tokens")
                        && under(rest, "tokens")
                        && !under(rest, "tokens::seal");
                    if !(allowed || own_part || tokens_own) {
                        found.push(format!("{here}: a pure part must not see {text}"));
                    }
                }
                for kind in &kinds {
                    for other in &kinds {
                        let (kind_part, other_part) =
                            (format!("upstream::{kind}"), format!("upstream::{other}"));
                        if kind != other && under(&file.module, &kind_part) && under(rest, &other_part) {
                            found.push(format!("{here}: one kind must not see another ({text})"));
                        }
                    }
                }
                let inside = under(&file.module, "upstream");
                if !inside && kinds.iter().any(|kind| under(rest, &format!("upstream::{kind}"))) {
                    found.push(format!("{here}: kinds are known only inside upstream ({text})"));
                }
            } else {
                if let Some((_, homes)) = RESERVED.iter().find(|(name, _)| name == first)
                    && !homes.iter().any(|home| under(&file.module, home))
                {
                    found.push(format!("{here}: {first} lives in {}", homes.join(", ")));
                }
                if pure && !PURE_CRATES.contains(&first.as_str()) {
                    found.push(format!("{here}: a pure part must not use {text}"));
                }
                if pure && STD_WORLD.iter().any(|world| under(mention, world)) {
                    found.push(format!("{here}: a pure part must not use {text}"));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The kinds of upstream: the folders of `upstream`.
fn kinds(files: &[Facts]) -> BTreeSet<String> {
    const SHARED: &[&str] = &["identity", "mapping", "registry", "policy", "presets", "settings"];
    files
        .iter()
        .filter(|f| under(&f.module, "upstream"))
        .filter_map(|f| f.module.get(1).cloned())
        .filter(|name| !SHARED.contains(&name.as_str()))
        .filter(|name| {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream").join(name).is_dir()
                || matches!(name.as_str(), "oidc" | "oauth2")
        })
        .collect()
}

fn read_tree(root: &Path, module: &mut Vec<String>, crates: &BTreeSet<String>, out: &mut Vec<Facts>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(root).expect("src").map(|e| e.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a name").to_owned();
        if path.is_dir() {
            module.push(stem);
            read_tree(&path, module, crates, out);
            module.pop();
        } else if path.extension().is_some_and(|e| e == "rs") {
            let source = std::fs::read_to_string(&path).expect("readable");
            let mut own: Vec<&str> = module.iter().map(String::as_str).collect();
            if !matches!(stem.as_str(), "mod" | "lib" | "main") {
                own.push(&stem);
            }
            if stem == "tests" {
                continue;
            }
            out.push(facts(&own, &source, crates));
        }
    }
}

#[test]
fn the_tree_keeps_the_rules() {
    let mut files = Vec::new();
    let crates = crates();
    read_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut Vec::new(), &crates, &mut files);
    assert!(files.len() > 10, "the source was read");
    let found = breaches(&files);
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn planted_breaches_are_found() {
    let crates = crates();
    let planted: &[(&[&str], &str)] = &[
        (&["linking"], "async fn f() {}"),
        (&["linking"], "use crate::store::Tx;"),
        (&["linking"], "use crate::{ids::AccountId, store::{self, Tx}};"),
        (&["linking"], "fn f() { let _ = std::time::SystemTime::now(); }"),
        (&["linking"], "fn f() { let _ = tokio::task::yield_now(); }"),
        (&["chooser"], "use crate::context::Context;"),
        (&["chooser"], "use crate::upstream::Upstream;"),
        (&["tokens", "claims"], "use crate::tokens::seal::Sealer;"),
        (&["upstream", "registry"], "use crate::flow::App;"),
        (&["upstream", "oidc"], "use super::super::store::Store;"),
        (&["upstream", "oidc"], "use crate::upstream::oauth2::Settings;"),
        (&["flow"], "use crate::upstream::oidc::Oidc;"),
        (&["flow"], "use crate::http::pages;"),
        (&["http", "pages"], "fn f(_: crate::store::Store) {}"),
        (&["store"], "use crate::flow::App;"),
        (&["flow"], "use diesel::prelude::*;"),
        (&["flow"], "use lettre::Message;"),
        (&["flow"], "my_macro! { diesel::select(1) }"),
        (&["upstream", "oidc"], "use reqwest::Client;"),
        (&["http"], "use jsonwebtoken::decode;"),
        (&["jose"], "fn f() { unsafe { g() } }"),
        (&["upstream", "saml", "signature", "xmlsec"], "fn f() { unsafe { g() } }"),
    ];
    for (module, source) in planted {
        let mut files = vec![facts(module, source, &crates)];
        files.push(facts(&["upstream", "oidc"], "", &crates));
        files.push(facts(&["upstream", "oauth2"], "", &crates));
        assert!(!breaches(&files).is_empty(), "not found: {}: {source}", module.join("::"));
    }
}

#[test]
fn honest_code_is_left_alone() {
    let crates = crates();
    let honest: &[(&[&str], &str)] = &[
        (&["linking"], "use crate::accounts::Account; // crate::store::Tx\nconst T: &str = \"async\";"),
        (
            &["linking"],
            "#[cfg(test)]\nmod tests { use crate::store::Tx; use proptest::prelude::*; async fn f() {} }",
        ),
        (&["accounts", "access"], "use super::Account;"),
        (&["store"], "use diesel::prelude::*; use crate::accounts::Account;"),
        (&["http"], "use actix_web::web; use crate::flow::App;"),
        (&["upstream", "oidc"], "use crate::upstream::identity::ExternalIdentity; use openidconnect::Nonce;"),
    ];
    for (module, source) in honest {
        let found = breaches(&[facts(module, source, &crates)]);
        assert!(found.is_empty(), "{}: {source}: {found:?}", module.join("::"));
    }
}
