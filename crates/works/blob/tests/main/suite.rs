//! What every place must do.

use crate::place::{get, key, md5, noise, project, put};
use blob::{Error, Key, Store};
use bytes::Bytes;
use http_body::Body;
use model::ProjectRef;

/// Sizes around every border inside: of a read in one call, a write in one call, a piece, a part.
const SIZES: [usize; 12] = [
    0,
    1,
    65_535,
    65_536,
    65_537,
    262_143,
    262_144,
    262_145,
    524_289,
    1_048_576,
    5 * 1024 * 1024 + 1,
    17_000_000,
];

/// Runs everything in a place of its own.
pub async fn all(store: &Store) {
    let own = project("s");
    write_and_read(store, &own).await;
    ranges(store, &own).await;
    missing(store, &own).await;
    given_up(store, &own).await;
    copies(store, &own).await;
    concatenation(store, &own).await;
    growth(store, &own).await;
    growth_is_exclusive_and_exact(store, &own).await;
    growth_taken_back(store, &own).await;
    lists(store).await;
    projects(store).await;
}

async fn write_and_read(store: &Store, own: &ProjectRef) {
    for (at, size) in SIZES.into_iter().enumerate() {
        let bytes = noise(size, at as u64 + 1);
        for piece in [1_000_000_000, 16_384, 700] {
            if piece == 700 && size > 600_000 {
                continue;
            }
            let key = key(own);
            let written = put(store, &key, &bytes, piece).await;
            assert_eq!(written.size, size as u64, "{size} in {piece}");
            assert_eq!(written.md5, md5(&bytes), "{size} in {piece}");
            assert_eq!(store.size(&key).await.unwrap(), size as u64);
            let reading = store.read(&key, None).await.unwrap();
            assert_eq!(reading.size(), size as u64);
            assert_eq!(reading.size_hint().exact(), Some(size as u64));
            assert_eq!(reading.is_end_stream(), size == 0);
            drop(reading);
            assert!(get(store, &key, None).await.unwrap() == bytes, "{size} in {piece}");
            store.delete(&key).await.unwrap();
        }
    }
}

async fn ranges(store: &Store, own: &ProjectRef) {
    let (key, bytes) = (key(own), noise(3_000_000, 7));
    put(store, &key, &bytes, 100_000).await;
    for (start, end) in [
        (0, 1),
        (0, 3_000_000),
        (2_999_999, 3_000_000),
        (65_000, 66_000),
        (100, 65_636),
        (100, 65_637),
        (1_234_567, 2_345_678),
    ] {
        let reading = store.read(&key, Some(start..end)).await.unwrap();
        assert_eq!(reading.size(), 3_000_000);
        assert_eq!(reading.left(), end - start);
        let got = get(store, &key, Some(start..end)).await.unwrap();
        assert!(got == bytes.slice(start as usize..end as usize), "{start}..{end}");
    }
    for (start, end) in [(0, 3_000_001), (3_000_001, 3_000_002)] {
        let wrong = store.read(&key, Some(start..end)).await;
        assert!(matches!(wrong, Err(Error::Range)), "{start}..{end}: {wrong:?}");
    }
    let nothing = get(store, &key, Some(5..5)).await.unwrap();
    assert!(nothing.is_empty());
    store.delete(&key).await.unwrap();
}

async fn missing(store: &Store, own: &ProjectRef) {
    let (key, other) = (key(own), key(own));
    assert!(matches!(store.read(&key, None).await, Err(Error::NotFound)));
    assert!(matches!(store.read(&key, Some(0..1)).await, Err(Error::NotFound)));
    assert!(matches!(store.size(&key).await, Err(Error::NotFound)));
    assert!(matches!(store.copy(&key, &other).await, Err(Error::NotFound)));
    assert!(matches!(store.concat(std::slice::from_ref(&key), &other).await, Err(Error::NotFound)));
    assert!(matches!(store.grown(&key).await, Err(Error::NotFound)));
    assert!(matches!(store.append(&key, 5).await, Err(Error::NotFound)));
    assert!(matches!(store.seal(&key).await, Err(Error::NotFound)));
    store.delete(&key).await.unwrap();
    store.discard(&key).await.unwrap();
    store.delete_project(&project("q")).await.unwrap();
    assert!(matches!(store.read(&other, None).await, Err(Error::NotFound)));
}

async fn given_up(store: &Store, own: &ProjectRef) {
    for size in [10, 400_000, 12_000_000] {
        let key = key(own);
        let mut writer = store.write(&key).await.unwrap();
        writer.push(noise(size, 3)).await.unwrap();
        drop(writer);
        assert!(matches!(store.read(&key, None).await, Err(Error::NotFound)), "{size}");
    }
}

async fn copies(store: &Store, own: &ProjectRef) {
    for size in [0, 100, 1_500_000] {
        let (from, to, bytes) = (key(own), key(&project("t")), noise(size, 9));
        put(store, &from, &bytes, 50_000).await;
        store.copy(&from, &to).await.unwrap();
        store.delete(&from).await.unwrap();
        assert!(matches!(store.read(&from, None).await, Err(Error::NotFound)));
        assert!(get(store, &to, None).await.unwrap() == bytes);
        store.delete(&to).await.unwrap();
    }
}

async fn concatenation(store: &Store, own: &ProjectRef) {
    let sizes = [5 * 1024 * 1024, 0, 1, 300_000, 6_000_000, 65_536];
    let (mut parts, mut whole) = (Vec::new(), Vec::new());
    for (at, size) in sizes.into_iter().enumerate() {
        let (key, bytes) = (key(own), noise(size, at as u64 + 20));
        put(store, &key, &bytes, 1_000_000).await;
        parts.push(key);
        whole.extend_from_slice(&bytes);
    }
    for count in [0, 1, 3, sizes.len()] {
        let (to, length) = (key(own), sizes[..count].iter().sum::<usize>());
        let written = store.concat(&parts[..count], &to).await.unwrap();
        assert_eq!(written.size, length as u64);
        assert_eq!(written.md5, md5(&whole[..length]));
        assert!(get(store, &to, None).await.unwrap() == whole[..length]);
        store.delete(&to).await.unwrap();
    }
    for part in &parts {
        assert!(store.size(part).await.is_ok(), "the parts stay");
        store.delete(part).await.unwrap();
    }
}

/// Appends, in pushes of this size; returns the new length.
async fn append(store: &Store, key: &Key, offset: u64, bytes: &Bytes, piece: usize) -> u64 {
    let mut appender = store.append(key, offset).await.unwrap();
    for at in (0..bytes.len()).step_by(piece) {
        appender.push(bytes.slice(at..bytes.len().min(at + piece))).await.unwrap();
    }
    appender.sync().await.unwrap()
}

async fn growth(store: &Store, own: &ProjectRef) {
    for lengths in [vec![0], vec![10], vec![0, 5, 0, 7], vec![6_291_456, 6_291_456, 100], vec![700_000; 5]] {
        let (key, mut whole) = (key(own), Vec::new());
        for (at, length) in lengths.iter().enumerate() {
            let bytes = noise(*length, at as u64 + 40);
            let grown = append(store, &key, whole.len() as u64, &bytes, 60_000).await;
            whole.extend_from_slice(&bytes);
            assert_eq!(grown, whole.len() as u64, "{lengths:?}");
            assert_eq!(store.grown(&key).await.unwrap(), grown, "{lengths:?}");
            assert!(matches!(store.read(&key, None).await, Err(Error::NotFound)), "not before it is sealed");
        }
        let written = store.seal(&key).await.unwrap();
        assert_eq!((written.size, written.md5), (whole.len() as u64, md5(&whole)), "{lengths:?}");
        assert!(matches!(store.grown(&key).await, Err(Error::NotFound)));
        assert_eq!(store.seal(&key).await.unwrap(), written, "again");
        assert!(get(store, &key, None).await.unwrap() == whole, "{lengths:?}");
        store.delete(&key).await.unwrap();
    }
}

async fn growth_is_exclusive_and_exact(store: &Store, own: &ProjectRef) {
    let key = key(own);
    append(store, &key, 0, &noise(1000, 1), 300).await;
    for wrong in [0, 999, 1001] {
        let refused = store.append(&key, wrong).await;
        assert!(matches!(refused, Err(Error::Offset { length: 1000 })), "{wrong}: {refused:?}");
    }
    let held = store.append(&key, 1000).await.unwrap();
    assert!(matches!(store.append(&key, 1000).await, Err(Error::Busy)));
    assert!(matches!(store.seal(&key).await, Err(Error::Busy)));
    drop(held);
    append(store, &key, 1000, &noise(500, 2), 300).await;
    store.discard(&key).await.unwrap();
    assert!(matches!(store.grown(&key).await, Err(Error::NotFound)));
    assert!(matches!(store.append(&key, 1500).await, Err(Error::NotFound)));
    assert!(matches!(store.seal(&key).await, Err(Error::NotFound)));
}

async fn growth_taken_back(store: &Store, own: &ProjectRef) {
    for before in [0, 1000] {
        let key = key(own);
        let start = noise(before, 1);
        append(store, &key, 0, &start, 300).await;
        // More than one piece or part, so that some of it has been written.
        for length in [10, 17_000_000] {
            let mut appender = store.append(&key, before as u64).await.unwrap();
            let bytes = noise(length, 2);
            for at in (0..length).step_by(60_000) {
                appender.push(bytes.slice(at..length.min(at + 60_000))).await.unwrap();
            }
            assert_eq!(appender.undo().await.unwrap(), before as u64);
            assert_eq!(store.grown(&key).await.unwrap(), before as u64);
        }
        let rest = noise(5000, 3);
        append(store, &key, before as u64, &rest, 700).await;
        let whole = Bytes::from([&start[..], &rest[..]].concat());
        let written = store.seal(&key).await.unwrap();
        assert_eq!((written.size, written.md5), (whole.len() as u64, md5(&whole)));
        assert!(get(store, &key, None).await.unwrap() == whole);
        store.delete(&key).await.unwrap();
    }
}

async fn lists(store: &Store) {
    let (own, other) = (project("l"), project("m"));
    let mut keys: Vec<Key> = (0..25).map(|_| key(&own)).collect();
    for key in &keys {
        put(store, key, &noise(key.version().as_bytes()[3] as usize, 1), 1000).await;
    }
    put(store, &key(&other), &noise(5, 1), 1000).await;
    append(store, &key(&own), 0, &noise(50, 1), 1000).await;
    keys.sort_by_key(Key::version);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&own, after.as_ref(), 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for found in page {
            assert_eq!(found.size, u64::from(found.key.version().as_bytes()[3]));
            assert!(found.modified.elapsed().unwrap_or_default().as_secs() < 600);
            seen.push(found.key);
        }
    }
    assert_eq!(seen, keys);
    let growing = store.list_growing(&own, None, 10).await.unwrap();
    assert_eq!(growing.iter().map(|found| found.size).collect::<Vec<_>>(), [50]);
    assert!(store.list_growing(&own, Some(&growing[0].key), 10).await.unwrap().is_empty());
    assert!(store.list(&project("n"), None, 10).await.unwrap().is_empty());
    store.delete_project(&own).await.unwrap();
    store.delete_project(&other).await.unwrap();
}

async fn projects(store: &Store) {
    let (gone, stays) = (project("g"), project("h"));
    let kept = key(&stays);
    put(store, &kept, &noise(70_000, 1), 10_000).await;
    let keys: Vec<Key> = (0..5).map(|_| key(&gone)).collect();
    for key in &keys {
        put(store, key, &noise(10, 1), 10).await;
    }
    let growing = key(&gone);
    append(store, &growing, 0, &noise(50, 1), 1000).await;
    store.delete_project(&gone).await.unwrap();
    for key in &keys {
        assert!(matches!(store.read(key, None).await, Err(Error::NotFound)));
    }
    assert!(matches!(store.grown(&growing).await, Err(Error::NotFound)));
    assert_eq!(store.size(&kept).await.unwrap(), 70_000);
    store.delete_project(&gone).await.unwrap();
    store.delete_project(&stays).await.unwrap();
}
