//! Attempts to be more than a name or a value, from every place of a request that ends up in a statement.
//!
//! The role owns the canary and may use the alarm, so that nothing but the statement's text protects them. A
//! sequence does not roll back: an alarm rings even when the statement around it fails.

use super::{Answer, Api};
use http::StatusCode;

const SETUP: &str = "
    create sequence api.alarm;
    create table api.canary (id int primary key, word text);
    insert into api.canary values (1, 'alive');
    create table api.vault (word text);
    insert into api.vault values ('treasure-9173');
    alter table api.canary owner to anon;
    grant create on schema api to anon;
    grant usage on sequence api.alarm to anon;
    create function api.ring() returns bigint language sql as $$ select nextval('api.alarm') $$";

pub(super) const ATTEMPTS: [&str; 18] = [
    "'; select nextval('api.alarm'); --",
    "\"; select nextval('api.alarm'); --",
    "'); drop table api.canary; --",
    "\"); drop table api.canary; --",
    "title\" from api.canary; drop table api.canary; --",
    "'||nextval('api.alarm')||'",
    "\"||nextval('api.alarm')||\"",
    "\\'; select nextval('api.alarm'); --",
    "\\\"; select nextval('api.alarm'); --",
    "title::text,nextval('api.alarm')",
    "nextval('api.alarm')",
    "(select nextval('api.alarm'))",
    "1) or (select nextval('api.alarm')) > (0",
    "text) union all select word from api.vault --",
    "$1; select nextval('api.alarm')",
    "$$; drop table api.canary; $$",
    "*/ ; delete from api.canary; /*",
    "x\0'; select nextval('api.alarm'); --",
];

/// `{}` is the attempt.
pub(super) const TARGETS: [&str; 46] = [
    "/{}",
    "/rpc/{}",
    "/todos?select={}",
    "/todos?select=id,{}",
    "/todos?select={}:title",
    "/todos?select=title::{}",
    "/todos?select=data->{}",
    "/todos?select=data->>{}",
    "/todos?select=x:data->{}->>b",
    "/todos?select={}:people(name)",
    "/todos?select=people!{}(name)",
    "/todos?select=people({})",
    "/todos?select=people({}:name)",
    "/todos?select=...people({}:name)",
    "/todos?select={}(name)",
    "/todos?select=...{}(name)",
    "/todos?select={}:id.count()",
    "/todos?select=id.{}()",
    "/todos?{}=eq.1",
    "/todos?title={}",
    "/todos?title={}.x",
    "/todos?title=eq.{}",
    "/todos?title=not.eq.{}",
    "/todos?title=like.{}",
    "/todos?title=match.{}",
    "/todos?title=is.{}",
    "/todos?title=in.({})",
    "/todos?title=eq(any).{}",
    "/todos?title=fts({}).x",
    "/todos?title=fts.{}",
    "/todos?done=eq.{}",
    "/todos?id=gt.{}",
    "/todos?data->{}=eq.1",
    "/todos?data->>{}=eq.1",
    "/todos?data=cs.{}",
    "/todos?or=({})",
    "/todos?or=(title.eq.{},id.eq.1)",
    "/todos?and={}",
    "/todos?select=people(name)&people.{}=eq.1",
    "/todos?select=people(name)&people.name=eq.{}",
    "/todos?order={}",
    "/todos?order=title.{}",
    "/todos?select=people(name)&order=people({})",
    "/todos?limit={}&offset={}",
    "/rpc/todos_of?who={}",
    "/rpc/todos_of?{}=1",
];

const WRITES: [(&str, &str, &str); 9] = [
    ("POST", "/todos?columns={}", r#"[{"title":"x"}]"#),
    ("POST", "/todos?columns=title,{}", r#"[{"title":"x"}]"#),
    ("POST", "/people?on_conflict={}", r#"[{"id":1,"name":"x"}]"#),
    ("POST", "/todos?select={}", r#"[{"title":"x"}]"#),
    ("PATCH", "/todos?{}=eq.1", r#"{"title":"x"}"#),
    ("PATCH", "/todos?title=eq.{}&order={}&limit=1", r#"{"title":"x"}"#),
    ("PUT", "/people?id=eq.{}", r#"{"id":7,"name":"x"}"#),
    ("DELETE", "/todos?title=eq.{}", ""),
    ("DELETE", "/todos?title=in.({})&select={}", ""),
];

const HEADERS: [(&str, &str); 11] = [
    ("accept-profile", "{}"),
    ("accept", "{}"),
    ("accept", "application/vnd.pgrst.plan+text; for=\"{}\"; options={}"),
    ("range", "{}"),
    ("prefer", "{}"),
    ("prefer", "timezone={}"),
    ("prefer", "handling=strict, timezone={}"),
    ("prefer", "count={}, tx={}, max-affected={}"),
    ("cookie", "a={}; {}=b"),
    ("x-one", "{}"),
    ("authorization", "Bearer {}"),
];

/// Everything but letters and digits as `%xx`.
pub(super) fn escaped(text: &str) -> String {
    let escape = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The attempt bare, and as the content of a quoted name, whose quoting it may try to leave.
pub(super) fn spellings(attempt: &str) -> [String; 3] {
    let inside = attempt.replace('\\', "\\\\").replace('"', "\\\"");
    [attempt.to_owned(), format!("\"{attempt}\""), format!("\"{inside}\"")]
}

pub(super) async fn armed() -> Api {
    let api = Api::new().await;
    api.database.connect().await.batch(SETUP).await.unwrap();
    api
}

/// What the database looks like to its superuser; no attempt may change it.
pub(super) async fn state(api: &Api) -> String {
    api.value(
        "select json_build_array((select is_called from api.alarm), (select json_agg(c) from api.canary c), \
         (select json_agg(relname order by relname) from pg_class where relnamespace = 'api'::regnamespace))::text",
    )
    .await
}

pub(super) fn harmless(answer: &Answer, attempt: &str) {
    assert!(!answer.status.is_server_error(), "{}: {attempt}: {}", answer.status, answer.body);
    assert!(!answer.body.contains("treasure-9173"), "{attempt}: {}", answer.body);
}

#[tokio::test]
async fn reads_run_nothing_else() {
    let api = armed().await;
    let before = state(&api).await;
    for attempt in ATTEMPTS {
        for spelling in spellings(attempt) {
            for target in TARGETS {
                let target = target.replace("{}", &escaped(&spelling)).replace('>', "%3E");
                harmless(&api.get(&target).await, &target);
            }
        }
        assert_eq!(state(&api).await, before, "{attempt}");
    }
    assert_eq!(api.send("POST", "/rpc/ring", &[], "").await.status, StatusCode::OK);
    assert_ne!(state(&api).await, before, "the alarm can ring");
}

#[tokio::test]
async fn writes_run_nothing_else() {
    let api = armed().await;
    let before = state(&api).await;
    for attempt in ATTEMPTS {
        for spelling in spellings(attempt) {
            for (method, target, body) in WRITES {
                let target = target.replace("{}", &escaped(&spelling));
                let prefer =
                    ("prefer", "return=representation, resolution=merge-duplicates, missing=default");
                harmless(&api.send(method, &target, &[prefer], body).await, &target);
            }
        }
        let key = serde_json::json!({ attempt: 1 }).to_string();
        for target in ["/todos", "/rpc/add_todo", "/rpc/whoami"] {
            harmless(&api.send("POST", target, &[], &key).await, attempt);
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let body = format!("{}=1", escaped(attempt));
            harmless(&api.send("POST", target, &form, &body).await, attempt);
        }
        let csv = format!("\"{}\"\nx\n", attempt.replace('"', "\"\""));
        harmless(&api.send("POST", "/todos", &[("content-type", "text/csv")], &csv).await, attempt);
        assert_eq!(state(&api).await, before, "{attempt}");
    }
}

#[tokio::test]
async fn headers_run_nothing_else() {
    let api = armed().await;
    let before = state(&api).await;
    for attempt in ATTEMPTS.iter().filter(|attempt| !attempt.contains('\0')) {
        for (name, value) in HEADERS {
            let value = value.replace("{}", attempt);
            harmless(&api.send("GET", "/rpc/whoami", &[(name, &value)], "").await, &value);
            harmless(&api.send("GET", "/todos", &[(name, &value)], "").await, &value);
            harmless(&api.send("POST", "/todos", &[(name, &value)], r#"{"title":"x"}"#).await, &value);
        }
        harmless(&api.send("POST", "/todos", &[("content-profile", attempt)], "{}").await, attempt);
        assert_eq!(state(&api).await, before, "{attempt}");
    }
}

#[tokio::test]
async fn values_arrive_as_they_are() {
    let api = armed().await;
    for attempt in ATTEMPTS.iter().filter(|attempt| !attempt.contains('\0')) {
        let prefer = [("prefer", "return=representation")];
        let body = serde_json::json!({ "title": attempt }).to_string();
        let answer = api.send("POST", "/todos?select=title", &prefer, &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{attempt}: {}", answer.body);
        let read = api.get(&format!("/todos?select=title&title=eq.{}", escaped(attempt))).await;
        let rows: serde_json::Value = serde_json::from_str(&read.body).unwrap();
        assert_eq!(rows, serde_json::json!([{ "title": attempt }]));
    }
}
