//! Keeps `docs/errors.md` complete: every reason that the source can give has a row there, and every row
//! is a reason that the source can give.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The first words of reasons. A literal such as `"jose.kid"` whose first word is one of these is a reason.
const FAMILIES: &[&str] = &[
    "account",
    "authorize",
    "bearer",
    "browser",
    "chooser",
    "client",
    "clock",
    "code",
    "config",
    "consent",
    "csrf",
    "database",
    "flow",
    "grant",
    "invitation",
    "jose",
    "key",
    "keys",
    "limit",
    "link",
    "logout",
    "mail",
    "mapping",
    "net",
    "oauth2",
    "oidc",
    "page",
    "person",
    "pkce",
    "provider",
    "pushed",
    "refresh",
    "registration",
    "request",
    "request_object",
    "request_uri",
    "resource",
    "route",
    "saml",
    "seal",
    "session",
    "store",
    "token",
    "upstream",
    "user",
    "userinfo",
];

/// What makes a failure; the first text among its arguments is the reason.
const MAKERS: &[&str] = &["Failure::new(", "Failure::internal(", "Failure::invalid_request("];

/// Files and words of the same shape that are no reasons: names of audit events, purposes of sealing.
const NOT_REASONS: &[&str] = &["src/audit.rs", "flow.pending", "logout.pending", "refresh.successor"];

/// The reasons in one file's code, without its tests and comments.
fn reasons(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect::<Vec<_>>()
        .join("\n");
    let mut found: BTreeSet<String> = texts(&code)
        .filter(|text| text.contains('.') && FAMILIES.contains(&text.split('.').next().unwrap_or_default()))
        .filter(|text| !text.ends_with(".html") && !text.ends_with(".toml"))
        .map(str::to_owned)
        .collect();
    for maker in MAKERS {
        for (at, _) in code.match_indices(maker) {
            let first = arguments(code.get(at + maker.len()..).unwrap_or_default()).split('"').nth(1);
            let first = first.unwrap_or_default();
            if is_reason(first) {
                found.insert(first.to_owned());
            }
        }
    }
    found
}

/// The text up to the bracket that closes the one before it.
fn arguments(code: &str) -> &str {
    let mut depth = 1;
    let end = code.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
    });
    code.get(..end.map_or(code.len(), |(at, _)| at)).unwrap_or_default()
}

/// All texts in quotes that look like a reason.
fn texts(code: &str) -> impl Iterator<Item = &str> {
    code.split('"').filter(|text| is_reason(text))
}

fn is_reason(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|word| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
}

fn scan(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.strip_prefix(root).expect("inside").display().to_string();
        if path.is_dir() {
            scan(root, &path, found);
        } else if name.ends_with(".rs")
            && !name.ends_with("tests.rs")
            && !NOT_REASONS.contains(&name.as_str())
        {
            for reason in reasons(&std::fs::read_to_string(&path).expect("readable")) {
                if !NOT_REASONS.contains(&reason.as_str()) {
                    found.insert(reason, name.clone());
                }
            }
        }
    }
}

/// The first cells of the page's tables.
fn rows() -> Vec<&'static str> {
    include_str!("../docs/errors.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(reason, _)| reason)
        .collect()
}

#[test]
fn every_reason_has_a_row_and_every_row_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    scan(root, &root.join("src"), &mut found);
    let rows = rows();
    let known: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(known.len(), rows.len(), "a reason has two rows in docs/errors.md");
    let missing: Vec<_> = found.iter().filter(|(reason, _)| !known.contains(reason.as_str())).collect();
    assert!(
        missing.is_empty(),
        "docs/errors.md has no row for these (with the file that gives them): {missing:#?}"
    );
    let stale: Vec<_> = known.iter().filter(|reason| !found.contains_key(**reason)).collect();
    assert!(stale.is_empty(), "docs/errors.md has rows that the source never gives: {stale:#?}");
}

#[test]
fn rows_are_in_order_and_say_what_to_do() {
    for table in include_str!("../docs/errors.md").split("\n## ") {
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
        let mut sorted = rows.clone();
        sorted.sort_unstable_by_key(|row| row.split('`').nth(1));
        assert_eq!(rows, sorted);
        for row in rows {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        }
    }
}

#[test]
fn the_scan_sees_reasons_and_nothing_else() {
    let source = r#"
        // "jose.comment"
        fn a() -> Failure { Failure::invalid_request("novel.word", "a note, see config.rs") }
        fn b() -> Failure {
            Failure::new(
                OAuthCode::AccessDenied,
                "browser_binding",
                UserMessage::OtherBrowser,
                "note",
            )
        }
        fn c() -> Failure { Failure::new(code, reason, user, note).log("accept") }
        const C: &str = "jose.kid";
        const D: &str = "example.com";
        #[template(path = "consent.html")]
        #[cfg(test)]
        mod tests { const E: &str = "jose.test"; }
    "#;
    let found: Vec<_> = reasons(source).into_iter().collect();
    assert_eq!(found, ["browser_binding", "jose.kid", "novel.word"]);
}

/// A page of checks: the folders whose reasons it must have, and the page.
const PAGES: &[(&[&str], &str)] = &[
    (&["src/jose", "src/upstream/oidc", "src/upstream/oauth2", "src/outbound"], "docs/oidc-checks.md"),
    (&["src/upstream/saml"], "docs/saml-checks.md"),
];

/// The texts between backticks.
fn marked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names of all functions in the tests and in the modules' own tests.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() && !path.ends_with("node_modules") {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("readable");
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_check_of_a_provider_stands_on_its_page_with_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    functions(&root.join("tests"), &mut known);
    functions(&root.join("src"), &mut known);
    let mut all = BTreeMap::new();
    scan(root, &root.join("src"), &mut all);
    for (folders, page) in PAGES {
        let text = std::fs::read_to_string(root.join(page)).expect("the page");
        let mut reasons = BTreeMap::new();
        for folder in *folders {
            scan(root, &root.join(folder), &mut reasons);
        }
        let told: BTreeSet<&str> = marked(&text).collect();
        let missing: Vec<_> = reasons.keys().filter(|reason| !told.contains(reason.as_str())).collect();
        assert!(missing.is_empty(), "{page} has no row for {missing:#?}");
        let stale: Vec<_> = told
            .iter()
            .filter(|word| is_reason(word) && word.contains('.') && !all.contains_key(**word))
            .collect();
        assert!(stale.is_empty(), "{page} tells of reasons that the source never gives: {stale:#?}");
        for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |")) {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
            let Some((tests, rest)) = cells.split_last() else { continue };
            if *page == "docs/saml-checks.md" {
                let rule = rest.get(2).copied().unwrap_or_default();
                let says = rule.contains('§') || rule.contains("own rule") || rule.contains("RFC");
                assert!(says, "{page} does not say where the rule is from: {row}");
            }
            // a check that can refuse has a test
            let refuses = rest.last().is_some_and(|reason| reason.contains('`'));
            assert!(
                !refuses || tests.contains('`') || row.starts_with("| claim"),
                "{page}: no test in {row}"
            );
            let unknown: Vec<_> = marked(tests).filter(|name| !known.contains(*name)).collect();
            assert!(unknown.is_empty(), "{page} names tests that do not exist: {unknown:?}");
        }
    }
}
