//! Platforms for tests: each with a catalog and shards of its own on the test process's server.

use model::Tenancy;
use pg::{Config, Connection, Rows};
use platform::projects::{self, NewProject};
use platform::{Failpoints, Options, Platform, Project, Server, bootstrap};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use testkit::Postgres;
use tokio::sync::OnceCell;

static COUNTER: AtomicU32 = AtomicU32::new(1);

pub const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A platform that a test may close and open again.
pub struct Room {
    pub config: Config,
    pub prefix: String,
    pub capacity: u32,
    pub failpoints: Failpoints,
}

impl Room {
    pub async fn new(capacity: u32) -> Room {
        static ROLES: OnceCell<()> = OnceCell::const_new();
        let server = Postgres::shared().await;
        // Roles belong to the server: made once, before tests open shards at the same time.
        ROLES
            .get_or_init(|| async {
                let mut session = Connection::connect(&server.config()).await.unwrap();
                bootstrap::run(&mut session, &bootstrap::shard()[..1]).await.unwrap();
            })
            .await;
        let prefix = format!("room{}_", COUNTER.fetch_add(1, Ordering::Relaxed));
        Room { config: server.config(), prefix, capacity, failpoints: Failpoints::default() }
    }

    pub async fn open(&self) -> Platform {
        let server = Server::External { config: self.config.clone(), prefix: self.prefix.clone() };
        let mut options = Options::new(server, "/nonexistent/key");
        options.master_key = Some(MASTER_KEY.to_owned());
        options.shard_capacity = self.capacity;
        options.mend_period = None;
        options.failpoints = self.failpoints.clone();
        Platform::open(options).await.unwrap()
    }
}

/// A platform with room.
pub async fn platform() -> Platform {
    Room::new(100).await.open().await
}

pub async fn pooled(platform: &Platform, name: &str) -> Project {
    projects::create(platform, NewProject::new(name, Tenancy::Pooled)).await.unwrap()
}

/// The todo model that most tests use.
pub fn todos() -> Value {
    json!([{ "name": "todos", "columns": [
        { "name": "text", "type": "text", "required": true },
        { "name": "completed", "type": "boolean", "default": false }] }])
}

/// A superuser's session on the project's database.
pub async fn admin(platform: &Platform, project: &Project) -> Connection {
    Connection::connect(&platform.endpoint(project).await.unwrap().admin).await.unwrap()
}

/// Runs a statement as the data API does: role and claims, and the project's fixed settings, for one transaction.
pub async fn as_user(
    platform: &Platform,
    project: &Project,
    role: &str,
    user: Option<&str>,
    sql: &str,
) -> Result<Rows, pg::Error> {
    let endpoint = platform.endpoint(project).await.unwrap();
    let mut session = Connection::connect(&endpoint.rest).await?;
    let mut tx = session.begin().await?;
    let claims = json!({ "role": role, "sub": user }).to_string();
    let mut settings = vec![("role".to_owned(), role.to_owned()), ("request.jwt.claims".to_owned(), claims)];
    settings.extend(endpoint.extra_settings);
    for (name, value) in settings {
        tx.query("select set_config($1, $2, true)", &[pg::text(name), pg::text(value)]).await?;
    }
    let rows = tx.query(sql, &[]).await?;
    tx.commit().await?;
    Ok(rows)
}

/// A user of the project, made as auth makes one.
pub async fn sign_up(platform: &Platform, project: &Project, email: &str) -> String {
    let endpoint = platform.endpoint(project).await.unwrap();
    let mut session = Connection::connect(&endpoint.auth).await.unwrap();
    for (name, value) in &endpoint.extra_settings {
        session.query("select set_config($1, $2, false)", &[pg::text(name), pg::text(value)]).await.unwrap();
    }
    let sql = "insert into auth.users (id, email, aud, role) values (gen_random_uuid(), $1, 'authenticated', 'authenticated')
        returning id";
    session.query(sql, &[pg::text(email)]).await.unwrap().one().unwrap().get(0).unwrap()
}

pub fn count(rows: &Rows) -> i64 {
    rows.one().unwrap().get(0).unwrap()
}
