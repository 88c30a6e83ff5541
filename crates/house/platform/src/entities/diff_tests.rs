use super::*;
use serde_json::{Value, json};

const TABLES: Tables<'static> = Tables { schema: "app_57", app: 57 };

fn model(value: Value) -> Model {
    Model::parse(&value).unwrap()
}

fn plan(stored: &Model, wanted: Value) -> Plan {
    diff(TABLES, stored, &model(wanted)).unwrap()
}

fn todos(columns: Value) -> Value {
    json!([{ "name": "todos", "columns": columns }])
}

#[test]
fn the_same_model_again_is_no_change() {
    let value = json!([
        { "name": "lists", "scope": "shared", "display_name": "Lists" },
        { "name": "todos", "columns": [
            { "name": "text", "type": "text", "required": true, "unique": true, "default": "x" },
            { "name": "list_id", "type": "uuid", "references": "lists" }] }
    ]);
    let first = plan(&Model::default(), value.clone());
    assert!(!first.is_empty() && first.destructive.is_empty());
    assert!(plan(&first.model, value.clone()).is_empty());
    // As it comes back from the database.
    let stored: Model = serde_json::from_value(serde_json::to_value(&first.model).unwrap()).unwrap();
    assert!(plan(&stored, value).is_empty());
}

#[test]
fn a_new_table_has_all_that_belongs_to_it() {
    let made =
        plan(&Model::default(), todos(json!([{ "name": "completed", "type": "boolean", "default": false }])));
    let text = made.statements().cloned().collect::<Vec<_>>().join(";\n");
    for part in [
        r#"create table "app_57"."todos" ("#,
        "id uuid not null default gen_random_uuid()",
        "user_id uuid not null default auth.uid()",
        r#""completed" boolean default false"#,
        "created_at timestamptz not null default now()",
        "updated_at timestamptz not null default now()",
        "enable row level security, force row level security",
        r#"create index "idx_todos_user_id" on "app_57"."todos" ("user_id")"#,
        r#"create index "idx_todos_created_at" on "app_57"."todos" ("created_at" desc)"#,
        "execute function rowhouse.touch_updated_at()",
        "create policy rowhouse_app on \"app_57\".\"todos\" as restrictive for all to public using ((select rowhouse.app_id()) = 57)",
        r#"references "app_57"."rowhouse_users" (id) on delete cascade"#,
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn dropping_is_destructive() {
    let stored = plan(&Model::default(), todos(json!([{ "name": "a", "type": "text" }]))).model;
    let changes =
        |wanted| plan(&stored, wanted).destructive.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(changes(json!([])), ["todos: the table would be dropped with all its rows"]);
    assert_eq!(changes(todos(json!([]))), ["todos.a: the column would be dropped with its values"]);
    let retyped = changes(todos(json!([{ "name": "a", "type": "integer" }])));
    assert_eq!(retyped, ["todos.a: values of type text would have to become bigint"]);
    assert_eq!(
        changes(todos(json!([{ "name": "a", "type": "text" }, { "name": "b", "type": "date" }]))).len(),
        0
    );
}

#[test]
fn renames_keep_rows_and_rename_what_has_the_name() {
    let stored = plan(
        &Model::default(),
        json!([{ "name": "lists" }, { "name": "todos", "columns": [
            { "name": "code", "type": "text", "unique": true },
            { "name": "list_id", "type": "uuid", "references": "lists" }] }]),
    )
    .model;
    let wanted = json!([
        { "name": "boards", "renamed_from": "lists" },
        { "name": "tasks", "renamed_from": "todos", "columns": [
            { "name": "number", "renamed_from": "code", "type": "text", "unique": true },
            { "name": "board_id", "renamed_from": "list_id", "type": "uuid", "references": "boards" }] }
    ]);
    let renamed = plan(&stored, wanted.clone());
    assert!(renamed.destructive.is_empty());
    assert!(renamed.as_admin.is_empty(), "{:?}", renamed.as_admin);
    let text = renamed.as_owner.join("\n");
    assert!(text.contains(r#"rename constraint "todos_list_id_fkey" to "tasks_board_id_fkey""#), "{text}");
    assert!(text.contains(r#"rename constraint "todos_code_key" to "tasks_number_key""#), "{text}");
    assert!(plan(&renamed.model, wanted).is_empty());
}

#[test]
fn contradicting_renames_are_refused() {
    let stored = plan(&Model::default(), json!([{ "name": "a" }, { "name": "b" }])).model;
    let refused = |wanted| diff(TABLES, &stored, &model(wanted)).unwrap_err()[0].path.clone();
    assert_eq!(refused(json!([{ "name": "b", "renamed_from": "a" }])), "entities[0].renamed_from");
    let both = json!([{ "name": "a" }, { "name": "b" }, { "name": "c", "renamed_from": "a" }]);
    assert_eq!(refused(both), "entities[2].renamed_from");
}

#[test]
fn the_owner_column_comes_and_stays() {
    let shared = plan(&Model::default(), json!([{ "name": "t", "scope": "shared" }])).model;
    let scoped = plan(&shared, json!([{ "name": "t", "scope": "user_scoped" }]));
    assert!(scoped.as_owner[0].contains("add column user_id uuid not null"), "{:?}", scoped.as_owner);
    let back = plan(&scoped.model, json!([{ "name": "t", "scope": "shared" }]));
    assert!(back.destructive.is_empty() && back.model.entities[0].owned);
    assert!(back.as_owner[0].contains("drop not null"), "{:?}", back.as_owner);
}

#[test]
fn a_binding_goes_before_its_column_changes_and_comes_after() {
    let bound = |kind: &str, setting: &str| {
        json!([{ "name": "t", "scope": "key_scoped", "bound_to": { "column": "app", "setting": setting },
            "columns": [{ "name": "app", "type": kind, "required": true, "default": { "setting": setting } }] }])
    };
    let first = plan(&Model::default(), bound("text", "app.id"));
    let text = first.as_owner.join("\n");
    assert!(
        text.contains(r#""app" text not null default nullif(current_setting('app.id', true), '')::text"#),
        "{text}"
    );
    let policy = r#"create policy rowhouse_key on "app_57"."t" as restrictive for all to anon, authenticated using ("app" = (select nullif(current_setting('app.id', true), '')::text)) with check"#;
    assert!(text.contains(policy), "{text}");
    assert!(plan(&first.model, bound("text", "app.id")).is_empty());
    let other = plan(&first.model, bound("uuid", "app.other"));
    assert!(other.as_owner[0].starts_with("drop policy rowhouse_key"), "{:?}", other.as_owner);
    assert!(other.as_owner.last().unwrap().contains("'app.other'"), "{:?}", other.as_owner);
    let free = plan(
        &first.model,
        json!([{ "name": "t", "scope": "shared", "columns": [{ "name": "app", "type": "text" }] }]),
    );
    let made = free.as_owner.iter().filter(|sql| sql.contains("create policy rowhouse_key")).count();
    assert_eq!((made, free.model.entities[0].bound_to.is_none()), (0, true));
}

#[test]
fn bindings_that_make_no_sense_are_refused() {
    let problems = |entity: serde_json::Value| Model::parse(&json!([entity])).unwrap_err().len();
    let with = |bound: serde_json::Value, kind: &str| {
        problems(json!({ "name": "t", "bound_to": bound, "columns": [{ "name": "c", "type": kind }] }))
    };
    assert_eq!(problems(json!({ "name": "t", "scope": "key_scoped" })), 1);
    assert_eq!(with(json!({ "column": "c", "setting": "rowhouse.app_id" }), "text"), 1);
    assert_eq!(with(json!({ "column": "c", "setting": "role" }), "text"), 1);
    assert_eq!(with(json!({ "column": "d", "setting": "app.x" }), "text"), 1);
    assert_eq!(with(json!({ "column": "c", "setting": "app.x" }), "json"), 1);
    assert_eq!(with(json!({ "column": "c" }), "text"), 1);
    assert_eq!(with(json!("c"), "text"), 1);
    for default in
        [json!({ "setting": "role" }), json!({ "setting": 1 }), json!({ "setting": "app.x", "y": 1 })]
    {
        assert_eq!(
            problems(
                json!({ "name": "t", "columns": [{ "name": "c", "type": "text", "default": default }] })
            ),
            1
        );
    }
}
