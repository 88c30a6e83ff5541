//! Asking a server to stop what a session is doing.

use crate::config::{Config, Host};
use crate::error::Error;
use crate::handshake::open_stream;
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Names a session towards its server, so that its running statement can be cancelled from outside.
#[derive(Debug, Clone)]
pub struct CancelToken {
    pub(crate) config: Config,
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
}

impl CancelToken {
    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Sends the request. That it succeeded says nothing about whether there was something to cancel.
    ///
    /// # Errors
    /// When the server cannot be reached within five seconds.
    pub async fn cancel(&self) -> Result<(), Error> {
        let send = async {
            let mut stream = open_stream(&self.config).await?;
            let mut buffer = BytesMut::new();
            frontend::cancel_request(self.process_id, self.secret_key, &mut buffer);
            stream.write_all(&buffer).await?;
            stream.shutdown().await?;
            Ok(())
        };
        tokio::time::timeout(Self::TIMEOUT, send).await.map_err(|_| Error::Timeout)?
    }

    /// The address of the server.
    pub fn host(&self) -> &Host {
        &self.config.host
    }
}
