//! Addresses: TCP and Unix sockets behind one `accept`.

use super::Error;
use crate::config::ServerSettings;
use std::fs::Permissions;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long reaching our own listener may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Something that connections come from.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(super) async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Listener::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }

    /// The way to this listener from the same machine.
    pub(super) fn probe(&self) -> Probe {
        match self {
            Listener::Tcp(listener) => Probe(listener.local_addr().ok().map(|mut address| {
                if address.ip().is_unspecified() {
                    let own = if address.is_ipv4() {
                        Ipv4Addr::LOCALHOST.into()
                    } else {
                        Ipv6Addr::LOCALHOST.into()
                    };
                    address.set_ip(own);
                }
                Address::Tcp(address)
            })),
            Listener::Unix(_, path) => Probe(Some(Address::Unix(path.clone()))),
        }
    }

    /// The address as a log shows it.
    pub(super) fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => {
                listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
            }
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }
}

/// Tells whether a listener can still be reached.
#[derive(Clone)]
pub(super) struct Probe(Option<Address>);

#[derive(Clone)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Probe {
    pub(super) async fn is_reachable(&self) -> bool {
        let connecting = async {
            match &self.0 {
                Some(Address::Tcp(address)) => TcpStream::connect(address).await.is_ok(),
                Some(Address::Unix(path)) => UnixStream::connect(path).await.is_ok(),
                None => false,
            }
        };
        tokio::time::timeout(PROBE_TIMEOUT, connecting).await.unwrap_or(false)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // A socket file that is gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The API's listener.
pub(super) async fn main(settings: &ServerSettings) -> Result<Listener, Error> {
    match &settings.unix_socket {
        Some(path) => unix(path, settings.unix_socket_mode).await,
        None => tcp(&settings.host, settings.port, settings.reuse_port).await,
    }
}

/// The admin server's listener, when it is wanted.
pub(super) async fn admin(settings: &ServerSettings) -> Result<Option<Listener>, Error> {
    match (&settings.admin_unix_socket, settings.admin_port) {
        (Some(path), _) => unix(path, settings.admin_unix_socket_mode).await.map(Some),
        (None, Some(port)) => tcp(&settings.admin_host, port, settings.reuse_port).await.map(Some),
        (None, None) => Ok(None),
    }
}

async fn unix(path: &Path, mode: u32) -> Result<Listener, Error> {
    let fail = |source| Error::Listen { address: path.display().to_string(), source };
    // What a server that was killed left behind would be in the way.
    if UnixStream::connect(path).await.is_err() {
        let _ = tokio::fs::remove_file(path).await;
    }
    let listener = UnixListener::bind(path).map_err(fail)?;
    tokio::fs::set_permissions(path, Permissions::from_mode(mode)).await.map_err(fail)?;
    Ok(Listener::Unix(listener, path.to_owned()))
}

async fn tcp(host: &str, port: u16, reuse_port: bool) -> Result<Listener, Error> {
    // The reference's names for all addresses: of version 4 or 6, preferred or only.
    let host = match host {
        "*4" | "!4" | "*" => "0.0.0.0",
        "*6" | "!6" => "::",
        other => other,
    };
    let fail = |source| Error::Listen { address: format!("{host}:{port}"), source };
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in tokio::net::lookup_host((host, port)).await.map_err(fail)? {
        match bind(address, reuse_port) {
            Ok(listener) => return Ok(Listener::Tcp(listener)),
            Err(error) => last = error,
        }
    }
    Err(fail(last))
}

fn bind(address: SocketAddr, reuse_port: bool) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
