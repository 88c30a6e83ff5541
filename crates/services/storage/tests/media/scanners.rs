//! Scanners that find the word EVIL: one speaks clamd's protocol, one HTTP.

use http::HeaderMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};

pub const EVIL: &str = "EVIL";

/// How a scanner behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    Honest,
    /// Says that a file of more bytes is too long, and hangs up.
    Limited(usize),
    /// Hangs up before it answers.
    Rude,
    /// Never answers.
    Silent,
    /// Answers something that is no verdict.
    Confused,
}

/// How many files were sent to a scanner, and how long the last was.
#[derive(Debug, Default)]
pub struct Seen {
    pub files: AtomicUsize,
    pub last: AtomicUsize,
}

impl Seen {
    pub fn files(&self) -> usize {
        self.files.load(Ordering::SeqCst)
    }

    fn note(&self, length: usize) {
        self.files.fetch_add(1, Ordering::SeqCst);
        self.last.store(length, Ordering::SeqCst);
    }
}

fn is_evil(file: &[u8]) -> bool {
    file.windows(EVIL.len()).any(|window| window == EVIL.as_bytes())
}

/// A clamd on a Unix socket; its path.
pub fn clamd_socket(temper: Temper) -> (PathBuf, Arc<Seen>) {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rowhouse-clamd-{}-{number}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let seen = Arc::new(Seen::default());
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move { clamd(stream, temper, &noted).await });
        }
    });
    (path, seen)
}

/// A clamd on TCP; its address.
pub async fn clamd_address(temper: Temper) -> (String, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Seen::default());
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move { clamd(stream, temper, &noted).await });
        }
    });
    (address, seen)
}

async fn clamd<S: AsyncRead + AsyncWrite + Unpin>(stream: S, temper: Temper, seen: &Seen) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut command = Vec::new();
    stream.read_until(0, &mut command).await.ok()?;
    assert_eq!(command, b"zINSTREAM\0");
    let mut file = Vec::new();
    loop {
        let length = stream.read_u32().await.ok()? as usize;
        if length == 0 {
            break;
        }
        let begin = file.len();
        file.resize(begin + length, 0);
        stream.read_exact(&mut file[begin..]).await.ok()?;
        if matches!(temper, Temper::Limited(most) if file.len() > most) {
            stream.write_all(b"INSTREAM size limit exceeded. ERROR\0").await.ok()?;
            return None;
        }
    }
    seen.note(file.len());
    let answer: &[u8] = match temper {
        Temper::Rude => return None,
        Temper::Silent => return std::future::pending().await,
        Temper::Confused => b"UNKNOWN COMMAND\0",
        _ if is_evil(&file) => b"stream: Test.Evil-1 FOUND\0",
        _ => b"stream: OK\0",
    };
    stream.write_all(answer).await.ok()
}

/// A scanner behind HTTP; its URL. It knows who has the token `scan`.
pub async fn web(temper: Temper) -> (String, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/scan", listener.local_addr().unwrap());
    let seen = Arc::new(Seen::default());
    let noted = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, body: bytes::Bytes| {
        noted.note(body.len());
        async move {
            if headers.get("authorization").is_none_or(|token| token != "Bearer scan") {
                return (http::StatusCode::UNAUTHORIZED, String::new());
            }
            let verdict = match temper {
                Temper::Confused => "certainly".to_owned(),
                _ if is_evil(&body) => r#"{"infected":true,"signature":"Test.Evil-1"}"#.to_owned(),
                _ => r#"{"infected":false}"#.to_owned(),
            };
            (http::StatusCode::OK, verdict)
        }
    };
    let router = axum::Router::new()
        .route("/scan", axum::routing::post(answer))
        .layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}
