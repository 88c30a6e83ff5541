//! Who takes messages away.

use crate::Letter;
use crate::smtp::{Smtp, SmtpLine};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A mailbox of our own, for local development.
pub trait Inbox: std::fmt::Debug + Send + Sync {
    /// Keeps a message.
    fn keep<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        message: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

/// Who takes a project's messages.
#[derive(Debug, Clone, Default)]
pub enum Carrier {
    /// Nobody: nothing is configured.
    #[default]
    Nobody,
    Smtp(Arc<Smtp>),
    Inbox(Arc<dyn Inbox>),
}

/// A carrier ready to take messages; its connections end with it.
pub struct Line(Way);

enum Way {
    Nobody,
    Smtp(SmtpLine),
    Inbox(Arc<dyn Inbox>),
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// Another attempt would end the same way.
    pub is_final: bool,
    /// For the owner: no secret, no more than a few lines.
    pub reason: String,
}

/// The longest reason.
const REASON_MAX: usize = 300;

impl SendError {
    pub(crate) fn refused(reason: impl AsRef<str>) -> SendError {
        SendError { is_final: true, reason: shortened(reason.as_ref()) }
    }

    pub(crate) fn passing(reason: impl AsRef<str>) -> SendError {
        SendError { is_final: false, reason: shortened(reason.as_ref()) }
    }
}

fn shortened(reason: &str) -> String {
    crate::one_line(&reason.chars().take(REASON_MAX).collect::<String>())
}

impl Carrier {
    /// Gets ready to hand over messages, several at a time at most.
    ///
    /// # Errors
    /// When the settings make no sense or the server's name leads nowhere.
    pub async fn open(&self, at_a_time: u32) -> Result<Line, SendError> {
        Ok(Line(match self {
            Carrier::Nobody => Way::Nobody,
            Carrier::Smtp(smtp) => Way::Smtp(smtp.open(at_a_time).await?),
            Carrier::Inbox(inbox) => Way::Inbox(Arc::clone(inbox)),
        }))
    }
}

impl Line {
    /// Hands a message over.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        match &self.0 {
            Way::Nobody => Err(SendError::refused("no SMTP server is configured")),
            Way::Smtp(line) => line.send(letter).await,
            Way::Inbox(inbox) => {
                let message = letter.message()?;
                let kept = inbox.keep(&letter.from.address, &letter.to, message.formatted()).await;
                kept.map_err(SendError::passing)
            }
        }
    }
}
