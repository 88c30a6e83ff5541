use super::Api;
use http::StatusCode;

#[tokio::test]
async fn functions_are_called_both_ways() {
    let api = Api::new().await;
    let answer = api.get("/rpc/todos_of?who=1&select=title,people(name)&title=eq.read").await;
    assert_eq!(answer.body, r#"[{"title":"read","people":{"name": "Ada"}}]"#);
    let answer = api
        .send("POST", "/rpc/todos_of?select=id&order=id", &[("prefer", "count=exact")], r#"{"who":1}"#)
        .await;
    assert_eq!(
        (answer.body.as_str(), answer.header("content-range")),
        ("[{\"id\":1}, \n {\"id\":2}]", "0-1/2")
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(
        api.send("POST", "/rpc/todos_of?select=id&limit=1", &form, "who=1").await.body,
        r#"[{"id":1}]"#
    );
}

#[tokio::test]
async fn unknown_functions_are_searched_for() {
    let api = Api::new().await;
    let answer = api.get("/rpc/todos_off?who=1").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "PGRST202"));
    assert!(answer.body.contains("Perhaps you meant to call the function api.todos_of"), "{}", answer.body);
    let answer = api.get("/rpc/todos_of?whom=1").await;
    assert!(answer.body.contains("api.todos_of(whom)"), "{}", answer.body);
    assert_eq!(
        api.send("OPTIONS", "/rpc/todos_of?who=1", &[], "").await.header("allow"),
        "OPTIONS,GET,HEAD,POST"
    );
}

#[tokio::test]
async fn void_has_no_content() {
    let api = Api::new().await;
    api.value("create function api.nothing() returns void language sql stable as 'select'").await;
    // Reads the schema for the first time only now.
    let answer = api.get("/rpc/nothing").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(answer.header("content-type"), "");
}
