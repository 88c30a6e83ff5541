-- What happened to objects, for those who want to hear of it: written in the transaction in which it happened, sent
-- after that. Nothing is written unless the setting `storage.events` says so, which the service sets for projects
-- that have a listener.
create table if not exists storage.event_outbox (
  {app_column}
  id bigint generated always as identity,
  event jsonb not null,
  created_at timestamptz not null default now(),
  attempts integer not null default 0,
  next_at timestamptz not null default now(),
  primary key ({app}id)
);
create index if not exists event_outbox_due on storage.event_outbox ({app}next_at);
alter table storage.event_outbox enable row level security;
drop policy if exists recorded on storage.event_outbox;
create policy recorded on storage.event_outbox to supabase_storage_admin using (true) with check (true);
grant select, update, delete on storage.event_outbox to service_role;

create or replace function storage.record_event() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  operation constant text = coalesce(current_setting('storage.operation', true), '');
  headers constant json = nullif(current_setting('request.headers', true), '')::json;
  request constant jsonb = jsonb_build_object(
    'reqId', headers ->> 'x-request-id', 'sbReqId', headers ->> 'sb-request-id');
  kind text;
  described jsonb;
begin
  if tg_op = 'DELETE' then
    insert into storage.event_outbox (event)
    values (jsonb_build_object('type', 'ObjectRemoved:Delete', 'payload', jsonb_build_object(
      'name', old.name, 'bucketId', old.bucket_id, 'version', old.version, 'metadata', old.metadata) || request));
    return null;
  end if;
  described = jsonb_build_object(
    'name', new.name, 'bucketId', new.bucket_id, 'version', new.version, 'metadata', new.metadata,
    'uploadType', case
      when operation like 'storage.s3.%' then 's3'
      when operation like 'storage.tus.%' then 'resumable'
      else 'standard'
    end) || request;
  if tg_op = 'UPDATE' and (old.name, old.bucket_id) is distinct from (new.name, new.bucket_id) then
    insert into storage.event_outbox (event)
    values (jsonb_build_object('type', 'ObjectRemoved:Move', 'payload', jsonb_build_object(
      'name', old.name, 'bucketId', old.bucket_id, 'version', old.version, 'metadata', old.metadata) || request));
    kind = 'ObjectCreated:Move';
    described = described
      || jsonb_build_object('oldObject', jsonb_build_object(
        'name', old.name, 'bucketId', old.bucket_id, 'version', old.version) || request);
  elsif operation like '%object.copy' and tg_op in ('INSERT', 'UPDATE') then
    kind = 'ObjectCreated:Copy';
  elsif tg_op = 'INSERT' then
    kind = 'ObjectCreated:Post';
  elsif old.version is distinct from new.version then
    kind = 'ObjectCreated:Put';
  else
    kind = 'ObjectUpdated:Metadata';
  end if;
  insert into storage.event_outbox (event)
  values (jsonb_build_object('type', kind, 'payload', described));
  return null;
end
$$;
revoke all on function storage.record_event() from public;

create or replace trigger record_events after insert or update or delete on storage.objects
  for each row when (current_setting('storage.events', true) = 'on') execute function storage.record_event();
