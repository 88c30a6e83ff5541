//! The SQL that makes an empty database a project's home: roles, schemas, privileges, as a new Supabase project
//! has them (dedicated), or the tenant-proof form of the same (shard).
//!
//! Every script is repeatable and runs as the server's superuser in one transaction. The text of the `auth`
//! schema belongs to the auth service; it is put between ours.

#[path = "../../../../services/auth/src/schema/mod.rs"]
mod auth_schema;

use model::AppId;
use pg::Connection;
use std::borrow::Cow;

/// A named piece of SQL, several statements, run as one transaction.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: &'static str,
    pub sql: Cow<'static, str>,
}

/// A script that PostgreSQL refused.
#[derive(Debug, thiserror::Error)]
#[error("the script {script} failed: {cause}")]
pub struct ScriptError {
    pub script: &'static str,
    #[source]
    pub cause: pg::Error,
}

const fn script(name: &'static str, sql: &'static str) -> Script {
    Script { name, sql: Cow::Borrowed(sql) }
}

/// Everything for the database of a dedicated project, roles of its server included, in order.
pub fn dedicated() -> Vec<Script> {
    vec![
        script("roles", include_str!("roles.sql")),
        script("database", include_str!("database.sql")),
        script("extensions", include_str!("extensions.sql")),
        Script { name: "auth", sql: Cow::Owned(auth_schema::dedicated()) },
        script("auth_grants", include_str!("auth_grants.sql")),
        script("storage", include_str!("storage.sql")),
        script("realtime", include_str!("realtime.sql")),
        script("graphql", include_str!("graphql.sql")),
        script("watch", include_str!("watch.sql")),
    ]
}

/// Everything for a shard's database, roles of its server included, in order.
pub fn shard() -> Vec<Script> {
    vec![
        script("shard_roles", include_str!("shard_roles.sql")),
        script("shard_database", include_str!("shard_database.sql")),
        Script { name: "auth", sql: Cow::Owned(auth_schema::shard()) },
        script("shard_users", include_str!("shard_users.sql")),
    ]
}

/// The schema of one pooled project, in a shard.
pub fn app_schema(app: AppId) -> Script {
    let sql = include_str!("app_schema.sql").replace(":app", &app.to_string());
    Script { name: "app_schema", sql: Cow::Owned(sql) }
}

/// Runs scripts in order, each in a transaction of its own.
///
/// # Errors
/// The first script that fails; those before it stay done, and running all of them again is safe.
pub async fn run(connection: &mut Connection, scripts: &[Script]) -> Result<(), ScriptError> {
    for script in scripts {
        // Several statements in one simple query are one implicit transaction.
        let done = connection.batch(&script.sql).await;
        done.map_err(|cause| ScriptError { script: script.name, cause })?;
    }
    Ok(())
}
