//! Signed refresh tokens, and sessions with stored ones that move over.

use crate::world::{World, text};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use std::time::Duration;

async fn world() -> World {
    World::with(|s| s.refresh_tokens.signed = true).await
}

fn token(session: &Value) -> &str {
    text(session, "/refresh_token")
}

/// The counter in a token of less than 128 refreshes.
fn counter(session: &Value) -> u8 {
    B64.decode(token(session)).unwrap()[17]
}

#[tokio::test]
async fn a_signed_token_counts_up_and_leaves_no_row() {
    let world = world().await;
    let answer = world.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await;
    assert_eq!(answer.header("sb-auth-refresh-token-counter"), "0");
    assert_eq!(answer.header("sb-auth-refresh-token-prefix"), "");
    let first = answer.ok();
    let signed_in = first["user"]["last_sign_in_at"].clone();
    world.advance(100);
    let answer = world.refresh(token(&first)).await;
    assert_eq!(answer.header("sb-auth-refresh-token-counter"), "1");
    assert_eq!(answer.header("sb-auth-refresh-token-reuse"), "false");
    let second = answer.ok();
    assert_eq!((counter(&first), counter(&second)), (0, 1));
    assert_eq!(second["user"]["last_sign_in_at"], signed_in, "a refresh is no sign-in");
    assert_eq!(world.sql("select count(*) from auth.refresh_tokens").await, "0");
    world.get("/user", text(&second, "/access_token")).await.ok();
}

#[tokio::test]
async fn lost_answers_and_tabs_get_the_current_token_and_thieves_end_the_session() {
    let world = world().await;
    let first = world.sign_up("ann@example.com").await;
    let second = world.refresh(token(&first)).await.ok();
    world.advance(86_400);
    let lost = world.refresh(token(&first)).await;
    assert_eq!(lost.header("sb-auth-refresh-token-reuse-cause"), "fail-to-save");
    assert_eq!(lost.header("sb-auth-refresh-token-reuse"), "");
    assert_eq!(token(&lost.ok()), token(&second));
    let third = world.refresh(token(&second)).await.ok();
    let tabs = world.refresh(token(&first)).await;
    assert_eq!(tabs.header("sb-auth-refresh-token-reuse-cause"), "concurrent-refresh");
    assert_eq!(token(&tabs.ok()), token(&third));
    world.advance(11);
    let stolen = world.refresh(token(&first)).await;
    assert_eq!(stolen.refusal(), (400, "refresh_token_already_used"));
    assert_eq!(stolen.header("sb-auth-refresh-token-rotated"), "true");
    assert_eq!(
        world.sql("select count(*) from auth.sessions").await,
        "0",
        "it lasts although the request failed"
    );
    assert_eq!(world.refresh(token(&third)).await.refusal(), (400, "refresh_token_not_found"));
    let ended = world.get("/user", text(&third, "/access_token")).await;
    assert_eq!(ended.refusal(), (403, "session_not_found"));
}

#[tokio::test]
async fn what_reuse_costs_can_be_set() {
    for (rotation, allow, status, sessions) in [(false, false, 400, "1"), (true, true, 200, "1")] {
        let world = World::with(|s| {
            s.refresh_tokens.signed = true;
            s.refresh_tokens.allow_reuse = allow;
            s.refresh_token_rotation = rotation;
        })
        .await;
        let first = world.sign_up("ann@example.com").await;
        let second = world.refresh(token(&first)).await.ok();
        world.refresh(token(&second)).await.ok();
        world.advance(11);
        let reused = world.refresh(token(&first)).await;
        assert_eq!(reused.status, status);
        let causes = if allow { "always-allow" } else { "" };
        assert_eq!(reused.header("sb-auth-refresh-token-reuse-cause"), causes);
        assert_eq!(world.sql("select count(*) from auth.sessions").await, sessions);
    }
}

#[tokio::test]
async fn requests_at_once_end_with_the_same_signed_token() {
    let world = world().await;
    let first = world.sign_up("ann@example.com").await;
    let one = token(&first);
    let answers =
        tokio::join!(world.refresh(one), world.refresh(one), world.refresh(one), world.refresh(one));
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(counter(&answer.ok()), 1);
    }
    assert_eq!(world.sql("select refresh_token_counter from auth.sessions").await, "1");
}

#[tokio::test]
async fn made_up_tokens_are_refused() {
    let world = world().await;
    let mine = world.sign_up("ann@example.com").await;
    let other = world.sign_up("bob@example.com").await;
    let bytes = B64.decode(token(&mine)).unwrap();
    let with_checksum = |mut bytes: Vec<u8>| {
        let end = bytes.len() - 4;
        let sum = ::token::sha256(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum[..4]);
        B64.encode(bytes)
    };
    let mut changed = bytes.clone();
    changed[17] = 1;
    assert_eq!(world.refresh(&B64.encode(&changed)).await.refusal(), (400, "validation_failed"), "checksum");
    assert_eq!(
        world.refresh(&with_checksum(changed)).await.refusal(),
        (400, "refresh_token_not_found"),
        "a counter that nobody signed"
    );
    // My signature under another's session.
    let mut foreign = bytes.clone();
    foreign[1..17].copy_from_slice(&B64.decode(token(&other)).unwrap()[1..17]);
    assert_eq!(world.refresh(&with_checksum(foreign)).await.refusal(), (400, "refresh_token_not_found"));
    let mut unknown = bytes.clone();
    unknown[1] ^= 1;
    assert_eq!(world.refresh(&with_checksum(unknown)).await.refusal(), (400, "refresh_token_not_found"));
    // Ahead: the database was restored from a backup.
    world.refresh(token(&mine)).await.ok();
    let second = world.refresh(token(&mine)).await.ok();
    world.run_sql("update auth.sessions set refresh_token_counter = 0").await;
    let ahead = world.refresh(token(&second)).await;
    assert_eq!(ahead.refusal(), (400, "validation_failed"));
    assert_eq!(ahead.body["msg"], "Invalid Refresh Token: Not Issued By This Server");
    world.refresh(token(&mine)).await.ok();
}

#[tokio::test]
async fn a_session_with_stored_tokens_moves_over_and_survives_a_lost_answer() {
    let world = World::with(|s| {
        s.refresh_tokens.signed = true;
        s.refresh_tokens.upgrade_percentage = 100;
    })
    .await;
    let session = world.sign_up("ann@example.com").await;
    // As it was before the project had signed tokens.
    world
        .run_sql(
            "update auth.sessions set refresh_token_hmac_key = null, refresh_token_counter = null;
            insert into auth.refresh_tokens (instance_id, token, user_id, session_id, revoked, created_at, updated_at)
            select '00000000-0000-0000-0000-000000000000', 'abcdefghijkl', user_id, id, false, created_at, created_at
            from auth.sessions",
        )
        .await;
    let unsigned = world.refresh(token(&session)).await;
    assert_eq!(unsigned.refusal(), (400, "refresh_token_not_found"), "the session has no key");
    let answer = world.refresh("abcdefghijkl").await;
    assert_eq!(answer.header("sb-auth-refresh-token-counter"), "0");
    let first = answer.ok();
    world.advance(3600);
    assert_eq!(token(&world.refresh("abcdefghijkl").await.ok()), token(&first), "the answer was lost");
    let second = world.refresh(token(&first)).await.ok();
    world.advance(3600);
    let stolen = world.refresh("abcdefghijkl").await;
    assert_eq!(stolen.refusal(), (400, "refresh_token_already_used"));
    assert_eq!(world.refresh(token(&second)).await.refusal(), (400, "refresh_token_not_found"));
}

#[tokio::test]
async fn limits_and_bans_hold_for_signed_tokens_too() {
    let world = World::with(|s| {
        s.refresh_tokens.signed = true;
        s.sessions.timebox = Some(Duration::from_secs(3600));
        s.sessions.inactivity_timeout = Some(Duration::from_secs(600));
        s.sessions.single_per_user = true;
    })
    .await;
    let first = world.sign_up("ann@example.com").await;
    world.advance(601);
    let idle = world.refresh(token(&first)).await;
    assert_eq!(idle.body["msg"], "Invalid Refresh Token: Session Expired (Inactivity)");
    let mut session = world.sign_in("ann@example.com", "password1").await.ok();
    for _ in 0..6 {
        world.advance(599);
        session = world.refresh(token(&session)).await.ok();
    }
    world.advance(10);
    assert_eq!(world.refresh(token(&session)).await.refusal(), (400, "session_expired"), "the time box");
    let old = world.sign_in("ann@example.com", "password1").await.ok();
    world.advance(1);
    let new = world.sign_in("ann@example.com", "password1").await.ok();
    let superseded = world.refresh(token(&old)).await;
    assert_eq!(superseded.body["msg"], "Invalid Refresh Token: Session Expired (Revoked by Newer Login)");
    let new = world.refresh(token(&new)).await.ok();
    world.run_sql("update auth.users set banned_until = 'infinity'").await;
    assert_eq!(world.refresh(token(&new)).await.refusal(), (400, "user_banned"));
}
