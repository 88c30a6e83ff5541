//! From the address in a request to a connection: look up, look at, dial, and TLS.

use crate::address::is_public;
use crate::names::Names;
use crate::{Error, Reach};
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Addresses of a name that are tried in turn, and how long each.
const ADDRESSES_MAX: usize = 4;
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take in all: look-up, dialling and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Makes connections to addresses that are allowed.
#[derive(Clone)]
pub(crate) struct Connector {
    reach: Reach,
    tls: Result<TlsConnector, String>,
    names: Names,
}

impl Connector {
    pub(crate) fn new(reach: Reach, authorities: &[Vec<u8>]) -> Connector {
        let tls = tls(authorities).map(|config| TlsConnector::from(Arc::new(config)));
        Connector { reach, tls, names: Names::default() }
    }

    pub(crate) fn share(&self) -> Connector {
        Connector { names: Names::default(), ..self.clone() }
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.tls.as_ref().map(drop).map_err(|why| Error::Connect(why.clone()))
    }

    async fn connect(self, uri: Uri) -> Result<Stream, Error> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = self.addresses(host, port).await?;
        let plain = dial(&addresses).await?;
        plain.set_nodelay(true).map_err(|error| Error::Connect(error.to_string()))?;
        if !secure {
            return Ok(Stream::Plain(TokioIo::new(plain)));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::Address("its host is not a name for TLS".to_owned()))?;
        let tls = self.tls.map_err(Error::Connect)?;
        let stream = tls.connect(name, plain).await.map_err(|error| Error::Connect(error.to_string()))?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }

    /// The addresses of a host that may be dialled.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let mut addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.names.look_up(host, port, CONNECT_TIMEOUT).await?,
        };
        if self.reach == Reach::Public {
            addresses.retain(|address| is_public(address.ip()));
        }
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            return Err(Error::Address("its host is not on the public internet".to_owned()));
        }
        Ok(addresses)
    }
}

/// A connection to the first address that takes one.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::Timeout;
    for address in addresses {
        match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Error::Connect(error.to_string()),
            Err(_) => last = Error::Timeout,
        }
    }
    Err(last)
}

fn tls(authorities: &[Vec<u8>]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for authority in authorities {
        roots.add(CertificateDer::from(authority.clone())).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone().connect(uri);
        // The client's own deadline is not enough: it leaves a connection that has begun to itself when another one has
        // become free.
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, connect).await.unwrap_or(Err(Error::Timeout))
        })
    }
}

/// A connection, encrypted or not.
pub(crate) enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
