//! A real server, also when what lies between breaks.

use crate::place::{get, key, noise, project, put};
use crate::proxy::{Fault, proxy};
use crate::server::{ask, bucket, port};
use crate::suite;
use blob::{Error, S3, Store};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn settings(port: u16, bucket: &str) -> S3 {
    S3 {
        endpoint: Some(format!("http://127.0.0.1:{port}/")),
        region: "us-east-1".to_owned(),
        bucket: bucket.to_owned(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        path_style: true,
        allow_http: true,
        prefix: "pre/fix".to_owned(),
        ..S3::default()
    }
}

/// A store behind a proxy, and one that goes straight to the same bucket.
async fn spoilt(fault: Fault, patience: Option<Duration>) -> (Store, Store, String) {
    let (server, bucket) = (port().await, bucket().await);
    let (between, _) = proxy(server, fault).await;
    let spoilt = S3 { patience, ..settings(between, &bucket) }.store().unwrap();
    (spoilt, settings(server, &bucket).store().unwrap(), bucket)
}

async fn write(store: &Store, key: &blob::Key, length: usize) -> Result<blob::Written, Error> {
    let mut writer = store.write(key).await?;
    let bytes = noise(length, 1);
    for at in (0..length).step_by(100_000) {
        writer.push(bytes.slice(at..length.min(at + 100_000))).await?;
    }
    writer.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_on_a_server() {
    let bucket = bucket().await;
    suite::all(&settings(port().await, &bucket).store().unwrap()).await;
    let listed = ask("GET", &format!("/{bucket}?list-type=2")).await;
    assert!(listed.contains("<KeyCount>0</KeyCount>"), "nothing is left behind: {listed}");
    assert!(!ask("GET", &format!("/{bucket}?uploads")).await.contains("<UploadId>"));
}

#[tokio::test]
async fn a_server_that_is_busy_for_a_moment_is_asked_again() {
    for status in [500, 503, 429] {
        let (store, straight, _) = spoilt(Fault::Answers(status, 2), None).await;
        let key = key(&project("p"));
        write(&store, &key, 10_000).await.unwrap();
        assert!(get(&straight, &key, None).await.unwrap() == noise(10_000, 1));
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_said_to() {
    for (status, slow) in [(503, true), (500, false), (403, false)] {
        let (store, straight, _) = spoilt(Fault::Answers(status, u64::MAX), None).await;
        let key = key(&project("p"));
        for length in [10, 20_000_000] {
            let refused = write(&store, &key, length).await;
            match refused {
                Err(Error::Slow) => assert!(slow, "{status}"),
                Err(Error::Remote(_)) => assert!(!slow, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        assert!(matches!(store.read(&key, None).await, Err(Error::Slow | Error::Remote(_))));
        assert!(matches!(straight.read(&key, None).await, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let (store, ..) = spoilt(Fault::Swallows, Some(Duration::from_millis(100))).await;
    let key = key(&project("p"));
    assert!(matches!(write(&store, &key, 10).await, Err(Error::Slow)));
    assert!(matches!(store.size(&key).await, Err(Error::Slow)));
    assert!(matches!(store.list(&project("p"), None, 10).await, Err(Error::Slow)));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let store = settings(port, "b").store().unwrap();
    assert!(matches!(store.size(&key(&project("p"))).await, Err(Error::Remote(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_leaves_nothing() {
    let (store, straight, bucket) = spoilt(Fault::CutsRequests(3_000_000), None).await;
    let key = key(&project("p"));
    for length in [7_000_000, 20_000_000] {
        let cut = write(&store, &key, length).await;
        assert!(matches!(cut, Err(Error::Remote(_) | Error::Slow)), "{cut:?}");
        assert!(matches!(straight.read(&key, None).await, Err(Error::NotFound)));
    }
    // The upload in parts is given up by a task of its own.
    let given_up = async {
        while ask("GET", &format!("/{bucket}?uploads")).await.contains("<UploadId>") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), given_up).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_is_gone_on_with_or_an_error() {
    let (store, straight, _) = spoilt(Fault::CutsAnswers(1_000_000), None).await;
    let (short, long) = (key(&project("p")), key(&project("p")));
    put(&straight, &short, &noise(2_500_000, 1), 100_000).await;
    put(&straight, &long, &noise(30_000_000, 2), 100_000).await;
    assert!(get(&store, &short, None).await.unwrap() == noise(2_500_000, 1));
    let cut = get(&store, &long, None).await;
    assert!(cut.as_ref().map_or(true, |bytes| *bytes == noise(30_000_000, 2)), "never less than was said");
}

#[tokio::test]
async fn connections_are_used_again() {
    let (server, bucket) = (port().await, bucket().await);
    let (between, seen) = proxy(server, Fault::CutsAnswers(usize::MAX)).await;
    let store = settings(between, &bucket).store().unwrap();
    for _ in 0..20 {
        assert!(matches!(store.size(&key(&project("p"))).await, Err(Error::NotFound)));
    }
    assert!(seen.load(Ordering::Relaxed) <= 20);
}
