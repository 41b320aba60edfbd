//! Runs the tests: once to see which mutants each of them comes by, then those alone against each mutant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
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
            found.push(alone(binary, name, root, worker)?);
        }
        Ok(found)
    };
    let work = &work;
    let parts: Vec<Result<Vec<Test>, String>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        let ended = |part: std::thread::Result<_>| part.unwrap_or_else(|_| Err("a worker ended".to_owned()));
        all.into_iter().map(|one| ended(one.join())).collect()
    });
    let mut found: Vec<Test> =
        parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
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

/// Runs the tests that come by a mutant, the quick ones first.
pub fn judge(id: u32, tests: &[Test], root: &Path, worker: usize) -> (Outcome, String) {
    let meeting: Vec<&Test> = tests.iter().filter(|test| test.meets.contains(&id)).collect();
    if meeting.is_empty() {
        return (Outcome::Unmet, String::new());
    }
    let (first, rest) = meeting.split_at(meeting.len().min(6));
    let (second, rest) = rest.split_at(rest.len().min(24));
    for part in [first, second, rest] {
        let mut by_binary: BTreeMap<&Path, Vec<&Test>> = BTreeMap::new();
        for test in part {
            by_binary.entry(&test.binary).or_default().push(test);
        }
        for (binary, tests) in by_binary {
            let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
            let usual: Duration = tests.iter().map(|test| test.took).sum();
            let most = usual * 4 + Duration::from_secs(30);
            let mut command = command(binary, root, &names);
            command.env("MUTANT_ON", id.to_string()).stderr(Stdio::null());
            let output = root.join(format!("output-{worker}.txt"));
            let Ok(file) = std::fs::File::create(&output) else { continue };
            let Ok(child) = command.stdout(file).spawn() else { continue };
            match wait(child, most) {
                Some(true) => {}
                None => return (Outcome::Timeout, names.join(" ")),
                Some(false) => {
                    let text = std::fs::read_to_string(&output).unwrap_or_default();
                    let failed =
                        text.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
                    // an abort names nobody
                    let Some(failed) = failed else {
                        return (Outcome::Caught, "the process ended".to_owned());
                    };
                    // a test that waits for the network may fail by itself where the machine is busy
                    if fails_again(id, binary, root, failed) {
                        return (Outcome::Caught, failed.to_owned());
                    }
                }
            }
        }
    }
    (Outcome::Survived, meeting.len().to_string())
}

fn fails_again(id: u32, binary: &Path, root: &Path, name: &str) -> bool {
    let mut command = command(binary, root, &[name]);
    command.env("MUTANT_ON", id.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok_and(|child| wait(child, Duration::from_secs(60)) != Some(true))
}
