//! Bodies that are not what was promised leave nothing behind.

use crate::client::{Client, UNSIGNED, hash};
use crate::world::dedicated;
use sigv4::Streaming;

const KINDS: [Streaming; 3] = [
    Streaming { signed: true, trailer: false },
    Streaming { signed: true, trailer: true },
    Streaming { signed: false, trailer: true },
];
const CRC32: (&str, &str) = ("x-amz-checksum-crc32", "y/Q5Jg==");

#[tokio::test]
async fn chunks_are_decoded() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    // Both ways of storing: in memory first, and piece by piece.
    let large = vec![7u8; 200_000];
    for streaming in KINDS {
        let trailer = if streaming.trailer { &[CRC32][..] } else { &[] };
        let put = s3.chunked("/b/small", streaming, (&[b"1234", b"56789"], trailer), |body| body).await.ok();
        assert_eq!(put.header("x-amz-checksum-crc32"), if streaming.trailer { CRC32.1 } else { "" });
        let got = s3.get("/b/small").await.ok();
        assert_eq!((&got.bytes[..], got.header("content-encoding")), (&b"123456789"[..], ""));
        if !streaming.trailer {
            let pieces = [&large[..65_536], &large[65_536..131_072], &large[131_072..]];
            s3.chunked("/b/large", streaming, (&pieces, &[]), |body| body).await.ok();
            assert!(s3.get("/b/large").await.ok().bytes == large);
        }
    }
}

#[tokio::test]
async fn spoilt_chunks_leave_nothing() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let pieces: (&[&[u8]], _) = (&[b"1234", b"56789"], &[CRC32][..]);
    for streaming in KINDS {
        let pieces = if streaming.trailer { pieces } else { (pieces.0, &[][..]) };
        let cut = s3.chunked("/b/k", streaming, pieces, |mut body| {
            body.truncate(body.len() - 5);
            body
        });
        assert_eq!(cut.await.refusal(), (400, "IncompleteBody"), "{streaming:?}");
        let more = s3.chunked("/b/k", streaming, pieces, |mut body| {
            body.extend_from_slice(b"more");
            body
        });
        assert_eq!(more.await.refusal(), (400, "InvalidRequest"), "{streaming:?}");
        let other = s3.chunked("/b/k", streaming, pieces, |body| {
            let text = String::from_utf8(body).unwrap();
            text.replacen("1234", "1235", 1).into_bytes()
        });
        let wanted = if streaming.signed { (403, "SignatureDoesNotMatch") } else { (400, "BadDigest") };
        assert_eq!(other.await.refusal(), wanted, "{streaming:?}");
    }
    let trailer = Streaming { signed: false, trailer: true };
    let silent = s3.chunked("/b/k", trailer, (pieces.0, &[CRC32]), |body| {
        let text = String::from_utf8(body).unwrap();
        text.replace("x-amz-checksum-crc32", "x-amz-checksum-other").into_bytes()
    });
    assert_eq!(silent.await.refusal(), (400, "InvalidRequest"));
    assert_eq!(s3.get("/b").await.ok().all("Key"), [""; 0]);
    assert_eq!(world.bodies().await, 0);
}

#[tokio::test]
async fn a_client_that_was_not_told_to_go_on_gets_another_connection() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let put = async |target: &str, expect: &str, body: &[u8]| {
        let answer = s3.send("PUT", target, &[("expect", expect)], body).await;
        (answer.status, answer.header("connection").to_owned())
    };
    assert_eq!(put("/b/k", "100-continue", b"body").await, (200, String::new()));
    assert_eq!(put("/b/k", "100-continue", b"").await, (200, "close".to_owned()));
    assert_eq!(put("/none/k", "100-continue", b"body").await, (404, "close".to_owned()));
    assert_eq!(put("/none/k", "", b"body").await, (404, String::new()));
}

#[tokio::test]
async fn the_signed_hash_is_that_of_the_body() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let other = s3.promised(("PUT", "/b/k"), &[], &hash(b"other"), b"body".to_vec()).await;
    assert_eq!(other.refusal(), (400, "XAmzContentSHA256Mismatch"));
    let large = vec![1u8; 100_000];
    let other = s3.promised(("PUT", "/b/k"), &[], &hash(b"other"), large).await;
    assert_eq!(other.refusal(), (400, "XAmzContentSHA256Mismatch"));
    let list = "<Delete><Object><Key>k</Key></Object></Delete>";
    let other = s3.promised(("POST", "/b?delete"), &[], &hash(b"other"), list.into()).await;
    assert_eq!(other.refusal(), (400, "XAmzContentSHA256Mismatch"));
    s3.promised(("PUT", "/b/unsigned"), &[], UNSIGNED, b"body".to_vec()).await.ok();
    assert_eq!(s3.get("/b").await.ok().all("Key"), ["unsigned"]);
    assert_eq!(world.bodies().await, 1);
}
