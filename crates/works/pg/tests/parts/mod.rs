//! Answers that come in parts.

use crate::connect;
use pg::{Connection, Error, Part, Parts, Pipeline, Pool, PoolOptions, Remainder, Watch, text};
use testkit::Postgres;

const VALUE: Watch = Watch { step: 1, bytes_max: 64 * 1024, of: Parts::Value };
const ROWS: Watch = Watch { of: Parts::Rows, ..VALUE };

fn pipeline(sql: &str) -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.step("select set_config('app.x', $1, true)", vec![text("7")]);
    pipeline.step(sql, vec![]);
    pipeline.step("select current_setting('app.x')", vec![]);
    pipeline
}

async fn bytes(session: &mut Connection) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(part) = session.part().await.expect("the parts come") {
        let Part::Bytes(bytes) = part else { panic!("a value is bytes") };
        all.extend_from_slice(&bytes);
    }
    all
}

#[tokio::test]
async fn a_large_value_comes_in_parts_and_the_exchange_goes_on_behind_it() {
    let mut session = connect().await;
    let large = pipeline("select 1, null, current_setting('app.x'), repeat('abc', 1000000)");
    // The second time all statements are prepared already.
    for _ in 0..2 {
        let begun = session.run_in_parts(&large, VALUE).await.unwrap();
        assert_eq!(begun.rest, Remainder::Value(3_000_000));
        assert_eq!((begun.results.len(), begun.results[1].columns().len()), (2, 4));
        let row = begun.results[1].one().unwrap();
        assert_eq!((row.text(0), row.text(1), row.text(2), row.text(3)), (Some("1"), None, Some("7"), None));
        assert!(session.is_broken(), "in the middle of an exchange");
        assert_eq!(bytes(&mut session).await, "abc".repeat(1_000_000).into_bytes());
        let after = session.finish().await.unwrap();
        assert_eq!(
            (after.len(), after[0].tag(), after[1].one().unwrap().text(0)),
            (2, "SELECT 1", Some("7"))
        );
        assert_eq!(after[1].columns()[0].name, "current_setting");
        assert_eq!(session.query("select 5", &[]).await.unwrap().one().unwrap().text(0), Some("5"));
    }
}

#[tokio::test]
async fn a_small_answer_is_whole() {
    let mut session = connect().await;
    for watch in [VALUE, ROWS] {
        let begun = session.run_in_parts(&pipeline("select 1, repeat('abc', 10)"), watch).await.unwrap();
        assert_eq!((begun.rest, begun.results.len()), (Remainder::Nothing, 3));
        assert_eq!(begun.results[1].one().unwrap().text(1).map(str::len), Some(30));
        assert!(!session.is_broken());
        let null = session.run_in_parts(&pipeline("select repeat('x', 100000), null"), VALUE).await.unwrap();
        assert_eq!(null.rest, Remainder::Nothing);
    }
}

#[tokio::test]
async fn many_rows_come_one_by_one() {
    let mut session = connect().await;
    let many = pipeline("select n, repeat('x', 100) from generate_series(1, 5000) as n");
    for _ in 0..2 {
        let begun = session.run_in_parts(&many, ROWS).await.unwrap();
        assert_eq!((begun.rest, begun.results.len()), (Remainder::Rows, 2));
        let held = begun.results[1].len();
        assert!(held > 1 && held < 5000);
        let mut count = held;
        while let Some(part) = session.part().await.unwrap() {
            count += 1;
            let Part::Row(row) = part else { panic!("rows are rows") };
            assert_eq!(row.get::<usize>(0).unwrap(), count);
        }
        assert_eq!(count, 5000);
        let after = session.finish().await.unwrap();
        assert_eq!((after[0].tag(), after[1].one().unwrap().text(0)), ("SELECT 5000", Some("7")));
    }
}

#[tokio::test]
async fn what_is_left_can_be_dropped() {
    let mut session = connect().await;
    for (sql, watch) in [
        ("select 1, repeat('abc', 1000000)", VALUE),
        ("select n, repeat('x', 100) from generate_series(1, 5000) as n", ROWS),
    ] {
        session.run_in_parts(&pipeline(sql), watch).await.unwrap();
        session.part().await.unwrap();
        assert_eq!(session.finish().await.unwrap().len(), 2);
        assert!(session.finish().await.unwrap().is_empty());
        assert!(!session.is_broken());
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_is_reported_and_the_session_lives() {
    let mut session = connect().await;
    let fails = pipeline("select n, 1 / (4000 - n), repeat('x', 100) from generate_series(1, 5000) as n");
    session.run_in_parts(&fails, ROWS).await.unwrap();
    let error = loop {
        match session.part().await {
            Ok(part) => assert!(part.is_some(), "the rows end in an error"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("22012"));
    assert!(!session.is_broken());
    assert!(session.query("select 1", &[]).await.is_ok());
    let before = session.run_in_parts(&pipeline("select 1 / 0"), VALUE).await.unwrap_err();
    assert_eq!(before.sqlstate(), Some("22012"));
}

#[tokio::test]
async fn a_failure_behind_a_value_undoes_the_transaction() {
    let mut session = connect().await;
    session.batch("create table t (n int primary key deferrable initially deferred)").await.unwrap();
    let writes = pipeline(
        "with w as (insert into t values (1), (1) returning n) select count(*), repeat('x', 100000) from w",
    );
    session.run_in_parts(&writes, VALUE).await.unwrap();
    assert_eq!(bytes(&mut session).await.len(), 100_000);
    assert_eq!(session.finish().await.unwrap_err().sqlstate(), Some("23505"));
    assert_eq!(session.query("select count(*) from t", &[]).await.unwrap().one().unwrap().text(0), Some("0"));
}

#[tokio::test]
async fn a_session_left_in_the_middle_is_not_used_again() {
    let database = Postgres::shared().await.database().await;
    let pool = Pool::new(database.config.clone(), PoolOptions { max: 1, ..PoolOptions::default() });
    let first = {
        let mut session = pool.get().await.unwrap();
        session.run_in_parts(&pipeline("select repeat('x', 50000000)"), VALUE).await.unwrap();
        session.process_id()
    };
    let second = pool.get().await.unwrap();
    assert_ne!(second.process_id(), first);
}

#[tokio::test]
async fn what_stands_before_a_large_value_is_limited() {
    let database = Postgres::shared().await.database().await;
    let config = pg::Config { answer_bytes_max: 1 << 20, ..database.config.clone() };
    let mut session = Connection::connect(&config).await.unwrap();
    let begun = session.run_in_parts(&pipeline("select repeat('x', 5000000)"), VALUE).await.unwrap();
    assert_eq!(begun.rest, Remainder::Value(5_000_000));
    session.finish().await.unwrap();
    let large = pipeline("select repeat('x', 2000000), repeat('x', 5000000)");
    let error = session.run_in_parts(&large, VALUE).await.unwrap_err();
    assert!(matches!(error, Error::AnswerTooLarge { .. }), "{error}");
}
