//! Files that come along from another Supabase Storage, in a tree as that leaves it.

use crate::world::{World, dedicated, pooled, role, shard};
use blob::Source;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use storage::import::{Counts, Kind, Layout, News, Plan};
use tokio::sync::mpsc;

const V1: &str = "11111111-1111-4111-8111-111111111111";
const V2: &str = "22222222-2222-4222-8222-222222222222";
const V3: &str = "33333333-3333-4333-8333-333333333333";

/// The folder of a tenant, removed with its test.
struct Tree(PathBuf);

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Tree {
    fn new() -> Tree {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rowhouse-import-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Tree(path)
    }

    /// A file, with what the reference notes of it, changed so many seconds after the epoch.
    fn put(&self, path: &str, bytes: impl AsRef<[u8]>, notes: Option<(&str, &str)>, seconds: u64) -> &Tree {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        if let Some((kind, cache)) = notes {
            note(&path, "user.supabase.content-type", kind);
            note(&path, "user.supabase.cache-control", cache);
        }
        self
    }

    async fn source(&self) -> Source {
        Source::tree(self.0.clone()).await.unwrap()
    }
}

fn note(path: &Path, name: &str, value: &str) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, name, value.as_bytes(), flags).unwrap();
}

const ROWS: Plan =
    Plan { layout: Layout::Versions, create_rows: false, take_differing: false, check: false, jobs: 4 };
const CREATING: Plan = Plan { create_rows: true, ..ROWS };

/// Imports; what was counted, and what was told of each file.
async fn import(world: &World, tree: &Tree, plan: Plan) -> (Counts, Vec<(Kind, String)>) {
    let (sender, mut receiver) = mpsc::channel(8);
    let told = tokio::spawn(async move {
        let mut troubles = Vec::new();
        while let Some(news) = receiver.recv().await {
            if let News::Trouble { kind, name, detail } = news {
                assert!(!detail.is_empty());
                troubles.push((kind, name));
            }
        }
        troubles.sort_by(|a, b| a.1.cmp(&b.1));
        troubles
    });
    let counts = world.storage.import(&tree.source().await, plan, &sender).await.unwrap();
    drop(sender);
    (counts, told.await.unwrap())
}

/// A bucket with rows as a dump brings them: key, version, metadata.
async fn restore(world: &World, bucket: &str, rows: &[(&str, Option<&str>, Value)]) {
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": bucket, "public": true })).await.ok();
    let mut connection = world.database.connect().await;
    for (key, version, metadata) in rows {
        let version = version.map_or_else(pg::null, pg::text);
        let metadata = if metadata.is_null() { pg::null() } else { pg::text(metadata.to_string()) };
        let sql = "insert into storage.objects (bucket_id, name, version, metadata, user_metadata, owner_id) \
                   values ($1, $2, $3, $4::jsonb, '{\"mine\": 1}', 'somebody')";
        connection.query(sql, &[pg::text(bucket), pg::text(key), version, metadata]).await.unwrap();
    }
}

fn metadata(bytes: &str, mime: &str) -> Value {
    json!({
        "eTag": format!("\"{}\"", md5(bytes)), "size": bytes.len(), "mimetype": mime, "cacheControl": "max-age=7",
        "lastModified": "2024-05-06T07:08:09.000Z", "contentLength": bytes.len(), "httpStatusCode": 200
    })
}

fn md5(bytes: &str) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(bytes))
}

/// Version and metadata of a row.
async fn row(world: &World, key: &str) -> (Option<String>, Value) {
    let sql = "select version, metadata from storage.objects where name = $1";
    let rows = world.database.connect().await.query(sql, &[pg::text(key)]).await.unwrap();
    let row = rows.one().unwrap();
    (row.text(0).map(str::to_owned), row.json(1).unwrap())
}

async fn text(world: &World, path: &str) -> String {
    let answer = world.get(&format!("/object/authenticated/{path}"), &role("service_role")).await;
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn rows_get_their_bodies_and_what_they_lack() {
    let world = dedicated().await;
    let tree = Tree::new();
    tree.put(&format!("docs/a b.txt/{V1}"), "first", Some(("text/x", "max-age=1")), 9)
        .put(&format!("docs/a b.txt/{V3}"), "an older version", None, 1)
        .put(&format!("docs/deep/er/{V2}"), "second", Some(("text/y", "60")), 9)
        .put("docs/old.png", "no version", None, 9)
        .put("docs/odd/v-7", "odd version", None, 9)
        .put(&format!("docs/flat.txt-$v-{V3}"), "flat", None, 9);
    let whole = metadata("first", "text/x");
    let rows = [
        ("a b.txt", Some(V1), whole.clone()),
        ("deep/er", Some(V2), json!({ "size": 6 })),
        ("old.png", None, Value::Null),
        ("odd", Some("v-7"), json!({})),
        ("flat.txt", Some(V3), metadata("flat", "text/plain")),
    ];
    restore(&world, "docs", &rows).await;
    let check = import(&world, &tree, Plan { check: true, ..ROWS }).await.0;
    assert_eq!((check.rows, check.copied, check.bytes), (5, 5, 5 + 6 + 10 + 11 + 4));
    assert_eq!(world.bodies(), 0, "a check writes nothing");

    let (counts, troubles) = import(&world, &tree, ROWS).await;
    assert_eq!(troubles, []);
    assert!(counts.is_whole());
    assert_eq!((counts.rows, counts.copied, counts.there, counts.filled), (5, 5, 0, 3));
    assert_eq!(row(&world, "a b.txt").await, (Some(V1.to_owned()), whole));
    assert_eq!(text(&world, "docs/a%20b.txt").await, "first");
    let (version, filled) = row(&world, "deep/er").await;
    assert_eq!(version.as_deref(), Some(V2));
    assert_eq!((&filled["mimetype"], &filled["cacheControl"]), (&json!("text/y"), &json!("max-age=60")));
    assert_eq!(filled["eTag"], format!("\"{}\"", md5("second")));
    assert_eq!(text(&world, "docs/deep/er").await, "second");
    let (version, filled) = row(&world, "old.png").await;
    assert_eq!(version.unwrap().len(), 36);
    assert_eq!((&filled["mimetype"], &filled["size"]), (&json!("image/png"), &json!(10)));
    assert_eq!(text(&world, "docs/old.png").await, "no version");
    assert_eq!(text(&world, "docs/odd").await, "odd version");
    assert_eq!(text(&world, "docs/flat.txt").await, "flat");

    fs::remove_dir_all(tree.0.join("docs")).unwrap();
    let (again, troubles) = import(&world, &tree, ROWS).await;
    assert_eq!(
        (again.rows, again.there, again.copied, troubles.len()),
        (5, 5, 0, 0),
        "the source is not asked again"
    );
    assert_eq!(world.bodies(), 5);
}

#[tokio::test]
async fn what_is_missing_or_other_is_told_by_name_and_left_alone() {
    let world = dedicated().await;
    let tree = Tree::new();
    tree.put(&format!("docs/short/{V1}"), "cut of", None, 1).put(
        &format!("docs/other/{V2}"),
        "xxxxx",
        None,
        1,
    );
    fs::write(tree.0.join("outside"), "secret").unwrap();
    fs::create_dir_all(tree.0.join("docs/link")).unwrap();
    std::os::unix::fs::symlink(tree.0.join("outside"), tree.0.join("docs/link").join(V3)).unwrap();
    let rows = [
        ("short", Some(V1), metadata("cut off", "text/x")),
        ("other", Some(V2), metadata("first", "text/x")),
        ("link", Some(V3), json!({})),
        ("../../outside", None, json!({})),
    ];
    restore(&world, "docs", &rows).await;
    let (counts, troubles) = import(&world, &tree, ROWS).await;
    let named = |kind, name: &str| (kind, format!("docs/{name}"));
    let expected = [
        named(Kind::Missing, "../../outside"),
        named(Kind::Missing, "link"),
        named(Kind::Differing, "other"),
        named(Kind::Differing, "short"),
    ];
    assert_eq!(troubles, expected);
    assert_eq!((counts.missing, counts.differing, counts.copied, counts.is_whole()), (2, 2, 0, false));
    assert_eq!(world.bodies(), 0);
    assert_eq!(row(&world, "short").await.1, metadata("cut off", "text/x"));

    let (counts, troubles) = import(&world, &tree, Plan { take_differing: true, ..ROWS }).await;
    assert_eq!((counts.copied, counts.differing, troubles.len()), (2, 0, 2));
    assert_eq!(text(&world, "docs/short").await, "cut of");
    let now = row(&world, "other").await.1;
    assert_eq!((&now["eTag"], &now["mimetype"]), (&json!(format!("\"{}\"", md5("xxxxx"))), &json!("text/x")));
}

#[tokio::test]
async fn rows_are_made_of_what_lies_there() {
    let world = dedicated().await;
    let tree = Tree::new();
    let half = json!({ "id": "x", "size": 100 }).to_string();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    tree.put(&format!("new-bucket/k/{V1}"), "older", None, 100)
        .put(&format!("new-bucket/k/{V2}"), "newest", Some(("text/x", "max-age=9")), 200)
        .put(&format!("new-bucket/k/{V3}"), "begun", None, 300)
        .put(&format!("new-bucket/k/{V3}.json"), half, None, 300)
        .put(&format!("new-bucket/k/in/picture/{V1}"), png, None, 100)
        .put(&format!("taken/theirs/{V1}"), "of the tree", None, 100)
        .put(&format!("bad#bucket/x/{V1}"), "x", None, 1)
        .put("new-bucket/ä.txt", "x", None, 1);
    std::os::unix::fs::symlink("/etc", tree.0.join("new-bucket/etc")).unwrap();
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "taken", "public": true })).await.ok();
    world.upload("taken/theirs", &service, "of a user", false).await.ok();

    let (counts, troubles) = import(&world, &tree, Plan { check: true, ..CREATING }).await;
    assert_eq!((counts.created, troubles.len(), world.bodies()), (2, 3, 1));
    let (counts, troubles) = import(&world, &tree, CREATING).await;
    let skipped = ["bad#bucket/x".to_owned(), "new-bucket/etc".to_owned(), "new-bucket/ä.txt".to_owned()];
    assert_eq!(troubles, skipped.map(|name| (Kind::Skipped, name)));
    // The same version as the picture's lies under `k`, too; it was not taken there.
    assert_eq!((counts.created, counts.copied, counts.superseded, counts.unfinished), (2, 2, 1, 1));
    assert_eq!(text(&world, "new-bucket/k").await, "newest");
    assert_eq!(text(&world, "taken/theirs").await, "of a user");
    let (version, said) = row(&world, "k").await;
    assert_eq!((version.as_deref(), &said["mimetype"]), (Some(V2), &json!("text/x")));
    assert_eq!(
        (&said["lastModified"], &said["cacheControl"]),
        (&json!("1970-01-01T00:03:20.000Z"), &json!("max-age=9"))
    );
    assert_eq!(row(&world, "k/in/picture").await.1["mimetype"], "image/png");
    let bucket = world.get("/bucket/new-bucket", &service).await.ok();
    assert_eq!((&bucket["public"], &bucket["name"]), (&json!(false), &json!("new-bucket")));

    let (again, _) = import(&world, &tree, CREATING).await;
    assert_eq!((again.rows, again.there, again.created, again.copied), (3, 3, 0, 0));
    assert_eq!(world.bodies(), 3);
}

#[tokio::test]
async fn a_plain_tree_fills_rows_and_makes_them() {
    let world = dedicated().await;
    let tree = Tree::new();
    let by_version = format!("b/folder/{V2}");
    tree.put("b/row.txt", "row", None, 1).put("b/more/new.css", "new", None, 1).put(
        &by_version,
        "x",
        None,
        1,
    );
    restore(&world, "b", &[("row.txt", Some(V1), metadata("row", "text/x"))]).await;
    let (counts, _) = import(&world, &tree, Plan { layout: Layout::Plain, ..CREATING }).await;
    assert_eq!((counts.copied, counts.created, counts.is_whole()), (3, 2, true));
    assert_eq!(row(&world, "row.txt").await.0.as_deref(), Some(V1));
    assert_eq!(row(&world, "more/new.css").await.1["mimetype"], "text/css; charset=utf-8");
    assert_eq!(text(&world, &by_version).await, "x");
}

#[tokio::test]
async fn an_import_that_ends_anywhere_is_done_again() {
    let world = dedicated().await;
    let tree = Tree::new();
    let key = |n: usize| format!("k{n:02}");
    let version = |n: usize| format!("00000000-0000-4000-8000-0000000000{n:02}");
    for n in 0..40 {
        tree.put(&format!("b/{}/{}", key(n), version(n)), format!("body {n}").repeat(20_000), None, 1);
    }
    for ends_after in [0_u64, 1, 7, 20] {
        let (sender, mut receiver) = mpsc::channel(8);
        let source = tree.source().await;
        let all = world.storage.import(&source, Plan { jobs: 3, ..CREATING }, &sender);
        tokio::pin!(all);
        // Dropped as soon as so many are through: what is on its way is cut off.
        loop {
            tokio::select! {
                done = &mut all => panic!("it ended: {done:?}"),
                _ = receiver.recv() => {}
                () = tokio::task::yield_now() => {}
            }
            let made = world
                .database
                .connect()
                .await
                .query("select count(*) from storage.objects", &[])
                .await
                .unwrap();
            if made.one().unwrap().get::<u64>(0).unwrap() >= ends_after {
                break;
            }
        }
    }
    // Every row that was made by then has its body.
    let before = import(&world, &tree, ROWS).await.0;
    assert!(before.is_whole() && before.rows == before.there && before.rows < 40, "{before:?}");
    let (counts, troubles) = import(&world, &tree, CREATING).await;
    assert_eq!((troubles.len(), counts.rows + counts.created), (0, 40));
    for n in 0..40 {
        assert_eq!(text(&world, &format!("b/{}", key(n))).await, format!("body {n}").repeat(20_000));
    }
    assert_eq!(world.bodies(), 40, "nothing is left over");
}

#[tokio::test]
async fn who_writes_meanwhile_wins() {
    let world = dedicated().await;
    let tree = Tree::new();
    tree.put(&format!("b/gone/{V1}"), "old", None, 1).put("b/written", "old", None, 1);
    restore(&world, "b", &[("gone", Some(V1), json!({})), ("written", None, json!({}))]).await;
    // The rows change between the look at them and the word of the import: as late as can be.
    let sql = "create function late() returns trigger language plpgsql as $$ begin
        if new.version is distinct from old.version or old.version = '11111111-1111-4111-8111-111111111111' then
          return null;
        end if;
        return new; end $$;
      create trigger late before update on storage.objects for each row execute function late()";
    world.database.connect().await.batch(sql).await.unwrap();
    let (counts, troubles) = import(&world, &tree, ROWS).await;
    assert_eq!((counts.changed, counts.copied, troubles.len()), (2, 0, 0));
    assert_eq!(world.bodies(), 0, "bodies that no row takes are removed");
}

#[tokio::test]
async fn two_keys_of_one_version_keep_their_own_bytes() {
    let (world, tree) = (dedicated().await, Tree::new());
    for (key, text) in [("one", "same length"), ("other", "other bytes"), ("third", "same length")] {
        tree.put(&format!("b/{key}/{V1}"), text, None, 1);
    }
    let (counts, troubles) = import(&world, &tree, Plan { jobs: 1, ..CREATING }).await;
    assert_eq!((counts.created, troubles.len()), (3, 0));
    assert_eq!(text(&world, "b/one").await, "same length");
    assert_eq!(text(&world, "b/other").await, "other bytes");
    assert_eq!(text(&world, "b/third").await, "same length");
    let versions = "select count(distinct version) from storage.objects";
    let rows = world.database.connect().await.query(versions, &[]).await.unwrap();
    assert_eq!(rows.one().unwrap().get::<u64>(0).unwrap(), 3);
}

#[tokio::test]
async fn pooled_projects_import_each_for_itself() {
    let shard = shard().await;
    let (one, other) = (pooled(&shard, 91).await, pooled(&shard, 92).await);
    let tree = Tree::new();
    tree.put(&format!("b/k/{V1}"), "mine", None, 1).put("b/new.txt", "made", None, 1);
    let service = role("service_role");
    one.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    let sql = "insert into storage.objects (app_id, bucket_id, name, version) values (91, 'b', 'k', $1)";
    one.database.connect().await.query(sql, &[pg::text(V1)]).await.unwrap();
    let (counts, troubles) = import(&one, &tree, CREATING).await;
    assert_eq!((counts.rows, counts.copied, counts.created, troubles.len()), (1, 2, 1, 0));
    assert_eq!(
        (text(&one, "b/k").await, text(&one, "b/new.txt").await),
        ("mine".to_owned(), "made".to_owned())
    );
    assert_eq!(other.get("/bucket", &service).await.ok(), json!([]));
    let (counts, _) = import(&other, &tree, ROWS).await;
    assert_eq!(counts.rows, 0, "the rows of others are not seen");
    let (counts, _) = import(&other, &tree, CREATING).await;
    assert_eq!(counts.created, 2);
    assert_eq!(text(&other, "b/k").await, "mine");
    assert_eq!(text(&one, "b/k").await, "mine");
}

#[tokio::test]
async fn an_import_ends_when_nobody_listens() {
    let (world, tree) = (dedicated().await, Tree::new());
    restore(&world, "b", &[("k", Some(V1), json!({}))]).await;
    let (sender, receiver) = mpsc::channel(8);
    drop(receiver);
    let ended = world.storage.import(&tree.source().await, ROWS, &sender).await;
    assert_eq!(ended.unwrap_err(), "nobody listens any more");
}
