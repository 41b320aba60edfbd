//! The JOSE vectors of the project Wycheproof: nothing that they call invalid is accepted.
//!
//! The files are in the folder that `COUNTERSIGN_WYCHEPROOF` names, or in `shared/wycheproof` beside the repository;
//! where there is none the test says so and passes.

use super::foreign::verify_payload;
use super::{Alg, JwkSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn run(folder: &Path, file: &str) -> (u32, BTreeMap<&'static str, u32>, Vec<String>) {
    let document: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
    let (mut accepted, mut refused, mut wrong) = (0, BTreeMap::new(), Vec::new());
    for group in document["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
        let keys = JwkSet::parse(&serde_json::to_vec(&set).unwrap()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let Some(token) = test.get("jws") else { continue };
            let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
            // HMAC is never verified here, so for us its vectors are all invalid.
            let hmac = set["keys"].as_array().unwrap().iter().any(|key| key["kty"] == "oct");
            let valid = test["result"] == "valid" && !hmac;
            match (verify_payload(&token, &keys, &Alg::ALL), valid) {
                (Ok(_), true) => accepted += 1,
                (Err(error), true) => *refused.entry(error.reason()).or_default() += 1,
                (Err(_), false) => {}
                (Ok(_), false) => wrong.push(format!("{file} {}: {}", test["tcId"], test["comment"])),
            }
        }
    }
    (accepted, refused, wrong)
}

/// The folder of the vectors. One that is named must be there; the manifest is at the repository's root, or two folders
/// below.
fn folder() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("COUNTERSIGN_WYCHEPROOF") {
        return Some(named.into());
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = ["..", "../../.."].map(|up| manifest.join(up).join("shared/wycheproof"));
    beside.into_iter().find(|folder| folder.join("json_web_signature_test.json").is_file())
}

#[test]
fn nothing_invalid_is_accepted() {
    let Some(folder) = folder() else {
        eprintln!(
            "skipped: no Wycheproof vectors beside the repository, and COUNTERSIGN_WYCHEPROOF names no folder"
        );
        return;
    };
    for (file, least) in [
        ("json_web_signature_test.json", 30),
        ("json_web_key_test.json", 1),
        ("json_web_crypto_test.json", 2),
    ] {
        let (accepted, refused, wrong) = run(&folder, file);
        eprintln!("{file}: {accepted} valid ones accepted, valid ones refused by reason: {refused:?}");
        assert!(wrong.is_empty(), "accepted although invalid: {wrong:#?}");
        assert!(accepted >= least, "{file}: only {accepted} valid tokens were accepted");
        // Four keys are declared for one algorithm and used with another, which we do not allow.
        assert!(refused.keys().all(|reason| *reason == "jose.key"), "{refused:?}");
    }
}
