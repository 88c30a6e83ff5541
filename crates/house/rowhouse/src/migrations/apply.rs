//! Applying migrations and seeds to a database.
//!
//! A migration and its record are one transaction. Two kinds of files are not: those that control transactions
//! themselves, and those with a statement that PostgreSQL refuses inside one (`create index concurrently`); the
//! latter is run alone, what stands before and after it in transactions of its own.

use super::split::leading_words;
use super::{Migration, SeedFile};
use pg::{Connection, text};
use std::path::PathBuf;

const PREPARE: &str = "
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
    alter table supabase_migrations.schema_migrations add column if not exists statements text[];
    alter table supabase_migrations.schema_migrations add column if not exists name text;
    create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null)";
const RECORD: &str = "insert into supabase_migrations.schema_migrations (version, name, statements)
    select $1, $2, array(select jsonb_array_elements_text($3::jsonb))";
const RECORD_SEED: &str = "insert into supabase_migrations.seed_files (path, hash)
    values ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex'))
    on conflict (path) do update set hash = excluded.hash";

/// A statement that failed, or a database that did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{}\nin {}, statement {number}:\n{}", describe(error), path.display(), shorten(statement))]
    Statement { path: PathBuf, number: usize, statement: String, error: pg::Error },
    #[error("the record of migrations could not be read or written: {0}")]
    Record(pg::Error),
}

fn describe(error: &pg::Error) -> String {
    let Some(db) = error.db() else { return error.to_string() };
    let mut text = format!("{}: {} (SQLSTATE {})", db.severity, db.message, db.code);
    for (label, more) in [("DETAIL", &db.detail), ("HINT", &db.hint), ("CONTEXT", &db.where_)] {
        if let Some(more) = more {
            text.push_str(&format!("\n{label}: {more}"));
        }
    }
    text
}

/// Statements can be long; their beginning is enough to find them.
fn shorten(statement: &str) -> String {
    const LINES_MAX: usize = 12;
    let lines: Vec<_> = statement.lines().collect();
    let shown: Vec<_> = lines.iter().take(LINES_MAX).map(|line| format!("  {line}")).collect();
    let dots = if lines.len() > LINES_MAX { "\n  …" } else { "" };
    format!("{}{dots}", shown.join("\n"))
}

/// Applies the migrations that are not recorded yet, in order.
///
/// # Errors
/// The first statement that fails. What its file did is undone (where the file allows it), earlier files stay.
pub async fn apply_pending(
    connection: &mut Connection,
    migrations: &[Migration],
) -> Result<Vec<String>, ApplyError> {
    if migrations.is_empty() {
        return Ok(Vec::new());
    }
    let known = recorded(connection).await?;
    let mut applied = Vec::new();
    for migration in migrations.iter().filter(|migration| !known.contains(&migration.version)) {
        connection.batch("reset all").await.map_err(ApplyError::Record)?;
        apply(connection, migration).await?;
        applied.push(format!("{}_{}.sql", migration.version, migration.name));
    }
    if !applied.is_empty() {
        connection.batch("reset all").await.map_err(ApplyError::Record)?;
    }
    Ok(applied)
}

async fn recorded(connection: &mut Connection) -> Result<Vec<String>, ApplyError> {
    connection.batch(PREPARE).await.map_err(ApplyError::Record)?;
    let rows = connection
        .query("select version from supabase_migrations.schema_migrations", &[])
        .await
        .map_err(ApplyError::Record)?;
    rows.iter().map(|row| row.get::<String>(0).map_err(ApplyError::Record)).collect()
}

async fn apply(connection: &mut Connection, migration: &Migration) -> Result<(), ApplyError> {
    if migration.statements.iter().any(|statement| controls_transactions(statement)) {
        for (index, statement) in migration.statements.iter().enumerate() {
            let done = connection.batch(statement).await;
            if let Err(error) = done {
                // The file may have left a transaction open; nothing of it may stay.
                let _ = connection.batch("rollback").await;
                return Err(failed(migration, index, error));
            }
        }
        if connection.in_transaction() {
            connection.batch("commit").await.map_err(ApplyError::Record)?;
        }
        return record(connection, migration).await;
    }
    let alone: Vec<usize> =
        (0..migration.statements.len()).filter(|index| runs_alone(&migration.statements[*index])).collect();
    let mut from = 0;
    for index in alone {
        in_transaction(connection, migration, from..index, false).await?;
        let done = connection.batch(&migration.statements[index]).await;
        done.map_err(|error| failed(migration, index, error))?;
        from = index + 1;
    }
    in_transaction(connection, migration, from..migration.statements.len(), true).await
}

async fn in_transaction(
    connection: &mut Connection,
    migration: &Migration,
    range: std::ops::Range<usize>,
    is_last: bool,
) -> Result<(), ApplyError> {
    if range.is_empty() && !is_last {
        return Ok(());
    }
    let last = range.end.saturating_sub(1);
    let mut transaction = connection.begin().await.map_err(ApplyError::Record)?;
    for index in range {
        if let Err(error) = transaction.batch(&migration.statements[index]).await {
            let _ = transaction.rollback().await;
            return Err(failed(migration, index, error));
        }
    }
    if is_last {
        transaction.query(RECORD, &record_parameters(migration)).await.map_err(ApplyError::Record)?;
    }
    // Deferred constraints speak up here.
    transaction.commit().await.map_err(|error| failed(migration, last, error))
}

async fn record(connection: &mut Connection, migration: &Migration) -> Result<(), ApplyError> {
    connection.query(RECORD, &record_parameters(migration)).await.map(drop).map_err(ApplyError::Record)
}

fn record_parameters(migration: &Migration) -> [pg::Param; 3] {
    let statements = serde_json::Value::from(migration.statements.clone()).to_string();
    [text(&migration.version), text(&migration.name), text(statements)]
}

fn failed(migration: &Migration, index: usize, error: pg::Error) -> ApplyError {
    ApplyError::Statement {
        path: migration.path.clone(),
        number: index + 1,
        statement: migration.statements.get(index).cloned().unwrap_or_default(),
        error,
    }
}

fn controls_transactions(statement: &str) -> bool {
    let words = leading_words(statement, 2);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["begin" | "commit" | "rollback" | "end" | "abort", ..] | ["start", "transaction"]
    )
}

/// Whether PostgreSQL refuses the statement inside a transaction.
fn runs_alone(statement: &str) -> bool {
    let words = leading_words(statement, 6);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["vacuum", ..] | ["alter", "system", ..] | ["checkpoint", ..] => true,
        ["create" | "drop", "database" | "tablespace" | "subscription", ..] => true,
        ["create", "unique", "index", "concurrently", ..] => true,
        ["create" | "drop", "index", "concurrently", ..] => true,
        ["reindex", rest @ ..] => {
            rest.contains(&"concurrently") || rest.first().is_some_and(|w| *w == "database")
        }
        ["cluster"] => true,
        _ => false,
    }
}

/// Runs seed files, each in one transaction, and records them.
///
/// # Errors
/// The first statement that fails; its file is undone, earlier ones stay.
pub async fn apply_seeds(connection: &mut Connection, seeds: &[SeedFile]) -> Result<Vec<String>, ApplyError> {
    if seeds.is_empty() {
        return Ok(Vec::new());
    }
    connection.batch(PREPARE).await.map_err(ApplyError::Record)?;
    let mut applied = Vec::new();
    for seed in seeds {
        let as_migration = Migration {
            version: String::new(),
            name: String::new(),
            path: seed.path.clone(),
            statements: seed.statements.clone(),
        };
        let mut transaction = connection.begin().await.map_err(ApplyError::Record)?;
        for (index, statement) in seed.statements.iter().enumerate() {
            if let Err(error) = transaction.batch(statement).await {
                let _ = transaction.rollback().await;
                return Err(failed(&as_migration, index, error));
            }
        }
        let parameters = [text(&seed.recorded_path), text(&seed.text)];
        transaction.query(RECORD_SEED, &parameters).await.map_err(ApplyError::Record)?;
        transaction.commit().await.map_err(|error| failed(&as_migration, seed.statements.len(), error))?;
        applied.push(seed.recorded_path.clone());
    }
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_transactions_cannot_hold() {
        for alone in [
            "create index concurrently i on t (a)",
            "-- why\ncreate unique index concurrently if not exists i on t (a)",
            "drop index concurrently i",
            "vacuum analyze t",
            "reindex index concurrently i",
        ] {
            assert!(runs_alone(alone), "{alone}");
        }
        for together in ["create index i on t (a)", "create table concurrently (a int)", "select 'vacuum'"] {
            assert!(!runs_alone(together), "{together}");
        }
        assert!(
            controls_transactions("BEGIN")
                && controls_transactions("start transaction isolation level serializable")
        );
        assert!(!controls_transactions("create table begin_t ()") && !controls_transactions("start_job()"));
    }

    #[test]
    fn long_statements_are_shortened() {
        assert_eq!(shorten("a\nb"), "  a\n  b");
        assert!(shorten(&"x\n".repeat(50)).ends_with('…'));
    }

    async fn database() -> (testkit::Database, Connection) {
        let database = testkit::Postgres::shared().await.database().await;
        let connection = database.connect().await;
        (database, connection)
    }

    fn migration(version: &str, text: &str) -> Migration {
        Migration {
            version: version.to_owned(),
            name: "m".to_owned(),
            path: format!("{version}_m.sql").into(),
            statements: super::super::split::split(text),
        }
    }

    async fn count(connection: &mut Connection, sql: &str) -> i64 {
        connection.query(sql, &[]).await.unwrap().first().unwrap().get(0).unwrap()
    }

    const RECORDED: &str = "select count(*) from supabase_migrations.schema_migrations";

    #[tokio::test]
    async fn each_migration_is_applied_once_and_recorded_with_its_statements() {
        let (_database, mut connection) = database().await;
        let one = migration("1", "create table t (a int); insert into t values (1), (2);");
        for expected in [1, 0] {
            assert_eq!(
                apply_pending(&mut connection, std::slice::from_ref(&one)).await.unwrap().len(),
                expected
            );
        }
        let two = migration("2", "insert into t values (3)");
        assert_eq!(apply_pending(&mut connection, &[one, two]).await.unwrap(), ["2_m.sql"]);
        assert_eq!(count(&mut connection, "select count(*) from t").await, 3);
        let statements = "select array_length(statements, 1)::bigint from supabase_migrations.schema_migrations \
                          where version = '1' and name = 'm'";
        assert_eq!(count(&mut connection, statements).await, 2);
    }

    #[tokio::test]
    async fn a_failing_file_is_undone_and_named_with_its_statement() {
        let (_database, mut connection) = database().await;
        let bad = migration("7", "create table t (a int); insert into nowhere values (1); select 1");
        let error = apply_pending(&mut connection, &[bad]).await.unwrap_err().to_string();
        for part in ["relation \"nowhere\" does not exist", "7_m.sql", "statement 2", "insert into nowhere"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(count(&mut connection, RECORDED).await, 0);
        assert_eq!(count(&mut connection, "select count(*) from pg_class where relname = 't'").await, 0);
    }

    #[tokio::test]
    async fn files_that_no_transaction_can_hold_run_statement_by_statement() {
        let (_database, mut connection) = database().await;
        let files = [
            migration(
                "1",
                "create table t (a int); create index concurrently i on t (a); insert into t values (1)",
            ),
            migration("2", "begin; insert into t values (2); commit; vacuum t;"),
            migration("3", "set search_path = ''; select set_config('role', 'none', false);"),
        ];
        assert_eq!(apply_pending(&mut connection, &files).await.unwrap().len(), 3);
        assert_eq!(count(&mut connection, RECORDED).await, 3);
        assert_eq!(count(&mut connection, "select count(*) from t").await, 2);
        let bad = migration("4", "begin; insert into t values (3); select 1/0; commit");
        assert!(apply_pending(&mut connection, &[bad]).await.is_err());
        assert_eq!(count(&mut connection, "select count(*) from t").await, 2);
    }

    #[tokio::test]
    async fn seeds_run_every_time_they_are_asked_to() {
        let (_database, mut connection) = database().await;
        connection.batch("create table t (a int)").await.unwrap();
        let text = "insert into t values (1); insert into t values (2)";
        let seed = SeedFile {
            recorded_path: "supabase/seed.sql".to_owned(),
            path: "seed.sql".into(),
            text: text.to_owned(),
            statements: super::super::split::split(text),
        };
        for _ in 0..2 {
            apply_seeds(&mut connection, std::slice::from_ref(&seed)).await.unwrap();
        }
        assert_eq!(count(&mut connection, "select count(*) from t").await, 4);
        assert_eq!(count(&mut connection, "select count(*) from supabase_migrations.seed_files").await, 1);
    }
}
