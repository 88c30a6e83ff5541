//! The storage tables of a shard: no app reaches, finds out about or holds up another, whatever its role.

use crate::rooms::{admin, as_user, count, platform, pooled};
use pg::Connection;
use platform::{Platform, Project};

const USER: &str = "00000000-0000-4000-8000-000000000001";

async fn fill(platform: &Platform, project: &Project) {
    for sql in [
        "insert into storage.buckets (id, name, access) values ('b', 'b', 'project'), ('p', 'p', 'public_read')",
        "with told as (select set_config('storage.events', 'on', true))
         insert into storage.objects (bucket_id, name, owner_id, version, metadata)
         select v.bucket, v.name, '00000000-0000-4000-8000-000000000001', 'v', '{\"size\": 1}'
         from told, (values ('b', 'k'), ('p', 'f/k')) as v (bucket, name)",
        "insert into storage.s3_multipart_uploads (id, bucket_id, key, version, upload_signature)
         values ('u', 'b', 'k', 'v', '')",
        "insert into storage.s3_multipart_uploads_parts (upload_id, bucket_id, key, part_number, etag, version)
         values ('u', 'b', 'k', 1, 'e', 'v')",
        "insert into storage.resumable_uploads (version, bucket_id, key, upload_metadata, expires_at)
         values ('00000000-0000-4000-8000-00000000000c', 'b', 'k', '', now())",
        "insert into storage.buckets_vectors (id) values ('v')",
        "insert into storage.vector_indexes (id, name, bucket_id, data_type, dimension, distance_metric)
         values ('i', 'i', 'v', 'float32', 3, 'cosine')",
        "insert into storage.buckets_analytics (id, name) values ('00000000-0000-4000-8000-00000000000a', 'a')",
        "insert into storage.iceberg_namespaces (id, bucket_name, name, catalog_id)
         values ('00000000-0000-4000-8000-00000000000b', 'a', 'n', '00000000-0000-4000-8000-00000000000a')",
        "insert into storage.iceberg_tables (bucket_name, name, location, catalog_id, namespace_id)
         values ('a', 't', 'l', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b')",
    ] {
        as_user(platform, project, "service_role", None, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

const TABLES: [&str; 11] = [
    "event_outbox",
    "resumable_uploads",
    "buckets",
    "objects",
    "s3_multipart_uploads",
    "s3_multipart_uploads_parts",
    "buckets_vectors",
    "vector_indexes",
    "buckets_analytics",
    "iceberg_namespaces",
    "iceberg_tables",
];

#[tokio::test]
async fn no_role_sees_or_changes_another_apps_files() {
    let platform = platform().await;
    let (mine, theirs) = (pooled(&platform, "mine").await, pooled(&platform, "theirs").await);
    assert_eq!(mine.shard, theirs.shard);
    fill(&platform, &theirs).await;
    let mut everything = admin(&platform, &theirs).await;
    let tables: Vec<String> = everything
        .query(
            "select relname from pg_class where relnamespace = 'storage'::regnamespace and relkind = 'r'",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.text(0).unwrap().to_owned())
        .collect();
    assert_eq!(tables.len(), TABLES.len() + 1, "a table that this test does not know: {tables:?}");

    for role in ["anon", "authenticated", "service_role"] {
        let run = async |sql: &str| as_user(&platform, &mine, role, Some(USER), sql).await;
        for table in TABLES {
            match run(&format!("select count(*) from storage.{table}")).await {
                Ok(seen) => assert_eq!(count(&seen), 0, "{role} reads {table}"),
                // Those are the service's alone.
                Err(error) => {
                    assert_eq!(error.sqlstate(), Some("42501"), "{role} {table}");
                    assert!(["event_outbox", "resumable_uploads"].contains(&table), "{role} reads {table}");
                }
            }
            for write in [
                format!("update storage.{table} set app_id = app_id"),
                format!(
                    "with allowed as (select set_config('storage.allow_delete_query', 'true', true))
                         delete from storage.{table} using allowed"
                ),
            ] {
                match run(&write).await {
                    Ok(rows) => assert_eq!(rows.affected(), 0, "{role}: {write}"),
                    Err(error) => assert_eq!(error.sqlstate(), Some("42501"), "{role}: {write}: {error}"),
                }
            }
            let truncated = run(&format!("truncate storage.{table} cascade")).await.unwrap_err();
            assert_eq!(truncated.sqlstate(), Some("42501"), "{role} truncates {table}");
        }
        for function in [
            "storage.search('', 'b')",
            "storage.search('', 'b', 100, 1, 0, '', 'created_at')",
            "storage.search('f/', 'p')",
            "storage.search_v2('', 'b')",
            "storage.search_v2('', 'p', 100, 1, '', 'desc', 'updated_at')",
            "storage.list_objects_with_delimiter('p', '', '/')",
            "storage.list_multipart_uploads_with_delimiter('b', '', '/')",
            "storage.get_size_by_bucket()",
            "storage.buckets_with_access('public_read')",
        ] {
            let listed = run(&format!("select count(*) from {function}")).await.unwrap();
            assert_eq!(count(&listed), 0, "{role} {function}");
        }
        // With the other app's number written out, and by a bucket that only the other has.
        let theirs_number = theirs.app_id.unwrap();
        for sql in [
            format!("insert into storage.buckets (app_id, id, name) values ({theirs_number}, 'x', 'x')"),
            format!(
                "insert into storage.objects (app_id, bucket_id, name) values ({theirs_number}, 'b', 'x')"
            ),
            format!(
                "insert into storage.objects (app_id, bucket_id, name, owner_id)
                     values ({theirs_number}, 'b', 'k', '{USER}')
                     on conflict (app_id, bucket_id, name) do update set version = 'mine'"
            ),
        ] {
            let error = run(&sql).await.unwrap_err();
            assert_eq!(error.sqlstate(), Some("42501"), "{role}: {sql}: {error}");
        }
    }
    let orphan = "insert into storage.objects (bucket_id, name) values ('b', 'x')";
    let error = as_user(&platform, &mine, "service_role", None, orphan).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("23503"), "a bucket of another app is no bucket: {error}");

    // Everything is still there, and the same names are free.
    for table in TABLES {
        let left = everything.query(&format!("select count(*) from storage.{table}"), &[]).await.unwrap();
        assert!(count(&left) > 0, "{table}");
    }
    let changed = "select count(*) from storage.objects where version <> 'v'";
    assert_eq!(count(&everything.query(changed, &[]).await.unwrap()), 0);
    fill(&platform, &mine).await;
}

/// A session of an app, in a transaction that stays open.
async fn begun(platform: &Platform, project: &Project) -> Connection {
    let endpoint = platform.endpoint(project).await.unwrap();
    let mut session = Connection::connect(&endpoint.rest).await.unwrap();
    session.batch("begin; set local lock_timeout = '1ms'").await.unwrap();
    for (name, value) in endpoint
        .extra_settings
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .chain([("role", "service_role")])
    {
        session.query("select set_config($1, $2, true)", &[pg::text(name), pg::text(value)]).await.unwrap();
    }
    session
}

#[tokio::test]
async fn nobody_waits_for_another_app() {
    let platform = platform().await;
    let (mine, theirs) = (pooled(&platform, "mine").await, pooled(&platform, "theirs").await);
    let (mut a, mut b) = (begun(&platform, &mine).await, begun(&platform, &theirs).await);
    // The same names and even the same ids, both uncommitted; whoever waited would fail by its lock timeout.
    for sql in [
        "insert into storage.buckets (id, name) values ('b', 'b')",
        "insert into storage.objects (id, bucket_id, name)
         values ('00000000-0000-4000-8000-0000000000ff', 'b', 'k')",
        "insert into storage.objects (bucket_id, name) values ('b', 'k')
         on conflict (app_id, bucket_id, name) do update set version = 'v2'",
        "select * from storage.buckets where id = 'b' for update",
        "select set_config('storage.allow_delete_query', 'true', true)",
        "delete from storage.objects where bucket_id = 'b'",
        "delete from storage.buckets where id = 'b'",
    ] {
        for session in [&mut a, &mut b] {
            session.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
    // Within an app they do wait, or this would show nothing.
    let mut c = begun(&platform, &mine).await;
    let insert = "insert into storage.buckets (id, name) values ('w', 'w')";
    a.query(insert, &[]).await.unwrap();
    assert_eq!(c.query(insert, &[]).await.unwrap_err().sqlstate(), Some("55P03"));
}

#[tokio::test]
async fn a_deleted_project_leaves_no_rows() {
    let platform = platform().await;
    let (mine, theirs) = (pooled(&platform, "mine").await, pooled(&platform, "theirs").await);
    fill(&platform, &mine).await;
    fill(&platform, &theirs).await;
    let mut session = admin(&platform, &theirs).await;
    platform::projects::delete(&platform, &mine.reference, "test").await.unwrap();
    for table in TABLES {
        let sql = format!(
            "select count(*) filter (where app_id = {}), count(*) filter (where app_id = {}) from storage.{table}",
            mine.app_id.unwrap(),
            theirs.app_id.unwrap()
        );
        let rows = session.query(&sql, &[]).await.unwrap();
        let row = rows.one().unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), 0, "{table}");
        assert!(row.get::<i64>(1).unwrap() > 0, "{table}");
    }
}
