//! Writes whose answer is lost on the way from the database: nobody knows whether they were done.

use crate::client::Client;
use crate::world::dedicated;
use testkit::Relay;

#[tokio::test]
async fn a_part_keeps_its_body() {
    let mut world = dedicated().await;
    let relay = Relay::to(&world.database);
    world.through(&relay);
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let id = s3.send("POST", "/b/k?uploads", &[], b"").await.ok().one("UploadId").to_owned();
    let part = format!("/b/k?partNumber=1&uploadId={id}");
    s3.send("PUT", &part, &[], b"before it").await.ok();
    // What the row says of the part, and nothing else does.
    relay.lose_answer_to("9db120e8880f33acf4ddeb40892c390c");
    assert_eq!(s3.send("PUT", &part, &[], b"a part").await.status, 500);
    assert!(!relay.is_armed(), "the answer was lost");
    s3.post(&format!("/b/k?uploadId={id}"), "").await.ok();
    assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"a part");
}
