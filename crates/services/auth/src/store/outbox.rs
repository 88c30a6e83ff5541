//! `rowhouse.mail_outbox`: messages that are sent once the transaction that wrote them has been committed.

use super::db::Step;
use crate::moment::Moment;
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
