//! A session handed over as a byte stream, for the wire router: opened and authenticated here, spoken by others.

use crate::cancel::CancelToken;
use crate::config::Config;
use crate::error::Error;
use crate::handshake;
use crate::stream::Stream;
use bytes::BytesMut;

/// An authenticated, idle session.
#[derive(Debug)]
pub struct RawSession {
    pub stream: Stream,
    /// What the server sent after it said that the session is ready; usually empty.
    pub unread: BytesMut,
    /// The server's parameters, in no order.
    pub parameters: Vec<(String, String)>,
    pub cancel: CancelToken,
}

impl RawSession {
    /// Opens a session.
    ///
    /// # Errors
    /// As for a connection.
    pub async fn open(config: &Config) -> Result<RawSession, Error> {
        let session = handshake::connect(config).await?;
        Ok(RawSession {
            stream: session.stream,
            unread: session.read,
            parameters: session.parameters.into_iter().collect(),
            cancel: CancelToken {
                config: config.clone(),
                process_id: session.process_id,
                secret_key: session.secret_key,
            },
        })
    }
}
