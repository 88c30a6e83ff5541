//! Explanations of requests, to the service key.

use super::{Api, settings};
use http::StatusCode;
use rest::config::Settings;
use serde_json::Value;

const SETUP: &str = "
    do $$ begin create role service_role bypassrls; exception when duplicate_object then null; end $$;
    grant usage on schema api to service_role;
    grant all on all tables in schema api to service_role;
    create table api.notes (id int primary key, owner text not null, secret text);
    insert into api.notes select i, case when i % 4 = 0 then 'ada' else 'bea' end from generate_series(1, 12) as i;
    alter table api.notes enable row level security;
    grant select, insert, update (secret) on api.notes to authenticated;
    grant all on api.notes to service_role;
    grant select (id) on api.notes to anon;
    create policy own on api.notes to authenticated
        using (owner = current_setting('request.jwt.claims')::json ->> 'sub');
    create policy even on api.notes as restrictive for select to authenticated using (id % 2 = 0);
    create view api.shown as select id from api.notes;
    create function api.hidden() returns int language sql as 'select 1';
    revoke execute on function api.hidden() from public";

async fn api(settings: Settings) -> Api {
    let api = Api::with(settings).await;
    api.database.connect().await.batch(SETUP).await.unwrap();
    api
}

impl Api {
    async fn why(
        &self,
        method: &str,
        target: &str,
        role: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Value {
        let accept = format!("application/vnd.rowhouse.explain+json; for=\"{role}\"; options=run");
        let headers = [&[("accept", accept.as_str())], headers].concat();
        let answer = self.send_as(Some("service_role"), method, target, &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/vnd.rowhouse.explain+json");
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn reasons(explanation: &Value) -> String {
    explanation["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn grants_that_are_missing_are_named() {
    let api = api(settings()).await;
    let why = api.why("GET", "/secrets", "anon", &[], "").await;
    assert_eq!(why["verdict"], "denied");
    assert_eq!(why["error"]["code"], "42501");
    assert!(reasons(&why).contains(
        "role anon has no SELECT on api.secrets (grant it with: grant select on api.secrets to anon)"
    ));
    let why = api.why("GET", "/notes?select=owner", "anon", &[], "").await;
    assert_eq!(why["verdict"], "denied");
    assert!(reasons(&why).contains("role anon has SELECT on some columns of api.notes only: id"), "{why}");
    let why = api.why("POST", "/rpc/hidden", "anon", &[], "").await;
    assert_eq!(why["verdict"], "denied");
    assert!(reasons(&why).contains("no EXECUTE on api.hidden()"), "{why}");
    let why = api.why("GET", "/todos?select=title,people(name)", "stranger", &[], "").await;
    assert!(
        reasons(&why).contains("no SELECT on api.todos") && reasons(&why).contains("no SELECT on api.people")
    );
}

#[tokio::test]
async fn policies_are_counted_out() {
    let api = api(settings()).await;
    let claims = [("x-rowhouse-claims", r#"{"sub":"ada"}"#)];
    let why = api.why("GET", "/notes?select=id", "authenticated", &claims, "").await;
    assert_eq!((&why["verdict"], &why["rows"]), (&"allowed".into(), &3.into()));
    let policies = &why["relations"][0]["policies"];
    assert_eq!(policies[0]["name"], "own");
    assert_eq!(policies[0]["sample"], serde_json::json!({ "rows": 12, "passing": 3 }));
    assert_eq!((&policies[1]["permissive"], &policies[1]["sample"]["passing"]), (&false.into(), &6.into()));
    assert!(why["plan"][0]["Plan"]["Node Type"].is_string());
    assert!(why["statement"]["sql"].as_str().unwrap().contains("\"api\".\"notes\""));

    let why = api
        .why("GET", "/notes?select=id", "authenticated", &[("x-rowhouse-claims", r#"{"sub":"eve"}"#)], "")
        .await;
    assert_eq!(why["verdict"], "empty");
    assert!(reasons(&why).contains("policy \"own\" of api.notes lets 0 of 12 rows through"), "{why}");
    let why = api.why("GET", "/notes?select=id", "anon", &[], "").await;
    assert_eq!(why["verdict"], "empty");
    assert!(reasons(&why).contains("no policy applies to role anon for SELECT: always empty"), "{why}");
    // A view shows what its owner may see.
    api.value("grant select on api.shown to anon").await;
    api.value("alter view api.shown owner to authenticated").await;
    let why = api.why("GET", "/shown", "anon", &[], "").await;
    assert_eq!(
        (&why["relations"][1]["under"][1], &why["relations"][1]["acting_role"]),
        (&"shown".into(), &"authenticated".into())
    );
}

#[tokio::test]
async fn a_write_is_tried_and_undone() {
    let api = api(settings()).await;
    let claims = [("x-rowhouse-claims", r#"{"sub":"ada"}"#)];
    let insert = |owner: &str| format!(r#"{{"id":100,"owner":"{owner}"}}"#);
    let why = api.why("POST", "/notes", "authenticated", &claims, &insert("bea")).await;
    assert_eq!((&why["verdict"], &why["command"]), (&"denied".into(), &"insert".into()));
    assert!(reasons(&why).contains("policy \"own\" of api.notes wants of new rows: (owner = "), "{why}");
    let why = api.why("POST", "/notes", "authenticated", &claims, &insert("ada")).await;
    assert_eq!((&why["verdict"], &why["rows"]), (&"allowed".into(), &1.into()), "{why}");
    let why = api.why("DELETE", "/notes?id=eq.4", "authenticated", &claims, "").await;
    assert_eq!(why["verdict"], "denied");
    assert_eq!(api.value("select count(*) from api.notes").await, "12");
    // Without the option a write is only planned.
    let accept = [("accept", "application/vnd.rowhouse.explain+json; for=\"anon\"")];
    let answer =
        api.send_as(Some("service_role"), "POST", "/rpc/add_todo", &accept, r#"{"title":"x"}"#).await;
    let why: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&why["verdict"], &why["rows"]), (&"allowed".into(), &Value::Null), "{why}");
    assert_eq!(api.value("select count(*) from api.todos").await, "3");
}

#[tokio::test]
async fn a_policy_that_fails_says_so() {
    let api = api(settings()).await;
    api.value("create policy app on api.todos using (id = current_setting('app.todo')::int)").await;
    api.value("alter table api.todos enable row level security").await;
    let why = api.why("GET", "/todos", "anon", &[("x-rowhouse-settings", r#"{"app.todo":"x"}"#)], "").await;
    assert_eq!((&why["verdict"], &why["error"]["code"]), (&"failed".into(), &"22P02".into()));
    assert!(
        reasons(&why).contains("policy \"app\" of api.todos cannot be evaluated: invalid input syntax"),
        "{why}"
    );
    let why = api.why("GET", "/todos", "anon", &[("x-rowhouse-settings", r#"{"app.todo":"2"}"#)], "").await;
    assert_eq!((&why["verdict"], &why["rows"]), (&"allowed".into(), &1.into()));
    let why = api.why("GET", "/todos", "no_such_role", &[], "").await;
    assert_eq!(why["verdict"], "denied");
    assert!(reasons(&why).contains("there is no role no_such_role"), "{why}");
    assert_eq!(api.get("/people").await.status, StatusCode::OK, "the session is as it was");
}

#[tokio::test]
async fn the_bearer_of_a_token_is_examined() {
    let api = api(settings()).await;
    let token = token::KeySet::from_secret(b"reallyreallyreallyreallyverysafe")
        .sign(&serde_json::json!({ "role": "authenticated", "sub": "ada" }))
        .unwrap();
    let headers = [("accept", "application/vnd.rowhouse.explain+json"), ("x-rowhouse-token", token.as_str())];
    let answer = api.send_as(Some("service_role"), "GET", "/notes", &headers, "").await;
    let why: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&why["role"]["name"], &why["claims"]["sub"]), (&"authenticated".into(), &"ada".into()));
    let headers = [headers[0], ("x-rowhouse-token", "x.y.z")];
    let answer = api.send_as(Some("service_role"), "GET", "/notes", &headers, "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "PGRST301"));
}

#[tokio::test]
async fn only_the_service_key_is_told() {
    let api = api(settings()).await;
    let accept = [("accept", "application/vnd.rowhouse.explain+json; for=\"service_role\"")];
    for caller in [None, Some("anon"), Some("authenticated")] {
        let answer = api.send_as(caller, "GET", "/todos", &accept, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "service_key_needed"));
    }
    let answer = api.send_as(Some("service_role"), "GET", "/", &accept, "").await;
    assert_eq!(answer.code(), "PGRST107");
}

#[tokio::test]
async fn a_pooled_project_learns_nothing_of_its_shard() {
    let api = api(Settings {
        aliases: vec![("api".to_owned(), "public".to_owned())],
        table_prefix: Some("app_57_".to_owned()),
        hidden_relation_prefix: Some("rowhouse_".to_owned()),
        ..settings()
    })
    .await;
    api.value("create table api.rowhouse_users (id int primary key)").await;
    api.value("create view api.both as select n.id from api.notes as n, api.rowhouse_users as u").await;
    api.value("grant select on api.both to anon").await;
    for target in ["/notes?select=id", "/secrets", "/both", "/rpc/hidden"] {
        let why = api.why("GET", target, "anon", &[], "").await;
        let relations = why["relations"].to_string();
        assert!(!relations.contains("rowhouse_") && !relations.contains("owner\":"), "{relations}");
        let text = why.to_string().replace("\\\"", "\"");
        for hidden in ["\"api\"", "api."] {
            assert!(!text.contains(hidden), "{target}: {hidden} in {text}");
        }
    }
}
