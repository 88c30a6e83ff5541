//! Projects of one shard: realms that do not know of each other.

use crate::world::{World, settings, shard, text};
use auth::Settings;
use serde_json::{Value, json};
use testkit::Database;

const SECRETS: [&[u8]; 2] =
    [b"the secret of the first app, long enough", b"the secret of the second app, as long"];

fn app(database: &Database, number: usize) -> World {
    let settings = Settings {
        extra_settings: vec![("rowhouse.app_id".to_owned(), (number + 57).to_string())],
        ..settings(SECRETS[number])
    };
    World::on(database.clone(), settings)
}

#[tokio::test]
async fn one_address_is_two_users_in_two_apps() {
    let database = shard().await;
    let (one, two) = (app(&database, 0), app(&database, 1));
    let first =
        one.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await.ok();
    assert_eq!(two.sign_in("ann@example.com", "password1").await.refusal(), (400, "invalid_credentials"));
    let second =
        two.post("/signup", json!({ "email": "ann@example.com", "password": "password2" })).await.ok();
    assert_ne!(first["user"]["id"], second["user"]["id"]);
    one.sign_in("ann@example.com", "password1").await.ok();
    assert_eq!(one.sign_in("ann@example.com", "password2").await.refusal(), (400, "invalid_credentials"));
    two.sign_in("ann@example.com", "password2").await.ok();
    let apps = one.sql("select string_agg(distinct app_id::text, ',') from auth.users").await;
    assert_eq!(apps, "57,58");
}

#[tokio::test]
async fn tokens_of_one_app_are_nothing_to_the_other() {
    let database = shard().await;
    let (one, two) = (app(&database, 0), app(&database, 1));
    let session = one.sign_up("ann@example.com").await;
    let (access, refresh) = (text(&session, "/access_token"), text(&session, "/refresh_token"));
    one.get("/user", access).await.ok();
    assert_eq!(two.get("/user", access).await.refusal(), (403, "bad_jwt"));
    assert_eq!(two.refresh(refresh).await.refusal(), (400, "refresh_token_not_found"));
    one.refresh(refresh).await.ok();
    // Even with the other's own signature the user is unknown there.
    let id = text(&session, "/user/id");
    let forged =
        token::KeySet::from_secret(SECRETS[1]).sign(&json!({ "sub": id, "role": "authenticated" })).unwrap();
    assert_eq!(two.get("/user", &forged).await.refusal(), (403, "user_not_found"));
    let key = token::demo_key(SECRETS[1], "service_role");
    let path = format!("/admin/users/{id}");
    assert_eq!(two.get(&path, &key).await.refusal(), (404, "user_not_found"));
    assert_eq!(two.call("DELETE", &path, Some(&key), Value::Null).await.refusal(), (404, "user_not_found"));
    let list = two.get("/admin/users", &key).await;
    assert_eq!(list.header("x-total-count"), "0");
    assert_eq!(two.get("/admin/audit", &key).await.header("x-total-count"), "0");
}

#[tokio::test]
async fn the_database_hides_the_other_realm_from_queries_without_a_condition() {
    let database = shard().await;
    let (one, two) = (app(&database, 0), app(&database, 1));
    one.sign_up("ann@example.com").await;
    two.sign_up("bob@example.com").await;
    let config = pg::Config { user: "supabase_auth_admin".to_owned(), ..database.config.clone() };
    let mut session = pg::Connection::connect(&config).await.unwrap();
    let mut count = async |sql: &str| -> String {
        let rows = session.query(sql, &[]).await.unwrap();
        rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned()
    };
    let tables = ["users", "identities", "sessions", "refresh_tokens", "mfa_amr_claims", "audit_log_entries"];
    for table in tables {
        let sql = format!("select count(*) from auth.{table}");
        assert_eq!(count(&sql).await, "0", "{table} without an app");
    }
    count("select set_config('rowhouse.app_id', '57', false)").await;
    assert_eq!(count("select string_agg(email, ',') from auth.users").await, "ann@example.com");
    assert_eq!(
        count("update auth.users set email = 'x@y.z' where email = 'bob@example.com' returning email").await,
        ""
    );
    assert_eq!(count("delete from auth.users where email = 'bob@example.com' returning email").await, "");
    let moved = session.query("update auth.users set app_id = 58", &[]).await;
    assert_eq!(moved.unwrap_err().sqlstate(), Some("42501"), "a row cannot be given to another app");
    let planted = session
        .query("insert into auth.users (app_id, id, email) values (58, gen_random_uuid(), 'x@y.z')", &[])
        .await;
    assert_eq!(planted.unwrap_err().sqlstate(), Some("42501"));
}

#[tokio::test]
async fn every_flow_works_in_a_shard() {
    let database = shard().await;
    let base = Settings {
        extra_settings: vec![("rowhouse.app_id".to_owned(), "57".to_owned())],
        mailer_autoconfirm: false,
        anonymous_enabled: true,
        ..settings(SECRETS[0])
    };
    let world = World::on(database, base);
    world.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await.ok();
    let code = world.mail("signup").await["token"].clone();
    world.post("/verify", json!({ "type": "signup", "email": "ann@example.com", "token": code })).await.ok();
    world.post("/recover", json!({ "email": "ann@example.com" })).await.ok();
    let hash = world.mail("recovery").await["token_hash"].clone();
    let session = world.post("/verify", json!({ "type": "recovery", "token_hash": hash })).await.ok();
    let token = text(&session, "/access_token");
    world
        .call("PUT", "/user", Some(token), json!({ "password": "password2", "data": { "a": 1 } }))
        .await
        .ok();
    world.call("PUT", "/user", Some(token), json!({ "email": "anna@example.com" })).await.ok();
    world.refresh(text(&session, "/refresh_token")).await.ok();
    world.post("/signup", json!({})).await.ok();
    let key = token::demo_key(SECRETS[0], "service_role");
    world.call("POST", "/invite", Some(&key), json!({ "email": "bob@example.com" })).await.ok();
    let path = format!("/admin/users/{}", text(&session, "/user/id"));
    world.call("DELETE", &path, Some(&key), json!({ "should_soft_delete": true })).await.ok();
    assert_eq!(world.sql("select count(*) from rowhouse.mail_outbox where app_id = 57").await, "5");
}
