//! The cache on a real disk.

use bytes::Bytes;

use super::*;

const MOST: u64 = 1 << 20;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rowhouse-picture-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    async fn cache(&self, total: u64, each: u64) -> Cache {
        Cache::open(self.0.clone(), Budget { total, each }).await.expect("a cache")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn picture(fill: u8, length: usize) -> Rendered {
    Rendered { bytes: Bytes::from(vec![fill; length]), content_type: "image/webp" }
}

fn key(owner: &str, version: &str) -> Key {
    Key::new(owner, version, &Options::default())
}

#[tokio::test]
async fn what_is_put_is_there_also_after_a_restart() {
    let folder = Folder::new("restart");
    let cache = folder.cache(1 << 20, 1 << 20).await;
    assert_eq!(cache.get(&key("a", "1"), MOST).await, None);
    cache.put(&key("a", "1"), &picture(1, 100)).await;
    assert_eq!(cache.get(&key("a", "1"), MOST).await, Some(picture(1, 100)));
    assert_eq!(cache.get(&key("b", "1"), MOST).await, None, "another owner, another picture");
    std::fs::write(folder.0.join("unfinished/7"), "a crash").expect("write");
    let again = folder.cache(1 << 20, 1 << 20).await;
    assert_eq!(again.get(&key("a", "1"), MOST).await, Some(picture(1, 100)));
    assert_eq!(again.bytes(), 4096);
    assert!(!folder.0.join("unfinished/7").exists());
    assert_eq!(again.size(&key("a", "1")), Some(4096));
    assert_eq!(again.get(&key("a", "1"), 100).await, None, "no more is read than there is room for");
}

#[tokio::test]
async fn other_users_of_the_machine_see_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("private");
    std::fs::create_dir(&folder.0).expect("a folder");
    std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o755))
        .expect("of an earlier version");
    let cache = folder.cache(1 << 20, 1 << 20).await;
    let key = key("a", "1");
    cache.put(&key, &picture(1, 100)).await;
    let path = key.path(&folder.0);
    let owner = path.parent().expect("a folder").to_owned();
    for path in [folder.0.clone(), folder.0.join("unfinished"), owner, path] {
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path:?}");
    }
}

#[tokio::test]
async fn a_broken_file_is_a_miss_and_goes() {
    let folder = Folder::new("broken");
    let cache = folder.cache(1 << 20, 1 << 20).await;
    for (damage, name) in [(Some(3), "cut"), (Some(90), "short"), (None, "changed")] {
        let key = key("a", name);
        cache.put(&key, &picture(1, 100)).await;
        let path = key.path(&folder.0);
        let mut bytes = std::fs::read(&path).expect("read");
        match damage {
            Some(length) => bytes.truncate(length),
            None => *bytes.last_mut().expect("a byte") ^= 1,
        }
        std::fs::write(&path, bytes).expect("write");
        assert_eq!(cache.get(&key, MOST).await, None, "{name}");
        assert!(!path.exists(), "{name}");
        assert_eq!(cache.bytes(), 0);
    }
}

#[tokio::test]
async fn the_budget_holds_on_disk() {
    let folder = Folder::new("budget");
    let cache = folder.cache(4 * 4096, 2 * 4096).await;
    cache.put(&key("a", "large"), &picture(9, 3 * 4096)).await;
    assert_eq!(cache.bytes(), 0, "more than one owner may have");
    for version in ["1", "2", "3"] {
        cache.put(&key("a", version), &picture(1, 10)).await;
    }
    cache.put(&key("b", "1"), &picture(2, 10)).await;
    assert_eq!(cache.get(&key("a", "1"), MOST).await, None);
    assert!(!key("a", "1").path(&folder.0).exists());
    assert_eq!(cache.get(&key("b", "1"), MOST).await, Some(picture(2, 10)));
    let smaller = folder.cache(4096, 4096).await;
    assert_eq!(smaller.bytes(), 4096, "what is over a smaller budget goes at the start");
    smaller.forget("a").await;
    smaller.forget("b").await;
    assert_eq!(smaller.bytes(), 0);
    assert!(!key("b", "1").path(&folder.0).exists());
}
