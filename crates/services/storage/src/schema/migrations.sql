-- Which versions of the reference's schema this one equals: dashboards and tools read it. One for the whole
-- database, in shards too: it describes the tables, not an app.
create table if not exists storage.migrations (
  id integer,
  name varchar(100) not null,
  hash varchar(40) not null,
  executed_at timestamp default current_timestamp,
  constraint migrations_pkey primary key (id),
  constraint migrations_name_key unique (name)
);
insert into storage.migrations (id, name, hash)
select n - 1, name, left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 40)
from unnest(array[
  'create-migrations-table', 'initialmigration', 'storage-schema', 'pathtoken-column', 'add-migrations-rls',
  'add-size-functions', 'change-column-name-in-get-size', 'add-rls-to-buckets', 'add-public-to-buckets',
  'fix-search-function', 'search-files-search-function', 'add-trigger-to-auto-update-updated_at-column',
  'add-automatic-avif-detection-flag', 'add-bucket-custom-limits', 'use-bytes-for-max-size',
  'add-can-insert-object-function', 'add-version', 'drop-owner-foreign-key', 'add_owner_id_column_deprecate_owner',
  'alter-default-value-objects-id', 'list-objects-with-delimiter', 's3-multipart-uploads',
  's3-multipart-uploads-big-ints', 'optimize-search-function', 'operation-function', 'custom-metadata',
  'objects-prefixes', 'search-v2', 'object-bucket-name-sorting', 'create-prefixes', 'update-object-levels',
  'objects-level-index', 'backward-compatible-index-on-objects', 'backward-compatible-index-on-prefixes',
  'optimize-search-function-v1', 'add-insert-trigger-prefixes', 'optimise-existing-functions',
  'add-bucket-name-length-trigger', 'iceberg-catalog-flag-on-buckets', 'add-search-v2-sort-support',
  'fix-prefix-race-conditions-optimized', 'add-object-level-update-trigger', 'rollback-prefix-triggers',
  'fix-object-level', 'vector-bucket-type', 'vector-buckets', 'buckets-objects-grants', 'iceberg-table-metadata',
  'iceberg-catalog-ids', 'buckets-objects-grants-postgres', 'search-v2-optimised',
  'index-backward-compatible-search', 'drop-not-used-indexes-and-functions', 'drop-index-lower-name',
  'drop-index-object-level', 'prevent-direct-deletes', 'fix-optimized-search-function',
  's3-multipart-uploads-metadata', 'operation-ergonomics', 'drop-unused-functions',
  'optimize-existing-functions-again', 'mark-filename-immutable', 'object-versioning-core',
  'fix-search-name-relative-to-prefix'
]) with ordinality as applied (name, n)
on conflict do nothing;
