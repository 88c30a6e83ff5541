//! `rowhouse.mail_outbox`: messages that are sent once the transaction that wrote them has been committed.

use super::db::Step;
use crate::moment::Moment;
use pg::{param, text};
use serde_json::Value;
use uuid::Uuid;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Email,
    Sms,
}

pub(crate) fn insert(channel: Channel, kind: &str, to: &str, user: Uuid, data: &Value, now: Moment) -> Step {
    let channel = match channel {
        Channel::Email => "email",
        Channel::Sms => "sms",
    };
    let params = [text(channel), text(kind), text(to), param(user), text(data.to_string()), param(now)];
    Step::new(include_str!("sql/outbox_insert.sql"), params)
}
