use super::{Api, settings};
use http::StatusCode;
use rest::config::Settings;

/// A pooled project's schema has a name that its clients never see.
fn pooled() -> Settings {
    Settings {
        aliases: vec![("api".to_owned(), "public".to_owned())],
        table_prefix: Some("app_57_".to_owned()),
        hidden_relation_prefix: Some("rowhouse_".to_owned()),
        ..settings()
    }
}

#[tokio::test]
async fn a_table_has_two_names() {
    let api = Api::with(pooled()).await;
    assert_eq!(api.get("/app_57_people?id=eq.1").await.body, api.get("/people?id=eq.1").await.body);
    let answer = api.send("GET", "/people", &[("accept-profile", "public")], "").await;
    assert_eq!((answer.status, answer.header("content-profile")), (StatusCode::OK, "public"));
}

#[tokio::test]
async fn names_of_the_database_cannot_be_looked_up() {
    let api = Api::with(pooled()).await;
    for select in [
        "id::regclass",
        "x:id::%20REGNAMESPACE",
        "title,people(id::regrole)",
        "title::_regclass",
        "title::pg_prepared_statements",
    ] {
        let answer = api.get(&format!("/todos?select={select}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "42704"), "{select}");
    }
    assert_eq!(api.get("/todos?select=id::TEXT,title::varchar").await.status, StatusCode::OK);
    assert_eq!(Api::new().await.get("/todos?select=id::regclass").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_physical_schema_is_never_shown() {
    let api = Api::with(pooled()).await;
    let answer = api.send("GET", "/people", &[("accept-profile", "api")], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "PGRST106"));
    assert!(answer.body.contains("Only the following schemas are exposed: public"));
    for target in ["/peopl", "/rpc/nope", "/people?select=nope(*)"] {
        let body = api.get(target).await.body;
        assert!(!body.contains("api.") && !body.contains("'api'"), "{body}");
    }
}
