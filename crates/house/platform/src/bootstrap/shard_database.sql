-- A shard: the database of many pooled projects, before its auth schema. Run by the superuser, repeatable.
do $$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to authenticator, supabase_auth_admin', current_database());
  execute format('alter database %I set search_path = public, extensions', current_database());
end
$$;

-- Nothing of an app lies in `public`.
revoke all on schema public from public;
grant usage on schema public to anon, authenticated, service_role, rowhouse_owner, supabase_auth_admin;

create schema if not exists extensions;
grant usage on schema extensions
  to anon, authenticated, service_role, rowhouse_owner, supabase_auth_admin, supabase_storage_admin;
create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists pgcrypto with schema extensions;

create schema if not exists auth authorization supabase_auth_admin;
grant usage on schema auth to anon, authenticated, service_role, rowhouse_owner, supabase_storage_admin;

create schema if not exists storage authorization supabase_storage_admin;
grant usage on schema storage to anon, authenticated, service_role;

create schema if not exists rowhouse;
grant usage on schema rowhouse
  to anon, authenticated, service_role, rowhouse_owner, supabase_auth_admin, supabase_storage_admin;

-- The app that the request is for. Null, which no policy accepts, when the setting is missing or not a number.
create or replace function rowhouse.app_id() returns integer
language sql stable parallel safe
as $$
  select case
    when current_setting('rowhouse.app_id', true) ~ '^[1-9][0-9]{0,8}$'
    then current_setting('rowhouse.app_id', true)::integer
  end
$$;
grant execute on function rowhouse.app_id() to public;

-- Sets `updated_at` of the row being updated.
create or replace function rowhouse.touch_updated_at() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end
$$;

-- Keeps an app's own table of user ids in step with auth.users: the app's tables refer to that small table,
-- because foreign keys from thousands of apps to one table would make every deletion of a user slow.
create or replace function rowhouse.keep_users() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  app pg_catalog.int4 := case when tg_op = 'INSERT' then new.app_id else old.app_id end;
  keys pg_catalog.text := format('app_%s.rowhouse_users', app);
begin
  -- An app that is being deleted has no schema any more.
  if pg_catalog.to_regclass(keys) is null then
    return null;
  end if;
  if tg_op = 'INSERT' then
    execute format('insert into %s (id) values ($1) on conflict do nothing', keys) using new.id;
  else
    execute format('delete from %s where id = $1', keys) using old.id;
  end if;
  return null;
end
$$;
alter function rowhouse.keep_users() owner to rowhouse_owner;
revoke all on function rowhouse.keep_users() from public;

-- The entity model of each app, written in the transaction that makes its tables: what counts when the copy in the
-- catalog says otherwise.
create table if not exists rowhouse.entity_models (
  app_id integer primary key,
  version integer not null,
  model jsonb not null,
  applied_at timestamptz not null default now()
);
alter table rowhouse.entity_models enable row level security;
