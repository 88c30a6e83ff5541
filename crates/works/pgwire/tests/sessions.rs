//! What happens within sessions, and to many of them.

use crate::world::{ONE, PASSWORD, PATIENCE, TWO, Wishes, World};
use instance::{InstanceName, Status};
use pgwire::Settings;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn copy_both_ways() {
    let world = World::new().await;
    let file = world.root.join("numbers");
    let lines: String = (0..200_000).map(|n| format!("{n}\tsome text that takes room {n}\n")).collect();
    std::fs::write(&file, &lines).unwrap();
    world.psql("postgres", PASSWORD, "create table numbers (n int, t text)").await.unwrap();
    let copy = format!("\\copy numbers from '{}'", file.display());
    world.psql("postgres", PASSWORD, &copy).await.unwrap();
    let back = world.root.join("back");
    let copy = format!("\\copy (select * from numbers order by n) to '{}'", back.display());
    world.psql("postgres", PASSWORD, &copy).await.unwrap();
    assert!(std::fs::read_to_string(back).unwrap() == lines, "what went in comes out");
    world.end().await;
}

#[tokio::test]
async fn a_running_statement_is_cancelled_by_its_own_key_only() {
    let world = World::new().await;
    let mut session = world.connect("postgres").await;
    let mut other = world.connect("postgres").await;
    let (token, wrong) = (session.cancel_token(), other.cancel_token());
    let running = tokio::spawn(async move { session.query("select pg_sleep(600)", &[]).await });
    let sleeping = async {
        let sql =
            "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
        while other.query(sql, &[]).await.unwrap().first().unwrap().get::<i64>(0).unwrap() == 0 {}
    };
    timeout(PATIENCE, sleeping).await.unwrap();
    wrong.cancel().await.unwrap();
    assert!(!running.is_finished());
    token.cancel().await.unwrap();
    let error = timeout(PATIENCE, running).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.sqlstate(), Some("57014"));
    // The key of a session that has ended stands for nothing.
    token.cancel().await.unwrap();
    assert_eq!(other.query("select 1", &[]).await.unwrap().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn clients_see_keys_of_ours() {
    let world = World::new().await;
    let mut session = world.connect("postgres").await;
    let rows = session.query("select pg_backend_pid()", &[]).await.unwrap();
    assert_ne!(rows.first().unwrap().get::<i32>(0).unwrap(), session.process_id());
    world.end().await;
}

#[tokio::test]
async fn a_hundred_sessions_and_then_none() {
    let world = World::new().await;
    let mut sessions = Vec::new();
    let opened: Vec<_> = (0..100)
        .map(|n| {
            let config = world.config(&format!("postgres.{ONE}"));
            tokio::spawn(async move {
                let mut session = pg::Connection::connect(&config).await.unwrap();
                let rows = session.query("select $1::int", &[pg::param(n)]).await.unwrap();
                assert_eq!(rows.first().unwrap().get::<i32>(0).unwrap(), n);
                session
            })
        })
        .collect();
    for session in opened {
        sessions.push(timeout(PATIENCE, session).await.unwrap().unwrap());
    }
    assert_eq!(world.router.sessions_of(ONE), 100);
    drop(sessions);
    world.sessions(ONE, 0).await;
    let left = "select count(*) from pg_stat_activity where usename = 'postgres'";
    let gone = async { while world.psql("postgres", PASSWORD, left).await.unwrap() != "1" {} };
    timeout(PATIENCE, gone).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn the_limit_of_a_project_is_its_own() {
    let world = World::with(Wishes { connections_max: 2, ..Wishes::default() }).await;
    world.create(TWO).await;
    let first = world.connect("postgres").await;
    let _second = world.connect("postgres").await;
    let error = pg::Connection::connect(&world.config("postgres")).await.unwrap_err();
    let report = error.db().unwrap();
    assert_eq!((report.code.as_str(), report.hint.as_deref()), ("53300", Some("The limit is 2.")));
    world.connect(&format!("postgres.{TWO}")).await.close().await;
    first.close().await;
    world.sessions(ONE, 1).await;
    world.connect("postgres").await.close().await;
    world.end().await;
}

#[tokio::test]
async fn all_sessions_together_are_limited() {
    let settings = Settings { sessions_max: 1, ..Settings::default() };
    let world = World::with(Wishes { settings, ..Wishes::default() }).await;
    world.create(TWO).await;
    let _first = world.connect("postgres").await;
    let error = pg::Connection::connect(&world.config(&format!("postgres.{TWO}"))).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("53300"));
    world.end().await;
}

#[tokio::test]
async fn a_killed_server_ends_its_sessions_and_is_back_for_the_next() {
    let world = World::new().await;
    let mut session = world.connect("postgres").await;
    let one: InstanceName = ONE.parse().unwrap();
    let Status::Running { pid, .. } = world.instances.status(&one).await else { panic!("it runs") };
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let ended = async { while session.query("select 1", &[]).await.is_ok() {} };
    timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(world.psql("postgres", PASSWORD, "select 1").await.unwrap(), "1");
    world.end().await;
}

#[tokio::test]
async fn sessions_are_told_of_a_shutdown() {
    let world = World::new().await;
    let mut session = world.connect("postgres").await;
    let waiting = tokio::spawn(async move {
        session.batch("listen news").await.unwrap();
        session.notification().await
    });
    let listening = "select count(*) from pg_stat_activity where query = 'listen news' and state = 'idle'";
    let ready = async { while world.psql("postgres", PASSWORD, listening).await.unwrap() != "1" {} };
    timeout(PATIENCE, ready).await.unwrap();
    world.shutdown.cancel();
    let error = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P01"));
    world.end().await;
}

#[tokio::test]
async fn an_idle_session_is_ended_when_the_operator_wants_it() {
    let settings = Settings { idle_timeout: Some(Duration::from_secs(2)), ..Settings::default() };
    let world = World::with(Wishes { settings, ..Wishes::default() }).await;
    // Those who wait for the server, or have begun something, are not idle.
    let mut busy = world.connect("postgres").await;
    let busy = tokio::spawn(async move { busy.query("select pg_sleep(600)", &[]).await });
    let mut halfway = world.connect("postgres").await;
    halfway.batch("begin").await.unwrap();
    let mut idle = world.connect("postgres").await;
    idle.batch("listen news").await.unwrap();
    let error = timeout(PATIENCE, idle.notification()).await.unwrap().unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P05"));
    assert!(!busy.is_finished());
    halfway.batch("commit").await.unwrap();
    busy.abort();
    world.end().await;
}
