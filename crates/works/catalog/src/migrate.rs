//! The catalog's schema, as numbered steps that are applied once and never changed afterwards.

use crate::Error;
use pg::{Connection, param, text};
use sha2::{Digest, Sha256};

struct Migration {
    number: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "foundation", sql: include_str!("migrations/0001_foundation.sql") },
    Migration { number: 2, name: "usage", sql: include_str!("migrations/0002_usage.sql") },
    Migration { number: 3, name: "removals", sql: include_str!("migrations/0003_removals.sql") },
];

/// Any number: it only has to differ from the other locks of this database.
const LOCK: i64 = 0x726f_7768;

const PREPARE: &str = "create table if not exists public.catalog_migrations (
    number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())";

/// Brings the catalog's database up to date. Several processes may try at once.
///
/// # Errors
/// When a migration fails, was changed, or is unknown here.
pub async fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let mut tx = connection.begin().await?;
    tx.query("select pg_advisory_xact_lock($1)", &[param(LOCK)]).await?;
    tx.batch("set local client_min_messages = warning").await?;
    tx.batch(PREPARE).await?;
    let applied =
        tx.query("select number, checksum from public.catalog_migrations order by number", &[]).await?;
    let mut done = 0;
    for row in &applied {
        let number: i32 = row.get(0)?;
        let known = MIGRATIONS.iter().find(|m| m.number == number).ok_or(Error::FromTheFuture { number })?;
        if row.text(1) != Some(checksum(known).as_str()) {
            return Err(Error::MigrationChanged { number });
        }
        done = number;
    }
    for migration in MIGRATIONS.iter().filter(|m| m.number > done) {
        tx.batch(migration.sql).await?;
        let insert = "insert into public.catalog_migrations (number, name, checksum) values ($1, $2, $3)";
        tx.query(insert, &[param(migration.number), text(migration.name), text(checksum(migration))]).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn checksum(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sql.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for (i, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number as usize, i + 1, "{}", migration.name);
        }
    }
}
