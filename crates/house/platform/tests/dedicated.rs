//! Dedicated projects on servers of our own.

use model::Tenancy;
use pg::Connection;
use platform::projects::{self, NewProject};
use platform::{Error, Failpoints, Options, Platform, Server, entities};

struct House {
    dir: std::path::PathBuf,
    failpoints: Failpoints,
}

impl House {
    fn new() -> House {
        let dir = std::env::temp_dir().join(format!("rowhouse-platform-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        House { dir, failpoints: Failpoints::default() }
    }

    async fn open(&self) -> Platform {
        let mut settings = instance::Settings::new(self.dir.join("data"));
        settings.search_path = std::env::var_os("PATH");
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        let mut options = Options::new(Server::Managed(settings), self.dir.join("key"));
        options.failpoints = self.failpoints.clone();
        Platform::open(options).await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dedicated_project_is_created_survives_a_restart_and_goes_completely() {
    let house = House::new();
    let platform = house.open().await;
    let project =
        projects::create(&platform, NewProject::new("Own server", Tenancy::Dedicated)).await.unwrap();
    let endpoint = platform.endpoint(&project).await.unwrap();
    let mut owner = Connection::connect(endpoint.postgres.as_ref().unwrap()).await.unwrap();
    owner.batch("create table public.t (id int); insert into public.t values (7)").await.unwrap();
    let keys = projects::keys(&platform, &project.reference).await.unwrap();
    let rows = owner
        .query(
            "select current_setting('app.settings.jwt_secret'), current_user, uuid_generate_v4() is not null",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.one().unwrap().text(0), Some(keys.jwt_secret.as_str()));
    assert_eq!(rows.one().unwrap().text(1), Some("postgres"));
    let mut admin = Connection::connect(&endpoint.admin).await.unwrap();
    let verifier =
        admin.query("select rolpassword from pg_authid where rolname = 'postgres'", &[]).await.unwrap();
    assert!(verifier.one().unwrap().text(0).unwrap().starts_with("SCRAM-SHA-256$"));
    let model = serde_json::json!([]);
    let refused = entities::apply(&platform, &project, &model, false).await.unwrap_err();
    assert!(matches!(refused, Error::WrongTenancy(_)), "{refused}");
    drop((owner, admin, endpoint));
    platform.shutdown().await.unwrap();

    // Killed while creating and while deleting: everything is finished at the next start.
    let platform = house.open().await;
    assert_eq!(platform.resume_unfinished().await.unwrap(), 0);
    let endpoint = platform.endpoint(&project).await.unwrap();
    let mut owner = Connection::connect(endpoint.postgres.as_ref().unwrap()).await.unwrap();
    let kept = owner.query("select id from public.t", &[]).await.unwrap();
    assert_eq!(kept.one().unwrap().text(0), Some("7"));
    drop((owner, endpoint));
    for failpoint in ["create.server.done", "create.configure.done"] {
        house.failpoints.arm(failpoint);
        let mut new = NewProject::new("killed", Tenancy::Dedicated);
        new.slug = Some(failpoint.replace('.', "-"));
        let killed = projects::create(&platform, new).await.unwrap_err();
        assert!(matches!(killed, Error::Killed { .. }), "{killed}");
        assert_eq!(platform.resume_unfinished().await.unwrap(), 1);
        let made = projects::show(&platform, &failpoint.replace('.', "-")).await.unwrap();
        house.failpoints.arm("delete.erase_server.done");
        assert!(projects::delete(&platform, &made.reference, "test").await.is_err());
        assert_eq!(platform.resume_unfinished().await.unwrap(), 1);
        assert!(matches!(projects::show(&platform, made.reference.as_str()).await, Err(Error::NoProject(_))));
    }
    projects::delete(&platform, &project.reference, "test").await.unwrap();
    let left = platform.instances().unwrap().list().await.unwrap();
    assert!(left.iter().all(|name| name.is_system()), "{left:?}");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_external_server_is_the_home_of_one_dedicated_project() {
    let server = testkit::Postgres::start(&[]).await;
    let database = server.database().await;
    let open = async || {
        let external = Server::External { config: database.config.clone(), prefix: "rowhouse_".to_owned() };
        let mut options = Options::new(external, "/nonexistent/key");
        options.master_key = Some(crate::rooms::MASTER_KEY.to_owned());
        Platform::open(options).await.unwrap()
    };
    let platform = open().await;
    let project = projects::create(&platform, NewProject::new("external", Tenancy::Dedicated)).await.unwrap();
    for tenancy in [Tenancy::Dedicated, Tenancy::Pooled] {
        let refused = projects::create(&platform, NewProject::new("another", tenancy)).await.unwrap_err();
        assert!(matches!(refused, Error::WrongTenancy(_)), "{refused}");
    }
    platform.shutdown().await.unwrap();
    let platform = open().await;
    let endpoint = platform.endpoint(&project).await.unwrap();
    let roles = [&endpoint.rest, &endpoint.auth, endpoint.postgres.as_ref().unwrap()];
    for (config, role) in roles.into_iter().zip(["authenticator", "supabase_auth_admin", "postgres"]) {
        let mut session = Connection::connect(config).await.unwrap();
        let rows = session.query("select session_user, current_database()", &[]).await.unwrap();
        assert_eq!(rows.one().unwrap().text(0), Some(role));
        assert_eq!(rows.one().unwrap().text(1), Some(database.config.dbname.as_str()));
        assert!(config.password.is_some(), "{role}");
    }
    let mut admin = database.connect().await;
    let verifiers = admin
        .query("select count(*) from pg_authid where rolpassword like 'SCRAM-SHA-256$%'", &[])
        .await
        .unwrap();
    assert_eq!(crate::rooms::count(&verifiers), 3);
}
