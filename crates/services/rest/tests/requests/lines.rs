//! A JSON object on each line, out and in.

use super::{Answer, Api};
use http::StatusCode;

const LINES: &str = "application/x-ndjson";

async fn lines(api: &Api, target: &str, prefer: &str) -> Answer {
    api.send("GET", target, &[("accept", LINES), ("prefer", prefer)], "").await
}

#[tokio::test]
async fn reads_answer_in_lines() {
    let api = Api::new().await;
    let answer = lines(&api, "/people?order=id", "").await;
    assert_eq!(answer.body, "{\"id\":1,\"name\":\"Ada\"}\n{\"id\":2,\"name\":\"Bea\"}\n");
    assert_eq!(answer.header("content-type"), "application/x-ndjson; charset=utf-8");
    assert_eq!((answer.header("content-range"), answer.header("content-length")), ("0-1/*", "44"));
    let none = lines(&api, "/people?id=eq.9", "").await;
    assert_eq!((none.status, none.body.as_str(), none.header("content-range")), (StatusCode::OK, "", "*/*"));
}

#[tokio::test]
async fn counts_ranges_and_embeds_work_as_ever() {
    let api = Api::new().await;
    let answer = lines(&api, "/todos?select=id,tags(tag)&order=id&limit=2&offset=1", "count=exact").await;
    assert_eq!(answer.body, "{\"id\":2,\"tags\":[]}\n{\"id\":3,\"tags\":[]}\n");
    assert_eq!((answer.status, answer.header("content-range")), (StatusCode::PARTIAL_CONTENT, "1-2/3"));
    let whole = lines(&api, "/people", "count=exact").await;
    assert_eq!((whole.status, whole.header("content-range")), (StatusCode::OK, "0-1/2"));
    let planned = lines(&api, "/people", "count=planned").await;
    assert!(planned.header("content-range").starts_with("0-1/"), "{}", planned.header("content-range"));
    let beyond = lines(&api, "/people?offset=9", "count=exact").await;
    assert_eq!((beyond.status, beyond.code().as_str()), (StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103"));
    assert_eq!(lines(&api, "/todos?id=eq.x", "").await.code(), "22P02");
}

#[tokio::test]
async fn a_line_is_one_line_whatever_the_json_is() {
    let api = Api::new().await;
    api.value("create table api.notes (id int, doc json)").await;
    api.value("grant select on api.notes to anon").await;
    api.value("insert into api.notes values (1, E'{\\n\"a\":\\n \"x\\\\ny\"}') returning 1").await;
    assert_eq!(lines(&api, "/notes", "").await.body, "{\"id\":1,\"doc\":{ \"a\":  \"x\\ny\"}}\n");
}

#[tokio::test]
async fn functions_answer_in_lines() {
    let api = Api::new().await;
    api.value(
        "create function api.names() returns setof text language sql stable as 'values (''a''), (null)'",
    )
    .await;
    api.value(
        r#"create function api.loud() returns setof int language plpgsql stable as $$ begin
            perform set_config('response.status', '203', true);
            perform set_config('response.headers', '[{"X-Loud": "yes"}]', true); end $$"#,
    )
    .await;
    assert_eq!(lines(&api, "/rpc/names", "").await.body, "\"a\"\nnull\n");
    assert_eq!(lines(&api, "/rpc/names", "count=exact").await.header("content-range"), "0-1/2");
    assert_eq!(
        lines(&api, "/rpc/todos_of?who=1&select=id&order=id", "").await.body,
        "{\"id\":1}\n{\"id\":2}\n"
    );
    assert!(lines(&api, "/rpc/whoami", "").await.body.ends_with("}\n"));
    // Settings count also when there is no row that could tell of them.
    let loud = lines(&api, "/rpc/loud", "").await;
    assert_eq!((loud.status.as_u16(), loud.header("x-loud"), loud.body.as_str()), (203, "yes", ""));
    let posted = api.send("POST", "/rpc/add_todo", &[("accept", LINES)], r#"{"title": "x"}"#).await;
    assert_eq!(posted.body, "4\n");
}

#[tokio::test]
async fn writes_take_lines_and_answer_in_lines() {
    let api = Api::new().await;
    let headers = [("content-type", LINES), ("accept", LINES), ("prefer", "return=representation")];
    let body = "{\"id\":7,\"name\":\"Eve\"}\r\n\n{\"id\":8,\"name\":\"Fay\"}\n";
    let answer = api.send("POST", "/people", &headers, body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.body, "{\"id\":7,\"name\":\"Eve\"}\n{\"id\":8,\"name\":\"Fay\"}\n");
    let changed = api.send("PATCH", "/people?id=eq.7", &headers, "{\"name\":\"Eva\"}").await;
    assert_eq!(changed.body, "{\"id\":7,\"name\":\"Eva\"}\n");
    let upsert =
        [("content-type", LINES), ("prefer", "resolution=merge-duplicates"), ("prefer", "return=minimal")];
    let merged = api.send("POST", "/people", &upsert, "{\"id\":8,\"name\":\"Flo\"}").await;
    assert_eq!((merged.status, merged.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(
        api.value("select string_agg(name, ',' order by id) from api.people").await,
        "Ada,Bea,Eva,Flo"
    );
    let called = api.send("POST", "/rpc/todos_of?select=id", &headers, "{\"who\":1}\n").await;
    assert_eq!(called.body.lines().count(), 2);
    assert_eq!(api.send("POST", "/people", &headers, "").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_bad_line_is_named_and_nothing_is_written() {
    let api = Api::new().await;
    let headers = [("content-type", LINES)];
    for (body, line) in [
        ("{\"id\":7,\"name\":\"Eve\"}\n{\"id\":8,", "Line 2: EOF"),
        ("{\"id\":7,\"name\":\"Eve\"}\n\n{\"id\":8}", "Line 3: its keys"),
        ("{\"id\":7,\"name\":\"Eve\"},{\"id\":8,\"name\":\"x\"}", "Line 1: trailing"),
    ] {
        let answer = api.send("POST", "/people", &headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "PGRST102"));
        assert!(answer.body.contains(line), "{}", answer.body);
    }
    assert_eq!(api.value("select count(*) from api.people").await, "2");
}
