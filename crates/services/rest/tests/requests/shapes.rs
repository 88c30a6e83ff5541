//! Requests of the same shape, for which a plan is kept.

use super::*;

#[tokio::test]
async fn each_request_gets_its_own_values() {
    let api = Api::new().await;
    for _ in 0..3 {
        for (id, title) in [(1, "write"), (2, "read"), (3, "rest")] {
            let answer = api.send("GET", &format!("/todos?select=title&id=eq.{id}"), &[], "").await;
            assert_eq!(answer.body, format!("[{{\"title\":\"{title}\"}}]"));
            assert_eq!(answer.header("content-location"), format!("/todos?id=eq.{id}&select=title"));
            let answer = api.send("GET", &format!("/todos?select=id&title=in.({title},none)"), &[], "").await;
            assert_eq!(answer.body, format!("[{{\"id\":{id}}}]"));
        }
        for title in ["one", "two"] {
            let body = format!("{{\"title\":\"{title}\"}}");
            let prefer = [("prefer", "return=representation")];
            let answer = api.send("POST", "/todos?select=title", &prefer, &body).await;
            assert_eq!(answer.body, format!("[{body}]"));
            let answer = api.send("POST", "/rpc/todos_of?select=id", &[], "{\"who\":1}").await;
            assert_eq!(answer.body, "[{\"id\":1}, \n {\"id\":2}]");
            let answer = api.send("POST", "/rpc/todos_of?select=id", &[], "{\"who\":2}").await;
            assert_eq!(answer.body, "[]");
        }
    }
}

#[tokio::test]
async fn a_changed_schema_changes_the_plan() {
    let api = Api::new().await;
    let insert = || async { api.send("POST", "/secrets", &[], "{\"id\":\"x\"}").await };
    api.database.connect().await.batch("grant all on api.secrets to anon").await.unwrap();
    assert_eq!(insert().await.code(), "22P02");
    assert_eq!(insert().await.code(), "22P02");
    api.database.connect().await.batch("alter table api.secrets alter id type text").await.unwrap();
    let before = api.rest.schema().get().await.unwrap();
    api.rest.schema().reload();
    let renewed = async {
        while Arc::ptr_eq(&before, &api.rest.schema().get().await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), renewed).await.unwrap();
    assert_eq!(insert().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn plans_name_the_body_where_the_reference_does() {
    let api = Api::with(Settings { db_plan_enabled: true, ..settings() }).await;
    let explain =
        [("accept", "application/vnd.pgrst.plan+json; options=verbose"), ("prefer", "return=representation")];
    for (method, target, body, at) in [
        ("GET", "/people?select=id", "", 2),
        ("GET", "/rpc/todos_of?who=1", "", 2),
        ("POST", "/people", r#"{"id": 9, "name": "Eve"}"#, 3),
        ("PATCH", "/people?id=eq.1", r#"{"name": "Eve"}"#, 3),
    ] {
        let answer = api.send(method, target, &explain, body).await;
        let plan: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let column = plan[0]["Plan"]["Output"][at].as_str().unwrap_or_default();
        assert!(column.contains("json_agg"), "{method} {target}: {plan}");
    }
    // What is not explained ends with it.
    assert_eq!(
        api.get("/people?select=id&order=id").await.body,
        r#"[{"id":1}, \n {"id":2}]"#.replace("\\n", "\n")
    );
}
