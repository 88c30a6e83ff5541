//! Calls to addresses that the owner of a project chose: hooks, identity providers, text messages, captchas.
//!
//! Such an address is not to be trusted: it may name the machine's own network, answer for ever, or answer with a
//! gigabyte. [`Client`] looks at the very address that it dials, after the name has been resolved, and refuses all
//! that is not the public internet unless [`Reach::Anywhere`] says otherwise; it follows no redirect; and a call
//! has one deadline and one size limit for everything in it.
//!
//! Each project gets its own [`Client::share`]: connections, calls at a time and look-ups of names are counted in
//! it, so that a project whose servers are slow waits for itself alone. [`look_up`] is how all of the house asks for a
//! name: its threads are counted over all projects.

mod address;
mod connect;
mod names;

pub use address::is_public;
pub use names::look_up;

use base64::Engine;
use bytes::Bytes;
use connect::Connector;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Calls that one share makes at a time; more wait, within their own deadline.
const CALLS_MAX: usize = 32;
/// Connections a share keeps open to one host for the next call, and for how long.
const IDLE_MAX: usize = 2;
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer's head.
const HEAD_MAX: usize = 64 * 1024;
const AGENT: &str = concat!("Rowhouse/", env!("CARGO_PKG_VERSION"));

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public internet.
    Public,
    /// All, for local development and tests.
    Anywhere,
}

/// How much a call may take, the answer included.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first look-up to the last byte.
    pub timeout: Duration,
    /// Bytes of the answer's body.
    pub body: usize,
}

/// Why there is no answer. No variant shows the address's path or query, nor anything that was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is malformed, or none of those that its name stands for may be called.
    #[error("the address cannot be called: {0}")]
    Address(String),
    /// Nobody answers there, or not in TLS that we trust.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The time was up.
    #[error("no answer in time")]
    Timeout,
    /// The answer is longer than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The connection broke, or the answer was not HTTP.
    #[error("the connection failed: {0}")]
    Io(String),
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type AnyBody = UnsyncBoxBody<Bytes, AnyError>;

/// An HTTP client for addresses that are not ours. Cheap to clone; clones share their limits.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, AnyBody>,
    connector: Connector,
    calls: Arc<Semaphore>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("reach", &self.connector.reach()).finish_non_exhaustive()
    }
}

/// A client for the public internet.
impl Default for Client {
    fn default() -> Self {
        Client::of(Connector::new(Reach::Public, &[]))
    }
}

impl Client {
    /// A client that trusts the certificate authorities of the Mozilla programme.
    pub fn new(reach: Reach) -> Result<Client, Error> {
        Client::trusting(reach, &[])
    }

    /// A client that trusts these authorities (DER) as well.
    pub fn trusting(reach: Reach, authorities: &[Vec<u8>]) -> Result<Client, Error> {
        let connector = Connector::new(reach, authorities);
        connector.check()?;
        Ok(Client::of(connector))
    }

    /// A client of the same reach and trust with limits and connections of its own.
    pub fn share(&self) -> Client {
        Client::of(self.connector.share())
    }

    fn of(connector: Connector) -> Client {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .http1_max_buf_size(HEAD_MAX)
            .build(connector.clone());
        Client { http, connector, calls: Arc::new(Semaphore::new(CALLS_MAX)) }
    }

    /// Which addresses this client calls.
    pub fn reach(&self) -> Reach {
        self.connector.reach()
    }

    /// The addresses of a host, whether or not this client calls them. See [`look_up`].
    ///
    /// # Errors
    /// As [`look_up`].
    pub async fn look_up(&self, host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
        self.connector.names().look_up(host, port, timeout).await
    }

    /// Sends a request with an absolute URL and reads the whole answer, whatever its status. User and password
    /// in the URL become an `Authorization` header unless there is one.
    pub async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Error> {
        self.send_body(request.map(Full::new), limits).await
    }

    /// The same with a body that comes piece by piece, and is never whole in memory.
    pub async fn send_body<B>(&self, request: Request<B>, limits: Limits) -> Result<Response<Bytes>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<AnyError>,
    {
        let request = prepare(request.map(|body| body.map_err(Into::into).boxed_unsync()))?;
        let call = async {
            let _turn = self.calls.acquire().await.map_err(|_| Error::Timeout)?;
            let answer = self.http.request(request).await.map_err(|error| failed(&error))?;
            let (head, body) = answer.into_parts();
            let announced = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
            if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > limits.body as u64)
            {
                return Err(Error::TooLarge);
            }
            match Limited::new(body, limits.body).collect().await {
                Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge),
                Err(error) => Err(Error::Io(root(&*error))),
            }
        };
        tokio::time::timeout(limits.timeout, Box::pin(call)).await.unwrap_or(Err(Error::Timeout))
    }
}

/// The request as it is sent.
fn prepare<B>(request: Request<B>) -> Result<Request<B>, Error> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().ok_or_else(|| Error::Address("it has no host".to_owned()))?;
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err(Error::Address("only http and https are spoken".to_owned()));
    }
    if authority.host().is_empty() {
        return Err(Error::Address("it has no host".to_owned()));
    }
    if let Some((user, host)) = authority.as_str().rsplit_once('@') {
        let malformed = || Error::Address("it is malformed".to_owned());
        let user: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user));
        let mut basic = HeaderValue::try_from(basic).map_err(|_| malformed())?;
        basic.set_sensitive(true);
        head.headers.entry(header::AUTHORIZATION).or_insert(basic);
        let mut parts = head.uri.clone().into_parts();
        parts.authority = Some(host.parse().map_err(|_| malformed())?);
        head.uri = Uri::from_parts(parts).map_err(|_| malformed())?;
    }
    head.headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    Ok(Request::from_parts(head, body))
}

/// What went wrong, as callers tell it apart.
fn failed(error: &legacy::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        match error.downcast_ref::<Error>() {
            Some(Error::Address(why)) => return Error::Address(why.clone()),
            Some(Error::Connect(why)) => return Error::Connect(why.clone()),
            Some(Error::Timeout) => return Error::Timeout,
            Some(Error::TooLarge | Error::Io(_)) | None => source = error.source(),
        }
    }
    Error::Io(root(error))
}

/// The last cause of an error: those above only say that there was one.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(url: &str) -> Result<Request<Bytes>, Error> {
        prepare(Request::get(url).body(Bytes::new()).unwrap())
    }

    #[test]
    fn only_web_addresses_are_called() {
        for url in ["/path", "ftp://x.dev/", "pg-functions://x/y/z"] {
            assert!(matches!(prepared(url), Err(Error::Address(_))), "{url}");
        }
    }

    #[test]
    fn credentials_of_the_address_become_a_header() {
        let request = prepared("http://us%40er:p:w@x.dev:8080/a?b").unwrap();
        assert_eq!(request.uri(), "http://x.dev:8080/a?b");
        // "us@er:p:w"
        assert_eq!(request.headers()[header::AUTHORIZATION], "Basic dXNAZXI6cDp3");
        assert!(request.headers()[header::USER_AGENT].to_str().unwrap().starts_with("Rowhouse/"));
    }
}
