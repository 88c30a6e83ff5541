//! Shards fill, and the next one opens by itself.

use crate::rooms::{Room, pooled};
use model::{ShardId, Tenancy};
use platform::projects::{self, NewProject};
use platform::{Error, ShardStatus};

#[tokio::test]
async fn a_full_shard_makes_the_next_open() {
    let platform = Room::new(2).await.open().await;
    let mut shards = Vec::new();
    for name in ["a", "b", "c"] {
        shards.push(pooled(&platform, name).await.shard.unwrap());
    }
    assert_eq!(shards, [ShardId(1), ShardId(1), ShardId(2)]);
    let listed = platform.shards().await.unwrap();
    let states: Vec<_> = listed.iter().map(|s| (s.used, s.status)).collect();
    assert_eq!(states, [(2, ShardStatus::Full), (1, ShardStatus::Open)]);
}

#[tokio::test]
async fn projects_created_at_once_never_share_the_last_place() {
    let platform = Room::new(2).await.open().await;
    let tasks: Vec<_> = (0..5)
        .map(|i| {
            let platform = platform.clone();
            tokio::spawn(async move { pooled(&platform, &format!("p{i}")).await.shard.unwrap() })
        })
        .collect();
    let mut shards = Vec::new();
    for task in tasks {
        shards.push(task.await.unwrap().0);
    }
    shards.sort_unstable();
    assert_eq!(shards, [1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn a_freed_place_is_used_again_under_another_app_id() {
    let platform = Room::new(2).await.open().await;
    let (a, _b) = (pooled(&platform, "a").await, pooled(&platform, "b").await);
    projects::delete(&platform, &a.reference, "test").await.unwrap();
    let again = pooled(&platform, "c").await;
    assert_eq!(again.shard, Some(ShardId(1)));
    assert_ne!(again.app_id, a.app_id);
}

#[tokio::test]
async fn a_shard_whose_opening_was_interrupted_is_completed() {
    for failpoint in ["shard.begun", "shard.database", "shard.bootstrapped"] {
        let room = Room::new(2).await;
        let platform = room.open().await;
        room.failpoints.arm(failpoint);
        let killed = projects::create(&platform, NewProject::new("a", Tenancy::Pooled)).await.unwrap_err();
        assert!(matches!(killed, Error::Killed { .. }), "{failpoint}: {killed}");
        platform.shutdown().await.unwrap();
        let platform = room.open().await;
        assert_eq!(platform.resume_unfinished().await.unwrap(), 1);
        let found = projects::show(&platform, "a").await.unwrap();
        assert_eq!(found.shard, Some(ShardId(1)), "{failpoint}");
        assert_eq!(platform.shards().await.unwrap().len(), 1);
    }
}
