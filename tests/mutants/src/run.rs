//! Runs the tests: once to see which mutants each of them comes by, then those alone against each mutant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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

/// All tests, each run once without a mutant.
pub fn tests(binaries: &[PathBuf], root: &Path) -> Result<Vec<Test>, String> {
    let mut found = Vec::new();
    let notes = root.join("notes.txt");
    for binary in binaries {
        let list = Command::new(binary).args(["--list", "--format", "terse"]).output();
        let list = list.map_err(|error| format!("{}: {error}", binary.display()))?;
        for line in String::from_utf8_lossy(&list.stdout).lines() {
            let Some(name) = line.strip_suffix(": test") else { continue };
            let mut start = Instant::now();
            let mut passes = false;
            // a busy machine makes a test late now and then
            for _ in 0..4 {
                let _ = std::fs::remove_file(&notes);
                start = Instant::now();
                let child = command(binary, root, &[name])
                    .env("MUTANT_NOTES", &notes)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .map_err(|error| format!("{name}: {error}"))?;
                passes = wait(child, Duration::from_secs(300)) == Some(true);
                if passes {
                    break;
                }
            }
            if !passes {
                return Err(format!("{name} fails without any mutant"));
            }
            let text = std::fs::read_to_string(&notes).unwrap_or_default();
            let meets: BTreeSet<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
            found.push(Test { binary: binary.clone(), name: name.to_owned(), took: start.elapsed(), meets });
        }
    }
    found.sort_by_key(|test| test.took);
    Ok(found)
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
