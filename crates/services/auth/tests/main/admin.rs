//! Administration of users.

use crate::world::{World, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_user_is_made_read_changed_and_deleted() {
    let world = World::with(|s| s.mailer_autoconfirm = false).await;
    let body = json!({
        "email": "Ann@example.com", "password": "password1", "email_confirm": true,
        "user_metadata": { "name": "Ann" }, "app_metadata": { "plan": "pro" },
    });
    let user = world.admin("POST", "/admin/users", body).await.ok();
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["app_metadata"], json!({ "plan": "pro", "provider": "email", "providers": ["email"] }));
    assert_eq!(user["user_metadata"], json!({ "name": "Ann", "email_verified": true }));
    assert!(user.get("email_confirmed_at").is_some());
    assert_eq!(user["identities"][0]["provider"], "email");
    world.sign_in("ann@example.com", "password1").await.ok();
    let path = format!("/admin/users/{}", text(&user, "/id"));
    assert_eq!(world.admin("GET", &path, Value::Null).await.ok()["id"], user["id"]);
    let changed = world
        .admin("PUT", &path, json!({ "email": "anna@example.com", "password": "password2", "app_metadata": { "plan": null }, "role": "editor" }))
        .await
        .ok();
    assert_eq!(changed["email"], "anna@example.com");
    assert_eq!(changed["role"], "editor");
    assert!(changed["app_metadata"].get("plan").is_none());
    assert_eq!(changed["identities"][0]["identity_data"]["email"], "anna@example.com");
    assert_eq!(
        world.sql("select count(*) from auth.sessions").await,
        "0",
        "a new password ends all sessions"
    );
    world.sign_in("anna@example.com", "password2").await.ok();
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.ok(), json!({}));
    assert_eq!(world.admin("GET", &path, Value::Null).await.refusal(), (404, "user_not_found"));
    assert_eq!(world.sql("select count(*) from auth.identities").await, "0");
    assert_eq!(
        world.admin("GET", "/admin/users/nope", Value::Null).await.refusal(),
        (404, "validation_failed")
    );
}

#[tokio::test]
async fn bad_users_are_refused() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let cases = [
        (json!({}), 400, "validation_failed"),
        (json!({ "email": "ann@example.com" }), 422, "email_exists"),
        (json!({ "email": "x" }), 400, "validation_failed"),
        (json!({ "phone": "x" }), 400, "validation_failed"),
        (json!({ "email": "b@example.com", "id": "x" }), 400, "validation_failed"),
        (json!({ "email": "b@example.com", "ban_duration": "x" }), 400, "validation_failed"),
        (
            json!({ "email": "b@example.com", "password": "a", "password_hash": "b" }),
            400,
            "validation_failed",
        ),
        (json!({ "email": "b@example.com", "password_hash": "b" }), 400, "validation_failed"),
    ];
    for (body, status, code) in cases {
        assert_eq!(
            world.admin("POST", "/admin/users", body.clone()).await.refusal(),
            (status, code),
            "{body}"
        );
    }
    let hash = world.sql("select encrypted_password from auth.users").await;
    let id = "11111111-1111-4111-8111-111111111111";
    let made = world
        .admin(
            "POST",
            "/admin/users",
            json!({ "id": id, "email": "b@example.com", "password_hash": hash, "email_confirm": true }),
        )
        .await
        .ok();
    assert_eq!(made["id"], id);
    world.sign_in("b@example.com", "password1").await.ok();
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let world = World::new().await;
    for n in 0..5 {
        world.admin("POST", "/admin/users", json!({ "email": format!("u{n}@example.com") })).await.ok();
        world.advance(1);
    }
    let answer = world.admin("GET", "/admin/users?per_page=2&page=2", Value::Null).await;
    assert_eq!(answer.header("x-total-count"), "5");
    assert_eq!(
        answer.header("link"),
        "</admin/users?page=3&per_page=2>; rel=\"next\", </admin/users?page=3&per_page=2>; rel=\"last\""
    );
    let page = answer.ok();
    assert_eq!(page["aud"], "authenticated");
    let emails = |page: &Value| -> Vec<String> {
        page["users"].as_array().unwrap().iter().map(|user| text(user, "/email").to_owned()).collect()
    };
    assert_eq!(emails(&page), ["u2@example.com", "u1@example.com"]);
    assert_eq!(page["users"][0]["identities"], Value::Null);
    let last = world.admin("GET", "/admin/users?per_page=2&page=3", Value::Null).await;
    assert_eq!(last.header("link"), "</admin/users?page=3&per_page=2>; rel=\"last\"");
    let oldest = world.admin("GET", "/admin/users?sort=created_at%20asc&per_page=1", Value::Null).await.ok();
    assert_eq!(emails(&oldest), ["u0@example.com"]);
    let found = world.admin("GET", "/admin/users?filter=u3@", Value::Null).await;
    assert_eq!(found.header("x-total-count"), "1");
    assert_eq!(emails(&found.ok()), ["u3@example.com"]);
    assert_eq!(
        world.admin("GET", "/admin/users?page=x", Value::Null).await.refusal(),
        (400, "validation_failed")
    );
    assert_eq!(
        world.admin("GET", "/admin/users?sort=email", Value::Null).await.refusal(),
        (400, "validation_failed")
    );
}

#[tokio::test]
async fn a_soft_deleted_user_leaves_no_address() {
    let world = World::new().await;
    let session = world
        .post(
            "/signup",
            json!({ "email": "ann@example.com", "password": "password1", "data": { "n": "Ann" } }),
        )
        .await
        .ok();
    let path = format!("/admin/users/{}", text(&session, "/user/id"));
    world.admin("DELETE", &path, json!({ "should_soft_delete": true })).await.ok();
    let row = world.sql("select to_jsonb(u)::text || (select jsonb_agg(i)::text from auth.identities i) from auth.users u").await;
    assert!(!row.contains("ann@example.com") && !row.contains("Ann"), "{row}");
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "0");
    assert!(world.admin("GET", &path, Value::Null).await.ok().get("deleted_at").is_some());
    assert_eq!(world.sign_in("ann@example.com", "password1").await.refusal(), (400, "invalid_credentials"));
    world.admin("DELETE", &path, json!({ "should_soft_delete": true })).await.ok();
    world.sign_up("ann@example.com").await;
}

#[tokio::test]
async fn what_was_done_is_in_the_log() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    world.admin("POST", "/admin/users", json!({ "email": "b@example.com" })).await.ok();
    let all = world.admin("GET", "/admin/audit", Value::Null).await;
    assert_eq!(all.header("x-total-count"), "3");
    let entries = world.admin("GET", "/admin/audit?query=author:ann", Value::Null).await.ok();
    assert_eq!(entries.as_array().unwrap().len(), 2);
    let logins = world.admin("GET", "/admin/audit?query=action:login", Value::Null).await.ok();
    assert_eq!(logins[0]["payload"]["log_type"], "account");
    assert_eq!(logins[0]["payload"]["actor_username"], "ann@example.com");
    assert_eq!(logins[0]["payload"]["traits"], json!({ "provider": "email" }));
    assert_eq!(
        world.admin("GET", "/admin/audit?query=x:y", Value::Null).await.refusal(),
        (400, "validation_failed")
    );
}

#[tokio::test]
async fn hashes_that_would_take_hours_are_refused_and_never_tried() {
    let world = World::new().await;
    let dear = "$2a$31$7EqJtq98hPqEX7fNZaFWoOhi5Xe6Gq4oVbS9Y5wQF1QmFJ4yqYQ2W";
    let body = json!({ "email": "ann@example.com", "password_hash": dear });
    assert_eq!(world.admin("POST", "/admin/users", body).await.refusal(), (400, "validation_failed"));
    world.sign_up("ann@example.com").await;
    world.run_sql(&format!("update auth.users set encrypted_password = '{dear}'")).await;
    assert_eq!(world.sign_in("ann@example.com", "password1").await.refusal(), (400, "invalid_credentials"));
}

#[tokio::test]
async fn a_page_has_a_thousand_entries_at_most() {
    let world = World::new().await;
    world
        .run_sql(
            "insert into auth.users (id, aud, email) select gen_random_uuid(), 'authenticated', 'u' || n || '@example.com'
             from generate_series(1, 1001) n",
        )
        .await;
    let answer = world.admin("GET", "/admin/users?per_page=9223372036854775807", Value::Null).await;
    assert!(answer.header("link").contains("page=2"), "{}", answer.header("link"));
    assert_eq!(answer.ok()["users"].as_array().unwrap().len(), 1000);
    let audit = world.admin("GET", "/admin/audit?per_page=18446744073709551615", Value::Null).await;
    assert_eq!(audit.status, 200, "{}", audit.text);
}
