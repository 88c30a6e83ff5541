//! Which server a client reaches, asleep or not.

use crate::world::{ONE, PASSWORD, PATIENCE, TWO, Wishes, World, serve};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instance::{InstanceName, SUPERUSER, Status};
use pgwire::{Directory, Login, Refusal, RouteRequest, Target, Verifier, Verifiers};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const NAME: &str = "select current_setting('cluster_name')";

#[tokio::test]
async fn user_options_and_host_name_choose_the_project() {
    let world = World::new().await;
    world.create(TWO).await;
    let reached = async |conninfo: String| world.psql_with(&conninfo, PASSWORD, &["-c", NAME]).await.unwrap();
    assert_eq!(reached("user=postgres dbname=postgres".to_owned()).await, ONE);
    for project in [ONE, TWO] {
        assert_eq!(reached(format!("user=postgres.{project} dbname=postgres")).await, project);
        assert_eq!(reached(format!("user=postgres.{project}")).await, project, "the database is the role's");
        assert_eq!(
            reached(format!("user=postgres dbname=postgres options=reference={project}")).await,
            project
        );
        let host = format!("user=postgres dbname=postgres host=db.{project}.example.com sslmode=require");
        assert_eq!(reached(host).await, project);
    }
    world.end().await;
}

#[tokio::test]
async fn an_unknown_project_is_refused() {
    let world = World::new().await;
    for user in ["postgres.cccccccccccccccccccc", "postgres.system"] {
        let error = world.psql(user, PASSWORD, "select 1").await.unwrap_err();
        assert!(
            error.contains("Tenant or user not found") || error.contains("authentication failed"),
            "{error}"
        );
    }
    let conninfo = "user=postgres dbname=postgres options=reference=system";
    let error = world.psql_with(conninfo, PASSWORD, &["-c", "select 1"]).await.unwrap_err();
    assert!(error.contains("Tenant or user not found"), "{error}");
    world.end().await;
}

#[tokio::test]
async fn a_password_is_good_for_its_own_project_only() {
    let world = World::new().await;
    world.create(TWO).await;
    world.psql("postgres", PASSWORD, "alter role postgres password 'only one'").await.unwrap();
    let two = format!("postgres.{TWO}");
    assert!(world.psql(&two, "only one", "select 1").await.is_err());
    assert_eq!(world.psql(&two, PASSWORD, NAME).await.unwrap(), TWO);
    world.end().await;
}

#[tokio::test]
async fn a_sleeping_instance_wakes_and_does_not_sleep_while_connected() {
    let world = World::new().await;
    world.create(TWO).await;
    let two: InstanceName = TWO.parse().unwrap();
    assert_eq!(world.instances.status(&two).await, Status::Asleep);
    let session = world.connect(&format!("postgres.{TWO}")).await;
    assert!(world.instances.sleep_idle(Duration::ZERO).await.is_empty(), "in use");
    session.close().await;
    world.put_to_sleep(TWO).await;
    assert_eq!(world.psql(&format!("postgres.{TWO}"), PASSWORD, NAME).await.unwrap(), TWO);
    world.end().await;
}

#[tokio::test]
async fn strangers_neither_wake_a_server_nor_keep_it_awake() {
    let world = World::new().await;
    // Nothing is known of its roles yet.
    assert!(world.psql("nobody", PASSWORD, NAME).await.is_err());
    assert!(!world.is_asleep(ONE).await);
    // Half-way in, and of no weight.
    let mut stranger = TcpStream::connect(world.address).await.unwrap();
    stranger.write_all(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0").await.unwrap();
    assert_eq!(timeout(PATIENCE, stranger.read_u8()).await.unwrap().unwrap(), b'R', "asked for the password");
    world.put_to_sleep(ONE).await;
    // A wrong password might be right by now: that is looked up, but not often.
    assert!(world.psql("postgres", "wrong", NAME).await.is_err());
    world.put_to_sleep(ONE).await;
    for (user, password) in
        [("postgres", "wrong"), ("nobody", PASSWORD), ("root", PASSWORD), ("old", PASSWORD)]
    {
        let error = world.psql(user, password, NAME).await.unwrap_err();
        assert!(error.contains(&format!("authentication failed for user \"{user}\"")), "{error}");
        assert!(world.is_asleep(ONE).await, "{user}");
    }
    assert_eq!(world.psql("postgres", PASSWORD, NAME).await.unwrap(), ONE);
    world.end().await;
}

#[tokio::test]
async fn a_sleeping_servers_passwords_are_those_of_its_last_session() {
    let world = World::new().await;
    world.psql("postgres", PASSWORD, "alter role postgres password 'second'").await.unwrap();
    world.put_to_sleep(ONE).await;
    assert_eq!(world.psql("postgres", "second", NAME).await.unwrap(), ONE);
    // Behind the router's back.
    world.put_to_sleep(ONE).await;
    let endpoint = world.instances.ensure_running(&ONE.parse().unwrap()).await.unwrap();
    let mut superuser = pg::Connection::connect(&endpoint.config(SUPERUSER, "postgres")).await.unwrap();
    superuser.batch("alter role postgres password 'third'").await.unwrap();
    superuser.close().await;
    world.put_to_sleep(ONE).await;
    assert!(world.psql("postgres", "second", NAME).await.is_err(), "it wakes the server, and no more");
    assert!(!world.is_asleep(ONE).await);
    assert_eq!(world.psql("postgres", "third", NAME).await.unwrap(), ONE);
    world.end().await;
}

/// An external server: reached over TCP, with the operator's user and password.
struct External(pg::Config);

impl Directory for External {
    fn find<'a>(&'a self, _: &'a RouteRequest) -> BoxFuture<'a, Result<Arc<str>, Refusal>> {
        async { Ok("external".into()) }.boxed()
    }

    fn verifiers<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Option<Verifiers>, Refusal>> {
        let me = ("me".to_owned(), Verifier::of_password("mine"));
        async { Ok(Some(Verifiers::new([me], true))) }.boxed()
    }

    fn route<'a>(&'a self, _: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>> {
        let target = Target {
            project: "external".into(),
            backend: self.0.clone(),
            login: Login::Configured,
            connections_max: 5,
            lease: None,
        };
        async move { Ok(target) }.boxed()
    }
}

#[tokio::test]
async fn an_external_server_is_reached_with_its_own_password() {
    let world = World::with(Wishes::default()).await;
    world.create(TWO).await;
    let server = world.config(&format!("postgres.{TWO}"));
    let (_, address, stop, served) =
        serve(Arc::new(External(server)), pgwire::Settings::default(), None).await;
    let outer = |password: &str| pg::Config {
        password: Some(password.to_owned()),
        ..pg::Config::tcp("127.0.0.1", address.port(), "me", "postgres")
    };
    let mut session = pg::Connection::connect(&outer("mine")).await.unwrap();
    let rows =
        session.query("select current_user || ' ' || current_setting('cluster_name')", &[]).await.unwrap();
    assert_eq!(rows.first().unwrap().text(0), Some(format!("postgres {TWO}").as_str()));
    assert_eq!(pg::Connection::connect(&outer(PASSWORD)).await.unwrap_err().sqlstate(), Some("28P01"));
    session.close().await;
    stop.cancel();
    served.await.unwrap();
    // The operator's password is wrong: not the client's business.
    let server = pg::Config { password: Some("wrong".to_owned()), ..world.config("postgres") };
    let (_, address, stop, served) =
        serve(Arc::new(External(server)), pgwire::Settings::default(), None).await;
    let config = pg::Config {
        password: Some("mine".to_owned()),
        ..pg::Config::tcp("127.0.0.1", address.port(), "me", "postgres")
    };
    assert_eq!(pg::Connection::connect(&config).await.unwrap_err().sqlstate(), Some("57P03"));
    stop.cancel();
    served.await.unwrap();
    world.end().await;
}
