//! A database with the schema of a dedicated project, and sessions on it.

use pg::{Connection, Param, Row};
use testkit::{Database, Postgres};

const BEFORE: &str = "
    do $$ begin
      if to_regrole('supabase_storage_admin') is null then
        create role supabase_storage_admin login noinherit;
        create role anon; create role authenticated; create role service_role bypassrls; create role postgres;
      end if;
    end $$;
    create schema storage authorization supabase_storage_admin;
    grant usage on schema storage to anon, authenticated, service_role;
    create schema extensions;
    grant usage on schema extensions to anon, authenticated, service_role, supabase_storage_admin;
    create function extensions.leakproof_lower(text) returns text
      language internal immutable strict leakproof parallel safe as 'lower';";

/// A database of one test.
pub async fn database() -> Database {
    let script = format!("{BEFORE}{}", storage::schema::dedicated());
    Postgres::shared().await.database_like("storage dedicated", &script).await
}

/// The rows of a query.
pub async fn rows(session: &mut Connection, sql: &str, params: &[Param]) -> Vec<Row> {
    match session.query(sql, params).await {
        Ok(rows) => rows.into_iter().collect(),
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// The first column of a query's rows.
pub async fn texts(session: &mut Connection, sql: &str) -> Vec<String> {
    let rows = rows(session, sql, &[]).await;
    rows.iter().map(|row| row.text(0).unwrap_or("null").to_owned()).collect()
}
