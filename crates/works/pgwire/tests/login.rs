//! Who gets in, who does not, and what they are told.

use crate::world::{PASSWORD, Wishes, World};

#[tokio::test]
async fn the_right_password_opens_a_session_as_that_role() {
    let world = World::new().await;
    let who = "select current_user || ',' || session_user || ',' || current_setting('is_superuser')";
    assert_eq!(world.psql("postgres", PASSWORD, who).await.unwrap(), "postgres,postgres,off");
    world.end().await;
}

#[tokio::test]
async fn everybody_else_hears_the_same() {
    let world = World::new().await;
    let cases = [
        ("postgres", "wrong"),
        ("postgres", " "),
        ("nobody_of_this_name", PASSWORD),
        ("authenticator", PASSWORD),
        ("group_role", PASSWORD),
        ("old", PASSWORD),
        ("root", PASSWORD),
        ("supabase_admin", PASSWORD),
        ("supabase_admin", ""),
    ];
    for (user, password) in cases {
        let error = world.psql(user, password, "select 1").await.unwrap_err();
        let expected = match password {
            "" => "no password supplied".to_owned(),
            _ => format!("FATAL:  password authentication failed for user \"{user}\""),
        };
        assert!(error.contains(&expected), "{user}: {error}");
    }
    let error =
        pg::Connection::connect(&pg::Config { password: Some("x".into()), ..world.config("nobody") }).await;
    assert_eq!(error.unwrap_err().sqlstate(), Some("28P01"));
    world.end().await;
}

#[tokio::test]
async fn the_servers_own_refusals_are_passed_on() {
    let world = World::new().await;
    let config = world.config("postgres").with_dbname("no_such_database");
    let error = pg::Connection::connect(&config).await.unwrap_err();
    let report = error.db().unwrap();
    assert_eq!((report.code.as_str(), report.severity.as_str()), ("3D000", "FATAL"));
    assert!(report.message.contains("no_such_database"));
    world.end().await;
}

#[tokio::test]
async fn start_up_parameters_reach_the_server() {
    let world = World::new().await;
    let settings = "select current_setting('application_name') || ',' || current_setting('datestyle') || ',' || \
                    current_setting('my.own')";
    let conninfo =
        "user=postgres dbname=postgres application_name='my app' options='-c datestyle=german -c my.own=1'";
    assert_eq!(world.psql_with(conninfo, PASSWORD, &["-c", settings]).await.unwrap(), "my app,German, DMY,1");
    world.end().await;
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let world = World::new().await;
    world.psql("postgres", PASSWORD, "alter role postgres password 'new one'").await.unwrap();
    assert!(world.psql("postgres", PASSWORD, "select 1").await.is_err());
    assert_eq!(world.psql("postgres", "new one", "select 1").await.unwrap(), "1");
    world.end().await;
}

#[tokio::test]
async fn encrypted_or_not_as_the_client_wishes() {
    let world = World::new().await;
    for mode in ["disable", "allow", "prefer", "require"] {
        let conninfo = format!("user=postgres dbname=postgres sslmode={mode}");
        let state = world.psql_with(&conninfo, PASSWORD, &["-c", "\\conninfo"]).await.unwrap();
        assert_eq!(state.contains("TLSv1.3"), mode == "prefer" || mode == "require", "{mode}: {state}");
    }
    let conninfo = "user=postgres dbname=postgres sslmode=require channel_binding=require";
    assert!(world.psql_with(conninfo, PASSWORD, &["-c", "select 1"]).await.is_err(), "not offered");
    let mode = |file: &str| {
        std::os::unix::fs::PermissionsExt::mode(&world.root.join(file).metadata().unwrap().permissions())
    };
    assert_eq!((mode("wire.key") & 0o777, mode("wire.crt") & 0o777), (0o600, 0o644));
    let again = pgwire::Identity::self_signed(&world.root, &[]);
    assert!(again.is_ok(), "the certificate is kept");
    world.end().await;
}

#[tokio::test]
async fn without_a_certificate_only_unencrypted() {
    let world = World::with(Wishes { tls: false, ..Wishes::default() }).await;
    let conninfo = |mode: &str| format!("user=postgres dbname=postgres sslmode={mode}");
    assert_eq!(world.psql_with(&conninfo("prefer"), PASSWORD, &["-c", "select 1"]).await.unwrap(), "1");
    let error = world.psql_with(&conninfo("require"), PASSWORD, &["-c", "select 1"]).await.unwrap_err();
    assert!(error.contains("does not support SSL"), "{error}");
    world.end().await;
}
