//! The SQL that makes an empty database a project's home: roles, schemas, privileges, as a new Supabase project
//! has them (dedicated), or the tenant-proof form of the same (shard).
//!
//! Every script is repeatable and runs as the server's superuser in one transaction. The texts of the
//! schemas `auth` and `storage` belong to those services; they are put between ours.

mod owned;

pub use owned::upgrade_owned;

use model::AppId;
use pg::{Connection, param};
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
    let mut scripts = with_record(dedicated_scripts());
    scripts.push(owned::record());
    scripts
}

/// Everything for a shard's database, roles of its server included, in order.
pub fn shard() -> Vec<Script> {
    with_record(shard_scripts())
}

/// Brings what is the superuser's own in a dedicated project's database, made by an earlier version of this program,
/// to what this one makes. Whether there was anything to do.
///
/// Nothing else is touched: the project's owner may become the owners of `auth`, `storage` and `realtime`, so a
/// statement on their tables could fire a trigger of the tenant's, in a superuser's session. Changes to those
/// schemas are made in sessions that log in as their owners, see [`upgrade_owned`].
///
/// # Errors
/// As [`run`].
pub async fn upgrade_dedicated(connection: &mut Connection) -> Result<bool, ScriptError> {
    let mut upgrade = vec![Script { name: "auth_own_tables", sql: Cow::Owned(auth::schema::own_tables()) }];
    upgrade.extend(dedicated().into_iter().filter(|script| SUPERUSERS_OWN.contains(&script.name)));
    upgrade_to(connection, &record(&dedicated_scripts()), upgrade).await
}

/// The same for a shard.
///
/// # Errors
/// As [`run`].
pub async fn upgrade_shard(connection: &mut Connection) -> Result<bool, ScriptError> {
    upgrade_to(connection, &record(&shard_scripts()), shard()).await
}

/// Scripts that write nothing but objects of the superuser's, in schemas where nobody else can make any.
const SUPERUSERS_OWN: [&str; 5] = ["extensions", "leakproof", "graphql", "watch", "record"];
/// The key of the advisory lock under which a database is upgraded.
const LOCK: i64 = 0x626f_6f74;

async fn upgrade_to(
    connection: &mut Connection,
    wanted: &Record,
    scripts: Vec<Script>,
) -> Result<bool, ScriptError> {
    let failed = |cause| ScriptError { script: "version", cause };
    if version(connection).await.map_err(failed)?.as_ref() == Some(&wanted.version) {
        return Ok(false);
    }
    // Released by the end of the session, if not below.
    connection.query("select pg_advisory_lock($1)", &[param(LOCK)]).await.map_err(failed)?;
    let is_current = version(connection).await.map_err(failed)?.as_ref() == Some(&wanted.version);
    if !is_current {
        run(connection, &scripts).await?;
    }
    connection.query("select pg_advisory_unlock($1)", &[param(LOCK)]).await.map_err(failed)?;
    Ok(!is_current)
}

/// The version of the scripts that made a database; nothing when it does not say.
async fn version(connection: &mut Connection) -> Result<Option<String>, pg::Error> {
    let exists = connection.query("select to_regclass('rowhouse.bootstrap') is not null", &[]).await?;
    if !exists.one()?.get::<bool>(0)? {
        return Ok(None);
    }
    let rows = connection.query("select version from rowhouse.bootstrap", &[]).await?;
    rows.first().map(|row| row.get(0)).transpose()
}

/// The last script of a database: it records by which scripts it was made.
struct Record {
    version: String,
    script: Script,
}

fn record(scripts: &[Script]) -> Record {
    let all: Vec<&str> = scripts.iter().map(|script| script.sql.as_ref()).collect();
    let digest = token::sha256(all.join("\0").as_bytes());
    let version: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = include_str!("record.sql").replace(":version", &version);
    Record { version, script: Script { name: "record", sql: Cow::Owned(sql) } }
}

fn with_record(mut scripts: Vec<Script>) -> Vec<Script> {
    let record = record(&scripts);
    scripts.push(record.script);
    scripts
}

fn dedicated_scripts() -> Vec<Script> {
    vec![
        script("roles", include_str!("roles.sql")),
        script("database", include_str!("database.sql")),
        script("extensions", include_str!("extensions.sql")),
        Script { name: "auth", sql: Cow::Owned(auth::schema::dedicated()) },
        script("auth_grants", include_str!("auth_grants.sql")),
        script("leakproof", include_str!("leakproof.sql")),
        Script { name: "storage", sql: Cow::Owned(storage::schema::dedicated()) },
        script("realtime", include_str!("realtime.sql")),
        script("graphql", include_str!("graphql.sql")),
        script("watch", include_str!("watch.sql")),
    ]
}

fn shard_scripts() -> Vec<Script> {
    vec![
        script("shard_roles", include_str!("shard_roles.sql")),
        script("shard_database", include_str!("shard_database.sql")),
        Script { name: "auth", sql: Cow::Owned(auth::schema::shard()) },
        script("shard_users", include_str!("shard_users.sql")),
        script("leakproof", include_str!("leakproof.sql")),
        Script { name: "storage", sql: Cow::Owned(storage::schema::shard()) },
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
