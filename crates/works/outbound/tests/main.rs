//! The client against servers that behave, and servers that do not.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use bytes::Bytes;
use http::{Request, StatusCode};
use outbound::{Client, Error, Limits, Reach};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(20), body: 1024 };

/// A server that reads a request's head and body and answers with these bytes, as often as it is asked.
struct Peer {
    port: u16,
    connections: Arc<AtomicUsize>,
    last: Arc<std::sync::Mutex<String>>,
}

/// What a server does once it has read a request.
#[derive(Clone)]
enum Does {
    Answers(String),
    /// Begins, and never ends.
    Stalls(String),
    /// Writes the same for ever.
    Floods(String),
}

async fn peer(does: Does) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::default()));
    let peer = Peer { port, connections: Arc::clone(&connections), last: Arc::clone(&last) };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(converse(stream, does.clone(), Arc::clone(&last)));
        }
    });
    peer
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    does: Does,
    last: Arc<std::sync::Mutex<String>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        *last.lock().unwrap() = request;
        match &does {
            Does::Answers(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Does::Stalls(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            }
            Does::Floods(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        read.extend(&buffer[..n]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Does {
    let length = body.len();
    Does::Answers(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
}

fn anywhere() -> Client {
    Client::new(Reach::Anywhere).unwrap()
}

fn get(url: String) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn a_call_sends_everything_and_brings_everything_back() {
    let peer = peer(answer("418 Teapot", "x-said: short\r\n", "and stout")).await;
    let url = format!("http://127.0.0.1:{}/a/b?c=d", peer.port);
    let request =
        Request::post(url).header("x-asked", "yes").body(Bytes::from_static(b"tip me over")).unwrap();
    let answer = anywhere().send(request, LIMITS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.headers()["x-said"], "short");
    assert_eq!(answer.body(), "and stout");
    let asked = peer.last.lock().unwrap().clone();
    assert!(asked.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("x-asked: yes\r\n") && asked.ends_with("tip me over"), "{asked}");
    assert!(asked.contains(&format!("host: 127.0.0.1:{}\r\n", peer.port)), "{asked}");
}

#[tokio::test]
async fn connections_are_used_again_but_not_by_another_share() {
    let peer = peer(answer("200 OK", "", "x")).await;
    let url = format!("http://127.0.0.1:{}/", peer.port);
    let client = anywhere();
    for _ in 0..3 {
        client.send(get(url.clone()), LIMITS).await.unwrap();
    }
    assert_eq!(peer.connections.load(Ordering::SeqCst), 1);
    client.share().send(get(url), LIMITS).await.unwrap();
    assert_eq!(peer.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn redirects_are_answers() {
    let target = peer(answer("200 OK", "", "secret")).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", target.port);
    let peer = peer(answer("302 Found", &location, "")).await;
    let answer = anywhere().send(get(format!("http://127.0.0.1:{}/", peer.port)), LIMITS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn slow_answers_are_given_up() {
    let limits = Limits { timeout: Duration::from_millis(300), ..LIMITS };
    for begins in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let peer = peer(Does::Stalls(begins.to_owned())).await;
        let said = anywhere().send(get(format!("http://127.0.0.1:{}/", peer.port)), limits).await;
        assert!(matches!(said, Err(Error::Timeout)), "{begins:?}: {said:?}");
    }
}

#[tokio::test]
async fn large_answers_are_given_up() {
    let announced = Does::Stalls("HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n".to_owned());
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let flood =
        Does::Floods(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(9)));
    for does in [announced, flood] {
        let peer = peer(does).await;
        let said = anywhere().send(get(format!("http://127.0.0.1:{}/", peer.port)), LIMITS).await;
        assert!(matches!(said, Err(Error::TooLarge)), "{said:?}");
    }
    let fits = peer(answer("200 OK", "", &"x".repeat(1024))).await;
    let said = anywhere().send(get(format!("http://127.0.0.1:{}/", fits.port)), LIMITS).await.unwrap();
    assert_eq!(said.body().len(), 1024);
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let peer = peer(Does::Floods("HTTP/1.1 200 OK\r\nx: y\r\n".to_owned())).await;
    let said = anywhere().send(get(format!("http://127.0.0.1:{}/", peer.port)), LIMITS).await;
    assert!(matches!(said, Err(Error::Io(_))), "{said:?}");
}

#[tokio::test]
async fn the_public_client_reaches_nothing_at_home() {
    let peer = peer(answer("200 OK", "", "secret")).await;
    let port = peer.port;
    // Names, spellings that only the system's resolver reads, and literals.
    let hosts = [
        "localhost",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]",
        "[fe80::1]",
    ];
    let client = Client::new(Reach::Public).unwrap();
    for host in hosts {
        let said = client.send(get(format!("http://{host}:{port}/")), LIMITS).await;
        assert!(matches!(said, Err(Error::Address(_))), "{host}: {said:?}");
    }
    assert_eq!(peer.connections.load(Ordering::SeqCst), 0);
    let said = anywhere().send(get(format!("http://localhost:{port}/")), LIMITS).await.unwrap();
    assert_eq!(said.body(), "secret");
}

#[tokio::test]
async fn errors_show_nothing_of_the_request() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("http://user:hunter2@127.0.0.1:{free}/hunter2?key=hunter2");
    let error = anywhere().send(get(url), LIMITS).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn calls_beyond_the_share_wait_within_their_own_time() {
    let peer = peer(Does::Stalls(String::new())).await;
    let url = format!("http://127.0.0.1:{}/", peer.port);
    let client = anywhere();
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (client, url) = (client.clone(), url.clone());
        slow.spawn(async move { client.send(get(url), LIMITS).await });
    }
    while peer.connections.load(Ordering::SeqCst) < 32 {
        tokio::task::yield_now().await;
    }
    let good = self::peer(answer("200 OK", "", "x")).await;
    let good = format!("http://127.0.0.1:{}/", good.port);
    let limits = Limits { timeout: Duration::from_millis(200), ..LIMITS };
    assert!(matches!(client.send(get(good.clone()), limits).await, Err(Error::Timeout)));
    client.share().send(get(good), LIMITS).await.unwrap();
}

#[tokio::test]
async fn tls_is_checked_against_the_authorities_and_the_name() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().to_vec();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.key_pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let says = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret".to_owned();
                    converse(stream, Does::Answers(says), Arc::default()).await;
                }
            });
        }
    });
    let trusting = Client::trusting(Reach::Anywhere, &[certificate]).unwrap();
    let said = trusting.send(get(format!("https://localhost:{port}/")), LIMITS).await.unwrap();
    assert_eq!(said.body(), "secret");
    let other_name = trusting.send(get(format!("https://127.0.0.1:{port}/")), LIMITS).await;
    assert!(matches!(other_name, Err(Error::Connect(_))), "{other_name:?}");
    let unknown = anywhere().send(get(format!("https://localhost:{port}/")), LIMITS).await;
    assert!(matches!(unknown, Err(Error::Connect(_))), "{unknown:?}");
}
