//! The page and the API.

mod api;
mod guard;
mod page;

use crate::{Catcher, GOODBYE};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use http::{HeaderValue, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 128;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long after a failure to accept a connection the next is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a request's body.
const BODY_MAX: usize = 1 << 20;

fn router(catcher: Catcher) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/app.css", get(page::style))
        .route("/app.js", get(page::script))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route("/view/latest", get(page::latest))
        .route("/view/{name}", get(page::view))
        .route("/api/v1/info", get(api::info))
        .route("/api/v1/webui", get(api::webui))
        .route("/api/v1/tags", get(api::tags))
        .route("/api/v1/messages", get(api::list).put(api::mark).delete(api::delete))
        .route("/api/v1/search", get(api::search).delete(api::delete_search))
        .route("/api/v1/message/{id}", get(api::message))
        .route("/api/v1/message/{id}/headers", get(api::headers))
        .route("/api/v1/message/{id}/raw", get(api::raw))
        .route("/api/v1/message/{id}/part/{part}", get(api::part))
        .layer(axum::middleware::from_fn(guard::known_host))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(catcher)
}

pub(crate) async fn serve(catcher: Catcher, listener: TcpListener, stop: CancellationToken) {
    let app = router(catcher);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection to the mail catcher was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Those who come when it is full are turned away by the closed connection.
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(app.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the mail catcher");
            }
        });
    }
    let _ = tokio::time::timeout(GOODBYE, graceful.shutdown()).await;
}

/// An answer of this type.
fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", text.into())
}
