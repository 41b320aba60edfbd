//! What goes on beside the requests: taking over changes made by command, removing what has expired,
//! turning signing keys, fetching what providers will need, telling clients that sessions ended.

use crate::flow::{App, logout_delivery, registration};
use crate::ids::ProviderId;
use crate::store::StoreError;
use crate::upstream::Registry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How often changes made by command are looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// How often expired rows are removed.
const SWEEP: Duration = Duration::from_secs(60);
/// How many expired rows of each kind are removed at a time.
const BATCH: u32 = 500;
/// How often it is looked whether a signing key's time has come.
const KEYS: Duration = Duration::from_secs(300);
/// How often it is said that the database is in use.
const REMEMBER: Duration = Duration::from_secs(60);
/// How often a provider that has not answered yet is asked again, and any other looks after itself.
const WARM: Duration = Duration::from_secs(30);
/// How many providers are asked ahead of need at once.
const ASKED_AT_ONCE: usize = 32;

/// Runs until it is dropped.
pub async fn run(app: Arc<App>) {
    tokio::join!(
        refresh(&app),
        sweep(&app),
        warm(&app),
        turn_keys(&app),
        remember(&app),
        watch_clock(&app),
        logout_delivery::run(&app)
    );
}

async fn refresh(app: &App) {
    loop {
        tokio::time::sleep(REFRESH).await;
        match app.refresh().await {
            Ok(true) => tracing::info!("took over changes made by command"),
            Ok(false) => {}
            Err(failure) => tracing::warn!(?failure, "changes made by command cannot be read"),
        }
    }
}

async fn sweep(app: &App) {
    loop {
        tokio::time::sleep(SWEEP).await;
        loop {
            let now = app.context.now();
            match app.store.write::<_, StoreError, _>(move |tx| tx.sweep(now, BATCH)).await {
                Ok(swept) if swept.more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired rows cannot be removed");
                    break;
                }
            }
        }
        match registration::remove_unused(app).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed registered clients that were never used"),
            Err(failure) => tracing::warn!(?failure, "unused registered clients cannot be removed"),
        }
    }
}

async fn remember(app: &App) {
    loop {
        tokio::time::sleep(REMEMBER).await;
        if let Err(failure) = app.remember().await {
            tracing::warn!(?failure, "it cannot be noted that the database is in use");
        }
        if let Some(problem) = app.database_problem() {
            tracing::error!(%problem, "the database was replaced while it was in use; stop, and run `countersign new-epoch`");
        }
    }
}

/// Tells when the system's clock is set.
async fn watch_clock(app: &App) {
    let mut known = app.context.strain();
    loop {
        metrics::gauge!("countersign_clock_lead_seconds").set(known.lead.as_secs_f64());
        metrics::counter!("countersign_clock_steps_total").absolute(known.steps);
        tokio::time::sleep(REFRESH).await;
        let strain = app.context.strain();
        if strain.steps != known.steps {
            tracing::error!(
                milliseconds = strain.last_step,
                lead_seconds = strain.lead.as_secs(),
                "the system's clock was set"
            );
        }
        if known.is_behind() && !strain.is_behind() {
            tracing::info!("the system's clock has caught up");
        }
        known = strain;
    }
}

/// Publishes, activates, retires and removes signing keys when their time has come.
async fn turn_keys(app: &App) {
    loop {
        tokio::time::sleep(KEYS).await;
        match app.turn_keys().await {
            Ok(true) => tracing::info!("turned signing keys"),
            Ok(false) => {}
            Err(failure) => tracing::error!(?failure, "the signing keys cannot be turned"),
        }
    }
}

/// Asks providers ahead of need. Each is asked by a task of its own, so that one that hangs holds up no other;
/// of thousands, a few at a time.
async fn warm(app: &Arc<App>) {
    let turns = Arc::new(Semaphore::new(ASKED_AT_ONCE));
    let mut seen: Option<Arc<Registry>> = None;
    let mut under_way: HashMap<ProviderId, JoinHandle<()>> = HashMap::new();
    loop {
        let registry = app.now().upstreams.clone();
        let is_new = !seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &registry));
        under_way.retain(|_, task| !task.is_finished());
        for entry in registry.iter().filter(|entry| entry.policy.enabled) {
            // whoever still waits for its turn need not stand in the line twice
            if !is_new && under_way.contains_key(&entry.id) {
                continue;
            }
            let (app, entry, turns) = (app.clone(), entry.clone(), turns.clone());
            let id = entry.id.clone();
            let task = tokio::spawn(async move {
                let Ok(_turn) = turns.acquire().await else { return };
                if !is_new && !entry.upstream.form_targets().is_empty() {
                    return entry.upstream.tend(&app.context).await;
                }
                if let Err(failure) = entry.upstream.warm(&app.context).await {
                    let (reason, note) = (failure.reason, &failure.detail.note);
                    if is_new {
                        tracing::warn!(provider = %entry.id, reason, %note, "a provider cannot be reached");
                    } else {
                        tracing::debug!(provider = %entry.id, reason, %note, "still not");
                    }
                }
            });
            under_way.insert(id, task);
        }
        seen = Some(registry);
        tokio::time::sleep(WARM).await;
    }
}
