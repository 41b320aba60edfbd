//! A power cut: what was answered is on the disk, and not only on its way there. `crash.rs` kills the process and
//! keeps all that it wrote; here only what it synced is kept (power.c says how).

use crate::crash;
use countersign::config::settings::Database;
use countersign::store::Store;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CARELESS: &str = "COUNTERSIGN_LAWS_CARELESS";
const NAME: &str = "store.db";

/// The library, compiled; `None`, said plainly, where there is no compiler.
fn library(folder: &Path) -> Option<PathBuf> {
    let source = folder.join("power.c");
    std::fs::write(&source, include_str!("power.c")).unwrap();
    let made = folder.join("power.so");
    let command = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&made, &source])
        .arg("-ldl")
        .output();
    match command {
        Ok(output) if output.status.success() => Some(made),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            eprintln!("SKIPPED: power cuts cannot be tried without a C compiler (cc: {error})");
            None
        }
    }
}

/// Where the process writes, and what a cut would leave of it.
struct Disk {
    _folder: tempfile::TempDir,
    live: PathBuf,
    kept: PathBuf,
    library: PathBuf,
}

impl Disk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (live, kept) = (root.join("live"), root.join("kept"));
        std::fs::create_dir(&live).unwrap();
        std::fs::create_dir_all(kept.join("content")).unwrap();
        let library = library(&root)?;
        Some(Self { _folder: folder, live, kept, library })
    }

    fn file(&self) -> PathBuf {
        self.live.join(NAME)
    }

    /// Runs a test of this binary as a process of its own until it has said `enough` lines that begin with the
    /// word, then cuts the power. What it had said by then.
    fn run(&self, test: &str, careless: bool, word: &str, enough: usize) -> Vec<String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture"]).stdout(Stdio::piped()).stderr(Stdio::null());
        command.env(if careless { CARELESS } else { crash::CHILD }, self.file());
        command.env("LD_PRELOAD", &self.library).env("POWER_FROM", &self.live).env("POWER_TO", &self.kept);
        let mut process = command.spawn().unwrap();
        let mut said = Vec::new();
        let mut cut = false;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            said.push(line);
            if !cut && said.iter().filter(|line| line.starts_with(word)).count() >= enough {
                process.kill().unwrap();
                cut = true;
            }
        }
        process.wait().unwrap();
        assert!(cut, "the child ended by itself: {said:?}");
        said
    }

    /// The folder after the cut: of each file what was synced last, or, where `survives` names it, what was
    /// written last, because a disk may also keep what nobody asked it to.
    fn after_the_cut(&self, survives: &[&str]) -> tempfile::TempDir {
        let after = tempfile::tempdir().unwrap();
        let names = std::fs::read_to_string(self.kept.join("names")).unwrap_or_default();
        for name in names.lines().filter(|name| !name.ends_with("-shm")) {
            let (synced, written) = (self.kept.join("content").join(name), self.live.join(name));
            let to = after.path().join(name);
            if survives.iter().any(|suffix| name.ends_with(suffix)) && written.exists() {
                std::fs::copy(written, to).unwrap();
            } else if synced.exists() {
                std::fs::copy(synced, to).unwrap();
            } else {
                std::fs::write(to, "").unwrap();
            }
        }
        after
    }
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&Database::Sqlite { path: folder.path().join(NAME), readers: 1 }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_031_what_was_answered_survives_a_power_cut() {
    let Some(disk) = Disk::new() else { return };
    let said = disk.run("crash::child", false, "used", 150);
    // Whatever else of it the disk kept: nothing, the database file alone, the log alone.
    for survives in [&[][..], &[NAME], &["-wal"]] {
        let after = disk.after_the_cut(survives);
        crash::holds(&open(&after), &said).await;
    }
}

/// The check can fail: a database that answers before it has synced loses what it answered.
#[test]
fn a_database_that_answers_before_it_has_synced_is_found_out() {
    let Some(disk) = Disk::new() else { return };
    let said = disk.run("power::careless_child", true, "wrote", 200);
    let told = said.iter().filter(|line| line.starts_with("wrote")).count();
    let after = disk.after_the_cut(&[]);
    assert!(rows(&after.path().join(NAME)) < told, "all {told} rows survived without having been synced");
}

fn rows(path: &Path) -> usize {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    use diesel::RunQueryDsl as _;
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let count = diesel::sql_query("SELECT count(*) AS count FROM t").get_result::<Count>(&mut conn);
    // Even the table may be lost.
    count.map_or(0, |row| usize::try_from(row.count).unwrap())
}

/// As our store does it, but for the sync.
#[test]
fn careless_child() {
    let Ok(path) = std::env::var(CARELESS) else { return };
    let mut conn = SqliteConnection::establish(&path).unwrap();
    conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (n INTEGER)")
        .unwrap();
    loop {
        conn.batch_execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1); COMMIT").unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\nwrote one").unwrap();
        out.flush().unwrap();
    }
}
