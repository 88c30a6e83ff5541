-- In a project of one's own the policies decide, and the owner role manages what lies here as migrations expect.
grant all on storage.buckets, storage.objects, storage.buckets_vectors, storage.buckets_analytics,
  storage.vector_indexes to anon, authenticated, service_role;
grant select on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts, storage.iceberg_namespaces,
  storage.iceberg_tables to anon, authenticated;
grant all on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts, storage.iceberg_namespaces,
  storage.iceberg_tables to service_role;
grant all on storage.buckets, storage.objects, storage.buckets_vectors, storage.buckets_analytics,
  storage.vector_indexes, storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts,
  storage.iceberg_namespaces, storage.iceberg_tables to postgres with grant option;

-- What the project itself has put into the schema is not ours to grant.
do $$
declare
  routine regprocedure;
begin
  for routine in
    select oid from pg_proc
    where pronamespace = 'storage'::regnamespace and proowner = 'supabase_storage_admin'::regrole
  loop
    execute format('grant execute on function %s to postgres, anon, authenticated, service_role', routine);
  end loop;
end
$$;

reset search_path;
reset role;
