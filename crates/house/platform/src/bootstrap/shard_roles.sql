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
      execute format('create role %I', wanted.name);
    end if;
    execute format('alter role %I with %s', wanted.name, wanted.attributes);
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role supabase_auth_admin set search_path = auth;
alter role supabase_auth_admin set idle_in_transaction_session_timeout = '60s';
