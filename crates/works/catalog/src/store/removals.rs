//! Deleted projects whose files may still be there.

use crate::Error;
use model::ProjectRef;
use pg::{Connection, text};

/// Some deleted projects whose files may still be there, those deleted first in front.
///
/// # Errors
/// When the database does not answer.
pub async fn removal_list(c: &mut Connection) -> Result<Vec<ProjectRef>, Error> {
    let sql = "
select project_ref from catalog.file_removals as r
where not exists (select from catalog.projects as p where p.ref = r.project_ref)
order by deleted_at limit 10000";
    let rows = c.query(sql, &[]).await?;
    Ok(rows.iter().filter_map(|row| row.text(0)?.parse().ok()).collect())
}

/// Notes that the files of a project were removed. While it has not been gone for an hour, they are removed once more
/// later: an upload may have been on its way.
///
/// # Errors
/// When the database does not answer.
pub async fn removal_done(c: &mut Connection, project: &ProjectRef) -> Result<(), Error> {
    let sql = "
delete from catalog.file_removals where project_ref = $1 and deleted_at < now() - interval '1 hour'";
    c.query(sql, &[text(project.as_str())]).await?;
    Ok(())
}
