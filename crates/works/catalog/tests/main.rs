//! The catalog against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use catalog::{Catalog, Error, JobKind, JobState, KeyKind, Lookup, MasterKey, NewKey, NewProject, SealError};
use catalog::{domains, jobs, keys, organizations, outbox, projects, secrets, shards};
use model::{ProjectRef, Tenancy};
use pg::Config;
use serde_json::{Map, json};
use std::time::Duration;
use testkit::Postgres;

const KEY: [u8; 32] = [7; 32];

async fn database() -> Config {
    Postgres::shared().await.database().await.config
}

async fn open(config: &Config) -> Catalog {
    Catalog::open(config.clone(), MasterKey::from_bytes(KEY)).await.unwrap()
}

fn reference(letter: char) -> ProjectRef {
    letter.to_string().repeat(20).parse().unwrap()
}

async fn project(catalog: &Catalog, letter: char, tenancy: Tenancy) -> ProjectRef {
    let mut c = catalog.connection().await.unwrap();
    let owner = organizations::organization_ensure(&mut c, "org", "Org").await.unwrap();
    let new = NewProject {
        reference: reference(letter),
        slug: letter.to_string(),
        name: letter.to_string(),
        organization: owner.id,
        tenancy,
        settings: Map::new(),
    };
    projects::project_insert(&mut c, &new).await.unwrap().reference
}

/// Asks until the answer is the wanted one, as a listener's answer comes when it comes.
async fn eventually(catalog: &Catalog, lookup: &Lookup, wanted: Option<&ProjectRef>) {
    let asked = async {
        loop {
            let found = catalog.resolve(lookup.clone()).await.unwrap();
            if found.as_ref().map(|r| &r.project.reference) == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), asked).await;
    assert!(in_time.is_ok(), "{lookup:?} is never {wanted:?}");
}

#[tokio::test]
async fn several_processes_may_migrate_at_once_and_again() {
    let config = database().await;
    let opened: Vec<_> = (0..4)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { open(&config).await })
        })
        .collect();
    for catalog in opened {
        catalog.await.unwrap();
    }
    let catalog = open(&config).await;
    let mut c = catalog.connection().await.unwrap();
    let rows = c.query("select count(*) from public.catalog_migrations", &[]).await.unwrap();
    assert!(rows.one().unwrap().get::<i64>(0).unwrap() >= 1);
}

#[tokio::test]
async fn migrations_that_changed_or_are_unknown_are_refused() {
    let config = database().await;
    let catalog = open(&config).await;
    let mut c = catalog.connection().await.unwrap();
    c.batch("update public.catalog_migrations set checksum = 'x' || checksum where number = 1")
        .await
        .unwrap();
    let changed = Catalog::open(config.clone(), MasterKey::from_bytes(KEY)).await.unwrap_err();
    assert!(matches!(changed, Error::MigrationChanged { number: 1 }), "{changed}");
    c.batch(
        "update public.catalog_migrations set checksum = substr(checksum, 2) where number = 1;
        insert into public.catalog_migrations (number, name, checksum) values (9999, 'later', 'x')",
    )
    .await
    .unwrap();
    let unknown = Catalog::open(config, MasterKey::from_bytes(KEY)).await.unwrap_err();
    assert!(matches!(unknown, Error::FromTheFuture { number: 9999 }), "{unknown}");
}

#[tokio::test]
async fn another_master_key_is_told_at_the_door() {
    let config = database().await;
    open(&config).await;
    let error = Catalog::open(config, MasterKey::from_bytes([8; 32])).await.unwrap_err();
    assert!(matches!(error, Error::Seal(SealError::NotThisCatalog)), "{error}");
}

#[tokio::test]
async fn secrets_come_back_and_lie_sealed_in_their_row() {
    let catalog = open(&database().await).await;
    let (a, b) =
        (project(&catalog, 'a', Tenancy::Pooled).await, project(&catalog, 'b', Tenancy::Pooled).await);
    let mut c = catalog.connection().await.unwrap();
    let key = catalog.key();
    for (project, secret) in [(&a, "secret of a"), (&b, "secret of b"), (&a, "is not replaced")] {
        secrets::jwt_secret_ensure(&mut c, key, project, secret).await.unwrap();
    }
    assert_eq!(secrets::jwt_secret_list(&mut c, key, &a).await.unwrap(), ["secret of a"]);
    let put = |value, replace| secrets::NamedSecret { name: "n", value, replace };
    for (value, replace, wanted) in [("1", false, "1"), ("2", false, "1"), ("3", true, "3")] {
        secrets::secret_put(&mut c, key, &a, put(value, replace)).await.unwrap();
        assert_eq!(secrets::secret_get(&mut c, key, &a, "n").await.unwrap().as_deref(), Some(wanted));
    }
    assert_eq!(secrets::secret_get(&mut c, key, &b, "n").await.unwrap(), None);
    // Another project's secret does not open in this one's row.
    let swap = "update catalog.jwt_secrets as x set sealed = y.sealed from catalog.jwt_secrets as y
        where y.project_ref <> x.project_ref";
    c.batch(swap).await.unwrap();
    let error = secrets::jwt_secret_list(&mut c, key, &a).await.unwrap_err();
    assert!(matches!(error, Error::Seal(SealError::WrongKey { .. })), "{error}");
}

#[tokio::test]
async fn lookups_are_remembered_until_something_changes_also_by_another_process() {
    let config = database().await;
    let (catalog, other) = (open(&config).await, open(&config).await);
    let a = project(&catalog, 'a', Tenancy::Pooled).await;
    let (by_slug, by_domain) = (Lookup::Slug("a".into()), Lookup::Domain("a.test".into()));
    let new = NewKey {
        kind: KeyKind::Secret,
        name: "k".into(),
        role: "service_role".into(),
        key: "sb_secret_x1234567".into(),
    };
    let by_key = Lookup::KeyHash(token::hash_opaque(&new.key));
    for c in [&catalog, &other] {
        eventually(c, &by_slug, Some(&a)).await;
        eventually(c, &by_domain, None).await;
        eventually(c, &by_key, None).await;
    }
    let mut c = catalog.connection().await.unwrap();
    domains::domain_put(&mut c, &a, "A.Test.").await.unwrap();
    keys::key_ensure(&mut c, catalog.key(), &a, &new).await.unwrap();
    for c in [&catalog, &other] {
        eventually(c, &by_domain, Some(&a)).await;
        eventually(c, &by_key, Some(&a)).await;
    }
    let stored = keys::key_list(&mut c, &a).await.unwrap();
    assert_eq!((stored[0].prefix.as_str(), stored[0].kind), ("sb_secret_x123", KeyKind::Secret));
    assert_eq!(keys::key_reveal(catalog.key(), &a, &stored[0]).unwrap(), new.key);
    assert!(keys::key_delete(&mut c, &a, stored[0].id).await.unwrap());
    eventually(&other, &by_key, None).await;
    projects::project_delete(&mut c, &a).await.unwrap();
    for lookup in [&by_slug, &by_domain, &Lookup::Ref(a.clone())] {
        eventually(&other, lookup, None).await;
    }
}

#[tokio::test]
async fn a_domain_or_a_key_means_one_project_only() {
    let catalog = open(&database().await).await;
    let (a, b) =
        (project(&catalog, 'a', Tenancy::Pooled).await, project(&catalog, 'b', Tenancy::Pooled).await);
    let mut c = catalog.connection().await.unwrap();
    domains::domain_put(&mut c, &a, "x.test").await.unwrap();
    domains::domain_put(&mut c, &a, "x.test").await.unwrap();
    assert!(matches!(domains::domain_put(&mut c, &b, "x.test").await, Err(Error::Taken { .. })));
    let new =
        NewKey { kind: KeyKind::Publishable, name: "k".into(), role: "anon".into(), key: "same key".into() };
    keys::key_ensure(&mut c, catalog.key(), &a, &new).await.unwrap();
    assert!(matches!(keys::key_ensure(&mut c, catalog.key(), &b, &new).await, Err(Error::Taken { .. })));
}

#[tokio::test]
async fn a_project_has_one_unfinished_job() {
    let catalog = open(&database().await).await;
    let a = project(&catalog, 'a', Tenancy::Pooled).await;
    let mut c = catalog.connection().await.unwrap();
    let job = jobs::job_insert(&mut c, JobKind::CreateProject, &a, &json!({})).await.unwrap();
    let busy = jobs::job_insert(&mut c, JobKind::DeleteProject, &a, &json!({})).await.unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    jobs::job_update(&mut c, job.id, 2, JobState::Undoing, Some("why")).await.unwrap();
    let unfinished = jobs::job_unfinished(&mut c).await.unwrap();
    assert_eq!((unfinished.len(), unfinished[0].step, unfinished[0].state), (1, 2, JobState::Undoing));
    assert_eq!(unfinished[0].error.as_deref(), Some("why"));
    jobs::job_update(&mut c, job.id, 0, JobState::Failed, None).await.unwrap();
    jobs::job_insert(&mut c, JobKind::DeleteProject, &a, &json!({})).await.unwrap();
}

#[tokio::test]
async fn places_are_given_once_and_taken_back_once() {
    let catalog = open(&database().await).await;
    let mut c = catalog.connection().await.unwrap();
    let (a, b) =
        (project(&catalog, 'a', Tenancy::Pooled).await, project(&catalog, 'b', Tenancy::Pooled).await);
    assert_eq!(shards::shard_assign(&mut c, &a).await.unwrap(), None);
    let system = catalog::instances::instance_ensure_managed(&mut c, "system").await.unwrap();
    let shard = shards::shard_begin(&mut c, system.id, 1, "shard_").await.unwrap();
    assert_eq!((shard.number.0, shard.database.as_str()), (1, "shard_001"));
    // An interrupted opening is taken up again.
    assert_eq!(shards::shard_begin(&mut c, system.id, 1, "shard_").await.unwrap().number, shard.number);
    shards::shard_open(&mut c, shard.number).await.unwrap();
    let place = shards::shard_assign(&mut c, &a).await.unwrap().unwrap();
    assert_eq!(place.0, shard.number);
    assert_eq!(shards::shard_assign(&mut c, &a).await.unwrap(), None);
    assert_eq!(shards::shard_assign(&mut c, &b).await.unwrap(), None);
    for _ in 0..2 {
        shards::shard_release(&mut c, &a).await.unwrap();
        let now = shards::shard_get(&mut c, shard.number).await.unwrap();
        assert_eq!((now.used, now.status), (0, catalog::ShardStatus::Open));
    }
    assert!(shards::shard_assign(&mut c, &b).await.unwrap().is_some());
}

#[tokio::test]
async fn outbox_messages_are_taken_once_and_come_again_unless_confirmed() {
    let catalog = open(&database().await).await;
    let mut c = catalog.connection().await.unwrap();
    outbox::outbox_add(&mut c, "webhook", &json!({ "n": 1 })).await.unwrap();
    let taken = outbox::outbox_take(&mut c, 10).await.unwrap();
    assert_eq!((taken.len(), taken[0].attempts, &taken[0].payload), (1, 1, &json!({ "n": 1 })));
    assert!(outbox::outbox_take(&mut c, 10).await.unwrap().is_empty());
    c.batch("update catalog.outbox set next_attempt_at = now()").await.unwrap();
    assert_eq!(outbox::outbox_take(&mut c, 10).await.unwrap()[0].attempts, 2);
    outbox::outbox_sent(&mut c, taken[0].id).await.unwrap();
    c.batch("update catalog.outbox set next_attempt_at = now()").await.unwrap();
    assert!(outbox::outbox_take(&mut c, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_go_on_where_a_page_ended() {
    let catalog = open(&database().await).await;
    for letter in ['a', 'b', 'c'] {
        project(&catalog, letter, Tenancy::Dedicated).await;
    }
    let mut c = catalog.connection().await.unwrap();
    let first = projects::project_list(&mut c, None, 2).await.unwrap();
    let rest = projects::project_list(&mut c, Some(&first[1].reference), 2).await.unwrap();
    let all: Vec<_> = first.iter().chain(&rest).map(|p| p.slug.as_str()).collect();
    assert_eq!(all, ["a", "b", "c"]);
    let settings = json!({ "x": 1, "y": null });
    projects::project_merge_settings(&mut c, &first[0].reference, settings.as_object().unwrap())
        .await
        .unwrap();
    let found = projects::project_find_named(&mut c, "a").await.unwrap().unwrap();
    assert_eq!(json!(found.settings), json!({ "x": 1 }));
}

#[tokio::test]
async fn settings_change_only_from_what_was_read() {
    let catalog = open(&database().await).await;
    let a = project(&catalog, 'a', Tenancy::Dedicated).await;
    let mut c = catalog.connection().await.unwrap();
    let mut change = async |to: serde_json::Value, was: Option<serde_json::Value>| {
        let to = json!({ "written": to, "auth": 1 });
        let was = ("written", was.as_ref());
        projects::project_change_settings(&mut c, &a, to.as_object().unwrap(), was).await.unwrap()
    };
    assert!(!change(json!("x"), Some(json!("y"))).await, "there was nothing");
    assert!(change(json!({ "sealed": "one" }), None).await);
    assert!(!change(json!("two"), None).await, "somebody else was first");
    assert!(!change(json!("two"), Some(json!({ "sealed": "other" }))).await);
    assert!(change(json!("two"), Some(json!({ "sealed": "one" }))).await);
    let found = projects::project_find_named(&mut c, "a").await.unwrap().unwrap();
    assert_eq!(json!(found.settings), json!({ "written": "two", "auth": 1 }));
}

#[tokio::test]
async fn signing_keys_stand_by_sign_verify_and_are_revoked() {
    use catalog::signing_keys as keys;
    let catalog = open(&database().await).await;
    let (a, b) =
        (project(&catalog, 'a', Tenancy::Pooled).await, project(&catalog, 'b', Tenancy::Pooled).await);
    let mut c = catalog.connection().await.unwrap();
    let master = catalog.key();
    secrets::jwt_secret_ensure(&mut c, master, &a, "the first secret").await.unwrap();
    assert!(!keys::signing_key_rotate(&mut c, &a).await.unwrap(), "none stands by");
    let id = uuid::Uuid::from_u128(7);
    let new = catalog::NewSigningKey {
        id,
        algorithm: "ES256",
        status: catalog::KeyStatus::Standby,
        material: "{\"d\":\"private\"}",
    };
    keys::signing_key_insert(&mut c, master, &a, new).await.unwrap();
    let list = async |c: &mut pg::Connection| {
        let found = keys::signing_key_list(c, master, &a).await.unwrap();
        found.into_iter().map(|key| (key.algorithm, key.status.as_str(), key.material)).collect::<Vec<_>>()
    };
    let es = |status| ("ES256".to_owned(), status, "{\"d\":\"private\"}".to_owned());
    let hs = |status| ("HS256".to_owned(), status, "the first secret".to_owned());
    assert_eq!(list(&mut c).await, [hs("in_use"), es("standby")]);
    assert!(keys::signing_key_rotate(&mut c, &a).await.unwrap());
    assert_eq!(list(&mut c).await, [es("in_use"), hs("previously_used")]);
    assert!(!keys::signing_key_revoke(&mut c, &a, id).await.unwrap(), "the one in use stays");
    assert!(!keys::signing_key_revoke(&mut c, &b, id).await.unwrap(), "another project's key");
    let old = keys::signing_key_list(&mut c, master, &a).await.unwrap()[1].id;
    assert!(keys::signing_key_revoke(&mut c, &a, old).await.unwrap());
    assert_eq!(list(&mut c).await, [es("in_use")]);
    assert!(secrets::jwt_secret_list(&mut c, master, &a).await.unwrap().is_empty());
    assert_eq!(keys::signing_key_revoked(&mut c, &a, 9).await.unwrap().len(), 1);
    // What is stored is not the key, and opens in its own row only.
    let sealed = c.query("select encode(sealed, 'escape') from catalog.jwt_secrets", &[]).await.unwrap();
    assert!(sealed.iter().all(|row| !row.text(0).unwrap().contains("private")));
    c.batch("update catalog.jwt_secrets set id = gen_random_uuid() where algorithm = 'ES256'").await.unwrap();
    let error = keys::signing_key_list(&mut c, master, &a).await.unwrap_err();
    assert!(matches!(error, Error::Seal(SealError::WrongKey { .. })), "{error}");
}

#[tokio::test]
async fn files_of_deleted_projects_are_remembered_until_they_are_removed() {
    let catalog = open(&database().await).await;
    let (a, b) =
        (project(&catalog, 'a', Tenancy::Pooled).await, project(&catalog, 'b', Tenancy::Pooled).await);
    let mut c = catalog.connection().await.unwrap();
    let left = async |c: &mut pg::Connection| catalog::removals::removal_list(c).await.unwrap();
    assert!(left(&mut c).await.is_empty());
    projects::project_delete(&mut c, &a).await.unwrap();
    projects::project_delete(&mut c, &a).await.unwrap();
    assert_eq!(left(&mut c).await, std::slice::from_ref(&a));
    catalog::removals::removal_done(&mut c, &a).await.unwrap();
    assert_eq!(left(&mut c).await, std::slice::from_ref(&a), "an upload may have been on its way");
    c.batch("update catalog.file_removals set deleted_at = now() - interval '2 hours'").await.unwrap();
    // Nothing is ever removed of a project that there is.
    c.query("insert into catalog.file_removals (project_ref) values ($1)", &[pg::text(b.as_str())])
        .await
        .unwrap();
    assert_eq!(left(&mut c).await, std::slice::from_ref(&a));
    catalog::removals::removal_done(&mut c, &a).await.unwrap();
    assert!(left(&mut c).await.is_empty());
}
