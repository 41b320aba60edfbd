//! `mutants AREA … [--shard K/N] [--again] [--jobs N] [--most SECONDS]`: plants every mutant of the areas at once, runs
//! against each the tests that come by it, and writes `tests/mutants/RESULTS.md`.

mod list;
mod plant;
mod report;
mod run;
mod tree;

use run::Outcome;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

struct Wish {
    areas: Vec<String>,
    /// This one of so many, from 1.
    shard: (usize, usize),
    /// What an earlier run has seen caught is not judged once more, what did not compile not compiled.
    again: bool,
    /// So many tests at the same time.
    jobs: usize,
    /// Tests that take longer by themselves are left out.
    most: Duration,
}

fn wish() -> Result<Wish, String> {
    // tests wait for the network more than they compute
    let jobs = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut wish = Wish { areas: Vec::new(), shard: (1, 1), again: false, jobs, most: Duration::MAX };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--again" {
            wish.again = true;
        } else if argument == "--most" {
            let seconds = arguments.next().and_then(|text| text.parse().ok()).map(Duration::from_secs);
            wish.most = seconds.ok_or("--most needs a number of seconds")?;
        } else if argument == "--jobs" {
            let number = arguments.next().and_then(|text| text.parse().ok());
            wish.jobs = number.filter(|jobs| *jobs > 0).ok_or("--jobs needs a number")?;
        } else if argument == "--shard" {
            let text = arguments.next().unwrap_or_default();
            let parts = text.split_once('/').map(|(k, n)| (k.parse(), n.parse()));
            match parts {
                Some((Ok(k), Ok(n))) if 1 <= k && k <= n => wish.shard = (k, n),
                _ => return Err("--shard needs K/N, such as 1/4".to_owned()),
            }
        } else if list::AREAS.iter().any(|(name, _)| *name == argument) {
            wish.areas.push(argument);
        } else {
            let names: Vec<&str> = list::AREAS.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no area `{argument}`; there are {}", names.join(", ")));
        }
    }
    if wish.areas.is_empty() {
        wish.areas = list::AREAS.iter().map(|(name, _)| (*name).to_owned()).collect();
    }
    Ok(wish)
}

fn work() -> Result<bool, String> {
    let wish = wish()?;
    // As it is now: the program may have been compiled in a folder that is gone.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let repository: PathBuf = Path::new(&here).join("../..");
    let repository = repository.canonicalize().map_err(|error| error.to_string())?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    let root = target.join("mutants");
    let start = Instant::now();
    let tree = tree::grow(&repository, &root, &wish.areas, wish.again)?;
    println!(
        "==> {} mutants compile, {} do not ({} s)",
        tree.mutants.len() - tree.unviable.len(),
        tree.unviable.len(),
        start.elapsed().as_secs()
    );
    let mut tests = run::tests(&tree.binaries, &root, wish.jobs)?;
    println!("==> {} tests pass without a mutant ({} s)", tests.len(), start.elapsed().as_secs());
    for test in tests.iter().rev().take(5) {
        println!("    {:.1} s {}", test.took.as_secs_f64(), test.name);
    }
    tests.retain(|test| test.took <= wish.most);

    let kept = Mutex::new(report::Kept::open(&target.join("mutants-caught.tsv"), &wish.areas, wish.again)?);
    let mut fine = true;
    for area in &wish.areas {
        let start = Instant::now();
        let done = judge(area, &wish, &tree, &tests, &kept)?;
        fine &= report::write(&repository, area, wish.shard, &done, start.elapsed())?;
    }
    Ok(fine)
}

type Judged<'t> = Vec<(&'t list::Mutant, Option<Outcome>)>;

/// Judges the mutants of an area, some at the same time.
fn judge<'t>(
    area: &str,
    wish: &Wish,
    tree: &'t tree::Tree,
    tests: &[run::Test],
    kept: &Mutex<report::Kept>,
) -> Result<Judged<'t>, String> {
    let (k, n) = wish.shard;
    let ours = tree.mutants.iter().filter(|mutant| list::area(&mutant.file) == Some(area));
    let ours: Vec<&list::Mutant> = ours.skip(k - 1).step_by(n).collect();
    let next = AtomicUsize::new(0);
    let catchers = run::Catchers::default();
    let work = |worker: usize| -> Result<Judged<'t>, String> {
        let mut done = Vec::new();
        while let Some(mutant) = ours.get(next.fetch_add(1, Ordering::Relaxed)) {
            if tree.unviable.contains(&mutant.id) {
                done.push((*mutant, None));
                continue;
            }
            let before = kept.lock().unwrap_or_else(PoisonError::into_inner).outcome(mutant);
            if let Some(outcome) = before {
                done.push((*mutant, Some(outcome)));
                continue;
            }
            let (outcome, by) = run::judge(mutant, tests, &catchers, &tree.root, worker);
            kept.lock().unwrap_or_else(PoisonError::into_inner).keep(mutant, outcome)?;
            if outcome != Outcome::Caught {
                println!(
                    "    {outcome:?} {}:{} {} | {} | {by}",
                    mutant.file,
                    mutant.line,
                    mutant.key().1,
                    mutant.source
                );
            }
            done.push((*mutant, Some(outcome)));
        }
        Ok(done)
    };
    let work = &work;
    let parts: Vec<Result<Vec<_>, String>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..wish.jobs).map(|worker| scope.spawn(move || work(worker))).collect();
        let ended = |part: std::thread::Result<_>| part.unwrap_or_else(|_| Err("a worker ended".to_owned()));
        all.into_iter().map(|one| ended(one.join())).collect()
    });
    let mut done = parts.into_iter().collect::<Result<Vec<_>, String>>()?.concat();
    done.sort_by_key(|(mutant, _)| mutant.id);
    Ok(done)
}
