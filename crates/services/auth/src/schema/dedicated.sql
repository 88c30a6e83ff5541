-- In a project of one's own the owner role reads and writes the tables, as migrations and seeds expect.
do $$
begin
  if exists (select from pg_roles where rolname = 'postgres') then
    grant select on all tables in schema auth to postgres with grant option;
    grant insert, update, delete, truncate, references, trigger on all tables in schema auth to postgres;
    grant usage, select, update on all sequences in schema auth to postgres;
    revoke insert, update, delete, truncate, references, trigger on auth.schema_migrations from postgres;
  end if;
  if exists (select from pg_roles where rolname = 'dashboard_user') then
    grant all on schema auth to dashboard_user;
    grant all on all tables in schema auth to dashboard_user;
    grant all on all sequences in schema auth to dashboard_user;
  end if;
end
$$;
