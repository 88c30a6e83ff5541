//! A project's storage of which tests can stop the process, set the clock forward and look at the files.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use model::{Clock, ProjectRef, Tenancy};
use pg::{Config, Pool, PoolOptions};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use storage::{Machinery, Settings, Storage};
use testkit::{Database, Postgres, Relay};
use token::KeySet;
use tokio::sync::OnceCell;
use uuid::Uuid;

const SECRET: &[u8] = b"another secret of tests that has at least 32 bytes";

/// What the program's own scripts make before the schema.
const BEFORE: &str = "
    do $$ begin
      if to_regrole('authenticator') is null then
        create role supabase_storage_admin login noinherit; create role postgres;
        create role anon noinherit; create role authenticated noinherit; create role service_role noinherit;
        create role authenticator login noinherit;
        grant anon, authenticated, service_role to authenticator;
      end if;
    end $$;
    create schema storage authorization supabase_storage_admin;
    create schema extensions;
    create schema auth;
    create schema rowhouse;
    grant usage on schema storage, extensions, auth, rowhouse
      to anon, authenticated, service_role, supabase_storage_admin;
    create function extensions.leakproof_lower(text) returns text
      language internal immutable strict leakproof parallel safe as 'lower';
    create function auth.jwt() returns jsonb language sql stable as
      $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
    create function auth.uid() returns uuid language sql stable as
      $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
    create function rowhouse.app_id() returns integer language sql stable parallel safe as
      $$ select nullif(current_setting('rowhouse.app_id', true), '')::integer $$;";

/// A clock that is ahead by some seconds.
#[derive(Debug, Default)]
pub struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

pub struct Own {
    pub storage: Storage,
    pub database: Database,
    pub blobs: blob::Store,
    pub project: ProjectRef,
    settings: Settings,
    clock: Arc<Ahead>,
    dir: PathBuf,
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Status and text.
    pub fn said(&self) -> (u16, &str) {
        (self.status, self.text())
    }

    /// The path of the upload that was begun.
    pub fn path(&self) -> String {
        assert_eq!(self.status, 201, "{self:?}");
        let at = self.header("location").find("/upload/resumable").unwrap();
        self.header("location")[at..].to_owned()
    }

    pub fn offset(&self) -> u64 {
        self.header("upload-offset").parse().unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// A dedicated project.
pub async fn dedicated(configure: impl FnOnce(&mut Settings)) -> Own {
    let script = format!("{BEFORE}alter role service_role bypassrls;{}", storage::schema::dedicated());
    make(Postgres::shared().await.database_like("dedicated", &script).await, configure).await
}

/// A database that pooled projects share. Roles belong to a server: shards have their own, where none passes by
/// policies.
pub async fn shard() -> Database {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    let server = SERVER.get_or_init(|| Postgres::start(&[])).await;
    server.database_like("shard", &format!("{BEFORE}{}", storage::schema::shard())).await
}

/// A pooled project in a shard.
pub async fn pooled(shard: &Database, app: u32) -> Own {
    make(shard.clone(), |settings| {
        settings.tenancy = Tenancy::Pooled;
        settings.extra_settings = vec![("rowhouse.app_id".to_owned(), app.to_string())];
    })
    .await
}

async fn make(database: Database, configure: impl FnOnce(&mut Settings)) -> Own {
    let unique = *Uuid::new_v4().as_bytes();
    let project = ProjectRef::from_random(std::array::from_fn(|at| unique[at % 16]));
    let dir = std::env::temp_dir().join(format!("rowhouse-tus-{}", Uuid::new_v4()));
    let mut settings = Settings::new(project.clone(), Arc::new(KeySet::from_secret(SECRET)));
    configure(&mut settings);
    let clock = Arc::new(Ahead::default());
    let (storage, blobs) = started(&settings, &database, &dir, &clock).await;
    Own { storage, database, blobs, project, settings, clock, dir }
}

async fn started(
    settings: &Settings,
    database: &Database,
    dir: &std::path::Path,
    clock: &Arc<Ahead>,
) -> (Storage, blob::Store) {
    let blobs = blob::Store::disk(dir.to_owned(), blob::Durability::PageCache).await.unwrap();
    let pool = pool(&database.config);
    let clock: Arc<dyn Clock> = Arc::<Ahead>::clone(clock);
    (Storage::new(settings.clone(), pool, Machinery::new(blobs.clone()), clock), blobs)
}

fn pool(config: &Config) -> Pool {
    Pool::new(Config { user: "authenticator".to_owned(), ..config.clone() }, PoolOptions::default())
}

/// The token of a user, good for so many seconds from now.
pub fn token_for(user: u8, seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "role": "authenticated", "sub": id(user), "exp": now + seconds });
    KeySet::from_secret(SECRET).sign(&claims).unwrap()
}

pub fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-00000000000{number}")
}

/// The token of a role, or of a user named by a digit.
pub fn token(role: &str, user: Option<u8>) -> String {
    let keys = KeySet::from_secret(SECRET);
    match user {
        Some(number) => keys.sign(&json!({ "role": role, "sub": id(number) })).unwrap(),
        None => keys.sign(&json!({ "role": role })).unwrap(),
    }
}

pub fn service() -> String {
    token("service_role", None)
}

/// `Upload-Metadata`.
pub fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value))).collect();
    pairs.join(",")
}

/// Metadata of an object.
pub fn named(bucket: &str, key: &str) -> String {
    metadata(&[
        ("bucketName", bucket),
        ("objectName", key),
        ("contentType", "text/plain"),
        ("cacheControl", "3600"),
    ])
}

impl Own {
    /// A new process on the same database and files.
    pub async fn restart(&mut self) {
        (self.storage, self.blobs) = started(&self.settings, &self.database, &self.dir, &self.clock).await;
    }

    /// The same storage, told wrongly.
    pub async fn without_its_app(&self) -> Storage {
        let mut settings = self.settings.clone();
        settings.extra_settings.clear();
        started(&settings, &self.database, &self.dir, &self.clock).await.0
    }

    /// The same, reaching its database on another way.
    pub fn through(&mut self, relay: &Relay) {
        self.with_pool(pool(&relay.config()));
    }

    /// The same with a single connection to its database, which whoever asked first gets next.
    pub fn with_one_connection(&mut self) -> Pool {
        let config = Config { user: "authenticator".to_owned(), ..self.database.config.clone() };
        let pool = Pool::new(config, PoolOptions { max: 1, ..PoolOptions::default() });
        self.with_pool(pool.clone());
        pool
    }

    fn with_pool(&mut self, pool: Pool) {
        let machinery = Machinery::new(self.blobs.clone());
        let clock: Arc<dyn Clock> = Arc::<Ahead>::clone(&self.clock);
        self.storage = Storage::new(self.settings.clone(), pool, machinery, clock);
    }

    /// Sets the clock forward.
    pub fn later(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    /// Runs a script as the owner of everything.
    pub async fn sql(&self, script: &str) {
        let mut session = self.database.connect().await;
        session.batch(script).await.unwrap_or_else(|error| panic!("{script}: {error}"));
    }

    pub async fn bucket(&self, body: serde_json::Value) {
        let answer = self
            .plain(
                Method::POST,
                "/bucket",
                &service(),
                &[("content-type", "application/json")],
                body.to_string(),
            )
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends a request of another surface.
    pub async fn plain(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.storage.handle(request.body(body.into()).unwrap()).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, bytes }
    }

    /// Sends a request of the protocol.
    pub async fn tus(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut all = vec![("tus-resumable", "1.0.0")];
        all.extend_from_slice(headers);
        let answer = self.plain(method, path, token, &all, body).await;
        assert_eq!(answer.header("tus-resumable"), "1.0.0");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        answer
    }

    /// Begins an upload of so many bytes; its path.
    pub async fn begin(&self, token: &str, metadata: &str, length: usize) -> String {
        let length = length.to_string();
        let headers = [("upload-length", length.as_str()), ("upload-metadata", metadata)];
        self.tus(Method::POST, "/upload/resumable", token, &headers, Body::empty()).await.path()
    }

    pub async fn patch(&self, path: &str, token: &str, offset: u64, body: impl Into<Body>) -> Answer {
        self.patch_with(path, token, offset, &[], body).await
    }

    pub async fn patch_with(
        &self,
        path: &str,
        token: &str,
        offset: u64,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let offset = offset.to_string();
        let mut all =
            vec![("upload-offset", offset.as_str()), ("content-type", "application/offset+octet-stream")];
        all.extend_from_slice(headers);
        self.tus(Method::PATCH, path, token, &all, body).await
    }

    pub async fn head(&self, path: &str, token: &str) -> Answer {
        self.tus(Method::HEAD, path, token, &[], Body::empty()).await
    }

    /// The bytes of an object.
    pub async fn object(&self, path: &str) -> Answer {
        self.plain(Method::GET, &format!("/object/{path}"), &service(), &[], Body::empty()).await
    }

    /// Names of finished and of growing bodies.
    pub async fn bodies(&self) -> (usize, usize) {
        let finished = self.blobs.list(&self.project, None, 1000).await.unwrap().len();
        (finished, self.blobs.list_growing(&self.project, None, 1000).await.unwrap().len())
    }
}
