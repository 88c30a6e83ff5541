//! What projects use, by day.

use crate::Error;
use model::ProjectRef;
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};

/// What a project used of its storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUsage {
    /// Bytes that came in.
    pub storage_ingress_bytes: u64,
    /// Bytes that went out.
    pub storage_egress_bytes: u64,
    pub storage_requests: u64,
}

/// One day of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDay {
    /// `YYYY-MM-DD`, UTC.
    pub day: String,
    #[serde(flatten)]
    pub storage: StorageUsage,
}

/// Adds to today's usage of some projects. Those that are gone meanwhile are left out.
///
/// # Errors
/// When the database does not answer; nothing was added then.
pub async fn usage_add(c: &mut Connection, used: &[(ProjectRef, StorageUsage)]) -> Result<(), Error> {
    let sql = "
insert into catalog.project_usage as u
  (project_ref, day, storage_ingress_bytes, storage_egress_bytes, storage_requests)
select p.ref, (now() at time zone 'utc')::date, used.ingress, used.egress, used.requests
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as used(ref, ingress, egress, requests)
join catalog.projects as p on p.ref = used.ref
on conflict (project_ref, day) do update set
  storage_ingress_bytes = u.storage_ingress_bytes + excluded.storage_ingress_bytes,
  storage_egress_bytes = u.storage_egress_bytes + excluded.storage_egress_bytes,
  storage_requests = u.storage_requests + excluded.storage_requests";
    let column = |of: &dyn Fn(&StorageUsage) -> u64| {
        let numbers: Vec<String> = used.iter().map(|(_, usage)| of(usage).to_string()).collect();
        text(format!("{{{}}}", numbers.join(",")))
    };
    // Refs are letters only.
    let refs: Vec<&str> = used.iter().map(|(reference, _)| reference.as_str()).collect();
    let params = [
        text(format!("{{{}}}", refs.join(","))),
        column(&|usage| usage.storage_ingress_bytes),
        column(&|usage| usage.storage_egress_bytes),
        column(&|usage| usage.storage_requests),
    ];
    c.query(sql, &params).await?;
    Ok(())
}

/// The last so many days of a project on which it used anything, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn usage_days(c: &mut Connection, project: &ProjectRef, days: u32) -> Result<Vec<UsageDay>, Error> {
    let sql = "
select to_jsonb(u) - 'project_ref'
from catalog.project_usage as u
where project_ref = $1 and day > (now() at time zone 'utc')::date - $2::integer
order by day desc";
    let rows = c.query(sql, &[text(project.as_str()), param(days)]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}
