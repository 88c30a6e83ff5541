//! `rowhouse.mail_outbox`: messages that are sent once the transaction that wrote them has been committed.

use super::db::Step;
use crate::moment::Moment;
use crate::settings::Notification;
use pg::{param, text};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    Email,
    Sms,
}

impl Channel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
        }
    }
}

/// A message to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) channel: Channel,
    pub(crate) kind: &'a str,
    pub(crate) to: &'a str,
    pub(crate) user: Uuid,
    pub(crate) data: &'a Value,
    pub(crate) now: Moment,
    /// For how long it is of use.
    pub(crate) expiry: Duration,
}

/// A message that this transaction has written.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Written {
    pub(crate) channel: Channel,
    pub(crate) kind: String,
    pub(crate) recipient: String,
    pub(crate) user_id: Uuid,
    pub(crate) data: Value,
}

impl Written {
    /// Whether it tells of something that has been done, rather than being what has to be answered.
    pub(crate) fn is_news(&self) -> bool {
        Notification::ALL.iter().any(|news| news.kind() == self.kind)
    }
}

pub(crate) fn insert(new: New<'_>) -> Step {
    let params = [
        text(new.channel.as_str()),
        text(new.kind),
        text(new.to),
        param(new.user),
        text(new.data.to_string()),
        param(new.now),
        param(new.now.plus(new.expiry)),
    ];
    Step::new(include_str!("sql/outbox_insert.sql"), params)
}

/// Takes the messages back that this transaction has written.
pub(crate) fn take(channels: &[Channel]) -> Step {
    let names: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
    Step::new(include_str!("sql/outbox_take.sql"), [text(format!("{{{}}}", names.join(",")))])
}

/// A message that is to be sent now.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Due {
    pub(crate) id: i64,
    pub(crate) created_at: Moment,
    pub(crate) kind: String,
    pub(crate) recipient: String,
    pub(crate) data: Value,
    /// This one included.
    pub(crate) attempts: u32,
    pub(crate) expires_at: Option<Moment>,
    /// Whether its code is still good.
    pub(crate) is_current: bool,
    /// The user's address, number and metadata; nothing when the user is gone.
    pub(crate) user: Option<Value>,
}

/// Claims messages that are due until a moment by which they will have been sent.
pub(crate) fn claim(channel: Channel, now: Moment, until: Moment, count: u32) -> Step {
    let params = [text(channel.as_str()), param(now), param(until), param(count)];
    Step::new(include_str!("sql/outbox_claim.sql"), params)
}

/// When the next message is due.
pub(crate) fn next(channel: Channel) -> Step {
    Step::new(include_str!("sql/outbox_next.sql"), [text(channel.as_str())])
}

/// Takes away a message that was sent.
pub(crate) fn delete(id: i64) -> Step {
    Step::new(include_str!("sql/outbox_delete.sql"), [param(id)])
}

/// Puts off a message to another time.
pub(crate) fn retry(id: i64, at: Moment, reason: &str) -> Step {
    Step::new(include_str!("sql/outbox_retry.sql"), [param(id), param(at), text(reason)])
}

/// Gives a message up.
pub(crate) fn fail(id: i64, now: Moment, reason: &str) -> Step {
    Step::new(include_str!("sql/outbox_fail.sql"), [param(id), param(now), text(reason)])
}

/// Forgets messages that were given up before a moment, and all but the newest.
pub(crate) fn trim(before: Moment, kept: u32) -> Step {
    Step::new(include_str!("sql/outbox_trim.sql"), [param(before), param(kept)])
}

/// What waits and what was given up.
pub(crate) fn list(count: u64) -> Step {
    Step::new(include_str!("sql/outbox_list.sql"), [param(count)])
}
