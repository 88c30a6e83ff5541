//! Entities against a real shard.

use crate::rooms::{Room, admin, as_user, count, platform, pooled, sign_up, todos};
use platform::{Error, entities};
use serde_json::{Value, json};

#[tokio::test]
async fn every_type_default_and_scope_makes_a_table() {
    let platform = platform().await;
    let app = pooled(&platform, "types").await;
    let columns = json!([
        { "name": "a", "type": "text", "required": true, "default": "it's \\ \" $1" },
        { "name": "b", "type": "number", "default": "1.5" },
        { "name": "c", "type": "decimal", "default": 2 },
        { "name": "d", "type": "integer", "default": -3, "unique": true },
        { "name": "e", "type": "boolean", "default": "true" },
        { "name": "f", "type": "date", "default": "2024-02-29" },
        { "name": "g", "type": "datetime", "default": "2024-01-01T10:00:00.5+02:00" },
        { "name": "h", "type": "timestamp", "default": "now" },
        { "name": "i", "type": "uuid", "default": "gen_random_uuid()" },
        { "name": "j", "type": "json", "default": { "k": ["v", "it's"] } },
        { "name": "table", "type": "text" },
        { "name": "next", "type": "uuid", "references": "things" }
    ]);
    let model = json!([{ "name": "things", "scope": "shared", "display_name": "The \"things\"; it's", "columns": columns },
        { "name": "select", "scope": "public_read", "columns": columns }, { "name": "x".repeat(48), "columns": columns }]);
    let applied = entities::apply(&platform, &app, &model, false).await.unwrap();
    assert!(applied.changed && applied.version == 1);
    let again = entities::apply(&platform, &app, &model, false).await.unwrap();
    assert!(!again.changed && again.sql.is_empty() && again.version == 1, "{:?}", again.sql);
    let schema = app.schema().unwrap();
    let insert = format!("insert into {schema}.things default values returning to_jsonb(things)");
    let user = sign_up(&platform, &app, "ann@x.test").await;
    let rows = as_user(&platform, &app, "authenticated", Some(&user), &insert).await.unwrap();
    let row: Value = rows.one().unwrap().json(0).unwrap();
    assert_eq!(row["a"], "it's \\ \" $1");
    assert_eq!(row["j"], json!({ "k": ["v", "it's"] }));
    assert_eq!(
        (&row["b"], &row["d"], &row["e"], &row["f"]),
        (&json!(1.5), &json!(-3), &json!(true), &json!("2024-02-29"))
    );
}

#[tokio::test]
async fn scopes_let_in_whom_they_say() {
    let platform = platform().await;
    let app = pooled(&platform, "scopes").await;
    let model = json!([{ "name": "notes", "scope": "shared" }, { "name": "posts", "scope": "public_read" }]);
    entities::apply(&platform, &app, &model, false).await.unwrap();
    let (ann, bob) =
        (sign_up(&platform, &app, "ann@x.test").await, sign_up(&platform, &app, "bob@x.test").await);
    let schema = app.schema().unwrap();
    let run = async |role: &str, user: Option<&str>, sql: &str| {
        as_user(&platform, &app, role, user, &sql.replace("app.", &format!("{schema}."))).await
    };
    for table in ["notes", "posts"] {
        run("authenticated", Some(&ann), &format!("insert into app.{table} default values")).await.unwrap();
    }
    let seen = async |role: &str, user: Option<&str>, table: &str| {
        count(&run(role, user, &format!("select count(*) from app.{table}")).await.unwrap())
    };
    assert_eq!((seen("anon", None, "notes").await, seen("anon", None, "posts").await), (0, 1));
    assert_eq!(
        (seen("authenticated", Some(&bob), "notes").await, seen("authenticated", Some(&bob), "posts").await),
        (1, 1)
    );
    let update = "update app.notes set created_at = now()";
    assert_eq!(run("authenticated", Some(&bob), update).await.unwrap().affected(), 1);
    assert_eq!(run("authenticated", Some(&bob), "delete from app.posts").await.unwrap().affected(), 0);
    assert!(run("anon", None, "insert into app.posts default values").await.is_err());
    assert_eq!(run("authenticated", Some(&ann), "delete from app.posts").await.unwrap().affected(), 1);
    let touched =
        "update app.notes set created_at = created_at returning updated_at > created_at - interval '1 hour'";
    assert_eq!(run("authenticated", Some(&bob), touched).await.unwrap().one().unwrap().text(0), Some("t"));
}

#[tokio::test]
async fn additions_and_renames_keep_rows() {
    let platform = platform().await;
    let app = pooled(&platform, "migrate").await;
    let first = json!([{ "name": "lists" }, { "name": "todos", "columns": [
        { "name": "text", "type": "text", "required": true, "unique": true },
        { "name": "amount", "type": "integer" }, { "name": "list_id", "type": "uuid", "references": "lists" }] }]);
    entities::apply(&platform, &app, &first, false).await.unwrap();
    let user = sign_up(&platform, &app, "ann@x.test").await;
    let schema = app.schema().unwrap();
    let insert = format!(
        "with l as (insert into {schema}.lists default values returning id)
        insert into {schema}.todos (text, amount, list_id) select 'a', 5, id from l"
    );
    as_user(&platform, &app, "authenticated", Some(&user), &insert).await.unwrap();
    let second = json!([{ "name": "boards", "renamed_from": "lists", "display_name": "Boards" },
        { "name": "tasks", "renamed_from": "todos", "scope": "shared", "columns": [
            { "name": "title", "renamed_from": "text", "type": "text", "unique": true },
            { "name": "amount", "type": "decimal", "default": 1 },
            { "name": "board_id", "renamed_from": "list_id", "type": "uuid", "references": { "entity": "boards", "on_delete": "restrict" } },
            { "name": "done", "type": "boolean", "required": true, "default": false }] }]);
    let applied = entities::apply(&platform, &app, &second, false).await.unwrap();
    assert_eq!(applied.version, 2);
    assert!(!entities::apply(&platform, &app, &second, false).await.unwrap().changed);
    let select = format!("select title, amount, done, board_id is not null from {schema}.tasks");
    let other = sign_up(&platform, &app, "bob@x.test").await;
    let rows = as_user(&platform, &app, "authenticated", Some(&other), &select).await.unwrap();
    let row = rows.one().unwrap();
    assert_eq!(
        [row.text(0), row.text(1), row.text(2), row.text(3)],
        [Some("a"), Some("5"), Some("f"), Some("t")]
    );
    // No object still has an old name.
    let mut admin = admin(&platform, &app).await;
    let named = admin
        .query("select relname from pg_class where relnamespace = $1::regnamespace and relname ~ 'todos|lists'
            union all select conname from pg_constraint where connamespace = $1::regnamespace and conname ~ 'todos|lists|text'
            union all select polname from pg_policy p join pg_class c on c.oid = polrelid where relnamespace = $1::regnamespace and polname ~ 'todos|lists'",
            &[pg::text(schema.as_str())])
        .await
        .unwrap();
    assert_eq!(named.iter().filter_map(|r| r.text(0)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test]
async fn destruction_needs_to_be_allowed() {
    let platform = platform().await;
    let app = pooled(&platform, "destroy").await;
    entities::apply(&platform, &app, &todos(), false).await.unwrap();
    let narrower =
        json!([{ "name": "todos", "columns": [{ "name": "text", "type": "integer", "required": true }] }]);
    let refused = entities::apply(&platform, &app, &narrower, false).await.unwrap_err();
    let Error::Destructive(changes) = refused else { panic!("{refused}") };
    assert_eq!(changes.len(), 2);
    assert_eq!(entities::show(&platform, &app).await.unwrap().version, 1);
    assert_eq!(entities::plan(&platform, &app, &narrower).await.unwrap().version, 2);

    let schema = app.schema().unwrap();
    let user = sign_up(&platform, &app, "ann@x.test").await;
    let insert = format!("insert into {schema}.todos (text) values ('not a number')");
    as_user(&platform, &app, "authenticated", Some(&user), &insert).await.unwrap();
    let misfit = entities::apply(&platform, &app, &narrower, true).await.unwrap_err();
    assert!(matches!(misfit, Error::RowsDoNotFit(_)), "{misfit}");
    let update = format!("update {schema}.todos set text = '42'");
    as_user(&platform, &app, "authenticated", Some(&user), &update).await.unwrap();
    entities::apply(&platform, &app, &narrower, true).await.unwrap();
    let select = format!("select text + 0 from {schema}.todos");
    let rows = as_user(&platform, &app, "authenticated", Some(&user), &select).await.unwrap();
    assert_eq!(rows.one().unwrap().text(0), Some("42"));
    entities::apply(&platform, &app, &json!([]), true).await.unwrap();
    assert!(as_user(&platform, &app, "authenticated", Some(&user), &select).await.is_err());
}

#[tokio::test]
async fn rows_that_do_not_fit_change_nothing() {
    let platform = platform().await;
    let app = pooled(&platform, "misfit").await;
    let model = |more: Value| json!([{ "name": "notes", "scope": "shared", "columns": [{ "name": "a", "type": "text" }, more] }]);
    entities::apply(&platform, &app, &model(json!({ "name": "b", "type": "text" })), false).await.unwrap();
    let schema = app.schema().unwrap();
    let insert = format!("insert into {schema}.notes (a, b) values ('same', null), ('same', null)");
    as_user(&platform, &app, "service_role", None, &insert).await.unwrap();
    for bad in [
        json!({ "name": "b", "type": "text", "required": true }),
        json!({ "name": "c", "renamed_from": "b", "type": "text", "required": true }),
    ] {
        let error = entities::apply(&platform, &app, &model(bad.clone()), false).await.unwrap_err();
        assert!(matches!(error, Error::RowsDoNotFit(_)), "{bad}: {error}");
    }
    let owner = json!([{ "name": "notes", "scope": "user_scoped", "columns": [{ "name": "a", "type": "text" }, { "name": "b", "type": "text" }] }]);
    assert!(matches!(entities::apply(&platform, &app, &owner, false).await, Err(Error::RowsDoNotFit(_))));
    let missing = json!([{ "name": "other" }, { "name": "notes", "scope": "shared", "columns": [
        { "name": "a", "type": "text" }, { "name": "b", "type": "text" }, { "name": "o", "type": "uuid", "references": "other",
          "default": "00000000-0000-0000-0000-000000000000" }] }]);
    let error = entities::apply(&platform, &app, &missing, false).await.unwrap_err();
    assert!(matches!(error, Error::RowsDoNotFit(_)), "the check of stored rows sees them all: {error}");
    assert_eq!(entities::show(&platform, &app).await.unwrap().version, 1);
}

#[tokio::test]
async fn a_crash_between_shard_and_catalog_heals() {
    let room = Room::new(10).await;
    let platform = room.open().await;
    let app = pooled(&platform, "crash").await;
    room.failpoints.arm("entities.executed");
    assert!(matches!(entities::apply(&platform, &app, &todos(), false).await, Err(Error::Killed { .. })));
    assert_eq!(entities::show(&platform, &app).await.unwrap().version, 0);
    room.failpoints.arm("entities.committed");
    assert!(matches!(entities::apply(&platform, &app, &todos(), false).await, Err(Error::Killed { .. })));
    let mut c = platform.catalog().connection().await.unwrap();
    assert!(catalog::entity_models::entity_model_get(&mut c, &app.reference).await.unwrap().is_none());
    let again = entities::apply(&platform, &app, &todos(), false).await.unwrap();
    assert!(!again.changed && again.version == 1);
    let copy = catalog::entity_models::entity_model_get(&mut c, &app.reference).await.unwrap().unwrap();
    assert_eq!(copy.0, 1);
    let stored = entities::show(&platform, &app).await.unwrap();
    assert_eq!(serde_json::from_str::<entities::Model>(&copy.1).unwrap(), stored.model);
}

#[tokio::test]
async fn models_applied_at_once_queue_up_and_are_announced() {
    let platform = platform().await;
    let app = pooled(&platform, "queue").await;
    let endpoint = platform.endpoint(&app).await.unwrap();
    let mut listener = pg::Connection::connect(&endpoint.rest).await.unwrap();
    listener.batch("listen pgrst").await.unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (platform, app) = (platform.clone(), app.clone());
            tokio::spawn(
                async move { entities::apply(&platform, &app, &todos(), false).await.unwrap().changed },
            )
        })
        .collect();
    let mut changed = 0;
    for task in tasks {
        changed += i32::from(task.await.unwrap());
    }
    assert_eq!(changed, 1);
    let heard = tokio::time::timeout(std::time::Duration::from_secs(10), listener.notification()).await;
    assert_eq!(heard.unwrap().unwrap().payload, format!("reload schema {}", app.schema().unwrap()));
}

#[tokio::test]
async fn a_bad_model_changes_nothing_and_names_every_field() {
    let platform = platform().await;
    let app = pooled(&platform, "bad").await;
    let bad = json!([{ "name": "good" }, { "name": "Bad", "columns": [{ "name": "x", "type": "money" }] }]);
    let error = entities::apply(&platform, &app, &bad, true).await.unwrap_err();
    let fault = fault::Fault::from(error);
    assert_eq!((fault.status.as_u16(), fault.code.as_ref()), (400, "invalid_entity_model"));
    let paths: Vec<_> =
        fault.details.unwrap().as_array().unwrap().iter().map(|p| p["path"].clone()).collect();
    assert_eq!(paths, ["entities[1].name", "entities[1].columns[0].type"]);
    assert_eq!(entities::show(&platform, &app).await.unwrap().version, 0);
    let mut admin = admin(&platform, &app).await;
    let sql = format!(
        "select count(*) from pg_class where relnamespace = '{}'::regnamespace and relkind = 'r'",
        app.schema().unwrap()
    );
    assert_eq!(count(&admin.query(&sql, &[]).await.unwrap()), 1);
}
