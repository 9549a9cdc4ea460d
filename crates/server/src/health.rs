//! Whether the server lives, and whether it can work: asked of the parts themselves, never assumed.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::state::State;

/// How long the database may take for a round trip.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers.
pub(crate) async fn live() -> HttpResponse {
    write(HttpResponse::Ok(), &json!({"status": "ok"}))
}

/// The server can take work: it is not stopping, and the database answers.
pub(crate) async fn ready(state: web::Data<State>) -> HttpResponse {
    let state = state.into_inner();
    let begin = Instant::now();
    let problem = database_problem(&state).await;
    let duration_ms = begin.elapsed().as_secs_f64() * 1_000.0;
    let mut checks = vec![check("database", duration_ms, problem)];
    let is_stopping = state.schema.services().is_draining() || state.stop.is_cancelled();
    checks.push(check("acceptingWork", 0.0, is_stopping.then_some("the server is stopping")));
    if problem.is_none() && !is_stopping {
        write(HttpResponse::Ok(), &json!({"status": "ok", "checks": checks}))
    } else {
        write(HttpResponse::ServiceUnavailable(), &json!({"status": "failed", "checks": checks}))
    }
}

fn check(name: &str, duration_ms: f64, problem: Option<&str>) -> Value {
    let status = if problem.is_none() { "ok" } else { "failed" };
    json!({"name": name, "status": status, "durationMs": duration_ms, "problem": problem})
}

/// A round trip to the database. What it said goes to the log: anybody may ask for this page.
async fn database_problem(state: &State) -> Option<&'static str> {
    let services = Arc::clone(state.schema.services());
    let ping = state.runtime.spawn(async move { tokio::time::timeout(PATIENCE, services.reads().ping()).await });
    match AbortOnDropHandle::new(ping).await {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) => {
            warn!(%error, "not ready: the database refused a round trip");
            Some("the database refused a round trip; the server's log says why")
        }
        Ok(Err(_)) => {
            warn!("not ready: the database does not answer");
            Some("the database does not answer")
        }
        Err(error) => {
            warn!(%error, "not ready: the check of the database broke off");
            Some("the check broke off")
        }
    }
}

fn write(mut response: HttpResponseBuilder, body: &Value) -> HttpResponse {
    response
        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"));
    response.body(body.to_string())
}
