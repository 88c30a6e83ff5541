//! Clients that do not speak HTTP, or speak it slowly, or leave.

use crate::house::{Answer, House, Plan, legacy, read_all};
use gateway::{Limits, ProjectLimits};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn malformed_http_is_refused_and_the_server_lives_on() {
    let house = House::open(Plan::default()).await;
    let cases: [&[u8]; 7] = [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: \x00\r\n\r\n",
        b"POST /rest/v1/t HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ];
    for bytes in cases {
        let text = house.raw(bytes).await;
        assert!(text.is_empty() || Answer::parse(&text).status == 400, "{bytes:?}: {text}");
    }
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200 * 1024));
    assert_eq!(Answer::parse(&house.raw(long.as_bytes()).await).status, 431);
    assert_eq!(house.send("GET", "/health", &[]).await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn long_urls_within_the_limit_pass() {
    let house = House::open(Plan::default()).await;
    let ids = "00000000-0000-0000-0000-000000000000,".repeat(1000);
    let key = format!("apikey: {}", legacy(0, "anon"));
    assert_eq!(house.send("GET", &format!("/rest/v1/t?id=in.({ids})"), &[&key]).await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn targets_that_clients_should_have_escaped_are_understood() {
    let house = House::open(Plan::default()).await;
    let key = format!("apikey: {}", legacy(0, "anon"));
    let seen = house.send("GET", "/rest/v1/t?select=data->>name", &[&key]).await.json();
    assert_eq!(seen["uri"], "/t?select=data-%3E%3Ename");
    house.close().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_is_cut_off() {
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let house = House::open(Plan { limits, ..Plan::default() }).await;
    let mut stream = house.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nx-slow:").await.unwrap();
    read_all(&mut stream).await;
    house.close().await;
}

#[tokio::test]
async fn connections_are_kept_and_streams_arrive_whole() {
    let house = House::open(Plan::default()).await;
    let key = legacy(0, "anon");
    let mut stream = house.connect().await;
    let once = format!("GET /rest/v1/stream HTTP/1.1\r\nhost: h\r\napikey: {key}\r\n\r\n");
    let last = once.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{once}{last}").as_bytes()).await.unwrap();
    let text = read_all(&mut stream).await;
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(text.matches("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n").count(), 2, "{text}");
    house.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let project = ProjectLimits {
        concurrent_max: 1,
        queue_max: 8,
        queue_timeout: Duration::from_secs(20),
        ..ProjectLimits::default()
    };
    let house = House::open(Plan { project, ..Plan::default() }).await;
    let key = legacy(0, "anon");
    let mut stream = house.connect().await;
    let text = format!("GET /rest/v1/wait HTTP/1.1\r\nhost: h\r\napikey: {key}\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    house.entered.notified().await;
    drop(stream);
    assert_eq!(house.send("GET", "/rest/v1/t", &[&format!("apikey: {key}")]).await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn an_answer_that_is_not_read_keeps_its_place_and_not_that_of_other_services() {
    let project =
        ProjectLimits { concurrent_max: 1, streams_max: 1, queue_max: 0, ..ProjectLimits::default() };
    let house = House::open(Plan { project, ..Plan::default() }).await;
    let key = legacy(0, "anon");
    let header = format!("apikey: {key}");
    for (busy, free) in [("rest", "storage"), ("storage", "rest")] {
        let mut stream = house.connect().await;
        let text = format!("GET /{busy}/v1/long HTTP/1.1\r\nhost: h\r\n{header}\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        assert_eq!(house.send("GET", &format!("/{busy}/v1/t"), &[&header]).await.status, 429);
        assert_eq!(house.send("GET", &format!("/{free}/v1/t"), &[&header]).await.status, 200);
        drop(stream);
        while house.send("GET", &format!("/{busy}/v1/t"), &[&header]).await.status != 200 {
            tokio::task::yield_now().await;
        }
    }
    house.close().await;
}

#[tokio::test]
async fn stopping_lets_requests_finish() {
    let house = House::open(Plan::default()).await;
    let key = legacy(0, "anon");
    let mut stream = house.connect().await;
    let text = format!("GET /rest/v1/wait HTTP/1.1\r\nhost: h\r\napikey: {key}\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    house.entered.notified().await;
    let release = house.release.clone();
    let closing = tokio::spawn(house.close());
    release.notify_one();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    drop(stream);
    closing.await.unwrap();
}
