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
grant execute on all functions in schema storage to postgres, anon, authenticated, service_role;

reset search_path;
reset role;
