//! A dedicated project with a public and a private bucket, and requests to its storage.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use model::{ProjectRef, SystemClock};
use pg::{Config, Pool, PoolOptions};
use picture::{Budget, Cache, Renderer};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use storage::{Machinery, Pictures, Settings, Storage};
use testkit::{Database, Postgres};
use token::KeySet;

const SECRET: &[u8] = b"a secret of tests that has at least 32 bytes";

/// What the program's own scripts make before the schema.
const BEFORE: &str = "
    do $$ begin
      if to_regrole('authenticator') is null then
        create role supabase_storage_admin login noinherit; create role postgres;
        create role anon noinherit; create role authenticated noinherit;
        create role service_role noinherit bypassrls; create role authenticator login noinherit;
        grant anon, authenticated, service_role to authenticator;
      end if;
    end $$;
    create schema storage authorization supabase_storage_admin;
    create schema extensions;
    create schema auth;
    grant usage on schema storage, extensions, auth to anon, authenticated, service_role, supabase_storage_admin;
    create function extensions.leakproof_lower(text) returns text
      language internal immutable strict leakproof parallel safe as 'lower';";

pub struct Place {
    pub storage: Storage,
    pub database: Database,
    pub blobs: blob::Store,
    pub project: ProjectRef,
    dir: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// Status line, inner status, code and message of a refusal.
    pub fn refusal(&self) -> (u16, String, String, String) {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("statusCode"), text("code"), text("message"))
    }

    pub fn picture(&self) -> DynamicImage {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        image::load_from_memory(&self.bytes).unwrap()
    }

    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        let picture = self.picture();
        (picture.width(), picture.height())
    }
}

/// A project whose pictures are rendered and cached.
pub async fn place() -> Place {
    place_with(|machinery| machinery, |_| {}).await
}

pub async fn place_with(
    machinery: impl FnOnce(Machinery) -> Machinery,
    configure: impl FnOnce(&mut Settings),
) -> Place {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("rowhouse-media-{}-{number}", std::process::id()));
    let blobs = blob::Store::disk(dir.join("files"), blob::Durability::PageCache).await.unwrap();
    let budget = Budget { total: 1 << 24, each: 1 << 24 };
    let cache = Cache::open(dir.join("pictures"), budget).await.unwrap();
    let pictures = Pictures::new(Renderer::new(picture::Settings::default()), Some(cache));
    let project = ProjectRef::from_random(std::array::from_fn(|at| {
        (number as u8).wrapping_mul(31).wrapping_add(at as u8)
    }));
    let mut settings = Settings::new(project.clone(), Arc::new(KeySet::from_secret(SECRET)));
    configure(&mut settings);
    let script = format!("{BEFORE}{}", storage::schema::dedicated());
    let database = Postgres::shared().await.database_like("media", &script).await;
    let config = Config { user: "authenticator".to_owned(), ..database.config.clone() };
    let pool = Pool::new(config, PoolOptions::default());
    let machinery = machinery(Machinery::new(blobs.clone()).with_pictures(pictures));
    let storage = Storage::new(settings, pool, machinery, Arc::new(SystemClock));
    let place = Place { storage, database, blobs, project, dir };
    for (name, public) in [("open", true), ("closed", false)] {
        let made = place.post("/bucket", &json!({ "name": name, "public": public })).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    place
}

/// The token of a role.
pub fn role(role: &str) -> String {
    KeySet::from_secret(SECRET).sign(&json!({ "role": role })).unwrap()
}

pub fn service() -> String {
    role("service_role")
}

impl Place {
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.storage.handle(request.body(body.into()).unwrap()).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, bytes }
    }

    /// Asks without any token.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    pub async fn head(&self, path: &str) -> Answer {
        self.send(Method::HEAD, path, &[], Body::empty()).await
    }

    pub async fn get_as(&self, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.send(Method::GET, path, &[("authorization", &bearer)], Body::empty()).await
    }

    /// As the service.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", service());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(Method::POST, path, &headers, body.to_string()).await
    }

    /// Uploads as a role, over what is there.
    pub async fn upload_as(&self, token: &str, path: &str, mime: &str, body: impl Into<Body>) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", mime),
            ("cache-control", "max-age=3600"),
            ("x-upsert", "true"),
        ];
        self.send(Method::POST, &format!("/object/{path}"), &headers, body).await
    }

    /// Uploads as the service what must succeed.
    pub async fn upload(&self, path: &str, mime: &str, body: impl Into<Body>) {
        let answer = self.upload_as(&service(), path, mime, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// How many bodies there are.
    pub async fn bodies(&self) -> usize {
        self.blobs.list(&self.project, None, 1000).await.unwrap().len()
    }
}

/// A picture that is red on the left and blue on the right.
pub fn halves(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixel = |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    let mut file = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel)).write_to(&mut file, format).unwrap();
    file.into_inner()
}
