//! From an address to an authenticated session.

use crate::config::{Config, Host, Tls};
use crate::error::{DbError, Error};
use crate::stream::Stream;
use crate::tls::encrypt;
use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use std::collections::HashMap;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// What the server told us while the session began.
pub(crate) struct Session {
    pub(crate) stream: Stream,
    pub(crate) read: BytesMut,
    pub(crate) parameters: HashMap<String, String>,
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
}

/// Opens the byte stream, encrypted as the configuration wants.
pub(crate) async fn open_stream(config: &Config) -> Result<Stream, Error> {
    let refused = |e: io::Error| Error::Connect(e.to_string());
    match &config.host {
        Host::Unix(dir) => {
            let path = dir.join(format!(".s.PGSQL.{}", config.port));
            Ok(Stream::Unix(UnixStream::connect(path).await.map_err(refused)?))
        }
        Host::Tcp(name) => {
            let mut tcp = TcpStream::connect((name.as_str(), config.port)).await.map_err(refused)?;
            tcp.set_nodelay(true)?;
            if config.tls == Tls::Disable {
                return Ok(Stream::Tcp(tcp));
            }
            let mut request = BytesMut::new();
            frontend::ssl_request(&mut request);
            tcp.write_all(&request).await?;
            match (tcp.read_u8().await?, &config.tls) {
                (b'S', tls) => Ok(Stream::Tls(Box::new(encrypt(tcp, name, tls).await?))),
                (_, Tls::Prefer) => Ok(Stream::Tcp(tcp)),
                _ => Err(Error::Connect("the server does not support TLS".to_owned())),
            }
        }
    }
}

/// Opens a session within the configured time.
pub(crate) async fn connect(config: &Config) -> Result<Session, Error> {
    tokio::time::timeout(config.connect_timeout, begin(config)).await.map_err(|_| Error::Timeout)?
}

async fn begin(config: &Config) -> Result<Session, Error> {
    let mut session = Session {
        stream: open_stream(config).await?,
        read: BytesMut::with_capacity(8 * 1024),
        parameters: HashMap::new(),
        process_id: 0,
        secret_key: 0,
    };
    let fixed = [
        ("user", config.user.as_str()),
        ("database", &config.dbname),
        ("application_name", &config.application_name),
        ("client_encoding", "UTF8"),
    ];
    let options = config.options.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    session.send(|b| frontend::startup_message(fixed.into_iter().chain(options), b)).await?;
    session.authenticate(config).await?;
    loop {
        match session.receive().await? {
            Message::ParameterStatus(body) => {
                session.parameters.insert(body.name()?.to_owned(), body.value()?.to_owned());
            }
            Message::BackendKeyData(body) => {
                session.process_id = body.process_id();
                session.secret_key = body.secret_key();
            }
            Message::ReadyForQuery(_) => return Ok(session),
            Message::NoticeResponse(_) => {}
            _ => return Err(Error::Protocol("unexpected message before the session is ready".to_owned())),
        }
    }
}

impl Session {
    async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), Error> {
        let mut buffer = BytesMut::new();
        write(&mut buffer)?;
        self.stream.write_all(&buffer).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next message; an error report becomes an error.
    async fn receive(&mut self) -> Result<Message, Error> {
        loop {
            match Message::parse(&mut self.read)? {
                Some(Message::ErrorResponse(body)) => return Err(Error::Db(Box::new(DbError::read(&body)?))),
                Some(message) => return Ok(message),
                None => {
                    if self.stream.read_buf(&mut self.read).await? == 0 {
                        return Err(Error::Closed);
                    }
                }
            }
        }
    }

    async fn authenticate(&mut self, config: &Config) -> Result<(), Error> {
        let password = || {
            let missing = || Error::Connect("the server asks for a password and none is configured".into());
            config.password.as_deref().ok_or_else(missing)
        };
        match self.receive().await? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                let password = password()?;
                self.send(|b| frontend::password_message(password.as_bytes(), b)).await?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(config.user.as_bytes(), password()?.as_bytes(), body.salt());
                self.send(|b| frontend::password_message(hash.as_bytes(), b)).await?;
            }
            Message::AuthenticationSasl(body) => {
                if !body.mechanisms().any(|m| Ok(m == SCRAM_SHA_256))? {
                    return Err(Error::Connect("no authentication mechanism in common".to_owned()));
                }
                self.scram(password()?).await?;
            }
            _ => return Err(Error::Connect("an authentication method that is not supported".to_owned())),
        }
        match self.receive().await? {
            Message::AuthenticationOk => Ok(()),
            _ => Err(Error::Protocol("unexpected answer to the password".to_owned())),
        }
    }

    async fn scram(&mut self, password: &str) -> Result<(), Error> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let first = Bytes::copy_from_slice(scram.message());
        self.send(|b| frontend::sasl_initial_response(SCRAM_SHA_256, &first, b)).await?;
        match self.receive().await? {
            Message::AuthenticationSaslContinue(body) => scram.update(body.data())?,
            _ => return Err(Error::Protocol("unexpected message during SCRAM".to_owned())),
        }
        let second = Bytes::copy_from_slice(scram.message());
        self.send(|b| frontend::sasl_response(&second, b)).await?;
        match self.receive().await? {
            Message::AuthenticationSaslFinal(body) => Ok(scram.finish(body.data())?),
            _ => Err(Error::Protocol("unexpected message at the end of SCRAM".to_owned())),
        }
    }
}
