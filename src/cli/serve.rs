//! `countersign serve`

use super::logging::{self, LogFormat};
use super::{CliError, Global, output};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::config::report::Severity;
use crate::config::settings::Database;
use crate::config::watch::{Cause, Reload, watch};
use crate::config::{Inputs, Loaded, Report, load};
use crate::context::Context;
use crate::flow::App;
use crate::http;
use crate::store::{Store, StoreError};
use clap::Args;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

const HELP: &str = "\
The server stops on SIGINT or SIGTERM, after the requests in progress. SIGHUP, or a change of a configuration file, \
reads the configuration again; a file with errors changes nothing and is reported in the log, in /health and in the \
metric countersign_configuration_stale. Issuer, listeners, database and master key need a restart.

An SQLite file is made and migrated at the start. A PostgreSQL database, which other nodes may be using, is migrated by \
`countersign migrate` (or here, with --migrate).

The environment variable RUST_LOG chooses what is logged, such as RUST_LOG=debug; by default info.

Examples:
  countersign serve --config countersign.toml
  countersign serve --config /etc/countersign/countersign.toml --log-format json";

/// Runs the server
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Serve {
    /// How the log reads
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Migrate the database first, also PostgreSQL
    #[arg(long)]
    migrate: bool,
}

/// Runs the command, until the server is told to stop.
pub async fn run(serve: Serve, global: &Global) -> Result<(), CliError> {
    logging::start(serve.log_format);
    let context = Context::system();
    let inputs = Inputs { create_keys: Some(context.clone()), ..global.inputs() };
    let loaded = load(&inputs).map_err(|report| unreadable(report, serve.log_format))?;
    for problem in loaded.report.lines() {
        tracing::warn!(problem, "the configuration has a warning");
    }
    let registry = loaded.providers.build(&context, None)?;
    let store = open(&loaded, serve.migrate).await?;
    let app = App::start(context, store, loaded.settings.clone(), Arc::new(registry)).await?;
    // from here on no change of a file is missed
    let reloads = watch(inputs, &loaded);
    let reloading = tokio::spawn(follow(app.clone(), reloads));
    let settings = &loaded.settings;
    tracing::info!(
        issuer = settings.issuer.as_str(),
        listen = output::joined(&settings.public.listen),
        management = %settings.management,
        "countersign {} starts",
        env!("CARGO_PKG_VERSION"),
    );
    app.note_reload(None);
    let served = http::serve(app).await;
    reloading.abort();
    served.map_err(|error| CliError::broken(error.to_string()))?;
    tracing::info!("stopped");
    Ok(())
}

/// With a log for programs, errors of the configuration go into it too.
fn unreadable(report: Report, format: LogFormat) -> CliError {
    if format == LogFormat::Text {
        return report.into();
    }
    for problem in report.to_json() {
        let (file, line, column) = (problem.file, problem.line, problem.column);
        let help = problem.help;
        match problem.severity {
            Severity::Error => tracing::error!(problem.code, file, line, column, help, "{}", problem.message),
            Severity::Warning => {
                tracing::warn!(problem.code, file, line, column, help, "{}", problem.message)
            }
        }
    }
    CliError::Said(1)
}

/// Opens the database, and brings it to this version where that is ours to do.
async fn open(loaded: &Loaded, migrate: bool) -> Result<Store, CliError> {
    let database = loaded.settings.database.clone();
    let ours = migrate || matches!(database, Database::Sqlite { .. });
    let work = move || -> Result<_, StoreError> {
        let store = Store::open(&database)?;
        let (ran, lacking) =
            if ours { (store.migrate()?, Vec::new()) } else { (Vec::new(), store.pending_migrations()?) };
        Ok((store, ran, lacking))
    };
    let (store, ran, lacking) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CliError::broken(format!("opening the database broke off: {error}")))??;
    if let Some(lacking) = lacking.into_iter().next() {
        return Err(StoreError::Older(lacking).into());
    }
    for name in ran {
        tracing::info!(migration = name, "the database was migrated");
    }
    Ok(store)
}

/// Puts each new configuration in force, or keeps the running one and says why.
async fn follow(app: Arc<App>, mut reloads: mpsc::Receiver<Reload>) {
    while let Some(Reload { cause, outcome }) = reloads.recv().await {
        let cause = match cause {
            Cause::Signal => "SIGHUP",
            Cause::File => "a file changed",
        };
        match take(&app, outcome).await {
            Ok(()) => {
                app.note_reload(None);
                tracing::info!(cause, "the configuration was read again and is in force");
            }
            Err(problems) => {
                for problem in &problems {
                    tracing::error!(
                        cause,
                        problem,
                        "the configuration was not taken; the old one stays in force"
                    );
                }
                app.note_reload(Some(problems.join("\n")));
            }
        }
    }
}

async fn take(app: &App, outcome: Result<Loaded, Report>) -> Result<(), Vec<String>> {
    let loaded = outcome.map_err(|report| errors(&report))?;
    for problem in loaded.report.lines() {
        tracing::warn!(problem, "the configuration has a warning");
    }
    let before = app.now();
    let registry = loaded.providers.build(&app.context, Some(&before.upstreams)).map_err(|r| errors(&r))?;
    app.reload(loaded.settings.clone(), Arc::new(registry))
        .await
        .map_err(|failure| vec![format!("{} ({})", failure.detail.note, failure.reason)])?;
    let event = AuditEvent::new(app.context.now(), AuditKind::ConfigurationReloaded, Actor::System)
        .data(json!({ "files": loaded.report.sources().iter().map(|s| s.path.clone()).collect::<Vec<_>>() }));
    if let Err(error) = app.store.write(move |tx| -> Result<(), StoreError> { tx.append_audit(&event) }).await
    {
        tracing::warn!(%error, "the audit lacks this reload");
    }
    Ok(())
}

fn errors(report: &Report) -> Vec<String> {
    let lines = report.lines().into_iter().zip(report.problems());
    lines.filter(|(_, problem)| problem.severity == Severity::Error).map(|(line, _)| line).collect()
}
