-- Buckets of tables, and the catalog of what is in them.
create table if not exists storage.buckets_analytics (
  {app_column}
  name text not null,
  type storage.buckettype not null default 'ANALYTICS',
  format text not null default 'ICEBERG',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  id uuid not null default gen_random_uuid(),
  deleted_at timestamptz,
  constraint buckets_analytics_pkey primary key ({app}id)
);
create unique index if not exists buckets_analytics_unique_name_idx
  on storage.buckets_analytics ({app}name) where deleted_at is null;

create table if not exists storage.iceberg_namespaces (
  {app_column}
  id uuid not null default gen_random_uuid(),
  bucket_name text not null,
  name text collate "C" not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  metadata jsonb not null default '{}',
  catalog_id uuid not null,
  constraint iceberg_namespaces_pkey primary key ({app}id),
  constraint iceberg_namespaces_catalog_id_fkey
    foreign key ({app}catalog_id) references storage.buckets_analytics ({app}id) on delete cascade
);
create unique index if not exists idx_iceberg_namespaces_bucket_id
  on storage.iceberg_namespaces ({app}catalog_id, name);

create table if not exists storage.iceberg_tables (
  {app_column}
  id uuid not null default gen_random_uuid(),
  namespace_id uuid not null,
  bucket_name text not null,
  name text collate "C" not null,
  location text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  remote_table_id text,
  shard_key text,
  shard_id text,
  catalog_id uuid not null,
  constraint iceberg_tables_pkey primary key ({app}id),
  constraint iceberg_tables_namespace_id_fkey
    foreign key ({app}namespace_id) references storage.iceberg_namespaces ({app}id) on delete cascade,
  constraint iceberg_tables_catalog_id_fkey
    foreign key ({app}catalog_id) references storage.buckets_analytics ({app}id) on delete cascade
);
create unique index if not exists idx_iceberg_tables_namespace_id
  on storage.iceberg_tables ({app}catalog_id, namespace_id, name);
create unique index if not exists idx_iceberg_tables_location on storage.iceberg_tables ({app}location);
