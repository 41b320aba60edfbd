//! The table of results, and the reasons why some mutants may live.

use crate::list::{self, Mutant};
use crate::run::Outcome;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

const HEAD: &str = "# What the tests catch

Written by `./dev mutants`: each mutant is one change of the upstream half's source, made to see whether a test fails.
They are those of cargo-mutants, and beside them removals of single checks (`remove …`) and conditions that let
everything through. *Unviable* are those that do not compile; a test that never ends counts as caught. Those that live
are listed with the reason why no test can or need tell them from the original; one without a reason fails the run. Each
row says of which commit it is.

| Area | Mutants | Unviable | Caught | Never ended | Live, explained | Live, unexplained | Caught of viable | Commit |
|---|--:|--:|--:|--:|--:|--:|--:|---|
";

/// Writes an area's part of `RESULTS.md` (of a whole run), and tells whether every survivor is explained.
pub fn write(
    repository: &Path,
    area: &str,
    shard: (usize, usize),
    done: &[(&Mutant, Option<Outcome>)],
    took: Duration,
) -> Result<bool, String> {
    let folder = repository.join("tests/mutants");
    let explained = explained(&folder.join("explained.tsv"))?;
    let path = folder.join("RESULTS.md");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let (mut rows, mut parts) = read(&before);
    let mut fine = true;
    let count =
        |wanted: &[Option<Outcome>]| done.iter().filter(|(_, outcome)| wanted.contains(outcome)).count();
    let unviable = count(&[None]);
    let caught = count(&[Some(Outcome::Caught)]);
    let endless = count(&[Some(Outcome::Timeout)]);
    let mut live: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut unexplained = 0;
    for (mutant, outcome) in done {
        if !matches!(outcome, Some(Outcome::Survived | Outcome::Unmet)) {
            continue;
        }
        let key = mutant.key();
        let why = explained.get(&key);
        let (file, what, source) = key;
        let why = why.map_or("**unexplained**", String::as_str);
        if why == "**unexplained**" {
            unexplained += 1;
            println!("    lives: {file}:{}\t{what}\t{source}", mutant.line);
        }
        live.entry(why).or_default().push(format!("`{file}`: {} (`{source}`)", what.replace('|', "\\|")));
    }
    for key in explained.keys().filter(|key| list::area(&key.0) == Some(area) && shard == (1, 1)) {
        let lives = |(mutant, outcome): &(&Mutant, Option<Outcome>)| {
            mutant.key() == *key && matches!(outcome, Some(Outcome::Survived | Outcome::Unmet))
        };
        if !done.iter().any(lives) {
            println!("    explained, but does not live: {}\t{}\t{}", key.0, key.1, key.2);
            fine = false;
        }
    }
    let living: usize = live.values().map(Vec::len).sum();
    let viable = done.len() - unviable;
    let percent = (caught + endless) as f64 * 100.0 / viable.max(1) as f64;
    let row = format!(
        "| {area} | {} | {unviable} | {caught} | {endless} | {} | {unexplained} | {percent:.1} % | {} |",
        done.len(),
        living - unexplained,
        commit(repository)?,
    );
    println!("{row}");
    fine &= unexplained == 0;
    let mut part = format!("## {area}\n\n");
    if live.is_empty() {
        part.push_str("None lives.\n");
    }
    for (why, mutants) in live {
        part.push_str(&format!("{why}\n\n"));
        mutants.iter().for_each(|mutant| part.push_str(&format!("- {mutant}\n")));
        part.push('\n');
    }
    rows.insert(area.to_owned(), row);
    parts.insert(area.to_owned(), part.trim_end().to_owned());
    println!("==> {} s", took.as_secs());
    if shard == (1, 1) {
        let mut text = HEAD.to_owned();
        let order = || list::AREAS.iter().map(|(name, _)| *name);
        order().filter_map(|area| rows.get(area)).for_each(|row| text.push_str(&format!("{row}\n")));
        order().filter_map(|area| parts.get(area)).for_each(|part| text.push_str(&format!("\n{part}\n")));
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(fine)
}

/// The commit whose sources were judged; with a plus where they were changed since.
fn commit(repository: &Path) -> Result<String, String> {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").current_dir(repository).args(arguments).output();
        let output = output.map_err(|error| format!("git: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let name = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--", "src"])?;
    Ok(format!("{name}{}", if changed.is_empty() { "" } else { "+" }))
}

/// What was caught, kept while a run goes on, for the next one to take over.
pub struct Kept {
    file: std::fs::File,
    before: BTreeMap<String, Outcome>,
}

impl Kept {
    /// What is known of areas that are not run stays there; what is known of the others only with `again`.
    pub fn open(path: &Path, areas: &[String], again: bool) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut before: BTreeMap<String, Outcome> = BTreeMap::new();
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let Some((outcome, key)) = line.split_once('\t') else { continue };
            let area = key.split('\t').next().and_then(list::area).unwrap_or_default();
            if again || !areas.iter().any(|wish| wish == area) {
                let outcome = if outcome == "Timeout" { Outcome::Timeout } else { Outcome::Caught };
                before.insert(key.to_owned(), outcome);
            }
        }
        let mut file = std::fs::File::create(path).map_err(failed)?;
        for (key, outcome) in &before {
            writeln!(file, "{outcome:?}\t{key}").map_err(failed)?;
        }
        Ok(Self { file, before })
    }

    /// What became of it the last time, if it was caught.
    pub fn outcome(&self, mutant: &Mutant) -> Option<Outcome> {
        self.before.get(&mutant.line_of_keys()).copied()
    }

    pub fn keep(&mut self, mutant: &Mutant, outcome: Outcome) -> Result<(), String> {
        if matches!(outcome, Outcome::Caught | Outcome::Timeout) {
            writeln!(self.file, "{outcome:?}\t{}", mutant.line_of_keys())
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

type Parts = BTreeMap<String, String>;

/// The rows and parts of a table that was written before.
fn read(text: &str) -> (Parts, Parts) {
    let (mut rows, mut parts) = (Parts::new(), Parts::new());
    for (area, _) in list::AREAS {
        let start = format!("| {area} |");
        let row = text.lines().find(|line| line.starts_with(&start));
        let part = text.split("\n## ").skip(1).find(|part| part.starts_with(&format!("{area}\n")));
        // a row without its part is of another kind of table
        if let (Some(row), Some(part)) = (row, part) {
            rows.insert((*area).to_owned(), row.to_owned());
            parts.insert((*area).to_owned(), format!("## {}", part.trim_end()));
        }
    }
    (rows, parts)
}

/// File, change, line of the source, and why it may live: four columns with tabs between them, the first three as a
/// run prints them.
fn explained(path: &Path) -> Result<BTreeMap<(String, String, String), String>, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, what, source, why] = columns.as_slice() else {
            return Err(format!("{}: not four columns: {line}", path.display()));
        };
        found.insert(((*file).to_owned(), (*what).to_owned(), (*source).to_owned()), (*why).to_owned());
    }
    Ok(found)
}
