//! What the command line does with the users of a project: in batches, each a transaction of its own.

use crate::desk::Desk;
use anyhow::Context;
use auth::transfer;
use pg::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Users on their way, with their hashes. Never shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Users(pub Vec<Value>);

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} users", self.0.len())
    }
}

impl Desk {
    /// Adds users, and tells what became of each.
    pub(crate) async fn import_users(&self, project: &str, users: &Users) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let endpoint = self.platform.endpoint(&found).await?;
        let mut connection = Connection::connect(&endpoint.auth).await?;
        let report = transfer::import(&mut connection, &endpoint.extra_settings, &users.0).await;
        connection.close().await;
        let report = report.context("a batch was not taken; none of its users were added")?;
        Ok(serde_json::to_value(report)?)
    }

    /// The users after one.
    pub(crate) async fn export_users(&self, project: &str, after: Option<Uuid>) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let endpoint = self.platform.endpoint(&found).await?;
        let mut connection = Connection::connect(&endpoint.auth).await?;
        let users = transfer::export(&mut connection, &endpoint.extra_settings, after).await;
        connection.close().await;
        Ok(json!(users.context("the users cannot be read")?))
    }
}
