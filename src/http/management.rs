//! The management listener: health, readiness, metrics. It stands on a port of its own, on loopback unless
//! configured otherwise, and nothing of it can be reached by the public one.

use crate::flow::App;
use crate::flow::read::health;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// The process's metrics. The recorder can be installed once a process.
pub fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().ok()).as_ref()
}

/// Registers the routes.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/health", web::get().to(alive))
        .route("/ready", web::get().to(ready))
        .route("/metrics", web::get().to(metrics))
        .default_service(web::to(HttpResponse::NotFound));
}

/// Whether the process runs, and whether the configuration in force is the one in the files.
async fn alive(app: web::Data<App>) -> HttpResponse {
    let problem = app.reload_problem();
    let status = if problem.is_some() { "configuration_stale" } else { "ok" };
    HttpResponse::Ok()
        .json(serde_json::json!({ "status": status, "configuration_problem": problem.as_deref() }))
}

/// Whether requests should be sent here: the store answers. Providers are told of, but one that is down is
/// no reason to send people elsewhere.
async fn ready(app: web::Data<App>) -> HttpResponse {
    let health = health::read(&app).await;
    let status = if health.store.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(serde_json::json!({
        "status": if health.store.is_none() { "ready" } else { "unavailable" },
        "store": health.store,
        "providers": health.providers,
    }))
}

async fn metrics() -> HttpResponse {
    match recorder() {
        Some(handle) => {
            handle.run_upkeep();
            HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
        }
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}
