//! The names, shapes and rights that users' SQL, policies and tools rely on.

use crate::world::{database, rows, texts};

#[tokio::test]
async fn functions_have_their_arguments_and_run_with_the_callers_rights() {
    let mut session = database().await.connect().await;
    let functions = texts(
        &mut session,
        "select format('%s(%s) %s', proname, pg_get_function_arguments(oid), provolatile)
         from pg_proc where pronamespace = 'storage'::regnamespace",
    )
    .await;
    for wanted in [
        "foldername(name text) i",
        "filename(name text) i",
        "extension(name text) i",
        "operation() s",
        "allow_only_operation(expected_operation text) s",
        "allow_any_operation(expected_operations text[]) s",
        "get_size_by_bucket() s",
        "can_insert_object(bucketid text, name text, owner uuid, metadata jsonb) v",
        "get_common_prefix(p_key text, p_prefix text, p_delimiter text) i",
        "search(prefix text, bucketname text, limits integer DEFAULT 100, levels integer DEFAULT 1, offsets integer \
         DEFAULT 0, search text DEFAULT ''::text, sortcolumn text DEFAULT 'name'::text, sortorder text DEFAULT \
         'asc'::text) s",
        "search_v2(prefix text, bucket_name text, limits integer DEFAULT 100, levels integer DEFAULT 1, start_after \
         text DEFAULT ''::text, sort_order text DEFAULT 'asc'::text, sort_column text DEFAULT 'name'::text, \
         sort_column_after text DEFAULT ''::text) s",
        "search_by_timestamp(p_prefix text, p_bucket_id text, p_limit integer, p_level integer, p_start_after text, \
         p_sort_order text, p_sort_column text, p_sort_column_after text) s",
        "list_objects_with_delimiter(_bucket_id text, prefix_param text, delimiter_param text, max_keys integer \
         DEFAULT 100, start_after text DEFAULT ''::text, next_token text DEFAULT ''::text, sort_order text DEFAULT \
         'asc'::text) s",
        "list_multipart_uploads_with_delimiter(bucket_id text, prefix_param text, delimiter_param text, max_keys \
         integer DEFAULT 100, next_key_token text DEFAULT ''::text, next_upload_token text DEFAULT ''::text) v",
        "update_updated_at_column() v",
        "enforce_bucket_name_length() v",
        "protect_delete() v",
    ] {
        assert!(functions.iter().any(|f| f == wanted), "{wanted} is not among {functions:#?}");
    }
    let elevated = "select proname from pg_proc where pronamespace = 'storage'::regnamespace and (prosecdef or proleakproof)";
    // It writes the outbox, which no caller may.
    assert_eq!(texts(&mut session, elevated).await, ["record_event"]);
}

#[tokio::test]
async fn tables_have_their_columns_and_rights() {
    let mut session = database().await.connect().await;
    let tables = texts(
        &mut session,
        "select format('%s: %s', c.relname, string_agg(a.attname, ' ' order by a.attname collate \"C\"))
         from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'storage'::regnamespace and c.relkind = 'r' and c.relrowsecurity
           and not c.relforcerowsecurity and c.relowner = 'supabase_storage_admin'::regrole
         group by c.oid order by c.relname collate \"C\"",
    )
    .await;
    let wanted = [
        "buckets: allowed_mime_types avif_autodetection created_at file_size_limit id name owner owner_id public type \
         updated_at versioning_status",
        "buckets_analytics: created_at deleted_at format id name type updated_at",
        "buckets_vectors: created_at id type updated_at",
        "event_outbox: attempts created_at event id next_at",
        "iceberg_namespaces: bucket_name catalog_id created_at id metadata name updated_at",
        "iceberg_tables: bucket_name catalog_id created_at id location name namespace_id remote_table_id shard_id \
         shard_key updated_at",
        "migrations: executed_at hash id name",
        "objects: archived_at bucket_id created_at id is_delete_marker is_versioned last_accessed_at metadata name \
         owner owner_id path_tokens updated_at user_metadata version",
        "resumable_uploads: asked bucket_id completed_at created_at expires_at held_until holder key length \
         upload_metadata version",
        "s3_multipart_uploads: bucket_id created_at id in_progress_size key metadata owner_id upload_signature \
         user_metadata version",
        "s3_multipart_uploads_parts: bucket_id created_at etag id key owner_id part_number size upload_id version",
        "vector_indexes: bucket_id created_at data_type dimension distance_metric id metadata_configuration name \
         updated_at",
    ];
    assert_eq!(tables, wanted);
    for (table, anon, service) in [
        ("buckets", "rwd", "rwd"),
        ("objects", "rwd", "rwd"),
        ("buckets_vectors", "rwd", "rwd"),
        ("buckets_analytics", "rwd", "rwd"),
        ("vector_indexes", "rwd", "rwd"),
        ("resumable_uploads", "", "rwd"),
        ("s3_multipart_uploads", "r", "rwd"),
        ("s3_multipart_uploads_parts", "r", "rwd"),
        ("iceberg_namespaces", "r", "rwd"),
        ("iceberg_tables", "r", "rwd"),
        ("migrations", "", ""),
    ] {
        for (role, wanted) in [("anon", anon), ("authenticated", anon), ("service_role", service)] {
            let may = format!(
                "select concat(
                   case when has_table_privilege('{role}', 'storage.{table}', 'select') then 'r' end,
                   case when has_table_privilege('{role}', 'storage.{table}', 'insert')
                     and has_table_privilege('{role}', 'storage.{table}', 'update') then 'w' end,
                   case when has_table_privilege('{role}', 'storage.{table}', 'delete') then 'd' end)"
            );
            assert_eq!(texts(&mut session, &may).await, [wanted], "{role} {table}");
        }
    }
}

#[tokio::test]
async fn the_versions_of_the_reference_are_recorded() {
    let mut session = database().await.connect().await;
    let recorded = "select format('%s %s', id, name) from storage.migrations
        where hash ~ '^[0-9a-f]{40}$' and executed_at is not null order by id";
    let recorded = texts(&mut session, recorded).await;
    assert_eq!(recorded.len(), 64);
    for (id, name) in [
        (0, "create-migrations-table"),
        (1, "initialmigration"),
        (18, "add_owner_id_column_deprecate_owner"),
        (26, "objects-prefixes"),
        (37, "add-bucket-name-length-trigger"),
        (50, "search-v2-optimised"),
        (63, "fix-search-name-relative-to-prefix"),
    ] {
        assert_eq!(recorded[id], format!("{id} {name}"));
    }
}

#[tokio::test]
async fn names_are_taken_apart() {
    let mut session = database().await.connect().await;
    let sql = "select concat_ws('|', storage.foldername(n), storage.filename(n), storage.extension(n))
        from unnest(array['a/b/c.tar.gz', 'x', 'a/', 'a.b/c', '.env']) with ordinality as t (n, i) order by i";
    assert_eq!(
        texts(&mut session, sql).await,
        ["{a,b}|c.tar.gz|gz", "{}|x|x", "{a}||", "{a.b}|c|c", "{}|.env|env"]
    );
    let sql = "select concat_ws(' ', storage.get_common_prefix('a/b/c', 'a/', '/'),
        coalesce(storage.get_common_prefix('a/b', 'a/', '/'), '-'), storage.get_common_prefix('a--b', '', '--'))";
    assert_eq!(texts(&mut session, sql).await, ["a/b/ - a--"]);
    let sql = "select set_config('storage.operation', o, false) || ' ' || storage.allow_only_operation('object.list')
          || storage.allow_any_operation(array['x', '', null, 'storage.object.list'])
          || storage.allow_only_operation('') || storage.allow_any_operation(null)
        from unnest(array['storage.object.list', 'object.list', 'x', '']) with ordinality as t (o, i) order by i";
    assert_eq!(
        texts(&mut session, sql).await,
        [
            "storage.object.list truetruefalsefalse",
            "object.list truetruefalsefalse",
            "x falsetruefalsefalse",
            " falsefalsefalsefalse"
        ]
    );
}

#[tokio::test]
async fn tables_guard_themselves() {
    let mut session = database().await.connect().await;
    session
        .batch(
            "insert into storage.buckets (id, name) values ('b', 'b');
             insert into storage.objects (bucket_id, name, metadata, updated_at)
               values ('b', 'k', '{\"size\": 3}', 'epoch'), ('b', 'l', '{}', 'epoch')",
        )
        .await
        .unwrap();
    let refused = async |session: &mut pg::Connection, sql: &str| {
        session.batch(sql).await.unwrap_err().sqlstate().unwrap_or_default().to_owned()
    };
    assert_eq!(refused(&mut session, "delete from storage.objects").await, "42501");
    assert_eq!(refused(&mut session, "delete from storage.buckets where false").await, "42501");
    let long = "insert into storage.buckets (id, name) values ('x', repeat('x', 101))";
    assert_eq!(refused(&mut session, long).await, "P0001");
    let versioned = "update storage.buckets set versioning_status = 'ENABLED'";
    assert_eq!(refused(&mut session, versioned).await, "23514");
    let orphan = "insert into storage.objects (bucket_id, name) values ('none', 'k')";
    assert_eq!(refused(&mut session, orphan).await, "23503");
    let twice = "insert into storage.objects (bucket_id, name) values ('b', 'k')";
    assert_eq!(refused(&mut session, twice).await, "23505");
    let probe = "select storage.can_insert_object('b', 'new', null, '{}')";
    assert_eq!(refused(&mut session, probe).await, "PT200");
    let held = "set storage.allow_delete_query = 'true'; delete from storage.buckets";
    assert_eq!(refused(&mut session, held).await, "23503");

    let touched =
        "update storage.objects set metadata = metadata where name = 'k' returning updated_at > 'epoch'";
    assert_eq!(rows(&mut session, touched, &[]).await[0].text(0), Some("t"));
    let size = "select format('%s %s', size, bucket_id) from storage.get_size_by_bucket()";
    assert_eq!(texts(&mut session, size).await, ["3 b"]);
    session
        .batch(
            "insert into storage.s3_multipart_uploads (id, bucket_id, key, version, upload_signature)
               values ('u', 'b', 'k', 'v', 's');
             insert into storage.s3_multipart_uploads_parts (upload_id, part_number, bucket_id, key, etag, version)
               values ('u', 1, 'b', 'k', 'e', 'v');
             delete from storage.s3_multipart_uploads",
        )
        .await
        .unwrap();
    let parts = "select count(*)::text from storage.s3_multipart_uploads_parts";
    assert_eq!(texts(&mut session, parts).await, ["0"]);
}

#[tokio::test]
async fn the_script_may_run_again_as_the_owner_and_mends_an_earlier_database() {
    let database = database().await;
    let mut session = database.connect().await;
    session
        .batch(
            "insert into storage.buckets (id, name) values ('b', 'b');
             insert into storage.objects (bucket_id, name) values ('b', 'Kept');
             drop index storage.idx_objects_bucket_id_name_lower;
             create index idx_objects_bucket_id_name_lower on storage.objects (bucket_id, lower(name) collate \"C\");
             alter index storage.idx_objects_bucket_id_name_lower owner to supabase_storage_admin;
             alter table storage.buckets drop constraint buckets_versioning_dark_check,
               drop constraint buckets_versioning_status_check,
               drop constraint buckets_versioning_standard_only_check;
             alter table storage.buckets
               add constraint buckets_versioning_status_check check (versioning_status = 'DISABLED');
             drop function storage.search, storage.search_v2, storage.list_objects_with_delimiter;
             drop table storage.iceberg_tables, storage.vector_indexes;
             delete from storage.migrations",
        )
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let mut owner =
        pg::Connection::connect(&database.config.with_user("supabase_storage_admin")).await.unwrap();
    for _ in 0..2 {
        owner.batch(&storage::schema::dedicated()).await.unwrap();
    }
    let state = "select concat_ws(' ',
        (select count(*) from storage.migrations),
        (select string_agg(conname, ' ' order by conname) from pg_constraint
         where conrelid = 'storage.buckets'::regclass and contype = 'c'),
        pg_get_indexdef('storage.idx_objects_bucket_id_name_lower'::regclass) like '%leakproof%',
        to_regclass('storage.iceberg_tables'),
        (select name from storage.search('', 'b', search => 'KE')))";
    assert_eq!(
        texts(&mut session, state).await,
        [
            "64 buckets_versioning_dark_check buckets_versioning_standard_only_check buckets_versioning_status_check \
          t storage.iceberg_tables Kept"
        ]
    );
}
