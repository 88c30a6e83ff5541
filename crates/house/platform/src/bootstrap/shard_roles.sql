-- The roles of a server that holds shards. They are shared by all pooled projects of the server, so none of
-- them may pass by row-level security: service_role has no BYPASSRLS here. Run by the superuser, repeatable.
do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      ('anon', 'nologin noinherit nobypassrls'),
      ('authenticated', 'nologin noinherit nobypassrls'),
      ('service_role', 'nologin noinherit nobypassrls'),
      ('authenticator', 'login noinherit nobypassrls'),
      ('supabase_auth_admin', 'login noinherit nobypassrls'),
      ('supabase_storage_admin', 'nologin noinherit nobypassrls'),
      ('supabase_realtime_admin', 'nologin noinherit nobypassrls'),
      ('dashboard_user', 'nologin noinherit nobypassrls'),
      -- Owns every app's schema, tables and the functions below; nobody logs in as it.
      ('rowhouse_owner', 'nologin noinherit nobypassrls')
    ) as roles(name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I with %s', wanted.name, wanted.attributes);
    elsif exists (
      select
      from pg_catalog.pg_roles
      where rolname = wanted.name
        and (rolsuper or rolbypassrls or rolinherit or rolcanlogin <> (wanted.attributes like 'login%'))
    ) then
      execute format('alter role %I with nosuperuser %s', wanted.name, wanted.attributes);
    end if;
  end loop;
end
$$;

do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      ('anon', 'statement_timeout', '3s'),
      ('authenticated', 'statement_timeout', '8s'),
      ('authenticator', 'statement_timeout', '8s'),
      ('authenticator', 'lock_timeout', '8s'),
      ('supabase_auth_admin', 'search_path', 'auth'),
      ('supabase_auth_admin', 'idle_in_transaction_session_timeout', '60s')
    ) as settings(role, name, value)
    where not exists (
      select
      from pg_catalog.pg_db_role_setting as s
      where s.setrole = settings.role::regrole and s.setdatabase = 0
        and format('%s=%s', settings.name, settings.value) = any (s.setconfig))
  loop
    execute format('alter role %I set %s = %L', wanted.role, wanted.name, wanted.value);
  end loop;
  for wanted in
    select granted.name
    from (values ('anon'), ('authenticated'), ('service_role')) as granted(name)
    where not exists (
      select
      from pg_catalog.pg_auth_members
      where member = 'authenticator'::regrole and roleid = granted.name::regrole)
  loop
    execute format('grant %I to authenticator', wanted.name);
  end loop;
end
$$;
