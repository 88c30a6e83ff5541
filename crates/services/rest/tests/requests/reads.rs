use super::Api;
use http::StatusCode;

#[tokio::test]
async fn rows_come_with_their_relations() {
    let api = Api::new().await;
    let answer = api
        .get("/people?select=name,todos(title,tags(tag))&todos.order=id&order=id&todos.tags.order=tag")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(json[0]["todos"][0]["tags"][1]["tag"], "y");
    assert_eq!(json[1]["todos"], serde_json::json!([]));
    assert_eq!(answer.header("content-range"), "0-1/*");
    assert_eq!(
        answer.header("content-location"),
        "/people?order=id&select=name%2Ctodos%28title%2Ctags%28tag%29%29&todos.order=id&todos.tags.order=tag"
    );
}

#[tokio::test]
async fn numbers_keep_their_digits() {
    let api = Api::new().await;
    assert_eq!(api.get("/todos?select=data-%3En&id=eq.1").await.body, r#"[{"n":1.10}]"#);
}

#[tokio::test]
async fn counts_and_ranges() {
    let api = Api::new().await;
    let answer = api
        .send("GET", "/todos?select=id&order=id", &[("prefer", "count=exact"), ("range", "1-1")], "")
        .await;
    assert_eq!((answer.status, answer.header("content-range")), (StatusCode::PARTIAL_CONTENT, "1-1/3"));
    assert_eq!(answer.header("preference-applied"), "count=exact");
    let answer = api.send("GET", "/todos?offset=9", &[("prefer", "count=exact")], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103"));
    let answer = api.send("HEAD", "/todos?owner=not.is.null", &[("prefer", "count=exact")], "").await;
    assert_eq!((answer.body.as_str(), answer.header("content-range")), ("", "0-1/2"));
    assert_eq!(answer.header("content-length"), "");
}

#[tokio::test]
async fn one_object_or_none() {
    let api = Api::new().await;
    let single = [("accept", "application/vnd.pgrst.object+json")];
    assert_eq!(api.send("GET", "/people?id=eq.1", &single, "").await.body, r#"{"id":1,"name":"Ada"}"#);
    let answer = api.send("GET", "/people?id=eq.9", &single, "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "PGRST116"));
    assert!(answer.body.contains("The result contains 0 rows"));
}

#[tokio::test]
async fn faults_have_their_codes_and_headers() {
    let api = Api::new().await;
    for (target, status, code) in [
        ("/nothing", 404, "PGRST205"),
        ("/todos?select=nothing(*)", 400, "PGRST200"),
        ("/todos?select=nothing", 400, "42703"),
        ("/todos?id=eq.x", 400, "22P02"),
        ("/todos?people.id=eq.1", 400, "PGRST108"),
        ("/todos/1", 404, "PGRST125"),
        ("/todos?select=id.count()", 400, "PGRST123"),
        ("/secrets", 401, "42501"),
    ] {
        let answer = api.get(target).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{target}");
        assert_eq!(answer.header("proxy-status"), format!("PostgREST; error={code}"));
    }
    assert_eq!(api.get("/secrets").await.header("www-authenticate"), "Bearer");
    assert_eq!(
        api.send_as(Some("authenticated"), "GET", "/secrets", &[], "").await.status,
        StatusCode::FORBIDDEN
    );
    // The one connection has survived all of it.
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
}

#[tokio::test]
async fn csv_has_a_header_when_there_are_rows() {
    let api = Api::new().await;
    let csv = [("accept", "text/csv")];
    assert_eq!(api.send("GET", "/people?order=id", &csv, "").await.body, "id,name\n1,Ada\n2,Bea");
    assert_eq!(api.send("GET", "/people?id=eq.9", &csv, "").await.body, "\n");
    let answer = api.send("GET", "/people", &[("accept", "text/html")], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "PGRST107"));
}

#[tokio::test]
async fn a_table_that_grew_is_read_without_an_error() {
    let api = Api::new().await;
    for _ in 0..2 {
        assert!(!api.get("/people").await.body.contains("age"));
    }
    api.value("alter table api.people add age int").await;
    assert!(api.get("/people").await.body.contains("age"));
    let singular = [("accept", "application/vnd.pgrst.object+json"), ("prefer", "return=representation")];
    let patch = |name: &'static str| format!("{{\"name\":\"{name}\"}}");
    let answer = api.send("PATCH", "/people?id=eq.1", &singular, &patch("Eva")).await;
    assert_eq!(answer.status, StatusCode::OK);
    api.value("alter table api.people add size int").await;
    let answer = api.send("PATCH", "/people?id=eq.1", &singular, &patch("Ida")).await;
    assert!(answer.body.contains("size"), "{}", answer.body);
}

#[tokio::test]
async fn the_root_describes_what_the_caller_may_use() {
    let api = Api::new().await;
    let answer = api.get("/").await;
    assert_eq!(answer.header("content-type"), "application/openapi+json; charset=utf-8");
    assert!(answer.body.contains("\"/todos\"") && !answer.body.contains("\"/secrets\""));
    let answer = api.send("OPTIONS", "/todos", &[], "").await;
    assert_eq!(answer.header("allow"), "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE");
}
