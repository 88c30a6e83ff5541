-- Resumable uploads that are going on, and for a while those that have ended. The bytes lie outside of the database,
-- under the version; how many there are is for them to say. Who appends holds a lease.
create table if not exists storage.resumable_uploads (
  {app_column}
  version uuid not null,
  bucket_id text not null,
  key text collate "C" not null,
  length bigint,
  upload_metadata text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  completed_at timestamptz,
  holder uuid,
  held_until timestamptz,
  asked boolean not null default false,
  constraint resumable_uploads_pkey primary key ({app}version)
);
create index if not exists idx_resumable_uploads_expiry on storage.resumable_uploads ({app}expires_at);
-- Those that are going on are counted whenever one is begun.
create index if not exists idx_resumable_uploads_open on storage.resumable_uploads ({app}expires_at)
  where completed_at is null;
revoke all on storage.resumable_uploads from public, anon, authenticated;
grant select, insert, update, delete on storage.resumable_uploads to service_role;
