//! Managed servers against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "clippy spares only functions marked as tests, not what they share")]

mod place;

use instance::{Created, Error, InstanceName, Instances, Script, Status, TemplateSpec, Tuning};
use place::Place;
use std::time::Duration;
use tokio::time::timeout;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);

fn name(text: &str) -> InstanceName {
    text.parse().unwrap()
}

async fn connect(instances: &Instances, name: &InstanceName) -> pg::Connection {
    let endpoint = instances.ensure_running(name).await.unwrap();
    pg::Connection::connect(&endpoint.config(instance::SUPERUSER, "postgres")).await.unwrap()
}

async fn value(instances: &Instances, name: &InstanceName, sql: &str) -> String {
    let rows = connect(instances, name).await.query(sql, &[]).await.unwrap();
    rows.first().unwrap().text(0).unwrap().to_owned()
}

async fn pid(instances: &Instances, name: &InstanceName) -> i32 {
    match instances.status(name).await {
        Status::Running { pid, .. } => pid,
        other => panic!("{name} is {other:?}"),
    }
}

/// An instance `one` made from a template with one table.
async fn one(place: &Place) -> (Instances, InstanceName) {
    let instances = Instances::open(place.settings()).await.unwrap();
    let template = instances.prepare(&place::spec()).await.unwrap();
    let one = name("one");
    assert_eq!(instances.create(&one, &template, &Tuning::default()).await.unwrap(), Created::New);
    (instances, one)
}

fn kill_9(pid: i32) {
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[tokio::test]
async fn a_template_is_made_once_and_again_when_its_sql_changes() {
    let place = Place::empty();
    let instances = Instances::open(place.settings()).await.unwrap();
    let spec = |sql: &str| TemplateSpec::new("project", vec![Script::new("postgres", sql)]);
    assert!(instances.prepare(&spec("create table a ()")).await.unwrap().was_made);
    assert!(!instances.prepare(&spec("create table a ()")).await.unwrap().was_made);
    assert!(instances.prepare(&spec("create table b ()")).await.unwrap().was_made);
    let other = TemplateSpec::new("system", vec![Script::new("postgres", "create database rowhouse")]);
    assert!(instances.prepare(&other).await.unwrap().was_made);
    let mut kept = place.entries("template");
    kept.sort();
    assert_eq!(kept.len(), 3, "one bare, one project, one system: {kept:?}");
}

#[tokio::test]
async fn a_refused_script_names_its_database_and_leaves_nothing() {
    let place = Place::with_own_templates();
    let instances = Instances::open(place.settings()).await.unwrap();
    let before = place.entries("template").len();
    let spec = TemplateSpec::new("bad", vec![Script::new("template1", "create table a (); nonsense")]);
    let error = instances.prepare(&spec).await.unwrap_err().to_string();
    assert!(error.contains("template1") && error.contains("nonsense"), "{error}");
    assert_eq!(place.entries("template").len(), before);
}

#[tokio::test]
async fn created_started_stopped_removed() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    let template = instances.prepare(&place::spec()).await.unwrap();
    assert_eq!(instances.create(&one, &template, &Tuning::default()).await.unwrap(), Created::Existed);
    assert_eq!(instances.status(&one).await, Status::Asleep);
    let settings = "select string_agg(current_setting(s), ',') from unnest(array['listen_addresses', 'wal_level', \
                    'shared_buffers', 'wal_segment_size', 'fsync', 'unix_socket_permissions']) s";
    assert_eq!(value(&instances, &one, settings).await, ",logical,16MB,1MB,on,0700");
    assert_eq!(
        value(&instances, &one, "select datcollate from pg_database where datname = 'postgres'").await,
        "C.UTF-8"
    );
    assert!(matches!(instances.status(&one).await, Status::Running { leases: 0, .. }));
    assert_eq!(instances.list().await.unwrap(), vec![one.clone()]);
    instances.stop(&one).await.unwrap();
    assert_eq!(instances.status(&one).await, Status::Asleep);
    assert_eq!(value(&instances, &one, "select count(*) from seen").await, "0");
    instances.remove(&one).await.unwrap();
    instances.remove(&one).await.unwrap();
    assert_eq!(instances.status(&one).await, Status::Missing);
    assert!(matches!(instances.wake(&one).await, Err(Error::Unknown(_))));
    assert!(place.entries("instances").is_empty() && place.entries("run").iter().all(|e| e != "one"));
}

#[tokio::test]
async fn an_instance_sleeps_when_nobody_uses_it_and_wakes_with_its_data() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    let lease = instances.wake(&one).await.unwrap();
    connect(&instances, &one).await.batch("insert into seen values (1)").await.unwrap();
    assert!(instances.sleep_idle(Duration::ZERO).await.is_empty(), "it is leased");
    drop(lease);
    assert!(instances.sleep_idle(Duration::from_secs(3600)).await.is_empty(), "it was used just now");
    assert_eq!(instances.sleep_idle(Duration::ZERO).await, vec![one.clone()]);
    assert_eq!(instances.status(&one).await, Status::Asleep);
    assert_eq!(value(&instances, &one, "select count(*) from seen").await, "1");
    instances.shutdown().await.unwrap();
    assert!(matches!(instances.wake(&one).await, Err(Error::Interrupted)));
}

#[tokio::test]
async fn an_idle_instance_goes_to_sleep_by_itself() {
    let place = Place::prepared();
    let settings = instance::Settings { idle_sleep: Some(Duration::from_millis(200)), ..place.settings() };
    let instances = Instances::open(settings).await.unwrap();
    let template = instances.prepare(&place::spec()).await.unwrap();
    instances.create(&name("one"), &template, &Tuning::default()).await.unwrap();
    drop(instances.wake(&name("one")).await.unwrap());
    let asleep = async {
        while instances.status(&name("one")).await != Status::Asleep {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asleep).await.unwrap();
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn many_callers_wake_it_once() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (instances, one) = (instances.clone(), one.clone());
            tokio::spawn(async move { instances.wake(&one).await.unwrap() })
        })
        .collect();
    let mut leases = Vec::new();
    for caller in callers {
        leases.push(caller.await.unwrap());
    }
    assert!(leases.iter().all(|l| l.endpoint() == leases[0].endpoint()));
    assert!(matches!(instances.status(&one).await, Status::Running { leases: 50, .. }));
    assert_eq!(place.log("one").matches("ready to accept connections").count(), 1);
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_leave_it_half_started() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    assert!(timeout(Duration::ZERO, instances.wake(&one)).await.is_err(), "cannot be up already");
    assert_eq!(value(&instances, &one, "select 1").await, "1");
    assert_eq!(place.log("one").matches("ready to accept connections").count(), 1);
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_failed_start_is_shared_and_shows_the_log() {
    let place = Place::prepared();
    let instances = Instances::open(place.settings()).await.unwrap();
    let template = instances.prepare(&place::spec()).await.unwrap();
    let tuning = Tuning::default().with("shared_preload_libraries", "no_such_library");
    instances.create(&name("broken"), &template, &tuning).await.unwrap();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let instances = instances.clone();
            tokio::spawn(async move { instances.wake(&name("broken")).await.unwrap_err().to_string() })
        })
        .collect();
    for caller in callers {
        let error = caller.await.unwrap();
        assert!(error.contains("no_such_library") && error.contains("broken"), "{error}");
    }
    let tries = place.log("broken").matches("no_such_library").count();
    assert!(tries <= 2, "{tries} starts for 20 callers");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_during_writes() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    let mut writer = connect(&instances, &one).await;
    let mut busy = connect(&instances, &one).await;
    // A worker that computes and does not notice that its server is gone.
    let busy = tokio::spawn(async move {
        let _ = busy.batch("select count(*) from generate_series(1, 1000000000)").await;
    });
    let first = pid(&instances, &one).await;
    let (told, mut acknowledged) = tokio::sync::watch::channel(0_i64);
    let writing = tokio::spawn(async move {
        for n in 1.. {
            if writer.query("insert into seen values ($1)", &[pg::param(n)]).await.is_err() {
                return;
            }
            told.send_replace(n);
        }
    });
    timeout(PATIENCE, acknowledged.wait_for(|n| *n >= 50)).await.unwrap().unwrap();
    kill_9(first);
    timeout(PATIENCE, writing).await.unwrap().unwrap();
    let acknowledged = *acknowledged.borrow();
    let recovered = async {
        loop {
            // Nothing below need wait, and who notices the end of the process needs a turn.
            tokio::task::yield_now().await;
            let endpoint = instances.ensure_running(&one).await.unwrap();
            let config = endpoint.config(instance::SUPERUSER, "postgres");
            // The end of the process may not have been noticed yet: then the connection fails.
            let Ok(mut connection) = pg::Connection::connect(&config).await else { continue };
            let Ok(rows) = connection.query("select count(*) from seen", &[]).await else { continue };
            return rows.first().unwrap().get::<i64>(0).unwrap();
        }
    };
    let found = timeout(PATIENCE, recovered).await.unwrap();
    assert!(found >= acknowledged, "{found} of {acknowledged} acknowledged rows are there");
    assert_ne!(pid(&instances, &one).await, first);
    timeout(PATIENCE, busy).await.unwrap().unwrap();
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_that_survived_is_taken_over() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    connect(&instances, &one).await.batch("insert into seen values (1)").await.unwrap();
    let first = pid(&instances, &one).await;
    drop(instances); // as if killed: nothing is stopped
    let instances = Instances::open(place.settings()).await.unwrap();
    assert_eq!(pid(&instances, &one).await, first, "the same server");
    assert_eq!(value(&instances, &one, "select count(*) from seen").await, "1");
    instances.stop(&one).await.unwrap();
    assert_eq!(value(&instances, &one, "select count(*) from seen").await, "1");
    assert_ne!(pid(&instances, &one).await, first);
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_survivor_that_cannot_be_reached_is_replaced() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    connect(&instances, &one).await.batch("insert into seen values (1)").await.unwrap();
    let endpoint = instances.ensure_running(&one).await.unwrap();
    let first = pid(&instances, &one).await;
    drop(instances);
    std::fs::remove_file(endpoint.socket_dir.join(".s.PGSQL.5432")).unwrap();
    let instances = Instances::open(place.settings()).await.unwrap();
    assert_eq!(value(&instances, &one, "select count(*) from seen").await, "1");
    assert_ne!(pid(&instances, &one).await, first);
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_adopted_server_that_is_killed_is_noticed() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    instances.ensure_running(&one).await.unwrap();
    let first = pid(&instances, &one).await;
    drop(instances);
    let instances = Instances::open(place.settings()).await.unwrap();
    kill_9(first);
    let noticed = async {
        while instances.status(&one).await != Status::Asleep {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, noticed).await.unwrap();
    assert_eq!(value(&instances, &one, "select 1").await, "1");
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_is_no_obstacle() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    let pid_file = place.path("instances/one/data/postmaster.pid");
    instances.ensure_running(&one).await.unwrap();
    let real = std::fs::read_to_string(&pid_file).unwrap();
    let rest = real.split_once('\n').unwrap().1;
    instances.shutdown().await.unwrap();
    // Of a process that is alive but no server, of none at all, cut short, empty.
    let own = std::process::id();
    for stale in [format!("{own}\n{rest}"), format!("4190000\n{rest}"), format!("{own}\n"), String::new()] {
        std::fs::write(&pid_file, &stale).unwrap();
        let owner = instances.user();
        std::os::unix::fs::chown(&pid_file, Some(owner.uid), Some(owner.gid)).unwrap();
        let instances = Instances::open(place.settings()).await.unwrap();
        assert_eq!(value(&instances, &one, "select 1").await, "1", "{stale:?}");
        instances.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn passwords_do_not_reach_the_log() {
    let place = Place::prepared();
    let (instances, one) = one(&place).await;
    let refused = connect(&instances, &one).await.batch("alter role nobody_here password 'hunter22'").await;
    assert!(refused.is_err());
    let log = place.log("one");
    assert!(log.contains("nobody_here") && !log.contains("hunter22"), "{log}");
    instances.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_long_data_directory_has_its_sockets_elsewhere() {
    let place = Place::prepared_at(&"d".repeat(90));
    let (instances, one) = one(&place).await;
    assert_eq!(value(&instances, &one, "select 1").await, "1");
    let endpoint = instances.ensure_running(&one).await.unwrap();
    assert!(endpoint.socket_dir.starts_with(place.settings().temp_dir));
    instances.remove(&one).await.unwrap();
    assert!(!endpoint.socket_dir.exists());
}

#[tokio::test]
async fn what_a_killed_creation_left_is_cleared() {
    let place = Place::with_own_templates();
    let (instances, one) = one(&place).await;
    for left in ["instances/.new-two/data", "instances/.gone-three/data", "template/.new-15-x"] {
        std::fs::create_dir_all(place.path(left)).unwrap();
    }
    drop(instances);
    let instances = Instances::open(place.settings()).await.unwrap();
    assert_eq!(place.entries("instances"), ["one"]);
    assert!(place.entries("template").iter().all(|e| !e.starts_with('.')));
    assert_eq!(instances.list().await.unwrap(), [one]);
}

/// Only root can have a directory that PostgreSQL's user cannot reach.
#[tokio::test]
async fn an_unreachable_data_directory_keeps_its_servers_elsewhere() {
    let place = Place::empty();
    let closed = place.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut settings = place.settings();
    settings.spare_root = place.path("spare");
    settings.data_dir = closed.join("data");
    let instances = Instances::open(settings.clone()).await.unwrap();
    if !instances.user().is_other {
        return;
    }
    let template = instances.prepare(&place::spec()).await.unwrap();
    instances.create(&name("one"), &template, &Tuning::default()).await.unwrap();
    assert_eq!(value(&instances, &name("one"), "select 1").await, "1");
    instances.shutdown().await.unwrap();
    let again = Instances::open(settings.clone()).await.unwrap();
    assert_eq!(again.list().await.unwrap(), [name("one")]);
    assert!(settings.data_dir.join("postgres").is_symlink());
    assert_eq!(place.entries("spare").len(), 1);
}
