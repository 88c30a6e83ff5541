//! Requests that meet others on their way: what was so when they began is not so any more when they end.

use crate::world::{Own, dedicated, id, named, pooled, service, shard, token, token_for};
use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use http::Method;
use pg::{Connection, text};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(20);

async fn own() -> Own {
    let own = dedicated(|_| {}).await;
    own.bucket(json!({ "name": "b" })).await;
    own
}

/// Holds up whoever writes the object `b/k`.
async fn gate(own: &Own) -> Connection {
    let mut session = own.database.connect().await;
    let name = format!("{}/b/k", own.project);
    session.query("select pg_advisory_lock(hashtextextended($1, 0))", &[text(name)]).await.unwrap();
    session
}

async fn open(mut gate: Connection) {
    gate.query("select pg_advisory_unlock_all()", &[]).await.unwrap();
}

/// Waits until so many sessions of this database wait for a lock.
async fn waiting(own: &Own, count: i64) {
    let sql = "select count(*) from pg_locks as l join pg_stat_activity as a using (pid)
               where not l.granted and a.datname = current_database()";
    until(own, sql, &count.to_string()).await;
}

/// Waits until a query says this.
async fn until(own: &Own, sql: &str, wanted: &str) {
    let mut session = own.database.connect().await;
    let look = async {
        while session.query(sql, &[]).await.unwrap().first().and_then(|row| row.text(0)) != Some(wanted) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{sql} is never {wanted}"));
}

async fn count(own: &Own, sql: &str) -> String {
    let mut session = own.database.connect().await;
    session.query(sql, &[]).await.unwrap().first().unwrap().text(0).unwrap().to_owned()
}

/// As a holder that could not renew its lease in time leaves it.
async fn lose_leases(own: &Own) {
    own.sql("update storage.resumable_uploads set holder = null, held_until = null").await;
}

#[tokio::test]
async fn of_two_who_finish_an_upload_the_one_that_holds_it_does() {
    for upsert in ["false", "true"] {
        let (own, service, upsert) = (own().await, service(), [("x-upsert", upsert)]);
        let path = own.begin(&service, &named("b", "k"), 6).await;
        let gate = gate(&own).await;
        let (first, second) = tokio::join!(own.patch_with(&path, &service, 0, &upsert, "abcdef"), async {
            waiting(&own, 1).await;
            lose_leases(&own).await;
            let second = own.patch_with(&path, &service, 6, &upsert, "");
            let (second, ()) = tokio::join!(second, async {
                waiting(&own, 2).await;
                open(gate).await;
            });
            second
        });
        assert_eq!(first.said(), (503, "failed to acquire lock before timeout"));
        assert_eq!(second.header("tus-complete"), "1", "{second:?}");
        assert_eq!(own.object("b/k").await.text(), "abcdef");
        assert_eq!(own.bodies().await, (1, 0));
        let again = own.patch_with(&path, &service, 6, &[], "").await;
        assert_eq!(again.header("tus-complete"), "1", "who did not hear of it is told: {again:?}");
        assert_eq!(own.object("b/k").await.text(), "abcdef");
    }
}

#[tokio::test]
async fn an_upload_that_is_terminated_while_it_ends_makes_no_object() {
    let (own, service, upsert) = (own().await, service(), [("x-upsert", "true")]);
    let path = own.begin(&service, &named("b", "k"), 6).await;
    let gate = gate(&own).await;
    let (patched, ended) = tokio::join!(own.patch_with(&path, &service, 0, &upsert, "abcdef"), async {
        waiting(&own, 1).await;
        lose_leases(&own).await;
        let ended = own.tus(Method::DELETE, &path, &service, &upsert, Body::empty()).await;
        open(gate).await;
        ended
    });
    assert_eq!((patched.status, ended.status), (503, 204));
    assert_eq!(count(&own, "select count(*) from storage.objects").await, "0");
    assert_eq!(own.bodies().await, (0, 0));
}

#[tokio::test]
async fn who_ends_an_upload_keeps_it_though_others_ask_for_it() {
    let (own, service) = (own().await, service());
    let path = own.begin(&service, &named("b", "k"), 6).await;
    let gate = gate(&own).await;
    let (patched, ()) = tokio::join!(own.patch(&path, &service, 0, "abcdef"), async {
        waiting(&own, 1).await;
        for _ in 0..2 {
            own.sql(
                "update storage.resumable_uploads
                 set asked = true, held_until = clock_timestamp() - interval '1 hour'",
            )
            .await;
            until(&own, "select held_until > clock_timestamp() from storage.resumable_uploads", "t").await;
        }
        open(gate).await;
    });
    assert_eq!(patched.header("tus-complete"), "1", "{patched:?}");
}

/// A body of two pieces: `asked` says when the first is wanted, `go_on` when the second may come.
fn in_two(first: usize, asked: &Arc<Notify>, go_on: &Arc<Notify>) -> Body {
    let (asked, go_on) = (Arc::clone(asked), Arc::clone(go_on));
    Body::from_stream(stream::unfold(0, move |at| {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        async move {
            let piece = match at {
                0 => {
                    asked.notify_one();
                    Bytes::from(vec![b'x'; first])
                }
                1 => {
                    go_on.notified().await;
                    Bytes::from_static(b"x")
                }
                _ => return None,
            };
            Some((Ok::<_, std::io::Error>(piece), at + 1))
        }
    }))
}

/// An upload of 100,001 bytes that is asked for its second piece after something has happened.
async fn meanwhile(own: &Own, token: &str, happens: impl Future<Output = ()>) -> crate::world::Answer {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let headers = [("content-type", "text/plain"), ("x-upsert", "true")];
    let put = own.plain(Method::POST, "/object/b/k", token, &headers, in_two(100_000, &asked, &go_on));
    let (answer, ()) = tokio::join!(put, async {
        tokio::time::timeout(PATIENCE, asked.notified()).await.unwrap();
        happens.await;
        go_on.notify_one();
    });
    answer
}

#[tokio::test]
async fn a_right_that_is_gone_when_the_last_byte_comes_is_not_used() {
    let with_policies = own().await;
    with_policies
        .sql(
            "create policy see on storage.objects for select to authenticated using (true);
             create policy add on storage.objects for insert to authenticated with check (true);
             create policy own on storage.objects for update to authenticated
               using (owner_id = auth.uid()::text)",
        )
        .await;
    let with_access = pooled(&shard().await, 1).await;
    with_access.bucket(json!({ "name": "b" })).await;
    for own in [with_policies, with_access] {
        let (ann, mallory) = (token("authenticated", Some(1)), token("authenticated", Some(2)));
        let answer = meanwhile(&own, &mallory, async {
            let put =
                own.plain(Method::POST, "/object/b/k", &ann, &[("content-type", "text/plain")], "ann's");
            assert_eq!(put.await.status, 200);
        })
        .await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text().contains("row-level security"), "{answer:?}");
        assert_eq!(own.object("b/k").await.text(), "ann's");
        assert_eq!(own.bodies().await, (1, 0));
    }
}

#[tokio::test]
async fn an_upload_outlives_its_token_for_a_while_only() {
    let own = own().await;
    own.sql("create policy all_of_it on storage.objects to authenticated using (true)").await;
    let mut ahead = 0;
    for (seconds, status) in [(30 * 60, 200), (90 * 60, 400)] {
        let token = token_for(1, ahead + 60);
        let answer = meanwhile(&own, &token, async { own.later(Duration::from_secs(seconds)) }).await;
        assert_eq!(answer.status, status, "{seconds}: {answer:?}");
        ahead += seconds;
    }
    let answer = meanwhile(&own, &service(), async { own.later(Duration::from_secs(13 * 3600)) }).await;
    assert_eq!(answer.status, 408, "nor does it take for ever: {answer:?}");
    assert_eq!(own.bodies().await, (1, 0));
}

#[tokio::test]
async fn a_move_moves_what_was_asked_about() {
    let mut own = own().await;
    own.sql(
        "create policy see on storage.objects for select to authenticated using (true);
         create policy add on storage.objects for insert to authenticated with check (true);
         create policy own on storage.objects for update to authenticated using (owner_id = auth.uid()::text)",
    )
    .await;
    let (ann, mallory) = (token("authenticated", Some(1)), token("authenticated", Some(2)));
    for (name, token) in [("k", &mallory), ("other", &ann)] {
        let path = format!("/object/b/{name}");
        let put = own.plain(Method::POST, &path, token, &[("content-type", "text/plain")], name.to_owned());
        assert_eq!(put.await.status, 200);
    }
    let pool = own.with_one_connection();
    let mut held = own.database.connect().await;
    held.batch("begin; select from storage.objects where name = 'k' for update").await.unwrap();
    let (json, body) = (
        [("content-type", "application/json")],
        json!({ "bucketId": "b", "sourceKey": "k", "destinationKey": "mine" }),
    );
    let moved = own.plain(Method::POST, "/object/move", &mallory, &json, body.to_string());
    let (moved, ()) = tokio::join!(moved, async {
        // The question waits for the row, and whoever is next in line for the connection comes before the move itself.
        waiting(&own, 1).await;
        let mut next = Box::pin(pool.get());
        assert!((&mut next).now_or_never().is_none());
        held.batch("rollback").await.unwrap();
        let connection = next.await.unwrap();
        own.sql(
            "update storage.objects set name = 'away' where name = 'k';
             update storage.objects set name = 'k' where name = 'other'",
        )
        .await;
        drop(connection);
    });
    assert_eq!(moved.status, 400, "{moved:?}");
    assert_eq!(own.object("b/k").await.text(), "other");
    let owner = count(&own, "select owner_id from storage.objects where name = 'k'").await;
    assert_eq!(owner, id(1));
}

#[tokio::test]
async fn statements_that_the_server_has_lost_are_prepared_again() {
    let mut own = own().await;
    let pool = own.with_one_connection();
    let put = async |own: &Own| {
        let headers = [("content-type", "text/plain"), ("x-upsert", "true")];
        own.plain(Method::POST, "/object/b/k", &service(), &headers, "text").await.status
    };
    assert_eq!(put(&own).await, 200);
    let mut connection = pool.get().await.unwrap();
    let sql = "select name from pg_prepared_statements where statement like '%as o (bucket_id%'";
    let names = connection.query(sql, &[]).await.unwrap();
    assert!(!names.is_empty());
    for name in names.iter() {
        connection.batch(&format!("deallocate \"{}\"", name.text(0).unwrap())).await.unwrap();
    }
    drop(connection);
    assert_eq!(put(&own).await, 200);
}
