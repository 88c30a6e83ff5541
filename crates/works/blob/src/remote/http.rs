//! The HTTP that object stores are spoken to in: hyper over rustls, with an end to every wait.

use super::connect::Connector;
use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// From the beginning of a request to the head of its answer; the longest request is one part.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer may pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a connection is kept for the next request, and how many are.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_MAX: usize = 64;

/// Makes clients for the object store crate.
#[derive(Clone)]
pub(super) struct Http {
    connector: Connector,
    /// Another limit than [`HEAD_TIMEOUT`] and [`PAUSE_MAX`], if the operator chose one.
    patience: Option<Duration>,
}

impl Http {
    pub(super) fn new(authorities: &[Vec<u8>], patience: Option<Duration>) -> Result<Http, rustls::Error> {
        Ok(Http { connector: Connector::new(authorities)?, patience })
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(self.connector.clone());
        let head = self.patience.unwrap_or(HEAD_TIMEOUT);
        let pause = self.patience.unwrap_or(PAUSE_MAX);
        Ok(HttpClient::new(Service { client, head, pause }))
    }
}

struct Service {
    client: legacy::Client<Connector, HttpRequestBody>,
    head: Duration,
    pause: Duration,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(self.head, self.client.request(request)).await;
        let answer = answer.map_err(|_| late())?.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new(kind, error)
        })?;
        let pause = self.pause;
        Ok(answer.map(|body| {
            let patience = Box::pin(tokio::time::sleep(pause));
            HttpResponseBody::new(Timely { body, pause, patience, is_waiting: false })
        }))
    }
}

fn late() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, io::Error::from(io::ErrorKind::TimedOut))
}

/// A body that fails when nothing comes for too long.
struct Timely<B> {
    body: B,
    pause: Duration,
    patience: Pin<Box<Sleep>>,
    /// Whether somebody has asked for more since something came.
    is_waiting: bool,
}

impl<B> Body for Timely<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(frame) => {
                this.is_waiting = false;
                Poll::Ready(
                    frame.map(|frame| {
                        frame.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))
                    }),
                )
            }
            Poll::Pending => {
                // The clock stands still while nobody asks: a slow reader is not the store's fault.
                if !std::mem::replace(&mut this.is_waiting, true) {
                    this.patience.as_mut().reset(Instant::now() + this.pause);
                }
                ready!(this.patience.as_mut().poll(context));
                Poll::Ready(Some(Err(late())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use http_body_util::{BodyExt, StreamBody};

    #[tokio::test]
    async fn time_in_which_nobody_asked_does_not_count() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, io::Error>>(1);
        let frames = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let body = StreamBody::new(frames);
        let mut patience = Box::pin(tokio::time::sleep_until(Instant::now()));
        patience.as_mut().await;
        let mut timely = Timely { body, pause: Duration::from_secs(3600), patience, is_waiting: false };
        // The time is over, but nobody has waited for any of it.
        assert!(timely.frame().now_or_never().is_none());
        sender.send(Ok(Frame::data(Bytes::from_static(b"late")))).await.expect("sent");
        let frame = timely.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("bytes"), "late");
        assert!(timely.frame().now_or_never().is_none());
        // Now somebody waits, and the store says nothing.
        timely.patience.as_mut().reset(Instant::now());
        timely.patience.as_mut().await;
        assert!(timely.frame().await.expect("a frame").is_err());
    }
}
