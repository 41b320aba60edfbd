//! Whether the database is the one that was here before, and not an older copy of it.
//!
//! A backup brings back what was ended since it was made: revoked tokens, ended sessions, used invitations. So
//! the database bears a name, its lineage, and a time up to which it was in use, which only grows; beside an
//! SQLite file a small file remembers both. A database that is behind its mark is not served until
//! `countersign new-epoch` has ended everything that it gave out ([`crate::flow::admin::epoch`]). On PostgreSQL
//! there is no such file, but running nodes remember, and notice when the database goes back beneath them.
//!
//! The same time tells a clock that was put back while nothing ran.

use crate::config::settings::Database;
use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::store::{Store, StoreError, Tx};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The database's name.
pub const LINEAGE: &str = "lineage";
/// Up to when it was in use.
pub const SEEN_AT: &str = "seen_at";
/// Before this moment nothing that was given out is worth anything.
pub const EPOCH: &str = "epoch";
/// A clock may be behind by this much: that is what time servers mend.
const LEEWAY: Duration = Duration::from_secs(60);

/// A database at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its name.
    pub lineage: String,
    /// Up to when it was in use.
    pub seen_at: Timestamp,
}

/// Why a database cannot be served as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It is older than it was, or another one.
    Restored {
        /// What was seen last.
        expected: String,
        /// What is there.
        received: String,
    },
    /// The clock shows an earlier time than the database has seen.
    ClockBehind {
        /// What the database has seen.
        seen: Timestamp,
        /// What the clock shows.
        now: Timestamp,
    },
}

/// Holds a database that was in use before against what is remembered of it.
pub fn judge(stored: &Mark, remembered: Option<&Mark>, now: Timestamp) -> Result<(), Doubt> {
    if let Some(mark) = remembered
        && (mark.lineage != stored.lineage || mark.seen_at > stored.seen_at)
    {
        return Err(Doubt::Restored { expected: mark.shown(), received: stored.shown() });
    }
    if stored.seen_at > now.plus(LEEWAY) {
        return Err(Doubt::ClockBehind { seen: stored.seen_at, now });
    }
    Ok(())
}

impl Doubt {
    /// What an operator is told.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Restored { expected, received } => {
                let note = "the database is older than, or another one than, what was in use here before";
                Failure::internal("database.restored", note).expected(expected, received.clone())
            }
            Self::ClockBehind { seen, now } => {
                let note = "the clock shows an earlier time than the database has seen";
                let seen = format!("{} or later", seen.rfc3339());
                Failure::internal("clock.behind", note).expected(seen, now.rfc3339())
            }
        }
    }
}

impl Mark {
    fn shown(&self) -> String {
        format!("{}, in use up to {}", self.lineage, self.seen_at.rfc3339())
    }
    /// What the database says of itself; `None` before its first use.
    ///
    /// # Errors
    /// Of the store.
    pub fn stored(tx: &mut Tx<'_>) -> Result<Option<Self>, StoreError> {
        let (Some(lineage), Some(seen_at)) = (tx.meta(LINEAGE)?, tx.meta(SEEN_AT)?) else { return Ok(None) };
        let seen_at = seen_at.parse().map_err(|_| StoreError::corrupt("meta.seen_at"))?;
        Ok(Some(Self { lineage, seen_at: Timestamp(seen_at) }))
    }
    /// Gives the database a name, and says that it is in use.
    ///
    /// # Errors
    /// Of the store.
    pub fn put(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.put_meta(LINEAGE, &self.lineage)?;
        tx.put_meta(SEEN_AT, &self.seen_at.0.to_string())
    }
    /// Reads the file beside the database. A file that is no mark counts as none.
    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let (lineage, seen_at) = text.trim().split_once(' ')?;
        Some(Self { lineage: lineage.to_owned(), seen_at: Timestamp(seen_at.parse().ok()?) })
    }
    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// Of the file system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let aside = path.with_extension("seen.new");
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        writeln!(file, "{} {}", self.lineage, self.seen_at.0)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    }
}

/// The file that remembers, where there is one.
pub fn file_of(database: &Database) -> Option<PathBuf> {
    match database {
        Database::Sqlite { path, .. } => {
            let mut name = path.clone().into_os_string();
            name.push(".seen");
            Some(PathBuf::from(name))
        }
        Database::Postgres { .. } => None,
    }
}

/// What a process remembers of its database.
#[derive(Debug)]
pub struct Memory {
    file: Option<PathBuf>,
    last: Mark,
}

impl Memory {
    /// Looks at the database before anything of it is served, and names it if it has no name.
    ///
    /// # Errors
    /// `database.restored`, `clock.behind`; or the store fails.
    pub async fn begin(context: &Context, store: &Store, database: &Database) -> Result<Self, Failure> {
        let file = file_of(database);
        let remembered = file.as_deref().and_then(Mark::read);
        let now = context.now();
        let fresh = context.token_id();
        let stored = store.read(Mark::stored).await?;
        if let Some(stored) = &stored {
            judge(stored, remembered.as_ref(), now).map_err(|doubt| doubt.failure())?;
        }
        let last = store
            .write(move |tx| -> Result<_, StoreError> {
                let lineage = tx.init_meta(LINEAGE, &fresh)?;
                use_it(tx, lineage, now)
            })
            .await?;
        let memory = Self { file, last };
        memory.remember();
        Ok(memory)
    }

    /// Says that the database is in use still. To be called every minute.
    ///
    /// # Errors
    /// `database.restored` where it has gone back beneath us; or the store fails.
    pub async fn go_on(&mut self, context: &Context, store: &Store) -> Result<(), Failure> {
        let (last, now) = (self.last.clone(), context.now());
        let seen = store
            .write(move |tx| -> Result<_, Failure> {
                let Some(stored) = Mark::stored(tx)? else {
                    let doubt = Doubt::Restored { expected: last.shown(), received: "no mark".to_owned() };
                    return Err(doubt.failure());
                };
                // Another name: somebody began a new epoch.
                if stored.lineage == last.lineage && stored.seen_at < last.seen_at {
                    let doubt = Doubt::Restored { expected: last.shown(), received: stored.shown() };
                    return Err(doubt.failure());
                }
                Ok(use_it(tx, stored.lineage, now)?)
            })
            .await?;
        self.last = seen;
        self.remember();
        Ok(())
    }

    /// After the commit, so that the file is never ahead of the database.
    fn remember(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = self.last.write(file) {
            tracing::warn!(%error, file = %file.display(), "a restored backup would not be noticed here");
        }
    }
}

/// The time only grows, whichever node writes it.
fn use_it(tx: &mut Tx<'_>, lineage: String, now: Timestamp) -> Result<Mark, StoreError> {
    let before = Mark::stored(tx)?.map_or(now, |stored| stored.seen_at);
    let mark = Mark { lineage, seen_at: before.max(now) };
    mark.put(tx)?;
    Ok(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(lineage: &str, seen_at: i64) -> Mark {
        Mark { lineage: lineage.to_owned(), seen_at: Timestamp(seen_at) }
    }

    #[test]
    fn admin_033_a_database_that_is_behind_its_mark_is_noticed() {
        let now = Timestamp(1_000_000);
        let restored = |stored: &Mark, remembered: &Mark| {
            matches!(judge(stored, Some(remembered), now), Err(Doubt::Restored { .. }))
        };
        assert!(restored(&mark("a", 500), &mark("a", 501)), "an older copy");
        assert!(restored(&mark("a", 900), &mark("b", 500)), "another database");
        assert_eq!(judge(&mark("a", 500), Some(&mark("a", 500)), now), Ok(()), "the valid twin");
        assert_eq!(judge(&mark("a", 600), Some(&mark("a", 500)), now), Ok(()), "ahead of its mark");
        assert_eq!(judge(&mark("a", 500), None, now), Ok(()), "no mark");
    }

    #[test]
    fn admin_029_a_clock_that_was_put_back_while_nothing_ran_is_noticed() {
        let now = Timestamp(1_000_000);
        let doubt = judge(&mark("a", now.0 + 86_400_000), None, now).unwrap_err();
        assert_eq!(doubt.failure().reason, "clock.behind");
        assert_eq!(judge(&mark("a", now.0 + 30_000), None, now), Ok(()), "what time servers mend");
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.seen");
        assert_eq!(Mark::read(&path), None);
        mark("a", 5).write(&path).unwrap();
        mark("b", -7).write(&path).unwrap();
        assert_eq!(Mark::read(&path), Some(mark("b", -7)));
        std::fs::write(&path, "nonsense").unwrap();
        assert_eq!(Mark::read(&path), None);
    }
}
