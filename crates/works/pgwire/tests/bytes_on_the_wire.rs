//! Clients that do not keep to the protocol, or speak a newer one.

use crate::world::{ONE, PATIENCE, Wishes, World};
use pgwire::Settings;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SSL: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

fn startup(minor: u8, parameters: &str) -> Vec<u8> {
    let body = [&[0, 3, 0, minor], parameters.as_bytes(), &[0]].concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    [length.to_be_bytes().as_slice(), &body].concat()
}

/// Sends these bytes and reads until the router closes.
async fn answer(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let mut answer = Vec::new();
    let talk = async {
        // The router may have closed already; what it said is still there.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(PATIENCE, talk).await.unwrap();
    answer
}

fn has(answer: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(answer).contains(text)
}

#[tokio::test]
async fn what_is_not_postgresql_is_closed_without_a_word() {
    let world = World::with(Wishes { tls: false, ..Wishes::default() }).await;
    let oversized = [10_001_u32.to_be_bytes().as_slice(), &[b'x'; 10_000]].concat();
    for bytes in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), &oversized, &[0; 16], &[0xff; 64]] {
        assert_eq!(answer(&world, bytes).await, b"", "{:?}", &bytes[..8]);
    }
    let twice = [GSS, GSS].concat();
    assert_eq!(answer(&world, &twice).await, b"N");
    world.end().await;
}

#[tokio::test]
async fn malformed_start_ups_are_told_why() {
    let world = World::new().await;
    assert!(has(&answer(&world, &startup(0, "")).await, "C28000"));
    assert!(has(&answer(&world, &[0, 0, 0, 9, 0, 3, 0, 0, 1]).await, "C08P01"));
    let old = answer(&world, &[0, 0, 0, 9, 0, 2, 0, 0, 0]).await;
    assert!(has(&old, "C0A000") && has(&old, "unsupported frontend protocol 2.0"));
    world.end().await;
}

#[tokio::test]
async fn only_sasl_is_accepted_after_the_start_up() {
    let world = World::new().await;
    let hello = startup(0, "user\0postgres\0");
    for (bytes, code) in [
        (b"Q\0\0\0\x0dselect 1\0".as_slice(), "C08P01"),
        (b"p\0\0\0\x0bsecret\0", "C08P01"),
        (b"p\0\0\0\x0eMD5\0\0\0\0\x02ab", "C08P01"),
        (b"p\0\x10\0\0", "C08P01"),
    ] {
        let answer = answer(&world, &[hello.as_slice(), bytes].concat()).await;
        assert!(
            has(&answer, "SCRAM-SHA-256\0") && has(&answer, code),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        assert!(!has(&answer, "server_version"));
    }
    world.end().await;
}

#[tokio::test]
async fn a_newer_protocol_is_negotiated_down() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&startup(2, "user\0postgres\0_pq_.speed\0high\0")).await.unwrap();
    let expected = b"v\0\0\0\x17\0\0\0\0\0\0\0\x01_pq_.speed\0R";
    let mut read = vec![0; expected.len()];
    timeout(PATIENCE, stream.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, expected);
    world.end().await;
}

#[tokio::test]
async fn plain_text_slipped_in_before_the_encryption_is_not_read() {
    let world = World::new().await;
    let slipped = [SSL.as_slice(), &startup(0, "user\0postgres\0")].concat();
    let answer = answer(&world, &slipped).await;
    assert_eq!(answer[0], b'S');
    assert!(!has(&answer, "SCRAM"), "the start-up is taken for a broken TLS handshake");
    world.end().await;
}

#[tokio::test]
async fn slow_clients_are_closed_and_make_room() {
    let settings =
        Settings { startup_timeout: Duration::from_secs(2), handshakes_max: 4, ..Settings::default() };
    let world = World::with(Wishes { settings, ..Wishes::default() }).await;
    let mut slow = Vec::new();
    for bytes in [b"".as_slice(), b"\0", &startup(0, "user\0postgres\0"), &SSL] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        slow.push(stream);
    }
    let mut ends = Vec::new();
    for mut stream in slow {
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
        ends.push(rest);
    }
    assert!(ends[0].is_empty() && ends[1].is_empty() && has(&ends[2], "SCRAM") && ends[3] == b"S");
    world.connect("postgres").await.close().await;
    world.end().await;
}

#[tokio::test]
async fn unfinished_handshakes_are_limited() {
    let settings = Settings { handshakes_max: 1, ..Settings::default() };
    let world = World::with(Wishes { settings, ..Wishes::default() }).await;
    let mut first = TcpStream::connect(world.address).await.unwrap();
    first.write_all(&GSS).await.unwrap();
    assert_eq!(timeout(PATIENCE, first.read_u8()).await.unwrap().unwrap(), b'N', "it is being served");
    assert!(has(&answer(&world, b"").await, "C53300"));
    drop(first);
    let free = async { while pg::Connection::connect(&world.config("postgres")).await.is_err() {} };
    timeout(PATIENCE, free).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn forged_cancel_requests_do_nothing() {
    let world = World::new().await;
    let mut session = world.connect("postgres").await;
    for key in [[0_u8; 8], [0xff; 8]] {
        let request = [[0, 0, 0, 16, 4, 210, 22, 46].as_slice(), &key].concat();
        assert_eq!(answer(&world, &request).await, b"");
    }
    assert_eq!(answer(&world, &[0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 0]).await[0], b'E');
    session.query("select 1", &[]).await.unwrap();
    assert_eq!(world.router.sessions_of(ONE), 1);
    world.end().await;
}
