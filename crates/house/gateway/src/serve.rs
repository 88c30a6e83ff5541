//! The server loop: accepts connections, speaks HTTP/1 on each, stops in order.

use crate::Gateway;
use crate::stream::Stalling;
use axum::body::Body;
use httpin::Lenient;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long the loop rests when the system has no more file handles for it.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled, then lets requests at work finish for as long as the limits say.
pub async fn serve(listener: TcpListener, gateway: Arc<Gateway>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(gateway.limits().connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let connection = connection(stream, peer, Arc::clone(&gateway));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Broken connections are the clients' affair and end here.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(gateway.limits().drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still at work when the server stopped");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Answers are written whole: waiting for more to send would only delay them.
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let limits = gateway.limits();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max.max(8192));
    let io = TokioIo::new(Lenient::new(Stalling::new(stream, limits.write_stall)));
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(gateway.handle(request.map(Body::new), Some(peer)).await) }
    });
    builder.serve_connection(io, service)
}
