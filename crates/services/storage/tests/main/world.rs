//! Storages of dedicated and pooled projects, and requests to them.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use model::{ProjectRef, SystemClock, Tenancy};
use pg::{Config, Pool, PoolOptions};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use storage::{Machinery, Settings, Storage};
use testkit::{Database, Postgres};
use token::KeySet;
use tokio::sync::OnceCell;

const SECRET: &[u8] = b"a secret of tests that has at least 32 bytes";

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

/// A project's storage.
pub struct World {
    pub storage: Storage,
    pub database: Database,
    pub project: ProjectRef,
    bodies: Bodies,
}

/// A folder for bodies that goes with the test.
struct Bodies(PathBuf);

impl Drop for Bodies {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub bytes: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The JSON of a request that was not refused.
    pub fn ok(self) -> Value {
        let json = self.json();
        assert_eq!(self.status, 200, "{json}");
        json
    }

    /// Inner status and code of one that was.
    pub fn refusal(&self) -> (String, String) {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        assert_ne!(self.status, 200, "{json}");
        (text("statusCode"), text("code"))
    }
}

/// A dedicated project.
pub async fn dedicated() -> World {
    let script = format!("{BEFORE}alter role service_role bypassrls;{}", storage::schema::dedicated());
    let database = Postgres::shared().await.database_like("dedicated", &script).await;
    make(database, Tenancy::Dedicated, |_| ()).await
}

/// The same with other settings.
pub async fn dedicated_with(change: impl FnOnce(&mut Settings)) -> World {
    let script = format!("{BEFORE}alter role service_role bypassrls;{}", storage::schema::dedicated());
    let database = Postgres::shared().await.database_like("dedicated", &script).await;
    make(database, Tenancy::Dedicated, change).await
}

/// A database that pooled projects share. Roles belong to a server: shards have their own, where none passes by
/// policies.
pub async fn shard() -> Database {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    let server = SERVER.get_or_init(|| Postgres::start(&[])).await;
    let script = format!("{BEFORE}{}", storage::schema::shard());
    server.database_like("shard", &script).await
}

/// A pooled project in a shard.
pub async fn pooled(shard: &Database, app: u32) -> World {
    let extra = vec![("rowhouse.app_id".to_owned(), app.to_string())];
    make(shard.clone(), Tenancy::Pooled, |settings| settings.extra_settings = extra).await
}

async fn make(database: Database, tenancy: Tenancy, change: impl FnOnce(&mut Settings)) -> World {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("rowhouse-storage-{}-{number}", std::process::id()));
    let blobs = blob::Store::disk(dir.clone(), blob::Durability::PageCache).await.unwrap();
    let project = ProjectRef::from_random(std::array::from_fn(|at| {
        (number as u8).wrapping_mul(31).wrapping_add(at as u8)
    }));
    let mut settings = Settings::new(project.clone(), Arc::new(KeySet::from_secret(SECRET)));
    settings.tenancy = tenancy;
    change(&mut settings);
    let config = Config { user: "authenticator".to_owned(), ..database.config.clone() };
    let pool = Pool::new(config, PoolOptions::default());
    let storage = Storage::new(settings, pool, Machinery::new(blobs), Arc::new(SystemClock));
    World { storage, database, project, bodies: Bodies(dir) }
}

/// The token of a role.
pub fn role(role: &str) -> String {
    KeySet::from_secret(SECRET).sign(&json!({ "role": role })).unwrap()
}

/// The token of a user, named by a digit.
pub fn user(number: u8) -> String {
    KeySet::from_secret(SECRET).sign(&json!({ "role": "authenticated", "sub": id(number) })).unwrap()
}

/// The token of a user of any name.
pub fn named(subject: &str) -> String {
    KeySet::from_secret(SECRET).sign(&json!({ "role": "authenticated", "sub": subject })).unwrap()
}

pub fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-00000000000{number}")
}

impl World {
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.storage.handle(request.body(body.into()).unwrap()).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, bytes }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(Method::GET, path, token, &[], Body::empty()).await
    }

    pub async fn with_json(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        self.send(method, path, token, &[("content-type", "application/json")], body.to_string()).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.with_json(Method::POST, path, token, body).await
    }

    /// Uploads a text; over what is there, if that is wanted.
    pub async fn upload(&self, path: &str, token: &str, text: &str, over: bool) -> Answer {
        let upsert = if over { "true" } else { "false" };
        let headers = [("content-type", "text/plain"), ("x-upsert", upsert)];
        self.send(Method::POST, &format!("/object/{path}"), token, &headers, text.to_owned()).await
    }

    /// The names that a list of the first API shows.
    pub async fn names(&self, bucket: &str, token: &str, prefix: &str) -> Vec<String> {
        let rows =
            self.post(&format!("/object/list/{bucket}"), token, json!({ "prefix": prefix })).await.ok();
        rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    /// How many bodies are on the disk, those that are being written included.
    pub fn bodies(&self) -> usize {
        self.files().len()
    }

    /// Deletes all bodies behind the storage's back.
    pub fn lose_bodies(&self) {
        self.files().iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }

    fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut folders) = (Vec::new(), vec![self.bodies.0.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }
}
