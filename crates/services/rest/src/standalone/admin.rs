//! The admin server: health, metrics and the schema cache, for operators.

use super::Server;
use super::listen::Probe;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

/// Answers a request.
pub(super) async fn answer(server: &Server, api: &Probe, path: &str) -> Response<Body> {
    match path {
        "/live" if api.is_reachable().await => plain(StatusCode::OK, String::new()),
        "/live" => plain(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        "/ready" => plain(ready(server, api).await, String::new()),
        "/metrics" => plain(StatusCode::OK, metrics(server)),
        "/schema_cache" => {
            let cache = server.schema.current().map(|cache| cache.to_json().to_string()).unwrap_or_default();
            let mut response = Response::new(Body::from(cache));
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        _ => plain(StatusCode::NOT_FOUND, String::new()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

async fn ready(server: &Server, api: &Probe) -> StatusCode {
    let status = server.schema.status();
    let begun = status.loads + status.failures > 0;
    match (status.loading || !begun, status.loaded) {
        (true, _) => StatusCode::SERVICE_UNAVAILABLE,
        (false, true) if api.is_reachable().await => StatusCode::OK,
        (false, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Prometheus' text format, with the reference's names.
fn metrics(server: &Server) -> String {
    let schema = server.schema.status();
    let pool = server.pool.status();
    let available = pool.max.saturating_sub(pool.size.saturating_sub(pool.idle));
    let tokens = server.current().rest.token_cache_status();
    let rows: [(&str, &str, &str, String); 10] = [
        (
            "pgrst_schema_cache_query_time_seconds",
            "gauge",
            "Time of the last schema cache load in seconds",
            schema.last_load.as_secs_f64().to_string(),
        ),
        ("pgrst_schema_cache_loads_total", "counter", "Schema cache loads", String::new()),
        ("pgrst_db_pool_max", "gauge", "Most connections of the pool", pool.max.to_string()),
        ("pgrst_db_pool_available", "gauge", "Connections that could be had at once", available.to_string()),
        ("pgrst_db_pool_waiting", "gauge", "Requests that wait for a connection", pool.waiting.to_string()),
        ("pgrst_db_pool_timeouts_total", "counter", "Waits that took too long", pool.timeouts.to_string()),
        ("pgrst_jwt_cache_requests_total", "counter", "Tokens looked up", tokens.lookups.to_string()),
        ("pgrst_jwt_cache_hits_total", "counter", "Tokens found", tokens.hits.to_string()),
        (
            "pgrst_jwt_cache_evictions_total",
            "counter",
            "Tokens dropped for others",
            tokens.evictions.to_string(),
        ),
        (
            "pgrst_schema_cache_loaded",
            "gauge",
            "Whether there is a schema cache",
            u8::from(schema.loaded).to_string(),
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        if name == "pgrst_schema_cache_loads_total" {
            let (good, bad) = (schema.loads, schema.failures);
            text.push_str(&format!(
                "{name}{{status=\"SUCCESS\"}} {good}.0\n{name}{{status=\"FAIL\"}} {bad}.0\n"
            ));
        } else {
            text.push_str(&format!("{name} {value}\n"));
        }
    }
    text
}
