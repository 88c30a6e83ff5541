//! Uploads in parts that nobody goes on with, and how many may be open.

use crate::client::{Answer, Client};
use crate::world::{World, dedicated, dedicated_with, pooled, pooled_with, shard};

async fn bucket(world: &World) -> Client<'_> {
    let s3 = Client::of(world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    s3
}

async fn asked(s3: &Client<'_>, key: &str) -> Answer {
    s3.send("POST", &format!("/b/{key}?uploads"), &[], b"").await
}

async fn begun(s3: &Client<'_>, key: &str) -> String {
    asked(s3, key).await.ok().one("UploadId").to_owned()
}

async fn part(s3: &Client<'_>, key: &str, id: &str, number: u32) -> Answer {
    s3.send("PUT", &format!("/b/{key}?partNumber={number}&uploadId={id}"), &[], b"part").await
}

/// Has an upload been begun eight days ago.
async fn age(world: &World, id: &str) {
    let mut session = world.database.connect().await;
    let sql = "update storage.s3_multipart_uploads set created_at = now() - interval '8 days' where id = $1";
    assert_eq!(session.query(sql, &[pg::text(id)]).await.unwrap().affected(), 1);
}

async fn sweep(world: &World) -> (u64, u64) {
    let swept = world.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    (swept.uploads, swept.bodies)
}

#[tokio::test]
async fn uploads_left_behind_are_swept() {
    for world in [dedicated().await, pooled(&shard().await, 1).await] {
        let s3 = bucket(&world).await;
        let [left, empty, resumed, young] = [
            begun(&s3, "left").await,
            begun(&s3, "empty").await,
            begun(&s3, "resumed").await,
            begun(&s3, "young").await,
        ];
        part(&s3, "left", &left, 1).await.ok();
        part(&s3, "left", &left, 2).await.ok();
        part(&s3, "resumed", &resumed, 1).await.ok();
        part(&s3, "young", &young, 1).await.ok();
        for id in [&left, &empty, &resumed] {
            age(&world, id).await;
        }
        part(&s3, "resumed", &resumed, 2).await.ok();
        assert_eq!(sweep(&world).await, (2, 2));
        assert_eq!(world.bodies().await, 3);
        assert_eq!(part(&s3, "left", &left, 3).await.refusal(), (404, "NoSuchUpload"));
        assert_eq!(s3.post(&format!("/b/empty?uploadId={empty}"), "").await.refusal(), (404, "NoSuchUpload"));
        for (key, id, bytes) in [("resumed", &resumed, "partpart"), ("young", &young, "part")] {
            s3.post(&format!("/b/{key}?uploadId={id}"), "").await.ok();
            assert_eq!(s3.get(&format!("/b/{key}")).await.ok().text(), bytes);
        }
        assert_eq!(sweep(&world).await, (0, 0));
    }
}

#[tokio::test]
async fn more_are_left_behind_than_are_swept_at_a_time() {
    let world = dedicated().await;
    let s3 = bucket(&world).await;
    for number in 0..23 {
        let id = begun(&s3, &format!("k{number}")).await;
        part(&s3, &format!("k{number}"), &id, 1).await.ok();
        age(&world, &id).await;
    }
    assert_eq!(sweep(&world).await, (23, 23));
    assert_eq!(world.bodies().await, 0);
}

#[tokio::test]
async fn an_upload_that_is_written_to_is_not_swept() {
    let world = dedicated().await;
    let s3 = bucket(&world).await;
    let id = begun(&s3, "k").await;
    part(&s3, "k", &id, 1).await.ok();
    age(&world, &id).await;
    // As a part does when it is there, or a completion.
    let mut session = world.database.connect().await;
    session.batch("begin; select from storage.s3_multipart_uploads for update").await.unwrap();
    assert_eq!(sweep(&world).await, (0, 0));
    session.batch("rollback").await.unwrap();
    assert_eq!(sweep(&world).await, (1, 1));
}

#[tokio::test]
async fn only_so_many_are_open_at_a_time() {
    let world = dedicated_with(|settings| settings.open_multipart_max = 2).await;
    let s3 = bucket(&world).await;
    let first = begun(&s3, "a").await;
    let second = begun(&s3, "b").await;
    let refused = asked(&s3, "c").await;
    assert_eq!(refused.refusal(), (400, "TooManyUploads"));
    assert!(refused.one("Message").contains("complete or abort"), "{}", refused.text());
    s3.send("DELETE", &format!("/b/a?uploadId={first}"), &[], b"").await.ok();
    begun(&s3, "c").await;
    assert_eq!(asked(&s3, "d").await.refusal(), (400, "TooManyUploads"));
    part(&s3, "b", &second, 1).await.ok();
    s3.post(&format!("/b/b?uploadId={second}"), "").await.ok();
    begun(&s3, "d").await;
}

#[tokio::test]
async fn open_uploads_of_other_projects_do_not_count() {
    let shard = shard().await;
    let few = |settings: &mut storage::Settings| settings.open_multipart_max = 1;
    let (one, other) = (pooled_with(&shard, 1, few).await, pooled_with(&shard, 2, few).await);
    for world in [&one, &other] {
        let s3 = bucket(world).await;
        begun(&s3, "a").await;
        assert_eq!(asked(&s3, "b").await.refusal(), (400, "TooManyUploads"));
    }
}
