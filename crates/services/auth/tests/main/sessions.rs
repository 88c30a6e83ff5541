//! Signing in and out, and what a user may change.

use crate::world::{World, text};
use serde_json::{Value, json};

async fn sign_in(world: &World) -> (String, String) {
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    (text(&session, "/access_token").to_owned(), text(&session, "/refresh_token").to_owned())
}

#[tokio::test]
async fn wrong_and_unknown_look_the_same() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let wrong = world.sign_in("ann@example.com", "password2").await;
    let unknown = world.sign_in("bob@example.com", "password1").await;
    assert_eq!(wrong.refusal(), (400, "invalid_credentials"));
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    assert_eq!(wrong.body["msg"], "Invalid login credentials");
    assert_eq!(world.sign_in("", "password1").await.refusal(), (400, "validation_failed"));
    world.sign_in("ANN@example.com", "password1").await.ok();
}

#[tokio::test]
async fn a_password_that_became_weak_still_signs_in_with_a_warning() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let strict = crate::world::settings(crate::world::SECRET);
    let strict = auth::Settings { password_min_length: 12, ..strict };
    let strict = World::on(world.database.clone(), strict);
    let session = strict.sign_in("ann@example.com", "password1").await.ok();
    assert_eq!(session["weak_password"]["reasons"], json!(["length"]));
}

#[tokio::test]
async fn logout_ends_the_sessions_of_its_scope() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let (a, _) = sign_in(&world).await;
    let (b, b_refresh) = sign_in(&world).await;
    let (c, c_refresh) = sign_in(&world).await;
    let logout = async |scope: &str, token: &str| {
        world.call("POST", &format!("/logout{scope}"), Some(token), Value::Null).await
    };
    assert_eq!(logout("?scope=elsewhere", &a).await.refusal(), (400, "validation_failed"));
    let done = logout("?scope=local", &a).await;
    assert_eq!((done.status, done.text.as_str()), (204, ""));
    assert_eq!(world.get("/user", &a).await.refusal(), (403, "session_not_found"));
    world.get("/user", &b).await.ok();
    assert_eq!(logout("?scope=others", &b).await.status, 204);
    assert_eq!(world.get("/user", &c).await.refusal(), (403, "session_not_found"));
    assert_eq!(world.refresh(&c_refresh).await.refusal(), (400, "refresh_token_not_found"));
    world.get("/user", &b).await.ok();
    assert_eq!(logout("", &b).await.status, 204);
    assert_eq!(world.get("/user", &b).await.refusal(), (403, "session_not_found"));
    assert_eq!(world.refresh(&b_refresh).await.refusal(), (400, "refresh_token_not_found"));
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "0");
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let (mine, _) = sign_in(&world).await;
    let (other, _) = sign_in(&world).await;
    let put = async |body: Value| world.call("PUT", "/user", Some(&mine), body).await;
    assert_eq!(put(json!({ "password": "password1" })).await.refusal(), (422, "same_password"));
    assert_eq!(put(json!({ "password": "abc" })).await.refusal(), (422, "weak_password"));
    put(json!({ "password": "password2" })).await.ok();
    assert_eq!(world.get("/user", &other).await.refusal(), (403, "session_not_found"));
    world.get("/user", &mine).await.ok();
    assert_eq!(world.sign_in("ann@example.com", "password1").await.refusal(), (400, "invalid_credentials"));
    world.sign_in("ann@example.com", "password2").await.ok();
}

#[tokio::test]
async fn metadata_merges_and_null_takes_away() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let (token, _) = sign_in(&world).await;
    let put = async |body: Value| world.call("PUT", "/user", Some(&token), body).await;
    put(json!({ "data": { "a": 1, "b": { "c": 2 } } })).await.ok();
    let user = put(json!({ "data": { "a": null, "b": { "d": 3 } } })).await.ok();
    assert_eq!(user["user_metadata"]["b"], json!({ "d": 3 }));
    assert!(user["user_metadata"].get("a").is_none());
    assert_eq!(user["user_metadata"]["email_verified"], true);
    assert_eq!(put(json!({ "app_metadata": { "role": "boss" } })).await.refusal(), (403, "not_admin"));
}

#[tokio::test]
async fn old_sessions_need_a_nonce_where_the_project_says_so() {
    let world = World::with(|s| s.update_password_require_reauthentication = true).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    world.advance(3000);
    world.call("PUT", "/user", Some(token), json!({ "password": "password2" })).await.ok();
    world.advance(86_400);
    let refreshed = world.refresh(text(&session, "/refresh_token")).await.ok();
    let token = text(&refreshed, "/access_token");
    let put = async |body: Value| world.call("PUT", "/user", Some(token), body).await;
    assert_eq!(put(json!({ "password": "password3" })).await.refusal(), (400, "reauthentication_needed"));
    world.get("/reauthenticate", token).await.ok();
    let wrong = put(json!({ "password": "password3", "nonce": "x" })).await;
    assert_eq!(wrong.refusal(), (422, "reauthentication_not_valid"));
    let nonce = world.mail("reauthentication").await["token"].clone();
    put(json!({ "password": "password3", "nonce": nonce })).await.ok();
    let again = put(json!({ "password": "password4", "nonce": nonce })).await;
    assert_eq!(again.refusal(), (422, "reauthentication_not_valid"));
}

#[tokio::test]
async fn the_current_password_is_asked_for_where_the_project_says_so() {
    let world = World::with(|s| s.update_password_require_current = true).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let put = async |body: Value| world.call("PUT", "/user", Some(token), body).await;
    assert_eq!(put(json!({ "password": "password2" })).await.refusal(), (400, "current_password_required"));
    let wrong = put(json!({ "password": "password2", "current_password": "nope" })).await;
    assert_eq!(wrong.refusal(), (400, "current_password_invalid"));
    put(json!({ "password": "password2", "current_password": "password1" })).await.ok();
}

#[tokio::test]
async fn a_cheap_hash_is_made_anew_at_sign_in() {
    let world = World::new().await;
    // "password1" at cost 4, as a migration from elsewhere may bring it.
    let cheap = bcrypt::hash("password1", 4).unwrap();
    let body = json!({ "email": "ann@example.com", "password_hash": cheap, "email_confirm": true });
    world.admin("POST", "/admin/users", body).await.ok();
    sign_in(&world).await;
    assert!(world.sql("select encrypted_password from auth.users").await.starts_with("$2a$10$"));
    sign_in(&world).await;
}
