//! HTTP/1.1 on a listener.

use super::listen::Listener;
use axum::body::Body;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections served at a time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take to send a request's head, idle time between requests included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A request's head may have this many bytes: `in.(…)` lists make long addresses.
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// How long requests under way may take once the server is told to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long accepting rests after it failed (no file handles left).
const ACCEPT_REST: Duration = Duration::from_millis(100);

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What answers requests.
pub(super) type Handler = Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// A handler from a closure.
pub(super) fn handler<F: Future<Output = Response<Body>> + Send + 'static>(
    answer: impl Fn(Request<Body>) -> F + Send + Sync + 'static,
) -> Handler {
    Arc::new(move |request| Box::pin(answer(request)))
}

/// Serves until told to stop; then waits for the requests under way.
pub(super) async fn serve(listener: Listener, handler: Handler, shutdown: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
        };
        let (permit, stream) = match accepted {
            (Ok(permit), Ok(stream)) => (permit, stream),
            (_, Err(error)) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
            (Err(_closed), _) => break,
        };
        let handler = Arc::clone(&handler);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let answer = handler(request.map(Body::new));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection =
            graceful.watch(http.serve_connection(TokioIo::new(httpin::Lenient::new(stream)), service));
        // The watcher above awaits the task's end at shutdown.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still under way at the end");
    }
}
