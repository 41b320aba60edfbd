//! The behaviour behind each module of the OpenID Foundation's conformance suite, without the suite: a test for
//! each module of the plans that we pass, under its name. `modules.tsv` lists them; `run.mjs` runs the suite
//! itself.

#[path = "../support/house.rs"]
mod house;
#[path = "../support/standin.rs"]
mod standin;

mod backchannel;
mod core;
mod provider;
mod suite;

use std::collections::BTreeMap;
use std::path::Path;

/// Each test twice: with the answer as it comes by default, and as a form (OAuth 2.0 Form Post Response Mode),
/// as the form-post plan runs the same modules.
#[macro_export]
macro_rules! in_both_modes {
    ($(async fn $name:ident($suite:ident) $body:block)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                for mode in $crate::MODES {
                    let mut $suite = $crate::suite::Suite::with(*mode, |config, providers| (config, providers)).await;
                    let $suite = &mut $suite;
                    $body
                }
            }
        )*
    };
}

/// The response modes of the plans.
pub const MODES: &[Option<&str>] = &[None, Some("form_post")];

/// The names of all tests of this package, each with its file.
fn tests() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    scan(Path::new(env!("CARGO_MANIFEST_DIR")), Path::new("tests"), &mut found);
    found
}

fn scan(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "node_modules" {
                scan(root, &path, found);
            }
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let (mut in_macro, mut before) = (false, "");
        for line in text.lines() {
            in_macro = in_macro && line != "}" || line == "in_both_modes! {";
            let line = line.trim();
            let test = in_macro || before.starts_with("#[tokio::test") || before == "#[test]";
            let name = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
            if let Some(name) = name.filter(|_| test) {
                let name = name.split('(').next().unwrap().to_owned();
                found.insert(name, path.display().to_string());
            }
            before = line;
        }
    }
}

#[test]
fn every_module_has_its_test() {
    let tests = tests();
    let mut missing = Vec::new();
    for line in include_str!("modules.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [module, plans, test] = fields[..] else { panic!("three fields: {line}") };
        assert!(!plans.is_empty(), "{module}");
        if !tests.contains_key(test) {
            missing.push(module);
        }
    }
    assert!(missing.is_empty(), "modules without a test: {missing:#?}");
}

#[test]
fn the_search_for_tests_finds_those_that_run_and_no_others() {
    let tests = tests();
    let file = |name: &str| tests.get(name).map(String::as_str);
    assert_eq!(file("oidcc_server"), Some("tests/conformance/core.rs"));
    assert_eq!(file("oidcc_client_test"), Some("tests/conformance/provider.rs"));
    assert_eq!(file("oidcc_discovery_endpoint_verification"), Some("tests/conformance/core.rs"));
    assert!(file("scan").is_none() && file("unsigned").is_none());
}
