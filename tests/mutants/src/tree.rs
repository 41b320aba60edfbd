//! A copy of the repository with all mutants planted, compiled until all that is left compiles.

use crate::list::{self, Mutant};
use crate::plant::{Planted, plant};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Switches mutants on, and notes which of them a test comes by.
const SWITCH: &str = r#"
#[doc(hidden)]
pub mod mutant {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex};
    static ON: LazyLock<u32> = LazyLock::new(|| {
        std::env::var("MUTANT_ON").ok().and_then(|id| id.parse().ok()).unwrap_or(0)
    });
    static NOTES: LazyLock<Option<Mutex<std::fs::File>>> = LazyLock::new(|| {
        let path = std::env::var_os("MUTANT_NOTES")?;
        std::fs::OpenOptions::new().create(true).append(true).open(path).ok().map(Mutex::new)
    });
    static SEEN: [AtomicBool; 16384] = [const { AtomicBool::new(false) }; 16384];
    pub fn on(id: u32) -> bool {
        if let Some(notes) = &*NOTES
            && !SEEN[id as usize].swap(true, Ordering::Relaxed)
        {
            let mut notes = notes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let _ = writeln!(notes, "{id}");
        }
        *ON == id
    }
    /// Making RSA keys takes most of the tests' time: the first ones of a process come out of a drawer.
    pub fn pkcs8(long: bool) -> Vec<u8> {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        use aws_lc_rs::rsa::KeySize;
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let drawer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drawer");
        let path = format!("{drawer}/{nth}{}.der", if long { "-long" } else { "" });
        if let Ok(bytes) = std::fs::read(&path) {
            return bytes;
        }
        let size = if long { KeySize::Rsa3072 } else { KeySize::Rsa2048 };
        let pair = aws_lc_rs::rsa::KeyPair::generate(size).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let _ = std::fs::create_dir_all(drawer);
        let part = format!("{path}.{}", std::process::id());
        let _ = std::fs::write(&part, der.as_ref()).and_then(|()| std::fs::rename(&part, &path));
        der.as_ref().to_vec()
    }
}
"#;

/// What is exchanged for keys out of the drawer.
fn with_ready_keys(file: &str, text: &str) -> String {
    let here = if file.starts_with("src/") { "crate" } else { "countersign" };
    text.replace(
        "RsaKeyPair::generate(KeySize::Rsa2048)",
        &format!(
            "RsaKeyPair::from_pkcs8(&{here}::mutant::pkcs8(false)).map_err(|_| aws_lc_rs::error::Unspecified)"
        ),
    )
    .replace(
        "KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)",
        &format!(
            "KeyPair::from_pkcs8_der_and_sign_algo(&{here}::mutant::pkcs8(matches!(size, RsaKeySize::_3072)).as_slice().into(), &PKCS_RSA_SHA256)"
        ),
    )
}

pub struct Tree {
    pub root: PathBuf,
    /// All mutants; those that do not compile, too.
    pub mutants: Vec<Mutant>,
    pub unviable: BTreeSet<u32>,
    pub binaries: Vec<PathBuf>,
}

fn say(text: &str) {
    println!("==> {text}");
}

/// Copies what is under version control (or is about to be), plants the mutants of the areas and compiles.
pub fn grow(repository: &Path, root: &Path, areas: &[String], again: bool) -> Result<Tree, String> {
    copy(repository, root)?;
    let harness = root.join("tests/harness");
    let lib = harness.join("lib.rs");
    let text = std::fs::read_to_string(&lib).map_err(|error| format!("{}: {error}", lib.display()))?;
    write(&lib, &format!("{text}{SWITCH}"))?;

    let mut sources = Vec::new();
    let of_areas = |file: &String| list::area(file).is_some_and(|area| areas.iter().any(|wish| wish == area));
    for file in list::files(repository)?.into_iter().filter(of_areas) {
        let path = repository.join(&file);
        let source = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let source = with_ready_keys(&file, &source);
        let listed = list::listed(&path)?;
        sources.push((file, source, listed));
    }
    let notes = root.join("unviable.tsv");
    let known = if again { std::fs::read_to_string(&notes).unwrap_or_default() } else { String::new() };
    let mut known: BTreeSet<&str> = known.lines().collect();
    let mut unviable = BTreeSet::new();
    let (mut unplanted, mut said) = (BTreeSet::new(), false);
    for _ in 1..=20 {
        let left_out: Vec<u32> = unviable.iter().copied().collect();
        let (mut mutants, mut planted, mut next) = (Vec::new(), BTreeMap::new(), 1);
        for (file, source, listed) in &sources {
            let (text, own) = plant(file, source, listed.clone(), next, &left_out)?;
            next += u32::try_from(own.len()).unwrap_or_default();
            mutants.extend(own);
            write(&root.join(file), &text.text)?;
            unplanted.extend(text.unplanted.iter().cloned());
            planted.insert(file.clone(), text);
        }
        if !known.is_empty() {
            let of_old = |mutant: &&Mutant| known.contains(mutant.line_of_keys().as_str());
            unviable.extend(mutants.iter().filter(of_old).map(|mutant| mutant.id));
            known.clear();
            continue;
        }
        if !said {
            said = true;
            say(&format!("{} mutants; compiling", mutants.len()));
            unplanted.iter().for_each(|one| println!("    no place for {one}"));
        }
        let found = errors(&harness, &planted)?;
        if found.is_empty() {
            let binaries = binaries(&harness)?;
            let lines = mutants.iter().filter(|mutant| unviable.contains(&mutant.id));
            let lines: String = lines.map(|mutant| format!("{}\n", mutant.line_of_keys())).collect();
            write(&notes, &lines)?;
            return Ok(Tree { root: root.to_owned(), mutants, unviable, binaries });
        }
        say(&format!("{} of them do not compile; once more", found.len()));
        unviable.extend(found);
    }
    Err("the mutants that are left do not compile either".to_owned())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn copy(repository: &Path, root: &Path) -> Result<(), String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"])
        .args(["src", "tests", "benches/saml", "fuzz/seeds", "rust-toolchain.toml"])
        .current_dir(repository)
        .output()
        .map_err(|error| format!("git does not start: {error}"))?;
    for name in String::from_utf8_lossy(&output.stdout).split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (repository.join(name), root.join(name));
        let Ok(mut bytes) = std::fs::read(&from) else { continue };
        if let Ok(text) = std::str::from_utf8(&bytes) {
            if name.ends_with(".rs") {
                bytes = with_ready_keys(name, text).into_bytes();
            } else if name.starts_with("tests/harness/Cargo.") {
                // by the same name cargo would take one for the other where both are built into one folder
                bytes = text.replace("\"countersign-harness\"", "\"countersign-planted\"").into_bytes();
            }
        }
        if std::fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        std::fs::write(&to, bytes).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}

fn cargo(harness: &Path, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let output = Command::new("cargo")
        .args(arguments)
        .args(["--locked", "--message-format=json"])
        .current_dir(harness)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The mutants at which the compiler stumbles.
fn errors(harness: &Path, planted: &BTreeMap<String, Planted>) -> Result<BTreeSet<u32>, String> {
    let mut found = BTreeSet::new();
    // built as for the tests, so that nothing is compiled twice
    for message in cargo(harness, &["test", "--no-run", "--quiet", "--lib"])? {
        let message = &message["message"];
        if message["level"] != "error" {
            continue;
        }
        let spans: Vec<&Value> = message["spans"].as_array().into_iter().flatten().collect();
        let primary = spans.iter().filter(|span| span["is_primary"] == true);
        let others = spans.iter().filter(|span| span["is_primary"] != true);
        let culprits = primary.chain(others).map(|span| culprits(span, planted)).find(|ids| !ids.is_empty());
        match culprits {
            Some(ids) => found.extend(ids),
            None if spans.is_empty() => {}
            None => {
                return Err(format!(
                    "not a mutant's fault: {}",
                    message["rendered"].as_str().unwrap_or_default()
                ));
            }
        }
    }
    Ok(found)
}

fn culprits(span: &Value, planted: &BTreeMap<String, Planted>) -> BTreeSet<u32> {
    let name = span["file_name"].as_str().unwrap_or_default().trim_start_matches("../");
    let Some(file) = planted.get(name) else { return BTreeSet::new() };
    let byte = |name: &str| span[name].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
    let at = byte("byte_start")..byte("byte_end");
    let inside =
        |outer: &Range<usize>, inner: &Range<usize>| outer.start <= inner.start && inner.end <= outer.end;
    let meets = |extent: &Range<usize>| extent.start < at.end && at.start < extent.end;
    let within =
        file.extents.iter().filter(|(extent, _)| inside(extent, &at)).min_by_key(|(extent, _)| extent.len());
    if let Some((_, ids)) = within {
        return ids.iter().copied().collect();
    }
    let met: BTreeSet<u32> =
        file.extents.iter().filter(|(extent, _)| meets(extent)).flat_map(|(_, ids)| ids.clone()).collect();
    if !met.is_empty() {
        return met;
    }
    // the error is in what stands between a mutant's parts: the innermost whose parts stand around it
    let mut around: BTreeMap<u32, Range<usize>> = BTreeMap::new();
    for (extent, ids) in &file.extents {
        for id in ids {
            let whole = around.entry(*id).or_insert_with(|| extent.clone());
            *whole = whole.start.min(extent.start)..whole.end.max(extent.end);
        }
    }
    let innermost =
        around.iter().filter(|(_, whole)| inside(whole, &at)).min_by_key(|(_, whole)| whole.len());
    innermost.map(|(id, _)| *id).into_iter().collect()
}

fn binaries(harness: &Path) -> Result<Vec<PathBuf>, String> {
    let messages = cargo(harness, &["test", "--no-run", "--quiet"])?;
    let found: Vec<PathBuf> = messages
        .iter()
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    if found.is_empty() { Err("the tests do not compile".to_owned()) } else { Ok(found) }
}
