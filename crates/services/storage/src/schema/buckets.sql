-- Buckets of files.
create table if not exists storage.buckets (
  {app_column}
  id text not null,
  name text not null,
  owner uuid,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  public boolean default false,
  avif_autodetection boolean default false,
  file_size_limit bigint,
  allowed_mime_types text[],
  owner_id text,
  type storage.buckettype not null default 'STANDARD',
  versioning_status text not null default 'DISABLED',
  constraint buckets_pkey primary key ({app}id)
);
create unique index if not exists bname on storage.buckets ({app}name);
comment on column storage.buckets.owner is 'Field is deprecated, use owner_id instead';

-- Databases of earlier versions have the first of these constraints with the meaning of the last.
do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('buckets_versioning_status_check', 'versioning_status in (''DISABLED'', ''ENABLED'', ''SUSPENDED'')', 'ENABLED'),
      ('buckets_versioning_standard_only_check', 'type = ''STANDARD'' or versioning_status = ''DISABLED''', 'STANDARD'),
      ('buckets_versioning_dark_check', 'versioning_status = ''DISABLED''', 'DISABLED')
    ) as t (name, condition, part)
    where not exists (
      select from pg_constraint as c
      where c.conrelid = 'storage.buckets'::regclass and c.conname = t.name
        and strpos(pg_get_constraintdef(c.oid), t.part) > 0)
  loop
    execute format('alter table storage.buckets drop constraint if exists %I', wanted.name);
    execute format('alter table storage.buckets add constraint %I check (%s)', wanted.name, wanted.condition);
  end loop;
end
$$;
