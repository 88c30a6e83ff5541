-- Files. A row names the body it stands for by `version`.
create table if not exists storage.objects (
  {app_column}
  id uuid not null default gen_random_uuid(),
  bucket_id text,
  name text,
  owner uuid,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  last_accessed_at timestamptz default now(),
  metadata jsonb,
  path_tokens text[] generated always as (string_to_array(name, '/')) stored,
  version text,
  owner_id text,
  user_metadata jsonb,
  archived_at timestamptz,
  is_delete_marker boolean not null default false,
  is_versioned boolean not null default false,
  constraint objects_pkey primary key ({app}id),
  constraint "objects_bucketId_fkey" foreign key ({app}bucket_id) references storage.buckets ({app}id)
);
comment on column storage.objects.owner is 'Field is deprecated, use owner_id instead';
create unique index if not exists bucketid_objname on storage.objects ({app}bucket_id, name);
create index if not exists idx_objects_bucket_id_name on storage.objects ({app}bucket_id, name collate "C");
create index if not exists name_prefix_search on storage.objects ({app}name text_pattern_ops);

-- For listings that do not tell cases apart. PostgreSQL's own lower() may not be evaluated before the policies, as
-- it is not marked as leakproof: an index over it is of no use to anybody whom policies apply to.
do $$
begin
  if exists (
    select from pg_index as i
    where i.indexrelid = to_regclass('storage.idx_objects_bucket_id_name_lower')
      and strpos(pg_get_indexdef(i.indexrelid), 'leakproof_lower') = 0
  ) then
    drop index storage.idx_objects_bucket_id_name_lower;
  end if;
end
$$;
create index if not exists idx_objects_bucket_id_name_lower
  on storage.objects ({app}bucket_id, extensions.leakproof_lower(name) collate "C");
