//! `storage.event_outbox`.

use crate::db::Step;
use pg::{Error, Row, param, text};
use std::time::Duration;

/// An event that waits to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) id: i64,
    /// JSON: `type` and `payload`.
    pub(crate) event: String,
    /// With this one.
    pub(crate) attempts: u32,
    /// In Unix milliseconds.
    pub(crate) happened: i64,
}

impl Due {
    pub(crate) fn of(row: &Row) -> Result<Due, Error> {
        Ok(Due {
            id: row.get(0)?,
            event: row.get(1)?,
            attempts: u32::try_from(row.get::<i32>(2)?).unwrap_or_default(),
            happened: row.get(3)?,
        })
    }
}

/// Takes events that are due, which others leave alone for some time.
pub(crate) fn claim(most: u32, held: Duration) -> Step {
    let sql = "
update storage.event_outbox as e
set next_at = now() + make_interval(secs => $2::double precision), attempts = e.attempts + 1
where e.id in (
  select id from storage.event_outbox where next_at <= now() order by id limit $1::bigint for update skip locked)
returning e.id, e.event, e.attempts, (extract(epoch from e.created_at) * 1000)::bigint";
    Step::new(sql, [param(most), param(held.as_secs())])
}

/// Forgets events that were sent, or that nobody will take.
pub(crate) fn forget(ids: &[i64]) -> Step {
    Step::new("delete from storage.event_outbox where id = any ($1::bigint[])", [numbers(ids)])
}

/// Has events sent again later.
pub(crate) fn later(id: i64, after: Duration) -> Step {
    let sql = "
update storage.event_outbox
set next_at = now() + make_interval(secs => $2::double precision)
where id = $1::bigint";
    Step::new(sql, [param(id), param(after.as_secs())])
}

/// After how many seconds the next event is due, less than none when it is late; null when there is none.
pub(crate) fn next_due() -> Step {
    let sql = "
select extract(epoch from min(next_at) - now())::double precision::text
from storage.event_outbox";
    Step::new(sql, [])
}

fn numbers(ids: &[i64]) -> sql::Param {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    text(format!("{{{}}}", ids.join(",")))
}
