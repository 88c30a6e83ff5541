//! Reads whose query is in the body.

use super::{Answer, Api};
use http::StatusCode;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The same query by GET, by QUERY and by POST that stands for GET.
async fn three_ways(api: &Api, path: &str, query: &str, headers: &[(&str, &str)]) -> [Answer; 3] {
    let with = |more: &[(&'static str, &'static str)]| [headers, more].concat();
    [
        api.send("GET", &format!("{path}?{query}"), headers, "").await,
        api.send("QUERY", path, &with(&[FORM]), query).await,
        api.send("POST", path, &with(&[FORM, ("x-http-method-override", "GET")]), query).await,
    ]
}

#[tokio::test]
async fn a_read_is_the_same_by_every_way() {
    let api = Api::new().await;
    let counted = [("prefer", "count=exact"), ("range", "0-0")];
    for (path, query, headers) in [
        ("/todos", "select=title,people(name)&order=id.desc&owner=not.is.null", &counted[..]),
        ("/todos", "id=in.(1,2)&select=title%2Cdone", &[]),
        ("/todos", "offset=9", &counted[..1]),
        ("/todos", "title=nope.x", &[]),
        ("/nothing", "", &[]),
        ("/rpc/todos_of", "who=1&title=eq.read", &[]),
        ("/rpc/add_todo", "title=x", &[]),
        ("/todos", "id=eq.1", &[("accept", "application/vnd.pgrst.object+json")]),
        ("/todos", "select=title", &[("accept", "text/csv")]),
    ] {
        let [get, query_method, post] = three_ways(&api, path, query, headers).await;
        for other in [query_method, post] {
            assert_eq!((other.status, &other.body), (get.status, &get.body), "{path}?{query}");
            assert_eq!(other.headers, get.headers, "{path}?{query}");
        }
    }
    assert_eq!(api.value("select count(*) from api.todos").await, "3", "nothing was written");
}

#[tokio::test]
async fn the_transaction_sees_a_read() {
    let api = Api::new().await;
    api.value("create function api.how() returns json language sql stable as $$
        select json_build_array(current_setting('request.method'), current_setting('transaction_read_only')) $$")
        .await;
    for answer in three_ways(&api, "/rpc/how", "", &[]).await {
        assert_eq!(answer.body, r#"["GET", "on"]"#);
    }
    let headers = [FORM, ("x-http-method-override", "HEAD"), ("prefer", "count=exact")];
    let head = api.send("POST", "/todos", &headers, "owner=eq.1").await;
    assert_eq!(
        (head.status, head.body.as_str(), head.header("content-range")),
        (StatusCode::OK, "", "0-1/2")
    );
}

#[tokio::test]
async fn ten_thousand_ids_are_one_filter() {
    let api = Api::new().await;
    api.value("insert into api.todos (title) select 't' || i from generate_series(1, 12000) as i").await;
    let ids: Vec<String> = (1..=10_000).map(|id| id.to_string()).collect();
    let body = format!("id=in.({})", ids.join(","));
    let answer = api
        .send("QUERY", "/todos?select=id&limit=2&order=id.desc", &[FORM, ("prefer", "count=exact")], &body)
        .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::PARTIAL_CONTENT, "[{\"id\":10000}, \n {\"id\":9999}]")
    );
    assert_eq!(answer.header("content-range"), "0-1/10000");
    assert!(!answer.headers.contains_key("content-location"), "it would be longer than headers may be");
}

#[tokio::test]
async fn the_url_and_the_body_are_one_query() {
    let api = Api::new().await;
    let answer =
        api.send("QUERY", "/todos?select=title&owner=eq.1", &[FORM], "select=id&title=eq.read").await;
    assert_eq!(answer.body, r#"[{"title":"read"}]"#, "the first select counts, every filter does");
    assert_eq!(answer.header("content-location"), "/todos?owner=eq.1&select=title,id&title=eq.read");
}

#[tokio::test]
async fn what_is_no_query_is_refused() {
    let api = Api::new().await;
    let answer = api.send("QUERY", "/todos", &[("content-type", "application/json")], "{}").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "PGRST102"));
    let answer = api.send("QUERY", "/todos", &[FORM], &format!("title=eq.{}", "x".repeat(2 << 20))).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "PGRST102"));
    assert!(answer.body.contains("2097152 bytes"), "{}", answer.body);
    let many = vec!["id.eq.1"; 70_000].join(",");
    let answer = api.send("QUERY", "/todos", &[FORM], &format!("or=({many})")).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "PGRST102"));
    // Without the type of a query, POST is an insert as ever.
    let json = [("content-type", "application/json"), ("x-http-method-override", "GET")];
    assert_eq!(api.send("POST", "/todos", &json, r#"{"title":"new"}"#).await.status, StatusCode::CREATED);
    assert_eq!(api.send("POST", "/todos", &[FORM], "title=form").await.status, StatusCode::CREATED);
    assert_eq!(
        api.get("/todos?select=title&id=gt.3").await.body,
        "[{\"title\":\"new\"}, \n {\"title\":\"form\"}]"
    );
}
