//! The behaviour behind each module of the OpenID Foundation's conformance suite, without the suite: a test for
//! each module of the plans that we pass, under its name. `modules.tsv` lists them; `run.mjs` runs the suite
//! itself.

#[path = "../support/house.rs"]
mod house;
#[path = "../support/standin.rs"]
mod standin;

mod core;
mod logout;
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
pub const MODES: &[Option<&str>] = &[None];

/// The names of the tests in this folder.
fn tests() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut in_macro = false;
        let mut before = "";
        for line in text.lines() {
            in_macro = in_macro && line != "}" || line == "in_both_modes! {";
            let test = in_macro || before.trim() == "#[tokio::test]" || before.trim() == "#[test]";
            if test && let Some((_, rest)) = line.trim_start().split_once("fn ") {
                let name = rest.split('(').next().unwrap().to_owned();
                found.insert(name, path.file_name().unwrap().to_string_lossy().into_owned());
            }
            before = line;
        }
    }
    found
}

#[test]
fn every_module_has_its_test() {
    let tests = tests();
    let list = include_str!("modules.tsv");
    let mut missing = Vec::new();
    for line in list.lines().skip(1) {
        let module = line.split('\t').next().unwrap();
        if !tests.contains_key(&module.replace('-', "_").to_lowercase()) {
            missing.push(module);
        }
    }
    assert!(missing.is_empty(), "modules without a test: {missing:#?}");
}

#[test]
fn the_search_for_tests_finds_those_that_run_and_no_others() {
    let tests = tests();
    assert_eq!(tests.get("oidcc_server").map(String::as_str), Some("core.rs"));
    assert_eq!(tests.get("oidcc_client_test").map(String::as_str), Some("provider.rs"));
    assert!(!tests.contains_key("tests") && !tests.contains_key("with"));
}
