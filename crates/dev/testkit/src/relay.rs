//! A way to a server on which a test can lose an answer.

use crate::Database;
use pg::{Config, Host};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// The head of the message that ends an answer; behind it is how the session stands.
const READY: &[u8] = b"Z\0\0\0\x05";
/// Bytes that are passed on at a time, and those that are looked at.
const BUFFER: usize = 16 * 1024;

/// Passes sessions on to a server.
#[derive(Debug)]
pub struct Relay {
    dir: PathBuf,
    marker: Marker,
    config: Config,
}

type Marker = Arc<Mutex<Option<Vec<u8>>>>;

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Relay {
    /// A way to a database.
    ///
    /// # Panics
    /// When no socket can be made: the test cannot go on.
    pub fn to(database: &Database) -> Relay {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("rowhouse-relay-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory can be made");
        let socket = |dir: &PathBuf| dir.join(format!(".s.PGSQL.{}", database.config.port));
        let Host::Unix(server) = &database.config.host else { panic!("test servers are on sockets") };
        let server = socket(server);
        let listener = UnixListener::bind(socket(&dir)).expect("a socket can be made");
        let marker = Marker::default();
        let wanted = Arc::clone(&marker);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&server).await else { return };
                tokio::spawn(carry(client, server, Arc::clone(&wanted)));
            }
        });
        let config = Config { host: Host::Unix(dir.clone()), ..database.config.clone() };
        Relay { dir, marker, config }
    }

    /// How the server is reached on this way.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Has the next request with these words carried out, and its answer lost with the session.
    pub fn lose_answer_to(&self, words: &str) {
        *self.marker.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.as_bytes().to_vec());
    }

    /// Whether an answer is still to be lost.
    pub fn is_armed(&self) -> bool {
        self.marker.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Passes bytes on until one side ends.
async fn carry(client: UnixStream, server: UnixStream, marker: Marker) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answer) = (Vec::with_capacity(BUFFER), Vec::with_capacity(BUFFER));
    // What came since the last answer: words may come in two pieces.
    let mut before = Vec::new();
    let mut is_lost = false;
    loop {
        tokio::select! {
            read = from_client.read_buf(&mut asked) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                before.extend_from_slice(&asked);
                is_lost = is_lost || take_if_in(&marker, &before);
                before.drain(..before.len().saturating_sub(BUFFER));
                if to_server.write_all(&asked).await.is_err() {
                    return;
                }
                asked.clear();
            }
            read = from_server.read_buf(&mut answer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                if is_lost {
                    let head = answer.len().saturating_sub(READY.len() + 1);
                    if answer[head..].starts_with(READY) {
                        return;
                    }
                    continue;
                }
                if to_client.write_all(&answer).await.is_err() {
                    return;
                }
                answer.clear();
                before.clear();
            }
        }
    }
}

/// Whether the words are in these bytes; then they are not looked for any more.
fn take_if_in(marker: &Marker, bytes: &[u8]) -> bool {
    let mut marker = marker.lock().unwrap_or_else(PoisonError::into_inner);
    let is_in = marker.as_ref().is_some_and(|words| bytes.windows(words.len()).any(|part| part == words));
    if is_in {
        *marker = None;
    }
    is_in
}
