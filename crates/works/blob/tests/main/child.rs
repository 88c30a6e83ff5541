//! Processes that are killed, or that may not write as much as they want.

use crate::place::{Directory, get, key, md5, noise, project, put};
use blob::{Durability, Error, Key, Store};
use model::ProjectRef;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use uuid::Uuid;

const ROOT: &str = "BLOB_TEST_ROOT";

/// Runs a test of this file that is ignored otherwise, in a process of its own, after this piece of shell.
fn child(test: &str, root: &Path, before: &str) -> Child {
    let script = format!("{before} exec \"$0\" --exact child::{test} --ignored --nocapture --test-threads 1");
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(program).env(ROOT, root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
}

fn root() -> PathBuf {
    std::env::var_os(ROOT).unwrap().into()
}

/// What a body is made of follows from its name, so that whoever finds it knows whether it is whole.
fn content(key: &Key) -> bytes::Bytes {
    let number = key.version().as_u128();
    noise((number % 1_500_000) as usize, (number >> 64) as u64)
}

fn owner() -> ProjectRef {
    project("k")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is killed by another test"]
async fn writes_until_it_is_killed() {
    let store = Store::disk(root(), Durability::Fsync).await.unwrap();
    loop {
        let writers = (0..8).map(|at| {
            let (store, key) = (store.clone(), key(&owner()));
            tokio::spawn(async move {
                put(&store, &key, &content(&key), 1000 + 30_000 * at).await;
                // A line goes out as one piece.
                println!("done {}", key.version());
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_there_is_all_of_a_body_or_nothing() {
    let directory = Directory::new();
    let root = directory.path().join("files");
    let mut said = Vec::new();
    for round in 1..4 {
        let mut child = child("writes_until_it_is_killed", &root, "");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let done = lines.filter_map(|line| {
            line.ok()?.split_once("done ").and_then(|(_, version)| version.trim().parse::<Uuid>().ok())
        });
        said.extend(done.take(7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = directory.store().await;
        let found = store.list(&owner(), None, 10_000).await.unwrap();
        for body in &found {
            assert!(get(&store, &body.key, None).await.unwrap() == content(&body.key), "{}", body.key);
        }
        for version in &said {
            let key = Key::new(&owner(), *version);
            assert!(found.iter().any(|found| found.key == key), "{key} was said to be there");
        }
        let elsewhere = directory.files().into_iter().filter(|name| !name.starts_with(".temporary/"));
        assert_eq!(elsewhere.count(), found.len(), "no file lies where it does not belong");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the limit on files that another test sets"]
async fn meets_the_limit() {
    let store = Store::disk(root(), Durability::Fsync).await.unwrap();
    let (small, large) = (key(&owner()), key(&owner()));
    put(&store, &small, &noise(100_000, 1), 10_000).await;
    for piece in [10_000, 4_000_000] {
        let mut writer = store.write(&large).await.unwrap();
        let bytes = noise(4_000_000, 1);
        let pushed = async {
            for at in (0..bytes.len()).step_by(piece) {
                writer.push(bytes.slice(at..bytes.len().min(at + piece))).await?;
            }
            writer.finish().await
        };
        assert!(matches!(pushed.await, Err(Error::Full)));
    }
    let mut appender = store.append(&large, 0).await.unwrap();
    let appended = async {
        appender.push(noise(4_000_000, 1)).await?;
        appender.sync().await
    };
    assert!(matches!(appended.await, Err(Error::Full)));
    store.discard(&large).await.unwrap();
    let parts = vec![small.clone(); 20];
    assert!(matches!(store.concat(&parts, &large).await, Err(Error::Full)));
    assert!(matches!(store.read(&large, None).await, Err(Error::NotFound)));
    assert_eq!(get(&store, &small, None).await.unwrap(), noise(100_000, 1));
    println!("met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_leaves_nothing() {
    let directory = Directory::new();
    // The limit is said as an error, not by killing the process, when nobody listens to the signal.
    let limited = child("meets_the_limit", &directory.path().join("files"), "trap '' XFSZ; ulimit -f 2000;");
    let output = limited.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("met"), "{said}");
    assert_eq!(directory.files().len(), 1, "{:?}", directory.files());
    let store = directory.store().await;
    let found = store.list(&owner(), None, 10).await.unwrap();
    assert_eq!(md5(&get(&store, &found[0].key, None).await.unwrap()), md5(&noise(100_000, 1)));
}
