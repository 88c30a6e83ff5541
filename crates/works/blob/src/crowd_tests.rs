//! Tests of many clients at a time who take and send their bytes slowly.

use crate::disk::Disk;
use crate::gate::Gate;
use crate::remote::Remote;
use crate::{Appender, Durability, Error, Key, Reading, Store, Writer};
use bytes::Bytes;
use http_body_util::BodyExt;
use object_store::chunked::ChunkedStore;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const LENGTH: usize = 800_000;
/// Four projects share eight turns, and each has eight clients.
const TURNS: usize = 8;
const PROJECTS: [&str; 4] = ["a", "b", "c", "d"];
const CLIENTS: usize = 8;

fn key(letter: &str) -> Key {
    Key::new(&letter.repeat(20).parse().expect("a ref"), Uuid::new_v4())
}

fn body(seed: usize) -> Bytes {
    (0..LENGTH).map(|at| ((at / 7) ^ (at >> 9) ^ seed) as u8).collect()
}

fn gate() -> Arc<Gate> {
    Gate::waiting(TURNS, TURNS / 2, Duration::from_secs(10))
}

async fn put(store: &Store, key: &Key, bytes: Bytes) -> Result<(), Error> {
    let mut writer = store.write(key).await?;
    writer.push(bytes).await?;
    writer.finish().await.map(drop)
}

/// Readings of which each has been asked for one piece only.
async fn readings(store: &Store) -> Vec<(usize, Bytes, Reading)> {
    let mut readings = Vec::new();
    for (seed, letter) in PROJECTS.into_iter().enumerate() {
        let key = key(letter);
        put(store, &key, body(seed)).await.expect("a body");
        for _ in 0..CLIENTS {
            let mut reading = store.read(&key, None).await.expect("a turn");
            let first = reading.frame().await.expect("a piece").expect("read").into_data().expect("bytes");
            readings.push((seed, first, reading));
        }
    }
    readings
}

async fn slow_readers_leave_turns(store: &Store) {
    let readings = readings(store).await;
    let other = key("e");
    put(store, &other, body(9)).await.expect("others write");
    assert!(
        store.read(&other, None).await.expect("others read").collect().await.expect("all").to_bytes()
            == body(9)
    );
    for (seed, first, reading) in readings {
        let rest = reading.collect().await.expect("all of it").to_bytes();
        assert!([first, rest].concat() == body(seed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_slowly_leave_files_to_the_others() {
    let root = std::env::temp_dir().join(format!("blob-{}", Uuid::new_v4()));
    let disk = Disk::with(root.clone(), Durability::PageCache, gate()).await.expect("a disk");
    slow_readers_leave_turns(&Store::of_disk(disk)).await;
    let _ = std::fs::remove_dir_all(root);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_slowly_leave_connections_to_the_others() {
    let store = Arc::new(ChunkedStore::new(Arc::new(InMemory::new()), 20_000));
    let mut remote = Remote::new(store, "");
    remote.readings = gate();
    slow_readers_leave_turns(&Store::of_remote(remote)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_slowly_leave_files_to_the_others() {
    let root = std::env::temp_dir().join(format!("blob-{}", Uuid::new_v4()));
    let disk = Disk::with(root.clone(), Durability::PageCache, gate()).await.expect("a disk");
    let store = Store::of_disk(disk);
    let mut writers: Vec<(usize, Key, Writer)> = Vec::new();
    let mut appenders: Vec<(usize, Key, Appender)> = Vec::new();
    for (seed, letter) in PROJECTS.into_iter().enumerate() {
        for _ in 0..CLIENTS {
            let (written, grown) = (key(letter), key(letter));
            let mut writer = store.write(&written).await.expect("a writer");
            let mut appender = store.append(&grown, 0).await.expect("an appender");
            writer.push(body(seed).slice(..LENGTH / 2)).await.expect("a turn");
            appender.push(body(seed).slice(..LENGTH / 2)).await.expect("a turn");
            writers.push((seed, written, writer));
            appenders.push((seed, grown, appender));
        }
    }
    let (_, held, _) = &appenders[CLIENTS];
    assert!(matches!(store.append(held, LENGTH as u64 / 2).await, Err(Error::Busy)), "one at a time");
    assert!(matches!(store.seal(held).await, Err(Error::Busy)));
    put(&store, &key("e"), body(9)).await.expect("others write");
    for (seed, key, mut writer) in writers {
        writer.push(body(seed).slice(LENGTH / 2..)).await.expect("the rest");
        let written = writer.finish().await.expect("finished");
        assert_eq!(written.md5[..], <md5::Md5 as md5::Digest>::digest(body(seed))[..]);
        let read = store.read(&key, None).await.expect("a body").collect().await.expect("all").to_bytes();
        assert!(read == body(seed));
    }
    for (seed, key, mut appender) in appenders {
        appender.push(body(seed).slice(LENGTH / 2..)).await.expect("the rest");
        assert_eq!(appender.sync().await.expect("synced"), LENGTH as u64);
        let sealed = store.seal(&key).await.expect("sealed");
        assert_eq!(sealed.md5[..], <md5::Md5 as md5::Digest>::digest(body(seed))[..]);
    }
    let _ = std::fs::remove_dir_all(root);
}

#[tokio::test]
async fn a_file_system_that_is_nearly_full_takes_no_more() {
    let root = std::env::temp_dir().join(format!("blob-{}", Uuid::new_v4()));
    let disk = Disk::with(root.clone(), Durability::PageCache, gate()).await.expect("a disk");
    let store = Store::of_disk(disk.clone());
    disk.pretend_full(false);
    let (old, new, growing) = (key("a"), key("a"), key("a"));
    put(&store, &old, body(1)).await.expect("there is room");
    let mut writer = store.write(&new).await.expect("a writer");
    writer.push(body(2).slice(..LENGTH / 2)).await.expect("there is room");
    let mut appender = store.append(&growing, 0).await.expect("an appender");
    appender.push(Bytes::from_static(b"begun")).await.expect("held");
    appender.sync().await.expect("there is room");
    disk.pretend_full(true);
    for length in [0, 10, LENGTH] {
        let refused = put(&store, &key("a"), body(3).slice(..length)).await;
        assert!(matches!(refused, Err(Error::Full)), "{length}: {refused:?}");
    }
    let refused = match writer.push(body(2).slice(LENGTH / 2..)).await {
        Ok(()) => writer.finish().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(Error::Full)), "no more of what has begun: {refused:?}");
    let mut appender = store.append(&growing, 5).await.expect("an appender");
    appender.push(Bytes::from_static(b"more")).await.expect("held");
    assert!(matches!(appender.sync().await, Err(Error::Full)));
    assert!(matches!(store.concat(std::slice::from_ref(&old), &key("a")).await, Err(Error::Full)));
    let read = store.read(&old, None).await.expect("reading").collect().await.expect("all").to_bytes();
    assert!(read == body(1));
    assert_eq!(store.seal(&growing).await.expect("what is there can be finished").size, 5);
    store.delete(&old).await.expect("deleting makes room");
    let _ = std::fs::remove_dir_all(root);
}
