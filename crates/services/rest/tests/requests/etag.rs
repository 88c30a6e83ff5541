//! Entity tags of reads.

use super::{Api, settings};
use http::StatusCode;
use rest::config::Settings;

#[tokio::test]
async fn a_read_that_a_client_has_already_is_not_sent_again() {
    let api = Api::new().await;
    let answer = api.get("/people?order=id").await;
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    let again = api.send("GET", "/people?order=id", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!((again.header("etag"), again.header("content-length")), (tag.as_str(), ""));
    assert_eq!(again.header("content-location"), answer.header("content-location"));
    assert_eq!(again.header("vary"), "Accept, Prefer, Range");

    api.value("update api.people set name = 'Eve' where id = 1 returning 1").await;
    let changed = api.send("GET", "/people?order=id", &[("if-none-match", &tag)], "").await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn a_tag_is_of_one_representation() {
    let api = Api::new().await;
    let mut tags = std::collections::BTreeSet::new();
    for headers in [
        &[("accept", "application/json")][..],
        &[("accept", "text/csv")],
        &[("accept", "application/x-ndjson")],
        &[("prefer", "count=exact")],
        &[("range", "0-0")],
    ] {
        tags.insert(api.send("GET", "/people", headers, "").await.header("etag").to_owned());
    }
    assert_eq!(tags.len(), 5);
    assert_ne!(api.get("/rpc/todos_of?who=1").await.header("etag"), "");
}

#[tokio::test]
async fn nothing_else_has_a_tag() {
    let api = Api::new().await;
    for (method, target, body) in [
        ("HEAD", "/people", ""),
        ("POST", "/rpc/todos_of", r#"{"who": 1}"#),
        ("POST", "/people", r#"{"id": 5, "name": "Eve"}"#),
        ("GET", "/nothing", ""),
        ("GET", "/", ""),
    ] {
        let headers = [("prefer", "return=representation"), ("if-none-match", "*")];
        let answer = api.send(method, target, &headers, body).await;
        assert_eq!((answer.header("etag"), answer.header("cache-control")), ("", ""), "{method} {target}");
        assert_ne!(answer.status, StatusCode::NOT_MODIFIED, "{method} {target}");
    }
    let off = Api::with(Settings { etag_enabled: false, ..settings() }).await;
    assert_eq!(off.send("GET", "/people", &[("if-none-match", "*")], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_databases_own_headers_win() {
    let api = Api::new().await;
    api.value(
        r#"create function api.tagged() returns int language plpgsql stable as $$ begin
            perform set_config('response.headers', '[{"ETag": "\"mine\""}, {"Cache-Control": "max-age=9"}]', true);
            return 1; end $$"#,
    )
    .await;
    let answer = api.get("/rpc/tagged").await;
    assert_eq!((answer.header("etag"), answer.header("cache-control")), ("\"mine\"", "max-age=9"));
    let again = api.send("GET", "/rpc/tagged", &[("if-none-match", "W/\"mine\"")], "").await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}
