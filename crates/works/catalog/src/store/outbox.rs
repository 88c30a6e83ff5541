//! Effects that leave the process (webhooks, mail): rows written with what caused them, sent after commit.

use crate::Error;
use pg::{Connection, param, text};
use serde::Deserialize;
use serde_json::Value;

/// A message to be sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    pub id: i64,
    pub topic: String,
    pub payload: Value,
    pub attempts: i32,
}

/// Adds a message, in the transaction of its cause.
///
/// # Errors
/// When the database does not answer.
pub async fn outbox_add(c: &mut Connection, topic: &str, payload: &Value) -> Result<(), Error> {
    let sql = "insert into catalog.outbox (topic, payload) values ($1, $2)";
    c.query(sql, &[text(topic), text(payload.to_string())]).await?;
    Ok(())
}

/// Takes messages that are due. Each is due again a minute later, then two, four …, unless confirmed.
///
/// # Errors
/// When the database does not answer.
pub async fn outbox_take(c: &mut Connection, limit: u32) -> Result<Vec<Message>, Error> {
    let sql = "update catalog.outbox as o
        set attempts = attempts + 1, next_attempt_at = now() + interval '1 minute' * power(2, least(attempts, 10))
        where id in (select id from catalog.outbox where sent_at is null and next_attempt_at <= now()
          order by next_attempt_at limit $1 for update skip locked)
        returning to_jsonb(o)";
    let rows = c.query(sql, &[param(limit)]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}

/// Confirms that a message was sent.
///
/// # Errors
/// When the database does not answer.
pub async fn outbox_sent(c: &mut Connection, id: i64) -> Result<(), Error> {
    c.query("update catalog.outbox set sent_at = now() where id = $1", &[param(id)]).await?;
    Ok(())
}
