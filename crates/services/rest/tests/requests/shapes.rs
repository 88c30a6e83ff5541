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
