-- Extensions: the ones every project has, and the means by which the project's owner, who is no superuser,
-- creates further ones. Run by the superuser after database.sql, repeatable.

drop event trigger if exists rowhouse_create_extension;

-- Owned by `postgres` so that its migrations may also drop them: both are trusted.
set role postgres;
create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists pgcrypto with schema extensions;
reset role;

-- Not trusted, so it is there beforehand: `create extension if not exists` is then a notice for everybody.
do $$
begin
  if exists (select from pg_catalog.pg_available_extensions where name = 'pg_stat_statements') then
    create extension if not exists pg_stat_statements with schema extensions;
  end if;
end
$$;

-- Extensions that PostgreSQL does not mark as trusted and that a project's owner may create all the same:
-- they give no way to the file system, the network or other databases.
create or replace function extensions.rowhouse_extension_allowed(name text) returns boolean
language sql immutable
set search_path = ''
as $$
  select name in (
    'address_standardizer', 'address_standardizer_data_us', 'autoinc', 'bloom', 'earthdistance', 'hypopg',
    'index_advisor', 'insert_username', 'moddatetime', 'pg_hashids', 'pg_jsonschema', 'pg_stat_statements',
    'pgaudit', 'pgjwt', 'pgmq', 'pgrouting', 'pgrowlocks', 'pgstattuple', 'pgtap', 'plpgsql_check', 'postgis',
    'postgis_raster', 'postgis_sfcgal', 'postgis_tiger_geocoder', 'postgis_topology', 'refint', 'rum', 'vector'
  )
$$;

-- Runs before every CREATE EXTENSION, with the superuser's rights: an allowed extension is created here, and
-- the user's own statement, which would be refused, finds it present. The statement is only known as the text
-- the client sent (which may hold several), so its `create extension`s are read from that text. The word after
-- `schema` is honoured; without one the extension goes to `extensions`.
create or replace function extensions.rowhouse_create_extension() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  found text[];
  wanted text;
  target text;
begin
  if current_setting('rowhouse.creating_extension', true) = 'on' then
    return;
  end if;
  if (select rolsuper from pg_catalog.pg_roles where rolname = session_user)
    and current_setting('role', true) in ('none', session_user) then
    return;
  end if;
  perform set_config('rowhouse.creating_extension', 'on', true);
  for found in
    select regexp_matches(
      current_query(),
      'create\s+extension\s+if\s+not\s+exists\s+("[^"]+"|[a-z_][a-z0-9_]*)(?:\s+with)?(?:\s+schema\s+("[^"]+"|[a-z_][a-z0-9_]*))?',
      'gi')
  loop
    wanted := case when found[1] like '"%' then trim(both '"' from found[1]) else lower(found[1]) end;
    target := case when found[2] like '"%' then trim(both '"' from found[2]) else lower(found[2]) end;
    if extensions.rowhouse_extension_allowed(wanted)
      and exists (select from pg_catalog.pg_available_extensions e where e.name = wanted)
      and not exists (select from pg_catalog.pg_extension where extname = wanted)
    then
      target := coalesce(target, 'extensions');
      if not exists (select from pg_catalog.pg_namespace where nspname = target) then
        continue;
      end if;
      if wanted like 'postgis\_t%' then
        -- These choose their schema themselves.
        execute format('create extension if not exists %I cascade', wanted);
      else
        execute format('create extension if not exists %I with schema %I cascade', wanted, target);
      end if;
    end if;
  end loop;
  perform set_config('rowhouse.creating_extension', 'off', true);
end
$$;

revoke all on function extensions.rowhouse_extension_allowed(text) from public;
revoke all on function extensions.rowhouse_create_extension() from public;

create event trigger rowhouse_create_extension on ddl_command_start
  when tag in ('CREATE EXTENSION')
  execute function extensions.rowhouse_create_extension();
