//! Notices when the configuration should be read again: SIGHUP, or a change of any file that was read.
//!
//! Folders are watched, not files, because editors and Kubernetes replace files (or the link to their
//! folder) instead of writing into them. What decides is whether a content changed, so that noise in the
//! folder costs nothing. A slow poll stands behind, for file systems that tell nothing.

use super::load::{Inputs, Loaded, load};
use super::report::{Problem, Report};
use super::settings::{Database, Settings};
use super::values::Files;
use notify::Watcher as _;
use secrecy::ExposeSecret as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Several events of one change come within this time.
const QUIET: Duration = Duration::from_millis(250);
/// The poll behind the events.
const POLL: Duration = Duration::from_secs(30);

/// Why the configuration was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGHUP.
    Signal,
    /// A file changed.
    File,
}

/// The configuration was read again.
#[derive(Debug)]
pub struct Reload {
    /// Why.
    pub cause: Cause,
    /// The new one; or why the running one stays in force.
    pub outcome: Result<Loaded, Report>,
}

/// Watches from now on, on a task of the present runtime, until the receiver is dropped. `running` is what
/// the server was started with.
pub fn watch(inputs: Inputs, running: &Loaded) -> mpsc::Receiver<Reload> {
    let (sender, receiver) = mpsc::channel(4);
    let (settings, files) = (running.settings.clone(), running.report.files().clone());
    // before the task starts, so that no change from here on is missed
    let mut folders = Folders::new();
    folders.follow(&files);
    let hangups = Hangups::new();
    tokio::spawn(async move { run(inputs, settings, files, (folders, hangups), sender).await });
    receiver
}

async fn run(
    inputs: Inputs,
    started: Arc<Settings>,
    mut files: Files,
    (mut folders, mut hangups): (Folders, Hangups),
    sender: mpsc::Sender<Reload>,
) {
    loop {
        let cause = tokio::select! {
            () = hangups.next() => Cause::Signal,
            () = folders.next() => Cause::File,
            () = tokio::time::sleep(POLL) => Cause::File,
            () = sender.closed() => return,
        };
        let (inputs, known) = (inputs.clone(), files.clone());
        let read = move || (cause == Cause::Signal || known.changed()).then(|| load(&inputs));
        let Ok(Some(outcome)) = tokio::task::spawn_blocking(read).await else { continue };
        files = match &outcome {
            Ok(loaded) => loaded.report.files().clone(),
            Err(report) => report.files().clone(),
        };
        folders.follow(&files);
        let outcome = outcome.and_then(|loaded| match needs_restart(&started, &loaded.settings) {
            changed if changed.is_empty() => Ok(loaded),
            changed => {
                let message = format!("{} cannot change while running", changed.join(", "));
                let problem = Problem::nowhere("config.restart", message);
                Err(Report::of(problem.help("restart the server to apply the new configuration")))
            }
        });
        if sender.send(Reload { cause, outcome }).await.is_err() {
            return;
        }
    }
}

/// What differs between two configurations and takes effect only at a start.
pub fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let listener = |s: &Settings| (s.public.listen.clone(), s.public.tls.is_some(), s.public.workers);
    let database = |s: &Settings| match &s.database {
        Database::Sqlite { path, readers } => (path.display().to_string(), *readers),
        Database::Postgres { url, connections } => (url.expose_secret().to_owned(), *connections),
    };
    [
        ("`issuer`", old.issuer != new.issuer || old.development != new.development),
        ("`[public]`", listener(old) != listener(new)),
        ("`[management]`", old.management != new.management),
        ("`[database]`", database(old) != database(new)),
        ("`master_key`", old.master_key.expose_secret() != new.master_key.expose_secret()),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

/// SIGHUP, where there is such a thing.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
                .inspect_err(|error| tracing::warn!(%error, "SIGHUP is not heard"))
                .ok(),
        }
    }
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// The folders of the files, and of what they are links to.
struct Folders {
    watcher: Option<notify::RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    events: mpsc::UnboundedReceiver<()>,
}

impl Folders {
    fn new() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = sender.send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "changes of files are noticed by a slow poll only"))
            .ok();
        Self { watcher, watched: BTreeSet::new(), events }
    }

    fn follow(&mut self, files: &Files) {
        let Some(watcher) = &mut self.watcher else { return };
        for file in files.paths() {
            let real = std::fs::canonicalize(file).ok();
            for folder in [Some(file), real.as_deref()].into_iter().flatten().filter_map(Path::parent) {
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                if self.watched.contains(folder) {
                    continue;
                }
                match watcher.watch(folder, notify::RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.insert(folder.to_owned());
                    }
                    Err(error) => {
                        let folder = folder.display();
                        tracing::warn!(%folder, %error, "changes here are noticed by a slow poll only");
                    }
                }
            }
        }
    }

    /// Waits for a change, and then until it is quiet.
    async fn next(&mut self) {
        if self.watcher.is_none() || self.events.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        // a folder that is never quiet must not put the answer off forever
        let patience = tokio::time::Instant::now() + QUIET * 8;
        while tokio::time::Instant::now() < patience {
            match tokio::time::timeout(QUIET, self.events.recv()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn text(name: &str) -> String {
        format!("issuer = \"https://id.test\"\nmaster_key = \"env:KEY\"\n[branding]\nname = \"{name}\"\n")
    }

    fn inputs(config: PathBuf) -> Inputs {
        let env = |name: &str| (name == "KEY").then(|| KEY.to_owned());
        Inputs { config, providers: None, env: Arc::new(env), create_keys: None }
    }

    async fn name_of_next(reloads: &mut mpsc::Receiver<Reload>) -> String {
        let reload = tokio::time::timeout(Duration::from_secs(20), reloads.recv()).await;
        reload.unwrap().unwrap().outcome.unwrap().settings.branding.name.clone()
    }

    #[tokio::test]
    async fn a_change_by_rename_is_noticed_and_a_bad_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countersign.toml");
        std::fs::write(&path, text("one")).unwrap();
        let inputs = inputs(path.clone());
        let mut reloads = watch(inputs.clone(), &load(&inputs).unwrap());
        let aside = folder.path().join("aside");
        std::fs::write(&aside, text("two")).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(name_of_next(&mut reloads).await, "two");
        std::fs::write(&path, "issuer = ").unwrap();
        let bad = reloads.recv().await.unwrap();
        assert!(bad.outcome.unwrap_err().has_errors());
        std::fs::write(&path, text("three")).unwrap();
        assert_eq!(name_of_next(&mut reloads).await, "three");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_that_is_swapped_by_its_link_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        for (version, name) in [("v1", "one"), ("v2", "two")] {
            std::fs::create_dir(folder.path().join(version)).unwrap();
            std::fs::write(folder.path().join(version).join("countersign.toml"), text(name)).unwrap();
        }
        std::os::unix::fs::symlink("v1", folder.path().join("..data")).unwrap();
        let path = folder.path().join("countersign.toml");
        std::os::unix::fs::symlink("..data/countersign.toml", &path).unwrap();
        let inputs = inputs(path);
        let mut reloads = watch(inputs.clone(), &load(&inputs).unwrap());
        std::os::unix::fs::symlink("v2", folder.path().join("..data_new")).unwrap();
        std::fs::rename(folder.path().join("..data_new"), folder.path().join("..data")).unwrap();
        assert_eq!(name_of_next(&mut reloads).await, "two");
    }

    #[tokio::test]
    async fn what_needs_a_restart_is_told_and_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countersign.toml");
        std::fs::write(&path, text("one")).unwrap();
        let inputs = inputs(path.clone());
        let mut reloads = watch(inputs.clone(), &load(&inputs).unwrap());
        let other = text("two").replace("https://id.test", "https://other.test");
        std::fs::write(&path, format!("{other}[management]\nlisten = \"127.0.0.1:9\"\n")).unwrap();
        let report = reloads.recv().await.unwrap().outcome.unwrap_err();
        assert_eq!(report.lines(), ["`issuer`, `[management]` cannot change while running"]);
    }
}
