//! Objects that are overwritten while somebody reads them.

use crate::world::{dedicated, role};
use serde_json::json;

/// Has whoever tries to write the object `held` wait for a lock.
const HOLD: &str = "
    create function public.hold() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;
    create trigger hold before insert on storage.objects
      for each row when (new.name = 'held') execute function public.hold();";
const WAITING: &str = "select 1 from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
    and database = (select oid from pg_database where datname = current_database())";

#[tokio::test]
async fn a_source_that_is_overwritten_is_copied_as_it_is_then() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    world.upload("b/source", &service, "old", false).await.ok();
    let mut session = world.database.connect().await;
    session.batch(HOLD).await.unwrap();
    session.batch("select pg_advisory_lock(4711)").await.unwrap();
    let body = json!({ "bucketId": "b", "sourceKey": "source", "destinationKey": "held" });
    let (copied, ()) = tokio::join!(world.post("/object/copy", &service, body), async {
        // The copy knows its source, and asks whether it may be written.
        while session.query(WAITING, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        world.upload("b/source", &service, "new text", true).await.ok();
        session.batch("select pg_advisory_unlock(4711)").await.unwrap();
    });
    assert_eq!(copied.ok()["metadata"]["size"], 8);
    assert_eq!(&world.get("/object/b/held", &service).await.bytes[..], b"new text");
    assert_eq!(world.bodies(), 2);
}

#[tokio::test]
async fn a_source_whose_body_is_lost_is_not_found() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    world.upload("b/source", &service, "text", false).await.ok();
    world.lose_bodies();
    let body = json!({ "bucketId": "b", "sourceKey": "source", "destinationKey": "copy" });
    let refused = world.post("/object/copy", &service, body).await;
    assert_eq!(refused.refusal(), ("404".to_owned(), "NoSuchKey".to_owned()));
}
