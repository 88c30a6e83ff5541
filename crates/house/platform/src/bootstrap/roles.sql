-- The roles of a dedicated project, as a new Supabase project has them. Run by the superuser, repeatable.
-- None has a password: only `postgres` gets one, from the platform, and only who has one can log in from outside.

-- Before version 16 CREATEROLE may hand out every role that is no superuser, those that reach the server's files
-- and programs included. Marked as superusers (nobody is a member, and they cannot log in) they are out of its reach.
do $$
begin
  if current_setting('server_version_num')::integer < 160000 then
    update pg_catalog.pg_authid
    set rolsuper = true
    where rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') and not rolsuper;
  end if;
end
$$;

do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      ('supabase_admin', 'superuser createdb createrole replication bypassrls login'),
      ('postgres', 'nosuperuser createdb createrole noreplication bypassrls login'),
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls'),
      ('authenticator', 'login noinherit'),
      ('supabase_auth_admin', 'login noinherit'),
      ('supabase_storage_admin', 'login noinherit'),
      ('supabase_realtime_admin', 'nologin noinherit'),
      ('supabase_replication_admin', 'login noreplication'),
      ('supabase_read_only_user', 'login bypassrls'),
      ('dashboard_user', 'nologin createdb noreplication')
    ) as roles(name, attributes)
  loop
    -- What is there already, on a server that is not ours alone, stays as its operator made it.
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I with %s', wanted.name, wanted.attributes);
    end if;
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to supabase_storage_admin;
grant anon, authenticated, service_role to supabase_realtime_admin;

-- What the owner of a project may become. Membership in the owners of `auth` and `storage` is what lets a
-- migration put triggers on auth.users and policies on storage.objects, and drop them again.
grant anon, authenticated, service_role, authenticator to postgres with admin option;
grant supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin to postgres;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres with admin option;
grant pg_monitor, pg_read_all_data to supabase_read_only_user;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role supabase_auth_admin set idle_in_transaction_session_timeout = '60s';
alter role supabase_auth_admin set search_path = auth;
alter role supabase_storage_admin set search_path = storage;
alter role supabase_read_only_user set default_transaction_read_only = on;
-- The platform's own sessions name their search path when they begin; nothing of a project's is on it.
alter role supabase_admin set search_path = pg_catalog;
alter role postgres set search_path = "$user", public, extensions;

-- The library that refuses UPDATE and DELETE without WHERE is not part of PostgreSQL: only where installed.
do $$
begin
  load 'safeupdate';
  alter role authenticator set session_preload_libraries = 'safeupdate';
exception when others then
  alter role authenticator reset session_preload_libraries;
end
$$;

-- Parameters that a project's owner may set for a role or the database although only a superuser could.
grant set on parameter
  session_replication_role, log_min_duration_statement, log_statement, log_duration, log_lock_waits, deadlock_timeout,
  track_functions, track_io_timing,
  "pgrst.db_schemas", "pgrst.db_extra_search_path", "pgrst.db_max_rows", "pgrst.db_pre_request",
  "pgrst.db_aggregates_enabled", "pgrst.db_plan_enabled", "pgrst.db_tx_end", "pgrst.openapi_mode",
  "app.settings.jwt_secret", "app.settings.jwt_exp"
  to postgres;
