//! `countersign migrate`

use super::output::{Out, joined};
use super::{CliError, Global};
use crate::store::Store;
use clap::Args;
use serde_json::json;

const HELP: &str = "\
Migrations only go forward, and are safe while the previous version is still running, so the order of an update is:
migrate with the new version, then restart the servers one by one. Running it again does nothing.

Examples:
  countersign migrate --dry-run
  DATABASE_URL=postgres://app@db/countersign countersign migrate";

/// Brings the database to this version
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Migrate {
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub async fn run(migrate: Migrate, global: &Global, out: &Out) -> Result<(), CliError> {
    let loaded = global.load()?;
    let database = loaded.settings.database.clone();
    let work = move || {
        let store = Store::open(&database)?;
        if migrate.dry_run { store.pending_migrations() } else { store.migrate() }
    };
    let names = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CliError::broken(format!("the migration broke off: {error}")))??;
    let body = json!({ "migrations": names, "done": !migrate.dry_run });
    out.show(&body, || match (names.is_empty(), migrate.dry_run) {
        (true, _) => "The database has this version already.".to_owned(),
        (false, true) => format!("Would run: {}", joined(&names)),
        (false, false) => format!("Ran: {}", joined(&names)),
    });
    Ok(())
}
