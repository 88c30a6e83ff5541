//! One service on one fresh database, with a clock that the test turns.

use auth::{Auth, Counters, Settings};
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use model::Clock;
use pg::{Config, Pool, PoolOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use testkit::{Database, Postgres};
use token::KeySet;

pub const SECRET: &[u8] = b"super-secret-jwt-token-with-at-least-32-characters-long";

/// The roles that the platform makes before the schema.
const ROLES: &str = "
do $$
declare
  wanted text;
begin
  foreach wanted in array array['supabase_auth_admin', 'postgres', 'anon', 'authenticated', 'service_role', 'dashboard_user'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      execute format('create role %I login noinherit', wanted);
    end if;
  end loop;
end
$$;
";

const APP_ID: &str = "
create schema rowhouse;
create function rowhouse.app_id() returns integer language sql stable as
  $$ select nullif(current_setting('rowhouse.app_id', true), '')::integer $$;
";

/// A clock that starts at a fixed moment and moves when told.
#[derive(Debug)]
pub struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }

    /// Status and code of a refusal.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["error_code"].as_str().unwrap_or(&self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

pub struct World {
    pub auth: Arc<Auth>,
    pub database: Database,
    clock: Arc<TestClock>,
}

pub async fn dedicated() -> Database {
    let script = format!("{ROLES}{}", auth::schema::dedicated());
    Postgres::shared().await.database_like("auth dedicated", &script).await
}

pub async fn shard() -> Database {
    let script = format!("{ROLES}{APP_ID}{}", auth::schema::shard());
    Postgres::shared().await.database_like("auth shard", &script).await
}

pub fn pool(database: &Database) -> Pool {
    let config = Config { user: "supabase_auth_admin".to_owned(), ..database.config.clone() };
    Pool::new(config, PoolOptions::default())
}

pub fn settings(secret: &[u8]) -> Settings {
    let keys = Arc::new(KeySet::from_secret(secret));
    let mut settings = Settings::new(keys, "http://127.0.0.1:3000", "http://127.0.0.1:54321/auth/v1");
    settings.mailer_autoconfirm = true;
    settings
}

impl World {
    /// A dedicated project where addresses confirm themselves.
    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut Settings)) -> World {
        let database = dedicated().await;
        let mut settings = settings(SECRET);
        configure(&mut settings);
        World::on(database, settings)
    }

    pub fn on(database: Database, settings: Settings) -> World {
        let pool = pool(&database);
        World::over(database, settings, pool)
    }

    /// A project with one connection: whoever keeps it stops everybody.
    pub async fn narrow(configure: impl FnOnce(&mut Settings)) -> World {
        let database = dedicated().await;
        let mut settings = settings(SECRET);
        configure(&mut settings);
        let pool = pool(&database).share(1);
        World::over(database, settings, pool)
    }

    fn over(database: Database, settings: Settings, pool: Pool) -> World {
        let clock = Arc::new(TestClock(AtomicU64::new(1_800_000_000_123)));
        let auth = Arc::new(Auth::new(settings, pool, Arc::clone(&clock) as Arc<dyn Clock>));
        World { auth, database, clock }
    }

    /// The same project after its services were dropped and made anew, with what had been counted of it.
    pub fn renewed(self, settings: Settings, counters: Arc<Counters>) -> World {
        let World { database, clock, .. } = self;
        let made = Auth::new(settings, pool(&database), Arc::clone(&clock) as Arc<dyn Clock>);
        World { auth: Arc::new(made.with_counters(counters)), database, clock }
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub fn unix(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// A time so many seconds from now, as texts have it.
    pub fn time(&self, seconds: i64) -> String {
        let unix = i64::try_from(self.unix()).unwrap() + seconds;
        let time = time::OffsetDateTime::from_unix_timestamp(unix).unwrap();
        time.format(&time::format_description::well_known::Rfc3339).unwrap()
    }

    /// What an access token says.
    pub fn claims(&self, token: &str) -> serde_json::Map<String, Value> {
        KeySet::from_secret(SECRET).verify(token).unwrap().claims
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.auth.handle(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, None, body).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, Some(token), Value::Null).await
    }

    /// Asks with the key of the role that may do everything.
    pub async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let key = token::demo_key(SECRET, "service_role");
        self.call(method, path, Some(&key), body).await
    }

    /// Signs somebody up and returns the session.
    pub async fn sign_up(&self, email: &str) -> Value {
        self.post("/signup", json!({ "email": email, "password": "password1" })).await.ok()
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/token?grant_type=password", json!({ "email": email, "password": password })).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/token?grant_type=refresh_token", json!({ "refresh_token": token })).await
    }

    /// A value of the database, read as the superuser.
    pub async fn sql(&self, query: &str) -> String {
        let rows = self.database.connect().await.query(query, &[]).await.unwrap();
        rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned()
    }

    pub async fn run_sql(&self, script: &str) {
        self.database.connect().await.batch(script).await.unwrap();
    }

    /// The data of the newest message of a kind.
    pub async fn mail(&self, kind: &str) -> Value {
        let query =
            format!("select data from rowhouse.mail_outbox where kind = '{kind}' order by id desc limit 1");
        serde_json::from_str(&self.sql(&query).await).unwrap_or(Value::Null)
    }
}

/// A text field of a JSON value.
#[track_caller]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}
