-- Row-level security is on for every table; the owner is not subject to it unless it is forced.
set role supabase_auth_admin;
do $$
declare
  relation regclass;
begin
  for relation in
    select oid from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r' and not relrowsecurity
      and relowner = 'supabase_auth_admin'::regrole
  loop
    execute format('alter table %s enable row level security', relation);
  end loop;
end
$$;
reset role;

do $$
declare
  grantee text;
  routine regprocedure;
begin
  for grantee in
    select rolname from pg_roles
    where rolname in ('anon', 'authenticated', 'service_role', 'postgres', 'dashboard_user')
  loop
    execute format('grant usage on schema auth to %I', grantee);
    -- Not what others have put into the schema.
    for routine in
      select oid from pg_proc
      where pronamespace = 'auth'::regnamespace and proowner = 'supabase_auth_admin'::regrole
    loop
      execute format('grant execute on function %s to %I', routine, grantee);
    end loop;
  end loop;
end
$$;
