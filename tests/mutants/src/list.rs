//! What is mutated, and how: the list of cargo-mutants, and removals of single checks beside it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The parts of the source that are mutated, each with its files.
pub const AREAS: &[(&str, &[&str])] = &[
    ("jose", &["src/jose/"]),
    ("oidc", &["src/upstream/oidc/"]),
    ("oauth2", &["src/upstream/oauth2/"]),
    ("saml", &["src/upstream/saml/"]),
    ("mapping", &["src/upstream/mapping/"]),
    ("shared", &["src/upstream/"]),
    ("outbound", &["src/outbound/", "src/outbound.rs"]),
];

/// What is mutated: no file of these may fall outside the areas.
const WHOLE: &[&str] = &["src/upstream", "src/jose", "src/outbound", "src/outbound.rs"];

/// The area of a file: the first that has it.
pub fn area(file: &str) -> Option<&'static str> {
    AREAS.iter().find(|(_, paths)| paths.iter().any(|path| file.starts_with(path))).map(|(name, _)| *name)
}

/// One change of the source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mutant {
    pub id: u32,
    pub file: String,
    pub line: usize,
    /// What is changed, in words; cargo-mutants' own where it is one of its.
    pub what: String,
    /// The line of the source, to tell mutants of one kind apart.
    pub source: String,
    /// Which of those that are alike in all of this.
    pub nth: usize,
}

impl Mutant {
    /// What stays the same when lines move. Of those that are alike the second says so, and so on.
    pub fn key(&self) -> (String, String, String) {
        let what = if self.nth == 0 { self.what.clone() } else { format!("{} #{}", self.what, self.nth + 1) };
        (self.file.clone(), what, self.source.clone())
    }

    /// The same in one line.
    pub fn line_of_keys(&self) -> String {
        let (file, what, source) = self.key();
        format!("{file}\t{what}\t{source}")
    }
}

/// A mutant of cargo-mutants, as it lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    pub genre: String,
    pub name: String,
    pub replacement: String,
    pub span: Extent,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Extent {
    pub start: Place,
}

/// Both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// The files that are mutated, without those that are compiled for tests only.
pub fn files(root: &Path) -> Result<Vec<String>, String> {
    let mut found = BTreeSet::new();
    for path in WHOLE {
        walk(&root.join(path), &mut found)?;
    }
    let mut for_tests = BTreeSet::new();
    for path in &found {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let tree = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = path.parent().unwrap_or(root);
        let folder = if stem == "mod" { folder.to_owned() } else { folder.join(stem) };
        for item in tree.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && is_for_tests(&module.attrs)
            {
                for_tests.insert(folder.join(format!("{}.rs", module.ident)));
                for_tests.insert(folder.join(module.ident.to_string()));
            }
        }
    }
    let kept = found.iter().filter(|path| !for_tests.iter().any(|test| path.starts_with(test)));
    let files: Vec<String> =
        kept.filter_map(|path| path.strip_prefix(root).ok()?.to_str().map(str::to_owned)).collect();
    match files.iter().find(|file| area(file).is_none()) {
        Some(file) => Err(format!("{file} belongs to no area")),
        None => Ok(files),
    }
}

/// `#[cfg(test)]`, or a condition with `test` in it.
pub fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list)
                if list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == "test"))
    })
}

fn walk(path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for entry in entries.flatten() {
            walk(&entry.path(), found)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.insert(path.to_owned());
    }
    Ok(())
}

/// What cargo-mutants would do to a file, by genre and place.
pub fn listed(path: &Path) -> Result<BTreeMap<(String, Place), Vec<Listed>>, String> {
    let output = Command::new("cargo")
        .args(["mutants", "--no-config", "--json", "--Zmutate-file"])
        .arg(path)
        .output()
        .map_err(|error| format!("cargo mutants does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo mutants: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let all: Vec<Listed> = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo mutants' list of {}: {error}", path.display()))?;
    let mut by_place: BTreeMap<(String, Place), Vec<Listed>> = BTreeMap::new();
    for one in all {
        by_place.entry((one.genre.clone(), one.span.start)).or_default().push(one);
    }
    Ok(by_place)
}
