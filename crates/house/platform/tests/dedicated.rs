//! Dedicated projects on servers of our own.

use model::Tenancy;
use pg::Connection;
use platform::projects::{self, NewProject};
use platform::{Error, Failpoints, Options, Platform, ProjectStatus, Server, entities};

struct House {
    dir: std::path::PathBuf,
    failpoints: Failpoints,
    mends: bool,
}

impl House {
    fn new() -> House {
        let dir = std::env::temp_dir().join(format!("rowhouse-platform-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        House { dir, failpoints: Failpoints::default(), mends: false }
    }

    async fn open(&self) -> Platform {
        let mut settings = instance::Settings::new(self.dir.join("data"));
        settings.search_path = std::env::var_os("PATH");
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        let mut options = Options::new(Server::Managed(settings), self.dir.join("key"));
        options.failpoints = self.failpoints.clone();
        options.mend_period = self.mends.then(|| std::time::Duration::from_millis(100));
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
    owner.query("select calls from extensions.pg_stat_statements", &[]).await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_during_creations_leaves_no_project_half_there() {
    let mut house = House::new();
    house.mends = true;
    let platform = house.open().await;
    let created: Vec<_> = (0..12)
        .map(|i| {
            let platform = platform.clone();
            tokio::spawn(async move {
                projects::create(&platform, NewProject::new(format!("p{i}"), Tenancy::Pooled)).await
            })
        })
        .collect();
    // Somewhere in the middle of them.
    while projects::count(&platform).await.unwrap() < 4 {
        tokio::task::yield_now().await;
    }
    let system = instance::InstanceName::system();
    let instances = platform.instances().unwrap();
    let instance::Status::Running { pid, .. } = instances.status(&system).await else {
        panic!("not running")
    };
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    let mut answered = Vec::new();
    for task in created {
        answered.extend(task.await.unwrap().ok());
    }
    // The server is started again and the jobs that broke off are finished or undone, by themselves.
    let settled = async {
        loop {
            if let Ok(mut c) = platform.catalog().connection().await
                && let Ok(unfinished) = catalog::jobs::job_unfinished(&mut c).await
                && unfinished.is_empty()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), settled).await.unwrap();
    let listed = projects::list(&platform, None).await.unwrap();
    assert!(listed.iter().all(|p| p.status == ProjectStatus::ActiveHealthy), "{listed:?}");
    for project in &answered {
        assert!(listed.iter().any(|p| p.reference == project.reference), "{project:?}");
    }
    assert_eq!(platform.shards().await.unwrap()[0].used as usize, listed.len());
    for project in &listed {
        entities::apply(&platform, project, &crate::rooms::todos(), false).await.unwrap();
    }
    platform.shutdown().await.unwrap();
}
