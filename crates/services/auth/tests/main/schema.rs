//! The schema itself, and that every statement fits it.

use crate::world::{dedicated, shard};
use pg::Connection;
use std::path::Path;

#[tokio::test]
async fn the_schema_can_be_run_again() {
    dedicated().await.connect().await.batch(&auth::schema::dedicated()).await.unwrap();
    shard().await.connect().await.batch(&auth::schema::shard()).await.unwrap();
}

#[tokio::test]
async fn every_statement_can_be_prepared_in_both_tenancies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sql");
    for database in [dedicated().await, shard().await] {
        let mut session = database.connect().await;
        let mut count = 0;
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let sql = std::fs::read_to_string(&path).unwrap();
            let prepared = session.batch(&format!("prepare statement_{count} as {sql}")).await;
            assert!(prepared.is_ok(), "{}: {:?}", path.display(), prepared.err());
            count += 1;
        }
        assert!(count > 50);
    }
}

/// Runs a query as a role and says whether it was allowed.
async fn allowed(session: &mut Connection, role: &str, sql: &str) -> bool {
    session.batch(&format!("set role {role}")).await.unwrap();
    let done = session.query(sql, &[]).await;
    session.batch("reset role").await.unwrap();
    done.is_ok()
}

#[tokio::test]
async fn only_the_owner_role_reads_users_and_everybody_reads_claims() {
    let mut session = dedicated().await.connect().await;
    for role in ["anon", "authenticated", "service_role"] {
        assert!(!allowed(&mut session, role, "select 1 from auth.users").await, "{role}");
        assert!(
            allowed(&mut session, role, "select auth.uid(), auth.role(), auth.email(), auth.jwt()").await,
            "{role}"
        );
    }
    assert!(allowed(&mut session, "postgres", "select 1 from auth.users").await);
    assert!(!allowed(&mut session, "postgres", "insert into auth.schema_migrations values ('x')").await);
}

#[tokio::test]
async fn claims_are_read_from_either_setting() {
    let mut session = dedicated().await.connect().await;
    let mut value = async |set: &str, call: &str| -> Option<String> {
        session.batch(set).await.unwrap();
        let rows = session.query(&format!("select {call}::text"), &[]).await.unwrap();
        rows.first().and_then(|row| row.text(0)).map(str::to_owned)
    };
    let id = "11111111-1111-4111-8111-111111111111";
    assert_eq!(value("select 1", "auth.uid()").await, None);
    let all =
        format!("select set_config('request.jwt.claims', '{{\"sub\":\"{id}\",\"role\":\"x\"}}', false)");
    assert_eq!(value(&all, "auth.uid()").await.as_deref(), Some(id));
    assert_eq!(value("select 1", "auth.role()").await.as_deref(), Some("x"));
    assert_eq!(
        value("select set_config('request.jwt.claim.role', 'y', false)", "auth.role()").await.as_deref(),
        Some("y")
    );
    assert_eq!(value("select set_config('request.jwt.claims', '', false)", "auth.uid()").await, None);
    assert_eq!(value("select 1", "auth.jwt()").await, None);
}
