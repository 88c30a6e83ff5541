//! What only a disk can get wrong.

use crate::place::{Directory, get, key, noise, project, put};
use crate::suite;
use blob::{Durability, Error, Store};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let directory = Directory::new();
    suite::all(&directory.store().await).await;
    assert_eq!(directory.files(), Vec::<String>::new(), "nothing is left behind");
    let lax = Store::disk(directory.path().join("lax"), Durability::PageCache).await.unwrap();
    suite::all(&lax).await;
}

#[tokio::test]
async fn a_body_lies_where_it_should_and_is_nobody_elses() {
    let directory = Directory::new();
    let store = directory.store().await;
    let (own, version) = (project("p"), "c0ffee00-1111-4222-8333-444455556666");
    let key = blob::Key::new(&own, version.parse().unwrap());
    put(&store, &key, &noise(300_000, 1), 10_000).await;
    let path = directory.path().join("files").join(own.as_str()).join("c0").join(version);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    for above in path.ancestors().skip(1).take(3) {
        assert_eq!(above.metadata().unwrap().permissions().mode() & 0o7777, 0o700, "{}", above.display());
    }
    let copy = crate::place::key(&own);
    store.copy(&key, &copy).await.unwrap();
    assert_eq!(path.metadata().unwrap().nlink(), 2, "a copy on disk costs no space");
}

#[tokio::test]
async fn a_copy_is_as_old_as_its_name() {
    let directory = Directory::new();
    let store = directory.store().await;
    let (own, old) = (project("p"), SystemTime::now() - Duration::from_secs(1_000_000));
    let (from, to) = (key(&own), key(&own));
    put(&store, &from, &noise(5, 1), 10).await;
    let path = directory.path().join("files").join(&directory.files()[0]);
    std::fs::File::open(path).unwrap().set_modified(old).unwrap();
    store.copy(&from, &to).await.unwrap();
    let found = store.list(&own, None, 10).await.unwrap();
    assert_eq!(found.len(), 2);
    for found in found {
        assert!(found.modified > old + Duration::from_secs(500_000), "the sweeper must not take it for old");
    }
}

#[tokio::test]
async fn no_link_leads_out() {
    let directory = Directory::new();
    let store = directory.store().await;
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::create_dir(directory.path().join("outside")).unwrap();
    let files = directory.path().join("files");
    // A body that is a link.
    let body = key(&project("p"));
    put(&store, &body, &noise(5, 1), 10).await;
    let path = files.join(&directory.files()[0]);
    std::fs::remove_file(&path).unwrap();
    symlink(&secret, &path).unwrap();
    assert!(matches!(store.read(&body, None).await, Err(Error::Io(_))));
    // A project that is a link.
    let own = project("x");
    symlink(directory.path().join("outside"), files.join(own.as_str())).unwrap();
    let mut writer = store.write(&key(&own)).await.unwrap();
    writer.push(noise(5, 1)).await.unwrap();
    assert!(matches!(writer.finish().await, Err(Error::Io(_))));
    assert!(matches!(store.append(&key(&own), 0).await, Err(Error::Io(_))));
    // Deleting removes the link and leaves alone what it points to.
    std::fs::write(directory.path().join("outside/kept"), "kept").unwrap();
    store.delete_project(&own).await.unwrap_err();
    store.delete_project(&project("p")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(std::fs::read_to_string(directory.path().join("outside/kept")).unwrap(), "kept");
}

#[tokio::test]
async fn a_start_removes_what_a_crash_left_behind() {
    let directory = Directory::new();
    let running = directory.store().await;
    let temporary = directory.path().join("files/.temporary");
    let left_behind = || {
        for (name, age) in [("new", 3600), ("old", 90_000)] {
            let file = std::fs::File::create(temporary.join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
    };
    left_behind();
    let second = directory.store().await;
    assert_eq!(directory.files(), [".temporary/new"], "another may be writing the new one");
    drop((running, second));
    left_behind();
    // A project whose deletion was cut short.
    std::fs::create_dir_all(temporary.join("gone-1/ab")).unwrap();
    for name in 0..1500 {
        std::fs::write(temporary.join(format!("gone-1/ab/{name}")), "x").unwrap();
    }
    let _alone = directory.store().await;
    assert!(!temporary.join("new").exists() && !temporary.join("old").exists());
    let removed = async {
        while temporary.join("gone-1").exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), removed).await.unwrap();
}

#[tokio::test]
async fn a_reader_keeps_what_it_began_to_read() {
    let directory = Directory::new();
    let store = directory.store().await;
    let (own, bytes) = (project("p"), noise(3_000_000, 1));
    let key = key(&own);
    put(&store, &key, &bytes, 100_000).await;
    let reading = store.read(&key, None).await.unwrap();
    store.delete(&key).await.unwrap();
    let got = http_body_util::BodyExt::collect(reading).await.unwrap().to_bytes();
    assert!(got == bytes);
    assert!(matches!(get(&store, &key, None).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_body_that_was_cut_is_an_error_and_not_a_short_answer() {
    let directory = Directory::new();
    let store = directory.store().await;
    let key = key(&project("p"));
    put(&store, &key, &noise(2_000_000, 1), 100_000).await;
    let reading = store.read(&key, None).await.unwrap();
    let path = directory.path().join("files").join(&directory.files()[0]);
    std::fs::File::options().write(true).open(path).unwrap().set_len(1_000_000).unwrap();
    assert!(http_body_util::BodyExt::collect(reading).await.is_err());
}

#[tokio::test]
async fn growth_goes_on_after_a_restart() {
    let directory = Directory::new();
    let (key, bytes) = (key(&project("p")), noise(2_000_000, 1));
    let mut appender = directory.store().await.append(&key, 0).await.unwrap();
    appender.push(bytes.slice(..900_000)).await.unwrap();
    assert_eq!(appender.sync().await.unwrap(), 900_000);
    let store = directory.store().await;
    assert_eq!(store.grown(&key).await.unwrap(), 900_000);
    let mut appender = store.append(&key, 900_000).await.unwrap();
    appender.push(bytes.slice(900_000..)).await.unwrap();
    appender.sync().await.unwrap();
    let written = directory.store().await.seal(&key).await.unwrap();
    assert_eq!(written.md5, crate::place::md5(&bytes));
    assert!(get(&store, &key, None).await.unwrap() == bytes);
}
