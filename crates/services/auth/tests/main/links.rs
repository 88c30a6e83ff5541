//! Links that administrators deliver, and identities.

use crate::world::{World, text};
use serde_json::{Value, json};

#[tokio::test]
async fn links_are_made_for_every_purpose() {
    let world = World::with(|s| s.mailer_autoconfirm = false).await;
    let make = async |body: Value| world.admin("POST", "/admin/generate_link", body).await;
    let signup = make(
        json!({ "type": "signup", "email": "ann@example.com", "password": "password1", "data": { "a": 1 } }),
    )
    .await
    .ok();
    assert_eq!(signup["verification_type"], "signup");
    assert_eq!(signup["redirect_to"], "http://127.0.0.1:3000");
    assert_eq!(signup["user_metadata"], json!({ "a": 1 }));
    let link = format!(
        "http://127.0.0.1:54321/auth/v1/verify?token={}&type=signup&redirect_to=http://127.0.0.1:3000",
        text(&signup, "/hashed_token")
    );
    assert_eq!(signup["action_link"], link.as_str());
    let code = json!({ "type": "signup", "email": "ann@example.com", "token": signup["email_otp"] });
    world.post("/verify", code).await.ok();
    world.sign_in("ann@example.com", "password1").await.ok();
    let taken = make(json!({ "type": "signup", "email": "ann@example.com", "password": "password1" })).await;
    assert_eq!(taken.refusal(), (422, "email_exists"));
    for kind in ["magiclink", "recovery"] {
        let made = make(json!({ "type": kind, "email": "ann@example.com" })).await.ok();
        assert_eq!(made["verification_type"], kind);
        world.post("/verify", json!({ "type": kind, "token_hash": made["hashed_token"] })).await.ok();
    }
    let newcomer = make(json!({ "type": "magiclink", "email": "bob@example.com" })).await.ok();
    assert_eq!(newcomer["verification_type"], "signup");
    let invited = make(json!({ "type": "invite", "email": "carl@example.com" })).await.ok();
    assert!(invited.get("invited_at").is_some());
    world.post("/verify", json!({ "type": "invite", "token_hash": invited["hashed_token"] })).await.ok();
    let missing = make(json!({ "type": "recovery", "email": "nobody@example.com" })).await;
    assert_eq!(missing.refusal(), (404, "user_not_found"));
    assert_eq!(
        make(json!({ "type": "x", "email": "ann@example.com" })).await.refusal(),
        (400, "validation_failed")
    );
    assert_eq!(world.sql("select count(*) from rowhouse.mail_outbox").await, "0");
}

#[tokio::test]
async fn both_halves_of_a_change_can_be_made_by_hand() {
    let world = World::with(|s| s.mailer_autoconfirm = false).await;
    world
        .admin("POST", "/admin/users", json!({ "email": "ann@example.com", "email_confirm": true }))
        .await
        .ok();
    for (kind, last) in [("email_change_current", false), ("email_change_new", true)] {
        let body = json!({ "type": kind, "email": "ann@example.com", "new_email": "anna@example.com" });
        let made = world.admin("POST", "/admin/generate_link", body).await.ok();
        if last {
            // The second link starts the count again, as in the reference; one half is confirmed by hand.
            world.run_sql("update auth.users set email_change_confirm_status = 1").await;
        }
        let done = world
            .post("/verify", json!({ "type": "email_change", "token_hash": made["hashed_token"] }))
            .await
            .ok();
        assert_eq!(done["user"]["email"].as_str() == Some("anna@example.com"), last);
    }
}

#[tokio::test]
async fn the_last_identity_stays() {
    let world = World::with(|s| s.manual_linking_enabled = true).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let delete = async |id: &str| {
        world.call("DELETE", &format!("/user/identities/{id}"), Some(token), Value::Null).await
    };
    let own = text(&session, "/user/identities/0/identity_id").to_owned();
    assert_eq!(delete(&own).await.refusal(), (422, "single_identity_not_deletable"));
    world
        .run_sql(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at)
             select 'g-1', id, '{\"sub\": \"g-1\", \"email\": \"ann@gmail.com\", \"email_verified\": true}', 'google', now()
             from auth.users",
        )
        .await;
    assert_eq!(delete("00000000-0000-4000-8000-000000000000").await.refusal(), (422, "identity_not_found"));
    assert_eq!(delete("x").await.refusal(), (404, "validation_failed"));
    assert_eq!(delete(&own).await.ok(), json!({}));
    let user = world.get("/user", token).await.ok();
    assert_eq!(user["email"], "ann@gmail.com");
    assert_eq!(user["app_metadata"], json!({ "provider": "google", "providers": ["google"] }));
    assert!(user.get("email_confirmed_at").is_some());
}

#[tokio::test]
async fn an_address_that_stays_is_kept_and_one_that_is_taken_is_passed_over() {
    let world = World::with(|s| s.manual_linking_enabled = true).await;
    world.sign_up("bob@example.com").await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let own = text(&session, "/user/identities/0/identity_id").to_owned();
    let add = async |subject: &str, email: &str, verified: bool| {
        let data = json!({ "sub": subject, "email": email, "email_verified": verified });
        let script = format!(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at)
             select '{subject}', id, '{data}', 'google', now() from auth.users where email = 'ann@example.com'"
        );
        world.run_sql(&script).await;
        world.sql(&format!("select id::text from auth.identities where provider_id = '{subject}'")).await
    };
    let taken = add("g-1", "bob@example.com", true).await;
    let other = add("g-2", "anna@example.com", true).await;
    let delete = async |id: &str| {
        world.call("DELETE", &format!("/user/identities/{id}"), Some(token), Value::Null).await
    };
    let third = add("g-3", "third@example.com", true).await;
    delete(&third).await.ok();
    assert_eq!(
        world.get("/user", token).await.ok()["email"],
        "ann@example.com",
        "its identity is still there"
    );
    delete(&own).await.ok();
    assert_eq!(world.get("/user", token).await.ok()["email"], "anna@example.com", "the other is bob's");
    let refused = delete(&other).await;
    assert_eq!(refused.refusal(), (422, "email_conflict_identity_not_deletable"));
    delete(&taken).await.ok();
    assert_eq!(delete(&other).await.refusal(), (422, "single_identity_not_deletable"));
}

#[tokio::test]
async fn two_at_once_leave_one_identity() {
    let world = World::with(|s| s.manual_linking_enabled = true).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let own = text(&session, "/user/identities/0/identity_id").to_owned();
    world
        .run_sql(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at)
             select 'g-1', id, '{\"sub\": \"g-1\", \"email\": \"ann@example.com\"}', 'google', now() from auth.users",
        )
        .await;
    let other = world.sql("select id::text from auth.identities where provider = 'google'").await;
    let delete = async |id: &str| {
        world.call("DELETE", &format!("/user/identities/{id}"), Some(token), Value::Null).await.status
    };
    let (one, two) = tokio::join!(delete(&own), delete(&other));
    let mut codes = [one, two];
    codes.sort_unstable();
    assert_eq!(codes, [200, 422]);
    assert_eq!(world.sql("select count(*) from auth.identities").await, "1");
}

#[tokio::test]
async fn what_is_switched_off_says_so() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let unlink = world.call("DELETE", "/user/identities/x", Some(token), Value::Null).await;
    assert_eq!(unlink.refusal(), (404, "manual_linking_disabled"));
    assert_eq!(
        world.get("/user/identities/authorize", token).await.refusal(),
        (404, "manual_linking_disabled")
    );
    assert_eq!(world.post("/sso", json!({})).await.refusal(), (404, "saml_provider_disabled"));
    assert_eq!(
        world.post("/passkeys/authentication/options", json!({})).await.refusal(),
        (404, "passkey_disabled")
    );
    assert_eq!(
        world.post("/token?grant_type=web3", json!({})).await.refusal(),
        (422, "web3_provider_disabled")
    );
    assert_eq!(world.post("/oauth/token", json!({})).await.refusal(), (404, "feature_disabled"));
    assert_eq!(
        world.call("GET", "/admin/oauth/clients", None, Value::Null).await.refusal(),
        (401, "no_authorization")
    );
    assert_eq!(
        world.admin("GET", "/admin/oauth/clients", Value::Null).await.refusal(),
        (404, "feature_disabled")
    );
    assert_eq!(
        world.call("GET", "/authorize?provider=x", None, Value::Null).await.refusal(),
        (400, "validation_failed")
    );
}
