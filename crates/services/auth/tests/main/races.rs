//! Changes of one user at once.

use crate::world::{World, text};
use serde_json::{Value, json};

#[tokio::test]
async fn refreshes_and_changes_of_password_do_not_block_each_other() {
    let world = World::new().await;
    let first = world.sign_up("ann@example.com").await;
    let path = format!("/admin/users/{}", text(&first, "/user/id"));
    for round in 0..5 {
        let password = format!("password{round}");
        world.admin("PUT", &path, json!({ "password": password })).await.ok();
        let a = world.sign_in("ann@example.com", &password).await.ok();
        let b = world.sign_in("ann@example.com", &password).await.ok();
        let changed = json!({ "password": format!("changed{round}") });
        let (refreshed, updated, other) = tokio::join!(
            world.refresh(text(&a, "/refresh_token")),
            world.call("PUT", "/user", Some(text(&b, "/access_token")), changed),
            world.refresh(text(&b, "/refresh_token")),
        );
        assert!(matches!(refreshed.status, 200 | 400), "{}", refreshed.text);
        assert_eq!(updated.status, 200, "{}", updated.text);
        assert_eq!(other.status, 200, "{}", other.text);
    }
}

#[tokio::test]
async fn a_user_can_be_deleted_while_in_use() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let path = format!("/admin/users/{}", text(&session, "/user/id"));
    let (deleted, refreshed, read) = tokio::join!(
        world.admin("DELETE", &path, Value::Null),
        world.refresh(text(&session, "/refresh_token")),
        world.get("/user", text(&session, "/access_token")),
    );
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    assert!(matches!(refreshed.status, 200 | 400), "{}", refreshed.text);
    assert!(matches!(read.status, 200 | 403), "{}", read.text);
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "0");
}

#[tokio::test]
async fn factors_proved_in_two_sessions_at_once_do_not_block_each_other() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    for _ in 0..8 {
        world.run_sql("delete from auth.mfa_factors").await;
        let mut proofs = Vec::new();
        for name in ["a", "b"] {
            // No two factors are challenged at the same moment.
            world.advance(1);
            let session = world.sign_in("ann@example.com", "password1").await.ok();
            let token = text(&session, "/access_token").to_owned();
            let (factor, secret) = crate::factors::enroll(&world, &token, name).await;
            let path = format!("/factors/{factor}");
            let challenge =
                world.call("POST", &format!("{path}/challenge"), Some(&token), json!({})).await.ok();
            let code = crate::factors::code(&secret, world.unix());
            proofs.push((
                format!("{path}/verify"),
                token,
                json!({ "challenge_id": challenge["id"], "code": code }),
            ));
        }
        let [one, two] = [&proofs[0], &proofs[1]]
            .map(|(path, token, body)| world.call("POST", path, Some(token), body.clone()));
        let (one, two) = tokio::join!(one, two);
        // Who comes second finds that the first has ended the session below the new level.
        let statuses = [one.status, two.status];
        assert!(statuses.contains(&200), "{} {}", one.text, two.text);
        assert!(statuses.iter().all(|status| *status < 500), "{} {}", one.text, two.text);
    }
}
