//! Replies that are larger than what is held of them.

use super::{Api, settings};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use rest::config::Settings;
use std::time::Duration;

/// Rows of about 1 KB each.
const SCRIPT: &str = "
    create view api.wide as select n, repeat('x', 1000) as pad from generate_series(1, 12000) as n;
    create table api.notes (id int primary key deferrable initially deferred, pad text);
    create view api.broken as select n, 1 / (11000 - n) as q, repeat('x', 1000) as pad from generate_series(1, 12000) as n;
    create function api.many() returns setof api.wide language sql stable as 'select * from api.wide';
    create domain \"application/x-blob\" as bytea;
    create function api.blob() returns \"application/x-blob\" language sql stable as
        $$ select decode(repeat('00ff10ab', 1000000), 'hex') $$;
    grant all on api.wide, api.notes, api.broken to anon";

async fn api(settings: Settings) -> Api {
    let api = Api::with(settings).await;
    api.database.connect().await.batch(SCRIPT).await.unwrap();
    api
}

async fn begin(
    api: &Api,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.rest.handle(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn length(response: &Response<Body>) -> Option<usize> {
    response.headers().get("content-length").map(|value| value.to_str().unwrap().parse().unwrap())
}

async fn frame(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    Some(body.frame().await?.map(|frame| frame.into_data().unwrap()))
}

#[tokio::test]
async fn a_large_reply_is_the_same_to_the_byte_as_a_whole_one() {
    let streamed = api(settings()).await;
    let whole = api(Settings { stream_bytes_min: usize::MAX, ..settings() }).await;
    for (target, accept) in [
        ("/wide?order=n", "application/json"),
        ("/wide?order=n", "text/csv"),
        ("/wide?order=n", "application/x-ndjson"),
        ("/rpc/many?order=n", "application/json"),
        ("/rpc/many?order=n", "application/x-ndjson"),
        ("/rpc/blob", "application/x-blob"),
    ] {
        let headers = [("accept", accept), ("prefer", "count=exact")];
        let (first, second) = (
            begin(&streamed, "GET", target, &headers, "").await,
            begin(&whole, "GET", target, &headers, "").await,
        );
        assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK), "{target} {accept}");
        assert_eq!(first.body().size_hint().exact(), None, "{target} {accept} is streamed");
        assert!(second.body().size_hint().exact().is_some());
        for name in ["content-type", "content-location", "vary", "preference-applied"] {
            assert_eq!(first.headers().get(name), second.headers().get(name), "{name}");
        }
        assert_eq!(first.headers().get("etag"), None);
        if accept != "application/x-ndjson" || target.starts_with("/rpc") {
            assert_eq!(
                first.headers().get("content-range"),
                second.headers().get("content-range"),
                "{target}"
            );
            assert_eq!(length(&first), length(&second), "{target} {accept}");
        } else {
            assert_eq!(
                (length(&first), &first.headers()["content-range"]),
                (None, &"*/12000".parse().unwrap())
            );
        }
        let bodies =
            (first.into_body().collect().await.unwrap(), second.into_body().collect().await.unwrap());
        let bodies = (bodies.0.to_bytes(), bodies.1.to_bytes());
        assert!(bodies.0.len() > 3_000_000);
        assert!(bodies.0 == bodies.1, "{target} {accept}");
    }
}

#[tokio::test]
async fn what_fails_before_the_first_byte_has_its_status() {
    let api = api(settings()).await;
    let answer = api.get("/broken").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "22012"));
    let single = [("accept", "application/vnd.pgrst.object+json")];
    assert_eq!(api.send("GET", "/wide", &single, "").await.code(), "PGRST116");
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
}

#[tokio::test]
async fn lines_that_fail_in_the_middle_break_off() {
    let api = api(settings()).await;
    let response = begin(&api, "GET", "/broken?order=n", &[("accept", "application/x-ndjson")], "").await;
    // The order needs all rows before the first.
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = begin(&api, "GET", "/broken", &[("accept", "application/x-ndjson")], "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
}

/// The only connection serves the next request, so it was freed; and nothing runs any more in the database.
async fn is_free(api: &Api) {
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
    let running =
        "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle'
        and pid <> pg_backend_pid() and backend_type = 'client backend'";
    let wait = async {
        while api.value(running).await != "0" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_connection() {
    let api = api(settings()).await;
    for accept in ["application/json", "text/csv", "application/x-ndjson"] {
        let mut response = begin(&api, "GET", "/wide", &[("accept", accept)], "").await;
        assert!(frame(response.body_mut()).await.unwrap().is_ok());
        drop(response);
        is_free(&api).await;
        drop(begin(&api, "GET", "/wide", &[("accept", accept)], "").await);
        is_free(&api).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_frees_its_connection() {
    let api = api(Settings { stream_stall_timeout: Duration::from_millis(20), ..settings() }).await;
    for accept in ["application/json", "application/x-ndjson"] {
        let response = begin(&api, "GET", "/wide", &[("accept", accept)], "").await;
        let promised = length(&response);
        is_free(&api).await;
        let mut body = response.into_body();
        let mut read = 0;
        let mut failed = false;
        while let Some(piece) = frame(&mut body).await {
            match piece {
                Ok(piece) => read += piece.len(),
                Err(_) => failed = true,
            }
        }
        assert!(read < 12_000_000, "{read}");
        assert!(failed || promised.is_some_and(|promised| read < promised), "the client can tell");
    }
}

#[tokio::test]
async fn a_write_is_kept_whether_or_not_its_answer_is_read() {
    let api = api(Settings { stream_stall_timeout: Duration::from_millis(20), ..settings() }).await;
    let row = |id: i32| serde_json::json!({"id": id, "pad": "x".repeat(3_000_000)}).to_string();
    let prefer = [("prefer", "return=representation")];

    let mut response = begin(&api, "POST", "/notes", &prefer, &row(1)).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(frame(response.body_mut()).await.unwrap().is_ok());
    drop(response);
    is_free(&api).await;
    assert_eq!(api.value("select count(*) from api.notes").await, "1");

    // Explicit transactions, too: here for the one object that is asked for.
    let single = [prefer[0], ("accept", "application/vnd.pgrst.object+json")];
    let unread = begin(&api, "POST", "/notes", &single, &row(2)).await;
    assert_eq!(unread.status(), StatusCode::CREATED);
    is_free(&api).await;
    assert_eq!(api.value("select count(*) from api.notes").await, "2");

    let read = begin(&api, "POST", "/notes", &prefer, &row(3)).await;
    let promised = length(&read).unwrap();
    assert_eq!(read.into_body().collect().await.unwrap().to_bytes().len(), promised);
    assert_eq!(api.value("select count(*) from api.notes").await, "3");
}

#[tokio::test]
async fn a_write_that_is_undone_at_its_end_has_no_complete_answer() {
    let api = api(settings()).await;
    let rows: Vec<_> = (0..2).map(|_| serde_json::json!({"id": 1, "pad": "x".repeat(2_000_000)})).collect();
    let prefer = [("prefer", "return=representation")];
    let response = begin(&api, "POST", "/notes", &prefer, &serde_json::Value::from(rows).to_string()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(api.value("select count(*) from api.notes").await, "0");
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_write_that_may_not_be_kept_is_undone_before_its_answer() {
    let api = api(settings()).await;
    let rows: Vec<_> = (0..2).map(|id| serde_json::json!({"id": id, "pad": "x".repeat(2_000_000)})).collect();
    let body = serde_json::Value::from(rows).to_string();
    let headers = [("prefer", "return=representation"), ("accept", "application/vnd.pgrst.object+json")];
    let answer = api.send("POST", "/notes", &headers, &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "PGRST116"));
    assert_eq!(api.value("select count(*) from api.notes").await, "0");
}

/// Three connections that projects share, one of which an answer may keep.
async fn shared(settings: Settings, memory_max: usize) -> Api {
    let mut api = Api::with_connections(settings, 3).await;
    api.database.connect().await.batch(SCRIPT).await.unwrap();
    api.rest = api.rest.with_pours(rest::Pours::new(1, memory_max));
    api
}

#[tokio::test]
async fn clients_that_read_slowly_keep_only_some_of_what_is_shared() {
    let api = shared(settings(), 64 << 20).await;
    let headers = [("accept", "application/json")];
    let slow = begin(&api, "GET", "/wide?order=n", &headers, "").await;
    assert_eq!(slow.body().size_hint().exact(), None, "this one keeps its connection");
    for accept in ["application/json", "text/csv", "application/x-ndjson"] {
        let headers = [("accept", accept)];
        let unread = [
            begin(&api, "GET", "/wide?order=n", &headers, "").await,
            begin(&api, "GET", "/wide?order=n", &headers, "").await,
            begin(&api, "GET", "/wide?order=n", &headers, "").await,
        ];
        assert!(unread.iter().all(|response| response.status() == StatusCode::OK), "{accept}");
        assert!(unread.iter().all(|response| response.body().size_hint().exact().is_some()), "{accept}");
        assert!(unread.iter().all(|response| response.headers().get("etag").is_none()), "{accept}");
        assert_eq!(api.get("/people").await.status, StatusCode::OK);
        for response in unread {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.len() > 12_000_000, "{accept}: {}", body.len());
        }
    }
    // The turn goes to the next when the answer has been read.
    let read = slow.into_body().collect().await.unwrap().to_bytes();
    assert!(serde_json::from_slice::<serde_json::Value>(&read).is_ok());
    let next = begin(&api, "GET", "/wide?order=n", &headers, "").await;
    assert_eq!(next.body().size_hint().exact(), None);
}

#[tokio::test]
async fn what_waits_for_slow_clients_in_memory_has_a_limit() {
    let api = shared(settings(), 20 << 20).await;
    let slow = begin(&api, "GET", "/wide", &[], "").await;
    let first = begin(&api, "GET", "/wide", &[], "").await;
    assert_eq!(first.status(), StatusCode::OK);
    for accept in ["application/json", "application/x-ndjson"] {
        let refused = api.send("GET", "/wide", &[("accept", accept)], "").await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "PGRST003"));
    }
    // A write that cannot tell of itself is not kept.
    let prefer = [("prefer", "return=representation")];
    let row = serde_json::json!({"id": 1, "pad": "x".repeat(10_000_000)}).to_string();
    assert_eq!(api.send("POST", "/notes", &prefer, &row).await.code(), "PGRST003");
    assert_eq!(api.value("select count(*) from api.notes").await, "0");
    drop(first);
    assert_eq!(api.send("POST", "/notes", &prefer, &row).await.status, StatusCode::CREATED);
    assert_eq!(api.value("select count(*) from api.notes").await, "1");
    drop(slow);
}
