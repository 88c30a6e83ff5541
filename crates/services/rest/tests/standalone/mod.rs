//! The drop-in server: what listens, what reloads, how it ends.

mod serving;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use pg::Host;
use rest::config::ServerConfig;
use rest::standalone;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::Database;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server on Unix sockets in a directory of its own.
struct Server {
    dir: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<Result<(), standalone::Error>>,
}

/// A connection string for a test's database.
fn uri(database: &Database) -> String {
    let Host::Unix(dir) = &database.config.host else { panic!("the test server has a Unix socket") };
    let config = &database.config;
    format!("host={} port={} user={} dbname={}", dir.display(), config.port, config.user, config.dbname)
}

impl Server {
    async fn start(uri: &str, settings: &[(&str, &str)]) -> Server {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("rowhouse-rest-{}-{number}", std::process::id()));
        tokio::fs::create_dir_all(&dir).await.unwrap();
        let mut env = vec![
            ("PGRST_DB_URI".to_owned(), uri.to_owned()),
            ("PGRST_SERVER_UNIX_SOCKET".to_owned(), dir.join("api").display().to_string()),
            ("PGRST_ADMIN_SERVER_UNIX_SOCKET".to_owned(), dir.join("admin").display().to_string()),
        ];
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = ServerConfig::load(None, env).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(standalone::run(config, stop.clone()));
        Server { dir, stop, task }
    }

    /// Status and body of a request to the API.
    async fn api(&self, path: &str) -> Option<(u16, String)> {
        get(&self.dir.join("api"), path).await
    }

    /// Status and body of a request to the admin server.
    async fn admin(&self, path: &str) -> Option<(u16, String)> {
        get(&self.dir.join("admin"), path).await
    }

    /// Waits until the API answers so.
    async fn wait_for(&self, path: &str, status: u16, body: &str) {
        let waiting = async {
            loop {
                match self.api(path).await {
                    Some((got, text)) if got == status && text.contains(body) => return,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        let got = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(got.is_ok(), "{path} never answers {status} {body}: {:?}", self.api(path).await);
    }

    /// Waits until the admin server says that all is loaded.
    async fn wait_until_ready(&self) {
        let waiting = async {
            while self.admin("/ready").await.is_none_or(|(status, _)| status != 200) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("the server becomes ready");
    }

    /// Tells the server to stop and waits for it.
    async fn end(self) -> Result<(), standalone::Error> {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap();
        assert!(!self.dir.join("api").exists(), "the socket is removed");
        tokio::fs::remove_dir_all(&self.dir).await.unwrap();
        ended
    }
}

async fn get(socket: &Path, path: &str) -> Option<(u16, String)> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    drop(sender);
    // The connection ends with its sender.
    let _ = connection.await;
    Some((status, String::from_utf8(body.to_vec()).unwrap()))
}
