//! Sessions, pipelines and pools against real PostgreSQL.

mod parts;

use pg::{Config, Connection, Error, Pipeline, Pool, PoolOptions, null, param, text};
use std::time::Duration;
use testkit::Postgres;

async fn connect() -> Connection {
    Postgres::shared().await.database().await.connect().await
}

#[tokio::test]
async fn values_travel_as_text_and_come_back_typed() {
    let mut session = connect().await;
    let rows = session
        .query(
            "select $1::int + 1, $2::text, $3::text, $4::boolean, $5::jsonb",
            &[param(41), text("it's"), null(), text("true"), text(r#"{"a":[1]}"#)],
        )
        .await
        .unwrap();
    let row = rows.one().unwrap();
    assert_eq!(row.get::<i32>(0).unwrap(), 42);
    assert_eq!(row.text(1), Some("it's"));
    assert_eq!(row.get::<Option<String>>(2).unwrap(), None);
    assert!(row.get::<bool>(3).unwrap());
    assert_eq!(row.json::<serde_json::Value>(4).unwrap(), serde_json::json!({"a": [1]}));
    assert!(matches!(row.get::<i32>(1), Err(Error::Decode(_))));
    assert_eq!(rows.columns()[1].name, "text");
}

#[tokio::test]
async fn rows_of_a_step_may_come_in_binary() {
    let mut session = connect().await;
    let mut pipeline = Pipeline::new();
    // Twice: when it is prepared and when it is known; and as text between.
    let sql = "select $1::text, $2::int8, null::uuid, '2000-01-01 00:00:01Z'::timestamptz, $3::jsonb";
    let params = vec![text("é"), param(-2), text("[1]")];
    pipeline.step_binary(sql, params.clone()).step(sql, params.clone()).step_binary(sql, params);
    for _ in 0..2 {
        let results = session.run(&pipeline).await.unwrap();
        for at in [0, 2] {
            let row = results[at].one().unwrap();
            assert_eq!(row.text(0), Some("é"));
            assert_eq!(row.bytes(1), Some(&(-2_i64).to_be_bytes()[..]));
            assert_eq!(row.bytes(2), None);
            assert_eq!(row.bytes(3), Some(&1_000_000_i64.to_be_bytes()[..]));
            assert_eq!(row.bytes(4), Some(&b"\x01[1]"[..]));
        }
        assert_eq!(results[1].one().unwrap().text(1), Some("-2"));
    }
}

#[tokio::test]
async fn a_pipeline_is_one_transaction() {
    let mut session = connect().await;
    session.batch("create table t (n int primary key)").await.unwrap();
    let mut good = Pipeline::new();
    good.step("select set_config('app.x', $1, true)", vec![text("7")]);
    good.step("insert into t select current_setting('app.x')::int returning n", vec![]);
    let results = session.run(&good).await.unwrap();
    assert_eq!(results[1].one().unwrap().text(0), Some("7"));
    assert_eq!(results[1].affected(), 1);

    // The setting was local, and a failing step undoes the ones before it.
    let after = session.query("select current_setting('app.x', true)", &[]).await.unwrap();
    assert_eq!(after.one().unwrap().text(0).unwrap_or(""), "");
    let mut bad = Pipeline::new();
    bad.step("insert into t values (8)", vec![]);
    bad.step("insert into t values (7)", vec![]);
    bad.step("insert into t values (9)", vec![]);
    let error = session.run(&bad).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("23505"));
    assert_eq!(error.db().unwrap().constraint.as_deref(), Some("t_pkey"));
    let count = session.query("select count(*) from t", &[]).await.unwrap();
    assert_eq!(count.one().unwrap().get::<i64>(0).unwrap(), 1);
}

#[tokio::test]
async fn deferred_constraints_fail_the_pipeline() {
    let mut session = connect().await;
    session
        .batch("create table a (n int primary key); create table b (n int references a deferrable initially deferred)")
        .await
        .unwrap();
    let mut pipeline = Pipeline::new();
    pipeline.step("insert into b values (1)", vec![]);
    assert_eq!(session.run(&pipeline).await.unwrap_err().sqlstate(), Some("23503"));
}

#[tokio::test]
async fn a_statement_whose_table_changed_is_prepared_again() {
    let mut session = connect().await;
    session.batch("create table t (a int); insert into t values (1)").await.unwrap();
    assert_eq!(session.query("select * from t", &[]).await.unwrap().columns().len(), 1);
    session.batch("alter table t add b int").await.unwrap();
    assert_eq!(session.query("select * from t", &[]).await.unwrap().columns().len(), 2);
    session.batch("deallocate all").await.unwrap();
    assert_eq!(session.query("select * from t", &[]).await.unwrap().columns().len(), 2);
}

#[tokio::test]
async fn statements_are_kept_up_to_the_limit() {
    let database = Postgres::shared().await.database().await;
    let config = Config { statement_cache: 2, ..database.config.clone() };
    let mut session = Connection::connect(&config).await.unwrap();
    for sql in ["select 1", "select 2", "select 1", "select 3", "select 4", "select 4"] {
        session.query(sql, &[]).await.unwrap();
    }
    let kept = "select string_agg(statement, ',' order by statement) from pg_prepared_statements where statement not like '%pg_prep%'";
    let rows = session.batch(kept).await.unwrap();
    assert_eq!(rows[0].one().unwrap().text(0), Some("select 3,select 4"));

    let mut unnamed = Connection::connect(&Config { statement_cache: 0, ..config }).await.unwrap();
    unnamed.query("select $1::int", &[param(1)]).await.unwrap();
    let rows = unnamed.batch("select count(*) from pg_prepared_statements").await.unwrap();
    assert_eq!(rows[0].one().unwrap().text(0), Some("0"));
}

#[tokio::test]
async fn the_same_new_statement_twice_in_a_pipeline() {
    let mut session = connect().await;
    let mut pipeline = Pipeline::new();
    pipeline.step("select $1::int", vec![param(1)]).step("select $1::int", vec![param(2)]);
    for _ in 0..2 {
        let results = session.run(&pipeline).await.unwrap();
        assert_eq!(results[1].one().unwrap().text(0), Some("2"));
        assert_eq!(results[1].columns().len(), 1);
    }
    let rows = session.batch("select count(*) from pg_prepared_statements").await.unwrap();
    assert_eq!(rows[0].one().unwrap().text(0), Some("1"));
}

#[tokio::test]
async fn transactions_commit_and_roll_back() {
    let database = Postgres::shared().await.database().await;
    let pool = database.pool();
    pool.get().await.unwrap().batch("create table t (n int)").await.unwrap();
    {
        let mut session = pool.get().await.unwrap();
        let mut tx = session.begin().await.unwrap();
        tx.query("insert into t values (1)", &[]).await.unwrap();
        tx.commit().await.unwrap();
        let mut dropped = session.begin().await.unwrap();
        dropped.query("insert into t values (2)", &[]).await.unwrap();
    }
    let rows = pool.query("select count(*) from t", &[]).await.unwrap();
    assert_eq!(rows.one().unwrap().text(0), Some("1"));
    assert!(!pool.get().await.unwrap().in_transaction());
}

#[tokio::test]
async fn large_values_go_both_ways_at_once() {
    let mut session = connect().await;
    let big = "x".repeat(8 << 20);
    let mut pipeline = Pipeline::new();
    for _ in 0..4 {
        pipeline.step("select $1::text", vec![text(&big)]);
    }
    for rows in session.run(&pipeline).await.unwrap() {
        assert_eq!(rows.one().unwrap().bytes(0).map(<[u8]>::len), Some(big.len()));
    }
}

#[tokio::test]
async fn copy_from_the_client_is_refused_and_the_session_lives() {
    let mut session = connect().await;
    session.batch("create table t (n int)").await.unwrap();
    for result in [
        session.query("copy t from stdin", &[]).await.map(drop),
        session.batch("copy t from stdin").await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().sqlstate(), Some("57014"));
    }
    session.query("select 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_dropped_request_is_cancelled_and_its_connection_replaced() {
    let database = Postgres::shared().await.database().await;
    let pool = Pool::new(database.config.clone(), PoolOptions { max: 1, ..PoolOptions::default() });
    let slow = pool.query("select pg_sleep(600)", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(300), slow).await.is_err());
    pool.query("select 1", &[]).await.unwrap();
    // The server's process of the abandoned statement goes away.
    let gone = async {
        let sql = "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and state = 'active' and pid <> pg_backend_pid()";
        while pool.query(sql, &[]).await.unwrap().one().unwrap().text(0) != Some("0") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test]
async fn a_pool_is_bounded_and_says_so() {
    let database = Postgres::shared().await.database().await;
    let options =
        PoolOptions { max: 1, acquire_timeout: Duration::from_millis(50), ..PoolOptions::default() };
    let pool = Pool::new(database.config.clone(), options);
    let held = pool.get().await.unwrap();
    assert!(matches!(pool.get().await, Err(Error::PoolTimeout)));
    assert_eq!(pool.status().timeouts, 1);
    let pid = held.process_id();
    drop(held);
    assert_eq!(pool.get().await.unwrap().process_id(), pid);
    pool.recycle();
    assert_ne!(pool.get().await.unwrap().process_id(), pid);
}

#[tokio::test]
async fn a_share_of_a_pool_leaves_the_rest_to_others() {
    let database = Postgres::shared().await.database().await;
    let options =
        PoolOptions { max: 2, acquire_timeout: Duration::from_millis(50), ..PoolOptions::default() };
    let pool = Pool::new(database.config.clone(), options);
    let (greedy, other) = (pool.share(1), pool.share(1));
    let held = greedy.get().await.unwrap();
    assert!(matches!(greedy.clone().get().await, Err(Error::PoolTimeout)));
    other.query("select 1", &[]).await.unwrap();
    drop(held);
    greedy.query("select 1", &[]).await.unwrap();
    assert_eq!(pool.status().size, 2);
}

#[tokio::test]
async fn a_terminated_session_is_replaced_without_the_caller_noticing() {
    let database = Postgres::shared().await.database().await;
    let pool = database.pool();
    let pid = pool.get().await.unwrap().process_id();
    let mut other = database.connect().await;
    other.query("select pg_terminate_backend($1::int, 5000)", &[param(pid)]).await.unwrap();
    assert_ne!(pool.get().await.unwrap().process_id(), pid);
    pool.query("select 1", &[]).await.unwrap();
}

#[tokio::test]
async fn the_reason_of_a_shutdown_reaches_the_caller() {
    let database = Postgres::shared().await.database().await;
    let mut session = database.connect().await;
    let error = session.query("select pg_terminate_backend(pg_backend_pid())", &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P01"));
    assert!(session.is_broken());
}

#[tokio::test]
async fn notifications_arrive() {
    let database = Postgres::shared().await.database().await;
    let (mut listener, mut sender) = (database.connect().await, database.connect().await);
    listener.query("listen pgrst", &[]).await.unwrap();
    sender.query("select pg_notify('pgrst', 'reload schema')", &[]).await.unwrap();
    let note = tokio::time::timeout(Duration::from_secs(10), listener.notification()).await.unwrap().unwrap();
    assert_eq!((note.channel.as_str(), note.payload.as_str()), ("pgrst", "reload schema"));
}

#[tokio::test]
async fn wrong_addresses_and_users_are_clear_errors() {
    let server = Postgres::shared().await;
    let nobody = server.config().with_user("nobody_here");
    assert_eq!(Connection::connect(&nobody).await.unwrap_err().sqlstate(), Some("28000"));
    let nowhere = Config::unix("/nonexistent", 1, "x", "x");
    assert!(matches!(Connection::connect(&nowhere).await, Err(Error::Connect(_))));
}

#[tokio::test]
async fn an_answer_that_would_fill_our_memory_is_given_up() {
    let database = Postgres::shared().await.database().await;
    let config = Config { answer_bytes_max: 1 << 20, ..database.config.clone() };
    let pool = Pool::new(config, PoolOptions { max: 1, ..PoolOptions::default() });
    for sql in ["select repeat('x', 2000000)", "select repeat('x', 1000) from generate_series(1, 2000)"] {
        let error = pool.query(sql, &[]).await.unwrap_err();
        assert!(matches!(error, Error::AnswerTooLarge { .. }), "{error}");
        let rows = pool.query("select repeat('x', 1000) from generate_series(1, 900)", &[]).await.unwrap();
        assert_eq!(rows.len(), 900);
    }
}
