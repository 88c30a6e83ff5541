-- In a project of one's own the owner role reads and writes the tables, as migrations and seeds expect. What the
-- project itself has put into the schema is not ours to grant.
do $$
declare
  relation regclass;
  grantee text;
begin
  for relation, grantee in
    select c.oid, r.rolname
    from pg_class as c, pg_roles as r
    where c.relnamespace = 'auth'::regnamespace and c.relkind = 'r' and c.relowner = 'supabase_auth_admin'::regrole
      and r.rolname in ('postgres', 'dashboard_user')
  loop
    if grantee = 'postgres' then
      execute format('grant select on %s to postgres with grant option', relation);
      execute format('grant insert, update, delete, truncate, references, trigger on %s to postgres', relation);
    else
      execute format('grant all on %s to dashboard_user', relation);
    end if;
  end loop;
  if exists (select from pg_roles where rolname = 'postgres') then
    revoke insert, update, delete, truncate, references, trigger on auth.schema_migrations from postgres;
  end if;
  if exists (select from pg_roles where rolname = 'dashboard_user') then
    grant all on schema auth to dashboard_user;
  end if;
end
$$;
