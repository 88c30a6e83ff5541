//! Sending by SMTP.

use crate::{Letter, SendError};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use model::Secret;
use outbound::{Reach, is_public};
use std::net::IpAddr;
use std::time::Duration;

/// For a name to be looked up, and for one command of the protocol.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);
/// For a message in all.
const SEND_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a connection waits for the next message.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How the connection is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// TLS from the first byte on port 465; elsewhere STARTTLS, which may be missing only where no password is sent
    /// over a network.
    #[default]
    Auto,
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, or nothing.
    StartTls,
    /// None.
    Plain,
}

/// A server and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    /// Nobody logs in when it is empty.
    pub user: String,
    pub password: Secret,
    pub security: Security,
    /// How we introduce ourselves.
    pub client_name: String,
    /// A certificate authority to trust besides the public ones, PEM.
    pub authority: Option<String>,
    pub reach: Reach,
}

/// Connections to a server, for the messages that wait now.
pub(crate) struct SmtpLine(AsyncSmtpTransport<Tokio1Executor>);

impl Smtp {
    pub(crate) async fn open(&self, connections: u32) -> Result<SmtpLine, SendError> {
        let address = self.address().await?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.to_string())
            .port(self.port)
            .tls(self.tls(address)?)
            .timeout(Some(COMMAND_TIMEOUT))
            .pool_config(PoolConfig::new().max_size(connections).min_idle(0).idle_timeout(IDLE_TIMEOUT));
        if !self.client_name.is_empty() {
            builder = builder.hello_name(ClientId::Domain(self.client_name.clone()));
        }
        if !self.user.is_empty() {
            builder = builder
                .credentials(Credentials::new(self.user.clone(), self.password.expose().to_owned()))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        Ok(SmtpLine(builder.build()))
    }

    /// The address that is dialled: looked at after the name has been resolved, so that no name leads inside.
    async fn address(&self) -> Result<IpAddr, SendError> {
        let found = outbound::look_up(&self.host, self.port, LOOKUP_TIMEOUT).await;
        let found = found.map_err(|error| match error {
            outbound::Error::Timeout => SendError::passing("the server's name cannot be resolved in time"),
            _ => SendError::passing("the server's name cannot be resolved"),
        })?;
        let mut addresses = found.into_iter().map(|address| address.ip());
        let allowed = addresses.find(|address| self.reach == Reach::Anywhere || is_public(*address));
        allowed.ok_or_else(|| SendError::passing("the server is not on the public internet"))
    }

    fn tls(&self, address: IpAddr) -> Result<Tls, SendError> {
        let parameters = || {
            let mut builder =
                TlsParameters::builder(self.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
            if let Some(authority) = &self.authority {
                let certificate = Certificate::from_pem(authority.as_bytes());
                let certificate =
                    certificate.map_err(|_| SendError::passing("the authority is no certificate"))?;
                builder = builder.add_root_certificate(certificate);
            }
            builder.build_rustls().map_err(|error| SendError::passing(format!("TLS: {error}")))
        };
        Ok(match self.security {
            Security::Plain => Tls::None,
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::StartTls => Tls::Required(parameters()?),
            Security::Auto if self.port == 465 => Tls::Wrapper(parameters()?),
            Security::Auto if self.user.is_empty() || address.is_loopback() => {
                Tls::Opportunistic(parameters()?)
            }
            Security::Auto => Tls::Required(parameters()?),
        })
    }
}

impl SmtpLine {
    pub(crate) async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let message = letter.message()?;
        match tokio::time::timeout(SEND_TIMEOUT, self.0.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(SendError::passing("the server takes too long")),
        }
    }
}

/// What went wrong. A password that is refused may be put right before the message is too old, a recipient not.
fn told(error: &Error) -> SendError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !reason.contains(&cause_text) {
            reason = format!("{reason}: {cause_text}");
        }
        source = cause.source();
    }
    let code = error.status().map(u16::from);
    if error.is_permanent() && !matches!(code, Some(530 | 534 | 535 | 538)) {
        SendError::refused(reason)
    } else {
        SendError::passing(reason)
    }
}
