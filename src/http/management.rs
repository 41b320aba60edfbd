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

/// Whether the process runs, and what somebody should look at: whether the configuration in force is the one in
/// the files, the database the one that it was, and the clock behind what it showed.
async fn alive(app: web::Data<App>) -> HttpResponse {
    let (stale, restored, clock) = (app.reload_problem(), app.database_problem(), app.context.strain());
    let status = match (&restored, clock.is_behind(), &stale) {
        (Some(_), _, _) => "database_restored",
        (None, true, _) => "clock_behind",
        (None, false, Some(_)) => "configuration_stale",
        (None, false, None) => "ok",
    };
    HttpResponse::Ok().json(serde_json::json!({
        "status": status,
        "configuration_problem": stale.as_deref(),
        "database_problem": restored.as_deref(),
        "clock": {
            "lead_seconds": clock.lead.as_secs_f64(),
            "steps": clock.steps,
            "last_step_seconds": std::time::Duration::from_millis(clock.last_step.unsigned_abs()).as_secs_f64()
                * if clock.last_step < 0 { -1.0 } else { 1.0 },
        },
    }))
}

/// Whether requests should be sent here: the store answers. Providers are told of, but one that is down is
/// no reason to send people elsewhere.
async fn ready(app: web::Data<App>) -> HttpResponse {
    let mut health = health::read(&app).await;
    if let Some(problem) = app.database_problem() {
        health.store = Some(problem.to_string());
    }
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
