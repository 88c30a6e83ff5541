//! Signing up.

use crate::world::{SECRET, World, text};
use serde_json::json;
use token::KeySet;

#[tokio::test]
async fn a_new_user_gets_a_session_when_addresses_confirm_themselves() {
    let world = World::new().await;
    let answer = world
        .post(
            "/signup",
            json!({ "email": "Ann@Example.com", "password": "password1", "data": { "full_name": "Ann" } }),
        )
        .await;
    assert!(!answer.header("sb-auth-session-id").is_empty());
    assert_eq!(answer.header("sb-auth-refresh-token-prefix").len(), 5);
    let session = answer.ok();
    let user = &session["user"];
    assert_eq!(session["token_type"], "bearer");
    assert_eq!(session["expires_in"], 3600);
    assert_eq!(session["expires_at"], world.unix() + 3600);
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["role"], "authenticated");
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    assert_eq!(user["user_metadata"]["full_name"], "Ann");
    assert_eq!(user["user_metadata"]["email_verified"], true);
    assert_eq!(user["identities"][0]["provider"], "email");
    assert_eq!(user["identities"][0]["id"], user["id"]);
    assert_eq!(user["identities"][0]["identity_data"]["full_name"], "Ann");
    assert_eq!(user["created_at"], "2027-01-15T08:00:00.123Z");
    assert_eq!(user["is_anonymous"], false);
    assert!(user.get("invited_at").is_none() && user.get("factors").is_none());
    let claims = KeySet::from_secret(SECRET).verify(text(&session, "/access_token")).unwrap().claims;
    let names: Vec<_> = claims.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "email",
            "phone",
            "app_metadata",
            "user_metadata",
            "role",
            "aal",
            "amr",
            "session_id",
            "is_anonymous"
        ]
    );
    assert_eq!(claims["sub"], user["id"]);
    assert_eq!(claims["amr"], json!([{ "method": "password", "timestamp": world.unix() }]));
    let log = world.sql("select string_agg(payload ->> 'action', ',' order by payload ->> 'action') from auth.audit_log_entries").await;
    assert_eq!(log, "login,user_signedup");
}

#[tokio::test]
async fn bad_input_is_refused_with_its_code() {
    let world = World::new().await;
    let cases = [
        (json!({ "email": "a@b.c", "password": "short" }), 422, "weak_password"),
        (json!({ "email": "not an address", "password": "password1" }), 400, "validation_failed"),
        (json!({ "email": "a@b.c" }), 400, "validation_failed"),
        (json!({ "email": "a@b.c", "password": "x".repeat(73) }), 400, "validation_failed"),
        (json!({ "email": "a@b.c", "phone": "4912345", "password": "password1" }), 400, "validation_failed"),
        (
            json!({ "email": "a@b.c", "password": "password1", "code_challenge": "x" }),
            400,
            "validation_failed",
        ),
        (json!({ "phone": "4912345", "password": "password1" }), 400, "phone_provider_disabled"),
        (json!({}), 422, "anonymous_provider_disabled"),
    ];
    for (body, status, code) in cases {
        let answer = world.post("/signup", body.clone()).await;
        assert_eq!(answer.refusal(), (status, code), "{body}");
        assert_eq!(answer.header("x-sb-error-code"), code);
    }
    let weak = world.post("/signup", json!({ "email": "a@b.c", "password": "short" })).await;
    assert_eq!(weak.body["weak_password"]["reasons"], json!(["length"]));
    assert_eq!(weak.body["msg"], "Password should be at least 6 characters.");
    assert_eq!(world.sql("select count(*) from auth.users").await, "0");
}

#[tokio::test]
async fn a_taken_address_is_told_only_where_addresses_confirm_themselves() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let again = world.post("/signup", json!({ "email": "ANN@example.com", "password": "password2" })).await;
    assert_eq!(again.refusal(), (422, "user_already_exists"));
    assert_eq!(again.body["msg"], "User already registered");

    let world = World::with(|s| s.mailer_autoconfirm = false).await;
    let body = json!({ "email": "ann@example.com", "password": "password1", "data": { "a": 1 } });
    world.post("/signup", body.clone()).await.ok();
    world.run_sql("update auth.users set email_confirmed_at = now()").await;
    let real = world
        .post("/signup", json!({ "email": "bob@example.com", "password": "password1", "data": { "a": 1 } }))
        .await
        .ok();
    let pretended = world.post("/signup", body).await.ok();
    assert_eq!(pretended["identities"], json!([]));
    assert_eq!(pretended["role"], "");
    assert_ne!(
        text(&pretended, "/id"),
        world.sql("select id from auth.users where email = 'ann@example.com'").await
    );
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&pretended), keys(&real));
}

#[tokio::test]
async fn without_confirmation_there_is_no_session_and_a_message_waits() {
    let world = World::with(|s| s.mailer_autoconfirm = false).await;
    let user = world
        .post(
            "/signup?redirect_to=http://127.0.0.1:3000/in",
            json!({ "email": "ann@example.com", "password": "password1" }),
        )
        .await
        .ok();
    assert!(user.get("access_token").is_none() && user.get("email_confirmed_at").is_none());
    assert!(user.get("confirmation_sent_at").is_some());
    assert_eq!(world.sign_in("ann@example.com", "password1").await.refusal(), (400, "email_not_confirmed"));
    assert_eq!(world.sign_in("ann@example.com", "wrong").await.refusal(), (400, "invalid_credentials"));
    let mail = world.mail("signup").await;
    assert_eq!(mail["redirect_to"], "http://127.0.0.1:3000/in");
    let again = world.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await;
    assert_eq!(again.refusal(), (429, "over_email_send_rate_limit"));
    assert_eq!(again.body["msg"], "For security purposes, you can only request this after 60 seconds.");
    let code = json!({ "type": "signup", "email": "ann@example.com", "token": mail["token"] });
    let session = world.post("/verify", code.clone()).await.ok();
    assert_eq!(session["user"]["identities"][0]["identity_data"]["email_verified"], true);
    assert_eq!(world.post("/verify", code).await.refusal(), (403, "otp_expired"), "a code is good once");
    world.sign_in("ann@example.com", "password1").await.ok();
}

#[tokio::test]
async fn anonymous_users_become_permanent_by_an_address() {
    let world = World::with(|s| s.anonymous_enabled = true).await;
    let session = world.post("/signup", json!({ "data": { "theme": "dark" } })).await.ok();
    assert_eq!(session["user"]["is_anonymous"], true);
    assert_eq!(session["user"]["identities"], json!([]));
    assert_eq!(session["user"]["app_metadata"], json!({}));
    assert_eq!(session["user"]["email"], "");
    let token = text(&session, "/access_token");
    let alone = world.call("PUT", "/user", Some(token), json!({ "password": "password1" })).await;
    assert_eq!(alone.refusal(), (422, "validation_failed"));
    let both = json!({ "email": "ann@example.com", "password": "password1" });
    let user = world.call("PUT", "/user", Some(token), both).await.ok();
    assert_eq!(user["is_anonymous"], false);
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["identities"][0]["provider"], "email");
    world.sign_in("ann@example.com", "password1").await.ok();
}

#[tokio::test]
async fn a_closed_project_takes_nobody_but_lets_its_users_in() {
    let world = World::with(|s| {
        s.disable_signup = true;
        s.anonymous_enabled = true;
    })
    .await;
    let closed = world.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await;
    assert_eq!(closed.refusal(), (422, "signup_disabled"));
    assert_eq!(closed.body["msg"], "Signups not allowed for this instance");
    assert_eq!(world.post("/signup", json!({})).await.refusal(), (422, "signup_disabled"));
    world
        .admin(
            "POST",
            "/admin/users",
            json!({ "email": "ann@example.com", "password": "password1", "email_confirm": true }),
        )
        .await
        .ok();
    world.sign_in("ann@example.com", "password1").await.ok();
}

#[tokio::test]
async fn phones_sign_up_where_they_confirm_themselves() {
    let world = World::with(|s| {
        s.phone_enabled = true;
        s.sms_autoconfirm = true;
    })
    .await;
    let session =
        world.post("/signup", json!({ "phone": "+49 170 1234567", "password": "password1" })).await.ok();
    assert_eq!(session["user"]["phone"], "491701234567");
    assert_eq!(session["user"]["app_metadata"]["provider"], "phone");
    // A claim made while signing up by phone does not take an address from its owner.
    let claim =
        json!({ "phone": "49170999", "password": "password1", "data": { "email": "ann@example.com" } });
    world.post("/signup", claim).await.ok();
    world.sign_up("ann@example.com").await;
    let again = json!({ "phone": "491701234567", "password": "password1" });
    world.post("/token?grant_type=password", again.clone()).await.ok();
    assert_eq!(world.post("/signup", again).await.refusal(), (422, "user_already_exists"));
}

#[tokio::test]
async fn what_a_users_trigger_reports_is_shown() {
    let world = World::new().await;
    world
        .run_sql(
            "create function public.refuse() returns trigger language plpgsql security definer as $$
             begin
               if new.email like 'teapot%' then
                 raise exception using errcode = 'PT418', message = 'short and stout', hint = 'try coffee';
               elsif new.email like 'broken%' then
                 perform 1 from no_such_table;
               end if;
               raise exception 'not on the list' using detail = new.email;
             end $$;
             create trigger refuse before insert on auth.users for each row execute function public.refuse();",
        )
        .await;
    let sign_up =
        async |email: &str| world.post("/signup", json!({ "email": email, "password": "password1" })).await;
    let refused = sign_up("ann@example.com").await;
    assert_eq!(refused.status, 500);
    assert_eq!(
        refused.body,
        json!({ "code": "P0001", "message": "not on the list", "detail": "ann@example.com" })
    );
    let teapot = sign_up("teapot@example.com").await;
    assert_eq!(teapot.status, 418);
    assert_eq!(teapot.body, json!({ "code": "PT418", "message": "short and stout", "hint": "try coffee" }));
    let broken = sign_up("broken@example.com").await;
    assert_eq!(broken.refusal(), (500, "unexpected_failure"));
    assert_eq!(broken.body["msg"], "Database error saving new user");
    assert!(!broken.text.contains("no_such_table"));
}

#[tokio::test]
async fn of_two_who_take_one_address_at_once_one_gets_it() {
    let world = World::new().await;
    let body = json!({ "email": "ann@example.com", "password": "password1" });
    let (a, b) = tokio::join!(world.post("/signup", body.clone()), world.post("/signup", body));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422]);
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
}
