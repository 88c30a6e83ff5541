//! Projects from creation to deletion, and what a crash leaves.

use crate::rooms::{MASTER_KEY, Room, admin, as_user, count, platform, pooled, sign_up, todos};
use model::Tenancy;
use pg::Connection;
use platform::projects::{self, EnvFormat, KeyChoice, NewProject};
use platform::{Error, Lookup, Options, Platform, ProjectStatus, Server, entities};
use token::KeySet;

#[tokio::test]
async fn a_project_has_keys_that_its_secret_verifies() {
    let platform = platform().await;
    let project = pooled(&platform, "My first app").await;
    assert_eq!(project.status, ProjectStatus::ActiveHealthy);
    let keys = projects::keys(&platform, &project.reference).await.unwrap();
    let set = KeySet::from_secret(keys.jwt_secret.as_bytes());
    for (key, role) in [(&keys.anon, "anon"), (&keys.service_role, "service_role")] {
        let verified = set.verify(key).unwrap();
        assert_eq!(verified.text("role"), Some(role));
        assert_eq!(verified.text("ref"), Some(project.reference.as_str()));
    }
    assert!(keys.publishable.starts_with("sb_publishable_") && keys.secret.starts_with("sb_secret_"));
    let vite = projects::environment(&project, &keys, "http://x", EnvFormat::Vite);
    let app = project.app_id.unwrap();
    assert_eq!(
        vite,
        format!("VITE_SUPABASE_URL=http://x\nVITE_SUPABASE_ANON_KEY={}\nVITE_APP_ID={app}\n", keys.anon)
    );
    let next = projects::environment(&project, &keys, "http://x", EnvFormat::Next);
    assert!(next.contains("\nSUPABASE_SERVICE_ROLE_KEY=") && next.contains("\nSUPABASE_JWT_SECRET="));
    assert!(!vite.contains(&keys.service_role));
}

#[tokio::test]
async fn a_project_is_found_by_each_of_its_names() {
    let platform = platform().await;
    let project = pooled(&platform, "Find me").await;
    let keys = projects::keys(&platform, &project.reference).await.unwrap();
    let lookups = [
        Lookup::Ref(project.reference.clone()),
        Lookup::Slug(project.slug.clone()),
        Lookup::KeyHash(token::hash_opaque(&keys.publishable)),
        Lookup::KeyHash(token::hash_opaque(&keys.anon)),
    ];
    for lookup in lookups {
        let found = platform.resolve(lookup.clone()).await.unwrap();
        assert_eq!(found.unwrap().project.reference, project.reference, "{lookup:?}");
    }
    let resolved = platform.resolve(Lookup::Slug(project.slug.clone())).await.unwrap().unwrap();
    let found: Vec<_> =
        resolved.signing_keys.iter().map(|k| (k.algorithm.as_str(), k.status.as_str())).collect();
    assert_eq!(found, [("ES256", "in_use"), ("HS256", "previously_used")]);
    assert_eq!(resolved.signing_keys[1].material, keys.jwt_secret);
    assert!(platform.resolve(Lookup::Domain("nobody.test".into())).await.unwrap().is_none());
    for name in [project.reference.as_str(), &project.slug, "Find me"] {
        assert_eq!(projects::show(&platform, name).await.unwrap().reference, project.reference);
    }
    assert!(matches!(projects::show(&platform, "nope").await, Err(Error::NoProject(_))));
}

#[tokio::test]
async fn the_local_project_has_the_well_known_keys() {
    let platform = platform().await;
    let mut new = NewProject::new("local", Tenancy::Pooled);
    new.jwt_secret = Some("super-secret-jwt-token-with-at-least-32-characters-long".into());
    new.keys = KeyChoice::Local;
    let project = projects::create(&platform, new).await.unwrap();
    let keys = projects::keys(&platform, &project.reference).await.unwrap();
    assert_eq!(keys.publishable, token::LOCAL_PUBLISHABLE_KEY);
    assert!(keys.anon.ends_with("CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0"), "{}", keys.anon);
}

#[tokio::test]
async fn taken_names_are_refused_and_leave_nothing() {
    let platform = platform().await;
    let first = pooled(&platform, "a").await;
    let mut again = NewProject::new("b", Tenancy::Pooled);
    again.reference = Some(first.reference.clone());
    let error = projects::create(&platform, again).await.unwrap_err();
    assert!(matches!(error, Error::Catalog(catalog::Error::Taken { .. })), "{error}");
    let mut again = NewProject::new("b", Tenancy::Pooled);
    again.slug = Some(first.slug.clone());
    assert!(projects::create(&platform, again).await.is_err());
    assert_eq!(projects::count(&platform).await.unwrap(), 1);
}

#[tokio::test]
async fn another_master_key_is_refused_with_a_clear_error() {
    let room = Room::new(2).await;
    room.open().await.shutdown().await.unwrap();
    let server = || Server::External { config: room.config.clone(), prefix: room.prefix.clone() };
    let mut options = Options::new(server(), "/nonexistent/key");
    options.master_key = Some(MASTER_KEY.replace('0', "f"));
    let error = Platform::open(options).await.unwrap_err().to_string();
    assert!(error.contains("master key is not the one this data was made with"), "{error}");
    let mut options = Options::new(server(), "/nonexistent/key");
    options.master_key = Some("short".into());
    assert!(Platform::open(options).await.unwrap_err().to_string().contains("32 bytes"));
}

#[tokio::test]
async fn deletion_leaves_nothing_but_the_audit_log() {
    let platform = platform().await;
    let (gone, stays) = (pooled(&platform, "gone").await, pooled(&platform, "stays").await);
    for project in [&gone, &stays] {
        entities::apply(&platform, project, &todos(), false).await.unwrap();
        let user = sign_up(&platform, project, "ann@x.test").await;
        let insert = format!("insert into {}.todos (text) values ('x')", project.schema().unwrap());
        as_user(&platform, project, "authenticated", Some(&user), &insert).await.unwrap();
    }
    projects::delete(&platform, &gone.reference, "test").await.unwrap();
    assert!(matches!(projects::show(&platform, gone.reference.as_str()).await, Err(Error::NoProject(_))));
    assert!(platform.resolve(Lookup::Ref(gone.reference.clone())).await.unwrap().is_none());
    let mut shard = admin(&platform, &stays).await;
    let schema = gone.schema().unwrap();
    let left =
        shard.query("select to_regnamespace($1) is not null", &[pg::text(schema.as_str())]).await.unwrap();
    assert!(!left.one().unwrap().get::<bool>(0).unwrap());
    let shared = shard
        .query(
            "select attrelid::regclass::text from pg_attribute a join pg_class c on c.oid = attrelid
            where attname = 'app_id' and c.relkind = 'r'",
            &[],
        )
        .await
        .unwrap();
    assert!(shared.len() > 10);
    for row in &shared {
        let table: String = row.get(0).unwrap();
        let sql = format!("select count(*) from {table} where app_id = {}", gone.app_id.unwrap());
        assert_eq!(count(&shard.query(&sql, &[]).await.unwrap()), 0, "{table}");
    }
    let users = format!("select count(*) from auth.users where app_id = {}", stays.app_id.unwrap());
    assert_eq!(count(&shard.query(&users, &[]).await.unwrap()), 1);
    let mut c = platform.catalog().connection().await.unwrap();
    for table in [
        "projects where ref",
        "api_keys where project_ref",
        "jwt_secrets where project_ref",
        "entity_models where project_ref",
    ] {
        let sql = format!("select count(*) from catalog.{table} = $1");
        let rows = c.query(&sql, &[pg::text(gone.reference.as_str())]).await.unwrap();
        assert_eq!(count(&rows), 0, "{table}");
    }
    let audit = catalog::audit::audit_list(&mut c, &gone.reference, 10).await.unwrap();
    assert_eq!(
        audit.iter().map(|a| a.action.as_str()).collect::<Vec<_>>(),
        ["project.delete", "entities.apply", "project.create"]
    );
    assert_eq!(platform.shards().await.unwrap()[0].used, 1);
    let again = projects::delete(&platform, &gone.reference, "test").await;
    assert!(matches!(again, Err(Error::NoProject(_))));
}

/// Every place at which a creation or a deletion can die, learned from one that does not.
async fn failpoints_of(kind: &str) -> Vec<String> {
    let room = Room::new(10).await;
    let platform = room.open().await;
    let project = pooled(&platform, "learn").await;
    projects::delete(&platform, &project.reference, "test").await.unwrap();
    let passed = room.failpoints.passed();
    passed.into_iter().filter(|name| name.starts_with(kind)).collect()
}

#[tokio::test]
async fn a_creation_killed_anywhere_is_finished_at_restart() {
    let failpoints = failpoints_of("create.").await;
    assert!(failpoints.len() >= 8, "{failpoints:?}");
    let room = Room::new(100).await;
    for failpoint in &failpoints {
        let platform = room.open().await;
        room.failpoints.arm(failpoint);
        let mut new = NewProject::new("killed", Tenancy::Pooled);
        new.slug = Some(failpoint.replace(['.', '_'], "-"));
        let slug = new.slug.clone().unwrap();
        let killed = projects::create(&platform, new).await.unwrap_err();
        assert!(matches!(killed, Error::Killed { .. }), "{failpoint}: {killed}");
        platform.shutdown().await.unwrap();

        let platform = room.open().await;
        assert_eq!(platform.resume_unfinished().await.unwrap(), 1, "{failpoint}");
        let project = projects::show(&platform, &slug).await.unwrap();
        assert_eq!(project.status, ProjectStatus::ActiveHealthy, "{failpoint}");
        entities::apply(&platform, &project, &todos(), false).await.unwrap();
        sign_up(&platform, &project, "ann@x.test").await;
        assert_eq!(platform.resume_unfinished().await.unwrap(), 0);
        platform.shutdown().await.unwrap();
    }
    let platform = room.open().await;
    assert_eq!(platform.shards().await.unwrap()[0].used as usize, failpoints.len());
}

#[tokio::test]
async fn a_deletion_killed_anywhere_is_finished_at_restart_or_by_repeating_it() {
    for (i, failpoint) in failpoints_of("delete.").await.iter().enumerate() {
        let room = Room::new(10).await;
        let platform = room.open().await;
        let project = pooled(&platform, "killed").await;
        entities::apply(&platform, &project, &todos(), false).await.unwrap();
        room.failpoints.arm(failpoint);
        let killed = projects::delete(&platform, &project.reference, "test").await.unwrap_err();
        assert!(matches!(killed, Error::Killed { .. }), "{failpoint}: {killed}");
        if i % 2 == 0 {
            platform.shutdown().await.unwrap();
            let platform = room.open().await;
            assert_eq!(platform.resume_unfinished().await.unwrap(), 1, "{failpoint}");
        } else {
            projects::delete(&platform, &project.reference, "test").await.unwrap();
        }
        let platform = room.open().await;
        assert_eq!(projects::count(&platform).await.unwrap(), 0, "{failpoint}");
        assert_eq!(platform.shards().await.unwrap()[0].used, 0, "{failpoint}");
        assert_eq!(platform.resume_unfinished().await.unwrap(), 0, "{failpoint}");
    }
}

#[tokio::test]
async fn a_creation_that_fails_is_undone_also_when_the_undoing_is_killed() {
    for undo in [None, Some("undo.schema.before"), Some("undo.place.before")] {
        let room = Room::new(10).await;
        let platform = room.open().await;
        let first = pooled(&platform, "first").await;
        // The next app's schema cannot be made: its name is taken by something that is not a schema of ours.
        let mut shard = admin(&platform, &first).await;
        let next = first.app_id.unwrap().0 + 1;
        let trap =
            format!("create schema app_{next}; create view app_{next}.rowhouse_users as select 1 as id");
        shard.batch(&trap).await.unwrap();
        if let Some(failpoint) = undo {
            room.failpoints.arm(failpoint);
        }
        let failed =
            projects::create(&platform, NewProject::new("second", Tenancy::Pooled)).await.unwrap_err();
        assert_eq!(matches!(failed, Error::Killed { .. }), undo.is_some(), "{failed}");
        platform.shutdown().await.unwrap();
        let platform = room.open().await;
        assert_eq!(platform.resume_unfinished().await.unwrap(), usize::from(undo.is_some()));
        assert_eq!(projects::count(&platform).await.unwrap(), 1);
        assert_eq!(platform.shards().await.unwrap()[0].used, 1);
        let schema =
            shard.query("select to_regnamespace($1) is null", &[pg::text(format!("app_{next}"))]).await;
        assert!(schema.unwrap().one().unwrap().get::<bool>(0).unwrap());
        pooled(&platform, "third").await;
    }
}

#[tokio::test]
async fn secrets_do_not_lie_in_clear_in_the_catalog() {
    let room = Room::new(10).await;
    let platform = room.open().await;
    let project = pooled(&platform, "sealed").await;
    let keys = projects::keys(&platform, &project.reference).await.unwrap();
    let config = room.config.with_dbname(&format!("{}rowhouse", room.prefix));
    let mut c = Connection::connect(&config).await.unwrap();
    let tables = c
        .query("select table_schema || '.' || table_name from information_schema.tables where table_schema = 'catalog'", &[])
        .await
        .unwrap();
    for row in &tables {
        let table: String = row.get(0).unwrap();
        let dump = c.query(&format!("select t::text from {table} as t"), &[]).await.unwrap();
        for line in dump.iter().filter_map(|r| r.text(0)) {
            for secret in [&keys.jwt_secret, &keys.secret, &keys.service_role] {
                assert!(!line.contains(secret.as_str()), "{table}");
            }
        }
    }
}
