//! Whether the house can work.

use crate::flow::App;
use crate::store::StoreError;
use crate::upstream::Health;
use std::collections::BTreeMap;

/// What is well and what is not.
#[derive(Debug, Clone)]
pub struct Report {
    /// Why the store does not answer, if it does not.
    pub store: Option<String>,
    /// `up`, what somebody should look at, `unknown`, or why it is down, by provider.
    pub providers: BTreeMap<String, String>,
}

/// Asks the store; of providers it tells what is known.
pub async fn read(app: &App) -> Report {
    let store =
        app.store.read::<_, StoreError, _>(|tx| tx.config_version()).await.err().map(|e| e.to_string());
    let providers = app
        .now()
        .upstreams
        .iter()
        .filter(|entry| entry.policy.enabled)
        .map(|entry| {
            let health = match entry.upstream.health() {
                Health::Up => "up".to_owned(),
                Health::Warned(why) => format!("up, but {why}"),
                Health::Unknown => "unknown".to_owned(),
                Health::Down(why) => format!("down: {why}"),
            };
            (entry.id.to_string(), health)
        })
        .collect();
    Report { store, providers }
}
