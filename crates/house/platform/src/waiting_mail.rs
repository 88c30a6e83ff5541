//! Pooled projects whose mail was not sent when the program ended. Shards are open in any case, so one look a shard
//! finds them; a dedicated project's server is asked when it wakes.

use crate::{Error, Platform};
use catalog::{projects, shards};
use model::ProjectRef;

/// The most projects of a shard that are found; the others send their mail when they wake.
const FOUND_MAX: u32 = 10_000;

impl Platform {
    /// The pooled projects that have mail to send.
    ///
    /// # Errors
    /// When the catalog or a shard does not answer.
    pub async fn projects_with_mail(&self) -> Result<Vec<ProjectRef>, Error> {
        let all = shards::shard_list(&mut *self.catalog().connection().await?).await?;
        let mut found = Vec::new();
        for shard in all {
            let mut connection = self.shard_admin(shard.number).await?;
            let sql = "select distinct app_id from rowhouse.mail_outbox
                where channel = 'email' and failed_at is null limit $1";
            let rows = connection.query(sql, &[pg::param(FOUND_MAX)]).await?;
            let apps = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<i32>, _>>()?;
            if !apps.is_empty() {
                let mut catalog = self.catalog().connection().await?;
                found.extend(projects::project_refs_of_apps(&mut catalog, &apps).await?);
            }
        }
        Ok(found)
    }
}
