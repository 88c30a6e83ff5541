//! To which account somebody belongs who comes by way of a provider.

use super::flow::{error, with};
use super::server::{Server, parameters};
use crate::world::{Answer, World, text};
use auth::Settings;
use serde_json::{Value, json};

fn denied(code: &str) -> (String, String) {
    ("access_denied".to_owned(), code.to_owned())
}

fn person(subject: &str, email: &str, verified: bool) -> Value {
    json!({ "sub": subject, "email": email, "email_verified": verified, "name": "Somebody" })
}

async fn world_at(server: &Server, change: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        with(server, &["google", "keycloak"])(settings);
        settings.manual_linking_enabled = true;
        change(settings);
    })
    .await
}

#[track_caller]
fn token_of(answer: &Answer) -> String {
    let got = parameters(answer.header("location"), '#');
    got.get("access_token").cloned().unwrap_or_else(|| panic!("no session: {}", answer.header("location")))
}

/// A confirmed account with a password.
async fn account(world: &World, email: &str) -> String {
    let body = json!({ "email": email, "password": "password1", "email_confirm": true });
    let user = world.admin("POST", "/admin/users", body).await.ok();
    text(&user, "/id").to_owned()
}

#[tokio::test]
async fn a_verified_address_joins_and_an_unverified_one_does_not() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    let ann = account(&world, "ann@example.com").await;
    server.person(person("g-1", "Ann@Example.com", true));
    let home = server.walk(&world, "/authorize?provider=google").await;
    let user = world.get("/user", &token_of(&home)).await.ok();
    assert_eq!(text(&user, "/id"), ann);
    assert_eq!(user["app_metadata"]["providers"], json!(["email", "google"]));
    world.sign_in("ann@example.com", "password1").await.ok();
    let linked = "select count(*) from auth.audit_log_entries where payload->>'action' = 'identity_linked'";
    assert_eq!(world.sql(linked).await, "1");
    account(&world, "bob@example.com").await;
    server.person(person("g-2", "bob@example.com", false));
    let refused = server.walk(&world, "/authorize?provider=google").await;
    assert_eq!(error(&refused), denied("provider_email_needs_verification"));
    assert_eq!(world.sql("select count(*) from auth.identities i join auth.users u on u.id = i.user_id where u.email = 'bob@example.com'").await, "1");
}

#[tokio::test]
async fn what_somebody_left_in_an_unconfirmed_account_is_gone_when_its_owner_comes() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    let body = json!({ "email": "ann@example.com", "password": "attacker1", "data": { "evil": true } });
    world.post("/signup", body).await.ok();
    // As if it had been let in by a setting of the past.
    world
        .run_sql("insert into auth.sessions (id, user_id, created_at) select gen_random_uuid(), id, now() from auth.users")
        .await;
    server.person(person("g-1", "ann@example.com", true));
    let home = server.walk(&world, "/authorize?provider=google").await;
    let user = world.get("/user", &token_of(&home)).await.ok();
    assert_eq!(user["identities"].as_array().unwrap().len(), 1);
    assert_eq!(user["app_metadata"]["providers"], json!(["google"]));
    assert!(user["user_metadata"].get("evil").is_none() && user.get("email_confirmed_at").is_some());
    assert_eq!(world.sign_in("ann@example.com", "attacker1").await.refusal(), (400, "invalid_credentials"));
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "1");
    assert_eq!(world.sql("select count(*) from auth.one_time_tokens").await, "0");
}

#[tokio::test]
async fn an_identity_does_not_confirm_an_address_that_is_not_its_own() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    server.person(person("g-1", "victim@example.com", false));
    let refused = server.walk(&world, "/authorize?provider=google").await;
    assert_eq!(error(&refused), denied("provider_email_needs_verification"));
    // The same person at the provider has a verified address by now, but another one.
    world.advance(61);
    server.person(person("g-1", "mallory@example.com", true));
    let refused = server.walk(&world, "/authorize?provider=google").await;
    assert_eq!(error(&refused), denied("provider_email_needs_verification"));
    let confirmed = "select count(*) from auth.users where email_confirmed_at is not null";
    assert_eq!(world.sql(confirmed).await, "0");
    // The victim's own sign-in takes the account over, and the attacker's identity with it.
    server.person(person("k-1", "victim@example.com", true));
    server.page("/protocol/openid-connect/userinfo", person("k-1", "victim@example.com", true));
    let home = walk_keycloak(&world, &server, "").await;
    let user = world.get("/user", &token_of(&home)).await.ok();
    assert_eq!(user["app_metadata"]["providers"], json!(["keycloak"]));
}

async fn walk_keycloak(world: &World, server: &Server, more: &str) -> Answer {
    let away = world.call("GET", &format!("/authorize?provider=keycloak{more}"), None, Value::Null).await;
    let asked = away.header("location").split_once('?').unwrap().1.to_owned();
    let back = server.agree(&format!("{}/authorize-here?{asked}", server.url)).await;
    world.call("GET", &back, None, Value::Null).await
}

#[tokio::test]
async fn projects_may_want_no_newcomers_no_joining_or_no_proof() {
    let server = Server::start().await;
    let closed = world_at(&server, |settings| settings.disable_signup = true).await;
    server.person(person("g-1", "ann@example.com", true));
    assert_eq!(error(&server.walk(&closed, "/authorize?provider=google").await), denied("signup_disabled"));
    account(&closed, "ann@example.com").await;
    token_of(&server.walk(&closed, "/authorize?provider=google").await);
    let apart = world_at(&server, |settings| settings.external.automatic_linking = false).await;
    account(&apart, "ann@example.com").await;
    assert_eq!(error(&server.walk(&apart, "/authorize?provider=google").await).1, "email_exists");
    server.person(person("g-2", "new@example.com", true));
    token_of(&server.walk(&apart, "/authorize?provider=google").await);
    let trusting = world_at(&server, |settings| settings.external.allow_unverified_email = true).await;
    server.person(person("g-3", "open@example.com", false));
    let user = trusting
        .get("/user", &token_of(&server.walk(&trusting, "/authorize?provider=google").await))
        .await
        .ok();
    assert!(user.get("email_confirmed_at").is_none());
    let autoconfirm = world_at(&server, |settings| settings.mailer_autoconfirm = true).await;
    let user = autoconfirm
        .get("/user", &token_of(&server.walk(&autoconfirm, "/authorize?provider=google").await))
        .await
        .ok();
    assert!(user.get("email_confirmed_at").is_some());
    let optional = world_at(&server, |settings| {
        settings.external.providers.get_mut("google").unwrap().email_optional = true;
    })
    .await;
    server.person(json!({ "sub": "g-4", "name": "Nobody" }));
    let user = optional
        .get("/user", &token_of(&server.walk(&optional, "/authorize?provider=google").await))
        .await
        .ok();
    assert_eq!((&user["email"], &user["user_metadata"]["full_name"]), (&json!(""), &json!("Nobody")));
    token_of(&server.walk(&optional, "/authorize?provider=google").await);
    assert_eq!(optional.sql("select count(*) from auth.users").await, "1");
}

#[tokio::test]
async fn banned_people_stay_out() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    server.person(person("g-1", "ann@example.com", true));
    let id = text(
        &world.get("/user", &token_of(&server.walk(&world, "/authorize?provider=google").await)).await.ok(),
        "/id",
    )
    .to_owned();
    world.admin("PUT", &format!("/admin/users/{id}"), json!({ "ban_duration": "24h" })).await.ok();
    assert_eq!(error(&server.walk(&world, "/authorize?provider=google").await), denied("user_banned"));
    server.page("/protocol/openid-connect/userinfo", person("k-1", "ann@example.com", true));
    assert_eq!(error(&walk_keycloak(&world, &server, "").await), denied("user_banned"));
    assert_eq!(world.sql("select count(*) from auth.identities").await, "1");
}

#[tokio::test]
async fn an_invitation_is_answered_with_its_own_address() {
    let server = Server::start().await;
    let world = world_at(&server, |settings| settings.disable_signup = true).await;
    let body = json!({ "type": "invite", "email": "ann@example.com" });
    let made = world.admin("POST", "/admin/generate_link", body).await.ok();
    let start = format!("/authorize?provider=google&invite_token={}", text(&made, "/hashed_token"));
    let away = world.call("GET", &start, None, Value::Null).await;
    assert!(!away.header("location").contains("invite_token"), "the token is no business of the provider's");
    server.person(person("g-1", "mallory@example.com", true));
    assert_eq!(
        error(&server.walk(&world, &start).await),
        ("invalid_request".to_owned(), "validation_failed".to_owned())
    );
    server.person(person("g-1", "ann@example.com", true));
    let user = world.get("/user", &token_of(&server.walk(&world, &start).await)).await.ok();
    assert!(user.get("email_confirmed_at").is_some());
    assert_eq!(user["app_metadata"]["provider"], "google");
    let again = world.call("GET", &start, None, Value::Null).await;
    assert_eq!(again.refusal(), (404, "user_not_found"));
    let accepted = "select count(*) from auth.audit_log_entries where payload->>'action' = 'invite_accepted'";
    assert_eq!(world.sql(accepted).await, "1");
}

#[tokio::test]
async fn people_link_and_unlink_by_themselves() {
    let server = Server::start().await;
    let world = world_at(&server, |settings| settings.anonymous_enabled = true).await;
    account(&world, "ann@example.com").await;
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let ann = text(&session, "/access_token").to_owned();
    server.person(person("g-1", "other@example.com", true));
    let link = async |token: &str| {
        let path = "/user/identities/authorize?provider=google&skip_http_redirect=true";
        let url = world.get(path, token).await.ok();
        let back = server.agree(text(&url, "/url")).await;
        world.call("GET", &back, None, Value::Null).await
    };
    let linked = link(&ann).await;
    let user = world.get("/user", &token_of(&linked)).await.ok();
    assert_eq!(
        (user["email"].as_str(), &user["app_metadata"]["providers"]),
        (Some("ann@example.com"), &json!(["email", "google"]))
    );
    assert_eq!(error(&link(&ann).await).1, "identity_already_exists");
    account(&world, "bob@example.com").await;
    let bob = world.sign_in("bob@example.com", "password1").await.ok();
    assert_eq!(error(&link(text(&bob, "/access_token")).await).1, "identity_already_exists");
    let google = user["identities"].as_array().unwrap().iter().find(|i| i["provider"] == "google").unwrap();
    let path = format!("/user/identities/{}", text(google, "/identity_id"));
    assert_eq!(world.call("DELETE", &path, Some(text(&bob, "/access_token")), Value::Null).await.status, 422);
    world.call("DELETE", &path, Some(&ann), Value::Null).await.ok();
    let user = world.get("/user", &ann).await.ok();
    assert_eq!(user["app_metadata"]["providers"], json!(["email"]));
    // Somebody without a name becomes somebody.
    let anonymous = world.post("/signup", json!({})).await.ok();
    server.person(person("g-2", "nemo@example.com", true));
    let user = world.get("/user", &token_of(&link(text(&anonymous, "/access_token")).await)).await.ok();
    assert_eq!(
        (user["id"].as_str(), user["is_anonymous"].as_bool()),
        (anonymous["user"]["id"].as_str(), Some(false))
    );
    assert_eq!(
        (user["email"].as_str(), user.get("email_confirmed_at").is_some()),
        (Some("nemo@example.com"), true)
    );
    // But not somebody else.
    let anonymous = world.post("/signup", json!({})).await.ok();
    server.person(person("g-3", "bob@example.com", true));
    assert_eq!(error(&link(text(&anonymous, "/access_token")).await).1, "email_exists");
    server.person(person("g-4", "unsure@example.com", false));
    assert_eq!(error(&link(text(&anonymous, "/access_token")).await).1, "email_not_confirmed");
    let mail = world.mail("signup").await;
    world.post("/verify", json!({ "type": "signup", "token_hash": mail["token_hash"] })).await.ok();
    let user = world.get("/user", text(&anonymous, "/access_token")).await.ok();
    assert_eq!(
        (user["email"].as_str(), user["is_anonymous"].as_bool()),
        (Some("unsure@example.com"), Some(false))
    );
    let nobody = world.call("GET", "/user/identities/authorize?provider=google", None, Value::Null).await;
    assert_eq!(nobody.refusal(), (401, "no_authorization"));
}

#[tokio::test]
async fn where_addresses_confirm_themselves_an_unverified_one_still_opens_nobodys_account() {
    let server = Server::start().await;
    let world = world_at(&server, |settings| settings.mailer_autoconfirm = true).await;
    let ann = account(&world, "ann@example.com").await;
    server.person(person("g-evil", "ann@example.com", false));
    let refused = server.walk(&world, "/authorize?provider=google").await;
    assert_eq!(error(&refused), denied("provider_email_needs_verification"));
    let identities = format!("select count(*) from auth.identities where user_id = '{ann}'");
    assert_eq!(world.sql(&identities).await, "1");
    // A new account's own address does confirm itself.
    server.person(person("g-new", "new@example.com", false));
    let home = server.walk(&world, "/authorize?provider=google").await;
    let user = world.get("/user", &token_of(&home)).await.ok();
    assert_eq!((&user["email"], user["email_confirmed_at"].is_string()), (&json!("new@example.com"), true));
}

/// Links an identity to whoever's token it is, at the provider's word about `person`.
async fn link(world: &World, server: &Server, token: &str) -> Answer {
    let path = "/user/identities/authorize?provider=google&skip_http_redirect=true";
    let url = world.get(path, token).await.ok();
    let back = server.agree(text(&url, "/url")).await;
    world.call("GET", &back, None, Value::Null).await
}

#[tokio::test]
async fn an_address_that_its_owner_confirms_leads_nobody_else_in() {
    let server = Server::start().await;
    let world = world_at(&server, |settings| {
        settings.phone_enabled = true;
        settings.sms_autoconfirm = true;
    })
    .await;
    let body = json!({ "phone": "491701234567", "password": "attacker1" });
    let mallory = world.post("/signup", body.clone()).await.ok();
    let token = text(&mallory, "/access_token");
    let factor = json!({ "factor_type": "totp" });
    world.call("POST", "/factors", Some(token), factor).await.ok();
    server.person(person("g-1", "ann@example.com", false));
    assert_eq!(error(&link(&world, &server, token).await).1, "email_not_confirmed");
    let mail = world.mail("signup").await;
    let proof = json!({ "type": "signup", "token_hash": mail["token_hash"] });
    let session = world.post("/verify", proof).await.ok();
    let user = &session["user"];
    assert_eq!((text(user, "/email"), text(user, "/phone")), ("ann@example.com", ""));
    assert_eq!(user["app_metadata"]["providers"], json!(["email"]));
    assert_eq!(world.sql("select count(*) from auth.mfa_factors").await, "0");
    assert_eq!(world.get("/user", token).await.refusal(), (403, "session_not_found"));
    let by_phone = world.post("/token?grant_type=password", body).await;
    assert_eq!(by_phone.refusal(), (400, "invalid_credentials"));
    assert_eq!(world.sign_in("ann@example.com", "attacker1").await.refusal(), (400, "invalid_credentials"));
}

#[tokio::test]
async fn a_sign_up_by_a_provider_is_confirmed_or_recovered() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    let identity = |email: &str| {
        format!("select string_agg(provider, ',') from auth.identities where email = '{email}'")
    };
    // Whoever follows the link of the confirmation finishes the sign-up by that provider.
    server.person(person("g-1", "ann@example.com", false));
    server.walk(&world, "/authorize?provider=google").await;
    let mail = world.mail("signup").await;
    world.post("/verify", json!({ "type": "signup", "token_hash": mail["token_hash"] })).await.ok();
    assert_eq!(world.sql(&identity("ann@example.com")).await, "google");
    // Whoever asks for a new password never said that the identity was theirs.
    server.person(person("g-2", "bob@example.com", false));
    server.walk(&world, "/authorize?provider=google").await;
    world.post("/recover", json!({ "email": "bob@example.com" })).await.ok();
    let mail = world.mail("recovery").await;
    world.post("/verify", json!({ "type": "recovery", "token_hash": mail["token_hash"] })).await.ok();
    assert_eq!(world.sql(&identity("bob@example.com")).await, "email");
}
