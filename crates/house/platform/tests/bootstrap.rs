//! A dedicated project's database is what migrations written for Supabase expect.

use pg::Connection;
use platform::bootstrap;
use testkit::Postgres;
use tokio::sync::Mutex;

/// The scripts write roles, which belong to the server.
static SERVER: Mutex<Option<Postgres>> = Mutex::const_new(None);

#[tokio::test]
async fn a_migration_written_for_supabase_applies_unchanged() {
    let mut server = SERVER.lock().await;
    let server = server.insert(Postgres::start(&[("wal_level", "logical")]).await);
    let config = server.database().await.config;
    let mut admin = Connection::connect(&config).await.unwrap();
    bootstrap::run(&mut admin, &bootstrap::dedicated()).await.unwrap();
    // Repeatable.
    bootstrap::run(&mut admin, &bootstrap::dedicated()).await.unwrap();

    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    let superuser =
        owner.query("select rolsuper from pg_roles where rolname = current_user", &[]).await.unwrap();
    assert!(!superuser.one().unwrap().get::<bool>(0).unwrap());
    // As one text, and each statement by itself as the CLI sends them.
    owner.batch(include_str!("supabase_migration.sql")).await.unwrap();
    owner.batch(include_str!("supabase_migration.sql")).await.unwrap();
    for statement in [
        "create extension if not exists moddatetime schema extensions",
        "drop extension if exists \"uuid-ossp\" cascade",
        "create extension \"uuid-ossp\" with schema extensions",
    ] {
        owner.query(statement, &[]).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }

    let mut auth = Connection::connect(&config.with_user("supabase_auth_admin")).await.unwrap();
    let signed_up = auth
        .query("insert into auth.users (id, email, raw_user_meta_data) values (gen_random_uuid(), 'ann@x.test', '{\"full_name\": \"Ann\"}') returning id", &[])
        .await
        .unwrap();
    let user: String = signed_up.one().unwrap().get(0).unwrap();
    let name = owner.query("select full_name from public.profiles", &[]).await.unwrap();
    assert_eq!(name.one().unwrap().text(0), Some("Ann"));

    let mut api = Connection::connect(&config.with_user("authenticator")).await.unwrap();
    for (role, sub, profiles, configs) in
        [("anon", None, 0, 0), ("authenticated", Some(user.as_str()), 1, 0), ("service_role", None, 1, 1)]
    {
        let mut tx = api.begin().await.unwrap();
        let claims = serde_json::json!({ "role": role, "sub": sub }).to_string();
        tx.query(
            "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)",
            &[pg::text(role), pg::text(claims)],
        )
        .await
        .unwrap();
        let sql = "select (select count(*) from public.profiles), (select count(*) from factory_app.active_integrations)";
        let rows = tx.query(sql, &[]).await.unwrap();
        let row = rows.one().unwrap();
        assert_eq!((row.get::<i64>(0).unwrap(), row.get::<i64>(1).unwrap()), (profiles, configs), "{role}");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn schema_changes_are_announced() {
    let server = Postgres::start(&[]).await;
    let config = server.database().await.config;
    let mut admin = Connection::connect(&config).await.unwrap();
    bootstrap::run(&mut admin, &bootstrap::dedicated()).await.unwrap();
    let mut listener = Connection::connect(&config.with_user("authenticator")).await.unwrap();
    listener.batch("listen pgrst").await.unwrap();
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    for statement in
        ["create table public.t (id int)", "alter table public.t add column b text", "drop table public.t"]
    {
        owner.query(statement, &[]).await.unwrap();
        let heard = tokio::time::timeout(std::time::Duration::from_secs(10), listener.notification()).await;
        let heard = heard.unwrap_or_else(|_| panic!("nothing was announced of: {statement}")).unwrap();
        assert_eq!((heard.channel.as_str(), heard.payload.as_str()), ("pgrst", "reload schema"));
    }
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_upgraded_once_and_keeps_its_owners_changes() {
    let server = Postgres::start(&[]).await;
    let config = server.database().await.config;
    let mut admin = Connection::connect(&config).await.unwrap();
    bootstrap::run(&mut admin, &bootstrap::dedicated()).await.unwrap();
    assert!(!bootstrap::upgrade_dedicated(&mut admin).await.unwrap());
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    owner
        .batch("alter default privileges in schema public revoke all on tables from anon; alter role anon set statement_timeout = '1s'")
        .await
        .unwrap();
    admin
        .batch("update rowhouse.bootstrap set version = 'old'; drop function extensions.pgrst_ddl_watch() cascade")
        .await
        .unwrap();
    let upgrades: Vec<_> = (0..3)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move {
                let mut session = Connection::connect(&config).await.unwrap();
                bootstrap::upgrade_dedicated(&mut session).await.unwrap()
            })
        })
        .collect();
    let mut done = 0;
    for upgrade in upgrades {
        done += i32::from(upgrade.await.unwrap());
    }
    assert_eq!(done, 1);
    let rows = admin
        .query(
            "select to_regprocedure('extensions.pgrst_ddl_watch()') is not null,
            (select rolconfig::text from pg_roles where rolname = 'anon') like '%1s%'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!([rows.one().unwrap().text(0), rows.one().unwrap().text(1)], [Some("t"), Some("t")]);
    owner.batch("create table public.later (id int)").await.unwrap();
    let readable =
        admin.query("select has_table_privilege('anon', 'public.later', 'select')", &[]).await.unwrap();
    assert_eq!(readable.one().unwrap().text(0), Some("f"));
}
