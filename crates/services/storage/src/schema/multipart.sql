-- Uploads in parts by the S3 protocol, while they are going on.
create table if not exists storage.s3_multipart_uploads (
  {app_column}
  id text not null,
  in_progress_size bigint not null default 0,
  upload_signature text not null,
  bucket_id text not null,
  key text collate "C" not null,
  version text not null,
  owner_id text,
  created_at timestamptz not null default now(),
  user_metadata jsonb,
  metadata jsonb,
  constraint s3_multipart_uploads_pkey primary key ({app}id),
  constraint s3_multipart_uploads_bucket_id_fkey
    foreign key ({app}bucket_id) references storage.buckets ({app}id)
);
create index if not exists idx_multipart_uploads_list
  on storage.s3_multipart_uploads ({app}bucket_id, key, created_at);

create table if not exists storage.s3_multipart_uploads_parts (
  {app_column}
  id uuid not null default gen_random_uuid(),
  upload_id text not null,
  size bigint not null default 0,
  part_number integer not null,
  bucket_id text not null,
  key text collate "C" not null,
  etag text not null,
  owner_id text,
  version text not null,
  created_at timestamptz not null default now(),
  constraint s3_multipart_uploads_parts_pkey primary key ({app}id),
  constraint s3_multipart_uploads_parts_upload_id_fkey
    foreign key ({app}upload_id) references storage.s3_multipart_uploads ({app}id) on delete cascade,
  constraint s3_multipart_uploads_parts_bucket_id_fkey
    foreign key ({app}bucket_id) references storage.buckets ({app}id)
);
-- The parts of an upload are found by it, and go with it.
create index if not exists idx_multipart_parts_upload
  on storage.s3_multipart_uploads_parts ({app}upload_id, part_number);
