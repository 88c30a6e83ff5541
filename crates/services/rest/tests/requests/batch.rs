//! Several operations in one transaction.

use super::{Answer, Api, settings};
use http::StatusCode;
use rest::config::{Settings, TxEnd};
use serde_json::{Value, json};

impl Api {
    async fn batch(&self, headers: &[(&str, &str)], operations: Value) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send("POST", "/", &headers, &operations.to_string()).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

#[tokio::test]
async fn operations_see_each_other_and_each_has_its_result() {
    let api = Api::new().await;
    let answer = api
        .batch(
            &[("x-one", "1")],
            json!([
                { "method": "POST", "path": "/people", "prefer": "return=headers-only", "body": { "id": 3, "name": "Cid" } },
                { "method": "POST", "path": "/todos?select=owner,title", "prefer": "return=representation",
                  "body": [{ "owner": 3, "title": "a" }, { "owner": 3, "title": "b" }] },
                { "method": "PATCH", "path": "/todos?owner=eq.3&title=eq.b", "headers": { "Prefer": "count=exact" },
                  "body": { "done": true } },
                { "method": "GET", "path": "/people?id=eq.3&select=name,todos(title,done)&todos.order=title",
                  "headers": { "accept": "application/vnd.pgrst.object+json" } },
                { "method": "HEAD", "path": "/todos", "prefer": "count=exact" },
                { "method": "DELETE", "path": "/todos?owner=eq.3&done=is.true" },
                { "method": "POST", "path": "/rpc/add_todo", "body": { "title": "by function" } },
                { "method": "GET", "path": "/todos?select=title&id=gt.3", "headers": { "accept": "text/csv" } },
                { "method": "GET", "path": "/rpc/whoami" },
            ]),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let results = answer.json();
    let shown: Vec<(u64, &Value)> =
        results.as_array().unwrap().iter().map(|r| (r["status"].as_u64().unwrap(), &r["body"])).collect();
    let null = Value::Null;
    assert_eq!(
        shown[..8],
        [
            (201, &null),
            (201, &json!([{ "owner": 3, "title": "a" }, { "owner": 3, "title": "b" }])),
            (204, &null),
            (
                200,
                &json!({ "name": "Cid", "todos": [{ "title": "a", "done": false }, { "title": "b", "done": true }] })
            ),
            (200, &null),
            (204, &null),
            (200, &json!(6)),
            (200, &json!("title\na\n\"by function\"")),
        ]
    );
    assert_eq!(results[0]["headers"]["location"], "/people?id=eq.3");
    assert_eq!(results[2]["headers"]["content-range"], "0-0/1");
    assert_eq!(results[2]["headers"]["preference-applied"], "count=exact");
    assert_eq!(results[4]["headers"]["content-range"], "0-4/5");
    let seen = &results[8]["body"];
    assert_eq!(
        (&seen["path"], &seen["header"], &seen["read_only"]),
        (&json!("/rpc/whoami"), &json!("1"), &json!("on"))
    );
    assert_eq!(api.value("select count(*) from api.todos").await, "5");
}

#[tokio::test]
async fn one_that_fails_undoes_all_and_is_named() {
    let api = Api::new().await;
    let insert = |title: &str| json!({ "method": "POST", "path": "/todos", "body": { "title": title } });
    for (bad, status, code) in [
        (json!({ "method": "POST", "path": "/people", "body": { "id": 1, "name": "x" } }), 409, "23505"),
        (json!({ "method": "POST", "path": "/secrets", "body": { "id": 1 } }), 401, "42501"),
        (json!({ "method": "POST", "path": "/rpc/refuse" }), 402, "no"),
        (json!({ "method": "GET", "path": "/rpc/add_todo?title=x" }), 405, "25006"),
        (json!({ "method": "GET", "path": "/nothing" }), 404, "PGRST205"),
        (json!({ "method": "GET", "path": "/todos?id=eq" }), 400, "PGRST100"),
        (
            json!({ "method": "GET", "path": "/todos", "headers": { "accept": "application/vnd.pgrst.object+json" } }),
            406,
            "PGRST116",
        ),
        (
            json!({ "method": "DELETE", "path": "/todos", "prefer": "handling=strict, max-affected=2" }),
            400,
            "PGRST124",
        ),
        (json!({ "method": "OPTIONS", "path": "/todos" }), 405, "PGRST117"),
        (json!({ "method": "GET", "path": "/" }), 400, "PGRST102"),
        (
            json!({ "method": "POST", "path": "/todos", "body": 1, "headers": { "authorization": "x" } }),
            400,
            "PGRST102",
        ),
    ] {
        let answer = api.batch(&[], json!([insert("one"), bad, insert("two")])).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{bad}");
        assert_eq!(answer.json()["operation"], 1, "{}", answer.body);
        assert_eq!(answer.header("proxy-status"), format!("PostgREST; error={code}"));
        assert_eq!(api.value("select count(*) from api.todos").await, "3", "{bad}");
    }
    assert_eq!(api.batch(&[], json!([insert("one"), insert("two")])).await.status, StatusCode::OK);
    assert_eq!(api.value("select count(*) from api.todos").await, "5");
}

#[tokio::test]
async fn the_end_may_fail_too() {
    let api = Api::new().await;
    api.value("alter table api.todos alter constraint todos_owner_fkey deferrable initially deferred").await;
    let late = json!({ "method": "POST", "path": "/todos", "body": { "title": "x", "owner": 9 } });
    let answer = api.batch(&[], json!([late.clone()])).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "23503"));
    assert_eq!(answer.json()["operation"], Value::Null);
    let owner = json!({ "method": "POST", "path": "/people", "body": { "id": 9, "name": "Ida" } });
    assert_eq!(api.batch(&[], json!([late, owner])).await.status, StatusCode::OK, "in time");
}

#[tokio::test]
async fn nothing_of_one_operation_is_left_for_the_next() {
    let api = Api::new().await;
    api.value(
        "create function api.quick() returns text language sql stable set statement_timeout = '7s' as $$
        select current_setting('statement_timeout') || current_setting('timezone') $$",
    )
    .await;
    api.value("create function api.plain() returns text language sql volatile as $$
        select current_setting('statement_timeout') || current_setting('timezone') || current_setting('transaction_read_only') $$")
        .await;
    let plain = json!({ "method": "POST", "path": "/rpc/plain" });
    let merge = "resolution=merge-duplicates";
    let answer = api
        .batch(
            &[],
            json!([
                plain,
                { "method": "POST", "path": "/rpc/teapot" },
                { "method": "POST", "path": "/people", "prefer": merge, "body": { "id": 5, "name": "Eve" } },
                { "method": "POST", "path": "/people", "prefer": merge, "body": { "id": 5, "name": "Eva" } },
                { "method": "GET", "path": "/rpc/quick", "prefer": "timezone=Asia/Tokyo" },
                plain,
            ]),
        )
        .await;
    let results = answer.json();
    let status = |at: usize| results[at]["status"].as_u64().unwrap();
    assert_eq!([0, 1, 2, 3, 4, 5].map(status), [200, 418, 201, 200, 200, 200], "{results}");
    assert_eq!(results[1]["headers"]["x-tea"], "green, black");
    assert_eq!(results[2]["headers"].get("x-tea"), None);
    assert_eq!(results[4]["body"], "7sAsia/Tokyo");
    assert_eq!(results[5]["body"], results[0]["body"]);
}

#[tokio::test]
async fn the_end_is_the_batchs_to_choose() {
    let tx_end = TxEnd { rollback: false, allow_override: true };
    let api = Api::with(Settings { db_tx_end: tx_end, ..settings() }).await;
    let insert = |prefer: &str| json!([{ "method": "POST", "path": "/todos", "prefer": prefer, "body": { "title": "x" } }]);
    let answer = api.batch(&[("prefer", "tx=rollback")], insert("return=representation")).await;
    assert_eq!((answer.status, answer.json()[0]["body"][0]["title"].as_str()), (StatusCode::OK, Some("x")));
    assert_eq!(api.value("select count(*) from api.todos").await, "3");
    assert_eq!(api.batch(&[], insert("tx=rollback")).await.status, StatusCode::OK);
    assert_eq!(api.value("select count(*) from api.todos").await, "4");
}

#[tokio::test]
async fn what_is_no_batch_is_answered_as_ever() {
    let api = Api::new().await;
    for body in ["", "{}", r#""x""#, "null"] {
        let answer = api.send("POST", "/", &[("content-type", "application/json")], body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::METHOD_NOT_ALLOWED, "PGRST117"),
            "{body}"
        );
    }
    for body in ["[", "[]", "[{}] x"] {
        let answer = api.send("POST", "/", &[], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "PGRST102"), "{body}");
    }
    let many = vec![json!({ "method": "GET", "path": "/people" }); 101];
    assert_eq!(api.batch(&[], json!(many)).await.code(), "PGRST102");
}
