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

-- Runs before every CREATE EXTENSION, with the superuser's rights: an extension of the list below is created here,
-- and the user's own statement, which would be refused, finds it present. The statement is only known as the text
-- the client sent (which may hold several), so its `create extension`s are read from that text.
--
-- An extension's script runs as the superuser with its schema on the search path, so it runs in `extensions`, where
-- no tenant can plant a function for it to find; what can be moved afterwards goes to the schema that was asked for.
create or replace function rowhouse.create_extension() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Not marked as trusted by PostgreSQL, and without a way to the file system, the network or other databases.
  allowed constant pg_catalog.text[] := array[
    'address_standardizer', 'address_standardizer_data_us', 'autoinc', 'bloom', 'earthdistance', 'hypopg',
    'index_advisor', 'insert_username', 'moddatetime', 'pg_hashids', 'pg_jsonschema', 'pg_stat_statements',
    'pgaudit', 'pgjwt', 'pgmq', 'pgrouting', 'pgrowlocks', 'pgstattuple', 'pgtap', 'plpgsql_check', 'postgis',
    'postgis_raster', 'postgis_sfcgal', 'postgis_tiger_geocoder', 'postgis_topology', 'refint', 'rum', 'vector'
  ];
  found pg_catalog.text[];
  wanted pg_catalog.text;
  target pg_catalog.text;
  movable pg_catalog.bool;
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
    target := coalesce(target, 'extensions');
    if wanted = any (allowed)
      and exists (select from pg_catalog.pg_available_extensions as e where e.name = wanted)
      and not exists (select from pg_catalog.pg_extension where extname = wanted)
      and exists (select from pg_catalog.pg_namespace where nspname = target)
    then
      select bool_and(v.relocatable) into movable
      from pg_catalog.pg_available_extension_versions as v
      where v.name = wanted;
      if target <> 'extensions' and not movable then
        raise exception 'the extension "%" can only be created in the schema "extensions"', wanted
          using errcode = 'insufficient_privilege',
            hint = format('Use: create extension if not exists %I with schema extensions;', wanted);
      end if;
      if wanted like 'postgis\_t%' then
        -- These choose their schema themselves.
        execute format('create extension if not exists %I cascade', wanted);
      else
        execute format('create extension if not exists %I with schema extensions cascade', wanted);
        if target <> 'extensions' then
          execute format('alter extension %I set schema %I', wanted, target);
        end if;
      end if;
    end if;
  end loop;
  perform set_config('rowhouse.creating_extension', 'off', true);
end
$$;

revoke all on function rowhouse.create_extension() from public;

create event trigger rowhouse_create_extension on ddl_command_start
  when tag in ('CREATE EXTENSION')
  execute function rowhouse.create_extension();
