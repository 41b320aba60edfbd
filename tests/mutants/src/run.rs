//! Runs the tests: once to see which mutants each of them comes by, then those alone against each mutant.

use crate::list::Mutant;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub struct Test {
    pub binary: PathBuf,
    pub name: String,
    pub took: Duration,
    /// The mutants that it comes by.
    pub meets: BTreeSet<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Caught,
    /// The tests did not come to an end.
    Timeout,
    Survived,
    /// No test comes by it.
    Unmet,
}

fn command(binary: &Path, root: &Path, names: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command
        .current_dir(root.join("tests/harness"))
        .arg("--exact")
        .args(names)
        .env("PROPTEST_CASES", "32")
        .env("COMBINATIONS", "60")
        .env("INSTA_UPDATE", "no")
        .env("RUST_BACKTRACE", "0")
        .env("CARGO_MANIFEST_DIR", root.join("tests/harness"))
        .stdin(Stdio::null());
    command
}

/// Waits, and ends it when it takes too long. `None` if it did.
fn wait(mut child: Child, most: Duration) -> Option<bool> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if start.elapsed() < most => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// All tests, each run once without a mutant, some at the same time.
pub fn tests(binaries: &[PathBuf], root: &Path, workers: usize) -> Result<Vec<Test>, String> {
    let mut names = Vec::new();
    for binary in binaries {
        let list = Command::new(binary).args(["--list", "--format", "terse"]).output();
        let list = list.map_err(|error| format!("{}: {error}", binary.display()))?;
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        names.extend(list.lines().filter_map(|line| Some((binary, line.strip_suffix(": test")?.to_owned()))));
    }
    let next = AtomicUsize::new(0);
    let work = |worker: usize| {
        let mut found = Vec::new();
        while let Some((binary, name)) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push(alone(binary, name, root, worker));
        }
        found
    };
    let work = &work;
    let parts: Vec<Vec<Result<Test, String>>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        let ended =
            |part: std::thread::Result<_>| part.unwrap_or_else(|_| vec![Err("a worker ended".into())]);
        all.into_iter().map(|one| ended(one.join())).collect()
    });
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for test in parts.into_iter().flatten() {
        match test {
            Ok(test) => found.push(test),
            Err(why) => wrong.push(why),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    found.sort_by_key(|test| test.took);
    Ok(found)
}

fn alone(binary: &Path, name: &str, root: &Path, worker: usize) -> Result<Test, String> {
    let notes = root.join(format!("notes-{worker}.txt"));
    // a busy machine makes a test late now and then
    for _ in 0..4 {
        let _ = std::fs::remove_file(&notes);
        let start = Instant::now();
        let child = command(binary, root, &[name])
            .env("MUTANT_NOTES", &notes)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        if wait(child, Duration::from_secs(300)) == Some(true) {
            let took = start.elapsed();
            let text = std::fs::read_to_string(&notes).unwrap_or_default();
            let meets = text.lines().filter_map(|line| line.parse().ok()).collect();
            return Ok(Test { binary: binary.to_owned(), name: name.to_owned(), took, meets });
        }
    }
    Err(format!("{name} fails without any mutant"))
}

/// Tests that have caught mutants of a file, the last one first: the next mutant of it is tried on them before others.
#[derive(Default)]
pub struct Catchers(Mutex<BTreeMap<String, Vec<usize>>>);

impl Catchers {
    fn of(&self, file: &str) -> Vec<usize> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(file).cloned().unwrap_or_default()
    }

    fn note(&self, file: &str, test: usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(file.to_owned()).or_default();
        known.retain(|other| *other != test);
        known.insert(0, test);
        known.truncate(CATCHERS);
    }
}

/// Catchers of one file.
const CATCHERS: usize = 4;

/// Runs the tests that come by a mutant: those that caught others of its file, then the quick ones, ever more at once.
pub fn judge(
    mutant: &Mutant,
    tests: &[Test],
    catchers: &Catchers,
    root: &Path,
    worker: usize,
) -> (Outcome, String) {
    let meets = |at: &usize| tests.get(*at).is_some_and(|test| test.meets.contains(&mutant.id));
    let first: Vec<usize> = catchers.of(&mutant.file).into_iter().filter(meets).collect();
    let rest: Vec<usize> = (0..tests.len()).filter(meets).filter(|at| !first.contains(at)).collect();
    let count = first.len() + rest.len();
    if count == 0 {
        return (Outcome::Unmet, String::new());
    }
    let mut parts = vec![first];
    let (mut rest, mut most) = (rest.as_slice(), 6);
    while !rest.is_empty() {
        let (part, more) = rest.split_at(rest.len().min(most));
        parts.push(part.to_vec());
        (rest, most) = (more, most * 2);
    }
    for part in parts {
        let mut by_binary: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        for at in part {
            if let Some(test) = tests.get(at) {
                by_binary.entry(&test.binary).or_default().push(at);
            }
        }
        for (binary, mut part) in by_binary {
            let mut odd = false;
            // what happens once may be the busy machine's doing
            while !part.is_empty() {
                let some: Vec<&Test> = part.iter().filter_map(|at| tests.get(*at)).collect();
                let failed = match batch(mutant.id, binary, &some, root, worker) {
                    Batch::Passed => break,
                    Batch::Failed(failed) => failed,
                    Batch::Ended if odd => return (Outcome::Caught, "the process ended".to_owned()),
                    Batch::Endless if odd => return (Outcome::Timeout, format!("{} tests", some.len())),
                    Batch::Ended | Batch::Endless => {
                        odd = true;
                        continue;
                    }
                };
                let at = part.iter().position(|at| tests.get(*at).is_some_and(|test| test.name == failed));
                let Some(at) = at.map(|at| part.remove(at)) else { break };
                let again = tests.get(at).map(|test| batch(mutant.id, binary, &[test], root, worker));
                if !matches!(again, Some(Batch::Passed)) {
                    catchers.note(&mutant.file, at);
                    return (Outcome::Caught, failed);
                }
            }
        }
    }
    (Outcome::Survived, count.to_string())
}

enum Batch {
    Passed,
    /// This test failed; what came after it was not waited for.
    Failed(String),
    /// The process ended without a word.
    Ended,
    Endless,
}

fn batch(id: u32, binary: &Path, tests: &[&Test], root: &Path, worker: usize) -> Batch {
    let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    let usual: Duration = tests.iter().map(|test| test.took).sum();
    let most = usual * 4 + Duration::from_secs(30);
    let output = root.join(format!("output-{worker}.txt"));
    let Ok(file) = std::fs::File::create(&output) else { return Batch::Ended };
    let mut command = command(binary, root, &names);
    command.env("MUTANT_ON", id.to_string()).stdout(file).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return Batch::Ended };
    let failed = || {
        let text = std::fs::read_to_string(&output).unwrap_or_default();
        text.lines()
            .find_map(|line| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned()))
    };
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    let seen = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Batch::Passed,
            Ok(Some(_)) => return failed().map_or(Batch::Ended, Batch::Failed),
            Ok(None) if start.elapsed() < most => {
                if let Some(name) = failed() {
                    break Batch::Failed(name);
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            _ => break Batch::Endless,
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    seen
}
