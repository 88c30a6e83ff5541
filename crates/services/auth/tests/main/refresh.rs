//! Refresh tokens: rotation, reuse and races.

use crate::world::{World, text};
use serde_json::{Value, json};
use std::time::Duration;

async fn first_token(world: &World) -> String {
    text(&world.sign_up("ann@example.com").await, "/refresh_token").to_owned()
}

fn token(session: &Value) -> &str {
    text(session, "/refresh_token")
}

#[tokio::test]
async fn a_refresh_rotates_the_token_and_keeps_the_session() {
    let world = World::new().await;
    let first = first_token(&world).await;
    world.advance(100);
    let answer = world.refresh(&first).await;
    assert_eq!(answer.header("sb-auth-refresh-token-reuse"), "false");
    let sessions = world.sql("select count(*) from auth.sessions").await;
    assert_eq!(sessions, "1");
    let second = answer.ok();
    assert_ne!(token(&second), first);
    assert_eq!(second["user"]["last_sign_in_at"], "2027-01-15T08:01:40.123Z");
    world.get("/user", text(&second, "/access_token")).await.ok();
    assert_eq!(world.sql("select refreshed_at::text from auth.sessions").await, "2027-01-15 08:01:40.123");
}

#[tokio::test]
async fn a_client_that_lost_the_answer_gets_it_again() {
    let world = World::new().await;
    let first = first_token(&world).await;
    let second = world.refresh(&first).await.ok();
    world.advance(86_400);
    let repeated = world.refresh(&first).await.ok();
    assert_eq!(token(&repeated), token(&second));
    world.refresh(token(&second)).await.ok();
}

#[tokio::test]
async fn reuse_of_an_old_token_ends_the_family_for_good() {
    let world = World::new().await;
    let first = first_token(&world).await;
    let second = world.refresh(&first).await.ok();
    let third = world.refresh(token(&second)).await.ok();
    world.advance(11);
    let reused = world.refresh(&first).await;
    assert_eq!(reused.refusal(), (400, "refresh_token_already_used"));
    assert_eq!(reused.body["msg"], "Invalid Refresh Token: Already Used");
    assert_eq!(world.sql("select bool_and(revoked) from auth.refresh_tokens").await, "t");
    world.advance(11);
    assert_eq!(world.refresh(token(&third)).await.refusal(), (400, "refresh_token_already_used"));
}

#[tokio::test]
async fn within_the_interval_an_old_token_still_rotates() {
    let world = World::new().await;
    let first = first_token(&world).await;
    let second = world.refresh(&first).await.ok();
    world.refresh(token(&second)).await.ok();
    world.advance(10);
    world.refresh(&first).await.ok();
    world.advance(1);
    assert_eq!(world.refresh(&first).await.status, 200, "it is the parent of the active token now");
}

#[tokio::test]
async fn without_rotation_reuse_fails_and_the_family_lives() {
    let world = World::with(|s| s.refresh_token_rotation = false).await;
    let first = first_token(&world).await;
    let second = world.refresh(&first).await.ok();
    let third = world.refresh(token(&second)).await.ok();
    world.advance(11);
    assert_eq!(world.refresh(&first).await.refusal(), (400, "refresh_token_already_used"));
    world.refresh(token(&third)).await.ok();
}

#[tokio::test]
async fn requests_at_once_end_with_the_same_token() {
    let world = World::with(|s| s.refresh_token_reuse_interval = Duration::ZERO).await;
    let first = first_token(&world).await;
    let answers = tokio::join!(
        world.refresh(&first),
        world.refresh(&first),
        world.refresh(&first),
        world.refresh(&first),
        world.refresh(&first)
    );
    let answers =
        [answers.0, answers.1, answers.2, answers.3, answers.4].map(|answer| token(&answer.ok()).to_owned());
    assert!(answers.iter().all(|next| *next == answers[0] && *next != first), "{answers:?}");
    world.refresh(&answers[0]).await.ok();
    assert_eq!(world.sql("select count(*) from auth.refresh_tokens").await, "3");
}

#[tokio::test]
async fn a_session_held_by_somebody_else_is_waited_for() {
    let world = World::new().await;
    let first = first_token(&world).await;
    let mut holder = world.database.connect().await;
    let mut transaction = holder.begin().await.unwrap();
    transaction.query("select 1 from auth.sessions for update", &[]).await.unwrap();
    let release = async {
        // Until the refresh has looked once and gone to wait.
        let tries = "select calls > 0 from (select count(*) as calls from pg_stat_activity
            where usename = 'supabase_auth_admin' and query ~ 'rollback') c";
        while world.sql(tries).await != "t" {
            tokio::task::yield_now().await;
        }
        transaction.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(world.refresh(&first), release);
    answer.ok();
}

#[tokio::test]
async fn what_is_no_token_is_told_apart() {
    let world = World::new().await;
    let first = first_token(&world).await;
    assert_eq!(world.refresh("nope").await.refusal(), (400, "validation_failed"));
    assert_eq!(world.refresh("").await.refusal(), (400, "validation_failed"));
    let unknown = world.refresh("abcdefghijkl").await;
    assert_eq!(unknown.refusal(), (400, "refresh_token_not_found"));
    assert_eq!(unknown.body["msg"], "Invalid Refresh Token: Refresh Token Not Found");
    world.run_sql("update auth.refresh_tokens set session_id = null").await;
    assert_eq!(world.refresh(&first).await.refusal(), (400, "session_not_found"));
    assert_eq!(world.refresh(&first).await.refusal(), (400, "refresh_token_not_found"));
    let grant = world.post("/token?grant_type=wish", json!({})).await;
    assert_eq!(grant.refusal(), (400, "invalid_credentials"));
    assert_eq!(grant.body["msg"], "unsupported_grant_type");
}

#[tokio::test]
async fn sessions_end_by_time_box_inactivity_and_newer_sign_ins() {
    let world = World::with(|s| s.sessions.timebox = Some(Duration::from_secs(3600))).await;
    let first = first_token(&world).await;
    world.advance(3601);
    assert_eq!(world.refresh(&first).await.refusal(), (400, "session_expired"));

    let world = World::with(|s| s.sessions.inactivity_timeout = Some(Duration::from_secs(60))).await;
    let first = first_token(&world).await;
    world.advance(60);
    let second = world.refresh(&first).await.ok();
    world.advance(61);
    let expired = world.refresh(token(&second)).await;
    assert_eq!(expired.body["msg"], "Invalid Refresh Token: Session Expired (Inactivity)");

    let world = World::with(|s| s.sessions.single_per_user = true).await;
    let first = first_token(&world).await;
    world.advance(1);
    let other = world.sign_in("ann@example.com", "password1").await.ok();
    let expired = world.refresh(&first).await;
    assert_eq!(expired.body["msg"], "Invalid Refresh Token: Session Expired (Revoked by Newer Login)");
    world.refresh(token(&other)).await.ok();
}

#[tokio::test]
async fn the_banned_do_not_refresh() {
    let world = World::new().await;
    let first = first_token(&world).await;
    world.run_sql("update auth.users set banned_until = 'infinity'").await;
    let banned = world.refresh(&first).await;
    assert_eq!(banned.refusal(), (400, "user_banned"));
    assert_eq!(banned.body["msg"], "Invalid Refresh Token: User Banned");
}

#[tokio::test]
async fn old_tokens_are_taken_away_but_not_the_one_a_client_may_come_back_with() {
    let world = World::with(|s| s.cleanup_every = 1).await;
    let first = first_token(&world).await;
    let second = world.refresh(&first).await.ok();
    let third = world.refresh(token(&second)).await.ok();
    let fourth = world.refresh(token(&third)).await.ok();
    world.advance(90_000);
    let repeated = world.refresh(token(&third)).await.ok();
    assert_eq!(token(&repeated), token(&fourth));
    assert_eq!(world.sql("select count(*) from auth.refresh_tokens").await, "2");
    assert_eq!(world.refresh(&first).await.refusal(), (400, "refresh_token_not_found"));
}
