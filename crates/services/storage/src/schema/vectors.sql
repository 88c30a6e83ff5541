-- Buckets of vectors and their indexes.
create table if not exists storage.buckets_vectors (
  {app_column}
  id text not null,
  type storage.buckettype not null default 'VECTOR',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint buckets_vectors_pkey primary key ({app}id)
);

create table if not exists storage.vector_indexes (
  {app_column}
  id text not null default gen_random_uuid(),
  name text collate "C" not null,
  bucket_id text not null,
  data_type text not null,
  dimension integer not null,
  distance_metric text not null,
  metadata_configuration jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint vector_indexes_pkey primary key ({app}id),
  constraint vector_indexes_bucket_id_fkey
    foreign key ({app}bucket_id) references storage.buckets_vectors ({app}id)
);
create unique index if not exists vector_indexes_name_bucket_id_idx on storage.vector_indexes ({app}name, bucket_id);
