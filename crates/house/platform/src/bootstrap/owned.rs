//! The schemas of a dedicated project whose owners the project's owner may become.
//!
//! A statement on their tables could fire a trigger of the project's, evaluate a default or a check of its, and in a
//! superuser's session that would run with a superuser's rights. So once a project lives, their scripts run in
//! sessions that log in as the owners of the schemas, who are nobody that the project's owner could not be anyway.

use super::{LOCK, Script, ScriptError};
use pg::{Config, Connection, text};
use std::borrow::Cow;
use std::time::Duration;

/// How long bringing one schema up to date may take, whatever the project has put in the way.
const TIMEOUT: Duration = Duration::from_secs(120);
/// What holds in the sessions of owners, over whatever the project has set for these roles.
const SETTINGS: [(&str, &str); 6] = [
    ("search_path", "pg_catalog"),
    ("statement_timeout", "60s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("default_transaction_read_only", "off"),
    ("client_min_messages", "warning"),
];

/// A schema and its owner.
struct Owned {
    owner: &'static str,
    script: Script,
}

fn scripts() -> [Owned; 2] {
    let script = |name, sql| Script { name, sql: Cow::Owned(sql) };
    [
        Owned { owner: "supabase_auth_admin", script: script("auth", auth::schema::owned()) },
        Owned { owner: "supabase_storage_admin", script: script("storage", storage::schema::dedicated()) },
    ]
}

fn version(script: &Script) -> String {
    let digest = token::sha256(script.sql.as_bytes());
    digest[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says of a new database that its schemas are those of this version.
pub(super) fn record() -> Script {
    let mut sql = sql::Fragment::new();
    sql.push("insert into rowhouse.owned_schemas (owner, version) values ");
    for (at, owned) in scripts().iter().enumerate() {
        sql.push(if at == 0 { "(" } else { ", (" }).literal(owned.owner).push(", ");
        sql.literal(&version(&owned.script)).push(")");
    }
    sql.push(" on conflict (owner) do update set version = excluded.version, applied_at = now()");
    Script { name: "owned_schemas", sql: Cow::Owned(sql.into_parts().0) }
}

/// Brings the schemas of a dedicated project's database, made by an earlier version of this program, to what this
/// one makes. `admin` is a superuser's session, which only looks and records; `config` leads to the same database and
/// lets the owners log in. Whether there was anything to do.
///
/// # Errors
/// What the project has changed may be in the way; such a schema stays as it is, and is tried again the next time.
pub async fn upgrade_owned(admin: &mut Connection, config: &Config) -> Result<bool, ScriptError> {
    let failed = |script| move |cause| ScriptError { script, cause };
    let mut done = false;
    let mut first_failure = None;
    for Owned { owner, script } in scripts() {
        let wanted = version(&script);
        if recorded(admin, owner).await.map_err(failed(script.name))?.as_deref() == Some(&wanted) {
            continue;
        }
        match tokio::time::timeout(TIMEOUT, apply(admin, config, owner, &script, &wanted)).await {
            Ok(Ok(applied)) => done |= applied,
            Ok(Err(error)) => first_failure = first_failure.or(Some(error)),
            Err(_) => {
                let error = ScriptError { script: script.name, cause: pg::Error::Timeout };
                first_failure = first_failure.or(Some(error));
            }
        }
    }
    first_failure.map_or(Ok(done), Err)
}

async fn recorded(admin: &mut Connection, owner: &str) -> Result<Option<String>, pg::Error> {
    let rows =
        admin.query("select version from rowhouse.owned_schemas where owner = $1", &[text(owner)]).await?;
    rows.first().map(|row| row.get(0)).transpose()
}

async fn apply(
    admin: &mut Connection,
    config: &Config,
    owner: &str,
    script: &Script,
    wanted: &str,
) -> Result<bool, ScriptError> {
    let failed = |cause| ScriptError { script: script.name, cause };
    let mut config = config.with_user(owner);
    config.options.extend(SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut session = Connection::connect(&config).await.map_err(failed)?;
    // Ends with the session at the latest.
    session.query("select pg_catalog.pg_advisory_lock($1)", &[pg::param(LOCK)]).await.map_err(failed)?;
    if recorded(admin, owner).await.map_err(failed)?.as_deref() == Some(wanted) {
        session.close().await;
        return Ok(false);
    }
    session.batch(&script.sql).await.map_err(failed)?;
    let record = "insert into rowhouse.owned_schemas (owner, version) values ($1, $2)
        on conflict (owner) do update set version = excluded.version, applied_at = now()";
    admin.query(record, &[text(owner), text(wanted)]).await.map_err(failed)?;
    session.close().await;
    Ok(true)
}
