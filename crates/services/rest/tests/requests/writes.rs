use super::Api;
use http::StatusCode;

const FULL: (&str, &str) = ("prefer", "return=representation");

#[tokio::test]
async fn inserts_return_what_is_preferred() {
    let api = Api::new().await;
    let answer = api.send("POST", "/todos", &[], r#"{"title":"a"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::CREATED, ""));
    assert_eq!(answer.header("content-range"), "*/*");
    let answer =
        api.send("POST", "/todos?select=title,people(name)", &[FULL], r#"{"title":"b","owner":1}"#).await;
    assert_eq!(answer.body, r#"[{"title":"b","people":{"name": "Ada"}}]"#);
    let answer =
        api.send("POST", "/people", &[("prefer", "return=headers-only")], r#"{"id":7,"name":"é &"}"#).await;
    assert_eq!(answer.header("location"), "/people?id=eq.7");
    let answer =
        api.send("POST", "/tags", &[("prefer", "return=headers-only")], r#"{"todo":2,"tag":"a b"}"#).await;
    assert_eq!(answer.header("location"), "/tags?todo=eq.2&tag=eq.a%20b");
    let bulk = r#"[{"title":"c","done":true},{"title":"d","done":false}]"#;
    let answer = api.send("POST", "/todos", &[("prefer", "count=exact")], bulk).await;
    assert_eq!(answer.header("content-range"), "*/2");
    assert_eq!(api.value("select count(*) from api.todos").await, "7");
}

#[tokio::test]
async fn payloads_are_checked_before_the_database_is() {
    let api = Api::new().await;
    let code = async |target: &str, body: &str| api.send("POST", target, &[], body).await.code();
    assert_eq!(code("/todos", "{").await, "PGRST102");
    assert_eq!(code("/todos", r#"{"nope":1}"#).await, "PGRST204");
    assert_eq!(code("/todos?columns=nope", r#"{"title":1}"#).await, "PGRST204");
    assert_eq!(code("/people", r#"{"id":1,"name":"x"}"#).await, "23505");
    assert_eq!(code("/todos", r#"{"title":"x","owner":99}"#).await, "23503");
    assert_eq!(api.value("select count(*) from api.todos").await, "3");
}

#[tokio::test]
async fn missing_keys_become_defaults_where_wanted() {
    let api = Api::new().await;
    let prefer = [("prefer", "return=representation, missing=default")];
    let answer = api
        .send(
            "POST",
            "/todos?columns=id,title,done&select=title,done",
            &prefer,
            r#"[{"title":"x"},{"title":"y","done":true}]"#,
        )
        .await;
    assert_eq!(
        answer.body,
        r#"[{"title":"x","done":false}, 
 {"title":"y","done":true}]"#
    );
    assert_eq!(answer.header("preference-applied"), "missing=default, return=representation");
}

#[tokio::test]
async fn duplicates_are_merged_or_ignored() {
    let api = Api::new().await;
    let merge = [("prefer", "resolution=merge-duplicates")];
    let answer =
        api.send("POST", "/people", &merge, r#"[{"id":1,"name":"Eve"},{"id":3,"name":"Cis"}]"#).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let answer = api.send("POST", "/people", &merge, r#"{"id":1,"name":"Ada"}"#).await;
    assert_eq!(answer.status, StatusCode::OK);
    let ignore = [("prefer", "resolution=ignore-duplicates, return=representation")];
    let answer = api.send("POST", "/people?on_conflict=name", &ignore, r#"{"id":9,"name":"Ada"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::CREATED, "[]"));
}

#[tokio::test]
async fn put_creates_or_replaces_the_row_of_its_address() {
    let api = Api::new().await;
    let put = async |target: &str, body: &str| api.send("PUT", target, &[FULL], body).await;
    assert_eq!(put("/people?id=eq.5", r#"{"id":5,"name":"Dee"}"#).await.status, StatusCode::CREATED);
    assert_eq!(put("/people?id=eq.5", r#"{"id":5,"name":"Doe"}"#).await.status, StatusCode::OK);
    assert_eq!(put("/people?id=eq.6", r#"{"id":5,"name":"Foe"}"#).await.code(), "PGRST115");
    assert_eq!(put("/people?name=eq.x", r#"{"id":5,"name":"x"}"#).await.code(), "PGRST105");
    assert_eq!(api.value("select name from api.people where id = 5").await, "Doe");
}

#[tokio::test]
async fn updates_and_deletes_touch_only_what_is_filtered() {
    let api = Api::new().await;
    let answer =
        api.send("PATCH", "/todos?id=in.(1,2)", &[("prefer", "count=exact")], r#"{"done":true}"#).await;
    assert_eq!((answer.status, answer.header("content-range")), (StatusCode::NO_CONTENT, "0-1/2"));
    let answer = api.send("PATCH", "/todos?id=eq.99", &[FULL], r#"{"done":true}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "[]"));
    assert_eq!(api.send("PATCH", "/todos", &[FULL], "{}").await.body, "[]");
    let answer = api.send("DELETE", "/todos?done=is.true&select=id&order=id.desc", &[FULL], "").await;
    assert_eq!(answer.body, "[{\"id\":2}, \n {\"id\":1}]");
    assert_eq!(api.value("select count(*) from api.todos").await, "1");
}
