//! One app never reaches another, even if our own code planted the wrong schema below the planner.

use crate::rooms::{admin, as_user, count, platform, pooled, sign_up, todos};
use platform::{entities, guard};

#[tokio::test]
async fn users_see_their_own_rows_and_anonymous_clients_none() {
    let platform = platform().await;
    let app = pooled(&platform, "own rows").await;
    entities::apply(&platform, &app, &todos(), false).await.unwrap();
    let (ann, bob) =
        (sign_up(&platform, &app, "ann@x.test").await, sign_up(&platform, &app, "bob@x.test").await);
    let schema = app.schema().unwrap();
    let insert = format!("insert into {schema}.todos (text) values ('mine') returning user_id, completed");
    let rows = as_user(&platform, &app, "authenticated", Some(&ann), &insert).await.unwrap();
    assert_eq!(rows.one().unwrap().text(0), Some(ann.as_str()));
    assert_eq!(rows.one().unwrap().text(1), Some("f"));
    let select = format!("select count(*) from {schema}.todos");
    assert_eq!(count(&as_user(&platform, &app, "authenticated", Some(&ann), &select).await.unwrap()), 1);
    assert_eq!(count(&as_user(&platform, &app, "authenticated", Some(&bob), &select).await.unwrap()), 0);
    assert_eq!(count(&as_user(&platform, &app, "anon", None, &select).await.unwrap()), 0);
    assert_eq!(count(&as_user(&platform, &app, "service_role", None, &select).await.unwrap()), 1);
    let forged = format!("insert into {schema}.todos (text, user_id) values ('x', '{ann}')");
    for (role, user) in [("authenticated", Some(bob.as_str())), ("anon", None)] {
        let refused = as_user(&platform, &app, role, user, &forged).await.unwrap_err();
        assert_eq!(refused.sqlstate(), Some("42501"), "{role}: {refused}");
    }
}

#[tokio::test]
async fn a_planted_schema_of_another_app_is_refused_for_every_role() {
    let platform = platform().await;
    let (mine, other) = (pooled(&platform, "mine").await, pooled(&platform, "other").await);
    assert_eq!(mine.shard, other.shard);
    let model = serde_json::json!([
        { "name": "todos", "columns": [{ "name": "text", "type": "text" }] },
        { "name": "notes", "scope": "shared", "columns": [{ "name": "text", "type": "text" }] },
        { "name": "posts", "scope": "public_read", "columns": [{ "name": "text", "type": "text" }] }]);
    entities::apply(&platform, &other, &model, false).await.unwrap();
    let user = sign_up(&platform, &other, "ann@x.test").await;
    let schema = other.schema().unwrap();
    for table in ["todos", "posts"] {
        let insert = format!("insert into {schema}.{table} (text, user_id) values ('theirs', '{user}')");
        as_user(&platform, &other, "authenticated", Some(&user), &insert).await.unwrap();
    }
    let insert = format!("insert into {schema}.notes (text) values ('theirs')");
    as_user(&platform, &other, "authenticated", Some(&user), &insert).await.unwrap();

    // Under my settings, with the very identity of the other app's user, and with the service role.
    for role in ["anon", "authenticated", "service_role"] {
        for table in ["todos", "notes", "posts"] {
            let relation = format!("{schema}.{table}");
            let run = async |sql: String| as_user(&platform, &mine, role, Some(&user), &sql).await;
            let seen = run(format!("select count(*) from {relation}")).await.unwrap();
            assert_eq!(count(&seen), 0, "{role} reads {relation}");
            let updated = run(format!("update {relation} set text = 'mine'")).await.unwrap();
            assert_eq!(updated.affected(), 0, "{role} updates {relation}");
            let deleted = run(format!("delete from {relation}")).await.unwrap();
            assert_eq!(deleted.affected(), 0, "{role} deletes from {relation}");
            let owner = if table == "notes" { String::new() } else { format!(", user_id = '{user}'") };
            let columns = if table == "notes" {
                "(text) values ('x')".to_owned()
            } else {
                format!("(text, user_id) values ('x', '{user}')")
            };
            let inserted = run(format!("insert into {relation} {columns}")).await.unwrap_err();
            assert_eq!(
                inserted.sqlstate(),
                Some("42501"),
                "{role} inserts into {relation}{owner}: {inserted}"
            );
        }
        let keys = format!("select count(*) from {schema}.rowhouse_users");
        let refused = as_user(&platform, &mine, role, Some(&user), &keys).await.unwrap_err();
        assert_eq!(refused.sqlstate(), Some("42501"), "{role} reads the user ids: {refused}");
        let users = as_user(&platform, &mine, role, Some(&user), "select count(*) from auth.users").await;
        assert_eq!(users.unwrap_err().sqlstate(), Some("42501"), "{role} reads auth.users");
    }
    let left = format!(
        "select (select count(*) from {schema}.todos) + (select count(*) from {schema}.notes)
        + (select count(*) from {schema}.posts)"
    );
    let mut admin = admin(&platform, &other).await;
    assert_eq!(count(&admin.query(&left, &[]).await.unwrap()), 3);
}

#[tokio::test]
async fn without_the_setting_or_with_a_malformed_one_nothing_is_reached() {
    let platform = platform().await;
    let app = pooled(&platform, "no setting").await;
    entities::apply(&platform, &app, &serde_json::json!([{ "name": "notes", "scope": "shared" }]), false)
        .await
        .unwrap();
    let schema = app.schema().unwrap();
    let insert = format!("insert into {schema}.notes default values");
    as_user(&platform, &app, "service_role", None, &insert).await.unwrap();
    let mut session = admin(&platform, &app).await;
    for value in ["", "0", "-1", "x", "1e3", "99999999999", "1; drop table x", "57 "] {
        let mut tx = session.begin().await.unwrap();
        tx.query("select set_config('rowhouse.app_id', $1, true)", &[pg::text(value)]).await.unwrap();
        tx.batch("set local role service_role").await.unwrap();
        let seen = tx.query(&format!("select count(*) from {schema}.notes"), &[]).await.unwrap();
        assert_eq!(count(&seen), 0, "{value:?}");
        let refused = tx.query(&insert, &[]).await.unwrap_err();
        assert_eq!(refused.sqlstate(), Some("42501"), "{value:?}");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn the_auth_service_sees_only_the_realm_of_its_app() {
    let platform = platform().await;
    let (a, b) = (pooled(&platform, "realm a").await, pooled(&platform, "realm b").await);
    // The same address in two apps of one shard.
    let (in_a, in_b) =
        (sign_up(&platform, &a, "ann@x.test").await, sign_up(&platform, &b, "ann@x.test").await);
    assert_ne!(in_a, in_b);
    let endpoint = platform.endpoint(&a).await.unwrap();
    let mut auth = pg::Connection::connect(&endpoint.auth).await.unwrap();
    assert_eq!(
        count(&auth.query("select count(*) from auth.users", &[]).await.unwrap()),
        0,
        "without a setting"
    );
    auth.batch(&format!("set rowhouse.app_id = {}", a.app_id.unwrap())).await.unwrap();
    let rows = auth.query("select id from auth.users", &[]).await.unwrap();
    assert_eq!(rows.one().unwrap().text(0), Some(in_a.as_str()));
    let planted = format!(
        "insert into auth.users (id, app_id, email) values (gen_random_uuid(), {}, 'eve@x.test')",
        b.app_id.unwrap()
    );
    assert_eq!(auth.query(&planted, &[]).await.unwrap_err().sqlstate(), Some("42501"));
    let other = format!("delete from auth.users where id = '{in_b}'");
    assert_eq!(auth.query(&other, &[]).await.unwrap().affected(), 0);
}

#[tokio::test]
async fn deleting_a_user_deletes_their_rows_in_their_app() {
    let platform = platform().await;
    let app = pooled(&platform, "cascade").await;
    entities::apply(&platform, &app, &todos(), false).await.unwrap();
    let user = sign_up(&platform, &app, "ann@x.test").await;
    let schema = app.schema().unwrap();
    let insert = format!("insert into {schema}.todos (text) values ('a'), ('b')");
    as_user(&platform, &app, "authenticated", Some(&user), &insert).await.unwrap();
    let endpoint = platform.endpoint(&app).await.unwrap();
    let mut auth = pg::Connection::connect(&endpoint.auth).await.unwrap();
    auth.batch(&format!("set rowhouse.app_id = {}", app.app_id.unwrap())).await.unwrap();
    auth.query("delete from auth.users where id = $1", &[pg::text(&user)]).await.unwrap();
    let mut admin = admin(&platform, &app).await;
    let left = format!(
        "select (select count(*) from {schema}.todos) + (select count(*) from {schema}.rowhouse_users)"
    );
    assert_eq!(count(&admin.query(&left, &[]).await.unwrap()), 0);
}

#[tokio::test]
async fn every_table_of_a_shard_has_forced_policies_or_no_reader() {
    let platform = platform().await;
    let app = pooled(&platform, "guard").await;
    entities::apply(&platform, &app, &todos(), false).await.unwrap();
    assert_eq!(guard::exposed(&platform, &app).await.unwrap(), []);
    let mut admin = admin(&platform, &app).await;
    let sql = "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname not in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'p')
          and exists (select from unnest(array['anon', 'authenticated', 'service_role', 'supabase_auth_admin', 'rowhouse_owner']) as r
            where has_table_privilege(r, c.oid, 'select,insert,update,delete'))
          and not (c.relrowsecurity and c.relforcerowsecurity) and c.relname <> 'schema_migrations'";
    let loose: Vec<String> = admin.query(sql, &[]).await.unwrap().iter().map(|r| r.get(0).unwrap()).collect();
    assert_eq!(loose, Vec::<String>::new());
    let schema = app.schema().unwrap();
    admin
        .batch(&format!("create table {schema}.bare (id int); grant select on {schema}.bare to anon"))
        .await
        .unwrap();
    let found = guard::exposed(&platform, &app).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].reason.as_str()), ("bare", "rls_disabled"));
}
